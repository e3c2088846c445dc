/* SPDX-License-Identifier: MIT */
/*
 * sim - running programs in simulations, for the tests: what was reported is kept, and each seed is run twice.
 */
#ifndef WEFT_TESTS_SIM_SIM_H
#define WEFT_TESTS_SIM_SIM_H

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <weft.h>

/* What the simulations of this test reported, since reports_clear. */
struct reports {
	unsigned count, leaks, deadlocks, misuses;
	char text[4096]; /* all of it, cut */
};
static struct reports reports;

static inline void reports_clear(void)
{
	memset(&reports, 0, sizeof(reports));
}

static inline void keep_report(const struct weft_report *report, void *user)
{
	size_t used = strlen(reports.text);

	(void)user;
	reports.count++;
	reports.leaks += report->kind == WEFT_REPORT_LEAK;
	reports.deadlocks += report->kind == WEFT_REPORT_DEADLOCK;
	reports.misuses += report->kind == WEFT_REPORT_MISUSE;
	snprintf(reports.text + used, sizeof(reports.text) - used, "%s%s%s\n",
		report->task ? report->task : "", report->task ? ": " : "", report->text);
}

#define SIM(...)                                                                         \
	{                                                                                \
		.size = sizeof(struct weft_sim), .on_report = keep_report, __VA_ARGS__   \
	}

/* Run it once; *sim's outputs are set. */
static inline int simulate_once(weft_fn fn, void *arg, struct weft_sim *sim)
{
	sim->size = sizeof(*sim);
	sim->on_report = keep_report;
	return weft_simulate(fn, arg, sim);
}

/* Run it twice: both runs must agree. arg is the same in both: the program starts afresh by itself. */
static inline int simulate(
	weft_fn fn, void *arg, uint64_t seed, int policy, unsigned faults)
{
	struct weft_sim first = SIM(.seed = seed, .policy = policy, .faults = faults),
			again = first;
	int status = simulate_once(fn, arg, &first);
	struct reports kept = reports;
	int status_again = simulate_once(fn, arg, &again);

	reports = kept;
	cr_assert_eq(first.trace_hash, again.trace_hash,
		"seed %" PRIu64 ", policy %d, faults %u: two runs, hashes %" PRIx64
		" and %" PRIx64,
		seed, policy, faults, first.trace_hash, again.trace_hash);
	cr_assert_eq(first.steps, again.steps);
	cr_assert_eq(status, status_again);
	return status;
}

#endif
