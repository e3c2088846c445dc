/* SPDX-License-Identifier: MIT */
/*
 * http_path - from the target of a request to a path below a root. No I/O: that the path
 * does not leave the root through a symbolic link is file_open.c's to see.
 */
#ifndef WEFT_BENCH_SERVERS_HTTP_PATH_H
#define WEFT_BENCH_SERVERS_HTTP_PATH_H

#include <stddef.h>

enum { HTTP_PATH_MAX = 1024 }; /* with its NUL */

/*
 * Writes the path that the target names, NUL-terminated: relative, percent-decoded, without
 * query, without empty segments. One that ends in a slash, or is empty, names a directory.
 *
 * Refused is what could mean two things or lead elsewhere: "." and ".." in any spelling,
 * encoded slashes and NULs, "%" without two hexadecimal digits, fragments.
 *
 * Returns its length, or the negative of the status to refuse it with: -400, -403 for dots,
 * -414 where it does not fit HTTP_PATH_MAX.
 */
long http_path_decode(const char *target, size_t n, char *path);

/* The target without scheme and host: where its path begins, "/" where it has none. */
const char *http_path_of(const char *target, size_t *n);

#endif
