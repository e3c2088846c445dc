/* SPDX-License-Identifier: MIT */
/*
 * select - wait for several things, take exactly one.
 */
#include "helper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

TestSuite(select, .timeout = PATIENCE);

static struct weft_chan *chan_of(size_t capacity)
{
	struct weft_chan *chan = weft_chan_create(sizeof(int), capacity);

	cr_assert_not_null(chan);
	return chan;
}

struct message {
	struct weft_chan *chan;
	int item;
};

static int send_message(void *arg)
{
	struct message *m = arg;

	return weft_chan_send(m->chan, &m->item);
}

static int receive_message(void *arg)
{
	struct message *m = arg;

	return weft_chan_recv(m->chan, &m->item);
}

/* -- channels --------------------------------------------------------------------------------- */

static int take_what_is_ready(void *arg)
{
	struct weft_chan *empty = chan_of(1), *full = chan_of(1), *roomy = chan_of(1);
	int item = 5, in = 0, out = 7;

	(void)arg;
	weft_chan_send(full, &item);
	struct weft_case receive[] = {
		{ .op = WEFT_RECV, .chan = empty, .item = &in, .status = 99 },
		{ .op = WEFT_RECV, .chan = full, .item = &in, .status = 99 },
	};
	cr_assert_eq(weft_select(receive, 2, WEFT_FOREVER), 1);
	cr_assert_eq(receive[1].status, 1);
	cr_assert_eq(receive[0].status, 99, "only the case that was chosen has a status");
	cr_assert_eq(in, 5);
	cr_assert_eq(weft_chan_len(full), 0);

	weft_chan_send(full, &item);
	struct weft_case send[] = {
		{ .op = WEFT_SEND, .chan = full, .item = &out },
		{ .op = WEFT_SEND, .chan = roomy, .item = &out },
	};
	cr_assert_eq(weft_select(send, 2, WEFT_FOREVER), 1);
	cr_assert_eq(send[1].status, 0);
	cr_assert_eq(weft_chan_recv(roomy, &in), 1);
	cr_assert_eq(in, 7);
	weft_chan_destroy(empty);
	weft_chan_destroy(full);
	weft_chan_destroy(roomy);
	return 0;
}

Test(select, takes_the_case_that_can_go_on)
{
	run_on_1_2_4(take_what_is_ready);
}

static int wait_for_either(void *arg)
{
	struct weft_chan *a = chan_of(0), *b = chan_of(0);
	int in_a = 0, in_b = 0;

	(void)arg;
	for (int i = 1; i <= 20; i++) {
		struct message m = { i % 3 ? a : b, i };
		struct weft_case cases[] = {
			{ .op = WEFT_RECV, .chan = a, .item = &in_a },
			{ .op = WEFT_RECV, .chan = b, .item = &in_b },
		};
		struct weft_task *sender = weft_create_task(send_message, &m);

		cr_assert_eq(weft_select(cases, 2, WEFT_FOREVER), i % 3 ? 0 : 1);
		cr_assert_eq(i % 3 ? in_a : in_b, i);
		cr_assert_eq(weft_join(sender), 0);
	}
	for (int i = 1; i <= 20; i++) {
		struct message m = { i % 3 ? a : b, 0 };
		struct weft_case cases[] = {
			{ .op = WEFT_SEND, .chan = a, .item = &i },
			{ .op = WEFT_SEND, .chan = b, .item = &i },
		};
		struct weft_task *receiver = weft_create_task(receive_message, &m);

		cr_assert_eq(weft_select(cases, 2, WEFT_FOREVER), i % 3 ? 0 : 1);
		cr_assert_eq(weft_join(receiver), 1);
		cr_assert_eq(m.item, i);
	}
	weft_chan_destroy(a);
	weft_chan_destroy(b);
	return 0;
}

Test(select, waits_for_a_partner_on_either_channel)
{
	run_on_1_2_4(wait_for_either);
}

static int close_some(void *arg)
{
	struct weft_chan *open = chan_of(0), *closed = chan_of(2);
	int item = 1;

	(void)arg;
	weft_chan_send(closed, &item);
	weft_chan_close(closed);
	struct weft_case cases[] = {
		{ .op = WEFT_RECV, .chan = open, .item = &item },
		{ .op = WEFT_RECV, .chan = closed, .item = &item },
	};
	cr_assert_eq(weft_select(cases, 2, WEFT_FOREVER), 1);
	cr_assert_eq(cases[1].status, 1, "what was left");
	cr_assert_eq(weft_select(cases, 2, WEFT_FOREVER), 1);
	cr_assert_eq(cases[1].status, 0, "closed and drained");
	cases[1].op = WEFT_SEND;
	cr_assert_eq(weft_select(cases, 2, WEFT_FOREVER), 1);
	cr_assert_eq(cases[1].status, -EPIPE);
	weft_chan_destroy(open);
	weft_chan_destroy(closed);
	return 0;
}

Test(select, finds_a_closed_channel_ready)
{
	run_on_1_2_4(close_some);
}

struct pair {
	struct weft_chan *a, *b;
	struct weft_event_flag started;
	struct weft_case cases[2];
	int item;
};

static int select_of_pair(void *arg)
{
	struct pair *p = arg;

	weft_event_flag_set(&p->started);
	return (int)weft_select(p->cases, 2, WEFT_FOREVER);
}

static int close_under_a_select(void *arg)
{
	(void)arg;
	for (int op = WEFT_SEND; op <= WEFT_RECV; op++) {
		struct pair p = { .a = chan_of(0), .b = chan_of(0) };

		p.cases[0] = (struct weft_case){ .op = op, .chan = p.a, .item = &p.item };
		p.cases[1] = (struct weft_case){ .op = op, .chan = p.b, .item = &p.item };
		struct weft_task *task = weft_create_task(select_of_pair, &p);
		weft_event_flag_wait(&p.started);
		weft_sleep(WEFT_MS(1));
		weft_chan_close(p.b);
		cr_assert_eq(weft_join(task), 1);
		cr_assert_eq(p.cases[1].status, op == WEFT_SEND ? -EPIPE : 0);
		weft_chan_destroy(p.a);
		weft_chan_destroy(p.b);
	}
	return 0;
}

Test(select, is_told_when_a_channel_is_closed)
{
	run_on_1_2_4(close_under_a_select);
}

static int offer_both_ways(void *arg)
{
	struct weft_chan *chan = chan_of(0);
	int out = 1, in = 0;
	struct weft_case cases[] = {
		{ .op = WEFT_SEND, .chan = chan, .item = &out },
		{ .op = WEFT_RECV, .chan = chan, .item = &in },
	};

	(void)arg;
	cr_assert_eq(weft_select(cases, 2, 0), -EAGAIN);
	cr_assert_eq(weft_select(cases, 2, WEFT_MS(2)), -EAGAIN, "it does not meet itself");

	struct message m = { chan, 8 };
	struct weft_task *task = weft_create_task(send_message, &m);
	cr_assert_eq(weft_select(cases, 2, WEFT_FOREVER), 1);
	cr_assert_eq(in, 8);
	cr_assert_eq(weft_join(task), 0);

	task = weft_create_task(receive_message, &m);
	cr_assert_eq(weft_select(cases, 2, WEFT_FOREVER), 0);
	cr_assert_eq(weft_join(task), 1);
	cr_assert_eq(m.item, 1);
	weft_chan_destroy(chan);
	return 0;
}

Test(select, never_meets_itself_on_a_channel_it_sends_to_and_receives_from)
{
	run_on_1_2_4(offer_both_ways);
}

struct dancer {
	struct weft_chan *floor;
	int number, partner;
};

/* Sends its own number or gets another's, whichever comes first. */
static int find_partner(void *arg)
{
	struct dancer *d = arg;
	struct weft_case cases[] = {
		{ .op = WEFT_SEND, .chan = d->floor, .item = &d->number },
		{ .op = WEFT_RECV, .chan = d->floor, .item = &d->partner },
	};

	return (int)weft_select(cases, 2, WEFT_FOREVER);
}

static int dance(void *arg)
{
	enum { DANCERS = 40 };
	struct weft_chan *floor = chan_of(0);
	struct weft_task *tasks[DANCERS];
	struct dancer dancers[DANCERS];
	int senders = 0, sum = 0;

	(void)arg;
	for (int i = 0; i < DANCERS; i++) {
		dancers[i] = (struct dancer){ floor, 1 << (i % 20), 0 };
		tasks[i] = weft_create_task(find_partner, &dancers[i]);
	}
	for (int i = 0; i < DANCERS; i++) {
		int index = weft_join(tasks[i]);

		cr_assert(index == 0 || index == 1);
		senders += index == 0;
		sum += index == 0 ? dancers[i].number : -dancers[i].partner;
	}
	cr_assert_eq(senders, DANCERS / 2);
	cr_assert_eq(sum, 0, "each number that was sent has come once");
	weft_chan_destroy(floor);
	return 0;
}

Test(select, meets_other_selects_in_pairs)
{
	run_on_1_2_4(dance);
}

static int alternate(void *arg)
{
	struct weft_chan *chans[3];
	int taken[3] = { 0 }, item = 0;

	(void)arg;
	for (int i = 0; i < 3; i++) {
		chans[i] = chan_of(300);
		for (int k = 0; k < 300; k++)
			weft_chan_send(chans[i], &item);
	}
	for (int k = 0; k < 300; k++) {
		struct weft_case cases[3];

		for (int i = 0; i < 3; i++)
			cases[i] = (struct weft_case){
				.op = WEFT_RECV, .chan = chans[i], .item = &item
			};
		taken[weft_select(cases, 3, WEFT_FOREVER)]++;
	}
	for (int i = 0; i < 3; i++) {
		cr_assert_gt(taken[i], 50, "case %d was chosen %d times of 300", i, taken[i]);
		weft_chan_destroy(chans[i]);
	}
	return 0;
}

Test(select, starves_no_case_of_several_that_are_always_ready)
{
	run_on_1_2_4(alternate);
}

static int many_cases(void *arg)
{
	enum { MANY = 50 };
	struct weft_case cases[MANY];
	struct message m = { .item = 3 };
	int item = 0;

	(void)arg;
	for (int i = 0; i < MANY; i++) /* 10 and 30 are the same one */
		cases[i] = (struct weft_case){
			.op = WEFT_RECV,
			.chan = i == 30 ? cases[10].chan : chan_of(0),
			.item = &item,
		};
	m.chan = cases[37].chan;
	struct weft_task *task = weft_create_task(send_message, &m);
	cr_assert_eq(weft_select(cases, MANY, WEFT_FOREVER), 37);
	cr_assert_eq(item, 3);
	cr_assert_eq(weft_join(task), 0);
	cr_assert_eq(weft_select(cases, MANY, WEFT_MS(1)), -EAGAIN);
	for (int i = 0; i < MANY; i++) {
		if (i != 30)
			weft_chan_destroy(cases[i].chan);
	}
	return 0;
}

Test(select, takes_any_number_of_cases)
{
	run_on_1_2_4(many_cases);
}

/* -- time and cancel -------------------------------------------------------------------------- */

static int wait_in_vain(void *arg)
{
	struct weft_chan *chan = chan_of(1);
	struct weft_scope scope;
	int item = 0;
	struct weft_case cases[] = { { .op = WEFT_RECV, .chan = chan, .item = &item } };

	(void)arg;
	cr_assert_eq(weft_select(cases, 1, 0), -EAGAIN);
	cr_assert_eq(weft_select(cases, 1, -5), -EAGAIN);
	weft_ns before = weft_now();
	cr_assert_eq(weft_select(cases, 1, WEFT_MS(3)), -EAGAIN);
	cr_assert_geq(weft_now() - before, WEFT_MS(3));
	cr_assert_eq(weft_select(NULL, 0, 0), -EAGAIN);
	before = weft_now();
	cr_assert_eq(weft_select(NULL, 0, WEFT_MS(3)), -EAGAIN, "without a case it is a sleep");
	cr_assert_geq(weft_now() - before, WEFT_MS(3));
	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_select(cases, 1, WEFT_FOREVER), -ETIMEDOUT);
	cr_assert_eq(weft_scope_end(&scope), 1);
	cr_assert_eq(weft_chan_send(chan, &item), 0, "nobody is left in the queue");
	cr_assert_eq(weft_chan_len(chan), 1);
	weft_chan_destroy(chan);
	return 0;
}

Test(select, obeys_its_timeout_and_deadlines)
{
	run_on_1_2_4(wait_in_vain);
}

static int cancel_a_select(void *arg)
{
	struct pair p = { .a = chan_of(0), .b = chan_of(0) };

	(void)arg;
	p.cases[0] = (struct weft_case){ .op = WEFT_SEND, .chan = p.a, .item = &p.item };
	p.cases[1] = (struct weft_case){ .op = WEFT_RECV, .chan = p.b, .item = &p.item };
	struct weft_task *task = weft_create_task(select_of_pair, &p);
	weft_event_flag_wait(&p.started);
	weft_cancel(task);
	cr_assert_eq(weft_join(task), -ECANCELED);
	cr_assert_eq(weft_chan_try_recv(p.a, &p.item), -EAGAIN, "nothing was sent");
	cr_assert_eq(weft_chan_try_send(p.b, &p.item), -EAGAIN, "and nobody receives");

	cancel_myself();
	cr_assert_eq(weft_select(p.cases, 2, 0), -ECANCELED, "at entry");
	weft_uncancel();
	weft_chan_destroy(p.a);
	weft_chan_destroy(p.b);
	return 0;
}

Test(select, can_be_cancelled_without_an_effect)
{
	run_on_1_2_4(cancel_a_select);
}

/* -- tasks ------------------------------------------------------------------------------------ */

static int wait_for_tasks(void *arg)
{
	struct weft_event_flag go = { 0 };
	struct weft_chan *never = chan_of(0);
	int seven = 7, item;
	struct weft_task *done = weft_create_task(return_int, &seven);
	struct weft_task *slow = weft_create_task(wait_for_flag, &go);
	struct weft_task *failing = weft_create_task(fail_eio, NULL);

	(void)arg;
	struct weft_case cases[] = {
		{ .op = WEFT_TASK, .task = slow },
		{ .op = WEFT_RECV, .chan = never, .item = &item },
		{ .op = WEFT_TASK, .task = done },
	};
	cr_assert_eq(weft_select(cases, 3, WEFT_FOREVER), 2);
	cr_assert_eq(cases[2].status, 7);
	cases[2].task = slow; /* the same one twice */
	cr_assert_eq(weft_select(cases, 3, WEFT_MS(1)), -EAGAIN);
	cases[2].task = failing;
	cr_assert_eq(weft_select(cases, 3, WEFT_FOREVER), 2);
	cr_assert_eq(cases[2].status, -EIO, "and it has been looked at");
	weft_event_flag_set(&go);
	cr_assert_eq(weft_select(cases, 2, WEFT_FOREVER), 0);
	cr_assert_eq(cases[0].status, 0);
	weft_release(done);
	weft_release(slow);
	weft_release(failing);
	weft_chan_destroy(never);
	return 0;
}

Test(select, waits_for_tasks)
{
	run_on_1_2_4(wait_for_tasks);
}

static int select_task(void *arg)
{
	struct weft_case c = { .op = WEFT_TASK, .task = *(struct weft_task **)arg };
	ssize_t index = weft_select(&c, 1, WEFT_FOREVER);

	return index < 0 ? (int)index : c.status;
}

static int select_oneself(void *arg)
{
	struct weft_case self = { .op = WEFT_TASK, .task = weft_self() };
	struct weft_chan *chan = chan_of(1);
	int item = 1;

	(void)arg;
	cr_assert_eq(weft_select(&self, 1, WEFT_FOREVER), -EDEADLK);
	cr_assert_eq(weft_select(&self, 1, WEFT_MS(1)), -EAGAIN, "this one ends");
	weft_chan_send(chan, &item);
	struct weft_case either[] = {
		self, { .op = WEFT_RECV, .chan = chan, .item = &item }
	};
	cr_assert_eq(weft_select(either, 2, WEFT_FOREVER), 1, "the other case goes on");

	struct weft_task *me = weft_self();
	struct weft_task *child = weft_create_task(select_task, &me);
	cr_assert_eq(weft_join(child), -EDEADLK);
	weft_chan_destroy(chan);
	return 0;
}

Test(select, tells_of_a_circle_of_tasks)
{
	run_on_1_2_4(select_oneself);
}

/* -- descriptors ------------------------------------------------------------------------------ */

static int wait_for_descriptors(void *arg)
{
	int ends[2];
	char byte;

	(void)arg;
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	struct weft_case cases[] = {
		{ .op = WEFT_READABLE, .fd = ends[0] },
		{ .op = WEFT_WRITABLE, .fd = ends[0] },
	};
	cr_assert_eq(weft_select(cases, 2, WEFT_FOREVER), 1, "there is room");
	cr_assert(cases[1].status & POLLOUT);
	cr_assert_eq(weft_select(cases, 1, 0), -EAGAIN, "there is no byte");
	cr_assert_eq(weft_select(cases, 1, WEFT_MS(2)), -EAGAIN);
	cr_assert_eq(weft_write(ends[1], "x", 1), 1);
	cr_assert_eq(weft_select(cases, 1, WEFT_FOREVER), 0);
	cr_assert(cases[0].status & POLLIN);
	cr_assert_eq(weft_read(ends[0], &byte, 1), 1, "select has left it there");
	cr_assert_eq(weft_close(ends[0]), 0);
	cr_assert_eq(weft_close(ends[1]), 0);
	cases[0].fd = -1;
	cr_assert_eq(weft_select(cases, 1, WEFT_FOREVER), 0);
	cr_assert_eq(cases[0].status, -EBADF);
	return 0;
}

Test(select, waits_for_descriptors)
{
	run_on_1_2_4(wait_for_descriptors);
}

struct late {
	int fd;
	struct weft_chan *chan;
};

static int write_a_byte(void *arg)
{
	struct late *late = arg;

	weft_sleep(WEFT_MS(1));
	return (int)weft_write(late->fd, "x", 1);
}

static int send_an_item(void *arg)
{
	struct late *late = arg;
	int item = 4;

	weft_sleep(WEFT_MS(1));
	return weft_chan_send(late->chan, &item);
}

static int wait_for_all_kinds(void *arg)
{
	struct weft_chan *chan = chan_of(0);
	struct weft_event_flag go = { 0 };
	struct weft_task *slow = weft_create_task(wait_for_flag, &go);
	int ends[2], item = 0;
	char byte;

	(void)arg;
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	struct late late = { ends[1], chan };
	struct weft_case cases[] = {
		{ .op = WEFT_READABLE, .fd = ends[0] },
		{ .op = WEFT_RECV, .chan = chan, .item = &item },
		{ .op = WEFT_TASK, .task = slow },
	};
	for (int i = 0; i < 5; i++) {
		struct weft_task *task = weft_create_task(write_a_byte, &late);
		cr_assert_eq(weft_select(cases, 3, WEFT_FOREVER), 0);
		cr_assert_eq(weft_read(ends[0], &byte, 1), 1);
		cr_assert_eq(weft_join(task), 1);

		task = weft_create_task(send_an_item, &late);
		cr_assert_eq(weft_select(cases, 3, WEFT_FOREVER), 1);
		cr_assert_eq(item, 4);
		cr_assert_eq(weft_join(task), 0);
	}
	weft_event_flag_set(&go);
	cr_assert_eq(weft_select(cases, 3, WEFT_FOREVER), 2);
	weft_release(slow);
	weft_chan_destroy(chan);
	weft_close(ends[0]);
	weft_close(ends[1]);
	return 0;
}

Test(select, waits_for_all_kinds_at_once)
{
	run_on_1_2_4(wait_for_all_kinds);
}

struct reader {
	struct weft_event_flag started;
	struct weft_case cases[2];
};

static int select_readable(void *arg)
{
	struct reader *r = arg;

	weft_event_flag_set(&r->started);
	return (int)weft_select(r->cases, 2, WEFT_FOREVER);
}

static int close_under_a_poll(void *arg)
{
	int ends[2], more[2];

	(void)arg;
	for (int i = 0; i < 10; i++) {
		struct reader r = { .cases = { { .op = WEFT_READABLE }, { .op = WEFT_READABLE } } };

		cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
		cr_assert_eq(pipe2(more, O_CLOEXEC), 0);
		r.cases[0].fd = more[0];
		r.cases[1].fd = ends[0];
		struct weft_task *task = weft_create_task(select_readable, &r);
		weft_event_flag_wait(&r.started);
		if (i % 2)
			weft_sleep(WEFT_MS(1));
		cr_assert_eq(weft_close(ends[0]), 0, "it waits for the poll");
		cr_assert_eq(weft_join(task), 1);
		cr_assert_eq(r.cases[1].status, -EBADF);
		close(ends[1]);
		close(more[0]); /* nothing is in flight on it any more */
		close(more[1]);
	}
	return 0;
}

Test(select, is_ended_by_weft_close)
{
	run_on_1_2_4(close_under_a_poll);
}

/* -- misuse ----------------------------------------------------------------------------------- */

static int misuse(void *arg)
{
	struct weft_chan *chan = chan_of(1);
	int item = 1;
	struct weft_case good = { .op = WEFT_SEND, .chan = chan, .item = &item };
	struct weft_case bad[] = {
		{ .op = 0, .chan = chan, .item = &item },
		{ .op = 77, .chan = chan, .item = &item },
		{ .op = WEFT_SEND, .item = &item },
		{ .op = WEFT_RECV, .chan = chan },
		{ .op = WEFT_TASK },
	};

	(void)arg;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct weft_case cases[] = { good, bad[i] };

		cr_assert_eq(weft_select(cases, 2, 0), -EINVAL, "case %zu", i);
	}
	cr_assert_eq(weft_select(NULL, 1, 0), -EINVAL);
	cr_assert_eq(weft_chan_len(chan), 0, "before any effect");
	weft_chan_destroy(chan);
	return 0;
}

Test(select, refuses_bad_cases_before_any_effect)
{
	run_on_1_2_4(misuse);
}
