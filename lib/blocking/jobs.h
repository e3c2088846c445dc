/* SPDX-License-Identifier: MIT */
/*
 * jobs - threads that are allowed to block: the pool behind weft_blocking, behind names that have to
 * be looked up, and behind operations that no ring carries out. One pool per runtime.
 *
 * A job lies in its submitter's memory (usually a waiting task's stack) until its run function has
 * told whoever waits for it; the pool does not touch it after it has called run.
 *
 * Lanes bound how many jobs of one kind run at a time, so that one kind cannot take all threads:
 * those beyond the limit wait without one. A lane is there while it has jobs, and the first of them
 * says its limit. Jobs of one lane start in the order of their submission.
 *
 * Who: submit and take_back, any thread; create and destroy, the runtime.
 */
#ifndef WEFT_LIB_BLOCKING_JOBS_H
#define WEFT_LIB_BLOCKING_JOBS_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/base.h>

#include "base/list.h"

struct weft_jobs;
struct weft_lane;

struct weft_job {
	struct weft_node node;
	void (*run)(struct weft_job *job); /* on a pool thread, all signals but faults blocked */
	/* -- the pool's, under its lock -- */
	struct weft_lane *lane;
	enum weft_job_place { WEFT_JOB_TAKEN, WEFT_JOB_IN_LANE, WEFT_JOB_READY } place;
};

/* 0 or -ENOMEM. Starts no thread yet. max: threads at most, > 0. */
int weft_jobs_create(unsigned max, struct weft_jobs **out);

/* Queued jobs still run; waits until the threads have ended; frees the pool. Nothing may be submitted
 * any more. NULL is fine. */
void weft_jobs_destroy(struct weft_jobs *jobs);

/*
 * Queue a job. lane: a name, copied; NULL for the common lane, bounded by the pool's threads alone.
 * max: how many of the lane run at a time, > 0. 0; -ENOMEM; -EAGAIN when there is no thread and none
 * can be started (the limit on processes): the job was not queued. Where there are threads but no more
 * can be started, the job waits for one of them.
 */
int weft_jobs_submit(struct weft_jobs *jobs, const char *lane, unsigned max, struct weft_job *job);

/* Take a job back that has been submitted, and has not told that it ran. True: it will not run. */
bool weft_jobs_take_back(struct weft_jobs *jobs, struct weft_job *job);

/*
 * In a simulation there is one thread, and tasks do what those of the pool would. start: have weft_jobs_work
 * called, soon, where it may wait; 0 or -errno. Once, before anything is submitted.
 */
void weft_jobs_simulate(struct weft_jobs *jobs, int (*start)(struct weft_jobs *jobs));
/* What a thread does: jobs, until there are no more. */
void weft_jobs_work(struct weft_jobs *jobs);
/* How many such tasks were started, and ended. */
void weft_jobs_tasks(const struct weft_jobs *jobs, uint64_t *started, uint64_t *ended);

/* Threads there are now. */
unsigned weft_jobs_threads(const struct weft_jobs *jobs);

/* How long an idle thread stays. Tests shorten it before they start any. */
extern weft_ns weft_jobs_quiet;

#endif
