/* SPDX-License-Identifier: MIT */
/*
 * net_faults - what the simulated network does besides working: each fault is met under some seed, and never
 * when it is not asked for. What is sent is not changed, lost or doubled by any of them.
 */
#include "sim.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

TestSuite(net_faults, .timeout = 60);

enum { SEEDS = 60 };

/* Under how many seeds the program says 1, not 0. */
static unsigned count(weft_fn fn, void *arg, unsigned faults)
{
	unsigned met = 0;

	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		int rc = simulate(fn, arg, seed, WEFT_SIM_RANDOM, faults);

		cr_assert(rc == 0 || rc == 1, "seed %" PRIu64 ": %d", seed, rc);
		met += rc == 1;
	}
	return met;
}

static void expect_only_by(weft_fn fn, void *arg, unsigned fault)
{
	unsigned with = count(fn, arg, fault);

	cr_assert_gt(with, 0);
	cr_assert_eq(count(fn, arg, 0), 0);
	cr_assert_eq(count(fn, arg, WEFT_SIM_ALL_FAULTS & ~(fault | WEFT_SIM_SLOW)) > 0 &&
			     fault != WEFT_SIM_LATENCY,
		false);
}

/* A connection, though the network may refuse it, or be short of descriptors, many times. */
static void make_pair(int ends[2], const char *address)
{
	int listener;

	while ((listener = weft_listen(address, 4, 0)) == -EMFILE)
		weft_yield();
	cr_assert_geq(listener, 0);
	while ((ends[0] = weft_dial(address, 0)) == -ECONNREFUSED || ends[0] == -EMFILE)
		weft_yield();
	cr_assert_geq(ends[0], 0);
	while ((ends[1] = weft_accept(listener, NULL, NULL, SOCK_CLOEXEC)) == -EMFILE)
		weft_yield();
	cr_assert_geq(ends[1], 0);
	weft_close(listener);
}

static void close_pair(int ends[2])
{
	weft_close(ends[0]);
	weft_close(ends[1]);
}

/* -- one by one --------------------------------------------------------------------------------- */

static int takes_time(void *arg)
{
	weft_ns begun;
	int ends[2];
	char byte = 'x';

	make_pair(ends, arg);
	begun = weft_now();
	if (weft_send(ends[0], &byte, 1, 0) == 1)
		weft_recv(ends[1], &byte, 1, 0);
	close_pair(ends);
	return weft_now() > begun + WEFT_MS(0.2);
}

Test(net_faults, latency)
{
	cr_assert_gt(count(takes_time, "127.0.0.1:80", WEFT_SIM_LATENCY), 0);
	cr_assert_gt(count(takes_time, "unix:@latency", WEFT_SIM_LATENCY), 0);
	cr_assert_eq(count(takes_time, "127.0.0.1:80", 0), 0);
}

static int is_partial(void *arg)
{
	static char data[1000];
	int ends[2], met = 0;
	ssize_t n;

	make_pair(ends, arg);
	n = weft_send(ends[0], data, sizeof(data), 0);
	if (n > 0)
		met |= n < (ssize_t)sizeof(data);
	if (n > 0 && weft_poll(ends[1], POLLIN) > 0) {
		ssize_t got = weft_recv(ends[1], data, sizeof(data), 0);

		met |= got > 0 && got < n;
	}
	close_pair(ends);
	return met;
}

Test(net_faults, partial)
{
	expect_only_by(is_partial, "127.0.0.1:80", WEFT_SIM_PARTIAL);
	expect_only_by(is_partial, "unix:@partial", WEFT_SIM_PARTIAL);
}

static bool is_a_reset(ssize_t rc)
{
	cr_assert(rc == 1 || rc == 0 || rc == -ECONNRESET || rc == -EPIPE, "%zd", rc);
	return rc != 1;
}

/* Who is told at one end is told at the other. */
static int is_reset(void *arg)
{
	bool first = false, second = false;
	int ends[2];
	char byte = 'x';

	make_pair(ends, arg);
	for (int i = 0; i < 20 && !first && !second; i++) {
		first = is_a_reset(weft_send(ends[0], &byte, 1, 0));
		if (!first)
			second = is_a_reset(weft_recv(ends[1], &byte, 1, 0));
	}
	for (int i = 0; first && !second; i++) {
		second = is_a_reset(weft_recv(ends[1], &byte, 1, 0));
		cr_assert_lt(i, 2);
	}
	if (second && !first)
		first = is_a_reset(weft_recv(ends[0], &byte, 1, 0));
	close_pair(ends);
	cr_assert_eq(first, second);
	return first;
}

Test(net_faults, reset)
{
	expect_only_by(is_reset, "127.0.0.1:80", WEFT_SIM_RESET);
	cr_assert_eq(
		count(is_reset, "unix:@reset", WEFT_SIM_RESET), 0, "nothing does that");
}

static int is_refused(void *arg)
{
	int listener, fd, met = 0;

	while ((listener = weft_listen(arg, 4, 0)) == -EMFILE)
		;
	fd = weft_dial(arg, 0);
	met = fd == -ECONNREFUSED;
	cr_assert(fd >= 0 || met || fd == -EMFILE, "%d", fd);
	if (fd >= 0)
		weft_close(fd);
	weft_close(listener);
	return met;
}

Test(net_faults, refused)
{
	expect_only_by(is_refused, "127.0.0.1:80", WEFT_SIM_REFUSE);
	expect_only_by(is_refused, "unix:@refused", WEFT_SIM_REFUSE);
}

static int lacks_descriptors(void *arg)
{
	int fd = weft_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), listener,
	    met = fd == -EMFILE;

	if (fd >= 0)
		weft_close(fd);
	while ((listener = weft_listen(arg, 4, 0)) == -EMFILE)
		met |= 1;
	while ((fd = weft_dial(arg, 0)) == -ECONNREFUSED || fd == -EMFILE)
		met |= fd == -EMFILE;
	cr_assert_geq(fd, 0);
	weft_close(fd);
	while ((fd = weft_accept(listener, NULL, NULL, SOCK_CLOEXEC)) == -EMFILE)
		met |= 1;
	cr_assert_geq(fd, 0);
	weft_close(fd);
	weft_close(listener);
	return met;
}

Test(net_faults, without_descriptors)
{
	expect_only_by(lacks_descriptors, "127.0.0.1:80", WEFT_SIM_EMFILE);
}

/* Messages of one socket: do they come in another order? None is lost. */
static int is_reordered(void *arg)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
	int a, b, met = 0, seen[10] = {0};

	(void)arg;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	while ((a = weft_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == -EMFILE)
		;
	while ((b = weft_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) == -EMFILE)
		;
	/* the simulated name: to bind(2) to a port like this one takes privileges */
	to.sin_port = 0;
	cr_assert_eq(bind(a, (struct sockaddr *)&to, sizeof(to)), 0);
	cr_assert_eq(getsockname(a, (struct sockaddr *)&to, &(socklen_t){sizeof(to)}), 0);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(weft_sendto(b, &i, sizeof(i), 0, (struct sockaddr *)&to,
				     sizeof(to)),
			sizeof(i));
	for (int i = 0; i < 10; i++) {
		int number;

		cr_assert_eq(weft_recv(a, &number, sizeof(number), 0), sizeof(number));
		met |= number != i;
		seen[number]++;
	}
	for (int i = 0; i < 10; i++)
		cr_assert_eq(seen[i], 1);
	weft_close(a);
	weft_close(b);
	return met;
}

Test(net_faults, messages_in_another_order)
{
	expect_only_by(is_reordered, NULL, WEFT_SIM_REORDER);
}

/* Two connections: does what was sent second arrive first? */
static int overtakes(void *arg)
{
	int one[2], two[2], met;
	char byte = 'x';

	(void)arg;
	make_pair(one, "127.0.0.1:80");
	make_pair(two, "127.0.0.1:80");
	weft_send(one[0], &byte, 1, 0);
	weft_send(two[0], &byte, 1, 0);
	weft_poll(two[1], POLLIN);
	met = weft_recv(one[1], &byte, 1, MSG_DONTWAIT) == -EAGAIN;
	close_pair(one);
	close_pair(two);
	return met;
}

Test(net_faults, connections_overtake_each_other)
{
	cr_assert_gt(count(overtakes, NULL, WEFT_SIM_REORDER), 0);
	cr_assert_gt(count(overtakes, NULL, WEFT_SIM_LATENCY), 0);
	cr_assert_eq(count(overtakes, NULL, 0), 0);
}

/* -- all at once -------------------------------------------------------------------------------- */

enum { CLIENTS = 8, BYTES = 3000 };

static int echo(int fd, void *user)
{
	char buf[500];
	ssize_t n;

	(void)user;
	while ((n = weft_recv(fd, buf, sizeof(buf), 0)) > 0) {
		if (weft_send_full(fd, buf, (size_t)n, 0, NULL) < 0)
			return -EPIPE;
	}
	return (int)n;
}

static int serve(void *listener)
{
	return weft_serve(*(int *)listener, echo, NULL, 3);
}

/* Tries until it has been answered; what comes back is what was sent, as far as it comes. */
static int ask(void *arg)
{
	char said[BYTES], heard[BYTES];

	for (size_t i = 0; i < BYTES; i++)
		said[i] = (char)(i / 7 + (uintptr_t)arg);
	for (int attempt = 0; attempt < 1000; attempt++) {
		int fd = weft_dial("127.0.0.1:80", 0);
		size_t sent = 0;
		ssize_t n;

		if (fd < 0)
			continue;
		weft_send_full(fd, said, BYTES, 0, &sent);
		n = weft_read_full(fd, heard, sent);
		weft_close(fd);
		if (n > 0)
			cr_assert_arr_eq(heard, said, (size_t)n);
		if (n == BYTES)
			return 0;
	}
	return -EIO;
}

static int serve_in_a_storm(void *arg)
{
	struct weft_task *server, *tasks[CLIENTS];
	int listener;

	(void)arg;
	while ((listener = weft_listen("127.0.0.1:80", 4, 0)) == -EMFILE)
		;
	server = weft_create_task(serve, &listener);
	for (uintptr_t i = 0; i < CLIENTS; i++)
		tasks[i] = weft_create_task(ask, (void *)i);
	cr_assert_eq(weft_gather(tasks, CLIENTS, NULL, 0), 0);
	weft_release_all(tasks, CLIENTS);
	weft_cancel(server);
	cr_assert_eq(weft_join(server), -ECANCELED);
	return weft_close(listener);
}

Test(net_faults, a_storm)
{
	for (int policy = WEFT_SIM_FIFO; policy <= WEFT_SIM_PCT; policy++) {
		for (uint64_t seed = 0; seed < 30; seed++) {
			reports_clear();
			cr_assert_eq(simulate(serve_in_a_storm, NULL, seed, policy,
					     WEFT_SIM_ALL_FAULTS),
				0, "seed %" PRIu64 ", policy %d", seed, policy);
			cr_assert_eq(reports.count, 0, "%s", reports.text);
		}
	}
}
