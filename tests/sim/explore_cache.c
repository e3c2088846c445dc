/* SPDX-License-Identifier: MIT */
/*
 * The cache server of bench/servers/cache, all of it but main.c, explored: several clients over simulated
 * connections, and an append-only file in a simulated directory, from which a second life of the server has all that
 * the first one has answered.
 */
#include "explore.h"

#include "aof.h"
#include "client.h"
#include "command.h"
#include "program.h"
#include "replay.h"

enum { CLIENTS = 3, ROUNDS = 2, STREAM_ROOM = 256 };

#define HARMLESS (WEFT_SIM_LATENCY | WEFT_SIM_PARTIAL | WEFT_SIM_REORDER | WEFT_SIM_SLOW)

struct program program;

static struct {
	int listener;
	char address[64];
	int increments;
} v;

/* -- a client ---------------------------------------------------------------------------------- */

struct stream {
	int fd;
	size_t begin, end;
	char bytes[STREAM_ROOM];
};

/* A line without its CRLF; false: there is none any more. */
static bool line(struct stream *stream, char *text)
{
	for (size_t n = 0; n + 1 < STREAM_ROOM;) {
		if (stream->begin == stream->end) {
			ssize_t got = weft_read(
				stream->fd, stream->bytes, sizeof(stream->bytes));

			if (got <= 0)
				return false;
			stream->begin = 0;
			stream->end = (size_t)got;
		}
		text[n++] = stream->bytes[stream->begin++];
		if (n >= 2 && text[n - 2] == '\r' && text[n - 1] == '\n') {
			text[n - 2] = 0;
			return true;
		}
	}
	return false;
}

/* The reply, of a bulk its text; false: the connection has ended. */
static bool reply(struct stream *stream, char *text)
{
	if (!line(stream, text))
		return false;
	if (text[0] != '$' || text[1] == '-')
		return true;
	return line(stream, text);
}

static bool tell(
	struct stream *stream, const char *name, const char *key, const char *value)
{
	char request[128];
	int n = snprintf(request, sizeof(request), "*%d\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n",
		value ? 3 : 2, strlen(name), name, strlen(key), key);

	if (value)
		n += snprintf(request + n, sizeof(request) - (size_t)n, "$%zu\r\n%s\r\n",
			strlen(value), value);
	return weft_write_full(stream->fd, request, (size_t)n, NULL) == n;
}

static bool ask(struct stream *stream, const char *name, const char *key,
	const char *value, char *answer)
{
	return tell(stream, name, key, value) && reply(stream, answer);
}

static struct stream connected(void)
{
	struct stream stream = {.fd = weft_dial(v.address, 0)};

	CHECK(stream.fd >= 0);
	return stream;
}

/* Counts with the others, and writes what it alone reads; replies of a batch come in its order. */
static int use_cache(void *number)
{
	struct stream stream = connected();
	char key[16], value[16], answer[STREAM_ROOM];
	int last = 0;

	snprintf(key, sizeof(key), "own-%d", (int)(intptr_t)number);
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(ask(&stream, "INCR", "shared", NULL, answer) && answer[0] == ':');
		CHECK(atoi(answer + 1) > last);
		last = atoi(answer + 1);
		v.increments++;
		snprintf(value, sizeof(value), "%d", 100 + i);
		CHECK(tell(&stream, "SET", key, value) &&
			tell(&stream, "GET", key, NULL));
		CHECK(reply(&stream, answer) && strcmp(answer, "+OK") == 0);
		CHECK(reply(&stream, answer) && strcmp(answer, value) == 0);
		if (any(3) == 0)
			dawdle();
	}
	CHECK(weft_close(stream.fd) == 0);
	return 0;
}

/* -- the server -------------------------------------------------------------------------------- */

static int serve(void *arg)
{
	(void)arg;
	return weft_serve(
		v.listener, client_serve, NULL, program.options.max_connections);
}

static struct weft_task *start(void)
{
	uint64_t length = 0;

	program.start = weft_now();
	if (program.options.appendonly) {
		CHECK(aof_open(&program.aof, program.options.dir,
			      program.options.policy) == 0);
		CHECK(replay(program.aof.fd, &length) == 0);
		CHECK(aof_start(&program.aof, length) == 0);
	}
	v.listener = weft_listen("127.0.0.1:0", 8, 0);
	CHECK(weft_local_address(v.listener, v.address, sizeof(v.address)) > 0);
	return weft_create_task(serve, NULL);
}

static void stop(struct weft_task *server)
{
	weft_cancel(server);
	CHECK(weft_join(server) == -ECANCELED);
	CHECK(weft_close(v.listener) == 0);
	CHECK(aof_stop(&program.aof) == 0);
	memset(&program.aof, 0, sizeof(program.aof));
}

/* What a process that ends forgets. */
static void forget_all(void)
{
	struct stream stream;
	char answer[STREAM_ROOM];
	struct weft_task *server;
	bool appendonly = program.options.appendonly;

	program.options.appendonly = false;
	server = start();
	stream = connected();
	CHECK(weft_write_full(stream.fd, "*1\r\n$8\r\nFLUSHALL\r\n", 18, NULL) == 18);
	CHECK(reply(&stream, answer) && strcmp(answer, "+OK") == 0);
	CHECK(weft_close(stream.fd) == 0);
	stop(server);
	weft_sleep(WEFT_SEC(1)); /* a task of its own frees what was stored */
	program.options.appendonly = appendonly;
}

static void begin(bool appendonly)
{
	static bool made;

	if (!made) {
		command_init();
		CHECK(cache_init(&program.cache, false));
		made = true;
	}
	memset(&v, 0, sizeof(v));
	program.options = (struct options){
		.max_connections = 10,
		.grace = WEFT_SEC(2),
		.appendonly = appendonly,
		.policy = (enum aof_policy)any(3),
		.dir = ".",
	};
}

static void use_by_all(void)
{
	struct weft_task *clients[CLIENTS];

	for (intptr_t i = 0; i < CLIENTS; i++)
		clients[i] = weft_create_task(use_cache, (void *)i);
	CHECK(weft_gather(clients, CLIENTS, NULL, 0) == 0);
	weft_release_all(clients, CLIENTS);
}

static void has_all(void)
{
	struct stream stream = connected();
	char answer[STREAM_ROOM], key[16];

	CHECK(ask(&stream, "GET", "shared", NULL, answer));
	CHECK(atoi(answer) == v.increments && v.increments == CLIENTS * ROUNDS);
	for (int i = 0; i < CLIENTS; i++) {
		snprintf(key, sizeof(key), "own-%d", i);
		CHECK(ask(&stream, "GET", key, NULL, answer));
		CHECK(atoi(answer) == 100 + ROUNDS - 1);
	}
	CHECK(weft_close(stream.fd) == 0);
}

/* -- programs ---------------------------------------------------------------------------------- */

static int clients(void *arg)
{
	struct weft_task *server;

	(void)arg;
	begin(false);
	server = start();
	use_by_all();
	has_all();
	stop(server);
	forget_all();
	return 0;
}

static int second_life(void *arg)
{
	struct weft_task *server;

	(void)arg;
	begin(true);
	server = start();
	use_by_all();
	stop(server);
	forget_all();
	server = start();
	has_all();
	stop(server);
	forget_all();
	return 0;
}

Explored(cache, clients, clients, .faults = HARMLESS);
Explored(cache, second_life, second_life, .faults = HARMLESS, .share = 4);
