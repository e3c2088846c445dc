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

static struct weft_task_magazine slab_new(struct weft_task_pool *pool)
{
	struct weft_task_slab *slab = weft_sys_map(sizeof(*slab));

	if (!slab)
		return (struct weft_task_magazine){ NULL, 0 };
	/* All of it is touched below: one call costs less than a fault a page. Refused: the faults. */
	weft_sys_madvise(slab, sizeof(*slab), MADV_POPULATE_WRITE);
	weft_spin_lock(&pool->lock);
	slab->index = pool->slab_count++;
	slab->next = pool->slabs;
	pool->slabs = slab;
	for (unsigned first = WEFT_MAGAZINE_TASKS; first < WEFT_TASK_SLAB_TASKS;
		first += WEFT_MAGAZINE_TASKS)
		weft_task_pool_put_locked(pool,
			(struct weft_task_magazine){ &slab->tasks[first], WEFT_MAGAZINE_TASKS });
	for (unsigned i = 0; i < WEFT_TASK_SLAB_TASKS; i++) {
		bool last = i % WEFT_MAGAZINE_TASKS == WEFT_MAGAZINE_TASKS - 1;

		slab->tasks[i].node.next = last ? NULL : &slab->tasks[i + 1].node;
	}
	weft_spin_unlock(&pool->lock);
	return (struct weft_task_magazine){ &slab->tasks[0], WEFT_MAGAZINE_TASKS };
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
