/* SPDX-License-Identifier: MIT */
/*
 * op - running one I/O operation. Feature files (io/net.c, io/file.c ...) fill a weft_op
 * (sched/backend.h) on their caller's stack and call weft_op_run: the caller's checkpoint,
 * counting on the descriptor, submitting to the ring of the current worker, parking, and the
 * mapping of cancels to codes.
 */
#ifndef WEFT_LIB_IO_OP_H
#define WEFT_LIB_IO_OP_H

#include "sched/backend.h"

extern const struct weft_backend weft_backend_uring, weft_backend_epoll;

/* How often its submission queue was full, and completions overflowed. Any thread. */
void weft_uring_counts(const void *state, uint64_t *sq_full, uint64_t *cq_overflow);

/* What a splice takes from: at the addr of its operation, since an entry has more room than a weft_op. */
struct weft_op_splice {
	int64_t off; /* -1: the position, or there is none */
	int32_t fd;
};

/* -- for the I/O calls -------------------------------------------------------------------------- */

/*
 * Run op on the calling task: [S]. Its final result (>= 0 or -errno); -ECANCELED or -ETIMEDOUT at
 * entry before any effect; once submitted, a cancel or deadline asks the kernel to cancel it and the
 * final completion decides: a result wins; when the kernel answers -ECANCELED or -EINTR for our
 * cancel, the code that was pending is returned; -EBADF when weft_close ended it. -EPERM outside a task.
 */
int64_t weft_op_run(struct weft_op *op);

/* The same, deaf to cancel and deadlines (weft_close). Spends no checkpoint. */
int64_t weft_op_run_deaf(struct weft_op *op);

/* weft has just obtained fd from the kernel: clear what an earlier user of the number left. */
void weft_fd_opened(int fd);

struct weft_fd;
/* Nothing is in flight on fd: make every worker's backend forget it. */
void weft_fd_forget(struct weft_fd *entry, int fd);

#endif
