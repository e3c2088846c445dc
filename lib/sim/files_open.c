/* SPDX-License-Identifier: MIT */
/*
 * files_open - openat: what exists and is only read is opened for real, everything else in memory.
 */
#include "sim/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TMPFILE (O_TMPFILE & ~O_DIRECTORY)

/* Unless it is only to be named (O_PATH). */
static bool changes(int flags)
{
	return !(flags & O_PATH) && ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC);
}

/* The kernel's answer. A named pipe's open would wait for its other end: not here. */
static int64_t open_real(const struct weft_sim_place *place, int flags)
{
	bool is_pipe = S_ISFIFO(place->mode) && !(flags & (O_NONBLOCK | O_PATH));
	int fd = open(place->real, (flags & ~O_CREAT) | (is_pipe ? O_NONBLOCK : 0));

	if (fd < 0)
		return -errno;
	if (is_pipe)
		fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	return fd;
}

/* The descriptor of a file just made; its rights are for those who come later. */
static int64_t open_new(struct weft_sim_node *node, int flags, mode_t mode)
{
	int64_t fd = weft_sim_file_open(node, flags);

	if (fd >= 0)
		fchmod((int)fd, weft_sim_names_rights(mode));
	return fd;
}

static int64_t create(struct weft_sim_files *files, struct weft_sim_place *place,
	int flags, mode_t mode)
{
	struct weft_sim_node *node;
	int64_t fd;
	int rc;

	if (place->means_directory)
		return -EISDIR;
	rc = weft_sim_names_may_change(place->dir);
	if (rc < 0)
		return rc;
	if (weft_sim_fault(files->sim, WEFT_SIM_ENOSPC))
		return -ENOSPC;
	node = weft_sim_file_new(files, place->name, &rc);
	if (!node)
		return rc;
	fd = open_new(node, flags & ~O_TRUNC, mode);
	if (fd < 0)
		weft_sim_node_unuse(&files->tree, node);
	else
		weft_sim_names_put(files, place->dir, node);
	return fd;
}

/* O_TMPFILE: a file without a name. */
static int64_t create_nameless(struct weft_sim_files *files,
	const struct weft_sim_place *place, int flags, mode_t mode)
{
	struct weft_sim_node *node;
	int64_t fd;
	int rc;

	if ((flags & O_ACCMODE) == O_RDONLY)
		return -EINVAL;
	if (!S_ISDIR(place->mode))
		return place->mode ? -ENOTDIR : -ENOENT;
	rc = place->node ? weft_sim_names_may_change(place->node) : -EOPNOTSUPP;
	if (rc < 0)
		return rc;
	if (weft_sim_fault(files->sim, WEFT_SIM_ENOSPC))
		return -ENOSPC;
	node = weft_sim_file_new(files, "(without a name)", &rc);
	if (!node)
		return rc;
	fd = open_new(node, flags, mode);
	close(node->memfd);
	node->memfd = -1;
	weft_sim_node_unuse(&files->tree, node);
	return fd;
}

static int64_t open_directory(
	struct weft_sim_files *files, const struct weft_sim_place *place, int flags)
{
	struct weft_sim_node *node = place->node;
	int rc;

	if (flags & O_CREAT || changes(flags))
		return -EISDIR;
	if (!node)
		return open_real(place, flags);
	if (node->real) {
		int fd = open(node->real, flags);

		return fd < 0 ? -errno : fd;
	}
	rc = weft_sim_file_back(files, node);
	return rc < 0 ? rc : weft_sim_file_open(node, flags);
}

static int64_t open_existing(
	struct weft_sim_files *files, struct weft_sim_place *place, int flags)
{
	bool in_memory = place->node && place->node->kind == WEFT_SIM_FILE;
	int rc;

	if (flags & O_CREAT && flags & O_EXCL)
		return -EEXIST;
	if (S_ISDIR(place->mode))
		return open_directory(files, place, flags);
	if (place->means_directory || flags & O_DIRECTORY)
		return -ENOTDIR;
	if (S_ISLNK(place->mode) && !(flags & O_PATH))
		return -ELOOP;
	if (!in_memory && (!S_ISREG(place->mode) || !changes(flags)))
		return open_real(place, flags);
	rc = in_memory ? 0 : weft_sim_file_copy_up(files, place);
	if (rc < 0)
		return rc;
	if (flags & O_TRUNC)
		place->node->modified = place->node->changed = files->sim->now;
	return weft_sim_file_open(place->node, flags);
}

int64_t weft_sim_names_open(struct weft_sim_files *files, const struct weft_op *op)
{
	int flags = (int)op->op_flags;
	bool makes = flags & O_CREAT && flags & O_EXCL;
	struct weft_sim_place place;
	int rc;

	if (weft_sim_fault(files->sim, WEFT_SIM_EMFILE))
		return -EMFILE;
	if (flags & O_CREAT && flags & O_DIRECTORY)
		return -EINVAL;
	rc = weft_sim_walk(&files->tree, op->fd, weft_sim_names_path(op->addr),
		!makes && !(flags & O_NOFOLLOW), &place);
	if (rc < 0)
		return rc;
	if ((flags & TMPFILE) == TMPFILE)
		return create_nameless(files, &place, flags, op->len);
	if (place.mode)
		return open_existing(files, &place, flags);
	return flags & O_CREAT ? create(files, &place, flags, op->len) : -ENOENT;
}
