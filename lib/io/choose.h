/* SPDX-License-Identifier: MIT */
/*
 * choose - which backend a runtime gets, and why, in words that a person can act on. Called by
 * runtime.c when a runtime starts.
 */
#ifndef WEFT_LIB_IO_CHOOSE_H
#define WEFT_LIB_IO_CHOOSE_H

#include "sched/backend.h"

struct weft_choice {
	const struct weft_backend *backend;
	int status;       /* why io_uring is not to be had, though it was wanted; else 0 */
	char text[96];    /* for weft_runtime_backend */
	char report[160]; /* for a person: when it is not to be had, or on failure; else empty */
};

/*
 * By the flags of the configuration and the environment's WEFT_BACKEND, and by what the kernel says
 * to the smallest ring. 0; -EINVAL when they contradict each other; the kernel's code when it
 * refuses and io_uring was required; then status and report are valid.
 */
int weft_backend_choose(unsigned flags, struct weft_choice *choice);

/*
 * The chosen backend could not be opened on some worker, with that code. 0: try *choice instead, for
 * all of them; else the code to fail with.
 */
int weft_backend_choose_again(unsigned flags, int code, struct weft_choice *choice);

#endif
