/* SPDX-License-Identifier: MIT */
/*
 * order - what an order object is made of, and what each mode does at the moments it is told of:
 * a member was created, its stack suspends or ends (the gate, sched/gate.h), it has ended.
 *
 * Members are ordinary tasks. One that may not start yet is a descriptor with claim HELD on the order's
 * list: no stack, known to its handle and to the order alone.
 *
 * Life:   until its creator has released it and its last member has ended.
 * Fields: under `lock`, which is held for a few instructions and never while anything is started or
 *         resumed.
 *
 * OR1  what one member wrote before it left  ->  what the next reads once it runs: the lock, taken by
 *      leave and by whoever passes the token on, and the hand-over to the scheduler after it.
 */
#ifndef WEFT_LIB_ORDER_ORDER_H
#define WEFT_LIB_ORDER_ORDER_H

#include <weft/order.h>

#include "base/spin.h"
#include "sched/gate.h"
#include "sched/wait.h"

struct weft_order {
	struct weft_gate gate; /* first: members point at it */
	const struct weft_order_mode *mode;
	const char *name; /* own copy, or NULL */
	struct weft_spin lock;
	bool released;    /* by its creator */
	uint64_t live;    /* members that have not ended */
	uint64_t arrivals;       /* numbers the members, and what comes to the gate */
	/* serial.c */
	bool taken;                          /* somebody holds the token */
	struct weft_list unstarted;          /* members not started, through their node */
	struct weft_stack *held, **held_end; /* stacks that wait for the token, by arrival */
	/* commit.c */
	_Atomic(uintptr_t) first;      /* the member whose turn it is to commit: read by the deadlock walk */
	struct weft_waitq committers;
	/* commit.c: the list from first on, through own.next; turn.c: the end of the ring */
	struct weft_task *last;
	struct weft_task *turn; /* turn.c: whose it is; NULL: nobody could use it */
};

/* What has become of a member, in the low bits of own.place. */
enum {
	WEFT_PLACE_WAITING = 1, /* in weft_commit_begin; node.next is its waiter */
	WEFT_PLACE_SECTION = 2,
	WEFT_PLACE_GIVEN = 4, /* committed or ended */
	WEFT_PLACE_ONE = 8,   /* numbers count in this */
};

struct weft_order_mode {
	bool holds_members; /* by a reference to each, until `ended` */
	/* Lock held; a new member: may it start at once? If not, the mode has listed it. */
	bool (*may_start)(struct weft_order *order, struct weft_task *member);
	/* Lock held; unlocks. A member has ended, as others can see; it may be gone unless the mode keeps it.
	 * NULL: nothing to do. */
	void (*ended)(struct weft_order *order, struct weft_task *member);
	/* NULL: its stack is not gated. */
	void (*leave)(struct weft_gate *gate, struct weft_stack *stack, struct weft_task *ended);
	bool (*may_run)(struct weft_gate *gate, struct weft_stack *stack);
	/* Lock held. Can `later` not end before `self`, a member too, goes on? NULL: it can. */
	bool (*waits_for)(const struct weft_task *later, const struct weft_task *self);
	/* As in weft_gate; NULL: checkpoints do not count. */
	bool (*pass)(struct weft_gate *gate, struct weft_stack *stack);
	void (*join)(struct weft_gate *gate, struct weft_task *first);
};

extern const struct weft_order_mode weft_order_chain, weft_order_start, weft_order_arrival,
	weft_order_turn, weft_order_commit;

/* The order that a task is a member of, NULL if none. */
struct weft_order *weft_order_of(const struct weft_task *task);

#endif
