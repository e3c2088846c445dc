/* SPDX-License-Identifier: MIT */
/*
 * weft_serve, explored: clients over simulated connections that are late, cut into pieces, refused and reset, a
 * server that is cancelled at any moment, one that runs out of descriptors.
 */
#include "explore.h"

enum { CLIENTS = 3, MESSAGES = 2, LONGEST = 24 };

#define HARMLESS (WEFT_SIM_LATENCY | WEFT_SIM_PARTIAL | WEFT_SIM_REORDER | WEFT_SIM_SLOW)

static struct {
	int listener;
	char address[64];
	unsigned most; /* connections at a time */
	int live, most_live, served;
	int done;     /* clients that got all they were to get */
	bool stops;   /* the server is cancelled before they have */
	bool ends;    /* it is cancelled */
	bool trouble; /* connections may fail */
} v;

/* -- the server -------------------------------------------------------------------------------- */

/* Sends back what comes, until the client has no more to say. */
static int echo(int fd, void *user)
{
	char buffer[16];
	ssize_t n;

	CHECK(user == &v);
	v.served++;
	v.live++;
	v.most_live = v.live > v.most_live ? v.live : v.most_live;
	while ((n = weft_read(fd, buffer, 1 + any(sizeof(buffer)))) > 0) {
		n = weft_write_full(fd, buffer, (size_t)n, NULL);
		if (n < 0)
			break;
	}
	CHECK(n == 0 || (n == -ECANCELED && v.ends) || v.trouble);
	v.live--;
	return (int)n;
}

static int serve(void *arg)
{
	int rc = weft_serve(v.listener, echo, &v, v.most);

	(void)arg;
	CHECK(v.live == 0);
	CHECK(rc == -ECANCELED);
	return rc;
}

/* -- clients ----------------------------------------------------------------------------------- */

/* What number i of that client is: its bytes say who and which. */
static size_t message(int client, int i, char *text)
{
	size_t n = 1 + any(LONGEST);

	memset(text, 'a' + client * MESSAGES + i, n);
	return n;
}

/* True: it came back as it was. */
static bool ask(int fd, int client, int i)
{
	char text[LONGEST], back[LONGEST];
	size_t n = message(client, i, text);
	ssize_t rc = weft_write_full(fd, text, n, NULL);

	if (rc >= 0)
		rc = weft_read_full(fd, back, n);
	CHECK(rc == (ssize_t)n || v.stops || v.trouble);
	CHECK(rc <= 0 || memcmp(text, back, (size_t)rc) == 0);
	return rc == (ssize_t)n;
}

static int client(void *number)
{
	int self = (int)(intptr_t)number, fd, asked = 0;

	dawdle();
	do {
		fd = weft_dial(v.address, 0);
		CHECK(fd >= 0 || v.stops || v.trouble);
		if (fd == -EMFILE)
			weft_sleep(WEFT_MS(1));
	} while (fd == -EMFILE);
	if (fd < 0)
		return 0;
	while (asked < MESSAGES && ask(fd, self, asked)) {
		asked++;
		if (any(3) == 0)
			dawdle();
	}
	v.done += asked == MESSAGES;
	CHECK(weft_close(fd) == 0);
	return 0;
}

/* -- programs ---------------------------------------------------------------------------------- */

static struct weft_task *begin(void)
{
	do {
		v.listener = weft_listen("127.0.0.1:0", 8, 0);
	} while (v.listener == -EMFILE);
	CHECK(v.listener >= 0);
	CHECK(weft_local_address(v.listener, v.address, sizeof(v.address)) > 0);
	return weft_create_task(serve, NULL);
}

static void end(struct weft_task *server, struct weft_task **clients)
{
	if (!v.stops)
		CHECK(weft_gather(clients, CLIENTS, NULL, WEFT_GATHER_ALL) == 0);
	v.ends = true;
	weft_cancel(server);
	CHECK(weft_join(server) == -ECANCELED);
	CHECK(weft_close(v.listener) == 0);
	CHECK(weft_gather(clients, CLIENTS, NULL, WEFT_GATHER_ALL) == 0);
	weft_release_all(clients, CLIENTS);
	CHECK(!v.most || v.most_live <= (int)v.most);
	CHECK(v.done == CLIENTS || v.stops || v.trouble);
}

static int run(bool trouble, bool stops)
{
	struct weft_task *clients[CLIENTS], *server;

	memset(&v, 0, sizeof(v));
	v.most = any(3);
	v.trouble = trouble;
	server = begin();
	for (intptr_t i = 0; i < CLIENTS; i++)
		clients[i] = weft_create_task(client, (void *)i);
	for (unsigned n = stops ? any(5) : 0; n > 0; n--)
		dawdle();
	v.stops = stops;
	end(server, clients);
	return 0;
}

static int serve_all(void *arg)
{
	(void)arg;
	return run(false, false);
}

static int serve_cancelled(void *arg)
{
	(void)arg;
	return run(false, true);
}

static int serve_in_trouble(void *arg)
{
	(void)arg;
	return run(true, any(2));
}

/* Descriptors run out now and then: nobody is turned away for it, all are served in the end. */
static int serve_without_descriptors(void *arg)
{
	(void)arg;
	run(true, false);
	CHECK(v.done == CLIENTS);
	return 0;
}

Explored(serve, all, serve_all, .faults = HARMLESS);
Explored(serve, cancelled, serve_cancelled, .faults = HARMLESS);
Explored(serve, in_trouble, serve_in_trouble, .faults = WEFT_SIM_ALL_FAULTS, .share = 2);
Explored(serve, without_descriptors, serve_without_descriptors, .faults = WEFT_SIM_EMFILE,
	.share = 2);
