/* SPDX-License-Identifier: MIT */
/*
 * http_server - the smallest HTTP server: one page at "/", on the connection of http_conn.c.
 */
#include "http_conn.h"

#include <string.h>

#include "http_path.h"

#define PAGE "Hello, world\n"

/* The reply nearly every request gets: no formatting. */
static void append_page(struct http_conn *c)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n"
				   "Content-Type: text/plain\r\n"
				   "Content-Length: 13\r\n";

	_Static_assert(sizeof(PAGE) - 1 == 13, "Content-Length says so");
	http_append(c, head, sizeof(head) - 1);
	http_append_end(c);
	if (c->request.method == HTTP_GET)
		http_append(c, PAGE, sizeof(PAGE) - 1);
}

/* Whether the target names the one page: "/", with a query or as a whole URI too. */
static bool is_page(const char *target, size_t len)
{
	const char *path = http_path_of(target, &len);

	return path[0] == '/' && (len == 1 || path[1] == '?');
}

static int status_of(const struct http_conn *c)
{
	const struct http_request *r = &c->request;

	if (c->status)
		return c->status;
	if (r->method == HTTP_UNKNOWN)
		return 501;
	if (r->method != HTTP_GET && r->method != HTTP_HEAD)
		return 405;
	return is_page(http_head(c) + r->target, r->target_len) ? 200 : 404;
}

static int http(int fd, void *user)
{
	struct http_conn c;

	(void)user;
	http_conn_begin(&c, fd);
	while (http_next(&c)) {
		int status = status_of(&c);

		if (!http_skip_body(&c))
			break;
		if (status != 200)
			http_reply_status(
				&c, status, status == 405 ? "Allow: GET, HEAD\r\n" : "");
		else if (http_room(&c, HTTP_REPLY_MAX))
			append_page(&c);
	}
	http_conn_end(&c);
	return 0;
}

int main(int argc, char **argv)
{
	return server_main(argc, argv, http);
}
