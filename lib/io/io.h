/* SPDX-License-Identifier: MIT */
/*
 * io - what lib/io keeps per runtime, and what its files share.
 *
 * Life:   initialised by the runtime before its workers start, finished after they have ended;
 *         every operation of the runtime is over by then.
 * Fields: the descriptor table guards itself (io/fd.h); the counters only ever grow, from any
 *         worker, and order nothing.
 */
#ifndef WEFT_LIB_IO_IO_H
#define WEFT_LIB_IO_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/atomic.h"
#include "base/list.h"
#include "base/spin.h"
#include "io/fd.h"
#include "io/op.h"
#include "sched/wait.h"

struct weft_ground;

struct weft_io {
	struct weft_fd_table fds;
	const struct weft_ground *ground; /* set before the first task */
	bool simulated; /* the calls that are no operations ask lib/sim too */
	_Atomic(uint64_t) connections; /* accepted by weft_serve */
	_Atomic(uint64_t)
		connections_failed; /* of these, whose function returned an error */
	_Atomic(uint64_t) signals; /* bits of those it has waited for (io/signal.c) */
	/* In a simulation, and its thread's alone: who waits for signals, those that it has unblocked for them,
	 * and the arrivals it has looked at. */
	struct weft_waitq signal_waiters;
	uint64_t signals_let_in;
	uint32_t arrivals_seen;
	struct weft_spin starved_lock;
	struct weft_list starved; /* receivers that wait for a buffer (io/pool.c), under the lock */
};

/* 0 or -errno. A zeroed weft_io may be finished too. */
int weft_io_init(struct weft_io *io);
void weft_io_finish(struct weft_io *io);

/* The runtime has stopped: signals that no other has waited for do what they did before. */
void weft_signals_release(struct weft_io *io);

/* In a simulation, which has no thread for it: signals that have arrived go to who waits for them; to how
 * many. Whether somebody does. */
unsigned weft_signals_look(struct weft_io *io);
bool weft_signals_awaited(const struct weft_io *io);

/*
 * The first line of an I/O call that makes no operation or several: its checkpoint. 0; a code
 * to be returned before any effect; -EPERM outside a task.
 */
int weft_io_enter(struct weft_checkpoint *checkpoint);

/* Count something that is done to fd at once; weft_fd_end(*entry) when it is. 0 or -errno. */
int weft_io_begin(int fd, struct weft_fd **entry);

/* weft_op_run without the checkpoint: it looks whether something is pending, but spends nothing and
 * does not yield. For the operations of a call that began with weft_io_enter. In a task. */
int64_t weft_op_run_again(struct weft_op *op);

/*
 * weft_op_run_again, but an -EAGAIN, which the kernel answers for an O_NONBLOCK descriptor, is
 * followed by a wait for those poll events and another attempt.
 */
int64_t weft_op_run_ready(struct weft_op *op, short events);
/* The same directly after weft_io_enter, which has looked: the first attempt does not look again. */
int64_t weft_op_run_ready_first(struct weft_op *op, short events);

/* Wait for those poll events: the events that came, or -errno. No checkpoint. */
int weft_op_poll(int fd, short events);

/* weft_connect and weft_close without their checkpoint. In a task. */
int weft_io_connect(int fd, const struct sockaddr *addr, socklen_t len);
int weft_io_close(int fd);

/* Wait that long: 0, or the code of a cancel or deadline. No checkpoint. */
int weft_io_nap(int64_t duration_ns);

/* fd is being closed: have those look who wait for a buffer to receive from it into. */
void weft_pool_wake(struct weft_io *io, int fd);

/* The largest transfer one operation is asked for; the kernel's own limit. */
#define WEFT_TRANSFER_MAX ((size_t)0x7ffff000)

static inline uint32_t weft_transfer_len(size_t n)
{
	return (uint32_t)(n < WEFT_TRANSFER_MAX ? n : WEFT_TRANSFER_MAX);
}

/* The op_flags of a poll for those events. */
static inline uint32_t weft_poll_mask(short events)
{
	uint32_t mask = (uint16_t)events;

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	mask <<= 16; /* the kernel's field is two halves */
#endif
	return mask;
}

static inline uint64_t weft_op_addr(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer;
}

#endif
