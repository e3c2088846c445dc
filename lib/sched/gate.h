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
	 * Of orders in which every checkpoint counts, else NULL; no task is run in place on their members'
	 * stacks. pass: the call that the stack's member makes (stack->call) is about to return and has not
	 * waited. False: the stack is to be suspended until may_run. join: those that one task has created
	 * into the order, oldest first through node.next, join it.
	 */
	bool (*pass)(struct weft_gate *gate, struct weft_stack *stack);
	void (*join)(struct weft_gate *gate, struct weft_task *first);
};

/* The task on top of a gated stack: the member, where no task is run in place. */
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

/* The gate of a stack whose every checkpoint counts, else NULL. */
static inline struct weft_gate *weft_gate_strict(const struct weft_stack *stack)
{
	struct weft_gate *gate = stack->gate;

	return weft_unlikely(gate != NULL) && gate->pass ? gate : NULL;
}

/* May the stack be made ready now? If not, its gate has it. */
static inline bool weft_gate_passed(struct weft_stack *stack)
{
	return weft_likely(!stack->gate) || stack->gate->may_run(stack->gate, stack);
}

/* Make a stack ready that its gate held back. Any thread. */
void weft_gate_resume(struct weft_stack *stack);

#endif
