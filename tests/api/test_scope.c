/* SPDX-License-Identifier: MIT */
/*
 * scope - deadlines and shields: how they nest, what they deliver, what they answer at the end.
 */
#include "helper.h"

TestSuite(scope, .timeout = PATIENCE);

static int fire(void *arg)
{
	struct weft_scope scope;
	struct weft_event_flag never = { 0 };

	(void)arg;
	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_event_flag_wait(&never), -ETIMEDOUT, "it ends the wait");
	cr_assert_eq(weft_checkpoint(), -ETIMEDOUT, "and each checkpoint after it");
	cr_assert_eq(weft_cancelled(), 0, "that is no cancel");
	cr_assert_eq(weft_scope_end(&scope), 1);
	cr_assert_eq(weft_checkpoint(), 0, "outside it is over");
	return 0;
}

Test(scope, a_deadline_fires)
{
	run_on_1_2_4(fire);
}

static int end_in_time(void *arg)
{
	struct weft_scope scope;

	(void)arg;
	weft_deadline_begin(&scope, WEFT_SEC(20));
	cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
	cr_assert_eq(weft_scope_end(&scope), 0);
	return 0;
}

Test(scope, a_deadline_that_is_met_leaves_no_trace)
{
	run_on_1_2_4(end_in_time);
}

/* It fired, but no call returned -ETIMEDOUT on account of it: nothing was cut short. */
static int fire_unseen(void *arg)
{
	struct weft_scope scope;

	(void)arg;
	weft_deadline_begin(&scope, 0);
	cr_assert_eq(weft_scope_end(&scope), 0);
	weft_deadline_begin(&scope, WEFT_MS(1));
	weft_ns until = weft_now() + WEFT_MS(2);
	while (weft_now() < until)
		; /* ends by the clock */
	cr_assert_eq(weft_scope_end(&scope), 0);
	cr_assert_eq(weft_checkpoint(), 0);
	return 0;
}

Test(scope, a_deadline_nobody_saw_fire_answers_0)
{
	run_on_1_2_4(fire_unseen);
}

static int nest_the_earlier_inside(void *arg)
{
	struct weft_scope outer, inner;

	(void)arg;
	weft_deadline_begin(&outer, WEFT_SEC(20));
	weft_deadline_begin(&inner, WEFT_MS(2));
	cr_assert_eq(weft_sleep(WEFT_FOREVER), -ETIMEDOUT);
	cr_assert_eq(weft_scope_end(&inner), 1);
	cr_assert_eq(weft_checkpoint(), 0, "the outer one has not fired");
	cr_assert_eq(weft_scope_end(&outer), 0);
	return 0;
}

Test(scope, of_nested_deadlines_the_inner_may_be_earlier)
{
	run_on_1_2_4(nest_the_earlier_inside);
}

static int nest_the_earlier_outside(void *arg)
{
	struct weft_scope outer, inner;

	(void)arg;
	weft_deadline_begin(&outer, WEFT_MS(2));
	weft_deadline_begin(&inner, WEFT_SEC(20));
	cr_assert_eq(weft_sleep(WEFT_FOREVER), -ETIMEDOUT);
	cr_assert_eq(weft_scope_end(&inner), 0, "it was not on account of this one");
	cr_assert_eq(weft_checkpoint(), -ETIMEDOUT);
	cr_assert_eq(weft_scope_end(&outer), 1);
	cr_assert_eq(weft_checkpoint(), 0);
	return 0;
}

Test(scope, of_nested_deadlines_the_outer_may_be_earlier)
{
	run_on_1_2_4(nest_the_earlier_outside);
}

static int move_later(void *arg)
{
	struct weft_scope scope;

	(void)arg;
	weft_deadline_begin(&scope, WEFT_MS(1));
	weft_deadline_move(&scope, WEFT_SEC(20));
	cr_assert_eq(weft_sleep(WEFT_MS(5)), 0);
	weft_deadline_move(&scope, WEFT_MS(1));
	cr_assert_eq(weft_sleep(WEFT_SEC(20)), -ETIMEDOUT);
	weft_deadline_move(&scope, WEFT_SEC(20));
	cr_assert_eq(weft_checkpoint(), 0, "a fired one may be moved back into the future");
	cr_assert_eq(weft_scope_end(&scope), 1, "but some call did return -ETIMEDOUT");
	return 0;
}

Test(scope, a_deadline_can_be_moved)
{
	run_on_1_2_4(move_later);
}

static int keep_an_idle_limit(void *arg)
{
	struct weft_scope idle;

	(void)arg;
	weft_deadline_begin(&idle, WEFT_SEC(10));
	for (int i = 0; i < 1000; i++) {
		weft_deadline_move(&idle, WEFT_SEC(10));
		cr_assert_eq(weft_yield(), 0);
	}
	cr_assert_eq(weft_scope_end(&idle), 0);
	return 0;
}

Test(scope, a_deadline_can_be_moved_all_the_time)
{
	run_on_1_2_4(keep_an_idle_limit);
}

static int shield(void *arg)
{
	struct weft_scope scope, deadline;

	(void)arg;
	cancel_myself();
	weft_shield_begin(&scope, WEFT_SEC(20));
	cr_assert_eq(weft_checkpoint(), 0);
	cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
	cr_assert_eq(weft_cancelled(), 1, "cancelled it is, all the same");
	weft_scope_end(&scope);
	cr_assert_eq(weft_checkpoint(), -ECANCELED);
	weft_uncancel();

	weft_deadline_begin(&deadline, 0);
	weft_shield_begin(&scope, WEFT_SEC(20));
	cr_assert_eq(weft_sleep(WEFT_MS(1)), 0, "against deadlines too");
	weft_scope_end(&scope);
	cr_assert_eq(weft_checkpoint(), -ETIMEDOUT);
	cr_assert_eq(weft_scope_end(&deadline), 1);
	return 0;
}

Test(scope, a_shield_protects_clean_up)
{
	run_on_1_2_4(shield);
}

static int overstay(void *arg)
{
	struct weft_scope scope, deadline;

	(void)arg;
	cancel_myself();
	weft_shield_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_sleep(WEFT_SEC(20)), -ECANCELED, "what was pending is delivered");
	cr_assert_eq(weft_checkpoint(), -ECANCELED);
	cr_assert_eq(weft_scope_end(&scope), 0, "a shield times nothing out itself");
	weft_uncancel();

	weft_deadline_begin(&deadline, 0);
	weft_shield_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_sleep(WEFT_SEC(20)), -ETIMEDOUT);
	weft_scope_end(&scope);
	cr_assert_eq(weft_scope_end(&deadline), 1);
	return 0;
}

Test(scope, a_shield_lasts_only_so_long)
{
	run_on_1_2_4(overstay);
}

static int shield_without_need(void *arg)
{
	struct weft_scope scope;

	(void)arg;
	weft_shield_begin(&scope, WEFT_MS(1));
	cr_assert_eq(weft_sleep(WEFT_MS(5)), 0, "nothing was pending: nothing is delivered");
	cr_assert_eq(weft_scope_end(&scope), 0);
	return 0;
}

Test(scope, a_shield_nobody_needed_does_nothing)
{
	run_on_1_2_4(shield_without_need);
}

static int deadline_in_a_shield(void *arg)
{
	struct weft_scope scope, deadline;

	(void)arg;
	cancel_myself();
	weft_shield_begin(&scope, WEFT_SEC(20));
	weft_deadline_begin(&deadline, WEFT_MS(2));
	cr_assert_eq(weft_sleep(WEFT_SEC(20)), -ETIMEDOUT, "begun inside, it counts");
	cr_assert_eq(weft_scope_end(&deadline), 1);
	cr_assert_eq(weft_checkpoint(), 0, "still shielded");
	weft_scope_end(&scope);
	cr_assert_eq(weft_checkpoint(), -ECANCELED);
	return 0;
}

Test(scope, a_deadline_counts_inside_a_shield)
{
	run_on_1_2_4(deadline_in_a_shield);
}

static int shielded_wait(void *arg)
{
	struct weft_scope scope;

	weft_shield_begin(&scope, WEFT_SEC(20));
	int status = weft_event_flag_wait(arg);
	weft_scope_end(&scope);
	return status < 0 ? status : weft_checkpoint();
}

static int cancel_into_a_shield(void *arg)
{
	struct weft_event_flag go = { 0 };

	(void)arg;
	struct weft_task *task = weft_create_task(shielded_wait, &go);
	weft_yield();
	weft_cancel(task); /* comes while it waits inside */
	weft_yield();
	cr_assert_eq(weft_status(task), -EINPROGRESS);
	weft_event_flag_set(&go);
	cr_assert_eq(weft_join(task), -ECANCELED, "delivered when the shield ends");
	return 0;
}

Test(scope, a_shield_protects_a_wait_from_a_later_cancel)
{
	run_on_1_2_4(cancel_into_a_shield);
}

static int look_around(void *arg)
{
	(void)arg;
	return weft_sleep(WEFT_MS(5));
}

static int create_under_a_deadline(void *arg)
{
	struct weft_scope scope;

	(void)arg;
	weft_deadline_begin(&scope, 0);
	struct weft_task *task = weft_create_task(look_around, NULL);
	weft_scope_end(&scope);
	cr_assert_eq(weft_join(task), 0);

	cancel_myself();
	weft_shield_begin(&scope, WEFT_SEC(20));
	task = weft_create_task(sleep_forever, NULL);
	weft_cancel(task);
	cr_assert_eq(weft_join(task), -ECANCELED, "no shield either");
	weft_scope_end(&scope);
	return 0;
}

Test(scope, children_inherit_none)
{
	run_on_1_2_4(create_under_a_deadline);
}

static int begin_and_join_inside(void *arg)
{
	struct weft_scope scope;

	(void)arg;
	weft_deadline_begin(&scope, WEFT_SEC(20));
	int status = weft_join(weft_create_task(look_around, NULL));
	cr_assert_eq(weft_scope_end(&scope), 0);
	return status;
}

/* Two tasks may share a stack when one joins the other; their scopes stay apart. */
static int scopes_of_owner_and_child(void *arg)
{
	struct weft_scope scope;

	(void)arg;
	weft_deadline_begin(&scope, WEFT_SEC(20));
	cr_assert_eq(weft_join(weft_create_task(begin_and_join_inside, NULL)), 0);
	cr_assert_eq(weft_scope_end(&scope), 0, "still the innermost of this task");
	return 0;
}

Test(scope, belongs_to_the_task_that_began_it)
{
	run_on_1_2_4(scopes_of_owner_and_child);
}

static int end_in_the_wrong_order(void *arg)
{
	struct weft_scope outer, inner;

	(void)arg;
	weft_deadline_begin(&outer, WEFT_SEC(20));
	weft_deadline_begin(&inner, WEFT_SEC(20));
	cr_assert_eq(weft_scope_end(&outer), -EINVAL);
	cr_assert_eq(weft_scope_end(&inner), 0);
	cr_assert_eq(weft_scope_end(&outer), 0);
	return 0;
}

Test(scope, ends_in_lifo_order_only)
{
	run_on_1_2_4(end_in_the_wrong_order);
}

static int cancel_and_time_out(void *arg)
{
	struct weft_scope scope;

	(void)arg;
	weft_deadline_begin(&scope, 0);
	cancel_myself();
	cr_assert_eq(weft_checkpoint(), -ECANCELED, "the cancel beats the deadline");
	cr_assert_eq(weft_scope_end(&scope), 0, "no call returned -ETIMEDOUT");
	return 0;
}

Test(scope, a_deadline_that_was_beaten_by_a_cancel_answers_0)
{
	run_on_1_2_4(cancel_and_time_out);
}

static int nest_deeply(void *arg)
{
	struct weft_scope scopes[100];

	(void)arg;
	for (int i = 0; i < 100; i++)
		weft_deadline_begin(&scopes[i], i == 50 ? WEFT_MS(2) : WEFT_SEC(20));
	cr_assert_eq(weft_sleep(WEFT_SEC(20)), -ETIMEDOUT);
	for (int i = 99; i >= 0; i--)
		cr_assert_eq(weft_scope_end(&scopes[i]), i == 50, "scope %d", i);
	return 0;
}

Test(scope, nests_deeply)
{
	run_on_1_2_4(nest_deeply);
}

static int fire_often(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++) {
		struct weft_scope scope;
		struct weft_event_flag never = { 0 };

		weft_deadline_begin(&scope, i % 4 * 50000);
		cr_assert_eq(weft_event_flag_wait(&never), -ETIMEDOUT);
		cr_assert_eq(weft_scope_end(&scope), 1);
	}
	return 0;
}

static int fire_in_many_tasks(void *arg)
{
	struct weft_task *tasks[50];

	for (int i = 0; i < 50; i++)
		tasks[i] = weft_create_task(fire_often, arg);
	cr_assert_eq(weft_gather(tasks, 50, NULL, 0), 0);
	weft_release_all(tasks, 50);
	return 0;
}

Test(scope, deadlines_fire_in_many_tasks_at_once)
{
	run_on_1_2_4(fire_in_many_tasks);
}

static void compute_until(weft_ns until)
{
	while (weft_now() < until)
		; /* ends by the clock */
}

/* passed: the outer one, before the inner one ends, or after. */
static void pass_around_an_inner_one(bool passed)
{
	struct weft_scope outer, inner;
	weft_ns until = weft_now() + WEFT_MS(20);

	weft_deadline_begin(&outer, WEFT_MS(20));
	cr_assert(weft_checkpoint() == 0 || weft_now() >= until);
	weft_deadline_begin(&inner, WEFT_SEC(20));
	cr_assert(weft_checkpoint() == 0 || weft_now() >= until);
	if (passed)
		compute_until(until + WEFT_MS(1));
	cr_assert_eq(weft_scope_end(&inner), 0, "no call was cut short by it");
	compute_until(until + WEFT_MS(1));
	cr_assert_eq(weft_checkpoint(), -ETIMEDOUT);
	cr_assert_eq(weft_scope_end(&outer), 1);
	cr_assert_eq(weft_checkpoint(), 0);
}

static int pass_without_a_look(void *arg)
{
	(void)arg;
	pass_around_an_inner_one(true);
	pass_around_an_inner_one(false);
	return 0;
}

Test(scope, an_outer_deadline_is_seen_though_an_inner_one_came_and_went)
{
	run_on_1_2_4(pass_without_a_look);
}
