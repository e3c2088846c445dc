/* SPDX-License-Identifier: MIT */
/*
 * event_flag - a flag that tasks and plain threads wait for. Called by programs.
 *
 * Life:   the caller's 32 bytes, zero is clear, nothing to destroy. May lie on the stack of the
 *         one who waits: with nobody queued, set is a single access, and a waiter that was
 *         queued leaves by weft_waiter_leave.
 * state:  SET and WAITERS (the queue may be in use). SET is set by compare-and-swap while WAITERS
 *         is clear, else under `lock`; cleared by anybody. WAITERS changes under `lock`.
 * queue:  under `lock`. Not empty only while WAITERS is set.
 * Price:  wait on a set flag: one load. Set and clear: one compare-and-swap. Set with waiters: one
 *         wake each, all granted under one hold of `lock`: a waiter that comes after a later
 *         clear is not among them.
 *
 * EF1  set: release compare-and-swap (or store) of SET  ->  wait, is_set: acquire load of state.
 *      Weaker: whoever sees the flag misses what was written before it was set.
 * EF2  wait: WAITERS set by compare-and-swap that expects SET clear  <->  set: compare-and-swap that
 *      expects WAITERS clear. Both change one word: one of them fails and looks again. A
 *      plain store on either side: a waiter that nobody wakes.
 */
#include <assert.h>
#include <errno.h>

#include <weft/sync.h>

#include "base/atomic.h"
#include "base/spin.h"
#include "sched/wait.h"
#include "sync/waiters.h"

enum {
	SET = 1,
	WAITERS = 2,
};

struct event_flag {
	_Atomic(uint32_t) state;
	struct weft_spin lock;
	struct weft_waitq queue;
};

static_assert(sizeof(struct event_flag) <= sizeof(struct weft_event_flag),
	"fits its public size");
static_assert(
	_Alignof(struct event_flag) <= _Alignof(struct weft_event_flag), "and alignment");

static struct event_flag *flag_of(const struct weft_event_flag *flag)
{
	return (struct event_flag *)flag;
}

/* `lock` held. False: the flag is set. True: it is not, and WAITERS is set. */
static bool announce(struct event_flag *f)
{
	uint32_t state = weft_load_acquire(&f->state); /* EF1 */

	while (!(state & SET)) {
		if (state & WAITERS ||
			weft_cas_acquire(&f->state, &state, state | WAITERS)) /* EF2 */
			return true;
	}
	return false;
}

/* A waiter gave up: the last one to leave takes WAITERS back. */
static void withdraw(struct event_flag *f)
{
	weft_spin_lock(&f->lock);
	if (!weft_waitq_first(&f->queue))
		weft_and_acq_rel(&f->state, ~(uint32_t)WAITERS);
	weft_spin_unlock(&f->lock);
}

int weft_event_flag_wait(struct weft_event_flag *flag)
{
	WEFT_CHECKPOINT(checkpoint);
	struct event_flag *f = flag_of(flag);
	struct weft_waiter waiter;
	int rc;

	if (!flag)
		return -EINVAL;
	rc = weft_checkpoint_enter(&checkpoint);
	if (rc < 0)
		return rc;
	if (weft_load_acquire(&f->state) & SET) { /* EF1 */
		/* Its setter may be serving the queue we were in until a cancel. */
		weft_waiter_leave(&f->lock);
		return 0;
	}

	weft_spin_lock(&f->lock);
	if (!announce(f)) {
		weft_spin_unlock(&f->lock);
		return 0;
	}
	rc = weft_waitq_push(&f->queue, &waiter);
	if (rc < 0)
		weft_spin_unlock(&f->lock);
	else
		rc = weft_waitq_wait(&f->lock, &f->queue, &waiter, WEFT_FOREVER);
	if (rc < 0)
		withdraw(f);
	else
		weft_waiter_leave(&f->lock);
	return rc;
}

static void set_and_wake(struct event_flag *f)
{
	struct weft_wakes wakes = {.count = 0};
	struct weft_waiter *first;

	weft_spin_lock(&f->lock);
	weft_xchg_acq_rel(&f->state, SET); /* EF1; WAITERS goes, we serve them all */
	while ((first = weft_waitq_first(&f->queue)))
		weft_wakes_grant(&wakes, &f->queue, first);
	weft_spin_unlock(&f->lock);
	weft_wakes_flush(&wakes);
}

void weft_event_flag_set(struct weft_event_flag *flag)
{
	struct event_flag *f = flag_of(flag);
	uint32_t state = 0;

	if (!flag)
		return;
	/* Also when it is set already: what we wrote is then before this set, too. */
	while (!(state & WAITERS)) {
		if (weft_cas_acq_rel(&f->state, &state, SET)) /* EF1, EF2 */
			return;
	}
	set_and_wake(f);
}

void weft_event_flag_clear(struct weft_event_flag *flag)
{
	if (flag)
		weft_and_acq_rel(&flag_of(flag)->state, ~(uint32_t)SET);
}

int weft_event_flag_is_set(const struct weft_event_flag *flag)
{
	return flag && weft_load_acquire(&flag_of(flag)->state) & SET; /* EF1 */
}
