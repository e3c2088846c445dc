/* SPDX-License-Identifier: MIT */
/*
 * pool - receive buffers shared by many connections: an idle one holds none.
 */
#include "helper.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>

TestSuite(pool, .timeout = PATIENCE);

enum { SIZE = 64 };

static void make_pair(int ends[2])
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

static void close_pair(int ends[2])
{
	weft_close(ends[0]);
	weft_close(ends[1]);
}

static void wait_for_inflight(uint64_t count)
{
	struct weft_metrics metrics = { .size = sizeof(metrics) };

	do {
		cr_assert_eq(weft_sleep(100000), 0);
		cr_assert_eq(weft_runtime_metrics(weft_runtime_current(), &metrics), 0);
	} while (metrics.io_inflight != count); /* ends: so many were begun, and none can end */
}

/* A buffer that was received into: one byte is sent to be received. */
static struct weft_buf take(struct weft_pool *pool)
{
	struct weft_buf buf;
	int ends[2];

	make_pair(ends);
	cr_assert_eq(weft_send(ends[1], "x", 1, 0), 1);
	cr_assert_eq(weft_recv_buf(ends[0], pool, &buf), 1);
	cr_assert_eq(*(char *)buf.data, 'x');
	close_pair(ends);
	return buf;
}

/* Exactly n buffers can be had. Takes and puts them all. */
static void assert_free(struct weft_pool *pool, int n)
{
	struct weft_buf *bufs = calloc((size_t)n + 1, sizeof(*bufs));
	struct weft_scope scope;
	int ends[2];

	for (int i = 0; i < n; i++) {
		bufs[i] = take(pool);
		for (int j = 0; j < i; j++)
			cr_assert_neq(bufs[j].data, bufs[i].data);
	}
	make_pair(ends);
	cr_assert_eq(weft_send(ends[1], "x", 1, 0), 1);
	weft_deadline_begin(&scope, WEFT_MS(5));
	cr_assert_eq(weft_recv_buf(ends[0], pool, &bufs[n]), -ETIMEDOUT, "one too many");
	weft_scope_end(&scope);
	cr_assert_null(bufs[n].data);
	close_pair(ends);
	for (int i = 0; i < n; i++)
		weft_buf_put(&bufs[i]);
	free(bufs);
}

struct receiver {
	struct weft_pool *pool;
	struct weft_buf buf;
	int ends[2];
	struct weft_task *task;
};

static int receive(void *arg)
{
	struct receiver *r = arg;

	return (int)weft_recv_buf(r->ends[0], r->pool, &r->buf);
}

static void start(struct receiver *r, struct weft_pool *pool)
{
	r->pool = pool;
	make_pair(r->ends);
	r->task = weft_create_task(receive, r);
}

static void finish(struct receiver *r, int status)
{
	int rc = weft_join(r->task);

	cr_assert_eq(rc, status, "%d instead of %d", rc, status);
	cr_assert_eq(r->buf.data != NULL, status > 0);
	weft_buf_put(&r->buf);
	close_pair(r->ends);
}

static int receive_once(void *arg)
{
	struct weft_pool *pool = weft_pool_create(2, SIZE);
	struct weft_buf buf;
	char text[2 * SIZE];
	int ends[2];

	(void)arg;
	memset(text, 'y', sizeof(text));
	make_pair(ends);
	cr_assert_eq(weft_send(ends[1], text, sizeof(text), 0), (ssize_t)sizeof(text));
	cr_assert_eq(weft_recv_buf(ends[0], pool, &buf), SIZE, "as much as a buffer holds");
	cr_assert_eq(buf.len, SIZE);
	cr_assert_eq(buf.pool, pool);
	cr_assert_arr_eq((char *)buf.data, text, SIZE);
	weft_buf_put(&buf);
	cr_assert_null(buf.data, "put clears it");
	cr_assert_eq(weft_recv_buf(ends[0], pool, &buf), SIZE, "the rest stayed in the socket");
	weft_buf_put(&buf);
	cr_assert_eq(weft_shutdown(ends[1], SHUT_WR), 0);
	cr_assert_eq(weft_recv_buf(ends[0], pool, &buf), 0, "the end of the stream");
	cr_assert_null(buf.data, "holds no buffer");
	weft_buf_put(&buf);
	close_pair(ends);
	cr_assert_eq(weft_recv_buf(-1, pool, &buf), -EBADF);
	assert_free(pool, 2);
	weft_pool_destroy(pool);
	return 0;
}

Test(pool, gives_a_buffer_with_what_was_received)
{
	run_on_1_2_4(receive_once);
}

enum { IDLE = 2000, FEW = 8 };

static int answer(void *arg)
{
	struct receiver *r = arg;
	ssize_t n;

	while ((n = weft_recv_buf(r->ends[0], r->pool, &r->buf)) > 0) {
		cr_assert_eq(weft_send(r->ends[0], r->buf.data, (size_t)n, 0), n);
		weft_buf_put(&r->buf);
	}
	return (int)n;
}

static int serve_many_with_few(void *arg)
{
	static struct receiver idle[IDLE];
	struct weft_pool *pool = weft_pool_create(FEW, SIZE);
	struct weft_group group;
	char byte;

	(void)arg;
	weft_group_begin(&group, 0);
	for (int i = 0; i < IDLE; i++) {
		idle[i] = (struct receiver){ .pool = pool };
		make_pair(idle[i].ends);
		cr_assert_eq(weft_group_spawn(&group, answer, &idle[i]), 0);
	}
	wait_for_inflight(IDLE);
	assert_free(pool, FEW); /* none of them holds one */
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < IDLE; i++)
			cr_assert_eq(weft_send(idle[i].ends[1], "q", 1, 0), 1);
		for (int i = 0; i < IDLE; i++)
			cr_assert_eq(weft_recv(idle[i].ends[1], &byte, 1, 0), 1);
	}
	for (int i = 0; i < IDLE; i++)
		weft_close(idle[i].ends[1]);
	cr_assert_eq(weft_group_join(&group), 0);
	for (int i = 0; i < IDLE; i++)
		weft_close(idle[i].ends[0]);
	assert_free(pool, FEW);
	weft_pool_destroy(pool);
	return 0;
}

Test(pool, of_8_buffers_serves_2000_idle_connections)
{
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < 2 * IDLE + 100)
		cr_skip_test("too few descriptors");
	run_on_1_2_4(serve_many_with_few);
}

static int be_the_ninth(void *arg)
{
	struct weft_pool *pool = weft_pool_create(8, SIZE);
	struct receiver ninth = { 0 };
	struct weft_buf bufs[8];
	void *fifth;

	(void)arg;
	for (int i = 0; i < 8; i++)
		bufs[i] = take(pool);
	start(&ninth, pool);
	cr_assert_eq(weft_send(ninth.ends[1], "9", 1, 0), 1);
	weft_sleep(WEFT_MS(2));
	cr_assert_eq(weft_status(ninth.task), -EINPROGRESS, "it waits");
	fifth = bufs[5].data;
	weft_buf_put(&bufs[5]);
	cr_assert_eq(weft_await(ninth.task), 1);
	cr_assert_eq(ninth.buf.data, fifth, "and gets the first that is put");
	cr_assert_eq(*(char *)ninth.buf.data, '9');
	finish(&ninth, 1);
	for (int i = 0; i < 8; i++)
		weft_buf_put(&bufs[i]); /* the fifth holds none: no harm */
	assert_free(pool, 8);
	weft_pool_destroy(pool);
	return 0;
}

Test(pool, when_empty_makes_the_receiver_wait_for_the_first_put)
{
	run_on_1_2_4(be_the_ninth);
}

static int wait_in_line(void *arg)
{
	struct weft_pool *pool = weft_pool_create(1, SIZE);
	struct weft_buf buf = take(pool);
	struct receiver line[5] = { 0 };

	(void)arg;
	for (int i = 0; i < 5; i++) {
		start(&line[i], pool);
		cr_assert_eq(weft_send(line[i].ends[1], "x", 1, 0), 1);
		weft_sleep(WEFT_MS(2)); /* it has joined the line */
	}
	for (int i = 0; i < 5; i++) {
		weft_buf_put(i ? &line[i - 1].buf : &buf);
		cr_assert_eq(weft_await(line[i].task), 1);
		for (int j = i + 1; j < 5; j++)
			cr_assert_eq(weft_status(line[j].task), -EINPROGRESS);
	}
	for (int i = 0; i < 5; i++) {
		weft_buf_put(&line[i].buf);
		weft_release(line[i].task);
		close_pair(line[i].ends);
	}
	assert_free(pool, 1);
	weft_pool_destroy(pool);
	return 0;
}

Test(pool, serves_waiting_receivers_in_their_order)
{
	run_with(1, wait_in_line, NULL);
}

static int burn_nothing(void *arg)
{
	struct weft_pool *pool = weft_pool_create(1, SIZE);
	struct weft_buf buf = take(pool);
	struct receiver waiting[10] = { 0 };
	struct timespec before, after;

	(void)arg;
	for (int i = 0; i < 10; i++) {
		start(&waiting[i], pool);
		cr_assert_eq(weft_send(waiting[i].ends[1], "x", 1, 0), 1);
	}
	weft_sleep(WEFT_MS(20));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	weft_sleep(WEFT_MS(300));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	long used_us = (after.tv_sec - before.tv_sec) * 1000000 +
		       (after.tv_nsec - before.tv_nsec) / 1000;
	cr_assert_lt(used_us, 15000, "%ld us of 300 ms", used_us);
	weft_buf_put(&buf);
	for (int i = 0; i < 10; i++)
		finish(&waiting[i], 1);
	weft_pool_destroy(pool);
	return 0;
}

Test(pool, when_empty_costs_no_processor_time)
{
	run_with(1, burn_nothing, NULL);
}

static int cancel_waiting(void *arg)
{
	struct weft_pool *pool = weft_pool_create(1, SIZE);
	struct weft_buf buf = take(pool);
	struct receiver idle = { 0 }, starved = { 0 };
	char byte;

	(void)arg;
	start(&idle, pool);
	start(&starved, pool);
	cr_assert_eq(weft_send(starved.ends[1], "x", 1, 0), 1);
	weft_sleep(WEFT_MS(2));
	weft_cancel(idle.task);
	weft_cancel(starved.task);
	cr_assert_eq(weft_await(starved.task), -ECANCELED);
	cr_assert_eq(weft_recv(starved.ends[0], &byte, 1, 0), 1, "its byte is still there");
	finish(&idle, -ECANCELED);
	finish(&starved, -ECANCELED);
	weft_buf_put(&buf);
	assert_free(pool, 1);
	weft_pool_destroy(pool);
	return 0;
}

Test(pool, a_cancelled_receiver_takes_nothing)
{
	run_on_1_2_4(cancel_waiting);
}

static int cancel_the_granted(void *arg)
{
	struct weft_pool *pool = weft_pool_create(1, SIZE);
	struct weft_buf buf = take(pool);
	struct receiver r = { 0 };

	(void)arg;
	start(&r, pool);
	cr_assert_eq(weft_send(r.ends[1], "x", 1, 0), 1);
	weft_sleep(WEFT_MS(2));
	weft_buf_put(&buf); /* it is the receiver's, */
	weft_cancel(r.task); /* which has not run since */
	finish(&r, 1);
	assert_free(pool, 1);
	weft_pool_destroy(pool);
	return 0;
}

Test(pool, a_buffer_that_came_before_the_cancel_wins)
{
	run_with(1, cancel_the_granted, NULL);
}

enum { STORM = 40 };

static int storm(void *arg)
{
	struct weft_pool *pool = weft_pool_create(4, SIZE);
	unsigned random = 1;

	(void)arg;
	for (int round = 0; round < (SANITIZED ? 10 : 50); round++) {
		static struct receiver r[STORM];

		memset(r, 0, sizeof(r));
		for (int i = 0; i < STORM; i++)
			start(&r[i], pool);
		for (int i = 0; i < STORM; i++) {
			random = random * 1103515245 + 12345;
			if (random >> 16 & 1)
				weft_send(r[i].ends[1], "x", 1, 0);
			if (random >> 17 & 1)
				weft_yield();
			weft_cancel(r[i].task);
		}
		for (int i = 0; i < STORM; i++) {
			int rc = weft_join(r[i].task);

			cr_assert(rc == 1 || rc == -ECANCELED, "%d", rc);
			cr_assert_eq(r[i].buf.data != NULL, rc == 1);
			weft_buf_put(&r[i].buf);
			close_pair(r[i].ends);
		}
		assert_free(pool, 4);
	}
	weft_pool_destroy(pool);
	return 0;
}

Test(pool, keeps_count_in_a_storm_of_cancels)
{
	run_on_1_2_4(storm);
}

static int close_waiting(void *arg)
{
	struct weft_pool *pool = weft_pool_create(1, SIZE);
	struct weft_buf buf = take(pool);
	struct receiver idle = { 0 }, starved = { 0 };

	(void)arg;
	start(&idle, pool);
	start(&starved, pool);
	cr_assert_eq(weft_send(starved.ends[1], "x", 1, 0), 1);
	weft_sleep(WEFT_MS(2));
	cr_assert_eq(weft_close(idle.ends[0]), 0);
	cr_assert_eq(weft_close(starved.ends[0]), 0);
	cr_assert_eq(weft_join(idle.task), -EBADF);
	cr_assert_eq(weft_join(starved.task), -EBADF);
	weft_close(idle.ends[1]);
	weft_close(starved.ends[1]);
	weft_buf_put(&buf);
	assert_free(pool, 1);
	weft_pool_destroy(pool);
	return 0;
}

Test(pool, close_ends_a_receiver_that_waits_for_a_buffer)
{
	run_on_1_2_4(close_waiting);
}

static int put_twice(void *arg)
{
	struct weft_pool *pool = weft_pool_create(2, SIZE);
	struct weft_buf buf = take(pool), copy = buf, again;

	(void)arg;
	weft_buf_put(&buf);
	weft_buf_put(&buf);
	weft_buf_put(&copy);
	weft_buf_put(NULL);
	assert_free(pool, 2);

	buf = take(pool);
	copy = buf;
	weft_buf_put(&buf);
	again = take(pool); /* the same memory, another turn */
	cr_assert_eq(again.data, copy.data);
	weft_buf_put(&copy);
	assert_free(pool, 1);
	weft_buf_put(&again);
	assert_free(pool, 2);
	weft_pool_destroy(pool);
	return 0;
}

Test(pool, ignores_a_buffer_that_was_put_before)
{
	run_on_1_2_4(put_twice);
}

static void *put(void *buf)
{
	weft_buf_put(buf);
	return NULL;
}

static int put_elsewhere(void *arg)
{
	struct weft_pool *pool = weft_pool_create(1, SIZE);
	struct weft_buf buf = take(pool);
	struct receiver r = { 0 };
	pthread_t thread;

	(void)arg;
	start(&r, pool);
	cr_assert_eq(weft_send(r.ends[1], "x", 1, 0), 1);
	weft_sleep(WEFT_MS(1));
	cr_assert_eq(pthread_create(&thread, NULL, put, &buf), 0);
	finish(&r, 1);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	assert_free(pool, 1);
	weft_pool_destroy(pool);
	return 0;
}

Test(pool, takes_a_buffer_back_from_any_thread)
{
	run_on_1_2_4(put_elsewhere);
}

static int destroy_early(void *arg)
{
	struct weft_pool *pool = weft_pool_create(2, SIZE);
	struct weft_buf first = take(pool), second = take(pool), none;
	struct receiver r = { 0 };
	int ends[2];

	(void)arg;
	start(&r, pool);
	cr_assert_eq(weft_send(r.ends[1], "x", 1, 0), 1);
	weft_sleep(WEFT_MS(2));
	weft_pool_destroy(pool);
	finish(&r, -ESHUTDOWN);
	make_pair(ends);
	cr_assert_eq(weft_send(ends[1], "x", 1, 0), 1);
	cr_assert_eq(weft_recv_buf(ends[0], pool, &none), -ESHUTDOWN, "it is there, but over");
	close_pair(ends);
	memset(first.data, 'z', SIZE);
	weft_buf_put(&first);
	memset(second.data, 'z', SIZE);
	weft_buf_put(&second); /* the pool's memory goes here */
	return 0;
}

Test(pool, destroyed_lasts_until_its_last_buffer_is_put)
{
	run_on_1_2_4(destroy_early);
}

static int receive_badly(void *arg)
{
	struct weft_pool *pool = weft_pool_create(1, SIZE);
	struct weft_buf buf = { .data = &buf };
	int fds[2];

	(void)arg;
	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(weft_write(fds[1], "x", 1), 1);
	cr_assert_eq(weft_recv_buf(fds[0], pool, &buf), -ENOTSOCK);
	cr_assert_null(buf.data);
	cr_assert_eq(weft_recv_buf(fds[0], NULL, &buf), -EINVAL);
	cr_assert_eq(weft_recv_buf(fds[0], pool, NULL), -EINVAL);
	cancel_myself();
	cr_assert_eq(weft_recv_buf(fds[0], pool, &buf), -ECANCELED, "before any effect");
	weft_uncancel();
	assert_free(pool, 1);
	close_pair(fds);
	weft_pool_destroy(pool);
	return 0;
}

Test(pool, fails_without_a_buffer)
{
	struct weft_pool *pool = weft_pool_create(1, SIZE);
	struct weft_buf buf;

	run_on_1_2_4(receive_badly);
	cr_assert_eq(weft_recv_buf(0, pool, &buf), -EPERM, "a plain thread");
	weft_pool_destroy(pool);
}

Test(pool, cannot_be_of_nothing_or_too_much)
{
	cr_assert_null(weft_pool_create(0, 1));
	cr_assert_null(weft_pool_create(1, 0));
	cr_assert_null(weft_pool_create(SIZE_MAX, 1));
	cr_assert_null(weft_pool_create(1, SIZE_MAX));
	cr_assert_null(weft_pool_create(SIZE_MAX / 2, 4));
	cr_assert_null(weft_pool_create((size_t)1 << 24, UINT32_MAX), "no such address space");
	weft_pool_destroy(NULL);
}
