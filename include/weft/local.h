/* SPDX-License-Identifier: MIT */
/*
 * local - values that a task keeps under keys: what thread-locals are to threads, and what
 * contextvars are to asyncio. A task may change threads at every [S] call, so a thread-local
 * does not do; a key does, also for a task that is run in place on another's stack.
 */
#ifndef WEFT_LOCAL_H
#define WEFT_LOCAL_H

#include <weft/base.h>

WEFT_EXTERN_C_BEGIN

/* Names one value per task. From 1 up: a zeroed variable is no key. */
typedef unsigned weft_key;

/* Keys a process can create. There is no way to give one back. */
#define WEFT_KEYS_MAX 1024

/* weft_key_create's flags */
enum {
	/* A task starts with the values its creator had under this key when it created it. */
	WEFT_KEY_INHERIT = 1,
};

/*
 * Creates a key for the whole process, from any thread, and stores it in *key. Under a new key
 * every task has the value NULL.
 *
 * drop, unless NULL, is called with each value that is not NULL once its last holder lets go
 * of it: the task that set it by setting another or by ending, and, with WEFT_KEY_INHERIT, the
 * tasks that have inherited it likewise. It runs as part of that task: inside its weft_set, or
 * after its body has returned, where a pending cancel is still pending, where it may use [S]
 * calls, and where the task has no values any more. Values are dropped before the task counts
 * as ended. An inherited value is shared by tasks that may run at the same time; the value
 * itself is the program's to protect.
 *
 * Tasks from weft_runtime_post, weft_runtime_call and weft_run inherit nothing.
 *
 * Returns 0; -EINVAL for a NULL key or unknown flags; -ENOSPC when all WEFT_KEYS_MAX are taken.
 */
WEFT_API int weft_key_create(weft_key *key, weft_drop drop, unsigned flags);

/* The calling task's value under key; NULL if there is none, outside a task, or for no key. */
WEFT_API void *weft_get(weft_key key);

/*
 * Sets the calling task's value under key; NULL for none. Other tasks keep theirs, those that
 * inherited the previous value included. The task lets go of its previous value, unless it is
 * the same pointer.
 *
 * Returns 0; on error value stays the caller's and nothing has changed: -EINVAL for no key,
 * -ENOMEM, -EPERM outside a task (on a thread of the blocking pool, too).
 */
WEFT_API int weft_set(weft_key key, void *value);

WEFT_EXTERN_C_END

#endif /* WEFT_LOCAL_H */
