/* SPDX-License-Identifier: MIT */
/*
 * entry - a key with its value and its time to go. The table owns entries, the expiry heap
 * refers to those that have a time, and values may outlive both while they are being sent.
 */
#ifndef WEFT_BENCH_CACHE_ENTRY_H
#define WEFT_BENCH_CACHE_ENTRY_H

#include <stdatomic.h>
#include <stdint.h>

#include "buffer.h"

/*
 * The bytes of a value. References are taken under the guard of the shard whose entry holds it
 * and given back anywhere; whoever holds that guard and is the entry's only user may write.
 */
struct value {
	atomic_uint refs;
	uint32_t len;
	uint32_t room;
	char data[];
};

/* All fields belong to the guard of the shard it is in. */
struct entry {
	struct entry *next; /* in its bucket */
	uint64_t hash;
	struct value *value;
	int64_t expires;  /* it goes after this millisecond since 1970; 0: never */
	uint32_t heap_at; /* place in the expiry heap, from 1; 0: none */
	uint32_t key_len;
	char key[];
};

/* A value of these bytes, with one reference; NULL when memory is out. */
struct value *value_create(struct text bytes);

/* One reference less; NULL is fine. */
void value_release(struct value *value);

static inline void value_ref(struct value *value)
{
	atomic_fetch_add(&value->refs, 1);
}

static inline struct text value_text(const struct value *value)
{
	return (struct text){value->data, value->len};
}

/* Whether the caller, who holds the guard, may write `len` bytes into the value. */
static inline bool value_is_writable(struct value *value, size_t len)
{
	return len <= value->room && len >= value->room / 4 &&
	       atomic_load(&value->refs) == 1;
}

static inline void value_write(struct value *value, struct text bytes)
{
	memcpy(value->data, bytes.at, bytes.len);
	value->len = (uint32_t)bytes.len;
}

/* An entry in no table, without a value; NULL when memory is out. */
struct entry *entry_create(struct text key, uint64_t hash);

/* Frees an entry that is in no table and no heap, and its hold on its value. NULL is fine. */
void entry_destroy(struct entry *entry);

static inline struct text entry_key(const struct entry *entry)
{
	return (struct text){entry->key, entry->key_len};
}

#endif
