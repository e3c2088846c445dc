/* SPDX-License-Identifier: MIT */
/*
 * waitq - a FIFO of waiters under a lock of the feature's; the one loop behind every lock and
 * channel. A grant is made under the lock by whoever unlinks the waiter, so a waiter that finds
 * itself still linked may leave, and one that does not has been served: the result wins.
 */
#include <errno.h>

#include "sched/wait.h"

#include <weft/task.h>

int weft_waitq_push(struct weft_waitq *queue, struct weft_waiter *waiter)
{
	waiter->parker = weft_parker_self();
	if (!waiter->parker)
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

int weft_waitq_wait(struct weft_spin *lock, struct weft_waitq *queue, struct weft_waiter *waiter,
	weft_ns until)
{
	weft_spin_unlock(lock);
	while (!weft_load_acquire(&waiter->granted)) { /* WQ1 */
		int code;

		weft_park(until);
		if (weft_load_acquire(&waiter->granted))
			break;
		code = weft_pending();
		if (!code && until != WEFT_FOREVER && weft_now() >= until)
			code = -EAGAIN;
		if (code && leave(lock, queue, waiter))
			return code;
	}
	return 0;
}

void weft_waitq_wait_deaf(struct weft_spin *lock, struct weft_waiter *waiter)
{
	weft_spin_unlock(lock);
	while (!weft_load_acquire(&waiter->granted)) /* WQ1 */
		weft_park_deaf(WEFT_FOREVER);
}
