/* SPDX-License-Identifier: MIT */
/*
 * io_splice - bytes moved between a pipe and something else.
 */
#include "helper.h"

#include <fcntl.h>
#include <sys/socket.h>

TestSuite(io_splice, .timeout = PATIENCE);

struct ends {
	int pipe[2];    /* read from [0], write to [1] */
	int sockets[2];
};

static void make_ends(struct ends *ends)
{
	cr_assert_eq(pipe(ends->pipe), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends->sockets), 0);
}

static void close_ends(struct ends *ends)
{
	for (int i = 0; i < 2; i++) {
		if (ends->pipe[i] >= 0)
			weft_close(ends->pipe[i]);
		if (ends->sockets[i] >= 0)
			weft_close(ends->sockets[i]);
	}
}

static int move(void *arg)
{
	char name[] = P_tmpdir "/weft-splice-XXXXXX", buf[32];
	struct ends ends;
	off_t at = 7;
	int file = mkstemp(name);

	(void)arg;
	unlink(name);
	make_ends(&ends);
	cr_assert_eq(weft_write(file, "hello, world", 12), 12);
	cr_assert_eq(weft_splice(file, &at, ends.pipe[1], NULL, 100, 0), 5);
	cr_assert_eq(at, 12, "the offset is moved on");
	cr_assert_eq(weft_splice(file, &at, ends.pipe[1], NULL, 100, 0), 0, "the end");
	cr_assert_eq(weft_splice(ends.pipe[0], NULL, ends.sockets[0], NULL, 100, 0), 5);
	cr_assert_eq(weft_splice(ends.sockets[1], NULL, ends.pipe[1], NULL, 3, 0), 3);
	at = 100;
	cr_assert_eq(weft_splice(ends.pipe[0], NULL, file, &at, 100, 0), 3);
	cr_assert_eq(at, 103);
	cr_assert_eq(weft_pread(file, buf, sizeof(buf), 100), 3);
	cr_assert_arr_eq(buf, "wor", 3);
	cr_assert_eq(weft_read(ends.sockets[1], buf, sizeof(buf)), 2);
	cr_assert_arr_eq(buf, "ld", 2);
	close_ends(&ends);
	weft_close(file);
	return 0;
}

Test(io_splice, moves_bytes_between_files_pipes_and_sockets)
{
	run_on_1_2_4(move);
}

struct wait {
	int in, out;
};

static int splice_some(void *arg)
{
	struct wait *wait = arg;

	return (int)weft_splice(wait->in, NULL, wait->out, NULL, 100, 0);
}

static int wait_for_bytes(void *arg)
{
	struct ends ends;

	(void)arg;
	make_ends(&ends);
	struct wait from_socket = { ends.sockets[1], ends.pipe[1] };
	struct weft_task *task = weft_create_task(splice_some, &from_socket);
	cr_assert_eq(weft_sleep(WEFT_MS(2)), 0);
	cr_assert_eq(weft_status(task), -EINPROGRESS);
	cr_assert_eq(weft_write(ends.sockets[0], "late", 4), 4);
	cr_assert_eq(weft_join(task), 4);

	task = weft_create_task(splice_some, &from_socket);
	cr_assert_eq(weft_wait_for(task, WEFT_MS(2)), -ETIMEDOUT);
	weft_release(task);

	task = weft_create_task(splice_some, &from_socket);
	cr_assert_eq(weft_sleep(WEFT_MS(2)), 0);
	cr_assert_eq(weft_close(ends.sockets[1]), 0);
	ends.sockets[1] = -1;
	cr_assert_eq(weft_join(task), -EBADF);
	close_ends(&ends);
	return 0;
}

Test(io_splice, waits_for_bytes_until_a_cancel_or_a_close)
{
	run_on_1_2_4(wait_for_bytes);
}

static int wait_for_room(void *arg)
{
	char block[4096] = "";
	struct ends ends;

	(void)arg;
	make_ends(&ends);
	while (weft_send(ends.sockets[0], block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	cr_assert_eq(weft_write(ends.pipe[1], "more", 4), 4);
	struct wait to_socket = { ends.pipe[0], ends.sockets[0] };
	for (int which = 0; which < 2; which++) {
		struct weft_task *task = weft_create_task(splice_some, &to_socket);
		int closed = which == 0 ? -1 : ends.sockets[0];

		cr_assert_eq(weft_sleep(WEFT_MS(2)), 0);
		cr_assert_eq(weft_status(task), -EINPROGRESS);
		if (which == 0) {
			weft_cancel(task);
			cr_assert_eq(weft_join(task), -ECANCELED);
		} else {
			cr_assert_eq(weft_close(closed), 0);
			ends.sockets[0] = -1;
			cr_assert_eq(weft_join(task), -EBADF);
		}
	}
	cr_assert_eq(weft_read(ends.pipe[0], block, 100), 4, "nothing was lost");
	close_ends(&ends);
	return 0;
}

static int close_what_it_does_not_wait_for(void *arg)
{
	char block[4096] = "";
	struct ends ends;

	(void)arg;
	make_ends(&ends);
	while (weft_send(ends.sockets[0], block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	cr_assert_eq(weft_write(ends.pipe[1], "more", 4), 4);
	struct wait to_socket = { ends.pipe[0], ends.sockets[0] };
	struct weft_task *task = weft_create_task(splice_some, &to_socket);
	cr_assert_eq(weft_sleep(WEFT_MS(2)), 0);
	cr_assert_eq(weft_close(ends.pipe[0]), 0, "though the socket is full");
	ends.pipe[0] = -1;
	while (weft_recv(ends.sockets[1], block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	cr_assert_eq(weft_join(task), -EBADF);
	close_ends(&ends);
	return 0;
}

Test(io_splice, a_close_of_one_does_not_wait_for_the_other)
{
	run_on_1_2_4(close_what_it_does_not_wait_for);
}

Test(io_splice, waits_for_room_and_loses_nothing)
{
	run_on_1_2_4(wait_for_room);
}

static int misuse(void *arg)
{
	struct ends ends;
	off_t at = -1;

	(void)arg;
	make_ends(&ends);
	cr_assert_eq(weft_splice(ends.pipe[0], &at, ends.sockets[0], NULL, 1, 0), -EINVAL);
	at = 0;
	cr_assert_eq(weft_splice(-1, NULL, ends.pipe[1], NULL, 1, 0), -EBADF);
	cr_assert_eq(weft_splice(ends.pipe[0], NULL, -1, NULL, 1, 0), -EBADF);
	cr_assert_eq(weft_splice(ends.pipe[0], NULL, ends.sockets[0], NULL, 1,
			     SPLICE_F_NONBLOCK), -EAGAIN);
	cr_assert_eq(weft_write(ends.pipe[1], "x", 1), 1);
	cr_assert_eq(weft_splice(ends.pipe[0], &at, ends.sockets[0], NULL, 1, 0), -ESPIPE);
	cr_assert_eq(weft_splice(ends.pipe[0], NULL, ends.sockets[0], NULL, 0, 0), 0);
	weft_close(ends.sockets[1]);
	ends.sockets[1] = -1;
	cr_assert_eq(weft_splice(ends.pipe[0], NULL, ends.sockets[0], NULL, 1, 0), -EPIPE,
		"and no signal");
	close_ends(&ends);
	return 0;
}

Test(io_splice, returns_the_codes_of_the_system_call)
{
	run_on_1_2_4(misuse);
}
