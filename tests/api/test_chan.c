/* SPDX-License-Identifier: MIT */
/*
 * chan - items of one size from any number of senders to any number of receivers.
 */
#include "helper.h"

TestSuite(chan, .timeout = PATIENCE);

struct sender {
	struct weft_chan *chan;
	int from, to;
};

static int send_range(void *arg)
{
	struct sender *s = arg;

	for (int i = s->from; i < s->to; i++) {
		int status = weft_chan_send(s->chan, &i);
		if (status < 0)
			return status;
	}
	return 0;
}

static int receive_in_order(void *arg)
{
	(void)arg;
	for (size_t capacity = 0; capacity <= 4; capacity += 2) {
		struct sender s = { weft_chan_create(sizeof(int), capacity), 0, 300 };
		struct weft_task *sender = weft_create_task(send_range, &s);
		int item;

		for (int i = 0; i < 300; i++) {
			cr_assert_eq(weft_chan_recv(s.chan, &item), 1);
			cr_assert_eq(item, i);
		}
		cr_assert_eq(weft_join(sender), 0);
		weft_chan_destroy(s.chan);
	}
	return 0;
}

Test(chan, keeps_the_order_of_a_sender)
{
	run_on_1_2_4(receive_in_order);
}

struct receiver {
	struct weft_chan *chan;
	int *seen;
};

static int receive_until_closed(void *arg)
{
	struct receiver *r = arg;
	int item, n = 0, status;

	while ((status = weft_chan_recv(r->chan, &item)) == 1) {
		__atomic_fetch_add(&r->seen[item], 1, __ATOMIC_SEQ_CST);
		n++;
	}
	return status < 0 ? status : n;
}

static int many_to_many(void *arg)
{
	(void)arg;
	for (size_t capacity = 0; capacity <= 3; capacity++) {
		struct weft_chan *chan = weft_chan_create(sizeof(int), capacity);
		struct weft_task *senders[4], *receivers[3];
		struct sender s[4];
		static int seen[1000];
		int received = 0;

		memset(seen, 0, sizeof(seen));
		struct receiver r = { chan, seen };
		for (int i = 0; i < 3; i++)
			receivers[i] = weft_create_task(receive_until_closed, &r);
		for (int i = 0; i < 4; i++) {
			s[i] = (struct sender){ chan, i * 250, (i + 1) * 250 };
			senders[i] = weft_create_task(send_range, &s[i]);
		}
		for (int i = 0; i < 4; i++)
			cr_assert_eq(weft_join(senders[i]), 0);
		weft_chan_close(chan);
		for (int i = 0; i < 3; i++)
			received += weft_join(receivers[i]);
		cr_assert_eq(received, 1000);
		for (int i = 0; i < 1000; i++)
			cr_assert_eq(seen[i], 1, "item %d, capacity %zu", i, capacity);
		weft_chan_destroy(chan);
	}
	return 0;
}

Test(chan, delivers_each_item_once)
{
	run_on_1_2_4(many_to_many);
}

static int fill_and_drain(void *arg)
{
	struct weft_chan *chan = weft_chan_create(sizeof(int), 3);
	int item;

	(void)arg;
	cr_assert_eq(weft_chan_try_recv(chan, &item), -EAGAIN);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(weft_chan_len(chan), (size_t)i);
		cr_assert_eq(weft_chan_try_send(chan, &i), 0);
	}
	item = 3;
	cr_assert_eq(weft_chan_try_send(chan, &item), -EAGAIN, "full");
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(weft_chan_try_recv(chan, &item), 1);
		cr_assert_eq(item, i);
	}
	cr_assert_eq(weft_chan_len(chan), 0);
	weft_chan_destroy(chan);
	return 0;
}

Test(chan, holds_as_many_as_its_capacity)
{
	run_on_1_2_4(fill_and_drain);
}

static int close_and_drain(void *arg)
{
	struct weft_chan *chan = weft_chan_create(sizeof(int), 3);
	int item = 7;

	(void)arg;
	weft_chan_send(chan, &item);
	weft_chan_close(chan);
	weft_chan_close(chan); /* harmless */
	cr_assert_eq(weft_chan_send(chan, &item), -EPIPE);
	cr_assert_eq(weft_chan_try_send(chan, &item), -EPIPE);
	item = 0;
	cr_assert_eq(weft_chan_recv(chan, &item), 1, "what is left");
	cr_assert_eq(item, 7);
	cr_assert_eq(weft_chan_recv(chan, &item), 0, "closed and drained");
	cr_assert_eq(weft_chan_try_recv(chan, &item), 0);
	weft_chan_destroy(chan);
	return 0;
}

Test(chan, is_drained_after_it_was_closed)
{
	run_on_1_2_4(close_and_drain);
}

static int receive_one(void *arg)
{
	int item;

	return weft_chan_recv(arg, &item);
}

static int send_one(void *arg)
{
	int item = 1;

	return weft_chan_send(arg, &item);
}

static int close_under_waiters(void *arg)
{
	(void)arg;
	struct weft_chan *empty = weft_chan_create(sizeof(int), 1);
	struct weft_chan *full = weft_chan_create(sizeof(int), 0);
	struct weft_task *receiver = weft_create_task(receive_one, empty);
	struct weft_task *sender = weft_create_task(send_one, full);

	weft_yield();
	weft_chan_close(empty);
	weft_chan_close(full);
	cr_assert_eq(weft_join(receiver), 0);
	cr_assert_eq(weft_join(sender), -EPIPE, "for those who are waiting too");
	weft_chan_destroy(empty);
	weft_chan_destroy(full);
	return 0;
}

Test(chan, closing_wakes_all_who_wait)
{
	run_on_1_2_4(close_under_waiters);
}

static int meet(void *arg)
{
	struct weft_chan *chan = weft_chan_create(sizeof(int), 0);
	int item = 1;

	(void)arg;
	cr_assert_eq(weft_chan_try_send(chan, &item), -EAGAIN, "nobody is there to take it");
	cr_assert_eq(weft_chan_try_recv(chan, &item), -EAGAIN);
	struct weft_task *sender = weft_create_task(send_one, chan);
	weft_yield();
	cr_assert_eq(weft_status(sender), -EINPROGRESS, "it waits for a receiver");
	cr_assert_eq(weft_chan_len(chan), 0, "and holds nothing meanwhile");
	cr_assert_eq(weft_chan_try_recv(chan, &item), 1);
	cr_assert_eq(weft_join(sender), 0);
	weft_chan_destroy(chan);
	return 0;
}

Test(chan, of_capacity_0_is_a_rendezvous)
{
	cr_assert_eq(run_with(1, meet, NULL), 0);
}

static int send_large_items(void *arg)
{
	struct large {
		char text[5000];
	} in, out;
	struct weft_chan *chan = weft_chan_create(sizeof(in), 2);

	(void)arg;
	for (int i = 0; i < 5; i++) {
		memset(&in, 'a' + i, sizeof(in));
		cr_assert_eq(weft_chan_send(chan, &in), 0);
		cr_assert_eq(weft_chan_recv(chan, &out), 1);
		cr_assert_arr_eq(&in, &out, sizeof(in));
	}
	weft_chan_destroy(chan);
	return 0;
}

Test(chan, copies_items_of_any_size)
{
	run_on_1_2_4(send_large_items);
}

static int cancel_and_time_out(void *arg)
{
	struct weft_chan *chan = weft_chan_create(sizeof(int), 1);
	struct weft_scope scope;
	int item = 1;

	(void)arg;
	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_chan_recv(chan, &item), -ETIMEDOUT);
	weft_scope_end(&scope);
	weft_chan_send(chan, &item);
	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_chan_send(chan, &item), -ETIMEDOUT);
	weft_scope_end(&scope);
	cr_assert_eq(weft_chan_len(chan), 1, "what timed out was not sent");

	struct weft_task *sender = weft_create_task(send_one, chan);
	weft_yield();
	weft_cancel(sender);
	cr_assert_eq(weft_join(sender), -ECANCELED);
	cr_assert_eq(weft_chan_len(chan), 1);
	weft_chan_destroy(chan);
	return 0;
}

Test(chan, obeys_cancels_and_deadlines)
{
	run_on_1_2_4(cancel_and_time_out);
}

static int make_odd_channels(void *arg)
{
	(void)arg;
	cr_assert_null(weft_chan_create(0, 1));
	cr_assert_null(weft_chan_create(SIZE_MAX, 2));
	cr_assert_null(weft_chan_create(8, SIZE_MAX / 4));
	weft_chan_destroy(NULL);
	return 0;
}

Test(chan, refuses_bad_sizes)
{
	run_on_1_2_4(make_odd_channels);
	make_odd_channels(NULL); /* channels can be made on plain threads too */
}

/* A future: a channel of one. */
static int answer(void *arg)
{
	int number = 42;

	weft_sleep(WEFT_MS(1));
	return weft_chan_send(arg, &number);
}

static int await_a_future(void *arg)
{
	struct weft_chan *future = weft_chan_create(sizeof(int), 1);
	int number = 0;

	(void)arg;
	struct weft_task *task = weft_create_task(answer, future);
	cr_assert_eq(weft_chan_recv(future, &number), 1);
	cr_assert_eq(number, 42);
	cr_assert_eq(weft_join(task), 0);
	weft_chan_destroy(future);
	return 0;
}

Test(chan, of_one_serves_as_a_future)
{
	run_on_1_2_4(await_a_future);
}
