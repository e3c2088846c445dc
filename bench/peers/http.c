/* SPDX-License-Identifier: MIT */
/*
 * http - the least HTTP/1.1 that a load generator cannot tell from a server: finds the
 * ends of the requests that arrived, looks at nothing else, and answers each with the
 * same reply, byte for byte that of the server on weft. Pipelined requests are answered
 * by one send.
 *
 * This is a limit line and not a server: it accepts anything, and waits for ever.
 */
#include "peer.h"

#include <string.h>
#include <time.h>

#define REPLY                                                                            \
	"HTTP/1.1 200 OK\r\n"                                                            \
	"Content-Type: text/plain\r\n"                                                   \
	"Content-Length: 13\r\n"                                                         \
	"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"                                        \
	"\r\n"                                                                           \
	"Hello, world\n"

enum {
	REPLY_LEN = sizeof(REPLY) - 1,
	DATE_LEN = 29,
	AFTER_DATE = 2 + 2 + 13, /* two line ends and the body */
	END_LEN = 4,
	/* As many requests as fit a buffer: an end of headers is END_LEN bytes. */
	REPLIES_MAX = PEER_BUFFER / END_LEN,
};

static char replies[REPLIES_MAX * REPLY_LEN];
static size_t replies_ready; /* how many copies of reply[] are in replies[] */
static char reply[] = REPLY;
static time_t second; /* that reply[] tells */

/* The date anew, once a second. A reply that is being sent may get some of its digits: the
 * load generator does not read them. */
static void tell_second(time_t now)
{
	char date[DATE_LEN + 1];
	struct tm parts;

	gmtime_r(&now, &parts);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
	memcpy(reply + REPLY_LEN - AFTER_DATE - DATE_LEN, date, DATE_LEN);
	second = now;
	replies_ready = 0;
}

static void prepare(size_t count)
{
	time_t now = time(NULL);

	if (now != second)
		tell_second(now);
	for (; replies_ready < count; replies_ready++)
		memcpy(replies + replies_ready * REPLY_LEN, reply, REPLY_LEN);
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
