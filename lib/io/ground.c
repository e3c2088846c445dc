/* SPDX-License-Identifier: MIT */
/*
 * ground - the kernel's version: a system call each. See ground.h.
 */
#include "io/ground.h"

#include "io/io.h"
#include "io/optable.h"
#include "io/sys.h"
#include "sched/submit.h"

static int64_t poll_now(int fd, short events)
{
	struct weft_op op = {
		.code = IORING_OP_POLL_ADD,
		.fd = fd,
		.op_flags = weft_poll_mask(events),
	};

	return weft_op_row(op.code)->perform(&op, false);
}

static int64_t recv_now(int fd, void *buf, size_t n, int flags)
{
	return weft_sys_recv(fd, buf, n, flags | MSG_DONTWAIT);
}

const struct weft_ground weft_ground_kernel = {
	.socket = weft_sys_socket,
	.bind = weft_sys_bind,
	.listen = weft_sys_listen,
	.connect = weft_sys_connect,
	.disconnect = weft_sys_disconnect,
	.shutdown = weft_sys_shutdown,
	.local_name = weft_sys_getsockname,
	.socket_error = weft_sys_socket_error,
	.poll = poll_now,
	.recv = recv_now,
	.takes_sendfile = weft_sys_takes_sendfile,
	.room = weft_sys_socket_room,
};

const struct weft_ground *weft_ground(void)
{
	return weft_io_current()->ground;
}
