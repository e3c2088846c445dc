/* SPDX-License-Identifier: MIT */
/*
 * task_pool - slabs of descriptors and the magazines that travel between workers. A slab is unmapped with its
 * runtime only: descriptors are type-stable.
 */
#include <sys/mman.h>

#include "base/sys.h"
#include "sched/task.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

void weft_task_pool_put_locked(struct weft_task_pool *pool, struct weft_task_magazine magazine)
{
	magazine.head->batch = magazine.count;
	magazine.head->node.prev = (struct weft_node *)pool->full;
	pool->full = magazine.head;
}

/* The place is often aligned by luck, since each goes beside the last one; else there is room for one that is. */
static struct weft_task_slab *map_aligned(void)
{
	const uintptr_t mask = WEFT_TASK_SLAB_BYTES - 1;
	char *base = weft_sys_map(WEFT_TASK_SLAB_BYTES);
	size_t before;

	if (!base || !((uintptr_t)base & mask))
		return (struct weft_task_slab *)base;
	weft_sys_unmap(base, WEFT_TASK_SLAB_BYTES);
	base = weft_sys_map(2 * WEFT_TASK_SLAB_BYTES);
	if (!base)
		return NULL;
	before = -(uintptr_t)base & mask;
	if (before)
		weft_sys_unmap(base, before);
	weft_sys_unmap(base + before + WEFT_TASK_SLAB_BYTES, WEFT_TASK_SLAB_BYTES - before);
	return (struct weft_task_slab *)(base + before);
}

/* Called under the pool's lock. */
static uint32_t next_number(struct weft_task_pool *pool)
{
	static _Atomic(uint32_t) slabs_of_process;

	pool->slab_count++;
	return pool->counts_alone ? pool->slab_count - 1 : weft_add_relaxed(&slabs_of_process, 1);
}

/* The slab's descriptors as magazines; the first of them. */
static struct weft_task_magazine slab_divide(struct weft_task_pool *pool, struct weft_task_slab *slab)
{
	struct weft_task_magazine magazine = { NULL, 0 };

	for (unsigned end = WEFT_TASK_SLAB_TASKS, first; end > 0; end = first) {
		first = (end - 1) / WEFT_MAGAZINE_TASKS * WEFT_MAGAZINE_TASKS;
		if (magazine.head)
			weft_task_pool_put_locked(pool, magazine);
		for (unsigned i = first; i < end - 1; i++)
			slab->tasks[i].node.next = &slab->tasks[i + 1].node;
		magazine = (struct weft_task_magazine){ &slab->tasks[first], end - first };
	}
	return magazine;
}

static struct weft_task_magazine slab_new(struct weft_task_pool *pool)
{
	struct weft_task_slab *slab = map_aligned();
	struct weft_task_magazine first;

	if (!slab)
		return (struct weft_task_magazine){ NULL, 0 };
	/* All of it is touched below: one call costs less than a fault a page. Refused: the faults. */
	weft_sys_madvise(slab, sizeof(*slab), MADV_POPULATE_WRITE);
	weft_spin_lock(&pool->lock);
	slab->number = next_number(pool);
	slab->next = pool->slabs;
	pool->slabs = slab;
	first = slab_divide(pool, slab);
	weft_spin_unlock(&pool->lock);
	return first;
}

struct weft_task_magazine weft_task_pool_get(struct weft_task_pool *pool)
{
	struct weft_task_magazine magazine = { NULL, 0 };

	weft_spin_lock(&pool->lock);
	if (pool->full) {
		magazine.head = pool->full;
		magazine.count = magazine.head->batch;
		pool->full = (struct weft_task *)magazine.head->node.prev;
	}
	weft_spin_unlock(&pool->lock);
	return magazine.head ? magazine : slab_new(pool);
}

void weft_task_pool_put(struct weft_task_pool *pool, struct weft_task_magazine magazine)
{
	weft_spin_lock(&pool->lock);
	weft_task_pool_put_locked(pool, magazine);
	weft_spin_unlock(&pool->lock);
}

void weft_task_pool_finish(struct weft_task_pool *pool)
{
	struct weft_task_slab *slab = pool->slabs, *next;

	for (; slab; slab = next) {
		next = slab->next;
		weft_sys_unmap(slab, sizeof(*slab));
	}
	pool->slabs = NULL;
	pool->full = NULL;
}

static void each(struct weft_task_pool *pool, bool ended_too,
	void (*fn)(const struct weft_task *task, void *arg), void *arg)
{
	weft_spin_lock(&pool->lock);
	for (struct weft_task_slab *slab = pool->slabs; slab; slab = slab->next) {
		for (unsigned i = 0; i < WEFT_TASK_SLAB_TASKS; i++) {
			struct weft_task *task = &slab->tasks[i];
			uint64_t word = weft_load_acquire(&task->word);

			if (WEFT_WORD_REFS(word) > 0 && (ended_too || !(word & WEFT_WORD_DONE)))
				fn(task, arg);
		}
	}
	weft_spin_unlock(&pool->lock);
}

void weft_task_pool_each(struct weft_task_pool *pool,
	void (*fn)(const struct weft_task *task, void *arg), void *arg)
{
	each(pool, false, fn, arg);
}

void weft_task_pool_each_held(struct weft_task_pool *pool,
	void (*fn)(const struct weft_task *task, void *arg), void *arg)
{
	each(pool, true, fn, arg);
}
