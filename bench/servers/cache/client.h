/* SPDX-License-Identifier: MIT */
/*
 * client - one connection: receives, runs all requests that have come whole, sends their
 * replies together. The commands see it as the place where their arguments are and their
 * replies go; replay.c has one without a connection.
 */
#ifndef WEFT_BENCH_CACHE_CLIENT_H
#define WEFT_BENCH_CACHE_CLIENT_H

#include "cache.h"
#include "resp.h"

/* One task's, but for the values that replies refer to. */
struct client {
	int fd;      /* -1: none, replies go nowhere */
	bool close;  /* ends after the replies at hand */
	bool failed; /* the connection is beyond a reply */
	struct resp_request request;

	struct buffer in;
	size_t begin;      /* in.data[begin..len) has come and is not used up */
	struct buffer out; /* replies */
	struct value
		*tail; /* the reply's bytes, too many to copy; CRLF is still to follow */
	struct cache_clock clock; /* the time for the requests at hand */

	/* Replies that wait for the file: from `mark` on in out, so many. */
	size_t mark;
	size_t marked;

	uint64_t commands, hits, misses; /* not counted in the program's yet */
};

/* The body of a connection's task, for weft_serve. */
int client_serve(int fd, void *user);

/*
 * Appends a bulk reply. The value's shard must be locked. A long value is not copied: it goes
 * into client->tail, and client_flush is due before the next reply, after the unlock.
 */
void client_put_value(struct client *client, struct value *value);

/*
 * [S] Sends what has gathered, once the file has what it tells. Not with a guard held. Sets
 * client->failed when the connection does not take it.
 */
void client_flush(struct client *client);

/* Frees what the client holds. */
void client_finish(struct client *client);

#endif
