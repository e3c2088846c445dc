/* SPDX-License-Identifier: MIT */
/*
 * test_uring_older - rings as on kernels that lack this or that: what is missing is noticed one by one, and
 * made up for. WEFT_URING_WITHOUT takes it away.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weft.h>

#include "io/op.h"
#include "io/uring_compat.h"
#include "io/uring_setup.h"
#include "sched/wait.h"

enum { ENTRIES = 8, LIMIT = 2000 };

static const struct weft_backend *const uring = &weft_backend_uring;
static void *ring;

static void look_for_io_uring(void)
{
	char missing[48];
	int rc;

	unsetenv("WEFT_URING_WITHOUT");
	unsetenv("WEFT_BACKEND");
	rc = weft_uring_probe(missing, sizeof(missing));
	if (rc < 0)
		cr_skip_test("no io_uring here: %d", rc);
}

TestSuite(uring_older, .init = look_for_io_uring, .timeout = 30);

static struct weft_uring_able able_without(const char *what)
{
	struct weft_uring_able able;
	struct io_uring uring_memory;
	const char *missing;

	setenv("WEFT_URING_WITHOUT", what, 1);
	cr_assert_eq(weft_uring_setup(&uring_memory, ENTRIES, true, &able, &missing), 0);
	io_uring_queue_exit(&uring_memory);
	return able;
}

Test(uring_older, each_lack_is_noticed)
{
	struct weft_uring_able able = able_without("");

	if (!able.deferred || !able.timed || !weft_uring_knows(&able, IORING_OP_STATX))
		cr_skip_test("this kernel is an older one");
	cr_assert(!able_without("defer").deferred);
	cr_assert(!able_without("defer,coop,submit_all").deferred);
	cr_assert(!able_without("ext_arg").timed);
	cr_assert(!able_without("nosignal").nosignal);
	able = able_without("coop,op:statx");
	cr_assert(!weft_uring_knows(&able, IORING_OP_STATX));
	cr_assert(weft_uring_knows(&able, IORING_OP_RECV));
	cr_assert(able.deferred);
}

Test(uring_older, without_a_few_things_there_is_no_ring)
{
	static const char *const needed[] = { "nodrop", "submit_stable", "rw_cur_pos", "fast_poll",
		"op:poll", "op:read", "op:async_cancel", "op:timeout" };
	char missing[48];

	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++) {
		setenv("WEFT_URING_WITHOUT", needed[i], 1);
		cr_assert_eq(weft_uring_probe(missing, sizeof(missing)), -EOPNOTSUPP);
		cr_assert_str_eq(missing, needed[i]);
	}
}

static void open_without(const char *what)
{
	setenv("WEFT_URING_WITHOUT", what, 1);
	ring = calloc(1, uring->size);
	cr_assert_eq(uring->open(ring, ENTRIES, 0), 0);
}

static void close_ring(void)
{
	uring->close(ring);
	free(ring);
}

static struct weft_op receive(int fd, void *buf, size_t n)
{
	return (struct weft_op){
		.code = IORING_OP_RECV,
		.fd = fd,
		.addr = (uintptr_t)buf,
		.len = (uint32_t)n,
		.parker = weft_parker_self(),
	};
}

static void submit(struct weft_op *op)
{
	cr_assert_eq(uring->submit(ring, op), 0);
}

static int finish(struct weft_op *op)
{
	for (int i = 0; !weft_load_acquire(&op->done) && i < LIMIT; i++) {
		uring->flush(ring);
		if (!uring->reap(ring))
			uring->wait(ring, WEFT_MS(10));
	}
	cr_assert(weft_load_acquire(&op->done));
	return op->result;
}

static void settle(void)
{
	for (int i = 0; i < 10; i++) {
		uring->flush(ring);
		uring->wait(ring, 0);
		uring->reap(ring);
	}
}

static void make_pair(int ends[2])
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

Test(uring_older, an_unknown_operation_waits_by_a_poll)
{
	char buf[8] = "";
	struct weft_op op;
	int ends[2];

	open_without("op:recv");
	make_pair(ends);
	for (int i = 0; i < 100; i++) {
		op = receive(ends[0], buf, sizeof(buf));
		submit(&op);
		settle();
		cr_assert(!weft_load_acquire(&op.done));
		cr_assert_eq(uring->in_flight(ring), 1);
		cr_assert_eq(send(ends[1], "ping", 4, 0), 4);
		cr_assert_eq(finish(&op), 4);
	}
	cr_assert_str_eq(buf, "ping");
	close_ring();
}

Test(uring_older, those_who_wait_by_polls_all_get_their_part)
{
	enum { COUNT = 5 * ENTRIES };
	static struct weft_op ops[COUNT];
	static char bytes[COUNT];
	int ends[2], sum = 0;

	open_without("op:recv");
	make_pair(ends);
	for (int i = 0; i < COUNT; i++) {
		ops[i] = receive(ends[0], &bytes[i], 1);
		submit(&ops[i]);
	}
	settle();
	for (int i = 0; i < COUNT; i++) {
		char byte = (char)i;

		cr_assert_eq(send(ends[1], &byte, 1, 0), 1);
		settle();
	}
	for (int i = 0; i < COUNT; i++) {
		cr_assert_eq(finish(&ops[i]), 1);
		sum += bytes[i];
	}
	cr_assert_eq(sum, COUNT * (COUNT - 1) / 2);
	close_ring();
}

Test(uring_older, what_waits_by_a_poll_can_be_cancelled)
{
	struct weft_op first, second, all;
	char bytes[8];
	int ends[2];

	open_without("op:recv");
	make_pair(ends);
	first = receive(ends[0], bytes, 1);
	second = receive(ends[0], bytes, 1);
	submit(&first);
	submit(&second);
	settle();
	uring->cancel(ring, &first);
	cr_assert_eq(finish(&first), -ECANCELED);
	cr_assert(!weft_load_acquire(&second.done));
	uring->cancel_fd(ring, ends[0]);
	cr_assert_eq(finish(&second), -ECANCELED);
	all = receive(ends[0], bytes, 8);
	all.op_flags = MSG_WAITALL;
	submit(&all);
	cr_assert_eq(send(ends[1], "abc", 3, 0), 3);
	settle();
	uring->cancel(ring, &all);
	cr_assert_eq(finish(&all), 3, "what came before the cancel is not lost");
	cr_assert_eq(uring->in_flight(ring), 0);
	close_ring();
}

/* The poll has ended, for bytes that somebody else took, when the cancel comes. */
Test(uring_older, a_cancel_between_two_polls_is_not_lost)
{
	struct weft_op op;
	char byte;
	int ends[2];

	open_without("op:recv");
	make_pair(ends);
	op = receive(ends[0], &byte, 1);
	submit(&op);
	uring->flush(ring);
	cr_assert_eq(send(ends[1], "x", 1, 0), 1);
	cr_assert_eq(recv(ends[0], &byte, 1, 0), 1);
	uring->cancel(ring, &op);
	cr_assert_eq(finish(&op), -ECANCELED);
	close_ring();
}

static weft_ns waited(weft_ns duration)
{
	weft_ns from = weft_now();

	uring->wait(ring, duration);
	return weft_now() - from;
}

Test(uring_older, waits_end_in_time_where_enter_takes_none)
{
	char byte;
	int ends[2];
	struct weft_op op;

	open_without("ext_arg");
	make_pair(ends);
	settle();
	cr_assert_geq(waited(WEFT_MS(20)), WEFT_MS(20));
	settle();
	op = receive(ends[0], &byte, 1);
	submit(&op);
	cr_assert_eq(send(ends[1], "x", 1, 0), 1);
	cr_assert_lt(waited(WEFT_SEC(20)), WEFT_SEC(10), "a completion ends it");
	cr_assert_eq(finish(&op), 1);
	close_ring();
}

static int use_files(void *arg)
{
	char path[] = "/tmp/weft-older-XXXXXX", back[8] = "";
	int fd = mkstemp(path);

	(void)arg;
	cr_assert_eq(weft_write(fd, "written", 7), 7);
	cr_assert_eq(weft_fsync(fd, 1), 0);
	cr_assert_eq(weft_close(fd), 0);
	fd = weft_openat(AT_FDCWD, path, O_RDONLY, 0);
	cr_assert_geq(fd, 0);
	cr_assert_eq(weft_read(fd, back, 7), 7);
	cr_assert_str_eq(back, "written");
	cr_assert_eq(weft_close(fd), 0);
	cr_assert_eq(weft_unlinkat(AT_FDCWD, path, 0), 0);
	cr_assert_eq(weft_openat(AT_FDCWD, path, O_RDONLY, 0), -ENOENT);
	return 0;
}

Test(uring_older, unknown_file_operations_go_to_the_pool)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	setenv("WEFT_URING_WITHOUT", "op:write,op:openat,op:fsync,op:close,op:unlinkat", 1);
	config.workers = 2;
	config.flags = WEFT_REQUIRE_URING;
	cr_assert_eq(weft_run(use_files, NULL, &config), 0);
}
