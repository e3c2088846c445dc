/* SPDX-License-Identifier: MIT */
/*
 * order - making and releasing order objects, and creating their members. What a mode guarantees is the
 * business of its file: serial.c, commit.c.
 */
#include "order/order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sched/wait.h"

static const struct weft_order_mode *mode_of(int mode)
{
	switch (mode) {
	case WEFT_ORDER_CHAIN:
		return &weft_order_chain;
	case WEFT_ORDER_START:
		return &weft_order_start;
	case WEFT_ORDER_ARRIVAL:
		return &weft_order_arrival;
	case WEFT_ORDER_TURN:
		return &weft_order_turn;
	case WEFT_ORDER_COMMIT:
		return &weft_order_commit;
	default:
		return NULL;
	}
}

static bool waits_for(struct weft_gate *gate, struct weft_task *other, struct weft_task *self)
{
	struct weft_order *order = weft_container_of(gate, struct weft_order, gate);
	bool waits;

	if (!order->mode->waits_for || weft_task_done(other))
		return false;
	weft_spin_lock(&order->lock);
	waits = order->mode->waits_for(other, self);
	weft_spin_unlock(&order->lock);
	return waits;
}

static void free_order(struct weft_order *order)
{
	free((char *)order->name);
	free(order);
}

static void member_ended(
	struct weft_watcher *watcher, struct weft_watch *watch, struct weft_task *member)
{
	struct weft_order *order = weft_container_of(watcher, struct weft_order, gate.ended);
	bool last;

	(void)watch;
	if (order->mode->holds_members)
		weft_task_drop_unseen(member); /* while nobody else's turn has come */
	weft_spin_lock(&order->lock);
	last = --order->live == 0 && order->released;
	if (order->mode->ended)
		order->mode->ended(order, member);
	else
		weft_spin_unlock(&order->lock);
	if (last)
		free_order(order);
}

struct weft_order *weft_order_of(const struct weft_task *task)
{
	return task->flags & WEFT_TASK_ORDERED ? (struct weft_order *)weft_gate_of(task) : NULL;
}

struct weft_order *weft_order_create(int mode, const char *name)
{
	const struct weft_order_mode *ops = mode_of(mode);
	struct weft_order *order;

	if (!ops || weft_in_forked_child())
		return NULL;
	order = calloc(1, sizeof(*order));
	if (!order)
		return NULL;
	if (name) {
		order->name = strdup(name);
		if (!order->name) {
			free(order);
			return NULL;
		}
	}
	order->mode = ops;
	order->gate.ended.done = member_ended;
	order->gate.leave = ops->leave;
	order->gate.may_run = ops->may_run;
	order->gate.waits_for = waits_for;
	order->gate.pass = ops->pass;
	order->gate.join = ops->join;
	order->held_end = &order->held;
	return order;
}

void weft_order_release(struct weft_order *order)
{
	bool last;

	if (!order || weft_in_forked_child())
		return;
	weft_spin_lock(&order->lock);
	last = order->live == 0;
	order->released = true;
	weft_spin_unlock(&order->lock);
	if (last)
		free_order(order);
}

struct weft_task *weft_order_create_task_at(
	const char *site, struct weft_order *order, weft_fn fn, void *arg)
{
	struct weft_task *task;
	bool start;
	int error;

	if (!order || !fn)
		return weft_task_failure(-EINVAL);
	task = weft_task_new(site, fn, arg, NULL, 2, &error);
	if (!task)
		return weft_task_failure(error);
	task->name_argument = 1;
	task->flags |= WEFT_TASK_ORDERED | WEFT_TASK_SHARED;
	weft_store_relaxed(&task->own.watcher, &order->gate.ended);
	weft_store_relaxed(&task->word, weft_load_relaxed(&task->word) | WEFT_WORD_OWNED);
	weft_spin_lock(&order->lock);
	order->live++;
	task->own.place = order->arrivals++ * WEFT_PLACE_ONE;
	start = order->mode->may_start(order, task);
	weft_spin_unlock(&order->lock);
	if (start)
		weft_task_start(task);
	else if (order->mode->join)
		weft_gate_stage(task);
	return task;
}

#undef weft_order_create_task

struct weft_task *weft_order_create_task(struct weft_order *order, weft_fn fn, void *arg)
{
	return weft_order_create_task_at("(unknown)\0(unnamed)", order, fn, arg);
}
