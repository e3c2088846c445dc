/* SPDX-License-Identifier: MIT */
/*
 * wait - watch several tasks without owning them: who is done, who is pending.
 */
#include "helper.h"

TestSuite(wait, .timeout = PATIENCE);

static int wait_for_all(void *arg)
{
	struct weft_event_flag go = { 0 };
	struct weft_task *tasks[] = {
		weft_create_task(wait_for_flag, &go),
		weft_create_task(set_flag, &go),
		weft_create_task(succeed, NULL),
	};
	struct weft_task *before[3];

	(void)arg;
	memcpy(before, tasks, sizeof(tasks));
	cr_assert_eq(weft_wait(tasks, 3, WEFT_ALL_COMPLETED, WEFT_FOREVER), 3);
	cr_assert_arr_eq(tasks, before, sizeof(tasks), "all done: the order is as it was");
	for (int i = 0; i < 3; i++)
		cr_assert_eq(weft_status(tasks[i]), 0);
	weft_release_all(tasks, 3);
	return 0;
}

Test(wait, all_completed)
{
	run_on_1_2_4(wait_for_all);
}

static int partition(void *arg)
{
	struct weft_event_flag go = { 0 };
	struct weft_task *tasks[7], *before[7];
	/* the even ones end, the odd ones wait */
	static const int expected[] = { 0, 2, 4, 6, 1, 3, 5 };

	(void)arg;
	for (int i = 0; i < 7; i++)
		tasks[i] = i % 2 ? weft_create_task(wait_for_flag, &go)
				 : weft_create_task(succeed, NULL);
	memcpy(before, tasks, sizeof(tasks));
	for (int i = 6; i >= 0; i -= 2)
		weft_await(tasks[i]);
	cr_assert_eq(weft_wait(tasks, 7, WEFT_ALL_COMPLETED, 0), 4);
	for (int i = 0; i < 7; i++)
		cr_assert_eq(tasks[i], before[expected[i]], "place %d", i);
	weft_event_flag_set(&go);
	cr_assert_eq(weft_wait(tasks, 7, WEFT_ALL_COMPLETED, WEFT_FOREVER), 7);
	for (int i = 0; i < 7; i++)
		cr_assert_eq(tasks[i], before[expected[i]], "and again, place %d", i);
	weft_release_all(tasks, 7);
	return 0;
}

Test(wait, moves_the_done_to_the_front_and_keeps_the_order)
{
	run_on_1_2_4(partition);
}

static int wait_for_the_first(void *arg)
{
	struct weft_event_flag go = { 0 };
	struct weft_task *slow = weft_create_task(wait_for_flag, &go);
	struct weft_task *quick = weft_create_task(fail_eio, NULL);
	struct weft_task *tasks[] = { slow, quick };

	(void)arg;
	cr_assert_eq(weft_wait(tasks, 2, WEFT_FIRST_COMPLETED, WEFT_FOREVER), 1);
	cr_assert_eq(tasks[0], quick);
	cr_assert_eq(tasks[1], slow);
	cr_assert_eq(weft_status(quick), -EIO, "a failure completes too");
	cr_assert_eq(weft_status(slow), -EINPROGRESS, "nobody is cancelled");
	weft_event_flag_set(&go);
	cr_assert_eq(weft_join(slow), 0);
	weft_release(quick);
	return 0;
}

Test(wait, first_completed)
{
	run_on_1_2_4(wait_for_the_first);
}

static int wait_for_an_error(void *arg)
{
	struct weft_event_flag go = { 0 };
	struct weft_task *slow = weft_create_task(wait_for_flag, &go);
	struct weft_task *good = weft_create_task(succeed, NULL);
	struct weft_task *cancelled = weft_create_task(sleep_forever, NULL);
	struct weft_task *bad = weft_create_task(fail_eio, NULL);
	struct weft_task *tasks[] = { slow, good, cancelled, bad };

	(void)arg;
	weft_cancel(cancelled);
	weft_await(good);
	weft_await(cancelled);
	weft_await(bad);
	cr_assert_eq(weft_wait(tasks, 3, WEFT_FIRST_ERROR, 0), 2, "neither is an error");
	struct weft_task *with_bad[] = { slow, good, cancelled, bad };
	cr_assert_eq(weft_wait(with_bad, 4, WEFT_FIRST_ERROR, WEFT_FOREVER), 3);
	cr_assert_eq(with_bad[3], slow);
	weft_event_flag_set(&go);
	cr_assert_eq(weft_join(slow), 0);
	weft_release(good);
	weft_release(cancelled);
	weft_release(bad);
	return 0;
}

Test(wait, first_error_ignores_cancelled_ones)
{
	run_on_1_2_4(wait_for_an_error);
}

static int wait_for_no_error(void *arg)
{
	struct weft_task *tasks[] = {
		weft_create_task(succeed, NULL),
		weft_create_task(succeed, NULL),
	};

	(void)arg;
	cr_assert_eq(weft_wait(tasks, 2, WEFT_FIRST_ERROR, WEFT_FOREVER), 2);
	weft_release_all(tasks, 2);
	return 0;
}

Test(wait, first_error_waits_for_all_when_none_fails)
{
	run_on_1_2_4(wait_for_no_error);
}

static int time_out(void *arg)
{
	struct weft_task *tasks[] = {
		weft_create_task(sleep_forever, NULL),
		weft_create_task(succeed, NULL),
	};

	(void)arg;
	weft_await(tasks[1]);
	cr_assert_eq(weft_wait(tasks, 2, WEFT_ALL_COMPLETED, WEFT_MS(3)), 1, "no error");
	cr_assert_eq(weft_status(tasks[1]), -EINPROGRESS, "never cancels");
	weft_cancel(tasks[1]);
	cr_assert_eq(weft_join(tasks[1]), -ECANCELED);
	weft_release(tasks[0]);
	return 0;
}

Test(wait, times_out_without_an_error)
{
	run_on_1_2_4(time_out);
}

static int poll_without_running(void *arg)
{
	bool ran = false;

	(void)arg;
	struct weft_task *task = weft_create_task(note_that_it_ran, &ran);
	ssize_t done = weft_wait(&task, 1, WEFT_ALL_COMPLETED, 0);
	cr_assert_eq(done, ran ? 1 : 0, "only looks");
	cr_assert_eq(weft_join(task), 0);
	return 0;
}

Test(wait, with_timeout_0_polls)
{
	cr_assert_eq(run_with(1, poll_without_running, NULL), 0);
}

static int wait_for_nothing(void *arg)
{
	(void)arg;
	cr_assert_eq(weft_wait(NULL, 0, WEFT_ALL_COMPLETED, WEFT_FOREVER), 0);
	cr_assert_eq(weft_wait(NULL, 0, WEFT_FIRST_COMPLETED, WEFT_FOREVER), 0);
	cr_assert_eq(weft_wait(NULL, 0, WEFT_FIRST_ERROR, WEFT_FOREVER), 0);
	return 0;
}

Test(wait, for_nothing_is_over_at_once)
{
	run_on_1_2_4(wait_for_nothing);
}

static int wait_for_the_first_of_done(void *arg)
{
	struct weft_task *tasks[3];

	(void)arg;
	for (int i = 0; i < 3; i++)
		tasks[i] = weft_create_task(succeed, NULL);
	for (int i = 0; i < 3; i++)
		weft_await(tasks[i]);
	cr_assert_eq(weft_wait(tasks, 3, WEFT_FIRST_COMPLETED, WEFT_FOREVER), 3,
		"all that are done count");
	weft_release_all(tasks, 3);
	return 0;
}

Test(wait, counts_all_that_are_done)
{
	run_on_1_2_4(wait_for_the_first_of_done);
}

static int spin_for_a_while(void *arg)
{
	weft_ns until = weft_now() + WEFT_MS(35);

	(void)arg;
	while (weft_now() < until)
		; /* ends by the clock */
	return 0;
}

struct nap {
	weft_ns length;
	int status;
};

static int nap(void *arg)
{
	struct nap *nap = arg;

	nap->status = weft_sleep(nap->length);
	return nap->status;
}

/*
 * One worker. The timer of the wait is armed before any child runs: so it is due before that
 * of a child which then sleeps as long, however late the worker gets round to both.
 */
static int be_armed_first(void *arg)
{
	(void)arg;
	for (int i = 0; i < 5; i++) {
		struct nap n = { .length = WEFT_MS(30) };
		struct weft_task *napper = weft_create_task(nap, &n);
		struct weft_task *spinner = weft_create_task(spin_for_a_while, NULL);
		struct weft_task *tasks[] = { napper, spinner };

		cr_assert_eq(weft_wait(tasks, 2, WEFT_ALL_COMPLETED, n.length), 1);
		cr_assert_eq(tasks[1], napper);
		weft_cancel(napper);
		cr_assert_eq(weft_join(napper), -ECANCELED);
		cr_assert_eq(weft_join(spinner), 0);
	}
	return 0;
}

Test(wait, arms_its_timer_before_any_child_runs)
{
	cr_assert_eq(run_with(1, be_armed_first, NULL), 0);
}

static int wait_for_a_sleeper(void *arg)
{
	struct weft_task *task = arg;

	ssize_t done = weft_wait(&task, 1, WEFT_ALL_COMPLETED, WEFT_FOREVER);
	weft_release(task);
	return (int)done;
}

static int cancel_a_waiter(void *arg)
{
	(void)arg;
	struct weft_task *task = weft_create_task(sleep_forever, NULL);
	struct weft_task *waiter = weft_create_task(wait_for_a_sleeper, weft_ref(task));
	weft_yield();
	weft_cancel(waiter);
	cr_assert_eq(weft_join(waiter), -ECANCELED);
	cr_assert_eq(weft_status(task), -EINPROGRESS, "wait owns nothing");
	weft_cancel(task);
	cr_assert_eq(weft_join(task), -ECANCELED);
	return 0;
}

Test(wait, ends_by_a_cancel_of_its_caller_alone)
{
	run_on_1_2_4(cancel_a_waiter);
}

static int wait_under_a_deadline(void *arg)
{
	struct weft_scope scope;

	(void)arg;
	struct weft_task *task = weft_create_task(sleep_forever, NULL);
	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_wait(&task, 1, WEFT_ALL_COMPLETED, WEFT_SEC(20)), -ETIMEDOUT);
	cr_assert_eq(weft_scope_end(&scope), 1);
	cr_assert_eq(weft_status(task), -EINPROGRESS);
	weft_cancel(task);
	cr_assert_eq(weft_join(task), -ECANCELED);
	return 0;
}

Test(wait, obeys_the_deadline_of_its_caller)
{
	run_on_1_2_4(wait_under_a_deadline);
}

static int drain_one_by_one(void *arg)
{
	struct weft_task *tasks[20];
	struct nap naps[20];
	size_t left = 20;

	(void)arg;
	for (int i = 0; i < 20; i++) {
		naps[i].length = i % 5 * WEFT_MS(1);
		tasks[i] = weft_create_task(nap, &naps[i]);
	}
	while (left) {
		ssize_t done = weft_wait(tasks, left, WEFT_FIRST_COMPLETED, WEFT_FOREVER);
		cr_assert_gt(done, 0);
		for (ssize_t i = 0; i < done; i++)
			cr_assert_eq(weft_join(tasks[i]), 0);
		left -= (size_t)done;
		memmove(tasks, tasks + done, left * sizeof(tasks[0]));
	}
	return 0;
}

Test(wait, can_be_called_again_with_the_rest)
{
	run_on_1_2_4(drain_one_by_one);
}

static int wait_for_the_same_twice(void *arg)
{
	struct weft_event_flag go = { 0 };
	struct weft_task *task = weft_create_task(wait_for_flag, &go);
	struct weft_task *tasks[] = { task, task };

	(void)arg;
	cr_assert_eq(weft_wait(tasks, 2, WEFT_ALL_COMPLETED, WEFT_MS(1)), 0);
	weft_event_flag_set(&go);
	cr_assert_eq(weft_wait(tasks, 2, WEFT_ALL_COMPLETED, WEFT_FOREVER), 2);
	weft_release(task);
	return 0;
}

Test(wait, takes_the_same_task_twice)
{
	run_on_1_2_4(wait_for_the_same_twice);
}
