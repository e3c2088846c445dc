/* SPDX-License-Identifier: MIT */
/*
 * optable - the operations as system calls. See optable.h.
 *
 * The calls are made with syscall(): those of libc are cancellation points, which costs and which
 * nobody needs here. Nothing here suspends, so errno is read on the thread that set it.
 *
 * O_NONBLOCK is left alone. What keeps a call from blocking is, in this order: a flag of the call
 * (MSG_DONTWAIT, RWF_NOWAIT); the descriptor's own O_NONBLOCK; nothing, and then a call that
 * poll() says is ready is made on a pool thread, where it does no harm if somebody else was faster.
 */
#include "io/optable.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/atomic.h"
#include "io/op.h"
#include "io/sys.h"
#include "io/uring_compat.h"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008
#endif

/* What the call returned, or its error; errno is put back, since it is the program's. */
static int64_t status(int64_t rc, int errno_before)
{
	int64_t code = rc < 0 ? -errno : rc;

	errno = errno_before;
	return code;
}

static void *pointer(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

/* 0: not now. */
static int64_t poll_now(int fd, short events)
{
	struct pollfd look = {.fd = fd, .events = events};
	int before = errno;
	int64_t rc;

	if (fd < 0)
		return -EBADF; /* poll() would pass over it */
	rc = status(poll(&look, 1, 0), before);
	if (rc <= 0)
		return rc;
	return look.revents & POLLNVAL ? -EBADF : look.revents;
}

static bool is_nonblocking(int fd)
{
	int before = errno;
	int64_t flags = status(fcntl(fd, F_GETFL), before);

	return flags >= 0 && flags & O_NONBLOCK;
}

/* -- reading and writing ----------------------------------------------------------------------- */

bool weft_kernel_has_nosignal(void)
{
	enum { UNKNOWN, YES, NO };
	static _Atomic(uint32_t) known;
	struct iovec iov = {.iov_base = "", .iov_len = 1};
	int ends[2], before = errno;
	bool has;

	if (weft_load_relaxed(&known) != UNKNOWN)
		return weft_load_relaxed(&known) == YES;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		errno = before;
		return false;
	}
	has = syscall(SYS_pwritev2, ends[1], &iov, 1L, -1L, -1L, RWF_NOSIGNAL) == 1;
	close(ends[0]);
	close(ends[1]);
	errno = before;
	weft_store_relaxed(&known, has ? YES : NO);
	return has;
}

static bool writes(const struct weft_op *op)
{
	return op->code == IORING_OP_WRITE || op->code == IORING_OP_WRITEV;
}

static int64_t transfer(const struct weft_op *op, unsigned flags)
{
	struct iovec one = {.iov_base = pointer(op->addr), .iov_len = op->len};
	bool is_vector = op->code == IORING_OP_READV || op->code == IORING_OP_WRITEV;
	const struct iovec *iov = is_vector ? pointer(op->addr) : &one;
	unsigned count = is_vector ? op->len : 1;
	unsigned all_flags = op->op_flags | flags;
	int before = errno;

	if (!weft_kernel_has_nosignal())
		all_flags &= ~(unsigned)RWF_NOSIGNAL;
	return status(syscall(writes(op) ? SYS_pwritev2 : SYS_preadv2, op->fd, iov,
			      (unsigned long)count, (long)op->off, 0L, all_flags),
		before);
}

/* The descriptor knows no RWF_NOWAIT: a terminal, or any but a file on older kernels. */
static int64_t transfer_when_ready(const struct weft_op *op)
{
	int64_t ready = poll_now(op->fd, writes(op) ? POLLOUT : POLLIN);

	if (ready == 0)
		return -EAGAIN;
	if (ready < 0)
		return ready;
	return is_nonblocking(op->fd) ? transfer(op, 0) : -EOPNOTSUPP;
}

static int64_t perform_transfer(const struct weft_op *op, bool may_block)
{
	int64_t rc;

	if (may_block)
		return transfer(op, 0);
	rc = transfer(op, RWF_NOWAIT);
	return rc == -EOPNOTSUPP ? transfer_when_ready(op) : rc;
}

/* -- sockets ----------------------------------------------------------------------------------- */

static int message_flags(const struct weft_op *op, bool may_block)
{
	return (int)op->op_flags | (may_block ? 0 : MSG_DONTWAIT);
}

static int64_t perform_recv(const struct weft_op *op, bool may_block)
{
	int before = errno;

	return status(syscall(SYS_recvfrom, op->fd, pointer(op->addr), (size_t)op->len,
			      message_flags(op, may_block), NULL, NULL),
		before);
}

static int64_t perform_send(const struct weft_op *op, bool may_block)
{
	int before = errno;

	return status(syscall(SYS_sendto, op->fd, pointer(op->addr), (size_t)op->len,
			      message_flags(op, may_block), NULL, 0),
		before);
}

static int64_t perform_recvmsg(const struct weft_op *op, bool may_block)
{
	int before = errno;

	return status(syscall(SYS_recvmsg, op->fd, pointer(op->addr),
			      message_flags(op, may_block)),
		before);
}

static int64_t perform_sendmsg(const struct weft_op *op, bool may_block)
{
	int before = errno;

	return status(syscall(SYS_sendmsg, op->fd, pointer(op->addr),
			      message_flags(op, may_block)),
		before);
}

static int64_t accept_one(const struct weft_op *op)
{
	int before = errno;

	return status(syscall(SYS_accept4, op->fd, pointer(op->addr), pointer(op->off),
			      (int)op->op_flags),
		before);
}

/* Whether it is a listener, where accept4 may wait, or something else, where it fails at once. */
static bool listens(int fd)
{
	int on = 0, before = errno;
	socklen_t len = sizeof(on);
	int rc = getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len);

	errno = before;
	return rc == 0 && on;
}

/*
 * No flag keeps accept4 from waiting. On a listener without O_NONBLOCK one caller at a time looks and
 * takes: no acceptor of weft's can be the one who was faster. (weft_listen's sockets have it, so this
 * is for listeners from elsewhere.)
 */
static int64_t perform_accept(const struct weft_op *op, bool may_block)
{
	static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
	int64_t rc;

	if (may_block || is_nonblocking(op->fd))
		return accept_one(op);
	pthread_mutex_lock(&one_at_a_time);
	rc = poll_now(op->fd, POLLIN);
	if (rc == 0 && listens(op->fd))
		rc = -EAGAIN;
	else if (rc >= 0)
		rc = accept_one(op);
	pthread_mutex_unlock(&one_at_a_time);
	return rc;
}

static int64_t connect_now(const struct weft_op *op)
{
	int before = errno;

	return status(
		syscall(SYS_connect, op->fd, pointer(op->addr), (socklen_t)op->off), before);
}

/*
 * Begins the connection: 0, an error, or -EINPROGRESS, after which the socket becomes writable and
 * SO_ERROR tells the rest. No flag keeps connect from waiting, so O_NONBLOCK is set around it:
 * a socket that is not connected yet is used by nobody else.
 */
static int64_t perform_connect(const struct weft_op *op, bool may_block)
{
	int before = errno;
	int64_t flags, rc;

	if (may_block)
		return connect_now(op);
	flags = status(fcntl(op->fd, F_GETFL), before);
	if (flags < 0)
		return flags;
	if (flags & O_NONBLOCK)
		return connect_now(op);
	fcntl(op->fd, F_SETFL, (int)flags | O_NONBLOCK);
	rc = connect_now(op);
	fcntl(op->fd, F_SETFL, (int)flags);
	errno = before;
	return rc;
}

/* -- files ------------------------------------------------------------------------------------- */

static int64_t perform_openat(const struct weft_op *op, bool may_block)
{
	int before = errno;

	(void)may_block;
	return status(syscall(SYS_openat, op->fd, pointer(op->addr), (int)op->op_flags,
			      (mode_t)op->len),
		before);
}

static int64_t perform_fsync(const struct weft_op *op, bool may_block)
{
	long call = op->op_flags & IORING_FSYNC_DATASYNC ? SYS_fdatasync : SYS_fsync;
	int before = errno;

	(void)may_block;
	return status(syscall(call, op->fd), before);
}

static int64_t perform_statx(const struct weft_op *op, bool may_block)
{
	int before = errno;

	(void)may_block;
	return status(syscall(SYS_statx, op->fd, pointer(op->addr), (int)op->op_flags,
			      op->len, pointer(op->off)),
		before);
}

static int64_t perform_fallocate(const struct weft_op *op, bool may_block)
{
	int before = errno;

	(void)may_block;
	return status(syscall(SYS_fallocate, op->fd, (int)op->len, (off_t)op->off,
			      (off_t)op->addr),
		before);
}

static int64_t perform_unlinkat(const struct weft_op *op, bool may_block)
{
	int before = errno;

	(void)may_block;
	return status(syscall(SYS_unlinkat, op->fd, pointer(op->addr), (int)op->op_flags),
		before);
}

static int64_t perform_renameat(const struct weft_op *op, bool may_block)
{
	int before = errno;

	(void)may_block;
	return status(syscall(SYS_renameat2, op->fd, pointer(op->addr), (int)op->len,
			      pointer(op->off), op->op_flags),
		before);
}

static int64_t perform_mkdirat(const struct weft_op *op, bool may_block)
{
	int before = errno;

	(void)may_block;
	return status(
		syscall(SYS_mkdirat, op->fd, pointer(op->addr), (mode_t)op->len), before);
}

static int64_t perform_fadvise(const struct weft_op *op, bool may_block)
{
	int before = errno, rc;

	(void)may_block;
	rc = posix_fadvise(op->fd, (off_t)op->off, (off_t)op->len, (int)op->op_flags);
	errno = before;
	return -rc;
}

static int64_t perform_splice(const struct weft_op *op, bool may_block)
{
	const struct weft_op_splice *source = pointer(op->addr);
	loff_t in_at = source->off, out_at = (loff_t)op->off;
	struct weft_sys_sigpipe held;
	int before = errno;
	int64_t rc;

	(void)may_block;
	weft_sys_sigpipe_hold(&held); /* a closed socket raises it, whatever the flags */
	rc = status(syscall(SYS_splice, source->fd, in_at < 0 ? NULL : &in_at, op->fd,
			    out_at < 0 ? NULL : &out_at, (size_t)op->len, op->op_flags),
		before);
	weft_sys_sigpipe_release(&held, rc < (int64_t)op->len);
	return rc;
}

/* -- any descriptor ---------------------------------------------------------------------------- */

short weft_op_poll_events(const struct weft_op *op)
{
	uint32_t mask = op->op_flags;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	mask >>= 16; /* the kernel's field is two halves */
#endif
	return (short)mask;
}

static int64_t perform_poll(const struct weft_op *op, bool may_block)
{
	int64_t rc = poll_now(op->fd, weft_op_poll_events(op));

	(void)may_block;
	return rc ? rc : -EAGAIN;
}

/* Closing a file may write it out or free its blocks, a socket that lingers waits for its peer. */
static bool close_may_block(int fd)
{
	struct linger linger = {0};
	socklen_t len = sizeof(linger);
	struct stat about;

	if (fstat(fd, &about) < 0)
		return false;
	if (S_ISSOCK(about.st_mode))
		return getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len) == 0 &&
		       linger.l_onoff && linger.l_linger > 0;
	return S_ISREG(about.st_mode) || S_ISBLK(about.st_mode) || S_ISCHR(about.st_mode);
}

static int64_t perform_close(const struct weft_op *op, bool may_block)
{
	int before = errno;

	if (!may_block && close_may_block(op->fd)) {
		errno = before;
		return -EOPNOTSUPP;
	}
	return status(syscall(SYS_close, op->fd), before);
}

const struct weft_op_row weft_op_rows[WEFT_OP_ROWS] = {
	[IORING_OP_READ] = {"read", perform_transfer, POLLIN, false},
	[IORING_OP_READV] = {"readv", perform_transfer, POLLIN, false},
	[IORING_OP_WRITE] = {"write", perform_transfer, POLLOUT, false},
	[IORING_OP_WRITEV] = {"writev", perform_transfer, POLLOUT, false},
	[IORING_OP_RECV] = {"recv", perform_recv, POLLIN, false},
	[IORING_OP_SEND] = {"send", perform_send, POLLOUT, false},
	[IORING_OP_SEND_ZC] = {"send_zc", perform_send, POLLOUT, false}, /* copies, and is done */
	[IORING_OP_RECVMSG] = {"recvmsg", perform_recvmsg, POLLIN, false},
	[IORING_OP_SENDMSG] = {"sendmsg", perform_sendmsg, POLLOUT, false},
	[IORING_OP_ACCEPT] = {"accept", perform_accept, POLLIN, false},
	[IORING_OP_CONNECT] = {"connect", perform_connect, POLLOUT, true},
	[IORING_OP_OPENAT] = {"openat", perform_openat, 0, false},
	[IORING_OP_FSYNC] = {"fsync", perform_fsync, 0, false},
	[IORING_OP_STATX] = {"statx", perform_statx, 0, false},
	[IORING_OP_FALLOCATE] = {"fallocate", perform_fallocate, 0, false},
	[IORING_OP_UNLINKAT] = {"unlinkat", perform_unlinkat, 0, false},
	[IORING_OP_RENAMEAT] = {"renameat", perform_renameat, 0, false},
	[IORING_OP_FADVISE] = {"fadvise", perform_fadvise, 0, false},
	[IORING_OP_SPLICE] = {"splice", perform_splice, 0, false},
	[IORING_OP_MKDIRAT] = {"mkdirat", perform_mkdirat, 0, false},
	[IORING_OP_CLOSE] = {"close", perform_close, POLLIN, false},
	[IORING_OP_POLL_ADD] = {"poll", perform_poll, POLLIN | POLLOUT, false},
};

bool weft_op_answers_again(const struct weft_op *op)
{
	switch (op->code) {
	case IORING_OP_RECV:
	case IORING_OP_SEND:
	case IORING_OP_SEND_ZC:
	case IORING_OP_RECVMSG:
	case IORING_OP_SENDMSG:
		return op->op_flags & MSG_DONTWAIT;
	default:
		return weft_op_row(op->code)->answers_again;
	}
}

/* -- attempts ---------------------------------------------------------------------------------- */

static bool is_stream(int fd)
{
	int type = 0, before = errno;
	socklen_t len = sizeof(type);
	int rc = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);

	errno = before;
	return rc == 0 && type != SOCK_DGRAM && type != SOCK_RAW;
}

/* MSG_WAITALL: one receive after the other, until all of it is there. */
static int64_t receive_all(const struct weft_op *op, uint64_t *progress)
{
	const struct weft_op_row *row = weft_op_row(op->code);

	for (;;) {
		struct weft_op rest = *op;
		int64_t rc;

		rest.addr += *progress;
		rest.len -= (uint32_t)*progress;
		rc = row->perform(&rest, false);
		if (rc > 0)
			*progress += (uint64_t)rc;
		if (rc == -EAGAIN)
			return rc;
		if (rc <= 0 || *progress >= op->len || !is_stream(op->fd))
			return *progress ? (int64_t)*progress : rc;
	}
}

static bool wants_all(const struct weft_op *op)
{
	return op->code == IORING_OP_RECV && op->op_flags & MSG_WAITALL &&
	       !(op->op_flags & (MSG_PEEK | MSG_DONTWAIT));
}

int64_t weft_op_attempt(const struct weft_op *op, uint64_t *progress)
{
	if (weft_unlikely(wants_all(op)))
		return receive_all(op, progress);
	return weft_op_row(op->code)->perform(op, false);
}
