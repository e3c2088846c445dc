/* SPDX-License-Identifier: MIT */
/*
 * io - connections opened, used and killed at random moments, from both sides, by cancel, by
 * shutdown, by reset. Whatever happens, an echo is the connection's own, and afterwards no
 * descriptor and no task is left and memory has not grown.
 */
#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weft.h>

enum {
	CONNECTIONS = 10000 / WEFT_TEST_SCALE,
	CLIENTS = 100,
	ROUNDS_MAX = 6,
	MESSAGE = 64,
	GROWTH_KIB = 4096, /* allowed from one round to the next: the allocator's slack */
};

struct client {
	const char *address;
	uint64_t seed;
	int connections;
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static bool one_in(uint64_t *state, unsigned n)
{
	return next_random(state) % n == 0;
}

/* Echoes; now and then drops the peer, in the middle of something or not. */
static int echo(int fd, void *user)
{
	uint64_t state =
		(uint64_t)(uintptr_t)&fd ^ (uint64_t)weft_now() ^ 0x9e3779b97f4a7c15u;
	char buf[256];

	(void)user;
	for (;;) {
		ssize_t n = weft_recv(fd, buf, sizeof(buf), 0);

		if (n <= 0)
			return (int)n;
		if (one_in(&state, 50))
			return 0;
		n = weft_send_full(fd, buf, (size_t)n, 0, NULL);
		if (n < 0)
			return (int)n;
	}
}

static void reset_on_close(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* The peer and the task beside may end it at any time; but what comes back is what was sent. */
static bool exchange(int fd, uint64_t *state)
{
	char sent[MESSAGE], got[MESSAGE];
	uint64_t id = next_random(state);

	for (size_t i = 0; i < MESSAGE; i += sizeof(id))
		memcpy(sent + i, &id, sizeof(id));
	if (weft_send_full(fd, sent, MESSAGE, 0, NULL) != MESSAGE)
		return false;
	if (weft_read_full(fd, got, MESSAGE) != MESSAGE)
		return false;
	cr_assert_eq(memcmp(sent, got, MESSAGE), 0, "another connection's bytes");
	return true;
}

struct talk {
	int fd;
	uint64_t seed;
};

static int talk(void *arg)
{
	struct talk *t = arg;
	unsigned rounds = 1 + next_random(&t->seed) % ROUNDS_MAX;

	while (rounds-- > 0 && exchange(t->fd, &t->seed))
		;
	return 0;
}

/* In a task of its own, so that it can be cut off. */
static void talk_until_cut(int fd, uint64_t *state, bool by_shutdown)
{
	struct talk t = {.fd = fd, .seed = next_random(state) | 1};
	struct weft_task *task = weft_create_task(talk, &t);

	weft_sleep((weft_ns)(next_random(state) % 200000));
	if (by_shutdown)
		weft_shutdown(
			fd, SHUT_RDWR); /* not close: the task may be between two calls */
	else
		weft_cancel(task);
	weft_join(task);
}

static void one_connection(const char *address, uint64_t *state)
{
	struct weft_scope scope;
	int fd;

	weft_deadline_begin(&scope, WEFT_SEC(20));
	fd = weft_dial(address, 0);
	weft_scope_end(&scope);
	cr_assert_geq(fd, 0, "dial: %s", strerror(-fd));
	if (one_in(state, 4))
		reset_on_close(fd);
	switch (next_random(state) % 4) {
	case 0:
		break; /* used by nobody */
	case 1:
		talk_until_cut(fd, state, true);
		break;
	case 2:
		talk_until_cut(fd, state, false);
		break;
	default:
		talk(&(struct talk){.fd = fd, .seed = next_random(state) | 1});
		break;
	}
	cr_assert_eq(weft_close(fd), 0);
}

static int run_client(void *arg)
{
	struct client *client = arg;

	for (int i = 0; i < client->connections; i++)
		one_connection(client->address, &client->seed);
	return 0;
}

struct server {
	const char *address;
	char bound[128];
	struct weft_event_flag ready;
};

static int run_server(void *arg)
{
	struct server *server = arg;
	int fd = weft_listen(server->address, 1024, 0), rc;

	cr_assert_geq(fd, 0, "listen: %s", strerror(-fd));
	cr_assert_gt(weft_local_address(fd, server->bound, sizeof(server->bound)), 0);
	weft_event_flag_set(&server->ready);
	rc = weft_serve(fd, echo, NULL, 0);
	weft_close(fd);
	return rc;
}

static void churn(const char *address, int connections, uint64_t seed)
{
	static struct client clients[CLIENTS];
	struct server server = {.address = address};
	struct weft_task *task = weft_create_task(run_server, &server);
	struct weft_group group;

	cr_assert_eq(weft_event_flag_wait(&server.ready), 0);
	weft_group_begin(&group, 0);
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){
			.address = server.bound,
			.seed = seed * CLIENTS + (uint64_t)i + 1,
			.connections = connections / CLIENTS,
		};
		cr_assert_eq(weft_group_spawn(&group, run_client, &clients[i]), 0);
	}
	cr_assert_eq(weft_group_join(&group), 0);
	weft_cancel(task);
	cr_assert_eq(weft_join(task), -ECANCELED);
}

static long resident_kib(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long size, resident;

	cr_assert_eq(fscanf(file, "%ld %ld", &size, &resident), 2);
	fclose(file);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static uint64_t live_tasks(void)
{
	struct weft_metrics metrics = {.size = sizeof(metrics)};

	cr_assert_eq(weft_runtime_metrics(weft_runtime_current(), &metrics), 0);
	return metrics.live;
}

static int churn_and_look(void *arg)
{
	const char *address = arg;
	int descriptors = open_descriptors();
	long resident;

	churn(address, CONNECTIONS / 2, 1); /* pools fill up */
	resident = resident_kib();
	churn(address, CONNECTIONS, 2);
	cr_assert_eq(open_descriptors(), descriptors);
	cr_assert_eq(live_tasks(), 1, "the main task alone");
	if (WEFT_TEST_SCALE == 1) /* sanitizers keep freed memory */
		cr_assert_lt(resident_kib() - resident, GROWTH_KIB);
	return 0;
}

static void run_churn(const char *address, unsigned workers)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.workers = workers;
	config.stall_report = -1;
	cr_assert_eq(weft_run(churn_and_look, (void *)(uintptr_t)address, &config), 0);
}

TestSuite(io, .timeout = 120);

Test(io, connections_killed_at_random_leave_nothing_one_worker)
{
	run_churn("127.0.0.1:0", 1);
}

Test(io, connections_killed_at_random_leave_nothing_two_workers)
{
	run_churn("127.0.0.1:0", 2);
}

Test(io, unix_connections_killed_at_random_leave_nothing)
{
	char address[64];

	/* Of this process: another build's tests may run as well. */
	snprintf(address, sizeof(address), "unix:@weft-stress-io-%d", (int)getpid());
	run_churn(address, 4);
}
