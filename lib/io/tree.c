/* SPDX-License-Identifier: MIT */
/*
 * tree - the calls on names in directories: look, remove, rename, make. Each checks its
 * arguments, fills one operation and runs it. Opening is in io/file.c.
 */
#include <weft/io.h>

#include <errno.h>
#include <sys/stat.h>

#include "io/io.h"
#include "io/uring_compat.h"

int weft_statx(
	int dirfd, const char *path, int flags, unsigned mask, struct statx *about)
{
	struct weft_op op = {
		.code = IORING_OP_STATX,
		.fd = dirfd,
		.off = weft_op_addr(about),
		.addr = weft_op_addr(path),
		.len = mask,
		.op_flags = (uint32_t)flags,
	};

	return path && about ? (int)weft_op_run(&op) : -EFAULT;
}

int weft_unlinkat(int dirfd, const char *path, int flags)
{
	struct weft_op op = {
		.code = IORING_OP_UNLINKAT,
		.fd = dirfd,
		.addr = weft_op_addr(path),
		.op_flags = (uint32_t)flags,
	};

	return path ? (int)weft_op_run(&op) : -EFAULT;
}

int weft_renameat(
	int olddirfd, const char *old, int newdirfd, const char *new_path, unsigned flags)
{
	WEFT_CHECKPOINT(checkpoint);
	struct weft_op op = {
		.code = IORING_OP_RENAMEAT,
		.fd = olddirfd,
		.off = weft_op_addr(new_path),
		.addr = weft_op_addr(old),
		.len = (uint32_t)newdirfd,
		.op_flags = flags,
	};
	struct weft_fd *entry = NULL;
	int rc;

	if (!old || !new_path)
		return -EFAULT;
	rc = weft_io_enter(&checkpoint);
	if (rc == 0 && newdirfd >= 0) /* counted too, so that a close of it waits */
		rc = weft_io_begin(newdirfd, &entry);
	if (rc < 0)
		return rc;
	rc = (int)weft_op_run_again(&op);
	if (entry)
		weft_fd_end(entry);
	return rc;
}

int weft_mkdirat(int dirfd, const char *path, mode_t mode)
{
	struct weft_op op = {
		.code = IORING_OP_MKDIRAT,
		.fd = dirfd,
		.addr = weft_op_addr(path),
		.len = mode,
	};

	return path ? (int)weft_op_run(&op) : -EFAULT;
}
