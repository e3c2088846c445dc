/* SPDX-License-Identifier: MIT */
/*
 * group - tasks that all end before the block they were spawned in does.
 */
#include "helper.h"

TestSuite(group, .timeout = PATIENCE);

static int spawn_and_join(void *arg)
{
	struct weft_group group;
	bool ran[5] = { false };

	(void)arg;
	weft_group_begin(&group, 0);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(weft_group_spawn(&group, note_that_it_ran, &ran[i]), 0);
	cr_assert_eq(weft_group_join(&group), 0);
	for (int i = 0; i < 5; i++)
		cr_assert(ran[i]);
	cr_assert_eq(weft_group_errors(&group, NULL, 0), 0);
	return 0;
}

Test(group, waits_for_all_its_members)
{
	run_on_1_2_4(spawn_and_join);
}

static int join_an_empty_group(void *arg)
{
	struct weft_group group;

	(void)arg;
	weft_group_begin(&group, 0);
	cr_assert_eq(weft_group_join(&group), 0);
	weft_group_begin(&group, 0); /* its memory may be used again */
	cr_assert_eq(weft_group_spawn(&group, succeed, NULL), 0);
	cr_assert_eq(weft_group_join(&group), 0);
	return 0;
}

Test(group, may_be_empty)
{
	run_on_1_2_4(join_an_empty_group);
}

static int fail_one(void *arg)
{
	struct weft_group group;
	int errors[4] = { 0 };

	(void)arg;
	weft_group_begin(&group, 0);
	weft_group_spawn(&group, sleep_forever, NULL);
	weft_group_spawn(&group, fail_eio, NULL);
	weft_group_spawn(&group, sleep_forever, NULL);
	cr_assert_eq(weft_group_join(&group), -EIO);
	cr_assert_eq(weft_checkpoint(), 0, "the owner is not cancelled");
	cr_assert_geq(weft_group_errors(&group, errors, 4), 1);
	return 0;
}

Test(group, cancels_the_siblings_of_a_failure)
{
	run_on_1_2_4(fail_one);
}

static int spawn_after_a_failure(void *arg)
{
	struct weft_group group;
	bool ran = false;

	(void)arg;
	weft_group_begin(&group, 0);
	struct weft_task *failure = weft_group_create_task(&group, fail_eio, NULL);
	cr_assert_eq(weft_await(failure), -EIO);
	weft_release(failure);
	cr_assert_eq(weft_group_spawn(&group, note_that_it_ran, &ran), -ECANCELED);
	struct weft_task *refused = weft_group_create_task(&group, note_that_it_ran, &ran);
	cr_assert_eq(weft_id(refused), 0);
	cr_assert_eq(weft_status(refused), -ECANCELED);
	weft_release(refused);
	cr_assert_eq(weft_group_join(&group), -EIO);
	cr_assert_not(ran, "it stays the caller's");
	return 0;
}

Test(group, takes_nobody_once_it_is_cancelled)
{
	run_on_1_2_4(spawn_after_a_failure);
}

static int cancel_a_group(void *arg)
{
	struct weft_group group;

	(void)arg;
	weft_group_begin(&group, 0);
	for (int i = 0; i < 5; i++)
		weft_group_spawn(&group, sleep_forever, NULL);
	weft_group_cancel(&group);
	cr_assert_eq(weft_group_spawn(&group, succeed, NULL), -ECANCELED);
	cr_assert_eq(weft_group_join(&group), 0, "what the owner wanted is no failure");
	cr_assert_eq(weft_checkpoint(), 0);
	return 0;
}

Test(group, may_be_cancelled)
{
	run_on_1_2_4(cancel_a_group);
}

static int fail_when_cancelled(void *arg)
{
	(void)arg;
	weft_sleep(WEFT_FOREVER);
	return -EIO;
}

static int cancel_a_group_that_fails(void *arg)
{
	struct weft_group group;

	(void)arg;
	weft_group_begin(&group, 0);
	weft_group_spawn(&group, sleep_forever, NULL);
	weft_group_spawn(&group, fail_when_cancelled, NULL);
	weft_group_cancel(&group);
	cr_assert_eq(weft_group_join(&group), -EIO);
	return 0;
}

Test(group, tells_of_a_failure_although_it_was_cancelled)
{
	run_on_1_2_4(cancel_a_group_that_fails);
}

static int cancel_my_group(void *arg)
{
	weft_group_cancel(arg);
	return weft_checkpoint();
}

static int a_member_cancels(void *arg)
{
	struct weft_group group;

	(void)arg;
	weft_group_begin(&group, 0);
	weft_group_spawn(&group, sleep_forever, NULL);
	weft_group_spawn(&group, cancel_my_group, &group);
	cr_assert_eq(weft_group_join(&group), 0);
	return 0;
}

Test(group, may_be_cancelled_by_a_member)
{
	run_on_1_2_4(a_member_cancels);
}

struct branch {
	struct weft_group *group;
	int depth;
	int *leaves;
};

static int branch_out(void *arg)
{
	struct branch *branch = arg;
	int status = 0;

	if (branch->depth == 0) {
		__atomic_fetch_add(branch->leaves, 1, __ATOMIC_SEQ_CST);
	} else {
		for (int i = 0; i < 2 && status == 0; i++) {
			struct branch *next = malloc(sizeof(*next));
			*next = *branch;
			next->depth--;
			status = weft_group_spawn(branch->group, branch_out, next);
		}
	}
	free(branch);
	return status;
}

static int members_spawn(void *arg)
{
	struct weft_group group;
	struct branch *root = malloc(sizeof(*root));
	int leaves = 0;

	(void)arg;
	weft_group_begin(&group, 0);
	*root = (struct branch){ .group = &group, .depth = 8, .leaves = &leaves };
	weft_group_spawn(&group, branch_out, root);
	cr_assert_eq(weft_group_join(&group), 0);
	cr_assert_eq(leaves, 256);
	return 0;
}

Test(group, lets_members_spawn_members)
{
	run_on_1_2_4(members_spawn);
}

struct relay {
	struct weft_event_flag *before;
	struct weft_event_flag *after;
	int status;
};

static int pass_on(void *arg)
{
	struct relay *relay = arg;

	if (relay->before)
		weft_event_flag_wait(relay->before);
	if (relay->after)
		weft_event_flag_set(relay->after);
	return relay->status;
}

static int collect_failures(void *arg)
{
	struct weft_event_flag flags[5] = { 0 };
	struct relay relays[5];
	struct weft_group group;
	int errors[5] = { 0 };

	(void)arg;
	weft_group_begin(&group, WEFT_GROUP_COLLECT);
	for (int i = 0; i < 5; i++) {
		/* each waits for the one spawned after it: they end in reverse */
		relays[i] = (struct relay){
			.before = i < 4 ? &flags[i + 1] : NULL,
			.after = &flags[i],
			.status = i % 2 ? 0 : -(100 + i),
		};
		weft_group_spawn(&group, pass_on, &relays[i]);
	}
	int status = weft_group_join(&group);
	cr_assert(status == -100 || status == -102 || status == -104);
	cr_assert_eq(weft_group_errors(&group, errors, 5), 3, "no sibling was cancelled");
	cr_assert_eq(errors[0], -100, "in spawn order");
	cr_assert_eq(errors[1], -102);
	cr_assert_eq(errors[2], -104);
	cr_assert_eq(weft_group_errors(&group, errors, 1), 3, "the number, stored or not");
	return 0;
}

Test(group, collects_failures_in_spawn_order)
{
	run_on_1_2_4(collect_failures);
}

static int first_failure(void *arg)
{
	struct weft_event_flag late = { 0 };
	struct relay relays[] = {
		{ .before = &late, .status = -EXDEV },
		{ .after = &late, .status = -EIO },
	};
	struct weft_group group;

	(void)arg;
	weft_group_begin(&group, WEFT_GROUP_COLLECT);
	for (int i = 0; i < 2; i++)
		weft_group_spawn(&group, pass_on, &relays[i]);
	cr_assert_eq(weft_group_join(&group), -EIO);
	return 0;
}

Test(group, returns_the_first_failure_to_happen)
{
	cr_assert_eq(run_with(1, first_failure, NULL), 0);
}

static int fail_forty_times(void *arg)
{
	struct weft_group group;
	int codes[40], errors[40] = { 0 };

	(void)arg;
	weft_group_begin(&group, WEFT_GROUP_COLLECT);
	for (int i = 0; i < 40; i++) {
		codes[i] = -(200 + i);
		weft_group_spawn(&group, return_int, &codes[i]);
	}
	cr_assert_lt(weft_group_join(&group), 0);
	cr_assert_eq(weft_group_errors(&group, errors, 40), 40, "all are counted");
	for (int i = 0; i < 16; i++)
		cr_assert_eq(errors[i], -(200 + i), "the first 16 are kept");
	return 0;
}

Test(group, counts_all_failures_and_keeps_sixteen)
{
	run_on_1_2_4(fail_forty_times);
}

static int take_handles(void *arg)
{
	struct weft_group group;
	int numbers[] = { 1, 2 };
	struct weft_task *tasks[2];

	(void)arg;
	weft_group_begin(&group, 0);
	for (int i = 0; i < 2; i++)
		tasks[i] = weft_group_create_task(&group, return_int, &numbers[i]);
	cr_assert_str_eq(weft_name(tasks[0]), "return_int");
	cr_assert_eq(weft_join(tasks[0]), 1, "a member may be joined");
	cr_assert_eq(weft_group_join(&group), 0);
	cr_assert_eq(weft_status(tasks[1]), 2, "the handle outlives the group");
	weft_release(tasks[1]);
	return 0;
}

Test(group, gives_handles_to_those_who_ask)
{
	run_on_1_2_4(take_handles);
}

static int cancel_one_member(void *arg)
{
	struct weft_event_flag go = { 0 };
	struct weft_group group;

	(void)arg;
	weft_group_begin(&group, WEFT_GROUP_COLLECT);
	struct weft_task *one = weft_group_create_task(&group, sleep_forever, NULL);
	weft_group_spawn(&group, wait_for_flag, &go);
	weft_cancel(one);
	cr_assert_eq(weft_await(one), -ECANCELED);
	weft_release(one);
	weft_event_flag_set(&go);
	/* as in gather, a member that someone cancelled is a failure */
	cr_assert_eq(weft_group_join(&group), -ECANCELED);
	cr_assert_eq(weft_checkpoint(), 0);
	return 0;
}

Test(group, takes_a_member_that_someone_cancelled_for_a_failure)
{
	run_on_1_2_4(cancel_one_member);
}

static int join_under_a_deadline(void *arg)
{
	struct weft_scope scope;
	struct weft_group group;

	(void)arg;
	weft_deadline_begin(&scope, WEFT_MS(2));
	weft_group_begin(&group, 0);
	weft_group_spawn(&group, sleep_forever, NULL);
	cr_assert_eq(weft_group_join(&group), -ETIMEDOUT);
	cr_assert_eq(weft_scope_end(&scope), 1);
	return 0;
}

Test(group, obeys_the_deadline_of_its_owner)
{
	run_on_1_2_4(join_under_a_deadline);
}

static int run_a_group(void *arg)
{
	struct weft_group group;

	weft_group_begin(&group, 0);
	weft_group_spawn(&group, sleep_forever, NULL);
	weft_event_flag_set(arg);
	return weft_group_join(&group);
}

static int nest_groups(void *arg)
{
	struct weft_event_flag started = { 0 };
	struct weft_group group;

	(void)arg;
	weft_group_begin(&group, 0);
	weft_group_spawn(&group, run_a_group, &started);
	weft_event_flag_wait(&started);
	weft_group_cancel(&group);
	cr_assert_eq(weft_group_join(&group), 0, "the inner one ended with the outer one");
	return 0;
}

Test(group, nests)
{
	run_on_1_2_4(nest_groups);
}

static int spawn_thousands(void *arg)
{
	struct weft_group group;
	int leaves = 0, n = SANITIZED ? 500 : 20000;

	(void)arg;
	weft_group_begin(&group, 0);
	for (int i = 0; i < n; i++) {
		struct branch *leaf = malloc(sizeof(*leaf));
		*leaf = (struct branch){ .leaves = &leaves };
		cr_assert_eq(weft_group_spawn(&group, branch_out, leaf), 0);
	}
	cr_assert_eq(weft_group_join(&group), 0);
	cr_assert_eq(leaves, n);
	return 0;
}

Test(group, takes_thousands)
{
	run_on_1_2_4(spawn_thousands);
}
