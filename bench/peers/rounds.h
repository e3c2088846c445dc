/* SPDX-License-Identifier: MIT */
/*
 * rounds - the frame of the peers that answer bench/micro's questions without weft, in C and C++:
 * options, rounds after one that is not counted, the median, and the same line of output.
 *
 *   PROGRAM QUESTION [--workers N] [--rounds N] [--n N]
 */
#ifndef WEFT_BENCH_PEERS_ROUNDS_H
#define WEFT_BENCH_PEERS_ROUNDS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS_MAX = 99 };

struct rounds_question {
	const char *name, *unit;
	size_t n; /* of a round, unless --n says otherwise */
	double (*round)(size_t n, unsigned workers);
};

static inline double rounds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static inline void rounds_check(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "peer: wrong: %s\n", what);
	exit(1);
}

static inline int rounds_ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Ends the program if the command line asks for nothing that is there. */
static inline int rounds_main(
	int argc, char **argv, const struct rounds_question *questions, size_t count)
{
	const struct rounds_question *question = NULL;
	unsigned workers = 1, rounds = 5;
	double figures[ROUNDS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < count && argc > 1; i++)
		if (strcmp(argv[1], questions[i].name) == 0)
			question = &questions[i];
	for (int i = 2; i + 1 < argc; i += 2) {
		unsigned long value = strtoul(argv[i + 1], NULL, 10);

		if (strcmp(argv[i], "--workers") == 0)
			workers = (unsigned)value;
		else if (strcmp(argv[i], "--rounds") == 0)
			rounds = (unsigned)value;
		else if (strcmp(argv[i], "--n") == 0)
			n = value;
		else
			question = NULL;
	}
	if (!question || argc % 2 || !workers || !rounds || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: %s QUESTION [--workers N] [--rounds N] [--n N]\n",
			argv[0]);
		return 2;
	}
	n = n ? n : question->n;
	question->round(n, workers); /* touches the memory */
	for (unsigned i = 0; i < rounds; i++)
		figures[i] = question->round(n, workers);
	qsort(figures, rounds, sizeof(*figures), rounds_ascending);
	printf("%s %u %.2f %.2f %.2f %s\n", question->name, workers,
		(figures[(rounds - 1) / 2] + figures[rounds / 2]) / 2, figures[0],
		figures[rounds - 1], question->unit);
	return 0;
}

#endif
