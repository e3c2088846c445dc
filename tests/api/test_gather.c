/* SPDX-License-Identifier: MIT */
/*
 * gather - wait for several tasks as their owner: all succeed, or the first failure counts.
 */
#include "helper.h"

TestSuite(gather, .timeout = PATIENCE);

static int all_succeed(void *arg)
{
	int numbers[] = { 1, 2, 3 }, statuses[3];
	struct weft_task *tasks[3];

	(void)arg;
	for (int i = 0; i < 3; i++)
		tasks[i] = weft_create_task(return_int, &numbers[i]);
	cr_assert_eq(weft_gather(tasks, 3, statuses, 0), 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(statuses[i], i + 1, "statuses come in argument order");
	weft_release_all(tasks, 3);
	return 0;
}

Test(gather, returns_0_when_all_succeed)
{
	run_on_1_2_4(all_succeed);
}

static int one_fails(void *arg)
{
	struct weft_task *tasks[] = {
		weft_create_task(sleep_forever, NULL),
		weft_create_task(fail_eio, NULL),
		weft_create_task(sleep_forever, NULL),
	};
	int statuses[3];

	(void)arg;
	cr_assert_eq(weft_gather(tasks, 3, statuses, 0), -EIO);
	cr_assert_eq(statuses[0], -ECANCELED);
	cr_assert_eq(statuses[1], -EIO);
	cr_assert_eq(statuses[2], -ECANCELED);
	cr_assert_eq(weft_checkpoint(), 0, "the caller is not cancelled");
	weft_release_all(tasks, 3);
	return 0;
}

Test(gather, cancels_the_others_on_the_first_failure)
{
	run_on_1_2_4(one_fails);
}

struct step {
	struct weft_event_flag *before;
	struct weft_event_flag *after;
	int status;
};

static int take_a_step(void *arg)
{
	struct step *step = arg;

	struct weft_scope shield;
	weft_shield_begin(&shield, WEFT_FOREVER);
	if (step->before)
		weft_event_flag_wait(step->before);
	weft_scope_end(&shield);
	if (step->after)
		weft_event_flag_set(step->after);
	return step->status;
}

static int two_fail(void *arg)
{
	struct weft_event_flag late = { 0 };
	struct step steps[] = {
		{ .before = &late, .status = -EXDEV },
		{ .after = &late, .status = -EIO },
	};
	struct weft_task *late_one, *tasks[2];

	(void)arg;
	tasks[0] = weft_create_task(take_a_step, &steps[0]);
	tasks[1] = weft_create_task(take_a_step, &steps[1]);
	late_one = tasks[0];
	/* it waits for the other one's last step, but it may still end first: look */
	int status = weft_gather(tasks, 2, NULL, 0);
	cr_assert(status == -EIO || status == -EXDEV);
	cr_assert_eq(weft_status(late_one), -EXDEV);
	weft_release_all(tasks, 2);
	return 0;
}

/* With one worker the one that fails last cannot have overtaken. */
static int first_to_happen(void *arg)
{
	struct weft_event_flag late = { 0 };
	struct step steps[] = {
		{ .before = &late, .status = -EXDEV },
		{ .after = &late, .status = -EIO },
	};
	struct weft_task *tasks[2];

	(void)arg;
	for (int i = 0; i < 2; i++)
		tasks[i] = weft_create_task(take_a_step, &steps[i]);
	cr_assert_eq(weft_gather(tasks, 2, NULL, 0), -EIO);
	weft_release_all(tasks, 2);
	return 0;
}

Test(gather, returns_the_first_failure_to_happen)
{
	cr_assert_eq(run_with(1, first_to_happen, NULL), 0);
	run_on_1_2_4(two_fail);
}

static int failed_before(void *arg)
{
	int first = -EXDEV, second = -EIO, fine = 1;
	struct weft_task *tasks[] = {
		weft_create_task(return_int, &fine),
		weft_create_task(return_int, &first),
		weft_create_task(return_int, &second),
	};

	(void)arg;
	weft_await(tasks[2]); /* ends before the other one does, but that counts no more */
	weft_await(tasks[1]);
	weft_await(tasks[0]);
	cr_assert_eq(weft_gather(tasks, 3, NULL, 0), -EXDEV);
	weft_release_all(tasks, 3);
	return 0;
}

Test(gather, takes_failures_that_lie_back_in_argument_order)
{
	run_on_1_2_4(failed_before);
}

static int failed_before_cancels(void *arg)
{
	struct weft_task *tasks[] = {
		weft_create_task(sleep_forever, NULL),
		weft_create_task(fail_eio, NULL),
	};

	(void)arg;
	weft_await(tasks[1]);
	cr_assert_eq(weft_gather(tasks, 2, NULL, 0), -EIO);
	cr_assert_eq(weft_status(tasks[0]), -ECANCELED);
	weft_release_all(tasks, 2);
	return 0;
}

Test(gather, cancels_on_a_failure_that_lies_back)
{
	run_on_1_2_4(failed_before_cancels);
}

static int collect_all(void *arg)
{
	struct weft_event_flag go = { 0 };
	struct weft_task *tasks[] = {
		weft_create_task(fail_eio, NULL),
		weft_create_task(wait_for_flag, &go),
		weft_create_task(set_flag, &go),
	};
	int statuses[3];

	(void)arg;
	cr_assert_eq(weft_gather(tasks, 3, statuses, WEFT_GATHER_ALL), 0);
	cr_assert_eq(statuses[0], -EIO);
	cr_assert_eq(statuses[1], 0, "not cancelled by the failure");
	cr_assert_eq(statuses[2], 0);
	weft_release_all(tasks, 3);
	return 0;
}

Test(gather, all_never_cancels)
{
	run_on_1_2_4(collect_all);
}

static int gather_nothing(void *arg)
{
	(void)arg;
	cr_assert_eq(weft_gather(NULL, 0, NULL, 0), 0);
	cr_assert_eq(weft_gather(NULL, 0, NULL, WEFT_GATHER_ALL), 0);
	return 0;
}

Test(gather, of_nothing_is_0_at_once)
{
	run_on_1_2_4(gather_nothing);
}

static int gather_the_same_twice(void *arg)
{
	struct weft_event_flag go = { 0 };
	int statuses[3];

	(void)arg;
	struct weft_task *task = weft_create_task(wait_for_flag, &go);
	struct weft_task *setter = weft_create_task(set_flag, &go);
	struct weft_task *tasks[] = { task, setter, task };
	cr_assert_eq(weft_gather(tasks, 3, statuses, 0), 0);
	cr_assert_eq(statuses[0], 0);
	cr_assert_eq(statuses[2], 0);
	weft_release(task);
	weft_release(setter);

	task = weft_create_task(fail_eio, NULL);
	struct weft_task *twice[] = { task, task };
	cr_assert_eq(weft_gather(twice, 2, statuses, 0), -EIO);
	cr_assert_eq(statuses[0], -EIO);
	cr_assert_eq(statuses[1], -EIO);
	weft_release(task);
	return 0;
}

Test(gather, takes_the_same_task_twice)
{
	run_on_1_2_4(gather_the_same_twice);
}

static int a_member_was_cancelled(void *arg)
{
	struct weft_task *tasks[] = {
		weft_create_task(sleep_forever, NULL),
		weft_create_task(sleep_forever, NULL),
	};

	(void)arg;
	weft_cancel(tasks[1]);
	cr_assert_eq(weft_gather(tasks, 2, NULL, 0), -ECANCELED);
	cr_assert_eq(weft_checkpoint(), 0, "that was not the caller's cancel");
	weft_release_all(tasks, 2);
	return 0;
}

Test(gather, takes_a_member_cancelled_by_someone_else_for_a_failure)
{
	run_on_1_2_4(a_member_was_cancelled);
}

static int gather_under_a_deadline(void *arg)
{
	int seven = 7, statuses[2];
	struct weft_task *tasks[] = {
		weft_create_task(sleep_forever, NULL),
		weft_create_task(return_int_when_cancelled, &seven),
	};
	struct weft_scope scope;

	(void)arg;
	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_gather(tasks, 2, statuses, 0), -ETIMEDOUT);
	cr_assert_eq(weft_scope_end(&scope), 1);
	cr_assert_eq(statuses[0], -ECANCELED);
	cr_assert_eq(statuses[1], 7);
	weft_release_all(tasks, 2);
	return 0;
}

Test(gather, is_ended_by_the_deadline_of_its_caller)
{
	run_on_1_2_4(gather_under_a_deadline);
}

static int gather_sleepers(void *arg)
{
	struct weft_task *tasks[2];

	for (int i = 0; i < 2; i++)
		tasks[i] = weft_create_task(sleep_forever, NULL);
	weft_event_flag_set(arg);
	int status = weft_gather(tasks, 2, NULL, WEFT_GATHER_ALL);
	cr_assert_eq(weft_status(tasks[0]), -ECANCELED);
	cr_assert_eq(weft_status(tasks[1]), -ECANCELED);
	weft_release_all(tasks, 2);
	return status;
}

static int cancel_a_gather(void *arg)
{
	struct weft_event_flag started = { 0 };

	(void)arg;
	struct weft_task *task = weft_create_task(gather_sleepers, &started);
	weft_event_flag_wait(&started);
	weft_cancel(task);
	cr_assert_eq(weft_join(task), -ECANCELED);
	return 0;
}

/* ALL says that failures cancel nobody; a cancel of the owner still does. */
Test(gather, all_is_cancelled_with_its_caller)
{
	run_on_1_2_4(cancel_a_gather);
}

static int gather_from_two_sides(void *arg)
{
	struct weft_task *tasks = arg;

	int status = weft_gather(&tasks, 1, NULL, 0);
	weft_release(tasks);
	return status;
}

static int share_a_member(void *arg)
{
	struct weft_event_flag go = { 0 };

	(void)arg;
	struct weft_task *shared = weft_create_task(wait_for_flag, &go);
	struct weft_task *sides[] = {
		weft_create_task(gather_from_two_sides, weft_ref(shared)),
		weft_create_task(gather_from_two_sides, weft_ref(shared)),
		weft_create_task(set_flag, &go),
	};
	cr_assert_eq(weft_gather(sides, 3, NULL, 0), 0);
	weft_release_all(sides, 3);
	cr_assert_eq(weft_join(shared), 0);
	return 0;
}

Test(gather, shares_members_with_other_gathers)
{
	run_on_1_2_4(share_a_member);
}

static int gather_thousands(void *arg)
{
	static struct weft_task *tasks[5000];
	static int numbers[5000], statuses[5000];
	int n = SANITIZED ? 500 : 5000;

	(void)arg;
	for (int i = 0; i < n; i++) {
		numbers[i] = i;
		tasks[i] = weft_create_task(return_int, &numbers[i]);
	}
	cr_assert_eq(weft_gather(tasks, (size_t)n, statuses, 0), 0);
	for (int i = 0; i < n; i++)
		cr_assert_eq(statuses[i], i);
	weft_release_all(tasks, (size_t)n);
	return 0;
}

Test(gather, takes_thousands)
{
	run_on_1_2_4(gather_thousands);
}

static int gather_what_could_not_be_created(void *arg)
{
	struct weft_task *tasks[] = {
		weft_create_task(sleep_forever, NULL),
		weft_create_task(NULL, NULL),
	};
	int statuses[2];

	(void)arg;
	cr_assert_eq(weft_gather(tasks, 2, statuses, 0), -EINVAL);
	cr_assert_eq(statuses[0], -ECANCELED);
	weft_release_all(tasks, 2);
	return 0;
}

Test(gather, meets_a_task_that_could_not_be_created_as_a_failure)
{
	run_on_1_2_4(gather_what_could_not_be_created);
}
