/* SPDX-License-Identifier: MIT */
/*
 * serial - the orders in which one member runs at a time: whoever holds the token. They differ in when a
 * member gives it back.
 *
 *	CHAIN    at its end: a waiting member keeps it, and needs no gate
 *	START    when it is suspended for the first time, or ends: from then on it is free
 *	ARRIVAL  whenever it is suspended, and at its end; it wants it back when its wait is over
 *
 * The token goes to whoever has waited longest for it, be it a member that has not started or one
 * that was held at the gate.
 */
#include "order/order.h"

/* Lock held. Wait behind those who wait already. */
static void list_unstarted(struct weft_order *order, struct weft_task *member)
{
	weft_store_relaxed(&member->claim, WEFT_CLAIM_HELD);
	weft_list_push_tail(&order->unstarted, &member->node);
}

static bool take_or_list(struct weft_order *order, struct weft_task *member)
{
	if (order->taken) {
		list_unstarted(order, member);
		return false;
	}
	order->taken = true;
	return true;
}

static bool held_came_first(const struct weft_order *order)
{
	const struct weft_task *task = (const struct weft_task *)order->unstarted.head;

	return order->held &&
		(!task || order->held->arrival < task->own.place / WEFT_PLACE_ONE);
}

static struct weft_stack *pop_held(struct weft_order *order)
{
	struct weft_stack *stack = order->held;

	order->held = stack->next;
	if (!order->held)
		order->held_end = &order->held;
	return stack;
}

/* In a long chain each descriptor is cold when its turn comes: fetch the next one's. */
static struct weft_task *pop_unstarted(struct weft_order *order)
{
	struct weft_task *task = (struct weft_task *)weft_list_pop_head(&order->unstarted);
	const char *next = (const char *)order->unstarted.head;

	if (next) {
		__builtin_prefetch(next, 1);
		__builtin_prefetch(next + 64, 1);
	}
	return task;
}

/* Lock held; unlocks. The token is free: whoever waits longest gets it. */
static void pass_on(struct weft_order *order)
{
	struct weft_stack *stack = NULL;
	struct weft_task *task = NULL;

	if (held_came_first(order))
		stack = pop_held(order);
	else
		task = pop_unstarted(order);
	order->taken = stack || task;
	weft_spin_unlock(&order->lock);
	if (stack)
		weft_gate_resume(stack);
	else if (task)
		weft_task_start_held(task);
}

/* Members created later do not start before this one has ended. */
static bool chain_waits_for(const struct weft_task *later, const struct weft_task *self)
{
	return later->own.place > self->own.place;
}

static void end_with_token(struct weft_order *order, struct weft_task *member)
{
	(void)member;
	pass_on(order);
}

static void start_leave(struct weft_gate *gate, struct weft_stack *stack, struct weft_task *ended)
{
	struct weft_order *order = weft_container_of(gate, struct weft_order, gate);

	(void)ended;
	stack->gate = NULL;
	weft_spin_lock(&order->lock); /* OR1 */
	pass_on(order);
}

static void arrival_leave(struct weft_gate *gate, struct weft_stack *stack, struct weft_task *ended)
{
	struct weft_order *order = weft_container_of(gate, struct weft_order, gate);

	(void)stack;
	if (ended)
		return; /* it keeps the token until all of it is over */
	weft_spin_lock(&order->lock); /* OR1 */
	pass_on(order);
}

static bool arrival_may_run(struct weft_gate *gate, struct weft_stack *stack)
{
	struct weft_order *order = weft_container_of(gate, struct weft_order, gate);
	bool may;

	weft_spin_lock(&order->lock); /* OR1 */
	may = !order->taken;
	if (may) {
		order->taken = true;
	} else {
		stack->arrival = order->arrivals++;
		stack->next = NULL;
		*order->held_end = stack;
		order->held_end = &stack->next;
	}
	weft_spin_unlock(&order->lock);
	return may;
}

const struct weft_order_mode weft_order_chain = {
	.may_start = take_or_list,
	.ended = end_with_token,
	.waits_for = chain_waits_for,
};

const struct weft_order_mode weft_order_start = {
	.may_start = take_or_list,
	.leave = start_leave,
};

const struct weft_order_mode weft_order_arrival = {
	.may_start = take_or_list,
	.ended = end_with_token,
	.leave = arrival_leave,
	.may_run = arrival_may_run,
};
