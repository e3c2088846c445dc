/* SPDX-License-Identifier: MIT */
/*
 * files_data - the files in memory: each a memfd. What is opened is the memfd once more, by its name in /proc,
 * so that every descriptor has a position and flags of its own, and the program's system calls work on it.
 *
 * The memfds have high numbers, out of the way of those that the program gets.
 */
#include "sim/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io/optable.h"

enum {
	NUMBERS_FROM = 256,
	COPY_BYTES = 64 * 1024,
};

/* -- memfds ------------------------------------------------------------------------------------ */

static int make_memfd(void)
{
	int low = memfd_create("weft", MFD_CLOEXEC), high;

	if (low < 0)
		return -errno;
	high = fcntl(low, F_DUPFD_CLOEXEC, NUMBERS_FROM);
	if (high < 0)
		return low;
	close(low);
	return high;
}

/* 0 or -errno. */
static int give_memfd(struct weft_sim_files *files, struct weft_sim_node *node)
{
	struct stat about;
	int fd = make_memfd();

	if (fd < 0)
		return fd;
	if (fstat(fd, &about) < 0) {
		close(fd);
		return -EIO;
	}
	node->memfd = fd;
	weft_sim_node_identify(&files->tree, node, about.st_dev, about.st_ino);
	return 0;
}

struct weft_sim_node *weft_sim_file_new(
	struct weft_sim_files *files, const char *name, int *rc)
{
	struct weft_sim_node *node =
		weft_sim_node_new(&files->tree, WEFT_SIM_FILE, name, NULL);

	*rc = node ? give_memfd(files, node) : -ENOMEM;
	if (*rc < 0) {
		if (node)
			weft_sim_node_unuse(&files->tree, node);
		return NULL;
	}
	node->born = node->modified = node->changed = files->sim->now;
	return node;
}

int weft_sim_file_back(struct weft_sim_files *files, struct weft_sim_node *dir)
{
	return dir->memfd >= 0 ? 0 : give_memfd(files, dir);
}

int64_t weft_sim_file_open(struct weft_sim_node *node, int flags)
{
	const int dropped = O_CREAT | O_EXCL | O_DIRECT | O_NOFOLLOW | O_TMPFILE;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", node->memfd);
	fd = open(path, flags & ~dropped);
	if (fd < 0)
		return -errno;
	node->opens++;
	weft_sim_node_use(node);
	return fd;
}

/* -- copies of real files ---------------------------------------------------------------------- */

static int write_all(int to, const char *from, size_t n)
{
	while (n > 0) {
		ssize_t done = write(to, from, n);

		if (done < 0)
			return -errno;
		from += done;
		n -= (size_t)done;
	}
	return 0;
}

static int copy_bytes(int from, int to)
{
	char *buffer = malloc(COPY_BYTES);
	ssize_t n;
	int rc = buffer ? 0 : -ENOMEM;

	while (rc == 0 && (n = read(from, buffer, COPY_BYTES)) != 0)
		rc = n < 0 ? -errno : write_all(to, buffer, (size_t)n);
	free(buffer);
	return rc;
}

static int copy_file(const char *path, mode_t mode, int to)
{
	int from = open(path, O_RDONLY | O_CLOEXEC), rc;

	if (from < 0)
		return -errno;
	rc = copy_bytes(from, to);
	close(from);
	if (rc == 0 && fchmod(to, mode & 07777) < 0)
		rc = -errno;
	return rc;
}

int weft_sim_file_copy_up(struct weft_sim_files *files, struct weft_sim_place *place)
{
	struct weft_sim_node *node;
	int rc;

	if (faccessat(AT_FDCWD, place->real, W_OK, AT_EACCESS) < 0)
		return -errno;
	node = weft_sim_file_new(files, place->name, &rc);
	if (!node)
		return rc;
	rc = copy_file(place->real, place->mode, node->memfd);
	if (rc < 0) {
		weft_sim_node_unuse(&files->tree, node);
		return rc;
	}
	weft_sim_names_put(files, place->dir, node);
	place->node = node;
	return 0;
}

/* -- reading and writing ----------------------------------------------------------------------- */

static bool writes(const struct weft_op *op)
{
	return op->code == IORING_OP_WRITE || op->code == IORING_OP_WRITEV;
}

static bool is_vector(const struct weft_op *op)
{
	return op->code == IORING_OP_READV || op->code == IORING_OP_WRITEV;
}

static const struct iovec *vector_of(const struct weft_op *op)
{
	return (const struct iovec *)(uintptr_t)op->addr;
}

static size_t bytes_of(const struct weft_op *op)
{
	size_t sum = 0;

	if (!is_vector(op))
		return op->len;
	if (op->len > IOV_MAX)
		return 0; /* the kernel will refuse it */
	for (uint32_t i = 0; i < op->len; i++)
		sum += vector_of(op)[i].iov_len;
	return sum;
}

/* Make it an operation on n bytes at most, some if n is not 0: of a vector, on its first pieces. */
static void cut(struct weft_op *op, size_t n)
{
	const struct iovec *iov = vector_of(op);
	uint32_t whole = 0;
	size_t sum = 0;

	if (!is_vector(op)) {
		op->len = (uint32_t)n;
		return;
	}
	while (whole < op->len && sum + iov[whole].iov_len <= n)
		sum += iov[whole++].iov_len;
	if (sum > 0 || whole == op->len) {
		op->len = whole;
		return;
	}
	op->code = writes(op) ? IORING_OP_WRITE : IORING_OP_READ;
	op->addr = (uint64_t)(uintptr_t)iov[whole].iov_base;
	op->len = (uint32_t)n;
}

/* How much of n bytes is transferred; -ENOSPC. */
static int64_t share_of(struct weft_simulation *sim, const struct weft_op *op, size_t n)
{
	size_t part = weft_sim_part(sim, n);

	if (!writes(op) || !weft_sim_fault(sim, WEFT_SIM_ENOSPC))
		return (int64_t)part;
	part = weft_sim_draw(sim, 2) ? weft_sim_draw(sim, part) : 0;
	return part > 0 ? (int64_t)part : -ENOSPC;
}

int64_t weft_sim_file_transfer(struct weft_sim_files *files, struct weft_sim_node *node,
	const struct weft_op *op)
{
	struct weft_op part = *op;
	size_t n = bytes_of(op);
	int64_t rc;

	if (node->kind == WEFT_SIM_DIRECTORY)
		return writes(op) ? -EBADF : -EISDIR;
	if (n > 0) {
		rc = share_of(files->sim, op, n);
		if (rc < 0)
			return rc;
		if ((size_t)rc < n)
			cut(&part, (size_t)rc);
	}
	rc = weft_op_row(part.code)->perform(&part, true);
	if (rc > 0 && writes(op))
		node->modified = node->changed = files->sim->now;
	return rc;
}

int64_t weft_sim_file_allocate(struct weft_sim_files *files, struct weft_sim_node *node,
	const struct weft_op *op)
{
	if (node->kind == WEFT_SIM_DIRECTORY)
		return -EBADF;
	if (weft_sim_fault(files->sim, WEFT_SIM_ENOSPC))
		return -ENOSPC;
	return weft_op_row(op->code)->perform(op, true);
}

/* -- the end ----------------------------------------------------------------------------------- */

static void close_left_open(struct weft_sim_files *files, int fd)
{
	struct weft_sim_node *node = weft_sim_node_behind(&files->tree, fd);
	char path[PATH_MAX], text[PATH_MAX + 64];

	if (!node || node->memfd == fd)
		return;
	weft_sim_node_path(node, path, sizeof(path));
	snprintf(text, sizeof(text), "descriptor %d, the %s%s %s, is still open", fd,
		node->named ? "" : "unlinked ",
		node->kind == WEFT_SIM_FILE ? "file" : "directory", path);
	weft_sim_report(files->sim, WEFT_REPORT_LEAK, 0, text);
	close(fd);
}

/* One past the highest descriptor that is open. */
static int numbers_end(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int end = 0;

	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);

		if (fd >= end)
			end = fd + 1;
	}
	if (dir)
		closedir(dir);
	return end;
}

void weft_sim_files_close_left_open(struct weft_sim_files *files)
{
	int end = files->tree.in_memory ? numbers_end() : 0;

	for (int fd = 0; fd < end; fd++)
		close_left_open(files, fd);
}
