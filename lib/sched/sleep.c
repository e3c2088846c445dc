/* SPDX-License-Identifier: MIT */
/*
 * sleep - waiting for the clock, and giving way.
 */
#include <weft/task.h>

#include <errno.h>

#include "sched/frame.h"
#include "sched/gate.h"
#include "sched/worker.h"

/* Everything ready now on this worker runs first. */
static inline void give_way(struct weft_worker *worker)
{
	struct weft_stack *stack = worker->stack;

	weft_worker_enter_user(worker);
	if (weft_unlikely(stack->gate != NULL))
		stack->gate->leave(stack->gate, stack, NULL); /* it may stop gating */
	if (weft_unlikely(stack->gate != NULL)) {
		/* Whoever waits at the gate goes first; then the caller, who waits for nothing. */
		weft_xchg_acq_rel(&stack->parker.state, WEFT_PARKER_NOTIFIED);
		worker = weft_worker_suspend(worker, WEFT_AFTER_PARK);
		weft_stack_take_notice(stack);
	} else {
		worker = weft_worker_step_back(worker);
	}
	weft_worker_leave(worker, false);
}

int weft_yield(void)
{
	WEFT_CHECKPOINT(checkpoint);
	struct weft_worker *worker;
	int rc = weft_checkpoint_enter(&checkpoint);

	if (weft_unlikely(rc < 0))
		return rc;
	worker = weft_worker_current();
	if (weft_unlikely(!worker))
		return weft_worker_none();
	if (weft_unlikely(checkpoint.gives_way != NULL))
		return weft_checkpoint_give_way(&checkpoint);
	give_way(worker);
	return 0;
}

static int sleep_until(weft_ns when)
{
	while (weft_now() < when) {
		int rc;

		weft_park(when);
		/* Time passing is no work done: a cancel that came first is told here. */
		rc = weft_pending();
		if (rc < 0)
			return rc;
	}
	return 0;
}

int weft_sleep(weft_ns duration)
{
	WEFT_CHECKPOINT(checkpoint);
	int rc;

	if (duration <= 0)
		return weft_worker_current() ? weft_yield() : weft_checkpoint_enter(&checkpoint);
	rc = weft_checkpoint_enter(&checkpoint);
	return rc < 0 ? rc : sleep_until(weft_deadline_from(duration));
}

int weft_sleep_until(weft_ns when)
{
	WEFT_CHECKPOINT(checkpoint);
	int rc;

	if (when <= weft_now())
		return weft_sleep(0);
	rc = weft_checkpoint_enter(&checkpoint);
	return rc < 0 ? rc : sleep_until(when);
}

int weft_checkpoint(void)
{
	WEFT_CHECKPOINT(checkpoint);
	int rc = weft_checkpoint_enter(&checkpoint);

	if (rc < 0)
		return rc;
	if (checkpoint.gives_way)
		return weft_checkpoint_give_way(&checkpoint);
	return weft_worker_current() ? 0 : weft_worker_none();
}
