/* SPDX-License-Identifier: MIT */
/*
 * blocking - calls on pool threads: where they run, how many at a time, what a cancel or deadline
 * of the waiting task means to them, and how they end with the runtime.
 */
#include "helper.h"

#include <pthread.h>
#include <semaphore.h>
#include <sys/wait.h>

TestSuite(blocking, .timeout = PATIENCE);

/* -- the call ---------------------------------------------------------------------------------- */

static int is_another_thread(void *arg)
{
	return !pthread_equal(*(pthread_t *)arg, pthread_self()) && !weft_self() &&
		!weft_runtime_current();
}

static int leave_this_thread(void *arg)
{
	pthread_t here = pthread_self();

	(void)arg;
	cr_assert_eq(weft_blocking(is_another_thread, &here), 1);
	cr_assert_not_null(weft_self());
	return 0;
}

Test(blocking, a_call_runs_on_a_plain_thread)
{
	run_on_1_2_4(leave_this_thread);
}

static int collect_statuses(void *arg)
{
	int good = 7, bad = -EIO;

	(void)arg;
	cr_assert_eq(weft_blocking(return_int, &good), 7);
	cr_assert_eq(weft_blocking(return_int, &bad), -EIO);
	cr_assert_eq(weft_blocking_lane("lane", 1, return_int, &good), 7);
	return 0;
}

Test(blocking, the_status_is_that_of_the_function)
{
	run_on_1_2_4(collect_statuses);
}

static int let_others_run(void *arg)
{
	struct weft_event_flag flag = { 0 };
	struct weft_task *other = weft_create_task(set_flag, &flag);

	(void)arg;
	cr_assert_eq(weft_blocking(wait_for_flag, &flag), 0); /* set by the other */
	return weft_join(other);
}

Test(blocking, other_tasks_run_meanwhile)
{
	run_on_1_2_4(let_others_run);
}

static int meet(void *arg)
{
	pthread_barrier_wait(arg);
	return 0;
}

static int meet_on_the_pool(void *arg)
{
	return weft_blocking(meet, arg);
}

static int all_meet(void *arg)
{
	enum { N = 8 };
	pthread_barrier_t barrier;
	struct weft_group group;

	(void)arg;
	pthread_barrier_init(&barrier, NULL, N);
	weft_group_begin(&group, 0);
	for (int i = 0; i < N; i++)
		weft_group_spawn(&group, meet_on_the_pool, &barrier);
	return weft_group_join(&group);
}

Test(blocking, calls_run_at_the_same_time)
{
	run_on_1_2_4(all_meet);
}

static int succeed_on_the_pool(void *arg)
{
	return weft_blocking(succeed, arg);
}

static int many_of_them(void *arg)
{
	struct weft_group group;

	(void)arg;
	for (int round = 0; round < 20; round++) {
		weft_group_begin(&group, 0);
		for (int i = 0; i < 2000 / WEFT_TEST_SCALE; i++)
			weft_group_spawn(&group, succeed_on_the_pool, NULL);
		cr_assert_eq(weft_group_join(&group), 0);
	}
	return 0;
}

Test(blocking, a_great_many_calls)
{
	run_on_1_2_4(many_of_them);
}

/* -- misuse ------------------------------------------------------------------------------------ */

static int misuse_in_a_task(void *arg)
{
	(void)arg;
	cr_assert_eq(weft_blocking(NULL, NULL), -EINVAL);
	cr_assert_eq(weft_blocking_lane("lane", 1, NULL, NULL), -EINVAL);
	cr_assert_eq(weft_blocking_lane(NULL, 1, succeed, NULL), -EINVAL);
	cr_assert_eq(weft_blocking_lane("", 1, succeed, NULL), -EINVAL);
	cr_assert_eq(weft_blocking_lane("lane", 0, succeed, NULL), -EINVAL);
	return 0;
}

Test(blocking, a_bad_argument_is_told)
{
	run_on_1_2_4(misuse_in_a_task);
}

Test(blocking, a_plain_thread_can_block_by_itself)
{
	cr_assert_eq(weft_blocking(succeed, NULL), -EPERM);
	cr_assert_eq(weft_blocking_lane("lane", 1, succeed, NULL), -EPERM);
}

Test(blocking, too_large_a_pool_is_refused)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct weft_runtime *rt;

	config.blocking_max = 4097;
	cr_assert_eq(weft_runtime_create(&config, &rt), -EINVAL);
}

static int act_like_a_plain_thread(void *arg)
{
	struct weft_mutex mutex = { 0 };
	struct weft_task *task = weft_create_task(succeed, NULL);
	char byte;

	(void)arg;
	cr_assert_eq(weft_blocking(succeed, NULL), -EPERM);
	cr_assert_eq(weft_status(task), -EPERM);
	cr_assert_eq(weft_yield(), -EPERM);
	cr_assert_eq(weft_checkpoint(), -EPERM);
	cr_assert_eq(weft_read(0, &byte, 1), -EPERM);
	cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
	cr_assert_eq(weft_mutex_lock(&mutex), 0);
	cr_assert_eq(weft_mutex_unlock(&mutex), 0);
	cr_assert_eq(weft_cancelled(), 0);
	weft_release(task);
	return 0;
}

static int look_at_the_pool_thread(void *arg)
{
	return weft_blocking(act_like_a_plain_thread, arg);
}

Test(blocking, inside_the_rules_of_plain_threads_hold)
{
	run_on_1_2_4(look_at_the_pool_thread);
}

/* -- cancel and deadlines ---------------------------------------------------------------------- */

static int block_although_cancelled(void *arg)
{
	bool ran = false;

	(void)arg;
	cancel_myself();
	cr_assert_eq(weft_blocking(note_that_it_ran, &ran), -ECANCELED);
	cr_assert_eq(weft_blocking_lane("lane", 1, note_that_it_ran, &ran), -ECANCELED);
	cr_assert(!ran);
	weft_uncancel();
	return weft_blocking(note_that_it_ran, &ran) == 0 && ran ? 0 : -EIO;
}

Test(blocking, a_cancel_pending_at_entry_is_returned_before_anything_runs)
{
	run_on_1_2_4(block_although_cancelled);
}

struct patient {
	struct weft_event_flag begun;
	sem_t go;
	int cancelled; /* what weft_cancelled() was before and after the wait */
	bool ended;
};

/* On the pool: wait to be told, or until the task is cancelled. */
static int work_until_cancelled(void *arg)
{
	struct patient *patient = arg;

	patient->cancelled = weft_cancelled();
	weft_event_flag_set(&patient->begun);
	while (!weft_cancelled())
		usleep(100);
	patient->ended = true;
	return 5;
}

static int wait_on_the_pool(void *arg)
{
	struct patient *patient = arg;
	int status = weft_blocking(work_until_cancelled, patient);

	cr_assert_eq(patient->cancelled, 0);
	cr_assert(patient->ended, "the call was abandoned");
	cr_assert_eq(status, 5, "the result wins");
	cr_assert_eq(weft_checkpoint(), -ECANCELED, "and the cancel is told next");
	return status;
}

static int cancel_the_waiter(void *arg)
{
	struct patient patient = { 0 };
	struct weft_task *task = weft_create_task(wait_on_the_pool, &patient);

	(void)arg;
	cr_assert_eq(weft_event_flag_wait(&patient.begun), 0);
	cr_assert_eq(weft_cancel(task), 1);
	cr_assert_eq(weft_join(task), 5);
	return 0;
}

Test(blocking, a_cancel_is_seen_inside_but_does_not_abandon_the_call)
{
	run_on_1_2_4(cancel_the_waiter);
}

static int cancel_from_outside(void *arg)
{
	struct patient *patient = arg;
	struct weft_task *task = weft_create_task(wait_on_the_pool, patient);

	cr_assert_eq(weft_join(task), 5, "joined in place: the cancel is passed on");
	return 0;
}

static int cancel_the_owner(void *arg)
{
	struct patient patient = { 0 };
	struct weft_task *task = weft_create_task(cancel_from_outside, &patient);

	(void)arg;
	cr_assert_eq(weft_event_flag_wait(&patient.begun), 0);
	cr_assert_eq(weft_cancel(task), 1);
	cr_assert_eq(weft_join(task), 0);
	return 0;
}

Test(blocking, a_cancel_of_the_task_that_joins_the_waiter_is_seen_inside)
{
	run_on_1_2_4(cancel_the_owner);
}

static int block_past_a_deadline(void *arg)
{
	struct patient patient = { 0 };
	struct weft_scope scope;

	(void)arg;
	weft_deadline_begin(&scope, WEFT_MS(5));
	cr_assert_eq(weft_blocking(work_until_cancelled, &patient), 5);
	cr_assert_eq(weft_scope_end(&scope), 0, "nobody was told of the timeout");

	weft_deadline_begin(&scope, WEFT_MS(5));
	cr_assert_eq(weft_blocking(work_until_cancelled, &patient), 5);
	cr_assert_eq(weft_checkpoint(), -ETIMEDOUT);
	cr_assert_eq(weft_scope_end(&scope), 1);
	cr_assert_eq(weft_checkpoint(), 0);
	return 0;
}

Test(blocking, a_fired_deadline_is_seen_inside_but_does_not_abandon_the_call)
{
	run_on_1_2_4(block_past_a_deadline);
}

static int am_i_cancelled(void *arg)
{
	(void)arg;
	usleep(2000);
	return weft_cancelled();
}

static int clean_up(void *arg)
{
	struct weft_scope shield;

	(void)arg;
	cancel_myself();
	weft_shield_begin(&shield, WEFT_SEC(100));
	cr_assert_eq(weft_blocking(am_i_cancelled, NULL), 0);
	weft_scope_end(&shield);
	cr_assert_eq(weft_blocking(am_i_cancelled, NULL), -ECANCELED);
	return 0;
}

Test(blocking, under_a_shield_nothing_is_seen_inside)
{
	run_on_1_2_4(clean_up);
}

static int cancelled_in_the_next_call(void *arg)
{
	struct patient patient = { 0 };
	struct weft_scope scope;

	(void)arg;
	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_blocking(work_until_cancelled, &patient), 5);
	weft_scope_end(&scope);
	cr_assert_eq(weft_blocking(am_i_cancelled, NULL), 0);
	return 0;
}

Test(blocking, what_was_pending_for_one_call_is_not_for_the_next_on_the_same_thread)
{
	run_on_1_2_4(cancelled_in_the_next_call);
}

/* -- limits ------------------------------------------------------------------------------------ */

static int now_running, most_running;

static int count_myself(void *arg)
{
	int now = __atomic_add_fetch(&now_running, 1, __ATOMIC_SEQ_CST);
	int most = __atomic_load_n(&most_running, __ATOMIC_SEQ_CST);

	(void)arg;
	while (now > most && !__atomic_compare_exchange_n(&most_running, &most, now, false,
				      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	usleep(500);
	__atomic_sub_fetch(&now_running, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static int in_lane_of_three(void *arg)
{
	return weft_blocking_lane("three", 3, count_myself, arg);
}

static int without_lane(void *arg)
{
	return weft_blocking(count_myself, arg);
}

static int spawn_forty(void *arg)
{
	struct weft_group group;

	weft_group_begin(&group, 0);
	for (int i = 0; i < 40; i++)
		weft_group_spawn(&group, *(weft_fn *)arg, NULL);
	return weft_group_join(&group);
}

Test(blocking, a_lane_is_as_wide_as_it_says)
{
	weft_fn fn = in_lane_of_three;

	cr_assert_eq(run_with(2, spawn_forty, &fn), 0);
	cr_assert_gt(most_running, 1);
	cr_assert_leq(most_running, 3);
}

Test(blocking, there_are_no_more_threads_than_the_configuration_says)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	weft_fn fn = without_lane;

	config.blocking_max = 2;
	config.workers = 2;
	cr_assert_eq(weft_run(spawn_forty, &fn, &config), 0);
	cr_assert_leq(most_running, 2);
}

static int fill_a_lane(void *arg)
{
	return weft_blocking_lane("slow", 2, wait_for_flag, arg);
}

static int pass_by_a_full_lane(void *arg)
{
	struct weft_event_flag flag = { 0 };
	struct weft_group group;

	(void)arg;
	weft_group_begin(&group, 0);
	for (int i = 0; i < 100; i++)
		weft_group_spawn(&group, fill_a_lane, &flag);
	cr_assert_eq(weft_yield(), 0);
	cr_assert_eq(weft_blocking_lane("quick", 1, succeed, NULL), 0);
	cr_assert_eq(weft_blocking(succeed, NULL), 0);
	weft_event_flag_set(&flag);
	return weft_group_join(&group);
}

Test(blocking, a_full_lane_holds_up_nobody_else)
{
	run_on_1_2_4(pass_by_a_full_lane);
}

static int count_pool_threads(void *arg)
{
	struct weft_metrics metrics = { .size = sizeof(metrics) };

	(void)arg;
	cr_assert_eq(weft_runtime_metrics(weft_runtime_current(), &metrics), 0);
	cr_assert_eq(metrics.blocking_live, 0);
	cr_assert_eq(weft_blocking(succeed, NULL), 0);
	cr_assert_eq(weft_runtime_metrics(weft_runtime_current(), &metrics), 0);
	cr_assert_eq(metrics.blocking_live, 1);
	return 0;
}

Test(blocking, the_metrics_tell_how_many_threads_there_are)
{
	run_on_1_2_4(count_pool_threads);
}

/* -- the end ----------------------------------------------------------------------------------- */

static int note_the_call(void *arg)
{
	return weft_blocking(work_until_cancelled, arg);
}

Test(blocking, the_end_of_the_runtime_is_seen_inside_and_waits_for_the_call)
{
	struct weft_runtime *rt = start_runtime(2);
	struct patient patient = { 0 };

	cr_assert_eq(weft_runtime_post(rt, note_the_call, &patient), 0);
	cr_assert_eq(weft_event_flag_wait(&patient.begun), 0);
	weft_runtime_destroy(rt);
	cr_assert(patient.ended);
}

static int ignore_the_world(void *arg)
{
	struct patient *patient = arg;

	weft_event_flag_set(&patient->begun);
	while (sem_wait(&patient->go))
		;
	patient->ended = true;
	return 0;
}

static int call_somebody_ignorant(void *arg)
{
	return weft_blocking(ignore_the_world, arg);
}

static void count_survivors(const struct weft_report *report, void *user)
{
	if (report->kind == WEFT_REPORT_LEAK && report->status == -ETIMEDOUT)
		__atomic_fetch_add((int *)user, 1, __ATOMIC_SEQ_CST);
}

Test(blocking, a_call_that_outlives_the_grace_period_is_reported_and_waited_for_later)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct patient patient = { 0 };
	struct weft_runtime *rt;
	int survivors = 0;

	sem_init(&patient.go, 0, 0);
	config.workers = 2;
	config.on_report = count_survivors;
	config.user = &survivors;
	cr_assert_eq(weft_runtime_create(&config, &rt), 0);
	cr_assert_eq(weft_runtime_post(rt, call_somebody_ignorant, &patient), 0);
	cr_assert_eq(weft_event_flag_wait(&patient.begun), 0);
	cr_assert_eq(weft_runtime_stop(rt, WEFT_MS(20)), -ETIMEDOUT);
	cr_assert_eq(survivors, 1);
	cr_assert(!patient.ended);
	sem_post(&patient.go);
	cr_assert_eq(weft_runtime_stop(rt, WEFT_FOREVER), 0);
	cr_assert(patient.ended);
	weft_runtime_destroy(rt);
	cr_assert_eq(survivors, 1);
}

static int fork_on_the_pool(void *arg)
{
	*(pid_t *)arg = fork();
	return 0;
}

static int call_fork(void *arg)
{
	return weft_blocking(fork_on_the_pool, arg);
}

Test(blocking, a_forked_child_that_returns_from_its_call_ends)
{
	struct weft_runtime *rt = start_runtime(1);
	pid_t pid;
	int status;

	cr_assert_eq(weft_runtime_call(rt, call_fork, &pid, WEFT_FOREVER), 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 70);
	weft_runtime_destroy(rt);
}
