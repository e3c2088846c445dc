/* SPDX-License-Identifier: MIT */
/*
 * ticks - when to read the clock, and how long a tick takes.
 */
#include "base/ticks.h"

#include "base/sys.h"

#ifdef __x86_64__
enum { NEAR = 2000 }; /* ticks between two readings of the counter, with one of the clock: nothing came between */

/* The ticks from the first reading of the clock until this one, some 10 ms apart or more, give the rate. */
static void measure(struct weft_ticks *ticks, uint64_t at, int64_t ns)
{
	double ns_per_tick = (double)(ns - ticks->first_ns) / (double)(at - ticks->first_at);

	ticks->rate = (uint64_t)(ns_per_tick * (1 + 1.0 / WEFT_TICKS_MARGIN) * 4294967296.0);
	ticks->good_for = (uint64_t)(WEFT_TICKS_GOOD_NS / ns_per_tick);
}

int64_t weft_ticks_read_clock(struct weft_ticks *ticks)
{
	uint64_t before = __builtin_ia32_rdtsc();
	int64_t ns = weft_sys_clock();

	if (!weft_sys_clock_is_counter() || __builtin_ia32_rdtsc() - before > NEAR)
		return ns;
	ticks->at = before;
	ticks->ns = ns;
	if (ticks->good_for > 0)
		return ns;
	if (ticks->first_ns == 0 || before <= ticks->first_at) {
		ticks->first_at = before;
		ticks->first_ns = ns;
	} else if (ns - ticks->first_ns >= WEFT_TICKS_GOOD_NS) {
		measure(ticks, before, ns);
	}
	return ns;
}
#else
int64_t weft_ticks_read_clock(struct weft_ticks *ticks)
{
	(void)ticks;
	return weft_sys_clock();
}
#endif
