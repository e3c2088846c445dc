/* SPDX-License-Identifier: MIT */
/*
 * io_file - files: open, read, write, at a position or an offset, and make them safe.
 */
#include "helper.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

TestSuite(io_file, .timeout = PATIENCE);

/* An unnamed file. */
static int make_file(void)
{
	char name[] = P_tmpdir "/weft-file-XXXXXX";
	int fd = mkstemp(name);

	cr_assert_geq(fd, 0);
	unlink(name);
	return fd;
}

static int read_what_was_written(void *arg)
{
	char buf[16];
	int fd = make_file();

	(void)arg;
	cr_assert_eq(weft_write(fd, "hello, ", 7), 7);
	cr_assert_eq(weft_write(fd, "world", 5), 5, "goes on where the last one ended");
	cr_assert_eq(weft_read(fd, buf, sizeof(buf)), 0, "that is the end");
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	cr_assert_eq(weft_read(fd, buf, 6), 6);
	cr_assert_arr_eq(buf, "hello,", 6);
	cr_assert_eq(weft_read(fd, buf, sizeof(buf)), 6);
	cr_assert_arr_eq(buf, " world", 6);
	cr_assert_eq(weft_close(fd), 0);
	return 0;
}

Test(io_file, reads_and_writes_at_its_position)
{
	run_on_1_2_4(read_what_was_written);
}

enum { ROOM = 50000 };

static int fill_up(void *arg)
{
	static char buf[2 * ROOM];
	struct iovec iov = {.iov_base = buf, .iov_len = sizeof(buf)};
	int fd = make_file();
	size_t done;

	(void)arg;
	cr_assert_eq(weft_write_full(fd, buf, sizeof(buf), &done), -EFBIG);
	cr_assert_eq(done, ROOM);
	cr_assert_eq(lseek(fd, 0, SEEK_CUR), ROOM, "what was written is not written over");
	cr_assert_eq(ftruncate(fd, 0), 0);
	cr_assert_eq(lseek(fd, 1, SEEK_SET), 1);
	cr_assert_eq(weft_writev(fd, &iov, 1), ROOM - 1);
	cr_assert_eq(weft_writev(fd, &iov, 1), -EFBIG);
	cr_assert_eq(lseek(fd, 0, SEEK_CUR), ROOM);
	cr_assert_eq(weft_close(fd), 0);
	return 0;
}

Test(io_file, what_does_not_fit_is_told_once_what_fits_is_written)
{
	struct rlimit before, limit;

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = ROOM;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	run_on_1_2_4(fill_up);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
}

static int use_offsets(void *arg)
{
	char buf[16];
	int fd = make_file();

	(void)arg;
	cr_assert_eq(weft_pwrite(fd, "world", 5, 100), 5);
	cr_assert_eq(weft_pwrite(fd, "hello", 5, 0), 5);
	cr_assert_eq(lseek(fd, 0, SEEK_CUR), 0, "the position is not moved");
	cr_assert_eq(weft_pread(fd, buf, 5, 100), 5);
	cr_assert_arr_eq(buf, "world", 5);
	cr_assert_eq(weft_pread(fd, buf, 16, 98), 7);
	cr_assert_eq(buf[0], '\0', "a hole reads as zeros");
	cr_assert_eq(weft_pread(fd, buf, 16, 1000), 0);
	cr_assert_eq(weft_pread(fd, buf, 16, -1), -EINVAL, "no way to ask for the position");
	cr_assert_eq(weft_pwrite(fd, buf, 16, -1), -EINVAL);
	weft_close(fd);
	return 0;
}

Test(io_file, reads_and_writes_at_offsets)
{
	run_on_1_2_4(use_offsets);
}

static int use_vectors(void *arg)
{
	char a[2], b[4];
	struct iovec out[] = { { "ab", 2 }, { "cdef", 4 } }, in[] = { { a, 2 }, { b, 4 } };
	int fd = make_file();

	(void)arg;
	cr_assert_eq(weft_writev(fd, out, 2), 6);
	lseek(fd, 0, SEEK_SET);
	cr_assert_eq(weft_readv(fd, in, 2), 6);
	cr_assert_arr_eq(a, "ab", 2);
	cr_assert_arr_eq(b, "cdef", 4);
	cr_assert_eq(weft_readv(fd, in, -1), -EINVAL);
	weft_close(fd);
	return 0;
}

Test(io_file, reads_and_writes_vectors)
{
	run_on_1_2_4(use_vectors);
}

static int transfer_in_full(void *arg)
{
	enum { SIZE = 1000000 };
	char *data = malloc(SIZE), *copy = malloc(SIZE + 10);
	size_t done = 0;
	int fd = make_file();

	(void)arg;
	for (int i = 0; i < SIZE; i++)
		data[i] = (char)(i * 13);
	cr_assert_eq(weft_write_full(fd, data, SIZE, &done), SIZE);
	cr_assert_eq(done, (size_t)SIZE);
	lseek(fd, 0, SEEK_SET);
	cr_assert_eq(weft_read_full(fd, copy, SIZE + 10), SIZE, "less, only at the end");
	cr_assert_arr_eq(data, copy, SIZE);
	cr_assert_eq(weft_fsync(fd, 0), 0);
	cr_assert_eq(weft_fsync(fd, 1), 0);
	weft_close(fd);
	free(data);
	free(copy);
	return 0;
}

Test(io_file, transfers_in_full)
{
	run_on_1_2_4(transfer_in_full);
}

static int open_files(void *arg)
{
	char folder[] = P_tmpdir "/weft-open-XXXXXX";
	char byte;

	(void)arg;
	cr_assert_not_null(mkdtemp(folder));
	int dir = weft_openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	cr_assert_geq(dir, 0);
	cr_assert_eq(weft_openat(dir, "file", O_RDONLY, 0), -ENOENT);
	int fd = weft_openat(dir, "file", O_WRONLY | O_CREAT | O_EXCL, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(weft_write(fd, "x", 1), 1);
	cr_assert_eq(weft_read(fd, &byte, 1), -EBADF, "not open for reading");
	cr_assert_eq(weft_close(fd), 0);
	cr_assert_eq(weft_openat(dir, "file", O_WRONLY | O_CREAT | O_EXCL, 0600), -EEXIST);

	struct stat st;
	cr_assert_eq(fstatat(dir, "file", &st, 0), 0);
	cr_assert_eq(st.st_mode & 0777, 0600u);
	cr_assert_eq(st.st_size, 1);
	cr_assert_eq(weft_read(dir, &byte, 1), -EISDIR);
	unlinkat(dir, "file", 0);
	weft_close(dir);
	rmdir(folder);
	return 0;
}

Test(io_file, opens_and_creates)
{
	run_on_1_2_4(open_files);
}

static int misuse_files(void *arg)
{
	char byte;
	int fd = make_file();

	(void)arg;
	cr_assert_eq(weft_read(fd, &byte, 0), 0);
	cr_assert_eq(weft_write(fd, &byte, 0), 0);
	cr_assert_eq(weft_write(fd, NULL, 1), -EFAULT);
	cr_assert_eq(weft_write(fd, "x", 1), 1);
	lseek(fd, 0, SEEK_SET);
	cr_assert_eq(weft_read(fd, NULL, 1), -EFAULT);
	cr_assert_eq(weft_openat(AT_FDCWD, NULL, O_RDONLY, 0), -EFAULT);
	cr_assert_eq(weft_close(fd), 0);
	cr_assert_eq(weft_close(fd), -EBADF, "twice");
	cr_assert_eq(weft_read(fd, &byte, 1), -EBADF);
	cr_assert_eq(weft_fsync(fd, 0), -EBADF);
	return 0;
}

Test(io_file, returns_the_codes_of_the_system_calls)
{
	run_on_1_2_4(misuse_files);
}

struct part {
	int fd;
	int number;
};

static int write_a_part(void *arg)
{
	struct part *part = arg;
	char block[512];

	memset(block, 'A' + part->number, sizeof(block));
	ssize_t n = weft_pwrite(part->fd, block, sizeof(block), part->number * 512);
	return n == 512 ? 0 : -EIO;
}

static int write_side_by_side(void *arg)
{
	struct part parts[26];
	struct weft_group group;
	char block[512];
	int fd = make_file();

	(void)arg;
	weft_group_begin(&group, 0);
	for (int i = 0; i < 26; i++) {
		parts[i] = (struct part){ fd, i };
		weft_group_spawn(&group, write_a_part, &parts[i]);
	}
	cr_assert_eq(weft_group_join(&group), 0);
	for (int i = 0; i < 26; i++) {
		cr_assert_eq(weft_pread(fd, block, sizeof(block), i * 512), 512);
		cr_assert_eq(block[0], 'A' + i);
		cr_assert_eq(block[511], 'A' + i);
	}
	weft_close(fd);
	return 0;
}

Test(io_file, is_written_side_by_side)
{
	run_on_1_2_4(write_side_by_side);
}

/* The first n bytes stay in memory, or what the kernel keeps with them; the rest goes. */
static void keep_in_memory(int fd, size_t n)
{
	char *data = malloc(n);

	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); /* nothing is read ahead */
	cr_assert_eq(pread(fd, data, n, 0), (ssize_t)n);
	free(data);
}

/* -EAGAIN: it is not. */
static ssize_t in_memory(int fd, off_t at)
{
	char byte;
	struct iovec iov = { &byte, 1 };
	ssize_t n = preadv2(fd, &iov, 1, at, RWF_NOWAIT);

	return n < 0 ? -errno : n;
}

static int read_across_what_is_not_in_memory(void *arg)
{
	enum { SIZE = 1 << 20, KEPT = 64 * 1024 };
	char name[] = P_tmpdir "/weft-cold-XXXXXX", *data = malloc(SIZE), *copy = malloc(SIZE);
	int plain = mkstemp(name), fd = weft_openat(AT_FDCWD, name, O_RDONLY | O_CLOEXEC, 0);
	bool *cold = arg;

	unlink(name);
	for (int i = 0; i < SIZE; i++)
		data[i] = (char)(i * 31 + i / 4096);
	cr_assert_eq(weft_write_full(plain, data, SIZE, NULL), SIZE);
	cr_assert_eq(weft_fsync(plain, 0), 0);
	for (int way = 0; way < 3; way++) {
		keep_in_memory(plain, KEPT);
		*cold |= in_memory(plain, SIZE / 2) == -EAGAIN;
		memset(copy, 0, SIZE);
		lseek(way == 1 ? fd : plain, 0, SEEK_SET);
		if (way == 0)
			cr_assert_eq(weft_pread(plain, copy, SIZE, 0), SIZE);
		else
			cr_assert_eq(weft_read(way == 1 ? fd : plain, copy, SIZE), SIZE);
		cr_assert_arr_eq(data, copy, SIZE);
	}
	weft_close(fd);
	weft_close(plain);
	free(data);
	free(copy);
	return 0;
}

Test(io_file, a_read_does_not_end_where_memory_does)
{
	bool cold = false;

	cr_assert_eq(run_with(1, read_across_what_is_not_in_memory, &cold), 0);
	if (!cold)
		cr_skip_test("everything stays in memory here");
}

static int use_offsets_without_a_position(void *arg)
{
	int pipe_ends[2], sockets[2];
	char buf[4] = "abc";

	(void)arg;
	cr_assert_eq(pipe(pipe_ends), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	cr_assert_eq(weft_write(pipe_ends[1], "x", 1), 1);
	cr_assert_eq(weft_write(sockets[1], "y", 1), 1);
	cr_assert_eq(weft_pread(pipe_ends[0], buf, 1, 0), -ESPIPE);
	cr_assert_eq(weft_pread(sockets[0], buf, 1, 7), -ESPIPE);
	cr_assert_eq(weft_pwrite(pipe_ends[1], buf, 1, 0), -ESPIPE);
	cr_assert_eq(weft_pwrite(sockets[1], buf, 1, 7), -ESPIPE);
	cr_assert_eq(weft_read(pipe_ends[0], buf, 4), 1, "nothing was taken or added");
	cr_assert_eq(weft_read(sockets[0], buf, 4), 1);

	/* the same numbers, but files: closed and opened behind weft's back */
	for (int i = 0; i < 2; i++) {
		int file = make_file();
		cr_assert_eq(dup2(file, pipe_ends[i]), pipe_ends[i]);
		cr_assert_eq(dup2(file, sockets[i]), sockets[i]);
		close(file);
	}
	cr_assert_eq(weft_pwrite(pipe_ends[0], "file", 4, 0), 4);
	cr_assert_eq(weft_pread(pipe_ends[0], buf, 4, 1), 3);
	cr_assert_eq(weft_pwrite(sockets[0], "file", 4, 0), 4);
	cr_assert_eq(weft_pread(sockets[0], buf, 4, 1), 3);
	for (int i = 0; i < 2; i++) {
		weft_close(pipe_ends[i]);
		weft_close(sockets[i]);
	}
	return 0;
}

Test(io_file, an_offset_is_refused_where_there_is_no_position)
{
	run_on_1_2_4(use_offsets_without_a_position);
}

static int reuse_the_number_of_a_file(void *arg)
{
	int ends[2], file = make_file();
	char buf[8];

	(void)arg;
	cr_assert_eq(weft_pwrite(file, "file", 4, 0), 4);
	cr_assert_eq(weft_pread(file, buf, 4, 0), 4);
	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(dup2(ends[0], file), file, "a pipe has the number now");
	cr_assert_eq(weft_write(ends[1], "pipe", 4), 4);
	cr_assert_eq(weft_read(file, buf, 8), 4, "what has come is enough");
	cr_assert_arr_eq(buf, "pipe", 4);
	weft_close(ends[0]);
	weft_close(ends[1]);
	cr_assert_eq(weft_read(file, buf, 8), 0);
	weft_close(file);
	return 0;
}

Test(io_file, a_number_may_become_something_else)
{
	run_on_1_2_4(reuse_the_number_of_a_file);
}

static int open_modes(void *arg)
{
	char name[] = P_tmpdir "/weft-modes-XXXXXX";
	static const int flags[] = { O_RDONLY, O_RDWR, O_WRONLY, O_RDONLY | O_NONBLOCK,
		O_RDWR | O_APPEND, O_PATH };

	(void)arg;
	close(mkstemp(name));
	for (unsigned i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		int mine = weft_openat(AT_FDCWD, name, flags[i] | O_CLOEXEC, 0);
		int libcs = open(name, flags[i] | O_CLOEXEC);
		cr_assert_geq(mine, 0);
		cr_assert_eq(fcntl(mine, F_GETFL), fcntl(libcs, F_GETFL), "flags %x", flags[i]);
		cr_assert_eq(fcntl(mine, F_GETFD), FD_CLOEXEC);
		weft_close(mine);
		close(libcs);
	}
	cr_assert_eq(weft_openat(AT_FDCWD, name, O_RDONLY | O_DIRECTORY, 0), -ENOTDIR);
	unlink(name);
	return 0;
}

Test(io_file, is_opened_with_the_flags_asked_for)
{
	run_on_1_2_4(open_modes);
}

static int open_to_read(void *arg)
{
	return weft_openat(AT_FDCWD, arg, O_RDONLY | O_CLOEXEC, 0);
}

static int open_to_write(void *arg)
{
	return weft_openat(AT_FDCWD, arg, O_WRONLY | O_CLOEXEC, 0);
}

static int open_both_ends(void *arg)
{
	char folder[] = P_tmpdir "/weft-pipe-XXXXXX", name[64], buf[8];

	(void)arg;
	cr_assert_not_null(mkdtemp(folder));
	snprintf(name, sizeof(name), "%s/pipe", folder);
	cr_assert_eq(mkfifo(name, 0600), 0);
	struct weft_task *writer = weft_create_task(open_to_write, name);
	cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
	cr_assert_eq(weft_status(writer), -EINPROGRESS, "it waits, and not the worker");
	struct weft_task *reader = weft_create_task(open_to_read, name);
	int in = weft_join(reader), out = weft_join(writer);
	cr_assert_geq(in, 0);
	cr_assert_geq(out, 0);
	cr_assert_eq(weft_write(out, "hello", 5), 5);
	cr_assert_eq(weft_read(in, buf, sizeof(buf)), 5);
	weft_close(in);
	weft_close(out);

	if (strcmp(weft_runtime_backend(weft_runtime_current()), "io_uring") != 0)
		goto remove; /* a pool thread that is in there cannot be called back */
	writer = weft_create_task(open_to_write, name);
	int status = weft_wait_for(writer, WEFT_MS(5));
	cr_assert_eq(status, -ETIMEDOUT, "status %d", status);
	weft_release(writer);
remove:
	unlink(name);
	rmdir(folder);
	return 0;
}

Test(io_file, opening_a_pipe_to_write_waits_for_a_reader)
{
	run_on_1_2_4(open_both_ends);
}

static int read_all_of_a_pipe(void *arg)
{
	char buf[8];
	int fd = weft_openat(AT_FDCWD, arg, O_RDONLY | O_CLOEXEC, 0), sum = 0;
	ssize_t n;

	while ((n = weft_read(fd, buf, sizeof(buf))) > 0)
		sum += (int)n;
	weft_close(fd);
	return n < 0 ? (int)n : sum;
}

static int read_before_there_is_a_writer(void *arg)
{
	char folder[] = P_tmpdir "/weft-pipe-XXXXXX", name[64];

	(void)arg;
	cr_assert_not_null(mkdtemp(folder));
	snprintf(name, sizeof(name), "%s/pipe", folder);
	cr_assert_eq(mkfifo(name, 0600), 0);
	struct weft_task *reader = weft_create_task(read_all_of_a_pipe, name);
	cr_assert_eq(weft_sleep(WEFT_MS(2)), 0);
	cr_assert_eq(weft_status(reader), -EINPROGRESS);
	int out = weft_openat(AT_FDCWD, name, O_WRONLY | O_CLOEXEC, 0);
	cr_assert_eq(weft_write(out, "hello, world", 12), 12);
	weft_close(out);
	cr_assert_eq(weft_join(reader), 12);
	unlink(name);
	rmdir(folder);
	return 0;
}

Test(io_file, reading_a_named_pipe_waits_for_its_first_writer)
{
	run_on_1_2_4(read_before_there_is_a_writer);
}

static int read_directly(void *arg)
{
	char name[] = "/var/tmp/weft-direct-XXXXXX";
	char *block = aligned_alloc(4096, 8192), *copy = aligned_alloc(4096, 8192);
	int plain = mkstemp(name);
	bool *can = arg;

	cr_assert_geq(plain, 0);
	memset(block, 'd', 8192);
	int fd = weft_openat(AT_FDCWD, name, O_RDWR | O_DIRECT | O_CLOEXEC, 0);
	unlink(name);
	*can = fd >= 0 && weft_pwrite(fd, block, 8192, 0) == 8192;
	if (*can) {
		for (int round = 0; round < 300; round++) {
			memset(copy, 0, 8192);
			cr_assert_eq(weft_pread(fd, copy, 8192, 4096), 4096, "its end");
			cr_assert_arr_eq(copy, block, 4096);
		}
		weft_close(fd);
	}
	close(plain);
	free(block);
	free(copy);
	return 0;
}

Test(io_file, is_read_past_the_page_cache)
{
	bool can;

	cr_assert_eq(run_with(1, read_directly, &can), 0);
	if (!can)
		cr_skip_test("no O_DIRECT here");
}
