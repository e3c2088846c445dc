/* SPDX-License-Identifier: MIT */
/*
 * chain - n members of one CHAIN are created and run, one after the other: ns per link, both together,
 * after a round that touched the memory; the same in that round (`cold`); and what a member that
 * waits keeps resident. Every round has a runtime of its own.
 */
#include "bench.h"

#include <stdio.h>
#include <string.h>

enum { LINKS = 1000000 };

struct round {
	size_t n;
	double cold, warm; /* ns per link */
	double waiting;    /* bytes per member */
};

/* Resident memory of the process, in bytes. */
static double resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	bench_check(file && fscanf(file, "%*u %lu", &pages) == 1, "/proc/self/statm");
	fclose(file);
	return 4096.0 * (double)pages;
}

static int body(void *arg)
{
	++*(size_t *)arg;
	return 0;
}

static double chain(size_t n, double *waiting)
{
	struct weft_order *order = weft_order_create(WEFT_ORDER_CHAIN, "chain");
	double before = resident(), start, created, end;
	struct weft_task *last;
	size_t ran = 0;

	bench_check(order != NULL, "an order");
	start = bench_now();
	for (size_t i = 1; i < n; i++)
		weft_release(weft_order_create_task(order, body, &ran));
	last = weft_order_create_task(order, body, &ran);
	created = bench_now();
	if (waiting)
		*waiting = (resident() - before) / (double)n;
	start += bench_now() - created;
	bench_check(weft_join(last) == 0, "the last member succeeds");
	end = bench_now();
	bench_check(ran == n, "every member runs once");
	weft_order_release(order);
	return (end - start) / (double)n;
}

static int measure(void *arg)
{
	struct round *round = arg;

	round->cold = chain(round->n, &round->waiting);
	round->warm = chain(round->n, NULL);
	return 0;
}

int main(int argc, char **argv)
{
	struct bench_options options = bench_parse(argc, argv);
	double cold[BENCH_ROUNDS_MAX], warm[BENCH_ROUNDS_MAX], waiting[BENCH_ROUNDS_MAX];
	struct round round = {.n = options.n ? options.n : LINKS};
	struct weft_config config = WEFT_CONFIG_INIT;
	int rc = 0;

	config.workers = options.workers;
	config.stall_report = -1;
	/* On a virtual machine the host, too, must find memory at first: a round for that. */
	rc = weft_run(measure, &round, &config);
	for (unsigned i = 0; i < options.rounds && rc == 0; i++) {
		rc = weft_run(measure, &round, &config);
		cold[i] = round.cold;
		warm[i] = round.warm;
		waiting[i] = round.waiting;
	}
	if (rc < 0) {
		fprintf(stderr, "chain: %s\n", strerror(-rc));
		return 1;
	}
	bench_print("chain", options.workers, warm, options.rounds, "ns/link");
	bench_print("chain_cold", options.workers, cold, options.rounds, "ns/link");
	if (options.workers == 1) /* others run members while more are created */
		bench_print("chain_waiting", 1, waiting, options.rounds, "B/task");
	return 0;
}
