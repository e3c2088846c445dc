/* SPDX-License-Identifier: MIT */
/*
 * watch - the descriptors of one worker's epoll set: what is registered, what is known of their
 * readiness, and which operations wait for them. Used by io/epoll.c alone.
 *
 * A descriptor is registered once, for both directions and edge-triggered, when an operation first
 * has to wait for it, and stays so. Hence two things may go out of date:
 *  - the number is closed and used again. weft_close and weft_fd_opened make every worker that
 *    watches it forget the old one. After a plain close, and reuse by a socket weft has not heard
 *    of, the first operation that waits long is verified (io/epoll.c).
 *  - nobody on this worker uses it any more, because its task has moved. Its second event in a row
 *    for nobody takes it out.
 *
 * Life:  entries lie in segments that double in size, as in io/fd.h, and are freed with the table.
 * added: set by the worker's owner, cleared by it or by forget, on any thread: then nothing is in flight on
 *        the descriptor, and nothing can be (FD1).
 * Everything else is the owner's.
 *
 * WA1  owner: set the worker's bit in the descriptor's watchers, then end the operation (FD3)  ->
 *      closer: in FINAL, take watchers. Weaker: the next owner of the number waits for an old file.
 */
#ifndef WEFT_LIB_IO_WATCH_H
#define WEFT_LIB_IO_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/list.h"
#include "io/fd.h"

enum weft_fd_watch_ready { WEFT_READY_IN = 1, WEFT_READY_OUT = 2 };

struct weft_fd_watch {
	struct weft_list waiting; /* operations, the first to come first */
	_Atomic(uint8_t) added;
	uint8_t ready;    /* directions worth an attempt, if added */
	uint8_t unwanted; /* events in a row nobody waited for */
	bool drains;      /* a short receive has taken everything */
};

struct weft_fd_watches {
	int epoll_fd;
	_Atomic(struct weft_fd_watch *) segment[WEFT_FD_SEGMENTS];
};

/* 0 or -errno. close frees the entries too. */
int weft_fd_watches_open(struct weft_fd_watches *watches);
void weft_fd_watches_close(struct weft_fd_watches *watches);

/* Make the entries of which fd is one. NULL: out of memory. */
struct weft_fd_watch *weft_fd_watch_make(struct weft_fd_watches *watches, int fd);

/* The entry of a descriptor >= 0; NULL: nothing of such a number has been watched. */
static inline struct weft_fd_watch *weft_fd_watch_find(const struct weft_fd_watches *watches, int fd)
{
	unsigned segment = weft_fd_segment_of(fd);
	struct weft_fd_watch *entries = weft_load_acquire(
		&((struct weft_fd_watches *)watches)->segment[segment]);

	return entries ? &entries[(size_t)fd - weft_fd_segment_start(segment)] : NULL;
}

/* The same, but makes it. NULL: out of memory. */
static inline struct weft_fd_watch *weft_fd_watch_get(struct weft_fd_watches *watches, int fd)
{
	struct weft_fd_watch *watch = weft_fd_watch_find(watches, fd);

	return weft_likely(watch != NULL) ? watch : weft_fd_watch_make(watches, fd);
}

/* 1: it has just been registered, so its present readiness is going to be reported. 0: it was, as
 * far as is known. -EPERM: it cannot be waited for, a file; or another error. */
int weft_fd_watch_add(struct weft_fd_watches *watches, struct weft_fd_watch *watch, int fd);
/* Have its present readiness reported, whatever was known. 1 or -errno, likewise. */
int weft_fd_watch_verify(struct weft_fd_watches *watches, struct weft_fd_watch *watch, int fd);
void weft_fd_watch_remove(struct weft_fd_watches *watches, struct weft_fd_watch *watch, int fd);
/* The number is about to be closed, or has a new owner. Any thread; see above. */
void weft_fd_watch_forget(struct weft_fd_watches *watches, int fd);

#endif
