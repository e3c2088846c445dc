/* SPDX-License-Identifier: MIT */
/*
 * barrier - n tasks or plain threads wait for each other, round after round. Called by programs.
 *
 * Life:    the caller's 32 bytes, made by init, nothing to destroy (weft_waiter_leave).
 * lock:    guards everything but n, which never changes.
 * queue:   those of the current round, who are let go together by the last one to arrive.
 * arrived: at least as many as are in the queue: who gives up leaves the queue first and is taken off the
 *          number after that. So the last one to arrive, by the number, counts the queue.
 * Price:   the lock once per arrival; the last one walks over the others twice.
 */
#include <assert.h>
#include <errno.h>

#include <weft/sync.h>

#include "base/spin.h"
#include "sched/wait.h"
#include "sync/waiters.h"

struct barrier {
	struct weft_spin lock;
	uint32_t n;
	uint32_t arrived;
	struct weft_waitq queue;
};

static_assert(sizeof(struct barrier) <= sizeof(struct weft_barrier), "fits its public size");
static_assert(_Alignof(struct barrier) <= _Alignof(struct weft_barrier), "and alignment");

static struct barrier *barrier_of(struct weft_barrier *barrier)
{
	return (struct barrier *)barrier;
}

void weft_barrier_init(struct weft_barrier *barrier, unsigned n)
{
	if (barrier)
		*barrier_of(barrier) = (struct barrier){.n = n};
}

/* `lock` held. */
static bool all_others_wait(struct barrier *b)
{
	uint32_t waiting = 0;

	if (b->arrived < b->n - 1)
		return false;
	for (struct weft_node *node = b->queue.list.head; node; node = node->next)
		waiting++;
	return waiting == b->n - 1;
}

/* `lock` held; released. */
static void let_go(struct barrier *b)
{
	struct weft_wakes wakes = {.count = 0};
	struct weft_waiter *first;

	b->arrived -= b->n - 1;
	while ((first = weft_waitq_first(&b->queue)))
		weft_wakes_grant(&wakes, &b->queue, first);
	weft_spin_unlock(&b->lock);
	weft_wakes_flush(&wakes);
}

static void withdraw(struct barrier *b)
{
	weft_spin_lock(&b->lock);
	b->arrived--;
	weft_spin_unlock(&b->lock);
}

/* `lock` held; released. */
static int wait_for_others(struct barrier *b)
{
	struct weft_waiter waiter;
	int rc = weft_waitq_push(&b->queue, &waiter);

	if (rc < 0) {
		weft_spin_unlock(&b->lock);
		return rc;
	}
	b->arrived++;
	rc = weft_waitq_wait(&b->lock, &b->queue, &waiter, WEFT_FOREVER);
	if (rc < 0)
		withdraw(b);
	else
		weft_waiter_leave(&b->lock);
	return rc;
}

int weft_barrier_wait(struct weft_barrier *barrier)
{
	WEFT_CHECKPOINT(checkpoint);
	struct barrier *b = barrier_of(barrier);
	int rc;

	if (!barrier || b->n == 0)
		return -EINVAL;
	rc = weft_checkpoint_enter(&checkpoint);
	if (rc < 0)
		return rc;
	weft_spin_lock(&b->lock);
	if (!all_others_wait(b))
		return wait_for_others(b);
	let_go(b);
	return 1;
}
