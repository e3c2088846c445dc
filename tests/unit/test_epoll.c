/* SPDX-License-Identifier: MIT */
/*
 * test_epoll - the epoll backend driven by hand, from plain threads: what the worker's loop relies on,
 * and what edge-triggered registrations that outlive their operations could get wrong. What goes to
 * the blocking pool needs a runtime: the last cases start one.
 */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weft.h>

#include "io/op.h"
#include "io/uring_compat.h"
#include "sched/wait.h"

enum { LIMIT = 2000 };

static const struct weft_backend *const backend = &weft_backend_epoll;
static void *state;

static void open_backend(void)
{
	state = calloc(1, backend->size);
	cr_assert_eq(backend->open(state, 0, 0), 0);
}

static void close_backend(void)
{
	backend->close(state);
	free(state);
}

TestSuite(epoll, .init = open_backend, .fini = close_backend, .timeout = 30);

static struct weft_op new_op(int code, int fd, void *buf, size_t n)
{
	return (struct weft_op){
		.code = (uint8_t)code,
		.fd = fd,
		.off = code == IORING_OP_READ || code == IORING_OP_WRITE ? UINT64_MAX : 0,
		.addr = (uintptr_t)buf,
		.len = (uint32_t)n,
		.parker = weft_parker_self(),
	};
}

static void submit(struct weft_op *op)
{
	cr_assert_eq(backend->submit(state, op), 0);
}

static bool done(struct weft_op *op)
{
	return weft_load_acquire(&op->done);
}

/* The worker's loop, without tasks. */
static int finish(struct weft_op *op)
{
	for (int i = 0; !done(op) && i < LIMIT; i++) {
		if (!backend->reap(state))
			backend->wait(state, WEFT_MS(10));
	}
	cr_assert(done(op));
	return op->result;
}

/* Whatever could be delivered has been. */
static void settle(void)
{
	for (int i = 0; i < 3; i++) {
		backend->wait(state, 0);
		backend->reap(state);
	}
}

static void make_pipe(int ends[2])
{
	cr_assert_eq(pipe(ends), 0);
}

static void make_connection(int ends[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(bind(listener, (struct sockaddr *)&address, len), 0);
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(connect(ends[0], (struct sockaddr *)&address, len), 0);
	ends[1] = accept(listener, NULL, NULL);
	cr_assert_geq(ends[1], 0);
	close(listener);
}

Test(epoll, an_operation_that_need_not_wait_is_over_at_once)
{
	char buf[8] = "";
	int ends[2];
	struct weft_op op;

	make_pipe(ends);
	op = new_op(IORING_OP_READ, ends[0], buf, sizeof(buf));
	cr_assert_eq(write(ends[1], "hello", 5), 5);
	submit(&op);
	cr_assert(done(&op));
	cr_assert_eq(op.result, 5);
	cr_assert_str_eq(buf, "hello");
	cr_assert_eq(backend->in_flight(state), 0);
}

Test(epoll, waits_for_what_comes_later)
{
	char byte;
	int ends[2];
	struct weft_op op;

	make_pipe(ends);
	op = new_op(IORING_OP_READ, ends[0], &byte, 1);
	submit(&op);
	settle();
	cr_assert(!done(&op));
	cr_assert_eq(backend->in_flight(state), 1);
	cr_assert(!backend->has_work(state));
	cr_assert_eq(write(ends[1], "x", 1), 1);
	cr_assert(backend->has_work(state));
	cr_assert_eq(finish(&op), 1);
	cr_assert_eq(backend->in_flight(state), 0);
}

Test(epoll, result_is_the_kernels_error)
{
	char byte;
	struct weft_op op = new_op(IORING_OP_READ, -1, &byte, 1);

	submit(&op);
	cr_assert_eq(finish(&op), -EBADF);
	op = new_op(IORING_OP_NOP, -1, NULL, 0);
	submit(&op);
	cr_assert_eq(finish(&op), -EINVAL, "no such operation");
}

Test(epoll, those_who_wait_for_one_descriptor_are_served_in_turn)
{
	enum { COUNT = 500 };
	static struct weft_op ops[COUNT];
	static char bytes[COUNT];
	int ends[2];

	make_pipe(ends);
	for (int i = 0; i < COUNT; i++) {
		ops[i] = new_op(IORING_OP_READ, ends[0], &bytes[i], 1);
		submit(&ops[i]);
	}
	settle();
	cr_assert_eq(backend->in_flight(state), COUNT);
	for (int i = 0; i < COUNT; i++) {
		char byte = (char)(i % 100);

		cr_assert_eq(write(ends[1], &byte, 1), 1);
	}
	for (int i = 0; i < COUNT; i++) {
		cr_assert_eq(finish(&ops[i]), 1);
		cr_assert_eq(bytes[i], i % 100);
	}
	cr_assert_eq(backend->in_flight(state), 0);
}

Test(epoll, both_directions_of_a_descriptor_wait_on_their_own)
{
	static char block[1 << 20];
	struct weft_op reader, writer;
	int ends[2], flushed = 0;
	char byte;

	make_connection(ends);
	while (send(ends[0], block, sizeof(block), MSG_DONTWAIT) > 0)
		flushed++;
	reader = new_op(IORING_OP_RECV, ends[0], &byte, 1);
	writer = new_op(IORING_OP_SEND, ends[0], block, 1);
	submit(&writer);
	submit(&reader);
	settle();
	cr_assert(!done(&reader) && !done(&writer));
	cr_assert_eq(send(ends[1], "x", 1, 0), 1);
	cr_assert_eq(finish(&reader), 1);
	cr_assert(!done(&writer));
	while (!done(&writer)) {
		cr_assert_gt(recv(ends[1], block, sizeof(block), 0), 0);
		settle();
	}
	cr_assert_eq(writer.result, 1);
}

/* After a receive that took less than it could, no further one is tried before the next event. */
Test(epoll, what_comes_after_a_short_receive_is_not_missed)
{
	char buf[16];
	int ends[2];

	make_connection(ends);
	for (int i = 0; i < 1000; i++) {
		struct weft_op op = new_op(IORING_OP_RECV, ends[0], buf, sizeof(buf));

		if (i % 3 == 0)
			cr_assert_eq(send(ends[1], "ping", 4, 0), 4);
		submit(&op);
		if (i % 3 != 0)
			cr_assert_eq(send(ends[1], "ping", 4, 0), 4);
		cr_assert_eq(finish(&op), 4);
	}
}

Test(epoll, the_end_of_a_stream_is_not_missed_behind_its_last_bytes)
{
	char buf[16];
	int ends[2];

	for (int i = 0; i < 100; i++) {
		struct weft_op op;

		make_connection(ends);
		op = new_op(IORING_OP_RECV, ends[0], buf, sizeof(buf));
		submit(&op);
		settle();
		cr_assert_eq(send(ends[1], "last", 4, 0), 4);
		close(ends[1]);
		cr_assert_eq(finish(&op), 4);
		op = new_op(IORING_OP_RECV, ends[0], buf, sizeof(buf));
		submit(&op);
		cr_assert(done(&op), "the event told of the end: no wait for another");
		cr_assert_eq(op.result, 0);
		close(ends[0]);
		backend->forget_fd(state, ends[0]);
	}
}

Test(epoll, a_receive_that_wants_everything_gets_everything)
{
	char buf[8] = "";
	int ends[2];
	struct weft_op op;

	make_connection(ends);
	op = new_op(IORING_OP_RECV, ends[0], buf, 6);
	op.op_flags = MSG_WAITALL;
	submit(&op);
	for (const char *part = "abcdef"; *part; part++) {
		settle();
		cr_assert(!done(&op));
		cr_assert_eq(send(ends[1], part, 1, 0), 1);
	}
	cr_assert_eq(finish(&op), 6);
	cr_assert_str_eq(buf, "abcdef");
	op = new_op(IORING_OP_RECV, ends[0], buf, 6);
	op.op_flags = MSG_WAITALL;
	submit(&op);
	cr_assert_eq(send(ends[1], "gh", 2, 0), 2);
	settle();
	backend->cancel(state, &op);
	cr_assert_eq(finish(&op), 2, "what came before the cancel is not lost");
}

Test(epoll, asking_not_to_wait_is_answered)
{
	char byte;
	int ends[2];
	struct weft_op op;

	make_connection(ends);
	for (int i = 0; i < 2; i++) {
		op = new_op(IORING_OP_RECV, ends[0], &byte, 1);
		op.op_flags = MSG_DONTWAIT;
		submit(&op);
		cr_assert(done(&op));
		cr_assert_eq(op.result, -EAGAIN);
	}
}

Test(epoll, cancel_ends_an_operation)
{
	char byte;
	int ends[2];
	struct weft_op op;

	make_pipe(ends);
	op = new_op(IORING_OP_READ, ends[0], &byte, 1);
	submit(&op);
	backend->cancel(state, &op);
	cr_assert_eq(finish(&op), -ECANCELED);
	cr_assert_eq(backend->in_flight(state), 0);
	backend->cancel(state, &op); /* too late */
	cr_assert_eq(write(ends[1], "x", 1), 1);
	op = new_op(IORING_OP_READ, ends[0], &byte, 1);
	submit(&op);
	cr_assert_eq(finish(&op), 1, "no byte went with it");
}

Test(epoll, cancel_fd_ends_that_descriptors_operations_and_no_other)
{
	enum { COUNT = 100 };
	static struct weft_op ops[COUNT], copies[COUNT];
	static char bytes[2 * COUNT];
	int ends[2], copy;

	make_pipe(ends);
	copy = dup(ends[0]);
	for (int i = 0; i < COUNT; i++) {
		ops[i] = new_op(IORING_OP_READ, ends[0], &bytes[i], 1);
		copies[i] = new_op(IORING_OP_READ, copy, &bytes[COUNT + i], 1);
		submit(&ops[i]);
		submit(&copies[i]);
	}
	settle();
	backend->cancel_fd(state, ends[0]);
	for (int i = 0; i < COUNT; i++)
		cr_assert_eq(finish(&ops[i]), -ECANCELED);
	cr_assert_eq(backend->in_flight(state), COUNT);
	close(ends[1]); /* end of file for the others */
	for (int i = 0; i < COUNT; i++)
		cr_assert_eq(finish(&copies[i]), 0);
}

/* The number was registered, closed with close(2), and is now a socket weft has not heard of. */
Test(epoll, a_number_that_somebody_else_reused_is_found_out)
{
	char buf[16];
	int first[2], second[2];
	struct weft_op op;

	for (int waits_first = 0; waits_first < 2; waits_first++) {
		make_connection(first);
		make_connection(second);
		op = new_op(IORING_OP_RECV, first[0], buf, sizeof(buf));
		submit(&op);
		settle();
		cr_assert_eq(send(first[1], "x", 1, 0), 1);
		cr_assert_eq(finish(&op), 1);
		close(first[0]);
		cr_assert_eq(dup2(second[0], first[0]), first[0]);
		op = new_op(IORING_OP_RECV, first[0], buf, sizeof(buf));
		if (!waits_first)
			cr_assert_eq(send(second[1], "y", 1, 0), 1);
		submit(&op);
		settle();
		if (waits_first)
			cr_assert_eq(send(second[1], "y", 1, 0), 1);
		cr_assert_eq(finish(&op), 1);
		cr_assert_eq(buf[0], 'y');
	}
}

/* The same, but weft closed it, or got it from the kernel: then it is known at once. */
Test(epoll, a_forgotten_number_is_looked_at_anew)
{
	char buf[16];
	int first[2], second[2];
	struct weft_op op;

	make_connection(first);
	make_connection(second);
	op = new_op(IORING_OP_RECV, first[0], buf, sizeof(buf));
	submit(&op);
	settle();
	cr_assert_eq(send(first[1], "x", 1, 0), 1);
	cr_assert_eq(finish(&op), 1);
	backend->forget_fd(state, first[0]);
	cr_assert_eq(dup2(second[0], first[0]), first[0]);
	cr_assert_eq(send(second[1], "y", 1, 0), 1);
	op = new_op(IORING_OP_RECV, first[0], buf, sizeof(buf));
	submit(&op);
	cr_assert(done(&op));
	cr_assert_eq(op.result, 1);
}

/* Its task has moved to another worker: this one must not be woken for good. */
Test(epoll, events_for_nobody_stop)
{
	char byte;
	int ends[2], quiet = 0;
	struct weft_op op;

	make_pipe(ends);
	op = new_op(IORING_OP_READ, ends[0], &byte, 1);
	submit(&op);
	backend->cancel(state, &op);
	for (int i = 0; i < 10; i++) {
		struct pollfd look = {.fd = ends[0], .events = POLLIN};
		char keeps_waiting;
		struct weft_op other;
		int more[2];

		make_pipe(more);
		other = new_op(IORING_OP_READ, more[0], &keeps_waiting, 1);
		submit(&other); /* as long as something waits, events are looked at */
		cr_assert_eq(write(ends[1], "x", 1), 1);
		quiet += !backend->has_work(state);
		settle();
		cr_assert_eq(poll(&look, 1, 0), 1);
		backend->cancel(state, &other);
	}
	cr_assert_eq(quiet, 8, "%d", quiet);
	op = new_op(IORING_OP_READ, ends[0], &byte, 1);
	submit(&op);
	cr_assert_eq(finish(&op), 1);
}

Test(epoll, polls_see_readiness_and_leave_it)
{
	char byte;
	int ends[2];
	struct weft_op first, second, reader;

	make_pipe(ends);
	first = new_op(IORING_OP_POLL_ADD, ends[0], NULL, 0);
	first.op_flags = POLLIN;
	second = first;
	reader = new_op(IORING_OP_READ, ends[0], &byte, 1);
	submit(&first);
	submit(&second);
	settle();
	cr_assert(!done(&first));
	cr_assert_eq(write(ends[1], "x", 1), 1);
	cr_assert_eq(finish(&first), POLLIN);
	cr_assert_eq(finish(&second), POLLIN);
	submit(&reader);
	cr_assert_eq(finish(&reader), 1);
}

static int64_t waited(int64_t wait_ns)
{
	weft_ns from = weft_now();

	backend->wait(state, wait_ns);
	return weft_now() - from;
}

Test(epoll, wait_lasts_as_long_as_asked)
{
	backend->reap(state);
	cr_assert_geq(waited(WEFT_MS(20)), WEFT_MS(20));
	cr_assert_geq(waited(300000), 300000, "not a millisecond's multiple");
}

static void *wake_later(void *arg)
{
	(void)arg;
	usleep(20000);
	backend->wake(state);
	return NULL;
}

/* How long a sleep that nothing should end before its time has lasted. */
static weft_ns sleep_for(weft_ns wait_ns)
{
	weft_ns before = weft_now();

	backend->wait(state, wait_ns);
	return weft_now() - before;
}

Test(epoll, once_a_poll_is_known_to_wait_for_the_right_file_it_wakes_nobody)
{
	struct weft_op op;
	int ends[2];

	make_connection(ends); /* can be written to, which a poll for the other direction hears of */
	op = new_op(IORING_OP_POLL_ADD, ends[0], NULL, 0);
	op.op_flags = POLLIN;
	submit(&op);
	for (int i = 0; i < 20; i++) { /* it is verified meanwhile */
		backend->wait(state, WEFT_MS(10));
		backend->reap(state);
	}
	cr_assert_geq(sleep_for(WEFT_MS(200)), WEFT_MS(190));
	cr_assert(!done(&op));
	cr_assert_eq(write(ends[1], "x", 1), 1);
	cr_assert_eq(finish(&op), POLLIN);
	close(ends[0]);
	close(ends[1]);
}

Test(epoll, nobody_is_kept_awake_for_operations_that_are_over)
{
	static struct weft_op ops[1000];
	char byte;
	int ends[2];

	make_pipe(ends);
	for (int i = 0; i < 1000; i++) {
		ops[i] = new_op(IORING_OP_READ, ends[0], &byte, 1);
		submit(&ops[i]);
	}
	backend->reap(state); /* has looked at some of those that wait, not at all */
	cr_assert_eq(backend->cancel_fd(state, ends[0]), 0);
	cr_assert_eq(backend->in_flight(state), 0);
	cr_assert_geq(sleep_for(WEFT_MS(200)), WEFT_MS(190));
	close(ends[0]);
	close(ends[1]);
}

Test(epoll, wake_ends_a_sleep_again_and_again)
{
	for (int i = 0; i < 5; i++) {
		pthread_t thread;

		cr_assert_eq(pthread_create(&thread, NULL, wake_later, NULL), 0);
		backend->wait(state, -1);
		cr_assert_eq(backend->reap(state), 0, "a wake is no operation");
		pthread_join(thread, NULL);
		settle();
	}
	backend->wake(state);
	backend->wake(state);
	backend->wait(state, -1);
}

static void *reap_for_another(void *arg)
{
	finish(arg);
	return NULL;
}

/* What the monitor does for a worker that is stuck. */
Test(epoll, another_thread_may_reap)
{
	char byte;
	int ends[2];
	struct weft_op op;
	pthread_t thread;

	make_pipe(ends);
	op = new_op(IORING_OP_READ, ends[0], &byte, 1);
	submit(&op);
	cr_assert_eq(write(ends[1], "x", 1), 1);
	cr_assert_eq(pthread_create(&thread, NULL, reap_for_another, &op), 0);
	pthread_join(thread, NULL);
	cr_assert_eq(op.result, 1);
}

Test(epoll, broken_pipes_raise_no_signal)
{
	char byte = 'x';
	int ends[2];
	struct weft_op op;

	make_pipe(ends);
	close(ends[0]);
	op = new_op(IORING_OP_WRITE, ends[1], &byte, 1);
	op.op_flags = RWF_NOSIGNAL;
	submit(&op);
	cr_assert_eq(finish(&op), -EPIPE);
}

Test(epoll, a_listener_keeps_nobody_waiting)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), client;
	struct weft_op ops[3];

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(bind(listener, (struct sockaddr *)&address, len), 0);
	cr_assert_eq(listen(listener, 8), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	for (int i = 0; i < 3; i++) {
		ops[i] = new_op(IORING_OP_ACCEPT, listener, NULL, 0);
		submit(&ops[i]);
	}
	for (int i = 0; i < 3; i++) {
		client = socket(AF_INET, SOCK_STREAM, 0);
		cr_assert_eq(connect(client, (struct sockaddr *)&address, len), 0);
		cr_assert_geq(finish(&ops[i]), 0);
		settle();
		cr_assert_eq(backend->in_flight(state), 2u - (unsigned)i);
	}
	cr_assert(!(fcntl(listener, F_GETFL) & O_NONBLOCK));
}

/* -- with a pool ------------------------------------------------------------------------------- */

enum { BUSY = 16 };

static int run(weft_fn fn)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.workers = 2;
	config.flags = WEFT_NO_URING;
	config.blocking_max = BUSY;
	config.stall_report = -1;
	return weft_run(fn, NULL, &config);
}

static int use_files(void *arg)
{
	char path[] = "/tmp/weft-epoll-XXXXXX", block[4096] = "", back[4096];
	int fd = mkstemp(path);

	(void)arg;
	cr_assert_geq(fd, 0);
	for (int i = 0; i < 50; i++) {
		memset(block, i, sizeof(block));
		cr_assert_eq(weft_pwrite(fd, block, sizeof(block), i * 4096), 4096);
	}
	cr_assert_eq(weft_fsync(fd, 0), 0);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* cold, where the file system can */
	for (int i = 0; i < 50; i++) {
		cr_assert_eq(weft_pread(fd, back, sizeof(back), i * 4096), 4096);
		cr_assert_eq(back[17], i);
	}
	cr_assert_eq(weft_close(fd), 0);
	unlink(path);
	return 0;
}

Test(epoll_pool, files_are_read_and_written)
{
	cr_assert_eq(run(use_files), 0);
}

static int open_fifo(void *path)
{
	int fd = weft_openat(AT_FDCWD, path, O_WRONLY, 0);

	return fd < 0 ? fd : weft_close(fd);
}

/* A blocking open does not hold its worker. */
static int wait_in_open(void *arg)
{
	char path[] = "/tmp/weft-epoll-XXXXXX";
	struct weft_task *opener;
	int fd;

	(void)arg;
	cr_assert_not_null(mkdtemp(path));
	cr_assert_eq(rmdir(path), 0);
	cr_assert_eq(mkfifo(path, 0600), 0);
	opener = weft_create_task(open_fifo, path);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
	fd = open(path, O_RDWR);
	cr_assert_eq(weft_join(opener), 0);
	close(fd);
	unlink(path);
	return 0;
}

Test(epoll_pool, opening_may_take_its_time)
{
	cr_assert_eq(run(wait_in_open), 0);
}

/* Until that many are in flight, and as many threads as there may be have one each. */
static void wait_for_operations(uint64_t count)
{
	struct weft_metrics metrics = { .size = sizeof(metrics) };

	do {
		cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
		weft_runtime_metrics(weft_runtime_current(), &metrics);
	} while (metrics.io_inflight != count || metrics.blocking_live != BUSY);
}

static int fill_the_pool(void *arg)
{
	char path[] = "/tmp/weft-epoll-XXXXXX";
	struct weft_task *openers[BUSY], *waiting;
	int fd;

	(void)arg;
	cr_assert_not_null(mkdtemp(path));
	cr_assert_eq(rmdir(path), 0);
	cr_assert_eq(mkfifo(path, 0600), 0);
	for (int i = 0; i < BUSY; i++)
		openers[i] = weft_create_task(open_fifo, path);
	wait_for_operations(BUSY);
	waiting = weft_create_task(open_fifo, path);
	wait_for_operations(BUSY + 1);
	weft_cancel(waiting);
	cr_assert_eq(weft_join(waiting), -ECANCELED, "no thread had it");
	fd = open(path, O_RDWR);
	for (int i = 0; i < BUSY; i++)
		cr_assert_eq(weft_join(openers[i]), 0);
	close(fd);
	unlink(path);
	return 0;
}

Test(epoll_pool, what_no_thread_has_begun_is_cancelled_at_once)
{
	cr_assert_eq(run(fill_the_pool), 0);
}
