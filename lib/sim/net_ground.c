/* SPDX-License-Identifier: MIT */
/*
 * net_ground - the calls on sockets that are no operations, answered by the simulated ones. What is none of
 * them is the kernel's. See io/ground.h.
 */
#include <errno.h>
#include <poll.h>

#include "io/ground.h"
#include "io/io.h"
#include "io/sys.h"
#include "io/uring_compat.h"
#include "sim/net.h"

/* The socket of that number, NULL: the kernel's. */
static struct weft_net_socket *find(int fd)
{
	return weft_net_find(weft_sim_current()->net, fd);
}

static int64_t settled(int64_t rc)
{
	weft_net_settle(weft_sim_current()->net);
	return rc;
}

static int open_socket(int domain, int type, int protocol)
{
	struct weft_simulation *sim = weft_sim_current();

	if (weft_sim_fault(sim, WEFT_SIM_EMFILE))
		return -EMFILE;
	/* It is found out what it is when it is used. A number that had another is new from here on. */
	type = weft_sys_socket(domain, type, protocol);
	if (type >= 0)
		weft_net_find(sim->net, type);
	return (int)settled(type);
}

static int bind_socket(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct weft_net_socket *socket = find(fd);
	struct weft_address name;
	int rc;

	if (!socket)
		return weft_sys_bind(fd, addr, len);
	rc = weft_net_name_read(socket, addr, len, &name);
	if (rc == 0)
		rc = weft_net_name_bind(socket, &name);
	return (int)settled(rc);
}

static int listen_socket(int fd, int backlog)
{
	struct weft_net_socket *socket = find(fd);

	return socket ? (int)settled(weft_net_listen(socket, backlog))
		      : weft_sys_listen(fd, backlog);
}

static int connect_socket(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct weft_net_socket *socket = find(fd);

	return socket ? (int)settled(weft_net_connect(socket, addr, len))
		      : weft_sys_connect(fd, addr, len);
}

static int disconnect_socket(int fd)
{
	const struct sockaddr nobody = {.sa_family = AF_UNSPEC};

	return connect_socket(fd, &nobody, sizeof(nobody));
}

static int shutdown_socket(int fd, int how)
{
	struct weft_net_socket *socket = find(fd);

	return socket ? (int)settled(weft_net_shutdown(socket, how))
		      : weft_sys_shutdown(fd, how);
}

static int local_name(int fd, struct sockaddr *addr, socklen_t *len)
{
	struct weft_net_socket *socket = find(fd);

	if (!socket)
		return weft_sys_getsockname(fd, addr, len);
	*len = weft_net_name_write(socket, &socket->local, addr, *len);
	return (int)settled(0);
}

static int socket_error(int fd)
{
	struct weft_net_socket *socket = find(fd);

	return socket ? (int)settled(weft_net_take_error(socket))
		      : weft_sys_socket_error(fd);
}

static int64_t poll_now(int fd, short events)
{
	struct weft_net_socket *socket = find(fd);

	return socket ? settled(weft_net_events(socket, events))
		      : weft_ground_kernel.poll(fd, events);
}

static int64_t recv_now(int fd, void *buf, size_t n, int flags)
{
	struct weft_net_socket *socket = find(fd);
	struct weft_op op = {
		.code = IORING_OP_RECV,
		.fd = fd,
		.addr = weft_op_addr(buf),
		.len = weft_transfer_len(n),
		.op_flags = (uint32_t)flags | MSG_DONTWAIT,
	};
	uint64_t progress = 0;
	int64_t rc;

	if (!socket)
		return weft_ground_kernel.recv(fd, buf, n, flags);
	rc = settled(weft_net_attempt(socket, &op, &progress));
	weft_sim_mix(weft_sim_current(), (uint64_t)rc);
	return rc;
}

/* Copying is as good, and goes by way of operations. */
static bool takes_sendfile(int fd, bool blocking)
{
	(void)fd, (void)blocking;
	return false;
}

static int64_t room(int fd, int64_t *size)
{
	return find(fd) ? settled(-EOPNOTSUPP) : weft_sys_socket_room(fd, size);
}

const struct weft_ground weft_ground_sim = {
	.socket = open_socket,
	.bind = bind_socket,
	.listen = listen_socket,
	.connect = connect_socket,
	.disconnect = disconnect_socket,
	.shutdown = shutdown_socket,
	.local_name = local_name,
	.socket_error = socket_error,
	.poll = poll_now,
	.recv = recv_now,
	.takes_sendfile = takes_sendfile,
	.room = room,
};
