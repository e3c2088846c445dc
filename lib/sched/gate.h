/* SPDX-License-Identifier: MIT */
/*
 * gate - the engine's side of an order (lib/order): whoever runs on a gated stack tells the gate when it
 * suspends or has ended, and is made ready only when the gate lets it pass. The stack of a member is gated
 * from its start on, with everything it hosts.
 *
 * A gate may stop gating a stack: it clears stack->gate in one of its functions.
 */
#ifndef WEFT_LIB_SCHED_GATE_H
#define WEFT_LIB_SCHED_GATE_H

#include <stdbool.h>

#include "sched/stack.h"
#include "sched/task.h"

struct weft_gate {
	struct weft_watcher ended; /* a member's own.watcher */
	/*
	 * The stack is about to be suspended, or its member, ended, has ended; on the stack itself, inside
	 * the runtime. Who is suspended does not run again before may_run.
	 */
	void (*leave)(struct weft_gate *gate, struct weft_stack *stack, struct weft_task *ended);
	/* The stack has a reason to run. False: not now, the gate resumes it later. Any thread. */
	bool (*may_run)(struct weft_gate *gate, struct weft_stack *stack);
	/* Both are members: can other not end before self goes on? */
	bool (*waits_for)(struct weft_gate *gate, struct weft_task *other, struct weft_task *self);
	/*
	 * Of orders in which every checkpoint counts, else NULL. The member on top of the stack comes to
	 * one; its call is about to return, which may wait; it begins to wait for stack->awaited, or has
	 * ceased to; a task that was created into the order may join it.
	 */
	void (*checkpoint)(struct weft_gate *gate, struct weft_stack *stack);
	bool (*has_turn)(struct weft_gate *gate, struct weft_stack *stack);
	void (*awaits)(struct weft_gate *gate, struct weft_stack *stack);
	void (*join)(struct weft_gate *gate, struct weft_task *member);
};

/* The member that runs on top of a gated stack; NULL: it hosts another task. */
struct weft_task *weft_gate_member(const struct weft_stack *stack);

/* For an order that is told of new members at their creator's next checkpoint or end; of those that a member
 * creates, at once. In a task. */
void weft_gate_stage(struct weft_task *member);

static inline struct weft_gate *weft_gate_of(const struct weft_task *task)
{
	struct weft_watcher *watcher =
		weft_load_relaxed(&((struct weft_task *)task)->own.watcher);

	return weft_container_of(watcher, struct weft_gate, ended);
}

/* If self waited for other, would other wait for self, by the order that both are members of? */
static inline bool weft_gate_deadlock(struct weft_task *other, struct weft_task *self)
{
	struct weft_gate *gate;

	if (weft_likely(!(self->flags & other->flags & WEFT_TASK_ORDERED)))
		return false;
	gate = weft_gate_of(self);
	return gate == weft_gate_of(other) && gate->waits_for(gate, other, self);
}

/* May the stack be made ready now? If not, its gate has it. */
static inline bool weft_gate_passed(struct weft_stack *stack)
{
	return weft_likely(!stack->gate) || stack->gate->may_run(stack->gate, stack);
}

/* Make a stack ready that its gate held back. Any thread. */
void weft_gate_resume(struct weft_stack *stack);

#endif
