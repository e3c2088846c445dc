/* SPDX-License-Identifier: MIT */
/*
 * number - whole numbers as text and back, as strictly as the protocol and INCR want it: no
 * blanks, no plus sign, no leading zeros, no overflow.
 */
#ifndef WEFT_BENCH_CACHE_NUMBER_H
#define WEFT_BENCH_CACHE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"

enum { NUMBER_MAX = 20 }; /* characters of INT64_MIN */

/* Reads the whole text as one number; false if it is none. */
bool number_parse(struct text text, int64_t *value);

/* Writes it at `at`, where there is room for NUMBER_MAX; returns its length. No NUL. */
size_t number_format(char *at, int64_t value);

#endif
