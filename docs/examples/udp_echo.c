/* SPDX-License-Identifier: MIT */
/*
 * udp_echo [port] - answer each datagram to where it came from, in the manner of a name server.
 *
 * A few tasks receive on one socket, each in a loop as if it were alone; whichever is free takes the
 * next datagram, so one that takes long over its answer holds up nobody. A query is answered by its
 * number, its first two bytes, with the rest in upper case; anything shorter is dropped. The port
 * on loopback defaults to a free one; the one in use is printed.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include <weft.h>

#define TASKS 8
#define QUERY_MAX 512

struct server {
	int fd;
	struct weft_group tasks;
};

static void answer(char *query, ssize_t n)
{
	for (ssize_t i = 2; i < n; i++)
		query[i] = (char)toupper((unsigned char)query[i]);
}

static int serve(void *arg)
{
	struct server *server = arg;
	char query[QUERY_MAX];
	struct sockaddr_storage from;
	ssize_t n;

	for (;;) {
		socklen_t len = sizeof(from);

		n = weft_recvfrom(server->fd, query, sizeof(query), 0,
			(struct sockaddr *)&from, &len);
		if (n < 0)
			return (int)n;
		if (n < 2)
			continue;
		answer(query, n);
		/* one that cannot be delivered is lost, like any datagram */
		n = weft_sendto(server->fd, query, (size_t)n, 0, (struct sockaddr *)&from, len);
		if (n == -ECANCELED || n == -EBADF)
			return (int)n;
	}
}

/* A socket bound to that port of loopback, or a free one for 0; prints which. */
static int bind_socket(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	char text[64];

	int fd = weft_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		weft_close(fd);
		return -EADDRINUSE;
	}
	if (weft_local_address(fd, text, sizeof(text)) >= 0) {
		printf("listening on %s\n", text);
		fflush(stdout);
	}
	return fd;
}

static int run(void *arg)
{
	struct server server = { .fd = bind_socket(atoi(arg)) };

	if (server.fd < 0)
		return server.fd;
	weft_group_begin(&server.tasks, 0);
	for (int i = 0; i < TASKS; i++)
		weft_group_spawn(&server.tasks, serve, &server);
	int status = weft_group_join(&server.tasks);
	weft_close(server.fd);
	return status;
}

int main(int argc, char **argv)
{
	int status = weft_run(run, argc > 1 ? argv[1] : "0", NULL);

	fprintf(stderr, "udp_echo: error %d\n", -status);
	return 1;
}
