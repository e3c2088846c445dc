/* SPDX-License-Identifier: MIT */
/*
 * uring_slots - makes room in the table of operations in flight. See uring_ring.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/uring_ring.h"

enum { SLOTS_MIN = 64, SLOTS_MAX = 1 << 30 };

/* No slot is free: all of them are linked anew. */
int weft_uring_add_slots(struct ring *ring)
{
	uint32_t old = ring->slot_count, count = old ? 2 * old : SLOTS_MIN;
	struct slot *slots;
	uint32_t *buckets;

	if (count > SLOTS_MAX)
		return -ENOMEM;
	buckets = malloc(count * sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	slots = realloc(ring->slots, count * sizeof(*slots));
	if (!slots) {
		free(buckets);
		return -ENOMEM;
	}
	free(ring->buckets);
	memset(buckets, 0xff, count * sizeof(*buckets));
	memset(slots + old, 0, (count - old) * sizeof(*slots));
	ring->slots = slots;
	ring->buckets = buckets;
	ring->slot_count = count;
	for (uint32_t i = 0; i < old; i++)
		slot_link(ring, i);
	for (uint32_t i = count; i > old; i--) {
		slots[i - 1].next = ring->slot_free;
		ring->slot_free = i - 1;
	}
	return 0;
}
