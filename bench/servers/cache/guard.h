/* SPDX-License-Identifier: MIT */
/*
 * guard - a lock that is there only when somebody could be kept out: with one worker, code that
 * does not suspend is alone already. Cache, append-only file and expiry lock with it.
 *
 * Whoever holds a guard calls nothing that suspends, but for taking further guards, in this
 * order: shards by rising number, then the append-only file's.
 */
#ifndef WEFT_BENCH_CACHE_GUARD_H
#define WEFT_BENCH_CACHE_GUARD_H

#include <stdbool.h>

#include <weft.h>

struct guard {
	struct weft_mutex mutex;
};

/* Set before the runtime starts: several workers run commands at a time. */
extern bool guard_shared;

/* The rest of guard_lock: always locks, whatever became of the calling task. */
void guard_wait(struct guard *guard);

static inline void guard_lock(struct guard *guard)
{
	if (guard_shared && weft_mutex_trylock(&guard->mutex) < 0)
		guard_wait(guard);
}

static inline void guard_unlock(struct guard *guard)
{
	if (guard_shared)
		weft_mutex_unlock(&guard->mutex);
}

#endif
