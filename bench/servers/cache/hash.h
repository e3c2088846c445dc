/* SPDX-License-Identifier: MIT */
/*
 * hash - SipHash-1-3 of a key's bytes, under a secret drawn at start: clients cannot choose keys
 * that all meet in one bucket. Follows Aumasson & Bernstein (2012), with the fewer rounds that
 * hash tables of other projects use too.
 */
#ifndef WEFT_BENCH_CACHE_HASH_H
#define WEFT_BENCH_CACHE_HASH_H

#include <stdint.h>

#include "buffer.h"

/* Draws the secret. Before the first hash; nobody else runs. */
void hash_init(void);

uint64_t hash_of(struct text key);

#endif
