/* SPDX-License-Identifier: MIT */
/*
 * task_pool - slabs of descriptors and the magazines that travel between workers. Magazines are cut from a slab
 * one by one, as they are asked for. A slab is unmapped with its runtime only: descriptors are type-stable.
 */
#include <stdlib.h>
#include <string.h>
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
	pool->free_count += magazine.count;
	pool->puts++;
}

/* The place is often aligned by luck, since each goes beside the last one; else there is room for one that is. */
static struct weft_task_slab *map_aligned(void)
{
	const uintptr_t mask = WEFT_TASK_SLAB_BYTES - 1;
	char *base = weft_sys_map(WEFT_TASK_SLAB_BYTES);
	size_t before;

	if (!base || !((uintptr_t)base & mask))
		return (void *)base;
	weft_sys_unmap(base, WEFT_TASK_SLAB_BYTES);
	base = weft_sys_map(2 * WEFT_TASK_SLAB_BYTES);
	if (!base)
		return NULL;
	before = -(uintptr_t)base & mask;
	if (before)
		weft_sys_unmap(base, before);
	weft_sys_unmap(base + before + WEFT_TASK_SLAB_BYTES, WEFT_TASK_SLAB_BYTES - before);
	return (void *)(base + before);
}

/*
 * A simulation is short, and most of what it costs would be mapping memory: its first slab is kept for the next
 * one, whose tasks find what they would in a new one. Whoever exchanges the pointer has it. Not for
 * sanitizers, which remember who used it.
 */
#if defined(WEFT_ASAN) || defined(WEFT_TSAN)
enum { KEEP = 0 };
#else
enum { KEEP = 1 };
#endif

static _Atomic(struct weft_task_slab *) kept;

static void slab_finish(const struct weft_task_pool *pool, struct weft_task_slab *slab)
{
	if (KEEP && pool->counts_alone) {
		memset(slab->tasks, 0, slab->used * sizeof(slab->tasks[0]));
		slab->used = 0;
		slab = weft_xchg_acq_rel(&kept, slab);
	}
	if (slab)
		weft_sys_unmap(slab, sizeof(*slab));
}

/* One that was given back. */
static struct weft_task_slab *take_empty(struct weft_task_pool *pool)
{
	struct weft_task_slab *slab = NULL;

	weft_spin_lock(&pool->lock);
	if (pool->empty_count > 0)
		slab = pool->empty[--pool->empty_count];
	weft_spin_unlock(&pool->lock);
	return slab;
}

static struct weft_task_slab *slab_get(struct weft_task_pool *pool)
{
	struct weft_task_slab *slab =
		pool->counts_alone ? weft_xchg_acq_rel(&kept, NULL) : NULL;

	if (!slab)
		slab = take_empty(pool);
	return slab ? slab : map_aligned();
}

/* Called under the pool's lock. */
static uint32_t next_number(struct weft_task_pool *pool)
{
	static _Atomic(uint32_t) slabs_of_process;

	pool->slab_count++;
	return pool->counts_alone ? pool->slab_count - 1 : weft_add_relaxed(&slabs_of_process, 1);
}

/* Lock held. A magazine of descriptors that nobody has used; none when there is no slab, or it is used up. */
static struct weft_task_magazine carve(struct weft_task_pool *pool)
{
	struct weft_task_magazine magazine = { NULL, 0 };
	struct weft_task_slab *slab = pool->slabs;

	if (!slab || slab->used == WEFT_TASK_SLAB_TASKS)
		return magazine;
	magazine.head = &slab->tasks[slab->used];
	magazine.count = WEFT_TASK_SLAB_TASKS - slab->used;
	if (magazine.count > WEFT_MAGAZINE_TASKS)
		magazine.count = WEFT_MAGAZINE_TASKS;
	for (unsigned i = 0; i + 1 < magazine.count; i++)
		magazine.head[i].node.next = &magazine.head[i + 1].node;
	magazine.head[magazine.count - 1].node.next = NULL; /* locked memory was not emptied: an old link */
	slab->used += magazine.count;
	return magazine;
}

static struct weft_task_magazine slab_new(struct weft_task_pool *pool)
{
	struct weft_task_slab *slab = slab_get(pool);
	struct weft_task_magazine magazine = { NULL, 0 };

	if (!slab)
		return magazine;
	/* In the end all of it is touched, and one call costs less than a fault a page. Refused: the faults.
	 * Not in a simulation, which is short and needs few. */
	if (!pool->counts_alone)
		weft_sys_madvise(slab, sizeof(*slab), MADV_POPULATE_WRITE);
	weft_spin_lock(&pool->lock);
	while ((magazine = carve(pool)).head) /* of the slab of another, who was as fast */
		weft_task_pool_put_locked(pool, magazine);
	slab->number = next_number(pool);
	slab->used = 0;
	slab->next = pool->slabs;
	pool->slabs = slab;
	magazine = carve(pool);
	weft_spin_unlock(&pool->lock);
	return magazine;
}

struct weft_task_magazine weft_task_pool_get(struct weft_task_pool *pool)
{
	struct weft_task_magazine magazine = { NULL, 0 };

	weft_spin_lock(&pool->lock);
	if (pool->full) {
		magazine.head = pool->full;
		magazine.count = magazine.head->batch;
		pool->full = (struct weft_task *)magazine.head->node.prev;
		pool->free_count -= magazine.count;
		if (pool->free_count < pool->free_least)
			pool->free_least = pool->free_count;
	} else {
		magazine = carve(pool);
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
		slab_finish(pool, slab);
	}
	while (pool->empty_count > 0)
		weft_sys_unmap(pool->empty[--pool->empty_count], WEFT_TASK_SLAB_BYTES);
	free(pool->empty);
	pool->empty = NULL;
	pool->slabs = NULL;
	pool->full = NULL;
}

static void each(struct weft_task_pool *pool, bool ended_too,
	void (*fn)(const struct weft_task *task, void *arg), void *arg)
{
	weft_spin_lock(&pool->lock);
	for (struct weft_task_slab *slab = pool->slabs; slab; slab = slab->next) {
		for (unsigned i = 0; i < slab->used; i++) {
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
