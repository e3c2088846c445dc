/* SPDX-License-Identifier: MIT */
/*
 * An onlooker's await. A task that would run next anyway is started at once while its onlooker waits; what
 * follows has to be the same as if it had waited its turn.
 */
#include "helper.h"

#include <pthread.h>

TestSuite(await, .timeout = PATIENCE);

/* -- order ------------------------------------------------------------------------------------- */

static char starts[8];
static int started;

static int note_start(void *arg)
{
	starts[started++] = *(const char *)arg;
	return 0;
}

static int await_the_second_first(void *arg)
{
	struct weft_task *tasks[3];

	(void)arg;
	for (int i = 0; i < 3; i++)
		tasks[i] = weft_create_task(note_start, (void *)&"abc"[i]);
	cr_assert_eq(weft_await(tasks[1]), 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(weft_await(tasks[i]), 0);
	weft_release_all(tasks, 3);
	cr_assert_str_eq(starts, "abc");
	return 0;
}

Test(await, starts_tasks_in_creation_order_all_the_same)
{
	cr_assert_eq(run_with(1, await_the_second_first, NULL), 0);
}

/* -- one that waits itself --------------------------------------------------------------------- */

static int wait_in_many_ways(void *arg)
{
	size_t depth = (size_t)arg;

	weft_yield();
	weft_sleep(1000);
	if (depth == 0)
		return 7;
	struct weft_task *task = weft_create_task(wait_in_many_ways, (void *)(depth - 1));
	int status = weft_await(task);
	weft_release(task);
	return status;
}

static int await_a_tower(void *arg)
{
	(void)arg;
	for (int i = 0; i < (SANITIZED ? 20 : 200); i++) {
		struct weft_task *task = weft_create_task(wait_in_many_ways, (void *)10);

		cr_assert_eq(weft_await(task), 7);
		cr_assert_eq(weft_await(task), 7, "any number of times");
		weft_release(task);
	}
	return 0;
}

Test(await, of_tasks_that_await_and_are_suspended)
{
	run_on_1_2_4(await_a_tower);
}

/* -- cancels ----------------------------------------------------------------------------------- */

struct scene {
	struct weft_task *onlooker; /* the scene's own reference */
	int running, returned;      /* atomic */
};

static int set(int *flag)
{
	__atomic_store_n(flag, 1, __ATOMIC_RELEASE);
	return 0;
}

static int is_set(const int *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

/* No checkpoint: its worker is stuck until the onlooker has returned from its await. */
static int compute_until_the_onlooker_returned(void *arg)
{
	struct scene *scene = arg;

	set(&scene->running);
	while (!is_set(&scene->returned))
		;
	return 1;
}

static int look_on(void *arg)
{
	struct scene *scene = arg;
	struct weft_task *task =
		weft_create_task(compute_until_the_onlooker_returned, scene);

	cr_assert_eq(weft_await(task), -ECANCELED);
	cr_assert_eq(weft_status(task), -EINPROGRESS, "it goes on");
	set(&scene->returned);
	cr_assert_eq(weft_uncancel(), 1);
	cr_assert_eq(weft_join(task), 1);
	return 0;
}

static int cancel_the_onlooker(void *arg)
{
	struct scene scene = {0};

	(void)arg;
	scene.onlooker = weft_create_task(look_on, &scene);
	while (!is_set(&scene.running))
		weft_yield();
	cr_assert_eq(weft_cancel(scene.onlooker), 1);
	cr_assert_eq(weft_join(scene.onlooker), 0);
	return 0;
}

Test(await, of_one_that_computes_is_ended_by_a_cancel)
{
	cr_assert_eq(run_with(2, cancel_the_onlooker, NULL), 0);
	cr_assert_eq(run_with(4, cancel_the_onlooker, NULL), 0);
}

static int cancel_my_onlooker(void *arg)
{
	cr_assert_eq(weft_cancel(arg), 1);
	return 3;
}

static int cancelled_and_done(void *arg)
{
	struct weft_task *task = weft_create_task(cancel_my_onlooker, weft_self());

	(void)arg;
	cr_assert_eq(weft_await(task), 3, "the result wins");
	cr_assert_eq(weft_checkpoint(), -ECANCELED, "and the cancel is next");
	weft_uncancel();
	weft_release(task);
	return 0;
}

Test(await, result_wins_over_a_cancel_by_the_one_awaited)
{
	/* With more workers the cancel may be there before the await, which then returns it at entry. */
	cr_assert_eq(run_with(1, cancelled_and_done, NULL), 0);
}

static int cancel_then_end_late(void *arg)
{
	cr_assert_eq(weft_cancel(arg), 1);
	weft_yield();
	weft_sleep(WEFT_MS(2));
	return 0;
}

static int go_on_after_a_cancel(void *arg)
{
	struct weft_task *task = weft_create_task(cancel_then_end_late, weft_self());
	weft_ns begun = weft_now();

	(void)arg;
	cr_assert_eq(weft_await(task), -ECANCELED);
	weft_uncancel();
	cr_assert_eq(weft_sleep(WEFT_MS(10)), 0, "its end wakes nobody any more");
	cr_assert_geq(weft_now() - begun, WEFT_MS(10));
	cr_assert_eq(weft_join(task), 0);
	return 0;
}

Test(await, that_was_cancelled_leaves_no_wake_up_behind)
{
	run_on_1_2_4(go_on_after_a_cancel);
}

/* The stack that hands a task over to a larger one is the first in the pool: the child's. */
enum { LARGE = SANITIZED ? 500 : 20000 };

static struct weft_task *large[LARGE];
static int created; /* atomic: so many of them */

static void *cancel_the_newest(void *arg)
{
	int n;

	while ((n = __atomic_load_n(&created, __ATOMIC_ACQUIRE)) < LARGE) {
		if (n > 0)
			weft_cancel(large[n - 1]);
	}
	return arg;
}

static int run_once(void *arg)
{
	return ++*(int *)arg;
}

static int await_on_a_large_stack(void *arg)
{
	int runs = 0;
	struct weft_task *task = weft_create_task(run_once, &runs);
	int rc = weft_await(task);

	(void)arg;
	cr_assert(rc == 1 || rc == -ECANCELED, "%d", rc);
	weft_join(task);
	cr_assert_eq(runs, 1, "cancelled or not, it ran once");
	return 0;
}

static int create_large_ones(void *arg)
{
	struct weft_attr attr = { .size = sizeof(attr), .stack_size = 1 << 20 };
	pthread_t thread;

	(void)arg;
	cr_assert_eq(pthread_create(&thread, NULL, cancel_the_newest, NULL), 0);
	for (int i = 0; i < LARGE; i++) {
		large[i] = weft_create_task_with(await_on_a_large_stack, NULL, &attr);
		__atomic_store_n(&created, i + 1, __ATOMIC_RELEASE);
		cr_assert_eq(weft_await(large[i]), 0);
	}
	pthread_join(thread, NULL);
	weft_release_all(large, LARGE);
	return 0;
}

Test(await, by_a_task_on_a_large_stack_that_is_cancelled)
{
	cr_assert_eq(run_with(1, create_large_ones, NULL), 0);
}

/* -- circles ----------------------------------------------------------------------------------- */

static int await_my_onlooker(void *arg)
{
	cr_assert_eq(weft_await(arg), -EDEADLK, "it is the one that closes the circle");
	return 5;
}

static int be_awaited_by_whom_i_await(void *arg)
{
	struct weft_task *task = weft_create_task(await_my_onlooker, weft_self());

	(void)arg;
	cr_assert_eq(weft_await(task), 5);
	weft_release(task);
	return 0;
}

Test(await, of_ones_onlooker_is_a_deadlock)
{
	/* With more workers the task may be the first to wait: then it is the onlooker that closes the circle. */
	cr_assert_eq(run_with(1, be_awaited_by_whom_i_await, NULL), 0);
}
