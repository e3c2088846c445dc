/* SPDX-License-Identifier: MIT */
/*
 * The storm over input and output: pipes, sockets, files, weft_close, pool threads. The account: what was read is a
 * prefix of what was written, *done is right on every return, and where nobody disturbs anything all of it comes
 * through.
 */
#include "storm.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weft.h>

enum { BYTES = 150000, CLIENTS = 3 }; /* more than a pipe takes at once */

static struct {
	size_t sent, received;
	bool cut; /* a reset, or an end with bytes on their way: what was sent may not have arrived */
	int begun, ended;
	const char *wrong;
} account;

static char text[BYTES];

static void open_account(void)
{
	memset(&account, 0, sizeof(account));
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 23);
}

static void wrong_unless(bool holds, const char *what)
{
	if (!holds)
		account.wrong = what;
}

static const char *every_byte(void *arg)
{
	(void)arg;
	if (account.wrong)
		return account.wrong;
	if (account.begun != account.ended)
		return storm_says("%d begun, %d ended", account.begun, account.ended);
	if (account.cut ? account.received > account.sent
			: account.received != account.sent)
		return storm_says(
			"%zu bytes sent, %zu received", account.sent, account.received);
	if (storm_undisturbed() && account.sent == 0)
		return "nothing was sent";
	return NULL;
}

static void note_read(const char *buf, size_t n)
{
	if (account.received + n > sizeof(text) ||
		memcmp(buf, text + account.received, n) != 0)
		account.wrong = "other bytes were read than written";
	account.received += n;
}

/* -- streams: from one task to another ------------------------------------------------------------------ */

struct stream {
	int from, to;
	ssize_t (*read)(int fd, void *buf, size_t n);
	ssize_t (*write)(int fd, const void *buf, size_t n, size_t *done);
};

/* In pieces of several sizes; what came before an error counts, and is in *done. */
static int write_stream(void *arg)
{
	struct stream *stream = arg;
	size_t at = 0, piece = 1;
	ssize_t n = 0;

	for (; at < sizeof(text) && n >= 0; piece = piece * 7 % 40009) {
		size_t left = sizeof(text) - at, done = SIZE_MAX;

		n = stream->write(
			stream->to, text + at, piece < left ? piece : left, &done);
		wrong_unless(done <= left, "done was not set");
		wrong_unless(n < 0 || (size_t)n == done, "done is not what was returned");
		at += done;
	}
	account.sent += at;
	weft_close(stream->to);
	return n < 0 ? (int)n : 0;
}

/* Reads on in a shield once it is cancelled: what was sent has to be there. */
static int read_stream(void *arg)
{
	struct stream *stream = arg;
	struct weft_scope shield;
	static char buf[10000];
	ssize_t n;
	int rc = 0;

	while ((n = stream->read(stream->from, buf, sizeof(buf))) > 0)
		note_read(buf, (size_t)n);
	if (n == -ECANCELED || n == -ETIMEDOUT) {
		rc = (int)n;
		weft_shield_begin(&shield, WEFT_FOREVER);
		while ((n = stream->read(stream->from, buf, sizeof(buf))) > 0)
			note_read(buf, (size_t)n);
		weft_scope_end(&shield);
	}
	account.cut |= n < 0;
	weft_close(stream->from);
	return n < 0 ? (int)n : rc;
}

static int through(struct stream *stream)
{
	struct weft_task *reader, *writer;
	int wrote, read;

	open_account();
	writer = weft_create_task(write_stream, stream);
	reader = weft_create_task(read_stream, stream);
	wrote = weft_join(writer);
	read = weft_join(reader);
	return wrote < 0 ? wrote : read;
}

/* weft_read_full, which returns less only at the end: after an error nobody knows how much. Piece by piece then. */
static ssize_t write_some(int fd, const void *buf, size_t n, size_t *done)
{
	ssize_t rc = weft_write(fd, buf, n);

	*done = rc > 0 ? (size_t)rc : 0;
	return rc;
}

static ssize_t recv_some(int fd, void *buf, size_t n)
{
	return weft_recv(fd, buf, n, 0);
}

static ssize_t send_full(int fd, const void *buf, size_t n, size_t *done)
{
	return weft_send_full(fd, buf, n, 0, done);
}

static int pipe_in_pieces(void *arg)
{
	int fds[2];
	struct stream stream = {.read = weft_read, .write = write_some};

	(void)arg;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	stream.from = fds[0];
	stream.to = fds[1];
	return through(&stream);
}

static int pipe_in_full(void *arg)
{
	int fds[2];
	struct stream stream = {.read = weft_read, .write = weft_write_full};

	(void)arg;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	stream.from = fds[0];
	stream.to = fds[1];
	return through(&stream);
}

static int socket_pair(void *arg)
{
	int fds[2];
	struct stream stream = {.read = recv_some, .write = send_full};

	(void)arg;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	stream.from = fds[0];
	stream.to = fds[1];
	return through(&stream);
}

Test(storm_io, streams)
{
	cr_assert_eq(storm("pipe_in_pieces", pipe_in_pieces, NULL, every_byte), 0);
	cr_assert_eq(storm("pipe_in_full", pipe_in_full, NULL, every_byte), 0);
	cr_assert_eq(storm("socket_pair", socket_pair, NULL, every_byte), 0);
}

/* -- records: read_full gives all of one, or says why not ------------------------------------------------- */

static int write_records(void *arg)
{
	struct stream *stream = arg;
	ssize_t n = 0;

	for (int i = 0; i < 20 && n >= 0; i++) {
		size_t done = SIZE_MAX;

		n = weft_write_full(stream->to, text, 5000, &done);
		wrong_unless(n < 0 ? done < 5000 : done == 5000,
			"done does not fit the result");
		account.sent += done;
	}
	weft_close(stream->to);
	return n < 0 ? (int)n : 0;
}

static int read_records(void *arg)
{
	struct stream *stream = arg;
	char record[5000];
	ssize_t n;

	while ((n = weft_read_full(stream->from, record, sizeof(record))) > 0) {
		wrong_unless(memcmp(record, text, (size_t)n) == 0, "a record is torn");
		account.received += (size_t)n;
		if (n < (ssize_t)sizeof(record))
			break;
	}
	account.cut |= n < 0; /* the start of one may have been read */
	weft_close(stream->from);
	return n < 0 ? (int)n : 0;
}

static int records(void *arg)
{
	struct stream stream;
	struct weft_task *reader;
	int fds[2], wrote, read;

	open_account();
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	stream.from = fds[0];
	stream.to = fds[1];
	reader = weft_create_task(read_records, &stream);
	wrote = write_records(&stream);
	read = weft_join(reader);
	(void)arg;
	return wrote < 0 ? wrote : read;
}

Test(storm_io, records)
{
	cr_assert_eq(storm("records", records, NULL, every_byte), 0);
}

/* -- servers and clients ----------------------------------------------------------------------------------- */

static const char ADDRESS[] = "127.0.0.1:7000";

/* Counts what it gets, and says so at the end of the stream: 8 bytes. */
static int count_bytes(int fd, void *user)
{
	static char buf[20000];
	uint64_t count = 0;
	size_t done;
	ssize_t n;

	(void)user;
	account.begun++;
	while ((n = weft_recv(fd, buf, sizeof(buf), 0)) > 0)
		count += (uint64_t)n;
	if (n == 0)
		n = weft_send_full(fd, &count, sizeof(count), 0, &done);
	account.ended++;
	return (int)n;
}

static int send_and_ask(void *arg)
{
	int fd = weft_dial(ADDRESS, 0);
	uint64_t count = 0;
	size_t done = 0;
	ssize_t n;

	(void)arg;
	if (fd < 0)
		return fd;
	n = weft_send_full(fd, text, 30000, 0, &done);
	if (n >= 0)
		n = weft_shutdown(fd, SHUT_WR);
	if (n >= 0)
		n = weft_read_full(fd, &count, sizeof(count));
	if (n == (ssize_t)sizeof(count)) { /* an answer: it is right */
		account.sent += done;
		account.received += count;
	}
	weft_close(fd);
	return n < 0 ? (int)n : 0;
}

/* Who has connected by then, and was not accepted, hears of it by the close. */
static int serve(void *arg)
{
	int fd = *(int *)arg, rc = weft_serve(fd, count_bytes, NULL, 2);

	weft_close(fd);
	return rc;
}

static int serve_clients(void *arg)
{
	int fd = weft_listen(ADDRESS, 10, 0), status;
	struct weft_task *server, *clients[CLIENTS];

	(void)arg;
	open_account();
	if (fd < 0)
		return fd;
	server = weft_create_task(serve, &fd);
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = weft_create_task(send_and_ask, NULL);
	status = weft_gather(clients, CLIENTS, NULL, 0);
	weft_release_all(clients, CLIENTS);
	weft_cancel(server);
	weft_join(server);
	return status;
}

/* accept(2) and connect(2) by hand. Each descriptor that a call gave is closed once. */
static int accept_some(void *arg)
{
	int fd = 0;

	while (fd >= 0) {
		fd = weft_accept(*(int *)arg, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0) {
			account.begun++;
			account.ended += weft_close(fd) == 0;
		}
	}
	weft_close(*(int *)arg);
	return fd;
}

static int connect_by_hand(const struct sockaddr_in *to)
{
	int fd = weft_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;
	char end;

	if (fd < 0)
		return fd;
	rc = weft_connect(fd, (const struct sockaddr *)to, sizeof(*to));
	if (rc == 0)
		rc = (int)weft_recv(fd, &end, 1, 0);
	account.sent += rc == 0;
	account.received += rc == 0;
	weft_close(fd);
	return rc;
}

static int accept_and_connect(void *arg)
{
	int fd = weft_listen(ADDRESS, 10, 0), rc = 0;
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(7000),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct weft_task *acceptor;

	(void)arg;
	open_account();
	if (fd < 0)
		return fd;
	acceptor = weft_create_task(accept_some, &fd);
	for (int i = 0; i < CLIENTS && rc == 0; i++)
		rc = connect_by_hand(&to);
	weft_cancel(acceptor);
	weft_join(acceptor);
	return rc;
}

Test(storm_io, servers_and_clients)
{
	cr_assert_eq(storm("serve_clients", serve_clients, NULL, every_byte), 0);
	cr_assert_eq(
		storm("accept_and_connect", accept_and_connect, NULL, every_byte), 0);
}

/* -- weft_close under those who wait ------------------------------------------------------------------------ */

static int read_until_closed(void *arg)
{
	char byte;
	ssize_t n;

	account.begun++;
	n = weft_read(*(int *)arg, &byte, 1);
	wrong_unless(n < 0, "nothing was written, and something was read");
	account.ended++;
	return n == -EBADF ? 0 : (int)n;
}

static int close_under_readers(void *arg)
{
	struct weft_group group;
	int fds[2], rc, joined;

	open_account();
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	weft_group_begin(&group, WEFT_GROUP_COLLECT);
	for (int i = 0; i < 3; i++)
		weft_group_spawn(&group, read_until_closed, &fds[0]);
	rc = weft_sleep(WEFT_MS(1));
	wrong_unless(weft_close(fds[0]) == 0, "weft_close did not close");
	joined = weft_group_join(&group);
	wrong_unless(weft_close(fds[1]) == 0, "weft_close did not close");
	account.sent = account.received = 1;
	(void)arg;
	return rc < 0 ? rc : joined;
}

Test(storm_io, close)
{
	cr_assert_eq(
		storm("close_under_readers", close_under_readers, NULL, every_byte), 0);
}

/* -- files ---------------------------------------------------------------------------------------------------- */

static const char FILE_NAME[] = "/tmp/weft-storm-file",
		  NEW_NAME[] = "/tmp/weft-storm-renamed";

/* What *done says is what is in the file. */
static int write_file(size_t *done)
{
	int fd = weft_openat(
		AT_FDCWD, FILE_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ssize_t n = fd;
	size_t at = 0, more;

	*done = 0;
	if (fd < 0)
		return fd;
	for (; at < 50000 && n >= 0; at += more) {
		more = 0;
		n = weft_write_full(fd, text + at, 10000, &more);
	}
	*done = at;
	if (n >= 0)
		n = weft_fsync(fd, 0);
	weft_close(fd);
	return n < 0 ? (int)n : 0;
}

/* Under a shield; -1: no such file. */
static ssize_t size_of(const char *path)
{
	struct weft_scope shield;
	struct statx about = {.stx_size = 0};
	int rc;

	weft_shield_begin(&shield, WEFT_FOREVER);
	rc = weft_statx(AT_FDCWD, path, 0, STATX_SIZE, &about);
	weft_scope_end(&shield);
	return rc < 0 ? -1 : (ssize_t)about.stx_size;
}

static int read_file(const char *path)
{
	static char buf[50001];
	int fd = weft_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = weft_read_full(fd, buf, sizeof(buf));
	if (n >= 0) {
		wrong_unless(
			memcmp(buf, text, (size_t)n) == 0, "the file holds other bytes");
		account.received = (size_t)n;
		account.cut = false;
	}
	weft_close(fd);
	return n < 0 ? (int)n : 0;
}

/* Either it has been renamed, which the call says, or it has not. */
static int rename_file(void)
{
	int rc = weft_renameat(AT_FDCWD, FILE_NAME, AT_FDCWD, NEW_NAME, 0);

	wrong_unless((size_of(FILE_NAME) < 0) == (rc == 0),
		"a rename does not say what it did");
	wrong_unless((size_of(NEW_NAME) >= 0) == (rc == 0),
		"a rename does not say what it did");
	return rc;
}

static void clean_up(void)
{
	struct weft_scope shield;

	weft_shield_begin(&shield, WEFT_FOREVER);
	weft_unlinkat(AT_FDCWD, FILE_NAME, 0);
	weft_unlinkat(AT_FDCWD, NEW_NAME, 0);
	weft_scope_end(&shield);
}

static int file_calls(void *arg)
{
	size_t done;
	int rc;

	(void)arg;
	open_account();
	account.cut = true;
	rc = write_file(&done);
	account.sent = done;
	if (size_of(FILE_NAME) >= 0)
		wrong_unless(size_of(FILE_NAME) == (ssize_t)done,
			"the file is not as long as was written");
	if (rc == 0)
		rc = rename_file();
	if (rc == 0)
		rc = read_file(NEW_NAME);
	clean_up();
	return rc;
}

Test(storm_io, files)
{
	cr_assert_eq(storm("file_calls", file_calls, NULL, every_byte), 0);
}

/* -- pool threads ----------------------------------------------------------------------------------------------- */

static int count_on_a_thread(void *arg)
{
	account.begun++;
	*(int *)arg = 7;
	account.ended++;
	return 5;
}

static int call_the_pool(void *arg)
{
	int rc = 0;

	(void)arg;
	for (int i = 0; i < 2 && rc >= 0; i++) {
		int seen = 0;

		rc = i ? weft_blocking_lane("storm", 1, count_on_a_thread, &seen)
		       : weft_blocking(count_on_a_thread, &seen);
		wrong_unless(
			(rc == 5) == (seen == 7), "a call does not say whether it ran");
		account.sent += rc == 5;
		account.received += seen == 7;
	}
	return rc;
}

static int pool_threads(void *arg)
{
	struct weft_group group;

	open_account();
	weft_group_begin(&group, 0);
	for (int i = 0; i < CLIENTS; i++)
		weft_group_spawn(&group, call_the_pool, arg);
	return weft_group_join(&group);
}

Test(storm_io, pool_threads)
{
	cr_assert_eq(storm("pool_threads", pool_threads, NULL, every_byte), 0);
}
