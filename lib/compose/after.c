/* SPDX-License-Identifier: MIT */
/*
 * after - a task that starts once others have ended. Called by user code through
 * weft_create_task_after. It watches its dependencies and hands the task to the scheduler; what order
 * the scheduler then runs it in is not decided here.
 *
 * Until then the task is a descriptor with claim HELD: on no list, without a stack, known to its handle
 * and to its watches alone. Who completes the last dependency starts it.
 *
 * Watches: with one dependency alive the watch lies in the descriptor, in the place of the list node that
 *          the task needs only once it has been started. With more, in one allocation, which the last
 *          one to count `left` down frees.
 * The walk that looks for deadlocks follows a held task to those it waits for: sched/task.h.
 * References: one to each dependency that is watched, given back when its end is told.
 */
#include <weft/task.h>

#include <errno.h>
#include <stdlib.h>

#include "sched/task.h"

/* -- one dependency ---------------------------------------------------------------------------- */

static void only_one_ended(
	struct weft_watcher *watcher, struct weft_watch *watch, struct weft_task *dep)
{
	struct weft_task *task = weft_container_of(watch, struct weft_task, dependency);

	(void)watcher;
	weft_task_end_after(task);
	weft_task_unref(dep, false);
	weft_task_start_held(task);
}

static void start_after_one(struct weft_task *task, struct weft_task *dep)
{
	static struct weft_watcher only_one = { .done = only_one_ended };

	weft_task_ref(dep);
	weft_task_begin_after(task, dep, NULL);
	if (!weft_task_watch(dep, &task->dependency, &only_one))
		only_one_ended(&only_one, &task->dependency, dep);
}

/* -- many -------------------------------------------------------------------------------------- */

static void count_down(struct weft_predecessors *after, uint32_t by)
{
	struct weft_task *task = after->task;

	if (weft_sub_acq_rel(&after->left, by) != by) /* AF1 */
		return;
	weft_task_end_after(task);
	free(after);
	weft_task_start_held(task);
}

static void one_ended(
	struct weft_watcher *watcher, struct weft_watch *watch, struct weft_task *dep)
{
	weft_store_release(&weft_container_of(watch, struct weft_predecessor, watch)->task, NULL);
	weft_task_unref(dep, false);
	count_down(weft_container_of(watcher, struct weft_predecessors, watcher), 1);
}

/* alive: how many of them had not ended, at least as many as have not now. -ENOMEM: nothing was done. */
static int start_after_many(
	struct weft_task *task, struct weft_task *const *deps, size_t n, uint32_t alive)
{
	struct weft_predecessors *after = malloc(sizeof(*after) + alive * sizeof(after->deps[0]));
	uint32_t watched = 0;

	if (!after)
		return -ENOMEM;
	after->watcher.done = one_ended;
	after->task = task;
	after->count = alive;
	for (uint32_t i = 0; i < alive; i++)
		weft_store_relaxed(&after->deps[i].task, NULL);
	weft_store_relaxed(&after->left, alive + 1); /* one is the caller's, while it watches */
	weft_task_begin_after(task, NULL, after);
	for (size_t i = 0; i < n; i++) {
		if (weft_task_done(deps[i]))
			continue;
		weft_task_ref(deps[i]);
		weft_store_relaxed(&after->deps[watched].task, deps[i]);
		if (weft_task_watch(deps[i], &after->deps[watched].watch, &after->watcher)) {
			watched++;
		} else {
			weft_store_release(&after->deps[watched].task, NULL);
			weft_task_unref(deps[i], false);
		}
	}
	count_down(after, alive + 1 - watched);
	return 0;
}

/* -- the call ---------------------------------------------------------------------------------- */

/* How many have not ended; *last is one of those. -EINVAL, -ENOMEM. */
static int64_t count_alive(struct weft_task *const *deps, size_t n, struct weft_task **last)
{
	int64_t alive = 0;

	if (!deps && n > 0)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (!deps[i])
			return -EINVAL;
		if (weft_task_done(deps[i]))
			continue;
		*last = deps[i];
		alive++;
	}
	return alive < UINT32_MAX ? alive : -ENOMEM;
}

struct weft_task *weft_create_task_after_at(const char *site, weft_fn fn, void *arg,
	struct weft_task *const *deps, size_t n)
{
	struct weft_task *last = NULL, *task;
	int64_t alive = count_alive(deps, n, &last);
	int error;

	if (alive < 0 || !fn)
		return weft_task_failure(alive < 0 ? (int)alive : -EINVAL);
	if (alive == 0)
		return weft_create_task_at(site, fn, arg);
	task = weft_task_new(site, fn, arg, NULL, 2, &error);
	if (!task)
		return weft_task_failure(error);
	weft_store_relaxed(&task->claim, WEFT_CLAIM_HELD);
	if (alive == 1) {
		start_after_one(task, last);
		return task;
	}
	error = start_after_many(task, deps, n, (uint32_t)alive);
	if (error == 0)
		return task;
	weft_task_abandon(task);
	return weft_task_failure(error);
}

#undef weft_create_task_after

struct weft_task *weft_create_task_after(
	weft_fn fn, void *arg, struct weft_task *const *deps, size_t n)
{
	return weft_create_task_after_at("(unknown)\0(unnamed)", fn, arg, deps, n);
}
