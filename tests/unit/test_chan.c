/* SPDX-License-Identifier: MIT */
/*
 * test_chan - channels over a waist of plain threads.
 */
#include <criterion/criterion.h>

#include <string.h>

#include <weft/sync.h>

#include "fake_waist.h"

static struct weft_chan *chan;

struct transfer {
	long item;
};

static int send_item(void *arg)
{
	return weft_chan_send(chan, &((struct transfer *)arg)->item);
}

static int recv_item(void *arg)
{
	return weft_chan_recv(chan, &((struct transfer *)arg)->item);
}

static void create(size_t capacity)
{
	chan = weft_chan_create(sizeof(long), capacity);
	cr_assert_not_null(chan);
}

Test(chan, holds_its_capacity_in_order)
{
	long item;

	create(3);
	for (int lap = 0; lap < 4; lap++) {
		for (long i = 0; i < 3; i++)
			cr_assert_eq(weft_chan_send(chan, &i), 0);
		cr_assert_eq(weft_chan_len(chan), 3);
		item = 99;
		cr_assert_eq(weft_chan_try_send(chan, &item), -EAGAIN);
		for (long i = 0; i < 3; i++) {
			cr_assert_eq(weft_chan_recv(chan, &item), 1);
			cr_assert_eq(item, i);
		}
		cr_assert_eq(weft_chan_try_recv(chan, &item), -EAGAIN);
		if (lap % 2) { /* move the ring's head off its start */
			cr_assert_eq(weft_chan_try_send(chan, &item), 0);
			cr_assert_eq(weft_chan_try_recv(chan, &item), 1);
		}
	}
	weft_chan_destroy(chan);
}

Test(chan, refuses_null_and_bad_sizes)
{
	long item = 0;

	create(1);
	cr_assert_null(weft_chan_create(0, 1));
	cr_assert_null(weft_chan_create(SIZE_MAX / 2, 3));
	cr_assert_null(weft_chan_create(8, SIZE_MAX / 8));
	cr_assert_null(weft_chan_create(1, SIZE_MAX));
	cr_assert_eq(weft_chan_send(NULL, &item), -EINVAL);
	cr_assert_eq(weft_chan_recv(NULL, &item), -EINVAL);
	cr_assert_eq(weft_chan_send(chan, NULL), -EINVAL);
	cr_assert_eq(weft_chan_recv(chan, NULL), -EINVAL);
	cr_assert_eq(weft_chan_try_send(NULL, &item), -EINVAL);
	cr_assert_eq(weft_chan_try_recv(chan, NULL), -EINVAL);
	cr_assert_eq(weft_chan_len(NULL), 0);
	weft_chan_close(NULL);
	weft_chan_destroy(NULL);
	weft_chan_destroy(chan);
}

Test(chan, carries_items_of_any_size)
{
	for (size_t size = 1; size <= 100; size += 3) {
		unsigned char out[100], in[100];
		struct weft_chan *c = weft_chan_create(size, 5);

		for (int i = 0; i < 12; i++) {
			memset(out, i + 1, size);
			memset(in, 0, sizeof(in));
			cr_assert_eq(weft_chan_send(c, out), 0);
			cr_assert_eq(weft_chan_recv(c, in), 1);
			cr_assert_arr_eq(in, out, size);
			cr_assert_eq(size < 100 ? in[size] : 0, 0, "wrote past the item");
		}
		weft_chan_destroy(c);
	}
}

Test(chan, a_rendezvous_holds_nothing)
{
	struct transfer in = {0}, out = {.item = 7};
	struct fake_start *thread;
	long item = 8;

	create(0);
	cr_assert_eq(weft_chan_try_send(chan, &item), -EAGAIN);
	cr_assert_eq(weft_chan_try_recv(chan, &item), -EAGAIN);

	thread = fake_start_asleep(1, true, recv_item, &in);
	cr_assert_eq(weft_chan_try_send(chan, &item), 0);
	cr_assert_eq(fake_join(thread), 1);
	cr_assert_eq(in.item, 8);

	thread = fake_start_asleep(1, true, send_item, &out);
	cr_assert_eq(weft_chan_len(chan), 0);
	cr_assert_eq(weft_chan_try_recv(chan, &item), 1);
	cr_assert_eq(item, 7);
	cr_assert_eq(fake_join(thread), 0);
	weft_chan_destroy(chan);
}

Test(chan, senders_are_served_in_order)
{
	for (size_t capacity = 0; capacity < 3; capacity++) {
		struct fake_start *threads[5];
		struct transfer out[5];
		long item;

		create(capacity);
		for (long i = 0; i < (long)capacity; i++)
			cr_assert_eq(weft_chan_send(chan, &i), 0);
		for (int i = 0; i < 5; i++) {
			out[i].item = (long)capacity + i;
			threads[i] =
				fake_start_asleep((unsigned)i, i % 2, send_item, &out[i]);
		}
		for (long i = 0; i < (long)capacity + 5; i++) {
			cr_assert_eq(weft_chan_recv(chan, &item), 1);
			cr_assert_eq(item, i);
		}
		for (int i = 0; i < 5; i++)
			cr_assert_eq(fake_join(threads[i]), 0);
		weft_chan_destroy(chan);
	}
}

Test(chan, receivers_are_served_in_order)
{
	for (size_t capacity = 0; capacity < 3; capacity++) {
		struct fake_start *threads[5];
		struct transfer in[5] = {{0}};

		create(capacity);
		for (int i = 0; i < 5; i++)
			threads[i] =
				fake_start_asleep((unsigned)i, i % 2, recv_item, &in[i]);
		for (long i = 1; i <= 5; i++)
			cr_assert_eq(weft_chan_send(chan, &i), 0);
		for (int i = 0; i < 5; i++) {
			cr_assert_eq(fake_join(threads[i]), 1);
			cr_assert_eq(in[i].item, i + 1);
		}
		cr_assert_eq(weft_chan_len(chan), 0);
		weft_chan_destroy(chan);
	}
}

Test(chan, close_turns_senders_away_and_lets_receivers_drain)
{
	struct transfer out = {.item = 3};
	struct fake_start *thread;
	long item = 1;

	create(2);
	cr_assert_eq(weft_chan_send(chan, &item), 0);
	cr_assert_eq(weft_chan_send(chan, &item), 0);
	thread = fake_start_asleep(1, true, send_item, &out);
	weft_chan_close(chan);
	weft_chan_close(chan);
	cr_assert_eq(fake_join(thread), -EPIPE);
	cr_assert_eq(weft_chan_send(chan, &item), -EPIPE);
	cr_assert_eq(weft_chan_try_send(chan, &item), -EPIPE);
	cr_assert_eq(weft_chan_recv(chan, &item), 1);
	cr_assert_eq(weft_chan_try_recv(chan, &item), 1);
	cr_assert_eq(weft_chan_recv(chan, &item), 0);
	cr_assert_eq(weft_chan_try_recv(chan, &item), 0);
	weft_chan_destroy(chan);
}

Test(chan, close_wakes_all_receivers)
{
	struct fake_start *threads[40];
	struct transfer in = {0};

	create(1);
	for (unsigned i = 0; i < 40; i++)
		threads[i] = fake_start_asleep(i, i % 2, recv_item, &in);
	weft_chan_close(chan);
	for (unsigned i = 0; i < 40; i++)
		cr_assert_eq(fake_join(threads[i]), 0);
	weft_chan_destroy(chan);
}

Test(chan, a_cancel_at_entry_moves_no_item)
{
	long item = 5;

	create(2);
	cr_assert_eq(weft_chan_send(chan, &item), 0);
	fake_begin(1, true);
	fake_set_pending(1, -ECANCELED);
	cr_assert_eq(weft_chan_send(chan, &item), -ECANCELED);
	cr_assert_eq(weft_chan_recv(chan, &item), -ECANCELED);
	cr_assert_eq(weft_chan_try_recv(chan, &item), 1, "a try is no checkpoint");
	weft_chan_destroy(chan);
}

Test(chan, no_item_is_lost_to_a_receiver_cancelled_at_the_same_moment)
{
	create(1);
	for (long round = 0; round < 3000; round++) {
		struct transfer in = {.item = -1};
		struct fake_start *thread = fake_start(1, true, recv_item, &in);
		long item = -1;
		int rc;

		if (round % 4)
			fake_wait_asleep(1);
		if (round % 2)
			cr_assert_eq(weft_chan_send(chan, &round), 0);
		fake_set_pending(1, -ECANCELED);
		if (!(round % 2))
			cr_assert_eq(weft_chan_send(chan, &round), 0);
		rc = fake_join(thread);
		cr_assert(rc == 1 || rc == -ECANCELED);
		if (rc == 1)
			item = in.item;
		else
			cr_assert_eq(weft_chan_try_recv(chan, &item), 1);
		cr_assert_eq(item, round);
		cr_assert_eq(weft_chan_len(chan), 0);
	}
	weft_chan_destroy(chan);
}

Test(chan, an_item_of_a_cancelled_sender_is_sent_or_kept)
{
	create(0);
	for (long round = 0; round < 3000; round++) {
		struct transfer out = {.item = round};
		struct fake_start *thread = fake_start(1, true, send_item, &out);
		long item = -1;
		int got = -EAGAIN, rc;

		if (round % 4)
			fake_wait_asleep(1);
		if (round % 2)
			got = weft_chan_try_recv(chan, &item);
		fake_set_pending(1, -ECANCELED);
		if (got == -EAGAIN)
			got = weft_chan_try_recv(chan, &item);
		rc = fake_join(thread);
		cr_assert_eq(rc, got == 1 ? 0 : -ECANCELED);
		cr_assert_eq(item, got == 1 ? round : -1);
	}
	weft_chan_destroy(chan);
}

/* -- a crowd --------------------------------------------------------------------------------- */

enum { PAIRS = 3, ITEMS = 6000 };

struct totals {
	long base;
	unsigned long count, sum, xors;
};

static int send_many(void *arg)
{
	struct totals *t = arg;

	for (long i = 1; i <= ITEMS; i++) {
		long item = t->base + i;

		cr_assert_eq(weft_chan_send(chan, &item), 0);
		t->count++;
		t->sum += (unsigned long)item;
		t->xors ^= (unsigned long)item * 0x9E3779B97F4A7C15;
	}
	return 0;
}

static int recv_many(void *arg)
{
	struct totals *t = arg;
	long item;

	while (weft_chan_recv(chan, &item) == 1) {
		t->count++;
		t->sum += (unsigned long)item;
		t->xors ^= (unsigned long)item * 0x9E3779B97F4A7C15;
	}
	return 0;
}

static void run_crowd(size_t capacity)
{
	struct fake_start *threads[2 * PAIRS];
	struct totals totals[2 * PAIRS] = {{0}};
	struct totals sent = {0}, received = {0};

	create(capacity);
	for (unsigned i = 0; i < PAIRS; i++) {
		totals[2 * i].base = (long)i * 1000000;
		threads[2 * i] = fake_start(2 * i, i % 2, send_many, &totals[2 * i]);
		threads[2 * i + 1] =
			fake_start(2 * i + 1, i % 2, recv_many, &totals[2 * i + 1]);
	}
	for (unsigned i = 0; i < PAIRS; i++)
		cr_assert_eq(fake_join(threads[2 * i]), 0);
	weft_chan_close(chan);
	for (unsigned i = 0; i < PAIRS; i++)
		cr_assert_eq(fake_join(threads[2 * i + 1]), 0);
	for (unsigned i = 0; i < 2 * PAIRS; i++) {
		struct totals *to = i % 2 ? &received : &sent;

		to->count += totals[i].count;
		to->sum += totals[i].sum;
		to->xors ^= totals[i].xors;
	}
	cr_assert_eq(sent.count, (unsigned long)PAIRS * ITEMS);
	cr_assert_eq(received.count, sent.count);
	cr_assert_eq(received.sum, sent.sum);
	cr_assert_eq(received.xors, sent.xors);
	weft_chan_destroy(chan);
}

Test(chan, a_crowd_over_a_rendezvous_loses_and_doubles_nothing)
{
	run_crowd(0);
}

Test(chan, a_crowd_over_a_small_ring_loses_and_doubles_nothing)
{
	run_crowd(1);
	run_crowd(4);
}
