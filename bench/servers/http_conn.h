/* SPDX-License-Identifier: MIT */
/*
 * http_conn - one connection of an HTTP/1.1 server, in straight lines: keep-alive and
 * pipelining, limits, refusals, the orderly end. What a request means is the server's.
 *
 *     http_conn_begin(&c, fd);
 *     while (http_next(&c)) {
 *             look at c.request; the bytes it came in are at http_head(&c)
 *             if (!http_skip_body(&c))
 *                     break;
 *             reply: http_append... into c.out, which goes out when nothing is left to read
 *     }
 *     http_conn_end(&c);
 *
 * Bodies with a length are read and dropped; transfer codings are refused (501), as are
 * bodies over HTTP_BODY_MAX (413), heads over HTTP_HEAD_MAX (431, or 414 for the request
 * line) and whatever http_parse finds wrong (400, 505). A request that has not come whole
 * within the idle time ends the connection, with 408 if it had begun.
 *
 * When the server stops, a request that has begun to arrive is still answered, within the
 * grace; the answer says that the connection closes.
 */
#ifndef WEFT_BENCH_SERVERS_HTTP_CONN_H
#define WEFT_BENCH_SERVERS_HTTP_CONN_H

#include <stdint.h>

#include "http_date.h"
#include "http_parse.h"
#include "server.h"

enum {
	HTTP_HEAD_MAX = 8192,
	HTTP_BODY_MAX = 1 << 20,
	HTTP_OUT_SIZE = 24 * 1024,
	HTTP_REPLY_MAX = 512, /* an error without further fields fits */
	HTTP_FIRST_IN = 512,
	HTTP_FIRST_OUT = HTTP_REPLY_MAX,
	HTTP_DATE_FIELD_LEN = 6 + HTTP_DATE_LEN + 2,
};

/*
 * On its task's stack, used by that task alone. Most connections need no more than the first buffers, which
 * lie here, so that all that is touched for a request is in one page with the frames beneath it: with
 * hundreds of connections another page is another miss in the TLB. Those that need more get the whole
 * buffers from the heap, once.
 */
struct http_conn {
	int fd;
	int status;      /* what the request is to be refused with, or 0 */
	bool stopping;   /* cancelled: finish what has begun, then close */
	bool close;      /* the connection ends after the replies in out[] */
	bool broken;     /* it ends now: a reply could not be sent whole */
	weft_ns stop_at; /* stopping: receive nothing after this */
	struct http_request request;

	size_t begin, end; /* in[begin..end) has come and is not used up */
	size_t head_len;   /* of these, the head of the request */
	size_t out_len;
	int64_t date_second; /* the second that date[] tells */
	char *in, *out;
	size_t in_size,
		out_size; /* HTTP_HEAD_MAX, HTTP_OUT_SIZE: they are whole, and from the heap */
	char date[HTTP_DATE_FIELD_LEN];
	char first_in[HTTP_FIRST_IN];
	char first_out[HTTP_FIRST_OUT];
};

void http_conn_begin(struct http_conn *c, int fd);

/* [S] Waits for a request, sending first what is due. False: there is none, end it. */
bool http_next(struct http_conn *c);

/* The bytes of the request's head, to which its places refer; until http_skip_body. */
static inline const char *http_head(const struct http_conn *c)
{
	return c->in + c->begin;
}

/* [S] Reads and drops the body. False: it never came, end the connection. */
bool http_skip_body(struct http_conn *c);

/* [S] Makes room for n bytes in out[], n <= HTTP_OUT_SIZE. False: what was due does not go, or there is no
 * memory. */
bool http_room(struct http_conn *c, size_t n);

/* [S] Sends out[]; `more` will follow at once. False: it does not go. */
bool http_flush(struct http_conn *c, bool more);

static inline void http_append(struct http_conn *c, const char *text, size_t len)
{
	__builtin_memcpy(c->out + c->out_len, text, len);
	c->out_len += len;
}

/* The fields every reply has, Date and Connection, and the empty line after them. */
void http_append_end(struct http_conn *c);

/*
 * [S] A whole reply that tells the status: for all but 2xx. `fields` are further ones, with
 * their line ends, or "".
 */
void http_reply_status(struct http_conn *c, int status, const char *fields);

const char *http_reason(int status);

/* [S] Sends what is due and, if our side decided on the end, makes sure that it arrives. */
void http_conn_end(struct http_conn *c);

#endif
