/* SPDX-License-Identifier: MIT */
/*
 * shed - what a burst leaves behind goes back to the kernel: stacks and descriptors that lie free in the shared
 * pools, and that nobody has needed for a while. The monitor does it, in steps short enough not to keep it
 * from its other work.
 *
 * Time is cut into windows. Each pool notes the least it had left in a window: so many were not needed, and go,
 * the ones that have lain longest. A runtime that is asleep all the same, with something to give back, has the
 * monitor wake a few times more, and its workers once or twice, to give what they keep of their own; then
 * there is nothing left, and no wake-up either.
 *
 * Stacks: a slab of which nothing is in use is mapped anew, page tables and all; of others each free slot is
 *         emptied, and its guard stays. Descriptors: a slab of which nothing is in use is emptied.
 * Both stay readable, and read as zeroes (task.h, stack.h). What is kept: fewer than LEAST of each.
 */
#ifndef WEFT_LIB_SCHED_SHED_H
#define WEFT_LIB_SCHED_SHED_H

#include <stdbool.h>

#include <weft/base.h>

struct weft_runtime;
struct weft_stack;
struct weft_stack_slab;
struct weft_task;
struct weft_task_slab;

/* Where the monitor is with it; its own. */
struct weft_shed {
	weft_ns looked;            /* when the last window ended */
	struct weft_stack *stacks; /* taken from the pool, to be sorted by slab */
	bool sorted;
	struct weft_stack_slab *slab; /* the next one to look at */
	enum {
		WEFT_SHED_NO_TASKS,
		WEFT_SHED_COUNT,
		WEFT_SHED_SORT,
		WEFT_SHED_EMPTY
	} tasks;
	struct weft_task *magazines,
		*magazine;      /* taken from the pool; the next one to look at */
	struct weft_task *kept; /* of slabs that stay */
	unsigned kept_count;
	uint32_t puts; /* the task pool's when it was last taken, and what was put back since */
	struct weft_task_slab **room; /* the pool's next list of empty slabs */
	struct weft_task_slab *slabs; /* to be emptied */
};

/* How long a window is; tests make it shorter, before any runtime starts. */
extern weft_ns weft_shed_window;

/* Ends the window if it is time, and takes what was not needed in it. */
void weft_shed_look(struct weft_shed *shed, struct weft_runtime *runtime, weft_ns now);
/* A part of the work, some hundred microseconds; false: there is none. */
bool weft_shed_step(struct weft_shed *shed, struct weft_runtime *runtime);
/* For how long the monitor may sleep; -1: without bound. */
weft_ns weft_shed_pause(
	struct weft_shed *shed, struct weft_runtime *runtime, weft_ns now);
/* The runtime ends: nothing is taken any more, and what was taken is back. */
void weft_shed_finish(struct weft_shed *shed, struct weft_runtime *runtime);

#endif
