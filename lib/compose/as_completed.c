/* SPDX-License-Identifier: MIT */
/*
 * as_completed - a walk over tasks in the order they complete. The public struct holds a pointer to
 * what is allocated here; a failed allocation is told by the first next.
 */
#include <weft/compose.h>
#include <weft/task.h>

#include <errno.h>
#include <stdlib.h>

#include "compose/many.h"

struct walk {
	struct weft_many many;
	_Atomic(size_t) ended;    /* places of order claimed */
	size_t returned;
	_Atomic(size_t) order[]; /* index + 1 of the k-th to end; AC1: release, acquire; 0: not yet */
};

struct as_completed_state {
	struct walk *walk;
	int error;
};
static_assert(sizeof(struct as_completed_state) <= sizeof(struct weft_as_completed), "opaque size");

static bool one_ended(struct weft_many *many, size_t index)
{
	struct walk *walk = weft_container_of(many, struct walk, many);
	size_t place = weft_add_acq_rel(&walk->ended, 1);

	weft_store_release(&walk->order[place], index + 1); /* AC1 */
	return true;
}

void weft_as_completed_begin(
	struct weft_as_completed *it, struct weft_task *const *tasks, size_t n)
{
	struct as_completed_state *state = (struct as_completed_state *)it;

	if (!it)
		return;
	state->walk = NULL;
	state->error = tasks || n == 0 ? -ENOMEM : -EINVAL;
	if (state->error == -EINVAL || n > (SIZE_MAX / 2 - sizeof(struct walk)) / sizeof(size_t))
		return;
	state->walk = calloc(1, sizeof(struct walk) + n * sizeof(size_t));
	if (!state->walk)
		return;
	state->error = weft_many_begin(&state->walk->many, tasks, n, one_ended);
	if (state->error < 0) {
		free(state->walk);
		state->walk = NULL;
	}
}

static ssize_t next(struct walk *walk, weft_ns until)
{
	int code;

	for (;;) {
		size_t found = weft_load_acquire(&walk->order[walk->returned]); /* AC1 */

		if (found) {
			walk->returned++;
			return (ssize_t)(found - 1);
		}
		if (weft_now() >= until)
			return -EAGAIN;
		weft_park(until);
		if (weft_load_acquire(&walk->order[walk->returned]))
			continue;
		code = weft_pending();
		if (code < 0)
			return code;
	}
}

ssize_t weft_as_completed_next(struct weft_as_completed *it, weft_ns timeout)
{
	WEFT_CHECKPOINT(checkpoint);
	struct as_completed_state *state = (struct as_completed_state *)it;
	weft_ns until = weft_deadline_from(timeout);
	struct walk *walk;
	ssize_t index;
	int code;

	if (!it)
		return -EINVAL;
	code = weft_checkpoint_enter(&checkpoint);
	if (code < 0)
		return code;
	walk = state->walk;
	if (!walk)
		return state->error < 0 ? state->error : -EINVAL;
	if (walk->returned == walk->many.n)
		return -ENOENT;
	weft_wait_for_fellows(walk->many.tasks, walk->many.n);
	index = next(walk, until);
	weft_wait_for_fellows(NULL, 0);
	return index;
}

void weft_as_completed_end(struct weft_as_completed *it)
{
	struct as_completed_state *state = (struct as_completed_state *)it;

	if (!it || !state->walk)
		return;
	weft_many_end(&state->walk->many);
	free(state->walk);
	state->walk = NULL;
	state->error = -EINVAL;
}
