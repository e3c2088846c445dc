/* SPDX-License-Identifier: MIT */
/*
 * mutex - one owner at a time, tasks and plain threads alike.
 */
#include "helper.h"

#include <pthread.h>

TestSuite(mutex, .timeout = PATIENCE);

struct counter {
	struct weft_mutex mutex;
	int plain; /* guarded by the mutex alone */
};

static int count_under_the_lock(void *arg)
{
	struct counter *c = arg;

	for (int i = 0; i < 500; i++) {
		cr_assert_eq(weft_mutex_lock(&c->mutex), 0);
		int seen = c->plain;
		if (i % 50 == 0)
			weft_yield(); /* a lock may be held across a wait */
		c->plain = seen + 1;
		cr_assert_eq(weft_mutex_unlock(&c->mutex), 0);
	}
	return 0;
}

static int count_together(void *arg)
{
	struct counter counter = { .plain = 0 };
	struct weft_task *tasks[8];

	(void)arg;
	for (int i = 0; i < 8; i++)
		tasks[i] = weft_create_task(count_under_the_lock, &counter);
	cr_assert_eq(weft_gather(tasks, 8, NULL, 0), 0);
	cr_assert_eq(counter.plain, 8 * 500);
	weft_release_all(tasks, 8);
	return 0;
}

Test(mutex, keeps_others_out)
{
	run_on_1_2_4(count_together);
}

static void *count_on_a_thread(void *arg)
{
	struct counter *c = arg;

	for (int i = 0; i < 500; i++) {
		cr_assert_eq(weft_mutex_lock(&c->mutex), 0);
		c->plain++;
		cr_assert_eq(weft_mutex_unlock(&c->mutex), 0);
	}
	return NULL;
}

Test(mutex, works_between_tasks_and_plain_threads)
{
	struct weft_runtime *rt = start_runtime(2);
	struct counter counter = { .plain = 0 };
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, count_on_a_thread, &counter);
	cr_assert_eq(weft_runtime_call(rt, count_under_the_lock, &counter, WEFT_FOREVER), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(counter.plain, 3 * 500);
	weft_runtime_destroy(rt);
}

static int try_it(void *arg)
{
	return weft_mutex_trylock(arg);
}

static int unlock_it(void *arg)
{
	return weft_mutex_unlock(arg);
}

static int own_it(void *arg)
{
	struct weft_mutex mutex = { 0 };

	(void)arg;
	cr_assert_eq(weft_mutex_unlock(&mutex), -EPERM, "nobody's is not mine");
	cr_assert_eq(weft_mutex_trylock(&mutex), 0);
	cr_assert_eq(weft_mutex_trylock(&mutex), -EBUSY, "by its owner too");
	cr_assert_eq(weft_mutex_lock(&mutex), -EDEADLK);
	cr_assert_eq(weft_join(weft_create_task(try_it, &mutex)), -EBUSY);
	cr_assert_eq(weft_join(weft_create_task(unlock_it, &mutex)), -EPERM);
	cr_assert_eq(weft_mutex_unlock(&mutex), 0);
	cr_assert_eq(weft_mutex_unlock(&mutex), -EPERM);
	return 0;
}

Test(mutex, has_an_owner)
{
	run_on_1_2_4(own_it);
}

Test(mutex, can_be_owned_by_a_plain_thread)
{
	struct weft_runtime *rt = start_runtime(1);
	struct weft_mutex mutex = { 0 };

	cr_assert_eq(weft_mutex_lock(&mutex), 0);
	cr_assert_eq(weft_mutex_lock(&mutex), -EDEADLK);
	cr_assert_eq(weft_runtime_call(rt, try_it, &mutex, WEFT_FOREVER), -EBUSY);
	cr_assert_eq(weft_runtime_call(rt, unlock_it, &mutex, WEFT_FOREVER), -EPERM);
	cr_assert_eq(weft_mutex_unlock(&mutex), 0);
	weft_runtime_destroy(rt);
}

static int lock_and_unlock(void *arg)
{
	int status = weft_mutex_lock(arg);

	return status < 0 ? status : weft_mutex_unlock(arg);
}

static int give_up_waiting(void *arg)
{
	struct weft_mutex mutex = { 0 };

	(void)arg;
	weft_mutex_lock(&mutex);
	struct weft_task *first = weft_create_task(lock_and_unlock, &mutex);
	struct weft_task *second = weft_create_task(lock_and_unlock, &mutex);
	weft_yield();
	weft_cancel(first);
	cr_assert_eq(weft_join(first), -ECANCELED, "it does not own the lock");
	weft_mutex_unlock(&mutex);
	cr_assert_eq(weft_join(second), 0, "the next in line gets it");
	cr_assert_eq(weft_mutex_trylock(&mutex), 0);
	weft_mutex_unlock(&mutex);
	return 0;
}

Test(mutex, lets_a_waiter_be_cancelled)
{
	run_on_1_2_4(give_up_waiting);
}

static int lock_in_time(void *arg)
{
	struct weft_scope scope;

	weft_deadline_begin(&scope, WEFT_MS(2));
	int status = weft_mutex_lock(arg);
	cr_assert_eq(weft_scope_end(&scope), 1);
	return status;
}

static int wait_too_long(void *arg)
{
	struct weft_mutex mutex = { 0 };

	(void)arg;
	weft_mutex_lock(&mutex);
	struct weft_task *task = weft_create_task(lock_in_time, &mutex);
	cr_assert_eq(weft_await(task), -ETIMEDOUT);
	weft_release(task);
	cr_assert_eq(weft_mutex_unlock(&mutex), 0);
	return 0;
}

Test(mutex, obeys_deadlines)
{
	run_on_1_2_4(wait_too_long);
}

struct embrace {
	struct weft_mutex mutex;
	struct weft_event_flag waiting;
};

static int lock_what_my_owner_holds(void *arg)
{
	struct embrace *e = arg;

	weft_event_flag_wait(&e->waiting);
	return lock_and_unlock(&e->mutex);
}

static int hold_and_join(void *arg)
{
	struct embrace e = { 0 };

	(void)arg;
	weft_mutex_lock(&e.mutex);
	struct weft_task *task = weft_create_task(lock_what_my_owner_holds, &e);
	weft_event_flag_set(&e.waiting);
	cr_assert_eq(weft_join(task), -EDEADLK, "the lock's owner waits for the one who asks");
	weft_mutex_unlock(&e.mutex);
	return 0;
}

Test(mutex, tells_of_a_circle_of_locks_and_joins)
{
	run_on_1_2_4(hold_and_join);
}

static int fight(void *arg)
{
	struct counter *c = arg;

	for (int i = 0; i < 200; i++) {
		struct weft_scope scope;

		weft_deadline_begin(&scope, 20000 * (i % 3));
		int status = weft_mutex_lock(&c->mutex);
		weft_scope_end(&scope);
		if (status == 0) {
			c->plain++;
			weft_yield();
			c->plain--;
			cr_assert_eq(weft_mutex_unlock(&c->mutex), 0);
		} else {
			cr_assert_eq(status, -ETIMEDOUT);
		}
	}
	return 0;
}

static int fight_together(void *arg)
{
	struct counter counter = { .plain = 0 };
	struct weft_task *tasks[8];

	(void)arg;
	for (int i = 0; i < 8; i++)
		tasks[i] = weft_create_task(fight, &counter);
	cr_assert_eq(weft_gather(tasks, 8, NULL, 0), 0);
	cr_assert_eq(counter.plain, 0);
	cr_assert_eq(weft_mutex_trylock(&counter.mutex), 0, "nobody kept it");
	weft_mutex_unlock(&counter.mutex);
	weft_release_all(tasks, 8);
	return 0;
}

Test(mutex, survives_hand_over_against_timeout)
{
	run_on_1_2_4(fight_together);
}
