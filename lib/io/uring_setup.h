/* SPDX-License-Identifier: MIT */
/*
 * uring_setup - a ring as good as the kernel gives one, and what it is able to do. Features are asked for
 * one by one: some cost speed when they are missing, some are made up for in io/uring.c, and without
 * a few there is no point in a ring.
 *
 * Tests take features away with the environment's WEFT_URING_WITHOUT (docs/TESTING.md).
 */
#ifndef WEFT_LIB_IO_URING_SETUP_H
#define WEFT_LIB_IO_URING_SETUP_H

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weft_uring_able {
	uint64_t ops; /* a bit for each operation the kernel knows */
	bool deferred; /* completions show only when the ring is entered for them */
	bool timed;    /* enter takes a time (EXT_ARG) */
	bool nosignal; /* RWF_NOSIGNAL */
};

static inline bool weft_uring_knows(const struct weft_uring_able *able, uint8_t code)
{
	return code < 64 && able->ops >> code & 1;
}

/*
 * one_thread: nobody but the calling thread will ever use it. 0; or the kernel's code, and then *missing
 * is empty; or -EOPNOTSUPP with the name of what the kernel lacks and cannot be done without.
 */
int weft_uring_setup(struct io_uring *uring, unsigned entries, bool one_thread,
	struct weft_uring_able *able, const char **missing);

/* Would it give one at all? Tried with the smallest. As above; size bytes for the name. */
int weft_uring_probe(char *missing, size_t size);

#endif
