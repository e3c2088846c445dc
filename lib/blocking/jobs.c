/* SPDX-License-Identifier: MIT */
/*
 * jobs - the pool of threads that may block: lanes, hand-over, growing and shrinking.
 *
 * One mutex guards everything. Workers take it in submit, so it is held for a few pointers only, but for
 * the start of a thread, which happens at most max times until the pool is quiet again.
 *
 * A job is on its lane's list while the lane is at its limit, on the ready list while all threads
 * are busy, and nowhere once a thread has it. Each idle thread waits on a condition of its own and is
 * handed a job directly; the last to become idle is the first to be used, so that the others can
 * grow old and end. Hence: as long as ready has jobs, nobody is idle.
 *
 * A thread that ends joins the one that ended before it; destroy joins the last.
 *
 * In a forked child none of the threads exist and the mutex may be held for good: the public calls
 * return -EOWNERDEAD before they come here.
 */
#include "blocking/jobs.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/sys.h"

enum { LANE_BUCKETS = 64 };

struct weft_lane {
	struct weft_lane *next; /* in its bucket */
	struct weft_list waiting;
	unsigned max;
	unsigned active; /* ready or running, <= max */
	const char *name; /* in the same allocation; NULL: the common lane */
};

struct idle {
	struct weft_node node;
	pthread_cond_t wake;
	struct weft_job *job; /* handed over: no longer on the list of the idle */
};

struct weft_jobs {
	pthread_mutex_t lock;
	pthread_cond_t gone; /* no thread is left */
	pthread_condattr_t monotonic;
	struct weft_list ready;
	struct weft_list idle; /* the last to come first */
	struct weft_lane common;
	struct weft_lane *lanes[LANE_BUCKETS];
	unsigned max;
	_Atomic(unsigned) threads; /* written under lock */
	bool stopping;
	bool ended; /* last_ended is to be joined */
	pthread_t last_ended;
	int (*start)(struct weft_jobs *jobs); /* in a simulation; NULL: threads */
	_Atomic(uint64_t) tasks_started, tasks_ended; /* there; written under lock */
};

/* -- lanes ------------------------------------------------------------------------------------- */

static struct weft_lane **bucket_of(struct weft_jobs *jobs, const char *name)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return &jobs->lanes[hash % LANE_BUCKETS];
}

static struct weft_lane *find_or_add_lane(struct weft_jobs *jobs, const char *name, unsigned max)
{
	struct weft_lane **bucket, *lane;
	size_t length;

	if (!name)
		return &jobs->common;
	bucket = bucket_of(jobs, name);
	for (lane = *bucket; lane; lane = lane->next) {
		if (strcmp(lane->name, name) == 0)
			return lane;
	}
	length = strlen(name) + 1;
	lane = calloc(1, sizeof(*lane) + length);
	if (!lane)
		return NULL;
	lane->name = memcpy(lane + 1, name, length);
	lane->max = max;
	lane->next = *bucket;
	*bucket = lane;
	return lane;
}

static void remove_lane_without_jobs(struct weft_jobs *jobs, struct weft_lane *lane)
{
	struct weft_lane **link;

	if (lane->active > 0 || lane == &jobs->common)
		return;
	for (link = bucket_of(jobs, lane->name); *link != lane; link = &(*link)->next)
		;
	*link = lane->next;
	free(lane);
}

static void make_ready(struct weft_jobs *jobs, struct weft_job *job)
{
	job->place = WEFT_JOB_READY;
	weft_list_push_tail(&jobs->ready, &job->node);
}

/* A job of the lane has ended, or will not run: its place is free. */
static void leave_lane(struct weft_jobs *jobs, struct weft_lane *lane)
{
	struct weft_job *next = (struct weft_job *)weft_list_pop_head(&lane->waiting);

	if (next) {
		make_ready(jobs, next);
		return;
	}
	lane->active--;
	remove_lane_without_jobs(jobs, lane);
}

/* -- threads ----------------------------------------------------------------------------------- */

weft_ns weft_jobs_quiet = WEFT_SEC(5);

static struct timespec quiet_until(void)
{
	weft_ns until = weft_sys_clock() + weft_jobs_quiet;

	return (struct timespec){ until / WEFT_SEC(1), until % WEFT_SEC(1) };
}

/* Locked. The next job for this thread; NULL: end. */
static struct weft_job *next_job(struct weft_jobs *jobs)
{
	struct idle idle = { .job = (struct weft_job *)weft_list_pop_head(&jobs->ready) };
	struct timespec until;
	int rc = 0;

	if (idle.job || jobs->stopping || jobs->start)
		return idle.job;
	pthread_cond_init(&idle.wake, &jobs->monotonic);
	weft_list_push_head(&jobs->idle, &idle.node);
	until = quiet_until();
	while (!idle.job && !jobs->stopping && rc == 0)
		rc = pthread_cond_timedwait(&idle.wake, &jobs->lock, &until);
	if (!idle.job)
		weft_list_remove(&jobs->idle, &idle.node);
	pthread_cond_destroy(&idle.wake);
	return idle.job;
}

/* Locked; unlocks. Nothing of the pool is touched afterwards. */
static void end_thread(struct weft_jobs *jobs)
{
	pthread_t before = jobs->last_ended;
	bool join = jobs->ended;
	unsigned left = weft_load_relaxed(&jobs->threads) - 1;

	jobs->last_ended = pthread_self();
	jobs->ended = true;
	weft_store_relaxed(&jobs->threads, left);
	if (left == 0)
		pthread_cond_signal(&jobs->gone);
	pthread_mutex_unlock(&jobs->lock);
	if (join)
		pthread_join(before, NULL);
}

/* Locked, but not while a job runs. */
static void work(struct weft_jobs *jobs)
{
	struct weft_job *job;

	while ((job = next_job(jobs))) {
		struct weft_lane *lane = job->lane;

		job->place = WEFT_JOB_TAKEN;
		pthread_mutex_unlock(&jobs->lock);
		job->run(job);
		pthread_mutex_lock(&jobs->lock);
		leave_lane(jobs, lane);
	}
}

static void *thread_main(void *arg)
{
	struct weft_jobs *jobs = arg;

	pthread_setname_np(pthread_self(), "weft-pool");
	pthread_mutex_lock(&jobs->lock);
	work(jobs);
	end_thread(jobs);
	return NULL;
}

void weft_jobs_work(struct weft_jobs *jobs)
{
	pthread_mutex_lock(&jobs->lock);
	work(jobs);
	weft_add_relaxed(&jobs->tasks_ended, 1);
	weft_store_relaxed(&jobs->threads, weft_load_relaxed(&jobs->threads) - 1);
	pthread_mutex_unlock(&jobs->lock);
}

/*
 * Signals are for the program's own threads, so none but those that a job brings on itself is let
 * in; the mask is inherited, so that there is no moment without it.
 */
static void block_signals(sigset_t *before)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigdelset(&set, faults[i]);
	pthread_sigmask(SIG_SETMASK, &set, before);
}

static int start_real_thread(struct weft_jobs *jobs)
{
	pthread_t thread;
	sigset_t before;
	int rc;

	block_signals(&before);
	rc = pthread_create(&thread, NULL, thread_main, jobs);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -rc;
}

/* Locked. False: no further thread can be started. */
static bool start_thread(struct weft_jobs *jobs)
{
	unsigned threads = weft_load_relaxed(&jobs->threads);
	int rc;

	if (threads == jobs->max)
		return false;
	rc = jobs->start ? jobs->start(jobs) : start_real_thread(jobs);
	if (rc < 0)
		return false;
	weft_store_relaxed(&jobs->threads, threads + 1);
	if (jobs->start)
		weft_add_relaxed(&jobs->tasks_started, 1);
	return true;
}

/* -- the interface ----------------------------------------------------------------------------- */

/* Locked. Its place in the lane is taken: to an idle thread, a new one, or the next to be free. */
static int find_thread(struct weft_jobs *jobs, struct weft_job *job)
{
	struct idle *idle = (struct idle *)weft_list_pop_head(&jobs->idle);

	if (idle) {
		idle->job = job;
		job->place = WEFT_JOB_TAKEN;
		pthread_cond_signal(&idle->wake);
		return 0;
	}
	if (start_thread(jobs) || weft_load_relaxed(&jobs->threads) > 0) {
		make_ready(jobs, job);
		return 0;
	}
	leave_lane(jobs, job->lane);
	return -EAGAIN;
}

static int submit(struct weft_jobs *jobs, const char *name, unsigned max, struct weft_job *job)
{
	struct weft_lane *lane = find_or_add_lane(jobs, name, max);

	if (!lane)
		return -ENOMEM;
	WEFT_ASSERT(!jobs->stopping);
	job->lane = lane;
	if (lane->active == lane->max) {
		job->place = WEFT_JOB_IN_LANE;
		weft_list_push_tail(&lane->waiting, &job->node);
		return 0;
	}
	lane->active++;
	return find_thread(jobs, job);
}

int weft_jobs_submit(struct weft_jobs *jobs, const char *lane, unsigned max, struct weft_job *job)
{
	int rc;

	pthread_mutex_lock(&jobs->lock);
	rc = submit(jobs, lane, max, job);
	pthread_mutex_unlock(&jobs->lock);
	return rc;
}

/* Locked. */
static void take_back(struct weft_jobs *jobs, struct weft_job *job)
{
	if (job->place == WEFT_JOB_IN_LANE) {
		weft_list_remove(&job->lane->waiting, &job->node);
		return;
	}
	weft_list_remove(&jobs->ready, &job->node);
	leave_lane(jobs, job->lane);
}

bool weft_jobs_take_back(struct weft_jobs *jobs, struct weft_job *job)
{
	bool queued;

	pthread_mutex_lock(&jobs->lock);
	queued = job->place != WEFT_JOB_TAKEN;
	if (queued)
		take_back(jobs, job);
	job->place = WEFT_JOB_TAKEN;
	pthread_mutex_unlock(&jobs->lock);
	return queued;
}

unsigned weft_jobs_threads(const struct weft_jobs *jobs)
{
	return weft_load_relaxed(&((struct weft_jobs *)jobs)->threads);
}

void weft_jobs_simulate(struct weft_jobs *jobs, int (*start)(struct weft_jobs *jobs))
{
	jobs->start = start;
}

void weft_jobs_tasks(const struct weft_jobs *jobs, uint64_t *started, uint64_t *ended)
{
	*started = weft_load_relaxed(&((struct weft_jobs *)jobs)->tasks_started);
	*ended = weft_load_relaxed(&((struct weft_jobs *)jobs)->tasks_ended);
}

int weft_jobs_create(unsigned max, struct weft_jobs **out)
{
	struct weft_jobs *jobs = calloc(1, sizeof(*jobs));

	if (!jobs)
		return -ENOMEM;
	pthread_mutex_init(&jobs->lock, NULL);
	pthread_cond_init(&jobs->gone, NULL);
	pthread_condattr_init(&jobs->monotonic);
	pthread_condattr_setclock(&jobs->monotonic, CLOCK_MONOTONIC);
	jobs->common.max = UINT_MAX;
	jobs->max = max;
	*out = jobs;
	return 0;
}

void weft_jobs_destroy(struct weft_jobs *jobs)
{
	if (!jobs)
		return;
	pthread_mutex_lock(&jobs->lock);
	jobs->stopping = true;
	for (struct weft_node *node = jobs->idle.head; node; node = node->next)
		pthread_cond_signal(&((struct idle *)node)->wake);
	while (weft_load_relaxed(&jobs->threads) > 0)
		pthread_cond_wait(&jobs->gone, &jobs->lock);
	pthread_mutex_unlock(&jobs->lock);
	if (jobs->ended)
		pthread_join(jobs->last_ended, NULL);
	WEFT_ASSERT(!jobs->ready.head && jobs->common.active == 0);
	pthread_condattr_destroy(&jobs->monotonic);
	pthread_cond_destroy(&jobs->gone);
	pthread_mutex_destroy(&jobs->lock);
	free(jobs);
}
