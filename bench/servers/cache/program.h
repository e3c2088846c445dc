/* SPDX-License-Identifier: MIT */
/*
 * program - what there is one of in the process: the cache, its file, the options, the counts
 * that INFO shows.
 */
#ifndef WEFT_BENCH_CACHE_PROGRAM_H
#define WEFT_BENCH_CACHE_PROGRAM_H

#include "aof.h"
#include "cache.h"

struct options {
	const char *address;
	unsigned port;         /* 0: any */
	const char *unix_path; /* NULL: none */
	unsigned workers;      /* 0: weft's default */
	unsigned max_connections;
	const char *dir;
	bool appendonly;
	enum aof_policy policy;
	weft_ns grace; /* what begun replies may take after a stop */
};

/* Written by any client once per batch. */
struct counts {
	atomic_ullong connections, commands, hits, misses;
	atomic_uint clients; /* connected now */
};

struct program {
	struct options options; /* does not change once connections are served */
	struct cache cache;
	struct aof aof;
	struct counts counts;
	unsigned port; /* listened on */
	weft_ns start;
};

extern struct program program;

#endif
