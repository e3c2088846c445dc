/* SPDX-License-Identifier: MIT */
/*
 * order - deterministic ordering for dependent chains: objects whose members, ordinary tasks, run in an
 * order that is a guarantee, whatever the number of workers, the load, stealing and the timing of I/O.
 *
 * Creation order is per creating task. Tasks that create into one order at the same time have no promised
 * relative order, but one that holds. What a member wrote before it gave way, the one that comes
 * after it sees, without a lock.
 *
 * Members may do whatever tasks may: any I/O, on any worker; they can be cancelled and obey deadlines; they may
 * create members, and be creators of other orders. They are never run in place by a join.
 */
#ifndef WEFT_ORDER_H
#define WEFT_ORDER_H

#include <weft/base.h>
#include <weft/sim.h>
#include <weft/task.h>

WEFT_EXTERN_C_BEGIN

/* An order. One reference is its creator's, until weft_order_release; its members hold it too. */
struct weft_order;

/* modes of weft_order_create */
enum {
	/*
	 * A member's first instruction happens after its predecessor's last one, waits included: a serial
	 * queue that stays serial across suspensions. A cancelled member keeps its place, and runs with the
	 * cancel pending.
	 */
	WEFT_ORDER_CHAIN = 1,
	/*
	 * Members begin in creation order; the first segment of each, up to its first suspension or its end,
	 * runs alone among first segments. After that a member is free.
	 */
	WEFT_ORDER_START,
	/*
	 * At most one member runs at any instant. They go on in the order in which their waits were over
	 * (asyncio, a strand). A checkpoint that did not have to wait keeps the token; weft_yield gives it
	 * to whoever is ready.
	 */
	WEFT_ORDER_ARRIVAL,
	/*
	 * At most one member runs at any instant, and turns go round in creation order over the members that
	 * live. A turn is the code between two checkpoints ([S] calls): every checkpoint ends it, waited or
	 * not, and the call returns in the member's next turn; waits overlap. What a call does at once, and how
	 * it begins to wait, is done in the turn it was made in; a cancel is heard in the cancelled one's own
	 * turns. All wait for the member whose turn it is, even when others are ready; one that awaits, joins,
	 * gathers, races or weft_waits for fellows is passed over until they have ended. So a member must not
	 * wait for anything else that takes a fellow more than one turn: a lock kept across a call, a byte
	 * that is written in the turn after the next. Members that a task which is no member creates join together, at that task's next
	 * checkpoint or end; one that a member creates comes to the end of the round. The sequence of
	 * (member, segment) is the same in every run, as long as members' control flow does not depend on
	 * time: A1 B1 C1, waits overlap, A2 B2 C2.
	 */
	WEFT_ORDER_TURN,
	/*
	 * Members run in parallel; their sections between weft_commit_begin and weft_commit_end run one at a
	 * time, in creation order. A member that ends without one gives its place up.
	 */
	WEFT_ORDER_COMMIT,
};

/*
 * Makes an order. name_or_null is copied, and used in reports. Returns NULL for a bad mode, without
 * memory, or in a forked child. Any thread.
 */
WEFT_API struct weft_order *weft_order_create(int mode, const char *name_or_null);

/*
 * Creates the order's next member, as weft_create_task does: the handle is the caller's to join or release,
 * and an error (-EINVAL for a NULL order or function, -EPERM outside a task, -ENOMEM, -ESHUTDOWN) is its
 * status. A member that may not start yet holds no stack.
 */
WEFT_API struct weft_task *weft_order_create_task(struct weft_order *order, weft_fn fn, void *arg);
WEFT_API struct weft_task *weft_order_create_task_at(
	const char *site, struct weft_order *order, weft_fn fn, void *arg);
#define weft_order_create_task(...) \
	weft_order_create_task_at(WEFT_SITE_(#__VA_ARGS__), __VA_ARGS__)

/* Gives the creator's reference back. Members already created still run in order. NULL is fine. */
WEFT_API void weft_order_release(struct weft_order *order);

/*
 * [S] In a member of a COMMIT order: waits until every earlier member has committed or ended. Returns 0: the
 * section has begun; -ECANCELED, -ETIMEDOUT: it has not, and the member keeps its place; -EALREADY: the
 * member is in its section, or has had it; -EDEADLK: an earlier member waits for this one; -EPERM: not
 * in a member of a COMMIT order.
 *
 * In the section, waiting for a later member of the order gives -EDEADLK.
 */
WEFT_API int weft_commit_begin(void);

/* Ends the section; the next member's may begin. Without a section it is reported, and nothing happens. */
WEFT_API void weft_commit_end(void);

WEFT_EXTERN_C_END

#endif
