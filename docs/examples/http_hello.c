/* SPDX-License-Identifier: MIT */
/*
 * http_hello [address] - answer every GET with a greeting; connections are kept alive.
 *
 * Shows a deadline around a loop: a client that sends nothing for ten seconds is hung up on.
 * It reads just enough HTTP/1.1 for that: a head ends at an empty line, and a request that is
 * no GET gets a 405 and the end of the connection, so no body is ever mistaken for a head.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <weft.h>

#define IDLE WEFT_SEC(10)

struct request {
	char head[4096];
	size_t have; /* bytes received, perhaps of the next requests too */
	size_t used; /* bytes of the request being answered */
};

static const char hello[] = "HTTP/1.1 200 OK\r\n"
			    "Content-Type: text/plain\r\n"
			    "Content-Length: 18\r\n"
			    "\r\n"
			    "Hello from weft.\r\n";

static const char not_allowed[] = "HTTP/1.1 405 Method Not Allowed\r\n"
				  "Allow: GET\r\n"
				  "Content-Length: 0\r\n"
				  "Connection: close\r\n"
				  "\r\n";

/* Receives until one whole head is there: 1, 0 when the client has left, or an error. */
static int next_request(int fd, struct request *r)
{
	char *end;

	memmove(r->head, r->head + r->used, r->have - r->used);
	r->have -= r->used;
	r->used = 0;
	while (!(end = memmem(r->head, r->have, "\r\n\r\n", 4))) {
		if (r->have == sizeof(r->head))
			return -EMSGSIZE;
		ssize_t n = weft_recv(fd, r->head + r->have, sizeof(r->head) - r->have, 0);
		if (n <= 0)
			return (int)n;
		r->have += (size_t)n;
	}
	r->used = (size_t)(end + 4 - r->head);
	return 1;
}

static int answer(int fd, const struct request *r)
{
	ssize_t n;

	if (r->used < 4 || memcmp(r->head, "GET ", 4) != 0) {
		n = weft_send_full(fd, not_allowed, sizeof(not_allowed) - 1, 0, NULL);
		return n < 0 ? (int)n : -EPROTO;
	}
	n = weft_send_full(fd, hello, sizeof(hello) - 1, 0, NULL);
	return n < 0 ? (int)n : 0;
}

static int converse(int fd, void *user)
{
	struct request request = { .have = 0 };
	struct weft_scope idle;
	int status;

	(void)user;
	weft_deadline_begin(&idle, IDLE);
	while ((status = next_request(fd, &request)) > 0) {
		status = answer(fd, &request);
		if (status < 0)
			break;
		weft_deadline_move(&idle, IDLE);
	}
	weft_scope_end(&idle);
	return status;
}

static int serve(void *arg)
{
	char address[128];

	int fd = weft_listen(arg, SOMAXCONN, 0);
	if (fd < 0)
		return fd;
	int status = weft_local_address(fd, address, sizeof(address));
	if (status >= 0) {
		printf("listening on %s\n", address);
		fflush(stdout);
		status = weft_serve(fd, converse, NULL, 0);
	}
	weft_close(fd);
	return status;
}

int main(int argc, char **argv)
{
	int status = weft_run(serve, argc > 1 ? argv[1] : "127.0.0.1:0", NULL);

	fprintf(stderr, "http_hello: error %d\n", -status);
	return 1;
}
