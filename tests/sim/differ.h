/* SPDX-License-Identifier: MIT */
/*
 * differ - a program whose runs of one seed differ, although they must not: the first step that does, in both
 * runs, with the call stack of what was chosen there.
 *
 * The step is known from two traces, and the stacks are asked for in two more runs (weft_sim.show_step); these
 * have traces too, for they may differ elsewhere. Then it is done again with that step.
 */
#ifndef WEFT_TESTS_SIM_DIFFER_H
#define WEFT_TESTS_SIM_DIFFER_H

#include "sim.h"

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum { DIFFER_ATTEMPTS = 16 };

struct differ_run {
	char path[40];
	char line[512];   /* of its trace, where it differs from the other */
	char shown[4096]; /* the step, with its stack */
};

static inline void differ_keep_step(const struct weft_report *report, void *user)
{
	struct differ_run *run = user;

	if (report->kind == WEFT_REPORT_STEP)
		snprintf(run->shown, sizeof(run->shown), "%s", report->text);
}

static inline void differ_run(weft_fn fn, void *arg, const struct weft_sim *given,
	uint64_t step, struct differ_run *run)
{
	struct weft_sim sim = *given;
	int fd;

	snprintf(run->path, sizeof(run->path), "/tmp/weft-differ-XXXXXX");
	fd = mkstemp(run->path);
	if (fd >= 0)
		close(fd);
	run->line[0] = run->shown[0] = 0;
	sim.trace_out = run->path;
	sim.show_step = step;
	sim.on_report = differ_keep_step;
	sim.user = run;
	weft_simulate(fn, arg, &sim);
}

/* The number of the first step of which the traces disagree; 0: they agree. Its lines are kept. */
static inline uint64_t differ_first(struct differ_run *a, struct differ_run *b)
{
	FILE *left = fopen(a->path, "re"), *right = fopen(b->path, "re");
	uint64_t step = 0;
	bool more = left && right;

	while (more && step == 0) {
		char *in_a = fgets(a->line, sizeof(a->line), left);
		char *in_b = fgets(b->line, sizeof(b->line), right);

		if (!in_a)
			a->line[0] = 0;
		if (!in_b)
			b->line[0] = 0;
		more = in_a && in_b;
		if ((in_a || in_b) && strcmp(a->line, b->line) != 0) {
			const char *of = strncmp(a->line, "end", 3) != 0 && in_a
						 ? a->line
						 : b->line;

			step = strtoull(
				strncmp(of, "end ", 4) == 0 ? of + 4 : of, NULL, 10);
		}
	}
	if (left)
		fclose(left);
	if (right)
		fclose(right);
	unlink(a->path);
	unlink(b->path);
	return step;
}

/* Finds it, if it shows itself once more; the step, 0 if it does not. */
static inline uint64_t differ_find(weft_fn fn, void *arg, const struct weft_sim *sim,
	struct differ_run *a, struct differ_run *b)
{
	uint64_t step = 0, last = 0;

	for (int i = 0; i < DIFFER_ATTEMPTS; i++) {
		uint64_t now;

		differ_run(fn, arg, sim, step, a);
		differ_run(fn, arg, sim, step, b);
		now = differ_first(a, b);
		if (now)
			last = now;
		if (now && now == step)
			break;
		if (now)
			step = now;
	}
	return last;
}

static inline void differ_tell_run(
	const char *which, const struct differ_run *run, FILE *out)
{
	fprintf(out, "%s: %s%s\n", which,
		*run->line ? run->line : "(its trace has ended)\n",
		*run->shown ? run->shown : "(it has no such step)");
}

static inline void differ_tell(
	weft_fn fn, void *arg, const struct weft_sim *sim, FILE *out)
{
	struct differ_run a, b;
	uint64_t step = differ_find(fn, arg, sim, &a, &b);

	if (step == 0) {
		fprintf(out, "further runs of this seed did not differ\n");
		return;
	}
	fprintf(out, "the first step that differs is %" PRIu64 "\n", step);
	differ_tell_run("one run", &a, out);
	differ_tell_run("another", &b, out);
	fprintf(out, "addr2line -fpe PROGRAM +0x... says where (+0x...) is\n");
}

#endif
