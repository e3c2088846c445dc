/* SPDX-License-Identifier: MIT */
/*
 * share - the ring through which a worker gives work away. Its owner (or the monitor that has
 * claimed it) pushes; anybody, the owner too, takes from the head.
 *
 * An item is a parked stack, which belongs to whoever pops it, or an unstarted task, which its
 * joiner may have claimed meanwhile: pop claims it by compare-and-swap on the descriptor and drops
 * a stale entry. A descriptor reused and published again by the time a stale entry is
 * popped is simply claimed from here; its other entry is the stale one then.
 *
 * SH1  push: release store of tail  ->  pop: acquire load of tail. Weaker: a slot not yet written.
 * SH2  pop: acq_rel compare-and-swap of head, after reading the slot  ->  push: acquire load of head.
 *      A slot is reused only when its reader has moved on. Weaker: a torn or newer item.
 *
 * pop answers EMPTY, GOT or RETRY. RETRY means another thread won the race: it is not EMPTY, and
 * a worker must not go to sleep on it.
 */
#ifndef WEFT_LIB_SCHED_SHARE_H
#define WEFT_LIB_SCHED_SHARE_H

#include "base/atomic.h"

struct weft_stack;
struct weft_task;

#ifndef WEFT_SHARE_SLOTS
#define WEFT_SHARE_SLOTS 256
#endif

enum weft_share_result { WEFT_SHARE_EMPTY, WEFT_SHARE_GOT, WEFT_SHARE_RETRY };

struct weft_share {
	_Alignas(64) _Atomic(uint64_t) head; /* next to take; only grows */
	_Alignas(64) _Atomic(uint64_t) tail; /* next to fill; the owner's */
	_Atomic(uintptr_t) slots[WEFT_SHARE_SLOTS];
};

struct weft_share_item {
	struct weft_stack *stack; /* one of the two */
	struct weft_task *task;   /* claimed: the popper must run it */
};

/* Owner. False when full. A task must be PRIVATE and unlinked; it becomes PUBLISHED. */
bool weft_share_push_task(struct weft_share *share, struct weft_task *task);
bool weft_share_push_stack(struct weft_share *share, struct weft_stack *stack);

/* Anybody. */
enum weft_share_result weft_share_pop(struct weft_share *share, struct weft_share_item *item);

/* Pop until it is certain: GOT or EMPTY. Ends, since each RETRY means that somebody has got an item. */
static inline bool weft_share_take(struct weft_share *share, struct weft_share_item *item)
{
	enum weft_share_result result;

	do {
		result = weft_share_pop(share, item);
	} while (result == WEFT_SHARE_RETRY);
	return result == WEFT_SHARE_GOT;
}

/* A hint for anybody; exact for a caller that has just fenced after the pushes it must see. */
static inline bool weft_share_empty(struct weft_share *share)
{
	return weft_load_acquire(&share->head) >= weft_load_acquire(&share->tail);
}

#endif
