/* SPDX-License-Identifier: MIT */
/*
 * main - tables of the model: its costs, how far it is from real runs, and what it says about more workers.
 *
 *	model costs        what the steps cost on this machine
 *	model check        the model with these costs beside real runs, one worker and two
 *	model sweep [N]    up to N workers, 256 unless said, with the stated costs
 *	model what-if [N]  N workers, 64 unless said, with other costs, and with rules the library lacks
 *	model test         whether the model itself is sound
 *
 * A table is a line `# title`, then a head and rows, tab-separated; bench/report/model.py sets them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "real.h"

/* Near what was measured (docs/PERFORMANCE.md), so that a table can be had again to the digit. */
static const struct model_costs stated = {.create = 16,
	.run = 27,
	.join = 16,
	.hop = 76,
	.hit = 1,
	.locked = 2.5,
	.transfer = 100,
	.copy = 10,
	.look = 33,
	.clock = 30,
	.sleep = 1000,
	.wake_sender = 4500,
	.wake_after = 13000,
	.wake_spread = 10000};

static void print_costs(const char *title, const struct model_costs *costs)
{
	printf("# %s, ns\n"
	       "create\trun\tjoin\thop\there\tlocked\ttransfer\tcopy\tlook\tclock\tsleep"
	       "\twaking\twoken after\tand on average\n"
	       "%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.0f\t%.0f\t%"
	       ".0f\t%.0f\n",
		title, costs->create, costs->run, costs->join, costs->hop, costs->hit,
		costs->locked, costs->transfer, costs->copy, costs->look, costs->clock,
		costs->sleep, costs->wake_sender, costs->wake_after, costs->wake_spread);
}

struct named_plan {
	const char *name;
	struct model_plan plan;
};

static double per_thousand(uint64_t count, uint64_t tasks)
{
	return 1000.0 * (double)count / (double)tasks;
}

static void check(const struct model_costs *costs)
{
	static const struct named_plan plans[] = {
		{"fib(24)", {.work = MODEL_FIB, .n = 24}},
		{"fib(16), 1 us a call", {.work = MODEL_FIB, .n = 16, .task_ns = 1000}},
		{"skynet, 10^5 leaves", {.work = MODEL_SKYNET, .n = 5}},
		{"1000 of 1 us, 10 times",
			{.work = MODEL_FLAT, .n = 10, .width = 1000, .task_ns = 1000}},
		{"100 chains of 100, 1 us",
			{.work = MODEL_CHAINS, .n = 100, .width = 100, .task_ns = 1000}},
		{"8 of 1 ms, 10 times",
			{.work = MODEL_FLAT, .n = 10, .width = 8, .task_ns = 1000000}},
		{"1 pair, 10^4 trips", {.work = MODEL_PINGS, .n = 10000, .width = 1}},
		{"16 pairs, 2000 trips", {.work = MODEL_PINGS, .n = 2000, .width = 16}},
		{"arrivals, 10 us, every 100", {.work = MODEL_ARRIVALS,
						       .n = 300,
						       .task_ns = 10000,
						       .gap_ns = 100000}},
		{"arrivals, 10 us, every 15", {.work = MODEL_ARRIVALS,
						      .n = 1000,
						      .task_ns = 10000,
						      .gap_ns = 15000}},
	};

	printf("# the model beside real runs: us a round, or us late; the rest is "
	       "counted in a round\n"
	       "work\tworkers\treal\tmodel\terror %%\tsteals, real\tmodel\twakes, "
	       "real\tmodel\tsearches, real\tmodel\tpools, real\tmodel\tlock waits\n");
	for (size_t i = 0; i < 2 * sizeof(plans) / sizeof(plans[0]); i++) {
		struct model_plan plan = plans[i / 2].plan;
		bool late = plan.work == MODEL_ARRIVALS;
		struct model_result real, model;
		double a, b;

		plan.workers = 1 + i % 2;
		real = real_run(&plan, 9);
		model = model_run(&plan, costs);
		a = (late ? real.late : real.time) / 1000;
		b = (late ? model.late : model.time) / 1000;
		printf("%s\t%u\t%.0f\t%.0f\t%+.0f\t%ju\t%ju\t%ju\t%ju\t%ju\t%ju\t%ju\t%"
		       "ju\t%ju\n",
			plans[i / 2].name, plan.workers, a, b, 100 * (b / a - 1),
			(uintmax_t)real.steals, (uintmax_t)model.steals,
			(uintmax_t)real.wakes, (uintmax_t)model.wakes,
			(uintmax_t)real.searches, (uintmax_t)model.searches,
			(uintmax_t)real.pools, (uintmax_t)model.pools,
			(uintmax_t)real.waits);
		fflush(stdout);
	}
}

/* As much of the work as keeps that many workers busy for some time. */
static struct model_plan scaled(struct model_plan plan, unsigned workers)
{
	plan.workers = workers;
	if (plan.work == MODEL_FIB)
		for (double tasks = 1; tasks < workers; tasks *= 1.618)
			plan.n++;
	else if (plan.work == MODEL_CHAINS || plan.work == MODEL_PINGS)
		plan.width *= workers;
	else
		plan.n *= workers;
	plan.gap_ns /= workers;
	return plan;
}

static const struct named_plan sweeps[] = {
	{"a tree, fib, nothing but tasks", {.work = MODEL_FIB, .n = 19}},
	{"a tree, fib, 1 us a call", {.work = MODEL_FIB, .n = 17, .task_ns = 1000}},
	{"tasks of 1 us, 1000 at a time, from one creator",
		{.work = MODEL_FLAT, .n = 1, .width = 1000, .task_ns = 1000}},
	{"chains of 1 us, 8 a worker",
		{.work = MODEL_CHAINS, .n = 100, .width = 8, .task_ns = 1000}},
	{"pairs that ping and pong, 4 a worker",
		{.work = MODEL_PINGS, .n = 500, .width = 4}},
	{"arrivals of 10 us, load 0.1",
		{.work = MODEL_ARRIVALS, .n = 100, .task_ns = 10000, .gap_ns = 100000}},
	{"arrivals of 10 us, load 0.5",
		{.work = MODEL_ARRIVALS, .n = 400, .task_ns = 10000, .gap_ns = 20000}},
	{"arrivals of 10 us, load 0.9",
		{.work = MODEL_ARRIVALS, .n = 800, .task_ns = 10000, .gap_ns = 11111}},
};

enum { SWEEPS = sizeof(sweeps) / sizeof(sweeps[0]) };

static void sweep(
	const struct named_plan *what, const struct model_costs *costs, unsigned most)
{
	double alone = 0;

	printf("# model: %s\nworkers\ttasks/us\tspeed-up\tlate us\tsteals/ms\tper "
	       "1000\twakes/ms\tper 1000\t"
	       "asked/steal\trunning %%\tsearching %%",
		what->name);
	for (unsigned kind = 0; kind < MODEL_LINES; kind++)
		printf("\t%s %%", model_line_names[kind]);
	printf("\n");
	for (unsigned workers = 1; workers <= most; workers *= 2) {
		struct model_plan plan = scaled(what->plan, workers);
		struct model_result got = model_run(&plan, costs);
		double rate = (double)got.tasks / got.time * 1000, ms = got.time / 1e6;

		if (workers == 1)
			alone = rate;
		printf("%u\t%.2f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%.0f\t%.0f",
			workers, rate, rate / alone, got.late / 1000,
			(double)got.steals / ms, per_thousand(got.steals, got.tasks),
			(double)got.wakes / ms, per_thousand(got.wakes, got.tasks),
			got.steals ? (double)got.requests / (double)got.steals : 0,
			100 * got.running, 100 * got.searching);
		for (unsigned kind = 0; kind < MODEL_LINES; kind++)
			printf("\t%.0f", 100 * got.used[kind]);
		printf("\n");
		fflush(stdout);
	}
}

/* The same works with other costs: which of them matters, and for whom. */
static void what_if(unsigned workers)
{
	static const struct {
		const char *name;
		double far, waking;
		unsigned rule;
	} variants[] = {
		{"as stated", 1, 1, 0},
		{"lines near", 0.5, 1, 0},
		{"lines far", 2, 1, 0},
		{"waking fast", 1, 0.2, 0},
		{"two woken", 1, 1, MODEL_WAKE_TWO},
		{"sleepers apart", 1, 1, MODEL_SLEEPERS_APART},
		{"joins answer", 1, 1, MODEL_JOIN_ANSWERS},
	};
	const unsigned count = sizeof(variants) / sizeof(variants[0]);

	printf("# model: %u workers, speed-up; of arrivals, us late\nwork", workers);
	for (unsigned i = 0; i < count; i++)
		printf("\t%s", variants[i].name);
	for (unsigned i = 0; i < SWEEPS; i++) {
		printf("\n%s", sweeps[i].name);
		for (unsigned v = 0; v < count; v++) {
			struct model_plan one = scaled(sweeps[i].plan, 1),
					  many = scaled(sweeps[i].plan, workers);
			struct model_costs costs = stated;
			struct model_result alone, got;

			costs.transfer *= variants[v].far;
			costs.copy *= variants[v].far;
			costs.wake_sender *= variants[v].waking;
			costs.wake_after *= variants[v].waking;
			costs.wake_spread *= variants[v].waking;
			one.what_if = many.what_if = variants[v].rule;
			alone = model_run(&one, &costs);
			got = model_run(&many, &costs);
			printf("\t%.1f",
				many.work == MODEL_ARRIVALS
					? got.late / 1000
					: (double)got.tasks / got.time /
						  ((double)alone.tasks / alone.time));
		}
	}
	printf("\n");
}

/* -- the model itself -------------------------------------------------------------------------- */

static unsigned failures;

static void expect(bool ok, const char *what, const char *name, unsigned workers)
{
	if (ok)
		return;
	printf("wrong: %s: %s, %u workers\n", what, name, workers);
	failures++;
}

static struct model_costs doubled(struct model_costs costs)
{
	double *cost = (double *)&costs;

	for (size_t i = 0; i < sizeof(costs) / sizeof(*cost); i++)
		cost[i] *= 2;
	return costs;
}

static void test_one(const struct named_plan *what, unsigned workers)
{
	struct model_plan plan = scaled(what->plan, workers);
	struct model_result got = model_run(&plan, &stated),
			    again = model_run(&plan, &stated);

	expect(got.tasks > 0 && got.runs == got.tasks, "every task runs once", what->name,
		workers);
	expect(got.time * workers >= got.serial, "nobody is faster than the work",
		what->name, workers);
	expect(got.time == again.time && got.steals == again.steals, "twice the same",
		what->name, workers);
	expect(got.running + got.searching < 1.001, "a worker does one thing at a time",
		what->name, workers);
	if (workers > 1)
		return;
	expect(got.steals == 0, "one worker steals from nobody", what->name, 1);
	if (plan.work != MODEL_ARRIVALS) {
		struct model_costs twice = doubled(stated);
		double tasks = (double)got.tasks, most = stated.create + stated.run +
							 stated.join + 10 * stated.locked;

		if (plan.work != MODEL_PINGS)
			expect(got.time < got.serial + tasks * most + 1000,
				"one worker takes the serial time", what->name, 1);
		plan.task_ns *= 2;
		again = model_run(&plan, &twice);
		expect(again.time > 1.999 * got.time && again.time < 2.001 * got.time,
			"twice the costs, twice the time", what->name, 1);
	}
}

static int test(void)
{
	for (unsigned i = 0; i < SWEEPS; i++) {
		for (unsigned workers = 1; workers <= 16; workers *= 4)
			test_one(&sweeps[i], workers);
	}
	printf("%u wrong\n", failures);
	return failures > 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	unsigned most = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 256;
	struct model_costs costs;

	if (strcmp(what, "sweep") == 0) {
		print_costs("the model's steps, stated", &stated);
		for (unsigned i = 0; i < SWEEPS; i++)
			sweep(&sweeps[i], &stated, most);
	} else if (strcmp(what, "what-if") == 0) {
		what_if(argc > 2 ? most : 64);
	} else if (strcmp(what, "test") == 0) {
		return test();
	} else {
		costs = real_costs();
		print_costs("the model's steps, measured here", &costs);
		if (strcmp(what, "check") == 0)
			check(&costs);
	}
	return 0;
}
