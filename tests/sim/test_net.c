/* SPDX-License-Identifier: MIT */
/*
 * net - simulated sockets do what the kernel's do: they connect, carry, wait, end and are closed. With latency,
 * in another order and in pieces too; each seed is run twice and must do the same.
 */
#include "sim.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

TestSuite(net, .timeout = 60);

enum { SEEDS = 10, HARMLESS = WEFT_SIM_LATENCY | WEFT_SIM_REORDER };

/* Under each policy, with what must not change the outcome and without. */
static void run(weft_fn fn, void *arg, unsigned faults)
{
	for (int policy = WEFT_SIM_FIFO; policy <= WEFT_SIM_PCT; policy++) {
		for (uint64_t seed = 0; seed < SEEDS; seed++) {
			unsigned now = seed % 2 ? faults : 0;

			reports_clear();
			cr_assert_eq(simulate(fn, arg, seed, policy, now), 0);
			cr_assert_eq(reports.count, 0, "seed %" PRIu64 ": %s", seed,
				reports.text);
		}
	}
}

/* -- a server and its clients ------------------------------------------------------------------- */

struct pair {
	int listener, ends[2];
	char address[128];
};

static int dial_it(void *arg)
{
	struct pair *pair = arg;

	pair->ends[0] = weft_dial(pair->address, 0);
	return pair->ends[0] < 0 ? pair->ends[0] : 0;
}

/* Two ends of a connection over that address; the listener is closed. */
static void make_pair(struct pair *pair, const char *address)
{
	struct weft_task *dialler;

	pair->listener = weft_listen(address, 4, 0);
	cr_assert_geq(pair->listener, 0);
	cr_assert_gt(
		weft_local_address(pair->listener, pair->address, sizeof(pair->address)),
		0);
	dialler = weft_create_task(dial_it, pair);
	pair->ends[1] = weft_accept(pair->listener, NULL, NULL, SOCK_CLOEXEC);
	cr_assert_geq(pair->ends[1], 0);
	cr_assert_eq(weft_join(dialler), 0);
	cr_assert_eq(weft_close(pair->listener), 0);
}

static void close_pair(struct pair *pair)
{
	cr_assert_eq(weft_close(pair->ends[0]), 0);
	cr_assert_eq(weft_close(pair->ends[1]), 0);
}

static int echo(int fd, void *user)
{
	char buf[100];
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
	return weft_serve(*(int *)listener, echo, NULL, 0);
}

struct client {
	const char *address;
	unsigned number;
};

static int ask(void *arg)
{
	struct client *client = arg;
	char said[1000], heard[1000];
	int fd = weft_dial(client->address, 0);

	cr_assert_geq(fd, 0, "dial %s: %d", client->address, fd);
	for (unsigned round = 0; round < 3; round++) {
		memset(said, (int)(client->number * 3 + round), sizeof(said));
		cr_assert_eq(
			weft_send_full(fd, said, sizeof(said), 0, NULL), sizeof(said));
		cr_assert_eq(weft_read_full(fd, heard, sizeof(heard)), sizeof(heard));
		cr_assert_arr_eq(heard, said, sizeof(said));
	}
	return weft_close(fd);
}

enum { CLIENTS = 20 };

static int serve_many(void *address)
{
	struct weft_task *server, *tasks[CLIENTS];
	struct client clients[CLIENTS];
	char name[64];
	int listener = weft_listen(address, 4, 0);

	cr_assert_geq(listener, 0);
	cr_assert_gt(weft_local_address(listener, name, sizeof(name)), 0);
	server = weft_create_task(serve, &listener);
	for (unsigned i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){name, i};
		tasks[i] = weft_create_task(ask, &clients[i]);
	}
	cr_assert_eq(weft_gather(tasks, CLIENTS, NULL, 0), 0);
	weft_release_all(tasks, CLIENTS);
	weft_cancel(server);
	cr_assert_eq(weft_join(server), -ECANCELED);
	return weft_close(listener);
}

Test(net, serves_many_over_tcp)
{
	run(serve_many, "127.0.0.1:7000", HARMLESS | WEFT_SIM_PARTIAL);
}

Test(net, serves_many_over_ipv6)
{
	run(serve_many, "[::1]:0", HARMLESS | WEFT_SIM_PARTIAL);
}

Test(net, serves_many_over_unix_sockets)
{
	run(serve_many, "unix:@simulated", HARMLESS | WEFT_SIM_PARTIAL);
	run(serve_many, "unix:/nowhere/at/all", HARMLESS | WEFT_SIM_PARTIAL);
}

/* -- names -------------------------------------------------------------------------------------- */

static void expect_accept(int listener, const char *dialled, const char *peer_begins)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	char text[64];
	int fd = weft_dial(dialled, 0), accepted;

	cr_assert_geq(fd, 0, "dial %s: %d", dialled, fd);
	accepted = weft_accept(listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC);
	cr_assert_geq(accepted, 0);
	cr_assert_gt(weft_local_address(fd, text, sizeof(text)), 0);
	cr_assert_eq(strncmp(text, peer_begins, strlen(peer_begins)), 0, "%s", text);
	if (peer.ss_family == AF_INET)
		cr_assert_eq(ntohs(((struct sockaddr_in *)&peer)->sin_port),
			atoi(strchr(text, ':') + 1));
	weft_close(accepted);
	weft_close(fd);
}

static int listen_to_any(void *arg)
{
	int any4 = weft_listen("0.0.0.0:80", 4, 0), any6 = weft_listen("[::]:81", 4, 0);
	int exact = weft_listen("127.0.0.1:82", 4, 0);

	(void)arg;
	expect_accept(any4, "127.0.0.1:80", "127.0.0.1:");
	expect_accept(any4, "10.1.2.3:80", "10.1.2.3:");
	expect_accept(any4, "0.0.0.0:80", "127.0.0.1:");
	expect_accept(any6, "[::1]:81", "[::1]:");
	expect_accept(any6, "127.0.0.1:81", "127.0.0.1:");
	expect_accept(exact, "127.0.0.1:82", "127.0.0.1:");
	cr_assert_eq(weft_dial("127.0.0.2:82", 0), -ECONNREFUSED);
	cr_assert_eq(weft_dial("[::1]:80", 0), -ECONNREFUSED);
	cr_assert_eq(weft_dial("unix:@nobody", 0), -ECONNREFUSED);
	cr_assert_eq(weft_dial("unix:/nobody", 0), -ENOENT);
	weft_close(any4);
	weft_close(any6);
	return weft_close(exact);
}

Test(net, any_address_means_all)
{
	run(listen_to_any, NULL, HARMLESS);
}

static int listen_twice(void *arg)
{
	int one = weft_listen("127.0.0.1:80", 4, 0), two;

	(void)arg;
	cr_assert_eq(weft_listen("127.0.0.1:80", 4, 0), -EADDRINUSE);
	cr_assert_eq(weft_listen("0.0.0.0:80", 4, 0), -EADDRINUSE);
	cr_assert_eq(weft_listen("127.0.0.1:80", 4, WEFT_REUSEPORT), -EADDRINUSE);
	weft_close(one);
	one = weft_listen("127.0.0.1:80", 4, WEFT_REUSEPORT);
	cr_assert_geq(one, 0);
	two = weft_listen("127.0.0.1:80", 4, WEFT_REUSEPORT);
	cr_assert_geq(two, 0);
	weft_close(two);
	two = weft_listen("unix:@one", 4, 0);
	cr_assert_eq(weft_listen("unix:@one", 4, 0), -EADDRINUSE);
	close(two); /* behind our back */
	two = weft_listen("unix:@one", 4, 0);
	cr_assert_geq(two, 0);
	weft_close(two);
	return weft_close(one);
}

Test(net, an_address_is_one_listeners)
{
	run(listen_twice, NULL, HARMLESS);
}

static int share_a_port(void *arg)
{
	int one = weft_listen("127.0.0.1:80", 4, WEFT_REUSEPORT);
	int two = weft_listen("127.0.0.1:80", 4, WEFT_REUSEPORT);
	int fd = weft_dial("127.0.0.1:80", 0);
	int *chosen = arg;

	*chosen = weft_poll(one, POLLIN | POLLRDHUP) > 0 ? 1 : 2;
	weft_close(fd);
	weft_close(one);
	return weft_close(two);
}

/* The poll of the one that is not chosen would last for ever. */
static int share_with_patience(void *arg)
{
	struct weft_scope scope;
	int rc;

	weft_deadline_begin(&scope, WEFT_SEC(1));
	rc = share_a_port(arg);
	weft_scope_end(&scope);
	return rc;
}

Test(net, listeners_that_share_a_port_are_chosen_by_the_seed)
{
	bool met[3] = {false};

	for (uint64_t seed = 0; seed < 20; seed++) {
		int chosen = 0;

		cr_assert_eq(
			simulate(share_with_patience, &chosen, seed, WEFT_SIM_FIFO, 0),
			0);
		met[chosen] = true;
	}
	cr_assert(met[1] && met[2]);
}

static int note_ports(void *arg)
{
	char *text = arg, one[64];

	text[0] = '\0';
	for (int i = 0; i < 5; i++) {
		int fd = weft_listen("127.0.0.1:0", 1, 0);

		weft_local_address(fd, one, sizeof(one));
		strcat(text, one);
		weft_close(fd);
	}
	return 0;
}

Test(net, ports_are_the_same_in_each_run)
{
	char first[512], again[512];

	cr_assert_eq(simulate(note_ports, first, 1, WEFT_SIM_FIFO, 0), 0);
	cr_assert_eq(simulate(note_ports, again, 2, WEFT_SIM_RANDOM, HARMLESS), 0);
	cr_assert_str_eq(first, again);
	cr_assert_eq(
		strncmp(first, "127.0.0.1:61000127.0.0.1:61001", 30), 0, "%s", first);
}

static int listen_plainly(void *arg)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t len = sizeof(in);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char name[64], byte = 'x';

	(void)arg;
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(bind(listener, (struct sockaddr *)&in, sizeof(in)), 0);
	cr_assert_eq(listen(listener, 4), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&in, &len), 0);
	snprintf(name, sizeof(name), "127.0.0.1:%d", ntohs(in.sin_port));
	int fd = weft_dial(name, 0);
	cr_assert_geq(fd, 0, "dial %s: %d", name, fd);
	int accepted = weft_accept(listener, NULL, NULL, SOCK_CLOEXEC);
	cr_assert_geq(accepted, 0);
	cr_assert_eq(weft_send(fd, &byte, 1, 0), 1);
	cr_assert_eq(weft_read(accepted, &byte, 1), 1);
	close(listener);
	cr_assert_eq(weft_dial(name, 0), -ECONNREFUSED);
	weft_close(fd);
	return weft_close(accepted);
}

Test(net, a_listener_made_by_plain_calls_is_found)
{
	run(listen_plainly, NULL, HARMLESS);
}

/* -- how a connection waits and ends ------------------------------------------------------------ */

static const char *const addresses[] = {"127.0.0.1:0", "unix:@pair"};

static int finish_sending(void *arg)
{
	struct pair pair;
	char buf[16];

	make_pair(&pair, arg);
	cr_assert_eq(weft_send(pair.ends[0], "question", 8, 0), 8);
	cr_assert_eq(weft_shutdown(pair.ends[0], SHUT_WR), 0);
	cr_assert_eq(weft_send(pair.ends[0], "more", 4, 0), -EPIPE);
	cr_assert_eq(weft_recv(pair.ends[1], buf, 8, MSG_WAITALL), 8);
	cr_assert_eq(weft_recv(pair.ends[1], buf, 8, 0), 0);
	cr_assert(weft_poll(pair.ends[1], POLLRDHUP) & POLLRDHUP);
	cr_assert_eq(weft_send(pair.ends[1], "answer", 6, 0), 6);
	cr_assert_eq(weft_recv(pair.ends[0], buf, 6, MSG_WAITALL), 6);
	cr_assert_arr_eq(buf, "answer", 6);
	close_pair(&pair);
	return 0;
}

Test(net, one_way_ends_and_the_other_goes_on)
{
	for (int i = 0; i < 2; i++)
		run(finish_sending, (void *)addresses[i], HARMLESS);
}

static int read_it_all(void *arg)
{
	static char buf[1000];
	int fd = *(int *)arg;
	size_t total = 0;
	ssize_t n;

	while ((n = weft_read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			cr_assert_eq(buf[i], (char)((total + (size_t)i) / 100));
		total += (size_t)n;
	}
	cr_assert_eq(n, 0);
	return (int)total;
}

static int fill(void *arg)
{
	static char data[300 * 1000];
	struct weft_task *reader;
	struct pair pair;
	size_t full = 0;
	ssize_t n;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i / 100);
	make_pair(&pair, arg);
	while ((n = weft_send(pair.ends[0], data + full, 10 * 1000, MSG_DONTWAIT)) > 0)
		full += (size_t)n;
	cr_assert_eq(n, -EAGAIN);
	cr_assert_eq(full, 64 * 1024);
	reader = weft_create_task(read_it_all, &pair.ends[1]);
	cr_assert_eq(
		weft_send_full(pair.ends[0], data + full, sizeof(data) - full, 0, NULL),
		(ssize_t)(sizeof(data) - full));
	weft_shutdown(pair.ends[0], SHUT_WR);
	cr_assert_eq(weft_join(reader), sizeof(data));
	close_pair(&pair);
	return 0;
}

Test(net, a_sender_waits_for_room)
{
	for (int i = 0; i < 2; i++)
		run(fill, (void *)addresses[i], HARMLESS | WEFT_SIM_PARTIAL);
}

static int go_away(void *arg)
{
	struct pair pair;
	char buf[16];
	int rc;

	make_pair(&pair, arg);
	cr_assert_eq(weft_send(pair.ends[0], "left", 4, 0), 4);
	cr_assert_gt(weft_poll(pair.ends[1], POLLIN), 0);
	weft_close(pair.ends[1]); /* unread: a reset */
	cr_assert_eq(weft_recv(pair.ends[0], buf, 4, 0), -ECONNRESET);
	cr_assert_eq(weft_recv(pair.ends[0], buf, 4, 0), 0);
	cr_assert_eq(weft_send(pair.ends[0], buf, 4, 0), -EPIPE);
	weft_close(pair.ends[0]);

	make_pair(&pair, arg);
	weft_close(pair.ends[1]);
	cr_assert_eq(weft_recv(pair.ends[0], buf, 4, 0), 0);
	for (int i = 0; (rc = (int)weft_send(pair.ends[0], buf, 4, 0)) == 4; i++) {
		cr_assert_lt(i, 1000);
		weft_sleep(WEFT_MS(1));
	}
	cr_assert_eq(rc, -EPIPE);
	return weft_close(pair.ends[0]);
}

Test(net, a_peer_that_is_gone_is_noticed)
{
	for (int i = 0; i < 2; i++)
		run(go_away, (void *)addresses[i], HARMLESS);
}

static int receive_one(void *arg)
{
	char byte;

	return (int)weft_recv(*(int *)arg, &byte, 1, 0);
}

/* close(2) tells nobody; who waits hears of it all the same, and soon. */
static int close_plainly(void *arg)
{
	struct weft_task *receiver;
	struct weft_scope scope;
	struct pair pair;
	char byte;

	make_pair(&pair, arg);
	receiver = weft_create_task(receive_one, &pair.ends[0]);
	weft_sleep(WEFT_MS(50));
	close(pair.ends[1]);
	weft_deadline_begin(&scope, WEFT_SEC(1));
	cr_assert_eq(weft_join(receiver), 0);
	weft_scope_end(&scope);
	weft_close(pair.ends[0]);

	make_pair(&pair, arg); /* with the number in other hands */
	close(pair.ends[1]);
	cr_assert_eq(dup2(0, pair.ends[1]), pair.ends[1]);
	cr_assert_eq(weft_recv(pair.ends[0], &byte, 1, 0), 0);
	close(pair.ends[1]);
	return weft_close(pair.ends[0]);
}

Test(net, a_plain_close_ends_the_connection)
{
	for (int i = 0; i < 2; i++)
		run(close_plainly, (void *)addresses[i], HARMLESS);
}

static int use_two_numbers(void *arg)
{
	struct pair pair;
	char byte = 'x';
	int other;

	make_pair(&pair, arg);
	other = dup(pair.ends[1]);
	cr_assert_eq(weft_write(other, &byte, 1), 1);
	weft_close(pair.ends[1]);
	cr_assert_eq(weft_write(other, &byte, 1), 1);
	cr_assert_eq(weft_read(pair.ends[0], &byte, 1), 1);
	cr_assert_eq(weft_read(pair.ends[0], &byte, 1), 1);
	weft_close(other);
	cr_assert_eq(weft_read(pair.ends[0], &byte, 1), 0);
	return weft_close(pair.ends[0]);
}

Test(net, a_second_number_holds_it_open)
{
	run(use_two_numbers, "127.0.0.1:0", HARMLESS);
}

static int close_a_listener(void *arg)
{
	int listener = weft_listen("127.0.0.1:80", 4, 0),
	    fd = weft_dial("127.0.0.1:80", 0);
	char byte;

	(void)arg;
	cr_assert_geq(fd, 0);
	weft_close(listener);
	cr_assert_eq(weft_recv(fd, &byte, 1, 0), -ECONNRESET);
	return weft_close(fd);
}

Test(net, a_listener_takes_its_backlog_with_it)
{
	run(close_a_listener, NULL, HARMLESS);
}

static int dial_80(void *arg)
{
	int fd = weft_dial(arg, 0);

	return fd < 0 ? fd : weft_close(fd);
}

static int fill_a_backlog(void *address)
{
	int listener = weft_listen(address, 1, 0), fds[3];
	struct weft_task *tasks[3];
	struct weft_scope scope;

	for (int i = 0; i < 2; i++)
		cr_assert_geq(fds[i] = weft_dial(address, 0), 0);
	weft_deadline_begin(&scope, WEFT_SEC(1));
	cr_assert_eq(weft_dial(address, 0), -ETIMEDOUT);
	weft_scope_end(&scope);
	for (int i = 0; i < 3; i++)
		tasks[i] = weft_create_task(dial_80, address);
	for (int i = 0; i < 5; i++) {
		int fd = weft_accept(listener, NULL, NULL, SOCK_CLOEXEC);

		cr_assert_geq(fd, 0);
		weft_close(fd);
	}
	cr_assert_eq(weft_gather(tasks, 3, NULL, 0), 0);
	weft_release_all(tasks, 3);
	weft_close(fds[0]);
	weft_close(fds[1]);
	return weft_close(listener);
}

Test(net, a_full_backlog_makes_connects_wait)
{
	run(fill_a_backlog, "127.0.0.1:80", HARMLESS);
	run(fill_a_backlog, "unix:@full", HARMLESS);
}

/* -- waiting is ended --------------------------------------------------------------------------- */

struct call {
	int (*make)(int fd);
	int fd;
};

static int call_recv(int fd)
{
	char byte;

	return (int)weft_recv(fd, &byte, 1, 0);
}

static int call_read(int fd)
{
	char byte;

	return (int)weft_read(fd, &byte, 1);
}

static int call_recvfrom(int fd)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char byte;

	return (int)weft_recvfrom(fd, &byte, 1, 0, (struct sockaddr *)&from, &len);
}

static int call_poll(int fd)
{
	return weft_poll(fd, POLLIN);
}

static int call_send(int fd)
{
	static char data[200 * 1000];

	return (int)weft_send_full(fd, data, sizeof(data), 0, NULL);
}

static int call_write(int fd)
{
	static char data[200 * 1000];

	return (int)weft_write_full(fd, data, sizeof(data), NULL);
}

static int call_accept(int fd)
{
	return weft_accept(fd, NULL, NULL, 0);
}

static int call_recv_buf(int fd)
{
	struct weft_pool *pool = weft_pool_create(1, 16);
	struct weft_buf buf;
	int rc = (int)weft_recv_buf(fd, pool, &buf);

	weft_pool_destroy(pool);
	return rc;
}

static int (*const calls[])(int fd) = {call_recv, call_read, call_recvfrom, call_poll,
	call_send, call_write, call_recv_buf, call_accept};

enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

static int make_call(void *arg)
{
	struct call *call = arg;

	return call->make(call->fd);
}

/* Each call waits on one end of a connection, or on a listener, and is ended in three ways. */
static int end_each_call(void *arg)
{
	for (int i = 0; i < CALLS; i++) {
		bool listens = calls[i] == call_accept;
		struct pair pair = {.ends = {-1, -1}};
		struct weft_scope scope;
		struct weft_task *task;
		struct call call = {.make = calls[i]};

		if (listens)
			call.fd = weft_listen("127.0.0.1:0", 4, 0);
		else {
			make_pair(&pair, arg);
			call.fd = pair.ends[0];
		}
		weft_deadline_begin(&scope, WEFT_SEC(1));
		cr_assert_eq(make_call(&call), -ETIMEDOUT, "call %d", i);
		weft_scope_end(&scope);

		task = weft_create_task(make_call, &call);
		weft_sleep(WEFT_MS(50));
		weft_cancel(task);
		cr_assert_eq(weft_join(task), -ECANCELED, "call %d", i);

		task = weft_create_task(make_call, &call);
		weft_sleep(WEFT_MS(50));
		cr_assert_eq(weft_close(call.fd), 0);
		cr_assert_eq(weft_join(task), -EBADF, "call %d", i);
		if (!listens)
			weft_close(pair.ends[1]);
	}
	return 0;
}

Test(net, each_waiting_call_can_be_ended)
{
	for (int i = 0; i < 2; i++)
		run(end_each_call, (void *)addresses[i], HARMLESS);
}

/* -- flags -------------------------------------------------------------------------------------- */

static int look_and_wait(void *arg)
{
	struct iovec iov[2] = {{(char[2]){0}, 2}, {(char[4]){0}, 4}};
	struct pair pair;
	char buf[8];

	make_pair(&pair, arg);
	cr_assert_eq(weft_recv(pair.ends[1], buf, 4, MSG_DONTWAIT), -EAGAIN);
	cr_assert_eq(weft_send(pair.ends[0], "abcd", 4, 0), 4);
	cr_assert_gt(weft_poll(pair.ends[1], POLLIN), 0);
	cr_assert_eq(weft_recv(pair.ends[1], buf, 2, MSG_PEEK), 2);
	cr_assert_eq(weft_recv(pair.ends[1], buf, 8, MSG_PEEK), 4);
	cr_assert_arr_eq(buf, "abcd", 4);
	cr_assert_eq(weft_send(pair.ends[0], "efgh", 4, 0), 4);
	cr_assert_eq(weft_recv(pair.ends[1], buf, 2, MSG_WAITALL), 2);
	iov[0].iov_len = 2;
	weft_shutdown(pair.ends[0], SHUT_WR);
	while (!(weft_poll(pair.ends[1], POLLIN | POLLRDHUP) & POLLRDHUP))
		weft_sleep(WEFT_MS(1));
	cr_assert_eq(weft_readv(pair.ends[1], iov, 2), 6);
	cr_assert_arr_eq(iov[0].iov_base, "cd", 2);
	cr_assert_arr_eq(iov[1].iov_base, "efgh", 4);
	cr_assert_eq(weft_recv(pair.ends[1], buf, 8, MSG_WAITALL), 0);
	cr_assert_eq(weft_pread(pair.ends[1], buf, 8, 0), -ESPIPE);
	close_pair(&pair);
	return 0;
}

Test(net, flags_mean_what_they_mean)
{
	for (int i = 0; i < 2; i++)
		run(look_and_wait, (void *)addresses[i], HARMLESS);
}

static int wrong_calls(void *arg)
{
	int fresh = weft_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int listener = weft_listen("127.0.0.1:80", 4, 0);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
	char byte = 'x';

	(void)arg;
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(weft_recv(fresh, &byte, 1, 0), -ENOTCONN);
	cr_assert_eq(weft_send(fresh, &byte, 1, 0), -EPIPE);
	cr_assert_eq(weft_shutdown(fresh, SHUT_WR), -ENOTCONN);
	cr_assert_eq(weft_accept(fresh, NULL, NULL, 0), -EINVAL);
	cr_assert_eq(weft_connect(fresh, (struct sockaddr *)&to, 3), -EINVAL);
	cr_assert_eq(weft_connect(fresh, (struct sockaddr *)&to, sizeof(to)), 0);
	cr_assert_eq(weft_connect(fresh, (struct sockaddr *)&to, sizeof(to)), -EISCONN);
	cr_assert_eq(weft_recv(listener, &byte, 1, 0), -ENOTCONN);
	weft_close(fresh);
	weft_close(listener);
	return weft_recv(listener, &byte, 1, 0) == -EBADF ? 0 : 1;
}

Test(net, wrong_calls_get_the_kernels_codes)
{
	run(wrong_calls, NULL, HARMLESS);
}

/* -- messages ----------------------------------------------------------------------------------- */

static int talk_by_messages(void *arg)
{
	int a = weft_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int b = weft_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = {.sin_family = AF_INET}, from;
	socklen_t len = sizeof(at);
	char buf[16], text[64];
	ssize_t got;

	(void)arg;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(bind(a, (struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(getsockname(a, (struct sockaddr *)&at, &len), 0);
	cr_assert_eq(weft_sendto(b, "hello", 5, 0, (struct sockaddr *)&at, len), 5);
	len = sizeof(from);
	cr_assert_eq(weft_recvfrom(a, buf, 3, MSG_TRUNC | MSG_PEEK,
			     (struct sockaddr *)&from, &len),
		5);
	cr_assert_eq(weft_recvfrom(a, buf, 3, 0, (struct sockaddr *)&from, &len), 3);
	cr_assert_gt(weft_local_address(b, text, sizeof(text)), 0);
	cr_assert_eq(ntohs(from.sin_port), atoi(strchr(text, ':') + 1));
	cr_assert_eq(weft_sendto(a, "", 0, 0, (struct sockaddr *)&from, len), 0);
	got = weft_recv(b, buf, sizeof(buf), 0);
	cr_assert_eq(got, 0, "%zd, port %d, %s", got, ntohs(from.sin_port), text);
	cr_assert_eq(weft_recv(b, buf, sizeof(buf), MSG_DONTWAIT), -EAGAIN);
	cr_assert_eq(weft_send(b, "x", 1, 0), -EDESTADDRREQ);
	cr_assert_eq(weft_connect(b, (struct sockaddr *)&at, sizeof(at)), 0);
	weft_close(a);
	cr_assert_eq(weft_send(b, "x", 1, 0), 1);
	cr_assert_eq(weft_recv(b, buf, sizeof(buf), 0), -ECONNREFUSED);
	return weft_close(b);
}

Test(net, messages_keep_their_bounds)
{
	run(talk_by_messages, NULL, HARMLESS);
}

static int send_messages(void *arg)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "\0receiver"};
	int fd = weft_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;
	static char data[4000];

	(void)arg;
	for (int i = 0; i < 40 && rc >= 0; i++)
		rc = (int)weft_sendto(fd, data, sizeof(data), 0, (struct sockaddr *)&to,
			offsetof(struct sockaddr_un, sun_path) + 9);
	weft_close(fd);
	return rc < 0 ? rc : 0;
}

/* More than there is room for: none is lost. */
static int wait_for_room_for_messages(void *arg)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "\0receiver"};
	int fd = weft_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct weft_task *sender;
	char buf[4000];

	(void)arg;
	cr_assert_eq(bind(fd, (struct sockaddr *)&at,
			     offsetof(struct sockaddr_un, sun_path) + 9),
		0);
	sender = weft_create_task(send_messages, NULL);
	weft_sleep(WEFT_SEC(1));
	for (int i = 0; i < 40; i++)
		cr_assert_eq(weft_recv(fd, buf, sizeof(buf), 0), sizeof(buf));
	cr_assert_eq(weft_join(sender), 0);
	return weft_close(fd);
}

Test(net, unix_messages_wait_for_room)
{
	run(wait_for_room_for_messages, NULL, HARMLESS);
}

/* -- beside other things ------------------------------------------------------------------------ */

static int splice_through(void *arg)
{
	struct pair pair;
	int pipes[2];
	char buf[5];

	make_pair(&pair, arg);
	cr_assert_eq(pipe(pipes), 0);
	cr_assert_eq(write(pipes[1], "bytes", 5), 5);
	cr_assert_eq(weft_splice(pipes[0], NULL, pair.ends[0], NULL, 5, 0), 5);
	cr_assert_eq(weft_splice(pair.ends[1], NULL, pipes[1], NULL, 100, 0), 5);
	cr_assert_eq(read(pipes[0], buf, 5), 5);
	cr_assert_arr_eq(buf, "bytes", 5);
	close(pipes[0]);
	close(pipes[1]);
	close_pair(&pair);
	return 0;
}

Test(net, splices_with_pipes)
{
	for (int i = 0; i < 2; i++)
		run(splice_through, (void *)addresses[i], HARMLESS);
}

static int leave_to_the_kernel(void *arg)
{
	int ends[2];
	char byte = 'x';

	(void)arg;
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	cr_assert_eq(weft_write(ends[0], &byte, 1), 1);
	cr_assert_eq(read(ends[1], &byte, 1), 1);
	weft_close(ends[0]);
	return weft_close(ends[1]);
}

Test(net, a_socketpair_stays_the_kernels)
{
	run(leave_to_the_kernel, NULL, HARMLESS);
}

/* -- what is left ------------------------------------------------------------------------------- */

static int leave_open(void *arg)
{
	struct pair *pair = arg;

	make_pair(pair, "127.0.0.1:7000");
	pair->listener = weft_listen("unix:@left", 4, 0);
	return 0;
}

Test(net, what_is_left_open_is_told_and_closed)
{
	struct weft_sim sim = SIM(.seed = 1);
	struct pair pair;
	char text[256];

	cr_assert_eq(simulate_once(leave_open, &pair, &sim), 0);
	cr_assert_eq(reports.leaks, 3, "%s", reports.text);
	snprintf(text, sizeof(text),
		"descriptor %d, a TCP connection accepted on 127.0.0.1:7000, is still "
		"open",
		pair.ends[1]);
	cr_assert(strstr(reports.text, text), "%s", reports.text);
	snprintf(text, sizeof(text),
		"descriptor %d, a TCP connection to 127.0.0.1:7000, is still open",
		pair.ends[0]);
	cr_assert(strstr(reports.text, text), "%s", reports.text);
	snprintf(text, sizeof(text),
		"descriptor %d, a unix listener on unix:@left, is still open",
		pair.listener);
	cr_assert(strstr(reports.text, text), "%s", reports.text);
	cr_assert_eq(fcntl(pair.ends[0], F_GETFD), -1);
	cr_assert_eq(fcntl(pair.ends[1], F_GETFD), -1);
	cr_assert_eq(fcntl(pair.listener, F_GETFD), -1);
}

static int use_from_outside(void *arg)
{
	struct weft_scope scope;
	int rc;

	weft_deadline_begin(&scope, WEFT_SEC(1));
	rc = weft_accept(*(int *)arg, NULL, NULL, 0);
	weft_scope_end(&scope);
	return rc;
}

Test(net, what_was_there_before_stays)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct weft_sim sim = SIM(.seed = 1);

	cr_assert_eq(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
	cr_assert_eq(listen(fd, 4), 0);
	cr_assert_eq(simulate_once(use_from_outside, &fd, &sim), -ETIMEDOUT);
	cr_assert_eq(reports.leaks, 0, "%s", reports.text);
	cr_assert_geq(fcntl(fd, F_GETFD), 0);
	close(fd);
}
