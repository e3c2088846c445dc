/* SPDX-License-Identifier: MIT */
/*
 * bench - cold code around the measured rounds; see bench.h.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct run {
	const struct bench *bench;
	struct bench_options options;
	double figures[BENCH_ROUNDS_MAX];
};

double bench_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

void bench_check(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench: wrong: %s\n", what);
	exit(1);
}

struct bench_options bench_parse(int argc, char **argv)
{
	struct bench_options options = {.workers = 1, .rounds = 5};

	for (int i = 1; i + 1 < argc; i += 2) {
		unsigned long value = strtoul(argv[i + 1], NULL, 10);

		if (strcmp(argv[i], "--workers") == 0)
			options.workers = (unsigned)value;
		else if (strcmp(argv[i], "--rounds") == 0)
			options.rounds = (unsigned)value;
		else if (strcmp(argv[i], "--n") == 0)
			options.n = value;
		else
			options.rounds = 0;
	}
	if (argc % 2 == 0 || !options.rounds || options.rounds > BENCH_ROUNDS_MAX) {
		fprintf(stderr, "usage: %s [--workers N] [--rounds N] [--n N]\n",
			argv[0]);
		exit(2);
	}
	return options;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void bench_print(const char *name, unsigned workers, double *figures, unsigned count,
	const char *unit)
{
	double median;

	qsort(figures, count, sizeof(*figures), ascending);
	median = (figures[(count - 1) / 2] + figures[count / 2]) / 2;
	printf("%s %u %.2f %.2f %.2f %s\n", name, workers, median, figures[0],
		figures[count - 1], unit);
}

static int rounds(void *arg)
{
	struct run *run = arg;
	size_t n = run->options.n ? run->options.n : run->bench->n;

	/* The first round touches the memory. */
	run->bench->round(n);
	for (unsigned i = 0; i < run->options.rounds; i++)
		run->figures[i] = run->bench->round(n);
	return 0;
}

int bench_main(int argc, char **argv, const struct bench *bench)
{
	struct run run = {.bench = bench, .options = bench_parse(argc, argv)};
	struct weft_config config = WEFT_CONFIG_INIT;
	int rc;

	config.workers = run.options.workers;
	/* A round is one long computation to the runtime; that is no news here. */
	config.stall_report = -1;
	rc = weft_run(rounds, &run, &config);
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", bench->name, strerror(-rc));
		return 1;
	}
	bench_print(bench->name, config.workers, run.figures, run.options.rounds,
		bench->unit);
	return 0;
}

size_t bench_affordable_sleepers(size_t n)
{
	FILE *file = fopen("/proc/meminfo", "r");
	unsigned long kib = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %lu", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib && n > kib / 9 ? kib / 9 : n;
}
