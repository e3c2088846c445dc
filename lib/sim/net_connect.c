/* SPDX-License-Identifier: MIT */
/*
 * net_connect - listeners, and how connections come about.
 *
 * A connect takes its while, then knocks at the listener that is there at that moment. With room in the
 * backlog the connection is made, and both ends may send, whenever it is accepted; without, it waits at the
 * door until somebody is accepted, as a peer does whose first packet is dropped and sent again.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "base/sys.h"
#include "io/sys.h"
#include "sim/net.h"

/* -- listeners --------------------------------------------------------------------------------- */

static struct weft_net_socket *at_place(struct weft_node *node)
{
	return node ? weft_container_of(node, struct weft_net_socket, place) : NULL;
}

int weft_net_listen(struct weft_net_socket *socket, int backlog)
{
	unsigned most = backlog < 0 || backlog > WEFT_NET_BACKLOG ? WEFT_NET_BACKLOG
								  : (unsigned)backlog;
	struct sockaddr_in6 any = {.sin6_family = (sa_family_t)socket->family};
	struct weft_address name;
	int rc = 0;

	if (!weft_net_is_stream(socket))
		return -EOPNOTSUPP;
	if (socket->state != WEFT_NET_FRESH && socket->state != WEFT_NET_LISTENS)
		return -EINVAL;
	if (!socket->is_named && weft_net_is_unix(socket))
		return -EINVAL;
	if (!socket->is_named) {
		rc = weft_net_name_read(
			socket, (struct sockaddr *)&any, sizeof(any), &name);
		if (rc == 0)
			rc = weft_net_name_bind(socket, &name);
	}
	if (rc == 0 && socket->state == WEFT_NET_FRESH && weft_net_name_taken(socket))
		rc = -EADDRINUSE;
	if (rc < 0)
		return rc;
	socket->state = WEFT_NET_LISTENS;
	socket->backlog_max = most + 1; /* as Linux counts */
	return 0;
}

/* Who answers there: the best match; of several that share an address, any. */
static struct weft_net_socket *listener_of(
	struct weft_net *net, const struct weft_address *name)
{
	struct weft_net_socket *found = NULL;
	struct weft_node *node = net->named.head, *next;
	unsigned best = 1, equals = 0;

	for (; node; node = next) {
		struct weft_net_socket *socket =
			weft_container_of(node, struct weft_net_socket, named);
		unsigned match = socket->state == WEFT_NET_LISTENS
					 ? weft_net_name_matches(socket, name)
					 : 0;

		next = node->next;
		if (match < best || !weft_net_is_open(socket))
			continue;
		equals = match > best ? 1 : equals + 1;
		best = match;
		if (equals == 1 || weft_sim_draw(net->sim, equals) == 0)
			found = socket;
	}
	return found;
}

static struct weft_net_socket *find_listener(
	struct weft_net *net, const struct weft_address *name)
{
	struct weft_net_socket *found = listener_of(net, name);

	if (found)
		return found;
	weft_net_look_around(net);
	return listener_of(net, name);
}

static void leave_place(struct weft_net_socket *socket, struct weft_list *list)
{
	weft_list_remove(list, &socket->place);
	socket->listener = NULL;
}

void weft_net_listen_end(struct weft_net_socket *socket)
{
	struct weft_net_socket *other;

	socket->state = WEFT_NET_FRESH;
	while ((other = at_place(socket->backlog.head))) {
		leave_place(other, &socket->backlog);
		weft_net_close(other, true);
	}
	socket->pending = 0;
	while ((other = at_place(socket->knocking.head))) {
		leave_place(other, &socket->knocking);
		other->state = WEFT_NET_FRESH;
		other->error = -ECONNREFUSED;
		weft_net_stir(other);
	}
	weft_net_stir(socket);
}

/* -- connecting -------------------------------------------------------------------------------- */

/* Nobody is there. */
static int not_there(const struct weft_net_socket *socket)
{
	const struct sockaddr_un *un =
		(const struct sockaddr_un *)&socket->remote.storage;

	return weft_net_is_unix(socket) && !socket->refused && un->sun_path[0]
		       ? -ENOENT
		       : -ECONNREFUSED;
}

static int fail(struct weft_net_socket *socket, int code)
{
	socket->state = WEFT_NET_FRESH;
	socket->remote.len = 0;
	if (!socket->is_named)
		socket->local.len = 0;
	return code;
}

static int establish(struct weft_net_socket *socket, struct weft_net_socket *listener)
{
	struct weft_net_socket *other =
		weft_net_create(socket->net, listener->family, SOCK_STREAM);

	if (!other)
		return fail(socket, -ENOMEM);
	socket->state = other->state = WEFT_NET_CONNECTED;
	socket->peer = other;
	other->peer = socket;
	other->was_accepted = true;
	other->local = weft_net_is_unix(socket) ? listener->local : socket->remote;
	other->remote = weft_net_name_seen(socket, &socket->remote);
	if (!weft_net_is_unix(socket))
		socket->local = other->remote;
	other->listener = listener;
	weft_list_push_tail(&listener->backlog, &other->place);
	listener->pending++;
	weft_net_stir(listener);
	weft_net_stir(socket);
	return 0;
}

/* What it has sent is there. 0, an error, or -EINPROGRESS. */
static int knock(struct weft_net_socket *socket)
{
	struct weft_net_socket *listener =
		socket->refused ? NULL : find_listener(socket->net, &socket->remote);

	if (!listener)
		return fail(socket, not_there(socket));
	if (listener->pending < listener->backlog_max)
		return establish(socket, listener);
	socket->listener = listener;
	weft_list_push_tail(&listener->knocking, &socket->place);
	return -EINPROGRESS;
}

void weft_net_knock_due(struct weft_net_socket *socket)
{
	int rc = knock(socket);

	if (rc == -EINPROGRESS)
		return;
	socket->error = rc;
	weft_net_stir(socket);
}

/* A place in the backlog is free. */
static void let_in(struct weft_net_socket *listener)
{
	struct weft_net_socket *socket = at_place(listener->knocking.head);

	if (!socket)
		return;
	leave_place(socket, &listener->knocking);
	socket->error = establish(socket, listener);
	weft_net_stir(socket);
}

void weft_net_withdraw(struct weft_net_socket *socket)
{
	weft_sim_forget(socket->net->sim, &socket->due);
	if (socket->listener)
		leave_place(socket, &socket->listener->knocking);
	fail(socket, 0);
}

static int refuse_state(const struct weft_net_socket *socket)
{
	if (socket->state == WEFT_NET_CONNECTING)
		return -EALREADY;
	if (socket->state == WEFT_NET_LISTENS && weft_net_is_unix(socket))
		return -EINVAL;
	return socket->state == WEFT_NET_FRESH ? 0 : -EISCONN;
}

static int connect_stream(struct weft_net_socket *socket, const struct weft_address *to)
{
	struct weft_net *net = socket->net;
	weft_ns delay;
	int rc = refuse_state(socket);

	if (rc < 0)
		return rc;
	socket->remote = *to;
	rc = weft_net_name_self(socket, to);
	if (rc < 0)
		return rc;
	socket->error = 0;
	socket->refused = weft_sim_fault(net->sim, WEFT_SIM_REFUSE);
	socket->state = WEFT_NET_CONNECTING;
	delay = weft_net_delay(net);
	if (!delay)
		return knock(socket);
	weft_sim_at(net->sim, &socket->due, weft_time_add(net->sim->now, delay));
	return -EINPROGRESS;
}

/* Only whom it sends to and receives from is decided. */
static int connect_datagram(struct weft_net_socket *socket, const struct weft_address *to)
{
	int rc = weft_net_name_self(socket, to);

	if (rc == 0)
		socket->remote = *to;
	return rc;
}

/* To nobody: the connection, if there is one, is given up. */
static int disconnect(struct weft_net_socket *socket)
{
	if (socket->state == WEFT_NET_CONNECTING)
		weft_net_withdraw(socket);
	else if (socket->state == WEFT_NET_LISTENS)
		weft_net_listen_end(socket);
	else if (socket->state == WEFT_NET_CONNECTED)
		weft_net_stream_reset(socket);
	else
		socket->remote.len = 0;
	return 0;
}

int weft_net_connect(
	struct weft_net_socket *socket, const struct sockaddr *addr, socklen_t len)
{
	struct weft_address to;
	int rc;

	if (len >= sizeof(sa_family_t) && addr->sa_family == AF_UNSPEC)
		return disconnect(socket);
	rc = weft_net_name_read(socket, addr, len, &to);
	if (rc < 0)
		return rc;
	if (weft_net_is_unix(socket) && to.len <= offsetof(struct sockaddr_un, sun_path))
		return -EINVAL;
	weft_net_name_aim(&to);
	return weft_net_is_stream(socket) ? connect_stream(socket, &to)
					  : connect_datagram(socket, &to);
}

int weft_net_connected(struct weft_net_socket *socket)
{
	int rc = socket->error;

	if (socket->state == WEFT_NET_CONNECTING)
		return -EAGAIN;
	if (socket->state == WEFT_NET_CONNECTED)
		return 0;
	socket->error = 0;
	return rc < 0 ? rc : -ECONNABORTED;
}

/* -- accepting --------------------------------------------------------------------------------- */

static int64_t take(struct weft_net_socket *listener, int flags)
{
	struct weft_net_socket *socket = at_place(listener->backlog.head);
	int fd, rc;

	if (weft_sim_fault(listener->net->sim, WEFT_SIM_EMFILE))
		return -EMFILE;
	fd = weft_sys_socket(listener->family, SOCK_STREAM | flags, 0);
	if (fd < 0)
		return fd;
	rc = weft_net_attach(socket, fd);
	if (rc < 0) {
		weft_sys_close(fd);
		return rc;
	}
	leave_place(socket, &listener->backlog);
	listener->pending--;
	let_in(listener);
	return fd;
}

int64_t weft_net_accept(struct weft_net_socket *listener, const struct weft_op *op)
{
	struct weft_net_socket *socket = at_place(listener->backlog.head);
	void *addr = (void *)(uintptr_t)op->addr;
	socklen_t *len = (void *)(uintptr_t)op->off;
	int flags = (int)op->op_flags;
	int64_t fd;

	if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	if (!weft_net_is_stream(listener))
		return -EOPNOTSUPP;
	if (listener->state != WEFT_NET_LISTENS)
		return -EINVAL;
	if (!socket)
		return -EAGAIN;
	fd = take(listener, flags);
	if (fd >= 0 && addr)
		*len = weft_net_name_write(socket, &socket->remote, addr, *len);
	return fd;
}
