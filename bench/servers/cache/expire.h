/* SPDX-License-Identifier: MIT */
/*
 * expire - the task that takes out entries when their time has come, though nobody asks for
 * them. Those that are asked for go in cache_find, so no reply depends on this task.
 */
#ifndef WEFT_BENCH_CACHE_EXPIRE_H
#define WEFT_BENCH_CACHE_EXPIRE_H

/* The body of the task; arg is the struct cache. Runs until it is cancelled. */
int expire_task(void *cache);

#endif
