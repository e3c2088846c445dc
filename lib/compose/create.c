/* SPDX-License-Identifier: MIT */
/*
 * create - the calls that start tasks. Creating never fails visibly: a task that cannot be made is a
 * finished one whose status says why, so that the error meets the caller at its await.
 */
#include <weft/task.h>

#include <errno.h>

#include "sched/task.h"

struct weft_task *weft_create_task_with_at(
	const char *site, weft_fn fn, void *arg, const struct weft_attr *attr)
{
	int error = -EINVAL;
	struct weft_task *task = fn ? weft_task_new(site, fn, arg, attr, 2, &error) : NULL;

	if (!task)
		return weft_task_failure(error);
	weft_task_start(task);
	return task;
}

int weft_go_at(const char *site, weft_fn fn, void *arg)
{
	struct weft_task *task = weft_task_spawn_detached(site, fn, arg);

	return weft_task_failure_code(task);
}

/* The functions behind the macros stay addressable; called through a pointer they know no site. */
#undef weft_create_task
#undef weft_create_task_with
#undef weft_go

struct weft_task *weft_create_task(weft_fn fn, void *arg)
{
	return weft_create_task_at("(unknown)\0(unnamed)", fn, arg);
}

struct weft_task *weft_create_task_with(weft_fn fn, void *arg, const struct weft_attr *attr)
{
	return weft_create_task_with_at("(unknown)\0(unnamed)", fn, arg, attr);
}

int weft_go(weft_fn fn, void *arg)
{
	return weft_go_at("(unknown)\0(unnamed)", fn, arg);
}
