/* SPDX-License-Identifier: MIT */
/*
 * turn - one member runs at a time, and turns go round in creation order. A turn is the code between two
 * checkpoints. Each call that is one gives the turn up once: when it begins to wait, its wait under way
 * (the operation is submitted, the place in the queue taken), so that waits overlap; or, if it did not wait, when
 * it is about to return. It returns in the member's next turn. So what a call begins with (the look at a
 * cancel, the descriptor it names, the item it sends) belongs to the turn it was made in, what it ends with to
 * the one it returns in, and no line of a member or of a call it makes ever runs outside its turn.
 *
 * When the turn comes to a member whose wait is not over, all wait for it: so the sequence of members and
 * segments does not depend on how long anything took. A member that waits for fellows is passed over until they
 * have ended: it could not go on, and they could not either. One that has been woken is not passed over,
 * whatever it waits for: it may have been cancelled.
 *
 * The turn passes on at a member's end only once that can be seen and whoever waits for it has been told: what
 * fellows find out about each other does not depend on time either.
 *
 * The members that have joined are a ring through own.next and own.prev. New ones go to its end, in front
 * of the member that began the round. The ring holds a reference to each.
 *
 * stack->turn: under the order's lock. stack->awaited, stack->call: written by the member in its turn.
 */
#include "order/order.h"

/* stack->turn of a member that has started: zero at its start. */
enum turn_state {
	TURN_HAS,   /* runs, or is about to */
	TURN_OUT,   /* waits, for whatever it is */
	TURN_WANTS, /* its wait is over: held at the gate */
};

static struct weft_order *order_of(struct weft_gate *gate)
{
	return weft_container_of(gate, struct weft_order, gate);
}

/* NULL: it has not started. */
static struct weft_stack *stack_of(const struct weft_task *member)
{
	return weft_load_acquire(&((struct weft_task *)member)->stack); /* TK3 */
}

static bool awaits_fellow(const struct weft_order *order, const struct weft_stack *stack)
{
	for (size_t i = 0; i < stack->awaited_count; i++) {
		const struct weft_task *other = stack->awaited[i];

		if (weft_order_of(other) == order && !weft_task_done(other))
			return true;
	}
	return false;
}

static bool passed_over(const struct weft_order *order, const struct weft_task *member)
{
	struct weft_stack *stack = stack_of(member);

	return stack && stack->turn == TURN_OUT && awaits_fellow(order, stack) &&
	       weft_load_relaxed(&stack->parker.state) != WEFT_PARKER_NOTIFIED;
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
	struct next next = {0};
	struct weft_stack *stack;

	order->turn = member;
	if (!member)
		return next;
	stack = stack_of(member);
	if (!stack) {
		next.unstarted = member;
	} else if (stack->turn == TURN_WANTS) {
		stack->turn = TURN_HAS;
		next.held = stack;
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
	return give_turn(order,
		NULL); /* all wait for each other; whoever joins or is woken goes on */
}

static void link_member(struct weft_order *order, struct weft_task *member)
{
	if (!order->last) {
		member->own.next = member->own.prev = member;
	} else {
		member->own.prev = order->last;
		member->own.next = order->last->own.next;
		member->own.next->own.prev = member;
		order->last->own.next = member;
	}
	order->last = member;
}

static void join(struct weft_gate *gate, struct weft_task *first)
{
	struct weft_order *order = order_of(gate);
	struct weft_task *member = first;
	struct next next = {0};

	weft_spin_lock(&order->lock); /* OR1 */
	while (member) {
		struct weft_task *after = (struct weft_task *)member->node.next;

		link_member(order, member);
		member = after;
	}
	if (!order->turn)
		next = advance(order, first);
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

/* Its end can be seen; whoever awaits it has been told. Lock held; unlocks. */
static void member_ended(struct weft_order *order, struct weft_task *member)
{
	struct weft_task *after = member->own.next;
	struct next next;

	leave_ring(order, member);
	next = advance(order, order->last ? after : NULL);
	weft_spin_unlock(&order->lock);
	let_run(&next);
	weft_task_unref(member, false);
}

static void leave(
	struct weft_gate *gate, struct weft_stack *stack, struct weft_task *ended)
{
	struct weft_order *order = order_of(gate);
	struct weft_task *member;
	struct next next = {0};

	if (ended)
		return; /* member_ended comes later */
	member = weft_gate_member(stack);
	weft_spin_lock(&order->lock); /* OR1 */
	stack->turn = TURN_OUT;
	/* A second wait of the same call: all wait for it, unless it waits for fellows. */
	if (stack->call == WEFT_CALL_BEGUN || passed_over(order, member))
		next = advance(order, member->own.next);
	weft_spin_unlock(&order->lock);
	if (stack->call == WEFT_CALL_BEGUN)
		stack->call = WEFT_CALL_WAITED;
	let_run(&next);
}

static bool may_run(struct weft_gate *gate, struct weft_stack *stack)
{
	struct weft_order *order = order_of(gate);
	struct weft_task *member = weft_gate_member(stack);
	bool may;

	weft_spin_lock(&order->lock); /* OR1 */
	if (!order->turn)
		order->turn = member;
	may = order->turn == member;
	stack->turn = may ? TURN_HAS : TURN_WANTS;
	weft_spin_unlock(&order->lock);
	return may;
}

static bool pass(struct weft_gate *gate, struct weft_stack *stack)
{
	struct weft_order *order = order_of(gate);
	struct weft_task *member = weft_gate_member(stack);
	struct next next;
	bool back;

	weft_spin_lock(&order->lock); /* OR1 */
	stack->turn = TURN_OUT;
	next = advance(order, member->own.next);
	back = order->turn == member;
	if (back)
		stack->turn = TURN_HAS;
	weft_spin_unlock(&order->lock);
	let_run(&next);
	return back;
}

/* It waits to join. */
static bool stage(struct weft_order *order, struct weft_task *member)
{
	(void)order;
	weft_add_relaxed(&member->word, WEFT_WORD_REF); /* the ring's */
	return false;
}

const struct weft_order_mode weft_order_turn = {
	.holds_members = true,
	.may_start = stage,
	.ended = member_ended,
	.leave = leave,
	.may_run = may_run,
	.pass = pass,
	.join = join,
};
