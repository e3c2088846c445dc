/* SPDX-License-Identifier: MIT */
/*
 * test_uring - the io_uring backend driven by hand, from plain threads: what the worker's loop
 * relies on.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <weft/base.h>

#include "io/op.h"
#include "io/uring_compat.h"
#include "sched/wait.h"

enum { ENTRIES = 8, LIMIT = 2000 };

static const struct weft_backend *const uring = &weft_backend_uring;
static void *ring;

static void open_ring(void)
{
	int rc;

	ring = calloc(1, uring->size);
	rc = uring->open(ring, ENTRIES, 0);
	if (rc == -EPERM || rc == -ENOSYS)
		cr_skip_test("no io_uring here: %d", rc);
	cr_assert_eq(rc, 0, "%d", rc);
}

static void close_ring(void)
{
	uring->close(ring);
	free(ring);
}

TestSuite(uring, .init = open_ring, .fini = close_ring, .timeout = 30);

static struct weft_op transfer_op(int code, int fd, void *buf, size_t n)
{
	return (struct weft_op){
		.code = (uint8_t)code,
		.fd = fd,
		.off = UINT64_MAX,
		.addr = (uintptr_t)buf,
		.len = (uint32_t)n,
		.parker = weft_parker_self(),
	};
}

static void submit(struct weft_op *op)
{
	int rc = uring->submit(ring, op);

	cr_assert_eq(rc, 0, "%d", rc);
}

static bool done(struct weft_op *op)
{
	return weft_load_acquire(&op->done);
}

/* The worker's loop, without tasks. */
static int finish(struct weft_op *op)
{
	for (int i = 0; !done(op) && i < LIMIT; i++) {
		uring->flush(ring);
		if (!uring->reap(ring))
			uring->wait(ring, WEFT_MS(10));
	}
	cr_assert(done(op));
	return op->result;
}

/* Nothing more is to come: what could be delivered has been. */
static void settle(void)
{
	for (int i = 0; i < 10; i++) {
		uring->flush(ring);
		uring->wait(ring, 0);
		uring->reap(ring);
	}
}

static void make_pipe(int ends[2])
{
	cr_assert_eq(pipe(ends), 0);
}

Test(uring, carries_out_an_operation)
{
	char buf[8] = "";
	int ends[2];
	struct weft_op op;

	make_pipe(ends);
	op = transfer_op(IORING_OP_READ, ends[0], buf, sizeof(buf));
	cr_assert_eq(write(ends[1], "hello", 5), 5);
	submit(&op);
	cr_assert_eq(uring->in_flight(ring), 1);
	cr_assert_eq(finish(&op), 5);
	cr_assert_str_eq(buf, "hello");
	cr_assert_eq(uring->in_flight(ring), 0);
}

Test(uring, waits_for_what_comes_later)
{
	char byte;
	int ends[2];
	struct weft_op op;

	make_pipe(ends);
	op = transfer_op(IORING_OP_READ, ends[0], &byte, 1);
	submit(&op);
	settle();
	cr_assert(!done(&op));
	cr_assert_eq(write(ends[1], "x", 1), 1);
	cr_assert_eq(finish(&op), 1);
}

Test(uring, result_is_the_kernels_error)
{
	char byte;
	struct weft_op op = transfer_op(IORING_OP_READ, -1, &byte, 1);

	submit(&op);
	cr_assert_eq(finish(&op), -EBADF);
}

Test(uring, has_work_while_entries_are_queued_and_completions_wait)
{
	struct weft_op op = {
		.code = IORING_OP_NOP, .fd = -1, .parker = weft_parker_self()};

	cr_assert(!uring->has_work(ring));
	submit(&op);
	cr_assert(uring->has_work(ring));
	uring->flush(ring);
	cr_assert(uring->has_work(ring));
	cr_assert_eq(uring->reap(ring), 1);
	cr_assert(done(&op));
	cr_assert(!uring->has_work(ring));
}

Test(uring, more_operations_than_either_queue_holds)
{
	enum { COUNT = 500 };
	static struct weft_op ops[COUNT];
	static char bytes[COUNT];
	int ends[2], sum = 0;

	make_pipe(ends);
	for (int i = 0; i < COUNT; i++) {
		ops[i] = transfer_op(IORING_OP_READ, ends[0], &bytes[i], 1);
		submit(&ops[i]);
	}
	settle();
	cr_assert_eq(uring->in_flight(ring), COUNT);
	for (int i = 0; i < COUNT; i++) {
		char byte = (char)(i % 100);

		cr_assert_eq(write(ends[1], &byte, 1), 1);
	}
	for (int i = 0; i < COUNT; i++) {
		cr_assert_eq(finish(&ops[i]), 1);
		sum += bytes[i];
	}
	cr_assert_eq(sum, COUNT / 100 * 4950);
	cr_assert_eq(uring->in_flight(ring), 0);
}

Test(uring, cancel_ends_an_operation)
{
	char byte;
	int ends[2];
	struct weft_op op;

	make_pipe(ends);
	op = transfer_op(IORING_OP_READ, ends[0], &byte, 1);
	submit(&op);
	uring->cancel(ring, &op);
	cr_assert_eq(finish(&op), -ECANCELED);
	settle();
	cr_assert_eq(uring->in_flight(ring), 0);
}

Test(uring, cancel_that_comes_too_late_does_nothing)
{
	struct weft_op op = {
		.code = IORING_OP_NOP, .fd = -1, .parker = weft_parker_self()};

	submit(&op);
	cr_assert_eq(finish(&op), 0);
	uring->cancel(ring, &op);
	cr_assert(!uring->has_work(ring));
}

/* A unix listener whose backlog is full, so that who connects to it waits; its address is in *address. */
static int make_full_listener(struct sockaddr_un *address, socklen_t *len)
{
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), fd;

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	*len = sizeof(sa_family_t); /* the kernel finds a name */
	cr_assert_eq(bind(listener, (struct sockaddr *)address, *len), 0);
	cr_assert_eq(listen(listener, 0), 0);
	*len = sizeof(*address);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)address, len), 0);
	do {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	} while (connect(fd, (struct sockaddr *)address, *len) == 0);
	close(fd);
	return listener;
}

Test(uring, cancel_ends_what_the_kernel_has_not_found_a_place_for_yet)
{
	struct sockaddr_un address;
	struct weft_op op;
	socklen_t len;
	int listener = make_full_listener(&address, &len);

	for (int i = 0; i < 100; i++) {
		op = transfer_op(IORING_OP_CONNECT, socket(AF_UNIX, SOCK_STREAM, 0), &address, 0);
		op.off = len;
		submit(&op);
		uring->cancel(ring, &op); /* in one go with it */
		finish(&op);
		cr_assert(op.result == -ECANCELED || op.result == -EINTR, "%d", op.result);
		close(op.fd);
	}
	close(listener);
}

Test(uring, cancel_fd_ends_that_descriptors_operations_and_no_other)
{
	enum { COUNT = 100 };
	static struct weft_op ops[COUNT], copies[COUNT];
	static char bytes[2 * COUNT];
	int ends[2], copy;

	make_pipe(ends);
	copy = dup(ends[0]);
	for (int i = 0; i < COUNT; i++) {
		ops[i] = transfer_op(IORING_OP_READ, ends[0], &bytes[i], 1);
		copies[i] = transfer_op(IORING_OP_READ, copy, &bytes[COUNT + i], 1);
		submit(&ops[i]);
		submit(&copies[i]);
	}
	settle();
	uring->cancel_fd(ring, ends[0]);
	for (int i = 0; i < COUNT; i++)
		cr_assert_eq(finish(&ops[i]), -ECANCELED);
	settle();
	cr_assert_eq(uring->in_flight(ring), COUNT);
	close(ends[1]); /* end of file for the others */
	for (int i = 0; i < COUNT; i++)
		cr_assert_eq(finish(&copies[i]), 0);
}

Test(uring, cancel_fd_finds_what_is_only_queued)
{
	char byte;
	int ends[2];
	struct weft_op op;

	make_pipe(ends);
	op = transfer_op(IORING_OP_READ, ends[0], &byte, 1);
	submit(&op);
	uring->cancel_fd(ring, ends[0]);
	cr_assert_eq(finish(&op), -ECANCELED);
}

static int64_t waited(int64_t wait_ns)
{
	struct timespec from, to;

	clock_gettime(CLOCK_MONOTONIC, &from);
	uring->wait(ring, wait_ns);
	clock_gettime(CLOCK_MONOTONIC, &to);
	return (to.tv_sec - from.tv_sec) * INT64_C(1000000000) + to.tv_nsec -
	       from.tv_nsec;
}

Test(uring, wait_lasts_as_long_as_asked)
{
	cr_assert_geq(waited(WEFT_MS(20)), WEFT_MS(20));
}

Test(uring, wait_of_zero_does_not_sleep)
{
	struct weft_op op = {
		.code = IORING_OP_NOP, .fd = -1, .parker = weft_parker_self()};

	submit(&op);
	uring->wait(ring, 0);
	cr_assert(!done(&op)); /* wait does not reap */
	cr_assert_eq(uring->reap(ring), 1);
}

static void *wake_later(void *arg)
{
	(void)arg;
	usleep(20000);
	uring->wake(ring);
	return NULL;
}

Test(uring, wake_ends_a_sleep_again_and_again)
{
	for (int i = 0; i < 5; i++) {
		pthread_t thread;

		cr_assert_eq(pthread_create(&thread, NULL, wake_later, NULL), 0);
		uring->wait(ring, -1);
		cr_assert_eq(uring->reap(ring), 0, "a wake is no operation");
		pthread_join(thread, NULL);
		settle(); /* the next sleep is not ended by this wake */
	}
}

Test(uring, wake_before_the_sleep_ends_it)
{
	uring->wake(ring);
	uring->wait(ring, -1);
	uring->reap(ring);
	uring->wake(ring);
	uring->wake(ring);
	uring->wait(ring, -1);
	uring->reap(ring);
}

static void *reap_for_another(void *arg)
{
	finish(arg);
	return NULL;
}

/* What the monitor does for a worker that is stuck. */
Test(uring, another_thread_may_submit_and_reap)
{
	char bytes[2];
	int ends[2];
	struct weft_op first, second;
	pthread_t thread;

	make_pipe(ends);
	first = transfer_op(IORING_OP_READ, ends[0], &bytes[0], 1);
	second = transfer_op(IORING_OP_READ, ends[0], &bytes[1], 1);
	submit(&first);
	uring->flush(ring);
	submit(&second);
	cr_assert_eq(write(ends[1], "xy", 2), 2);
	cr_assert_eq(pthread_create(&thread, NULL, reap_for_another, &second), 0);
	pthread_join(thread, NULL);
	cr_assert_eq(finish(&first), 1);
	cr_assert_eq(second.result, 1);
}

Test(uring, broken_pipes_raise_no_signal)
{
	char byte = 'x';
	int ends[2], pair[2];
	struct weft_op op;

	make_pipe(ends);
	close(ends[0]);
	op = transfer_op(IORING_OP_WRITE, ends[1], &byte, 1);
	op.op_flags = RWF_NOSIGNAL;
	submit(&op);
	cr_assert_eq(finish(&op), -EPIPE);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	close(pair[0]);
	op = transfer_op(IORING_OP_WRITE, pair[1], &byte, 1);
	op.op_flags = RWF_NOSIGNAL;
	submit(&op);
	cr_assert_eq(finish(&op), -EPIPE);
}

Test(uring, slots_are_used_again)
{
	for (int i = 0; i < 10000; i++) {
		struct weft_op op = {.code = IORING_OP_NOP,
			.fd = i % 7 - 1,
			.parker = weft_parker_self()};

		submit(&op);
		cr_assert_eq(finish(&op), 0);
		cr_assert_lt(op.slot, 64);
	}
}

Test(uring, close_waits_for_what_is_in_flight)
{
	char byte;
	int ends[2];
	struct weft_op op;

	make_pipe(ends);
	op = transfer_op(IORING_OP_READ, ends[0], &byte, 1);
	submit(&op);
	uring->cancel(ring, &op);
	uring->close(ring);
	cr_assert(done(&op));
	cr_assert_eq(uring->open(memset(ring, 0, uring->size), 0, 0), 0);
}

/* The descriptor of the ring, found by what it is. */
static int ring_descriptor(void)
{
	for (int fd = 0; fd < 64; fd++) {
		char path[32], target[64] = "";

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, target, sizeof(target) - 1) > 0 &&
			strstr(target, "io_uring"))
			return fd;
	}
	cr_assert_fail("no ring");
	return -1;
}

/* Every enter fails while another file is at the ring's number. */
Test(uring, operations_wait_while_the_kernel_refuses)
{
	enum { COUNT = 5 * ENTRIES };
	static struct weft_op ops[COUNT];
	static char bytes[COUNT];
	int fd = ring_descriptor(), kept = dup(fd), null = open("/dev/null", O_RDWR),
	    ends[2];

	make_pipe(ends);
	cr_assert_eq(dup2(null, fd), fd);
	for (int i = 0; i < COUNT; i++) {
		ops[i] = transfer_op(IORING_OP_READ, ends[0], &bytes[i], 1);
		submit(&ops[i]);
	}
	uring->cancel(ring, &ops[0]);         /* has an entry, its cancel gets none */
	uring->cancel(ring, &ops[COUNT - 1]); /* has none */
	settle();
	cr_assert(uring->has_work(ring));
	for (int i = 0; i < COUNT - 1; i++)
		cr_assert(!done(&ops[i]));
	cr_assert_eq(dup2(kept, fd), fd);
	cr_assert_eq(finish(&ops[0]), -ECANCELED);
	cr_assert_eq(finish(&ops[COUNT - 1]), -ECANCELED);
	settle();
	cr_assert_eq(uring->in_flight(ring), COUNT - 2);
	uring->cancel_fd(ring, ends[0]);
	for (int i = 1; i < COUNT - 1; i++)
		cr_assert_eq(finish(&ops[i]), -ECANCELED);
	settle();
	cr_assert(!uring->has_work(ring));
}
