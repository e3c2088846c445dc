/* SPDX-License-Identifier: MIT */
/*
 * service - one look at everything that brings work: the ring, the timers, the mail, the injector. Made
 * by the loop every so many steps and when its queue is empty, and in part by the monitor for a
 * worker that is stuck.
 */
#include <weft/task.h>

#include "sched/worker.h"

unsigned weft_worker_fire_timers(struct weft_worker *worker, weft_ns now)
{
	unsigned fired = 0;

	for (;;) {
		struct weft_timer *timer;
		struct weft_stack *stack;

		weft_spin_lock(&worker->timer_lock);
		timer = weft_wheel_expire(&worker->wheel, now);
		if (!timer)
			weft_store_relaxed(&worker->next_timer, weft_wheel_next(&worker->wheel));
		weft_spin_unlock(&worker->timer_lock);
		if (!timer)
			return fired;
		stack = weft_container_of(timer, struct weft_stack, timer);
		weft_unpark(&stack->parker);
		fired++;
	}
}

unsigned weft_worker_fire_due_timers(struct weft_worker *worker)
{
	weft_ns next = weft_load_relaxed(&worker->next_timer);
	weft_ns now;

	if (weft_likely(next == WEFT_FOREVER))
		return 0;
	now = weft_now();
	return now >= next ? weft_worker_fire_timers(worker, now) : 0;
}

/*
 * New tasks that newer ones have overtaken go first now and then: the oldest batch every WEFT_SEAL_NS, so
 * that a tree of tasks that wait for their children grows by few stacks. In between, everything
 * that is due, in steps that double, as long as none of those that were started so has been
 * suspended or left more new tasks than it took: those that just run cost nothing.
 */
static void seal_old_tasks(struct weft_worker *worker)
{
	struct weft_queue *queue = &worker->queue;
	uint32_t sealed = 0;
	weft_ns now;

	if (queue->tasks == 0 || !weft_ring_empty(&queue->aged.node))
		return;
	now = weft_now();
	if (now - queue->sealed_at >= WEFT_SEAL_NS) {
		queue->sealed_at = now;
		queue->due_batch = queue->sealed_batch;
		queue->sealed_batch = weft_queue_batch(queue);
		queue->pace += queue->pace == 0;
		weft_queue_seal_oldest(queue);
		return;
	}
	while (sealed < queue->pace && weft_queue_is_due(queue))
		sealed += weft_queue_seal_oldest(queue);
	if (sealed > 0)
		queue->pace = queue->pace < WEFT_STEPS_PER_SERVICE / 2 ? queue->pace * 2
								       : WEFT_STEPS_PER_SERVICE;
}

unsigned weft_worker_look(struct weft_worker *worker)
{
	unsigned found;

	worker->backend->flush(worker->backend_state);
	found = worker->backend->reap(worker->backend_state);
	found += weft_worker_fire_due_timers(worker);
	if (weft_load_relaxed(&worker->attention) & WEFT_ATTENTION_MAIL)
		weft_worker_read_mail(worker);
	return found;
}

unsigned weft_worker_service(struct weft_worker *worker)
{
	unsigned found = weft_worker_look(worker);

	worker->steps = 0;
	worker->next_new = 0;
	found += weft_worker_take_injected(worker);
	found += weft_worker_take_back(worker);
	seal_old_tasks(worker);
	if (weft_worker_may_offer(worker))
		weft_worker_offer(worker);
	else
		weft_worker_offer_few(worker);
	weft_monitor_wake(worker->runtime);
	return found;
}

bool weft_worker_has_work(struct weft_worker *worker)
{
	weft_ns next = weft_load_relaxed(&worker->next_timer);

	return !weft_inbox_empty(&worker->inbox) ||
		worker->backend->has_work(worker->backend_state) ||
		(next != WEFT_FOREVER && weft_now() >= next);
}

