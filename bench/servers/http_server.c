/* SPDX-License-Identifier: MIT */
/*
 * http_server - HTTP/1.1 with keep-alive and pipelining, in straight lines: read a request,
 * append its reply, send the replies when no further request has come whole.
 *
 * Serves one page at "/". Bodies with a length are read and dropped; transfer codings are
 * refused (501), as are bodies over BODY_MAX (413), heads over HEAD_MAX (431, or 414 for
 * the request line) and whatever http_parse finds wrong (400, 505). A connection that
 * sends no request within the idle time is closed, with 408 if it had begun one.
 *
 * When the server stops, a request that has begun to arrive is still answered, within the
 * grace; the answer says that the connection closes.
 */
#include "http_parse.h"
#include "server.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	HEAD_MAX = 8192,
	BODY_MAX = 1 << 20,
	OUT_SIZE = 4096,
	REPLY_MAX = 512,
	DATE_LEN = 37, /* "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" */
	LINGER_BYTES_MAX = 65536,
};

#define LINGER WEFT_MS(500)
#define PAGE "Hello, world\n"

/* One connection, on its task's stack. */
struct client {
	int fd;
	bool stopping;   /* cancelled: finish what has begun, then close */
	bool close;      /* the connection ends after the replies in out[] */
	weft_ns stop_at; /* stopping: receive nothing after this */
	struct http_request request;

	size_t begin, end; /* in[begin..end) has come and is not used up */
	size_t out_len;
	time_t date_second; /* the second that date[] tells */
	char date[DATE_LEN + 1];
	char out[OUT_SIZE];
	char in[HEAD_MAX];
};

static const char *reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
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
	case 431:
		return "Request Header Fields Too Large";
	case 501:
		return "Not Implemented";
	default:
		return "HTTP Version Not Supported";
	}
}

/* Formats the date at most once a second: time() reads a page the kernel shares. */
static void update_date(struct client *c)
{
	time_t now = time(NULL);
	struct tm utc;

	if (now == c->date_second)
		return;
	c->date_second = now;
	gmtime_r(&now, &utc);
	strftime(c->date, sizeof(c->date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
}

static int flush(struct client *c)
{
	size_t len = c->out_len;

	c->out_len = 0;
	return len ? server_send(c->fd, c->out, len) : 0;
}

static void append(struct client *c, const char *text, size_t len)
{
	memcpy(c->out + c->out_len, text, len);
	c->out_len += len;
}

/* What the reply says of the connection: nothing where it stays open by default. */
static const char *connection_field(const struct client *c)
{
	if (c->close)
		return "Connection: close\r\n";
	return c->request.minor ? "" : "Connection: keep-alive\r\n";
}

/* The reply nearly every request gets: no formatting. */
static void append_page(struct client *c, bool body)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n"
				   "Content-Type: text/plain\r\n"
				   "Content-Length: 13\r\n";
	const char *connection = connection_field(c);

	_Static_assert(sizeof(PAGE) - 1 == 13, "Content-Length says so");
	append(c, head, sizeof(head) - 1);
	append(c, c->date, DATE_LEN);
	append(c, connection, strlen(connection));
	append(c, "\r\n" PAGE, body ? 2 + 13 : 2);
}

static void append_error(struct client *c, int status, bool body)
{
	const char *text = reason(status);

	c->out_len += (size_t)snprintf(c->out + c->out_len, REPLY_MAX,
		"HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n"
		"%s%s%s\r\n%s%s",
		status, text, strlen(text) + 1, c->date,
		status == 405 ? "Allow: GET, HEAD\r\n" : "", connection_field(c),
		body ? text : "", body ? "\n" : "");
}

/* Whether the target names the one page: "/", with a query or as a whole URI too. */
static bool is_page(const char *target, size_t len)
{
	if (len > 7 && memcmp(target, "http://", 7) == 0) {
		const char *path = memchr(target + 7, '/', len - 7);

		if (!path)
			return true;
		len -= (size_t)(path - target);
		target = path;
	}
	return target[0] == '/' && (len == 1 || target[1] == '?');
}

static int status_of(const struct client *c)
{
	const struct http_request *r = &c->request;

	if (r->method == HTTP_UNKNOWN)
		return 501;
	if (r->method != HTTP_GET && r->method != HTTP_HEAD)
		return 405;
	return is_page(c->in + c->begin + r->target, r->target_len) ? 200 : 404;
}

/* The server stops: waits for the rest of a request, or looks once whether one is there. */
static ssize_t receive_last(struct client *c)
{
	struct weft_scope grace;
	ssize_t n;

	if (!c->stopping) {
		c->stopping = true;
		c->stop_at = weft_now() + server_options.grace;
	}
	weft_shield_begin(&grace, c->stop_at - weft_now());
	n = weft_recv(
		c->fd, c->in + c->end, HEAD_MAX - c->end, c->end ? 0 : MSG_DONTWAIT);
	weft_scope_end(&grace);
	return n;
}

/* Sends what is due, then receives into in[]. > 0 bytes, 0 at the end, or an error. */
static ssize_t receive_more(struct client *c)
{
	ssize_t n = flush(c);

	if (n < 0)
		return n;
	if (c->begin) {
		memmove(c->in, c->in + c->begin, c->end - c->begin);
		c->end -= c->begin;
		c->begin = 0;
	}
	n = weft_recv(c->fd, c->in + c->end, HEAD_MAX - c->end, 0);
	if (n == -ECANCELED)
		n = receive_last(c);
	if (n > 0)
		c->end += (size_t)n;
	return n;
}

/* > 0: a request is parsed, its head that long; 0: the connection just ends; < 0: refuse. */
static long next_head(struct client *c)
{
	for (;;) {
		long head = http_parse(&c->request, c->in + c->begin, c->end - c->begin);
		ssize_t n;

		if (head)
			return head;
		if (c->end - c->begin == HEAD_MAX)
			return c->request.started ? -431 : -414;
		n = receive_more(c);
		if (n <= 0)
			return n == -ETIMEDOUT && c->end ? -408 : 0;
	}
}

/* Reads and drops the body, which may have come already. 0, or -1 if it never comes. */
static int skip_body(struct client *c)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	uint64_t left = c->request.content_length;

	if (left > c->end - c->begin && c->request.expect_continue && c->request.minor)
		append(c, go_on, sizeof(go_on) - 1);
	while (left > c->end - c->begin) {
		left -= c->end - c->begin;
		c->begin = c->end = 0;
		if (receive_more(c) <= 0)
			return -1;
	}
	c->begin += left;
	return 0;
}

/*
 * Reads one request and appends its reply, all within the idle time. Returns false when
 * the connection is beyond a reply.
 */
static bool handle_request(struct client *c)
{
	const struct http_request *r = &c->request;
	long head = next_head(c);
	int status;

	if (head == 0)
		return false;
	update_date(c);
	status = head < 0 ? (int)-head : status_of(c);
	if (head > 0 && r->chunked)
		status = 501;
	else if (head > 0 && r->content_length > BODY_MAX)
		status = 413;
	/* After these the next request's place in the stream is unknown. */
	c->close = head < 0 || !r->keep_alive || r->chunked || status == 413;
	if (!c->close) {
		c->begin += (size_t)head;
		if (r->content_length && skip_body(c) < 0)
			return false;
	}
	c->close |= c->stopping;
	if (status == 200)
		append_page(c, r->method == HTTP_GET);
	else
		append_error(c, status, r->method != HTTP_HEAD);
	memset(&c->request, 0, sizeof(c->request));
	return true;
}

/*
 * Ends a connection that is owed a reply. Closing while the client still sends would reset
 * it and could take the reply with it: so end our side first and, for a bounded while,
 * drop what comes.
 */
static void say_goodbye(struct client *c)
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
		n = weft_recv(c->fd, c->in, HEAD_MAX, 0);
		dropped += n > 0 ? (size_t)n : 0;
	}
	weft_scope_end(&patience);
	weft_scope_end(&shield);
}

static int http(int fd, void *user)
{
	struct client c;
	bool open = true;

	(void)user;
	/* The buffers are left as they are. */
	memset(&c, 0, offsetof(struct client, date));
	c.fd = fd;
	while (open && !c.close) {
		struct weft_scope idle;

		weft_deadline_begin(&idle, server_options.idle);
		open = handle_request(&c);
		if (c.out_len > OUT_SIZE - 2 * REPLY_MAX)
			open &= flush(&c) == 0;
		weft_scope_end(&idle);
	}
	if (c.close)
		say_goodbye(&c);
	return 0;
}

int main(int argc, char **argv)
{
	return server_main(argc, argv, http);
}
