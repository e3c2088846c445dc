/* SPDX-License-Identifier: MIT */
/*
 * net_socket - which simulated socket is behind a number, and how sockets begin and end.
 *
 * A program may close a number with close(2), and the kernel give it to something else. So what is behind one
 * is asked each time (fstat), and compared. A socket that was closed like that is found out when its number,
 * or its peer, is used next, or when nothing else can happen (net.c).
 */
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/sys.h"
#include "sim/net.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

enum {
	PLAIN_BACKLOG = 128, /* of a listen(2), which does not tell */
	TEXT = 512,
};

/* -- what the kernel says ---------------------------------------------------------------------- */

static bool look_at(int fd, struct stat *about)
{
	int before = errno;
	bool is_open = fstat(fd, about) == 0;

	errno = before;
	return is_open;
}

static int option(int fd, int level, int name)
{
	int value = 0, before = errno;
	socklen_t len = sizeof(value);

	if (getsockopt(fd, level, name, &value, &len) < 0)
		value = 0;
	errno = before;
	return value;
}

int weft_net_option(const struct weft_net_socket *socket, int level, int name)
{
	return socket->fd < 0 ? 0 : option(socket->fd, level, name);
}

static bool is_connected(int fd)
{
	struct sockaddr_storage storage;
	socklen_t len = sizeof(storage);
	int before = errno;
	bool is = getpeername(fd, (struct sockaddr *)&storage, &len) == 0;

	errno = before;
	return is;
}

/* A kind that is simulated, and nothing that the kernel has connected: socketpair(2), accept(2). */
static bool is_simulated(int fd, int *family, int *type)
{
	int protocol = option(fd, SOL_SOCKET, SO_PROTOCOL);

	*family = option(fd, SOL_SOCKET, SO_DOMAIN);
	*type = option(fd, SOL_SOCKET, SO_TYPE);
	if (*type != SOCK_STREAM && *type != SOCK_DGRAM)
		return false;
	if (*family == AF_INET || *family == AF_INET6) {
		if (*type == SOCK_STREAM
				? protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP
				: protocol != IPPROTO_UDP)
			return false;
	} else if (*family != AF_UNIX) {
		return false;
	}
	return !is_connected(fd);
}

/* The largest descriptor that is open. */
static int largest_fd(void)
{
	int before = errno, largest = -1;
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (fd > largest)
			largest = fd;
	}
	if (dir)
		closedir(dir);
	errno = before;
	return largest;
}

int weft_net_note_outside(struct weft_net *net)
{
	int largest = largest_fd();
	struct stat about;

	for (int fd = 0; fd <= largest; fd++) {
		ino_t *more;

		if (!look_at(fd, &about) || !S_ISSOCK(about.st_mode))
			continue;
		more = realloc(net->outside, (net->outside_count + 1) * sizeof(*more));
		if (!more)
			return -ENOMEM;
		net->outside = more;
		net->outside[net->outside_count++] = about.st_ino;
	}
	return 0;
}

static bool was_outside(const struct weft_net *net, ino_t ino)
{
	for (size_t i = 0; i < net->outside_count; i++) {
		if (net->outside[i] == ino)
			return true;
	}
	return false;
}

/* -- numbers ----------------------------------------------------------------------------------- */

static bool is_behind(const struct weft_net_socket *socket, const struct stat *about)
{
	return about->st_dev == socket->dev && about->st_ino == socket->ino;
}

static bool leads_to(int fd, const struct weft_net_socket *socket)
{
	struct stat about;

	return look_at(fd, &about) && is_behind(socket, &about);
}

static int make_room(struct weft_net *net, int fd)
{
	size_t count = net->by_fd_count ? net->by_fd_count : 64;
	struct weft_net_socket **more;

	while (count <= (size_t)fd)
		count *= 2;
	if (count == net->by_fd_count)
		return 0;
	more = realloc(net->by_fd, count * sizeof(struct weft_net_socket *));
	if (!more)
		return -ENOMEM;
	for (size_t i = net->by_fd_count; i < count; i++)
		more[i] = NULL;
	net->by_fd = more;
	net->by_fd_count = count;
	return 0;
}

static struct weft_net_socket *known(const struct weft_net *net, int fd)
{
	return (size_t)fd < net->by_fd_count ? net->by_fd[fd] : NULL;
}

/* Another number of it, by which it is known then. */
static void rename_number(struct weft_net_socket *socket)
{
	struct weft_net *net = socket->net;

	socket->fd = -1;
	for (size_t fd = 0; socket->fds && socket->fd < 0 && fd < net->by_fd_count;
		fd++) {
		if (net->by_fd[fd] == socket)
			socket->fd = (int)fd;
	}
}

/* The number leads there no more. */
static void forget_number(struct weft_net *net, int fd, bool abruptly)
{
	struct weft_net_socket *socket = net->by_fd[fd];

	net->by_fd[fd] = NULL;
	socket->fds--;
	if (socket->fd == fd)
		rename_number(socket);
	if (!socket->fds && weft_list_empty(&socket->waiting))
		weft_net_close(socket, abruptly);
}

static int note_number(struct weft_net_socket *socket, int fd)
{
	struct weft_net *net = socket->net;
	int rc = make_room(net, fd);

	if (rc < 0)
		return rc;
	if (net->by_fd[fd])
		forget_number(net, fd, false);
	net->by_fd[fd] = socket;
	if (!socket->fds++)
		socket->fd = fd;
	return 0;
}

int weft_net_attach(struct weft_net_socket *socket, int fd)
{
	struct stat about;

	if (!look_at(fd, &about))
		return -EBADF;
	socket->dev = about.st_dev;
	socket->ino = about.st_ino;
	return note_number(socket, fd);
}

bool weft_net_is_open(struct weft_net_socket *socket)
{
	if (!socket->fds && socket->listener)
		weft_net_is_open(
			socket->listener); /* with it goes who is in its backlog */
	while (socket->fds && !leads_to(socket->fd, socket))
		forget_number(socket->net, socket->fd, false);
	return !socket->is_closed;
}

void weft_net_detach(struct weft_net *net, int fd)
{
	struct weft_net_socket *socket = fd < 0 ? NULL : known(net, fd);
	struct linger linger = {0};
	socklen_t len = sizeof(linger);
	int before = errno;

	if (!socket)
		return;
	getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len);
	errno = before;
	forget_number(
		net, fd, linger.l_onoff && !linger.l_linger && leads_to(fd, socket));
}

/* -- finding ----------------------------------------------------------------------------------- */

static struct weft_net_socket *of_identity(struct weft_net *net, const struct stat *about)
{
	for (struct weft_node *node = net->sockets.head; node; node = node->next) {
		struct weft_net_socket *socket =
			weft_container_of(node, struct weft_net_socket, node);

		if (socket->fds && is_behind(socket, about))
			return socket;
	}
	return NULL;
}

/* The program made it by itself, or a second number for one. */
static struct weft_net_socket *adopt(
	struct weft_net *net, int fd, const struct stat *about)
{
	struct weft_net_socket *socket;
	int family, type;

	if (!S_ISSOCK(about->st_mode) || !is_simulated(fd, &family, &type))
		return NULL;
	socket = of_identity(net, about);
	if (socket)
		return note_number(socket, fd) == 0 ? socket : NULL;
	if (weft_net_open(net, fd, family, type, &socket) < 0)
		return NULL;
	socket->is_outside = was_outside(net, about->st_ino);
	return socket;
}

struct weft_net_socket *weft_net_find(struct weft_net *net, int fd)
{
	struct weft_net_socket *socket = fd < 0 ? NULL : known(net, fd);
	struct stat about;
	bool is_open = fd >= 0 && look_at(fd, &about);

	if (socket && !(is_open && is_behind(socket, &about))) {
		forget_number(net, fd, false);
		socket = NULL;
	}
	if (!socket && is_open)
		socket = adopt(net, fd, &about);
	if (socket)
		weft_net_refresh(socket);
	return socket;
}

void weft_net_look_around(struct weft_net *net)
{
	int largest = largest_fd();

	for (int fd = 0; fd <= largest; fd++)
		weft_net_find(net, fd);
}

/* Whom the program has bound by itself. */
static void learn_name(struct weft_net_socket *socket)
{
	struct sockaddr_storage storage;
	struct weft_address name;
	socklen_t len = sizeof(storage);

	if (weft_sys_getsockname(socket->fd, (struct sockaddr *)&storage, &len) < 0 ||
		weft_net_name_read(socket, (struct sockaddr *)&storage, len, &name) < 0 ||
		!weft_net_name_is_bound(&name))
		return;
	socket->local = name;
	socket->is_named = true;
	weft_list_push_tail(&socket->net->named, &socket->named);
}

void weft_net_refresh(struct weft_net_socket *socket)
{
	if (socket->state != WEFT_NET_FRESH || socket->fd < 0)
		return;
	if (!socket->is_named)
		learn_name(socket);
	if (!weft_net_is_stream(socket) || !option(socket->fd, SOL_SOCKET, SO_ACCEPTCONN))
		return;
	socket->state = WEFT_NET_LISTENS;
	socket->backlog_max = PLAIN_BACKLOG;
}

/* -- beginning --------------------------------------------------------------------------------- */

static void due(struct weft_simulation *sim, struct weft_sim_event *event)
{
	struct weft_net_socket *socket =
		weft_container_of(event, struct weft_net_socket, due);

	(void)sim;
	if (socket->state == WEFT_NET_CONNECTING)
		weft_net_knock_due(socket);
	else
		weft_net_stream_due(socket);
	weft_net_settle(socket->net);
}

struct weft_net_socket *weft_net_create(struct weft_net *net, int family, int type)
{
	struct weft_net_socket *socket = calloc(1, sizeof(*socket));

	if (!socket)
		return NULL;
	socket->net = net;
	socket->number = ++net->numbers;
	socket->fd = -1;
	socket->family = family;
	socket->type = type;
	socket->due.fire = due;
	weft_list_push_tail(&net->sockets, &socket->node);
	return socket;
}

int weft_net_open(
	struct weft_net *net, int fd, int family, int type, struct weft_net_socket **out)
{
	struct weft_net_socket *socket = weft_net_create(net, family, type);
	int rc = socket ? weft_net_attach(socket, fd) : -ENOMEM;

	if (rc < 0 && socket)
		weft_net_close(socket, false);
	*out = rc < 0 ? NULL : socket;
	return rc;
}

/* -- ending ------------------------------------------------------------------------------------ */

static void leave_peer(struct weft_net_socket *socket, bool abruptly)
{
	struct weft_net_socket *peer = socket->peer;
	bool unread = socket->coming + socket->ready > 0;

	if (!peer)
		return;
	peer->peer = NULL;
	socket->peer = NULL;
	if (unread || abruptly)
		weft_net_stream_end(peer, WEFT_NET_RESET);
	else if (!socket->out_shut)
		weft_net_stream_end(peer, WEFT_NET_END);
	weft_net_stir(peer);
}

static void drop_what_came(struct weft_net_socket *socket)
{
	if (weft_net_is_stream(socket))
		weft_net_stream_drop(socket);
	else
		weft_net_datagram_drop(socket);
}

void weft_net_close(struct weft_net_socket *socket, bool abruptly)
{
	if (socket->is_closed)
		return;
	socket->is_closed = true;
	if (socket->is_named)
		weft_list_remove(&socket->net->named, &socket->named);
	socket->is_named = false;
	if (socket->state == WEFT_NET_LISTENS)
		weft_net_listen_end(socket);
	if (socket->state == WEFT_NET_CONNECTING)
		weft_net_withdraw(socket);
	leave_peer(socket, abruptly);
	drop_what_came(socket);
	weft_net_stir(socket);
}

void weft_net_dispose(struct weft_net_socket *socket)
{
	if (!socket->fds && !socket->listener && weft_list_empty(&socket->waiting))
		weft_net_close(socket, false);
	if (!socket->is_closed || socket->is_stirred ||
		!weft_list_empty(&socket->waiting))
		return;
	weft_list_remove(&socket->net->sockets, &socket->node);
	free(socket);
}

/* -- what is left ------------------------------------------------------------------------------ */

static const char *name_of_kind(const struct weft_net_socket *socket)
{
	if (weft_net_is_unix(socket))
		return "unix";
	return weft_net_is_stream(socket) ? "TCP" : "UDP";
}

/* "a TCP connection accepted on " and the like, and whose address follows. */
static const char *describe(
	const struct weft_net_socket *socket, const struct weft_address **address)
{
	*address = &socket->local;
	if (socket->state == WEFT_NET_LISTENS)
		return "listener on ";
	if (socket->state == WEFT_NET_CONNECTED && socket->was_accepted)
		return "connection accepted on ";
	if (socket->state == WEFT_NET_FRESH && socket->is_named)
		return "socket on ";
	*address = &socket->remote;
	if (socket->state == WEFT_NET_CONNECTED)
		return "connection to ";
	return socket->state == WEFT_NET_CONNECTING ? "socket that connects to "
						    : "socket";
}

static void report(const struct weft_net_socket *socket)
{
	const struct weft_address *address;
	const char *what = describe(socket, &address);
	char text[TEXT], name[TEXT / 2] = "";

	if (what[strlen(what) - 1] == ' ' &&
		weft_address_format(address, name, sizeof(name)) < 0)
		name[0] = '\0';
	snprintf(text, sizeof(text), "descriptor %d, a %s %s%s, is still open",
		socket->fd, name_of_kind(socket), what, name);
	weft_sim_report(socket->net->sim, WEFT_REPORT_LEAK, -EBUSY, text);
}

static void close_numbers(struct weft_net *net)
{
	for (size_t fd = 0; fd < net->by_fd_count; fd++) {
		struct weft_net_socket *socket = net->by_fd[fd];

		if (socket && !socket->is_outside && leads_to((int)fd, socket))
			weft_sys_close((int)fd);
	}
}

void weft_net_leave_none(struct weft_net *net)
{
	struct weft_node *node;

	for (node = net->sockets.head; node; node = node->next) {
		struct weft_net_socket *socket =
			weft_container_of(node, struct weft_net_socket, node);

		if (weft_net_is_open(socket) && socket->fds && !socket->is_outside)
			report(socket);
	}
	close_numbers(net);
	while ((node = weft_list_pop_head(&net->sockets))) {
		struct weft_net_socket *socket =
			weft_container_of(node, struct weft_net_socket, node);

		weft_sim_forget(net->sim, &socket->due);
		drop_what_came(socket);
		free(socket);
	}
	free(net->by_fd);
	free(net->outside);
}
