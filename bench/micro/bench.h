/* SPDX-License-Identifier: MIT */
/*
 * bench - the frame of a micro benchmark: options, rounds, median, one line of output.
 *
 * A program names its question and gives a function that does one round inside a task and
 * returns the figure. Output, one line a question: name workers median min max unit.
 */
#ifndef WEFT_BENCH_MICRO_BENCH_H
#define WEFT_BENCH_MICRO_BENCH_H

#include <weft.h>

enum { BENCH_ROUNDS_MAX = 99 };

struct bench_options {
	unsigned workers;
	unsigned rounds;
	size_t n; /* how much a round does; 0: what the program thinks right */
};

struct bench {
	const char *name;
	const char *unit;
	size_t n; /* the default of bench_options.n */
	/* One round of size n, in a task. Returns the figure, in unit. */
	double (*round)(size_t n);
};

/* Parses the command line; ends the program if it is wrong. */
struct bench_options bench_parse(int argc, char **argv);

/* A program with one question: rounds of it, after one that is not counted. */
int bench_main(int argc, char **argv, const struct bench *bench);

/* Prints a line of output from count figures, which it sorts. */
void bench_print(const char *name, unsigned workers, double *figures, unsigned count,
	const char *unit);

/* Monotonic time in nanoseconds. */
double bench_now(void);

/* Ends the program, saying what was wrong, unless ok. */
void bench_check(int ok, const char *what);

/* As many sleeping tasks as were asked for, or as fit into two thirds of what memory is free. */
size_t bench_affordable_sleepers(size_t n);

#endif
