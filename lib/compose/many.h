/* SPDX-License-Identifier: MIT */
/*
 * many - watching an array of tasks at once: what wait, as_completed and race are built on.
 *
 * Life:  on the stack of the caller, who may leave only after weft_many_end, which makes sure that
 *        no completer is still telling it something.
 * MY1    told: release in the decrement of `unsettled` by each completer, its last touch but for the
 *        parker it has copied  ->  weft_many_end: acquire. Weaker: a completer writes to a dead stack.
 */
#ifndef WEFT_LIB_COMPOSE_MANY_H
#define WEFT_LIB_COMPOSE_MANY_H

#include <stddef.h>

#include "sched/task.h"
#include "sched/wait.h"

enum { WEFT_MANY_FEW = 8 };

struct weft_many {
	struct weft_watcher watcher;
	struct weft_parker *parker;
	struct weft_task *const *tasks;
	size_t n;
	/* A task ended; on the completer's stack. True: wake the caller. */
	bool (*ended)(struct weft_many *many, size_t index);
	struct weft_watch *watches; /* n of them; few or allocated */
	struct weft_watch few[WEFT_MANY_FEW];
	_Atomic(uint32_t) unsettled; /* watches whose completer has not finished telling */
};

/* Watch all tasks that have not ended; for the others ended is called here, in argument order.
 * -EINVAL for a NULL handle, -ENOMEM: then nothing is watched. */
int weft_many_begin(struct weft_many *many, struct weft_task *const *tasks, size_t n,
	bool (*ended)(struct weft_many *many, size_t index));
/* Stop watching, wait until nobody is telling. */
void weft_many_end(struct weft_many *many);

#endif
