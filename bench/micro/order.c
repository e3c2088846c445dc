/* SPDX-License-Identifier: MIT */
/*
 * order - what order costs: members per second without an order and in each of the five modes, and how many
 * per cent of what there is without.
 *
 * n members are alive at a time; when one ends, the next is created. A member works three times, for
 * 10 or 100 us, and sleeps for a millisecond twice in between; in COMMIT its third work is the section.
 * Work and sleeps are steady, spread evenly over +-50 %, or exponential, with the same mean; the same draws
 * for every mode. Modes take turns round by round, and a share is of one round.
 *
 * The last figures are of members that return at once: the price of the mechanism alone.
 */
#include "bench.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	N = 128,
	SEGMENTS = 3,
	UNORDERED = 0,
	MODES = WEFT_ORDER_COMMIT + 1,
	CHAIN_SLOWER = 16, /* a round of it has that many times fewer members */
	EMPTY = 100000,
	CALIBRATIONS = 20,
	STEPS = 20000, /* of a calibration */
};

/* How long a member works each time, and how many times n of them are in a round. */
static const struct load {
	const char *name;
	double work_ns;
	size_t times;
} loads[] = {{"10us", 10e3, 24}, {"100us", 100e3, 4}};

static const double pause_ns = 1e6;

static const char *const modes[MODES] = {
	[UNORDERED] = "unordered",
	[WEFT_ORDER_CHAIN] = "chain",
	[WEFT_ORDER_START] = "start",
	[WEFT_ORDER_ARRIVAL] = "arrival",
	[WEFT_ORDER_TURN] = "turn",
	[WEFT_ORDER_COMMIT] = "commit",
};

enum jitter { STEADY, EVEN, EXPONENTIAL, JITTERS };
static const char *const jitters[JITTERS] = {"steady", "pm50", "exp"};

struct member {
	uint64_t steps[SEGMENTS];
	weft_ns pauses[SEGMENTS - 1];
};

static struct bench_options options;
static struct member *members;
static struct weft_task **tasks;
static size_t count; /* of a round */
static struct weft_sem room;
static int mode;
static double steps_per_ns;
static size_t worked; /* plain: guarded by an order that runs one at a time */

/* A chain of multiplications: as long for every mode, whoever else uses the machine. */
static uint64_t compute(uint64_t steps)
{
	volatile uint64_t sink;
	uint64_t sum = steps;

	while (steps--)
		sum = sum * 6364136223846793005u + 1442695040888963407u;
	sink = sum;
	return sink;
}

static void calibrate(void)
{
	double least = 1e18;

	for (int i = 0; i < CALIBRATIONS; i++) {
		double start = bench_now(), took;

		compute(STEPS);
		took = bench_now() - start;
		least = took < least ? took : least;
	}
	steps_per_ns = STEPS / least;
}

/* splitmix64: the same numbers in every run. In (0, 1). */
static double draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return ((double)((z ^ z >> 31) >> 11) + 0.5) / 9007199254740992.0;
}

/* Has a mean of 1. */
static double factor(enum jitter jitter, uint64_t *state)
{
	double u = draw(state);

	return jitter == STEADY ? 1 : jitter == EVEN ? 0.5 + u : -log(u);
}

static void draw_members(double work_ns, enum jitter jitter)
{
	uint64_t state = 1;

	for (size_t i = 0; i < count; i++) {
		for (int j = 0; j < SEGMENTS; j++)
			members[i].steps[j] = (uint64_t)(work_ns * steps_per_ns *
							 factor(jitter, &state));
		for (int j = 0; j < SEGMENTS - 1; j++)
			members[i].pauses[j] =
				(weft_ns)(pause_ns * factor(jitter, &state));
	}
}

static bool one_at_a_time(void)
{
	return mode == WEFT_ORDER_CHAIN || mode == WEFT_ORDER_ARRIVAL ||
	       mode == WEFT_ORDER_TURN;
}

static int body(void *arg)
{
	const struct member *self = arg;

	for (int i = 0; i < SEGMENTS; i++) {
		if (mode == WEFT_ORDER_COMMIT && i == SEGMENTS - 1)
			bench_check(weft_commit_begin() == 0, "a section begins");
		compute(self->steps[i]);
		worked += one_at_a_time();
		if (i < SEGMENTS - 1)
			weft_sleep(self->pauses[i]);
	}
	if (mode == WEFT_ORDER_COMMIT)
		weft_commit_end();
	weft_sem_release(&room, 1);
	return 0;
}

static int empty(void *arg)
{
	(void)arg;
	return 0;
}

/* Creates members, with at most so many alive, and waits for all. Returns how long it took. */
static double stream(size_t n, weft_fn fn, size_t alive)
{
	double start = bench_now();
	struct weft_order *order = NULL;

	if (mode != UNORDERED) {
		order = weft_order_create(mode, "stream");
		bench_check(order != NULL, "an order");
	}
	weft_sem_init(&room, (unsigned)alive);
	for (size_t i = 0; i < n; i++) {
		void *arg = fn == body ? &members[i] : NULL;

		if (alive)
			bench_check(weft_sem_acquire(&room, 1) == 0, "room for one more");
		tasks[i] = order ? weft_order_create_task(order, fn, arg)
				 : weft_create_task(fn, arg);
	}
	weft_order_release(order);
	bench_check(weft_gather(tasks, n, NULL, 0) == 0, "all members succeed");
	weft_release_all(tasks, n);
	return bench_now() - start;
}

/* Members per second. */
static double working_round(void)
{
	size_t n = mode == WEFT_ORDER_CHAIN ? (count + CHAIN_SLOWER - 1) / CHAIN_SLOWER
					    : count;
	double took;

	worked = 0;
	took = stream(n, body, options.n);
	bench_check(!one_at_a_time() || worked == n * SEGMENTS, "one at a time");
	return (double)n / took * 1e9;
}

/* Nanoseconds per member. */
static double empty_round(void)
{
	return stream(count, empty, 0) / (double)count;
}

/* Rounds of all modes in turn, after one that is not counted. */
static void measure(double (*round)(void), const char *what, const char *unit)
{
	double figures[MODES][BENCH_ROUNDS_MAX], shares[MODES][BENCH_ROUNDS_MAX];
	char name[64];

	for (unsigned i = 0; i <= options.rounds; i++) {
		unsigned to = i ? i - 1 : 0;

		for (mode = 0; mode < MODES; mode++) {
			figures[mode][to] = round();
			shares[mode][to] =
				100 * figures[mode][to] / figures[UNORDERED][to];
		}
	}
	for (mode = 0; mode < MODES; mode++) {
		snprintf(name, sizeof(name), "order_%s_%s", modes[mode], what);
		bench_print(name, options.workers, figures[mode], options.rounds, unit);
		if (mode == UNORDERED)
			continue;
		snprintf(name, sizeof(name), "order_%s_%s_share", modes[mode], what);
		bench_print(name, options.workers, shares[mode], options.rounds, "%");
	}
}

/* Members and handles for a round of so many. */
static void make_room(size_t n)
{
	count = n;
	free(members);
	free(tasks);
	members = calloc(n, sizeof(*members));
	tasks = calloc(n, sizeof(struct weft_task *));
	bench_check(members && tasks, "memory");
}

static int measure_all(void *arg)
{
	char what[32];

	(void)arg;
	for (size_t i = 0; i < sizeof(loads) / sizeof(*loads); i++) {
		make_room(options.n * loads[i].times);
		for (int jitter = 0; jitter < JITTERS; jitter++) {
			draw_members(loads[i].work_ns, jitter);
			snprintf(what, sizeof(what), "%s_%s", loads[i].name,
				jitters[jitter]);
			measure(working_round, what, "members/s");
		}
	}
	make_room(EMPTY);
	measure(empty_round, "empty", "ns/member");
	return 0;
}

int main(int argc, char **argv)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	int rc;

	options = bench_parse(argc, argv);
	options.n = options.n ? options.n : N;
	config.workers = options.workers;
	config.stall_report = -1;
	calibrate();
	rc = weft_run(measure_all, NULL, &config);
	bench_check(rc >= 0, "it runs");
	free(members);
	free(tasks);
	return 0;
}
