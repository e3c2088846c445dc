/* SPDX-License-Identifier: MIT */
/*
 * held - what the process holds: descriptors, heap, mappings. To be compared before and after something that
 * should give back all it takes.
 */
#ifndef WEFT_TESTS_SIM_HELD_H
#define WEFT_TESTS_SIM_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HELD_FDS = 1024 }; /* higher numbers are not looked at */

struct held {
	uint64_t fds[HELD_FDS / 64]; /* a bit for each open one */
	int64_t heap; /* bytes this thread has allocated and not freed; counted in plain builds */
	int64_t mapped; /* bytes of address space, likewise */
};

void held_now(struct held *held);
/* The lowest descriptor that is open in after and was not before; -1: none. */
int held_new_fd(const struct held *before, const struct held *after);
/* The lowest one that was open before and is not any more; -1: none. */
int held_lost_fd(const struct held *before, const struct held *after);
/* AddressSanitizer's builds: does it see memory that nobody can reach any more? It says where it comes from. */
bool held_unreachable(void);

#endif
