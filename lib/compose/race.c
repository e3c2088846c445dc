/* SPDX-License-Identifier: MIT */
/*
 * race - the first success wins; the others are cancelled, and waited for.
 */
#include <weft/compose.h>
#include <weft/task.h>

#include <errno.h>

#include "compose/many.h"

struct race {
	struct weft_many many;
	struct weft_owner owner;
	_Atomic(size_t) winner; /* index + 1 */
	_Atomic(int) last_failure;
	_Atomic(size_t) left;
	_Atomic(uint32_t) decided; /* RC1: release by a completer, acquire by the racer */
	_Atomic(uint32_t) over;
};

static bool one_ended(struct weft_many *many, size_t index)
{
	struct race *race = weft_container_of(many, struct race, many);
	int status = many->tasks[index]->status;
	size_t nobody = 0;
	bool wake = false;

	if (status >= 0) {
		if (weft_cas_acq_rel(&race->winner, &nobody, index + 1)) {
			weft_store_release(&race->decided, 1); /* RC1 */
			wake = true;
		}
	} else {
		weft_store_release(&race->last_failure, status);
	}
	if (weft_sub_acq_rel(&race->left, 1) == 1) {
		weft_store_release(&race->decided, 1);
		weft_store_release(&race->over, 1); /* RC1 */
		wake = true;
	}
	return wake;
}

static void cancel_all(struct race *race)
{
	for (size_t i = 0; i < race->many.n; i++)
		weft_task_cancel(race->many.tasks[i]);
}

static void on_pending(struct weft_owner *owner, int code)
{
	(void)code;
	cancel_all(weft_container_of(owner, struct race, owner));
}

ssize_t weft_race(struct weft_task *const *tasks, size_t n)
{
	WEFT_CHECKPOINT(checkpoint);
	struct race race = { .owner.on_pending = on_pending, .left = n };
	size_t winner;
	int rc;

	if (!tasks || n == 0)
		return -EINVAL;
	if (weft_in_forked_child())
		return -EOWNERDEAD;
	rc = weft_wait_edge_check_all(tasks, n);
	if (rc < 0)
		return rc;
	weft_checkpoint_finishing(&checkpoint);
	rc = weft_many_begin(&race.many, tasks, n, one_ended);
	if (rc < 0)
		return rc;
	weft_wait_for_fellows(tasks, n);
	weft_owner_wait(&race.owner, &race.decided);
	cancel_all(&race);
	weft_owner_wait(&race.owner, &race.over);
	weft_wait_for_fellows(NULL, 0);
	weft_many_end(&race.many);
	for (size_t i = 0; i < n; i++)
		weft_task_observe(tasks[i]);
	winner = weft_load_acquire(&race.winner);
	if (winner)
		return (ssize_t)(winner - 1);
	return race.owner.code ? race.owner.code : weft_load_acquire(&race.last_failure);
}
