/* SPDX-License-Identifier: MIT */
/*
 * blocking - weft_blocking: a task waits while a thread of the pool makes a call for it.
 *
 * The job lies on the waiting task's stack, and the task waits until the job has told it so,
 * whatever comes. What becomes pending for the task meanwhile it notes in the job, where
 * weft_cancelled() on the pool thread finds it; the task does so itself, because nobody else may
 * look at its scopes and at whom it runs in place of.
 *
 * BL1  the job: release store of done, after the last use of the job  ->  the waiter: acquire load.
 *      Weaker: the waiter returns an unfinished status, or takes the stack from under the job.
 * BL2  the waiter: release store of stop  ->  weft_cancelled: acquire load. Weaker: a job that is
 *      told to stop does not see what its canceller did before.
 */
#include <weft/blocking.h>

#include <errno.h>

#include "blocking/jobs.h"
#include "sched/submit.h"
#include "sched/wait.h"

struct call {
	struct weft_job job;
	weft_fn fn;
	void *arg;
	int status;
	_Atomic(uint32_t) stop; /* BL2 */
	_Atomic(uint32_t) done; /* BL1 */
	struct weft_parker *parker;
};

static void run(struct weft_job *job)
{
	struct call *call = weft_container_of(job, struct call, job);
	struct weft_parker *parker = call->parker;

	weft_work_begin(&call->stop);
	call->status = call->fn(call->arg);
	weft_work_begin(NULL);
	if (weft_in_forked_child())
		weft_forked_child_returned();
	weft_store_release(&call->done, 1); /* BL1; the call may be gone from here on */
	weft_unpark(parker);
}

static void wait_for(struct call *call)
{
	while (!weft_load_acquire(&call->done)) { /* BL1 */
		weft_park(WEFT_FOREVER);
		if (weft_pending_peek())
			weft_store_release(&call->stop, 1); /* BL2 */
	}
}

static int run_on_pool(const char *lane, unsigned max, weft_fn fn, void *arg)
{
	WEFT_CHECKPOINT_OF(checkpoint, "weft_blocking");
	struct weft_jobs *jobs = weft_jobs_current();
	struct call call = { .job.run = run, .fn = fn, .arg = arg };
	int rc;

	if (!jobs)
		return weft_no_task();
	rc = weft_checkpoint_enter(&checkpoint);
	if (rc < 0)
		return rc;
	call.parker = weft_parker_self();
	rc = weft_jobs_submit(jobs, lane, max, &call.job);
	if (rc < 0)
		return rc;
	wait_for(&call);
	return call.status;
}

int weft_blocking(weft_fn fn, void *arg)
{
	return fn ? run_on_pool(NULL, 0, fn, arg) : -EINVAL;
}

int weft_blocking_lane(const char *lane, unsigned max, weft_fn fn, void *arg)
{
	return fn && lane && *lane && max > 0 ? run_on_pool(lane, max, fn, arg) : -EINVAL;
}
