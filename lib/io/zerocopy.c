/* SPDX-License-Identifier: MIT */
/*
 * zerocopy - weft_send_zc: a send from the caller's own memory, which the kernel reads until the
 * peer has what is in it. Called by programs.
 *
 * The operation has two completions; the backend keeps the first one's result and delivers it with
 * the second (io/uring.c). Between the two nothing can be cancelled any more: the bytes are in the
 * socket's queue. So a cancel, a deadline or weft_close gives the peer a grace, and then the
 * connection is given up, which empties the queue. That is why this file waits for itself, and does
 * not leave it to io/op.c.
 */
#include <weft/io.h>

#include <errno.h>
#include <poll.h>

#include <weft/task.h>

#include "io/ground.h"
#include "io/io.h"
#include "io/uring_compat.h"
#include "sched/submit.h"
#include "sched/wait.h"

#define GRACE WEFT_MS(500) /* for a peer that has been sent to */
#define LOOK WEFT_MS(100)  /* weft_close wakes nobody whose operation cannot be cancelled */

/* Why the operation is to end before its time. */
struct ending {
	int code;      /* 0: it is not */
	weft_ns until; /* when its grace is over */
	bool given_up;
};

static void end_it(struct weft_op *op, struct weft_fd *entry, struct ending *ending)
{
	ending->code = weft_fd_closing(entry) ? -EBADF : weft_pending(); /* FD2 */
	if (ending->code == 0)
		return;
	ending->until = weft_deadline_from(GRACE);
	op->cancel_sent = 1;
	weft_io_cancel(op); /* it may still wait for room in the queue */
}

static void give_up(const struct weft_op *op, struct ending *ending)
{
	ending->given_up = true;
	ending->until = WEFT_FOREVER;
	weft_ground()->disconnect(op->fd);
}

static void wait_until_done(struct weft_op *op, struct weft_fd *entry, struct ending *ending)
{
	while (!weft_load_acquire(&op->done)) { /* OP1 */
		if (ending->code == 0)
			end_it(op, entry, ending);
		else if (weft_now() >= ending->until)
			give_up(op, ending);
		if (weft_load_acquire(&op->done))
			return;
		if (ending->code == 0)
			weft_park(weft_deadline_from(LOOK));
		else
			weft_park_deaf(ending->until);
	}
}

/* One attempt: its result; the code of what ended it; -EINTR: it had no effect, and nobody here
 * wanted that. */
static int64_t attempt(struct weft_op *op)
{
	struct ending ending = {0};
	struct weft_fd *entry;
	int64_t rc = weft_io_begin(op->fd, &entry);

	if (rc < 0)
		return rc;
	op->cancel_sent = 0;
	op->parker = weft_parker_self();
	weft_store_relaxed(&op->done, 0);
	rc = weft_io_submit(op);
	if (rc == 0) {
		wait_until_done(op, entry, &ending);
		rc = op->result;
	}
	weft_fd_end(entry);
	if (ending.code < 0 && (ending.given_up || rc == -ECANCELED || rc == -EINTR))
		return ending.code;
	return rc == -ECANCELED ? -EINTR : rc;
}

static int64_t send_without_copy(struct weft_op *op)
{
	for (;;) {
		int64_t rc = weft_pending();

		if (rc == 0)
			rc = attempt(op);
		if (rc == -EAGAIN && !(op->op_flags & MSG_DONTWAIT)) {
			rc = weft_op_poll(op->fd, POLLOUT);
			if (rc < 0)
				return rc;
		} else if (rc != -EINTR) {
			return rc;
		}
	}
}

/* A kernel, a kind of socket or a limit on locked memory that does not have it: nothing was sent. */
static bool is_unavailable(int64_t rc)
{
	return rc == -EOPNOTSUPP || rc == -EINVAL || rc == -ENOMEM || rc == -ENOBUFS;
}

ssize_t weft_send_zc(int fd, const void *buf, size_t n, int flags)
{
	WEFT_CHECKPOINT(checkpoint);
	struct weft_op op = {
		.code = IORING_OP_SEND_ZC,
		.fd = fd,
		.addr = weft_op_addr(buf),
		.len = weft_transfer_len(n),
		.op_flags = (uint32_t)flags | MSG_NOSIGNAL,
	};
	int64_t rc;

	if (!buf && n)
		return -EFAULT;
	rc = weft_io_enter(&checkpoint);
	if (rc < 0)
		return (ssize_t)rc;
	if (fd < 0)
		return -EBADF;
	rc = n > 0 ? send_without_copy(&op) : -EOPNOTSUPP;
	if (!is_unavailable(rc))
		return (ssize_t)rc;
	op.code = IORING_OP_SEND;
	if (flags & MSG_DONTWAIT)
		return (ssize_t)weft_op_run_again(&op);
	return (ssize_t)weft_op_run_ready(&op, POLLOUT);
}
