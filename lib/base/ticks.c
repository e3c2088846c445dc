/* SPDX-License-Identifier: MIT */
/*
 * ticks - when to read the clock, and how long a tick takes.
 */
#include "base/ticks.h"

#include <stdbool.h>

#include "base/sys.h"

#ifdef __x86_64__
enum { NEAR = 2000 }; /* ticks between two readings of the counter, with one of the clock: nothing came between */

static void begin_span(struct weft_ticks *ticks, uint64_t at, int64_t ns)
{
	ticks->first_at = at;
	ticks->first_ns = ns;
}

/*
 * A span between two readings, of a millisecond to ten. The rate is known when two spans in turn agree: in one the
 * machine may have been suspended, or moved, which the clock and the counter take differently.
 */
static void measure(struct weft_ticks *ticks, uint64_t at, int64_t ns)
{
	int64_t span = ns - ticks->first_ns;
	double before = ticks->measured;

	if (ticks->first_ns != 0 && span < WEFT_TICKS_GOOD_NS)
		return;
	ticks->measured = 0;
	if (ticks->first_ns != 0 && span <= 10 * WEFT_TICKS_GOOD_NS && at > ticks->first_at)
		ticks->measured = (double)span / (double)(at - ticks->first_at);
	begin_span(ticks, at, ns);
	if (!(ticks->measured > before * 0.99 && ticks->measured < before * 1.01))
		return;
	ticks->rate = (uint64_t)(ticks->measured * (1 + 1.0 / WEFT_TICKS_MARGIN) * 4294967296.0);
	ticks->good_for = (uint64_t)(WEFT_TICKS_GOOD_NS / ticks->measured);
}

/* What the bound was before this reading: not early, and not by far too late. */
static bool bound_holds(const struct weft_ticks *ticks, uint64_t at, int64_t ns)
{
	uint64_t age = at - ticks->at;
	int64_t bound;

	if (age > 8 * ticks->good_for)
		return true; /* nobody has used it since */
	bound = weft_ticks_bound(ticks, age);
	return bound >= ns - NEAR && bound - ns <= 8 * WEFT_TICKS_LATE_NS;
}

int64_t weft_ticks_read_clock(struct weft_ticks *ticks)
{
	uint64_t before = __builtin_ia32_rdtsc();
	int64_t ns = weft_sys_clock();

	if (!weft_sys_clock_is_counter() || __builtin_ia32_rdtsc() - before > NEAR)
		return ns;
	if (ticks->good_for > 0 && !bound_holds(ticks, before, ns)) {
		ticks->good_for = 0;
		ticks->measured = 0;
		begin_span(ticks, before, ns);
	} else if (ticks->good_for == 0) {
		measure(ticks, before, ns);
	}
	ticks->at = before;
	ticks->ns = ns;
	return ns;
}
#else
int64_t weft_ticks_read_clock(struct weft_ticks *ticks)
{
	(void)ticks;
	return weft_sys_clock();
}
#endif
