/* SPDX-License-Identifier: MIT */
/*
 * simulate - what a step of a simulation costs, for each policy: eight tasks that give way to each other. And what
 * an empty simulation costs, which is what a test that tries many seeds pays for each. ns.
 */
#include <stdio.h>

#include "bench.h"

enum { TASKS = 8 };

static int give_way(void *arg)
{
	for (size_t left = *(size_t *)arg; left; left--)
		weft_yield();
	return 0;
}

static int all_give_way(void *arg)
{
	struct weft_task *tasks[TASKS];

	for (int i = 0; i < TASKS; i++)
		tasks[i] = weft_create_task(give_way, arg);
	weft_gather(tasks, TASKS, NULL, 0);
	weft_release_all(tasks, TASKS);
	return 0;
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static double step(int policy, size_t n)
{
	struct weft_sim sim = {.size = sizeof(sim), .seed = 1, .policy = policy};
	double start = bench_now();

	n /= TASKS;
	bench_check(weft_simulate(all_give_way, &n, &sim) == 0, "the simulation failed");
	return (bench_now() - start) / (double)sim.steps;
}

static double empty(size_t n)
{
	double start = bench_now();

	for (size_t i = 0; i < n; i++) {
		struct weft_sim sim = {.size = sizeof(sim), .seed = i};

		bench_check(weft_simulate(nothing, NULL, &sim) == 0, "the simulation failed");
	}
	return (bench_now() - start) / (double)n;
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"simulate_fifo", "simulate_random", "simulate_pct"};
	struct bench_options options = bench_parse(argc, argv);
	double figures[BENCH_ROUNDS_MAX];
	size_t n = options.n ? options.n : 1000000;

	for (int policy = WEFT_SIM_FIFO; policy <= WEFT_SIM_PCT; policy++) {
		for (unsigned i = 0; i < options.rounds; i++)
			figures[i] = step(policy, n);
		bench_print(names[policy], 1, figures, options.rounds, "ns/step");
	}
	for (unsigned i = 0; i < options.rounds; i++)
		figures[i] = empty(n / 1000);
	bench_print("simulate_empty", 1, figures, options.rounds, "ns/run");
	return 0;
}
