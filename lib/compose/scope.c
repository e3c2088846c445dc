/* SPDX-License-Identifier: MIT */
/*
 * scope - deadlines and shields of the calling task, and its own view of a cancel. What is pending
 * is worked out in sched/frame.c.
 */
#include <weft/cancel.h>
#include <weft/task.h>

#include <errno.h>

#include "base/sys.h"
#include "sched/frame.h"
#include "sched/wait.h"

static struct weft_scope_state *state_of(struct weft_scope *scope)
{
	return (struct weft_scope_state *)scope;
}

static struct weft_stack *own_stack(void)
{
	return (void *)weft_parker_self(); /* inside a task the parker is the stack */
}

/*
 * The present, for a scope that begins or is moved. A long one may come a little late, never early, and a short one is
 * exact; but no scope begins before one that is around it.
 */
static weft_ns now_for(struct weft_stack *stack, weft_ns duration)
{
	weft_ns now = duration >= WEFT_MS(100) ? weft_now_at_most() : weft_now();

	if (now < stack->scoped_at)
		return stack->scoped_at;
	stack->scoped_at = now;
	return now;
}

/* It has begun, or was moved. */
static void changed(const struct weft_scope_state *state, weft_ns now)
{
	if (state->kind == WEFT_SCOPE_DEADLINE)
		weft_stack_deadline_added(own_stack(), now, state->until);
	else
		weft_stack_scopes_changed(own_stack(), now);
}

static void begin(struct weft_scope *scope, enum weft_scope_kind kind, weft_ns duration)
{
	struct weft_frame *frame = weft_frame_current();
	struct weft_scope_state *state = state_of(scope);
	weft_ns now;

	if (!frame || !scope)
		return;
	now = now_for(own_stack(), duration);
	state->outer = frame->scopes;
	state->task = frame->task;
	state->kind = kind;
	state->delivered = 0;
	state->until = weft_time_add(now, duration);
	frame->scopes = state;
	frame->left_open++;
	changed(state, now);
}

void weft_deadline_begin(struct weft_scope *scope, weft_ns from_now)
{
	begin(scope, WEFT_SCOPE_DEADLINE, from_now);
}

void weft_shield_begin(struct weft_scope *scope, weft_ns at_most)
{
	begin(scope, WEFT_SCOPE_SHIELD, at_most);
}

void weft_deadline_move(struct weft_scope *scope, weft_ns from_now)
{
	struct weft_frame *frame = weft_frame_current();
	weft_ns now;

	if (!frame || !scope || state_of(scope)->task != frame->task)
		return;
	now = now_for(own_stack(), from_now);
	state_of(scope)->until = weft_time_add(now, from_now);
	changed(state_of(scope), now);
}

int weft_scope_end(struct weft_scope *scope)
{
	struct weft_frame *frame = weft_frame_current();

	if (!frame)
		return weft_no_task();
	if (!scope || frame->scopes != state_of(scope))
		return -EINVAL;
	frame->scopes = state_of(scope)->outer;
	frame->left_open--;
	if (state_of(scope)->kind == WEFT_SCOPE_DEADLINE)
		weft_stack_deadline_removed(own_stack());
	else
		weft_stack_scopes_changed(own_stack(), 0);
	return state_of(scope)->delivered != 0;
}

int weft_cancelled(void)
{
	struct weft_frame *frame = weft_frame_current();
	const _Atomic(uint32_t) *stop;

	if (frame)
		return weft_frame_cancelled(frame);
	stop = weft_work_current();
	return stop && weft_load_acquire(stop); /* BL2 */
}

int weft_uncancel(void)
{
	struct weft_frame *frame = weft_frame_current();

	if (!frame)
		return weft_no_task();
	if (!weft_frame_cancelled(frame))
		return 0;
	/* Marked as seen: whoever joins it in place looks again, for a cancel of its own that it has passed on. */
	weft_and_acq_rel(&weft_frame_self(frame)->word, ~WEFT_WORD_CANCEL);
	frame->absorbed_end = weft_frame_at_end(frame);
	return 1;
}
