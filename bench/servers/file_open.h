/* SPDX-License-Identifier: MIT */
/*
 * file_open - opens regular files below a root and nothing beyond it. Blocks, so that
 * file_cache.c runs it on a blocking thread; knows nothing of weft.
 */
#ifndef WEFT_BENCH_SERVERS_FILE_OPEN_H
#define WEFT_BENCH_SERVERS_FILE_OPEN_H

#include <stdbool.h>
#include <sys/stat.h>

struct file_root {
	int fd;
	bool links; /* symbolic links are followed, as long as they do not leave the root */
};

/*
 * Opens the root itself. Where the kernel cannot keep links inside it (openat2, Linux 5.6,
 * is not there or not permitted), or where `links` is false, no link is followed at all.
 * Returns 0 or -errno.
 */
int file_root_open(struct file_root *root, const char *path, bool links);

/*
 * Opens a file by its relative path, without ".." in it, and says what it is.
 *
 * Returns a descriptor; -EISDIR for a directory; -EACCES for what is no regular file;
 * -EXDEV or -ELOOP for a link that is not followed; else the codes of open(2).
 */
int file_open(const struct file_root *root, const char *path, struct stat *facts);

#endif
