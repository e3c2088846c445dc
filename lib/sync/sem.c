/* SPDX-License-Identifier: MIT */
/*
 * sem - a counting semaphore. Called by programs.
 *
 * Life:   the caller's 32 bytes, zero holds no unit, nothing to destroy (weft_waiter_leave).
 * state:  the free units, and above them WAITERS (the queue may be in use). Changed by anybody's
 *         compare-and-swap while WAITERS is clear; setting WAITERS, and every change while it
 *         is set, is under `lock`.
 * queue:  under `lock`; waiter.value is the number of units wanted. Not empty only while WAITERS
 *         is set, and then the first one wants more than is free.
 * Order:  first come first served: with somebody waiting nothing is taken past the first waiter,
 *         however small. Units are given to a waiter, not offered: a cancel that comes later
 *         leaves them with it.
 * Bound:  at most UINT_MAX units; a release beyond that adds only what fits.
 * Price:  one compare-and-swap to acquire or release while nobody waits.
 *
 * SM1  release: release compare-and-swap of state  ->  acquire: acquire compare-and-swap of state.
 *      Weaker: who takes a unit misses what was written before it was given back.
 * SM2  acquire: WAITERS set by compare-and-swap on a state with too few units  <->  release: compare-
 *      and-swap that expects WAITERS clear. Both change one word: one of them fails and looks
 *      again. A plain store on either side: units left over beside a waiter asleep.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>

#include <weft/sync.h>

#include "base/atomic.h"
#include "base/spin.h"
#include "sched/wait.h"
#include "sync/waiters.h"

#define WAITERS (UINT64_C(1) << 32)

struct sem {
	_Atomic(uint64_t) state;
	struct weft_spin lock;
	struct weft_waitq queue;
};

static_assert(sizeof(unsigned) == 4, "the units fill the lower half of state");
static_assert(sizeof(struct sem) <= sizeof(struct weft_sem), "fits its public size");
static_assert(_Alignof(struct sem) <= _Alignof(struct weft_sem), "and alignment");

static struct sem *sem_of(struct weft_sem *sem)
{
	return (struct sem *)sem;
}

static uint64_t units_sum(uint64_t state, unsigned n)
{
	uint64_t units = (uint32_t)state + (uint64_t)n;

	return units > UINT_MAX ? UINT_MAX : units;
}

/* True: n units are the caller's. False: too few, or others wait; *state is what was found. */
static bool take(struct sem *s, unsigned n, uint64_t *state)
{
	*state = weft_load_relaxed(&s->state);
	while (*state < WAITERS && *state >= n) {
		if (weft_cas_acquire(&s->state, state, *state - n)) /* SM1 */
			return true;
	}
	return false;
}

/* `lock` held. take, or else leave WAITERS set. */
static bool take_or_announce(struct sem *s, unsigned n)
{
	uint64_t state;

	while (!take(s, n, &state)) {
		if (state & WAITERS ||
			weft_cas_relaxed(&s->state, &state, state | WAITERS)) /* SM2 */
			return false;
	}
	return true;
}

/* Add n units, give what there is to the waiters in their order, and wake those. */
static void serve(struct sem *s, unsigned n)
{
	struct weft_wakes wakes = {.count = 0};
	struct weft_waiter *first;
	uint64_t state, units;

	weft_spin_lock(&s->lock);
	state = weft_load_acquire(&s->state); /* SM1: for those we give the units to */
	do {
		units = units_sum(state, n);
		if (state & WAITERS)
			break; /* ours until we clear it */
	} while (!weft_cas_acq_rel(&s->state, &state, units)); /* SM1 */
	if (state & WAITERS) {
		while ((first = weft_waitq_first(&s->queue)) && first->value <= units) {
			units -= first->value;
			weft_wakes_grant(&wakes, &s->queue, first);
		}
		weft_store_release(&s->state, units | (first ? WAITERS : 0)); /* SM1 */
	}
	weft_spin_unlock(&s->lock);
	weft_wakes_flush(&wakes);
}

void weft_sem_init(struct weft_sem *sem, unsigned count)
{
	if (sem)
		*sem_of(sem) = (struct sem){.state = count};
}

static int acquire_slow(struct sem *s, unsigned n)
{
	struct weft_waiter waiter;
	int rc;

	weft_spin_lock(&s->lock);
	if (take_or_announce(s, n)) {
		weft_spin_unlock(&s->lock);
		return 0;
	}
	rc = weft_waitq_push(&s->queue, &waiter);
	if (rc < 0) {
		weft_spin_unlock(&s->lock);
	} else {
		waiter.value = n;
		rc = weft_waitq_wait(&s->lock, &s->queue, &waiter, WEFT_FOREVER);
	}
	if (rc < 0)
		serve(s, 0); /* those behind us may want less than we did */
	else
		weft_waiter_leave(&s->lock);
	return rc;
}

int weft_sem_acquire(struct weft_sem *sem, unsigned n)
{
	WEFT_CHECKPOINT(checkpoint);
	uint64_t state;
	int rc;

	if (!sem)
		return -EINVAL;
	rc = weft_checkpoint_enter(&checkpoint);
	if (rc < 0 || n == 0)
		return rc;
	if (weft_likely(take(sem_of(sem), n, &state)))
		return 0;
	return acquire_slow(sem_of(sem), n);
}

int weft_sem_try_acquire(struct weft_sem *sem, unsigned n)
{
	uint64_t state;

	if (!sem)
		return -EINVAL;
	if (weft_unlikely(weft_in_forked_child()))
		return -EOWNERDEAD;
	if (n == 0 || take(sem_of(sem), n, &state))
		return 0;
	return -EAGAIN;
}

void weft_sem_release(struct weft_sem *sem, unsigned n)
{
	struct sem *s = sem_of(sem);
	uint64_t state;

	if (!sem || n == 0)
		return;
	state = weft_load_relaxed(&s->state);
	while (!(state & WAITERS)) {
		if (weft_cas_acq_rel(
			    &s->state, &state, units_sum(state, n))) /* SM1, SM2 */
			return;
	}
	serve(s, n);
}
