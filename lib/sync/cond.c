/* SPDX-License-Identifier: MIT */
/*
 * cond - a condition variable. Called by programs; knows the mutex through mutex.h only.
 *
 * Life:   the caller's 32 bytes, zero is ready, nothing to destroy (weft_waiter_leave).
 * queue:  under `lock`. A waiter is queued before the mutex is unlocked, so whoever changes the
 *         condition under the mutex and signals afterwards finds it.
 * Order:  first come first served. A signal belongs to the waiter it was given to: if that one is
 *         cancelled at the same moment, its wait returns 0 and the signal is not lost.
 * Price:  signal and broadcast take `lock` even when nobody waits.
 * A waiter woken by signal competes for the mutex like anybody: it is not moved from one queue
 * to the other, since the two are under different locks.
 */
#include <assert.h>
#include <errno.h>

#include <weft/sync.h>

#include "base/spin.h"
#include "sched/wait.h"
#include "sync/mutex.h"
#include "sync/waiters.h"

struct cond {
	struct weft_spin lock;
	struct weft_waitq queue;
};

static_assert(sizeof(struct cond) <= sizeof(struct weft_cond), "fits its public size");
static_assert(_Alignof(struct cond) <= _Alignof(struct weft_cond), "and alignment");

static struct cond *cond_of(struct weft_cond *cond)
{
	return (struct cond *)cond;
}

/* The mutex is the caller's; it is not on return. */
static int unlock_and_wait(struct cond *c, struct weft_mutex *mutex)
{
	struct weft_waiter waiter;
	int rc = weft_pending();

	if (rc < 0) {
		(void)weft_mutex_unlock(mutex);
		return rc;
	}
	weft_spin_lock(&c->lock);
	rc = weft_waitq_push(&c->queue, &waiter);
	weft_spin_unlock(&c->lock);
	(void)weft_mutex_unlock(mutex);
	if (rc < 0)
		return rc;

	/* Maybe granted by now: then the wait is over at once. */
	weft_spin_lock(&c->lock);
	rc = weft_waitq_wait(&c->lock, &c->queue, &waiter, WEFT_FOREVER);
	if (rc == 0)
		weft_waiter_leave(&c->lock);
	return rc;
}

int weft_cond_wait(struct weft_cond *cond, struct weft_mutex *mutex)
{
	WEFT_CHECKPOINT(checkpoint);
	int rc;

	if (!cond || !mutex)
		return -EINVAL;
	if (!weft_mutex_is_mine(mutex))
		return -EPERM;
	weft_checkpoint_finishing(&checkpoint);
	rc = unlock_and_wait(cond_of(cond), mutex);
	weft_mutex_relock(mutex);
	return rc;
}

void weft_cond_signal(struct weft_cond *cond)
{
	struct cond *c = cond_of(cond);
	struct weft_waiter *first;
	struct weft_parker *parker = NULL;

	if (!cond)
		return;
	weft_spin_lock(&c->lock);
	first = weft_waitq_first(&c->queue);
	if (first)
		parker = weft_waitq_grant(&c->queue, first);
	weft_spin_unlock(&c->lock);
	if (parker)
		weft_unpark(parker);
}

void weft_cond_broadcast(struct weft_cond *cond)
{
	struct cond *c = cond_of(cond);
	struct weft_wakes wakes = {.count = 0};
	struct weft_waiter *first;

	if (!cond)
		return;
	weft_spin_lock(&c->lock);
	while ((first = weft_waitq_first(&c->queue)))
		weft_wakes_grant(&wakes, &c->queue, first);
	weft_spin_unlock(&c->lock);
	weft_wakes_flush(&wakes);
}
