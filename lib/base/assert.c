/* SPDX-License-Identifier: MIT */
/*
 * assert - says which condition failed and where, then aborts.
 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void weft_assert_failed(const char *condition, const char *file, int line)
{
	fprintf(stderr, "weft: %s:%d: broken assumption: %s\n", file, line, condition);
	abort();
}
