/* SPDX-License-Identifier: MIT */
/*
 * replay - a client without a connection whose requests come from a file.
 *
 * Nothing expires meanwhile: the file tells what was there when each command ran, and times that
 * have come since are dealt with when all of it is known.
 */
#include "replay.h"

#include <errno.h>
#include <stdio.h>

#include "client.h"
#include "command.h"
#include "program.h"

enum { READ_SIZE = 256 << 10 }; /* a few thousand commands, a millisecond or two */

static int refuse(uint64_t at, const char *why)
{
	fprintf(stderr,
		"cache-server: appendonly.aof: damaged at byte %llu: %s. To give up what "
		"follows: "
		"truncate -s %llu\n",
		(unsigned long long)at, why, (unsigned long long)at);
	return -EINVAL;
}

/* Runs one complete request; the reply says whether it was one that belongs into the file. */
static int run(struct client *client, uint64_t at)
{
	char why[128];

	if (client->request.argc == 0)
		return refuse(at, "an empty command");
	command_run(client);
	value_release(client->tail);
	client->tail = NULL;
	if (client->out.len && client->out.data[0] == '-') {
		snprintf(why, sizeof(why), "%.*s", (int)client->out.len - 3,
			client->out.data + 1);
		return refuse(at, why);
	}
	client->out.len = 0;
	return 0;
}

/* Runs what is complete in the input; moves begin, and *at with it. */
static int run_all(struct client *client, uint64_t *at)
{
	for (;;) {
		const char *data = client->in.data + client->begin;
		size_t n = client->in.len - client->begin;
		ssize_t used = n ? resp_parse(&client->request, data, n) : 0;
		int rc;

		if (n && data[0] != '*')
			return refuse(*at, "not the start of a command");
		if (used < 0)
			return refuse(*at, client->request.error);
		if (used == 0)
			return 0;
		rc = run(client, *at);
		if (rc < 0)
			return rc;
		resp_next(&client->request);
		client->begin += (size_t)used;
		*at += (uint64_t)used;
	}
}

/* Whether a complete command that we know stands in the text: then what comes before it is not
 * the end of a file but a length that was damaged. */
static bool has_command(struct text text)
{
	const char *at = text.at, *end = text.at + text.len;
	bool found = false;

	while (!found && (at = memmem(at, (size_t)(end - at), "\r\n*", 3))) {
		struct resp_request request = {0};

		at += 2;
		found = resp_parse(&request, at, (size_t)(end - at)) > 0 &&
			request.argc && command_find(resp_arg(&request, 0));
		resp_finish(&request);
	}
	return found;
}

static int read_more(struct client *client, int fd, uint64_t at)
{
	struct buffer *in = &client->in;
	ssize_t n;

	in->len -= client->begin;
	memmove(in->data, in->data + client->begin, in->len);
	client->begin = 0;
	if (!buffer_reserve(in, READ_SIZE))
		return -ENOMEM;
	n = weft_pread(fd, in->data + in->len, in->room - in->len, (off_t)(at + in->len));
	if (n > 0)
		in->len += (size_t)n;
	return (int)(n > INT32_MAX ? INT32_MAX : n);
}

static int replay_with(struct client *client, int fd, uint64_t *good)
{
	struct text rest;
	int rc;

	*good = 0;
	while ((rc = read_more(client, fd, *good)) > 0) {
		rc = run_all(client, good);
		if (rc < 0)
			return rc;
		weft_yield(); /* a long file is no stall */
	}
	if (rc < 0) {
		fprintf(stderr, "cache-server: appendonly.aof: read: %s\n",
			strerror(-rc));
		return rc;
	}
	rest = (struct text){client->in.data, client->in.len};
	if (rest.len && has_command(rest))
		return refuse(*good, "a length that does not fit what follows");
	if (rest.len)
		fprintf(stderr,
			"cache-server: appendonly.aof: %zu bytes of an unfinished "
			"command at its "
			"end are cut off\n",
			rest.len);
	return 0;
}

int replay(int fd, uint64_t *good)
{
	struct client client = {.fd = -1};
	int rc;

	program.cache.loading = true;
	rc = buffer_reserve(&client.in, READ_SIZE) ? replay_with(&client, fd, good)
						   : -ENOMEM;
	program.cache.loading = false;
	client_finish(&client);
	return rc;
}
