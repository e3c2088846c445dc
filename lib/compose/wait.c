/* SPDX-License-Identifier: MIT */
/*
 * wait - weft_wait: until all, one, or one that failed has ended, or the time is up.
 */
#include <weft/compose.h>
#include <weft/task.h>

#include <errno.h>
#include <stdlib.h>

#include "compose/many.h"

struct waiting {
	struct weft_many many;
	int when;
	_Atomic(size_t) left;
	_Atomic(uint32_t) over; /* WT1: release by the completer that decides, acquire by the waiter */
};

static bool decides(const struct waiting *waiting, const struct weft_task *task, size_t left)
{
	if (left == 0 || waiting->when == WEFT_FIRST_COMPLETED)
		return true;
	return waiting->when == WEFT_FIRST_ERROR && task->status < 0 &&
		task->status != -ECANCELED;
}

static bool one_ended(struct weft_many *many, size_t index)
{
	struct waiting *waiting = weft_container_of(many, struct waiting, many);
	size_t left = weft_sub_acq_rel(&waiting->left, 1) - 1;

	if (!decides(waiting, many->tasks[index], left))
		return false;
	weft_store_release(&waiting->over, 1); /* WT1 */
	return true;
}

/* Done first, then pending, both in argument order: rotate runs, no memory needed for few. */
static ssize_t partition(struct weft_task **tasks, size_t n)
{
	struct weft_task *few[64], **pending = few;
	size_t done = 0, waiting = 0;

	if (n > sizeof(few) / sizeof(few[0]))
		pending = malloc(n * sizeof(struct weft_task *));
	if (!pending)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (weft_task_done(tasks[i]))
			tasks[done++] = tasks[i];
		else
			pending[waiting++] = tasks[i];
	}
	for (size_t i = 0; i < waiting; i++)
		tasks[done + i] = pending[i];
	if (pending != few)
		free(pending);
	return (ssize_t)done;
}

static int wait_until_over(struct waiting *waiting, weft_ns until)
{
	while (!weft_load_acquire(&waiting->over) && weft_now() < until) { /* WT1 */
		int code;

		weft_park(until);
		if (weft_load_acquire(&waiting->over))
			break;
		code = weft_pending();
		if (code < 0)
			return code;
	}
	return 0;
}

static int wait_among_fellows(struct waiting *waiting, weft_ns until)
{
	int rc;

	weft_wait_for_fellows(waiting->many.tasks, waiting->many.n);
	rc = wait_until_over(waiting, until);
	weft_wait_for_fellows(NULL, 0);
	return rc;
}

ssize_t weft_wait(struct weft_task **tasks, size_t n, int when, weft_ns timeout)
{
	WEFT_CHECKPOINT(checkpoint);
	struct waiting waiting = { .when = when, .left = n };
	weft_ns until = weft_deadline_from(timeout); /* before any child runs */
	int rc;

	if ((!tasks && n > 0) || when < WEFT_ALL_COMPLETED || when > WEFT_FIRST_ERROR)
		return -EINVAL;
	rc = weft_checkpoint_enter(&checkpoint);
	if (rc < 0 || n == 0)
		return rc;
	rc = weft_many_begin(&waiting.many, tasks, n, one_ended);
	if (rc < 0)
		return rc;
	if (timeout > 0)
		rc = wait_among_fellows(&waiting, until);
	weft_many_end(&waiting.many);
	return rc < 0 ? rc : partition(tasks, n);
}
