/* SPDX-License-Identifier: MIT */
/*
 * edge - who waits for whom, and the walk that finds a cycle before it closes.
 *
 * A stack publishes the task it waits for, then walks from that task to the stack it is on,
 * to the task that one waits for, and so on. Coming back to its own stack means that it would
 * wait for itself. Everything read is type-stable; generations tell reuse apart. A path is walked
 * twice: a true cycle stands still, a path that merely changes under the walk does not give
 * the same answer twice.
 *
 * ED1  publish: seq_cst store of edge, fence, then walk, on every waiter. Two that close a cycle
 *      at the same time cannot both miss it. Weaker: both sleep for good.
 */
#include <errno.h>

#include "sched/frame.h"
#include "sched/worker.h"

enum { HOPS_MAX = 64 };

static bool leads_to(struct weft_task *task, const struct weft_stack *self)
{
	for (int hop = 0; task && hop < HOPS_MAX; hop++) {
		struct weft_stack *stack;
		struct weft_task *next;
		uint32_t generation;

		if (weft_task_done(task))
			return false;
		stack = weft_load_acquire(&task->stack);
		if (!stack)
			return false;
		if (stack == self)
			return true;
		generation = weft_load_acquire(&stack->edge_generation);
		next = weft_load_acquire(&stack->edge);
		if (!next || weft_load_relaxed(&next->generation) != generation)
			return false;
		task = next;
	}
	return false;
}

int weft_wait_edge_enter(struct weft_task *owner)
{
	struct weft_worker *worker = weft_worker_current();
	struct weft_stack *stack;

	if (!worker || !owner)
		return 0;
	stack = worker->stack;
	weft_store_release(&stack->edge_generation, weft_load_relaxed(&owner->generation));
	weft_store_seq_cst(&stack->edge, owner); /* ED1 */
	weft_fence_seq_cst();
	if (weft_likely(!leads_to(owner, stack)) || !leads_to(owner, stack))
		return 0;
	weft_store_release(&stack->edge, NULL);
	return -EDEADLK;
}

int weft_wait_edge_check(struct weft_task *task)
{
	struct weft_worker *worker = weft_worker_current();

	if (!worker || !leads_to(task, worker->stack) || !leads_to(task, worker->stack))
		return 0;
	return -EDEADLK;
}

void weft_wait_edge_leave(void)
{
	struct weft_worker *worker = weft_worker_current();

	if (worker)
		weft_store_release(&worker->stack->edge, NULL);
}
