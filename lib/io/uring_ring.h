/* SPDX-License-Identifier: MIT */
/*
 * uring_ring - one worker's ring and the table of its operations in flight, shared by the files of the
 * io_uring backend: io/uring.c, which talks to the kernel, and io/uring_detour.c, which does without it.
 *
 * Owner: the worker's owner of the moment, but for what is atomic.
 */
#ifndef WEFT_LIB_IO_URING_RING_H
#define WEFT_LIB_IO_URING_RING_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/bell.h"
#include "io/errand.h"
#include "io/uring_setup.h"
#include "sched/backend.h"
#include "sched/wait.h"

#define NO_SLOT UINT32_C(0xffffffff)

/* What a slot could not queue because the kernel took no entries. */
enum wants { WANTS_NOTHING, WANTS_SUBMIT, WANTS_CANCEL, WANTS_END };

/* How an operation is carried out that the kernel does not know (io/uring_detour.c). */
struct weft_detour {
	struct weft_errand *errand; /* a pool thread makes it; NULL: it waits, by a poll */
	uint64_t progress;
	bool cancelled; /* maybe between two polls */
};

struct slot {
	struct weft_op *op; /* NULL: free */
	uint32_t generation;
	uint32_t next, prev; /* chain of a descriptor's bucket; next alone: free slots */
	uint32_t wants;
	struct weft_detour *detour; /* NULL: the kernel knows the operation */
};

struct ring {
	/* mapped from the kernel */
	_Atomic(uint32_t) *sq_head, *sq_tail, *sq_flags, *cq_head, *cq_tail;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	uint32_t sq_entries, sq_mask, cq_mask;
	uint32_t flush_flags; /* of the enter that only submits */
	struct weft_uring_able able;
	/* operations in flight */
	struct slot *slots;
	uint32_t *buckets; /* slot_count of them, a power of two */
	uint32_t slot_count, slot_free;
	_Atomic(uint32_t) live;
	_Atomic(uint32_t) wanting; /* slots that want something */
	struct weft_errands errands;
	/* wake */
	struct weft_bell bell;
	bool wake_posted;
	uint64_t wake_count; /* what the posted read writes */
	struct __kernel_timespec timeout; /* what a posted one reads, where enter takes no time */
	/* statistics, read by anybody */
	_Atomic(uint64_t) sq_full, cq_overflow, strays;
	struct io_uring uring;
};

/* -- slots ------------------------------------------------------------------------------------- */

/* Only when none is free. 0 or -ENOMEM. */
int weft_uring_add_slots(struct ring *ring);

static inline uint32_t *bucket_of(struct ring *ring, const struct weft_op *op)
{
	return &ring->buckets[(uint32_t)op->fd & (ring->slot_count - 1)];
}

static inline void slot_link(struct ring *ring, uint32_t index)
{
	struct slot *slot = &ring->slots[index];
	uint32_t *bucket = bucket_of(ring, slot->op);

	slot->prev = NO_SLOT;
	slot->next = *bucket;
	if (slot->next != NO_SLOT)
		ring->slots[slot->next].prev = index;
	*bucket = index;
}

static inline void slot_unlink(struct ring *ring, uint32_t index)
{
	struct slot *slot = &ring->slots[index];

	if (slot->prev != NO_SLOT)
		ring->slots[slot->prev].next = slot->next;
	else
		*bucket_of(ring, slot->op) = slot->next;
	if (slot->next != NO_SLOT)
		ring->slots[slot->next].prev = slot->prev;
}

static inline int slot_take(struct ring *ring, struct weft_op *op)
{
	uint32_t index;

	if (weft_unlikely(ring->slot_free == NO_SLOT)) {
		int rc = weft_uring_add_slots(ring);

		if (rc < 0)
			return rc;
	}
	index = ring->slot_free;
	ring->slot_free = ring->slots[index].next;
	ring->slots[index].op = op;
	ring->slots[index].detour = NULL;
	op->slot = index;
	slot_link(ring, index);
	weft_store_relaxed(&ring->live, weft_load_relaxed(&ring->live) + 1);
	return 0;
}

static inline void slot_give(struct ring *ring, uint32_t index)
{
	struct slot *slot = &ring->slots[index];

	slot_unlink(ring, index);
	slot->op = NULL;
	slot->generation++;
	slot->next = ring->slot_free;
	ring->slot_free = index;
	weft_store_relaxed(&ring->live, weft_load_relaxed(&ring->live) - 1);
}

static inline uint64_t slot_user_data(struct ring *ring, uint32_t index)
{
	return index | (uint64_t)ring->slots[index].generation << 32;
}

static inline void slot_want(struct ring *ring, struct slot *slot, enum wants wants)
{
	uint32_t wanting = weft_load_relaxed(&ring->wanting);

	wanting += (wants != WANTS_NOTHING) - (slot->wants != WANTS_NOTHING);
	slot->wants = wants;
	weft_store_relaxed(&ring->wanting, wanting);
}

/* The operation in this slot is over. */
static inline void deliver(struct ring *ring, uint32_t index, int32_t result)
{
	struct slot *slot = &ring->slots[index];
	struct weft_op *op = slot->op;
	struct weft_parker *parker = op->parker;

	if (weft_unlikely(slot->wants))
		slot_want(ring, slot, WANTS_NOTHING);
	slot_give(ring, index);
	op->result = result;
	weft_store_release(&op->done, 1); /* OP1 */
	weft_unpark(parker);
}

/* -- what the kernel does not know ------------------------------------------------------------- */

/* Queue the slot's operation, or its poll; if there is no room, it wants to be. */
void weft_uring_queue(struct ring *ring, uint32_t index);

/* As the backend's submit. */
int weft_uring_detour(struct ring *ring, struct weft_op *op);
/* The slot's poll is over, with that result. 1 when its operation is too. */
unsigned weft_uring_detour_polled(struct ring *ring, uint32_t index, int32_t result);
/* True: there is a poll to be cancelled. */
bool weft_uring_detour_cancel(struct ring *ring, uint32_t index);
/* Deliver what pool threads have finished; how many. */
unsigned weft_uring_detour_reap(struct ring *ring);

#endif
