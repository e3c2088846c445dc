/* SPDX-License-Identifier: MIT */
/*
 * test_rwlock - the readers-writer lock over a waist of plain threads.
 */
#include <criterion/criterion.h>

#include <weft/sync.h>

#include "fake_waist.h"

static struct weft_rwlock rwlock;
static _Atomic(int) reading;
static int order[8];
static int order_count;

static int read_and_keep(void *arg)
{
	int rc = weft_rwlock_rdlock(&rwlock);

	(void)arg;
	if (rc == 0)
		weft_add_acq_rel(&reading, 1);
	return rc;
}

static int write_and_record(void *arg)
{
	int rc = weft_rwlock_wrlock(&rwlock);

	if (rc < 0)
		return rc;
	order[order_count++] = *(int *)arg;
	return weft_rwlock_unlock(&rwlock);
}

/* One at a time: the order would be a race between readers that enter together. */
static int read_and_record(void *arg)
{
	int rc = weft_rwlock_rdlock(&rwlock);

	if (rc < 0)
		return rc;
	order[order_count++] = *(int *)arg;
	return weft_rwlock_unlock(&rwlock);
}

static int unlock_it(void *arg)
{
	(void)arg;
	return weft_rwlock_unlock(&rwlock);
}

static void assert_as_new(void)
{
	static const struct weft_rwlock zero;

	cr_assert_arr_eq(&rwlock, &zero, sizeof(zero));
}

Test(rwlock, refuses_null)
{
	cr_assert_eq(weft_rwlock_rdlock(NULL), -EINVAL);
	cr_assert_eq(weft_rwlock_wrlock(NULL), -EINVAL);
	cr_assert_eq(weft_rwlock_unlock(NULL), -EINVAL);
}

Test(rwlock, readers_share_it_and_leave_it_as_new)
{
	struct fake_start *threads[4];

	for (unsigned i = 0; i < 4; i++)
		threads[i] = fake_start(i, i % 2, read_and_keep, NULL);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(fake_join(threads[i]), 0);
	cr_assert_eq(weft_load_acquire(&reading), 4);
	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(weft_rwlock_unlock(&rwlock), 0, "of several, anybody's");
	cr_assert_eq(weft_rwlock_unlock(&rwlock), -EPERM);
	assert_as_new();
}

Test(rwlock, a_writer_keeps_everybody_out)
{
	struct fake_start *reader, *writer;
	int one = 1, two = 2;

	cr_assert_eq(weft_rwlock_wrlock(&rwlock), 0);
	reader = fake_start_asleep(1, true, read_and_record, &one);
	writer = fake_start_asleep(2, true, write_and_record, &two);
	cr_assert_eq(order_count, 0);
	cr_assert_eq(weft_rwlock_unlock(&rwlock), 0);
	cr_assert_eq(fake_join(reader), 0);
	cr_assert_eq(fake_join(writer), 0);
	cr_assert_eq(order[0], 1);
	cr_assert_eq(order[1], 2);
	assert_as_new();
}

Test(rwlock, a_reader_behind_a_waiting_writer_waits)
{
	struct fake_start *writer, *reader;
	int one = 1, two = 2;

	cr_assert_eq(weft_rwlock_rdlock(&rwlock), 0);
	writer = fake_start_asleep(1, true, write_and_record, &one);
	reader = fake_start_asleep(2, false, read_and_record, &two);
	cr_assert_eq(weft_rwlock_unlock(&rwlock), 0);
	cr_assert_eq(fake_join(writer), 0);
	cr_assert_eq(fake_join(reader), 0);
	cr_assert_eq(order[0], 1);
	cr_assert_eq(order[1], 2);
	assert_as_new();
}

Test(rwlock, readers_at_the_front_enter_together)
{
	struct fake_start *readers[40], *writer;
	int last = 9;

	cr_assert_eq(weft_rwlock_wrlock(&rwlock), 0);
	for (unsigned i = 0; i < 40; i++)
		readers[i] = fake_start_asleep(i, i % 2, read_and_keep, NULL);
	writer = fake_start_asleep(40, true, write_and_record, &last);
	cr_assert_eq(weft_rwlock_unlock(&rwlock), 0);
	for (unsigned i = 0; i < 40; i++)
		cr_assert_eq(fake_join(readers[i]), 0);
	cr_assert_eq(weft_load_acquire(&reading), 40);
	cr_assert_eq(order_count, 0, "the writer waits for them all");
	for (unsigned i = 0; i < 40; i++)
		cr_assert_eq(weft_rwlock_unlock(&rwlock), 0);
	cr_assert_eq(fake_join(writer), 0);
	assert_as_new();
}

Test(rwlock, a_writer_that_gives_up_lets_the_readers_behind_it_in)
{
	struct fake_start *writer, *readers[2];
	int one = 1;

	cr_assert_eq(weft_rwlock_rdlock(&rwlock), 0);
	writer = fake_start_asleep(1, true, write_and_record, &one);
	readers[0] = fake_start_asleep(2, true, read_and_keep, NULL);
	readers[1] = fake_start_asleep(3, false, read_and_keep, NULL);
	fake_set_pending(1, -ECANCELED);
	cr_assert_eq(fake_join(writer), -ECANCELED);
	cr_assert_eq(fake_join(readers[0]), 0);
	cr_assert_eq(fake_join(readers[1]), 0);
	cr_assert_eq(order_count, 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(weft_rwlock_unlock(&rwlock), 0);
	assert_as_new();
}

Test(rwlock, a_reader_that_gives_up_leaves_nothing_behind)
{
	struct fake_start *reader;

	cr_assert_eq(weft_rwlock_wrlock(&rwlock), 0);
	reader = fake_start_asleep(1, true, read_and_keep, NULL);
	fake_set_pending(1, -ETIMEDOUT);
	cr_assert_eq(fake_join(reader), -ETIMEDOUT);
	cr_assert_eq(weft_rwlock_unlock(&rwlock), 0);
	assert_as_new();
}

Test(rwlock, cancel_at_entry_locks_nothing)
{
	fake_begin(1, true);
	fake_set_pending(1, -ECANCELED);
	cr_assert_eq(weft_rwlock_rdlock(&rwlock), -ECANCELED);
	cr_assert_eq(weft_rwlock_wrlock(&rwlock), -ECANCELED);
	assert_as_new();
}

Test(rwlock, knows_who_holds_it_alone)
{
	cr_assert_eq(weft_rwlock_unlock(&rwlock), -EPERM);
	cr_assert_eq(weft_rwlock_wrlock(&rwlock), 0);
	cr_assert_eq(weft_rwlock_wrlock(&rwlock), -EDEADLK);
	cr_assert_eq(weft_rwlock_rdlock(&rwlock), -EDEADLK);
	cr_assert_eq(fake_join(fake_start(1, true, unlock_it, NULL)), -EPERM);
	cr_assert_eq(weft_rwlock_unlock(&rwlock), 0);

	cr_assert_eq(weft_rwlock_rdlock(&rwlock), 0);
	cr_assert_eq(weft_rwlock_wrlock(&rwlock), -EDEADLK, "the reader is the caller");
	cr_assert_eq(fake_join(fake_start(1, false, unlock_it, NULL)), -EPERM);
	cr_assert_eq(weft_rwlock_rdlock(&rwlock), 0, "nobody waits to write");
	cr_assert_eq(weft_rwlock_unlock(&rwlock), 0);
	cr_assert_eq(weft_rwlock_unlock(&rwlock), 0);
	assert_as_new();
}

Test(rwlock, a_sole_reader_does_not_wait_behind_a_writer_that_waits_for_it)
{
	struct fake_start *writer;
	int one = 1;

	cr_assert_eq(weft_rwlock_rdlock(&rwlock), 0);
	writer = fake_start_asleep(1, true, write_and_record, &one);
	cr_assert_eq(weft_rwlock_rdlock(&rwlock), -EDEADLK);
	cr_assert_eq(weft_rwlock_unlock(&rwlock), 0);
	cr_assert_eq(fake_join(writer), 0);
	assert_as_new();
}

static struct weft_rwlock other;
static struct weft_event_flag has_other;

static int write_other_then_this(void *arg)
{
	int rc;

	(void)arg;
	cr_assert_eq(weft_rwlock_wrlock(&other), 0);
	weft_event_flag_set(&has_other);
	rc = weft_rwlock_wrlock(&rwlock);
	if (rc == 0)
		cr_assert_eq(weft_rwlock_unlock(&rwlock), 0);
	cr_assert_eq(weft_rwlock_unlock(&other), 0);
	return rc;
}

Test(rwlock, a_cycle_through_a_reader_and_a_writer_is_told)
{
	struct fake_start *thread;

	fake_begin(2, true);
	cr_assert_eq(weft_rwlock_rdlock(&rwlock), 0);
	thread = fake_start(1, true, write_other_then_this, NULL);
	cr_assert_eq(weft_event_flag_wait(&has_other), 0);
	fake_wait_asleep(1);
	cr_assert_eq(weft_rwlock_rdlock(&other), -EDEADLK);
	cr_assert_eq(weft_rwlock_unlock(&rwlock), 0);
	cr_assert_eq(fake_join(thread), 0);
}

Test(rwlock, a_waiter_outlives_the_lock_on_its_own_stack)
{
	int one = 1;

	fake_slow_grant = true;
	for (int i = 0; i < 20; i++) {
		struct fake_start *thread;

		cr_assert_eq(weft_rwlock_wrlock(&rwlock), 0);
		thread = fake_start_asleep(1, true, read_and_record, &one);
		cr_assert_eq(weft_rwlock_unlock(&rwlock), 0);
		cr_assert_eq(fake_join(thread), 0);
		order_count = 0;
		assert_as_new(); /* the granter has let go of the spin lock too */
	}
}
