/* SPDX-License-Identifier: MIT */
/*
 * The explorer itself: it finds what it looks for, tells how to see it again, and notices a program whose
 * runs of one seed differ.
 */
#include "explore.h"

#include <time.h>

static char *told; /* what explore_tell says */

static void tell(weft_fn fn, const struct explore *options, struct explored *found)
{
	size_t size;
	FILE *out = open_memstream(&told, &size);

	cr_assert(out);
	explore_tell(fn, NULL, "explorer/program", options, found, out);
	fclose(out);
}

static char *temporary(void)
{
	static char path[] = "/tmp/weft-explore-XXXXXX";
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	close(fd);
	return path;
}

/* -- programs ---------------------------------------------------------------------------------- */

static int twice(void *arg)
{
	(void)arg;
	weft_yield();
	weft_yield();
	return 0;
}

static int run_two(weft_fn fn)
{
	struct weft_task *two[] = {
		weft_create_task(fn, NULL), weft_create_task(fn, NULL)};
	int rc = weft_gather(two, 2, NULL, 0);

	weft_release_all(two, 2);
	return rc;
}

static int in_order(void *arg)
{
	(void)arg;
	return run_two(twice);
}

static int count;

static int count_badly(void *arg)
{
	int seen = count;

	(void)arg;
	weft_yield();
	count = seen + 1;
	return 0;
}

static int counts_badly(void *arg)
{
	(void)arg;
	count = 0;
	run_two(count_badly);
	CHECK(count == 2);
	return 0;
}

static int fails(void *arg)
{
	(void)arg;
	return any(20) ? 0 : -EIO;
}

static int leaks(void *arg)
{
	(void)arg;
	weft_create_task(twice, NULL);
	return 0;
}

/* Every other run takes one step more. */
static int counts_its_runs(void *arg)
{
	static unsigned runs;

	(void)arg;
	run_two(twice);
	return runs++ % 2 ? weft_yield() : weft_sleep(1);
}

/* The lowest digit of the real time decides. */
static int looks_at_the_real_clock(void *arg)
{
	struct timespec now;

	(void)arg;
	for (int i = 0; i < 8; i++) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_nsec / 8 % 2)
			weft_yield();
		else
			weft_sleep(1);
	}
	return 0;
}

/* -- what it finds ----------------------------------------------------------------------------- */

Test(explorer, a_program_in_order_passes)
{
	struct explored found;

	cr_assert_not(explore_finds("explorer/x", in_order, NULL,
		&(struct explore){.seeds = 200, .faults = WEFT_SIM_ALL_FAULTS}, &found));
	cr_assert_eq(found.tried, 200);
}

Test(explorer, a_check_that_fails_is_found_and_told)
{
	struct explore options = {.seeds = 200, .trace = temporary()};
	struct explored found;
	char command[100];

	cr_assert(
		explore_finds("explorer/program", counts_badly, NULL, &options, &found));
	cr_assert(strstr(found.why, "count == 2 is not true"), "%s", found.why);
	tell(counts_badly, &options, &found);
	snprintf(command, sizeof(command), "WEFT_REPLAY_SEED=%" PRIu64 " /", found.seed);
	cr_assert(strstr(told, command), "%s", told);
	cr_assert(strstr(told, "'explorer/program'\n"), "%s", told);
	cr_assert(strstr(told, "count == 2 is not true"), "%s", told);
	unlink(options.trace);
}

Test(explorer, its_trace_replays_to_the_same_failure)
{
	struct explore options = {.seeds = 200, .trace = temporary()};
	struct explored found, again;
	struct weft_sim replay =
		SIM(.policy = WEFT_SIM_REPLAY, .trace_in = options.trace);

	cr_assert(
		explore_finds("explorer/program", counts_badly, NULL, &options, &found));
	explore_trace(counts_badly, NULL, "explorer/program", &options, &found);
	cr_assert(explore_once(counts_badly, NULL, &options, &replay, &again));
	cr_assert_str_eq(again.why, found.why);
	cr_assert_eq(again.sim.trace_hash, found.sim.trace_hash);
	unlink(options.trace);
}

Test(explorer, a_seed_is_all_that_is_needed)
{
	struct explore options = {.seeds = 200, .faults = WEFT_SIM_ALL_FAULTS};
	struct explored found, again;

	cr_assert(explore_finds("explorer/x", counts_badly, NULL, &options, &found));
	cr_assert(explore_seed(counts_badly, NULL, &options, found.seed, &again));
	cr_assert_eq(again.sim.trace_hash, found.sim.trace_hash);
}

Test(explorer, a_status_and_a_leak_are_failures)
{
	struct explore options = {.seeds = 200};
	struct explored found;

	cr_assert(explore_finds("explorer/x", fails, NULL, &options, &found));
	cr_assert(strstr(found.why, "Input/output error"), "%s", found.why);
	cr_assert(explore_finds("explorer/x", leaks, NULL, &options, &found));
	cr_assert(strstr(found.why, "was still alive at the end"), "%s", found.why);
}

Test(explorer, seeds_have_both_policies_all_depths_and_several_faults)
{
	struct explore options = {
		.faults = WEFT_SIM_SLOW | WEFT_SIM_LATENCY | WEFT_SIM_RESET};
	unsigned depths = 0, random = 0, none = 0, all = 0, some = 0;

	for (uint64_t seed = 0; seed < 200; seed++) {
		struct weft_sim sim = explore_sim(&options, seed);

		random += sim.policy == WEFT_SIM_RANDOM;
		depths |= sim.policy == WEFT_SIM_PCT ? 1u << sim.depth : 0;
		none += sim.faults == 0;
		all += sim.faults == options.faults;
		some += sim.faults != 0 && sim.faults != options.faults;
		cr_assert_eq(sim.faults & ~options.faults, 0);
	}
	cr_assert_eq(random, 100);
	cr_assert_eq(depths, 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5);
	cr_assert(none >= 100 && all >= 50 && some >= 20);
}

/* -- two runs that differ ---------------------------------------------------------------------- */

static unsigned times(const char *text, const char *part)
{
	unsigned n = 0;

	for (; (text = strstr(text, part)); text++)
		n++;
	return n;
}

Test(explorer, runs_that_differ_are_told_with_both_stacks)
{
	struct explore options = {.seeds = 4, .trace = temporary()};
	struct explored found;
	char step[40];
	const char *first;

	cr_assert(explore_finds(
		"explorer/program", counts_its_runs, NULL, &options, &found));
	cr_assert(found.differs, "%s", found.why);
	tell(counts_its_runs, &options, &found);
	first = strstr(told, "the first step that differs is ");
	cr_assert(first, "%s", told);
	snprintf(step, sizeof(step), "step %llu, at ",
		strtoull(first + strlen("the first step that differs is "), NULL, 10));
	cr_assert_eq(times(told, step), 2, "%s", told); /* shown of both */
	cr_assert(strstr(told, "was in weft_yield"), "%s", told);
	cr_assert(strstr(told, "was in weft_sleep"), "%s", told);
	cr_assert_geq(times(told, "(+0x"), 4, "%s", told); /* calls */
	unlink(options.trace);
}

Test(explorer, the_real_clock_makes_runs_differ)
{
	struct explore options = {.seeds = 1000};
	struct explored found;

	cr_assert(explore_finds(
		"explorer/x", looks_at_the_real_clock, NULL, &options, &found));
	cr_assert(found.differs);
}
