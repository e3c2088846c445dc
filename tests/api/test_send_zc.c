/* SPDX-License-Identifier: MIT */
/*
 * send_zc - sends whose buffer the kernel reads itself: when the call returns, it has done so.
 */
#include "helper.h"

#include <fcntl.h>
#include <sys/socket.h>

TestSuite(send_zc, .timeout = PATIENCE);

enum { BLOCK = 128 * 1024, BLOCKS = SANITIZED ? 6 : 40 };

/* ends[0] sends, ends[1] receives. */
static void connect_over(const char *where, int ends[2])
{
	char address[64];
	int listener = weft_listen(where, 4, 0);

	cr_assert_geq(listener, 0);
	weft_local_address(listener, address, sizeof(address));
	ends[0] = weft_dial(address, 0);
	cr_assert_geq(ends[0], 0);
	ends[1] = weft_accept(listener, NULL, NULL, SOCK_CLOEXEC);
	cr_assert_geq(ends[1], 0);
	weft_close(listener);
}

static void close_both(int ends[2])
{
	weft_close(ends[0]);
	weft_close(ends[1]);
}

struct sender {
	int fd;
	size_t n;
	int status;
	struct weft_task *task;
};

/* Sends numbered blocks out of one buffer, which it fills anew after each return. */
static int send_blocks(void *arg)
{
	struct sender *s = arg;
	unsigned char *block = malloc(BLOCK);

	for (int i = 0; i < BLOCKS; i++) {
		size_t done = 0;

		memset(block, i, BLOCK);
		while (done < BLOCK) {
			ssize_t n = weft_send_zc(s->fd, block + done, BLOCK - done, 0);

			cr_assert_gt(n, 0, "%zd", n);
			cr_assert_leq((size_t)n, BLOCK - done);
			done += (size_t)n;
		}
	}
	free(block);
	return 0;
}

static void transfer(int ends[2])
{
	struct sender s = { .fd = ends[0] };
	unsigned char *got = malloc(BLOCK);
	struct weft_task *task = weft_create_task(send_blocks, &s);

	for (int i = 0; i < BLOCKS; i++) {
		cr_assert_eq(weft_read_full(ends[1], got, BLOCK), BLOCK);
		for (int j = 0; j < BLOCK; j++)
			cr_assert_eq(got[j], i, "block %d has %d at %d", i, got[j], j);
	}
	cr_assert_eq(weft_join(task), 0);
	free(got);
}

static int transfer_over_tcp(void *arg)
{
	int ends[2];

	(void)arg;
	connect_over("127.0.0.1:0", ends);
	transfer(ends);
	close_both(ends);
	return 0;
}

Test(send_zc, returns_when_the_buffer_may_be_filled_again)
{
	run_on_1_2_4(transfer_over_tcp);
}

static int transfer_over_unix(void *arg)
{
	int ends[2];

	(void)arg;
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	transfer(ends);
	close_both(ends);
	return 0;
}

Test(send_zc, is_an_ordinary_send_where_the_socket_cannot)
{
	run_on_1_2_4(transfer_over_unix);
}

static int transfer_nonblocking(void *arg)
{
	int ends[2];

	(void)arg;
	connect_over("127.0.0.1:0", ends);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	transfer(ends);
	close_both(ends);
	return 0;
}

Test(send_zc, waits_for_room_although_the_socket_is_nonblocking)
{
	run_on_1_2_4(transfer_nonblocking);
}

static char large[16 << 20];

static int send_large(void *arg)
{
	struct sender *s = arg;

	s->status = (int)weft_send_zc(s->fd, large, s->n, 0);
	return s->status;
}

/* A send that hangs: nobody receives. */
static void hang(struct sender *s, int ends[2])
{
	connect_over("127.0.0.1:0", ends);
	*s = (struct sender){ .fd = ends[0], .n = sizeof(large) };
	s->task = weft_create_task(send_large, s);
	weft_sleep(WEFT_MS(20));
}

static int cancel_a_send(void *arg)
{
	struct sender s;
	int ends[2];

	(void)arg;
	hang(&s, ends);
	if (weft_status(s.task) != -EINPROGRESS) { /* it was an ordinary send */
		cr_assert_gt(weft_join(s.task), 0);
	} else {
		weft_cancel(s.task);
		cr_assert_eq(weft_join(s.task), -ECANCELED, "though nobody receives");
		cr_assert_lt(weft_send(ends[0], "x", 1, 0), 0, "the connection is given up");
	}
	close_both(ends);
	return 0;
}

Test(send_zc, can_be_cancelled_when_the_peer_takes_nothing)
{
	run_on_1_2_4(cancel_a_send);
}

static int receive_after_the_cancel(void *arg)
{
	struct sender s;
	int ends[2];
	size_t got = 0;
	ssize_t n, rest;

	(void)arg;
	hang(&s, ends);
	weft_cancel(s.task);
	weft_yield();
	while (weft_status(s.task) == -EINPROGRESS) {
		n = weft_recv(ends[1], large, 65536, 0);
		cr_assert_gt(n, 0);
		got += (size_t)n;
	}
	n = weft_join(s.task);
	cr_assert_gt(n, 0, "the bytes were on their way: the result wins");
	cr_assert_eq(weft_shutdown(ends[0], SHUT_WR), 0);
	do {
		rest = weft_recv(ends[1], large, 65536, 0);
		got += (size_t)rest;
	} while (rest > 0);
	cr_assert_eq(rest, 0);
	cr_assert_eq((ssize_t)got, n, "and none is lost");
	close_both(ends);
	return 0;
}

Test(send_zc, is_not_undone_by_a_cancel_when_the_peer_takes_it)
{
	run_on_1_2_4(receive_after_the_cancel);
}

static int close_under_a_send(void *arg)
{
	struct sender s;
	int ends[2];

	(void)arg;
	hang(&s, ends);
	weft_close(ends[0]);
	int rc = weft_join(s.task);
	cr_assert(rc == -EBADF || rc > 0, "%d", rc);
	weft_close(ends[1]);
	return 0;
}

Test(send_zc, ends_when_its_socket_is_closed)
{
	run_on_1_2_4(close_under_a_send);
}

/* Nobody receives: until no room comes back, which what is acknowledged late may make. */
static void fill(int fd)
{
	bool more;

	do {
		more = false;
		while (weft_send(fd, large, 65536, MSG_DONTWAIT) > 0)
			more = true;
		weft_sleep(WEFT_MS(5));
	} while (more);
}

static int cancel_without_room(void *arg)
{
	struct sender s;
	int ends[2];

	(void)arg;
	connect_over("127.0.0.1:0", ends);
	fill(ends[0]);
	s = (struct sender){ .fd = ends[0], .n = sizeof(large) };
	s.task = weft_create_task(send_large, &s);
	weft_sleep(WEFT_MS(5));
	cr_assert_eq(weft_status(s.task), -EINPROGRESS);
	weft_ns begun = weft_now();
	weft_cancel(s.task);
	cr_assert_eq(weft_join(s.task), -ECANCELED);
	cr_assert_lt(weft_now() - begun, WEFT_MS(400), "nothing was on its way");
	cr_assert_gt(weft_recv(ends[1], large, 65536, 0), 0, "the connection stands");
	close_both(ends);
	return 0;
}

Test(send_zc, has_no_effect_when_cancelled_before_there_was_room)
{
	run_on_1_2_4(cancel_without_room);
}

static int send_a_datagram(void *arg)
{
	struct sockaddr_storage to;
	socklen_t len = sizeof(to);
	int from, at;
	char got[16];

	(void)arg;
	at = weft_socket(AF_INET, SOCK_DGRAM, 0);
	from = weft_socket(AF_INET, SOCK_DGRAM, 0);
	to = (struct sockaddr_storage){ .ss_family = AF_INET };
	cr_assert_eq(bind(at, (struct sockaddr *)&to, 16), 0);
	cr_assert_eq(getsockname(at, (struct sockaddr *)&to, &len), 0);
	cr_assert_eq(weft_connect(from, (struct sockaddr *)&to, len), 0);
	cr_assert_eq(weft_send_zc(from, "datagram", 8, 0), 8);
	cr_assert_eq(weft_recv(at, got, sizeof(got), 0), 8);
	cr_assert_arr_eq(got, "datagram", 8);
	weft_close(at);
	weft_close(from);
	return 0;
}

Test(send_zc, sends_datagrams_too)
{
	run_on_1_2_4(send_a_datagram);
}

static int send_badly(void *arg)
{
	int ends[2];
	char byte;

	(void)arg;
	connect_over("127.0.0.1:0", ends);
	cr_assert_eq(weft_send_zc(-1, "x", 1, 0), -EBADF);
	cr_assert_eq(weft_send_zc(ends[0], NULL, 1, 0), -EFAULT);
	cr_assert_eq(weft_send_zc(ends[0], NULL, 0, 0), 0);
	cancel_myself();
	cr_assert_eq(weft_send_zc(ends[0], "x", 1, 0), -ECANCELED, "before any effect");
	weft_uncancel();
	cr_assert_eq(weft_shutdown(ends[0], SHUT_WR), 0);
	cr_assert_eq(weft_recv(ends[1], &byte, 1, 0), 0);
	cr_assert_eq(weft_send_zc(ends[0], "x", 1, 0), -EPIPE, "and no signal");
	close_both(ends);
	return 0;
}

Test(send_zc, fails_as_send_does)
{
	run_on_1_2_4(send_badly);
	cr_assert_eq(weft_send_zc(0, "x", 1, 0), -EPERM, "a plain thread");
}
