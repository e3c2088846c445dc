/* SPDX-License-Identifier: MIT */
/*
 * splice - bytes from one descriptor to another that never come here, one of them a pipe.
 *
 * The kernel always makes a splice on a thread of its own, or the pool does, and a thread that
 * waits in there for one descriptor could not be ended by a close of the other. So the waits are polls,
 * and the splice is told not to wait for the pipe.
 *
 * In a simulation the kernel does not know what a socket has: there a splice is a read, and writes that nothing
 * but the closing of the descriptor ends, since what was read cannot be put back.
 */
#include <weft/io.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "io/hold.h"
#include "io/io.h"
#include "io/ready.h"
#include "io/sys.h"
#include "io/uring_compat.h"
#include "sched/wait.h"

enum {
	ATTEMPTS = 8, /* ready and yet not: after so many, slower */
	RETRY_NS = 1000 * 1000,
	PIECE = 4096, /* of a splice in a simulation; a pipe that is ready has room for it */
};

/* No more than a socket takes without waiting; half of it is for what the kernel keeps beside. */
static uint32_t fitting(const struct weft_op *op, uint32_t n)
{
	int64_t size, room = weft_sys_socket_room(op->fd, &size);

	return room > 1 && room / 2 < n ? (uint32_t)(room / 2) : n;
}

/* One step, while neither descriptor is anybody else's. */
static int64_t splice_now(
	struct weft_op *op, struct weft_hold *hold_in, struct weft_hold *hold_out)
{
	int64_t rc = weft_hold_begin(hold_in);

	if (rc < 0)
		return rc;
	rc = weft_hold_begin(hold_out);
	if (rc == 0) {
		rc = weft_op_run_again(op);
		weft_hold_end(hold_out);
	}
	weft_hold_end(hold_in);
	return rc;
}

/* A file is always ready. */
static int wait_for(struct weft_hold *hold, int fd, short events)
{
	int rc = weft_hold_begin(hold);

	if (rc < 0)
		return rc;
	rc = weft_op_poll(fd, events);
	weft_hold_end(hold);
	return rc;
}

static int64_t splice_waiting(
	struct weft_op *op, struct weft_hold *hold_in, struct weft_hold *hold_out)
{
	const struct weft_op_splice *source = (const void *)(uintptr_t)op->addr;
	const uint32_t n = op->len;

	for (unsigned attempts = 1;; attempts++) {
		int64_t rc = wait_for(hold_in, source->fd, POLLIN);

		if (rc >= 0)
			rc = wait_for(hold_out, op->fd, POLLOUT);
		if (rc >= 0) {
			op->len = fitting(op, n);
			rc = splice_now(op, hold_in, hold_out);
		}
		if (rc != -EAGAIN)
			return rc;
		if (attempts >= ATTEMPTS && (rc = weft_io_nap(RETRY_NS)) < 0)
			return rc;
	}
}

/* -- in a simulation --------------------------------------------------------------------------- */

static bool is_pipe(int fd)
{
	int mode = weft_sys_file_mode(fd);

	return mode >= 0 && S_ISFIFO(mode);
}

/* As the kernel would judge. */
static int check_ends(const struct weft_op *op, const struct weft_op_splice *source)
{
	bool from_pipe = is_pipe(source->fd), to_pipe = is_pipe(op->fd);

	if ((from_pipe && source->off >= 0) || (to_pipe && op->off != UINT64_MAX))
		return -ESPIPE;
	return from_pipe || to_pipe ? 0 : -EINVAL;
}

static int wait_for_both(const struct weft_op *op, const struct weft_op_splice *source,
	struct weft_hold *hold_in, struct weft_hold *hold_out)
{
	int rc;

	if (op->op_flags & SPLICE_F_NONBLOCK) {
		rc = weft_ready_now(source->fd, POLLIN);
		if (rc > 0)
			rc = weft_ready_now(op->fd, POLLOUT);
		return rc == 0 ? -EAGAIN : rc;
	}
	rc = wait_for(hold_in, source->fd, POLLIN);
	return rc < 0 ? rc : wait_for(hold_out, op->fd, POLLOUT);
}

static int64_t run_held(struct weft_hold *hold, struct weft_op *op, bool deaf)
{
	int64_t rc = weft_hold_begin(hold);

	if (rc < 0)
		return rc;
	rc = deaf ? weft_op_run_deaf(op) : weft_op_run_again(op);
	weft_hold_end(hold);
	return rc;
}

/* All of it, unless there is an error. */
static int64_t write_all(
	const struct weft_op *op, const char *buf, size_t n, struct weft_hold *hold)
{
	size_t done = 0;

	while (done < n) {
		struct weft_op write = {
			.code = IORING_OP_WRITE,
			.fd = op->fd,
			.off = op->off == UINT64_MAX ? op->off : op->off + done,
			.addr = weft_op_addr(buf + done),
			.len = (uint32_t)(n - done),
			.op_flags = RWF_NOSIGNAL,
		};
		struct weft_op room = {
			.code = IORING_OP_POLL_ADD,
			.fd = op->fd,
			.op_flags = weft_poll_mask(POLLOUT),
		};
		int64_t rc = run_held(hold, &write, true);

		if (rc == -EAGAIN)
			rc = run_held(hold, &room, true);
		else if (rc > 0)
			done += (size_t)rc;
		if (rc < 0)
			return done ? (int64_t)done : rc;
	}
	return (int64_t)done;
}

static int64_t splice_by_copying(
	const struct weft_op *op, struct weft_hold *hold_in, struct weft_hold *hold_out)
{
	const struct weft_op_splice *source = (const void *)(uintptr_t)op->addr;
	char buf[PIECE];
	struct weft_op read = {
		.code = IORING_OP_READ,
		.fd = source->fd,
		.off = (uint64_t)source->off,
		.addr = weft_op_addr(buf),
		.len = op->len < PIECE ? op->len : PIECE,
	};
	int64_t rc = check_ends(op, source);

	if (rc == 0)
		rc = wait_for_both(op, source, hold_in, hold_out);
	if (rc >= 0)
		rc = run_held(hold_in, &read, false);
	return rc <= 0 ? rc : write_all(op, buf, (size_t)rc, hold_out);
}

/* ---------------------------------------------------------------------------------------------- */

static int64_t splice_by_kernel(struct weft_op *op, unsigned flags,
	struct weft_hold *hold_in, struct weft_hold *hold_out)
{
	op->op_flags = flags | SPLICE_F_NONBLOCK;
	return flags & SPLICE_F_NONBLOCK ? splice_now(op, hold_in, hold_out)
					 : splice_waiting(op, hold_in, hold_out);
}

ssize_t weft_splice(
	int in, off_t *in_at, int out, off_t *out_at, size_t n, unsigned flags)
{
	WEFT_CHECKPOINT(checkpoint);
	struct weft_op_splice source = {.off = in_at ? *in_at : -1, .fd = in};
	struct weft_op op = {
		.code = IORING_OP_SPLICE,
		.fd = out,
		.off = out_at ? (uint64_t)*out_at : UINT64_MAX,
		.addr = weft_op_addr(&source),
		.len = weft_transfer_len(n),
		.op_flags = flags,
	};
	struct weft_hold hold_in, hold_out;
	int64_t rc;

	if ((in_at && *in_at < 0) || (out_at && *out_at < 0))
		return -EINVAL;
	rc = weft_io_enter(&checkpoint);
	if (rc == 0)
		rc = weft_hold_init(&hold_in, in);
	if (rc == 0)
		rc = weft_hold_init(&hold_out, out);
	if (rc < 0 || n == 0)
		return (ssize_t)rc;
	rc = weft_io_current()->simulated
		     ? splice_by_copying(&op, &hold_in, &hold_out)
		     : splice_by_kernel(&op, flags, &hold_in, &hold_out);
	if (rc > 0 && in_at)
		*in_at += rc;
	if (rc > 0 && out_at)
		*out_at += rc;
	return (ssize_t)rc;
}
