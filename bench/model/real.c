/* SPDX-License-Identifier: MIT */
/*
 * real - see the header. What the engine does is counted where one file calls another: the linker puts
 * __wrap_ functions in between (meson.build), so the library itself is as it always is.
 */
#include "real.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weft.h>

#include "sched/worker.h"

enum { ROUNDS_MAX = 31, PAIRS_MAX = 64, WIDTH_MAX = 4096 };

/* -- counting ---------------------------------------------------------------------------------- */

static _Atomic(uint64_t) wakes, searches, pools, waits;

#define COUNT_CALLS(counter, result, name, parameters, arguments, counted)               \
	result __real_##name parameters;                                                 \
	result __wrap_##name parameters;                                                 \
	result __wrap_##name parameters                                                  \
	{                                                                                \
		result got = __real_##name arguments;                                    \
                                                                                         \
		if (counted)                                                             \
			weft_add_relaxed(&(counter), 1);                                 \
		return got;                                                              \
	}

COUNT_CALLS(wakes, int, weft_idle_notify, (struct weft_idle * idle), (idle), got >= 0)
COUNT_CALLS(searches, bool, weft_idle_search, (struct weft_idle * idle, unsigned workers),
	(idle, workers), got)
COUNT_CALLS(pools, struct weft_task_magazine, weft_task_pool_get,
	(struct weft_task_pool * pool), (pool), true)
COUNT_CALLS(pools, struct weft_stack *, weft_stack_get,
	(struct weft_stack_pool * pool, struct weft_runtime *runtime, unsigned class),
	(pool, runtime, class), true)

#define COUNT_VOID_CALLS(counter, name, parameters, arguments)                           \
	void __real_##name parameters;                                                   \
	void __wrap_##name parameters;                                                   \
	void __wrap_##name parameters                                                    \
	{                                                                                \
		weft_add_relaxed(&(counter), 1);                                         \
		__real_##name arguments;                                                 \
	}

COUNT_VOID_CALLS(waits, weft_spin_lock_slow, (struct weft_spin * spin), (spin))
COUNT_VOID_CALLS(pools, weft_task_pool_put,
	(struct weft_task_pool * pool, struct weft_task_magazine magazine),
	(pool, magazine))
COUNT_VOID_CALLS(pools, weft_stack_put_chain,
	(struct weft_stack_pool * pool, struct weft_stack *first,
		struct weft_stack *last),
	(pool, first, last))

/* -- time, and work that takes some ------------------------------------------------------------ */

static double now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double turns_per_ns;

static void compute(double ns)
{
	uint64_t x = 1;

	for (double left = ns * turns_per_ns; left > 0; left--) {
		x = x * 6364136223846793005u + 1;
		__asm__ __volatile__("" : "+r"(x));
	}
}

static void calibrate(void)
{
	double best = INFINITY;

	turns_per_ns = 1;
	for (unsigned i = 0; i < 50; i++) {
		double begin = now_ns();

		compute(20000);
		best = fmin(best, now_ns() - begin);
	}
	turns_per_ns = 20000 / best;
}

/* -- the plans --------------------------------------------------------------------------------- */

static const struct model_plan *plan;
static _Atomic(uint64_t) left;
static struct weft_sem last; /* released by the last link of all chains */
static double late;

static int fib(void *arg)
{
	uintptr_t n = (uintptr_t)arg;
	struct weft_task *task;

	if (plan->task_ns > 0)
		compute(plan->task_ns);
	if (n < 2)
		return 0;
	task = weft_create_task(fib, (void *)(n - 1));
	fib((void *)(n - 2));
	return weft_join(task);
}

static int skynet(void *arg)
{
	uintptr_t n = (uintptr_t)arg;
	struct weft_task *tasks[10];

	if (n == 0) {
		if (plan->task_ns > 0)
			compute(plan->task_ns);
		return 0;
	}
	for (unsigned i = 0; i < 10; i++)
		tasks[i] = weft_create_task(skynet, (void *)(n - 1));
	for (unsigned i = 0; i < 10; i++)
		weft_join(tasks[i]);
	return 0;
}

static int leaf(void *arg)
{
	compute(plan->task_ns);
	(void)arg;
	return 0;
}

static int flat(void *arg)
{
	static struct weft_task *tasks[WIDTH_MAX];

	(void)arg;
	for (unsigned round = 0; round < plan->n; round++) {
		for (unsigned i = 0; i < plan->width; i++)
			tasks[i] = weft_create_task(leaf, NULL);
		for (unsigned i = 0; i < plan->width; i++)
			weft_join(tasks[i]);
	}
	return 0;
}

static int chain_link(void *arg)
{
	uintptr_t n = (uintptr_t)arg;

	compute(plan->task_ns);
	if (n > 1)
		weft_release(weft_create_task(chain_link, (void *)(n - 1)));
	if (weft_sub_relaxed(&left, 1) == 1)
		weft_sem_release(&last, 1);
	return 0;
}

static int chains(void *arg)
{
	(void)arg;
	weft_sem_init(&last, 0);
	weft_store_relaxed(&left, (uint64_t)plan->width * plan->n);
	for (unsigned i = 0; i < plan->width; i++)
		weft_release(weft_create_task(chain_link, (void *)(uintptr_t)plan->n));
	return weft_sem_acquire(&last, 1);
}

struct pair {
	struct weft_chan *there, *back;
};

static int pong(void *arg)
{
	struct pair *pair = arg;
	char ball;

	while (weft_chan_recv(pair->there, &ball) == 1)
		weft_chan_send(pair->back, &ball);
	return 0;
}

static int ping(void *arg)
{
	struct pair pair = {weft_chan_create(1, 1), weft_chan_create(1, 1)};
	struct weft_task *task = weft_create_task(pong, &pair);
	char ball = 0;

	(void)arg;
	for (unsigned i = 0; i < plan->n; i++) {
		weft_chan_send(pair.there, &ball);
		weft_chan_recv(pair.back, &ball);
	}
	weft_chan_close(pair.there);
	weft_join(task);
	weft_chan_destroy(pair.there);
	weft_chan_destroy(pair.back);
	return 0;
}

static int pings(void *arg)
{
	struct weft_task *tasks[PAIRS_MAX];

	(void)arg;
	for (unsigned i = 0; i < plan->width; i++)
		tasks[i] = weft_create_task(ping, NULL);
	for (unsigned i = 0; i < plan->width; i++)
		weft_join(tasks[i]);
	return 0;
}

static int request(void *arg)
{
	double due = *(double *)arg, started = now_ns();

	compute(plan->task_ns);
	*(double *)arg = started - due;
	weft_sub_acq_rel(&left, 1);
	return 0;
}

/* This thread is the client; it may not be late itself, so it looks at the clock until it is time. */
static void arrivals(struct weft_runtime *runtime)
{
	double *due = calloc(plan->n, sizeof(*due)), at = now_ns() + 100000;
	uint64_t random = 88172645463325252u;

	if (!due)
		abort();
	weft_store_relaxed(&left, plan->n);
	for (unsigned i = 0; i < plan->n; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		due[i] = at;
		while (now_ns() < at)
			;
		weft_runtime_post(runtime, request, &due[i]);
		at -= log((double)((random >> 33) % 1000000 + 1) / 1000000) *
		      plan->gap_ns;
	}
	while (weft_load_acquire(&left) > 0)
		;
	late = 0;
	for (unsigned i = plan->n / 2; i < plan->n; i++)
		late += due[i] / (plan->n - plan->n / 2);
	free(due);
}

static struct weft_metrics metrics_of(struct weft_runtime *runtime)
{
	struct weft_metrics metrics = {.size = sizeof(metrics)};

	weft_runtime_metrics(runtime, &metrics);
	return metrics;
}

enum figure { TIME, STEALS, WAKES, SEARCHES, POOLS, WAITS, LATE, FIGURES };
static double figures[FIGURES][ROUNDS_MAX];

static void one_round(struct weft_runtime *runtime, unsigned round)
{
	static const weft_fn fns[MODEL_WORKS] = {fib, skynet, flat, chains, pings};
	uint64_t steals = metrics_of(runtime).steals,
		 before[] = {wakes, searches, pools, waits};
	double begin = now_ns();

	if (plan->work == MODEL_ARRIVALS)
		arrivals(runtime);
	else
		weft_runtime_call(runtime, fns[plan->work], (void *)(uintptr_t)plan->n,
			WEFT_FOREVER);
	figures[TIME][round] = now_ns() - begin;
	figures[STEALS][round] = (double)(metrics_of(runtime).steals - steals);
	figures[WAKES][round] = (double)(wakes - before[0]);
	figures[SEARCHES][round] = (double)(searches - before[1]);
	figures[POOLS][round] = (double)(pools - before[2]);
	figures[WAITS][round] = (double)(waits - before[3]);
	figures[LATE][round] = late;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct model_result real_run(const struct model_plan *what, unsigned rounds)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct weft_runtime *runtime;
	uint64_t before, tasks;

	if (turns_per_ns == 0)
		calibrate();
	plan = what;
	late = 0;
	config.workers = plan->workers;
	config.stall_report = -1;
	if (weft_runtime_create(&config, &runtime) < 0)
		abort();
	one_round(runtime, 0); /* touches the memory */
	before = metrics_of(runtime).created;
	for (unsigned round = 0; round < rounds; round++)
		one_round(runtime, round);
	tasks = (metrics_of(runtime).created - before) / rounds;
	weft_runtime_destroy(runtime);
	for (unsigned i = 0; i < FIGURES; i++)
		qsort(figures[i], rounds, sizeof(double), ascending);
	return (struct model_result){
		.tasks = tasks,
		.time = figures[TIME][0],
		.steals = (uint64_t)figures[STEALS][rounds / 2],
		.wakes = (uint64_t)figures[WAKES][rounds / 2],
		.searches = (uint64_t)figures[SEARCHES][rounds / 2],
		.pools = (uint64_t)figures[POOLS][rounds / 2],
		.waits = (uint64_t)figures[WAITS][rounds / 2],
		.late = figures[LATE][0],
	};
}
