/* SPDX-License-Identifier: MIT */
/*
 * protocol - what weft-load says to a server and how it judges the replies. Knows bytes
 * only: sockets, time and counting are load.c's.
 */
#ifndef WEFT_BENCH_LOAD_PROTOCOL_H
#define WEFT_BENCH_LOAD_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

enum { PROTOCOL_MESSAGE_MAX = 65536, PROTOCOL_HEAD_MAX = 8192 };

/* Says what to send; set up once from the options. Exactly one of the two is used. */
struct protocol {
	size_t echo_size; /* > 0: echo messages of this size */
	char *request;    /* HTTP: the bytes of each request */
	size_t request_len;
};

/* The state of one conversation. */
struct dialog {
	uint32_t id;
	uint32_t sequence;
	char *message; /* what is sent; for echo also what must come back */
	size_t message_len;
	size_t got; /* echo: bytes of the reply so far */

	/* HTTP: the reply so far; the body only counted. */
	char *head;
	size_t head_len;  /* bytes kept in head[] of the current reply */
	size_t whole_len; /* of the last good reply if it is kept whole, else 0 */
	char *whole;      /* that reply: the next one is most likely the same bytes */
	uint64_t body_left;
	int in_body;
};

enum verdict { VERDICT_MORE, VERDICT_DONE, VERDICT_BAD };

/* Each returns 0, or -1 when there is no memory. */
int protocol_http(struct protocol *protocol, const char *path);
int dialog_init(struct dialog *dialog, const struct protocol *protocol, uint32_t id);
void dialog_finish(struct dialog *dialog);

/* Makes message[] the next request; the last reply must have been judged DONE. */
void dialog_next(struct dialog *dialog, const struct protocol *protocol);

/* Judges the next bytes of the reply. Bytes after its end are BAD: nobody asked. */
enum verdict dialog_reply(struct dialog *dialog, const struct protocol *protocol,
	const char *data, size_t n);

#endif
