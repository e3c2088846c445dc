/* SPDX-License-Identifier: MIT */
/*
 * uring_detour - operations that the running kernel does not know. They are made as io/optable.c
 * says: attempted at once, again whenever a poll on the ring says so, or on a thread of the blocking
 * pool. On a kernel that knows everything nothing here is called.
 *
 * A poll tells readiness as it is when it is queued, so nothing can be missed between an attempt
 * and the poll after it.
 */
#include <errno.h>
#include <stdlib.h>

#include "io/optable.h"
#include "io/uring_ring.h"
#include "sched/submit.h"

static void end(struct ring *ring, uint32_t index, int64_t result)
{
	struct weft_detour *detour = ring->slots[index].detour;

	if (detour->progress)
		result = (int64_t)detour->progress;
	free(detour);
	ring->slots[index].detour = NULL;
	deliver(ring, index, (int32_t)result);
}

/* After an attempt: 1 when it is over. */
static unsigned go_on(struct ring *ring, uint32_t index, int64_t result)
{
	struct slot *slot = &ring->slots[index];

	if (result == -EAGAIN) {
		weft_uring_queue(ring, index);
		return 0;
	}
	if (result == -EOPNOTSUPP) {
		result = weft_errand_start(&ring->errands, slot->op, &slot->detour->errand);
		if (result == 0)
			return 0;
	}
	end(ring, index, result);
	return 1;
}

static int begin(struct ring *ring, struct weft_op *op, uint64_t progress, int64_t result)
{
	struct weft_detour *detour = malloc(sizeof(*detour));
	int rc = detour ? slot_take(ring, op) : -ENOMEM;

	if (rc < 0) {
		free(detour);
		return rc;
	}
	*detour = (struct weft_detour){.progress = progress};
	ring->slots[op->slot].detour = detour;
	go_on(ring, op->slot, result);
	return 0;
}

int weft_uring_detour(struct ring *ring, struct weft_op *op)
{
	uint64_t progress = 0;
	int64_t result;

	ring->errands.jobs = weft_jobs_current();
	if (!weft_op_row(op->code))
		result = -EINVAL;
	else if (weft_op_events(op))
		result = weft_op_attempt(op, &progress);
	else
		result = -EOPNOTSUPP;
	if (result == -EOPNOTSUPP || (result == -EAGAIN && !weft_op_answers_again(op)))
		return begin(ring, op, progress, result);
	op->result = (int32_t)result;
	weft_store_release(&op->done, 1); /* OP1; the caller has not parked */
	return 0;
}

unsigned weft_uring_detour_polled(struct ring *ring, uint32_t index, int32_t result)
{
	struct slot *slot = &ring->slots[index];

	if (slot->detour->cancelled && result >= 0)
		result = -ECANCELED;
	if (result < 0) {
		end(ring, index, result);
		return 1;
	}
	return go_on(ring, index, weft_op_attempt(slot->op, &slot->detour->progress));
}

bool weft_uring_detour_cancel(struct ring *ring, uint32_t index)
{
	struct weft_detour *detour = ring->slots[index].detour;

	detour->cancelled = true;
	if (!detour->errand)
		return true;
	if (weft_errand_take_back(&ring->errands, detour->errand))
		end(ring, index, -ECANCELED);
	return false; /* it is over, or has begun and is waited for */
}

unsigned weft_uring_detour_reap(struct ring *ring)
{
	struct weft_errand *errand = weft_errands_take(&ring->errands), *next;
	unsigned delivered = 0;

	for (; errand; errand = next, delivered++) {
		uint32_t index = errand->op->slot;
		int64_t result = errand->result;

		next = errand->next;
		free(errand);
		end(ring, index, result);
	}
	return delivered;
}
