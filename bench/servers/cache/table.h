/* SPDX-License-Identifier: MIT */
/*
 * table - a hash table that grows and shrinks by one bucket at a time (linear hashing, Litwin
 * 1980): no insertion pays for a rehash of everything, and no two tables exist meanwhile.
 *
 * Buckets lie in segments, each as large as all before it, so a bucket never moves. Belongs to
 * the holder of its shard's guard. Keys up to 4 GiB, entries up to memory.
 */
#ifndef WEFT_BENCH_CACHE_TABLE_H
#define WEFT_BENCH_CACHE_TABLE_H

#include "entry.h"

enum { TABLE_SEGMENTS = 48 };

struct table {
	struct entry **segments[TABLE_SEGMENTS];
	size_t buckets; /* in use; entries <= buckets, but where memory for more was refused */
	size_t low;   /* the greatest power of two <= buckets */
	size_t count; /* entries */
};

/* An empty table; false when memory is out. */
bool table_init(struct table *table);

/* Frees the buckets of a table without entries. */
void table_finish(struct table *table);

/* The entry with this key and hash, or NULL. */
struct entry *table_find(const struct table *table, struct text key, uint64_t hash);

/* Adds an entry, whose key is not there yet. Never fails: without memory buckets get longer. */
void table_insert(struct table *table, struct entry *entry);

/* Takes an entry out, which becomes the caller's. */
void table_remove(struct table *table, struct entry *entry);

/*
 * Takes out and destroys entries, about `most` of them; false once there are none. To be called
 * until then: in between the table is good for nothing else, afterwards for table_finish.
 */
bool table_drain(struct table *table, size_t most);

#endif
