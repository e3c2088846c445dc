/* SPDX-License-Identifier: MIT */
/*
 * resp - the Redis serialization protocol, version 2: finds one request at a time in the bytes
 * that have come, and writes replies. No I/O; client.c and replay.c feed it, a fuzz test
 * torments it.
 *
 * A request is an array of strings, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", or a line of words as a
 * person types it. Strings hold any bytes. Nothing is allocated for what a length announces,
 * only for what has come: sixteen bytes per string.
 */
#ifndef WEFT_BENCH_CACHE_RESP_H
#define WEFT_BENCH_CACHE_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "buffer.h"

#define RESP_BULK_MAX (512 << 20) /* bytes of one string */

enum {
	RESP_ARGS_MAX = 1 << 20, /* strings in one request */
	RESP_LINE_MAX =
		64 << 10, /* bytes of a line of words, or of a line with a number */
	RESP_ERROR_MAX = 64,
};

struct resp_span {
	size_t at;
	size_t len;
};

/* One request. Zero-initialise it; it serves a connection for all its requests. */
struct resp_request {
	size_t argc;      /* strings of the complete request; 0: an empty one, no reply */
	const char *data; /* what args[].at counts from, until the next call */
	struct resp_span *args;
	char error[RESP_ERROR_MAX]; /* after a refusal: what is wrong, in Redis's words */

	/* the parser's own */
	size_t room;     /* of args */
	size_t scanned;  /* bytes that are understood */
	int64_t strings; /* still to come; meaningful once started */
	int64_t bulk;    /* length of the string at scanned; < 0: its line has not come */
	bool started;    /* the array's length has been read */
	struct buffer line; /* the words of a line, without quotes */
};

/*
 * Reads on, given the n bytes that have come from the request's start; those seen in earlier
 * calls must be the same, though elsewhere. Looks at each byte a bounded number of times.
 *
 * Returns the length of the complete request; 0 if more is needed; -1 to refuse it, with
 * error: the stream cannot be understood from here on.
 */
ssize_t resp_parse(struct resp_request *request, const char *data, size_t n);

/* Forgets the request, complete or not, to begin the next one. */
void resp_next(struct resp_request *request);

/* Frees what the parser holds. */
void resp_finish(struct resp_request *request);

static inline struct text resp_arg(const struct resp_request *request, size_t i)
{
	const struct resp_span *span = &request->args[i];

	return (struct text){request->data + span->at, span->len};
}

/* Replies are appended to a buffer, which says in `failed` whether one did not fit. */
void resp_put_status(struct buffer *out, struct text line);
void resp_put_integer(struct buffer *out, int64_t value);
void resp_put_bulk(struct buffer *out, struct text bytes);
void resp_put_bulk_head(
	struct buffer *out, size_t len); /* bytes and CRLF are to follow */
void resp_put_null(struct buffer *out);
void resp_put_array(struct buffer *out, size_t count); /* so many replies are to follow */

/* An error: its code and text, "ERR syntax error". Line breaks in it become blanks. */
void resp_put_error(struct buffer *out, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
