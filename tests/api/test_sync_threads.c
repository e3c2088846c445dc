/* SPDX-License-Identifier: MIT */
/*
 * sync_threads - all of sync.h between tasks on one side and plain threads on the other. Both sides run
 * the same function; it only has to tell apart what it did.
 */
#include "helper.h"

#include <pthread.h>

TestSuite(sync_threads, .timeout = PATIENCE);

enum { SIDES = 2, EACH_SIDE = 3, PLAYERS = SIDES * EACH_SIDE, ROUNDS = 300 };

struct table {
	struct weft_mutex mutex;
	struct weft_cond cond;
	struct weft_sem sem;
	struct weft_rwlock rwlock;
	struct weft_barrier barrier;
	struct weft_event_flag flags[PLAYERS];
	struct weft_chan *chan, *other, *back;
	int left, right;
	int count;
	weft_fn fn; /* what the players do */
};

struct player {
	struct table *table;
	int number; /* even: a task, odd: a thread */
};

static void *thread_main(void *arg)
{
	struct player *p = arg;

	return (void *)(intptr_t)p->table->fn(p);
}

static int play_tasks(void *arg)
{
	struct player *players = arg;
	struct weft_task *tasks[EACH_SIDE];

	for (int i = 0; i < EACH_SIDE; i++)
		tasks[i] = weft_create_task(players[2 * i].table->fn, &players[2 * i]);
	cr_assert_eq(weft_gather(tasks, EACH_SIDE, NULL, 0), 0);
	weft_release_all(tasks, EACH_SIDE);
	return 0;
}

/* Three tasks and three threads at one table. */
static void play(struct table *table, weft_fn fn)
{
	static const unsigned workers[] = { 1, 2 };

	table->fn = fn;
	for (unsigned k = 0; k < 2; k++) {
		struct weft_runtime *rt = start_runtime(workers[k]);
		struct player players[PLAYERS];
		pthread_t threads[EACH_SIDE];

		table->count = table->left = table->right = 0;
		for (int i = 0; i < PLAYERS; i++)
			players[i] = (struct player){ table, i };
		for (int i = 0; i < EACH_SIDE; i++)
			pthread_create(&threads[i], NULL, thread_main, &players[2 * i + 1]);
		cr_assert_eq(weft_runtime_call(rt, play_tasks, players, WEFT_FOREVER), 0);
		for (int i = 0; i < EACH_SIDE; i++) {
			void *status;

			pthread_join(threads[i], &status);
			cr_assert_eq((intptr_t)status, 0);
		}
		weft_runtime_destroy(rt);
	}
}

static int use_mutex(void *arg)
{
	struct player *p = arg;

	for (int i = 0; i < ROUNDS; i++) {
		cr_assert_eq(weft_mutex_lock(&p->table->mutex), 0);
		p->table->count++;
		cr_assert_eq(weft_mutex_unlock(&p->table->mutex), 0);
	}
	return 0;
}

Test(sync_threads, share_a_mutex)
{
	struct table table = { .count = 0 };

	play(&table, use_mutex);
	cr_assert_eq(table.count, PLAYERS * ROUNDS);
}

/* Each takes its turn: count says whose it is. */
static int use_cond(void *arg)
{
	struct player *p = arg;
	struct table *t = p->table;

	for (int i = 0; i < ROUNDS / 10; i++) {
		cr_assert_eq(weft_mutex_lock(&t->mutex), 0);
		while (t->count % PLAYERS != p->number)
			cr_assert_eq(weft_cond_wait(&t->cond, &t->mutex), 0);
		t->count++;
		weft_cond_broadcast(&t->cond);
		cr_assert_eq(weft_mutex_unlock(&t->mutex), 0);
	}
	return 0;
}

Test(sync_threads, take_turns_by_a_condition_variable)
{
	struct table table = { .count = 0 };

	play(&table, use_cond);
	cr_assert_eq(table.count, PLAYERS * (ROUNDS / 10));
}

static int use_sem(void *arg)
{
	struct player *p = arg;
	struct table *t = p->table;

	for (int i = 0; i < ROUNDS; i++) {
		unsigned n = 1 + (unsigned)(i + p->number) % 3;

		cr_assert_eq(weft_sem_acquire(&t->sem, n), 0);
		int taken = __atomic_add_fetch(&t->count, (int)n, __ATOMIC_SEQ_CST);
		cr_assert_leq(taken, 3);
		__atomic_sub_fetch(&t->count, (int)n, __ATOMIC_SEQ_CST);
		weft_sem_release(&t->sem, n);
	}
	return 0;
}

Test(sync_threads, share_the_units_of_a_semaphore)
{
	struct table table = { .count = 0 };

	weft_sem_init(&table.sem, 3);
	play(&table, use_sem);
	cr_assert_eq(weft_sem_try_acquire(&table.sem, 3), 0);
}

/* A ring: each waits for its flag, clears it and sets the next one's. */
static int use_flags(void *arg)
{
	struct player *p = arg;
	struct table *t = p->table;

	for (int i = 0; i < ROUNDS / 10; i++) {
		if (p->number != 0 || i > 0)
			cr_assert_eq(weft_event_flag_wait(&t->flags[p->number]), 0);
		weft_event_flag_clear(&t->flags[p->number]);
		t->count++;
		weft_event_flag_set(&t->flags[(p->number + 1) % PLAYERS]);
	}
	return 0;
}

Test(sync_threads, hand_a_turn_round_by_event_flags)
{
	struct table table = { .count = 0 };

	play(&table, use_flags);
	cr_assert_eq(table.count, PLAYERS * (ROUNDS / 10));
}

static int use_rwlock(void *arg)
{
	struct player *p = arg;
	struct table *t = p->table;

	for (int i = 0; i < ROUNDS; i++) {
		if ((i + p->number) % 4) {
			cr_assert_eq(weft_rwlock_rdlock(&t->rwlock), 0);
			cr_assert_eq(t->left, t->right);
		} else {
			cr_assert_eq(weft_rwlock_wrlock(&t->rwlock), 0);
			t->left++;
			t->right++;
		}
		cr_assert_eq(weft_rwlock_unlock(&t->rwlock), 0);
	}
	return 0;
}

Test(sync_threads, read_and_write_under_a_readers_writer_lock)
{
	struct table table = { .count = 0 };

	play(&table, use_rwlock);
	cr_assert_eq(table.left, PLAYERS * ROUNDS / 4);
	cr_assert_eq(weft_rwlock_unlock(&table.rwlock), -EPERM, "nobody has it");
}

static int use_barrier(void *arg)
{
	struct player *p = arg;
	struct table *t = p->table;

	for (int i = 0; i < ROUNDS / 10; i++) {
		int rc = weft_barrier_wait(&t->barrier);

		cr_assert(rc == 0 || rc == 1);
		__atomic_add_fetch(&t->count, rc, __ATOMIC_SEQ_CST);
	}
	return 0;
}

Test(sync_threads, meet_at_a_barrier)
{
	struct table table = { .count = 0 };

	weft_barrier_init(&table.barrier, PLAYERS);
	play(&table, use_barrier);
	cr_assert_eq(table.count, ROUNDS / 10);
}

/* Players 0, 1 and 2 send, the others receive as much. */
static int use_chan(void *arg)
{
	struct player *p = arg;
	struct table *t = p->table;

	for (int i = 1; i <= ROUNDS; i++) {
		int item = i;

		if (p->number < 3) {
			cr_assert_eq(weft_chan_send(t->chan, &item), 0);
			__atomic_add_fetch(&t->count, item, __ATOMIC_SEQ_CST);
		} else {
			cr_assert_eq(weft_chan_recv(t->chan, &item), 1);
			__atomic_sub_fetch(&t->count, item, __ATOMIC_SEQ_CST);
		}
	}
	return 0;
}

Test(sync_threads, talk_through_channels)
{
	for (size_t capacity = 0; capacity < 3; capacity++) {
		struct table table = { .chan = weft_chan_create(sizeof(int), capacity) };

		play(&table, use_chan);
		cr_assert_eq(table.count, 0);
		cr_assert_eq(weft_chan_len(table.chan), 0);
		weft_chan_destroy(table.chan);
	}
}

/* Likewise, by selects over two channels. */
static int use_select(void *arg)
{
	struct player *p = arg;
	struct table *t = p->table;
	bool sends = p->number < 3;

	for (int i = 1; i <= ROUNDS; i++) {
		int item = i;
		struct weft_case cases[] = {
			{ .op = sends ? WEFT_SEND : WEFT_RECV, .chan = t->chan, .item = &item },
			{ .op = sends ? WEFT_SEND : WEFT_RECV, .chan = t->other, .item = &item },
		};
		ssize_t index = weft_select(cases, 2, WEFT_FOREVER);

		cr_assert(index == 0 || index == 1, "%zd", index);
		cr_assert_eq(cases[index].status, sends ? 0 : 1);
		__atomic_add_fetch(&t->count, sends ? item : -item, __ATOMIC_SEQ_CST);
	}
	return 0;
}

Test(sync_threads, select_among_channels)
{
	for (size_t capacity = 0; capacity < 3; capacity++) {
		struct table table = {
			.chan = weft_chan_create(sizeof(int), capacity),
			.other = weft_chan_create(sizeof(int), 0),
		};

		play(&table, use_select);
		cr_assert_eq(table.count, 0);
		weft_chan_destroy(table.chan);
		weft_chan_destroy(table.other);
	}
}

/* -- the ends of a wait on a plain thread ----------------------------------------------------- */

static struct weft_task *slow_task;
static struct weft_event_flag slow_may_end;

static int make_a_slow_task(void *arg)
{
	(void)arg;
	slow_task = weft_create_task(wait_for_flag, &slow_may_end);
	return 0;
}

Test(sync_threads, select_waits_for_tasks_and_time_on_a_plain_thread_too)
{
	struct weft_runtime *rt = start_runtime(2);
	struct weft_chan *chan = weft_chan_create(sizeof(int), 0);
	int item;

	cr_assert_eq(weft_runtime_call(rt, make_a_slow_task, NULL, WEFT_FOREVER), 0);
	struct weft_case cases[] = {
		{ .op = WEFT_TASK, .task = slow_task },
		{ .op = WEFT_RECV, .chan = chan, .item = &item },
		{ .op = WEFT_READABLE, .fd = 0 },
	};
	cr_assert_eq(weft_select(cases, 3, 0), -EPERM, "descriptors belong to a runtime");
	cr_assert_eq(weft_select(cases, 2, 0), -EAGAIN);
	cr_assert_eq(weft_select(cases, 2, WEFT_MS(2)), -EAGAIN);
	weft_event_flag_set(&slow_may_end);
	cr_assert_eq(weft_select(cases, 2, WEFT_FOREVER), 0);
	cr_assert_eq(cases[0].status, 0);
	weft_release(slow_task);
	weft_chan_destroy(chan);
	weft_runtime_destroy(rt);
}
