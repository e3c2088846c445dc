/* SPDX-License-Identifier: MIT */
/*
 * http_select - what a GET of a file is answered with, by its conditions and its range
 * (RFC 9110, 13 and 14): all of it, a part, or nothing of it.
 *
 * A request for several ranges gets the whole file: a server may ignore Range, and nobody
 * but its attackers has asked this one for multipart/byteranges. A field that cannot be
 * read is as if it were not there.
 */
#ifndef WEFT_BENCH_SERVERS_HTTP_SELECT_H
#define WEFT_BENCH_SERVERS_HTTP_SELECT_H

#include <stdint.h>

#include "http_parse.h"

/* What is known of the file. */
struct http_entity {
	uint64_t size;
	int64_t modified; /* seconds since 1970 */
	const char *etag; /* with its quotes; strong */
	size_t etag_len;
};

struct http_selection {
	int status;         /* 200, 206, 304 or 416 */
	uint64_t from, len; /* the bytes to send, for 200 and 206 */
};

/* head: the bytes the request was parsed from; now: seconds since 1970. */
struct http_selection http_select(const struct http_request *request, const char *head,
	const struct http_entity *entity, int64_t now);

#endif
