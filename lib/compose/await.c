/* SPDX-License-Identifier: MIT */
/*
 * await - waiting for one task: as an onlooker (await), as its owner (join), for a while (wait_for).
 */
#include <weft/task.h>

#include <errno.h>

#include "sched/task.h"
#include "sched/wait.h"

/* One wait for one task, on the waiter's stack. */
struct awaiter {
	struct weft_watcher watcher;
	struct weft_watch watch;
	struct weft_parker *parker;
	struct weft_task *task; /* whom it waits for */
	_Atomic(uint32_t) ended; /* AW1: release by the completer, acquire by the waiter */
};

static void ended(struct weft_watcher *watcher, struct weft_watch *watch, struct weft_task *task)
{
	struct awaiter *awaiter = weft_container_of(watcher, struct awaiter, watcher);
	struct weft_parker *parker = awaiter->parker;

	(void)watch;
	(void)task;
	weft_store_release(&awaiter->ended, 1); /* AW1; the awaiter may be gone from here on */
	weft_unpark(parker);
}

/* 1: watching. 0: it has ended already. -EDEADLK, -ENOMEM. */
static int begin(struct awaiter *awaiter, struct weft_task *task)
{
	int rc = weft_wait_edge_enter(task);

	if (rc < 0)
		return rc;
	awaiter->watcher.done = ended;
	awaiter->parker = weft_parker_self();
	weft_store_relaxed(&awaiter->ended, 0);
	if (!awaiter->parker)
		rc = -ENOMEM;
	else
		rc = weft_task_watch(task, &awaiter->watch, &awaiter->watcher);
	if (rc <= 0) {
		weft_wait_edge_leave();
		return rc;
	}
	awaiter->task = task;
	weft_wait_for_fellows(&awaiter->task, 1);
	return rc;
}

static void no_longer_waits(void)
{
	weft_wait_for_fellows(NULL, 0);
	weft_wait_edge_leave();
}

/* Wait until the end, a code of the caller's own, or the clock (-EAGAIN); 0 when it has ended. */
static int wait_for_end(struct awaiter *awaiter, struct weft_task *task, weft_ns until)
{
	int code = 0;

	while (!weft_load_acquire(&awaiter->ended)) { /* AW1 */
		weft_park(until);
		if (weft_load_acquire(&awaiter->ended))
			break;
		code = weft_pending();
		if (!code && until != WEFT_FOREVER && weft_now() >= until)
			code = -EAGAIN;
		if (code && weft_task_unwatch(task, &awaiter->watch))
			break;
		code = 0; /* the end is being announced: the result wins */
	}
	no_longer_waits();
	return code;
}

static int status_seen(struct weft_task *task)
{
	if (task->status < 0)
		weft_task_observe(task);
	return task->status;
}

int weft_await(struct weft_task *task)
{
	WEFT_CHECKPOINT(checkpoint);
	struct awaiter awaiter;
	int rc;

	if (!task)
		return -EINVAL;
	rc = weft_checkpoint_enter(&checkpoint);
	if (rc < 0)
		return rc;
	if (weft_task_done(task))
		return status_seen(task);
	if (weft_task_start_ahead(task)) {
		if (weft_task_done(task))
			return status_seen(task);
		rc = weft_pending();
		if (rc < 0)
			return rc;
	}
	rc = begin(&awaiter, task);
	if (rc > 0)
		rc = wait_for_end(&awaiter, task, WEFT_FOREVER);
	return rc < 0 ? rc : status_seen(task);
}

/* -- owners ------------------------------------------------------------------------------------ */

struct owner {
	struct weft_owner owner;
	struct weft_task *task;
};

static void cancel_owned(struct weft_owner *owner, int code)
{
	(void)code;
	weft_task_cancel(weft_container_of(owner, struct owner, owner)->task);
}

/* Wait for the end whatever comes, cancelling the task once something does. 0 or -EDEADLK. */
static int wait_as_owner(struct owner *owner)
{
	struct awaiter awaiter;
	int rc = begin(&awaiter, owner->task);

	if (rc <= 0)
		return rc;
	weft_owner_wait(&owner->owner, &awaiter.ended);
	no_longer_waits();
	return 0;
}

/* The task's status; the caller's own code if that is why it was cancelled. */
static int owned_status(const struct owner *owner)
{
	int status = owner->task->status;

	return status == -ECANCELED && owner->owner.code ? owner->owner.code : status;
}

int weft_join_waiting(struct weft_task *task)
{
	WEFT_CHECKPOINT_OF(checkpoint, "weft_join");
	struct owner owner = { .owner.on_pending = cancel_owned, .task = task };
	int rc = 0;

	if (!task)
		return -EINVAL;
	if (weft_unlikely(weft_in_forked_child()))
		return -EOWNERDEAD;
	weft_checkpoint_finishing(&checkpoint);
	if (!weft_task_done(task)) {
		weft_owner_look(&owner.owner);
		if (!weft_task_run_here(task, &owner.owner))
			rc = wait_as_owner(&owner);
	}
	if (rc < 0 && task == weft_self())
		return rc; /* borrowed, not a handle to give up */
	if (rc == 0)
		rc = owned_status(&owner);
	weft_task_unref(task, true);
	return rc;
}

int weft_wait_for(struct weft_task *task, weft_ns timeout)
{
	WEFT_CHECKPOINT(checkpoint);
	struct owner owner = { .owner.on_pending = cancel_owned, .task = task };
	weft_ns until = weft_deadline_from(timeout);
	bool timed_out = false;
	struct awaiter awaiter;
	int rc;

	if (!task)
		return -EINVAL;
	if (weft_unlikely(weft_in_forked_child()))
		return -EOWNERDEAD;
	weft_checkpoint_finishing(&checkpoint);
	if (weft_task_done(task))
		return status_seen(task);
	weft_owner_look(&owner.owner);
	rc = begin(&awaiter, task);
	if (rc < 0)
		return rc;
	if (rc > 0 && !owner.owner.code)
		rc = wait_for_end(&awaiter, task, until);
	if (rc == -EAGAIN || rc == -ECANCELED || rc == -ETIMEDOUT) {
		timed_out = rc == -EAGAIN;
		if (!timed_out)
			owner.owner.code = rc;
		weft_task_cancel(task);
		rc = begin(&awaiter, task);
	}
	if (rc > 0)
		weft_owner_wait(&owner.owner, &awaiter.ended);
	no_longer_waits();
	rc = owned_status(&owner);
	if (timed_out && rc == -ECANCELED)
		rc = -ETIMEDOUT;
	weft_task_observe(task);
	return rc;
}
