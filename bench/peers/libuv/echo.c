/* SPDX-License-Identifier: MIT */
/*
 * echo - the echo server as callbacks of libuv, in one thread; a reply is tried at once, and queued only
 * if the socket is full.
 */
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum { BUFFER = 4096, BACKLOG = 4096 };

/* One connection: freed once it is closed. */
struct conn {
	uv_tcp_t tcp; /* first: libuv hands it back */
	uv_write_t write;
	char in[BUFFER];
};

static void die(const char *what, int error)
{
	fprintf(stderr, "%s: %s\n", what, uv_strerror(error));
	exit(1);
}

static void closed(uv_handle_t *handle)
{
	free(handle);
}

static void receive(uv_stream_t *stream);

static void written(uv_write_t *write, int status)
{
	if (status < 0)
		uv_close((uv_handle_t *)write->handle, closed);
	else
		receive(write->handle);
}

static void lend(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	(void)suggested;
	*buf = uv_buf_init(((struct conn *)handle)->in, BUFFER);
}

static void received(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct conn *conn = (struct conn *)stream;
	uv_buf_t out = uv_buf_init(buf->base, (unsigned)(n > 0 ? n : 0));
	int sent;

	if (n < 0) {
		uv_close((uv_handle_t *)stream, closed);
		return;
	}
	sent = n > 0 ? uv_try_write(stream, &out, 1) : 0;
	if (sent == n)
		return;
	if (sent < 0)
		sent = 0; /* full; or an error, which the write meets again */
	out = uv_buf_init(buf->base + sent, (unsigned)(n - sent));
	uv_read_stop(stream); /* the buffer is not free until it is written */
	uv_write(&conn->write, stream, &out, 1, written);
}

static void receive(uv_stream_t *stream)
{
	uv_read_start(stream, lend, received);
}

static void arrived(uv_stream_t *listener, int status)
{
	struct conn *conn = malloc(sizeof(*conn));

	if (status < 0 || !conn)
		die("accept", status);
	uv_tcp_init(listener->loop, &conn->tcp);
	if (uv_accept(listener, (uv_stream_t *)&conn->tcp) < 0) {
		uv_close((uv_handle_t *)&conn->tcp, closed);
		return;
	}
	uv_tcp_nodelay(&conn->tcp, 1);
	receive((uv_stream_t *)&conn->tcp);
}

int main(void)
{
	uv_loop_t *loop = uv_default_loop();
	struct sockaddr_in address;
	int length = sizeof(address), rc;
	uv_tcp_t listener;

	uv_tcp_init(loop, &listener);
	uv_ip4_addr("127.0.0.1", 0, &address);
	rc = uv_tcp_bind(&listener, (struct sockaddr *)&address, 0);
	if (rc == 0)
		rc = uv_listen((uv_stream_t *)&listener, BACKLOG, arrived);
	if (rc < 0)
		die("listen", rc);
	uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &length);
	printf("listening 127.0.0.1:%u\n", ntohs(address.sin_port));
	fflush(stdout);
	return uv_run(loop, UV_RUN_DEFAULT);
}
