/* SPDX-License-Identifier: MIT */
/*
 * net - the simulated sockets: TCP, UDP and unix ones, all in memory. What their files share.
 *
 *	net.c		the device: operations that come, wait and are cancelled
 *	net_socket.c	which socket is behind a number; how one begins and ends; what is left open
 *	net_name.c	addresses: who is meant by one, which are taken, new ports
 *	net_connect.c	listeners, and how connections come about
 *	net_stream.c	what connections carry, and how they end
 *	net_datagram.c	messages
 *	net_data.c	the buffers of an operation
 *	net_splice.c	bytes between a socket and a pipe of the kernel's
 *	net_ground.c	the calls that are no operations
 *
 * The machine has every address, and a loopback without a name server. A socket has a descriptor of the
 * kernel's, which is never bound nor connected here: programs may set options on it, close it with close(2),
 * and even bind(2) it and listen(2): it is asked what it is when the socket is used.
 *
 * Life:   a socket is freed when no descriptor leads to it, nothing waits on it and no backlog holds it. The
 *         two ends of a connection know each other until one is closed or the connection is reset.
 * Order:  a change of a socket stirs it: those who wait on it try again, first come first served, before
 *         the call that made the change returns (weft_net_settle). Nothing is ever looked for in the order of
 *         numbers or addresses of memory: they are not the same in each run.
 */
#ifndef WEFT_LIB_SIM_NET_H
#define WEFT_LIB_SIM_NET_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "io/address.h"
#include "sim/io.h"

enum {
	WEFT_NET_WINDOW =
		64 *
		1024, /* bytes on their way to a socket and in it; then the sender waits */
	WEFT_NET_DATAGRAM = 65507,   /* a message's, at most */
	WEFT_NET_BACKLOG = 4096,     /* listen's, at most */
	WEFT_NET_PORT_FIRST = 61000, /* none that Linux gives to a bind(2) of port 0 */
	WEFT_NET_PORTS = 65536 - WEFT_NET_PORT_FIRST,
};

enum weft_net_state {
	WEFT_NET_FRESH, /* or a message socket */
	WEFT_NET_LISTENS,
	WEFT_NET_CONNECTING,
	WEFT_NET_CONNECTED, /* or was: both ways may be shut */
};

/* What comes after the last byte. */
enum weft_net_ending { WEFT_NET_GOES_ON, WEFT_NET_END, WEFT_NET_RESET };

struct weft_net {
	struct weft_simulation *sim;
	struct weft_list sockets; /* in order of creation */
	struct weft_list named;   /* of them, those that an address may mean */
	struct weft_list kept;    /* operations that wait, in order of submission */
	struct weft_list stirred;
	struct weft_list flying;        /* datagrams on their way */
	struct weft_net_socket **by_fd; /* whom a number was last seen to lead to */
	struct weft_net_socket
		*found; /* whose operation it is: between takes and submit */
	size_t by_fd_count;
	uint64_t numbers;
	uint64_t ended; /* operations, so far */
	unsigned ports, names;
	ino_t *outside; /* sockets that were there before the simulation */
	size_t outside_count;
	bool settling;
};

/* A piece of a stream. */
struct weft_net_chunk {
	struct weft_node node;
	weft_ns at; /* when it arrives */
	size_t size, taken;
	char data[];
};

struct weft_net_datagram {
	struct weft_node node; /* of flying, or of its receiver's arrived */
	struct weft_sim_event due;
	struct weft_net *net;
	struct weft_address from, to;
	uint64_t sender;   /* its number */
	uint64_t receiver; /* of a unix one, whose window it is counted in; else 0 */
	size_t size;
	char data[];
};

/* An operation that waits. */
struct weft_net_kept {
	struct weft_node node; /* of its socket's */
	struct weft_node all;  /* of net's */
	struct weft_net_socket *socket;
	struct weft_op *op;
	uint64_t progress; /* of one that wants everything */
};

struct weft_net_socket {
	struct weft_node node, named, stirred;
	struct weft_net *net;
	uint64_t number;
	/* the descriptor */
	int fd;       /* -1: none yet, or none any more */
	unsigned fds; /* how many are known to lead here */
	dev_t dev;    /* what is behind them, by which reuse of a number is found out */
	ino_t ino;
	bool is_outside; /* it was there before the simulation: not ours to close */
	/* what it is */
	int family, type;
	enum weft_net_state state;
	bool is_named, is_stirred, is_closed, was_accepted;
	struct weft_address local, remote; /* len 0: none */
	struct weft_net_socket *peer;
	int error;     /* to be told once; 0: none */
	bool refused;  /* its connect will be, whoever listens */
	bool in_shut;  /* nothing more is received than what has arrived */
	bool out_shut; /* nothing more is sent */
	/* a listener: connections not accepted yet, by place; and who finds no room there */
	struct weft_list backlog, knocking;
	struct weft_node place;
	struct weft_net_socket *listener; /* in whose backlog, or at whose door it is */
	unsigned pending, backlog_max;
	/* what comes in */
	struct weft_list transit,
		arrived;             /* chunks; arrived: datagrams of a message socket */
	size_t coming, ready;        /* bytes in transit and arrived */
	enum weft_net_ending ending; /* in transit, behind all that */
	weft_ns ending_at;
	weft_ns last_at;           /* nothing arrives before what was sent before */
	bool ended;                /* the peer's end has arrived */
	struct weft_sim_event due; /* of the first in transit; of a connect */
	/* operations */
	struct weft_list waiting;
};

/* The buffers of an operation. */
struct weft_net_data {
	const struct iovec *iov;
	size_t count;
	size_t total;
	struct msghdr *msg; /* NULL: a plain one */
	int flags;          /* MSG_... */
	bool reads;         /* read(2) or write(2), which have no flags */
	struct iovec one;
};

static inline bool weft_net_is_stream(const struct weft_net_socket *socket)
{
	return socket->type == SOCK_STREAM;
}

static inline bool weft_net_is_unix(const struct weft_net_socket *socket)
{
	return socket->family == AF_UNIX;
}

/* -- net.c ------------------------------------------------------------------------------------- */

/* Something of it has changed. */
void weft_net_stir(struct weft_net_socket *socket);
/* Let those try again who wait on what was stirred. The last step of each call from outside. */
void weft_net_settle(struct weft_net *net);
/* The poll events that have come, among those and errors. */
int64_t weft_net_events(struct weft_net_socket *socket, short events);
/* What something that is sent now takes to arrive. */
weft_ns weft_net_delay(struct weft_net *net);
/* Carry out what does not wait: its result, or -EAGAIN. *progress: what a call that wants everything has. */
int64_t weft_net_attempt(
	struct weft_net_socket *socket, const struct weft_op *op, uint64_t *progress);
/* What has gone wrong, once. */
int weft_net_take_error(struct weft_net_socket *socket);

/* -- net_socket.c ------------------------------------------------------------------------------ */

/* Whose number this is now; NULL: no simulated socket's, or out of memory. */
struct weft_net_socket *weft_net_find(struct weft_net *net, int fd);
/* That number leads to a new socket. -ENOMEM. */
int weft_net_open(
	struct weft_net *net, int fd, int family, int type, struct weft_net_socket **out);
/* One without a descriptor; NULL: no memory. */
struct weft_net_socket *weft_net_create(struct weft_net *net, int family, int type);
/* This descriptor has been made for it. -ENOMEM. */
int weft_net_attach(struct weft_net_socket *socket, int fd);
/* Does a descriptor still lead there, or an operation wait? If not it is closed. */
bool weft_net_is_open(struct weft_net_socket *socket);
/* The number is about to be closed. */
void weft_net_detach(struct weft_net *net, int fd);
/* Nothing leads there any more. */
void weft_net_close(struct weft_net_socket *socket, bool abruptly);
/* Free it if nothing holds it. Not while anybody looks at it. */
void weft_net_dispose(struct weft_net_socket *socket);
/* Who was found by nobody: look over all descriptors for sockets that the program made by itself. */
void weft_net_look_around(struct weft_net *net);
/* What the program has done to it by itself: bind(2), listen(2). */
void weft_net_refresh(struct weft_net_socket *socket);
/* The sockets that are there already are not ours to close. -ENOMEM. */
int weft_net_note_outside(struct weft_net *net);
/* It is over: report what is open, close it, free all. */
void weft_net_leave_none(struct weft_net *net);
/* An option of its descriptor's, 0 if it has none. */
int weft_net_option(const struct weft_net_socket *socket, int level, int option);

/* -- net_name.c -------------------------------------------------------------------------------- */

/* The address in its only form: no IPv4 within IPv6, no padding. -EINVAL, -EAFNOSUPPORT. */
int weft_net_name_read(const struct weft_net_socket *socket, const struct sockaddr *addr,
	socklen_t len, struct weft_address *name);
/* As the socket's family writes it, as much as there is room for; its whole length. len 0: none. */
socklen_t weft_net_name_write(const struct weft_net_socket *socket,
	const struct weft_address *name, void *addr, socklen_t room);
bool weft_net_name_same(const struct weft_address *a, const struct weft_address *b);
/* Not what the kernel says of a socket without a name. */
bool weft_net_name_is_bound(const struct weft_address *name);
/* Connecting to "any address" means this machine. */
void weft_net_name_aim(struct weft_address *name);
/* How well the socket's own name matches: 0 not, 3 exactly. */
unsigned weft_net_name_matches(
	const struct weft_net_socket *socket, const struct weft_address *name);
/* Give the socket that name; port 0 and an empty unix name: a new one. -EADDRINUSE, -EINVAL. */
int weft_net_name_bind(struct weft_net_socket *socket, const struct weft_address *name);
/* Would it listen where somebody else does? */
bool weft_net_name_taken(const struct weft_net_socket *socket);
/* The name of a socket that has none and sends to that one. */
int weft_net_name_self(struct weft_net_socket *socket, const struct weft_address *to);
/* Its name as that one sees it: the loopback answers from where it was asked. */
struct weft_address weft_net_name_seen(
	const struct weft_net_socket *socket, const struct weft_address *to);

/* -- net_connect.c ----------------------------------------------------------------------------- */

int weft_net_listen(struct weft_net_socket *socket, int backlog);
/* Begin to connect: 0, an error, or -EINPROGRESS. */
int weft_net_connect(
	struct weft_net_socket *socket, const struct sockaddr *addr, socklen_t len);
/* What has come of it: 0, an error, or -EAGAIN. */
int weft_net_connected(struct weft_net_socket *socket);
/* The connect is given up; back to FRESH. */
void weft_net_withdraw(struct weft_net_socket *socket);
/* It listens no more: who is in its backlog is reset. */
void weft_net_listen_end(struct weft_net_socket *socket);
/* The moment of a connect has come. */
void weft_net_knock_due(struct weft_net_socket *socket);
int64_t weft_net_accept(struct weft_net_socket *socket, const struct weft_op *op);

/* -- net_stream.c ------------------------------------------------------------------------------ */

int64_t weft_net_stream_receive(struct weft_net_socket *socket,
	const struct weft_net_data *data, uint64_t *progress);
int64_t weft_net_stream_send(struct weft_net_socket *socket,
	const struct weft_net_data *data, uint64_t *progress);
/* How much may be sent; 0: wait; -errno: nothing. */
int64_t weft_net_stream_room(struct weft_net_socket *socket);
/* Off with the chunk to the peer; its memory is given away. */
void weft_net_stream_push(struct weft_net_socket *socket, struct weft_net_chunk *chunk);
/* So much of what has arrived has been read. */
void weft_net_stream_take(struct weft_net_socket *socket, size_t n);
/* Send the end to the one that is told. */
void weft_net_stream_end(struct weft_net_socket *told, enum weft_net_ending ending);
/* It breaks, for both ends. */
void weft_net_stream_reset(struct weft_net_socket *socket);
int weft_net_shutdown(struct weft_net_socket *socket, int how);
/* The moment of the first in transit has come. */
void weft_net_stream_due(struct weft_net_socket *socket);
/* Forget what has come in. */
void weft_net_stream_drop(struct weft_net_socket *socket);

/* -- net_datagram.c ---------------------------------------------------------------------------- */

int64_t weft_net_datagram_receive(
	struct weft_net_socket *socket, const struct weft_net_data *data);
int64_t weft_net_datagram_send(
	struct weft_net_socket *socket, const struct weft_net_data *data);
/* May one be sent to whom it is connected to? */
bool weft_net_datagram_has_room(struct weft_net_socket *socket);
void weft_net_datagram_drop(struct weft_net_socket *socket);

/* -- net_data.c -------------------------------------------------------------------------------- */

/* -EINVAL, -EMSGSIZE. */
int weft_net_data_of(const struct weft_op *op, struct weft_net_data *data);
/* n bytes from or to the buffers, after the first skip of them. */
void weft_net_gather(const struct weft_net_data *data, size_t skip, char *out, size_t n);
void weft_net_scatter(
	const struct weft_net_data *data, size_t skip, const char *in, size_t n);

/* -- net_splice.c ------------------------------------------------------------------------------ */

/* Is it one with a socket? *in, *out: those that are, else NULL. */
bool weft_net_splices(struct weft_net *net, const struct weft_op *op,
	struct weft_net_socket **in, struct weft_net_socket **out);
int64_t weft_net_splice(struct weft_net *net, const struct weft_op *op);

/* -- net_ground.c ------------------------------------------------------------------------------ */

struct weft_ground;
extern const struct weft_ground weft_ground_sim;

#endif
