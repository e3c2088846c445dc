/* SPDX-License-Identifier: MIT */
/*
 * waiters - two things that every lock and the channel do around the queue of sched/wait.h: wake
 * several waiters, and leave an object whose memory may be gone right afterwards. Used
 * inside lib/sync only.
 */
#ifndef WEFT_LIB_SYNC_WAITERS_H
#define WEFT_LIB_SYNC_WAITERS_H

#include "base/atomic.h"
#include "base/spin.h"
#include "sched/wait.h"

enum { WEFT_WAKES_MAX = 32 };

/*
 * Parkers to unpark once the object's lock is released. The caller's own, on its stack. When it
 * is full the first ones are unparked with the lock held: rather a long hold than letting go of
 * an object that the first waiter to return may free.
 */
struct weft_wakes {
	unsigned count;
	struct weft_parker *parkers[WEFT_WAKES_MAX];
};

static inline void weft_wakes_flush(struct weft_wakes *wakes)
{
	for (unsigned i = 0; i < wakes->count; i++)
		weft_unpark(wakes->parkers[i]);
	wakes->count = 0;
}

/* Lock held: grant the waiter. */
static inline void weft_wakes_grant(
	struct weft_wakes *wakes, struct weft_waitq *queue, struct weft_waiter *waiter)
{
	if (wakes->count == WEFT_WAKES_MAX)
		weft_wakes_flush(wakes);
	wakes->parkers[wakes->count++] = weft_waitq_grant(queue, waiter);
}

/*
 * The last touch of an object by a waiter that was granted. The granter may still be between
 * the grant and its unlock; a lock, flag or semaphore on the waiter's stack is gone once the
 * waiter returns, so the waiter first sees the lock free: an acquire end of SP1 (base/spin.h).
 * Without it the granter's unlock is a store into the memory of something else.
 */
static inline void weft_waiter_leave(struct weft_spin *lock)
{
	unsigned spins = 0;

	while (weft_unlikely(weft_load_acquire(&lock->held))) /* SP1 */
		weft_spin_wait(spins++);
}

#endif
