/* SPDX-License-Identifier: MIT */
/*
 * hold - one descriptor through a call of several steps: each step counts itself on it, and a step
 * after weft_close has closed it, whatever has the number by then, is refused.
 *
 * For calls on two descriptors: to stay counted on one while waiting for the other would keep
 * weft_close waiting too.
 */
#ifndef WEFT_LIB_IO_HOLD_H
#define WEFT_LIB_IO_HOLD_H

#include "io/fd.h"
#include "io/io.h"
#include "sched/submit.h"

struct weft_hold {
	struct weft_fd *entry;
	struct weft_fd_turn turn;
};

/* 0; -EBADF; or another -errno. */
static inline int weft_hold_init(struct weft_hold *hold, int fd)
{
	int rc = fd < 0 ? -EBADF : weft_io_begin(fd, &hold->entry);

	if (rc < 0)
		return rc;
	hold->turn = (struct weft_fd_turn){
		.generation = weft_fd_generation(hold->entry), .waited = true};
	weft_fd_end(hold->entry);
	return 0;
}

/* 0, or -EBADF. A step; no waits but for the operation that it is. */
static inline int weft_hold_begin(struct weft_hold *hold)
{
	return weft_fd_begin(hold->entry, weft_io_worker(), &hold->turn);
}

static inline void weft_hold_end(struct weft_hold *hold)
{
	weft_fd_end(hold->entry);
}

#endif
