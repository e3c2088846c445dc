/* SPDX-License-Identifier: MIT */
/*
 * test_event_flag - the event flag over a waist of plain threads.
 */
#include <criterion/criterion.h>

#include <string.h>

#include <weft/sync.h>

#include "fake_waist.h"

static struct weft_event_flag flag;

static int wait_for_flag(void *arg)
{
	(void)arg;
	return weft_event_flag_wait(&flag);
}

Test(event_flag, stays_set_until_it_is_cleared)
{
	cr_assert_eq(weft_event_flag_is_set(&flag), 0);
	weft_event_flag_set(&flag);
	weft_event_flag_set(&flag);
	cr_assert_eq(weft_event_flag_is_set(&flag), 1);
	cr_assert_eq(weft_event_flag_wait(&flag), 0);
	cr_assert_eq(weft_event_flag_wait(&flag), 0);
	weft_event_flag_clear(&flag);
	cr_assert_eq(weft_event_flag_is_set(&flag), 0);
}

Test(event_flag, refuses_null)
{
	cr_assert_eq(weft_event_flag_wait(NULL), -EINVAL);
	cr_assert_eq(weft_event_flag_is_set(NULL), 0);
	weft_event_flag_set(NULL);
	weft_event_flag_clear(NULL);
}

Test(event_flag, set_wakes_all_who_wait)
{
	struct fake_start *threads[40];

	for (unsigned i = 0; i < 40; i++)
		threads[i] = fake_start_asleep(i, i % 2, wait_for_flag, NULL);
	weft_event_flag_set(&flag);
	weft_event_flag_clear(&flag);
	for (unsigned i = 0; i < 40; i++)
		cr_assert_eq(fake_join(threads[i]), 0);
	cr_assert_eq(weft_event_flag_is_set(&flag), 0);
}

Test(event_flag, a_wait_after_clear_waits_for_the_next_set)
{
	struct fake_start *thread;

	weft_event_flag_set(&flag);
	weft_event_flag_clear(&flag);
	thread = fake_start_asleep(1, true, wait_for_flag, NULL);
	weft_event_flag_set(&flag);
	cr_assert_eq(fake_join(thread), 0);
}

Test(event_flag, a_cancelled_waiter_leaves_nothing_behind)
{
	static const struct weft_event_flag zero;
	struct fake_start *thread = fake_start_asleep(1, true, wait_for_flag, NULL);

	fake_set_pending(1, -ECANCELED);
	cr_assert_eq(fake_join(thread), -ECANCELED);
	cr_assert_arr_eq(&flag, &zero, sizeof(zero));
}

Test(event_flag, is_not_waited_for_by_somebody_already_cancelled)
{
	weft_event_flag_set(&flag);
	fake_begin(1, true);
	fake_set_pending(1, -ETIMEDOUT);
	cr_assert_eq(weft_event_flag_wait(&flag), -ETIMEDOUT);
}

/*
 * A one-shot flag lives on the stack of the one who waits; the memory is another's right after,
 * whatever the one who set it has still to do.
 */
static int set_flag(void *arg)
{
	weft_event_flag_set(arg);
	return 0;
}

Test(event_flag, may_be_gone_as_soon_as_its_waiter_returns)
{
	fake_slow_grant = true;
	for (int round = 0; round < 100; round++) {
		struct weft_event_flag mine = {{0}};
		struct fake_start *setter = fake_start(2, false, set_flag, &mine);

		cr_assert_eq(weft_event_flag_wait(&mine), 0);
		memset(&mine, 0xa5, sizeof(mine));
		cr_assert_eq(fake_join(setter), 0);
		for (size_t i = 0; i < sizeof(mine); i++)
			cr_assert_eq(
				((unsigned char *)&mine)[i], 0xa5, "touched when gone");
	}
}

/* Ping-pong over two flags that are used again and again. */
static struct weft_event_flag ping, pong;
static int ball;

static int play(void *arg)
{
	int rounds = *(int *)arg;

	for (int i = 0; i < rounds; i++) {
		cr_assert_eq(weft_event_flag_wait(&ping), 0);
		weft_event_flag_clear(&ping);
		ball++;
		weft_event_flag_set(&pong);
	}
	return 0;
}

Test(event_flag, orders_plain_memory)
{
	int rounds = 1000;
	struct fake_start *other = fake_start(1, true, play, &rounds);

	for (int i = 0; i < rounds; i++) {
		ball++;
		weft_event_flag_set(&ping);
		cr_assert_eq(weft_event_flag_wait(&pong), 0);
		weft_event_flag_clear(&pong);
		cr_assert_eq(ball, 2 * i + 2);
	}
	cr_assert_eq(fake_join(other), 0);
}
