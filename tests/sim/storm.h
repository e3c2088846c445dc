/* SPDX-License-Identifier: MIT */
/*
 * storm - runs a program once per checkpoint, cancelled at that checkpoint, and looks whether anything is lost.
 *
 * A program is a function that begins afresh each time it is called. It is simulated undisturbed first, which
 * also counts its checkpoints; then once for each of them, the task that comes to it cancelled there, or met by
 * a deadline there; then once for each moment, some task cancelled from outside while it waits. All that in the
 * engine's order, in random ones and in PCT's, without faults and with them. After each run must hold:
 *
 *	- no task, handle or descriptor is reported as left over, no deadlock, no misuse; it ends at all
 *	- the process has the same descriptors open as before, no heap and no mapping more
 *	- what the program's own check says: every byte and every item is somewhere
 *	- undisturbed, without faults: the program's status is no error
 *
 * In the engine's order without faults, the first STORM_EACH checkpoints are all tried, and of more than that
 * every j-th, STORM_MORE of them; in each other order every j-th, STORM_FEW, starting at one that the seed says.
 * A sanitizer build tries a tenth. A failing case prints the command that repeats it (WEFT_STORM; with
 * WEFT_STORM_TRACE=FILE it writes its trace). No part of this knows the test runner.
 */
#ifndef WEFT_TESTS_SIM_STORM_H
#define WEFT_TESTS_SIM_STORM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <weft/base.h>
#include <weft/runtime.h>
#include <weft/sim.h>

enum { STORM_EACH = 300, STORM_MORE = 100, STORM_FEW = 24 };

/* cancel_how of its own: at the n-th moment some task is cancelled by another one. */
enum {
	STORM_MAIN = WEFT_SIM_TIMEOUT + 1, /* the first task, */
	STORM_ANY,                         /* any one of those that live */
	STORM_HOWS,
};

struct storm {
	const char *name;
	weft_fn fn;
	void *arg;
	/* After each run: NULL, or what does not add up. */
	const char *(*check)(void *arg);
	/* -- beyond this zero is a default -- */
	/* Is this leak what the program is meant to do? Default: none is. */
	bool (*allowed)(const struct weft_report *report);
	/* WEFT_SIM_... bits that it is not to be run with. */
	unsigned spare;
	/* It may fail undisturbed. */
	bool may_fail;
	/* Nothing is printed. */
	bool quiet;
	/* How it is run; calls storm_simulate, once. Default: just that, with fn and arg. */
	int (*run)(const struct storm *storm);
};

struct storm_result {
	uint64_t checkpoints; /* of the undisturbed run in the engine's order */
	uint64_t runs, failures;
	char text[2048]; /* of the first failure, with the command that repeats it */
};

/* Returns the number of failures; *result (or NULL) says more. Plain threads only. */
uint64_t storm_run(const struct storm *storm, struct storm_result *result);

/* For a check: what it says, in one buffer that the next call overwrites. */
const char *storm_says(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For a check: the run was neither disturbed nor met by faults. */
bool storm_undisturbed(void);

/* Where the storm speaks; NULL: stderr. */
extern FILE *storm_output;

/* From run: simulates fn(arg) as this case of the storm wants it. Its status. */
int storm_simulate(weft_fn fn, void *arg);

static inline uint64_t storm(
	const char *name, weft_fn fn, void *arg, const char *(*check)(void *arg))
{
	struct storm program = {.name = name, .fn = fn, .arg = arg, .check = check};

	return storm_run(&program, NULL);
}

#endif
