/* SPDX-License-Identifier: MIT */
/*
 * client - the loop of a connection. Memory is bounded by what one request holds: input grows
 * only while a request is incomplete, and replies are sent when OUT_MAX of them have gathered,
 * so a client that asks and does not read is waited for.
 */
#include "client.h"

#include <errno.h>
#include <stdlib.h>

#include "command.h"
#include "program.h"

enum {
	IN_SIZE = 16 << 10,    /* read at a time, and kept by an idle connection */
	OUT_MAX = 64 << 10,    /* replies that are gathered before they are sent */
	OUT_KEPT = 64 << 10,   /* memory for replies that an idle connection keeps */
	COPY_MAX = 16 << 10,   /* longer values are sent from where they are */
	REQUEST_MAX = 1 << 30, /* bytes of one request */
};

void client_put_value(struct client *client, struct value *value)
{
	if (value->len <= COPY_MAX) {
		resp_put_bulk(&client->out, value_text(value));
		return;
	}
	resp_put_bulk_head(&client->out, value->len);
	value_ref(value);
	client->tail = value;
}

/* All n bytes. A cancel does not leave half a reply: the rest goes out within the grace. */
static int send_all(struct client *client, const char *bytes, size_t n, int flags)
{
	struct weft_scope grace;
	size_t sent = 0;
	ssize_t rc = weft_send_full(client->fd, bytes, n, flags, &sent);

	if (rc == -ECANCELED) {
		weft_shield_begin(&grace, program.options.grace);
		rc = weft_send_full(client->fd, bytes + sent, n - sent, flags, NULL);
		weft_scope_end(&grace);
	}
	return rc < 0 ? (int)rc : 0;
}

/* Replies must not tell what the file may lose: wait for it, or take them back. */
static void settle(struct client *client)
{
	int rc = program.aof.on ? aof_settle(&program.aof) : 0;

	if (rc < 0 && client->marked) {
		value_release(client->tail);
		client->tail = NULL;
		client->out.len = client->mark;
		for (size_t i = 0; i < client->marked; i++)
			command_refuse_write(client, rc);
	}
	client->marked = 0;
}

void client_flush(struct client *client)
{
	struct value *tail;
	int rc;

	if (client->out.len == 0 || client->fd < 0)
		return;
	settle(client);
	tail = client->tail;
	client->tail = NULL;
	rc = client->out.failed ? -ENOMEM : 0;
	if (rc == 0 && !client->failed)
		rc = send_all(
			client, client->out.data, client->out.len, tail ? MSG_MORE : 0);
	client->out.len = 0;
	if (tail) {
		if (rc == 0 && !client->failed)
			rc = send_all(client, tail->data, tail->len, MSG_MORE);
		buffer_put(&client->out, "\r\n", 2);
		value_release(tail);
	}
	client->failed |= rc < 0;
}

static void count(struct client *client)
{
	atomic_fetch_add(&program.counts.commands, client->commands);
	if (client->hits)
		atomic_fetch_add(&program.counts.hits, client->hits);
	if (client->misses)
		atomic_fetch_add(&program.counts.misses, client->misses);
	client->commands = client->hits = client->misses = 0;
}

/* Runs the complete requests that have come, then sends what is due. */
static void handle(struct client *client)
{
	client->clock = (struct cache_clock){0};
	while (!client->close && !client->failed) {
		ssize_t used = resp_parse(&client->request,
			client->in.data + client->begin, client->in.len - client->begin);

		if (used == 0)
			break;
		if (used < 0) {
			resp_put_error(&client->out, "ERR %s", client->request.error);
			client->close = true;
			break;
		}
		client->begin += (size_t)used;
		if (client->request.argc)
			command_run(client);
		resp_next(&client->request);
		if (client->tail || client->out.len >= OUT_MAX)
			client_flush(client);
	}
	count(client);
	client_flush(client);
	if (client->out.room > OUT_KEPT)
		buffer_finish(&client->out);
}

/* Moves what is left of the input to its front, and gives it the room it needs. */
static bool make_room(struct client *client)
{
	struct buffer *in = &client->in;
	size_t left = in->len - client->begin;

	if (left == 0 && in->room > IN_SIZE)
		buffer_finish(in);
	else if (client->begin)
		memmove(in->data, in->data + client->begin, left);
	in->len = left;
	client->begin = 0;
	if (in->len >= REQUEST_MAX)
		return false;
	/* At least half of what is there more: a long request is moved a few times only. */
	return buffer_reserve(in, left < IN_SIZE / 2 ? IN_SIZE - left : left / 2);
}

static ssize_t receive(struct client *client)
{
	struct buffer *in = &client->in;
	ssize_t n;

	if (!make_room(client))
		return -ENOMEM;
	n = weft_recv(client->fd, in->data + in->len, in->room - in->len, 0);
	if (n > 0)
		in->len += (size_t)n;
	return n;
}

int client_serve(int fd, void *user)
{
	struct client client = {.fd = fd};

	(void)user;
	atomic_fetch_add(&program.counts.connections, 1);
	atomic_fetch_add(&program.counts.clients, 1);
	while (!client.close && !client.failed && receive(&client) > 0)
		handle(&client);
	atomic_fetch_sub(&program.counts.clients, 1);
	client_finish(&client);
	return 0;
}

void client_finish(struct client *client)
{
	value_release(client->tail);
	buffer_finish(&client->in);
	buffer_finish(&client->out);
	resp_finish(&client->request);
}
