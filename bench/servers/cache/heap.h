/* SPDX-License-Identifier: MIT */
/*
 * heap - the entries of a shard that have a time to go, the earliest first. Each entry knows its
 * place, so that a new time moves it and no time takes it out. Belongs to the holder of the
 * shard's guard.
 */
#ifndef WEFT_BENCH_CACHE_HEAP_H
#define WEFT_BENCH_CACHE_HEAP_H

#include "entry.h"

/* Zero-initialised it is empty. */
struct heap {
	struct entry **entries; /* [1..count]; the parent of i is i / 2 */
	size_t count;
	size_t room;
};

/* Makes room for one entry more, after which heap_set does not fail; false: no memory. */
bool heap_reserve(struct heap *heap);

/* Gives the entry a time, or another one, or with 0 none. */
void heap_set(struct heap *heap, struct entry *entry, int64_t expires);

/* The entry that goes first, or NULL. */
static inline struct entry *heap_first(const struct heap *heap)
{
	return heap->count ? heap->entries[1] : NULL;
}

/* Frees the heap, not its entries. */
void heap_finish(struct heap *heap);

#endif
