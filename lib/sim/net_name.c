/* SPDX-License-Identifier: MIT */
/*
 * net_name - addresses of simulated sockets: who is meant by one, and which are taken.
 *
 * An address is kept in one form only: IPv4 within IPv6 is IPv4, what a family does not compare is zero, a path
 * ends with its NUL. The machine has every address, so binding to none of them fails; ports that nobody asks
 * for are counted.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "sim/net.h"

static const socklen_t unix_empty = offsetof(struct sockaddr_un, sun_path);

static const struct sockaddr_in *in4(const struct weft_address *name)
{
	return (const struct sockaddr_in *)&name->storage;
}

static const struct sockaddr_in6 *in6(const struct weft_address *name)
{
	return (const struct sockaddr_in6 *)&name->storage;
}

static int family(const struct weft_address *name)
{
	return name->storage.ss_family;
}

static struct weft_address name4(in_addr_t host, in_port_t port)
{
	struct weft_address name = {.len = sizeof(struct sockaddr_in)};
	struct sockaddr_in *in = (struct sockaddr_in *)&name.storage;

	in->sin_family = AF_INET;
	in->sin_addr.s_addr = host;
	in->sin_port = port;
	return name;
}

static struct weft_address name6(
	const struct in6_addr *host, in_port_t port, uint32_t scope)
{
	struct weft_address name = {.len = sizeof(struct sockaddr_in6)};
	struct sockaddr_in6 *in = (struct sockaddr_in6 *)&name.storage;

	in->sin6_family = AF_INET6;
	in->sin6_addr = *host;
	in->sin6_port = port;
	in->sin6_scope_id = scope;
	return name;
}

static in_port_t port_of(const struct weft_address *name)
{
	return family(name) == AF_INET ? in4(name)->sin_port : in6(name)->sin6_port;
}

static void set_port(struct weft_address *name, in_port_t port)
{
	if (family(name) == AF_INET)
		((struct sockaddr_in *)&name->storage)->sin_port = port;
	else
		((struct sockaddr_in6 *)&name->storage)->sin6_port = port;
}

static bool is_any(const struct weft_address *name)
{
	if (family(name) == AF_INET)
		return in4(name)->sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&in6(name)->sin6_addr);
}

/* -- reading and writing ----------------------------------------------------------------------- */

static int read_unix(
	const struct sockaddr *addr, socklen_t len, struct weft_address *name)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	if (len > sizeof(un))
		return -EINVAL;
	memcpy(&un, addr, len);
	if (len > unix_empty && un.sun_path[0])
		len = unix_empty + (socklen_t)strnlen(un.sun_path, len - unix_empty) + 1;
	memset(name, 0, sizeof(*name));
	memcpy(&name->storage, &un, len < sizeof(un) ? len : sizeof(un));
	name->len = len;
	return 0;
}

static int read4(const struct sockaddr *addr, socklen_t len, struct weft_address *name)
{
	struct sockaddr_in in;

	if (len < sizeof(in))
		return -EINVAL;
	memcpy(&in, addr, sizeof(in));
	*name = name4(in.sin_addr.s_addr, in.sin_port);
	return 0;
}

static int read6(const struct sockaddr *addr, socklen_t len, struct weft_address *name)
{
	struct sockaddr_in6 in = {0};
	in_addr_t host;

	if (len < offsetof(struct sockaddr_in6, sin6_scope_id))
		return -EINVAL;
	memcpy(&in, addr, len < sizeof(in) ? len : sizeof(in));
	if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) {
		memcpy(&host, &in.sin6_addr.s6_addr[12], sizeof(host));
		*name = name4(host, in.sin6_port);
	} else {
		*name = name6(&in.sin6_addr, in.sin6_port, in.sin6_scope_id);
	}
	return 0;
}

int weft_net_name_read(const struct weft_net_socket *socket, const struct sockaddr *addr,
	socklen_t len, struct weft_address *name)
{
	int its;

	if (!addr || len < sizeof(sa_family_t))
		return -EINVAL;
	its = addr->sa_family;
	if (weft_net_is_unix(socket))
		return its == AF_UNIX ? read_unix(addr, len, name) : -EINVAL;
	if (its == AF_INET6 && socket->family == AF_INET6)
		return read6(addr, len, name);
	/* Linux lets a message socket of IPv6 send to an address of IPv4. */
	if (its == AF_INET && (socket->family == AF_INET || !weft_net_is_stream(socket)))
		return read4(addr, len, name);
	return -EAFNOSUPPORT;
}

/* ::ffff:127.0.0.1 */
static struct weft_address within6(const struct weft_address *name)
{
	struct in6_addr host = IN6ADDR_ANY_INIT;

	if (!is_any(name)) {
		host.s6_addr[10] = host.s6_addr[11] = 0xff;
		memcpy(&host.s6_addr[12], &in4(name)->sin_addr, 4);
	}
	return name6(&host, port_of(name), 0);
}

/* What the kernel says of a socket that has no name. */
static struct weft_address nameless(const struct weft_net_socket *socket)
{
	struct weft_address name = {.len = sizeof(sa_family_t)};

	if (socket->family == AF_INET)
		return name4(htonl(INADDR_ANY), 0);
	if (socket->family == AF_INET6)
		return name6(&in6addr_any, 0, 0);
	name.storage.ss_family = AF_UNIX;
	return name;
}

socklen_t weft_net_name_write(const struct weft_net_socket *socket,
	const struct weft_address *name, void *addr, socklen_t room)
{
	struct weft_address written = name->len ? *name : nameless(socket);

	if (socket->family == AF_INET6 && family(&written) == AF_INET)
		written = within6(&written);
	if (addr)
		memcpy(addr, &written.storage, room < written.len ? room : written.len);
	return written.len;
}

bool weft_net_name_same(const struct weft_address *a, const struct weft_address *b)
{
	return a->len == b->len && !memcmp(&a->storage, &b->storage, a->len);
}

bool weft_net_name_is_bound(const struct weft_address *name)
{
	return family(name) == AF_UNIX ? name->len > unix_empty : port_of(name) != 0;
}

void weft_net_name_aim(struct weft_address *name)
{
	if (family(name) == AF_UNIX || !is_any(name))
		return;
	if (family(name) == AF_INET)
		*name = name4(htonl(INADDR_LOOPBACK), port_of(name));
	else
		*name = name6(&in6addr_loopback, port_of(name), 0);
}

/* -- who is meant ------------------------------------------------------------------------------ */

unsigned weft_net_name_matches(
	const struct weft_net_socket *socket, const struct weft_address *name)
{
	const struct weft_address *own = &socket->local;

	if (!own->len || weft_net_is_unix(socket) != (family(name) == AF_UNIX))
		return 0;
	if (weft_net_name_same(own, name))
		return 3;
	if (weft_net_is_unix(socket) || port_of(own) != port_of(name) || !is_any(own))
		return 0;
	if (family(own) == family(name))
		return 2;
	return family(own) == AF_INET6 &&
			       !weft_net_option(socket, IPPROTO_IPV6, IPV6_V6ONLY)
		       ? 1
		       : 0;
}

/* -- who is there already ---------------------------------------------------------------------- */

/* Would somebody who is meant by one of the names perhaps be meant by the other? */
static bool overlap(const struct weft_net_socket *socket, const struct weft_address *name,
	const struct weft_net_socket *other)
{
	struct weft_net_socket as_if;

	if (weft_net_is_unix(socket) != weft_net_is_unix(other))
		return false;
	if (weft_net_name_matches(other, name))
		return true;
	as_if = *socket;
	as_if.local = *name;
	return weft_net_name_matches(&as_if, &other->local);
}

/* May both have it, by their options? */
static bool share(const struct weft_net_socket *socket,
	const struct weft_net_socket *other, bool listening)
{
	if (weft_net_is_unix(socket))
		return false;
	if (weft_net_option(socket, SOL_SOCKET, SO_REUSEPORT) &&
		weft_net_option(other, SOL_SOCKET, SO_REUSEPORT))
		return true;
	if (listening || other->state == WEFT_NET_LISTENS)
		return false;
	return weft_net_option(socket, SOL_SOCKET, SO_REUSEADDR) &&
	       weft_net_option(other, SOL_SOCKET, SO_REUSEADDR);
}

/* listening: it is about to, and only who listens is in its way. */
static bool is_taken(const struct weft_net_socket *socket,
	const struct weft_address *name, bool listening)
{
	struct weft_node *node = socket->net->named.head, *next;

	for (; node; node = next) {
		struct weft_net_socket *other =
			weft_container_of(node, struct weft_net_socket, named);

		next = node->next;
		if (other == socket || (listening && other->state != WEFT_NET_LISTENS))
			continue;
		if (other->type != socket->type && !weft_net_is_unix(socket))
			continue;
		if (overlap(socket, name, other) && weft_net_is_open(other) &&
			!share(socket, other, listening))
			return true;
	}
	return false;
}

bool weft_net_name_taken(const struct weft_net_socket *socket)
{
	return is_taken(socket, &socket->local, true);
}

/* A port that nobody has. */
static int new_port(struct weft_net_socket *socket, struct weft_address *name)
{
	struct weft_net *net = socket->net;

	for (int i = 0; i < WEFT_NET_PORTS; i++) {
		unsigned port = WEFT_NET_PORT_FIRST + net->ports++ % WEFT_NET_PORTS;

		set_port(name, htons((uint16_t)port));
		if (!is_taken(socket, name, false))
			return 0;
	}
	return -EADDRINUSE;
}

/* An abstract name as Linux makes them. */
static void new_unix_name(struct weft_net *net, struct weft_address *name)
{
	char *path = ((struct sockaddr_un *)&name->storage)->sun_path;
	int length = snprintf(path + 1, 16, "%05x", ++net->names);

	path[0] = '\0';
	name->len = unix_empty + 1 + (socklen_t)length;
}

int weft_net_name_bind(struct weft_net_socket *socket, const struct weft_address *wanted)
{
	struct weft_address name = *wanted;

	if (socket->is_named || socket->state != WEFT_NET_FRESH)
		return -EINVAL;
	if (weft_net_is_unix(socket) && name.len <= unix_empty)
		new_unix_name(socket->net, &name);
	else if (!weft_net_is_unix(socket) && !port_of(&name)) {
		int rc = new_port(socket, &name);

		if (rc < 0)
			return rc;
	} else if (is_taken(socket, &name, false)) {
		return -EADDRINUSE;
	}
	socket->local = name;
	socket->is_named = true;
	weft_list_push_tail(&socket->net->named, &socket->named);
	return 0;
}

int weft_net_name_self(struct weft_net_socket *socket, const struct weft_address *to)
{
	struct weft_address name;

	if (weft_net_is_unix(socket) || socket->local.len)
		return 0;
	if (!weft_net_is_stream(socket)) {
		name = socket->family == AF_INET ? name4(htonl(INADDR_ANY), 0)
						 : name6(&in6addr_any, 0, 0);
		return weft_net_name_bind(socket, &name);
	}
	/* A connection's own end is nobody's to find. */
	name = *to;
	if (new_port(socket, &name) < 0)
		return -EADDRNOTAVAIL;
	socket->local = name;
	return 0;
}

struct weft_address weft_net_name_seen(
	const struct weft_net_socket *socket, const struct weft_address *to)
{
	struct weft_address name = socket->local;

	if (!name.len || weft_net_is_unix(socket) || !is_any(&name))
		return name;
	name = *to;
	set_port(&name, port_of(&socket->local));
	return name;
}
