/* SPDX-License-Identifier: MIT */
/*
 * runtime - what the files that start and stop runtimes share: runtime.c (start), stop.c (stop, free), simulate.c
 * (a runtime on the caller's thread).
 */
#ifndef WEFT_LIB_RUNTIME_H
#define WEFT_LIB_RUNTIME_H

#include <stdbool.h>

#include <weft/runtime.h>

#include "io/choose.h"
#include "sched/worker.h"

/* -- runtime.c --------------------------------------------------------------------------------- */

/*
 * A runtime with all its parts, none of whose workers runs yet, on that backend. The process knows it. 0 or
 * -errno: what was made is gone again.
 */
int weft_runtime_make(const struct weft_config *config, const struct weft_choice *choice,
	struct weft_runtime **out);
/* Its workers have ended. */
void weft_runtime_leave_process(struct weft_runtime *runtime);
void weft_runtime_free(struct weft_runtime *runtime);
/* The first ones of its workers run: have them leave their loops, and wait for it. */
void weft_runtime_end_workers(struct weft_runtime *runtime, unsigned started);
/* Start a task from outside, with that many references; *out is one of them if there are two. 0 or -errno. */
int weft_runtime_spawn(struct weft_runtime *runtime, const char *site, weft_fn fn, void *arg,
	unsigned refs, struct weft_task **out);

/* -- stop.c ------------------------------------------------------------------------------------ */

/* No task can be created any more, and each has a cancel pending. */
void weft_runtime_begin_stop(struct weft_runtime *runtime, enum weft_stopping how);
/* Have every stack look. */
void weft_runtime_tell_stacks(struct weft_runtime *runtime);
bool weft_runtime_all_ended(struct weft_runtime *runtime);
/* Those that are alive are leaks. */
void weft_runtime_report_survivors(struct weft_runtime *runtime);
/* Free it, now or when the last handle to one of its tasks is released. */
void weft_runtime_free_or_hold(struct weft_runtime *runtime);

#endif
