/* SPDX-License-Identifier: MIT */
/*
 * barrier - n meet, then all go on.
 */
#include "helper.h"

TestSuite(barrier, .timeout = PATIENCE);

enum { PARTY = 6, ROUNDS = 50 };

struct march {
	struct weft_barrier barrier;
	int steps[PARTY]; /* how far each has come */
	int firsts;       /* how often somebody got 1 */
};

struct soldier {
	struct march *march;
	int number;
};

static int step_together(void *arg)
{
	struct soldier *s = arg;

	for (int round = 1; round <= ROUNDS; round++) {
		s->march->steps[s->number] = round;
		int rc = weft_barrier_wait(&s->march->barrier);
		cr_assert(rc == 0 || rc == 1, "%d", rc);
		__atomic_fetch_add(&s->march->firsts, rc, __ATOMIC_SEQ_CST);
		for (int i = 0; i < PARTY; i++)
			cr_assert_eq(s->march->steps[i], round, "nobody is behind or ahead");
		rc = weft_barrier_wait(&s->march->barrier);
		cr_assert(rc == 0 || rc == 1, "%d", rc);
	}
	return 0;
}

static int march(void *arg)
{
	struct weft_task *tasks[PARTY];
	struct soldier soldiers[PARTY];
	struct march march = { .firsts = 0 };

	(void)arg;
	weft_barrier_init(&march.barrier, PARTY);
	for (int i = 0; i < PARTY; i++) {
		soldiers[i] = (struct soldier){ &march, i };
		tasks[i] = weft_create_task(step_together, &soldiers[i]);
	}
	cr_assert_eq(weft_gather(tasks, PARTY, NULL, 0), 0);
	cr_assert_eq(march.firsts, ROUNDS, "exactly one per round gets 1");
	weft_release_all(tasks, PARTY);
	return 0;
}

Test(barrier, lets_all_go_on_when_the_last_one_has_come)
{
	run_on_1_2_4(march);
}

static int arrive(void *arg)
{
	return weft_barrier_wait(arg);
}

static int arrive_in_time(void *arg)
{
	struct weft_scope scope;

	weft_deadline_begin(&scope, WEFT_MS(2));
	int rc = weft_barrier_wait(arg);
	cr_assert_eq(weft_scope_end(&scope), 1);
	return rc;
}

static int leave_early(void *arg)
{
	struct weft_barrier barrier;

	(void)arg;
	weft_barrier_init(&barrier, 3);
	struct weft_task *patient = weft_create_task(arrive, &barrier);
	struct weft_task *cancelled = weft_create_task(arrive, &barrier);
	weft_yield();
	weft_cancel(cancelled);
	cr_assert_eq(weft_join(cancelled), -ECANCELED);
	cr_assert_eq(weft_join(weft_create_task(arrive_in_time, &barrier)), -ETIMEDOUT);
	cr_assert_eq(weft_status(patient), -EINPROGRESS, "two have left: it is alone");
	struct weft_task *third = weft_create_task(arrive, &barrier);
	int mine = weft_barrier_wait(&barrier);
	cr_assert_eq(mine + weft_join(patient) + weft_join(third), 1);
	return 0;
}

Test(barrier, counts_only_those_who_still_wait)
{
	run_on_1_2_4(leave_early);
}

static int misuse(void *arg)
{
	struct weft_barrier barrier;

	(void)arg;
	weft_barrier_init(&barrier, 0);
	cr_assert_eq(weft_barrier_wait(&barrier), -EINVAL);
	cr_assert_eq(weft_barrier_wait(NULL), -EINVAL);
	weft_barrier_init(&barrier, 1);
	cr_assert_eq(weft_barrier_wait(&barrier), 1);
	cancel_myself();
	cr_assert_eq(weft_barrier_wait(&barrier), -ECANCELED);
	weft_uncancel();
	return 0;
}

Test(barrier, of_nobody_is_refused)
{
	run_on_1_2_4(misuse);
}
