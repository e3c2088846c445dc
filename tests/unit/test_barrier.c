/* SPDX-License-Identifier: MIT */
/*
 * test_barrier - the barrier over a waist of plain threads.
 */
#include <criterion/criterion.h>

#include <weft/sync.h>

#include "fake_waist.h"

static struct weft_barrier barrier;

static int wait_at_barrier(void *arg)
{
	(void)arg;
	return weft_barrier_wait(&barrier);
}

Test(barrier, refuses_null_and_nobody)
{
	struct weft_barrier zero = {{0}};

	weft_barrier_init(NULL, 1);
	cr_assert_eq(weft_barrier_wait(NULL), -EINVAL);
	cr_assert_eq(weft_barrier_wait(&zero), -EINVAL);
	weft_barrier_init(&barrier, 0);
	cr_assert_eq(weft_barrier_wait(&barrier), -EINVAL);
}

Test(barrier, of_one_never_waits)
{
	weft_barrier_init(&barrier, 1);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(weft_barrier_wait(&barrier), 1);
}

Test(barrier, the_last_one_to_arrive_gets_1_and_all_go_on)
{
	weft_barrier_init(&barrier, 40);
	for (int round = 0; round < 3; round++) {
		struct fake_start *threads[39];

		for (unsigned i = 0; i < 39; i++)
			threads[i] = fake_start_asleep(i, i % 2, wait_at_barrier, NULL);
		cr_assert_eq(weft_barrier_wait(&barrier), 1);
		for (unsigned i = 0; i < 39; i++)
			cr_assert_eq(fake_join(threads[i]), 0);
	}
}

Test(barrier, who_gives_up_leaves_its_place)
{
	struct fake_start *a, *b, *c;

	weft_barrier_init(&barrier, 3);
	a = fake_start_asleep(1, true, wait_at_barrier, NULL);
	b = fake_start_asleep(2, true, wait_at_barrier, NULL);
	fake_set_pending(1, -ECANCELED);
	cr_assert_eq(fake_join(a), -ECANCELED);
	c = fake_start_asleep(3, true, wait_at_barrier, NULL);
	cr_assert_eq(weft_barrier_wait(&barrier), 1);
	cr_assert_eq(fake_join(b), 0);
	cr_assert_eq(fake_join(c), 0);
}

Test(barrier, cancel_at_entry_is_no_arrival)
{
	struct fake_start *thread;

	weft_barrier_init(&barrier, 2);
	fake_begin(1, true);
	fake_set_pending(1, -ECANCELED);
	cr_assert_eq(weft_barrier_wait(&barrier), -ECANCELED);
	fake_set_pending(1, 0);
	thread = fake_start_asleep(2, true, wait_at_barrier, NULL);
	cr_assert_eq(weft_barrier_wait(&barrier), 1);
	cr_assert_eq(fake_join(thread), 0);
}

/* Cancels come at any moment; in each round exactly one gets 1 and one less than n get 0. */
enum { PARTY = 3, PLAYERS = 5, ROUNDS = 2000 / WEFT_TEST_SCALE };

static _Atomic(int) firsts, others, over;

static int arrive_until_over(void *arg)
{
	(void)arg;
	while (!weft_load_acquire(&over)) {
		int rc = weft_barrier_wait(&barrier);

		if (rc == 1)
			weft_add_acq_rel(&firsts, 1);
		else if (rc == 0)
			weft_add_acq_rel(&others, 1);
		else
			weft_store_seq_cst(&fake_self()->pending, 0);
	}
	return 0;
}

Test(barrier, lets_go_neither_early_nor_late_while_some_give_up, .timeout = 30)
{
	struct fake_start *threads[PLAYERS];

	fake_slow_leave = true;
	weft_barrier_init(&barrier, PARTY);
	for (unsigned i = 0; i < PLAYERS; i++)
		threads[i] = fake_start(i, true, arrive_until_over, NULL);
	for (unsigned i = 0; weft_load_acquire(&firsts) < ROUNDS; i++) {
		fake_set_pending(i % PLAYERS, -ECANCELED);
		if (i % 16 == 0)
			sched_yield();
	}
	weft_store_seq_cst(&over, 1);
	for (unsigned i = 0; i < PLAYERS; i++)
		fake_set_pending(i, -ECANCELED);
	for (unsigned i = 0; i < PLAYERS; i++)
		cr_assert_eq(fake_join(threads[i]), 0);
	cr_assert_eq(weft_load_acquire(&others), (PARTY - 1) * weft_load_acquire(&firsts));
}
