/* SPDX-License-Identifier: MIT */
/*
 * net - the calls on sockets: each checks its arguments, fills one operation and runs it.
 * Calls that never wait (socket, shutdown) are made directly.
 */
#include <weft/io.h>

#include <errno.h>
#include <poll.h>

#include "io/ground.h"
#include "io/io.h"
#include "io/uring_compat.h"
#include "sched/submit.h"

enum { CONNECT_RETRY_NS = 1000 * 1000 };

/* With MSG_DONTWAIT an -EAGAIN is what the caller asked for. */
static ssize_t transfer(struct weft_op *op, short events)
{
	WEFT_CHECKPOINT(checkpoint);
	int rc = weft_io_enter(&checkpoint);

	if (rc < 0)
		return rc;
	if (op->op_flags & MSG_DONTWAIT)
		return (ssize_t)weft_op_run_again(op);
	return (ssize_t)weft_op_run_ready_first(op, events);
}

ssize_t weft_recv(int fd, void *buf, size_t n, int flags)
{
	struct weft_op op = {
		.code = IORING_OP_RECV,
		.fd = fd,
		.addr = weft_op_addr(buf),
		.len = weft_transfer_len(n),
		.op_flags = (uint32_t)flags,
	};
	ssize_t rc;

	if (!buf && n)
		return -EFAULT;
	if (weft_likely(n))
		return transfer(&op, POLLIN);
	op.op_flags |= MSG_DONTWAIT; /* nothing to wait for, but a datagram may go */
	rc = transfer(&op, POLLIN);
	return rc == -EAGAIN && !(flags & MSG_DONTWAIT) ? 0 : rc;
}

ssize_t weft_send(int fd, const void *buf, size_t n, int flags)
{
	struct weft_op op = {
		.code = IORING_OP_SEND,
		.fd = fd,
		.addr = weft_op_addr(buf),
		.len = weft_transfer_len(n),
		.op_flags = (uint32_t)flags | MSG_NOSIGNAL,
	};

	if (!buf && n)
		return -EFAULT;
	return transfer(&op, POLLOUT);
}

ssize_t weft_recvmsg(int fd, struct msghdr *msg, int flags)
{
	struct weft_op op = {
		.code = IORING_OP_RECVMSG,
		.fd = fd,
		.addr = weft_op_addr(msg),
		.len = 1,
		.op_flags = (uint32_t)flags,
	};

	return msg ? transfer(&op, POLLIN) : -EFAULT;
}

ssize_t weft_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct weft_op op = {
		.code = IORING_OP_SENDMSG,
		.fd = fd,
		.addr = weft_op_addr(msg),
		.len = 1,
		.op_flags = (uint32_t)flags | MSG_NOSIGNAL,
	};

	return msg ? transfer(&op, POLLOUT) : -EFAULT;
}

ssize_t weft_recvfrom(
	int fd, void *buf, size_t n, int flags, struct sockaddr *addr, socklen_t *len)
{
	struct iovec iov = {.iov_base = buf, .iov_len = n};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t rc;

	if ((!buf && n) || (addr && !len))
		return -EFAULT;
	if (addr) {
		msg.msg_name = addr;
		msg.msg_namelen = *len;
	}
	rc = weft_recvmsg(fd, &msg, flags);
	if (rc >= 0 && addr)
		*len = msg.msg_namelen; /* the sender's, even if it was cut off */
	return rc;
}

ssize_t weft_sendto(int fd, const void *buf, size_t n, int flags,
	const struct sockaddr *addr, socklen_t len)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = n};
	struct msghdr msg = {
		.msg_name = (void *)(uintptr_t)addr,
		.msg_namelen = addr ? len : 0,
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};

	return buf || !n ? weft_sendmsg(fd, &msg, flags) : -EFAULT;
}

int weft_socket(int domain, int type, int protocol)
{
	WEFT_CHECKPOINT(checkpoint);
	int rc = weft_io_enter(&checkpoint);

	if (rc < 0)
		return rc;
	rc = weft_ground()->socket(domain, type, protocol);
	weft_fd_opened(rc);
	return rc;
}

/* The connection is under way: wait until it is decided. */
static int connected(int fd)
{
	int rc = weft_op_poll(fd, POLLOUT);

	return rc < 0 ? rc : weft_ground()->socket_error(fd);
}

int weft_io_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct weft_op op = {
		.code = IORING_OP_CONNECT,
		.fd = fd,
		.off = len,
		.addr = weft_op_addr(addr),
	};

	for (;;) {
		int rc = (int)weft_op_run_again(&op);

		if (rc == -EINPROGRESS || rc == -EALREADY)
			return connected(fd);
		if (rc == -EAGAIN) /* a unix listener's backlog is full */
			rc = weft_io_nap(CONNECT_RETRY_NS);
		else
			return rc;
		if (rc < 0)
			return rc;
	}
}

int weft_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	WEFT_CHECKPOINT(checkpoint);
	int rc;

	if (!addr)
		return -EFAULT;
	rc = weft_io_enter(&checkpoint);
	return rc < 0 ? rc : weft_io_connect(fd, addr, len);
}

int weft_accept(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	WEFT_CHECKPOINT(checkpoint);
	struct weft_op op = {
		.code = IORING_OP_ACCEPT,
		.fd = fd,
		.off = weft_op_addr(len),
		.addr = weft_op_addr(addr),
		.op_flags = (uint32_t)flags,
	};
	int rc;

	if (addr && !len)
		return -EFAULT;
	rc = weft_io_enter(&checkpoint);
	if (rc < 0)
		return rc;
	rc = (int)weft_op_run_ready(&op, POLLIN);
	weft_fd_opened(rc);
	return rc;
}

/* Direct: it does not wait, and the ring would hand it to a thread of the kernel. Counted as an
 * operation, so that it cannot meet the number's next owner. */
int weft_shutdown(int fd, int how)
{
	WEFT_CHECKPOINT(checkpoint);
	struct weft_fd *entry;
	int rc = weft_io_enter(&checkpoint);

	if (rc < 0)
		return rc;
	if (fd < 0)
		return -EBADF;
	rc = weft_io_begin(fd, &entry);
	if (rc < 0)
		return rc;
	rc = weft_ground()->shutdown(fd, how);
	weft_fd_end(entry);
	return rc;
}
