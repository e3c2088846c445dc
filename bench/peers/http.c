/* SPDX-License-Identifier: MIT */
/*
 * http - the least HTTP/1.1 that a load generator cannot tell from a server: finds the
 * ends of the requests that arrived, looks at nothing else, and answers each with the
 * same reply. Pipelined requests are answered by one send.
 *
 * This is a limit line and not a server: it accepts anything.
 */
#include "peer.h"

#include <string.h>

#define REPLY                                                                            \
	"HTTP/1.1 200 OK\r\n"                                                            \
	"Content-Type: text/plain\r\n"                                                   \
	"Content-Length: 13\r\n"                                                         \
	"\r\n"                                                                           \
	"Hello, world\n"

enum {
	REPLY_LEN = sizeof(REPLY) - 1,
	END_LEN = 4,
	/* As many requests as fit a buffer: an end of headers is END_LEN bytes. */
	REPLIES_MAX = PEER_BUFFER / END_LEN,
};

static char replies[REPLIES_MAX * REPLY_LEN];
static size_t replies_ready; /* how many copies of REPLY are in replies[] */

static void prepare(size_t count)
{
	for (; replies_ready < count; replies_ready++)
		memcpy(replies + replies_ready * REPLY_LEN, REPLY, REPLY_LEN);
}

int peer_answer(struct peer_conn *conn)
{
	const char *at = conn->in;
	const char *stop = conn->in + conn->have;
	size_t count = 0;

	/* Nearly always one whole request is there and ends where the bytes end. */
	for (const char *end;
		(end = memmem(at, (size_t)(stop - at), "\r\n\r\n", END_LEN));) {
		at = end + END_LEN;
		count++;
	}
	prepare(count);
	conn->out = replies;
	conn->out_len = count * REPLY_LEN;
	conn->have = (size_t)(stop - at);
	if (count && conn->have)
		memmove(conn->in, at, conn->have);
	return conn->have == PEER_BUFFER ? -1 : 0;
}
