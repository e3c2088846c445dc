/* SPDX-License-Identifier: MIT */
/*
 * at_once - operations that need not wait are made as plain system calls before the backend is
 * asked: an entry, a completion and two switches cost more than a call that finds everything
 * there (room in a socket's buffer, pages in the page cache, names in the dentry cache).
 *
 * For io/op.c, once the operation is counted on its descriptor. Nothing here waits: what would
 * is answered with -EAGAIN, and then it is the backend's.
 *
 * What reads of a descriptor are like is remembered in its weft_fd, see kind there. It is a guess,
 * relaxed and overwritten by anybody, since the number may have got another file behind our
 * back (a plain close and open). So it only says what is worth trying; it is looked up
 * again every so many uses, and no result rests on it.
 */
#ifndef WEFT_LIB_IO_AT_ONCE_H
#define WEFT_LIB_IO_AT_ONCE_H

#include <stdbool.h>
#include <stdint.h>

#include "io/uring_compat.h"
#include "sched/backend.h"

struct weft_fd;

/* Is there anything to try? */
static inline bool weft_at_once_may(const struct weft_op *op)
{
	const uint64_t codes = UINT64_C(1) << IORING_OP_SEND | UINT64_C(1) << IORING_OP_SENDMSG |
			       UINT64_C(1) << IORING_OP_READ | UINT64_C(1) << IORING_OP_WRITE |
			       UINT64_C(1) << IORING_OP_OPENAT | UINT64_C(1) << IORING_OP_STATX;

	return op->code < 64 && codes >> op->code & 1;
}

/*
 * The result, or -EAGAIN. entry: of op->fd, NULL for one that has none. With -EAGAIN, *done bytes
 * may have been read of a file, the rest of which is not in memory; op is for that rest then. Or
 * *done is WEFT_AT_ONCE_POLL: -EAGAIN is the answer, to be followed by a wait for readiness.
 */
#define WEFT_AT_ONCE_POLL INT64_C(-1)
int64_t weft_at_once(struct weft_op *op, struct weft_fd *entry, int64_t *done);

/*
 * A ring that has written some bytes and then meets an error (a full disk) leaves the file's position where
 * it was, and the next write would go over them. So a write at the position begins with begin: what
 * end is to be given, -1 where there is no position.
 */
static inline bool weft_at_once_moves(const struct weft_op *op)
{
	return (op->code == IORING_OP_WRITE || op->code == IORING_OP_WRITEV) &&
	       op->off == UINT64_MAX;
}
int64_t weft_at_once_move_begin(const struct weft_op *op, struct weft_fd *entry);
void weft_at_once_move_end(const struct weft_op *op, int64_t before, int64_t written);

/*
 * It did not come about at once, and as far as we know a disk has to do it: then it should begin now. An
 * entry to the kernel of its own is little beside its time, and at a depth of 32 the disk would
 * stand idle while a batch is gathered.
 */
bool weft_at_once_on_disk(const struct weft_op *op, const struct weft_fd *entry);

/* entry is a descriptor new from the kernel: a socket, or what weft_openat got for those flags. */
void weft_at_once_socket(struct weft_fd *entry);
void weft_at_once_opened(struct weft_fd *entry, int flags);

/* The number is about to be free. True: closing it does no more than free it. */
bool weft_at_once_closes(struct weft_fd *entry);

#endif
