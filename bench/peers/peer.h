/* SPDX-License-Identifier: MIT */
/*
 * peer - what the raw servers share: options, the listening socket, and the contract
 * between a server loop (uring.c, epoll.c) and a protocol (echo.c, http.c).
 *
 * The peers are the limit lines of bench/run: what one thread can do on this machine
 * with nothing between it and the kernel. They use no part of weft.
 */
#ifndef WEFT_BENCH_PEERS_PEER_H
#define WEFT_BENCH_PEERS_PEER_H

#include <stddef.h>

enum { PEER_BUFFER = 4096 };

/* One connection's memory: owned by the server loop, lent to the protocol for a call. */
struct peer_conn {
	int fd;
	size_t have;     /* bytes of in[] that are filled and not yet answered */
	const char *out; /* reply being sent: a part of in[], or static memory */
	size_t out_len;
	char in[PEER_BUFFER];
};

/*
 * The protocol: answers what has arrived in in[0..have). Sets out and out_len (0: the
 * request is not complete yet) and leaves in `have` what belongs to the next request.
 * The loop receives nothing into in[] before the reply is sent. Returns 0, or -1 when
 * the connection is to be closed.
 */
int peer_answer(struct peer_conn *conn);

struct peer_options {
	unsigned port;    /* 0: any */
	unsigned spin_us; /* look for completions this long before sleeping (uring) */
};

void peer_parse(struct peer_options *options, int argc, char **argv);

/* A listening TCP socket on 127.0.0.1; says "listening 127.0.0.1:PORT" on stdout. */
int peer_listen(unsigned port);

void peer_die(const char *what, int error) __attribute__((noreturn));

#endif
