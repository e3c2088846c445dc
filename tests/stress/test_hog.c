/* SPDX-License-Identifier: MIT */
/*
 * test_hog - one task computes without a call into weft until all that the others have to do is
 * done. So each thing that is stuck behind it, on its worker, is stuck for good, and the test
 * ends by saying what is left: nothing here depends on how fast the machine is, but for a
 * generous bound on the latency beside the computation.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <weft.h>

#include "base/atomic.h"

enum { PATIENCE_S = 20, ROUNDS = 1 + 19 / WEFT_TEST_SCALE };

static _Atomic(uint32_t) left;      /* what has still to happen */
static _Atomic(uint32_t) computing; /* the hog does */

static int64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * (int64_t)1000000000 + now.tv_nsec;
}

/* User code, all of it: returns when the others are done. */
static void compute(void)
{
	int64_t give_up = clock_ns() + PATIENCE_S * (int64_t)1000000000;

	weft_store_release(&computing, 1);
	while (weft_load_acquire(&left) > 0)
		cr_assert_lt(clock_ns(), give_up, "%u are stuck behind a computation",
			weft_load_relaxed(&left));
	weft_store_release(&computing, 0);
}

static void rounds(weft_fn round)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.workers = 2;
	config.stall_report = -1;
	for (int i = 0; i < ROUNDS; i++)
		cr_assert_eq(weft_run(round, NULL, &config), 0);
}

/* -- input and output -------------------------------------------------------------------------- */

enum { PAIRS = 4, TRIPS = 1000 };

struct pair {
	int fds[2];
	int count;
};

static struct pair pairs[PAIRS];
static int64_t trips[PAIRS * TRIPS]; /* ns */
static _Atomic(uint32_t) under_way;

static int pong(void *arg)
{
	int fd = ((struct pair *)arg)->fds[1];
	char ball;

	while (weft_recv(fd, &ball, 1, 0) == 1)
		cr_assert_eq(weft_send(fd, &ball, 1, 0), 1);
	return weft_close(fd);
}

static void trip(const struct pair *pair)
{
	char ball = 'o';

	cr_assert_eq(weft_send(pair->fds[0], &ball, 1, 0), 1);
	cr_assert_eq(weft_recv(pair->fds[0], &ball, 1, 0), 1);
}

static int ping(void *arg)
{
	struct pair *pair = arg;

	trip(pair);
	weft_add_acq_rel(&under_way, 1);
	while (pair->count < TRIPS) {
		int64_t begin = clock_ns();

		trip(pair);
		if (weft_load_acquire(&computing))
			trips[(pair - pairs) * TRIPS + pair->count++] =
				clock_ns() - begin;
	}
	weft_sub_acq_rel(&left, 1);
	return weft_close(pair->fds[0]);
}

static int compute_in_task(void *arg)
{
	(void)arg;
	compute();
	return 0;
}

static int ascending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int play_beside_a_hog(void *arg)
{
	struct weft_task *tasks[2 * PAIRS];

	(void)arg;
	weft_store_release(&left, PAIRS);
	weft_store_release(&under_way, 0);
	for (int i = 0; i < PAIRS; i++) {
		pairs[i].count = 0;
		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i].fds), 0);
		tasks[2 * i] = weft_create_task(pong, &pairs[i]);
		tasks[2 * i + 1] = weft_create_task(ping, &pairs[i]);
	}
	while (weft_load_acquire(&under_way) < PAIRS)
		cr_assert_eq(weft_yield(), 0);
	cr_assert_eq(weft_join(weft_create_task(compute_in_task, NULL)), 0);
	cr_assert_eq(weft_gather(tasks, 2 * PAIRS, NULL, 0), 0);
	weft_release_all(tasks, 2 * PAIRS);
	qsort(trips, PAIRS * TRIPS, sizeof(trips[0]), ascending);
	cr_assert_lt(trips[PAIRS * TRIPS * 99 / 100], WEFT_MS(50));
	return 0;
}

Test(stress_hog, ping_pong_goes_on_beside_a_computation, .timeout = 2 * PATIENCE_S)
{
	rounds(play_beside_a_hog);
}

/* -- what was on the worker when the computation began ----------------------------------------- */

enum { TASKS = 8 };

static int be_done(void *arg)
{
	(void)arg;
	weft_sub_acq_rel(&left, 1);
	return 0;
}

static int sleep_and_be_done(void *arg)
{
	weft_add_acq_rel(&under_way, 1);
	cr_assert_eq(weft_sleep(WEFT_MS(1 + (uintptr_t)arg)), 0);
	return be_done(NULL);
}

static int yield_until_computing_and_be_done(void *arg)
{
	(void)arg;
	weft_add_acq_rel(&under_way, 1);
	while (!weft_load_acquire(&computing))
		cr_assert_eq(weft_yield(), 0);
	return be_done(NULL);
}

static void gather_and_release(struct weft_task **tasks)
{
	cr_assert_eq(weft_gather(tasks, TASKS, NULL, 0), 0);
	weft_release_all(tasks, TASKS);
}

/* They are private to this worker: nobody asked for work since. */
static int create_and_compute(void *arg)
{
	struct weft_task *tasks[TASKS];

	(void)arg;
	weft_store_release(&left, TASKS);
	for (int i = 0; i < TASKS; i++)
		tasks[i] = weft_create_task(be_done, NULL);
	compute();
	gather_and_release(tasks);
	return 0;
}

Test(stress_hog, tasks_created_before_a_computation_run_beside_it,
	.timeout = 2 * PATIENCE_S)
{
	rounds(create_and_compute);
}

static int start_and_compute(weft_fn fn)
{
	struct weft_task *tasks[TASKS];

	weft_store_release(&left, TASKS);
	weft_store_release(&under_way, 0);
	for (uintptr_t i = 0; i < TASKS; i++)
		tasks[i] = weft_create_task(fn, (void *)i);
	while (weft_load_acquire(&under_way) < TASKS)
		cr_assert_eq(weft_yield(), 0);
	compute();
	gather_and_release(tasks);
	return 0;
}

static int sleepers(void *arg)
{
	(void)arg;
	return start_and_compute(sleep_and_be_done);
}

Test(stress_hog, timers_fire_beside_a_computation, .timeout = 2 * PATIENCE_S)
{
	rounds(sleepers);
}

static int yielders(void *arg)
{
	(void)arg;
	return start_and_compute(yield_until_computing_and_be_done);
}

Test(stress_hog, tasks_that_yielded_go_on_beside_a_computation, .timeout = 2 * PATIENCE_S)
{
	rounds(yielders);
}
