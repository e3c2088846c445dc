/* SPDX-License-Identifier: MIT */
/*
 * cancel - ask tasks to stop, and bound or protect stretches of code.
 *
 * A cancel is a level: it makes each checkpoint of the task return -ECANCELED until the task
 * ends, is shielded or absorbs it. Deadlines and shields are scopes on the caller's stack; the
 * design follows structured cancellation as in Trio (N. J. Smith, "Timeouts and cancellation
 * for humans", 2018), with codes in place of exceptions.
 */
#ifndef WEFT_CANCEL_H
#define WEFT_CANCEL_H

#include <stdint.h>

#include <weft/base.h>

WEFT_EXTERN_C_BEGIN

struct weft_task;

/*
 * A deadline or a shield in force. Needs no initialisation; it must stay where it is until
 * weft_scope_end. Scopes belong to the task that began them, nest, and end in the opposite
 * order; tasks created inside inherit none. On a plain thread the calls that begin or move
 * one do nothing, and weft_scope_end returns -EPERM.
 */
struct weft_scope {
	uint64_t opaque_[8];
};
WEFT_ASSERT_SIZE_(struct weft_scope, 64);

/*
 * Requests that the task stop. Does not wait, and may be called from any task or thread. The
 * wait the task is in ends, or its next checkpoint returns, with -ECANCELED; a task that has
 * not started still runs its body. Cancelling the caller itself is allowed.
 *
 * Returns 1 when requested, 0 when the task had already ended.
 */
WEFT_API int weft_cancel(struct weft_task *task);

/*
 * 1 if the calling task has been cancelled, else 0. No checkpoint: for long computations that
 * want to look without giving way. Works on threads of the blocking pool too: 1 there once a
 * cancel or a fired deadline is pending for the task that waits (weft/blocking.h). 0 on other
 * plain threads.
 */
WEFT_API int weft_cancelled(void);

/*
 * [S] A checkpoint and nothing else: gives way if the task has used up its turn.
 *
 * Returns 0, -ECANCELED or -ETIMEDOUT; -EPERM outside a task.
 */
WEFT_API int weft_checkpoint(void);

/*
 * Absorbs the cancel request of the calling task: checkpoints succeed again until it is
 * cancelled anew.
 *
 * Returns 1 if there was a request, 0 if not; -EPERM outside a task.
 */
WEFT_API int weft_uncancel(void);

/*
 * Begins a deadline: when from_now nanoseconds have passed, checkpoints and waits inside the
 * scope return -ETIMEDOUT until it ends. Of nested deadlines the earliest wins. from_now <= 0
 * has fired already; WEFT_FOREVER never fires.
 */
WEFT_API void weft_deadline_begin(struct weft_scope *scope, weft_ns from_now);

/*
 * Sets the deadline of a scope in force anew, counted from this call; it may lie earlier or
 * later, and a deadline that has fired may be moved back into the future.
 */
WEFT_API void weft_deadline_move(struct weft_scope *scope, weft_ns from_now);

/*
 * Begins a shield: inside it, checkpoints work although the task has been cancelled or an
 * outer deadline has fired, so that clean-up can use [S] calls. When at_most nanoseconds have
 * passed, what was pending is delivered again. Deadlines begun inside the shield count.
 */
WEFT_API void weft_shield_begin(struct weft_scope *scope, weft_ns at_most);

/*
 * Ends the innermost scope of the calling task.
 *
 * Returns 1 if some call returned -ETIMEDOUT on account of this scope, else 0; -EINVAL when
 * scope is not the innermost one; -EPERM outside a task.
 */
WEFT_API int weft_scope_end(struct weft_scope *scope);

WEFT_EXTERN_C_END

#endif /* WEFT_CANCEL_H */
