/* SPDX-License-Identifier: MIT */
/*
 * cache - the shards and the way into them.
 */
#include "cache.h"

#include <time.h>

#include "hash.h"

enum { SHARED_BITS = 6 };

_Static_assert(1 << SHARED_BITS == CACHE_SHARDS_MAX, "a shard_set has a bit for each");

bool cache_init(struct cache *cache, bool shared)
{
	hash_init();
	guard_shared = shared;
	cache->shard_bits = shared ? SHARED_BITS : 0;
	for (unsigned i = 0; i < 1u << cache->shard_bits; i++)
		if (!table_init(&cache->shards[i].table))
			return false;
	return true;
}

struct place cache_place(struct cache *cache, struct text key)
{
	uint64_t hash = hash_of(key);
	/* The table looks at the low bits. */
	size_t index = cache->shard_bits ? hash >> (64 - cache->shard_bits) : 0;

	return (struct place){key, hash, &cache->shards[index]};
}

shard_set cache_all(const struct cache *cache)
{
	return ~(shard_set)0 >> (CACHE_SHARDS_MAX - (1u << cache->shard_bits));
}

void cache_lock(struct cache *cache, shard_set set)
{
	for (; guard_shared && set; set &= set - 1)
		guard_lock(&cache->shards[__builtin_ctzll(set)].guard);
}

void cache_unlock(struct cache *cache, shard_set set)
{
	for (; guard_shared && set; set &= set - 1)
		guard_unlock(&cache->shards[__builtin_ctzll(set)].guard);
}

struct entry *cache_find(
	struct cache *cache, const struct place *place, struct cache_clock *clock)
{
	struct shard *shard = place->shard;
	struct entry *entry = table_find(&shard->table, place->key, place->hash);

	if (!entry || !entry->expires || cache->loading ||
		entry->expires >= cache_clock_ms(clock))
		return entry;
	shard->expired++;
	cache_remove(shard, entry);
	return NULL;
}

void cache_set_expiry(
	struct cache *cache, struct shard *shard, struct entry *entry, int64_t expires)
{
	if (!expires && !entry->heap_at)
		return;
	heap_set(&shard->heap, entry, expires);
	if (expires && expires < atomic_load(&cache->timer_at))
		weft_event_flag_set(&cache->timer_wake);
}

void cache_remove(struct shard *shard, struct entry *entry)
{
	if (entry->heap_at)
		heap_set(&shard->heap, entry, 0);
	table_remove(&shard->table, entry);
	entry_destroy(entry);
}

void cache_exchange(struct shard *shard, struct table *table)
{
	struct table mine = shard->table;

	shard->table = *table;
	*table = mine;
	heap_finish(&shard->heap);
}

struct cache_count cache_count(struct cache *cache)
{
	struct cache_count sum = {0};
	shard_set all = cache_all(cache);

	cache_lock(cache, all);
	for (unsigned i = 0; i < 1u << cache->shard_bits; i++) {
		const struct shard *shard = &cache->shards[i];

		sum.keys += shard->table.count;
		sum.timed += shard->heap.count;
		sum.expired += shard->expired;
	}
	cache_unlock(cache, all);
	return sum;
}

int64_t cache_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
