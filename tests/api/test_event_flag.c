/* SPDX-License-Identifier: MIT */
/*
 * event_flag - something has happened, for all who wait and all who come later.
 */
#include "helper.h"

TestSuite(event_flag, .timeout = PATIENCE);

static int wake_everybody(void *arg)
{
	struct weft_event_flag flag = { 0 };
	struct weft_task *tasks[20];

	(void)arg;
	for (int i = 0; i < 20; i++)
		tasks[i] = weft_create_task(wait_for_flag, &flag);
	weft_yield();
	weft_event_flag_set(&flag);
	cr_assert_eq(weft_gather(tasks, 20, NULL, 0), 0);
	weft_release_all(tasks, 20);
	cr_assert_eq(weft_event_flag_wait(&flag), 0, "it stays set");
	return 0;
}

Test(event_flag, wakes_all_who_wait)
{
	run_on_1_2_4(wake_everybody);
}

static int set_and_clear(void *arg)
{
	struct weft_event_flag flag = { 0 };
	struct weft_scope scope;

	(void)arg;
	cr_assert_eq(weft_event_flag_is_set(&flag), 0);
	weft_event_flag_set(&flag);
	weft_event_flag_set(&flag);
	cr_assert_eq(weft_event_flag_is_set(&flag), 1);
	cr_assert_eq(weft_event_flag_wait(&flag), 0);
	weft_event_flag_clear(&flag);
	cr_assert_eq(weft_event_flag_is_set(&flag), 0);
	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_event_flag_wait(&flag), -ETIMEDOUT);
	weft_scope_end(&scope);
	return 0;
}

Test(event_flag, can_be_cleared)
{
	run_on_1_2_4(set_and_clear);
}

static int clear_at_once(void *arg)
{
	struct weft_event_flag flag = { 0 };

	(void)arg;
	struct weft_task *waiter = weft_create_task(wait_for_flag, &flag);
	weft_yield();
	weft_event_flag_set(&flag);
	weft_event_flag_clear(&flag);
	cr_assert_eq(weft_join(waiter), 0, "who has been woken stays woken");
	return 0;
}

Test(event_flag, cleared_at_once_has_woken_all_the_same)
{
	cr_assert_eq(run_with(1, clear_at_once, NULL), 0);
}

static int cancel_one_waiter(void *arg)
{
	struct weft_event_flag flag = { 0 };
	struct weft_task *tasks[3];

	(void)arg;
	for (int i = 0; i < 3; i++)
		tasks[i] = weft_create_task(wait_for_flag, &flag);
	weft_yield();
	weft_cancel(tasks[1]);
	cr_assert_eq(weft_await(tasks[1]), -ECANCELED);
	weft_event_flag_set(&flag);
	cr_assert_eq(weft_await(tasks[0]), 0);
	cr_assert_eq(weft_await(tasks[2]), 0);
	weft_release_all(tasks, 3);
	return 0;
}

Test(event_flag, lets_a_waiter_be_cancelled)
{
	run_on_1_2_4(cancel_one_waiter);
}

/* What was written before the set is seen after the wait. */
struct message {
	struct weft_event_flag ready;
	int text; /* plain memory */
};

static int read_message(void *arg)
{
	struct message *m = arg;

	weft_event_flag_wait(&m->ready);
	return m->text;
}

static int publish_messages(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++) {
		struct message m = { .text = -1 };
		struct weft_task *reader = weft_create_task(read_message, &m);
		if (i % 2)
			weft_yield();
		m.text = i;
		weft_event_flag_set(&m.ready);
		cr_assert_eq(weft_join(reader), i);
	}
	return 0;
}

Test(event_flag, carries_memory_with_it)
{
	run_on_1_2_4(publish_messages);
}

Test(event_flag, works_between_a_task_and_a_plain_thread)
{
	struct weft_runtime *rt = start_runtime(2);
	struct weft_event_flag flag = { 0 };

	cr_assert_eq(weft_runtime_post(rt, set_flag, &flag), 0);
	cr_assert_eq(weft_event_flag_wait(&flag), 0);
	weft_runtime_destroy(rt);
}
