/* SPDX-License-Identifier: MIT */
/*
 * test_io_engine - the I/O calls on the engine: cancels, deadlines and closes that meet
 * operations in flight, descriptors with O_NONBLOCK, broken pipes, the accept loop.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weft.h>

enum { READERS = 20 };

TestSuite(io_engine, .timeout = 30);

static int run_with(unsigned workers, weft_fn fn)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.workers = workers;
	config.stall_report = -1;
	return weft_run(fn, NULL, &config);
}

static void run(weft_fn fn)
{
	for (unsigned workers = 1; workers <= 4; workers *= 2)
		cr_assert_eq(run_with(workers, fn), 0);
}

/* Returns once that many operations are in flight. */
static void wait_for_inflight(uint64_t count)
{
	struct weft_metrics metrics = {.size = sizeof(metrics)};

	do {
		cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
		cr_assert_eq(weft_runtime_metrics(weft_runtime_current(), &metrics), 0);
	} while (metrics.io_inflight != count);
}

static void make_pipe(int ends[2], int flags)
{
	cr_assert_eq(pipe2(ends, flags), 0);
}

static int read_byte(void *arg)
{
	char byte;

	return (int)weft_read(*(int *)arg, &byte, 1);
}

/* -- cancel, deadline -------------------------------------------------------------------------- */

static int cancel_a_read(void *arg)
{
	struct weft_task *task;
	int ends[2];

	(void)arg;
	make_pipe(ends, 0);
	task = weft_create_task(read_byte, &ends[0]);
	wait_for_inflight(1);
	weft_cancel(task);
	cr_assert_eq(weft_join(task), -ECANCELED);
	wait_for_inflight(0);
	/* and no byte went with it */
	cr_assert_eq(weft_write(ends[1], "x", 1), 1);
	cr_assert_eq(read_byte(&ends[0]), 1);
	weft_close(ends[0]);
	weft_close(ends[1]);
	return 0;
}

Test(io_engine, cancel_ends_a_read)
{
	run(cancel_a_read);
}

static int read_until_deadline(void *arg)
{
	struct weft_scope scope;
	int ends[2];

	(void)arg;
	make_pipe(ends, 0);
	weft_deadline_begin(&scope, WEFT_MS(10));
	cr_assert_eq(read_byte(&ends[0]), -ETIMEDOUT);
	/* closes although the deadline has passed */
	cr_assert_eq(weft_close(ends[0]), 0);
	cr_assert_eq(fcntl(ends[0], F_GETFD), -1);
	cr_assert_eq(weft_scope_end(&scope), 1);
	weft_close(ends[1]);
	return 0;
}

Test(io_engine, deadline_ends_a_read_but_not_a_close)
{
	run(read_until_deadline);
}

static int write_all(void *arg)
{
	static char buf[1 << 20];
	int *ends = arg;
	size_t done = 12345;
	ssize_t rc = weft_write_full(ends[1], buf, sizeof(buf), &done);

	cr_assert_eq(rc, -ECANCELED);
	return (int)done;
}

static int cancel_write_full(void *arg)
{
	static char buf[1 << 20];
	struct weft_task *task;
	int ends[2], done;

	(void)arg;
	make_pipe(ends, 0);
	task = weft_create_task(write_all, ends);
	wait_for_inflight(1);
	weft_cancel(task);
	done = weft_join(task);
	cr_assert_gt(done, 0);
	weft_close(ends[1]);
	cr_assert_eq(weft_read_full(ends[0], buf, sizeof(buf)), done);
	weft_close(ends[0]);
	return 0;
}

Test(io_engine, write_full_says_how_much_went_out)
{
	run(cancel_write_full);
}

static int cancelled_from_the_start(void *arg)
{
	int ends[2];
	char byte = 'x';
	size_t done = 1;

	(void)arg;
	make_pipe(ends, 0);
	weft_cancel(weft_self());
	cr_assert_eq(weft_write(ends[1], &byte, 1), -ECANCELED);
	cr_assert_eq(weft_write_full(ends[1], &byte, 1, &done), -ECANCELED);
	cr_assert_eq(done, 0);
	cr_assert_eq(weft_close(ends[1]), 0);
	weft_uncancel();
	cr_assert_eq(read_byte(&ends[0]), 0, "nothing was written");
	weft_close(ends[0]);
	return 0;
}

Test(io_engine, pending_cancel_comes_before_any_effect_but_close_closes)
{
	run(cancelled_from_the_start);
}

/* -- close ------------------------------------------------------------------------------------- */

static int close_under_readers(void *arg)
{
	struct weft_task *readers[READERS], *other;
	int ends[2], copy;

	(void)arg;
	make_pipe(ends, 0);
	copy = dup(ends[0]);
	other = weft_create_task(read_byte, &copy);
	for (int i = 0; i < READERS; i++)
		readers[i] = weft_create_task(read_byte, &ends[0]);
	wait_for_inflight(READERS + 1);
	cr_assert_eq(weft_close(ends[0]), 0);
	for (int i = 0; i < READERS; i++)
		cr_assert_eq(weft_join(readers[i]), -EBADF);
	cr_assert_eq(weft_close(ends[0]), -EBADF);
	cr_assert_eq(read_byte(&ends[0]), -EBADF);
	wait_for_inflight(1); /* the duplicate's reader was left alone */
	cr_assert_eq(weft_write(ends[1], "x", 1), 1);
	cr_assert_eq(weft_join(other), 1);
	weft_close(copy);
	weft_close(ends[1]);
	return 0;
}

Test(io_engine, close_ends_what_is_in_flight_on_every_ring)
{
	run(close_under_readers);
}

static int close_it(void *arg)
{
	return weft_close(*(int *)arg);
}

static int several_closers(void *arg)
{
	struct weft_task *closers[READERS], *reader;
	int ends[2], closed = 0;

	(void)arg;
	make_pipe(ends, 0);
	reader = weft_create_task(read_byte, &ends[0]);
	wait_for_inflight(1);
	for (int i = 0; i < READERS; i++)
		closers[i] = weft_create_task(close_it, &ends[0]);
	for (int i = 0; i < READERS; i++) {
		int rc = weft_join(closers[i]);

		cr_assert(rc == 0 || rc == -EBADF);
		closed += rc == 0;
	}
	cr_assert_eq(closed, 1);
	cr_assert_eq(weft_join(reader), -EBADF);
	weft_close(ends[1]);
	return 0;
}

Test(io_engine, one_of_several_closers_closes)
{
	run(several_closers);
}

static int close_and_reuse(void *arg)
{
	int numbers[2] = {-1, -1};

	(void)arg;
	for (int i = 0; i < 200; i++) {
		struct weft_task *reader;
		int ends[2];

		make_pipe(ends, 0);
		if (i > 0)
			cr_assert_eq(
				memcmp(ends, numbers, sizeof(ends)), 0, "same again");
		memcpy(numbers, ends, sizeof(ends));
		reader = weft_create_task(read_byte, &ends[0]);
		while (weft_status(reader) == -EINPROGRESS && i % 2) {
			cr_assert_eq(weft_write(ends[1], "x", 1), 1);
			weft_yield();
		}
		if (i % 2 == 0)
			wait_for_inflight(1);
		cr_assert_eq(weft_close(ends[0]), 0);
		cr_assert_eq(weft_join(reader), i % 2 ? 1 : -EBADF);
		cr_assert_eq(weft_close(ends[1]), 0);
	}
	return 0;
}

Test(io_engine, a_number_that_comes_again_is_a_new_descriptor)
{
	run(close_and_reuse);
}

/* -- descriptors of every kind ----------------------------------------------------------------- */

static int fill_then_write(void *arg)
{
	int *ends = arg;
	static char buf[1 << 17];

	return (int)weft_write_full(ends[1], buf, sizeof(buf), NULL);
}

static int nonblocking_pipe(void *arg)
{
	static char buf[1 << 17];
	struct weft_task *task;
	int ends[2];

	(void)arg;
	make_pipe(ends, O_NONBLOCK);
	task = weft_create_task(read_byte, &ends[0]);
	wait_for_inflight(1);
	cr_assert_eq(weft_write(ends[1], "x", 1), 1);
	cr_assert_eq(weft_join(task), 1);
	task = weft_create_task(fill_then_write, ends);
	wait_for_inflight(1);
	cr_assert_eq(weft_read_full(ends[0], buf, sizeof(buf)), sizeof(buf));
	cr_assert_eq(weft_join(task), (int)sizeof(buf));
	cr_assert(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
	weft_close(ends[0]);
	weft_close(ends[1]);
	return 0;
}

Test(io_engine, nonblocking_descriptors_are_waited_for)
{
	run(nonblocking_pipe);
}

static int dial_it(void *arg)
{
	return weft_dial(arg, 0);
}

static int accept_and_dial(const char *address, int listener_flags)
{
	char bound[128];
	struct weft_task *task;
	int listener = weft_listen(address, 16, 0), ours, theirs;
	char byte = 0;

	cr_assert_geq(listener, 0);
	cr_assert_eq(fcntl(listener, F_SETFL, listener_flags), 0);
	cr_assert_gt(weft_local_address(listener, bound, sizeof(bound)), 0);
	task = weft_create_task(dial_it, bound);
	ours = weft_accept(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	cr_assert_geq(ours, 0);
	cr_assert(fcntl(ours, F_GETFL) & O_NONBLOCK);
	cr_assert(fcntl(ours, F_GETFD) & FD_CLOEXEC);
	theirs = weft_join(task);
	cr_assert_geq(theirs, 0);
	cr_assert_eq(weft_recv(ours, &byte, 1, MSG_DONTWAIT), -EAGAIN);
	cr_assert_eq(weft_recv(ours, NULL, 0, 0), 0);
	cr_assert_eq(weft_send(theirs, "x", 1, 0), 1);
	cr_assert_eq(weft_recv(ours, &byte, 1, 0), 1);
	cr_assert_eq(byte, 'x');
	cr_assert_eq(weft_shutdown(theirs, SHUT_WR), 0);
	cr_assert_eq(weft_read(ours, &byte, 1), 0);
	cr_assert_eq(weft_close(ours), 0);
	cr_assert_eq(weft_close(theirs), 0);
	cr_assert_eq(weft_close(listener), 0);
	return 0;
}

static int accept_and_dial_everything(void *arg)
{
	(void)arg;
	for (int flags = 0; flags <= O_NONBLOCK; flags += O_NONBLOCK) {
		accept_and_dial("127.0.0.1:0", flags);
		accept_and_dial("unix:@weft-test-io-engine", flags);
	}
	return 0;
}

Test(io_engine, accept_and_dial)
{
	run(accept_and_dial_everything);
}

static int refused(void *arg)
{
	char bound[64];
	int listener = weft_listen("127.0.0.1:0", 1, 0), fd;
	struct sockaddr_in in = {.sin_family = AF_INET};

	(void)arg;
	weft_local_address(listener, bound, sizeof(bound));
	cr_assert_eq(weft_listen(bound, 1, 0), -EADDRINUSE);
	weft_close(listener);
	cr_assert_eq(weft_dial(bound, 0), -ECONNREFUSED);
	in.sin_port = htons((uint16_t)atoi(strrchr(bound, ':') + 1));
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = weft_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	cr_assert_eq(weft_connect(fd, (struct sockaddr *)&in, sizeof(in)), -ECONNREFUSED);
	weft_close(fd);
	cr_assert_eq(weft_dial("unix:/no/such/socket", 0), -ENOENT);
	cr_assert_eq(weft_dial("nonsense", 0), -EINVAL);
	cr_assert_eq(weft_dial(NULL, 0), -EINVAL);
	cr_assert_eq(weft_listen("127.0.0.1:0", 1, 0x80), -EINVAL);
	return 0;
}

Test(io_engine, dial_says_why_not)
{
	run(refused);
}

static int write_to_broken_pipes(void *arg)
{
	char byte = 'x';
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	int ends[2], pair[2];

	(void)arg;
	make_pipe(ends, 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	weft_close(ends[0]);
	weft_close(pair[0]);
	cr_assert_eq(weft_write(ends[1], &byte, 1), -EPIPE);
	cr_assert_eq(weft_writev(ends[1], &iov, 1), -EPIPE);
	cr_assert_eq(weft_write_full(ends[1], &byte, 1, NULL), -EPIPE);
	cr_assert_eq(weft_write(pair[1], &byte, 1), -EPIPE);
	cr_assert_eq(weft_send(pair[1], &byte, 1, 0), -EPIPE);
	cr_assert_eq(weft_sendmsg(pair[1], &msg, 0), -EPIPE);
	cr_assert_eq(weft_send_full(pair[1], &byte, 1, 0, NULL), -EPIPE);
	weft_close(ends[1]);
	weft_close(pair[1]);
	return 0;
}

Test(io_engine, broken_pipes_raise_no_signal)
{
	sigset_t pending;

	run(write_to_broken_pipes);
	sigpending(&pending);
	cr_assert(!sigismember(&pending, SIGPIPE));
}

static int odd_arguments(void *arg)
{
	char byte = 0;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	int null = weft_openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
	int zero = weft_openat(AT_FDCWD, "/dev/zero", O_RDWR | O_CLOEXEC, 0);

	(void)arg;
	cr_assert_eq(weft_read(null, NULL, 0), 0);
	cr_assert_eq(weft_read(null, NULL, 1), -EFAULT);
	cr_assert_eq(weft_write(null, NULL, 1), -EFAULT);
	cr_assert_eq(weft_write(null, &byte, 0), 0);
	cr_assert_eq(weft_pread(null, &byte, 1, -1), -EINVAL);
	cr_assert_eq(weft_readv(null, &iov, -1), -EINVAL);
	cr_assert_eq(weft_readv(null, NULL, 1), -EFAULT);
	cr_assert_eq(weft_readv(zero, &iov, 1), 1);
	cr_assert_eq(weft_recv(null, &byte, 1, 0), -ENOTSOCK);
	cr_assert_eq(weft_recv(null, NULL, 1, 0), -EFAULT);
	cr_assert_eq(weft_send(null, NULL, 1, 0), -EFAULT);
	cr_assert_eq(weft_sendmsg(null, NULL, 0), -EFAULT);
	cr_assert_eq(weft_recvmsg(null, NULL, 0), -EFAULT);
	cr_assert_eq(weft_connect(null, NULL, 0), -EFAULT);
	cr_assert_eq(weft_openat(AT_FDCWD, NULL, 0, 0), -EFAULT);
	cr_assert_eq(weft_fsync(null, 2), -EINVAL);
	cr_assert_eq(weft_shutdown(null, SHUT_RD), -ENOTSOCK);
	cr_assert_eq(weft_shutdown(-1, SHUT_RD), -EBADF);
	cr_assert_eq(weft_poll(null, POLLIN), POLLIN);
	cr_assert_eq(weft_poll(-1, POLLIN), -EBADF);
	cr_assert_eq(weft_close(-1), -EBADF);
	cr_assert_eq(weft_close(1 << 30), -EBADF);
	cr_assert_eq(weft_serve(null, NULL, NULL, 0), -EINVAL);
	cr_assert_eq(weft_write_full(null, &byte, (size_t)-1, NULL), -EINVAL);
	weft_close(null);
	weft_close(zero);
	return 0;
}

Test(io_engine, odd_arguments_get_their_code)
{
	run(odd_arguments);
}

static int use_a_file(void *arg)
{
	char buf[16] = "";
	int fd = weft_openat(AT_FDCWD, P_tmpdir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	(void)arg;
	cr_assert_geq(fd, 0);
	cr_assert_eq(weft_write_full(fd, "hello world", 11, NULL), 11);
	cr_assert_eq(weft_pwrite(fd, "W", 1, 6), 1);
	cr_assert_eq(weft_fsync(fd, 1), 0);
	cr_assert_eq(weft_pread(fd, buf, 5, 6), 5);
	cr_assert_str_eq(buf, "World");
	cr_assert_eq(weft_read(fd, buf, 1), 0);
	cr_assert_eq(weft_close(fd), 0);
	return 0;
}

Test(io_engine, files)
{
	run(use_a_file);
}

Test(io_engine, plain_threads_are_refused)
{
	char byte;

	cr_assert_eq(weft_read(0, &byte, 1), -EPERM);
	cr_assert_eq(weft_close(0), -EPERM);
	cr_assert_eq(weft_socket(AF_INET, SOCK_STREAM, 0), -EPERM);
	cr_assert_eq(weft_listen("127.0.0.1:0", 1, 0), -EPERM);
	cr_assert_eq(weft_dial("127.0.0.1:1", 0), -EPERM);
	cr_assert_eq(weft_shutdown(0, SHUT_RD), -EPERM);
	cr_assert_eq(weft_poll(0, POLLIN), -EPERM);
}

static int huge_transfers(void *arg)
{
	const size_t size = (size_t)3 << 30;
	int null = weft_openat(AT_FDCWD, "/dev/null", O_WRONLY | O_CLOEXEC, 0);
	char *huge = mmap(NULL, size, PROT_READ,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t done;
	ssize_t rc;

	(void)arg;
	cr_assert_neq(huge, MAP_FAILED);
	rc = weft_write(null, huge, size);
	cr_assert_gt(rc, 0);
	cr_assert_lt(rc, (ssize_t)size, "more than one operation carries");
	cr_assert_eq(weft_write_full(null, huge, size, &done), (ssize_t)size);
	cr_assert_eq(done, size);
	munmap(huge, size);
	weft_close(null);
	return 0;
}

Test(io_engine, huge_transfers_are_short_or_repeated)
{
	cr_assert_eq(run_with(1, huge_transfers), 0);
}

/* -- serve ------------------------------------------------------------------------------------- */

struct server {
	int listener;
	unsigned max_conns;
	char address[64];
	_Atomic(int) alive, most, served;
};

static int hold(int fd, void *user)
{
	struct server *server = user;
	int alive = ++server->alive;
	char byte;
	int rc;

	if (alive > server->most)
		server->most = alive;
	rc = (int)weft_read(fd, &byte, 1);
	server->alive--;
	server->served++;
	return rc;
}

static int serve(void *arg)
{
	struct server *server = arg;

	return weft_serve(server->listener, hold, server, server->max_conns);
}

static void open_server(struct server *server)
{
	server->listener = weft_listen("127.0.0.1:0", 64, 0);
	cr_assert_geq(server->listener, 0);
	weft_local_address(server->listener, server->address, sizeof(server->address));
}

static int cancel_the_server(void *arg)
{
	/* Room for one more than come: however many would accept, one does. */
	struct server server = {.max_conns = 6};
	struct weft_metrics metrics = {.size = sizeof(metrics)};
	struct weft_task *task;
	int fds[5];

	(void)arg;
	open_server(&server);
	task = weft_create_task(serve, &server);
	for (int i = 0; i < 5; i++) {
		fds[i] = weft_dial(server.address, 0);
		cr_assert_geq(fds[i], 0);
	}
	while (server.alive < 5)
		cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
	wait_for_inflight(6); /* five reads and an accept */
	weft_cancel(task);
	cr_assert_eq(weft_join(task), -ECANCELED);
	cr_assert_eq(server.alive, 0);
	cr_assert_eq(server.served, 5);
	for (int i = 0; i < 5; i++) {
		char byte;

		cr_assert_eq(weft_read(fds[i], &byte, 1), 0, "weft closed it");
		weft_close(fds[i]);
	}
	weft_runtime_metrics(weft_runtime_current(), &metrics);
	cr_assert_eq(metrics.connections, 5);
	cr_assert_eq(metrics.connections_failed, 5);
	weft_close(server.listener);
	return 0;
}

Test(io_engine, cancelled_server_cancels_its_connections_and_waits)
{
	run(cancel_the_server);
}

static int dial_and_write(void *arg)
{
	int fd = weft_dial(arg, 0), rc;
	char byte;

	cr_assert_geq(fd, 0);
	weft_sleep(WEFT_MS(1));
	rc = (int)weft_write(fd, "x", 1);
	cr_assert_eq(rc, 1);
	rc = (int)weft_read(fd, &byte, 1);
	weft_close(fd);
	return rc;
}

static int at_most_three(void *arg)
{
	struct server server = {.max_conns = 3};
	struct weft_task *task, *clients[READERS];

	(void)arg;
	open_server(&server);
	task = weft_create_task(serve, &server);
	for (int i = 0; i < READERS; i++)
		clients[i] = weft_create_task(dial_and_write, server.address);
	for (int i = 0; i < READERS; i++)
		cr_assert_eq(weft_join(clients[i]), 0);
	cr_assert_eq(server.served, READERS);
	cr_assert_leq(server.most, 3);
	weft_cancel(task);
	cr_assert_eq(weft_join(task), -ECANCELED);
	weft_close(server.listener);
	return 0;
}

Test(io_engine, server_keeps_to_its_limit)
{
	run(at_most_three);
}

static int out_of_descriptors(void *arg)
{
	struct rlimit before, none;
	struct server server = {0};
	struct weft_task *task;
	int fd, top;

	(void)arg;
	open_server(&server);
	fd = weft_dial(server.address, 0);
	cr_assert_geq(fd, 0);
	top = dup(0);
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = (rlim_t)top + 1;
	setrlimit(RLIMIT_NOFILE, &none);
	task = weft_create_task(serve, &server);
	weft_sleep(WEFT_MS(30));
	cr_assert_eq(weft_status(task), -EINPROGRESS);
	cr_assert_eq(server.alive, 0);
	setrlimit(RLIMIT_NOFILE, &before);
	cr_assert_eq(weft_write(fd, "x", 1), 1);
	while (!server.served)
		weft_sleep(WEFT_MS(1));
	weft_cancel(task);
	cr_assert_eq(weft_join(task), -ECANCELED);
	weft_close(server.listener);
	weft_close(fd);
	close(top);
	return 0;
}

Test(io_engine, server_survives_the_descriptor_limit)
{
	run(out_of_descriptors);
}

static void close_the_listener_of(struct server *server)
{
	struct weft_metrics metrics = {.size = sizeof(metrics)};
	struct weft_task *task;

	open_server(server);
	task = weft_create_task(serve, server);
	do { /* until somebody accepts */
		cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
		weft_runtime_metrics(weft_runtime_current(), &metrics);
	} while (metrics.io_inflight == 0);
	cr_assert_eq(weft_close(server->listener), 0);
	cr_assert_eq(weft_join(task), -EBADF);
	wait_for_inflight(0);
}

static int close_the_listener(void *arg)
{
	struct server unbounded = {0}, bounded = {.max_conns = 1};

	(void)arg;
	close_the_listener_of(&unbounded);
	close_the_listener_of(&bounded);
	return 0;
}

Test(io_engine, server_ends_with_its_listener)
{
	run(close_the_listener);
}
