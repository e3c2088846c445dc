/* SPDX-License-Identifier: MIT */
/*
 * test_mutex - the mutex over a waist of plain threads.
 */
#include <criterion/criterion.h>

#include <string.h>

#include <weft/sync.h>

#include "fake_waist.h"

static struct weft_mutex mutex;
static struct weft_event_flag locked;
static int order[8];
static int order_count;

static int lock_and_record(void *arg)
{
	int rc = weft_mutex_lock(&mutex);

	if (rc < 0)
		return rc;
	order[order_count++] = *(int *)arg;
	return weft_mutex_unlock(&mutex);
}

static int lock_and_keep(void *arg)
{
	(void)arg;
	return weft_mutex_lock(&mutex);
}

static int trylock_and_unlock(void *arg)
{
	(void)arg;
	cr_assert_eq(weft_mutex_unlock(&mutex), -EPERM);
	return weft_mutex_trylock(&mutex);
}

Test(mutex, knows_its_owner)
{
	cr_assert_eq(weft_mutex_unlock(&mutex), -EPERM);
	cr_assert_eq(weft_mutex_lock(&mutex), 0);
	cr_assert_eq(weft_mutex_lock(&mutex), -EDEADLK);
	cr_assert_eq(weft_mutex_trylock(&mutex), -EBUSY);
	cr_assert_eq(fake_join(fake_start(1, false, trylock_and_unlock, NULL)), -EBUSY);
	cr_assert_eq(weft_mutex_unlock(&mutex), 0);
	cr_assert_eq(weft_mutex_unlock(&mutex), -EPERM);
	cr_assert_eq(weft_mutex_trylock(&mutex), 0);
	cr_assert_eq(weft_mutex_unlock(&mutex), 0);
}

Test(mutex, refuses_null)
{
	cr_assert_eq(weft_mutex_lock(NULL), -EINVAL);
	cr_assert_eq(weft_mutex_trylock(NULL), -EINVAL);
	cr_assert_eq(weft_mutex_unlock(NULL), -EINVAL);
}

Test(mutex, serves_waiters_in_order)
{
	struct fake_start *threads[6];
	int numbers[6];

	cr_assert_eq(weft_mutex_lock(&mutex), 0);
	for (int i = 0; i < 6; i++) {
		numbers[i] = i;
		threads[i] = fake_start_asleep(
			(unsigned)i, i % 2, lock_and_record, &numbers[i]);
	}
	cr_assert_eq(weft_mutex_unlock(&mutex), 0);
	for (int i = 0; i < 6; i++)
		cr_assert_eq(fake_join(threads[i]), 0);
	for (int i = 0; i < 6; i++)
		cr_assert_eq(order[i], i);
}

Test(mutex, belongs_to_the_first_waiter_as_soon_as_it_is_unlocked)
{
	struct fake_start *thread;

	cr_assert_eq(weft_mutex_lock(&mutex), 0);
	thread = fake_start_asleep(1, true, lock_and_keep, NULL);
	cr_assert_eq(weft_mutex_unlock(&mutex), 0);
	cr_assert_eq(weft_mutex_trylock(&mutex), -EBUSY);
	cr_assert_eq(fake_join(thread), 0);
	cr_assert_eq(weft_mutex_trylock(&mutex), -EBUSY);
}

Test(mutex, a_cancelled_waiter_leaves_and_the_next_is_served)
{
	struct fake_start *a, *b;
	int two = 2;

	cr_assert_eq(weft_mutex_lock(&mutex), 0);
	a = fake_start_asleep(1, true, lock_and_keep, NULL);
	b = fake_start_asleep(2, true, lock_and_record, &two);
	fake_set_pending(1, -ECANCELED);
	cr_assert_eq(fake_join(a), -ECANCELED);
	cr_assert_eq(weft_mutex_unlock(&mutex), 0);
	cr_assert_eq(fake_join(b), 0);
	cr_assert_eq(order[0], 2);
	cr_assert_eq(weft_mutex_trylock(&mutex), 0);
}

Test(mutex, is_as_new_after_its_only_waiter_was_cancelled)
{
	static const struct weft_mutex zero;
	struct fake_start *thread;

	cr_assert_eq(weft_mutex_lock(&mutex), 0);
	thread = fake_start_asleep(1, true, lock_and_keep, NULL);
	fake_set_pending(1, -ETIMEDOUT);
	cr_assert_eq(fake_join(thread), -ETIMEDOUT);
	cr_assert_eq(weft_mutex_unlock(&mutex), 0);
	cr_assert_arr_eq(&mutex, &zero, sizeof(zero));
}

/* A cancel at entry comes before any effect, even on a mutex that is free. */
Test(mutex, is_not_locked_for_somebody_already_cancelled)
{
	fake_begin(1, true);
	fake_set_pending(1, -ECANCELED);
	cr_assert_eq(weft_mutex_lock(&mutex), -ECANCELED);
	cr_assert_eq(weft_mutex_unlock(&mutex), -EPERM);
}

/*
 * Whether the grant or the cancel comes first is open; what must not happen is a mutex that
 * belongs to nobody, or to one who was told it did not get it.
 */
static int lock_or_be_cancelled(void *arg)
{
	int rc = weft_mutex_lock(&mutex);

	if (rc == 0) {
		++*(long *)arg; /* guarded by the mutex */
		cr_assert_eq(weft_mutex_unlock(&mutex), 0);
	}
	return rc;
}

Test(mutex, the_result_wins_over_a_cancel_at_the_same_moment)
{
	long granted = 0, expected = 0;

	for (int round = 0; round < 3000; round++) {
		struct fake_start *thread;
		int rc;

		cr_assert_eq(weft_mutex_lock(&mutex), 0);
		thread = fake_start(1, true, lock_or_be_cancelled, &granted);
		if (round % 4)
			fake_wait_asleep(1);
		if (round % 2)
			cr_assert_eq(weft_mutex_unlock(&mutex), 0);
		fake_set_pending(1, -ECANCELED);
		if (!(round % 2))
			cr_assert_eq(weft_mutex_unlock(&mutex), 0);
		rc = fake_join(thread);
		cr_assert(rc == 0 || rc == -ECANCELED);
		expected += rc == 0;
		cr_assert_eq(weft_mutex_trylock(&mutex), 0);
		cr_assert_eq(weft_mutex_unlock(&mutex), 0);
	}
	cr_assert_eq(granted, expected);
}

static struct weft_mutex other;

/* Holds mutex and wants other, while the test holds other and wants mutex. */
static int lock_both(void *arg)
{
	int rc;

	(void)arg;
	cr_assert_eq(weft_mutex_lock(&mutex), 0);
	rc = weft_mutex_lock(&other);
	cr_assert_eq(rc, 0);
	cr_assert_eq(weft_mutex_unlock(&mutex), 0);
	return weft_mutex_unlock(&other);
}

Test(mutex, a_cycle_of_two_fails_for_the_one_who_closes_it)
{
	struct fake_start *a;

	fake_begin(2, true);
	cr_assert_eq(weft_mutex_lock(&other), 0);
	a = fake_start_asleep(1, true, lock_both, NULL);
	cr_assert_eq(weft_mutex_lock(&mutex), -EDEADLK);
	cr_assert_eq(weft_mutex_unlock(&other), 0);
	cr_assert_eq(fake_join(a), 0);
	cr_assert_eq(weft_mutex_lock(&mutex), 0);
}

/* The last to lock an object's mutex may free the object, though the one before is still inside
 * its unlock. */
static int unlock_after_wait(void *arg)
{
	cr_assert_eq(weft_mutex_lock(arg), 0);
	weft_event_flag_set(&locked);
	fake_wait_asleep(1);
	return weft_mutex_unlock(arg);
}

Test(mutex, may_be_gone_once_the_last_one_to_lock_it_has_unlocked)
{
	fake_slow_grant = true;
	fake_begin(1, true);
	for (int round = 0; round < 100; round++) {
		struct weft_mutex mine = {{0}};
		struct fake_start *before =
			fake_start(2, false, unlock_after_wait, &mine);

		cr_assert_eq(weft_event_flag_wait(&locked), 0);
		weft_event_flag_clear(&locked);
		cr_assert_eq(weft_mutex_lock(&mine), 0);
		cr_assert_eq(weft_mutex_unlock(&mine), 0);
		memset(&mine, 0xa5, sizeof(mine));
		cr_assert_eq(fake_join(before), 0);
		for (size_t i = 0; i < sizeof(mine); i++)
			cr_assert_eq(
				((unsigned char *)&mine)[i], 0xa5, "touched when gone");
	}
}

enum { CROWD = 6, ROUNDS = 20000 };

static int add_many(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		cr_assert_eq(weft_mutex_lock(&mutex), 0);
		++*(long *)arg;
		cr_assert_eq(weft_mutex_unlock(&mutex), 0);
	}
	return 0;
}

Test(mutex, excludes_a_crowd)
{
	struct fake_start *threads[CROWD];
	long sum = 0;

	for (unsigned i = 0; i < CROWD; i++)
		threads[i] = fake_start(i, i % 2, add_many, &sum);
	for (unsigned i = 0; i < CROWD; i++)
		cr_assert_eq(fake_join(threads[i]), 0);
	cr_assert_eq(sum, (long)CROWD * ROUNDS);
}
