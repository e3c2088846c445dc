/* SPDX-License-Identifier: MIT */
/*
 * ticks - a bound of the present for the price of reading the processor's time-stamp counter: never before the
 * clock, and at most WEFT_TICKS_LATE_NS after it. Asking the clock itself takes three times as long.
 *
 * It is the last reading of the clock plus the ticks since then, taken as a quarter longer than they are: a clock that
 * is being set right may be slewed by a tenth (adjtimex(2)). Used where the kernel's own clock is that counter, so
 * that the kernel vouches for one rate on all processors; elsewhere, and until the rate is known, it is the clock.
 */
#ifndef WEFT_LIB_BASE_TICKS_H
#define WEFT_LIB_BASE_TICKS_H

#include <stdint.h>

enum {
	WEFT_TICKS_GOOD_NS = 1000 * 1000, /* then the clock is read again */
	WEFT_TICKS_MARGIN = 4,            /* one part of so many */
	WEFT_TICKS_LATE_NS = 350 * 1000,  /* the margin of that time, and what the rate may be off */
};

/* One thread's; zeroed at first. */
struct weft_ticks {
	uint64_t at; /* the counter at the last reading of the clock, which was ns */
	int64_t ns;
	uint64_t good_for; /* ticks; 0: the rate is not known */
	uint64_t rate;     /* nanoseconds per tick, times 2^32, with the margin */
	double measured;   /* nanoseconds per tick in the last span that was measured; 0: in none */
	uint64_t first_at; /* the reading that the next span begins with */
	int64_t first_ns;
};

/* Reads the clock. */
int64_t weft_ticks_read_clock(struct weft_ticks *ticks);

/* The bound, so many ticks after the last reading. */
static inline int64_t weft_ticks_bound(const struct weft_ticks *ticks, uint64_t age)
{
	return ticks->ns + (int64_t)(age * ticks->rate >> 32);
}

/* Nanoseconds of weft_sys_clock. */
static inline int64_t weft_ticks_now(struct weft_ticks *ticks)
{
#ifdef __x86_64__
	uint64_t age = __builtin_ia32_rdtsc() - ticks->at;

	if (__builtin_expect(age < ticks->good_for, 1))
		return weft_ticks_bound(ticks, age);
#endif
	return weft_ticks_read_clock(ticks);
}

#endif
