/* SPDX-License-Identifier: MIT */
/*
 * heap - a binary heap that tells its members where they are.
 */
#include "heap.h"

#include <stdlib.h>

enum { ROOM_MIN = 64 };

bool heap_reserve(struct heap *heap)
{
	size_t room = heap->room ? 2 * heap->room : ROOM_MIN;
	struct entry **entries;

	if (heap->count + 1 < heap->room)
		return true;
	if (room > UINT32_MAX)
		return false;
	entries = realloc(heap->entries, room * sizeof(struct entry *));
	if (!entries)
		return false;
	heap->entries = entries;
	heap->room = room;
	return true;
}

static void place(struct heap *heap, size_t at, struct entry *entry)
{
	heap->entries[at] = entry;
	entry->heap_at = (uint32_t)at;
}

static void rise(struct heap *heap, size_t at, struct entry *entry)
{
	while (at > 1 && heap->entries[at / 2]->expires > entry->expires) {
		place(heap, at, heap->entries[at / 2]);
		at /= 2;
	}
	place(heap, at, entry);
}

static void sink(struct heap *heap, size_t at, struct entry *entry)
{
	for (;;) {
		size_t child = 2 * at;

		if (child < heap->count &&
			heap->entries[child + 1]->expires < heap->entries[child]->expires)
			child++;
		if (child > heap->count ||
			heap->entries[child]->expires >= entry->expires)
			break;
		place(heap, at, heap->entries[child]);
		at = child;
	}
	place(heap, at, entry);
}

/* Where the entry belongs when it is at `at` or must go from there. */
static void settle(struct heap *heap, size_t at, struct entry *entry)
{
	if (at > 1 && heap->entries[at / 2]->expires > entry->expires)
		rise(heap, at, entry);
	else
		sink(heap, at, entry);
}

static void take_out(struct heap *heap, struct entry *entry)
{
	size_t at = entry->heap_at;
	struct entry *last = heap->entries[heap->count--];

	entry->heap_at = 0;
	if (last != entry)
		settle(heap, at, last);
}

void heap_set(struct heap *heap, struct entry *entry, int64_t expires)
{
	entry->expires = expires;
	if (expires == 0) {
		if (entry->heap_at)
			take_out(heap, entry);
	} else if (entry->heap_at) {
		settle(heap, entry->heap_at, entry);
	} else {
		rise(heap, ++heap->count, entry);
	}
}

void heap_finish(struct heap *heap)
{
	free(heap->entries);
	*heap = (struct heap){0};
}
