/* SPDX-License-Identifier: MIT */
/*
 * close - ends what is in flight on a descriptor, then closes it. What gets the number next
 * never meets an operation that was meant for the old one.
 */
#include "helper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

TestSuite(close, .timeout = PATIENCE);

/*
 * The bare system call: ThreadSanitizer keeps a history of each number through the calls of
 * libc, and would miss that a ring has closed one in between.
 */
static void make_pair(int fds[2])
{
	cr_assert_eq(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

struct reader {
	int fd;
	struct weft_event_flag started;
	char buf[16];
};

static int receive(void *arg)
{
	struct reader *r = arg;

	weft_event_flag_set(&r->started);
	return (int)weft_recv(r->fd, r->buf, sizeof(r->buf), 0);
}

static int end_a_read(void *arg)
{
	int fds[2];
	char byte;

	(void)arg;
	make_pair(fds);
	struct reader r = { .fd = fds[0] };
	struct weft_task *reader = weft_create_task(receive, &r);
	weft_event_flag_wait(&r.started);
	weft_yield();
	cr_assert_eq(weft_close(fds[0]), 0);
	cr_assert_eq(weft_join(reader), -EBADF);
	cr_assert_eq(fcntl(fds[0], F_GETFD), -1);
	cr_assert_eq(weft_recv(fds[1], &byte, 1, 0), 0, "the peer sees the end: nobody holds it");
	weft_close(fds[1]);
	return 0;
}

Test(close, ends_what_is_in_flight)
{
	run_on_1_2_4(end_a_read);
}

static int accept_one(void *arg)
{
	struct reader *r = arg;

	weft_event_flag_set(&r->started);
	return weft_accept(r->fd, NULL, NULL, 0);
}

static int poll_one(void *arg)
{
	struct reader *r = arg;

	weft_event_flag_set(&r->started);
	return weft_poll(r->fd, POLLIN);
}

static int fill_up(void *arg)
{
	static char data[1024 * 1024];
	struct reader *r = arg;

	weft_event_flag_set(&r->started);
	return (int)weft_write_full(r->fd, data, sizeof(data), NULL);
}

static int end_all_kinds(void *arg)
{
	weft_fn kinds[] = { receive, accept_one, poll_one, fill_up };

	(void)arg;
	for (int i = 0; i < 4; i++) {
		int fds[2];

		make_pair(fds);
		if (kinds[i] == accept_one) {
			weft_close(fds[0]);
			fds[0] = weft_listen("127.0.0.1:0", 1, 0);
		}
		struct reader r = { .fd = fds[0] };
		struct weft_task *task = weft_create_task(kinds[i], &r);
		weft_event_flag_wait(&r.started);
		weft_sleep(WEFT_MS(1));
		cr_assert_eq(weft_close(fds[0]), 0);
		cr_assert_eq(weft_join(task), -EBADF, "kind %d", i);
		weft_close(fds[1]);
	}
	return 0;
}

Test(close, ends_every_kind_of_operation)
{
	run_on_1_2_4(end_all_kinds);
}

static int end_many(void *arg)
{
	struct reader readers[20];
	struct weft_task *tasks[20];
	int fds[2];

	(void)arg;
	make_pair(fds);
	for (int i = 0; i < 20; i++) {
		readers[i] = (struct reader){ .fd = fds[0] };
		tasks[i] = weft_create_task(receive, &readers[i]);
	}
	for (int i = 0; i < 20; i++)
		weft_event_flag_wait(&readers[i].started);
	cr_assert_eq(weft_close(fds[0]), 0);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(weft_join(tasks[i]), -EBADF);
	weft_close(fds[1]);
	return 0;
}

Test(close, ends_all_operations_on_the_descriptor)
{
	run_on_1_2_4(end_many);
}

static int close_what_has_its_result(void *arg)
{
	int fds[2];

	(void)arg;
	for (int i = 0; i < 100; i++) {
		make_pair(fds);
		struct reader r = { .fd = fds[0] };
		struct weft_task *reader = weft_create_task(receive, &r);
		weft_event_flag_wait(&r.started);
		weft_yield();
		cr_assert_eq(send(fds[1], "data", 4, 0), 4);
		cr_assert_eq(weft_close(fds[0]), 0);
		int status = weft_join(reader);
		cr_assert(status == 4 || status == -EBADF, "status %d", status);
		if (status == 4)
			cr_assert_arr_eq(r.buf, "data", 4);
		weft_close(fds[1]);
	}
	return 0;
}

Test(close, lets_a_result_win)
{
	run_on_1_2_4(close_what_has_its_result);
}

/*
 * Ends when n operations are with the kernel or queued for it. A task that has not begun its
 * operation names a number that may be anybody's by then: no library can help it.
 */
static void wait_until_in_flight(uint64_t n)
{
	struct weft_metrics m = { .size = sizeof(m) };

	do {
		weft_yield();
		cr_assert_eq(weft_runtime_metrics(weft_runtime_current(), &m), 0);
	} while (m.io_inflight < n);
}

/*
 * The oracle: each connection's peer says its own number. A reader of connection i that ever
 * hears another number read from a connection that was opened after its own was closed.
 */
struct oracle {
	int fd;
	int number;
	struct weft_event_flag started;
	int heard;
};

static int listen_to_the_oracle(void *arg)
{
	struct oracle *o = arg;

	o->heard = -1;
	weft_event_flag_set(&o->started);
	ssize_t n = weft_recv(o->fd, &o->heard, sizeof(o->heard), 0);
	if (n < 0)
		return (int)n;
	cr_assert_eq(o->heard, o->number, "reader %d heard %d", o->number, o->heard);
	return 0;
}

static int reuse_the_number(void *arg)
{
	int reused = 0;

	(void)arg;
	for (int i = 0; i < 300; i++) {
		int old[2], new[2];

		make_pair(old);
		struct oracle o = { .fd = old[0], .number = i };
		struct weft_task *reader = weft_create_task(listen_to_the_oracle, &o);
		wait_until_in_flight(1);
		if (i % 3 == 1)
			weft_yield(); /* queued, submitted perhaps */
		if (i % 3 == 2)
			weft_sleep(100000); /* surely submitted */
		cr_assert_eq(weft_close(old[0]), 0);

		make_pair(new); /* takes the lowest number: mostly the one just closed */
		reused += new[0] == old[0] || new[1] == old[0];
		int other = 1000000 + i;
		cr_assert_eq(send(new[0], &other, sizeof(other), 0), (ssize_t)sizeof(other));
		cr_assert_eq(send(new[1], &other, sizeof(other), 0), (ssize_t)sizeof(other));
		cr_assert_eq(weft_join(reader), -EBADF);
		cr_assert_eq(recv(new[0], &other, sizeof(other), 0), (ssize_t)sizeof(other),
			"nobody took what was sent on the new connection");
		cr_assert_eq(recv(new[1], &other, sizeof(other), 0), (ssize_t)sizeof(other));
		close(new[0]);
		close(new[1]);
		close(old[1]);
	}
	cr_assert_gt(reused, 250, "else this test has tried nothing");
	return 0;
}

Test(close, never_lets_another_connections_data_in)
{
	run_on_1_2_4(reuse_the_number);
}

struct churn {
	int slot;
	unsigned worker;
};

/*
 * Reader and closer share a worker: when the closer runs again, the reader waits in its receive.
 */
static int open_and_close_connections(void *arg)
{
	struct churn *churn = arg;
	struct weft_attr here = { .size = sizeof(here), .worker = churn->worker };

	for (int i = 0; i < 100; i++) {
		int fds[2], heard = -1, number = churn->slot * 1000 + i;

		make_pair(fds);
		struct oracle o = { .fd = fds[0], .number = number };
		struct weft_task *reader = weft_create_task_with(listen_to_the_oracle, &o, &here);
		weft_event_flag_wait(&o.started);
		if (i % 2) {
			cr_assert_eq(weft_send(fds[1], &number, sizeof(number), 0),
				(ssize_t)sizeof(number));
			cr_assert_eq(weft_join(reader), 0);
			cr_assert_eq(o.heard, number);
			cr_assert_eq(weft_close(fds[0]), 0);
		} else {
			cr_assert_eq(weft_close(fds[0]), 0);
			cr_assert_eq(weft_join(reader), -EBADF);
		}
		cr_assert_leq(recv(fds[1], &heard, sizeof(heard), MSG_DONTWAIT), 0);
		cr_assert_eq(weft_close(fds[1]), 0);
	}
	return 0;
}

static int churn_together(void *arg)
{
	unsigned workers = *(unsigned *)arg;
	struct weft_task *tasks[8];
	struct churn churn[8];

	for (int i = 0; i < 8; i++) {
		struct weft_attr attr = { .size = sizeof(attr), .worker = 1 + (unsigned)i % workers };
		churn[i] = (struct churn){ i, attr.worker };
		tasks[i] = weft_create_task_with(open_and_close_connections, &churn[i], &attr);
	}
	cr_assert_eq(weft_gather(tasks, 8, NULL, 0), 0);
	weft_release_all(tasks, 8);
	return 0;
}

/* The numbers go round between the tasks all the time. */
Test(close, keeps_connections_apart_under_churn)
{
	for (unsigned workers = 1; workers <= 4; workers *= 2)
		cr_assert_eq(run_with(workers, churn_together, &workers), 0);
}

static int close_in_a_hurry(void *arg)
{
	int fds[2];

	(void)arg;
	make_pair(fds);
	struct reader r = { .fd = fds[0] };
	struct weft_task *reader = weft_create_task(receive, &r);
	weft_event_flag_wait(&r.started);
	cancel_myself();
	cr_assert_eq(weft_close(fds[0]), 0, "although cancelled");
	cr_assert_eq(fcntl(fds[0], F_GETFD), -1);
	cr_assert_eq(weft_close(fds[1]), 0);
	weft_uncancel();
	cr_assert_eq(weft_join(reader), -EBADF, "and it waited for the reader's end");
	return 0;
}

Test(close, closes_even_when_cancelled)
{
	run_on_1_2_4(close_in_a_hurry);
}

static int close_it(void *arg)
{
	return weft_close(*(int *)arg);
}

static int close_from_two_sides(void *arg)
{
	(void)arg;
	for (int i = 0; i < 50; i++) {
		int fds[2], statuses[2];

		make_pair(fds);
		struct weft_task *tasks[] = {
			weft_create_task(close_it, &fds[0]),
			weft_create_task(close_it, &fds[0]),
		};
		weft_gather(tasks, 2, statuses, WEFT_GATHER_ALL);
		cr_assert(statuses[0] == 0 || statuses[1] == 0);
		cr_assert(statuses[0] == -EBADF || statuses[1] == -EBADF, "one of them closed it");
		weft_release_all(tasks, 2);
		close(fds[1]);
	}
	return 0;
}

Test(close, succeeds_once)
{
	run_on_1_2_4(close_from_two_sides);
}

static int close_plainly(void *arg)
{
	char buf[8];

	(void)arg;
	for (int i = 0; i < 50; i++) {
		int fds[2];

		make_pair(fds);
		cr_assert_eq(weft_send(fds[0], "data", 4, 0), 4);
		cr_assert_eq(weft_recv(fds[1], buf, sizeof(buf), 0), 4);
		/* nothing is in flight: close(2) is legal, and the number may come again */
		close(fds[0]);
		close(fds[1]);
	}
	return 0;
}

Test(close, of_idle_descriptors_may_be_the_plain_one)
{
	run_on_1_2_4(close_plainly);
}

/* A call that has begun is ended by weft_close, also if it had to give way to others right then. */
struct about_to_read {
	int fds[2];
	int checkpoints; /* made before */
	bool closes;     /* it is a weft_close that must not meet the next owner */
	bool calls;
};

static int read_or_close(void *arg)
{
	struct about_to_read *about = arg;
	char byte;

	for (int i = 0; i < about->checkpoints; i++)
		weft_checkpoint();
	about->calls = true;
	if (about->closes)
		return weft_close(about->fds[0]);
	return (int)weft_read(about->fds[0], &byte, 1);
}

static int close_and_open_again(void *arg)
{
	struct about_to_read about = { .closes = *(bool *)arg };
	char byte;

	/* one of these many uses up the caller's budget */
	for (about.checkpoints = 0; about.checkpoints < 300; about.checkpoints++) {
		int again[2];

		make_pair(about.fds);
		about.calls = false;
		struct weft_task *task = weft_create_task(read_or_close, &about);
		while (!about.calls)
			weft_yield();
		int closed = weft_close(about.fds[0]);
		make_pair(again);
		cr_assert_eq(again[0], about.fds[0], "the number comes again");
		cr_assert_eq(write(again[1], "x", 1), 1);
		int called = weft_join(task);
		if (about.closes)
			cr_assert(called == 0 || closed == 0);
		else
			cr_assert_eq(called, -EBADF, "after %d: %d", about.checkpoints, called);
		cr_assert_eq(read(again[0], &byte, 1), 1, "the next owner's");
		close(about.fds[1]);
		close(again[0]);
		close(again[1]);
	}
	return 0;
}

Test(close, a_call_that_gave_way_never_meets_the_next_owner)
{
	cr_assert_eq(run_with(1, close_and_open_again, &(bool){ false }), 0);
	cr_assert_eq(run_with(1, close_and_open_again, &(bool){ true }), 0);
}
