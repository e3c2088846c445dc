/* SPDX-License-Identifier: MIT */
/*
 * epoll - one thread, level triggered, non-blocking: the usual fast readiness server.
 *
 * One receive and one send per event: a receive that leaves bytes behind is reported
 * again, and one that would find nothing is never tried. A connection waits for room
 * to send only while it has an unsent reply.
 */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 512 };

static int poller;

static void watch(struct peer_conn *conn, int op, unsigned events)
{
	struct epoll_event event = {.events = events, .data.ptr = conn};

	if (epoll_ctl(poller, op, conn->fd, &event) < 0)
		peer_die("epoll_ctl", errno);
}

static void drop(struct peer_conn *conn)
{
	close(conn->fd);
	free(conn);
}

static void accept_all(int listener)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct peer_conn *conn;

		if (fd < 0)
			return;
		conn = malloc(sizeof(*conn));
		if (!conn)
			peer_die("connection", ENOMEM);
		conn->fd = fd;
		conn->have = 0;
		conn->out_len = 0;
		watch(conn, EPOLL_CTL_ADD, EPOLLIN);
	}
}

/* 1: all is sent; 0: the socket is full; -1: the connection is gone. */
static int send_some(struct peer_conn *conn)
{
	ssize_t n = send(conn->fd, conn->out, conn->out_len, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	conn->out += n;
	conn->out_len -= (size_t)n;
	return conn->out_len == 0;
}

static void readable(struct peer_conn *conn)
{
	ssize_t n = recv(conn->fd, conn->in + conn->have, PEER_BUFFER - conn->have, 0);
	int rc = 1;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(conn);
		return;
	}
	conn->have += (size_t)n;
	if (peer_answer(conn) < 0)
		rc = -1;
	else if (conn->out_len)
		rc = send_some(conn);
	if (rc < 0)
		drop(conn);
	else if (rc == 0)
		watch(conn, EPOLL_CTL_MOD, EPOLLOUT);
}

static void writable(struct peer_conn *conn)
{
	int rc = send_some(conn);

	if (rc < 0)
		drop(conn);
	else if (rc > 0)
		watch(conn, EPOLL_CTL_MOD, EPOLLIN);
}

int main(int argc, char **argv)
{
	struct peer_options options = {0};
	struct epoll_event events[BATCH];
	struct peer_conn accepting = {0};

	peer_parse(&options, argc, argv);
	poller = epoll_create1(EPOLL_CLOEXEC);
	if (poller < 0)
		peer_die("epoll_create1", errno);
	accepting.fd = peer_listen(options.port);
	/* accept_all ends at the first refusal, so the listener must not block. */
	if (fcntl(accepting.fd, F_SETFL, O_NONBLOCK) < 0)
		peer_die("fcntl", errno);
	watch(&accepting, EPOLL_CTL_ADD, EPOLLIN);
	for (;;) {
		int count = epoll_wait(poller, events, BATCH, -1);

		for (int i = 0; i < count; i++) {
			struct peer_conn *conn = events[i].data.ptr;

			if (conn == &accepting)
				accept_all(conn->fd);
			else if (conn->out_len)
				writable(conn);
			else
				readable(conn);
		}
	}
}
