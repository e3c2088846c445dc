/* SPDX-License-Identifier: MIT */
/*
 * threads - in the place of each thread of the pool (blocking/jobs.c) a task of the simulated runtime, on a
 * stack of its own, so that what it runs may wait for locks, channels and tasks as on a thread. To the program
 * it is none: weft_self() is NULL there, no cancel reaches it, and calls that need a task give -EPERM.
 *
 * It begins after a while, with WEFT_SIM_LATENCY.
 */
#include <errno.h>
#include <stdlib.h>

#include "blocking/jobs.h"
#include "sched/frame.h"
#include "sched/task.h"
#include "sim/sim.h"

struct thread {
	struct weft_sim_event begin;
	struct weft_jobs *jobs;
	struct weft_task *task;
};

static int work(void *arg)
{
	struct thread *thread = arg;
	struct weft_jobs *jobs = thread->jobs;

	free(thread);
	weft_frame_become_plain();
	weft_jobs_work(jobs);
	return 0;
}

static void begin(struct weft_simulation *sim, struct weft_sim_event *event)
{
	(void)sim;
	weft_task_start_held(weft_container_of(event, struct thread, begin)->task);
}

int weft_sim_start_thread(struct weft_jobs *jobs)
{
	struct weft_simulation *sim = weft_sim_current();
	struct thread *thread = calloc(1, sizeof(*thread));
	weft_ns after;

	if (!thread)
		return -ENOMEM;
	thread->jobs = jobs;
	thread->begin.fire = begin;
	thread->task = weft_task_new_thread("weft_blocking\0(pool thread)", work, thread);
	if (!thread->task) {
		free(thread);
		return -ENOMEM;
	}
	after = weft_sim_latency(sim);
	if (after > 0)
		weft_sim_at(sim, &thread->begin, sim->now + after);
	else
		weft_task_start_held(thread->task);
	return 0;
}
