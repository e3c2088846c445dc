/* SPDX-License-Identifier: MIT */
/*
 * io_tree - names in directories: look at them, make, rename and remove them.
 */
#include "helper.h"

#include <fcntl.h>
#include <sys/stat.h>

TestSuite(io_tree, .timeout = PATIENCE);

/* A folder of one's own: its descriptor, its name in folder. */
static int make_folder(char *folder, size_t size)
{
	snprintf(folder, size, "%s", P_tmpdir "/weft-tree-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	int dir = weft_openat(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	cr_assert_geq(dir, 0);
	return dir;
}

static void remove_folder(int dir, const char *folder)
{
	cr_assert_eq(weft_close(dir), 0);
	cr_assert_eq(rmdir(folder), 0, "the test cleaned up");
}

static void make_file(int dir, const char *name, const char *text)
{
	int fd = weft_openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);

	cr_assert_geq(fd, 0);
	cr_assert_eq(weft_write_full(fd, text, strlen(text), NULL), (ssize_t)strlen(text));
	cr_assert_eq(weft_close(fd), 0);
}

static off_t size_of(int dir, const char *name)
{
	struct statx about;
	int rc = weft_statx(dir, name, 0, STATX_SIZE, &about);

	return rc < 0 ? rc : (off_t)about.stx_size;
}

static int look(void *arg)
{
	char folder[64];
	int dir = make_folder(folder, sizeof(folder));
	struct statx about;

	(void)arg;
	make_file(dir, "file", "hello");
	cr_assert_eq(weft_statx(dir, "file", 0, STATX_BASIC_STATS, &about), 0);
	cr_assert_eq(about.stx_size, 5u);
	cr_assert_eq(about.stx_mode, (unsigned)S_IFREG | 0600);
	cr_assert_eq(weft_statx(dir, "none", 0, STATX_SIZE, &about), -ENOENT);

	cr_assert_eq(symlinkat("file", dir, "link"), 0);
	cr_assert_eq(weft_statx(dir, "link", 0, STATX_TYPE, &about), 0);
	cr_assert(S_ISREG(about.stx_mode));
	cr_assert_eq(weft_statx(dir, "link", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &about), 0);
	cr_assert(S_ISLNK(about.stx_mode));
	cr_assert_eq(weft_statx(dir, "", AT_EMPTY_PATH, STATX_TYPE, &about), 0);
	cr_assert(S_ISDIR(about.stx_mode), "the descriptor itself");

	cr_assert_eq(weft_unlinkat(dir, "link", 0), 0);
	cr_assert_eq(weft_unlinkat(dir, "file", 0), 0);
	remove_folder(dir, folder);
	return 0;
}

Test(io_tree, statx_tells_about_a_name_a_link_or_the_descriptor_itself)
{
	run_on_1_2_4(look);
}

static int look_at_a_descriptor(void *arg)
{
	char folder[64];
	int dir = make_folder(folder, sizeof(folder));
	struct statx about;

	(void)arg;
	make_file(dir, "file", "hello");
	int fd = weft_openat(dir, "file", O_RDWR | O_CLOEXEC, 0);
	cr_assert_geq(fd, 0);
	cr_assert_eq(weft_unlinkat(dir, "file", 0), 0);
	cr_assert_eq(weft_write(fd, "hello, world", 12), 12);
	cr_assert_eq(weft_statx(fd, "", AT_EMPTY_PATH, STATX_SIZE | STATX_NLINK, &about), 0);
	cr_assert_eq(about.stx_size, 12u);
	cr_assert_eq(about.stx_nlink, 0u, "it has no name any more");
	cr_assert_eq(weft_close(fd), 0);
	cr_assert_eq(weft_statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &about), -EBADF);
	remove_folder(dir, folder);
	return 0;
}

Test(io_tree, statx_of_a_descriptor_is_up_to_date)
{
	run_on_1_2_4(look_at_a_descriptor);
}

static int rename_files(void *arg)
{
	char folder[64];
	int dir = make_folder(folder, sizeof(folder));

	(void)arg;
	make_file(dir, "a", "1");
	make_file(dir, "b", "22");
	cr_assert_eq(weft_renameat(dir, "a", dir, "b", RENAME_NOREPLACE), -EEXIST);
	cr_assert_eq(weft_renameat(dir, "a", dir, "b", RENAME_EXCHANGE), 0);
	cr_assert_eq(size_of(dir, "a"), 2);
	cr_assert_eq(weft_renameat(dir, "a", dir, "b", 0), 0, "replaces");
	cr_assert_eq(size_of(dir, "b"), 2);
	cr_assert_eq(size_of(dir, "a"), -ENOENT);
	cr_assert_eq(weft_renameat(dir, "a", dir, "c", 0), -ENOENT);

	cr_assert_eq(weft_mkdirat(dir, "sub", 0700), 0);
	int sub = weft_openat(dir, "sub", O_RDONLY | O_DIRECTORY, 0);
	cr_assert_eq(weft_renameat(dir, "b", sub, "deep", 0), 0, "into another folder");
	cr_assert_eq(size_of(sub, "deep"), 2);
	cr_assert_eq(weft_unlinkat(sub, "deep", 0), 0);
	cr_assert_eq(weft_close(sub), 0);
	cr_assert_eq(weft_renameat(dir, "sub", sub, "x", 0), -EBADF);
	cr_assert_eq(weft_unlinkat(dir, "sub", AT_REMOVEDIR), 0);
	remove_folder(dir, folder);
	return 0;
}

Test(io_tree, renameat_moves_replaces_or_exchanges)
{
	run_on_1_2_4(rename_files);
}

static int make_and_remove(void *arg)
{
	char folder[64];
	int dir = make_folder(folder, sizeof(folder));
	struct statx about;

	(void)arg;
	cr_assert_eq(weft_mkdirat(dir, "sub", 0710), 0);
	cr_assert_eq(weft_mkdirat(dir, "sub", 0700), -EEXIST);
	cr_assert_eq(weft_mkdirat(dir, "none/sub", 0700), -ENOENT);
	cr_assert_eq(weft_statx(dir, "sub", 0, STATX_TYPE | STATX_MODE, &about), 0);
	cr_assert_eq(about.stx_mode, (unsigned)S_IFDIR | 0710);
	cr_assert_eq(weft_unlinkat(dir, "sub", 0), -EISDIR);
	make_file(dir, "sub/file", "");
	cr_assert_eq(weft_unlinkat(dir, "sub", AT_REMOVEDIR), -ENOTEMPTY);
	cr_assert_eq(weft_unlinkat(dir, "sub/file", AT_REMOVEDIR), -ENOTDIR);
	cr_assert_eq(weft_unlinkat(dir, "sub/file", 0), 0);
	cr_assert_eq(weft_unlinkat(dir, "sub", AT_REMOVEDIR), 0);
	cr_assert_eq(weft_unlinkat(dir, "sub", AT_REMOVEDIR), -ENOENT);
	remove_folder(dir, folder);
	return 0;
}

Test(io_tree, mkdirat_and_unlinkat_make_and_remove)
{
	run_on_1_2_4(make_and_remove);
}

static int make_room(void *arg)
{
	char folder[64];
	int dir = make_folder(folder, sizeof(folder)), ends[2];

	(void)arg;
	make_file(dir, "file", "hello");
	int fd = weft_openat(dir, "file", O_RDWR, 0);
	cr_assert_eq(weft_fallocate(fd, 0, 0, 100000), 0);
	cr_assert_eq(size_of(dir, "file"), 100000);
	cr_assert_eq(weft_fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 200000), 0);
	cr_assert_eq(size_of(dir, "file"), 100000);
	cr_assert_eq(weft_fallocate(fd, 0, -1, 10), -EINVAL);
	cr_assert_eq(weft_fallocate(fd, 0, 0, 0), -EINVAL);
	cr_assert_eq(weft_close(fd), 0);
	cr_assert_eq(weft_fallocate(fd, 0, 0, 10), -EBADF);
	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(weft_fallocate(ends[1], 0, 0, 10), -ESPIPE);
	cr_assert_eq(weft_fsync(ends[1], 0), -EINVAL);
	weft_close(ends[0]);
	weft_close(ends[1]);
	cr_assert_eq(weft_unlinkat(dir, "file", 0), 0);
	remove_folder(dir, folder);
	return 0;
}

Test(io_tree, fallocate_makes_room)
{
	run_on_1_2_4(make_room);
}

static int misuse(void *arg)
{
	struct statx about;

	(void)arg;
	cr_assert_eq(weft_statx(AT_FDCWD, NULL, 0, 0, &about), -EFAULT);
	cr_assert_eq(weft_statx(AT_FDCWD, "/", 0, 0, NULL), -EFAULT);
	cr_assert_eq(weft_unlinkat(AT_FDCWD, NULL, 0), -EFAULT);
	cr_assert_eq(weft_unlinkat(AT_FDCWD, "/none", 12345), -EINVAL);
	cr_assert_eq(weft_renameat(AT_FDCWD, NULL, AT_FDCWD, "x", 0), -EFAULT);
	cr_assert_eq(weft_renameat(AT_FDCWD, "x", AT_FDCWD, NULL, 0), -EFAULT);
	cr_assert_eq(weft_mkdirat(AT_FDCWD, NULL, 0), -EFAULT);
	cr_assert_eq(weft_mkdirat(-1, "none", 0), -EBADF);
	cr_assert_eq(weft_unlinkat(-1, "none", 0), -EBADF);

	cancel_myself();
	cr_assert_eq(weft_mkdirat(AT_FDCWD, P_tmpdir "/weft-never", 0700), -ECANCELED);
	weft_uncancel();
	cr_assert_eq(weft_unlinkat(AT_FDCWD, P_tmpdir "/weft-never", AT_REMOVEDIR), -ENOENT,
		"a cancelled call has no effect");
	return 0;
}

Test(io_tree, returns_the_codes_of_the_system_calls)
{
	run_on_1_2_4(misuse);
}
