/* SPDX-License-Identifier: MIT */
/*
 * net - the device of the simulated sockets: operations that come, wait and are cancelled. See net.h.
 */
#include "sim/net.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "io/optable.h"

enum {
	RESETS = 8, /* one in so many of those that could */
	REORDER_NS = 100 * 1000,
};

/* -- who waits --------------------------------------------------------------------------------- */

static int keep(struct weft_net_socket *socket, struct weft_op *op, uint64_t progress)
{
	struct weft_net_kept *kept = malloc(sizeof(*kept));

	if (!kept)
		return -ENOMEM;
	*kept = (struct weft_net_kept){.socket = socket, .op = op, .progress = progress};
	weft_list_push_tail(&socket->waiting, &kept->node);
	weft_list_push_tail(&socket->net->kept, &kept->all);
	return 0;
}

static void complete(struct weft_net *net, struct weft_op *op, int64_t result)
{
	net->ended++;
	weft_sim_complete(net->sim, op, result);
}

static void end_kept(struct weft_net_kept *kept, int64_t result)
{
	struct weft_net_socket *socket = kept->socket;
	struct weft_op *op = kept->op;

	weft_list_remove(&socket->waiting, &kept->node);
	weft_list_remove(&socket->net->kept, &kept->all);
	free(kept);
	if (!socket->fds)
		weft_net_stir(socket); /* nothing may hold it any more */
	complete(socket->net, op, result);
}

static void let_try(struct weft_net_socket *socket)
{
	struct weft_node *node = socket->waiting.head, *next;

	for (; node; node = next) {
		struct weft_net_kept *kept =
			weft_container_of(node, struct weft_net_kept, node);
		int64_t rc = weft_net_attempt(socket, kept->op, &kept->progress);

		next = node->next;
		if (rc != -EAGAIN)
			end_kept(kept, rc);
	}
}

void weft_net_stir(struct weft_net_socket *socket)
{
	if (socket->is_stirred)
		return;
	socket->is_stirred = true;
	weft_list_push_tail(&socket->net->stirred, &socket->stirred);
}

/* Ends: each attempt that stirs another has moved bytes, or ended something, and waiters are finite. */
void weft_net_settle(struct weft_net *net)
{
	struct weft_node *node;

	if (net->settling)
		return;
	net->settling = true;
	while ((node = weft_list_pop_head(&net->stirred))) {
		struct weft_net_socket *socket =
			weft_container_of(node, struct weft_net_socket, stirred);

		socket->is_stirred = false;
		let_try(socket);
		weft_net_dispose(socket);
	}
	net->settling = false;
}

/* -- attempts ---------------------------------------------------------------------------------- */

weft_ns weft_net_delay(struct weft_net *net)
{
	weft_ns delay = weft_sim_latency(net->sim);

	if (weft_sim_fault(net->sim, WEFT_SIM_REORDER))
		delay += 1 + (weft_ns)weft_sim_draw(net->sim, REORDER_NS);
	return delay;
}

int weft_net_take_error(struct weft_net_socket *socket)
{
	int error = socket->error;

	socket->error = 0;
	return error;
}

static int stream_events(struct weft_net_socket *socket)
{
	bool is_over;
	int come = 0;

	if (socket->peer)
		weft_net_is_open(socket->peer); /* else its end is told */
	is_over = socket->ended || socket->in_shut;
	if (is_over)
		come |= POLLRDHUP;
	if (socket->ready || is_over)
		come |= POLLIN;
	if (weft_net_stream_room(socket))
		come |= POLLOUT;
	if (is_over && (socket->out_shut || (weft_net_is_unix(socket) && !socket->peer)))
		come |= POLLHUP;
	return come;
}

static int message_events(struct weft_net_socket *socket)
{
	int come = 0;

	if (socket->in_shut)
		come |= POLLRDHUP;
	if (socket->arrived.head || socket->in_shut)
		come |= POLLIN;
	if (socket->out_shut || weft_net_datagram_has_room(socket))
		come |= POLLOUT;
	if (socket->in_shut && socket->out_shut)
		come |= POLLHUP;
	return come;
}

static int all_events(struct weft_net_socket *socket)
{
	if (!weft_net_is_stream(socket))
		return message_events(socket);
	switch (socket->state) {
	case WEFT_NET_FRESH:
		return POLLOUT | POLLHUP;
	case WEFT_NET_LISTENS:
		return socket->backlog.head ? POLLIN : 0;
	case WEFT_NET_CONNECTING:
		return 0;
	default:
		return stream_events(socket);
	}
}

int64_t weft_net_events(struct weft_net_socket *socket, short events)
{
	int come = all_events(socket) | (socket->error ? POLLERR : 0);

	if (come & POLLIN)
		come |= POLLRDNORM;
	if (come & POLLOUT)
		come |= POLLWRNORM;
	return come & ((uint16_t)events | POLLERR | POLLHUP);
}

static int64_t receive(
	struct weft_net_socket *socket, const struct weft_op *op, uint64_t *progress)
{
	struct weft_net_data data;
	int rc = weft_net_data_of(op, &data);

	if (rc < 0 || (data.reads && data.total == 0))
		return rc;
	if (data.flags & MSG_ERRQUEUE)
		return -EAGAIN;
	return weft_net_is_stream(socket)
		       ? weft_net_stream_receive(socket, &data, progress)
		       : weft_net_datagram_receive(socket, &data);
}

static int64_t send_data(
	struct weft_net_socket *socket, const struct weft_op *op, uint64_t *progress)
{
	struct weft_net_data data;
	int rc = weft_net_data_of(op, &data);

	if (rc < 0)
		return rc;
	return weft_net_is_stream(socket) ? weft_net_stream_send(socket, &data, progress)
					  : weft_net_datagram_send(socket, &data);
}

int64_t weft_net_attempt(
	struct weft_net_socket *socket, const struct weft_op *op, uint64_t *progress)
{
	int64_t rc;

	switch (op->code) {
	case IORING_OP_POLL_ADD:
		rc = weft_net_events(socket, weft_op_poll_events(op));
		return rc ? rc : -EAGAIN;
	case IORING_OP_ACCEPT:
		return weft_net_accept(socket, op);
	case IORING_OP_CONNECT:
		return weft_net_connected(socket);
	case IORING_OP_RECV:
	case IORING_OP_RECVMSG:
	case IORING_OP_READ:
	case IORING_OP_READV:
		return receive(socket, op, progress);
	default:
		return send_data(socket, op, progress);
	}
}

/* -- operations that come ---------------------------------------------------------------------- */

static bool takes(struct weft_simulation *sim, void *state, const struct weft_op *op)
{
	struct weft_net *net = state;
	struct weft_net_socket *in, *out;

	(void)sim;
	switch (op->code) {
	case IORING_OP_SPLICE:
		return weft_net_splices(net, op, &in, &out);
	case IORING_OP_POLL_ADD:
	case IORING_OP_ACCEPT:
	case IORING_OP_CONNECT:
	case IORING_OP_RECV:
	case IORING_OP_RECVMSG:
	case IORING_OP_READ:
	case IORING_OP_READV:
	case IORING_OP_SEND:
	case IORING_OP_SEND_ZC:
	case IORING_OP_SENDMSG:
	case IORING_OP_WRITE:
	case IORING_OP_WRITEV:
		net->found = weft_net_find(net, op->fd);
		if (!net->found)
			weft_net_settle(net); /* another may have had the number */
		return net->found != NULL;
	default:
		return false;
	}
}

static bool transfers(const struct weft_op *op)
{
	return op->code != IORING_OP_POLL_ADD && op->code != IORING_OP_ACCEPT &&
	       op->code != IORING_OP_CONNECT;
}

/* A network breaks connections now and then; within one machine nothing does. */
static bool breaks(const struct weft_net_socket *socket, const struct weft_op *op)
{
	struct weft_simulation *sim = socket->net->sim;

	return socket->peer && !weft_net_is_unix(socket) && transfers(op) &&
	       weft_sim_fault(sim, WEFT_SIM_RESET) && weft_sim_draw(sim, RESETS) == 0;
}

static int64_t begin(
	struct weft_net_socket *socket, const struct weft_op *op, uint64_t *progress)
{
	if (breaks(socket, op))
		weft_net_stream_reset(socket);
	if (op->code == IORING_OP_CONNECT)
		return weft_net_connect(
			socket, (const void *)(uintptr_t)op->addr, (socklen_t)op->off);
	return weft_net_attempt(socket, op, progress);
}

static bool waits(const struct weft_op *op, int64_t rc)
{
	return op->code == IORING_OP_CONNECT
		       ? rc == -EINPROGRESS
		       : rc == -EAGAIN && !weft_op_answers_again(op);
}

static int submit_to(
	struct weft_net *net, struct weft_net_socket *socket, struct weft_op *op)
{
	uint64_t progress = 0;
	int64_t rc = begin(socket, op, &progress);

	if (waits(op, rc)) {
		int kept = keep(socket, op, progress);

		if (kept == 0 || !progress)
			return kept;
	}
	complete(net, op, progress ? (int64_t)progress : rc);
	return 0;
}

static int submit(struct weft_simulation *sim, void *state, struct weft_op *op)
{
	struct weft_net *net = state;
	int rc = 0;

	(void)sim;
	if (op->code == IORING_OP_SPLICE)
		complete(net, op, weft_net_splice(net, op));
	else
		rc = submit_to(net, net->found, op);
	weft_net_settle(net);
	return rc;
}

/* -- operations that are ended ----------------------------------------------------------------- */

static void end_early(struct weft_net_kept *kept)
{
	struct weft_net_socket *socket = kept->socket;

	/* Over the network it goes on; a unix one that is not let in does not wait. */
	if (kept->op->code == IORING_OP_CONNECT && weft_net_is_unix(socket) &&
		socket->state == WEFT_NET_CONNECTING)
		weft_net_withdraw(socket);
	end_kept(kept, kept->progress ? (int64_t)kept->progress : -ECANCELED);
}

/* All that match: op, or, where that is NULL, those of fd. */
static void end_some(struct weft_net *net, const struct weft_op *op, int fd)
{
	struct weft_node *node = net->kept.head, *next;

	for (; node; node = next) {
		struct weft_net_kept *kept =
			weft_container_of(node, struct weft_net_kept, all);

		next = node->next;
		if (op ? kept->op == op : kept->op->fd == fd)
			end_early(kept);
	}
	weft_net_settle(net);
}

static void cancel(struct weft_simulation *sim, void *state, struct weft_op *op)
{
	(void)sim;
	end_some(state, op, -1);
}

static void cancel_fd(struct weft_simulation *sim, void *state, int fd)
{
	(void)sim;
	end_some(state, NULL, fd);
}

static void closing(struct weft_simulation *sim, void *state, int fd)
{
	(void)sim;
	weft_net_detach(state, fd);
	weft_net_settle(state);
}

/* Has the program closed, with close(2), what somebody waits for? */
static unsigned look_outside(struct weft_simulation *sim, void *state, bool wait)
{
	struct weft_net *net = state;
	uint64_t before = net->ended;

	(void)sim, (void)wait;
	for (struct weft_node *node = net->kept.head; node; node = node->next) {
		struct weft_net_socket *socket =
			weft_container_of(node, struct weft_net_kept, all)->socket;

		if (socket->peer)
			weft_net_is_open(socket->peer);
		if (socket->listener)
			weft_net_is_open(socket->listener);
	}
	weft_net_settle(net);
	return (unsigned)(net->ended - before);
}

/* -- the device -------------------------------------------------------------------------------- */

static int open_net(struct weft_simulation *sim, void **state)
{
	struct weft_net *net = calloc(1, sizeof(*net));

	*state = sim->net = net;
	if (!net)
		return -ENOMEM;
	net->sim = sim;
	return weft_net_note_outside(net);
}

static void close_net(struct weft_simulation *sim, void *state)
{
	struct weft_net *net = state;
	struct weft_node *node;

	while ((node = weft_list_pop_head(&net->flying))) {
		struct weft_net_datagram *datagram =
			weft_container_of(node, struct weft_net_datagram, node);

		weft_sim_forget(sim, &datagram->due);
		free(datagram);
	}
	weft_net_leave_none(net);
	free(net);
	sim->net = NULL;
}

const struct weft_sim_device weft_sim_net = {
	.name = "net",
	.open = open_net,
	.close = close_net,
	.takes = takes,
	.submit = submit,
	.cancel = cancel,
	.cancel_fd = cancel_fd,
	.closing = closing,
	.look_outside = look_outside,
};
