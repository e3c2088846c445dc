/* SPDX-License-Identifier: MIT */
/*
 * table - linear hashing. With `low` buckets and `buckets - low` more, a hash belongs into the
 * bucket of its low bits, one bit more being looked at where that bucket exists already.
 */
#include "table.h"

#include <assert.h>
#include <stdlib.h>

enum {
	BASE_BITS = 6,
	BASE = 1 << BASE_BITS, /* buckets of segment 0, and at least */
	SPARSE = 4,            /* shrink below one entry for so many buckets */
};

static unsigned log2_of(size_t n)
{
	return 63 - (unsigned)__builtin_clzl(n);
}

static unsigned segment_of(size_t bucket)
{
	return bucket < BASE ? 0 : log2_of(bucket) - BASE_BITS + 1;
}

/* The first bucket of a segment. */
static size_t segment_start(unsigned segment)
{
	return segment ? (size_t)BASE << (segment - 1) : 0;
}

static struct entry **bucket_at(const struct table *table, size_t bucket)
{
	unsigned segment = segment_of(bucket);

	return &table->segments[segment][bucket - segment_start(segment)];
}

static struct entry **bucket_of(const struct table *table, uint64_t hash)
{
	size_t bucket = hash & (2 * table->low - 1);

	return bucket_at(
		table, bucket < table->buckets ? bucket : hash & (table->low - 1));
}

bool table_init(struct table *table)
{
	*table = (struct table){.buckets = BASE, .low = BASE};
	table->segments[0] = calloc(BASE, sizeof(struct entry *));
	return table->segments[0] != NULL;
}

void table_finish(struct table *table)
{
	assert(table->count == 0);
	for (unsigned i = 0; i < TABLE_SEGMENTS; i++)
		free(table->segments[i]);
	*table = (struct table){0};
}

struct entry *table_find(const struct table *table, struct text key, uint64_t hash)
{
	struct entry *entry = *bucket_of(table, hash);

	while (entry && (entry->hash != hash || entry->key_len != key.len ||
				memcmp(entry->key, key.at, key.len) != 0))
		entry = entry->next;
	return entry;
}

/* Makes sure that the segment of the next bucket exists. Large ones cost nothing until touched. */
static bool has_segment(struct table *table)
{
	unsigned segment = segment_of(table->buckets);

	if (!table->segments[segment])
		table->segments[segment] =
			calloc(segment_start(segment), sizeof(struct entry *));
	return table->segments[segment] != NULL;
}

/* One bucket more: it takes from the one below it what the next bit of the hash tells apart. */
static void grow(struct table *table)
{
	struct entry **from = bucket_at(table, table->buckets - table->low);
	struct entry **to;

	if (!has_segment(table))
		return;
	to = bucket_at(table, table->buckets);
	while (*from) {
		struct entry *entry = *from;

		if (entry->hash & table->low) {
			*from = entry->next;
			entry->next = *to;
			*to = entry;
		} else {
			from = &entry->next;
		}
	}
	if (++table->buckets == 2 * table->low)
		table->low *= 2;
}

/* One bucket less: grow undone. */
static void shrink(struct table *table)
{
	size_t last = table->buckets - 1;
	struct entry **from = bucket_at(table, last), **to;

	if (table->buckets == table->low)
		table->low /= 2;
	table->buckets = last;
	to = bucket_at(table, last - table->low);
	while (*to)
		to = &(*to)->next;
	*to = *from;
	*from = NULL;
	if (last == segment_start(segment_of(last))) {
		free(table->segments[segment_of(last)]);
		table->segments[segment_of(last)] = NULL;
	}
}

void table_insert(struct table *table, struct entry *entry)
{
	struct entry **bucket = bucket_of(table, entry->hash);

	entry->next = *bucket;
	*bucket = entry;
	if (++table->count > table->buckets)
		grow(table);
}

void table_remove(struct table *table, struct entry *entry)
{
	struct entry **at = bucket_of(table, entry->hash);

	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	table->count--;
	/* Two at a time: removing all entries one by one ends with the smallest table. */
	for (int i = 0; i < 2; i++)
		if (table->buckets > BASE && table->count < table->buckets / SPARSE)
			shrink(table);
}

bool table_drain(struct table *table, size_t most)
{
	size_t taken = 0;

	while (table->count && taken < most) {
		struct entry **last = bucket_at(table, table->buckets - 1);

		while (*last) {
			struct entry *entry = *last;

			*last = entry->next;
			entry_destroy(entry);
			table->count--;
			taken++;
		}
		taken++; /* an empty bucket is work too */
		if (table->buckets > BASE)
			shrink(table);
		else
			table->buckets--;
	}
	return table->count > 0;
}
