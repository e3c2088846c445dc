/* SPDX-License-Identifier: MIT */
/*
 * race - the first success wins; the others are cancelled and waited for.
 */
#include "helper.h"

TestSuite(race, .timeout = PATIENCE);

static int win(void *arg)
{
	int seven = 7;
	struct weft_task *tasks[] = {
		weft_create_task(sleep_forever, NULL),
		weft_create_task(return_int, &seven),
		weft_create_task(sleep_forever, NULL),
	};

	(void)arg;
	cr_assert_eq(weft_race(tasks, 3), 1);
	cr_assert_eq(weft_status(tasks[0]), -ECANCELED, "cancelled and waited for");
	cr_assert_eq(weft_status(tasks[1]), 7);
	cr_assert_eq(weft_status(tasks[2]), -ECANCELED);
	cr_assert_eq(weft_checkpoint(), 0);
	weft_release_all(tasks, 3);
	return 0;
}

Test(race, returns_the_index_of_the_first_success)
{
	run_on_1_2_4(win);
}

static int fail_and_win(void *arg)
{
	struct weft_event_flag go = { 0 };
	struct weft_task *tasks[] = {
		weft_create_task(fail_eio, NULL),
		weft_create_task(wait_for_flag, &go),
	};

	(void)arg;
	weft_await(tasks[0]);
	weft_event_flag_set(&go);
	cr_assert_eq(weft_race(tasks, 2), 1, "a failure does not win");
	weft_release_all(tasks, 2);
	return 0;
}

Test(race, goes_on_after_a_failure)
{
	run_on_1_2_4(fail_and_win);
}

static int all_fail(void *arg)
{
	int first = -EXDEV;
	struct weft_task *tasks[] = {
		weft_create_task(return_int, &first),
		weft_create_task(fail_eio, NULL),
	};

	(void)arg;
	/* one worker: they run in creation order */
	cr_assert_eq(weft_race(tasks, 2), -EIO, "the last failure");
	weft_release_all(tasks, 2);
	return 0;
}

Test(race, returns_the_last_failure_when_all_fail)
{
	cr_assert_eq(run_with(1, all_fail, NULL), 0);
}

static int lose_with_a_result(void *arg)
{
	int seven = 7;
	struct weft_task *tasks[] = {
		weft_create_task(return_int_when_cancelled, &seven),
		weft_create_task(succeed, NULL),
	};

	(void)arg;
	cr_assert_eq(weft_race(tasks, 2), 1);
	cr_assert_eq(weft_status(tasks[0]), 7, "a loser may have succeeded too");
	weft_release_all(tasks, 2);
	return 0;
}

Test(race, lets_a_loser_succeed)
{
	run_on_1_2_4(lose_with_a_result);
}

static int race_of_the_done(void *arg)
{
	struct weft_task *tasks[] = {
		weft_create_task(fail_eio, NULL),
		weft_create_task(succeed, NULL),
		weft_create_task(succeed, NULL),
	};

	(void)arg;
	for (int i = 2; i >= 0; i--)
		weft_await(tasks[i]);
	/* as with gather: among those that had ended, argument order */
	cr_assert_eq(weft_race(tasks, 3), 1);
	weft_release_all(tasks, 3);
	return 0;
}

Test(race, of_ended_tasks_is_won_in_argument_order)
{
	run_on_1_2_4(race_of_the_done);
}

static int race_under_a_deadline(void *arg)
{
	struct weft_task *tasks[] = {
		weft_create_task(sleep_forever, NULL),
		weft_create_task(sleep_forever, NULL),
	};
	struct weft_scope scope;

	(void)arg;
	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_race(tasks, 2), -ETIMEDOUT);
	cr_assert_eq(weft_scope_end(&scope), 1);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(weft_status(tasks[i]), -ECANCELED);
	weft_release_all(tasks, 2);
	return 0;
}

Test(race, is_ended_by_the_deadline_of_its_caller)
{
	run_on_1_2_4(race_under_a_deadline);
}

static int race_of_one(void *arg)
{
	(void)arg;
	struct weft_task *task = weft_create_task(succeed, NULL);
	cr_assert_eq(weft_race(&task, 1), 0);
	weft_release(task);
	task = weft_create_task(fail_eio, NULL);
	cr_assert_eq(weft_race(&task, 1), -EIO);
	weft_release(task);
	cr_assert_eq(weft_race(NULL, 0), -EINVAL, "nobody can win");
	return 0;
}

Test(race, of_one_and_of_none)
{
	run_on_1_2_4(race_of_one);
}

static int photo_finish(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++) {
		struct weft_task *tasks[8];
		for (int k = 0; k < 8; k++)
			tasks[k] = weft_create_task(succeed, NULL);
		ssize_t winner = weft_race(tasks, 8);
		cr_assert(winner >= 0 && winner < 8);
		for (int k = 0; k < 8; k++)
			cr_assert_eq(weft_join(tasks[k]), 0, "a body always runs");
	}
	return 0;
}

Test(race, has_one_winner)
{
	run_on_1_2_4(photo_finish);
}
