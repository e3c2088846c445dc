/* SPDX-License-Identifier: MIT */
/*
 * splice - bytes from one descriptor to another that never come here, one of them a pipe.
 *
 * The kernel always makes a splice on a thread of its own, or the pool does, and a thread that
 * waits in there for one descriptor could not be ended by a close of the other. So the waits are polls,
 * and the splice is told not to wait for the pipe.
 */
#include <weft/io.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "io/ground.h"
#include "io/hold.h"
#include "io/io.h"
#include "io/uring_compat.h"
#include "sched/wait.h"

enum {
	ATTEMPTS = 8, /* ready and yet not: after so many, slower */
	RETRY_NS = 1000 * 1000,
};

/* No more than a socket takes without waiting; half of it is for what the kernel keeps beside. */
static uint32_t fitting(const struct weft_op *op, uint32_t n)
{
	int64_t size, room = weft_ground()->room(op->fd, &size);

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

ssize_t weft_splice(int in, off_t *in_at, int out, off_t *out_at, size_t n, unsigned flags)
{
	WEFT_CHECKPOINT(checkpoint);
	struct weft_op_splice source = {.off = in_at ? *in_at : -1, .fd = in};
	struct weft_op op = {
		.code = IORING_OP_SPLICE,
		.fd = out,
		.off = out_at ? (uint64_t)*out_at : UINT64_MAX,
		.addr = weft_op_addr(&source),
		.len = weft_transfer_len(n),
		.op_flags = flags | SPLICE_F_NONBLOCK,
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
	rc = flags & SPLICE_F_NONBLOCK ? splice_now(&op, &hold_in, &hold_out)
				       : splice_waiting(&op, &hold_in, &hold_out);
	if (rc > 0 && in_at)
		*in_at += rc;
	if (rc > 0 && out_at)
		*out_at += rc;
	return (ssize_t)rc;
}
