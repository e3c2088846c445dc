/* SPDX-License-Identifier: MIT */
/*
 * mutex - what the condition variable needs of the mutex beyond the public calls.
 */
#ifndef WEFT_LIB_SYNC_MUTEX_H
#define WEFT_LIB_SYNC_MUTEX_H

#include <stdbool.h>

#include <weft/sync.h>

/* Whether the caller, a task or a plain thread, owns the mutex. */
bool weft_mutex_is_mine(const struct weft_mutex *mutex);

/* Lock although a cancel or deadline is pending; no checkpoint, cannot fail. The caller has owned
 * the mutex before, so a plain thread has its parker. */
void weft_mutex_relock(struct weft_mutex *mutex);

#endif
