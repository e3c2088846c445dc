/* SPDX-License-Identifier: MIT */
/*
 * costs - what the model's steps take on this machine, each the least of many tries: what others do on the
 * machine meanwhile is not the library's.
 */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "base/sys.h"
#include "real.h"

static _Atomic(uint32_t) ball __attribute__((aligned(64)));
static _Atomic(uint32_t) bell __attribute__((aligned(64)));

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static double now_ns(void)
{
	return (double)weft_sys_clock();
}

enum { TRIPS = 200, TRIES = 200 };

/* The other thread: hands the ball back, then sleeps until the bell rings. */
static _Atomic(int64_t) woken_at;

static void *other(void *arg)
{
	pin(1);
	for (uint32_t i = 0; i < TRIES * TRIPS; i++) {
		while (weft_load_acquire(&ball) != 2 * i + 1)
			;
		weft_store_release(&ball, 2 * i + 2);
	}
	for (uint32_t i = 0; i < TRIES; i++) {
		while (weft_load_acquire(&bell) == i)
			weft_futex_wait(&bell, i, -1);
		weft_store_release(&woken_at, weft_sys_clock());
	}
	return arg;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void between_threads(struct model_costs *costs)
{
	double sent = INFINITY, after[TRIES];
	pthread_t thread;
	uint32_t at = 0;

	costs->transfer = INFINITY;
	if (pthread_create(&thread, NULL, other, NULL))
		return;
	for (unsigned try = 0; try < TRIES; try++) {
		double begin = now_ns();

		for (unsigned i = 0; i < TRIPS; i++, at += 2) {
			weft_store_release(&ball, at + 1);
			while (weft_load_acquire(&ball) != at + 2)
				;
		}
		costs->transfer = fmin(costs->transfer, (now_ns() - begin) / TRIPS / 2);
	}
	for (uint32_t i = 0; i < TRIES; i++) {
		double begin = now_ns();

		while (now_ns() - begin < 200000) /* it is asleep by then */
			;
		weft_store_relaxed(&woken_at, 0);
		begin = now_ns();
		weft_store_release(&bell, i + 1);
		weft_futex_wake(&bell, 1);
		sent = fmin(sent, now_ns() - begin);
		while (!weft_load_acquire(&woken_at))
			;
		after[i] = (double)weft_load_acquire(&woken_at) - begin;
	}
	qsort(after, TRIES, sizeof(*after), ascending);
	costs->wake_after = after[0];
	costs->wake_spread = after[TRIES / 2] - after[0];
	costs->wake_sender = sent;
	pthread_join(thread, NULL);
}

static double per_turn(void (*turn)(void))
{
	double best = INFINITY;

	for (unsigned try = 0; try < TRIES; try++) {
		double begin = now_ns();

		for (unsigned i = 0; i < TRIPS; i++)
			turn();
		best = fmin(best, (now_ns() - begin) / TRIPS);
	}
	return best;
}

static void locked(void)
{
	weft_add_seq_cst(&ball, 1);
}

static void look(void)
{
	weft_cpu_relax();
}

static void read_clock(void)
{
	weft_sys_clock();
}

static double per_task(struct model_plan plan, unsigned rounds)
{
	struct model_result got = real_run(&plan, rounds);

	return got.time / (double)got.tasks;
}

struct model_costs real_costs(void)
{
	struct model_costs costs = {.hit = 1, .copy = 10};
	const struct model_plan pair = {
		.work = MODEL_PINGS, .workers = 1, .n = 20000, .width = 1};
	cpu_set_t before;
	double both, made;

	sched_getaffinity(0, sizeof(before), &before);
	pin(0);
	between_threads(&costs);
	sched_setaffinity(0, sizeof(before), &before);
	costs.locked = per_turn(locked);
	costs.look = per_turn(look) + 5 * costs.hit;
	costs.clock = per_turn(read_clock);
	costs.sleep = 1000; /* stated: two system calls and a switch */
	/* One worker: nothing is shared and nobody waits. Creating and joining share what both take. */
	both = per_task(
		(struct model_plan){.work = MODEL_FIB, .workers = 1, .n = 22}, 15);
	costs.create = both / 2;
	costs.join = both / 2;
	made = per_task(
		(struct model_plan){
			.work = MODEL_CHAINS, .workers = 1, .n = 1000, .width = 20},
		9);
	costs.run = fmax(made - costs.create, 1);
	costs.hop = real_run(&pair, 9).time / (2 * pair.n);
	return costs;
}
