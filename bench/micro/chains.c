/* SPDX-License-Identifier: MIT */
/*
 * chains - ten thousand independent CHAINs of n members, each of which computes for a microsecond: do
 * they run in parallel? ns per link. With several workers also the time as a part of what one
 * worker takes, round by round, and the same of as many plain threads that do nothing but
 * compute (`floor`): what the machine can do meanwhile.
 */
#include "bench.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHAINS = 10000, LINK_NS = 1000, SPINS = 1000000, THREADS_MAX = 64 };

static size_t spins; /* of one link */

static void compute(size_t count)
{
	for (size_t i = 0; i < count; i++)
		__asm__ volatile("" : : : "memory");
}

/* An amount of work, not of time: a worker that must share its processor does no less of it. */
static void set_spins(void)
{
	double least = 0;

	for (int i = 0; i < 10; i++) {
		double start = bench_now(), took;

		compute(SPINS);
		took = bench_now() - start;
		if (i == 0 || took < least)
			least = took;
	}
	spins = (size_t)(LINK_NS * SPINS / least);
}

static int member(void *arg)
{
	compute(spins);
	++*(size_t *)arg; /* of its chain: no two at a time */
	return 0;
}

/* Returns the chain's last member. */
static struct weft_task *create_chain(size_t links, size_t *ran)
{
	struct weft_order *order = weft_order_create(WEFT_ORDER_CHAIN, "chain");
	struct weft_task *last;

	bench_check(order != NULL, "an order");
	for (size_t i = 1; i < links; i++)
		weft_release(weft_order_create_task(order, member, ran));
	last = weft_order_create_task(order, member, ran);
	weft_order_release(order);
	return last;
}

struct round {
	size_t links;
	double ns; /* per link */
};

static void run_chains(struct round *round)
{
	struct weft_task **last = malloc(CHAINS * sizeof(*last));
	size_t *ran = calloc(CHAINS, sizeof(*ran));
	double start = bench_now();

	for (size_t i = 0; i < CHAINS; i++)
		last[i] = create_chain(round->links, &ran[i]);
	for (size_t i = 0; i < CHAINS; i++)
		bench_check(weft_join(last[i]) == 0, "the last member succeeds");
	round->ns = (bench_now() - start) / (double)(CHAINS * round->links);
	for (size_t i = 0; i < CHAINS; i++)
		bench_check(ran[i] == round->links, "every member runs once");
	free(ran);
	free(last);
}

static int measure(void *arg)
{
	run_chains(arg); /* touches the memory */
	run_chains(arg);
	return 0;
}

static double round_of(unsigned workers, size_t links)
{
	struct round round = {.links = links};
	struct weft_config config = WEFT_CONFIG_INIT;
	int rc;

	config.workers = workers;
	config.stall_report = -1;
	rc = weft_run(measure, &round, &config);
	bench_check(rc == 0, strerror(-rc));
	return round.ns;
}

static void *thread(void *arg)
{
	compute(*(size_t *)arg);
	return NULL;
}

/* ns per link for threads that share the computing. */
static double compute_on(unsigned threads, size_t links)
{
	pthread_t handles[THREADS_MAX];
	size_t share = CHAINS * links * spins / threads;
	double start = bench_now();

	for (unsigned i = 1; i < threads; i++)
		bench_check(pthread_create(&handles[i], NULL, thread, &share) == 0,
			"a thread");
	compute(share);
	for (unsigned i = 1; i < threads; i++)
		pthread_join(handles[i], NULL);
	return (bench_now() - start) / (double)(CHAINS * links);
}

int main(int argc, char **argv)
{
	struct bench_options options = bench_parse(argc, argv);
	double ns[BENCH_ROUNDS_MAX], times[BENCH_ROUNDS_MAX], floors[BENCH_ROUNDS_MAX];
	size_t links = options.n ? options.n : 10;

	set_spins();
	bench_check(options.workers <= THREADS_MAX, "not so many workers");
	for (unsigned i = 0; i < options.rounds; i++) {
		ns[i] = round_of(options.workers, links);
		if (options.workers > 1) {
			times[i] = ns[i] / round_of(1, links);
			floors[i] =
				compute_on(options.workers, links) / compute_on(1, links);
		}
	}
	bench_print("chains", options.workers, ns, options.rounds, "ns/link");
	if (options.workers > 1) {
		bench_print("chains_times", options.workers, times, options.rounds, "x");
		bench_print("chains_floor", options.workers, floors, options.rounds, "x");
	}
	return 0;
}
