/* SPDX-License-Identifier: MIT */
/*
 * serve - weft_serve: the accept loop, a task per connection. Built on public calls only: a
 * group owns the connections, a semaphore counts the room left for more.
 *
 * Out of descriptors or memory, one acceptor at a time tries again: at once when a connection of
 * this server has ended, else after a pause that doubles. The others queue behind it on a mutex, so
 * that scarcity costs one attempt per pause, and each attempt that succeeds lets the next one go.
 */
#include <weft/io.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <weft/cancel.h>
#include <weft/compose.h>
#include <weft/sync.h>
#include <weft/task.h>

#include "io/io.h"
#include "sched/submit.h"

#define PAUSE_MIN WEFT_MS(1) /* out of descriptors or memory: before the next attempt */
#define PAUSE_MAX WEFT_MS(100)

/* Several accept at once: at one connection per look at the ring, a burst of them would wait. */
enum { ACCEPTORS = 16 };

/* On the stack of weft_serve, which outlives every connection: group_join waits for them. */
struct server {
	int listen_fd;
	int (*conn)(int fd, void *user);
	void *user;
	struct weft_io *io;
	bool is_bounded;
	struct weft_sem room; /* connections that may still be accepted, if bounded */
	struct weft_group group;
	struct weft_mutex scarcity;   /* whose holder tries again */
	struct weft_event_flag ended; /* a connection, and its descriptor is free */
};

struct connection {
	struct server *server;
	int fd;
};

static int serve_connection(void *arg)
{
	struct connection connection = *(struct connection *)arg;
	struct server *server = connection.server;
	int status;

	free(arg);
	status = server->conn(connection.fd, server->user);
	weft_close(connection.fd);
	if (!weft_event_flag_is_set(&server->ended))
		weft_event_flag_set(&server->ended);
	if (status < 0)
		weft_add_relaxed(&server->io->connections_failed, 1);
	if (server->is_bounded)
		weft_sem_release(&server->room, 1);
	return 0; /* its status is counted, and nobody else's business */
}

/* A task for the new connection; without one it is closed. */
static int start(struct server *server, int fd)
{
	struct connection *connection = malloc(sizeof(*connection));
	int rc = -ENOMEM;

	if (connection) {
		*connection = (struct connection){.server = server, .fd = fd};
		rc = weft_group_spawn(&server->group, serve_connection, connection);
	}
	if (rc < 0) {
		free(connection);
		weft_close(fd);
		return rc;
	}
	weft_add_relaxed(&server->io->connections, 1);
	return 0;
}

static int accept_one(struct server *server)
{
	int rc = server->is_bounded ? weft_sem_acquire(&server->room, 1) : 0;

	if (rc < 0)
		return rc;
	rc = weft_accept(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (rc >= 0)
		rc = start(server, rc);
	if (rc < 0 && server->is_bounded)
		weft_sem_release(&server->room, 1);
	return rc;
}

/* The connection failed before it was accepted; see accept(2). */
static bool is_the_peers(int rc)
{
	return rc == -ECONNABORTED || rc == -EPROTO || rc == -ENETDOWN ||
	       rc == -ENOPROTOOPT || rc == -EHOSTDOWN || rc == -ENONET ||
	       rc == -EHOSTUNREACH || rc == -ENETUNREACH;
}

static bool is_scarcity(int rc)
{
	return rc == -EMFILE || rc == -ENFILE || rc == -ENOBUFS || rc == -ENOMEM;
}

/* Wait until a connection has ended, at most that long. 0, or the code of a cancel or deadline. */
static int wait_for_an_end(struct server *server, weft_ns at_most)
{
	struct weft_scope scope;
	int rc;

	weft_deadline_begin(&scope, at_most);
	rc = weft_event_flag_wait(&server->ended);
	if (weft_scope_end(&scope))
		rc = 0;
	return rc;
}

/* Try again until it succeeds, or fails for another reason. */
static int accept_in_scarcity(struct server *server)
{
	weft_ns pause = PAUSE_MIN;
	int rc = weft_mutex_lock(&server->scarcity);

	if (rc < 0)
		return rc;
	for (;;) {
		weft_event_flag_clear(&server->ended); /* before the attempt: no end is missed */
		rc = accept_one(server);
		if (!is_scarcity(rc))
			break;
		rc = wait_for_an_end(server, pause);
		if (rc < 0)
			break;
		pause = 2 * pause < PAUSE_MAX ? 2 * pause : PAUSE_MAX;
	}
	weft_mutex_unlock(&server->scarcity);
	return rc;
}

/* Returns why it stopped. */
static int accept_loop(void *arg)
{
	struct server *server = arg;

	for (;;) {
		int rc = accept_one(server);

		if (is_scarcity(rc))
			rc = accept_in_scarcity(server);
		if (rc < 0 && !is_the_peers(rc))
			return rc;
	}
}

/* Run the acceptors until one fails, which cancels the others, or the caller is cancelled. */
static int accept_all(struct server *server)
{
	struct weft_group acceptors;
	int spawned = 0, rc = 0;

	weft_group_begin(&acceptors, 0);
	for (; spawned < ACCEPTORS && rc == 0; spawned += rc == 0)
		rc = weft_group_spawn(&acceptors, accept_loop, server);
	if (spawned > 0)
		rc = 0; /* fewer will do */
	else
		weft_group_cancel(&acceptors);
	spawned = weft_group_join(&acceptors);
	return rc < 0 ? rc : spawned;
}

int weft_serve(
	int listen_fd, int (*conn)(int fd, void *user), void *user, unsigned max_conns)
{
	WEFT_CHECKPOINT(checkpoint);
	struct server server = {
		.listen_fd = listen_fd,
		.conn = conn,
		.user = user,
		.is_bounded = max_conns > 0,
	};
	int rc;

	if (!conn)
		return -EINVAL;
	rc = weft_io_enter(&checkpoint);
	if (rc < 0)
		return rc;
	server.io = weft_io_current();
	weft_sem_init(&server.room, max_conns);
	weft_group_begin(&server.group, WEFT_GROUP_COLLECT);
	rc = accept_all(&server);
	weft_group_cancel(&server.group);
	weft_group_join(&server.group);
	return rc;
}
