/* SPDX-License-Identifier: MIT */
/*
 * test_ticks - the bound of the present: never before the clock, at most WEFT_TICKS_LATE_NS after it.
 */
#include <criterion/criterion.h>

#include "base/sys.h"
#include "base/ticks.h"

enum { FOR_NS = 100 * 1000 * 1000 };

static struct weft_ticks ticks;

Test(ticks, lies_between_the_clock_and_a_little_later, .timeout = 30)
{
	int64_t end = weft_sys_clock() + FOR_NS, before, bound, after;

	do {
		before = weft_sys_clock();
		bound = weft_ticks_now(&ticks);
		after = weft_sys_clock();
		cr_assert_geq(bound, before, "%ld ns early", (long)(before - bound));
		cr_assert_leq(bound, after + WEFT_TICKS_LATE_NS, "%ld ns late", (long)(bound - after));
	} while (after < end);
}

/* The counter jumped, as when a machine is moved: the clock counts, not the difference. */
Test(ticks, does_not_trust_an_old_reading, .timeout = 30)
{
	int64_t end = weft_sys_clock() + FOR_NS, before;

	while (weft_sys_clock() < end)
		weft_ticks_now(&ticks);
	ticks.at += UINT64_C(1) << 40; /* a reading in the future */
	before = weft_sys_clock();
	cr_assert_geq(weft_ticks_now(&ticks), before);
	cr_assert_leq(weft_ticks_now(&ticks), weft_sys_clock() + WEFT_TICKS_LATE_NS);
	ticks.at -= UINT64_C(1) << 40; /* and a very old one */
	before = weft_sys_clock();
	cr_assert_geq(weft_ticks_now(&ticks), before);
	cr_assert_leq(weft_ticks_now(&ticks), weft_sys_clock() + WEFT_TICKS_LATE_NS);
}

/* Where the clock is made from the counter it is read in a hundred milliseconds by far less than once a call. */
Test(ticks, seldom_reads_the_clock, .timeout = 30)
{
	int64_t end = weft_sys_clock() + FOR_NS;
	unsigned calls = 0, readings = 0;
	int64_t last = 0;

	for (; weft_ticks_now(&ticks) < end; calls++) {
		readings += ticks.ns != last;
		last = ticks.ns;
	}
#ifdef __x86_64__
	if (weft_sys_clock_is_counter() && ticks.good_for > 0)
		cr_assert_gt(calls, readings, "%u readings in %u calls", readings, calls);
	else
		cr_skip_test("the kernel's clock is another one here, or there is too much else to do");
#else
	cr_skip_test("the clock is read each time here");
#endif
}

/* As when the clock has been slewed since, or the machine was suspended while the rate was measured. */
Test(ticks, measures_anew_when_the_rate_proves_wrong, .timeout = 30)
{
	int64_t end = weft_sys_clock() + FOR_NS, before, bound, read;

	while (weft_sys_clock() < end)
		weft_ticks_now(&ticks);
	if (ticks.good_for == 0)
		cr_skip_test("the clock is read each time here");
	ticks.rate /= 2;
	for (read = ticks.ns; ticks.ns == read;)
		weft_ticks_now(&ticks);
	for (end = weft_sys_clock() + FOR_NS; (before = weft_sys_clock()) < end;) {
		bound = weft_ticks_now(&ticks);
		cr_assert_geq(bound, before, "%ld ns early", (long)(before - bound));
	}
	cr_assert_gt(ticks.good_for, 0);
}
