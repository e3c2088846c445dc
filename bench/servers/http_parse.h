/* SPDX-License-Identifier: MIT */
/*
 * http_parse - reads the head of one HTTP/1.x request (RFC 9112), line by line, strictly.
 * No allocation, no callbacks, no I/O; http_conn.c feeds it, a fuzz test torments it.
 *
 * Why not a library: Debian's http-parser 2.9 takes 120 ns for a request of 40 bytes, 160
 * for one of 58 and 730 for a browser's 377, of the 3 us that a whole request takes (4, 5
 * and 24 %). This one takes 39, 53 and 204 ns on the same machine.
 *
 * Strict means: what two programs could read differently is refused. Lines end in CRLF,
 * names have no space before the colon, values are not folded, there is one Host, one
 * Content-Length, one Range, and never a length together with a transfer coding.
 */
#ifndef WEFT_BENCH_SERVERS_HTTP_PARSE_H
#define WEFT_BENCH_SERVERS_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_CONNECT,
	HTTP_OPTIONS,
	HTTP_TRACE,
	HTTP_PATCH,
	HTTP_UNKNOWN, /* a well-formed name, but none of those */
};

enum { HTTP_FIELDS_MAX = 100 };

/* The value of a field, blanks around it left out. at == 0: there is no such field. */
struct http_place {
	size_t at, len;
};

/*
 * A request, complete once http_parse has returned its length. Zero-initialise it, and
 * again after each request. Places are offsets into the bytes handed to http_parse.
 */
struct http_request {
	enum http_method method;
	size_t target; /* as it was sent: a path, an absolute URI, or "*" */
	size_t target_len;
	unsigned minor; /* HTTP/1.minor, 0 or 1 */
	bool keep_alive;
	bool chunked; /* there is a transfer coding; the body is not delimited by length */
	bool expect_continue;
	uint64_t content_length;
	struct http_place range, if_range, if_modified_since;
	struct http_place if_none_match; /* the first, if there are several */

	/* the parser's own */
	size_t line;    /* the first byte of the line that is not read yet */
	size_t scanned; /* no line feed lies in [line, scanned) */
	unsigned fields;
	bool started; /* the request line has been read */
	bool has_host, has_length, wants_close, wants_keep_alive;
};

/*
 * Reads on, given the n bytes that have come of this request so far; those seen in earlier
 * calls must be the same. Each byte is looked at a bounded number of times, however small
 * the pieces.
 *
 * Returns the length of the head, its empty line included; 0 if more is needed; or the
 * negative of the status to refuse it with: -400, -431 (too many fields), -505.
 */
long http_parse(struct http_request *request, const char *data, size_t n);

#endif
