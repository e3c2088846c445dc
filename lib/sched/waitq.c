/* SPDX-License-Identifier: MIT */
/*
 * waitq - a FIFO of waiters under a lock of the feature's; the one loop behind every lock and
 * channel. A grant is made under the lock by whoever unlinks the waiter, so a waiter that finds
 * itself still linked may leave, and one that does not has been served: the result wins.
 */
#include <errno.h>

#include "sched/wait.h"
#include "sched/worker.h"

#include <weft/task.h>

int weft_waitq_push(struct weft_waitq *queue, struct weft_waiter *waiter)
{
	struct weft_worker *worker = weft_worker_current();

	waiter->parker = weft_likely(worker != NULL) ? &worker->stack->parker : weft_parker_self();
	if (weft_unlikely(!waiter->parker))
		return -ENOMEM;
	weft_store_relaxed(&waiter->granted, 0);
	waiter->queued = 1;
	weft_list_push_tail(&queue->list, &waiter->node);
	return 0;
}

struct weft_parker *weft_waitq_grant(struct weft_waitq *queue, struct weft_waiter *waiter)
{
	struct weft_parker *parker = waiter->parker;

	weft_list_remove(&queue->list, &waiter->node);
	waiter->queued = 0;
	/* WQ1: release; the waiter returns on seeing it, maybe before the lock is released. */
	weft_store_release(&waiter->granted, 1);
	return parker;
}

static bool leave(struct weft_spin *lock, struct weft_waitq *queue, struct weft_waiter *waiter)
{
	bool still_queued;

	weft_spin_lock(lock);
	still_queued = waiter->queued;
	if (still_queued) {
		weft_list_remove(&queue->list, &waiter->node);
		waiter->queued = 0;
	}
	weft_spin_unlock(lock);
	return still_queued;
}

/* Unlocked, and woken for something else once already. */
__attribute__((noinline)) static int wait_on(struct weft_spin *lock, struct weft_waitq *queue,
	struct weft_waiter *waiter, weft_ns until)
{
	for (;;) {
		int code = weft_pending();

		if (!code && until != WEFT_FOREVER && weft_now() >= until)
			code = -EAGAIN;
		if (code && leave(lock, queue, waiter))
			return code;
		if (weft_load_acquire(&waiter->granted)) /* WQ1 */
			return 0;
		weft_park(until);
		if (weft_load_acquire(&waiter->granted)) /* WQ1 */
			return 0;
	}
}

int weft_waitq_wait(struct weft_spin *lock, struct weft_waitq *queue, struct weft_waiter *waiter,
	weft_ns until)
{
	weft_spin_unlock(lock);
	if (weft_unlikely(weft_load_acquire(&waiter->granted))) /* WQ1 */
		return 0;
	weft_park(until);
	if (weft_likely(weft_load_acquire(&waiter->granted))) /* WQ1 */
		return 0;
	return wait_on(lock, queue, waiter, until);
}

void weft_waitq_wait_deaf(struct weft_spin *lock, struct weft_waiter *waiter)
{
	weft_spin_unlock(lock);
	while (!weft_load_acquire(&waiter->granted)) /* WQ1 */
		weft_park_deaf(WEFT_FOREVER);
}
