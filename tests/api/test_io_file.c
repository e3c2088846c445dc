/* SPDX-License-Identifier: MIT */
/*
 * io_file - files: open, read, write, at a position or an offset, and make them safe.
 */
#include "helper.h"

#include <fcntl.h>
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
