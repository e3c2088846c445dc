/* SPDX-License-Identifier: MIT */
/*
 * sys - system calls, with errno turned into a return value on the spot, and the clock. The engine
 * makes its system calls through here, so that no errno survives a suspension.
 */
#ifndef WEFT_LIB_BASE_SYS_H
#define WEFT_LIB_BASE_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

/* Fresh zeroed anonymous memory, taken page by page; NULL: none. */
void *weft_sys_map(size_t bytes);
void weft_sys_unmap(void *base, size_t bytes);
/* The same memory fresh again, its page tables freed; whoever looks meanwhile finds the one or the other. 0 or -errno. */
int weft_sys_map_anew(void *base, size_t bytes);
/* 0 or -errno. */
int weft_sys_madvise(void *base, size_t bytes, int advice);
int weft_sys_protect_none(void *base, size_t bytes);

/* Make every running thread of the process pass a full barrier. 0 or -errno; init once first. */
int weft_sys_membarrier_init(void);
int weft_sys_membarrier(void);

/* Sleep while *word == expected, at most timeout_ns (< 0: no bound). */
void weft_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, int64_t timeout_ns);
void weft_futex_wake(_Atomic(uint32_t) *word, int count);

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t weft_sys_clock(void);
/* Whether the kernel makes that clock from the processor's time-stamp counter. Found out once. */
bool weft_sys_clock_is_counter(void);

/* Add nanoseconds, saturating at INT64_MAX; durations <= 0 add nothing. */
static inline int64_t weft_time_add(int64_t now, int64_t duration)
{
	if (duration <= 0)
		return now;
	return duration > INT64_MAX - now ? INT64_MAX : now + duration;
}

/* Processors this process may use: affinity, and cgroup cpu.max rounded up; at least 1. */
unsigned weft_sys_processors(void);

#endif
