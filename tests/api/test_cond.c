/* SPDX-License-Identifier: MIT */
/*
 * cond - wait, holding a lock, for something another one brings about.
 */
#include "helper.h"

#include <pthread.h>

TestSuite(cond, .timeout = PATIENCE);

struct mailbox {
	struct weft_mutex mutex;
	struct weft_cond filled;
	struct weft_cond emptied;
	int letter; /* 0: none */
};

static int put_letters(void *arg)
{
	struct mailbox *box = arg;

	for (int i = 1; i <= 300; i++) {
		weft_mutex_lock(&box->mutex);
		while (box->letter)
			cr_assert_eq(weft_cond_wait(&box->emptied, &box->mutex), 0);
		box->letter = i;
		weft_cond_signal(&box->filled);
		weft_mutex_unlock(&box->mutex);
	}
	return 0;
}

static int take_letters(void *arg)
{
	struct mailbox *box = arg;
	int sum = 0;

	for (int i = 1; i <= 300; i++) {
		weft_mutex_lock(&box->mutex);
		while (!box->letter)
			cr_assert_eq(weft_cond_wait(&box->filled, &box->mutex), 0);
		sum += box->letter;
		box->letter = 0;
		weft_cond_signal(&box->emptied);
		weft_mutex_unlock(&box->mutex);
	}
	return sum;
}

static int exchange_letters(void *arg)
{
	struct mailbox box = { .letter = 0 };

	(void)arg;
	struct weft_task *writer = weft_create_task(put_letters, &box);
	struct weft_task *reader = weft_create_task(take_letters, &box);
	cr_assert_eq(weft_join(writer), 0);
	cr_assert_eq(weft_join(reader), 300 * 301 / 2);
	return 0;
}

Test(cond, passes_letters)
{
	run_on_1_2_4(exchange_letters);
}

Test(cond, works_between_a_task_and_a_plain_thread)
{
	struct weft_runtime *rt = start_runtime(2);
	struct mailbox box = { .letter = 0 };

	cr_assert_eq(weft_runtime_post(rt, put_letters, &box), 0);
	cr_assert_eq(take_letters(&box), 300 * 301 / 2);
	weft_runtime_destroy(rt);
}

struct crowd {
	struct weft_mutex mutex;
	struct weft_cond cond;
	int waiting;
	int woken;
	bool open;
};

static int wait_at_the_gate(void *arg)
{
	struct crowd *crowd = arg;

	weft_mutex_lock(&crowd->mutex);
	crowd->waiting++;
	while (!crowd->open)
		weft_cond_wait(&crowd->cond, &crowd->mutex);
	crowd->woken++;
	return weft_mutex_unlock(&crowd->mutex);
}

static int open_the_gate(void *arg)
{
	struct crowd crowd = { 0 };
	struct weft_task *tasks[20];

	(void)arg;
	for (int i = 0; i < 20; i++)
		tasks[i] = weft_create_task(wait_at_the_gate, &crowd);
	for (bool all = false; !all; weft_yield()) {
		weft_mutex_lock(&crowd.mutex);
		all = crowd.waiting == 20;
		crowd.open = all;
		weft_mutex_unlock(&crowd.mutex);
	}
	weft_cond_broadcast(&crowd.cond);
	cr_assert_eq(weft_gather(tasks, 20, NULL, 0), 0);
	cr_assert_eq(crowd.woken, 20);
	weft_release_all(tasks, 20);
	return 0;
}

Test(cond, broadcast_wakes_all)
{
	run_on_1_2_4(open_the_gate);
}

static int wait_once(void *arg)
{
	struct crowd *crowd = arg;

	weft_mutex_lock(&crowd->mutex);
	int status = weft_cond_wait(&crowd->cond, &crowd->mutex);
	if (status == 0)
		crowd->woken++;
	cr_assert_eq(weft_mutex_unlock(&crowd->mutex), 0, "owned on every return");
	return status;
}

static int signal_one(void *arg)
{
	struct crowd crowd = { 0 };
	struct weft_task *tasks[3];

	(void)arg;
	weft_cond_signal(&crowd.cond); /* nobody waits: it is not kept */
	for (int i = 0; i < 3; i++)
		tasks[i] = weft_create_task(wait_once, &crowd);
	weft_yield();
	weft_cond_signal(&crowd.cond);
	cr_assert_eq(weft_await(tasks[0]), 0, "the first in line");
	cr_assert_eq(crowd.woken, 1);
	weft_cancel(tasks[1]);
	cr_assert_eq(weft_await(tasks[1]), -ECANCELED);
	weft_cond_signal(&crowd.cond); /* is for the one that still waits */
	cr_assert_eq(weft_await(tasks[2]), 0);
	weft_release_all(tasks, 3);
	return 0;
}

Test(cond, signal_wakes_one)
{
	cr_assert_eq(run_with(1, signal_one, NULL), 0);
}

static int wait_too_long(void *arg)
{
	struct crowd crowd = { 0 };
	struct weft_scope scope;

	(void)arg;
	weft_mutex_lock(&crowd.mutex);
	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_cond_wait(&crowd.cond, &crowd.mutex), -ETIMEDOUT);
	cr_assert_eq(weft_scope_end(&scope), 1);
	cr_assert_eq(weft_mutex_unlock(&crowd.mutex), 0, "it is mine again");
	return 0;
}

Test(cond, obeys_deadlines)
{
	run_on_1_2_4(wait_too_long);
}

/* The cancel comes while it waits, and the mutex is taken: it waits for that, cancelled. */
static int cancel_while_the_lock_is_taken(void *arg)
{
	struct crowd crowd = { 0 };

	(void)arg;
	struct weft_task *task = weft_create_task(wait_once, &crowd);
	weft_yield();
	weft_mutex_lock(&crowd.mutex);
	weft_cancel(task);
	weft_yield();
	weft_sleep(WEFT_MS(1));
	cr_assert_eq(weft_status(task), -EINPROGRESS, "it has to relock first");
	weft_mutex_unlock(&crowd.mutex);
	cr_assert_eq(weft_join(task), -ECANCELED);
	return 0;
}

Test(cond, relocks_even_when_cancelled)
{
	cr_assert_eq(run_with(1, cancel_while_the_lock_is_taken, NULL), 0);
}

static int wait_without_the_lock(void *arg)
{
	struct crowd crowd = { 0 };

	(void)arg;
	cr_assert_eq(weft_cond_wait(&crowd.cond, &crowd.mutex), -EPERM);
	return 0;
}

Test(cond, is_for_the_owner_of_the_lock)
{
	run_on_1_2_4(wait_without_the_lock);
}
