/* SPDX-License-Identifier: MIT */
/*
 * test_sem - the semaphore over a waist of plain threads.
 */
#include <criterion/criterion.h>

#include <limits.h>

#include <weft/sync.h>

#include "fake_waist.h"

static struct weft_sem sem;

static int acquire(void *arg)
{
	return weft_sem_acquire(&sem, *(unsigned *)arg);
}

static unsigned one = 1, two = 2, five = 5;

/* Takes everything that is free. */
static unsigned drain(void)
{
	unsigned n = 0;

	while (weft_sem_try_acquire(&sem, 1) == 0)
		n++;
	return n;
}

Test(sem, counts)
{
	cr_assert_eq(weft_sem_try_acquire(&sem, 1), -EAGAIN);
	weft_sem_init(&sem, 3);
	cr_assert_eq(weft_sem_acquire(&sem, 2), 0);
	cr_assert_eq(weft_sem_try_acquire(&sem, 2), -EAGAIN);
	weft_sem_release(&sem, 4);
	cr_assert_eq(weft_sem_try_acquire(&sem, 5), 0);
	cr_assert_eq(drain(), 0);
}

Test(sem, zero_units_are_always_there)
{
	cr_assert_eq(weft_sem_acquire(&sem, 0), 0);
	cr_assert_eq(weft_sem_try_acquire(&sem, 0), 0);
	weft_sem_release(&sem, 0);
	cr_assert_eq(drain(), 0);
}

Test(sem, refuses_null)
{
	cr_assert_eq(weft_sem_acquire(NULL, 1), -EINVAL);
	cr_assert_eq(weft_sem_try_acquire(NULL, 1), -EINVAL);
	weft_sem_release(NULL, 1);
	weft_sem_init(NULL, 1);
}

Test(sem, holds_at_most_uint_max)
{
	weft_sem_init(&sem, UINT_MAX - 1);
	weft_sem_release(&sem, 5);
	cr_assert_eq(weft_sem_try_acquire(&sem, UINT_MAX), 0);
	cr_assert_eq(drain(), 0);
	weft_sem_release(&sem, UINT_MAX);
	weft_sem_release(&sem, UINT_MAX);
	cr_assert_eq(weft_sem_acquire(&sem, UINT_MAX), 0);
}

Test(sem, a_large_request_is_not_overtaken)
{
	struct fake_start *large, *small;

	large = fake_start_asleep(1, true, acquire, &five);
	small = fake_start_asleep(2, false, acquire, &one);
	weft_sem_release(&sem, 4);
	cr_assert_eq(
		weft_sem_try_acquire(&sem, 1), -EAGAIN, "four are free, but spoken for");
	weft_sem_release(&sem, 1);
	cr_assert_eq(fake_join(large), 0);
	weft_sem_release(&sem, 1);
	cr_assert_eq(fake_join(small), 0);
	cr_assert_eq(drain(), 0);
}

Test(sem, those_behind_a_cancelled_waiter_are_served)
{
	struct fake_start *large, *small;

	large = fake_start_asleep(1, true, acquire, &five);
	small = fake_start_asleep(2, true, acquire, &two);
	weft_sem_release(&sem, 3);
	fake_set_pending(1, -ECANCELED);
	cr_assert_eq(fake_join(large), -ECANCELED);
	cr_assert_eq(fake_join(small), 0);
	cr_assert_eq(drain(), 1);
}

Test(sem, one_release_serves_many)
{
	struct fake_start *threads[40];

	for (unsigned i = 0; i < 40; i++)
		threads[i] = fake_start_asleep(i, i % 2, acquire, &one);
	weft_sem_release(&sem, 43);
	for (unsigned i = 0; i < 40; i++)
		cr_assert_eq(fake_join(threads[i]), 0);
	cr_assert_eq(drain(), 3);
}

Test(sem, takes_nothing_for_somebody_already_cancelled)
{
	weft_sem_init(&sem, 1);
	fake_begin(1, true);
	fake_set_pending(1, -ECANCELED);
	cr_assert_eq(weft_sem_acquire(&sem, 1), -ECANCELED);
	cr_assert_eq(drain(), 1);
}

Test(sem, no_unit_is_lost_to_a_cancel_at_the_same_moment)
{
	for (int round = 0; round < 3000; round++) {
		struct fake_start *thread = fake_start(1, true, acquire, &one);
		int rc;

		if (round % 4)
			fake_wait_asleep(1);
		if (round % 2)
			weft_sem_release(&sem, 1);
		fake_set_pending(1, -ECANCELED);
		if (!(round % 2))
			weft_sem_release(&sem, 1);
		rc = fake_join(thread);
		cr_assert(rc == 0 || rc == -ECANCELED);
		cr_assert_eq(drain(), rc == 0 ? 0 : 1);
	}
}

enum { CROWD = 6, ROUNDS = 10000 };

static _Atomic(int) inside;

static int enter_and_leave(void *arg)
{
	unsigned n = *(unsigned *)arg;

	for (int i = 0; i < ROUNDS; i++) {
		cr_assert_eq(weft_sem_acquire(&sem, n), 0);
		cr_assert_leq(weft_add_acq_rel(&inside, (int)n) + (int)n, 3);
		weft_sub_acq_rel(&inside, (int)n);
		weft_sem_release(&sem, n);
	}
	return 0;
}

Test(sem, admits_so_many_and_no_more)
{
	struct fake_start *threads[CROWD];

	weft_sem_init(&sem, 3);
	for (unsigned i = 0; i < CROWD; i++)
		threads[i] = fake_start(i, i % 2, enter_and_leave, i % 3 ? &one : &two);
	for (unsigned i = 0; i < CROWD; i++)
		cr_assert_eq(fake_join(threads[i]), 0);
	cr_assert_eq(drain(), 3);
}
