/* SPDX-License-Identifier: MIT */
/*
 * net_stream - what connections carry, and how they end.
 *
 * Each end keeps what comes to it: pieces in transit, then those that have arrived, and after the last of them
 * perhaps an end or a reset. What is sent arrives in the order in which it was sent. The window counts both, so
 * a sender waits until the other end has read. Errors are those of Linux: what has arrived before a reset can
 * be read; who sends to a peer that is gone learns it from the answer, over TCP, or at once (unix).
 */
#include <errno.h>
#include <stdlib.h>

#include "base/sys.h"
#include "sim/net.h"

static struct weft_net_chunk *first(struct weft_list *list)
{
	return list->head ? weft_container_of(list->head, struct weft_net_chunk, node)
			  : NULL;
}

static void drop(struct weft_list *list)
{
	struct weft_node *node;

	while ((node = weft_list_pop_head(list)))
		free(weft_container_of(node, struct weft_net_chunk, node));
}

void weft_net_stream_drop(struct weft_net_socket *socket)
{
	drop(&socket->transit);
	drop(&socket->arrived);
	socket->coming = socket->ready = 0;
	socket->ending = WEFT_NET_GOES_ON;
	weft_sim_forget(socket->net->sim, &socket->due);
}

/* -- arriving ---------------------------------------------------------------------------------- */

static void shut_both(struct weft_net_socket *socket, int error)
{
	socket->error = error;
	socket->in_shut = socket->out_shut = true;
}

static void end_arrives(struct weft_net_socket *socket)
{
	bool is_reset = socket->ending == WEFT_NET_RESET;

	socket->ending = WEFT_NET_GOES_ON;
	if (is_reset)
		shut_both(socket, socket->ended && !weft_net_is_unix(socket)
					  ? -EPIPE
					  : -ECONNRESET);
	else
		socket->ended = true;
	weft_net_stir(socket);
}

/* What is due comes in; the next of it is waited for. */
static void advance(struct weft_net_socket *socket)
{
	struct weft_simulation *sim = socket->net->sim;
	struct weft_net_chunk *chunk;

	while ((chunk = first(&socket->transit)) && chunk->at <= sim->now) {
		weft_list_remove(&socket->transit, &chunk->node);
		weft_list_push_tail(&socket->arrived, &chunk->node);
		socket->coming -= chunk->size;
		socket->ready += chunk->size;
		weft_net_stir(socket);
	}
	if (!chunk && socket->ending != WEFT_NET_GOES_ON && socket->ending_at <= sim->now)
		end_arrives(socket);
	if (weft_sim_pending(&socket->due))
		return;
	if (chunk)
		weft_sim_at(sim, &socket->due, chunk->at);
	else if (socket->ending != WEFT_NET_GOES_ON)
		weft_sim_at(sim, &socket->due, socket->ending_at);
}

void weft_net_stream_due(struct weft_net_socket *socket)
{
	advance(socket);
}

/* When something that is sent now to that end arrives: not before what was sent before it. */
static weft_ns arrival(struct weft_net_socket *to)
{
	weft_ns at = weft_time_add(to->net->sim->now, weft_net_delay(to->net));

	if (at < to->last_at)
		at = to->last_at;
	to->last_at = at;
	return at;
}

void weft_net_stream_end(struct weft_net_socket *told, enum weft_net_ending ending)
{
	told->ending = ending;
	told->ending_at = arrival(told);
	advance(told);
}

void weft_net_stream_reset(struct weft_net_socket *socket)
{
	struct weft_net_socket *peer = socket->peer;

	socket->peer = NULL;
	weft_net_stream_drop(socket);
	shut_both(socket, -ECONNRESET);
	weft_net_stir(socket);
	if (!peer)
		return;
	peer->peer = NULL;
	weft_net_stream_end(peer, WEFT_NET_RESET);
	weft_net_stir(peer);
}

/* -- sending ----------------------------------------------------------------------------------- */

int64_t weft_net_stream_room(struct weft_net_socket *socket)
{
	bool is_unix = weft_net_is_unix(socket);
	size_t used;

	if (socket->state == WEFT_NET_CONNECTING && !is_unix)
		return 0;
	if (socket->state != WEFT_NET_CONNECTED)
		return is_unix ? -ENOTCONN : -EPIPE;
	if (socket->peer)
		weft_net_is_open(socket->peer); /* else it is the peer no more */
	if (socket->error)
		return socket->error;
	if (socket->out_shut)
		return -EPIPE;
	if (is_unix && (!socket->peer || socket->peer->in_shut))
		return -EPIPE;
	if (!socket->peer)
		return WEFT_NET_WINDOW;
	used = socket->peer->coming + socket->peer->ready;
	return used < WEFT_NET_WINDOW ? (int64_t)(WEFT_NET_WINDOW - used) : 0;
}

void weft_net_stream_push(struct weft_net_socket *socket, struct weft_net_chunk *chunk)
{
	struct weft_net_socket *peer = socket->peer;

	if (!peer) { /* nobody receives it, and says so */
		free(chunk);
		if (socket->ending != WEFT_NET_RESET)
			weft_net_stream_end(socket, WEFT_NET_RESET);
		return;
	}
	chunk->at = arrival(peer);
	peer->coming += chunk->size;
	weft_list_push_tail(&peer->transit, &chunk->node);
	advance(peer);
}

static int64_t send_some(struct weft_net_socket *socket, const struct weft_net_data *data,
	size_t skip, size_t n)
{
	struct weft_net_chunk *chunk = malloc(sizeof(*chunk) + n);

	if (!chunk)
		return -ENOMEM;
	chunk->size = n;
	chunk->taken = 0;
	weft_net_gather(data, skip, chunk->data, n);
	weft_net_stream_push(socket, chunk);
	return (int64_t)n;
}

/* All that there is room for; or, if it need not be all, perhaps less. */
static int64_t send_part(struct weft_net_socket *socket, const struct weft_net_data *data,
	size_t skip, bool wants_all)
{
	int64_t room = weft_net_stream_room(socket);
	size_t n = data->total - skip;

	if (room < 0 && room == socket->error && !skip)
		socket->error = 0;
	if (room < 0 || n == 0)
		return room < 0 ? room : 0;
	if (room == 0)
		return -EAGAIN;
	if (n > (size_t)room)
		n = (size_t)room;
	return send_some(
		socket, data, skip, wants_all ? n : weft_sim_part(socket->net->sim, n));
}

int64_t weft_net_stream_send(struct weft_net_socket *socket,
	const struct weft_net_data *data, uint64_t *progress)
{
	bool wants_all = data->flags & MSG_WAITALL && !(data->flags & MSG_DONTWAIT);
	int64_t rc;

	if (data->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (weft_net_is_unix(socket) && data->msg && data->msg->msg_namelen)
		return socket->state == WEFT_NET_CONNECTED ? -EISCONN : -EOPNOTSUPP;
	do { /* ends: the window is bounded */
		rc = send_part(socket, data, *progress, wants_all);
		if (rc > 0)
			*progress += (uint64_t)rc;
	} while (rc > 0 && wants_all && *progress < data->total);
	return rc == -EAGAIN || !*progress ? rc : (int64_t)*progress;
}

/* -- receiving --------------------------------------------------------------------------------- */

/* Nothing is there, and there will be nothing: 0 or an error. -EAGAIN: it may come. */
static int64_t nothing(struct weft_net_socket *socket, bool may_tell)
{
	if (socket->peer)
		weft_net_is_open(socket->peer); /* else its end is told */
	if (socket->error)
		return may_tell ? weft_net_take_error(socket) : 0;
	return socket->ended || socket->in_shut ? 0 : -EAGAIN;
}

static void copy_out(struct weft_net_socket *socket, const struct weft_net_data *data,
	size_t skip, size_t n)
{
	for (struct weft_node *node = socket->arrived.head; n > 0; node = node->next) {
		struct weft_net_chunk *chunk =
			weft_container_of(node, struct weft_net_chunk, node);
		size_t left = chunk->size - chunk->taken, part = left < n ? left : n;

		weft_net_scatter(data, skip, chunk->data + chunk->taken, part);
		skip += part;
		n -= part;
	}
}

void weft_net_stream_take(struct weft_net_socket *socket, size_t n)
{
	socket->ready -= n;
	while (n > 0) {
		struct weft_net_chunk *chunk = first(&socket->arrived);
		size_t left = chunk->size - chunk->taken, part = left < n ? left : n;

		chunk->taken += part;
		n -= part;
		if (chunk->taken < chunk->size)
			break;
		weft_list_remove(&socket->arrived, &chunk->node);
		free(chunk);
	}
	if (socket->peer)
		weft_net_stir(socket->peer);
}

static void fill_in(
	const struct weft_net_socket *socket, const struct weft_net_data *data)
{
	struct msghdr *msg = data->msg;

	if (!msg)
		return;
	msg->msg_flags = 0;
	msg->msg_controllen = 0;
	if (msg->msg_name && weft_net_is_unix(socket) && socket->remote.len)
		msg->msg_namelen = weft_net_name_write(
			socket, &socket->remote, msg->msg_name, msg->msg_namelen);
	else
		msg->msg_namelen = 0;
}

static int refuse(const struct weft_net_socket *socket, int flags)
{
	if (flags & MSG_OOB)
		return weft_net_is_unix(socket) ? -EOPNOTSUPP : -EINVAL;
	if (socket->state == WEFT_NET_CONNECTED)
		return 0;
	if (weft_net_is_unix(socket))
		return -EINVAL;
	return socket->state == WEFT_NET_CONNECTING ? -EAGAIN : -ENOTCONN;
}

/* What there is, in addition to the first skip bytes; -EAGAIN, 0 at the end. */
static int64_t receive_part(struct weft_net_socket *socket,
	const struct weft_net_data *data, size_t skip, bool wants_all)
{
	size_t n = data->total - skip;

	if (!socket->ready)
		return nothing(socket, !skip);
	if (n > socket->ready)
		n = socket->ready;
	if (n > 0 && !wants_all)
		n = weft_sim_part(socket->net->sim, n);
	copy_out(socket, data, skip, n);
	if (!(data->flags & MSG_PEEK))
		weft_net_stream_take(socket, n);
	return (int64_t)n;
}

int64_t weft_net_stream_receive(struct weft_net_socket *socket,
	const struct weft_net_data *data, uint64_t *progress)
{
	bool wants_all =
		data->flags & MSG_WAITALL && !(data->flags & (MSG_DONTWAIT | MSG_PEEK));
	int64_t rc = refuse(socket, data->flags);

	if (rc < 0)
		return rc;
	do { /* ends: what has arrived does */
		rc = receive_part(socket, data, *progress, wants_all);
		if (rc > 0)
			*progress += (uint64_t)rc;
	} while (rc > 0 && wants_all && *progress < data->total);
	if (rc == -EAGAIN || (rc < 0 && !*progress))
		return rc;
	fill_in(socket, data);
	return (int64_t)*progress;
}

/* -- shutting down ----------------------------------------------------------------------------- */

static int shut_listener(struct weft_net_socket *socket, bool in)
{
	if (in)
		weft_net_listen_end(socket);
	return 0;
}

int weft_net_shutdown(struct weft_net_socket *socket, int how)
{
	bool in = how == SHUT_RD || how == SHUT_RDWR,
	     out = how == SHUT_WR || how == SHUT_RDWR;
	bool is_connected = socket->state == WEFT_NET_CONNECTED ||
			    (!weft_net_is_stream(socket) && socket->remote.len);

	if (!in && !out)
		return -EINVAL;
	if (socket->state == WEFT_NET_LISTENS)
		return shut_listener(socket, in);
	if (socket->state == WEFT_NET_CONNECTED && !socket->peer &&
		!weft_net_is_unix(socket) && socket->in_shut)
		return -ENOTCONN; /* it was reset */
	if (is_connected || !weft_net_is_stream(socket)) {
		socket->in_shut |= in;
		if (out && !socket->out_shut && socket->peer)
			weft_net_stream_end(socket->peer, WEFT_NET_END);
		socket->out_shut |= out;
		if (socket->peer)
			weft_net_stir(socket->peer);
		weft_net_stir(socket);
	}
	return is_connected || weft_net_is_unix(socket) ? 0 : -ENOTCONN;
}
