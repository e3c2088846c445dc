/* SPDX-License-Identifier: MIT */
/*
 * expire - one timer for all: sleeps until the earliest time of all shards. A command that sets
 * an earlier one wakes it; nothing else does, so an idle cache makes no wake-ups.
 *
 * timer_at is "always wake me" while the shards are looked at: a time set in a shard that was
 * looked at already is then not slept through.
 */
#include "expire.h"

#include "cache.h"

enum { BATCH = 64 }; /* entries taken out of a shard before others have their turn */

/* Takes out what is due in one shard; returns the next time in it, INT64_MAX for none. */
static int64_t expire_shard(struct shard *shard, int64_t now_ms)
{
	struct entry *first;
	int64_t next;

	guard_lock(&shard->guard);
	for (int i = 0; i < BATCH; i++) {
		first = heap_first(&shard->heap);
		if (!first || first->expires >= now_ms)
			break;
		shard->expired++;
		cache_remove(shard, first);
	}
	first = heap_first(&shard->heap);
	next = first ? first->expires : INT64_MAX;
	guard_unlock(&shard->guard);
	return next;
}

static int64_t expire_all(struct cache *cache)
{
	int64_t now_ms = cache_now_ms(), next = INT64_MAX;

	for (unsigned i = 0; i < 1u << cache->shard_bits; i++) {
		int64_t first = expire_shard(&cache->shards[i], now_ms);

		if (first < next)
			next = first;
	}
	return next;
}

/* Until the millisecond is over, or an earlier time is set. */
static int sleep_until(struct cache *cache, int64_t when_ms)
{
	int64_t left_ms = when_ms - cache_now_ms() + (when_ms < INT64_MAX);
	struct weft_scope scope;
	int rc;

	if (left_ms <= 0)
		return weft_yield(); /* there is more than a batch: others first */
	weft_deadline_begin(
		&scope, left_ms < INT64_MAX / 1000000 ? WEFT_MS(left_ms) : WEFT_FOREVER);
	rc = weft_event_flag_wait(&cache->timer_wake);
	return weft_scope_end(&scope) ? 0 : rc;
}

int expire_task(void *arg)
{
	struct cache *cache = arg;
	int rc = 0;

	while (rc >= 0) {
		int64_t next;

		weft_event_flag_clear(&cache->timer_wake);
		atomic_store(&cache->timer_at, INT64_MAX);
		next = expire_all(cache);
		atomic_store(&cache->timer_at, next);
		rc = sleep_until(cache, next);
	}
	return rc;
}
