/* SPDX-License-Identifier: MIT */
/*
 * file_copy from to - copy a directory tree, 64 files at a time.
 *
 * The tree is walked by plain recursion; each file found becomes a member of one group, and a
 * semaphore holds the walk back while 64 of them are at work. The first failure cancels the
 * rest. Reads and writes wait in the kernel, one task each; the small calls that only look at
 * names (readdir, mkdir, symlink) are the plain ones. Directories stay writable by their owner.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weft.h>

#define AT_A_TIME 64
#define CHUNK (64 * 1024)

struct copy {
	const char *from;
	const char *to;
	struct weft_group files;
	struct weft_sem slots;
};

/* One file on its way; its task frees it. */
struct file {
	struct copy *copy;
	mode_t mode;
	char from[PATH_MAX];
	char to[PATH_MAX];
};

/*
 * The result of a plain call, or its -errno. Not inlined: errno belongs to a thread, a task may
 * change threads where it waits, and compilers look up errno's address once per function.
 */
__attribute__((noinline)) static int checked(int result)
{
	return result < 0 ? -errno : result;
}

static int copy_bytes(int in, int out)
{
	char buf[CHUNK];
	ssize_t n;

	while ((n = weft_read(in, buf, sizeof(buf))) > 0) {
		n = weft_write_full(out, buf, (size_t)n, NULL);
		if (n < 0)
			break;
	}
	return (int)n;
}

static int copy_contents(const struct file *file)
{
	int in = weft_openat(AT_FDCWD, file->from, O_RDONLY | O_CLOEXEC, 0);
	if (in < 0)
		return in;
	int out = weft_openat(AT_FDCWD, file->to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
		file->mode & 07777);
	if (out < 0) {
		weft_close(in);
		return out;
	}
	int status = copy_bytes(in, out);
	weft_close(in);
	int closed = weft_close(out); /* a write may fail as late as here */
	return status < 0 ? status : closed;
}

/* Runs even when cancelled before it started: then the open returns -ECANCELED. */
static int copy_file(void *arg)
{
	struct file *file = arg;

	int status = copy_contents(file);
	if (status < 0 && status != -ECANCELED)
		fprintf(stderr, "file_copy: %s: %s\n", file->from, strerror(-status));
	weft_sem_release(&file->copy->slots, 1);
	free(file);
	return status;
}

static int start_file(struct copy *copy, const char *from, const char *to, mode_t mode)
{
	struct file *file = malloc(sizeof(*file));
	if (!file)
		return -ENOMEM;
	file->copy = copy;
	file->mode = mode;
	snprintf(file->from, sizeof(file->from), "%s", from);
	snprintf(file->to, sizeof(file->to), "%s", to);

	int status = weft_sem_acquire(&copy->slots, 1);
	if (status < 0) {
		free(file);
		return status;
	}
	status = weft_group_spawn(&copy->files, copy_file, file);
	if (status < 0) { /* it never runs: what it would have freed is still ours */
		weft_sem_release(&copy->slots, 1);
		free(file);
	}
	return status;
}

static int copy_link(const char *from, const char *to)
{
	char target[PATH_MAX];

	int n = checked((int)readlink(from, target, sizeof(target) - 1));
	if (n < 0)
		return n;
	target[n] = '\0';
	return checked(symlink(target, to));
}

static int copy_tree(struct copy *copy, const char *from, const char *to);

static int copy_entry(struct copy *copy, const char *from, const char *to)
{
	struct stat st;

	int status = checked(lstat(from, &st));
	if (status < 0)
		return status;
	if (S_ISDIR(st.st_mode))
		return copy_tree(copy, from, to);
	if (S_ISLNK(st.st_mode))
		return copy_link(from, to);
	if (S_ISREG(st.st_mode))
		return start_file(copy, from, to, st.st_mode);
	return 0; /* sockets, pipes and devices stay behind */
}

static int copy_entries(struct copy *copy, DIR *dir, const char *from, const char *to)
{
	char *paths = malloc(2 * PATH_MAX); /* not on the stack: trees are deep */
	struct dirent *entry;
	int status = paths ? 0 : -ENOMEM;

	while (status >= 0 && (entry = readdir(dir))) {
		char *child_from = paths, *child_to = paths + PATH_MAX;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (snprintf(child_from, PATH_MAX, "%s/%s", from, entry->d_name) >= PATH_MAX ||
			snprintf(child_to, PATH_MAX, "%s/%s", to, entry->d_name) >= PATH_MAX)
			status = -ENAMETOOLONG;
		else
			status = copy_entry(copy, child_from, child_to);
	}
	free(paths);
	return status;
}

static int copy_directory(const char *from, const char *to)
{
	struct stat st;

	int status = checked(stat(from, &st));
	if (status < 0)
		return status;
	status = checked(mkdir(to, (st.st_mode & 07777) | S_IRWXU));
	return status == -EEXIST ? 0 : status;
}

static int copy_tree(struct copy *copy, const char *from, const char *to)
{
	int status = copy_directory(from, to);
	if (status < 0)
		return status;
	DIR *dir = opendir(from);
	if (!dir)
		return checked(-1);
	status = copy_entries(copy, dir, from, to);
	closedir(dir);
	return status;
}

static int copy_all(void *arg)
{
	struct copy *copy = arg;

	weft_sem_init(&copy->slots, AT_A_TIME);
	weft_group_begin(&copy->files, 0);
	int walked = copy_tree(copy, copy->from, copy->to);
	if (walked < 0)
		weft_group_cancel(&copy->files);
	int copied = weft_group_join(&copy->files);
	/* a spawn into a group that a failure cancelled is not the failure itself */
	return copied < 0 ? copied : walked;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: file_copy from to\n");
		return 2;
	}
	struct copy copy = { .from = argv[1], .to = argv[2] };
	int status = weft_run(copy_all, &copy, NULL);
	if (status < 0)
		fprintf(stderr, "file_copy: %s\n", strerror(-status));
	return status < 0;
}
