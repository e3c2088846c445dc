/* SPDX-License-Identifier: MIT */
/*
 * jobs - threads that are allowed to block: the pool behind weft_blocking, behind names that have to
 * be looked up, and behind operations that no ring carries out. One pool per runtime.
 *
 * A job lies in its submitter's memory (usually a waiting task's stack) until its run function has
 * told whoever waits for it; the pool does not touch it after it has called run.
 *
 * Lanes bound how many jobs of one kind run at a time, so that one kind cannot take all threads.
 * Jobs of one lane start in the order of their submission.
 *
 * Who: submit and cancel, any thread; create and stop, the runtime.
 */
#ifndef WEFT_LIB_BLOCKING_JOBS_H
#define WEFT_LIB_BLOCKING_JOBS_H

#include <stdbool.h>

#include <weft/base.h>

#include "base/list.h"

struct weft_jobs;
struct weft_lane;

struct weft_job {
	struct weft_node node;
	void (*run)(struct weft_job *job); /* on a pool thread */
	struct weft_lane *lane;            /* the pool's; NULL: not queued */
};

/* 0 or -ENOMEM. Starts no thread yet. max: threads at most, > 0. */
int weft_jobs_create(unsigned max, struct weft_jobs **out);

/* Queued jobs still run; the threads end; frees the pool. Nothing may be submitted any more. NULL is
 * fine. */
void weft_jobs_destroy(struct weft_jobs *jobs);

/*
 * Queue a job. lane: a name, NULL for the common lane, bounded by the pool's threads alone. max: how
 * many of the lane run at a time; the lane's first user decides. 0; -ENOMEM; -EAGAIN when there is no
 * thread and none can be started (the limit on processes): the job was not queued.
 */
int weft_jobs_submit(struct weft_jobs *jobs, const char *lane, unsigned max, struct weft_job *job);

/* Take a job back that has not started. True: it will not run. */
bool weft_jobs_take_back(struct weft_jobs *jobs, struct weft_job *job);

/* Threads there are now. */
unsigned weft_jobs_threads(const struct weft_jobs *jobs);

#endif
