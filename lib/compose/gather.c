/* SPDX-License-Identifier: MIT */
/*
 * gather - wait for all; the first failure cancels the others.
 *
 * Members that have not started are run in place, in the order the loop would take them. The
 * first failure is acted upon by whoever completes that member: the gathering task may be
 * hosting another one at that moment.
 *
 * Life: on the caller's stack. `left` counts members whose completer has not finished here, plus one for
 *       the caller until it waits; the completer that brings it to zero sets `over` as its last touch.
 *       Members that ended on the caller's own stack until then, and those that tell nobody, are counted
 *       in `settled`, which is the caller's, and taken off at once.
 */
#include <weft/compose.h>
#include <weft/task.h>

#include <errno.h>
#include <stdlib.h>

#include "sched/task.h"
#include "sched/wait.h"

/* For members that somebody else owns already. */
struct extra {
	struct extra *next;
	struct weft_watch watch;
};

struct gather {
	struct weft_watcher watcher;
	struct weft_owner owner;
	struct weft_parker *parker;
	struct weft_task *const *tasks;
	size_t n;
	unsigned flags;
	struct extra *extras;
	size_t settled;
	bool waiting;       /* the caller's own count is gone */
	_Atomic(int) first; /* the first failure to happen */
	_Atomic(size_t) left;
	_Atomic(uint32_t) over; /* GA1: release by the last completer, acquire by the caller */
};

static void cancel_all(struct gather *gather)
{
	for (size_t i = 0; i < gather->n; i++)
		weft_task_cancel(gather->tasks[i]);
}

static void on_pending(struct weft_owner *owner, int code)
{
	(void)code;
	cancel_all(weft_container_of(owner, struct gather, owner));
}

/* True if this is the first failure of a gather that cancels. */
static bool note_failure(struct gather *gather, int status)
{
	int none = 0;

	return status < 0 && weft_cas_acq_rel(&gather->first, &none, status) &&
		!(gather->flags & WEFT_GATHER_ALL);
}

/* By a completer; by the caller itself, while it hosts the member. */
static void settle(struct gather *gather)
{
	struct weft_parker *parker = gather->parker;

	if (weft_parker_self() == parker && !gather->waiting) {
		gather->settled++;
		return;
	}
	if (weft_sub_acq_rel(&gather->left, 1) != 1)
		return;
	weft_store_release(&gather->over, 1); /* GA1 */
	weft_unpark(parker);
}

/* By the caller, about to wait. */
static void settle_own(struct gather *gather)
{
	size_t own = gather->settled + 1;

	gather->waiting = true;
	if (weft_sub_acq_rel(&gather->left, own) == own)
		weft_store_release(&gather->over, 1); /* GA1 */
}

static void one_ended(
	struct weft_watcher *watcher, struct weft_watch *watch, struct weft_task *task)
{
	struct gather *gather = weft_container_of(watcher, struct gather, watcher);

	(void)watch;
	if (weft_unlikely(note_failure(gather, task->status)))
		cancel_all(gather);
	settle(gather);
}

static int watch_extra(struct gather *gather, struct weft_task *task)
{
	struct extra *extra = malloc(sizeof(*extra));

	if (!extra)
		return -ENOMEM;
	extra->next = gather->extras;
	gather->extras = extra;
	if (!weft_task_watch(task, &extra->watch, &gather->watcher)) {
		note_failure(gather, task->status);
		gather->settled++;
	}
	return 0;
}

static int watch(struct gather *gather, struct weft_task *task)
{
	enum weft_own_result told = WEFT_OWN_ENDED;

	/* Before its owner is asked: an earlier gather's at this very address may still be named there. */
	if (!weft_task_done(task)) {
		if (weft_load_relaxed(&task->own.watcher) == &gather->watcher) {
			gather->settled++; /* the same task again */
			return 0;
		}
		told = weft_task_own(task, &gather->watcher);
	}
	if (told == WEFT_OWN_TAKEN)
		return watch_extra(gather, task);
	if (told == WEFT_OWN_ENDED) {
		note_failure(gather, task->status);
		gather->settled++;
	}
	return 0;
}

/* How many of the tasks will tell, or have ended; there was no memory for the next. */
static size_t watch_all(struct gather *gather)
{
	size_t watched = weft_task_own_private(gather->tasks, gather->n, &gather->watcher);

	while (watched < gather->n && watch(gather, gather->tasks[watched]) == 0)
		watched++;
	gather->settled += gather->n - watched;
	return watched;
}

static int result(const struct gather *gather, int *statuses)
{
	bool all_succeeded = true;

	for (size_t i = 0; i < gather->n; i++) {
		int status = gather->tasks[i]->status;

		if (status < 0) {
			all_succeeded = false;
			weft_task_observe(gather->tasks[i]);
		}
		if (statuses)
			statuses[i] = status;
	}
	if (gather->owner.code && !all_succeeded)
		return gather->owner.code;
	return gather->flags & WEFT_GATHER_ALL ? 0 : gather->first;
}

/* A member for which there was no memory to watch it: waited for one after the other, at the end. */
static void wait_for_the_rest(struct gather *gather, size_t from)
{
	for (size_t i = from; i < gather->n; i++) {
		while (!weft_task_done(gather->tasks[i])) {
			weft_owner_look(&gather->owner);
			if (weft_await(gather->tasks[i]) < 0 && !weft_task_done(gather->tasks[i]))
				weft_park(weft_deadline_from(WEFT_MS(1)));
		}
		if (note_failure(gather, gather->tasks[i]->status))
			cancel_all(gather);
	}
}

int weft_gather(struct weft_task *const *tasks, size_t n, int *statuses, unsigned flags)
{
	WEFT_CHECKPOINT(checkpoint);
	struct gather gather = {
		.watcher.done = one_ended,
		.owner.on_pending = on_pending,
		.tasks = tasks,
		.n = n,
		.flags = flags,
		.left = n + 1,
	};
	size_t watched;
	int rc;

	if ((!tasks && n > 0) || (flags & ~(unsigned)WEFT_GATHER_ALL))
		return -EINVAL;
	if (weft_in_forked_child())
		return -EOWNERDEAD;
	rc = weft_wait_edge_check_all(tasks, n);
	if (rc < 0 || n == 0)
		return rc;
	gather.parker = weft_parker_self();
	if (!gather.parker)
		return -ENOMEM;
	weft_checkpoint_finishing(&checkpoint);
	watched = watch_all(&gather);
	if (gather.first && !(flags & WEFT_GATHER_ALL))
		cancel_all(&gather);
	weft_owner_look(&gather.owner);
	weft_owner_run_here(&gather.owner, &gather.watcher);
	settle_own(&gather);
	weft_wait_for_fellows(tasks, n);
	weft_owner_wait(&gather.owner, &gather.over);
	wait_for_the_rest(&gather, watched);
	weft_wait_for_fellows(NULL, 0);
	while (gather.extras) {
		struct extra *next = gather.extras->next;

		free(gather.extras);
		gather.extras = next;
	}
	return result(&gather, statuses);
}
