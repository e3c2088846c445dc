/* SPDX-License-Identifier: MIT */
/*
 * cache - what is stored: shards of entries, each with its guard, its table and its times to go.
 * Commands work on it between cache_lock and cache_unlock; expire.c takes out what is due.
 *
 * A key's hash says which shard it is in. A command that names several keys locks all their
 * shards, in rising order, before it looks at the first: it is atomic, with any number of
 * workers. With one worker there is one shard, and locking it is nothing.
 */
#ifndef WEFT_BENCH_CACHE_CACHE_H
#define WEFT_BENCH_CACHE_CACHE_H

#include <stdatomic.h>

#include "guard.h"
#include "heap.h"
#include "table.h"

enum { CACHE_SHARDS_MAX = 64 };

struct shard {
	struct guard guard;
	struct table table;
	struct heap heap;
	uint64_t expired; /* entries that went at their time */
} __attribute__((aligned(64)));

/* One per program, since the start; nothing of it is ever freed but entries. */
struct cache {
	struct shard shards[CACHE_SHARDS_MAX];
	unsigned shard_bits; /* shards in use: 1 << shard_bits */
	bool loading; /* the file is being replayed: nothing expires, whatever its time */
	/* What the timer task waits for: an earlier time than this must wake it. */
	atomic_llong timer_at;
	struct weft_event_flag timer_wake;
};

/* A key, and where it is. */
struct place {
	struct text key;
	uint64_t hash;
	struct shard *shard;
};

/* The time for a while, looked at when somebody asks first; zero-initialised nobody has. */
struct cache_clock {
	int64_t now_ms;
};

/* A set of shards, a bit each. */
typedef uint64_t shard_set;

/* Before the runtime starts. False when memory is out. */
bool cache_init(struct cache *cache, bool shared);

struct place cache_place(struct cache *cache, struct text key);

static inline shard_set cache_set_of(const struct cache *cache, const struct shard *shard)
{
	return (shard_set)1 << (shard - cache->shards);
}

shard_set cache_all(const struct cache *cache);
void cache_lock(struct cache *cache, shard_set set);
void cache_unlock(struct cache *cache, shard_set set);

struct cache_count {
	size_t keys, timed; /* now; those that have a time to go */
	uint64_t expired;   /* since the start */
};

/* Counts all shards at one moment; none of them is locked. */
struct cache_count cache_count(struct cache *cache);

/* The rest is for the holder of the shard's guard. */

/* The entry of a key, or NULL; one whose time has come is taken out. */
struct entry *cache_find(
	struct cache *cache, const struct place *place, struct cache_clock *clock);

/* Gives the entry a time, or with 0 none; heap_reserve has made room. */
void cache_set_expiry(
	struct cache *cache, struct shard *shard, struct entry *entry, int64_t expires);

/* Takes the entry out and frees it. */
void cache_remove(struct shard *shard, struct entry *entry);

/* Empties the shard: its table and *table change places, and nothing in it goes by itself. */
void cache_exchange(struct shard *shard, struct table *table);

/* Milliseconds since 1970. */
int64_t cache_now_ms(void);

/* The same, read once. */
static inline int64_t cache_clock_ms(struct cache_clock *clock)
{
	if (!clock->now_ms)
		clock->now_ms = cache_now_ms();
	return clock->now_ms;
}

#endif
