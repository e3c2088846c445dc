/* SPDX-License-Identifier: MIT */
/*
 * eyeballs - the race between the addresses of one name. See eyeballs.h.
 *
 * One task runs it all: a connect that does not wait for each attempt, and a poll (io/ready.h) that says
 * when it is decided. A socket of a lost attempt has no operation in flight when it is closed.
 */
#include "io/eyeballs.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>

#include <weft/task.h>

#include "base/sys.h"
#include "io/ground.h"
#include "io/io.h"
#include "io/ready.h"
#include "io/sys.h"
#include "sched/wait.h"

struct attempt {
	int fd; /* -1: not begun, or over */
	struct weft_ready ready;
};

struct race {
	const struct weft_address *list;
	unsigned n, begun, live;
	weft_ns delay;
	weft_ns next; /* when the next attempt begins */
	int winner;   /* -1: none yet */
	int error;
	struct attempt attempt[WEFT_EYEBALLS_MAX];
};

/* -- the order --------------------------------------------------------------------------------- */

static unsigned next_of_family(
	const struct weft_address *list, unsigned from, unsigned n, sa_family_t family, bool same)
{
	while (from < n && (list[from].storage.ss_family == family) != same)
		from++;
	return from;
}

void weft_eyeballs_order(struct weft_address *list, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		unsigned found = next_of_family(
			list, i, n, list[i - 1].storage.ss_family, false);
		struct weft_address address;

		if (found == n)
			return; /* one family is left */
		address = list[found];
		for (; found > i; found--)
			list[found] = list[found - 1];
		list[i] = address;
	}
}

/* -- attempts ---------------------------------------------------------------------------------- */

/* This machine has no such network, or no way there: not what the user wants to hear first. */
static bool says_little(int code)
{
	return code == -EAFNOSUPPORT || code == -EADDRNOTAVAIL || code == -ENETUNREACH ||
		code == -EHOSTUNREACH;
}

static void note_failure(struct race *race, int code)
{
	if (!race->error || says_little(race->error) || !says_little(code))
		race->error = code;
	race->next = weft_now(); /* no need to wait for this one */
}

static void win(struct race *race, int fd)
{
	weft_sys_set_blocking(fd);
	race->winner = fd;
}

/* Begin to connect fd: 1 under way, 0 connected, or -errno. */
static int begin_to_connect(struct attempt *attempt, const struct weft_address *address, int fd)
{
	int rc;

	weft_sys_enable(fd, IPPROTO_TCP, TCP_NODELAY);
	rc = weft_ground()->connect(fd, (const struct sockaddr *)&address->storage, address->len);
	if (rc != -EINPROGRESS && rc != -EINTR)
		return rc;
	rc = weft_ready_begin(&attempt->ready, fd, POLLOUT);
	return rc < 0 ? rc : 1;
}

static void begin_next(struct race *race)
{
	const struct weft_address *address = &race->list[race->begun];
	struct attempt *attempt = &race->attempt[race->begun++];
	int fd = weft_ground()->socket(address->storage.ss_family,
		SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc = fd;

	race->next = weft_time_add(weft_now(), race->delay);
	if (fd >= 0) {
		weft_fd_opened(fd);
		rc = begin_to_connect(attempt, address, fd);
	}
	if (rc == 1) {
		attempt->fd = fd;
		race->live++;
	} else if (rc == 0) {
		win(race, fd);
	} else {
		note_failure(race, rc);
		if (fd >= 0)
			weft_io_close(fd);
	}
}

/* It is decided, or no longer wanted: 0 if it is connected. */
static int end_attempt(struct race *race, struct attempt *attempt)
{
	int rc = weft_ready_end(&attempt->ready);

	race->live--;
	if (rc >= 0)
		rc = weft_ground()->socket_error(attempt->fd);
	return rc;
}

static void look_at(struct race *race, struct attempt *attempt)
{
	int fd = attempt->fd, rc;

	if (fd < 0 || !weft_ready_over(&attempt->ready))
		return;
	rc = end_attempt(race, attempt);
	attempt->fd = -1;
	if (rc == 0) {
		win(race, fd);
		return;
	}
	note_failure(race, rc);
	weft_io_close(fd);
}

static void look_at_all(struct race *race)
{
	for (unsigned i = 0; i < race->begun && race->winner < 0; i++)
		look_at(race, &race->attempt[i]);
}

static void close_losers(struct race *race)
{
	for (unsigned i = 0; i < race->begun; i++) {
		if (race->attempt[i].fd < 0)
			continue;
		end_attempt(race, &race->attempt[i]);
		weft_io_close(race->attempt[i].fd);
	}
}

/* Until somebody has won, all have failed, or something is pending: then its code. */
static int run(struct race *race)
{
	for (;;) {
		bool more = race->begun < race->n;
		int rc;

		look_at_all(race);
		if (race->winner >= 0)
			return 0;
		rc = weft_pending();
		if (rc < 0)
			return rc;
		if (more && (race->live == 0 || weft_now() >= race->next))
			begin_next(race);
		else if (race->live == 0)
			return race->error;
		else
			weft_park(more ? race->next : WEFT_FOREVER);
		if (race->winner >= 0)
			return 0;
	}
}

int weft_eyeballs_connect(const struct weft_address *list, unsigned n, weft_ns delay)
{
	struct race race = { .list = list, .n = n, .delay = delay, .winner = -1 };
	int rc;

	for (unsigned i = 0; i < n; i++)
		race.attempt[i].fd = -1;
	rc = run(&race);
	close_losers(&race);
	return rc < 0 ? rc : race.winner;
}
