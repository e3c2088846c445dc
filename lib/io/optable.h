/* SPDX-License-Identifier: MIT */
/*
 * optable - how each operation is carried out by system calls, for where no ring does it: the epoll
 * backend (io/epoll.c), and io_uring on kernels that lack an opcode (io/uring.c). Adding an
 * operation is a row here, a small function and a test.
 *
 * Who else runs: perform is called by the owner of a worker, without blocking, or by a pool thread;
 * several at a time on one descriptor.
 */
#ifndef WEFT_LIB_IO_OPTABLE_H
#define WEFT_LIB_IO_OPTABLE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/uring_compat.h"
#include "sched/backend.h"

struct weft_op_row {
	const char *name;
	/*
	 * Make the call(s); the result, or -errno. may_block false: -EAGAIN instead of waiting for
	 * readiness, or -EOPNOTSUPP when the call cannot be kept from blocking: then a pool thread
	 * makes it, with may_block true. Leaves errno as it was.
	 */
	int64_t (*perform)(const struct weft_op *op, bool may_block);
	/* POLLIN or POLLOUT: what to wait for after -EAGAIN; 0: always on a pool thread. Of POLL_ADD it
	 * is only what it may be, see weft_op_events. */
	short events;
	/* -EAGAIN is the answer, whatever the flags say. */
	bool answers_again;
};

enum { WEFT_OP_ROWS = 64 };
extern const struct weft_op_row weft_op_rows[WEFT_OP_ROWS];

/* NULL: no such operation. */
static inline const struct weft_op_row *weft_op_row(uint8_t code)
{
	if (code >= WEFT_OP_ROWS || !weft_op_rows[code].perform)
		return NULL;
	return &weft_op_rows[code];
}

/*
 * perform without blocking; what the callers of perform use. A receive that wants everything
 * (MSG_WAITALL) goes on where the last attempt ended: *progress, 0 at first, counts what is there, and
 * is the result if the operation ends early.
 */
int64_t weft_op_attempt(const struct weft_op *op, uint64_t *progress);

/* Whether its caller wants to hear -EAGAIN, rather than wait. */
bool weft_op_answers_again(const struct weft_op *op);

/* The poll events of a POLL_ADD. */
short weft_op_poll_events(const struct weft_op *op);

/* What op waits for after -EAGAIN; 0 when it may not be attempted on a worker. */
static inline short weft_op_events(const struct weft_op *op)
{
	const struct weft_op_row *row = weft_op_row(op->code);

	if (weft_unlikely(op->code == IORING_OP_POLL_ADD))
		return weft_op_poll_events(op) | POLLERR | POLLHUP;
	return row ? row->events : 0;
}

/* Whether the kernel knows RWF_NOSIGNAL; without it, threads that call perform block SIGPIPE. */
bool weft_kernel_has_nosignal(void);

#endif
