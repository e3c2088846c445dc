/* SPDX-License-Identifier: MIT */
/*
 * slots - see slots.h.
 */
#include "io/slots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNKS_MAX = 1 << 22 };

void weft_slots_finish(struct weft_slots *slots)
{
	for (uint32_t i = 0; i < slots->chunk_count; i++)
		free(slots->chunks[i]);
	free(slots->chunks);
}

int weft_slots_add(struct weft_slots *slots)
{
	struct weft_slot_chunk **chunks, *chunk;

	if (slots->chunk_count == CHUNKS_MAX)
		return -ENOMEM;
	chunks = realloc(slots->chunks, (slots->chunk_count + 1) * sizeof(*chunks));
	if (!chunks)
		return -ENOMEM;
	slots->chunks = chunks;
	chunk = aligned_alloc(_Alignof(struct weft_slot_chunk), sizeof(*chunk));
	if (!chunk)
		return -ENOMEM;
	memset(chunk, 0, sizeof(*chunk));
	for (uint32_t i = WEFT_SLOTS_PER_CHUNK; i-- > 0;) {
		chunk->slots[i].index = slots->chunk_count * WEFT_SLOTS_PER_CHUNK + i;
		chunk->slots[i].node.next = slots->free;
		slots->free = &chunk->slots[i].node;
	}
	chunks[slots->chunk_count++] = chunk;
	return 0;
}

struct weft_slot_chunk *weft_slots_move_hand(struct weft_slots *slots, uint64_t *due)
{
	struct weft_slot_chunk *chunk;

	if (slots->hand == slots->chunk_count) {
		slots->hand = 0;
		return NULL;
	}
	chunk = slots->chunks[slots->hand++];
	*due = chunk->aged;
	chunk->aged = chunk->fresh;
	chunk->fresh = 0;
	slots->unproven -= (uint32_t)__builtin_popcountll(*due);
	return chunk;
}
