/* SPDX-License-Identifier: MIT */
/*
 * test_cond - the condition variable over a waist of plain threads.
 */
#include <criterion/criterion.h>

#include <weft/sync.h>

#include "fake_waist.h"

static struct weft_mutex mutex;
static struct weft_cond cond;
static int order[8];
static int order_count;

static int wait_once(void *arg)
{
	int rc;

	cr_assert_eq(weft_mutex_lock(&mutex), 0);
	rc = weft_cond_wait(&cond, &mutex);
	if (arg)
		order[order_count++] = *(int *)arg;
	cr_assert_eq(weft_mutex_unlock(&mutex), 0, "the waiter owns the mutex again");
	return rc;
}

Test(cond, wants_a_mutex_that_is_mine)
{
	cr_assert_eq(weft_cond_wait(&cond, &mutex), -EPERM);
	cr_assert_eq(weft_cond_wait(NULL, &mutex), -EINVAL);
	cr_assert_eq(weft_cond_wait(&cond, NULL), -EINVAL);
	weft_cond_signal(NULL);
	weft_cond_broadcast(NULL);
}

Test(cond, signal_wakes_in_order_and_broadcast_the_rest)
{
	struct fake_start *threads[6];
	int numbers[6];

	for (int i = 0; i < 6; i++) {
		numbers[i] = i;
		threads[i] =
			fake_start_asleep((unsigned)i, i % 2, wait_once, &numbers[i]);
	}
	for (int i = 0; i < 3; i++) {
		weft_cond_signal(&cond);
		cr_assert_eq(fake_join(threads[i]), 0);
	}
	weft_cond_broadcast(&cond);
	for (int i = 3; i < 6; i++)
		cr_assert_eq(fake_join(threads[i]), 0);
	cr_assert_eq(order_count, 6);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(order[i], i);
}

Test(cond, a_signal_without_waiters_is_forgotten)
{
	struct fake_start *thread;

	weft_cond_signal(&cond);
	weft_cond_broadcast(&cond);
	thread = fake_start_asleep(1, true, wait_once, NULL);
	weft_cond_signal(&cond);
	cr_assert_eq(fake_join(thread), 0);
}

Test(cond, relocks_even_when_cancelled)
{
	struct fake_start *thread = fake_start_asleep(1, true, wait_once, NULL);

	cr_assert_eq(weft_mutex_lock(&mutex), 0);
	fake_set_pending(1, -ECANCELED);
	/* Whether it is on the way to the mutex or still in the queue: it cannot return yet. */
	cr_assert_eq(weft_mutex_trylock(&mutex), -EBUSY);
	cr_assert_eq(weft_mutex_unlock(&mutex), 0);
	cr_assert_eq(fake_join(thread), -ECANCELED);
	cr_assert_eq(weft_mutex_trylock(&mutex), 0);
}

/* What is pending before the call does not keep others from the mutex, nor the caller waiting. */
Test(cond, returns_at_once_for_somebody_already_cancelled)
{
	fake_begin(1, true);
	cr_assert_eq(weft_mutex_lock(&mutex), 0);
	fake_set_pending(1, -ETIMEDOUT);
	cr_assert_eq(weft_cond_wait(&cond, &mutex), -ETIMEDOUT);
	cr_assert_eq(weft_mutex_unlock(&mutex), 0);
}

Test(cond, a_signal_is_not_lost_to_a_cancelled_waiter)
{
	struct fake_start *a, *b;

	a = fake_start_asleep(1, true, wait_once, NULL);
	b = fake_start_asleep(2, true, wait_once, NULL);
	fake_set_pending(1, -ECANCELED);
	cr_assert_eq(fake_join(a), -ECANCELED);
	weft_cond_signal(&cond);
	cr_assert_eq(fake_join(b), 0);
}

/* A signal and a cancel at once: exactly one waiter is signalled, whoever it is. */
Test(cond, each_signal_wakes_one_though_cancels_race_with_it)
{
	for (int round = 0; round < 1500; round++) {
		struct fake_start *a = fake_start_asleep(1, true, wait_once, NULL);
		struct fake_start *b = fake_start_asleep(2, true, wait_once, NULL);
		int rc;

		if (round % 2)
			weft_cond_signal(&cond);
		fake_set_pending(1, -ECANCELED);
		if (!(round % 2))
			weft_cond_signal(&cond);
		rc = fake_join(a);
		cr_assert(rc == 0 || rc == -ECANCELED);
		if (rc == 0) /* it had the signal: b still waits */
			weft_cond_signal(&cond);
		cr_assert_eq(fake_join(b), 0);
	}
}

/* -- a bounded buffer of one ----------------------------------------------------------------- */

enum { ITEMS = 5000 };

static struct weft_cond not_full, not_empty;
static int slot;
static bool full;

static int produce(void *arg)
{
	(void)arg;
	for (int i = 1; i <= ITEMS; i++) {
		cr_assert_eq(weft_mutex_lock(&mutex), 0);
		while (full)
			cr_assert_eq(weft_cond_wait(&not_full, &mutex), 0);
		slot = i;
		full = true;
		weft_cond_signal(&not_empty);
		cr_assert_eq(weft_mutex_unlock(&mutex), 0);
	}
	return 0;
}

static int consume(void *arg)
{
	long *sum = arg;

	for (int i = 1; i <= ITEMS; i++) {
		cr_assert_eq(weft_mutex_lock(&mutex), 0);
		while (!full)
			cr_assert_eq(weft_cond_wait(&not_empty, &mutex), 0);
		*sum += slot;
		full = false;
		weft_cond_signal(&not_full);
		cr_assert_eq(weft_mutex_unlock(&mutex), 0);
	}
	return 0;
}

Test(cond, carries_a_buffer_between_producers_and_consumers)
{
	struct fake_start *threads[4];
	long sums[2] = {0};

	for (unsigned i = 0; i < 2; i++) {
		threads[2 * i] = fake_start(2 * i, i, produce, NULL);
		threads[2 * i + 1] = fake_start(2 * i + 1, i, consume, &sums[i]);
	}
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(fake_join(threads[i]), 0);
	cr_assert_eq(sums[0] + sums[1], 2L * ITEMS * (ITEMS + 1) / 2);
}
