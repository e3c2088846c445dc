/* SPDX-License-Identifier: MIT */
/*
 * submit - how I/O calls reach the rings: the scheduler's side of lib/io.
 */
#ifndef WEFT_LIB_SCHED_SUBMIT_H
#define WEFT_LIB_SCHED_SUBMIT_H

#include "sched/backend.h"

struct weft_io;
struct weft_jobs;
struct weft_runtime;

/* Queue op on the current worker's ring and make it op->home. From a task. 0 or -errno: then the
 * operation never began. */
int weft_io_submit(struct weft_op *op);

/* Ask for op to end early, on whichever ring it is. From a task; waits until the ring's owner has
 * handed the request on, deaf to cancels. */
void weft_io_cancel(struct weft_op *op);

/* End every operation on fd of that worker's ring, likewise. */
int weft_worker_mail_cancel_fd(struct weft_runtime *runtime, unsigned worker, int fd);

/* Make that worker's backend forget what it knows of fd (backend.h). From a task. */
void weft_io_forget_fd(unsigned worker, int fd);

/* The current runtime's I/O state, NULL outside a task. */
struct weft_io *weft_io_current(void);
/* The current runtime's blocking pool (blocking/jobs.h), NULL outside a task. */
struct weft_jobs *weft_jobs_current(void);
/* The current worker's number, for the ring masks of descriptors. From a task. */
unsigned weft_io_worker(void);
/* How many workers, hence rings, the current runtime has. From a task. */
unsigned weft_io_workers(void);

#endif
