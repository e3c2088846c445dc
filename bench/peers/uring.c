/* SPDX-License-Identifier: MIT */
/*
 * uring - one thread, one ring, nothing else: the limit line of the benchmarks.
 *
 * Each connection has one operation in flight: a single-shot receive into its own
 * buffer, or the send of the answer. All that is queued while a batch of completions
 * is handled goes to the kernel with the wait for the next batch, in one system call.
 *
 * Tried and equal or slower here: multishot receive, fixed files, SQPOLL, linked
 * send-receive pairs.
 */
#include "peer.h"

#include <errno.h>
#include <liburing.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ENTRIES = 4096, BATCH = 256 };

/* The operation is in the low bits of user_data, above it the connection's address. */
enum { OP_ACCEPT, OP_RECV, OP_SEND, OP_MASK = 3 };

static struct io_uring ring;

static struct io_uring_sqe *next_sqe(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (!sqe) {
		io_uring_submit(&ring);
		sqe = io_uring_get_sqe(&ring);
		if (!sqe)
			peer_die("submission queue", EBUSY);
	}
	return sqe;
}

static void queue_accept(int listener)
{
	struct io_uring_sqe *sqe = next_sqe();

	io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, 0);
	sqe->user_data = OP_ACCEPT;
}

static void queue_recv(struct peer_conn *conn)
{
	struct io_uring_sqe *sqe = next_sqe();

	io_uring_prep_recv(
		sqe, conn->fd, conn->in + conn->have, PEER_BUFFER - conn->have, 0);
	sqe->user_data = (uintptr_t)conn | OP_RECV;
}

static void queue_send(struct peer_conn *conn)
{
	struct io_uring_sqe *sqe = next_sqe();

	/* MSG_WAITALL: the kernel finishes a short send itself. */
	io_uring_prep_send(
		sqe, conn->fd, conn->out, conn->out_len, MSG_NOSIGNAL | MSG_WAITALL);
	sqe->user_data = (uintptr_t)conn | OP_SEND;
}

static void drop(struct peer_conn *conn)
{
	close(conn->fd);
	free(conn);
}

static void accepted(int fd, unsigned flags, int listener)
{
	if (fd >= 0) {
		struct peer_conn *conn = malloc(sizeof(*conn));

		if (!conn)
			peer_die("connection", ENOMEM);
		conn->fd = fd;
		conn->have = 0;
		queue_recv(conn);
	}
	if (!(flags & IORING_CQE_F_MORE))
		queue_accept(listener);
}

static void received(struct peer_conn *conn, int result)
{
	if (result <= 0) {
		drop(conn);
		return;
	}
	conn->have += (size_t)result;
	if (peer_answer(conn) < 0)
		drop(conn);
	else if (conn->out_len)
		queue_send(conn);
	else
		queue_recv(conn);
}

static void sent(struct peer_conn *conn, int result)
{
	if (result < 0 || (size_t)result != conn->out_len)
		drop(conn);
	else
		queue_recv(conn);
}

static void completed(const struct io_uring_cqe *cqe, int listener)
{
	void *conn = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)OP_MASK);

	switch (cqe->user_data & OP_MASK) {
	case OP_ACCEPT:
		accepted(cqe->res, cqe->flags, listener);
		break;
	case OP_RECV:
		received(conn, cqe->res);
		break;
	default:
		sent(conn, cqe->res);
	}
}

static int64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Submits, then returns once there are completions; looks for spin_us before it sleeps. */
static void submit_and_wait(unsigned spin_us)
{
	int rc = 0;

	if (spin_us) {
		int64_t end = now_us() + spin_us;

		do
			rc = io_uring_submit_and_get_events(&ring);
		while (rc >= 0 && !io_uring_cq_ready(&ring) && now_us() < end);
		if (io_uring_cq_ready(&ring))
			return;
	}
	rc = io_uring_submit_and_wait(&ring, 1);
	if (rc < 0 && rc != -EINTR && rc != -EBUSY)
		peer_die("io_uring_enter", rc);
}

int main(int argc, char **argv)
{
	struct peer_options options = {0};
	struct io_uring_params params = {
		.flags = IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_CQSIZE,
		.cq_entries = 4 * ENTRIES,
	};
	struct io_uring_cqe *cqes[BATCH];
	int listener, rc;

	peer_parse(&options, argc, argv);
	rc = io_uring_queue_init_params(ENTRIES, &ring, &params);
	if (rc < 0)
		peer_die("io_uring_setup", rc);
	io_uring_register_ring_fd(&ring);
	listener = peer_listen(options.port);
	queue_accept(listener);
	for (;;) {
		unsigned count;

		submit_and_wait(options.spin_us);
		while ((count = io_uring_peek_batch_cqe(&ring, cqes, BATCH)) > 0) {
			for (unsigned i = 0; i < count; i++)
				completed(cqes[i], listener);
			io_uring_cq_advance(&ring, count);
			if (count < BATCH)
				break;
		}
	}
}
