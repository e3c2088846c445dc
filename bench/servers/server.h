/* SPDX-License-Identifier: MIT */
/*
 * server - what the servers of the benchmark share: options, listening, and an orderly
 * end. Each server is one function, run in a task for every connection.
 */
#ifndef WEFT_BENCH_SERVERS_SERVER_H
#define WEFT_BENCH_SERVERS_SERVER_H

#include <stdbool.h>

#include <weft.h>

struct server_options {
	const char *host;         /* where to listen: 127.0.0.1 if not told otherwise */
	unsigned port;            /* 0: any */
	unsigned workers;         /* 0: weft's default */
	unsigned max_connections; /* 0: no limit */
	weft_ns idle;             /* how long a connection may take to send a request */
	weft_ns grace;            /* how long begun work may go on after a stop */

	/* What a server may set before server_main. usage: its own options and its operand.
	 * option: takes one of its own, false if it is none. begin: it has an operand, and this is
	 * done with it before anything is served, 0 or -errno. */
	const char *usage;
	bool (*option)(const char *name, unsigned number);
	int (*begin)(const char *operand);
};

/* What the command line asked for; does not change once connections are served. */
extern struct server_options server_options;

/*
 * Parses the command line, listens, says "listening ADDRESS" on stdout and
 * serves until SIGTERM or SIGINT; then the connections are cancelled and waited for.
 * Returns the exit status of the program.
 */
int server_main(int argc, char **argv, int (*connection)(int fd, void *user));

/*
 * [S] Sends all n bytes. A cancel does not leave half an answer: the rest still goes out if
 * the client takes it within the grace, and the next call reports the cancel.
 *
 * Returns 0 or a negative errno value.
 */
int server_send(int fd, const void *buf, size_t n);

/* The same, where more follows at once: the kernel may wait for it to fill a packet. */
int server_send_more(int fd, const void *buf, size_t n);

#endif
