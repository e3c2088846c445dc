/* SPDX-License-Identifier: MIT */
/*
 * file - reading and writing any descriptor, and the calls on files: each checks its
 * arguments, fills one operation and runs it.
 */
#include <weft/io.h>

#include <errno.h>
#include <poll.h>

#include "io/at_once.h"
#include "io/io.h"
#include "io/uring_compat.h"
#include "sched/submit.h"

#define AT_POSITION UINT64_MAX /* the file's own, which moves */

static ssize_t transfer(struct weft_op *op, short events)
{
	WEFT_CHECKPOINT(checkpoint);
	int rc = weft_io_enter(&checkpoint);

	return rc < 0 ? rc : (ssize_t)weft_op_run_ready(op, events);
}

static ssize_t read_at(int fd, void *buf, size_t n, uint64_t at)
{
	struct weft_op op = {
		.code = IORING_OP_READ,
		.fd = fd,
		.off = at,
		.addr = weft_op_addr(buf),
		.len = weft_transfer_len(n),
	};

	if (!buf && n)
		return -EFAULT;
	return transfer(&op, POLLIN);
}

static ssize_t write_at(int fd, const void *buf, size_t n, uint64_t at)
{
	struct weft_op op = {
		.code = IORING_OP_WRITE,
		.fd = fd,
		.off = at,
		.addr = weft_op_addr(buf),
		.len = weft_transfer_len(n),
		.op_flags = RWF_NOSIGNAL,
	};

	if (!buf && n)
		return -EFAULT;
	return transfer(&op, POLLOUT);
}

ssize_t weft_read(int fd, void *buf, size_t n)
{
	return read_at(fd, buf, n, AT_POSITION);
}

ssize_t weft_write(int fd, const void *buf, size_t n)
{
	return write_at(fd, buf, n, AT_POSITION);
}

ssize_t weft_pread(int fd, void *buf, size_t n, off_t at)
{
	return at < 0 ? -EINVAL : read_at(fd, buf, n, (uint64_t)at);
}

ssize_t weft_pwrite(int fd, const void *buf, size_t n, off_t at)
{
	return at < 0 ? -EINVAL : write_at(fd, buf, n, (uint64_t)at);
}

static ssize_t vector(
	struct weft_op *op, const struct iovec *iov, int count, short events)
{
	if (count < 0)
		return -EINVAL;
	if (!iov && count)
		return -EFAULT;
	op->off = AT_POSITION;
	op->addr = weft_op_addr(iov);
	op->len = (uint32_t)count;
	return transfer(op, events);
}

ssize_t weft_readv(int fd, const struct iovec *iov, int count)
{
	struct weft_op op = {.code = IORING_OP_READV, .fd = fd};

	return vector(&op, iov, count, POLLIN);
}

ssize_t weft_writev(int fd, const struct iovec *iov, int count)
{
	struct weft_op op = {
		.code = IORING_OP_WRITEV, .fd = fd, .op_flags = RWF_NOSIGNAL};

	return vector(&op, iov, count, POLLOUT);
}

int weft_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	struct weft_op op = {
		.code = IORING_OP_OPENAT,
		.fd = dirfd,
		.addr = weft_op_addr(path),
		.len = mode,
		.op_flags = (uint32_t)flags,
	};
	struct weft_fd *entry;
	int fd;

	if (!path)
		return -EFAULT;
	fd = (int)weft_op_run(&op);
	weft_fd_opened(fd);
	entry = fd >= 0 ? weft_fd_find(&weft_io_current()->fds, fd) : NULL;
	if (entry)
		weft_at_once_opened(entry, flags);
	return fd;
}

int weft_fsync(int fd, unsigned flags)
{
	struct weft_op op = {.code = IORING_OP_FSYNC, .fd = fd, .op_flags = flags};

	if (flags & ~IORING_FSYNC_DATASYNC)
		return -EINVAL;
	return (int)weft_op_run(&op);
}

int weft_fallocate(int fd, int mode, off_t at, off_t n)
{
	struct weft_op op = {
		.code = IORING_OP_FALLOCATE,
		.fd = fd,
		.off = (uint64_t)at,
		.addr = (uint64_t)n, /* the entry has its length here */
		.len = (uint32_t)mode,
	};

	return at < 0 || n <= 0 ? -EINVAL : (int)weft_op_run(&op);
}

int weft_poll(int fd, short events)
{
	WEFT_CHECKPOINT(checkpoint);
	int rc = weft_io_enter(&checkpoint);

	return rc < 0 ? rc : weft_op_poll(fd, events);
}
