/* SPDX-License-Identifier: MIT */
/*
 * idle - who sleeps, who searches, whom to wake. One packed word counts both, so that the question
 * "is anybody asleep and nobody searching?" is one load; the sleepers themselves are a
 * LIFO under a lock, changed in one place only.
 *
 * Lost wake-ups are excluded by announce-then-recheck against publish-then-check:
 *
 *	producer                            worker
 *	publish the work                    weft_idle_sleep: announce (sleepers, counts)
 *	weft_fence_seq_cst        ID1       weft_fence_seq_cst
 *	counts: anybody asleep?             recheck EVERY queue; weft_idle_cancel if there is work
 *
 * ID1  At least one of them sees the other. Weaker: work is queued, all sleep.
 * ID2  A producer that sees a searcher wakes nobody, so the last searcher that stops with work in
 *      hand rechecks what is shared and notifies (weft_idle_found, then the same edge as ID1). Without:
 *      a burst is run by one worker while the others sleep.
 *      For the same reason a worker that wakes by itself is a searcher again.
 * ID3  A woken worker counts as searching from the moment it is chosen, so one publication
 *      wakes one worker, and several publications do not wake all of them.
 * ID4  choose: release store of asleep = 0, after the counts  ->  the chosen one's acquire load of it.
 *      Weaker: it stops searching before it is counted, the count wraps, and nobody is woken.
 */
#ifndef WEFT_LIB_SCHED_IDLE_H
#define WEFT_LIB_SCHED_IDLE_H

#include "base/atomic.h"
#include "base/spin.h"

enum { WEFT_IDLE_NOBODY = -1 };

#ifndef WEFT_IDLE_WORKERS
#define WEFT_IDLE_WORKERS 1024
#endif

struct weft_idle {
	_Atomic(uint64_t) counts; /* sleeping in the low half, searching in the high half */
	struct weft_spin lock;
	uint32_t sleepers;                        /* under the lock */
	uint16_t sleeper[WEFT_IDLE_WORKERS];      /* under the lock: a stack of worker numbers */
	_Atomic(uint8_t) asleep[WEFT_IDLE_WORKERS]; /* changed under the lock, read by anyone */
};

#define WEFT_IDLE_SLEEPING UINT64_C(1)
#define WEFT_IDLE_SEARCHING (UINT64_C(1) << 32)

static inline uint32_t weft_idle_sleeping(struct weft_idle *idle)
{
	return (uint32_t)weft_load_relaxed(&idle->counts);
}

static inline uint32_t weft_idle_searching(struct weft_idle *idle)
{
	return (uint32_t)(weft_load_relaxed(&idle->counts) >> 32);
}

/* Work for anybody has been published. Whom to wake: a worker number, or nobody if none sleeps or
 * one is searching already. The caller must wake it (its backend's wake). */
int weft_idle_notify(struct weft_idle *idle);

/* Mail for this worker has been published. True: it was asleep and the caller must wake it. */
bool weft_idle_notify_one(struct weft_idle *idle, unsigned worker);

/* Begin to search; false if enough others do. */
bool weft_idle_search(struct weft_idle *idle, unsigned workers);
/* A searcher found work and stops searching. True: it was the last one, so the caller must recheck
 * every shared queue now and call weft_idle_notify if one holds work (ID2). */
bool weft_idle_found(struct weft_idle *idle);

/* Announce sleep; searching: the caller was a searcher and no longer is. The caller must recheck
 * everything afterwards, and then either sleep or call weft_idle_cancel. */
void weft_idle_sleep(struct weft_idle *idle, unsigned worker, bool searching);
/* Awake again, by itself or by a waker: from now on it counts as searching (ID2: a producer may have
 * seen it searching before it announced sleep, and counts on it). */
void weft_idle_cancel(struct weft_idle *idle, unsigned worker);

bool weft_idle_is_valid(struct weft_idle *idle);

#endif
