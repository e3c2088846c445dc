/* SPDX-License-Identifier: MIT */
/*
 * many - watching an array of tasks at once.
 */
#include "compose/many.h"

#include <errno.h>
#include <stdlib.h>

static void told(struct weft_watcher *watcher, struct weft_watch *watch, struct weft_task *task)
{
	struct weft_many *many = weft_container_of(watcher, struct weft_many, watcher);
	struct weft_parker *parker = many->parker;
	bool wake = many->ended(many, (size_t)(watch - many->watches));

	(void)task;
	/* The last one wakes weft_many_end too. */
	if (weft_sub_acq_rel(&many->unsettled, 1) == 1 || wake) /* MY1 */
		weft_unpark(parker);
}

int weft_many_begin(struct weft_many *many, struct weft_task *const *tasks, size_t n,
	bool (*ended)(struct weft_many *many, size_t index))
{
	many->watcher.done = told;
	many->parker = weft_parker_self();
	many->tasks = tasks;
	many->n = n;
	many->ended = ended;
	many->watches = many->few;
	weft_store_relaxed(&many->unsettled, 0);
	for (size_t i = 0; i < n; i++) {
		if (!tasks[i])
			return -EINVAL;
	}
	if (n > UINT32_MAX || !many->parker)
		return -ENOMEM;
	if (n > WEFT_MANY_FEW)
		many->watches = malloc(n * sizeof(*many->watches));
	if (!many->watches)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		weft_add_acq_rel(&many->unsettled, 1);
		if (weft_task_watch(tasks[i], &many->watches[i], &many->watcher))
			continue;
		many->watches[i].watcher = NULL;
		weft_sub_acq_rel(&many->unsettled, 1);
		ended(many, i);
	}
	return 0;
}

void weft_many_end(struct weft_many *many)
{
	for (size_t i = 0; i < many->n; i++) {
		if (many->watches[i].watcher && !weft_task_done(many->tasks[i]) &&
			weft_task_unwatch(many->tasks[i], &many->watches[i]))
			weft_sub_acq_rel(&many->unsettled, 1);
	}
	while (weft_load_acquire(&many->unsettled) > 0) /* MY1 */
		weft_park_deaf(WEFT_FOREVER);
	if (many->watches != many->few)
		free(many->watches);
}
