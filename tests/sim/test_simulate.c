/* SPDX-License-Identifier: MIT */
/*
 * weft_simulate itself: same seed, same everything; virtual time; what it tells at the end; traces.
 */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* -- programs ---------------------------------------------------------------------------------- */

enum { CHILDREN = 8, ROUNDS = 3 };

/* Who ran in which order, as text. */
static char order[CHILDREN * ROUNDS + 1];

static int write_name(void *name)
{
	for (int i = 0; i < ROUNDS; i++) {
		strncat(order, name, 1);
		weft_yield();
	}
	return 0;
}

static int several(void *arg)
{
	static char *names[CHILDREN] = {"a", "b", "c", "d", "e", "f", "g", "h"};
	struct weft_task *tasks[CHILDREN];
	int rc;

	(void)arg;
	order[0] = 0;
	for (int i = 0; i < CHILDREN; i++)
		tasks[i] = weft_create_task(write_name, names[i]);
	rc = weft_gather(tasks, CHILDREN, NULL, 0);
	weft_release_all(tasks, CHILDREN);
	return rc;
}

static int sleep_for_a_year(void *arg)
{
	(void)arg;
	return weft_sleep(WEFT_SEC(365 * 86400));
}

static struct weft_mutex left, right;

static int take_both(void *left_first)
{
	struct weft_mutex *first = left_first ? &left : &right;
	struct weft_mutex *second = left_first ? &right : &left;
	int rc = weft_mutex_lock(first);

	if (rc < 0)
		return rc;
	rc = weft_mutex_lock(second);
	if (rc == 0)
		weft_mutex_unlock(second);
	weft_mutex_unlock(first);
	return rc;
}

static int abba(void *arg)
{
	struct weft_task *a = weft_create_task(take_both, &left),
			 *b = weft_create_task(take_both, NULL);
	int first = weft_join(a), second = weft_join(b);

	(void)arg;
	return first < 0 ? first : second;
}

static int receive_nothing(void *chan)
{
	int item;

	return weft_chan_recv(chan, &item);
}

static int wait_for_nobody(void *arg)
{
	struct weft_chan *chan = weft_chan_create(sizeof(int), 1);
	struct weft_task *task = weft_create_task(receive_nothing, chan);
	int rc = weft_join(task);

	(void)arg;
	weft_chan_destroy(chan);
	return rc;
}

static int forget_a_handle(void *arg)
{
	(void)arg;
	weft_create_task(sleep_for_a_year, NULL);
	return 7;
}

/* -- same seed, same everything ---------------------------------------------------------------- */

Test(simulate, same_seed_same_order)
{
	for (int policy = WEFT_SIM_FIFO; policy <= WEFT_SIM_PCT; policy++) {
		for (uint64_t seed = 0; seed < 20; seed++) {
			char before[sizeof(order)];
			struct weft_sim sim = SIM(.seed = seed, .policy = policy);

			cr_assert_eq(simulate_once(several, NULL, &sim), 0);
			memcpy(before, order, sizeof(before));
			cr_assert_eq(simulate(several, NULL, seed, policy, 0), 0);
			cr_assert_str_eq(order, before);
		}
	}
}

Test(simulate, fifo_is_the_order_of_one_worker)
{
	cr_assert_eq(simulate(several, NULL, 1, WEFT_SIM_FIFO, 0), 0);
	cr_assert_str_eq(order, "abcdefghabcdefghabcdefgh");
}

Test(simulate, seeds_differ)
{
	char before[sizeof(order)];
	int different = 0;

	for (uint64_t seed = 1; seed < 20; seed++) {
		memcpy(before, order, sizeof(before));
		simulate(several, NULL, seed, WEFT_SIM_RANDOM, 0);
		different += strcmp(before, order) != 0;
	}
	cr_assert_gt(different, 15);
}

/* -- time -------------------------------------------------------------------------------------- */

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

Test(simulate, a_year_of_sleep_takes_no_time)
{
	double begin = seconds();

	cr_assert_eq(simulate(sleep_for_a_year, NULL, 1, WEFT_SIM_RANDOM, 0), 0);
	cr_assert_lt(seconds() - begin, 1.0);
}

static int sleep_exactly(void *arg)
{
	weft_ns begin = weft_now();

	(void)arg;
	weft_sleep(WEFT_MS(10));
	return weft_now() - begin == WEFT_MS(10) ? 0 : -EINVAL;
}

Test(simulate, nothing_is_late)
{
	cr_assert_eq(simulate(sleep_exactly, NULL, 1, WEFT_SIM_FIFO, 0), 0);
}

static int poll_the_clock(void *arg)
{
	weft_ns end = weft_now() + WEFT_MS(10);
	int looks = 0;

	(void)arg;
	for (; weft_now() < end; looks++)
		weft_yield();
	return looks > 0;
}

Test(simulate, who_polls_the_clock_sees_it_move)
{
	cr_assert_eq(simulate(poll_the_clock, NULL, 1, WEFT_SIM_FIFO, 0), 1);
	cr_assert_eq(simulate(poll_the_clock, NULL, 1, WEFT_SIM_PCT, 0), 1);
}

static int work_under_a_deadline(void *arg)
{
	struct weft_scope scope;

	(void)arg;
	weft_deadline_begin(&scope, WEFT_SEC(1));
	for (int i = 0; i < 1000; i++)
		weft_checkpoint();
	return weft_scope_end(&scope);
}

Test(simulate, a_deadline_meets_work_only_on_a_slow_machine)
{
	int met = 0;

	for (uint64_t seed = 0; seed < 10; seed++) {
		cr_assert_eq(
			simulate(work_under_a_deadline, NULL, seed, WEFT_SIM_RANDOM, 0),
			0);
		met += simulate(work_under_a_deadline, NULL, seed, WEFT_SIM_RANDOM,
			WEFT_SIM_SLOW);
	}
	cr_assert_gt(met, 0);
}

/* -- the end ----------------------------------------------------------------------------------- */

Test(simulate, blocked_for_good_is_told_in_words)
{
	reports_clear();
	cr_assert_eq(simulate(wait_for_nobody, NULL, 1, WEFT_SIM_RANDOM, 0), -EDEADLK);
	cr_assert_eq(reports.deadlocks, 1);
	cr_assert_eq(reports.leaks, 0, "%s", reports.text);
	cr_assert(strstr(reports.text, "'receive_nothing' from "), "%s", reports.text);
	cr_assert(strstr(reports.text, "waits in weft_chan_recv"), "%s", reports.text);
}

Test(simulate, a_cycle_is_found_under_some_seed_and_not_under_others)
{
	int found = 0;

	for (uint64_t seed = 0; seed < 50; seed++)
		found += simulate(abba, NULL, seed, WEFT_SIM_RANDOM, 0) == -EDEADLK;
	cr_assert_gt(found, 0);
	cr_assert_lt(found, 50);
}

Test(simulate, a_task_and_a_handle_left_over_are_reported)
{
	reports_clear();
	cr_assert_eq(simulate(forget_a_handle, NULL, 1, WEFT_SIM_FIFO, 0), 7);
	cr_assert_eq(reports.leaks, 2, "%s", reports.text);
	cr_assert(strstr(reports.text, "was still alive at the end"), "%s", reports.text);
	cr_assert(strstr(reports.text, "a handle of it was never released"), "%s",
		reports.text);
}

static int yield_for_good(void *arg)
{
	int rc;

	(void)arg;
	while ((rc = weft_yield()) == 0)
		;
	return rc;
}

Test(simulate, steps_max_ends_what_would_not)
{
	struct weft_sim sim = SIM(.seed = 1, .steps_max = 1000);

	reports_clear();
	cr_assert_eq(simulate_once(yield_for_good, NULL, &sim), -ETIME);
	cr_assert(strstr(reports.text, "waits in weft_yield"), "%s", reports.text);
}

static int take_no_for_an_answer(void *arg)
{
	for (;;)
		weft_sleep(WEFT_MS(1));
	return arg != NULL;
}

static int leave_it_alone(void *arg)
{
	return weft_go(take_no_for_an_answer, arg);
}

Test(simulate, a_task_that_ignores_its_cancel_is_reported_and_left)
{
	for (int policy = WEFT_SIM_FIFO; policy <= WEFT_SIM_PCT; policy++) {
		struct weft_sim sim = SIM(.seed = 1, .policy = policy);

		reports_clear();
		cr_assert_eq(simulate_once(leave_it_alone, NULL, &sim), -EDEADLK);
		cr_assert(strstr(reports.text, "did not end although it was cancelled"), "%s", reports.text);
	}
}

/* -- traces ------------------------------------------------------------------------------------ */

static char *trace_path(void)
{
	static char path[] = "/tmp/weft-trace-XXXXXX";
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	close(fd);
	return path;
}

Test(simulate, a_trace_replays)
{
	const char *path = trace_path();

	for (int policy = WEFT_SIM_FIFO; policy <= WEFT_SIM_PCT; policy++) {
		struct weft_sim sim = SIM(.seed = 3, .policy = policy, .trace_out = path);
		struct weft_sim replay = SIM(.policy = WEFT_SIM_REPLAY, .trace_in = path);
		char before[sizeof(order)];

		reports_clear();
		cr_assert_eq(simulate_once(several, NULL, &sim), 0);
		memcpy(before, order, sizeof(before));
		cr_assert_eq(simulate_once(several, NULL, &replay), 0);
		cr_assert_str_eq(order, before);
		cr_assert_eq(sim.trace_hash, replay.trace_hash);
		cr_assert_eq(sim.steps, replay.steps);
		cr_assert_eq(replay.seed, 3);
		cr_assert_eq(reports.count, 0, "%s", reports.text);
	}
	unlink(path);
}

Test(simulate, another_program_does_not_follow_a_trace)
{
	const char *path = trace_path();
	struct weft_sim sim =
		SIM(.seed = 3, .policy = WEFT_SIM_RANDOM, .trace_out = path);
	struct weft_sim replay = SIM(.policy = WEFT_SIM_REPLAY, .trace_in = path);

	reports_clear();
	simulate_once(several, NULL, &sim);
	simulate_once(poll_the_clock, NULL, &replay);
	cr_assert_eq(reports.misuses, 1, "%s", reports.text);
	cr_assert(strstr(reports.text, "does not follow the trace"), "%s", reports.text);
	unlink(path);
}

Test(simulate, what_is_no_trace_is_refused)
{
	struct weft_sim none = SIM(.policy = WEFT_SIM_REPLAY, .trace_in = "/nonexistent");
	struct weft_sim other = SIM(.policy = WEFT_SIM_REPLAY, .trace_in = "/etc/passwd");
	struct weft_sim missing = SIM(.policy = WEFT_SIM_REPLAY);

	cr_assert_eq(simulate_once(several, NULL, &none), -ENOENT);
	cr_assert_eq(simulate_once(several, NULL, &other), -EBADMSG);
	cr_assert_eq(simulate_once(several, NULL, &missing), -EINVAL);
}

Test(simulate, a_step_can_be_looked_at)
{
	struct weft_sim sim = SIM(.seed = 3, .show_step = 12);

	reports_clear();
	simulate_once(several, NULL, &sim);
	cr_assert(strstr(reports.text, "step 12, "), "%s", reports.text);
	cr_assert(strstr(reports.text, "weft_yield"), "%s", reports.text);
}

/* -- misuse ------------------------------------------------------------------------------------ */

static int simulate_in_a_task(void *arg)
{
	struct weft_sim sim = SIM(.seed = 1);

	return weft_simulate(several, arg, &sim);
}

Test(simulate, bad_arguments_are_told)
{
	struct weft_sim sim = SIM(.seed = 1), bad = SIM(.policy = 9),
			fault = SIM(.faults = 1u << 20);
	struct weft_sim small = {.size = 8};

	cr_assert_eq(weft_simulate(NULL, NULL, &sim), -EINVAL);
	cr_assert_eq(weft_simulate(several, NULL, NULL), -EINVAL);
	cr_assert_eq(weft_simulate(several, NULL, &bad), -EINVAL);
	cr_assert_eq(weft_simulate(several, NULL, &fault), -EINVAL);
	cr_assert_eq(weft_simulate(several, NULL, &small), -EINVAL);
	cr_assert_eq(simulate(simulate_in_a_task, NULL, 1, WEFT_SIM_FIFO, 0), -EPERM);
}

static int draw(void *numbers)
{
	for (int i = 0; i < 4; i++)
		((uint64_t *)numbers)[i] = weft_random();
	return 0;
}

Test(simulate, random_numbers_are_the_seeds)
{
	uint64_t a[4], b[4], c[4];

	simulate(draw, a, 1, WEFT_SIM_RANDOM, 0);
	simulate(draw, b, 1, WEFT_SIM_PCT, 0);
	simulate(draw, c, 2, WEFT_SIM_RANDOM, 0);
	cr_assert_arr_eq(a, b, sizeof(a));
	cr_assert_neq(a[0], c[0]);
	cr_assert_neq(weft_random(), weft_random());
}

/* -- the storm --------------------------------------------------------------------------------- */

static int sleep_thrice(void *arg)
{
	int rc = 0;

	(void)arg;
	for (int i = 0; i < 3 && rc == 0; i++)
		rc = weft_sleep(WEFT_MS(1));
	return rc;
}

Test(simulate, a_cancel_meets_the_checkpoint_it_is_told_to)
{
	struct weft_sim sim = SIM(.seed = 1);

	cr_assert_eq(simulate_once(sleep_thrice, NULL, &sim), 0);
	cr_assert_eq(sim.checkpoints, 3);
	for (uint64_t at = 1; at <= 3; at++) {
		struct weft_sim cancel = SIM(.seed = 1, .cancel_at = at);
		struct weft_sim timeout =
			SIM(.seed = 1, .cancel_at = at, .cancel_how = WEFT_SIM_TIMEOUT);

		cr_assert_eq(simulate_once(sleep_thrice, NULL, &cancel), -ECANCELED);
		cr_assert_eq(cancel.checkpoints, at);
		cr_assert_str_eq(cancel.cancelled, "main");
		cr_assert_eq(simulate_once(sleep_thrice, NULL, &timeout), -ETIMEDOUT);
	}
}
