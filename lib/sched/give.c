/* SPDX-License-Identifier: MIT */
/*
 * give - how work leaves a worker, and how it comes in from outside: the shared ring is filled here, on
 * request or when there is enough for a sleeper, and the injector takes what plain threads, other
 * runtimes and the monitor hand over.
 */
#include "sched/worker.h"

static unsigned share_tasks(struct weft_worker *worker, unsigned wanted)
{
	struct weft_queue *queue = &worker->queue;
	unsigned given = 0, looked = queue->tasks;
	struct weft_node *node, *before;

	if (!wanted)
		return 0;
	node = &weft_queue_last_task(queue)->node;
	for (; looked > 0 && given < wanted; looked--, node = before) {
		struct weft_task *task = (struct weft_task *)node;

		before = node->prev;
		if (node == &queue->aged.node || node == &queue->fresh.node)
			break;
		if (task->flags & WEFT_TASK_PINNED)
			continue;
		weft_queue_remove(queue, task);
		weft_queue_count_foreign(queue);
		if (!weft_share_push_task(&worker->share, task)) {
			weft_queue_push_oldest(queue, task);
			break;
		}
		given++;
	}
	return given;
}

static unsigned share_stacks(struct weft_worker *worker, unsigned wanted)
{
	struct weft_stack_fifo *ready = &worker->queue.ready;
	unsigned given = 0, looked = ready->count;

	while (given < wanted && looked-- > 0) {
		struct weft_stack *stack = weft_stack_fifo_pop(ready);

		if (stack->pins > 0 || !weft_share_push_stack(&worker->share, stack)) {
			weft_stack_fifo_push(ready, stack);
			continue;
		}
		given++;
	}
	return given;
}

static unsigned half(unsigned count)
{
	return count / 2 < WEFT_SHARE_BATCH ? count / 2 : WEFT_SHARE_BATCH;
}

static void share(struct weft_worker *worker)
{
	unsigned tasks = half(worker->queue.tasks), stacks = half(worker->queue.ready.count);

	if (share_stacks(worker, stacks) + share_tasks(worker, tasks) == 0)
		return; /* a request stands until there is something to give */
	weft_and_acq_rel(&worker->attention, ~(uint32_t)WEFT_ATTENTION_STEAL);
	weft_worker_poke(worker->runtime, weft_idle_notify(worker->runtime->idle));
}

void weft_worker_offer(struct weft_worker *worker)
{
	struct weft_idle *idle = worker->runtime->idle;
	uint32_t queued = worker->queue.tasks + worker->queue.ready.count;

	/* One that searches itself, and has just found something, keeps it. */
	if (weft_idle_searching(idle) > worker->searching) {
		if (queued >= 2 && weft_load_relaxed(&worker->attention) & WEFT_ATTENTION_STEAL)
			share(worker);
	} else if (queued > WEFT_SURPLUS && weft_idle_sleeping(idle) > 0 &&
		weft_share_empty(&worker->share)) {
		share(worker);
	}
}

void weft_worker_offer_few(struct weft_worker *worker)
{
	weft_ns now;

	if (weft_likely(worker->queue.tasks < 2 || weft_idle_sleeping(worker->runtime->idle) == 0))
		return;
	now = weft_now();
	if (now - worker->few_offered_at < WEFT_OFFER_FEW_NS)
		return;
	worker->few_offered_at = now;
	if (weft_share_empty(&worker->share))
		share(worker);
}

void weft_worker_poke(struct weft_runtime *runtime, int worker)
{
	if (worker == WEFT_IDLE_NOBODY)
		return;
	runtime->workers[worker].backend->wake(runtime->workers[worker].backend_state);
}

/* One thing that was shared and that nobody took; otherwise only an idle worker would. */
bool weft_worker_take_back(struct weft_worker *worker)
{
	struct weft_share_item item;

	if (weft_likely(weft_share_empty(&worker->share)) || !weft_share_take(&worker->share, &item))
		return false;
	if (item.stack) {
		weft_stack_fifo_push(&worker->queue.ready, item.stack);
	} else {
		weft_store_relaxed(&item.task->home, worker);
		weft_store_release(&item.task->claim, WEFT_CLAIM_PRIVATE); /* TK4 */
		weft_queue_push_oldest(&worker->queue, item.task);
	}
	return true;
}

/* -- the injector ------------------------------------------------------------------------------ */

/*
 * From another runtime or a plain thread: what is injected may run and end, and with it the runtime,
 * before this returns. posting holds the runtime until then (runtime.c, all_ended).
 */
void weft_inject_stack(struct weft_runtime *runtime, struct weft_stack *stack)
{
	weft_add_seq_cst(&runtime->posting, 1);
	weft_spin_lock(&runtime->inject_lock);
	weft_stack_fifo_push(&runtime->injected, stack);
	weft_add_relaxed(&runtime->inject_count, 1);
	weft_spin_unlock(&runtime->inject_lock);
	weft_worker_poke(runtime, weft_idle_notify(runtime->idle));
	weft_sub_seq_cst(&runtime->posting, 1);
}

void weft_inject_task(struct weft_runtime *runtime, struct weft_task *task)
{
	weft_add_seq_cst(&runtime->posting, 1);
	weft_spin_lock(&runtime->inject_lock);
	weft_list_push_tail(&runtime->injected_tasks, &task->node);
	weft_add_relaxed(&runtime->inject_count, 1);
	weft_spin_unlock(&runtime->inject_lock);
	weft_worker_poke(runtime, weft_idle_notify(runtime->idle));
	weft_sub_seq_cst(&runtime->posting, 1);
}

/* Take a fair part of what was injected into the own queue; how many. */
unsigned weft_worker_take_injected(struct weft_worker *worker)
{
	struct weft_runtime *runtime = worker->runtime;
	unsigned taken = 0, fair;

	if (weft_likely(weft_load_relaxed(&runtime->inject_count) == 0))
		return 0;
	weft_spin_lock(&runtime->inject_lock);
	fair = weft_load_relaxed(&runtime->inject_count) / runtime->count + 1;
	while (taken < fair) {
		struct weft_stack *stack = weft_stack_fifo_pop(&runtime->injected);
		struct weft_task *task = NULL;

		if (stack) {
			weft_stack_fifo_push(&worker->queue.ready, stack);
		} else {
			task = (struct weft_task *)weft_list_pop_head(&runtime->injected_tasks);
			if (!task)
				break;
			weft_store_relaxed(&task->home, worker);
			weft_store_release(&task->claim, WEFT_CLAIM_PRIVATE); /* TK4 */
			weft_queue_push_oldest(&worker->queue, task);
		}
		taken++;
		weft_sub_relaxed(&runtime->inject_count, 1);
	}
	weft_spin_unlock(&runtime->inject_lock);
	return taken;
}

