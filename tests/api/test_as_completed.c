/* SPDX-License-Identifier: MIT */
/*
 * as_completed - meet tasks in the order they finish.
 */
#include "helper.h"

TestSuite(as_completed, .timeout = PATIENCE);

static int finish_in_reverse(void *arg)
{
	struct weft_event_flag flags[5] = { 0 };
	struct weft_task *tasks[5];
	struct weft_as_completed walk;

	(void)arg;
	for (int i = 0; i < 5; i++)
		tasks[i] = weft_create_task(wait_for_flag, &flags[i]);
	weft_as_completed_begin(&walk, tasks, 5);
	for (int i = 4; i >= 0; i--) {
		weft_event_flag_set(&flags[i]);
		cr_assert_eq(weft_as_completed_next(&walk, WEFT_FOREVER), i);
		cr_assert_eq(weft_status(tasks[i]), 0);
	}
	cr_assert_eq(weft_as_completed_next(&walk, WEFT_FOREVER), -ENOENT);
	cr_assert_eq(weft_as_completed_next(&walk, 0), -ENOENT, "and so it stays");
	weft_as_completed_end(&walk);
	weft_release_all(tasks, 5);
	return 0;
}

Test(as_completed, follows_the_order_of_completion)
{
	run_on_1_2_4(finish_in_reverse);
}

static int done_at_begin(void *arg)
{
	struct weft_event_flag go = { 0 };
	struct weft_task *tasks[] = {
		weft_create_task(succeed, NULL),
		weft_create_task(wait_for_flag, &go),
		weft_create_task(fail_eio, NULL),
		weft_create_task(succeed, NULL),
	};
	struct weft_as_completed walk;

	(void)arg;
	weft_await(tasks[3]);
	weft_await(tasks[2]);
	weft_await(tasks[0]);
	weft_as_completed_begin(&walk, tasks, 4);
	cr_assert_eq(weft_as_completed_next(&walk, WEFT_FOREVER), 0, "argument order");
	cr_assert_eq(weft_as_completed_next(&walk, WEFT_FOREVER), 2, "failures too");
	cr_assert_eq(weft_as_completed_next(&walk, WEFT_FOREVER), 3);
	cr_assert_eq(weft_as_completed_next(&walk, 0), -EAGAIN);
	weft_event_flag_set(&go);
	cr_assert_eq(weft_as_completed_next(&walk, WEFT_FOREVER), 1);
	cr_assert_eq(weft_as_completed_next(&walk, WEFT_FOREVER), -ENOENT);
	weft_as_completed_end(&walk);
	cr_assert_eq(weft_status(tasks[2]), -EIO);
	weft_release_all(tasks, 4);
	return 0;
}

Test(as_completed, starts_with_what_was_done_in_argument_order)
{
	run_on_1_2_4(done_at_begin);
}

static int time_out_and_go_on(void *arg)
{
	struct weft_event_flag go = { 0 };
	struct weft_task *task = weft_create_task(wait_for_flag, &go);
	struct weft_as_completed walk;

	(void)arg;
	weft_as_completed_begin(&walk, &task, 1);
	cr_assert_eq(weft_as_completed_next(&walk, WEFT_MS(2)), -EAGAIN);
	cr_assert_eq(weft_as_completed_next(&walk, WEFT_MS(2)), -EAGAIN);
	weft_event_flag_set(&go);
	cr_assert_eq(weft_as_completed_next(&walk, WEFT_FOREVER), 0, "still usable");
	weft_as_completed_end(&walk);
	weft_release(task);
	return 0;
}

Test(as_completed, can_go_on_after_a_timeout)
{
	run_on_1_2_4(time_out_and_go_on);
}

static int go_on_after_a_deadline(void *arg)
{
	struct weft_event_flag go = { 0 };
	struct weft_task *task = weft_create_task(wait_for_flag, &go);
	struct weft_as_completed walk;
	struct weft_scope scope;

	(void)arg;
	weft_as_completed_begin(&walk, &task, 1);
	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_as_completed_next(&walk, WEFT_FOREVER), -ETIMEDOUT);
	weft_scope_end(&scope);
	cr_assert_eq(weft_status(task), -EINPROGRESS, "it owns nothing");
	weft_event_flag_set(&go);
	cr_assert_eq(weft_as_completed_next(&walk, WEFT_FOREVER), 0);
	weft_as_completed_end(&walk);
	weft_release(task);
	return 0;
}

Test(as_completed, can_go_on_after_a_deadline)
{
	run_on_1_2_4(go_on_after_a_deadline);
}

static int end_early(void *arg)
{
	struct weft_event_flag go = { 0 };
	struct weft_task *tasks[] = {
		weft_create_task(succeed, NULL),
		weft_create_task(wait_for_flag, &go),
	};
	struct weft_as_completed walk;

	(void)arg;
	weft_as_completed_begin(&walk, tasks, 2);
	cr_assert_eq(weft_as_completed_next(&walk, WEFT_FOREVER), 0);
	weft_as_completed_end(&walk);
	weft_event_flag_set(&go);
	cr_assert_eq(weft_join(tasks[1]), 0, "the tasks go on");
	cr_assert_eq(weft_join(tasks[0]), 0);

	struct weft_task *task = weft_create_task(succeed, NULL);
	weft_as_completed_begin(&walk, &task, 1); /* and not one step taken */
	weft_as_completed_end(&walk);
	cr_assert_eq(weft_join(task), 0);
	return 0;
}

Test(as_completed, may_end_at_any_point)
{
	run_on_1_2_4(end_early);
}

static int walk_over_nothing(void *arg)
{
	struct weft_as_completed walk;

	(void)arg;
	weft_as_completed_begin(&walk, NULL, 0);
	cr_assert_eq(weft_as_completed_next(&walk, WEFT_FOREVER), -ENOENT);
	weft_as_completed_end(&walk);
	return 0;
}

Test(as_completed, of_nothing_is_at_its_end)
{
	run_on_1_2_4(walk_over_nothing);
}

static int walk_over_thousands(void *arg)
{
	static struct weft_task *tasks[2000];
	static bool seen[2000];
	struct weft_as_completed walk;
	ssize_t i;
	int n = SANITIZED ? 300 : 2000, met = 0;

	(void)arg;
	memset(seen, 0, sizeof(seen));
	for (int k = 0; k < n; k++)
		tasks[k] = weft_create_task(succeed, NULL);
	weft_as_completed_begin(&walk, tasks, (size_t)n);
	while ((i = weft_as_completed_next(&walk, WEFT_FOREVER)) >= 0) {
		cr_assert_not(seen[i], "each of them once");
		seen[i] = true;
		met++;
	}
	cr_assert_eq(i, -ENOENT);
	cr_assert_eq(met, n);
	weft_as_completed_end(&walk);
	weft_release_all(tasks, (size_t)n);
	return 0;
}

Test(as_completed, meets_each_task_once)
{
	run_on_1_2_4(walk_over_thousands);
}
