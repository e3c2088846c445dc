/* SPDX-License-Identifier: MIT */
/*
 * peer - options, listening and the end of the process for the raw servers. Cold code:
 * nothing here runs once connections are served.
 */
#include "peer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void peer_die(const char *what, int error)
{
	fprintf(stderr, "peer: %s: %s\n", what, strerror(error < 0 ? -error : error));
	exit(1);
}

void peer_parse(struct peer_options *options, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		unsigned *value = NULL;

		if (strcmp(argv[i], "--port") == 0)
			value = &options->port;
		else if (strcmp(argv[i], "--spin") == 0)
			value = &options->spin_us;
		if (!value || i + 1 == argc) {
			fprintf(stderr, "usage: %s [--port N] [--spin US]\n", argv[0]);
			exit(2);
		}
		*value = (unsigned)strtoul(argv[++i], NULL, 10);
	}
}

int peer_listen(unsigned port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((unsigned short)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t size = sizeof(address);
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		peer_die("socket", errno);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* Accepted sockets inherit it. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		peer_die("bind", errno);
	if (listen(fd, 4096) < 0)
		peer_die("listen", errno);
	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		peer_die("getsockname", errno);
	printf("listening 127.0.0.1:%u\n", (unsigned)ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}
