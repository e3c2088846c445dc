/* SPDX-License-Identifier: MIT */
/*
 * entry - memory of keys and values.
 */
#include "entry.h"

#include <stdlib.h>

enum { VALUE_ROOM_MIN = 12 }; /* with what comes before it, 24 bytes: malloc's least */

struct value *value_create(struct text bytes)
{
	size_t room = bytes.len > VALUE_ROOM_MIN ? bytes.len : VALUE_ROOM_MIN;
	struct value *value = malloc(sizeof(*value) + room);

	if (!value)
		return NULL;
	atomic_init(&value->refs, 1);
	value->room = (uint32_t)room;
	value_write(value, bytes);
	return value;
}

void value_release(struct value *value)
{
	/* Alone, nobody else can take a reference any more. */
	if (value && (atomic_load(&value->refs) == 1 ||
			     atomic_fetch_sub(&value->refs, 1) == 1))
		free(value);
}

struct entry *entry_create(struct text key, uint64_t hash)
{
	struct entry *entry = malloc(sizeof(*entry) + key.len);

	if (!entry)
		return NULL;
	*entry = (struct entry){.hash = hash, .key_len = (uint32_t)key.len};
	memcpy(entry->key, key.at, key.len);
	return entry;
}

void entry_destroy(struct entry *entry)
{
	if (!entry)
		return;
	value_release(entry->value);
	free(entry);
}
