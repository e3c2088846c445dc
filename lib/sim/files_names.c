/* SPDX-License-Identifier: MIT */
/*
 * files_names - making, removing, moving and looking at names. Opening is in files_open.c.
 */
#include "sim/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "io/optable.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE 2
#endif

enum {
	DEVICE_MINOR = 4095, /* of the device that files in memory are on, major 0 */
	DIRECTORY_BYTES = 4096,
	SECTOR = 512,
};

/* -- what the others share --------------------------------------------------------------------- */

mode_t weft_sim_names_rights(mode_t mode)
{
	mode_t mask = umask(077); /* there is no other way to ask */

	umask(mask);
	return mode & 07777 & ~mask;
}

int weft_sim_names_may_change(const struct weft_sim_node *dir)
{
	if (!dir->named && dir->parent)
		return -ENOENT; /* it was removed */
	if (dir->real && faccessat(AT_FDCWD, dir->real, W_OK | X_OK, AT_EACCESS) < 0)
		return -errno;
	return 0;
}

static void changed(struct weft_sim_files *files, struct weft_sim_node *dir)
{
	weft_sim_node_touch(dir);
	dir->modified = dir->changed = files->sim->now;
}

void weft_sim_names_put(struct weft_sim_files *files, struct weft_sim_node *dir,
	struct weft_sim_node *node)
{
	struct weft_sim_node *before = weft_sim_node_find(&files->tree, dir, node->name);

	if (before)
		weft_sim_node_unlink(&files->tree, before);
	weft_sim_node_enter(&files->tree, dir, node);
	weft_sim_node_touch(node->kind == WEFT_SIM_DIRECTORY ? node : dir);
	changed(files, dir);
}

/* What notes that nothing is there, whatever is beneath; NULL, 0: nothing is; NULL, -ENOMEM. */
static struct weft_sim_node *new_gap(
	struct weft_sim_files *files, const struct weft_sim_place *place, int *rc)
{
	struct weft_sim_node *gap;

	*rc = 0;
	if (!weft_sim_shows_beneath(place->dir, place->name))
		return NULL;
	gap = weft_sim_node_new(&files->tree, WEFT_SIM_GONE, place->name, NULL);
	*rc = gap ? 0 : -ENOMEM;
	return gap;
}

static void put_gap(struct weft_sim_files *files, struct weft_sim_node *dir,
	struct weft_sim_node *gap)
{
	if (gap)
		weft_sim_names_put(files, dir, gap);
	else
		changed(files, dir);
}

/* -- making and removing ----------------------------------------------------------------------- */

int64_t weft_sim_names_make_directory(
	struct weft_sim_files *files, const struct weft_op *op)
{
	struct weft_sim_place place;
	struct weft_sim_node *node;
	int rc = weft_sim_walk(
		&files->tree, op->fd, weft_sim_names_path(op->addr), false, &place);

	if (rc < 0)
		return rc;
	if (place.mode)
		return -EEXIST;
	rc = weft_sim_names_may_change(place.dir);
	if (rc < 0)
		return rc;
	if (weft_sim_fault(files->sim, WEFT_SIM_ENOSPC))
		return -ENOSPC;
	node = weft_sim_node_new(&files->tree, WEFT_SIM_DIRECTORY, place.name, NULL);
	if (!node)
		return -ENOMEM;
	node->mode = weft_sim_names_rights((mode_t)op->len) & 01777;
	node->born = node->modified = node->changed = files->sim->now;
	weft_sim_names_put(files, place.dir, node);
	return 0;
}

static int may_unlink(const struct weft_sim_place *place)
{
	if (place->is_dots || S_ISDIR(place->mode))
		return -EISDIR;
	return place->means_directory ? -ENOTDIR : 0;
}

static int may_remove_directory(struct weft_sim_files *files,
	const struct weft_sim_place *place, const char *path)
{
	size_t n = strlen(path);
	int empty;

	if (place->is_dots && !place->node->parent)
		return -EBUSY;
	if (place->is_dots)
		return n > 1 && path[n - 1] == '.' && path[n - 2] == '.' ? -ENOTEMPTY
									 : -EINVAL;
	if (!S_ISDIR(place->mode) || !place->node)
		return -ENOTDIR;
	empty = weft_sim_is_empty(&files->tree, place->node);
	return empty == 0 ? -ENOTEMPTY : empty < 0 ? empty : 0;
}

int64_t weft_sim_names_unlink(struct weft_sim_files *files, const struct weft_op *op)
{
	const char *path = weft_sim_names_path(op->addr);
	struct weft_sim_place place;
	struct weft_sim_node *gap;
	int rc;

	if (op->op_flags & ~(unsigned)AT_REMOVEDIR)
		return -EINVAL;
	rc = weft_sim_walk(&files->tree, op->fd, path, false, &place);
	if (rc < 0)
		return rc;
	if (!place.mode)
		return -ENOENT;
	rc = op->op_flags ? may_remove_directory(files, &place, path)
			  : may_unlink(&place);
	if (rc == 0)
		rc = weft_sim_names_may_change(place.dir);
	if (rc < 0)
		return rc;
	gap = new_gap(files, &place, &rc);
	if (rc < 0)
		return rc;
	if (place.node) {
		place.node->changed = files->sim->now;
		weft_sim_node_unlink(&files->tree, place.node);
	}
	put_gap(files, place.dir, gap);
	return 0;
}

/* -- moving ------------------------------------------------------------------------------------ */

static bool is_within(const struct weft_sim_node *dir, const struct weft_sim_node *above)
{
	while (dir && dir != above)
		dir = dir->parent;
	return dir;
}

/* The kernel's rules, in its order. */
static int may_replace(struct weft_sim_files *files, const struct weft_sim_place *old,
	const struct weft_sim_place *new)
{
	bool is_directory = S_ISDIR(old->mode);
	int empty;

	if (!new->mode)
		return 0;
	if (is_directory && !S_ISDIR(new->mode))
		return -ENOTDIR;
	if (!is_directory && S_ISDIR(new->mode))
		return -EISDIR;
	if (!is_directory)
		return 0;
	empty = new->node ? weft_sim_is_empty(&files->tree, new->node) : -EBUSY;
	return empty == 0 ? -ENOTEMPTY : empty < 0 ? empty : 0;
}

static bool is_same(const struct weft_sim_place *a, const struct weft_sim_place *b)
{
	return a->dir == b->dir && strcmp(a->name, b->name) == 0;
}

static int may_move(struct weft_sim_files *files, const struct weft_sim_place *old,
	const struct weft_sim_place *new, unsigned flags)
{
	bool exchange = flags & RENAME_EXCHANGE;
	int rc;

	if (old->is_dots || new->is_dots)
		return flags & RENAME_NOREPLACE && new->is_dots ? -EEXIST : -EBUSY;
	if (!old->mode || (exchange && !new->mode))
		return -ENOENT;
	if (new->mode && flags &RENAME_NOREPLACE)
		return -EEXIST;
	if ((old->means_directory || (new->means_directory && !exchange)) &&
		!S_ISDIR(old->mode))
		return -ENOTDIR;
	if (exchange && new->means_directory && !S_ISDIR(new->mode))
		return -ENOTDIR;
	if (is_same(old, new))
		return 0;
	if (old->node && is_within(new->dir, old->node))
		return -EINVAL;
	if (new->node && is_within(old->dir, new->node))
		return exchange ? -EINVAL : -ENOTEMPTY;
	rc = exchange ? 0 : may_replace(files, old, new);
	if (rc == 0)
		rc = weft_sim_names_may_change(old->dir);
	return rc < 0 ? rc : weft_sim_names_may_change(new->dir);
}

/* What is at the place, as a node; without a name if it had none. NULL: out of memory. */
static struct weft_sim_node *node_at(
	struct weft_sim_files *files, const struct weft_sim_place *place)
{
	if (place->node)
		return place->node;
	return weft_sim_node_new(&files->tree, WEFT_SIM_MOVED, place->name, place->real);
}

static void take_away(struct weft_sim_files *files, struct weft_sim_node *node)
{
	if (node->named)
		weft_sim_node_leave(&files->tree, node);
}

static int move(struct weft_sim_files *files, const struct weft_sim_place *old,
	const struct weft_sim_place *new)
{
	struct weft_sim_node *node, *gap;
	char *name;
	int rc;

	gap = new_gap(files, old, &rc);
	if (rc < 0)
		return rc;
	name = strdup(new->name);
	node = name ? node_at(files, old) : NULL;
	if (!node) {
		free(name);
		weft_sim_node_unuse(&files->tree, gap);
		return -ENOMEM;
	}
	take_away(files, node);
	put_gap(files, old->dir, gap);
	free(node->name);
	node->name = name;
	node->changed = files->sim->now;
	weft_sim_names_put(files, new->dir, node);
	return 0;
}

static int exchange(struct weft_sim_files *files, const struct weft_sim_place *old,
	const struct weft_sim_place *new)
{
	struct weft_sim_node *a = node_at(files, old),
			     *b = a ? node_at(files, new) : NULL;
	char *name;

	if (!b) {
		if (a && !a->named)
			weft_sim_node_unuse(&files->tree, a);
		return -ENOMEM;
	}
	take_away(files, a);
	take_away(files, b);
	name = a->name;
	a->name = b->name;
	b->name = name;
	a->changed = b->changed = files->sim->now;
	weft_sim_names_put(files, new->dir, a);
	weft_sim_names_put(files, old->dir, b);
	return 0;
}

int64_t weft_sim_names_rename(struct weft_sim_files *files, const struct weft_op *op)
{
	unsigned flags = op->op_flags;
	struct weft_sim_place old, new;
	int rc;

	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
		flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	rc = weft_sim_walk(
		&files->tree, op->fd, weft_sim_names_path(op->addr), false, &old);
	if (rc == 0)
		rc = weft_sim_walk(&files->tree, (int)op->len,
			weft_sim_names_path(op->off), false, &new);
	if (rc == 0)
		rc = may_move(files, &old, &new, flags);
	if (rc < 0)
		return rc;
	if (is_same(&old, &new))
		return 0;
	return flags & RENAME_EXCHANGE ? exchange(files, &old, &new)
				       : move(files, &old, &new);
}

/* -- looking ----------------------------------------------------------------------------------- */

static struct statx_timestamp time_of(weft_ns moment)
{
	return (struct statx_timestamp){
		.tv_sec = moment / WEFT_SEC(1),
		.tv_nsec = (uint32_t)(moment % WEFT_SEC(1)),
	};
}

/* fd: its memfd, or a descriptor of it; -1 for a directory. */
static int64_t describe(const struct weft_sim_node *node, int fd, struct statx *about)
{
	struct stat memory = {
		.st_mode = S_IFDIR | node->mode, .st_size = DIRECTORY_BYTES};

	if (node->kind == WEFT_SIM_FILE && fstat(fd, &memory) < 0)
		return -errno;
	*about = (struct statx){
		.stx_mask = STATX_BASIC_STATS | STATX_BTIME,
		.stx_blksize = 4096,
		.stx_nlink = !node->named                       ? 0
			     : node->kind == WEFT_SIM_DIRECTORY ? 2
								: 1,
		.stx_uid = geteuid(),
		.stx_gid = getegid(),
		.stx_mode = (uint16_t)memory.st_mode,
		.stx_ino = node->number,
		.stx_size = (uint64_t)memory.st_size,
		.stx_blocks = ((uint64_t)memory.st_size + SECTOR - 1) / SECTOR,
		.stx_atime = time_of(node->born),
		.stx_btime = time_of(node->born),
		.stx_ctime = time_of(node->changed),
		.stx_mtime = time_of(node->modified),
		.stx_dev_minor = DEVICE_MINOR,
	};
	return 0;
}

static int64_t describe_real(const char *path, const struct weft_op *op)
{
	struct weft_op real = *op;

	real.fd = AT_FDCWD;
	real.addr = (uint64_t)(uintptr_t)path;
	return weft_op_row(op->code)->perform(&real, true);
}

int64_t weft_sim_names_stat(struct weft_sim_files *files, const struct weft_op *op)
{
	const unsigned known = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH |
			       AT_STATX_SYNC_TYPE;
	struct statx *about = (struct statx *)(uintptr_t)op->off;
	const char *path = weft_sim_names_path(op->addr);
	struct weft_sim_node *node;
	struct weft_sim_place place;
	int rc;

	if (op->op_flags & ~known)
		return -EINVAL;
	if (!*path && op->op_flags & AT_EMPTY_PATH) {
		node = weft_sim_node_behind(&files->tree, op->fd);
		return node ? describe(node, op->fd, about)
			    : weft_op_row(op->code)->perform(op, true);
	}
	rc = weft_sim_walk(&files->tree, op->fd, path,
		!(op->op_flags & AT_SYMLINK_NOFOLLOW), &place);
	if (rc < 0)
		return rc;
	if (!place.mode)
		return -ENOENT;
	if (place.means_directory && !S_ISDIR(place.mode))
		return -ENOTDIR;
	node = place.node;
	if (node && !node->real)
		return describe(node, node->memfd, about);
	return describe_real(node ? node->real : place.real, op);
}
