/* SPDX-License-Identifier: MIT */
/*
 * net_datagram - messages between simulated sockets, UDP and unix.
 *
 * Each flies by itself, and looks for its receiver where it arrives. A UDP message that finds nobody, or no
 * room, is lost; a connected sender is told of the former. A unix one waits at its sender for room.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/un.h>

#include "base/sys.h"
#include "sim/net.h"

static struct weft_net_datagram *first(const struct weft_net_socket *socket)
{
	struct weft_node *head = socket->arrived.head;

	return head ? weft_container_of(head, struct weft_net_datagram, node) : NULL;
}

void weft_net_datagram_drop(struct weft_net_socket *socket)
{
	struct weft_net_datagram *datagram;

	while ((datagram = first(socket))) {
		weft_list_remove(&socket->arrived, &datagram->node);
		free(datagram);
	}
	socket->ready = 0;
}

static struct weft_net_socket *of_number(struct weft_net *net, uint64_t number)
{
	for (struct weft_node *node = net->sockets.head; node; node = node->next) {
		struct weft_net_socket *socket =
			weft_container_of(node, struct weft_net_socket, node);

		if (socket->number == number)
			return socket->is_closed ? NULL : socket;
	}
	return NULL;
}

/* -- receivers --------------------------------------------------------------------------------- */

/* Who is connected to the sender comes before who listens to all. */
static struct weft_net_socket *receiver_of(struct weft_net *net,
	const struct weft_address *to, const struct weft_address *from)
{
	struct weft_net_socket *found = NULL;
	struct weft_node *node = net->named.head, *next;
	unsigned best = 0;

	for (; node; node = next) {
		struct weft_net_socket *socket =
			weft_container_of(node, struct weft_net_socket, named);
		bool chooses = socket->remote.len && !weft_net_is_unix(socket);
		unsigned match = weft_net_is_stream(socket)
					 ? 0
					 : weft_net_name_matches(socket, to);

		next = node->next;
		if (match && chooses)
			match = weft_net_name_same(&socket->remote, from) ? match + 3 : 0;
		if (match <= best || !weft_net_is_open(socket))
			continue;
		best = match;
		found = socket;
	}
	return found;
}

static struct weft_net_socket *find_receiver(struct weft_net *net,
	const struct weft_address *to, const struct weft_address *from)
{
	struct weft_net_socket *found = receiver_of(net, to, from);

	if (found)
		return found;
	weft_net_look_around(net);
	return receiver_of(net, to, from);
}

static bool has_room(const struct weft_net_socket *receiver, size_t n)
{
	size_t used = receiver->coming + receiver->ready;

	return used == 0 || used + n <= WEFT_NET_WINDOW;
}

bool weft_net_datagram_has_room(struct weft_net_socket *socket)
{
	struct weft_net_socket *receiver;

	if (!weft_net_is_unix(socket) || !socket->remote.len)
		return true;
	receiver = find_receiver(socket->net, &socket->remote, &socket->local);
	return !receiver || receiver->coming + receiver->ready < WEFT_NET_WINDOW;
}

/* Those who wait to send a unix message may wait for this room. */
static void room_again(struct weft_net *net)
{
	for (struct weft_node *node = net->kept.head; node; node = node->next) {
		struct weft_net_kept *kept =
			weft_container_of(node, struct weft_net_kept, all);

		if (weft_net_is_unix(kept->socket) && !weft_net_is_stream(kept->socket))
			weft_net_stir(kept->socket);
	}
}

/* -- flying ------------------------------------------------------------------------------------ */

/* Nobody is there: who is connected is told. */
static void lose(struct weft_net *net, const struct weft_net_datagram *datagram)
{
	struct weft_net_socket *sender = of_number(net, datagram->sender);

	if (!sender || !sender->remote.len || weft_net_is_unix(sender) ||
		!weft_net_name_same(&sender->remote, &datagram->to))
		return;
	sender->error = -ECONNREFUSED;
	weft_net_stir(sender);
}

static void arrive(struct weft_net *net, struct weft_net_datagram *datagram)
{
	struct weft_net_socket *receiver =
		datagram->receiver ? of_number(net, datagram->receiver)
				   : find_receiver(net, &datagram->to, &datagram->from);

	if (datagram->receiver && receiver)
		receiver->coming -= datagram->size;
	if (!receiver)
		lose(net, datagram);
	if (!receiver || !has_room(receiver, datagram->size)) {
		free(datagram);
		return;
	}
	weft_list_push_tail(&receiver->arrived, &datagram->node);
	receiver->ready += datagram->size;
	weft_net_stir(receiver);
}

static void due(struct weft_simulation *sim, struct weft_sim_event *event)
{
	struct weft_net_datagram *datagram =
		weft_container_of(event, struct weft_net_datagram, due);
	struct weft_net *net = datagram->net;

	(void)sim;
	weft_list_remove(&net->flying, &datagram->node);
	arrive(net, datagram);
	weft_net_settle(net);
}

/* In the order in which they were sent, unless the order is to be broken. */
static void fly(struct weft_net_socket *socket, struct weft_net_datagram *datagram)
{
	struct weft_simulation *sim = socket->net->sim;
	weft_ns at = weft_time_add(sim->now, weft_net_delay(socket->net));

	if (at < socket->last_at && !weft_sim_fault(sim, WEFT_SIM_REORDER))
		at = socket->last_at;
	if (at > socket->last_at)
		socket->last_at = at;
	if (at <= sim->now) {
		arrive(socket->net, datagram);
		return;
	}
	weft_list_push_tail(&socket->net->flying, &datagram->node);
	weft_sim_at(sim, &datagram->due, at);
}

/* -- sending ----------------------------------------------------------------------------------- */

/* To whom: whom the call names, or whom the socket is connected to. */
static int address(struct weft_net_socket *socket, const struct weft_net_data *data,
	struct weft_address *to)
{
	const struct msghdr *msg = data->msg;
	int rc;

	if (msg && msg->msg_name && msg->msg_namelen) {
		rc = weft_net_name_read(socket, msg->msg_name, msg->msg_namelen, to);
		if (rc < 0)
			return rc;
		weft_net_name_aim(to);
		return weft_net_name_is_bound(to) ? 0 : -EINVAL;
	}
	if (!socket->remote.len)
		return weft_net_is_unix(socket) ? -ENOTCONN : -EDESTADDRREQ;
	*to = socket->remote;
	return 0;
}

/* A unix message's receiver is there, and has room for it. */
static int check_receiver(struct weft_net_socket *socket, const struct weft_address *to,
	const struct weft_address *from, size_t n, uint64_t *number)
{
	struct weft_net_socket *receiver = find_receiver(socket->net, to, from);
	const struct sockaddr_un *un = (const struct sockaddr_un *)&to->storage;

	if (!receiver)
		return un->sun_path[0] && !socket->remote.len ? -ENOENT : -ECONNREFUSED;
	if (receiver->remote.len && !weft_net_name_same(&receiver->remote, from))
		return -EPERM;
	if (receiver->in_shut)
		return -EPIPE;
	if (!has_room(receiver, n))
		return -EAGAIN;
	receiver->coming += n;
	*number = receiver->number;
	return 0;
}

static int refuse(struct weft_net_socket *socket, const struct weft_net_data *data)
{
	if (data->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (socket->error)
		return weft_net_take_error(socket);
	if (socket->out_shut)
		return -EPIPE;
	return data->total > WEFT_NET_DATAGRAM ? -EMSGSIZE : 0;
}

int64_t weft_net_datagram_send(
	struct weft_net_socket *socket, const struct weft_net_data *data)
{
	struct weft_net_datagram *datagram;
	struct weft_address to;
	int rc = refuse(socket, data);

	if (rc == 0)
		rc = address(socket, data, &to);
	if (rc == 0)
		rc = weft_net_name_self(socket, &to);
	if (rc < 0)
		return rc;
	datagram = calloc(1, sizeof(*datagram) + data->total);
	if (!datagram)
		return -ENOMEM;
	datagram->from = weft_net_name_seen(socket, &to);
	if (weft_net_is_unix(socket))
		rc = check_receiver(
			socket, &to, &datagram->from, data->total, &datagram->receiver);
	if (rc < 0) {
		free(datagram);
		return rc;
	}
	datagram->due.fire = due;
	datagram->net = socket->net;
	datagram->to = to;
	datagram->sender = socket->number;
	datagram->size = data->total;
	weft_net_gather(data, 0, datagram->data, data->total);
	fly(socket, datagram);
	return (int64_t)data->total;
}

/* -- receiving --------------------------------------------------------------------------------- */

static void fill_in(const struct weft_net_socket *socket,
	const struct weft_net_data *data, const struct weft_net_datagram *datagram)
{
	struct msghdr *msg = data->msg;

	if (!msg)
		return;
	msg->msg_flags = datagram->size > data->total ? MSG_TRUNC : 0;
	msg->msg_controllen = 0;
	if (!msg->msg_name || !datagram->from.len)
		msg->msg_namelen = 0;
	else
		msg->msg_namelen = weft_net_name_write(
			socket, &datagram->from, msg->msg_name, msg->msg_namelen);
}

int64_t weft_net_datagram_receive(
	struct weft_net_socket *socket, const struct weft_net_data *data)
{
	struct weft_net_datagram *datagram = first(socket);
	size_t n, size;

	if (data->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (socket->error)
		return weft_net_take_error(socket);
	if (!datagram)
		return socket->in_shut ? 0 : -EAGAIN;
	size = datagram->size;
	n = size < data->total ? size : data->total;
	weft_net_scatter(data, 0, datagram->data, n);
	fill_in(socket, data, datagram);
	if (!(data->flags & MSG_PEEK)) {
		weft_list_remove(&socket->arrived, &datagram->node);
		free(datagram);
		socket->ready -= size;
		if (weft_net_is_unix(socket))
			room_again(socket->net);
	}
	return (int64_t)(data->flags & MSG_TRUNC ? size : n);
}
