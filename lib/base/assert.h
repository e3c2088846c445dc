/* SPDX-License-Identifier: MIT */
/*
 * assert - what must hold. WEFT_ASSERT stays in release builds and is for cold paths;
 * WEFT_DEBUG_ASSERT is for hot ones and vanishes with NDEBUG.
 */
#ifndef WEFT_LIB_BASE_ASSERT_H
#define WEFT_LIB_BASE_ASSERT_H

#include <assert.h>

__attribute__((noreturn, cold)) void weft_assert_failed(
	const char *condition, const char *file, int line);

#define WEFT_ASSERT(condition)                                                           \
	((condition) ? (void)0 : weft_assert_failed(#condition, __FILE__, __LINE__))

#ifdef NDEBUG
#define WEFT_DEBUG_ASSERT(condition) ((void)sizeof(condition))
#else
#define WEFT_DEBUG_ASSERT(condition) WEFT_ASSERT(condition)
#endif

#endif
