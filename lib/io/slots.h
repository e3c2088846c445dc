/* SPDX-License-Identifier: MIT */
/*
 * slots - the operations in flight of one epoll backend. A slot's address never changes: lists and
 * errands point to it. Used by io/epoll.c alone; everything is the worker's owner's, but for the
 * two counters.
 *
 * A slot is *unproven* while its operation waits on the word of an old registration. A hand goes round
 * over the slots: those it has found unproven twice are to be verified. That keeps no times and no
 * order, which on the way of each operation would cost more than everything else here.
 */
#ifndef WEFT_LIB_IO_SLOTS_H
#define WEFT_LIB_IO_SLOTS_H

#include <stdint.h>

#include "base/atomic.h"
#include "base/list.h"
#include "sched/backend.h"

struct weft_errand;
struct weft_fd_watch;

struct weft_slot {
	struct weft_node node; /* on its descriptor's list; next alone: free */
	struct weft_op *op;    /* NULL: free */
	struct weft_fd_watch *watch;   /* NULL: of no descriptor */
	struct weft_errand *errand; /* a pool thread makes it; NULL: it waits for an event */
	uint64_t progress;          /* of a receive that wants everything */
	uint32_t index;
} __attribute__((aligned(64)));

enum { WEFT_SLOTS_PER_CHUNK = 64 };

struct weft_slot_chunk {
	uint64_t fresh, aged; /* unproven: a bit for each; aged: the hand has passed */
	struct weft_slot slots[WEFT_SLOTS_PER_CHUNK];
};

struct weft_slots {
	struct weft_slot_chunk **chunks;
	uint32_t chunk_count;
	struct weft_node *free;
	_Atomic(uint32_t) live;
	_Atomic(uint32_t) waiting; /* of them, for an event */
	uint32_t unproven;
	uint32_t hand; /* the chunk it is at; 0 between two rounds */
};

/* Zeroed slots are ready. Nothing may be in flight. */
void weft_slots_finish(struct weft_slots *slots);
/* When none is free. 0 or -ENOMEM. */
int weft_slots_add(struct weft_slots *slots);

static inline void weft_slots_count(_Atomic(uint32_t) *counter, int by)
{
	weft_store_relaxed(counter, weft_load_relaxed(counter) + (uint32_t)by);
}

static inline struct weft_slot_chunk *weft_slot_chunk(const struct weft_slot *slot)
{
	const struct weft_slot *first = slot - slot->index % WEFT_SLOTS_PER_CHUNK;

	return weft_container_of(first, struct weft_slot_chunk, slots[0]);
}

static inline uint64_t weft_slot_bit(const struct weft_slot *slot)
{
	return UINT64_C(1) << slot->index % WEFT_SLOTS_PER_CHUNK;
}

static inline void weft_slot_prove(struct weft_slots *slots, struct weft_slot *slot)
{
	struct weft_slot_chunk *chunk = weft_slot_chunk(slot);
	uint64_t bit = weft_slot_bit(slot);

	slots->unproven -= ((chunk->fresh | chunk->aged) & bit) != 0;
	chunk->fresh &= ~bit;
	chunk->aged &= ~bit;
}

static inline void weft_slot_doubt(struct weft_slots *slots, struct weft_slot *slot)
{
	weft_slot_prove(slots, slot);
	weft_slot_chunk(slot)->fresh |= weft_slot_bit(slot);
	slots->unproven++;
}

/* A slot that waits; NULL: out of memory. */
static inline struct weft_slot *weft_slot_take(struct weft_slots *slots, struct weft_op *op)
{
	struct weft_slot *slot;

	if (weft_unlikely(!slots->free) && weft_slots_add(slots) < 0)
		return NULL;
	slot = weft_container_of(slots->free, struct weft_slot, node);
	slots->free = slot->node.next;
	slot->op = op;
	slot->errand = NULL;
	slot->progress = 0;
	op->slot = slot->index;
	weft_slots_count(&slots->live, 1);
	weft_slots_count(&slots->waiting, 1);
	return slot;
}

/* It waits, and is on no list. */
static inline void weft_slot_give(struct weft_slots *slots, struct weft_slot *slot)
{
	weft_slot_prove(slots, slot);
	slot->op = NULL;
	slot->node.next = slots->free;
	slots->free = &slot->node;
	weft_slots_count(&slots->live, -1);
	weft_slots_count(&slots->waiting, -1);
}

/* The slot of an operation, NULL if it is over. */
static inline struct weft_slot *weft_slot_of(struct weft_slots *slots, const struct weft_op *op)
{
	uint32_t chunk = op->slot / WEFT_SLOTS_PER_CHUNK;
	struct weft_slot *slot;

	if (chunk >= slots->chunk_count)
		return NULL;
	slot = &slots->chunks[chunk]->slots[op->slot % WEFT_SLOTS_PER_CHUNK];
	return slot->op == op ? slot : NULL;
}

/*
 * Move the hand over one chunk: the slots whose time has come are no longer unproven, and *due has
 * their bits. The chunk; NULL, and the hand is at the start, when the round is over.
 */
struct weft_slot_chunk *weft_slots_move_hand(struct weft_slots *slots, uint64_t *due);

#endif
