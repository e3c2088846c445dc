/* SPDX-License-Identifier: MIT */
/*
 * test_jobs - the pool of threads that may block: when it grows and shrinks, in which order and how
 * many at a time jobs run, and what is left when it is destroyed.
 */
#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/sys.h"
#include "blocking/jobs.h"

#if defined(WEFT_ASAN) || defined(WEFT_TSAN)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

TestSuite(jobs, .timeout = 30);

/* A job that says when it runs, and ends when it is let go. */
struct gate {
	struct weft_job job;
	sem_t begun, go, done;
	int order; /* which of all it was to begin */
};

static _Atomic(int) begun_count, running, running_most;

static void pass(struct weft_job *job)
{
	struct gate *gate = (struct gate *)job;
	int now = weft_add_seq_cst(&running, 1) + 1, most = weft_load_seq_cst(&running_most);

	while (now > most && !weft_cas_seq_cst(&running_most, &most, now))
		;
	gate->order = weft_add_seq_cst(&begun_count, 1);
	sem_post(&gate->begun);
	sem_wait(&gate->go);
	weft_sub_seq_cst(&running, 1);
	sem_post(&gate->done);
}

static struct gate *new_gate(struct gate *gate)
{
	gate->job.run = pass;
	sem_init(&gate->begun, 0, 0);
	sem_init(&gate->go, 0, 0);
	sem_init(&gate->done, 0, 0);
	return gate;
}

static int submit(struct weft_jobs *jobs, const char *lane, unsigned max, struct gate *gate)
{
	return weft_jobs_submit(jobs, lane, max, &new_gate(gate)->job);
}

static void let_go(struct gate *gate)
{
	sem_post(&gate->go);
	sem_wait(&gate->done);
}

static struct weft_jobs *new_pool(unsigned max)
{
	struct weft_jobs *jobs;

	cr_assert_eq(weft_jobs_create(max, &jobs), 0);
	return jobs;
}

Test(jobs, a_pool_nobody_uses_has_no_thread)
{
	struct weft_jobs *jobs = new_pool(4);

	cr_assert_eq(weft_jobs_threads(jobs), 0);
	weft_jobs_destroy(jobs);
}

Test(jobs, destroying_no_pool_is_fine)
{
	weft_jobs_destroy(NULL);
}

Test(jobs, a_job_that_finds_nobody_idle_gets_a_thread_of_its_own)
{
	struct weft_jobs *jobs = new_pool(4);
	struct gate gate[4];

	for (unsigned i = 0; i < 4; i++)
		cr_assert_eq(submit(jobs, NULL, 0, &gate[i]), 0);
	for (unsigned i = 0; i < 4; i++)
		sem_wait(&gate[i].begun); /* all at the same time */
	cr_assert_eq(weft_jobs_threads(jobs), 4);
	for (unsigned i = 0; i < 4; i++)
		let_go(&gate[i]);
	weft_jobs_destroy(jobs);
}

Test(jobs, an_idle_thread_is_used_before_another_is_started)
{
	struct weft_jobs *jobs = new_pool(4);
	struct gate gate;

	for (int i = 0; i < 20; i++) {
		cr_assert_eq(submit(jobs, NULL, 0, &gate), 0);
		let_go(&gate);
		usleep(1000); /* done is posted a moment before the thread is idle */
	}
	cr_assert_leq(weft_jobs_threads(jobs), 2);
	weft_jobs_destroy(jobs);
}

Test(jobs, beyond_the_limit_jobs_wait_and_begin_in_order)
{
	struct weft_jobs *jobs = new_pool(1);
	struct gate gate[8];

	weft_store_relaxed(&begun_count, 0);
	for (int i = 0; i < 8; i++)
		cr_assert_eq(submit(jobs, NULL, 0, &gate[i]), 0);
	for (int i = 0; i < 8; i++) {
		sem_wait(&gate[i].begun);
		cr_assert_eq(weft_jobs_threads(jobs), 1);
		let_go(&gate[i]);
		cr_assert_eq(gate[i].order, i);
	}
	weft_jobs_destroy(jobs);
}

Test(jobs, a_thread_that_stays_idle_ends)
{
	struct weft_jobs *jobs = new_pool(8);
	struct gate gate[8];

	weft_jobs_quiet = WEFT_MS(20);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 8; i++)
			cr_assert_eq(submit(jobs, NULL, 0, &gate[i]), 0);
		for (int i = 0; i < 8; i++)
			sem_wait(&gate[i].begun);
		cr_assert_eq(weft_jobs_threads(jobs), 8);
		for (int i = 0; i < 8; i++)
			let_go(&gate[i]);
		while (weft_jobs_threads(jobs) > 0) /* and it grows again from nothing */
			usleep(1000);
	}
	weft_jobs_destroy(jobs);
}

Test(jobs, a_thread_in_use_stays_while_the_others_end)
{
	struct weft_jobs *jobs = new_pool(8);
	struct gate gate[8], again;

	weft_jobs_quiet = WEFT_MS(200);
	for (int i = 0; i < 8; i++)
		cr_assert_eq(submit(jobs, NULL, 0, &gate[i]), 0);
	for (int i = 0; i < 8; i++)
		let_go(&gate[i]);
	while (weft_jobs_threads(jobs) > 1) {
		cr_assert_eq(submit(jobs, NULL, 0, &again), 0);
		let_go(&again);
		usleep(5000);
	}
	weft_jobs_destroy(jobs);
}

Test(jobs, a_lane_runs_no_more_than_its_limit_and_takes_no_thread_for_the_rest)
{
	struct weft_jobs *jobs = new_pool(16);
	struct gate gate[10], other;

	weft_store_relaxed(&running_most, 0);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(submit(jobs, "lane", 2, &gate[i]), 0);
	sem_wait(&gate[0].begun);
	sem_wait(&gate[1].begun);
	cr_assert_eq(weft_jobs_threads(jobs), 2);
	cr_assert_eq(submit(jobs, "other", 1, &other), 0);
	sem_wait(&other.begun); /* though eight wait in the first lane */
	let_go(&other);
	for (int i = 0; i < 10; i++)
		let_go(&gate[i]);
	cr_assert_leq(weft_load_relaxed(&running_most), 3);
	weft_jobs_destroy(jobs);
}

Test(jobs, jobs_of_a_lane_begin_in_order)
{
	struct weft_jobs *jobs = new_pool(4);
	struct gate gate[8];

	weft_store_relaxed(&begun_count, 0);
	for (int i = 0; i < 8; i++)
		cr_assert_eq(submit(jobs, "one at a time", 1, &gate[i]), 0);
	for (int i = 0; i < 8; i++) {
		let_go(&gate[i]);
		cr_assert_eq(gate[i].order, i);
	}
	weft_jobs_destroy(jobs);
}

Test(jobs, a_full_lane_does_not_hold_up_a_lane_with_room)
{
	struct weft_jobs *jobs = new_pool(2);
	struct gate slow[3], quick[3];

	for (int i = 0; i < 3; i++)
		cr_assert_eq(submit(jobs, "slow", 1, &slow[i]), 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(submit(jobs, "quick", 1, &quick[i]), 0);
	for (int i = 0; i < 3; i++)
		let_go(&quick[i]);
	for (int i = 0; i < 3; i++)
		let_go(&slow[i]);
	weft_jobs_destroy(jobs);
}

Test(jobs, the_first_job_of_an_empty_lane_says_its_limit)
{
	struct weft_jobs *jobs = new_pool(8);
	struct gate gate[4];

	for (int i = 0; i < 2; i++)
		cr_assert_eq(submit(jobs, "lane", i ? 4 : 1, &gate[i]), 0);
	sem_wait(&gate[0].begun);
	cr_assert_neq(sem_trywait(&gate[1].begun), 0);
	let_go(&gate[0]);
	let_go(&gate[1]);
	weft_jobs_destroy(jobs);

	jobs = new_pool(8);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(submit(jobs, "lane", 4, &gate[i]), 0);
	for (int i = 0; i < 4; i++)
		sem_wait(&gate[i].begun);
	for (int i = 0; i < 4; i++)
		let_go(&gate[i]);
	weft_jobs_destroy(jobs);
}

Test(jobs, there_may_be_many_lanes)
{
	enum { LANES = 1000 };
	struct weft_jobs *jobs = new_pool(2);
	static struct gate gate[LANES];
	char name[16];

	for (int i = 0; i < LANES; i++) {
		snprintf(name, sizeof(name), "lane %d", i);
		cr_assert_eq(submit(jobs, name, 1, &gate[i]), 0);
		sem_post(&gate[i].go);
	}
	for (int i = 0; i < LANES; i++)
		sem_wait(&gate[i].done);
	weft_jobs_destroy(jobs);
}

Test(jobs, a_job_that_waits_can_be_taken_back)
{
	struct weft_jobs *jobs = new_pool(1);
	struct gate first, second, third;

	cr_assert_eq(submit(jobs, NULL, 0, &first), 0);
	sem_wait(&first.begun);
	cr_assert_eq(submit(jobs, NULL, 0, &second), 0);
	cr_assert_eq(submit(jobs, NULL, 0, &third), 0);
	cr_assert(weft_jobs_take_back(jobs, &second.job));
	cr_assert(!weft_jobs_take_back(jobs, &second.job), "it is back already");
	cr_assert(!weft_jobs_take_back(jobs, &first.job), "it runs");
	let_go(&first);
	let_go(&third);
	weft_jobs_destroy(jobs);
	cr_assert_neq(sem_trywait(&second.begun), 0);
}

Test(jobs, a_job_taken_back_gives_its_place_in_the_lane_away)
{
	struct weft_jobs *jobs = new_pool(1);
	struct gate first, second, third, fourth;

	cr_assert_eq(submit(jobs, NULL, 0, &first), 0);
	cr_assert_eq(submit(jobs, "lane", 1, &second), 0); /* waits for a thread */
	cr_assert_eq(submit(jobs, "lane", 1, &third), 0);  /* and these for the lane */
	cr_assert_eq(submit(jobs, "lane", 1, &fourth), 0);
	cr_assert(weft_jobs_take_back(jobs, &third.job));
	cr_assert(weft_jobs_take_back(jobs, &second.job));
	let_go(&first);
	let_go(&fourth);
	weft_jobs_destroy(jobs);
}

Test(jobs, destroy_waits_for_what_is_queued)
{
	struct weft_jobs *jobs = new_pool(2);
	struct gate gate[20];

	for (int i = 0; i < 20; i++) {
		cr_assert_eq(submit(jobs, i % 2 ? "lane" : NULL, 1, &gate[i]), 0);
		sem_post(&gate[i].go);
	}
	weft_jobs_destroy(jobs);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(sem_trywait(&gate[i].done), 0);
}

static int threads_of_process(void)
{
	DIR *directory = opendir("/proc/self/task");
	int count = 0;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count - 2;
}

Test(jobs, no_thread_is_left_behind)
{
	struct weft_jobs *jobs = new_pool(16);
	struct gate gate[16];

	weft_jobs_quiet = WEFT_MS(1);
	cr_assert_eq(submit(jobs, NULL, 0, &gate[0]), 0);
	sem_wait(&gate[0].begun);
	int most = threads_of_process(); /* a sanitizer's own among them */
	let_go(&gate[0]);
	for (int i = 0; i < 16; i++) {
		cr_assert_eq(submit(jobs, NULL, 0, &gate[i]), 0);
		sem_post(&gate[i].go);
	}
	weft_jobs_destroy(jobs);
	while (threads_of_process() >= most) /* the kernel takes a moment after the join */
		usleep(1000);
}

struct look {
	struct weft_job job;
	sem_t done;
	sigset_t mask;
	char name[16];
};

static void look_around(struct weft_job *job)
{
	struct look *look = (struct look *)job;

	pthread_sigmask(SIG_SETMASK, NULL, &look->mask);
	pthread_getname_np(pthread_self(), look->name, sizeof(look->name));
	sem_post(&look->done);
}

Test(jobs, pool_threads_leave_signals_to_others_and_have_a_name)
{
	struct weft_jobs *jobs = new_pool(1);
	struct look look = { .job.run = look_around };
	sigset_t mine;

	sem_init(&look.done, 0, 0);
	cr_assert_eq(weft_jobs_submit(jobs, NULL, 0, &look.job), 0);
	sem_wait(&look.done);
	weft_jobs_destroy(jobs);
	cr_assert(sigismember(&look.mask, SIGTERM));
	cr_assert(sigismember(&look.mask, SIGCHLD));
	cr_assert(sigismember(&look.mask, SIGUSR1));
	cr_assert_not(sigismember(&look.mask, SIGSEGV), "a crash is the job's own");
	cr_assert_str_eq(look.name, "weft-pool");
	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	cr_assert_not(sigismember(&mine, SIGTERM), "the submitter's mask is as before");
}

static void limit_memory(bool on)
{
	struct rlimit limit;

	getrlimit(RLIMIT_AS, &limit);
	limit.rlim_cur = on ? 1 : limit.rlim_max;
	setrlimit(RLIMIT_AS, &limit);
}

Test(jobs, a_job_for_which_no_thread_can_be_started_waits_for_one_there_is)
{
	struct weft_jobs *jobs = new_pool(4);
	struct gate first, second;

	if (SANITIZED)
		cr_skip_test("a sanitizer needs the memory");
	cr_assert_eq(submit(jobs, NULL, 0, &first), 0);
	limit_memory(true);
	cr_assert_eq(submit(jobs, NULL, 0, &second), 0);
	limit_memory(false);
	cr_assert_eq(weft_jobs_threads(jobs), 1);
	let_go(&first);
	let_go(&second);
	weft_jobs_destroy(jobs);
}

Test(jobs, a_job_that_no_thread_can_ever_run_is_refused)
{
	struct weft_jobs *jobs = new_pool(4);
	struct gate gate;

	if (SANITIZED)
		cr_skip_test("a sanitizer needs the memory");
	limit_memory(true);
	int common = submit(jobs, NULL, 0, &gate), lane = submit(jobs, "lane", 1, &gate);
	limit_memory(false);
	cr_assert_eq(common, -EAGAIN);
	cr_assert_eq(lane, -EAGAIN);
	cr_assert_eq(submit(jobs, "lane", 1, &gate), 0, "the next one finds all as it was");
	let_go(&gate);
	weft_jobs_destroy(jobs);
}

/* -- many at a time ---------------------------------------------------------------------------- */

enum { SUBMITTERS = 4, ROUNDS = 20000 / WEFT_TEST_SCALE };

static struct weft_jobs *shared_pool;
static _Atomic(unsigned) lane_running;

struct one {
	struct weft_job job;
	_Atomic(uint32_t) done;
	bool in_lane;
};

static void run_one(struct weft_job *job)
{
	struct one *one = (struct one *)job;

	if (one->in_lane) {
		cr_assert_lt(weft_add_seq_cst(&lane_running, 1), 3);
		weft_sub_seq_cst(&lane_running, 1);
	}
	weft_store_release(&one->done, 1);
	weft_futex_wake(&one->done, 1);
}

static void *submit_many(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		struct one one = { .job.run = run_one, .in_lane = rand_r(&seed) % 2 };

		cr_assert_eq(weft_jobs_submit(
			shared_pool, one.in_lane ? "lane" : NULL, 3, &one.job), 0);
		if (rand_r(&seed) % 4 == 0 && weft_jobs_take_back(shared_pool, &one.job))
			continue;
		while (!weft_load_acquire(&one.done))
			weft_futex_wait(&one.done, 0, -1);
	}
	return NULL;
}

Test(jobs, many_threads_submit_and_take_back)
{
	pthread_t thread[SUBMITTERS];

	weft_jobs_quiet = 100 * 1000; /* so short that threads come and go all the time */
	shared_pool = new_pool(3);
	for (uintptr_t i = 0; i < SUBMITTERS; i++)
		pthread_create(&thread[i], NULL, submit_many, (void *)i);
	for (int i = 0; i < SUBMITTERS; i++)
		pthread_join(thread[i], NULL);
	weft_jobs_destroy(shared_pool);
}
