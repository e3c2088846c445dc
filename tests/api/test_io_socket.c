/* SPDX-License-Identifier: MIT */
/*
 * io_socket - sockets: listen, dial, send and receive, each in straight lines.
 */
#include "helper.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

TestSuite(io_socket, .timeout = PATIENCE);

static void make_pair(int fds[2])
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

static void close_pair(int fds[2])
{
	cr_assert_eq(weft_close(fds[0]), 0);
	cr_assert_eq(weft_close(fds[1]), 0);
}

/* ---- a server and its client ---- */

static int echo_once(void *arg)
{
	int listener = *(int *)arg;
	char buf[64];

	int fd = weft_accept(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return fd;
	ssize_t n = weft_recv(fd, buf, sizeof(buf), 0);
	if (n > 0)
		n = weft_send(fd, buf, (size_t)n, 0);
	weft_close(fd);
	return (int)n;
}

static void exchange(const char *address)
{
	char found[128], buf[64];

	int listener = weft_listen(address, 16, 0);
	cr_assert_geq(listener, 0, "listen on %s: %d", address, listener);
	int length = weft_local_address(listener, found, sizeof(found));
	cr_assert_eq(length, (int)strlen(found));
	struct weft_task *server = weft_create_task(echo_once, &listener);

	int fd = weft_dial(found, 0);
	cr_assert_geq(fd, 0, "dial %s: %d", found, fd);
	cr_assert_eq(weft_send(fd, "hello", 5, 0), 5);
	cr_assert_eq(weft_recv(fd, buf, sizeof(buf), 0), 5);
	cr_assert_arr_eq(buf, "hello", 5);
	cr_assert_eq(weft_recv(fd, buf, sizeof(buf), 0), 0, "the server has closed");
	cr_assert_eq(weft_join(server), 5);
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	cr_assert(fcntl(listener, F_GETFD) & FD_CLOEXEC);
	weft_close(fd);
	weft_close(listener);
}

static int talk_over_ipv4(void *arg)
{
	(void)arg;
	exchange("127.0.0.1:0");
	return 0;
}

Test(io_socket, talks_over_ipv4)
{
	run_on_1_2_4(talk_over_ipv4);
}

static int talk_over_ipv6(void *arg)
{
	(void)arg;
	int probe = weft_listen("[::1]:0", 1, 0);
	if (probe == -EADDRNOTAVAIL || probe == -EAFNOSUPPORT)
		return 0; /* this machine has no IPv6 */
	weft_close(probe);
	exchange("[::1]:0");
	return 0;
}

Test(io_socket, talks_over_ipv6)
{
	run_on_1_2_4(talk_over_ipv6);
}

static int talk_over_unix(void *arg)
{
	char folder[] = P_tmpdir "/weft-socket-XXXXXX", address[80], path[64];

	(void)arg;
	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/s", folder);
	snprintf(address, sizeof(address), "unix:%s", path);
	exchange(address);
	unlink(path);
	rmdir(folder);
	return 0;
}

Test(io_socket, talks_over_unix_sockets)
{
	run_on_1_2_4(talk_over_unix);
}

static int name_addresses(void *arg)
{
	char address[64];

	(void)arg;
	int fd = weft_listen("127.0.0.1:0", 1, 0);
	int length = weft_local_address(fd, address, sizeof(address));
	cr_assert_eq(strncmp(address, "127.0.0.1:", 10), 0);
	cr_assert_str_neq(address, "127.0.0.1:0", "the port in use");
	cr_assert_eq(weft_local_address(fd, address, (size_t)length), -ENOSPC, "no room for the NUL");
	cr_assert_eq(weft_local_address(fd, address, (size_t)length + 1), length);
	weft_close(fd);
	cr_assert_eq(weft_local_address(-1, address, sizeof(address)), -EBADF);
	return 0;
}

Test(io_socket, tells_its_address)
{
	run_on_1_2_4(name_addresses);
}

static int refuse_addresses(void *arg)
{
	static const char *const bad[] = {
		"", ":", "127.0.0.1", "127.0.0.1:", ":80x", "127.0.0.1:65536", "127.0.0.1:-1",
		"127.0.0.1:80 ", "[::1]", "[::1:80", "::1:80", "256.0.0.1:80", "unix:",
	};

	(void)arg;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cr_assert_eq(weft_listen(bad[i], 1, 0), -EINVAL, "listen on '%s'", bad[i]);
		cr_assert_eq(weft_dial(bad[i], 0), -EINVAL, "dial '%s'", bad[i]);
	}
	cr_assert_eq(weft_listen("127.0.0.1:0", 1, 1u << 31), -EINVAL, "unknown flags");
	return 0;
}

Test(io_socket, refuses_what_is_no_address)
{
	run_on_1_2_4(refuse_addresses);
}

static int be_refused(void *arg)
{
	char address[64];

	(void)arg;
	int fd = weft_listen("127.0.0.1:0", 1, 0);
	weft_local_address(fd, address, sizeof(address));
	weft_close(fd);
	cr_assert_eq(weft_dial(address, 0), -ECONNREFUSED, "nobody listens there now");
	cr_assert_eq(weft_dial("unix:/nowhere/at/all", 0), -ENOENT);
	return 0;
}

Test(io_socket, reports_a_refused_connection)
{
	run_on_1_2_4(be_refused);
}

static int use_the_plain_calls(void *arg)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in peer;
	socklen_t length = sizeof(addr);
	char byte;

	(void)arg;
	int listener = weft_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(listener, (struct sockaddr *)&addr, length), 0);
	cr_assert_eq(listen(listener, 1), 0);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&addr, &length), 0);

	int client = weft_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(weft_connect(client, (struct sockaddr *)&addr, length), 0);
	length = sizeof(peer);
	int server = weft_accept(listener, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK);
	cr_assert_geq(server, 0);
	cr_assert_eq(length, sizeof(peer));
	cr_assert_eq(ntohl(peer.sin_addr.s_addr), INADDR_LOOPBACK);
	cr_assert(fcntl(server, F_GETFL) & O_NONBLOCK, "as the flags say");
	cr_assert_eq(weft_write(client, "x", 1), 1);
	cr_assert_eq(weft_read(server, &byte, 1), 1);
	weft_close(client);
	weft_close(server);
	weft_close(listener);
	return 0;
}

Test(io_socket, works_with_posix_arguments)
{
	run_on_1_2_4(use_the_plain_calls);
}

/* ---- sending and receiving ---- */

enum { LARGE = 4 * 1024 * 1024 };

static int send_everything(void *arg)
{
	char *data = malloc(LARGE);
	size_t done = 0;

	for (size_t i = 0; i < LARGE; i++)
		data[i] = (char)(i * 7);
	ssize_t n = weft_send_full(*(int *)arg, data, LARGE, 0, &done);
	cr_assert_eq(n, LARGE);
	cr_assert_eq(done, LARGE);
	free(data);
	return weft_shutdown(*(int *)arg, SHUT_WR);
}

static int receive_everything(void *arg)
{
	char *data = malloc(LARGE + 100);
	int fds[2];

	(void)arg;
	make_pair(fds);
	struct weft_task *sender = weft_create_task(send_everything, &fds[1]);
	/* asks for more than there is: less comes only at the end */
	cr_assert_eq(weft_read_full(fds[0], data, LARGE + 100), LARGE);
	for (size_t i = 0; i < LARGE; i++)
		cr_assert_eq(data[i], (char)(i * 7));
	cr_assert_eq(weft_join(sender), 0);
	free(data);
	close_pair(fds);
	return 0;
}

Test(io_socket, sends_and_receives_in_full)
{
	run_on_1_2_4(receive_everything);
}

static int write_too_much(void *arg)
{
	static char data[LARGE];
	struct weft_scope scope;
	size_t done = 12345;
	int fds[2], queued = 0;

	(void)arg;
	cr_assert_eq(pipe(fds), 0);
	weft_deadline_begin(&scope, WEFT_MS(20));
	cr_assert_eq(weft_write_full(fds[1], data, LARGE, &done), -ETIMEDOUT);
	weft_scope_end(&scope);
	cr_assert_eq(ioctl(fds[0], FIONREAD, &queued), 0);
	cr_assert_eq(done, (size_t)queued, "what went out is what can be read");

	cancel_myself();
	done = 12345;
	cr_assert_eq(weft_write_full(fds[1], data, 1, &done), -ECANCELED);
	cr_assert_eq(done, 0, "right on every return");
	done = 12345;
	cr_assert_eq(weft_write_full(-1, data, 1, &done), -ECANCELED);
	cr_assert_eq(done, 0);
	weft_uncancel();
	done = 12345;
	cr_assert_eq(weft_write_full(-1, data, 1, &done), -EBADF);
	cr_assert_eq(done, 0);
	close_pair(fds);
	return 0;
}

Test(io_socket, says_how_much_went_out_when_cut_short)
{
	run_on_1_2_4(write_too_much);
}

static int never_be_killed(void *arg)
{
	int fds[2], pipes[2];

	(void)arg;
	make_pair(fds);
	cr_assert_eq(pipe(pipes), 0);
	weft_close(fds[1]);
	weft_close(pipes[0]);
	cr_assert_eq(weft_send(fds[0], "x", 1, 0), -EPIPE);
	cr_assert_eq(weft_write(fds[0], "x", 1), -EPIPE);
	cr_assert_eq(weft_send_full(fds[0], "x", 1, 0, NULL), -EPIPE);
	cr_assert_eq(weft_write_full(fds[0], "x", 1, NULL), -EPIPE);
	cr_assert_eq(weft_write(pipes[1], "x", 1), -EPIPE, "pipes too");
	weft_close(fds[0]);
	weft_close(pipes[1]);
	return 0;
}

/* SIGPIPE has its default action here: one signal and the test has crashed. */
Test(io_socket, never_raises_sigpipe)
{
	signal(SIGPIPE, SIG_DFL);
	run_on_1_2_4(never_be_killed);
}

static int vectors(void *arg)
{
	char a[3], b[4];
	struct iovec out[] = { { "abc", 3 }, { "defg", 4 } };
	struct iovec in[] = { { a, 3 }, { b, 4 } };
	int fds[2];

	(void)arg;
	make_pair(fds);
	cr_assert_eq(weft_writev(fds[0], out, 2), 7);
	cr_assert_eq(weft_readv(fds[1], in, 2), 7);
	cr_assert_arr_eq(a, "abc", 3);
	cr_assert_arr_eq(b, "defg", 4);
	close_pair(fds);
	return 0;
}

Test(io_socket, reads_and_writes_vectors)
{
	run_on_1_2_4(vectors);
}

static int pass_a_descriptor(void *arg)
{
	int fds[2], pipes[2], received = -1;
	char byte = 'x', got;
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		.msg_controllen = sizeof(control) };

	(void)arg;
	make_pair(fds);
	cr_assert_eq(pipe(pipes), 0);
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &pipes[1], sizeof(int));
	cr_assert_eq(weft_sendmsg(fds[0], &msg, 0), 1);

	memset(control, 0, sizeof(control));
	msg.msg_controllen = sizeof(control);
	cr_assert_eq(weft_recvmsg(fds[1], &msg, MSG_CMSG_CLOEXEC), 1);
	memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	cr_assert_eq(weft_write(received, "y", 1), 1, "it is the pipe's other name");
	cr_assert_eq(weft_read(pipes[0], &got, 1), 1);
	cr_assert_eq(got, 'y');
	weft_close(received);
	close_pair(pipes);
	close_pair(fds);
	return 0;
}

Test(io_socket, sends_and_receives_messages)
{
	run_on_1_2_4(pass_a_descriptor);
}

struct pending_read {
	int fd;
	char byte;
};

static int read_a_byte(void *arg)
{
	struct pending_read *r = arg;

	return (int)weft_recv(r->fd, &r->byte, 1, 0);
}

static int nonblocking_descriptors(void *arg)
{
	int fds[2];

	(void)arg;
	make_pair(fds);
	for (int i = 0; i < 2; i++)
		fcntl(fds[i], F_SETFL, O_NONBLOCK);
	struct pending_read r = { .fd = fds[0] };
	struct weft_task *reader = weft_create_task(read_a_byte, &r);
	weft_sleep(WEFT_MS(2));
	cr_assert_eq(weft_status(reader), -EINPROGRESS, "it waits, no -EAGAIN");
	cr_assert_eq(weft_send(fds[1], "x", 1, 0), 1);
	cr_assert_eq(weft_join(reader), 1);
	cr_assert(fcntl(fds[0], F_GETFL) & O_NONBLOCK, "and weft leaves the flag alone");
	close_pair(fds);
	return 0;
}

Test(io_socket, waits_on_nonblocking_descriptors_too)
{
	run_on_1_2_4(nonblocking_descriptors);
}

static int fill_nonblocking(void *arg)
{
	static char data[LARGE];

	fcntl(*(int *)arg, F_SETFL, O_NONBLOCK);
	return weft_write_full(*(int *)arg, data, sizeof(data), NULL) == LARGE ? 0 : -EPROTO;
}

static int drain_slowly(void *arg)
{
	static char data[LARGE];
	int fds[2];

	(void)arg;
	cr_assert_eq(pipe(fds), 0);
	struct weft_task *writer = weft_create_task(fill_nonblocking, &fds[1]);
	cr_assert_eq(weft_read_full(fds[0], data, sizeof(data)), LARGE);
	cr_assert_eq(weft_join(writer), 0);
	close_pair(fds);
	return 0;
}

Test(io_socket, writes_to_nonblocking_pipes_in_full)
{
	run_on_1_2_4(drain_slowly);
}

static int time_out(void *arg)
{
	struct weft_scope scope;
	int fds[2];
	char byte;

	(void)arg;
	make_pair(fds);
	int listener = weft_listen("127.0.0.1:0", 1, 0);
	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_recv(fds[0], &byte, 1, 0), -ETIMEDOUT);
	cr_assert_eq(weft_accept(listener, NULL, NULL, 0), -ETIMEDOUT);
	cr_assert_eq(weft_scope_end(&scope), 1);

	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_accept(listener, NULL, NULL, 0), -ETIMEDOUT, "while it waits too");
	weft_scope_end(&scope);
	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_poll(fds[0], POLLIN), -ETIMEDOUT);
	weft_scope_end(&scope);
	cr_assert_eq(weft_send(fds[1], "x", 1, 0), 1);
	cr_assert_eq(weft_recv(fds[0], &byte, 1, 0), 1, "the socket is as good as before");
	weft_close(listener);
	close_pair(fds);
	return 0;
}

Test(io_socket, obeys_deadlines)
{
	run_on_1_2_4(time_out);
}

static int poll_for_readiness(void *arg)
{
	int fds[2];

	(void)arg;
	make_pair(fds);
	cr_assert_eq(weft_poll(fds[0], POLLIN | POLLOUT), POLLOUT);
	cr_assert_eq(weft_send(fds[1], "x", 1, 0), 1);
	cr_assert_eq(weft_poll(fds[0], POLLIN), POLLIN);
	cr_assert_eq(weft_poll(fds[0], POLLIN), POLLIN, "it reads nothing");
	weft_close(fds[1]);
	cr_assert(weft_poll(fds[0], POLLIN) & POLLHUP);
	weft_close(fds[0]);
	cr_assert_eq(weft_poll(-1, POLLIN), -EBADF);
	return 0;
}

Test(io_socket, polls_for_readiness)
{
	run_on_1_2_4(poll_for_readiness);
}

static int misuse_descriptors(void *arg)
{
	int pipes[2], fds[2];
	char byte;

	(void)arg;
	cr_assert_eq(pipe(pipes), 0);
	make_pair(fds);
	cr_assert_eq(weft_recv(pipes[0], &byte, 1, 0), -ENOTSOCK);
	cr_assert_eq(weft_send(pipes[1], "x", 1, 0), -ENOTSOCK);
	cr_assert_eq(weft_accept(pipes[0], NULL, NULL, 0), -ENOTSOCK);
	cr_assert_eq(weft_accept(fds[0], NULL, NULL, 0), -EINVAL, "it does not listen");
	cr_assert_eq(weft_recv(-1, &byte, 1, 0), -EBADF);
	cr_assert_eq(weft_read(pipes[1], &byte, 1), -EBADF, "a pipe has two ends");
	cr_assert_eq(weft_send(fds[0], NULL, 1, 0), -EFAULT);
	cr_assert_eq(weft_write(fds[0], "", 0), 0);
	cr_assert_eq(weft_socket(12345, SOCK_STREAM, 0), -EAFNOSUPPORT);
	cr_assert_eq(weft_shutdown(fds[0], 99), -EINVAL);
	close_pair(fds);
	close_pair(pipes);
	return 0;
}

Test(io_socket, returns_the_codes_of_the_system_calls)
{
	run_on_1_2_4(misuse_descriptors);
}

struct connection {
	const char *address;
	int number;
};

static int echo_until_end(void *arg)
{
	int fd = *(int *)arg;
	char buf[256];
	ssize_t n;

	while ((n = weft_recv(fd, buf, sizeof(buf), 0)) > 0)
		if (weft_send_full(fd, buf, (size_t)n, 0, NULL) < 0)
			break;
	weft_close(fd);
	free(arg);
	return (int)n;
}

static int accept_connections(void *arg)
{
	struct weft_group group;

	weft_group_begin(&group, 0);
	for (int i = 0; i < 50; i++) {
		int *fd = malloc(sizeof(*fd));
		*fd = weft_accept(*(int *)arg, NULL, NULL, SOCK_CLOEXEC);
		cr_assert_geq(*fd, 0);
		cr_assert_eq(weft_group_spawn(&group, echo_until_end, fd), 0);
	}
	return weft_group_join(&group);
}

static int talk(void *arg)
{
	struct connection *c = arg;
	char buf[32];

	int fd = weft_dial(c->address, 0);
	cr_assert_geq(fd, 0);
	for (int i = 0; i < 20; i++) {
		int message[2] = { c->number, i };
		cr_assert_eq(weft_send(fd, message, sizeof(message), 0), (ssize_t)sizeof(message));
		cr_assert_eq(weft_read_full(fd, buf, sizeof(message)), (ssize_t)sizeof(message));
		cr_assert_arr_eq(buf, message, sizeof(message));
	}
	return weft_close(fd);
}

static int serve_fifty(void *arg)
{
	struct connection connections[50];
	struct weft_group clients;
	char address[64];

	(void)arg;
	int listener = weft_listen("127.0.0.1:0", 64, 0);
	weft_local_address(listener, address, sizeof(address));
	struct weft_task *server = weft_create_task(accept_connections, &listener);
	weft_group_begin(&clients, 0);
	for (int i = 0; i < 50; i++) {
		connections[i] = (struct connection){ address, i };
		weft_group_spawn(&clients, talk, &connections[i]);
	}
	cr_assert_eq(weft_group_join(&clients), 0);
	cr_assert_eq(weft_join(server), 0);
	weft_close(listener);
	return 0;
}

Test(io_socket, keeps_many_connections_apart)
{
	run_on_1_2_4(serve_fifty);
}

enum { BACKLOG = 40 };

static bool all_accepted;

/* Somebody who is always ready. */
static int count_turns(void *arg)
{
	while (!all_accepted) {
		++*(int *)arg;
		weft_yield();
	}
	return 0;
}

static int accept_backlog(void *arg)
{
	int dialled[BACKLOG], accepted[BACKLOG], turns = 0;
	char address[64];

	(void)arg;
	int listener = weft_listen("127.0.0.1:0", BACKLOG, 0);
	weft_local_address(listener, address, sizeof(address));
	for (int i = 0; i < BACKLOG; i++)
		cr_assert_geq(dialled[i] = weft_dial(address, 0), 0);
	struct weft_task *other = weft_create_task(count_turns, &turns);
	for (int i = 0; i < BACKLOG; i++)
		cr_assert_geq(accepted[i] = weft_accept(listener, NULL, NULL, SOCK_CLOEXEC), 0);
	cr_assert_lt(turns, BACKLOG / 4, "%d turns of somebody else", turns);
	all_accepted = true;
	cr_assert_eq(weft_join(other), 0);
	for (int i = 0; i < BACKLOG; i++) {
		weft_close(dialled[i]);
		weft_close(accepted[i]);
	}
	return weft_close(listener);
}

/* Else each of a burst of connections waits until all that are served already have had a turn. */
Test(io_socket, accepts_a_backlog_in_one_turn)
{
	cr_assert_eq(run_with(1, accept_backlog, NULL), 0);
}

static int share_a_port(void *arg)
{
	char address[64];

	(void)arg;
	int first = weft_listen("127.0.0.1:0", 1, WEFT_REUSEPORT);
	cr_assert_geq(first, 0);
	weft_local_address(first, address, sizeof(address));
	int second = weft_listen(address, 1, WEFT_REUSEPORT);
	cr_assert_geq(second, 0);
	cr_assert_eq(weft_listen(address, 1, 0), -EADDRINUSE);
	weft_close(first);
	weft_close(second);
	return 0;
}

Test(io_socket, can_share_a_port)
{
	run_on_1_2_4(share_a_port);
}
