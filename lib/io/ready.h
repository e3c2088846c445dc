/* SPDX-License-Identifier: MIT */
/*
 * ready - waiting for the readiness of descriptors beside other things: what select and dial do with them.
 * The caller parks by itself; a poll operation unparks it when it is over.
 *
 * Life:  a weft_ready lies on the caller's stack from begin to end, which waits for the operation.
 * Who:   one task; sync/select.c, io/eyeballs.c.
 */
#ifndef WEFT_LIB_IO_READY_H
#define WEFT_LIB_IO_READY_H

#include <stdbool.h>

#include "sched/backend.h"

struct weft_fd;

struct weft_ready {
	struct weft_op op;
	struct weft_fd *entry;
};

/* The events that have come to fd already, 0 for none; -EBADF; a code that is pending. In a task. */
int weft_ready_now(int fd, short events);

/* Start to wait; the caller is unparked when there is something to know. 0; -EBADF, -ENOMEM, a code
 * that is pending: it was not started. In a task. */
int weft_ready_begin(struct weft_ready *ready, int fd, short events);

/* Is it over? By an event, an error, or a closer. */
bool weft_ready_over(struct weft_ready *ready);

/* End it, over or not, and wait for that, deaf. The events that came; -ECANCELED: none; -EBADF when
 * weft_close ended it; or another error. */
int weft_ready_end(struct weft_ready *ready);

#endif
