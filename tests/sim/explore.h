/* SPDX-License-Identifier: MIT */
/*
 * explore - runs a program under many seeds, each of them twice, and tells how to see a failure again.
 *
 * A program starts afresh each time it is called, says with CHECK what must be true, and returns 0. It has
 * failed under a seed if something else is returned, a CHECK fails, anything is reported (a leak, a deadlock), or
 * two runs of that seed differ. A seed also says which policy runs it: RANDOM, or PCT of depth 2 to 5, and
 * which of the faults that were asked for there are, so a seed is all that is needed to see it again:
 *
 *	WEFT_SEEDS=1000000       so many seeds for each program instead of 10,000
 *	WEFT_REPLAY_SEED=17      only that one, with its trace
 */
#ifndef WEFT_TESTS_SIM_EXPLORE_H
#define WEFT_TESTS_SIM_EXPLORE_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "differ.h"
#include "sim.h"

enum { EXPLORE_SEEDS = 10000 / WEFT_TEST_SCALE, EXPLORE_STEPS_MAX = 100000 };

struct explore {
	unsigned
		faults; /* that the program can stand; each seed has none, some or all of them */
	uint64_t first; /* seed */
	uint64_t seeds; /* how many; 0: the default */
	int policy;     /* 0: as the seed says, else WEFT_SIM_RANDOM or WEFT_SIM_PCT */
	unsigned depth; /* of PCT; 0: as the seed says */
	const char *
		trace; /* where a failure's trace is written; NULL: beside the program, under its name */
	bool reports_ok; /* the program is meant to cause some */
};

/* How a seed has failed. */
struct explored {
	uint64_t seed;
	uint64_t tried; /* seeds, until then */
	struct weft_sim sim;
	int status;
	bool differs; /* from its own second run */
	char why[600];
	char trace[200];
};

/* -- what must be true ------------------------------------------------------------------------- */

static char explore_broken[300]; /* the first CHECK that failed, "" if none */

static inline void explore_broke(const char *condition, int line)
{
	if (!*explore_broken)
		snprintf(explore_broken, sizeof(explore_broken),
			"line %d: %s is not true", line, condition);
}

/* In a program under exploration: goes on when it fails, the run is judged at its end. */
#define CHECK(condition)                                                                 \
	do {                                                                             \
		if (!(condition))                                                        \
			explore_broke(#condition, __LINE__);                             \
	} while (0)

/* -- what a program is made of ----------------------------------------------------------------- */

/* A number below n, the seed's. */
static inline unsigned any(unsigned n)
{
	return (unsigned)(weft_random() % n);
}

/* Some time passes, or none, or others get a turn; not a word of a cancel. */
static inline void dawdle(void)
{
	unsigned what = any(5);

	if (what == 1)
		weft_yield();
	else if (what == 2)
		weft_checkpoint();
	else if (what > 2)
		weft_sleep(WEFT_MS(any(4)));
}

/* Everybody else has come to rest: virtual time only passes when nobody can run. Not with WEFT_SIM_SLOW. */
static inline void settle(void)
{
	weft_sleep(WEFT_MS(1) / 1000);
}

/* -- seeds ------------------------------------------------------------------------------------- */

static inline uint64_t explore_number(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static inline unsigned explore_faults(const struct explore *options, uint64_t seed)
{
	uint64_t kind = seed / 8 % 4;

	if (kind < 2)
		return 0;
	return kind == 2 ? options->faults
			 : options->faults &
				   (unsigned)(seed * UINT64_C(0x9e3779b97f4a7c15) >> 40);
}

static inline struct weft_sim explore_sim(const struct explore *options, uint64_t seed)
{
	struct weft_sim sim = SIM(.seed = seed, .steps_max = EXPLORE_STEPS_MAX);

	sim.policy = options->policy ? options->policy
		     : seed % 2      ? WEFT_SIM_PCT
				     : WEFT_SIM_RANDOM;
	if (sim.policy == WEFT_SIM_PCT)
		sim.depth = options->depth ? options->depth : 2 + seed / 2 % 4;
	sim.faults = explore_faults(options, seed);
	return sim;
}

/* A crash is not survived, but the seed is told. */
static char explore_running[400];

static void explore_crashed(int number)
{
	if (write(STDERR_FILENO, explore_running, strlen(explore_running)) < 0)
		_exit(1);
	signal(number, SIG_DFL);
	raise(number);
}

static inline void explore_watch_for_crashes(void)
{
	signal(SIGABRT, explore_crashed);
	signal(SIGSEGV, explore_crashed);
	signal(SIGFPE, explore_crashed);
}

#ifdef WEFT_TESTS_INPROC_CRITERION_H
#define EXPLORE_FILTER ""
#else
#define EXPLORE_FILTER "--filter "
#endif

static inline void explore_command(
	const char *name, uint64_t seed, char *text, size_t size)
{
	static char program[200]; /* itself: the runner calls it by another name */

	if (!*program && readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
		snprintf(program, sizeof(program), "%s", program_invocation_name);
	snprintf(text, size, "WEFT_REPLAY_SEED=%" PRIu64 " %s " EXPLORE_FILTER "'%s'\n",
		seed, program, name);
}

/* -- one seed ---------------------------------------------------------------------------------- */

/* One run; true: it has failed, and why is told. */
static inline bool explore_once(weft_fn fn, void *arg, const struct explore *options,
	struct weft_sim *sim, struct explored *found)
{
	int status;

	if (reports.count)
		reports_clear();
	explore_broken[0] = 0;
	status = simulate_once(fn, arg, sim);
	found->seed = sim->seed;
	found->status = status;
	found->sim = *sim;
	if (status == 0 && !*explore_broken && (!reports.count || options->reports_ok))
		return false;
	snprintf(found->why, sizeof(found->why), "%s%sstatus %d (%s)\n%.200s",
		explore_broken, *explore_broken ? ", " : "", status,
		status < 0 ? strerror(-status) : "", reports.text);
	return true;
}

static inline bool explore_seed(weft_fn fn, void *arg, const struct explore *options,
	uint64_t seed, struct explored *found)
{
	struct weft_sim first = explore_sim(options, seed), again = first;
	struct explored second;
	bool failed = explore_once(fn, arg, options, &first, found);

	if (failed && options->policy) /* whoever looks for a planted bug has found it */
		return true;
	failed |= explore_once(fn, arg, options, &again, failed ? &second : found);
	if (first.trace_hash != again.trace_hash || first.steps != again.steps) {
		found->differs = true;
		snprintf(found->why, sizeof(found->why),
			"two runs of one seed: hashes %" PRIx64 " and %" PRIx64
			", steps %" PRIu64 " and %" PRIu64,
			first.trace_hash, again.trace_hash, first.steps, again.steps);
	}
	return failed || found->differs;
}

/* The first seed that fails, if one does. */
static inline bool explore_finds(const char *name, weft_fn fn, void *arg,
	const struct explore *options, struct explored *found)
{
	uint64_t seeds = options->seeds ? options->seeds
					: explore_number("WEFT_SEEDS", EXPLORE_SEEDS);

	memset(found, 0, sizeof(*found));
	explore_watch_for_crashes();
	for (uint64_t i = 0; i < seeds; i++) {
		found->tried = i + 1;
		explore_command(name, options->first + i, explore_running,
			sizeof(explore_running));
		if (explore_seed(fn, arg, options, options->first + i, found))
			return true;
	}
	return false;
}

/* -- a failure --------------------------------------------------------------------------------- */

/* Run it again with a trace, which found names from then on. Its status, or of a trace that was not written. */
static inline int explore_trace(weft_fn fn, void *arg, const char *name,
	const struct explore *options, struct explored *found)
{
	struct weft_sim sim = explore_sim(options, found->seed);

	if (options->trace)
		snprintf(found->trace, sizeof(found->trace), "%s", options->trace);
	else
		snprintf(found->trace, sizeof(found->trace), "%s-seed-%" PRIu64 ".trace",
			strchr(name, '/') ? strchr(name, '/') + 1 : name, found->seed);
	sim.trace_out = found->trace;
	explore_once(fn, arg, options, &sim, found);
	return found->status;
}

/* What is known of the failure, as a text that ends in the command to see it again. */
static inline void explore_tell(weft_fn fn, void *arg, const char *name,
	const struct explore *options, struct explored *found, FILE *out)
{
	struct weft_sim sim = explore_sim(options, found->seed);
	char command[400], why[sizeof(found->why)];

	snprintf(why, sizeof(why), "%s", found->why);
	fprintf(out, "%s: seed %" PRIu64 " (%s, depth %u, faults %u): %s\n", name,
		found->seed, sim.policy == WEFT_SIM_PCT ? "PCT" : "RANDOM", sim.depth,
		sim.faults, why);
	if (found->differs)
		differ_tell(fn, arg, &sim, out);
	explore_trace(fn, arg, name, options, found);
	explore_command(name, found->seed, command, sizeof(command));
	fprintf(out, "the trace is in %s; to see it again:\n\t%s", found->trace, command);
}

static inline void explore_replay(const char *name, weft_fn fn, void *arg,
	const struct explore *options, uint64_t seed)
{
	struct explored found = {.seed = seed};
	bool failed = explore_seed(fn, arg, options, seed, &found);

	if (failed)
		explore_tell(fn, arg, name, options, &found, stderr);
	else
		fprintf(stderr, "%s: seed %" PRIu64 " passes, %" PRIu64 " steps\n", name,
			seed, found.sim.steps);
	cr_assert(!failed, "seed %" PRIu64 " fails", seed);
}

/* No seed may fail. */
static inline void explore(
	const char *name, weft_fn fn, void *arg, const struct explore *options)
{
	struct explored found;

	if (getenv("WEFT_REPLAY_SEED")) {
		explore_replay(
			name, fn, arg, options, explore_number("WEFT_REPLAY_SEED", 0));
		return;
	}
	if (!explore_finds(name, fn, arg, options, &found))
		return;
	explore_tell(fn, arg, name, options, &found, stderr);
	cr_assert(false, "seed %" PRIu64 " fails", found.seed);
}

#define Explored(suite, name, program, ...)                                              \
	Test(suite, name)                                                                \
	{                                                                                \
		explore(#suite "/" #name, program, NULL,                                 \
			&(struct explore){__VA_ARGS__});                                 \
	}

#endif
