/* SPDX-License-Identifier: MIT */
/*
 * io_sendfile - a file's bytes to whatever can be written to, while the worker goes on with others.
 */
#include "helper.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

TestSuite(io_sendfile, .timeout = PATIENCE);

static char pattern(size_t at)
{
	return (char)(at * 7 + at / 4096 * 13);
}

/* An unnamed file of so many bytes that tell where they stand. */
static int make_file(size_t size)
{
	char name[] = "/var/tmp/weft-sendfile-XXXXXX", *data = malloc(size + 1);
	int fd = mkstemp(name);

	cr_assert_geq(fd, 0);
	unlink(name);
	for (size_t i = 0; i < size; i++)
		data[i] = pattern(i);
	cr_assert_eq(weft_write_full(fd, data, size, NULL), (ssize_t)size);
	free(data);
	return fd;
}

/* ends[0] reads what is written to ends[1]. */
enum way { TCP, TCP_NONBLOCKING, TCP_SMALL, TCP_SMALL_NONBLOCKING, UNIX, UNIX_NONBLOCKING, PIPE, PIPE_NONBLOCKING, WAYS };

static void connect_tcp(int ends[2])
{
	char address[64];
	int listener = weft_listen("127.0.0.1:0", 1, 0);

	cr_assert_geq(listener, 0);
	cr_assert_geq(weft_local_address(listener, address, sizeof(address)), 0);
	ends[1] = weft_dial(address, 0);
	ends[0] = weft_accept(listener, NULL, NULL, SOCK_CLOEXEC);
	cr_assert_geq(ends[0], 0);
	cr_assert_geq(ends[1], 0);
	weft_close(listener);
}

static void connect_ends(enum way way, int ends[2])
{
	int small = 20000;

	if (way <= TCP_SMALL_NONBLOCKING)
		connect_tcp(ends);
	else if (way == UNIX || way == UNIX_NONBLOCKING)
		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	else
		cr_assert_eq(pipe(ends), 0);
	if (way == TCP_SMALL || way == TCP_SMALL_NONBLOCKING)
		setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	int flags = fcntl(ends[1], F_GETFL);
	if (way % 2)
		flags |= O_NONBLOCK;
	else
		flags &= ~O_NONBLOCK;
	fcntl(ends[1], F_SETFL, flags);
}

struct reader {
	int fd;
	size_t from; /* what the first byte is */
	size_t got;
};

static int read_and_compare(void *arg)
{
	static char buf[4][65536];
	static unsigned turn;
	char *mine = buf[__atomic_fetch_add(&turn, 1, __ATOMIC_RELAXED) % 4];
	struct reader *reader = arg;
	ssize_t n;

	while ((n = weft_read(reader->fd, mine, sizeof(buf[0]))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (mine[i] != pattern(reader->from + reader->got + (size_t)i))
				return -EILSEQ;
		reader->got += (size_t)n;
	}
	return (int)n;
}

static void send_and_compare(enum way way, int file, size_t from, size_t n)
{
	struct reader reader = { .from = from };
	off_t at = (off_t)from;
	int ends[2];

	connect_ends(way, ends);
	reader.fd = ends[0];
	struct weft_task *task = weft_create_task(read_and_compare, &reader);
	ssize_t sent = weft_sendfile(ends[1], file, &at, n);
	cr_assert_eq(sent, (ssize_t)n, "way %d: %zd of %zu", way, sent, n);
	cr_assert_eq(at, (off_t)(from + n));
	weft_close(ends[1]);
	cr_assert_eq(weft_join(task), 0, "way %d: other bytes", way);
	cr_assert_eq(reader.got, n);
	weft_close(ends[0]);
}

static int send_all_sizes(void *arg)
{
	static const size_t sizes[] = { 1, 1000, 4096, 4097, 16384, 16385, 65536, 300001,
		(2 << 20) + 7 };
	int file = make_file((2 << 20) + 8);

	(void)arg;
	for (int way = 0; way < WAYS; way++)
		for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
			send_and_compare(way, file, i % 2, sizes[i]);
	weft_close(file);
	return 0;
}

Test(io_sendfile, sends_any_size_to_anything)
{
	run_on_1_2_4(send_all_sizes);
}

static int send_to_a_file(void *arg)
{
	enum { SIZE = 200000 };
	int from = make_file(SIZE), to = make_file(0);
	char *copy = malloc(SIZE);

	(void)arg;
	cr_assert_eq(lseek(from, 10, SEEK_SET), 10);
	cr_assert_eq(weft_sendfile(to, from, NULL, 100), 100);
	cr_assert_eq(lseek(from, 0, SEEK_CUR), 110, "its position is moved on");
	cr_assert_eq(weft_sendfile(to, from, NULL, SIZE), SIZE - 110, "less at the end");
	cr_assert_eq(weft_sendfile(to, from, NULL, SIZE), 0);
	cr_assert_eq(weft_pread(to, copy, SIZE, 0), SIZE - 10);
	for (size_t i = 0; i < SIZE - 10; i++)
		cr_assert_eq(copy[i], pattern(i + 10));

	off_t at = 5;
	cr_assert_eq(weft_sendfile(to, from, &at, 3), 3);
	cr_assert_eq(at, 8);
	cr_assert_eq(lseek(from, 0, SEEK_CUR), SIZE, "and not moved");
	weft_close(from);
	weft_close(to);
	free(copy);
	return 0;
}

Test(io_sendfile, uses_the_position_or_an_offset)
{
	run_on_1_2_4(send_to_a_file);
}

static int end_before_n(void *arg)
{
	enum { SIZE = 100000 };
	int file = make_file(SIZE), ends[2];

	(void)arg;
	connect_ends(TCP, ends);
	struct reader reader = { .fd = ends[0] };
	struct weft_task *task = weft_create_task(read_and_compare, &reader);
	off_t at = 0;
	cr_assert_eq(weft_sendfile(ends[1], file, &at, SIZE_MAX / 2), SIZE);
	cr_assert_eq(weft_sendfile(ends[1], file, &at, 1 << 20), 0);
	at = 10 * SIZE;
	cr_assert_eq(weft_sendfile(ends[1], file, &at, 1 << 20), 0);
	weft_close(ends[1]);
	cr_assert_eq(weft_join(task), 0);
	cr_assert_eq(reader.got, (size_t)SIZE);
	weft_close(ends[0]);
	weft_close(file);
	return 0;
}

Test(io_sendfile, sends_less_at_the_end_of_the_file)
{
	run_on_1_2_4(end_before_n);
}

static int send_what_is_not_in_memory(void *arg)
{
	enum { SIZE = 3 << 20 };
	char first[4096];
	int file = make_file(SIZE);

	(void)arg;
	cr_assert_eq(weft_fsync(file, 0), 0);
	for (int way = 0; way < WAYS; way++) {
		posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
		cr_assert_eq(weft_pread(file, first, sizeof(first), 0), sizeof(first));
		send_and_compare(way, file, 0, SIZE);
	}
	weft_close(file);
	return 0;
}

Test(io_sendfile, reads_ahead_what_is_not_in_memory)
{
	run_on_1_2_4(send_what_is_not_in_memory);
}

/* -- the peer does not read -------------------------------------------------------------------- */

struct stuck {
	int out, file;
	size_t size;
	ssize_t sent;
	int next; /* what the next checkpoint says */
};

static int send_to_nobody(void *arg)
{
	struct stuck *stuck = arg;
	off_t at = 0;

	stuck->sent = weft_sendfile(stuck->out, stuck->file, &at, stuck->size);
	cr_assert(stuck->sent < 0 || stuck->sent == at);
	stuck->next = weft_checkpoint();
	return 0;
}

static int tick(void *arg)
{
	int *ticks = arg;

	while (weft_sleep(WEFT_MS(1)) == 0)
		++*ticks;
	return 0;
}

static int stay_responsive(void *arg)
{
	enum { SIZE = 64 << 20 };
	int file = make_file(SIZE);

	(void)arg;
	for (int way = 0; way < WAYS; way++) {
		struct stuck stuck = { .file = file, .size = SIZE };
		int ends[2], ticks = 0;

		connect_ends(way, ends);
		stuck.out = ends[1];
		struct weft_task *sender = weft_create_task(send_to_nobody, &stuck);
		struct weft_task *clock = weft_create_task(tick, &ticks);
		while (ticks < 20)
			cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
		cr_assert_eq(weft_status(sender), -EINPROGRESS, "way %d", way);
		weft_cancel(sender);
		cr_assert_eq(weft_join(sender), 0);
		cr_assert_gt(stuck.sent, 0, "what had gone wins, way %d", way);
		cr_assert_lt(stuck.sent, SIZE);
		cr_assert_eq(stuck.next, -ECANCELED, "the cancel is told next");
		weft_cancel(clock);
		weft_join(clock);
		weft_close(ends[0]);
		weft_close(ends[1]);
	}
	weft_close(file);
	return 0;
}

Test(io_sendfile, a_peer_that_does_not_read_holds_up_nobody_else)
{
	cr_assert_eq(run_with(1, stay_responsive, NULL), 0);
}

static int end_by_close(void *arg)
{
	enum { SIZE = 16 << 20 };

	(void)arg;
	for (int way = 0; way < WAYS; way++) {
		for (int which = 0; which < 2; which++) {
			struct stuck stuck = { .file = make_file(SIZE), .size = SIZE };
			int ends[2];

			connect_ends(way, ends);
			stuck.out = ends[1];
			struct weft_task *sender = weft_create_task(send_to_nobody, &stuck);
			cr_assert_eq(weft_sleep(WEFT_MS(20)), 0);
			if (which == 0)
				cr_assert_eq(weft_close(stuck.out), 0);
			else
				cr_assert_eq(weft_close(stuck.file), 0);
			weft_close(ends[0]); /* ends the wait of a sender whose file is gone */
			cr_assert_eq(weft_join(sender), 0);
			cr_assert_lt(stuck.sent, SIZE);
			cr_assert_eq(weft_close(which == 0 ? stuck.file : stuck.out), 0);
		}
	}
	return 0;
}

Test(io_sendfile, ends_when_either_descriptor_is_closed)
{
	run_on_1_2_4(end_by_close);
}

static int reuse_the_number(void *arg)
{
	enum { SIZE = 16 << 20 };

	(void)arg;
	for (int way = 0; way < WAYS; way++) {
		struct stuck stuck = { .file = make_file(SIZE), .size = SIZE };
		struct reader reader = { 0 };
		int ends[2];

		connect_ends(way, ends);
		stuck.out = ends[1];
		struct weft_task *sender = weft_create_task(send_to_nobody, &stuck);
		cr_assert_eq(weft_sleep(WEFT_MS(20)), 0);
		cr_assert_eq(weft_close(stuck.file), 0, "it does not wait for the peer");
		int other = open("/dev/zero", O_RDONLY);
		if (other != stuck.file) {
			cr_assert_eq(dup2(other, stuck.file), stuck.file);
			close(other);
		}
		reader.fd = ends[0];
		struct weft_task *task = weft_create_task(read_and_compare, &reader);
		cr_assert_eq(weft_join(sender), 0);
		cr_assert_lt(stuck.sent, SIZE);
		weft_close(ends[1]);
		cr_assert_eq(weft_join(task), 0, "way %d: bytes of another file", way);
		weft_close(ends[0]);
		weft_close(stuck.file);
	}
	return 0;
}

Test(io_sendfile, never_sends_from_the_file_that_has_the_number_next)
{
	run_on_1_2_4(reuse_the_number);
}

static int send_to_the_dead(void *arg)
{
	int file = make_file(1 << 20);

	(void)arg;
	for (int way = 0; way < WAYS; way++) {
		for (int size = 1000; size <= 1000000; size *= 1000) {
			int ends[2];
			ssize_t n;
			off_t at = 0;

			connect_ends(way, ends);
			weft_close(ends[0]);
			while ((n = weft_sendfile(ends[1], file, &at, size)) > 0)
				at = 0; /* TCP hears of it late */
			cr_assert(n == -EPIPE || n == -ECONNRESET, "way %d: %zd", way, n);
			cr_assert_eq(at, 0);
			weft_close(ends[1]);
		}
	}
	weft_close(file);
	return 0;
}

Test(io_sendfile, a_broken_connection_is_an_error_and_no_signal)
{
	run_on_1_2_4(send_to_the_dead);
}

static int misuse(void *arg)
{
	int file = make_file(10), ends[2], other[2];
	off_t at = -1;

	(void)arg;
	connect_ends(PIPE, ends);
	connect_ends(PIPE, other);
	cr_assert_eq(weft_sendfile(ends[1], file, &at, 10), -EINVAL);
	at = 0;
	cr_assert_eq(weft_sendfile(-1, file, &at, 10), -EBADF);
	cr_assert_eq(weft_sendfile(ends[1], -1, &at, 10), -EBADF);
	cr_assert_eq(weft_sendfile(ends[0], file, &at, 10), -EBADF, "not open for writing");
	cr_assert_eq(weft_sendfile(ends[1], other[0], &at, 10), -ESPIPE);
	cr_assert_eq(weft_sendfile(ends[1], other[0], NULL, 10), -ESPIPE);
	cr_assert_eq(weft_sendfile(ends[1], file, &at, 0), 0);
	cancel_myself();
	cr_assert_eq(weft_sendfile(ends[1], file, &at, 10), -ECANCELED);
	weft_uncancel();
	cr_assert_eq(at, 0);
	for (int i = 0; i < 2; i++) {
		weft_close(ends[i]);
		weft_close(other[i]);
	}
	weft_close(file);
	return 0;
}

Test(io_sendfile, returns_the_codes_of_the_system_call)
{
	run_on_1_2_4(misuse);
}
