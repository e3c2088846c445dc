/* SPDX-License-Identifier: MIT */
/*
 * close - weft_close: ends the operations in flight on a descriptor, waits for them, closes.
 * The state changes are in io/fd.h; this file walks through them and mails the rings.
 */
#include <weft/io.h>

#include <errno.h>

#include <weft/runtime.h>
#include <weft/task.h>

#include "io/at_once.h"
#include "io/io.h"
#include "io/sys.h"
#include "io/uring_compat.h"
#include "sched/submit.h"
#include "sched/wait.h"

enum { RETRY_NS = 50 * 1000 };

static void pause_deaf(weft_ns duration)
{
	weft_ns until = weft_deadline_from(duration);

	while (weft_now() < until)
		weft_park_deaf(until);
}

/* Ask every ring that may carry an operation on fd to end it. */
static void cancel_on_rings(int fd, unsigned rings)
{
	struct weft_runtime *runtime = weft_runtime_current();
	unsigned workers = weft_io_workers();

	for (unsigned worker = 0; worker < workers; worker++) {
		if (!(rings & (1U << worker % WEFT_FD_RINGS)))
			continue;
		while (weft_worker_mail_cancel_fd(runtime, worker, fd) == -ENOMEM)
			pause_deaf(RETRY_NS); /* the operation must end: no way out */
	}
}

/* 0: nothing is in flight and nothing can be; the descriptor is ours to close. */
static int end_operations(struct weft_fd *entry, int fd, uint64_t *ticket)
{
	struct weft_fd_turn turn = {0};
	unsigned rings;
	int rc;

	while ((rc = weft_fd_close_begin(entry, &turn, ticket, &rings)) == -EAGAIN)
		pause_deaf(
			RETRY_NS); /* an earlier closer of the number is about to finish */
	if (rc < 0)
		return rc;
	if (rings) {
		cancel_on_rings(fd, rings);
		weft_pool_wake(weft_io_current(), fd);
	}
	return weft_fd_close_wait(entry, *ticket);
}

/* By the backend, since closing may have to wait for a disk. Without the means for that, here: a
 * descriptor is closed whatever happens. */
static int close_by_backend(int fd)
{
	struct weft_op op = {.code = IORING_OP_CLOSE, .fd = fd};
	int rc = (int)weft_op_run_deaf(&op);

	return rc == -ENOMEM || rc == -EBUSY ? weft_sys_close(fd) : rc;
}

int weft_io_close(int fd)
{
	struct weft_fd *entry;
	uint64_t ticket;
	int rc;

	if (fd < 0)
		return -EBADF;
	rc = weft_fd_get(&weft_io_current()->fds, fd, &entry);
	if (rc == -EBADF)
		return rc;
	if (rc < 0) /* no memory for its word, so no operation of ours is on it */
		return close_by_backend(fd);
	rc = end_operations(entry, fd, &ticket);
	if (rc < 0)
		return rc;
	weft_fd_forget(entry, fd);
	rc = weft_at_once_closes(entry) ? weft_sys_close(fd) : close_by_backend(fd);
	weft_fd_close_end(entry, ticket);
	return rc;
}

int weft_close(int fd)
{
	WEFT_CHECKPOINT(checkpoint);
	if (!weft_io_current()) {
		int rc = weft_checkpoint_enter(&checkpoint); /* says when this is a forked child */

		return rc < 0 ? rc : -EPERM;
	}
	weft_checkpoint_finishing_first(&checkpoint);
	return weft_io_close(fd);
}
