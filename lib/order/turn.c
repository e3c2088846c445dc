/* SPDX-License-Identifier: MIT */
/*
 * turn - one member runs at a time, and turns go round in creation order. A turn is the code between two
 * checkpoints: at each the member gives its turn up, whether the call then waits or not, and before the call
 * returns the member waits until the turn has come round to it. Meanwhile its wait overlaps the others'
 * turns. When the turn comes to a member whose wait is not over, all wait for it: so the sequence of
 * members and segments does not depend on how long anything took.
 *
 * A member that waits for fellows is passed over until they have ended: it could not go on, and they could
 * not either.
 *
 * The members are a ring through own.next and own.prev. A new one goes to its end, in front of the member
 * that began the round. What the ring knows of a member that has started is in its node.prev, which no queue
 * uses any more.
 */
#include "order/order.h"

/* In node.prev of a member that has started. Anything else there is what a queue left: TURN_HAS. */
enum turn_state {
	TURN_HAS = 1, /* runs user code, or is about to */
	TURN_OUT,     /* inside a call, waiting or not */
	TURN_WANTS,   /* its call could return: held at the gate */
	TURN_ENDED,
};

static enum turn_state state_of(const struct weft_task *member)
{
	uintptr_t state = (uintptr_t)member->node.prev;

	return state >= TURN_HAS && state <= TURN_ENDED ? (enum turn_state)state : TURN_HAS;
}

static void set_state(struct weft_task *member, enum turn_state state)
{
	member->node.prev = (struct weft_node *)(uintptr_t)state;
}

static struct weft_order *order_of(struct weft_gate *gate)
{
	return weft_container_of(gate, struct weft_order, gate);
}

static struct weft_stack *stack_of(const struct weft_task *member)
{
	return weft_load_acquire(&((struct weft_task *)member)->stack); /* TK3; the node is no queue's then */
}

static bool started(const struct weft_task *member)
{
	return stack_of(member) != NULL;
}

/* It waits for a fellow that has not ended. */
static bool waits_for_fellow(const struct weft_order *order, const struct weft_task *member)
{
	const struct weft_stack *stack = stack_of(member);

	for (size_t i = 0; i < stack->awaited_count; i++) {
		const struct weft_task *other = stack->awaited[i];

		if (weft_order_of(other) == order && !(started(other) && state_of(other) == TURN_ENDED))
			return true;
	}
	return false;
}

static bool passed_over(const struct weft_order *order, const struct weft_task *member)
{
	return started(member) && state_of(member) == TURN_OUT && waits_for_fellow(order, member);
}

/* What the new holder of the turn needs, done without the lock. */
struct next {
	struct weft_task *unstarted;
	struct weft_stack *held;
};

static void let_run(const struct next *next)
{
	if (next->unstarted)
		weft_task_start_held(next->unstarted);
	else if (next->held)
		weft_gate_resume(next->held);
}

/* Lock held. The turn is this member's; it may not be able to use it yet. */
static struct next give_turn(struct weft_order *order, struct weft_task *member)
{
	struct next next = { 0 };

	order->turn = member;
	if (!member)
		return next;
	if (!started(member)) {
		next.unstarted = member;
	} else if (state_of(member) == TURN_WANTS) {
		set_state(member, TURN_HAS);
		next.held = stack_of(member);
	}
	return next;
}

/* Lock held. From this one on, the first that is not passed over. */
static struct next advance(struct weft_order *order, struct weft_task *from)
{
	struct weft_task *member = from;

	do {
		if (!member || !passed_over(order, member))
			return give_turn(order, member);
		member = member->own.next;
	} while (member != from);
	return give_turn(order, NULL); /* all wait for each other; whoever ends or gives up goes on */
}

static void join(struct weft_gate *gate, struct weft_task *member)
{
	struct weft_order *order = order_of(gate);
	struct next next = { 0 };

	weft_spin_lock(&order->lock); /* OR1 */
	if (!order->last) {
		member->own.next = member->own.prev = member;
	} else {
		member->own.prev = order->last;
		member->own.next = order->last->own.next;
		member->own.next->own.prev = member;
		order->last->own.next = member;
	}
	order->last = member;
	if (!order->turn)
		next = advance(order, member);
	weft_spin_unlock(&order->lock);
	let_run(&next);
}

static void leave_ring(struct weft_order *order, struct weft_task *member)
{
	if (member->own.next == member) {
		order->last = NULL;
		return;
	}
	member->own.prev->own.next = member->own.next;
	member->own.next->own.prev = member->own.prev;
	if (order->last == member)
		order->last = member->own.prev;
}

static struct next end_member(struct weft_order *order, struct weft_task *member)
{
	struct weft_task *after = member->own.next;

	leave_ring(order, member);
	set_state(member, TURN_ENDED);
	if (order->turn && order->turn != member)
		return (struct next){ 0 };
	return advance(order, order->last ? after : NULL);
}

static void leave(struct weft_gate *gate, struct weft_stack *stack, struct weft_task *ended)
{
	struct weft_order *order = order_of(gate);
	struct weft_task *member = ended ? ended : weft_gate_member(stack);
	struct next next = { 0 };

	if (!member)
		return; /* what it hosts is no member */
	weft_spin_lock(&order->lock); /* OR1 */
	if (ended) {
		next = end_member(order, ended);
	} else if (state_of(member) == TURN_HAS) {
		/* Woken for nothing, in its turn, it waits on: all wait for it, unless it waits for fellows. */
		set_state(member, TURN_OUT);
		if (passed_over(order, member))
			next = advance(order, member->own.next);
	}
	weft_spin_unlock(&order->lock);
	let_run(&next);
}

/* Lock held; the member's call could return. */
static bool take_turn(struct weft_order *order, struct weft_task *member)
{
	if (state_of(member) == TURN_OUT)
		set_state(member, order->turn == member ? TURN_HAS : TURN_WANTS);
	return state_of(member) == TURN_HAS;
}

static bool may_run(struct weft_gate *gate, struct weft_stack *stack)
{
	struct weft_order *order = order_of(gate);
	struct weft_task *member = weft_gate_member(stack);
	bool may;

	if (!member)
		return true; /* what it hosts is no member */
	weft_spin_lock(&order->lock); /* OR1 */
	may = take_turn(order, member);
	if (may || order->turn) {
		weft_spin_unlock(&order->lock);
		return may;
	}
	give_turn(order, member); /* nobody had it: it wants it, and has it now */
	weft_spin_unlock(&order->lock);
	return true;
}

static bool has_turn(struct weft_gate *gate, struct weft_stack *stack)
{
	struct weft_order *order = order_of(gate);
	struct weft_task *member = weft_gate_member(stack);
	bool has;

	weft_spin_lock(&order->lock); /* OR1 */
	if (state_of(member) == TURN_OUT && order->turn == member)
		set_state(member, TURN_HAS);
	has = state_of(member) == TURN_HAS;
	weft_spin_unlock(&order->lock);
	return has;
}

static void checkpoint(struct weft_gate *gate, struct weft_stack *stack)
{
	struct weft_order *order = order_of(gate);
	struct weft_task *member = weft_gate_member(stack);
	struct next next = { 0 };

	weft_spin_lock(&order->lock); /* OR1 */
	if (state_of(member) == TURN_HAS) {
		set_state(member, TURN_OUT);
		next = advance(order, member->own.next);
	}
	weft_spin_unlock(&order->lock);
	let_run(&next);
}

static void awaits(struct weft_gate *gate, struct weft_stack *stack)
{
	struct weft_order *order = order_of(gate);
	struct weft_task *member = weft_gate_member(stack);
	struct next next = { 0 };

	weft_spin_lock(&order->lock);
	if (order->turn == member && passed_over(order, member))
		next = advance(order, member->own.next);
	weft_spin_unlock(&order->lock);
	let_run(&next);
}

static bool stage(struct weft_order *order, struct weft_task *member)
{
	(void)order;
	(void)member;
	return false;
}

const struct weft_order_mode weft_order_turn = {
	.may_start = stage,
	.leave = leave,
	.may_run = may_run,
	.checkpoint = checkpoint,
	.has_turn = has_turn,
	.awaits = awaits,
	.join = join,
};
