/* SPDX-License-Identifier: MIT */
/*
 * ready - polls that are begun, looked at and ended one by one. As io/op.c does, each is counted on its
 * descriptor from before it is submitted until it is over, so that weft_close ends it.
 */
#include "io/ready.h"

#include <errno.h>

#include "io/ground.h"
#include "io/io.h"
#include "io/uring_compat.h"
#include "sched/submit.h"
#include "sched/wait.h"

static struct weft_op poll_op(int fd, short events)
{
	return (struct weft_op){
		.code = IORING_OP_POLL_ADD,
		.fd = fd,
		.op_flags = weft_poll_mask(events),
	};
}

int weft_ready_now(int fd, short events)
{
	struct weft_fd *entry;
	int rc = fd < 0 ? -EBADF : weft_io_begin(fd, &entry);

	if (rc < 0)
		return rc;
	rc = (int)weft_ground()->poll(fd, events);
	if (weft_fd_end(entry))
		return -EBADF;
	return rc == -EAGAIN || rc == -EINTR ? 0 : rc;
}

static int submit(struct weft_ready *ready)
{
	int rc;

	ready->op.cancel_sent = 0;
	ready->op.parker = weft_parker_self();
	weft_store_relaxed(&ready->op.done, 0);
	rc = weft_io_submit(&ready->op);
	if (rc == 0 && weft_fd_closing(ready->entry)) /* FD2 */
		weft_io_cancel(&ready->op);
	return rc;
}

int weft_ready_begin(struct weft_ready *ready, int fd, short events)
{
	int rc = fd < 0 ? -EBADF : weft_io_begin(fd, &ready->entry);

	if (rc < 0)
		return rc;
	ready->op = poll_op(fd, events);
	rc = submit(ready);
	if (rc < 0)
		weft_fd_end(ready->entry);
	return rc;
}

static bool ended_for_nothing(const struct weft_ready *ready)
{
	return (ready->op.result == -ECANCELED || ready->op.result == -EINTR) &&
		!weft_fd_closing(ready->entry);
}

bool weft_ready_over(struct weft_ready *ready)
{
	if (!weft_load_acquire(&ready->op.done)) /* OP1 */
		return false;
	if (!ended_for_nothing(ready))
		return true;
	/* A signal, or a closer that came late and met the number's next owner: go on. */
	ready->op.result = submit(ready);
	if (ready->op.result == 0)
		return false;
	weft_store_relaxed(&ready->op.done, 1);
	return true;
}

int weft_ready_end(struct weft_ready *ready)
{
	if (!weft_load_acquire(&ready->op.done)) /* OP1 */
		weft_io_cancel(&ready->op);
	while (!weft_load_acquire(&ready->op.done)) /* OP1 */
		weft_park_deaf(WEFT_FOREVER);
	if (weft_fd_end(ready->entry) && ready->op.result < 0)
		return -EBADF;
	return ready->op.result;
}
