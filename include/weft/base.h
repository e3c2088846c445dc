/* SPDX-License-Identifier: MIT */
/*
 * base - the words every public header uses: visibility, time, function types, spawn sites.
 *
 * Declares no function. Included by every header under weft/; programs rarely include it
 * themselves.
 */
#ifndef WEFT_BASE_H
#define WEFT_BASE_H

#include <stdint.h>

#define WEFT_VERSION "0.1.0"

/* Marks what the library exports; everything else in it is hidden. */
#define WEFT_API __attribute__((visibility("default")))

#ifdef __cplusplus
#define WEFT_EXTERN_C_BEGIN extern "C" {
#define WEFT_EXTERN_C_END }
#define WEFT_ASSERT_SIZE_(type, bytes) \
	static_assert(sizeof(type) == (bytes), "the size of " #type " is part of the ABI")
#else
#define WEFT_EXTERN_C_BEGIN
#define WEFT_EXTERN_C_END
#define WEFT_ASSERT_SIZE_(type, bytes) \
	_Static_assert(sizeof(type) == (bytes), "the size of " #type " is part of the ABI")
#endif

WEFT_EXTERN_C_BEGIN

/* Nanoseconds: a duration, or a point on the runtime's monotonic clock (weft_now). */
typedef int64_t weft_ns;

/* A number of milliseconds or seconds as a weft_ns; fractions work: WEFT_MS(0.5). */
#define WEFT_MS(n) ((weft_ns)((n) * INT64_C(1000000)))
#define WEFT_SEC(n) ((weft_ns)((n) * INT64_C(1000000000)))

/* A duration that never passes. Sums of times saturate here. */
#define WEFT_FOREVER INT64_MAX

/* A task's body. Returns >= 0, or a negative errno value. */
typedef int (*weft_fn)(void *arg);

/* The destructor of a published value. */
typedef void (*weft_drop)(void *value);

/*
 * A spawn site is one pointer to one string literal: "file.c:12", a NUL, then the arguments
 * of the creating call as they are spelt there; the library takes the task's name from them.
 * Nothing is stored per task but that pointer.
 */
#define WEFT_STR_1_(x) #x
#define WEFT_STR_(x) WEFT_STR_1_(x)
#define WEFT_SITE_(text) __FILE__ ":" WEFT_STR_(__LINE__) "\0" text

WEFT_EXTERN_C_END

#endif /* WEFT_BASE_H */
