/* SPDX-License-Identifier: MIT */
/*
 * group - a nursery: members may be spawned by the owner and by members; all end before the join.
 *
 * Life:   in the owner's weft_group, from begin to join. `left` counts members whose completer has not
 *         finished here, plus one for the owner until it joins; the completer that brings it to zero
 *         sets `over` as its last touch.
 * lock:   guards the list of live members, the errors and `cancelled`. A member on the list is alive, since
 *         its completer unlinks it here before it lets go.
 */
#include <weft/compose.h>

#include <errno.h>
#include <string.h>

#include "sched/frame.h"
#include "sched/task.h"
#include "sched/wait.h"

enum { ERRORS_KEPT = 16 };

struct group {
	struct weft_watcher watcher;
	struct weft_owner owner;
	struct weft_parker *parker;
	struct weft_frame *frame;
	struct weft_spin lock;
	uint32_t flags;
	struct weft_task *members; /* newest first */
	uint32_t spawned;
	uint32_t failed;
	int first;           /* the first failure to happen, a cancel by the group aside */
	uint32_t cancelled;  /* by weft_group_cancel, or by a failure */
	_Atomic(uint32_t) left;
	_Atomic(uint32_t) over; /* GR1: release by the last completer, acquire by the owner */
	struct {
		uint32_t number;
		int status;
	} errors[ERRORS_KEPT]; /* sorted by spawn order */
};
static_assert(sizeof(struct group) <= sizeof(struct weft_group), "opaque size");

static struct group *inside(struct weft_group *group)
{
	return (struct group *)group;
}

/* Lock held. */
static void keep_error(struct group *group, uint32_t number, int status)
{
	uint32_t place = group->failed < ERRORS_KEPT ? group->failed : ERRORS_KEPT;

	group->failed++;
	while (place > 0 && group->errors[place - 1].number > number) {
		if (place < ERRORS_KEPT)
			group->errors[place] = group->errors[place - 1];
		place--;
	}
	if (place < ERRORS_KEPT) {
		group->errors[place].number = number;
		group->errors[place].status = status;
	}
}

/* Lock held. */
static void cancel_members(struct group *group)
{
	group->cancelled = 1;
	for (struct weft_task *task = group->members; task; task = task->own.next)
		weft_task_cancel(task);
}

/* Lock held: status of a member that has just been unlinked. */
static void note_failure(struct group *group, struct weft_task *task)
{
	if (task->status == -ECANCELED && group->cancelled)
		return; /* it did what it was told */
	keep_error(group, task->batch, task->status);
	if (!group->first)
		group->first = task->status;
	if (!(group->flags & WEFT_GROUP_COLLECT) && !group->cancelled)
		cancel_members(group);
}

static void settle(struct group *group)
{
	struct weft_parker *parker = group->parker;

	if (weft_sub_acq_rel(&group->left, 1) != 1)
		return;
	weft_store_release(&group->over, 1); /* GR1 */
	weft_unpark(parker);
}

static void member_ended(
	struct weft_watcher *watcher, struct weft_watch *watch, struct weft_task *task)
{
	struct group *group = weft_container_of(watcher, struct group, watcher);

	(void)watch;
	weft_spin_lock(&group->lock);
	if (task->own.prev)
		task->own.prev->own.next = task->own.next;
	else
		group->members = task->own.next;
	if (task->own.next)
		task->own.next->own.prev = task->own.prev;
	if (task->status < 0) {
		weft_task_observe(task); /* the group keeps its code */
		note_failure(group, task);
	}
	weft_spin_unlock(&group->lock);
	weft_task_unref(task, true); /* the group's own reference: see spawn */
	settle(group);
}

static void on_pending(struct weft_owner *owner, int code)
{
	struct group *group = weft_container_of(owner, struct group, owner);

	(void)code;
	weft_spin_lock(&group->lock);
	cancel_members(group);
	weft_spin_unlock(&group->lock);
}

void weft_group_begin(struct weft_group *public_group, unsigned flags)
{
	struct group *group = inside(public_group);

	if (!public_group)
		return;
	memset(public_group, 0, sizeof(*public_group));
	group->watcher.done = member_ended;
	group->owner.on_pending = on_pending;
	group->frame = weft_frame_current();
	if (group->frame) /* nobody else may use it; a forked child must not allocate */
		group->parker = weft_parker_self();
	group->flags = flags;
	weft_store_relaxed(&group->left, 1);
	if (group->frame) {
		group->frame->groups++;
		group->frame->left_open++;
	}
}

/* Register before it is queued: from then on it may start and end at any moment. False: cancelled. */
static bool add_member(struct group *group, struct weft_task *task)
{
	bool open;

	weft_spin_lock(&group->lock);
	open = !group->cancelled;
	if (open) {
		weft_store_relaxed(&task->own.watcher, &group->watcher);
		task->own.prev = NULL;
		task->own.next = group->members;
		if (group->members)
			group->members->own.prev = task;
		group->members = task;
		task->status = (int)group->spawned++;
		task->flags |= WEFT_TASK_SHARED;
		weft_store_relaxed(&task->word,
			weft_load_relaxed(&task->word) | WEFT_WORD_OWNED);
		weft_add_relaxed(&group->left, 1);
	}
	weft_spin_unlock(&group->lock);
	return open;
}

static struct weft_task *spawn(struct group *group, const char *site, weft_fn fn, void *arg,
	unsigned refs, int *error)
{
	struct weft_task *task;

	*error = -EINVAL;
	if (!group || !fn)
		return NULL;
	if (!group->frame) {
		*error = weft_no_task();
		return NULL;
	}
	/* One more for the group, which is told after the end has become visible: a holder of the
	 * handle may have seen it and let go by then. */
	task = weft_task_new(site, fn, arg, NULL, refs + 1, error);
	if (!task)
		return NULL;
	task->name_argument = 1;
	if (!add_member(group, task)) {
		weft_task_abandon(task);
		*error = -ECANCELED;
		return NULL;
	}
	weft_task_start(task);
	return task;
}

int weft_group_spawn_at(const char *site, struct weft_group *group, weft_fn fn, void *arg)
{
	int error;

	return spawn(inside(group), site, fn, arg, 1, &error) ? 0 : error;
}

struct weft_task *weft_group_create_task_at(
	const char *site, struct weft_group *group, weft_fn fn, void *arg)
{
	int error;
	struct weft_task *task = spawn(inside(group), site, fn, arg, 2, &error);

	return task ? task : weft_task_failure(error);
}

void weft_group_cancel(struct weft_group *group)
{
	if (!group || !inside(group)->frame || weft_in_forked_child())
		return;
	weft_spin_lock(&inside(group)->lock);
	cancel_members(inside(group));
	weft_spin_unlock(&inside(group)->lock);
}

int weft_group_join(struct weft_group *public_group)
{
	WEFT_CHECKPOINT(checkpoint);
	struct group *group = inside(public_group);

	if (!public_group)
		return -EINVAL;
	if (weft_in_forked_child())
		return -EOWNERDEAD;
	if (!group->frame || group->frame != weft_frame_current())
		return weft_self() ? -EINVAL : weft_no_task();
	weft_checkpoint_finishing(&checkpoint);
	weft_owner_look(&group->owner);
	weft_owner_run_here(&group->owner, &group->watcher);
	settle(group);
	weft_owner_wait(&group->owner, &group->over);
	group->frame->groups--;
	group->frame->left_open--;
	group->frame = NULL;
	if (group->owner.code && !group->first)
		return group->spawned > 0 && group->cancelled ? group->owner.code : 0;
	return group->first;
}

size_t weft_group_errors(const struct weft_group *public_group, int *statuses, size_t n)
{
	const struct group *group = (const struct group *)public_group;
	size_t kept;

	if (!public_group)
		return 0;
	kept = group->failed < ERRORS_KEPT ? group->failed : ERRORS_KEPT;
	for (size_t i = 0; statuses && i < kept && i < n; i++)
		statuses[i] = group->errors[i].status;
	return group->failed;
}

#undef weft_group_spawn
#undef weft_group_create_task

int weft_group_spawn(struct weft_group *group, weft_fn fn, void *arg)
{
	return weft_group_spawn_at("(unknown)\0group, (unnamed)", group, fn, arg);
}

struct weft_task *weft_group_create_task(struct weft_group *group, weft_fn fn, void *arg)
{
	return weft_group_create_task_at("(unknown)\0group, (unnamed)", group, fn, arg);
}
