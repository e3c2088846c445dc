/* SPDX-License-Identifier: MIT */
/*
 * handle - looking at a task through its handle, and letting go of it. Nothing here waits.
 */
#include <weft/cancel.h>
#include <weft/task.h>

#include <errno.h>
#include <stdint.h>

#include "sched/frame.h"
#include "sched/task.h"
#include "sched/wait.h"

int weft_status(const struct weft_task *task)
{
	if (!task)
		return -EINVAL;
	if (!weft_task_done(task))
		return -EINPROGRESS;
	if (task->status < 0)
		weft_task_observe((struct weft_task *)task);
	return task->status;
}

void *weft_value(const struct weft_task *task)
{
	if (!task || !weft_task_done(task) || task->status < 0)
		return NULL;
	return task->value;
}

void *weft_take_value(struct weft_task *task)
{
	void *value = weft_value(task);

	if (value)
		task->value = NULL;
	return value;
}

int weft_set_value(void *value, weft_drop drop)
{
	struct weft_frame *frame = weft_frame_current();
	struct weft_task *task;
	void *old;

	if (!frame)
		return weft_no_task();
	task = frame->task;
	old = task->value;
	if (old && old != value && task->drop)
		task->drop(old);
	task->value = value;
	task->drop = drop;
	weft_or_acq_rel(&task->word, WEFT_WORD_VALUED);
	return 0;
}

struct weft_task *weft_ref(struct weft_task *task)
{
	if (task && !(task->flags & WEFT_TASK_FAILED))
		weft_task_ref(task);
	return task;
}

void weft_release(struct weft_task *task)
{
	if (task)
		weft_task_unref(task, false);
}

void weft_release_all(struct weft_task **tasks, size_t n)
{
	for (size_t i = 0; tasks && i < n; i++)
		weft_release(tasks[i]);
}

const char *weft_name(const struct weft_task *task)
{
	const char *site;

	if (!task)
		return NULL;
	site = task->site;
	if (task->flags & (WEFT_TASK_OWN_SITE | WEFT_TASK_FAILED)) {
		while (*site)
			site++;
		return site + 1;
	}
	return weft_site_name(site, task->name_argument);
}

uint64_t weft_id(const struct weft_task *task)
{
	struct weft_task *asked = (struct weft_task *)task;

	if (!task || (task->flags & WEFT_TASK_FAILED))
		return 0;
	if (!(weft_load_relaxed(&asked->word) & WEFT_WORD_NUMBERED))
		weft_or_acq_rel(&asked->word, WEFT_WORD_NUMBERED);
	return weft_task_number(task);
}

int weft_cancel(struct weft_task *task)
{
	if (!task)
		return -EINVAL;
	if (weft_unlikely(weft_in_forked_child()))
		return -EOWNERDEAD;
	return weft_task_cancel(task);
}
