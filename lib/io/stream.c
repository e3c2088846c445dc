/* SPDX-License-Identifier: MIT */
/*
 * stream - transfers of a whole buffer: one checkpoint, then operations until it is done.
 */
#include <weft/io.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "io/io.h"
#include "io/uring_compat.h"

/* Repeats op over the n bytes at its addr. *done: how many went. 0, also at end of file; or the
 * code of what stopped it. */
static int all(struct weft_op *op, size_t n, short events, size_t *done)
{
	WEFT_CHECKPOINT(checkpoint);
	const uint64_t start = op->addr;
	int rc;

	*done = 0;
	if (!start && n)
		return -EFAULT;
	if (n > SSIZE_MAX)
		return -EINVAL;
	rc = weft_io_enter(&checkpoint);
	while (rc >= 0 && *done < n) {
		int64_t part;

		op->addr = start + *done;
		op->len = weft_transfer_len(n - *done);
		part = *done ? weft_op_run_ready(op, events)
			     : weft_op_run_ready_first(op, events);
		if (part <= 0)
			return (int)part;
		*done += (size_t)part;
	}
	return rc < 0 ? rc : 0;
}

ssize_t weft_read_full(int fd, void *buf, size_t n)
{
	struct weft_op op = {
		.code = IORING_OP_READ,
		.fd = fd,
		.off = UINT64_MAX, /* the file's own position */
		.addr = weft_op_addr(buf),
	};
	size_t done;
	int rc = all(&op, n, POLLIN, &done);

	return rc < 0 ? rc : (ssize_t)done;
}

static ssize_t put_all(struct weft_op *op, size_t n, size_t *done_or_null)
{
	size_t done;
	int rc = all(op, n, POLLOUT, &done);

	if (done_or_null)
		*done_or_null = done;
	if (rc < 0)
		return rc;
	return done == n ? (ssize_t)done
			 : -EIO; /* a device that takes nothing and says nothing */
}

ssize_t weft_write_full(int fd, const void *buf, size_t n, size_t *done_or_null)
{
	struct weft_op op = {
		.code = IORING_OP_WRITE,
		.fd = fd,
		.off = UINT64_MAX,
		.addr = weft_op_addr(buf),
		.op_flags = RWF_NOSIGNAL,
	};

	return put_all(&op, n, done_or_null);
}

ssize_t weft_send_full(int fd, const void *buf, size_t n, int flags, size_t *done_or_null)
{
	struct weft_op op = {
		.code = IORING_OP_SEND,
		.fd = fd,
		.addr = weft_op_addr(buf),
		/* all of it is wanted, so the kernel need not come back in between */
		.op_flags = ((uint32_t)flags & ~(uint32_t)MSG_DONTWAIT) | MSG_NOSIGNAL |
			    MSG_WAITALL,
	};

	return put_all(&op, n, done_or_null);
}
