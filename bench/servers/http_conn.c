/* SPDX-License-Identifier: MIT */
/*
 * http_conn - reading requests whole and sending replies when no further request has come.
 */
#include "http_conn.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LINGER_BYTES_MAX = 65536 };

#define LINGER WEFT_MS(500)

const char *http_reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 206:
		return "Partial Content";
	case 301:
		return "Moved Permanently";
	case 304:
		return "Not Modified";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 413:
		return "Content Too Large";
	case 414:
		return "URI Too Long";
	case 416:
		return "Range Not Satisfiable";
	case 431:
		return "Request Header Fields Too Large";
	case 500:
		return "Internal Server Error";
	case 501:
		return "Not Implemented";
	case 503:
		return "Service Unavailable";
	default:
		return "HTTP Version Not Supported";
	}
}

void http_conn_begin(struct http_conn *c, int fd)
{
	/* The first buffers are left as they are. */
	memset(c, 0, offsetof(struct http_conn, date));
	memcpy(c->date, "Date: ", 6);
	memcpy(c->date + 6 + HTTP_DATE_LEN, "\r\n", 2);
	c->fd = fd;
	c->in = c->first_in;
	c->in_size = HTTP_FIRST_IN;
	c->out = c->first_out;
	c->out_size = HTTP_FIRST_OUT;
}

/* From the first buffer to the whole one, with the n bytes that are in it. */
static bool grow(char **buffer, size_t *size, size_t n, size_t whole)
{
	char *bytes;

	if (*size == whole)
		return false;
	bytes = malloc(whole);
	if (!bytes)
		return false;
	memcpy(bytes, *buffer, n);
	*buffer = bytes;
	*size = whole;
	return true;
}

static bool grow_in(struct http_conn *c)
{
	return grow(&c->in, &c->in_size, c->end, HTTP_HEAD_MAX);
}

static bool grow_out(struct http_conn *c)
{
	return grow(&c->out, &c->out_size, c->out_len, HTTP_OUT_SIZE);
}

/* Formats the date at most once a second: time() reads a page the kernel shares. */
static void update_date(struct http_conn *c)
{
	time_t now = time(NULL);

	if (now == c->date_second)
		return;
	c->date_second = now;
	http_date_format(now, c->date + 6);
}

/* Within whatever deadline is set. */
static int flush(struct http_conn *c)
{
	size_t len = c->out_len;

	c->out_len = 0;
	return len ? server_send(c->fd, c->out, len) : 0;
}

bool http_flush(struct http_conn *c, bool more)
{
	struct weft_scope patience;
	size_t len = c->out_len;
	int rc;

	c->out_len = 0;
	weft_deadline_begin(&patience, server_options.idle);
	rc = more ? server_send_more(c->fd, c->out, len)
		  : server_send(c->fd, c->out, len);
	weft_scope_end(&patience);
	c->broken |= rc < 0;
	return rc == 0;
}

bool http_room(struct http_conn *c, size_t n)
{
	if (n <= c->out_size - c->out_len ||
		(grow_out(c) && n <= c->out_size - c->out_len))
		return true;
	/* Sending makes room, but not more than there is. */
	if (http_flush(c, false) && n <= c->out_size)
		return true;
	c->broken = true;
	return false;
}

/* What the reply says of the connection: nothing where it stays open by default. */
static const char *connection_field(const struct http_conn *c)
{
	if (c->close)
		return "Connection: close\r\n\r\n";
	return c->request.minor ? "\r\n" : "Connection: keep-alive\r\n\r\n";
}

void http_append_end(struct http_conn *c)
{
	const char *connection = connection_field(c);

	http_append(c, c->date, HTTP_DATE_FIELD_LEN);
	http_append(c, connection, strlen(connection));
}

/* A 304 has neither a body nor what describes one. */
void http_reply_status(struct http_conn *c, int status, const char *fields)
{
	const char *text = http_reason(status);
	char content[80] = "";

	if (!http_room(c, HTTP_REPLY_MAX + strlen(fields)))
		return;
	if (status != 304)
		snprintf(content, sizeof(content),
			"Content-Type: text/plain\r\nContent-Length: %zu\r\n",
			strlen(text) + 1);
	c->out_len += (size_t)snprintf(c->out + c->out_len, c->out_size - c->out_len,
		"HTTP/1.1 %d %s\r\n%s%s", status, text, content, fields);
	http_append_end(c);
	if (c->request.method != HTTP_HEAD && status != 304) {
		http_append(c, text, strlen(text));
		http_append(c, "\n", 1);
	}
}

/* The server stops: waits for the rest of a request, or looks once whether one is there. */
static ssize_t receive_last(struct http_conn *c)
{
	struct weft_scope grace;
	ssize_t n;

	if (!c->stopping) {
		c->stopping = true;
		c->stop_at = weft_now() + server_options.grace;
	}
	weft_shield_begin(&grace, c->stop_at - weft_now());
	n = weft_recv(
		c->fd, c->in + c->end, c->in_size - c->end, c->end ? 0 : MSG_DONTWAIT);
	weft_scope_end(&grace);
	return n;
}

/* Sends what is due, then receives into in[]. > 0 bytes, 0 at the end, or an error. */
static ssize_t receive_more(struct http_conn *c)
{
	ssize_t n = flush(c);

	if (n < 0) {
		c->broken = true;
		return n;
	}
	if (c->begin) {
		memmove(c->in, c->in + c->begin, c->end - c->begin);
		c->end -= c->begin;
		c->begin = 0;
	}
	n = weft_recv(c->fd, c->in + c->end, c->in_size - c->end, 0);
	if (n == -ECANCELED)
		n = receive_last(c);
	if (n > 0)
		c->end += (size_t)n;
	if (c->end == c->in_size)
		grow_in(c); /* there is more than one small request */
	return n;
}

/* > 0: a request is parsed, its head that long; 0: the connection just ends; < 0: refuse. */
static long next_head(struct http_conn *c)
{
	for (;;) {
		long head = http_parse(&c->request, c->in + c->begin, c->end - c->begin);
		ssize_t n;

		if (head)
			return head;
		if (c->end - c->begin == HTTP_HEAD_MAX)
			return c->request.started ? -431 : -414;
		if (c->end - c->begin == c->in_size)
			return 0; /* no memory */
		n = receive_more(c);
		if (n <= 0)
			return n == -ETIMEDOUT && c->end && !c->broken ? -408 : 0;
	}
}

bool http_next(struct http_conn *c)
{
	struct http_request *r = &c->request;
	struct weft_scope patience;
	long head;

	if (c->close || c->broken)
		return false;
	memset(r, 0, sizeof(*r));
	weft_deadline_begin(&patience, server_options.idle);
	head = next_head(c);
	weft_scope_end(&patience);
	if (head == 0)
		return false;
	update_date(c);
	c->head_len = head > 0 ? (size_t)head : 0;
	c->status = head < 0 ? (int)-head : 0;
	if (head > 0 && r->chunked)
		c->status = 501;
	else if (head > 0 && r->content_length > HTTP_BODY_MAX)
		c->status = 413;
	/* After these the next request's place in the stream is unknown. */
	c->close = c->status || !r->keep_alive;
	return true;
}

static bool read_body(struct http_conn *c)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	uint64_t left = c->request.content_length;
	struct weft_scope patience;
	ssize_t n = 1;

	if (left > c->end - c->begin && c->request.expect_continue && c->request.minor) {
		if (!http_room(c, sizeof(go_on)))
			return false;
		http_append(c, go_on, sizeof(go_on) - 1);
	}
	weft_deadline_begin(&patience, server_options.idle);
	while (left > c->end - c->begin && n > 0) {
		left -= c->end - c->begin;
		c->begin = c->end = 0;
		n = receive_more(c);
	}
	weft_scope_end(&patience);
	c->begin += n > 0 ? left : 0;
	return n > 0;
}

bool http_skip_body(struct http_conn *c)
{
	if (!c->close) {
		c->begin += c->head_len;
		if (c->request.content_length && !read_body(c))
			return false;
	}
	c->close |= c->stopping;
	return true;
}

/*
 * Ends a connection that is owed a reply. Closing while the client still sends would reset
 * it and could take the reply with it: so end our side first and, for a bounded while,
 * drop what comes.
 */
static void say_goodbye(struct http_conn *c)
{
	struct weft_scope shield, patience;
	size_t dropped = 0;
	ssize_t n;

	weft_shield_begin(&shield, LINGER);
	weft_deadline_begin(&patience, LINGER);
	n = flush(c);
	if (n == 0)
		n = weft_shutdown(c->fd, SHUT_WR) + 1;
	while (n > 0 && dropped < LINGER_BYTES_MAX) {
		n = weft_recv(c->fd, c->in, c->in_size, 0);
		dropped += n > 0 ? (size_t)n : 0;
	}
	weft_scope_end(&patience);
	weft_scope_end(&shield);
}

void http_conn_end(struct http_conn *c)
{
	if (c->close && !c->broken)
		say_goodbye(c);
	if (c->in != c->first_in)
		free(c->in);
	if (c->out != c->first_out)
		free(c->out);
}
