/* SPDX-License-Identifier: MIT */
/*
 * file_open - by openat2 with RESOLVE_BENEATH in one call; or segment by segment, following
 * no links. Both look at what has been opened, never at a name twice: between two looks a
 * name can change its meaning.
 */
#include "file_open.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Somebody renames directories meanwhile, and the kernel could not tell where it was. */
enum { RACES_MAX = 8 };

/* O_NONBLOCK: a FIFO does not wait for its writer. Regular files do not care. */
#define FILE_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

static int checked(long rc)
{
	return rc < 0 ? -errno : (int)rc;
}

static int open_beneath(int root, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned)flags,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	int rc, races = 0;

	do
		rc = checked(syscall(SYS_openat2, root, path, &how, sizeof(how)));
	while (rc == -EINTR || (rc == -EAGAIN && ++races < RACES_MAX));
	return rc;
}

/* O_PATH does not open what it finds, so a link is found as itself and then not a directory. */
static int open_segments(int root, const char *path, int flags)
{
	int at = root, next;
	const char *slash;

	while ((slash = strchr(path, '/'))) {
		char name[256];
		size_t len = (size_t)(slash - path);

		next = -ENAMETOOLONG;
		if (len < sizeof(name)) {
			memcpy(name, path, len);
			name[len] = '\0';
			next = checked(openat(
				at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
		}
		if (at != root)
			close(at);
		if (next < 0)
			return next;
		at = next;
		path = slash + 1;
	}
	next = checked(openat(at, path, flags | O_NOFOLLOW));
	if (at != root)
		close(at);
	return next;
}

int file_root_open(struct file_root *root, const char *path, bool links)
{
	int probe;

	root->fd = checked(open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
	if (root->fd < 0)
		return root->fd;
	probe = open_beneath(root->fd, ".", O_PATH | O_CLOEXEC);
	if (probe >= 0)
		close(probe);
	root->links = links && probe >= 0;
	return 0;
}

static int judge(mode_t mode)
{
	if (S_ISDIR(mode))
		return -EISDIR;
	return S_ISREG(mode) ? 0 : -EACCES;
}

int file_open(const struct file_root *root, const char *path, struct stat *facts)
{
	int fd = root->links ? open_beneath(root->fd, path, FILE_FLAGS)
			     : open_segments(root->fd, path, FILE_FLAGS);
	int rc;

	if (fd < 0)
		return fd;
	rc = checked(fstat(fd, facts));
	if (rc == 0)
		rc = judge(facts->st_mode);
	if (rc == 0)
		return fd;
	/* As it was opened: ThreadSanitizer is to see both or neither. */
	syscall(SYS_close, fd);
	return rc;
}
