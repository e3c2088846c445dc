/* SPDX-License-Identifier: MIT */
/*
 * test_sync - tasks on several workers and plain threads, all at once on one lock or channel,
 * while somebody cancels the tasks at random. Nothing may be lost, doubled or left locked: the
 * count, sum and xor of what went in equal those of what came out.
 *
 * A task that is cancelled absorbs that (weft_uncancel) and goes on. Each test runs for a
 * fraction of a second of its own clock, however fast the machine is.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <weft.h>

#include "base/atomic.h"

enum { TASKS = 12, THREADS = 2, PLAYERS = TASKS + THREADS };

#define RUN_FOR WEFT_MS(400)

static _Atomic(uint32_t) over;

static uint64_t random_next(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

/* True after a cancel, which is absorbed: the caller tries again. */
static bool was_cancelled(int rc)
{
	if (rc != -ECANCELED)
		return false;
	cr_assert_eq(weft_uncancel(), 1);
	return true;
}

/* -- who plays ------------------------------------------------------------------------------- */

struct player {
	weft_fn fn;
	int number;
	uint64_t random;
	unsigned long count, sum, xors;
};

static struct player players[PLAYERS];

static void record(struct player *p, unsigned long item)
{
	p->count++;
	p->sum += item;
	p->xors ^= item * 0x9E3779B97F4A7C15;
}

static void *thread_main(void *arg)
{
	struct player *p = arg;

	return (void *)(intptr_t)p->fn(p);
}

/* Cancels at random until the time is up. */
static void torment(struct weft_task **tasks, uint64_t seed)
{
	weft_ns end = weft_now() + RUN_FOR;

	while (weft_now() < end) {
		weft_cancel(tasks[random_next(&seed) % TASKS]);
		weft_sleep(WEFT_MS(0.05));
	}
	weft_store_seq_cst(&over, 1);
}

struct game {
	weft_fn even, odd; /* for players of even and odd number */
	void (*finish)(void);
};

static int play_main(void *arg)
{
	const struct game *game = arg;
	struct weft_task *tasks[TASKS];
	pthread_t threads[THREADS];
	void *status;

	weft_store_seq_cst(&over, 0);
	for (int i = 0; i < PLAYERS; i++) {
		players[i] = (struct player){
			.fn = i % 2 ? game->odd : game->even, .number = i};
		players[i].random = (uint64_t)i + 1;
	}
	for (int i = 0; i < TASKS; i++)
		tasks[i] = weft_create_task(players[i].fn, &players[i]);
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(
				     &threads[i], NULL, thread_main, &players[TASKS + i]),
			0);
	torment(tasks, 42);
	if (game->finish)
		game->finish();
	for (int i = 0; i < TASKS; i++)
		cr_assert_geq(weft_join(tasks[i]), 0, "player %d", i);
	/* Nobody waits any more for what this worker has still to run. */
	for (int i = 0; i < THREADS; i++) {
		cr_assert_eq(pthread_join(threads[i], &status), 0);
		cr_assert_geq((intptr_t)status, 0);
	}
	return 0;
}

static void play(weft_fn even, weft_fn odd, void (*finish)(void), unsigned workers)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct game game = {.even = even, .odd = odd, .finish = finish};

	config.workers = workers;
	config.stall_report = -1; /* the threads take the processors */
	cr_assert_eq(weft_run(play_main, &game, &config), 0);
}

/* -- channel --------------------------------------------------------------------------------- */

static struct weft_chan *chan;
static _Atomic(uint32_t) senders;

static int send_until_over(void *arg)
{
	struct player *p = arg;
	unsigned long item = (unsigned long)p->number << 40;

	while (!weft_load_relaxed(&over)) {
		int rc;

		item++;
		do {
			rc = weft_chan_send(chan, &item);
		} while (was_cancelled(rc));
		cr_assert_eq(rc, 0);
		record(p, item);
	}
	if (weft_sub_acq_rel(&senders, 1) == 1)
		weft_chan_close(chan);
	return 0;
}

static int recv_until_closed(void *arg)
{
	struct player *p = arg;

	for (;;) {
		unsigned long item = 0;
		int rc = weft_chan_recv(chan, &item);

		if (was_cancelled(rc))
			continue;
		if (rc == 0)
			return 0;
		cr_assert_eq(rc, 1);
		record(p, item);
	}
}

static void play_chan(size_t capacity, unsigned workers)
{
	unsigned long count = 0, sum = 0, xors = 0;

	chan = weft_chan_create(sizeof(unsigned long), capacity);
	weft_store_seq_cst(&senders, PLAYERS / 2);
	play(send_until_over, recv_until_closed, NULL, workers);
	for (int i = 0; i < PLAYERS; i++) {
		count += i % 2 ? -players[i].count : players[i].count;
		sum += i % 2 ? -players[i].sum : players[i].sum;
		xors ^= players[i].xors;
	}
	cr_assert_gt(players[0].count, 0);
	cr_assert_eq(count, 0);
	cr_assert_eq(sum, 0);
	cr_assert_eq(xors, 0);
	weft_chan_destroy(chan);
}

Test(stress_sync, a_rendezvous_loses_and_doubles_nothing)
{
	play_chan(0, 2);
}

Test(stress_sync, a_channel_loses_and_doubles_nothing)
{
	play_chan(1, 2);
	play_chan(7, 3);
	play_chan(7, 1);
}

/* -- mutex ----------------------------------------------------------------------------------- */

static struct weft_mutex mutex;
static unsigned long guarded, guarded_twin;

static int add_under_mutex(void *arg)
{
	struct player *p = arg;

	while (!weft_load_relaxed(&over)) {
		int rc = weft_mutex_lock(&mutex);

		if (was_cancelled(rc))
			continue;
		cr_assert_eq(rc, 0);
		guarded++;
		if (random_next(&p->random) % 64 == 0)
			(void)weft_yield(); /* a cancel is seen by the next lock */
		guarded_twin++;
		p->count++;
		cr_assert_eq(weft_mutex_unlock(&mutex), 0);
		if (p->number >= TASKS) /* threads: leave the tasks a chance */
			sched_yield();
	}
	return 0;
}

static void play_mutex(unsigned workers)
{
	unsigned long count = 0;

	guarded = guarded_twin = 0;
	play(add_under_mutex, add_under_mutex, NULL, workers);
	for (int i = 0; i < PLAYERS; i++)
		count += players[i].count;
	cr_assert_gt(count, 0);
	cr_assert_eq(guarded, count);
	cr_assert_eq(guarded_twin, count);
	cr_assert_eq(weft_mutex_trylock(&mutex), 0);
	cr_assert_eq(weft_mutex_unlock(&mutex), 0);
}

Test(stress_sync, a_mutex_excludes_and_is_never_left_locked)
{
	play_mutex(1);
	play_mutex(2);
}

/* -- several mutexes ------------------------------------------------------------------------- */

enum { TABLE = 5 };

static struct weft_mutex forks[TABLE];
static _Atomic(unsigned long) refused;

/* The lower fork first, the higher one last: there is no cycle to be found. */
static int eat_in_order(void *arg)
{
	struct player *p = arg;

	while (!weft_load_relaxed(&over)) {
		int first = (int)random_next(&p->random) % (TABLE - 1), rc;
		int second =
			first + 1 + (int)random_next(&p->random) % (TABLE - 1 - first);

		rc = weft_mutex_lock(&forks[first]);
		if (was_cancelled(rc))
			continue;
		cr_assert_eq(rc, 0);
		if (random_next(&p->random) % 8 == 0)
			(void)weft_yield();
		rc = weft_mutex_lock(&forks[second]);
		if (!was_cancelled(rc)) {
			cr_assert_eq(rc, 0);
			p->count++;
			cr_assert_eq(weft_mutex_unlock(&forks[second]), 0);
		}
		cr_assert_eq(weft_mutex_unlock(&forks[first]), 0);
	}
	return 0;
}

Test(stress_sync, mutexes_locked_in_order_are_never_refused)
{
	play(eat_in_order, eat_in_order, NULL, 2);
	for (int i = 0; i < PLAYERS; i++)
		cr_assert_gt(players[i].count, 0, "player %d was starved", i);
}

/* Any two forks: every deadlock is refused to somebody, who lets go and tries again. */
static int eat_anyhow(void *arg)
{
	struct player *p = arg;

	if (!weft_self())
		return 0; /* the walk does not look through threads */
	while (!weft_load_relaxed(&over)) {
		int first = (int)random_next(&p->random) % TABLE, rc;
		int second =
			(first + 1 + (int)random_next(&p->random) % (TABLE - 1)) % TABLE;

		rc = weft_mutex_lock(&forks[first]);
		if (was_cancelled(rc))
			continue;
		cr_assert_eq(rc, 0);
		if (random_next(&p->random) % 4 == 0)
			(void)weft_yield();
		rc = weft_mutex_lock(&forks[second]);
		if (rc == 0) {
			p->count++;
			cr_assert_eq(weft_mutex_unlock(&forks[second]), 0);
		} else if (rc == -EDEADLK) {
			weft_add_relaxed(&refused, 1);
		} else {
			cr_assert(was_cancelled(rc));
		}
		cr_assert_eq(weft_mutex_unlock(&forks[first]), 0);
	}
	return 0;
}

Test(stress_sync, mutexes_locked_in_any_order_never_stop_everybody)
{
	play(eat_anyhow, eat_anyhow, NULL, 2);
	cr_assert_gt(weft_load_relaxed(&refused), 0);
	cr_assert_gt(players[0].count, 0);
}

/* -- readers-writer lock --------------------------------------------------------------------- */

static struct weft_rwlock rwlock;
static _Atomic(int) reading;

/* The pages say how often, how much and what has been written; a reader finds them in agreement. */
static struct player pages;

static int read_or_write(void *arg)
{
	struct player *p = arg;

	while (!weft_load_relaxed(&over)) {
		bool writes = random_next(&p->random) % 4 == 0;
		int rc = writes ? weft_rwlock_wrlock(&rwlock) : weft_rwlock_rdlock(&rwlock);

		if (was_cancelled(rc))
			continue;
		cr_assert_eq(rc, 0);
		if (writes) {
			cr_assert_eq(weft_load_relaxed(&reading), 0);
			record(p, (unsigned long)p->number << 40 | p->count);
			record(&pages, (unsigned long)p->number << 40 | (p->count - 1));
		} else {
			unsigned long count = pages.count;

			weft_add_relaxed(&reading, 1);
			if (random_next(&p->random) % 16 == 0)
				(void)weft_yield();
			cr_assert_eq(pages.count, count);
			weft_sub_relaxed(&reading, 1);
		}
		cr_assert_eq(weft_rwlock_unlock(&rwlock), 0);
		if (p->number >= TASKS)
			sched_yield();
	}
	return 0;
}

static void play_rwlock(unsigned workers)
{
	unsigned long count = 0, sum = 0, xors = 0;

	pages = (struct player){0};
	play(read_or_write, read_or_write, NULL, workers);
	for (int i = 0; i < PLAYERS; i++) {
		count += players[i].count;
		sum += players[i].sum;
		xors ^= players[i].xors;
		cr_assert_gt(players[i].count, 0, "player %d never wrote", i);
	}
	cr_assert_eq(pages.count, count);
	cr_assert_eq(pages.sum, sum);
	cr_assert_eq(pages.xors, xors);
	cr_assert_eq(weft_rwlock_wrlock(&rwlock), 0, "nobody kept it");
	cr_assert_eq(weft_rwlock_unlock(&rwlock), 0);
}

Test(stress_sync, a_readers_writer_lock_excludes_and_starves_nobody)
{
	play_rwlock(1);
	play_rwlock(2);
}

/* -- barrier --------------------------------------------------------------------------------- */

enum { PARTY = 4 };

static struct weft_barrier barrier;
static _Atomic(unsigned long) firsts, others;

static int meet_until_over(void *arg)
{
	(void)arg;
	while (!weft_load_relaxed(&over)) {
		struct weft_scope scope;
		int rc;

		if (!weft_self())
			return 0; /* nobody would end a thread's last wait */
		weft_deadline_begin(&scope, WEFT_MS(1));
		rc = weft_barrier_wait(&barrier);
		weft_scope_end(&scope);
		if (rc == -ETIMEDOUT || was_cancelled(rc))
			continue;
		cr_assert(rc == 0 || rc == 1);
		weft_add_relaxed(rc ? &firsts : &others, 1);
	}
	return 0;
}

Test(stress_sync, a_barrier_lets_go_of_whole_parties_only)
{
	weft_barrier_init(&barrier, PARTY);
	play(meet_until_over, meet_until_over, NULL, 2);
	cr_assert_gt(weft_load_relaxed(&firsts), 0);
	cr_assert_eq(weft_load_relaxed(&others), (PARTY - 1) * weft_load_relaxed(&firsts));
}

/* -- select ---------------------------------------------------------------------------------- */

enum { CHANS = 3, IDLE_CASES = 2 };

static struct weft_chan *chans[CHANS];
static int silent_pipe[2];

/* What a task's select may wait for besides, and never gets. */
static size_t add_idle_cases(struct player *p, struct weft_case *cases, size_t n)
{
	if (weft_self() && random_next(&p->random) % 4 == 0)
		cases[n++] = (struct weft_case){.op = WEFT_READABLE, .fd = silent_pipe[0]};
	if (weft_self() && random_next(&p->random) % 4 == 0)
		cases[n++] = (struct weft_case){.op = WEFT_TASK, .task = weft_self()};
	return n;
}

/* A select over some of the channels, in any order. Its index among all channels; -EAGAIN, -ECANCELED. */
static int select_some(struct player *p, int op, unsigned skip, unsigned long *item, int *status)
{
	struct weft_case cases[CHANS + IDLE_CASES];
	int first = (int)random_next(&p->random) % CHANS, which[CHANS];
	size_t n = 0;
	ssize_t index;

	for (int i = 0; i < CHANS; i++) {
		int k = (first + i) % CHANS;

		if (skip & 1u << k || (n > 0 && random_next(&p->random) % 3 == 0))
			continue;
		which[n] = k;
		cases[n++] = (struct weft_case){.op = op, .chan = chans[k], .item = item};
	}
	index = weft_select(cases, add_idle_cases(p, cases, n),
		random_next(&p->random) % 4 ? WEFT_FOREVER
					    : (weft_ns)(random_next(&p->random) % 50000));
	if (index < 0)
		return (int)index;
	cr_assert_lt(index, (ssize_t)n, "an idle case was chosen");
	*status = cases[index].status;
	return which[index];
}

static int offer_until_over(void *arg)
{
	struct player *p = arg;
	unsigned long item = (unsigned long)p->number << 40;

	while (!weft_load_relaxed(&over)) {
		int status = 0, rc;

		item++;
		do {
			if (random_next(&p->random) % 4)
				rc = select_some(p, WEFT_SEND, 0, &item, &status);
			else
				rc = weft_chan_send(
					chans[random_next(&p->random) % CHANS], &item);
		} while (rc == -EAGAIN || was_cancelled(rc));
		cr_assert_geq(rc, 0);
		cr_assert_eq(status, 0);
		record(p, item);
	}
	if (weft_sub_acq_rel(&senders, 1) == 1) {
		for (int i = 0; i < CHANS; i++)
			weft_chan_close(chans[i]);
	}
	return 0;
}

static int take_until_closed(void *arg)
{
	struct player *p = arg;
	unsigned closed = 0;

	while (closed != (1u << CHANS) - 1) {
		unsigned long item = 0;
		int status = 0, index = select_some(p, WEFT_RECV, closed, &item, &status);

		if (index == -EAGAIN || was_cancelled(index))
			continue;
		cr_assert_geq(index, 0);
		if (status == 1)
			record(p, item);
		else
			closed |= 1u << index;
	}
	return 0;
}

static void play_select(size_t capacity, unsigned workers)
{
	unsigned long count = 0, sum = 0, xors = 0;

	for (int i = 0; i < CHANS; i++)
		chans[i] = weft_chan_create(sizeof(unsigned long), capacity * (size_t)i);
	weft_store_seq_cst(&senders, PLAYERS / 2);
	play(offer_until_over, take_until_closed, NULL, workers);
	for (int i = 0; i < PLAYERS; i++) {
		count += i % 2 ? -players[i].count : players[i].count;
		sum += i % 2 ? -players[i].sum : players[i].sum;
		xors ^= players[i].xors;
	}
	cr_assert_gt(players[0].count, 0);
	cr_assert_eq(count, 0);
	cr_assert_eq(sum, 0);
	cr_assert_eq(xors, 0);
	for (int i = 0; i < CHANS; i++)
		weft_chan_destroy(chans[i]);
}

Test(stress_sync, selects_lose_and_double_nothing)
{
	cr_assert_eq(pipe(silent_pipe), 0);
	play_select(0, 1);
	play_select(0, 2);
	play_select(1, 2);
	play_select(3, 3);
}

/* On one channel each offers an item and asks for one, so any two of them can meet. */
static int swap_until_over(void *arg)
{
	struct player *p = arg;

	while (!weft_load_relaxed(&over)) {
		unsigned long out = (unsigned long)p->number << 40 | (p->count + 1), in = 0;
		struct weft_case cases[] = {
			{.op = WEFT_SEND, .chan = chan, .item = &out},
			{.op = WEFT_RECV, .chan = chan, .item = &in},
		};
		ssize_t index = weft_select(cases, 2, WEFT_MS(1));

		if (index == -EAGAIN || was_cancelled((int)index))
			continue;
		cr_assert(index == 0 || index == 1);
		p->count++;
		p->sum += index == 0 ? out : -in;
		p->xors ^= (index == 0 ? out : in) * 0x9E3779B97F4A7C15;
	}
	return 0;
}

Test(stress_sync, selects_that_meet_each_other_agree)
{
	unsigned long sum = 0, xors = 0;

	chan = weft_chan_create(sizeof(unsigned long), 0);
	play(swap_until_over, swap_until_over, NULL, 2);
	for (int i = 0; i < PLAYERS; i++) {
		sum += players[i].sum;
		xors ^= players[i].xors;
	}
	cr_assert_gt(players[0].count, 0);
	cr_assert_eq(sum, 0);
	cr_assert_eq(xors, 0);
	weft_chan_destroy(chan);
}

/* -- semaphore ------------------------------------------------------------------------------- */

enum { UNITS = 5 };

static struct weft_sem sem;
static _Atomic(int) taken;

static int take_some_units(void *arg)
{
	struct player *p = arg;

	while (!weft_load_relaxed(&over)) {
		unsigned n = 1 + (unsigned)random_next(&p->random) % UNITS;
		int rc = weft_sem_acquire(&sem, n);

		if (was_cancelled(rc))
			continue;
		cr_assert_eq(rc, 0);
		cr_assert_leq(weft_add_acq_rel(&taken, (int)n) + (int)n, UNITS);
		if (random_next(&p->random) % 16 == 0)
			(void)weft_yield();
		weft_sub_acq_rel(&taken, (int)n);
		weft_sem_release(&sem, n);
		p->count++;
	}
	return 0;
}

Test(stress_sync, a_semaphore_keeps_its_units)
{
	weft_sem_init(&sem, UNITS);
	play(take_some_units, take_some_units, NULL, 2);
	for (int i = 0; i < PLAYERS; i++)
		cr_assert_gt(players[i].count, 0, "player %d was starved", i);
	cr_assert_eq(weft_sem_try_acquire(&sem, UNITS), 0);
	cr_assert_eq(weft_sem_try_acquire(&sem, 1), -EAGAIN);
}

/* -- condition variable ---------------------------------------------------------------------- */

static struct weft_cond not_full, not_empty;
static unsigned long slot; /* 0: empty */
static bool no_more;

static void lock_mutex(void)
{
	int rc;

	do {
		rc = weft_mutex_lock(&mutex);
	} while (was_cancelled(rc));
	cr_assert_eq(rc, 0);
}

static void wait_cond(struct weft_cond *cond)
{
	int rc = weft_cond_wait(cond, &mutex);

	cr_assert(was_cancelled(rc) || rc == 0);
}

static int fill_slot(void *arg)
{
	struct player *p = arg;
	unsigned long item = (unsigned long)p->number << 40;

	while (!weft_load_relaxed(&over)) {
		lock_mutex();
		while (slot && !no_more)
			wait_cond(&not_full);
		if (!no_more) {
			slot = ++item;
			record(p, item);
		}
		weft_cond_signal(&not_empty);
		cr_assert_eq(weft_mutex_unlock(&mutex), 0);
	}
	return 0;
}

static int empty_slot(void *arg)
{
	struct player *p = arg;
	bool last = false;

	while (!last) {
		lock_mutex();
		while (!slot && !no_more)
			wait_cond(&not_empty);
		if (slot)
			record(p, slot);
		else
			last = true;
		slot = 0;
		weft_cond_signal(&not_full);
		cr_assert_eq(weft_mutex_unlock(&mutex), 0);
	}
	return 0;
}

static void end_slot(void)
{
	lock_mutex();
	no_more = true;
	weft_cond_broadcast(&not_full);
	weft_cond_broadcast(&not_empty);
	cr_assert_eq(weft_mutex_unlock(&mutex), 0);
}

Test(stress_sync, a_condition_variable_loses_no_signal)
{
	unsigned long sum = 0, xors = 0;

	play(fill_slot, empty_slot, end_slot, 2);
	for (int i = 0; i < PLAYERS; i++) {
		sum += i % 2 ? -players[i].sum : players[i].sum;
		xors ^= players[i].xors;
	}
	cr_assert_eq(slot, 0);
	cr_assert_eq(sum, 0);
	cr_assert_eq(xors, 0);
}

/* -- event flag ------------------------------------------------------------------------------ */

struct request {
	struct weft_event_flag done;
	unsigned long question, answer;
};

static struct weft_chan *requests;

/* The flag lies on the stack of the one who asks, and is gone as soon as it was answered. */
static int ask(void *arg)
{
	struct player *p = arg;

	while (!weft_load_relaxed(&over)) {
		struct request request = {.question = random_next(&p->random)};
		struct request *pointer = &request;
		int rc;

		do {
			rc = weft_chan_send(requests, &pointer);
		} while (was_cancelled(rc));
		cr_assert_eq(rc, 0);
		do {
			rc = weft_event_flag_wait(&request.done);
		} while (was_cancelled(rc));
		cr_assert_eq(rc, 0);
		cr_assert_eq(request.answer, request.question * 3);
		p->count++;
	}
	if (weft_sub_acq_rel(&senders, 1) == 1)
		weft_chan_close(requests);
	return 0;
}

static int answer(void *arg)
{
	(void)arg;
	for (;;) {
		struct request *request;
		int rc = weft_chan_recv(requests, &request);

		if (was_cancelled(rc))
			continue;
		if (rc == 0)
			return 0;
		request->answer = request->question * 3;
		weft_event_flag_set(&request->done);
	}
}

Test(stress_sync, a_flag_on_the_stack_of_its_waiter_is_safe)
{
	requests = weft_chan_create(sizeof(struct request *), 3);
	weft_store_seq_cst(&senders, PLAYERS / 2);
	play(ask, answer, NULL, 2);
	cr_assert_gt(players[0].count, 0);
	weft_chan_destroy(requests);
}
