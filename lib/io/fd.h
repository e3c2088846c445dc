/* SPDX-License-Identifier: MIT */
/*
 * fd - one word per descriptor: how many operations are in flight, on which rings, and whether
 * it is being closed. It makes weft_close exact: operations are counted when they begin and
 * uncounted by the task that waited for them, so the closer knows when the last one is over.
 * Called by io/op.c (begin, end), io/close.c, and whoever gets a descriptor from the kernel
 * (weft_fd_opened).
 *
 * One table per runtime: operations of other runtimes on the same descriptor are their own
 * weft_close's business.
 *
 *	OPEN    --close_begin, operations in flight-->   CLOSING  begin: -EBADF
 *	CLOSING --close_wait, the last one has ended-->  FINAL    begin: -EAGAIN
 *	OPEN    --close_begin, nothing in flight-->      FINAL
 *	FINAL   --close_end, or weft_fd_opened-->        OPEN, next generation
 *
 * In FINAL the closer is inside the kernel's close. There the number becomes free before the
 * closer hears of it, so whoever uses it then may be its next owner: it waits (-EAGAIN), or, if
 * weft itself got the number from the kernel, weft_fd_opened makes it OPEN at once. Who waited is
 * let in to the next generation only: in a later one its own descriptor has been closed meanwhile,
 * and the number is somebody else's.
 *
 * Life:   entries lie in segments that double in size and are freed with the table.
 * word:   every change is one compare-and-swap, by any thread.
 * closer: written by the closer in CLOSING, read by who ends the last operation. Parkers are
 *         type-stable, so a late wake is at worst one spurious return.
 * Bound:  2^32 operations on one descriptor; any number of descriptors.
 *
 * FD1  begin: compare-and-swap count + 1  <->  close_begin: compare-and-swap to CLOSING
 *      Same word: an operation is counted before CLOSING, and waited for, or refused.
 * FD2  begin, submit, then load CLOSING  <->  set CLOSING, then cancel_fd on the ring
 *      The ring's owner does one before the other: it finds the operation and cancels it, or
 *      the operation's task sees CLOSING and cancels it itself. Weaker: it is never ended and
 *      weft_close waits for good. (io/op.c, io/close.c)
 * FD3  end: compare-and-swap count - 1, then load closer  <->  store closer, then load word
 *      seq_cst on all four: at least one sees the other. Weaker: the closer sleeps for good.
 * FD4  close_end: compare-and-swap of FINAL with its generation  <->  weft_fd_opened: generation + 1
 *      The closer never clears the state of the number's next owner.
 * FD5  new segment: release in the compare-and-swap of its pointer  ->  find: acquire load
 *      Weaker: words are read before they are zeroed.
 */
#ifndef WEFT_LIB_IO_FD_H
#define WEFT_LIB_IO_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

struct weft_parker;

enum {
	WEFT_FD_SEGMENT_SHIFT = 10, /* the first segment holds descriptors 0 to 1023 */
	WEFT_FD_SEGMENTS = 32 - WEFT_FD_SEGMENT_SHIFT,
	WEFT_FD_RINGS = 16, /* bits of the ring mask: worker number modulo this */
	WEFT_FD_WATCHERS = 32, /* likewise of watchers */
};

struct weft_fd {
	_Atomic(uint64_t) word;
	_Atomic(struct weft_parker *) closer;
	_Atomic(uint32_t) watchers; /* bits of workers that watch it (io/watch.h) */
	_Atomic(uint32_t) kind; /* what reads of it are like, see io/at_once.h */
};

struct weft_fd_table {
	_Atomic(struct weft_fd *) segment[WEFT_FD_SEGMENTS];
};

static inline unsigned weft_fd_segment_of(int fd)
{
	unsigned block = (unsigned)fd >> WEFT_FD_SEGMENT_SHIFT;

	return block ? 32 - (unsigned)__builtin_clz(block) : 0;
}

/* Segment 0 begins at 0; segment k > 0 begins where all before it end, and is as long. */
static inline size_t weft_fd_segment_start(unsigned segment)
{
	return segment ? (size_t)1 << (WEFT_FD_SEGMENT_SHIFT + segment - 1) : 0;
}

static inline size_t weft_fd_segment_length(unsigned segment)
{
	return segment ? weft_fd_segment_start(segment) : (size_t)1 << WEFT_FD_SEGMENT_SHIFT;
}

/* A zeroed table is ready. Nothing may be in flight. */
void weft_fd_table_finish(struct weft_fd_table *table);

/* The entry of a descriptor >= 0; NULL: nobody has used one so large. */
struct weft_fd *weft_fd_find(struct weft_fd_table *table, int fd);
/* The same, but makes the entry. -EBADF when fd is not open and has no entry yet; -ENOMEM. */
int weft_fd_get(struct weft_fd_table *table, int fd, struct weft_fd **entry);

/* For one caller that tries again after -EAGAIN; zero before the first attempt. */
struct weft_fd_turn {
	uint64_t generation; /* the one it may enter, if waited */
	bool waited;
};

/* Count an operation that goes to this worker's ring. 0; -EBADF, -EAGAIN: see above. */
int weft_fd_begin(struct weft_fd *entry, unsigned worker, struct weft_fd_turn *turn);
/* Counted on it: which owner of the number this is, for a turn that lets nobody but it in. */
uint64_t weft_fd_generation(struct weft_fd *entry);
/* Is it being closed? True also tells that it was so before the caller's operation ends. */
bool weft_fd_closing(struct weft_fd *entry);
/* The operation is over: was it being closed? */
bool weft_fd_end(struct weft_fd *entry);

/*
 * One closer's steps. begin: 0, -EBADF (somebody else is closing it), or -EAGAIN (FINAL: try
 * later). *ticket names this closing; rings_out: where operations are in flight, 0 for none.
 */
int weft_fd_close_begin(struct weft_fd *entry, struct weft_fd_turn *turn, uint64_t *ticket,
	unsigned *rings_out);
/* Wait until the last operation has ended and go to FINAL. From a task, deaf to cancels. 0, or
 * -EBADF when the number got a new owner meanwhile (a plain close behind our back). */
int weft_fd_close_wait(struct weft_fd *entry, uint64_t ticket);
void weft_fd_close_end(struct weft_fd *entry, uint64_t ticket);

/* The number has a new owner: whatever closing was under way is over. */
void weft_fd_reset(struct weft_fd *entry);

#endif
