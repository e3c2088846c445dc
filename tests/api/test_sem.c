/* SPDX-License-Identifier: MIT */
/*
 * sem - a number of units to take and to give back.
 */
#include "helper.h"

TestSuite(sem, .timeout = PATIENCE);

struct limit {
	struct weft_sem sem;
	int inside, most;
};

static int enter(void *arg)
{
	struct limit *limit = arg;

	cr_assert_eq(weft_sem_acquire(&limit->sem, 1), 0);
	int inside = __atomic_add_fetch(&limit->inside, 1, __ATOMIC_SEQ_CST);
	cr_assert_leq(inside, 3);
	for (int i = 0; i < 3; i++)
		weft_yield();
	__atomic_fetch_sub(&limit->inside, 1, __ATOMIC_SEQ_CST);
	weft_sem_release(&limit->sem, 1);
	return 0;
}

static int limit_the_number_inside(void *arg)
{
	struct limit limit = { 0 };
	struct weft_task *tasks[50];

	(void)arg;
	weft_sem_init(&limit.sem, 3);
	for (int i = 0; i < 50; i++)
		tasks[i] = weft_create_task(enter, &limit);
	cr_assert_eq(weft_gather(tasks, 50, NULL, 0), 0);
	weft_release_all(tasks, 50);
	cr_assert_eq(weft_sem_try_acquire(&limit.sem, 3), 0, "all units are back");
	cr_assert_eq(weft_sem_try_acquire(&limit.sem, 1), -EAGAIN);
	return 0;
}

Test(sem, limits_how_many_are_inside)
{
	run_on_1_2_4(limit_the_number_inside);
}

static int start_empty(void *arg)
{
	struct weft_sem sem = { 0 };

	(void)arg;
	cr_assert_eq(weft_sem_try_acquire(&sem, 1), -EAGAIN, "zero-initialised: no unit");
	weft_sem_release(&sem, 5);
	cr_assert_eq(weft_sem_acquire(&sem, 2), 0);
	cr_assert_eq(weft_sem_try_acquire(&sem, 4), -EAGAIN);
	cr_assert_eq(weft_sem_try_acquire(&sem, 3), 0);
	cr_assert_eq(weft_sem_try_acquire(&sem, 0), 0, "no unit is always there");
	cr_assert_eq(weft_sem_acquire(&sem, 0), 0);
	return 0;
}

Test(sem, takes_several_units_at_once)
{
	run_on_1_2_4(start_empty);
}

struct taker {
	struct weft_sem *sem;
	unsigned n;
	bool got;
};

static int take(void *arg)
{
	struct taker *t = arg;

	int status = weft_sem_acquire(t->sem, t->n);
	t->got = status == 0;
	return status;
}

static int do_not_overtake(void *arg)
{
	struct weft_sem sem = { 0 };
	struct taker large = { .sem = &sem, .n = 3 }, small = { .sem = &sem, .n = 1 };
	struct weft_task *tasks[2];

	(void)arg;
	tasks[0] = weft_create_task(take, &large);
	tasks[1] = weft_create_task(take, &small);
	weft_yield(); /* both wait, the large one first */
	weft_sem_release(&sem, 2);
	weft_yield();
	cr_assert_not(small.got, "it would overtake");
	cr_assert_eq(weft_sem_try_acquire(&sem, 1), -EAGAIN, "and so would this");
	weft_sem_release(&sem, 1);
	weft_yield();
	cr_assert(large.got);
	cr_assert_not(small.got);
	weft_sem_release(&sem, 1);
	cr_assert_eq(weft_gather(tasks, 2, NULL, 0), 0);
	weft_release_all(tasks, 2);
	return 0;
}

Test(sem, serves_in_order)
{
	cr_assert_eq(run_with(1, do_not_overtake, NULL), 0);
}

static int leave_the_queue(void *arg)
{
	struct weft_sem sem = { 0 };
	struct taker large = { .sem = &sem, .n = 3 }, small = { .sem = &sem, .n = 1 };

	(void)arg;
	struct weft_task *first = weft_create_task(take, &large);
	struct weft_task *second = weft_create_task(take, &small);
	weft_yield();
	weft_sem_release(&sem, 1);
	weft_cancel(first); /* it was in the way of the second */
	cr_assert_eq(weft_join(first), -ECANCELED);
	cr_assert_eq(weft_join(second), 0);
	return 0;
}

Test(sem, goes_on_when_the_head_of_the_queue_gives_up)
{
	run_on_1_2_4(leave_the_queue);
}

static int wait_too_long(void *arg)
{
	struct weft_sem sem = { 0 };
	struct weft_scope scope;

	(void)arg;
	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_sem_acquire(&sem, 1), -ETIMEDOUT);
	weft_scope_end(&scope);
	weft_sem_release(&sem, 1);
	cr_assert_eq(weft_sem_try_acquire(&sem, 1), 0, "nothing was taken");
	return 0;
}

Test(sem, obeys_deadlines)
{
	run_on_1_2_4(wait_too_long);
}

static int ping(void *arg)
{
	struct weft_sem *sems = arg;

	for (int i = 0; i < 300; i++) {
		weft_sem_acquire(&sems[0], 1);
		weft_sem_release(&sems[1], 1);
	}
	return 0;
}

Test(sem, works_between_a_task_and_a_plain_thread)
{
	struct weft_runtime *rt = start_runtime(2);
	struct weft_sem sems[2] = { 0 };

	cr_assert_eq(weft_runtime_post(rt, ping, sems), 0);
	for (int i = 0; i < 300; i++) {
		weft_sem_release(&sems[0], 1);
		cr_assert_eq(weft_sem_acquire(&sems[1], 1), 0);
	}
	weft_runtime_destroy(rt);
}
