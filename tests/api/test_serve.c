/* SPDX-License-Identifier: MIT */
/*
 * serve - the accept loop: a task for each connection, until it is cancelled.
 */
#include "helper.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

TestSuite(serve, .timeout = PATIENCE);

struct server {
	int listener;
	char address[64];
	unsigned max_conns;
	int (*conn)(int fd, void *user);
	struct weft_task *task;
	int inside, most, served;
	struct weft_mutex mutex; /* guards most */
};

static int serve_it(void *arg)
{
	struct server *s = arg;

	return weft_serve(s->listener, s->conn, s, s->max_conns);
}

static void start(struct server *s, int (*conn)(int fd, void *user))
{
	s->conn = conn;
	s->listener = weft_listen("127.0.0.1:0", 64, 0);
	cr_assert_geq(s->listener, 0);
	weft_local_address(s->listener, s->address, sizeof(s->address));
	s->task = weft_create_task(serve_it, s);
}

static void stop(struct server *s)
{
	weft_cancel(s->task);
	cr_assert_eq(weft_join(s->task), -ECANCELED);
	cr_assert_eq(weft_close(s->listener), 0, "it stays the caller's");
}

static int echo(int fd, void *user)
{
	struct server *s = user;
	char buf[64];
	ssize_t n;

	while ((n = weft_recv(fd, buf, sizeof(buf), 0)) > 0)
		if (weft_send_full(fd, buf, (size_t)n, 0, NULL) < 0)
			break;
	__atomic_fetch_add(&s->served, 1, __ATOMIC_SEQ_CST);
	return (int)n;
}

static void converse(const char *address)
{
	char buf[8];

	int fd = weft_dial(address, 0);
	cr_assert_geq(fd, 0);
	cr_assert_eq(weft_send(fd, "hello", 5, 0), 5);
	cr_assert_eq(weft_read_full(fd, buf, 5), 5);
	cr_assert_arr_eq(buf, "hello", 5);
	cr_assert_eq(weft_shutdown(fd, SHUT_WR), 0);
	cr_assert_eq(
		weft_recv(fd, buf, sizeof(buf), 0), 0, "weft closes when conn returns");
	weft_close(fd);
}

static int be_a_client(void *arg)
{
	converse(arg);
	return 0;
}

static int serve_clients(void *arg)
{
	struct server s = {0};
	struct weft_group clients;

	(void)arg;
	start(&s, echo);
	converse(s.address);
	weft_group_begin(&clients, 0);
	for (int i = 0; i < 30; i++)
		weft_group_spawn(&clients, be_a_client, s.address);
	cr_assert_eq(weft_group_join(&clients), 0);
	stop(&s);
	cr_assert_eq(s.served, 31);
	return 0;
}

Test(serve, runs_a_task_for_each_connection)
{
	run_on_1_2_4(serve_clients);
}

static int hold_the_line(int fd, void *user)
{
	struct server *s = user;
	char byte;

	int inside = __atomic_add_fetch(&s->inside, 1, __ATOMIC_SEQ_CST);
	weft_mutex_lock(&s->mutex);
	if (inside > s->most)
		s->most = inside;
	weft_mutex_unlock(&s->mutex);
	ssize_t n = weft_recv(fd, &byte, 1, 0);
	__atomic_fetch_sub(&s->inside, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&s->served, 1, __ATOMIC_SEQ_CST);
	return (int)n;
}

static int cancel_with_clients(void *arg)
{
	struct server s = {0};
	int fds[5];
	char byte;

	(void)arg;
	start(&s, hold_the_line);
	for (int i = 0; i < 5; i++)
		fds[i] = weft_dial(s.address, 0);
	while (__atomic_load_n(&s.inside, __ATOMIC_SEQ_CST) < 5)
		weft_sleep(100000); /* ends: five have connected */
	stop(&s);
	cr_assert_eq(s.inside, 0, "it waited for them all");
	cr_assert_eq(s.served, 5);
	for (int i = 0; i < 5; i++) {
		cr_assert_eq(weft_recv(fds[i], &byte, 1, 0), 0,
			"and closed their connections");
		weft_close(fds[i]);
	}
	return 0;
}

Test(serve, cancels_its_connections_when_cancelled)
{
	run_on_1_2_4(cancel_with_clients);
}

static int limit_connections(void *arg)
{
	struct server s = {.max_conns = 2};
	int fds[6];

	(void)arg;
	start(&s, hold_the_line);
	for (int i = 0; i < 6; i++)
		fds[i] =
			weft_dial(s.address, 0); /* the kernel's queue takes the others */
	for (int i = 0; i < 6; i++) {
		cr_assert_eq(weft_send(fds[i], "x", 1, 0), 1);
		while (__atomic_load_n(&s.served, __ATOMIC_SEQ_CST) < i + 1)
			weft_sleep(100000); /* ends: it is their turn, in order */
		weft_close(fds[i]);
	}
	cr_assert_leq(s.most, 2);
	stop(&s);
	return 0;
}

Test(serve, keeps_to_its_limit)
{
	run_on_1_2_4(limit_connections);
}

static int fail_at_once(int fd, void *user)
{
	struct server *s = user;

	(void)fd;
	__atomic_fetch_add(&s->served, 1, __ATOMIC_SEQ_CST);
	return -EIO;
}

static int survive_failures(void *arg)
{
	struct server s = {0};
	struct weft_metrics m = {.size = sizeof(m)};
	char byte;

	(void)arg;
	start(&s, fail_at_once);
	for (int i = 0; i < 10; i++) {
		int fd = weft_dial(s.address, 0);
		cr_assert_eq(weft_recv(fd, &byte, 1, 0), 0);
		weft_close(fd);
	}
	stop(&s);
	cr_assert_eq(s.served, 10, "one that fails does not end the others");
	cr_assert_eq(weft_runtime_metrics(weft_runtime_current(), &m), 0);
	cr_assert_eq(m.connections, 10);
	cr_assert_eq(m.connections_failed, 10, "counted, and nothing else");
	cr_assert_eq(m.unobserved, 0);
	return 0;
}

Test(serve, only_counts_the_status_of_a_connection)
{
	run_on_1_2_4(survive_failures);
}

/* Takes every descriptor there is; an operation in flight may have borrowed one while the rest were taken. */
static int take_descriptors(int copied, int *spare, int max)
{
	int n = 0, before;

	do {
		before = n;
		while (n < max && (spare[n] = dup(copied)) >= 0)
			n++;
		weft_sleep(WEFT_MS(5));
	} while (n > before);
	cr_assert_lt(n, max, "all of them are taken");
	return n;
}

static int run_out_of_descriptors(void *arg)
{
	struct server s = {0};
	struct rlimit limit;
	char buf[8];
	int spare[64], n;

	(void)arg;
	start(&s, echo);
	converse(s.address); /* it serves */
	int client = weft_dial(s.address, 0);
	int second = weft_dial(s.address, 0);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	rlim_t before = limit.rlim_cur;
	limit.rlim_cur = (rlim_t)second + 20;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	n = take_descriptors(client, spare, 64);

	int late = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(late, -1, "there is none left");
	weft_sleep(WEFT_MS(20));
	cr_assert_eq(weft_status(s.task), -EINPROGRESS, "it backs off and goes on");
	while (n)
		close(spare[--n]);
	limit.rlim_cur = before;
	setrlimit(RLIMIT_NOFILE, &limit);

	cr_assert_eq(weft_send(second, "hello", 5, 0), 5);
	cr_assert_eq(weft_read_full(second, buf, 5), 5);
	converse(s.address);
	stop(&s);
	weft_close(client);
	weft_close(second);
	return 0;
}

Test(serve, survives_running_out_of_descriptors)
{
	run_on_1_2_4(run_out_of_descriptors);
}

/* Descriptors are scarce: `limit` for the whole process, until the limit is lifted again. */
static rlim_t limit_descriptors(rlim_t limit)
{
	struct rlimit now;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &now), 0);
	rlim_t before = now.rlim_cur;
	now.rlim_cur = limit;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &now), 0);
	return before;
}

enum { WAITING = 30, DESCRIPTORS = 128 };

struct crowd {
	int fds[WAITING]; /* clients */
	int spare[DESCRIPTORS];
	int spares;
};

/* Clients that have connected while all but `left` descriptors were taken. */
static void gather_crowd(struct crowd *crowd, struct server *s, int left)
{
	unsigned port = (unsigned)atoi(strrchr(s->address, ':') + 1);
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	for (int i = 0; i < WAITING; i++)
		crowd->fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_geq(crowd->fds[WAITING - 1], 0);
	crowd->spares = take_descriptors(crowd->fds[0], crowd->spare, DESCRIPTORS);
	for (; left > 0; left--)
		close(crowd->spare[--crowd->spares]);
	for (int i = 0; i < WAITING; i++)
		cr_assert_eq(
			weft_connect(crowd->fds[i], (struct sockaddr *)&to, sizeof(to)),
			0);
	weft_sleep(WEFT_MS(20));
}

static void free_descriptors(struct crowd *crowd)
{
	while (crowd->spares > 0)
		close(crowd->spare[--crowd->spares]);
}

static void be_served(int fd)
{
	char buf[8];

	cr_assert_eq(weft_send(fd, "hello", 5, 0), 5);
	cr_assert_eq(weft_read_full(fd, buf, 5), 5);
	cr_assert_eq(weft_shutdown(fd, SHUT_WR), 0);
	cr_assert_eq(weft_recv(fd, buf, sizeof(buf), 0), 0);
}

static uint64_t connections(void)
{
	struct weft_metrics m = {.size = sizeof(m)};

	cr_assert_eq(weft_runtime_metrics(weft_runtime_current(), &m), 0);
	return m.connections;
}

static weft_ns processor_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return WEFT_SEC(now.tv_sec) + now.tv_nsec;
}

static int starve(void *arg)
{
	struct server s = {0};
	struct crowd crowd;

	(void)arg;
	start(&s, echo);
	gather_crowd(&crowd, &s, 0);
	cr_assert_eq(connections(), 0, "there is no descriptor for any");
	weft_ns before = processor_time();
	weft_sleep(WEFT_SEC(1));
	weft_ns used = processor_time() - before;
	cr_assert_lt(used, WEFT_MS(50), "%lld us of a second", (long long)used / 1000);
	cr_assert_eq(connections(), 0);
	free_descriptors(&crowd);
	for (int i = 0; i < WAITING; i++)
		be_served(crowd.fds[i]);
	cr_assert_eq(connections(), WAITING);
	for (int i = 0; i < WAITING; i++)
		weft_close(crowd.fds[i]);
	stop(&s);
	return 0;
}

Test(serve, without_descriptors_waits_and_does_not_spin)
{
	rlim_t before = limit_descriptors(DESCRIPTORS);

	run_on_1_2_4(starve);
	limit_descriptors(before);
}

static int share_one_descriptor(void *arg)
{
	struct server s = {0};
	struct crowd crowd;
	weft_ns took = 0;

	(void)arg;
	start(&s, echo);
	gather_crowd(&crowd, &s, 1);
	cr_assert_eq(connections(), 1);
	for (int i = 0; i < 6; i += 2) {
		weft_sleep(WEFT_MS(300)); /* the pauses have become long */
		be_served(crowd.fds[i]);
		weft_ns begun = weft_now();
		be_served(crowd.fds[i + 1]);
		took += weft_now() - begun;
	}
	/* One pause is that long; the machine may be busy once. */
	cr_assert_lt(took, WEFT_MS(100), "%lld us", (long long)took / 1000);
	for (int i = 6; i < WAITING; i++)
		be_served(crowd.fds[i]);
	free_descriptors(&crowd);
	for (int i = 0; i < WAITING; i++)
		weft_close(crowd.fds[i]);
	stop(&s);
	return 0;
}

Test(serve, accepts_the_next_as_soon_as_one_of_its_connections_ends)
{
	rlim_t before = limit_descriptors(DESCRIPTORS);

	run_on_1_2_4(share_one_descriptor);
	limit_descriptors(before);
}

static int starve_at_its_limit(void *arg)
{
	struct server s = {.max_conns = 2};
	struct crowd crowd;

	(void)arg;
	start(&s, echo);
	gather_crowd(&crowd, &s, 1);
	for (int i = 0; i < WAITING / 2; i++)
		be_served(crowd.fds[i]); /* room for two, a descriptor for one */
	free_descriptors(&crowd);
	for (int i = WAITING / 2; i < WAITING; i++)
		be_served(crowd.fds[i]);
	cr_assert_eq(connections(), WAITING);
	for (int i = 0; i < WAITING; i++)
		weft_close(crowd.fds[i]);
	stop(&s);
	return 0;
}

Test(serve, goes_through_scarcity_with_a_limit_of_its_own)
{
	rlim_t before = limit_descriptors(DESCRIPTORS);

	run_on_1_2_4(starve_at_its_limit);
	limit_descriptors(before);
}

static int cancel_in_scarcity(void *arg)
{
	struct server s = {0};
	struct crowd crowd;

	(void)arg;
	start(&s, echo);
	gather_crowd(&crowd, &s, 0);
	weft_ns begun = weft_now();
	weft_cancel(s.task);
	cr_assert_eq(weft_join(s.task), -ECANCELED);
	cr_assert_lt(weft_now() - begun, WEFT_MS(80));
	free_descriptors(&crowd);
	for (int i = 0; i < WAITING; i++)
		weft_close(crowd.fds[i]);
	weft_close(s.listener);
	return 0;
}

Test(serve, can_be_cancelled_while_it_waits_for_descriptors)
{
	rlim_t before = limit_descriptors(DESCRIPTORS);

	run_on_1_2_4(cancel_in_scarcity);
	limit_descriptors(before);
}

static int serve_badly(void *arg)
{
	int fds[2];

	(void)arg;
	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(weft_serve(-1, echo, NULL, 0), -EBADF);
	cr_assert_eq(weft_serve(fds[0], echo, NULL, 0), -ENOTSOCK);
	cr_assert_eq(weft_serve(fds[0], NULL, NULL, 0), -EINVAL);
	close(fds[0]);
	close(fds[1]);
	return 0;
}

Test(serve, returns_the_errors_of_its_listener)
{
	run_on_1_2_4(serve_badly);
}

static int close_the_listener(void *arg)
{
	struct server s = {0};

	(void)arg;
	start(&s, echo);
	converse(s.address);
	cr_assert_eq(weft_close(s.listener), 0);
	cr_assert_eq(weft_join(s.task), -EBADF);
	return 0;
}

Test(serve, ends_when_its_listener_is_closed)
{
	run_on_1_2_4(close_the_listener);
}

static int serve_for_a_while(void *arg)
{
	struct server s = {0};
	struct weft_scope scope;

	(void)arg;
	s.listener = weft_listen("127.0.0.1:0", 4, 0);
	weft_deadline_begin(&scope, WEFT_MS(5));
	cr_assert_eq(weft_serve(s.listener, echo, &s, 0), -ETIMEDOUT);
	cr_assert_eq(weft_scope_end(&scope), 1);
	weft_close(s.listener);
	return 0;
}

Test(serve, obeys_a_deadline)
{
	run_on_1_2_4(serve_for_a_while);
}
