/* SPDX-License-Identifier: MIT */
/*
 * replay - fills the cache from an append-only file, by running its commands again.
 */
#ifndef WEFT_BENCH_CACHE_REPLAY_H
#define WEFT_BENCH_CACHE_REPLAY_H

#include <stdint.h>

/*
 * [S] Runs the commands in the file from its start; nobody else uses the cache. A last command
 * that is not there in whole, as a crash in the middle of a write leaves it, is not run, with a
 * line on stderr. Anything else that is not a command which succeeds refuses the whole file.
 *
 * Returns 0, and in *good the length of what was run; or -errno after a line on stderr, -EINVAL
 * for a file that is damaged.
 */
int replay(int fd, uint64_t *good);

#endif
