/* SPDX-License-Identifier: MIT */
/* The simulated file system: names and files in memory, over a real tree that is never changed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "sim.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif

enum { SEEDS = 200 };

/* -- a real tree ------------------------------------------------------------------------------- */

static char base[64];

static const char *in_base(const char *name)
{
	static char paths[4][256];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", base, name);
	return path;
}

static void put_real(const char *name, const char *content)
{
	int fd = open(in_base(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	close(fd);
}

/* a, dir/b, dir/sub/c, empty/, link -> dir/b, dirlink -> dir */
static void make_tree(void)
{
	snprintf(base, sizeof(base), "/tmp/weft-sim-XXXXXX");
	cr_assert(mkdtemp(base));
	cr_assert_eq(mkdir(in_base("dir"), 0755), 0);
	cr_assert_eq(mkdir(in_base("dir/sub"), 0755), 0);
	cr_assert_eq(mkdir(in_base("empty"), 0755), 0);
	put_real("a", "content of a");
	put_real("dir/b", "content of b");
	put_real("dir/sub/c", "content of c");
	cr_assert_eq(symlink("dir/b", in_base("link")), 0);
	cr_assert_eq(symlink("dir", in_base("dirlink")), 0);
}

static int not_dots(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Everything in it as text: names, sorted, and contents. */
static void describe_tree(const char *path, char *text, size_t size)
{
	struct dirent **names;
	int n = scandir(path, &names, not_dots, alphasort);

	for (int i = 0; i < n; i++) {
		size_t used = strlen(text);
		char child[512], content[64] = "";
		struct stat about;
		int fd;

		snprintf(child, sizeof(child), "%s/%s", path, names[i]->d_name);
		cr_assert_eq(lstat(child, &about), 0);
		if (S_ISREG(about.st_mode)) {
			fd = open(child, O_RDONLY);
			if (read(fd, content, sizeof(content) - 1) < 0)
				content[0] = '\0';
			close(fd);
		}
		snprintf(text + used, size - used, "%s %o %ld %s\n", child, about.st_mode,
			(long)about.st_mtim.tv_nsec, content);
		if (S_ISDIR(about.st_mode))
			describe_tree(child, text, size);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

static void remove_tree(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", base);
	cr_assert_eq(system(command), 0);
}

static char tree_before[8192], tree_after[8192];

static void begin(void)
{
	make_tree();
	memset(tree_before, 0, sizeof(tree_before));
	describe_tree(base, tree_before, sizeof(tree_before));
}

static void end(void)
{
	memset(tree_after, 0, sizeof(tree_after));
	describe_tree(base, tree_after, sizeof(tree_after));
	remove_tree();
	cr_assert_str_eq(tree_before, tree_after, "the real tree has changed");
}

static int descriptors_open(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* -- small helpers for programs ---------------------------------------------------------------- */

static int open_name(const char *name, int flags)
{
	return weft_openat(AT_FDCWD, in_base(name), flags | O_CLOEXEC, 0644);
}

static int put(const char *name, const char *content)
{
	int fd = open_name(name, O_WRONLY | O_CREAT | O_TRUNC);
	ssize_t rc = fd < 0 ? fd : weft_write(fd, content, strlen(content));

	if (fd >= 0)
		weft_close(fd);
	return rc < 0 ? (int)rc : 0;
}

static const char *get_at(int dirfd, const char *path)
{
	static char text[256];
	int fd = weft_openat(dirfd, path, O_RDONLY, 0);
	ssize_t n;

	if (fd < 0)
		return strerror(-fd);
	n = weft_pread(fd, text, sizeof(text) - 1, 0);
	weft_close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static const char *get(const char *name)
{
	return get_at(AT_FDCWD, in_base(name));
}

static int stat_name(const char *name, struct statx *about)
{
	return weft_statx(AT_FDCWD, in_base(name), 0, STATX_BASIC_STATS, about);
}

static int rename_names(const char *old, const char *new, unsigned flags)
{
	return weft_renameat(AT_FDCWD, in_base(old), AT_FDCWD, in_base(new), flags);
}

static int unlink_name(const char *name, int flags)
{
	return weft_unlinkat(AT_FDCWD, in_base(name), flags);
}

static int make_directory(const char *name)
{
	return weft_mkdirat(AT_FDCWD, in_base(name), 0755);
}

/* Runs it without faults, and looks that nothing is left over. */
static void run_program(weft_fn fn)
{
	int before = descriptors_open();

	begin();
	reports_clear();
	cr_assert_eq(simulate(fn, NULL, 1, WEFT_SIM_FIFO, 0), 0);
	cr_assert_eq(reports.count, 0, "%s", reports.text);
	end();
	cr_assert_eq(descriptors_open(), before);
}

/* -- reading and writing ----------------------------------------------------------------------- */

static int reads_what_is_there(void *arg)
{
	struct statx about;

	(void)arg;
	cr_assert_str_eq(get("a"), "content of a");
	cr_assert_str_eq(get("link"), "content of b");
	cr_assert_str_eq(get("dirlink/sub/../sub/./c"), "content of c");
	cr_assert_eq(stat_name("dirlink/b", &about), 0);
	cr_assert_eq(about.stx_size, 12);
	cr_assert_eq(stat_name("dir/sub", &about), 0);
	cr_assert(S_ISDIR(about.stx_mode));
	return 0;
}

Test(files, what_is_real_is_seen)
{
	run_program(reads_what_is_there);
}

static int writes_over(void *arg)
{
	char text[32] = "";
	int fd;

	(void)arg;
	fd = open_name("a", O_RDWR);
	cr_assert_geq(fd, 0);
	cr_assert_eq(weft_read(fd, text, 7), 7);
	cr_assert_str_eq(text, "content");
	cr_assert_eq(weft_write(fd, " OF", 3), 3);
	cr_assert_eq(weft_close(fd), 0);
	cr_assert_str_eq(get("a"), "content OF a");
	cr_assert_eq(put("dir/b", "new"), 0);
	cr_assert_str_eq(get("link"), "new", "the link leads to what was written");
	fd = open_name("link", O_WRONLY | O_APPEND);
	cr_assert_eq(weft_write(fd, "er", 2), 2);
	weft_close(fd);
	cr_assert_str_eq(get("dir/b"), "newer");
	return 0;
}

Test(files, what_is_written_stays_in_memory)
{
	run_program(writes_over);
}

/* The program's own calls work on descriptors of files in memory. */
static int uses_system_calls(void *arg)
{
	struct iovec iov[2] = {{"wo", 2}, {"rld", 3}};
	int fd = open_name("new", O_RDWR | O_CREAT | O_EXCL), other;
	struct stat about;
	char text[32] = "";
	char *map;

	(void)arg;
	cr_assert_eq(write(fd, "hello ", 6), 6);
	cr_assert_eq(weft_writev(fd, iov, 2), 5);
	cr_assert_eq(lseek(fd, 0, SEEK_CUR), 11);
	other = open_name("new", O_RDONLY);
	cr_assert_eq(read(other, text, sizeof(text)), 11, "a position of its own");
	cr_assert_str_eq(text, "hello world");
	map = mmap(NULL, 11, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert_neq(map, MAP_FAILED);
	map[0] = 'J';
	munmap(map, 11);
	cr_assert_eq(weft_pread(other, text, 1, 0), 1);
	cr_assert_eq(text[0], 'J');
	cr_assert_eq(ftruncate(fd, 4), 0);
	cr_assert_eq(weft_read(other, text, 4), 0);
	cr_assert_eq(weft_write(other, "x", 1), -EBADF, "opened to be read");
	cr_assert_eq(fstat(fd, &about), 0);
	cr_assert_eq(about.st_mode & 0777, 0644 & ~umask(022));
	cr_assert_eq(weft_fsync(fd, 0), 0);
	cr_assert_eq(weft_fallocate(fd, 0, 0, 100), 0);
	cr_assert_eq(lseek(fd, 0, SEEK_END), 100);
	close(fd); /* behind our back */
	weft_close(other);
	cr_assert_str_eq(get("new"), "Jell");
	return 0;
}

Test(files, system_calls_work_on_files_in_memory)
{
	run_program(uses_system_calls);
}

static int unlinks_open_file(void *arg)
{
	int fd = open_name("new", O_RDWR | O_CREAT), nameless;
	struct statx about;
	char text[8] = "";

	(void)arg;
	cr_assert_eq(unlink_name("new", 0), 0);
	cr_assert_eq(weft_write(fd, "goes on", 7), 7);
	cr_assert_eq(weft_pread(fd, text, 7, 0), 7);
	cr_assert_str_eq(text, "goes on");
	cr_assert_eq(weft_statx(fd, "", AT_EMPTY_PATH, STATX_NLINK, &about), 0);
	cr_assert_eq(about.stx_nlink, 0);
	cr_assert_eq(open_name("new", O_RDONLY), -ENOENT);
	weft_close(fd);
	nameless = weft_openat(AT_FDCWD, base, O_TMPFILE | O_RDWR, 0600);
	cr_assert_geq(nameless, 0);
	cr_assert_eq(weft_write(nameless, "x", 1), 1);
	weft_close(nameless);
	return 0;
}

Test(files, an_unlinked_open_file_goes_on)
{
	run_program(unlinks_open_file);
}

/* -- names ------------------------------------------------------------------------------------- */

static int makes_and_removes(void *arg)
{
	(void)arg;
	cr_assert_eq(open_name("none", O_RDONLY), -ENOENT);
	cr_assert_eq(open_name("none/x", O_WRONLY | O_CREAT), -ENOENT);
	cr_assert_eq(open_name("a/x", O_WRONLY | O_CREAT), -ENOTDIR);
	cr_assert_eq(open_name("a", O_WRONLY | O_CREAT | O_EXCL), -EEXIST);
	cr_assert_eq(open_name("link", O_RDONLY | O_NOFOLLOW), -ELOOP);
	cr_assert_eq(open_name("a", O_RDONLY | O_DIRECTORY), -ENOTDIR);
	cr_assert_eq(open_name("a/", O_RDONLY), -ENOTDIR);
	cr_assert_eq(open_name("dir", O_WRONLY), -EISDIR);
	cr_assert_eq(open_name("dir", O_RDONLY | O_CREAT), -EISDIR);
	cr_assert_eq(open_name("new/", O_WRONLY | O_CREAT), -EISDIR);
	cr_assert_eq(weft_openat(AT_FDCWD, "", O_RDONLY, 0), -ENOENT);
	cr_assert_eq(weft_openat(12345, "x", O_RDONLY, 0), -EBADF);
	cr_assert_eq(make_directory("dir"), -EEXIST);
	cr_assert_eq(make_directory("a"), -EEXIST);
	cr_assert_eq(make_directory("none/x"), -ENOENT);
	cr_assert_eq(make_directory("new/"), 0);
	cr_assert_eq(make_directory("new"), -EEXIST);
	cr_assert_eq(put("new/file", "1"), 0);
	cr_assert_eq(unlink_name("new", 0), -EISDIR);
	cr_assert_eq(unlink_name("new", AT_REMOVEDIR), -ENOTEMPTY);
	cr_assert_eq(unlink_name("new/file", AT_REMOVEDIR), -ENOTDIR);
	cr_assert_eq(unlink_name("new/.", AT_REMOVEDIR), -EINVAL);
	cr_assert_eq(unlink_name("new/file", 0), 0);
	cr_assert_eq(unlink_name("new/file", 0), -ENOENT);
	cr_assert_eq(unlink_name("new", AT_REMOVEDIR), 0);
	cr_assert_eq(unlink_name("new", AT_REMOVEDIR), -ENOENT);
	return 0;
}

Test(files, names_are_made_and_removed)
{
	run_program(makes_and_removes);
}

/* What is real and removed is gone, and may come again as something else. */
static int removes_what_is_real(void *arg)
{
	struct statx about;

	(void)arg;
	cr_assert_eq(unlink_name("dir", AT_REMOVEDIR), -ENOTEMPTY);
	cr_assert_eq(unlink_name("dir/b", 0), 0);
	cr_assert_eq(stat_name("dir/b", &about), -ENOENT);
	cr_assert_eq(open_name("link", O_RDONLY), -ENOENT, "it leads nowhere now");
	cr_assert_eq(unlink_name("dir", AT_REMOVEDIR), -ENOTEMPTY);
	cr_assert_eq(unlink_name("dir/sub/c", 0), 0);
	cr_assert_eq(unlink_name("dir/sub", AT_REMOVEDIR), 0);
	cr_assert_eq(unlink_name("dir", AT_REMOVEDIR), 0);
	cr_assert_eq(stat_name("dir/sub", &about), -ENOENT);
	cr_assert_eq(make_directory("dir"), 0);
	cr_assert_eq(stat_name("dir/sub", &about), -ENOENT, "the new one is empty");
	cr_assert_eq(put("link", "through it"), 0);
	cr_assert_str_eq(get("dir/b"), "through it");
	cr_assert_eq(unlink_name("link", 0), 0, "the link itself");
	cr_assert_str_eq(get("dir/b"), "through it");
	return 0;
}

Test(files, what_is_real_can_be_removed)
{
	run_program(removes_what_is_real);
}

static int renames(void *arg)
{
	struct statx about;

	(void)arg;
	cr_assert_eq(rename_names("a", "dir/moved", 0), 0);
	cr_assert_str_eq(get("dir/moved"), "content of a");
	cr_assert_eq(stat_name("a", &about), -ENOENT);
	cr_assert_eq(rename_names("dir", "elsewhere", 0), 0);
	cr_assert_str_eq(get("elsewhere/moved"), "content of a");
	cr_assert_str_eq(get("elsewhere/sub/c"), "content of c");
	cr_assert_eq(stat_name("dir", &about), -ENOENT);
	cr_assert_eq(put("elsewhere/sub/c", "written"), 0);
	cr_assert_eq(rename_names("elsewhere", "elsewhere/sub/x", 0), -EINVAL);
	cr_assert_eq(rename_names("elsewhere/sub", "elsewhere", 0), -ENOTEMPTY);
	cr_assert_eq(rename_names("elsewhere", "empty", RENAME_NOREPLACE), -EEXIST);
	cr_assert_eq(rename_names("empty", "elsewhere", 0), -ENOTEMPTY);
	cr_assert_eq(
		rename_names("elsewhere", "empty", 0), 0, "an empty one is replaced");
	cr_assert_str_eq(get("empty/sub/c"), "written");
	cr_assert_eq(rename_names("none", "x", 0), -ENOENT);
	cr_assert_eq(rename_names("empty/moved", "empty/sub", 0), -EISDIR);
	cr_assert_eq(rename_names("empty/sub", "empty/moved", 0), -ENOTDIR);
	cr_assert_eq(rename_names("empty", "empty", 0), 0);
	cr_assert_eq(rename_names("empty/moved", "empty/sub/c", RENAME_EXCHANGE), 0);
	cr_assert_str_eq(get("empty/moved"), "written");
	cr_assert_str_eq(get("empty/sub/c"), "content of a");
	cr_assert_eq(rename_names("empty/moved", "none", RENAME_EXCHANGE), -ENOENT);
	cr_assert_eq(rename_names("empty/moved", "empty/sub/c", 0), 0);
	cr_assert_str_eq(get("empty/sub/c"), "written");
	cr_assert_eq(rename_names("empty/sub/c", "a", 0), 0, "where something real was");
	cr_assert_str_eq(get("a"), "written");
	return 0;
}

Test(files, names_are_moved)
{
	run_program(renames);
}

static int uses_directories(void *arg)
{
	int real = open_name("dir", O_RDONLY | O_DIRECTORY), made, sub, copy;
	char before[256];

	(void)arg;
	cr_assert_eq(make_directory("made"), 0);
	made = open_name("made", O_RDONLY | O_DIRECTORY);
	cr_assert_geq(made, 0);
	cr_assert_eq(weft_mkdirat(made, "sub", 0700), 0);
	sub = weft_openat(made, "sub", O_PATH | O_DIRECTORY, 0);
	cr_assert_geq(sub, 0);
	copy = weft_openat(real, "b", O_WRONLY | O_TRUNC, 0);
	cr_assert_eq(weft_write(copy, "x", 1), 1);
	weft_close(copy);
	cr_assert_str_eq(get_at(real, "b"), "x");
	cr_assert_str_eq(get_at(real, "../a"), "content of a");
	cr_assert_str_eq(get_at(sub, "../../dir/b"), "x");
	cr_assert_eq(rename_names("dir", "moved", 0), 0);
	cr_assert_str_eq(
		get_at(real, "sub/c"), "content of c", "a descriptor goes along");
	cr_assert_eq(weft_renameat(real, "b", sub, "b", 0), 0);
	cr_assert_str_eq(get("made/sub/b"), "x");
	cr_assert(getcwd(before, sizeof(before)));
	cr_assert_eq(chdir(base), 0);
	cr_assert_str_eq(get_at(AT_FDCWD, "made/sub/b"), "x");
	cr_assert_eq(chdir(before), 0);
	weft_close(real);
	weft_close(sub);
	weft_close(made);
	return 0;
}

Test(files, paths_start_at_directories)
{
	run_program(uses_directories);
}

static int looks_at_attributes(void *arg)
{
	struct statx first, second;

	(void)arg;
	cr_assert_eq(put("one", "12345"), 0);
	weft_sleep(WEFT_SEC(3));
	cr_assert_eq(put("two", ""), 0);
	cr_assert_eq(stat_name("one", &first), 0);
	cr_assert_eq(stat_name("two", &second), 0);
	cr_assert_eq(first.stx_size, 5);
	cr_assert_eq(first.stx_nlink, 1);
	cr_assert_eq(first.stx_uid, geteuid());
	cr_assert(S_ISREG(first.stx_mode));
	cr_assert_eq(second.stx_ino, first.stx_ino + 1, "numbers of their own");
	cr_assert_eq(second.stx_mtime.tv_sec, first.stx_mtime.tv_sec + 3, "virtual time");
	cr_assert_eq(weft_statx(AT_FDCWD, in_base("one"), -1, 0, &first), -EINVAL);
	return 0;
}

Test(files, attributes_are_the_simulations)
{
	run_program(looks_at_attributes);
}

/* -- what is left over ------------------------------------------------------------------------- */

static int leaves_open(void *arg)
{
	(void)arg;
	cr_assert_geq(open_name("left", O_WRONLY | O_CREAT), 0);
	return 0;
}

Test(files, a_file_left_open_is_reported_and_closed)
{
	int before = descriptors_open();
	char text[128];

	begin();
	reports_clear();
	cr_assert_eq(simulate(leaves_open, NULL, 1, WEFT_SIM_FIFO, 0), 0);
	end();
	snprintf(text, sizeof(text), ", the file %s, is still open", in_base("left"));
	cr_assert_eq(reports.leaks, 1);
	cr_assert(strstr(reports.text, text), "%s", reports.text);
	cr_assert_eq(descriptors_open(), before);
}

/* -- faults ------------------------------------------------------------------------------------ */

/* What a run has seen. */
struct seen {
	unsigned faults; /* the bits */
};

static const char text_of_ten[] = "0123456789";

static int meets_faults(void *arg)
{
	struct seen *seen = arg;
	struct iovec iov[3] = {{(char *)text_of_ten, 3}, {(char *)text_of_ten, 4},
		{(char *)text_of_ten, 3}};
	char text[10];
	weft_ns from = weft_now();
	int fd = open_name("file", O_RDWR | O_CREAT);
	ssize_t n;

	if (fd < 0) {
		cr_assert(fd == -EMFILE || fd == -ENOSPC, "%d", fd);
		seen->faults |= fd == -EMFILE ? WEFT_SIM_EMFILE : WEFT_SIM_ENOSPC;
		return 0;
	}
	n = weft_write(fd, text_of_ten, 10);
	cr_assert(n > 0 || n == -ENOSPC, "%zd", n);
	if (n == -ENOSPC)
		seen->faults |= WEFT_SIM_ENOSPC;
	else if (n < 10)
		seen->faults |= 1U << 16; /* either of two */
	cr_assert_eq(
		lseek(fd, 0, SEEK_CUR), n < 0 ? 0 : n, "what was written, and no more");
	n = weft_writev(fd, iov, 3);
	cr_assert(n > 0 || n == -ENOSPC, "%zd", n);
	cr_assert_eq(ftruncate(fd, 10), 0);
	n = weft_pread(fd, text, 10, 0);
	cr_assert(n > 0 && n <= 10, "%zd", n);
	if (n < 10)
		seen->faults |= WEFT_SIM_PARTIAL;
	if (weft_fallocate(fd, 0, 0, 10) == -ENOSPC || make_directory("made") == -ENOSPC)
		seen->faults |= WEFT_SIM_ENOSPC;
	if (weft_now() - from > 4)
		seen->faults |= WEFT_SIM_LATENCY;
	weft_close(fd);
	return 0;
}

/* Each comes with its bit, under some seed, and none without. */
Test(files, each_fault_comes_with_its_bit_alone)
{
	static const unsigned faults[] = {0, WEFT_SIM_PARTIAL, WEFT_SIM_ENOSPC,
		WEFT_SIM_EMFILE, WEFT_SIM_LATENCY, WEFT_SIM_RESET};

	begin();
	reports_clear();
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		unsigned may = faults[i] & (WEFT_SIM_PARTIAL | WEFT_SIM_ENOSPC |
						   WEFT_SIM_EMFILE | WEFT_SIM_LATENCY);
		struct seen seen = {0};

		for (uint64_t seed = 1; seed <= SEEDS; seed++)
			cr_assert_eq(simulate(meets_faults, &seen, seed, WEFT_SIM_RANDOM,
					     faults[i]),
				0);
		if (may & (WEFT_SIM_PARTIAL | WEFT_SIM_ENOSPC))
			cr_assert(seen.faults & 1U << 16, "no write was cut by %u", may);
		else
			cr_assert(
				!(seen.faults & 1U << 16), "a write was cut by %u", may);
		cr_assert_eq(
			seen.faults & 0xffff, may, "seen %x of %x", seen.faults, may);
	}
	cr_assert_eq(reports.count, 0, "%s", reports.text);
	end();
}

/* -- the same seed, the same everything -------------------------------------------------------- */

enum { WRITERS = 5, ROUNDS = 8 };

static char outcome[16 * 1024]; /* of the run */

static void note(const char *what, int64_t result)
{
	size_t used = strlen(outcome);

	snprintf(outcome + used, sizeof(outcome) - used, "%s %lld\n", what,
		(long long)result);
}

static void one_change(unsigned writer)
{
	char name[32], other[32];
	int fd;

	snprintf(name, sizeof(name), "f%u", (unsigned)(weft_random() % 4));
	snprintf(other, sizeof(other), "f%u", (unsigned)(weft_random() % 4));
	switch (weft_random() % 4) {
	case 0:
		note("rename", rename_names(name, other, 0));
		break;
	case 1:
		note("unlink", unlink_name(name, 0));
		break;
	default:
		fd = open_name(name, O_WRONLY | O_CREAT | O_APPEND);
		note("open", fd < 0 ? fd : 0);
		if (fd < 0)
			break;
		for (unsigned i = 0; i <= writer; i++)
			note("write", weft_write(fd, text_of_ten + writer, 5));
		weft_close(fd);
	}
}

static int changes_things(void *arg)
{
	for (int i = 0; i < ROUNDS; i++)
		one_change((unsigned)(uintptr_t)arg);
	return 0;
}

static int many_writers(void *arg)
{
	struct weft_task *tasks[WRITERS];
	struct statx about;

	(void)arg;
	outcome[0] = '\0';
	for (uintptr_t i = 0; i < WRITERS; i++)
		tasks[i] = weft_create_task(changes_things, (void *)i);
	for (int i = 0; i < WRITERS; i++)
		weft_join(tasks[i]);
	for (int i = 0; i < 4; i++) {
		char name[8];

		snprintf(name, sizeof(name), "f%d", i);
		note(get(name),
			stat_name(name, &about) == 0 ? (int64_t)about.stx_ino : -1);
	}
	return 0;
}

Test(files, two_runs_of_a_seed_are_the_same)
{
	static char first[sizeof(outcome)], last[sizeof(outcome)];
	unsigned differences = 0;

	begin();
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct weft_sim sim = SIM(.seed = seed, .policy = WEFT_SIM_RANDOM,
			.faults = WEFT_SIM_ALL_FAULTS);

		cr_assert_eq(simulate_once(many_writers, NULL, &sim), 0);
		memcpy(first, outcome, sizeof(first));
		cr_assert_eq(simulate(many_writers, NULL, seed, WEFT_SIM_RANDOM,
				     WEFT_SIM_ALL_FAULTS),
			0);
		cr_assert_str_eq(first, outcome, "seed %" PRIu64, seed);
		differences += strcmp(last, first) != 0;
		memcpy(last, first, sizeof(last));
		cr_assert_eq(simulate(many_writers, NULL, seed, WEFT_SIM_PCT,
				     WEFT_SIM_ALL_FAULTS),
			0);
	}
	cr_assert_gt(differences, 30, "other seeds, other things");
	end();
}

/* -- cancels and deadlines --------------------------------------------------------------------- */

static int write_line(void *arg)
{
	return (int)weft_write(*(int *)arg, "line", 4);
}

static int gives_up(void *arg)
{
	unsigned *outcomes = arg;
	int fd = open_name("file", O_RDWR | O_CREAT);
	struct weft_scope scope;
	struct weft_task *task;
	off_t size;
	int rc;

	weft_deadline_begin(&scope, weft_random() % 2 ? 50 * 1000 : 5 * 1000 * 1000);
	rc = write_line(&fd);
	weft_scope_end(&scope);
	size = lseek(fd, 0, SEEK_END);
	cr_assert((rc == 4 && size == 4) || (rc == -ETIMEDOUT && size == 0), "%d, %d", rc,
		(int)size);
	outcomes[rc == 4]++;
	task = weft_create_task(write_line, &fd);
	weft_sleep((weft_ns)(weft_random() % (100 * 1000)));
	weft_cancel(task);
	rc = weft_join(task);
	cr_assert((rc == 4 && lseek(fd, 0, SEEK_END) == size + 4) ||
			  (rc == -ECANCELED && lseek(fd, 0, SEEK_END) == size),
		"%d", rc);
	outcomes[2 + (rc == 4)]++;
	weft_close(fd);
	return 0;
}

Test(files, an_operation_that_is_cancelled_has_no_effect)
{
	unsigned outcomes[4] = {0};

	begin();
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		cr_assert_eq(simulate(gives_up, outcomes, seed, WEFT_SIM_RANDOM,
				     WEFT_SIM_LATENCY),
			0);
	end();
	for (int i = 0; i < 4; i++)
		cr_assert_gt(outcomes[i], 0, "outcome %d", i);
}

static int close_it(void *arg)
{
	weft_sleep((weft_ns)(weft_random() % (100 * 1000)));
	return weft_close(*(int *)arg);
}

static int closes_under_a_write(void *arg)
{
	unsigned *ended = arg;
	int fd = open_name("file", O_RDWR | O_CREAT), rc;
	struct weft_task *writer = weft_create_task(write_line, &fd), *closer;

	closer = weft_create_task(close_it, &fd);
	cr_assert_eq(weft_join(closer), 0);
	rc = weft_join(writer);
	cr_assert(rc == 4 || rc == -EBADF, "%d", rc);
	ended[rc == 4]++;
	cr_assert_eq(fcntl(fd, F_GETFD), -1);
	return 0;
}

Test(files, close_ends_what_is_under_way)
{
	unsigned ended[2] = {0};

	begin();
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		simulate(closes_under_a_write, ended, seed, WEFT_SIM_RANDOM,
			WEFT_SIM_LATENCY);
	end();
	cr_assert_gt(ended[0], 0);
	cr_assert_gt(ended[1], 0);
}
