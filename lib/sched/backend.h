/* SPDX-License-Identifier: MIT */
/*
 * backend - one I/O operation in flight, and the contract between a worker and what carries its
 * operations out (io_uring, epoll). The engine knows operations by this header alone; io/op.h
 * adds what the I/O calls need.
 *
 * Life of an operation: it lies on its caller's stack, is queued on the ring of the worker the
 * caller runs on (tasks migrate, operations do not), and stays until the backend's last
 * completion has stored the result, set done and unparked the caller.
 */
#ifndef WEFT_LIB_SCHED_BACKEND_H
#define WEFT_LIB_SCHED_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

struct weft_checkpoint;
struct weft_parker;
struct weft_runtime;
struct weft_stack;
struct weft_task;
struct weft_worker;

/* Numbered as IORING_OP_* where such an operation exists: the uring backend uses it as it is. */
struct weft_op {
	uint8_t code;
	uint8_t sqe_flags;
	uint16_t ioprio;
	int32_t fd;
	uint64_t off; /* the entry's off / addr2 */
	uint64_t addr;
	uint32_t len;
	uint32_t op_flags; /* msg_flags, open_flags, poll events, fsync flags ... */
	/* -- filled in by weft_op_run and the backend -- */
	int32_t result;          /* of the final completion */
	_Atomic(uint32_t) done;  /* OP1: release by the reaper, acquire by the waiter */
	uint32_t slot;           /* the backend's table */
	uint16_t cancel_sent;
	uint8_t starts_now;      /* not with the next batch: a disk is to begin with it */
	uint8_t ends_now;        /* starts now, and often ends in that: look for its end before waiting */
	struct weft_parker *parker;
	struct weft_worker *home; /* whose ring */
};

/*
 * The backend of one worker. open runs on the worker's thread before its loop; close after its loop,
 * with nothing in flight (it drains). submit, cancel, flush, poll are called by whoever owns the
 * worker at that moment: its thread inside the runtime, or the monitor that has claimed it.
 */
enum weft_backend_flag {
	WEFT_BACKEND_ONE_THREAD = 1, /* nobody but the thread that opens it will ever drive it */
};

/*
 * Where something else than the engine decides what runs next (lib/sim). Called inside the runtime, by the
 * worker's own thread; there is one worker then.
 */
struct weft_schedule {
	/* The task on top of the stack comes to a checkpoint; before it looks whether something is pending. */
	void (*checkpoint)(
		void *state, struct weft_stack *stack, const struct weft_checkpoint *checkpoint);
	/* Its budget, 1, is spent: does the stack step back, to be chosen again? */
	bool (*steps_back)(void *state, struct weft_stack *stack);
	/* What runs next, taken off the worker's queue: a stack; or NULL, with a task in worker->handed, or
	 * with nothing there that could run. */
	struct weft_stack *(*next)(void *state, struct weft_worker *worker);
	/* May its owner run the task in place now? */
	bool (*in_place)(void *state, struct weft_task *task);
	/* A random number of the seed's. */
	uint64_t (*random)(void *state);
	/* Nothing can run: let time pass, or find that there is nothing to wait for. */
	void (*idle)(void *state, struct weft_worker *worker);
};

struct weft_backend {
	const char *name;
	size_t size; /* bytes of per-worker state, zeroed by the worker */
	int (*open)(void *state, unsigned entries, unsigned flags);
	void (*close)(void *state);
	/* Queue the operation; 0, or -EBUSY/-ENOMEM when it could not even be queued after a flush. */
	int (*submit)(void *state, struct weft_op *op);
	/* Ask for op to end early; its own completion decides. Harmless if it has completed. */
	int (*cancel)(void *state, struct weft_op *op);
	/* End every operation on fd queued or in flight on this ring. */
	int (*cancel_fd)(void *state, int fd);
	/* The number is about to be closed, or has a new owner; nothing is in flight on it. Any thread.
	 * NULL: the backend remembers nothing. */
	void (*forget_fd)(void *state, int fd);
	/* Hand queued entries to the kernel; never blocks. */
	void (*flush)(void *state);
	/* Reap what has completed, without entering the kernel unless completions wait for it; returns
	 * how many completions were delivered. */
	unsigned (*reap)(void *state);
	/* Flush and sleep until a completion, weft_backend.wake, or wait_ns passed (< 0: no bound, 0:
	 * enter the kernel but do not sleep); does not reap. */
	void (*wait)(void *state, int64_t wait_ns);
	/* End that sleep, or the next one. Any thread. */
	void (*wake)(void *state);
	/* A completion is waiting, or queued entries were not flushed: something for reap or flush. For
	 * the owner; it may take a look, and keep what it sees for reap. */
	int (*has_work)(void *state);
	unsigned (*in_flight)(const void *state);
	/* The runtime's clock; NULL: CLOCK_MONOTONIC. */
	int64_t (*clock)(void *state);
	/* NULL: the engine decides what runs next. */
	const struct weft_schedule *schedule;
};

#endif
