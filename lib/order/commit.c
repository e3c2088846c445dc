/* SPDX-License-Identifier: MIT */
/*
 * commit - members run in parallel; their sections, from weft_commit_begin to weft_commit_end, run one at
 * a time in the order of creation. A member gives its place up when its section ends, or when it ends
 * itself.
 *
 * Members are on one list, by creation. The first on it that has not given its place up is the one that may
 * enter its section. Later ones that have are taken off when they come to the front; until then the
 * list holds a reference to them.
 *
 * own.place, own.next and, of a member that waits, node.next: under the order's lock.
 */
#include <weft/observe.h>
#include <weft/task.h>

#include <errno.h>

#include "order/order.h"

static struct weft_task *first_of(struct weft_order *order)
{
	return (struct weft_task *)weft_load_relaxed(&order->first);
}

static bool list_member(struct weft_order *order, struct weft_task *member)
{
	weft_add_relaxed(&member->word, 2 * WEFT_WORD_REF); /* the list's, and until it has ended */
	member->own.next = NULL;
	if (first_of(order))
		order->last->own.next = member;
	else
		weft_store_relaxed(&order->first, (uintptr_t)member);
	order->last = member;
	return true;
}

/* Lock held. If the first waits, it enters; whom to wake. */
static struct weft_parker *let_first_enter(struct weft_order *order)
{
	struct weft_task *first = first_of(order);
	struct weft_waiter *waiter;

	if (!first || !(first->own.place & WEFT_PLACE_WAITING))
		return NULL;
	waiter = (struct weft_waiter *)first->node.next;
	if (!waiter->queued)
		return NULL; /* it has given up waiting, and is about to say so */
	first->own.place ^= WEFT_PLACE_WAITING | WEFT_PLACE_SECTION;
	return weft_waitq_grant(&order->committers, waiter);
}

/* Lock held. Those who have given their place up leave the front of the list; returned as a list. */
static struct weft_task *drop_front(struct weft_order *order)
{
	struct weft_task *dropped = NULL, *first;

	while ((first = first_of(order)) && (first->own.place & WEFT_PLACE_GIVEN)) {
		weft_store_relaxed(&order->first, (uintptr_t)first->own.next);
		first->own.next = dropped;
		dropped = first;
	}
	return dropped;
}

/* Lock held; unlocks. */
static void give_up_place(struct weft_order *order, struct weft_task *member)
{
	struct weft_parker *parker;
	struct weft_task *dropped;

	member->own.place &= ~(uint64_t)WEFT_PLACE_SECTION;
	member->own.place |= WEFT_PLACE_GIVEN;
	dropped = drop_front(order);
	parker = let_first_enter(order);
	weft_spin_unlock(&order->lock);
	if (parker)
		weft_unpark(parker);
	while (dropped) {
		struct weft_task *next = dropped->own.next;

		weft_task_unref(dropped, false);
		dropped = next;
	}
}

static void member_ended(struct weft_order *order, struct weft_task *member)
{
	if (member->own.place & WEFT_PLACE_GIVEN)
		weft_spin_unlock(&order->lock);
	else
		give_up_place(order, member);
	weft_task_unref(member, false);
}

/* A later member cannot commit before this one's section is over. */
static bool waits_for(const struct weft_task *later, const struct weft_task *self)
{
	return (self->own.place & WEFT_PLACE_SECTION) && later->own.place > self->own.place &&
		!(later->own.place & WEFT_PLACE_GIVEN);
}

const struct weft_order_mode weft_order_commit = {
	.holds_members = true,
	.may_start = list_member,
	.ended = member_ended,
	.waits_for = waits_for,
};

/* -- the calls --------------------------------------------------------------------------------- */

/* The calling task, if it is a member. *error says why not. */
static struct weft_task *committer(struct weft_order **order, int *error)
{
	struct weft_task *self = weft_self();

	*order = self ? weft_order_of(self) : NULL;
	if (!self)
		*error = weft_no_task();
	else if (!*order || (*order)->mode != &weft_order_commit)
		*error = -EPERM;
	else
		return self;
	return NULL;
}

static void wait_no_longer(struct weft_order *order, struct weft_task *self)
{
	weft_spin_lock(&order->lock);
	self->own.place &= ~(uint64_t)WEFT_PLACE_WAITING;
	weft_spin_unlock(&order->lock);
}

/* Lock held. 0: the section has begun; -EAGAIN: it is not yet the member's turn. */
static int try_section(struct weft_order *order, struct weft_task *self)
{
	if (self->own.place & (WEFT_PLACE_SECTION | WEFT_PLACE_GIVEN))
		return -EALREADY;
	if (first_of(order) != self)
		return -EAGAIN;
	self->own.place |= WEFT_PLACE_SECTION;
	return 0;
}

static int wait_for_section(struct weft_order *order, struct weft_task *self)
{
	struct weft_waiter waiter;
	int rc;

	weft_spin_lock(&order->lock); /* OR1 */
	rc = try_section(order, self);
	if (rc != -EAGAIN) {
		weft_spin_unlock(&order->lock);
		return rc;
	}
	weft_waitq_push(&order->committers, &waiter); /* a task always has a parker */
	self->node.next = &waiter.node;
	self->own.place |= WEFT_PLACE_WAITING;
	rc = weft_waitq_wait(&order->lock, &order->committers, &waiter, WEFT_FOREVER);
	if (rc < 0)
		wait_no_longer(order, self);
	return rc;
}

/* Every member waits for the first; who that is changes while it waits. */
static int enter_section(struct weft_order *order, struct weft_task *self)
{
	int rc;

	weft_spin_lock(&order->lock); /* OR1 */
	rc = try_section(order, self);
	weft_spin_unlock(&order->lock);
	if (rc != -EAGAIN)
		return rc;
	rc = weft_wait_edge_enter_lock(&order->first);
	if (rc < 0 && first_of(order) != self)
		return rc; /* else its turn came in between: no cycle */
	rc = wait_for_section(order, self);
	weft_wait_edge_leave();
	return rc;
}

int weft_commit_begin(void)
{
	WEFT_CHECKPOINT(checkpoint);
	struct weft_order *order;
	struct weft_task *self;
	int rc = weft_checkpoint_enter(&checkpoint);

	if (rc < 0)
		return rc;
	self = committer(&order, &rc);
	return self ? enter_section(order, self) : rc;
}

void weft_commit_end(void)
{
	struct weft_order *order;
	struct weft_task *self;
	int error;

	self = committer(&order, &error);
	if (self) {
		weft_spin_lock(&order->lock); /* OR1 */
		if (self->own.place & WEFT_PLACE_SECTION) {
			give_up_place(order, self);
			return;
		}
		weft_spin_unlock(&order->lock);
	}
	weft_report_misuse("weft_commit_end without a weft_commit_begin that succeeded");
}
