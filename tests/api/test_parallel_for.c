/* SPDX-License-Identifier: MIT */
/*
 * parallel_for - a loop on all workers: each index once, and all of them done at the end.
 */
#include "helper.h"

TestSuite(parallel_for, .timeout = PATIENCE);

struct loop {
	int *visits;
	size_t grain;
};

static void visit(size_t begin, size_t end, void *arg)
{
	struct loop *loop = arg;

	cr_assert_lt(begin, end);
	if (loop->grain)
		cr_assert_leq(end - begin, loop->grain);
	for (size_t i = begin; i < end; i++)
		__atomic_fetch_add(&loop->visits[i], 1, __ATOMIC_SEQ_CST);
}

static int cover(void *arg)
{
	static const size_t sizes[] = { 0, 1, 2, 7, 64, 1000, 10001 };
	static const size_t grains[] = { 0, 1, 3, 64, 100000 };
	static int visits[10001];

	(void)arg;
	for (size_t s = 0; s < 7; s++)
		for (size_t g = 0; g < 5; g++) {
			struct loop loop = { .visits = visits, .grain = grains[g] };
			memset(visits, 0, sizeof(visits));
			cr_assert_eq(weft_parallel_for(sizes[s], grains[g], visit, &loop), 0);
			for (size_t i = 0; i < 10001; i++)
				cr_assert_eq(visits[i], i < sizes[s]);
		}
	return 0;
}

Test(parallel_for, visits_each_index_once)
{
	run_on_1_2_4(cover);
}

static void wait_inside(size_t begin, size_t end, void *arg)
{
	for (size_t i = begin; i < end; i++) {
		cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
		__atomic_fetch_add((int *)arg, 1, __ATOMIC_SEQ_CST);
	}
}

static int wait_in_bodies(void *arg)
{
	int done = 0;

	(void)arg;
	cr_assert_eq(weft_parallel_for(30, 1, wait_inside, &done), 0);
	cr_assert_eq(done, 30);
	return 0;
}

Test(parallel_for, lets_bodies_wait)
{
	run_on_1_2_4(wait_in_bodies);
}

static void meet(size_t begin, size_t end, void *arg)
{
	struct weft_event_flag *flags = arg;

	for (size_t i = begin; i < end; i++) {
		weft_event_flag_set(&flags[i]);
		cr_assert_eq(weft_event_flag_wait(&flags[1 - i]), 0);
	}
}

static int let_bodies_meet(void *arg)
{
	struct weft_event_flag flags[2] = { 0 };

	(void)arg;
	return weft_parallel_for(2, 1, meet, flags);
}

/* Each range is a task of its own: two that wait for each other both get to run. */
Test(parallel_for, runs_ranges_side_by_side)
{
	run_on_1_2_4(let_bodies_meet);
}

static void nest(size_t begin, size_t end, void *arg)
{
	struct loop *loop = arg;
	struct loop inner = { .visits = loop->visits + begin, .grain = 4 };

	cr_assert_eq(weft_parallel_for(end - begin, 4, visit, &inner), 0);
}

static int nest_loops(void *arg)
{
	int visits[500] = { 0 };
	struct loop loop = { .visits = visits };

	(void)arg;
	cr_assert_eq(weft_parallel_for(500, 50, nest, &loop), 0);
	for (int i = 0; i < 500; i++)
		cr_assert_eq(visits[i], 1);
	return 0;
}

Test(parallel_for, nests)
{
	run_on_1_2_4(nest_loops);
}

struct slow_loop {
	struct weft_event_flag started;
	int begun, ended;
};

static void wait_for_the_cancel(size_t begin, size_t end, void *arg)
{
	struct slow_loop *loop = arg;

	(void)begin;
	(void)end;
	__atomic_fetch_add(&loop->begun, 1, __ATOMIC_SEQ_CST);
	weft_event_flag_set(&loop->started);
	weft_sleep(WEFT_FOREVER);
	__atomic_fetch_add(&loop->ended, 1, __ATOMIC_SEQ_CST);
}

static int loop_slowly(void *arg)
{
	return weft_parallel_for(100, 1, wait_for_the_cancel, arg);
}

static int cancel_a_loop(void *arg)
{
	struct slow_loop loop = { 0 };

	(void)arg;
	struct weft_task *task = weft_create_task(loop_slowly, &loop);
	weft_event_flag_wait(&loop.started);
	weft_cancel(task);
	cr_assert_eq(weft_join(task), -ECANCELED);
	cr_assert_geq(loop.begun, 1);
	cr_assert_eq(loop.begun, loop.ended, "what was begun was waited for");
	return 0;
}

Test(parallel_for, is_cancelled_with_its_caller)
{
	run_on_1_2_4(cancel_a_loop);
}
