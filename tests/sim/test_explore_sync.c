/* SPDX-License-Identifier: MIT */
/*
 * The locks, explored: who is in a critical section, in which order waiters are served, that no wake-up
 * and no unit is lost, all of it with tasks that are cancelled or meet a deadline while they wait.
 */
#include "explore.h"

enum { TASKS = 4, ROUNDS = 3 };

/* -- cancels ----------------------------------------------------------------------------------- */

static struct weft_task *tasks[TASKS];
static bool cancelled[TASKS];

static void cancel_any(void)
{
	unsigned i = any(TASKS);

	cancelled[i] = true;
	weft_cancel(tasks[i]);
}

static void begin(void)
{
	memset(cancelled, 0, sizeof(cancelled));
}

static void create_all(weft_fn fn)
{
	for (intptr_t i = 0; i < TASKS; i++)
		tasks[i] = weft_create_task(fn, (void *)i);
}

/* They wait in the order of their numbers. */
static void create_in_order(weft_fn fn)
{
	for (intptr_t i = 0; i < TASKS; i++) {
		tasks[i] = weft_create_task(fn, (void *)i);
		settle();
	}
}

static void join_all(void)
{
	CHECK(weft_gather(tasks, TASKS, NULL, WEFT_GATHER_ALL) == 0);
	weft_release_all(tasks, TASKS);
}

/* Some are cancelled here and there while they are at it. */
static void disturb(void)
{
	for (unsigned n = any(3); n > 0; n--) {
		dawdle();
		cancel_any();
	}
}

static bool given_up(int rc)
{
	return rc == -ECANCELED || rc == -ETIMEDOUT;
}

/* Served in the order of their numbers; whoever was not cancelled is. */
static struct {
	int last;
	bool served[TASKS];
} queue;

static void queue_begin(void)
{
	begin();
	memset(&queue, 0, sizeof(queue));
	queue.last = -1;
}

static void queue_served(int i)
{
	CHECK(i > queue.last);
	queue.last = i;
	queue.served[i] = true;
}

static void queue_end(void)
{
	for (int i = 0; i < TASKS; i++)
		CHECK(queue.served[i] || cancelled[i]);
}

/* -- mutex ------------------------------------------------------------------------------------- */

static struct {
	struct weft_mutex mutex;
	int inside, count, locked;
	bool deadlines;
} m;

static int lock_mutex(void)
{
	struct weft_scope scope;
	weft_ns until = weft_now() + WEFT_MS(2);
	int rc;

	if (!m.deadlines || any(2))
		return weft_mutex_lock(&m.mutex);
	weft_deadline_begin(&scope, WEFT_MS(2));
	rc = weft_mutex_lock(&m.mutex);
	CHECK(rc != -ETIMEDOUT || weft_now() >= until);
	CHECK(weft_scope_end(&scope) == (rc == -ETIMEDOUT));
	return rc;
}

static int count_under_mutex(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		int seen, rc = any(4) ? lock_mutex() : weft_mutex_trylock(&m.mutex);

		CHECK(rc == 0 || rc == -EBUSY || given_up(rc));
		if (rc < 0)
			continue;
		CHECK(m.inside++ == 0);
		seen = m.count;
		dawdle();
		m.count = seen + 1;
		m.locked++;
		CHECK(--m.inside == 0);
		CHECK(weft_mutex_unlock(&m.mutex) == 0);
		dawdle();
	}
	return 0;
}

static int mutex_excludes(void *arg)
{
	(void)arg;
	begin();
	memset(&m, 0, sizeof(m));
	m.deadlines = any(2);
	create_all(count_under_mutex);
	if (any(2))
		disturb();
	join_all();
	CHECK(m.count == m.locked);
	CHECK(weft_mutex_trylock(&m.mutex) == 0);
	return 0;
}

static int lock_once(void *number)
{
	int rc = weft_mutex_lock(&m.mutex);

	CHECK(rc == 0 || rc == -ECANCELED);
	if (rc < 0)
		return rc;
	queue_served((int)(intptr_t)number);
	dawdle();
	return weft_mutex_unlock(&m.mutex);
}

static int mutex_is_fifo(void *arg)
{
	(void)arg;
	queue_begin();
	memset(&m, 0, sizeof(m));
	CHECK(weft_mutex_lock(&m.mutex) == 0);
	create_in_order(lock_once);
	if (any(2))
		cancel_any();
	if (any(2))
		weft_yield();
	CHECK(weft_mutex_unlock(&m.mutex) == 0);
	if (any(2))
		cancel_any();
	join_all();
	queue_end();
	CHECK(weft_mutex_trylock(&m.mutex) == 0);
	return 0;
}

/* -- cond -------------------------------------------------------------------------------------- */

static struct {
	struct weft_mutex mutex;
	struct weft_cond changed;
	int items, made, taken, woken;
	int left[2]; /* takers, makers */
} c;

enum { ROOM = 2 };

/* Half of the tasks make things, the others take them, as long as there is anybody on the other side. */
static bool must_wait(bool makes)
{
	return makes ? c.items == ROOM && c.left[0] > 0 : c.items == 0 && c.left[1] > 0;
}

static int make_or_take(void *number)
{
	bool makes = (intptr_t)number % 2;
	struct weft_scope shield;

	for (int i = 0; i < ROUNDS; i++) {
		if (weft_mutex_lock(&c.mutex) < 0)
			break;
		while (must_wait(makes) && weft_cond_wait(&c.changed, &c.mutex) == 0)
			;
		if (makes && c.items < ROOM) {
			c.items++;
			c.made++;
		} else if (!makes && c.items > 0) {
			c.items--;
			c.taken++;
		}
		CHECK(c.items >= 0 && c.items <= ROOM);
		weft_cond_broadcast(&c.changed);
		CHECK(weft_mutex_unlock(&c.mutex) == 0);
	}
	weft_shield_begin(&shield, WEFT_FOREVER);
	CHECK(weft_mutex_lock(&c.mutex) == 0); /* else a wait just begun would miss it */
	c.left[makes]--;
	weft_cond_broadcast(&c.changed);
	CHECK(weft_mutex_unlock(&c.mutex) == 0);
	weft_scope_end(&shield);
	return 0;
}

static int cond_bounded_buffer(void *arg)
{
	(void)arg;
	begin();
	memset(&c, 0, sizeof(c));
	c.left[0] = c.left[1] = TASKS / 2;
	create_all(make_or_take);
	if (any(2))
		disturb();
	join_all();
	CHECK(c.made == c.taken + c.items);
	return 0;
}

static int wait_for_signal(void *number)
{
	int rc;

	CHECK(weft_mutex_lock(&c.mutex) == 0);
	rc = weft_cond_wait(&c.changed, &c.mutex);
	CHECK(weft_mutex_trylock(&c.mutex) ==
		-EBUSY); /* it has relocked, cancelled or not */
	CHECK(rc == 0 || rc == -ECANCELED);
	if (rc == 0) {
		c.woken++;
		if ((intptr_t)number >= 0)
			queue_served((int)(intptr_t)number);
	}
	CHECK(weft_mutex_unlock(&c.mutex) == 0);
	return rc;
}

static int cond_signals_in_order(void *arg)
{
	(void)arg;
	queue_begin();
	memset(&c, 0, sizeof(c));
	create_in_order(wait_for_signal);
	if (any(2))
		cancel_any();
	for (int i = 0; i < TASKS; i++) {
		weft_cond_signal(&c.changed);
		settle();
	}
	join_all();
	queue_end();
	return 0;
}

/* A signal that meets a cancel is not lost: with fewer signals than waiters that stay, each wakes one. */
static int cond_no_signal_is_lost(void *arg)
{
	int signals = 1 + (int)any(2), cancels = (int)any(2);

	(void)arg;
	queue_begin();
	memset(&c, 0, sizeof(c));
	for (int i = 0; i < TASKS; i++)
		tasks[i] = weft_create_task(wait_for_signal, (void *)(intptr_t)-1);
	settle();
	for (int i = 0; i < signals + cancels; i++) {
		if (i == cancels - 1 && any(2))
			cancel_any();
		if (i < signals)
			weft_cond_signal(&c.changed);
		if (i == cancels - 1 && any(2))
			cancel_any();
		if (any(2))
			weft_yield();
	}
	settle();
	CHECK(c.woken == signals);
	weft_cond_broadcast(&c.changed);
	join_all();
	return 0;
}

/* -- sem --------------------------------------------------------------------------------------- */

enum { UNITS = 3 };

static struct {
	struct weft_sem sem;
	int in_use;
} s;

static int use_units(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		int n = 1 + (int)any(UNITS);
		int rc = any(4) ? weft_sem_acquire(&s.sem, (unsigned)n)
				: weft_sem_try_acquire(&s.sem, (unsigned)n);

		CHECK(rc == 0 || rc == -EAGAIN || rc == -ECANCELED);
		if (rc < 0)
			continue;
		s.in_use += n;
		CHECK(s.in_use <= UNITS);
		dawdle();
		s.in_use -= n;
		weft_sem_release(&s.sem, (unsigned)n);
	}
	return 0;
}

static int sem_counts(void *arg)
{
	(void)arg;
	begin();
	s.in_use = 0;
	weft_sem_init(&s.sem, UNITS);
	create_all(use_units);
	if (any(2))
		disturb();
	join_all();
	CHECK(weft_sem_try_acquire(&s.sem, UNITS) == 0);
	CHECK(weft_sem_try_acquire(&s.sem, 1) == -EAGAIN);
	return 0;
}

static int acquire_two(void *number)
{
	int rc = weft_sem_acquire(&s.sem, 2);

	CHECK(rc == 0 || rc == -ECANCELED);
	if (rc == 0)
		queue_served((int)(intptr_t)number);
	return rc;
}

static int sem_is_fifo(void *arg)
{
	int left = 0;

	(void)arg;
	queue_begin();
	weft_sem_init(&s.sem, any(2));
	create_in_order(acquire_two);
	for (int i = 0; i < TASKS; i++) {
		if (any(3) == 0)
			cancel_any();
		weft_sem_release(&s.sem, 2);
		settle();
	}
	join_all();
	queue_end();
	for (int i = 0; i < TASKS; i++)
		left += queue.served[i] ? 0 : 2;
	CHECK(left == 0 || weft_sem_try_acquire(&s.sem, (unsigned)left) == 0);
	CHECK(weft_sem_try_acquire(&s.sem, 2) == -EAGAIN);
	return 0;
}

/* Who gives up in front makes room for those behind who want less. */
static int acquire_one(void *arg)
{
	(void)arg;
	return weft_sem_acquire(&s.sem, 1);
}

static int sem_first_gives_up(void *arg)
{
	struct weft_task *large, *small;

	(void)arg;
	weft_sem_init(&s.sem, 1);
	large = weft_create_task(acquire_two, NULL);
	settle();
	small = weft_create_task(acquire_one, NULL);
	settle();
	CHECK(weft_status(small) == -EINPROGRESS);
	weft_cancel(large);
	CHECK(weft_join(small) == 0);
	CHECK(weft_join(large) == -ECANCELED);
	return 0;
}

/* -- rwlock ------------------------------------------------------------------------------------ */

static struct {
	struct weft_rwlock lock;
	int readers, writers;
	bool writes[TASKS], entered[TASKS], left[TASKS];
} rw;

static int read_or_write(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		bool writes = any(2);
		int rc = writes ? weft_rwlock_wrlock(&rw.lock)
				: weft_rwlock_rdlock(&rw.lock);
		int *inside = writes ? &rw.writers : &rw.readers;

		CHECK(rc == 0 || rc == -ECANCELED);
		if (rc < 0)
			return rc;
		++*inside;
		CHECK(rw.writers == 0 || (rw.writers == 1 && rw.readers == 0));
		dawdle();
		CHECK(rw.writers == 0 || (rw.writers == 1 && rw.readers == 0));
		--*inside;
		CHECK(weft_rwlock_unlock(&rw.lock) == 0);
	}
	return 0;
}

static int rwlock_excludes(void *arg)
{
	(void)arg;
	begin();
	memset(&rw, 0, sizeof(rw));
	create_all(read_or_write);
	if (any(2))
		disturb();
	join_all();
	CHECK(weft_rwlock_wrlock(&rw.lock) == 0);
	CHECK(weft_rwlock_unlock(&rw.lock) == 0);
	return 0;
}

/* Of those that wait before it, those it excludes have left, or were cancelled. */
static int enter_in_turn(void *number)
{
	int self = (int)(intptr_t)number;
	int rc = rw.writes[self] ? weft_rwlock_wrlock(&rw.lock)
				 : weft_rwlock_rdlock(&rw.lock);

	CHECK(rc == 0 || rc == -ECANCELED);
	if (rc < 0)
		return rc;
	for (int i = 0; i < self; i++)
		CHECK(!(rw.writes[self] || rw.writes[i]) || rw.left[i] || cancelled[i]);
	for (int i = self + 1; i < TASKS; i++)
		CHECK(!(rw.writes[self] || rw.writes[i]) || !rw.entered[i]);
	rw.entered[self] = true;
	dawdle();
	rw.left[self] = true;
	return weft_rwlock_unlock(&rw.lock);
}

static int rwlock_is_fifo(void *arg)
{
	bool held_to_write = any(2);

	(void)arg;
	begin();
	memset(&rw, 0, sizeof(rw));
	for (int i = 0; i < TASKS; i++)
		rw.writes[i] = any(2);
	rw.writes[0] |= !held_to_write;
	CHECK((held_to_write ? weft_rwlock_wrlock(&rw.lock)
			     : weft_rwlock_rdlock(&rw.lock)) == 0);
	create_in_order(enter_in_turn);
	if (any(2))
		cancel_any();
	if (any(2))
		settle();
	CHECK(weft_rwlock_unlock(&rw.lock) == 0);
	if (any(2))
		cancel_any();
	join_all();
	for (int i = 0; i < TASKS; i++)
		CHECK(rw.left[i] || cancelled[i]);
	return 0;
}

/* A writer that gives up lets in the readers behind it, although the lock is still held to read. */
static int enter_to_write(void *arg)
{
	(void)arg;
	return weft_rwlock_wrlock(&rw.lock);
}

static int enter_to_read(void *arg)
{
	int rc = weft_rwlock_rdlock(&rw.lock);

	(void)arg;
	return rc < 0 ? rc : weft_rwlock_unlock(&rw.lock);
}

static int rwlock_writer_gives_up(void *arg)
{
	struct weft_task *writer, *reader;

	(void)arg;
	memset(&rw, 0, sizeof(rw));
	CHECK(weft_rwlock_rdlock(&rw.lock) == 0);
	writer = weft_create_task(enter_to_write, NULL);
	settle();
	reader = weft_create_task(enter_to_read, NULL);
	settle();
	CHECK(weft_status(reader) == -EINPROGRESS);
	weft_cancel(writer);
	CHECK(weft_join(reader) == 0);
	CHECK(weft_join(writer) == -ECANCELED);
	return weft_rwlock_unlock(&rw.lock);
}

/* -- event flag -------------------------------------------------------------------------------- */

static struct {
	struct weft_event_flag flag;
	int value, passed;
} f;

static int wait_for_flag(void *arg)
{
	int rc = weft_event_flag_wait(&f.flag);

	(void)arg;
	CHECK(rc == 0 || rc == -ECANCELED);
	CHECK(rc < 0 || f.value);
	f.passed += rc == 0;
	return rc;
}

static int flag_wakes_all(void *arg)
{
	(void)arg;
	begin();
	memset(&f, 0, sizeof(f));
	create_all(wait_for_flag);
	if (any(2))
		disturb();
	dawdle();
	f.value = 1;
	weft_event_flag_set(&f.flag);
	join_all();
	for (int i = 0; i < TASKS; i++)
		f.passed += cancelled[i];
	CHECK(f.passed >= TASKS);
	CHECK(weft_event_flag_is_set(&f.flag));
	return 0;
}

/* Whoever waited when it was set goes on, though it is cleared at once; who comes later waits. */
static int flag_set_and_cleared(void *arg)
{
	struct weft_task *late;

	(void)arg;
	begin();
	memset(&f, 0, sizeof(f));
	create_all(wait_for_flag);
	settle();
	if (any(2))
		cancel_any();
	f.value = 1;
	weft_event_flag_set(&f.flag);
	weft_event_flag_clear(&f.flag);
	late = weft_create_task(wait_for_flag, NULL);
	settle();
	for (int i = 0; i < TASKS; i++)
		CHECK(weft_status(tasks[i]) == 0);
	CHECK(weft_status(late) == -EINPROGRESS);
	weft_event_flag_set(&f.flag);
	CHECK(weft_join(late) == 0);
	join_all();
	return 0;
}

/* -- barrier ----------------------------------------------------------------------------------- */

static struct {
	struct weft_barrier barrier;
	int arrived[ROUNDS], last[ROUNDS], passed;
} b;

static int meet(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		int rc;

		dawdle();
		b.arrived[i]++;
		rc = weft_barrier_wait(&b.barrier);
		CHECK(rc == 0 || rc == 1);
		CHECK(b.arrived[i] == TASKS);
		b.last[i] += rc;
	}
	return 0;
}

static int barrier_rounds(void *arg)
{
	(void)arg;
	memset(&b, 0, sizeof(b));
	weft_barrier_init(&b.barrier, TASKS);
	create_all(meet);
	join_all();
	for (int i = 0; i < ROUNDS; i++)
		CHECK(b.last[i] == 1);
	return 0;
}

static int meet_once(void *arg)
{
	int rc;

	(void)arg;
	dawdle();
	rc = weft_barrier_wait(&b.barrier);
	CHECK(rc == 0 || rc == 1 || rc == -ECANCELED);
	b.passed += rc >= 0;
	b.last[0] += rc == 1;
	return rc;
}

/* One too many, and one of them gives up, perhaps: the others meet all the same. */
static int barrier_without_one(void *arg)
{
	(void)arg;
	begin();
	memset(&b, 0, sizeof(b));
	weft_barrier_init(&b.barrier, TASKS - 1);
	create_all(meet_once);
	dawdle();
	cancel_any();
	weft_sleep(WEFT_SEC(1));
	CHECK(b.passed == TASKS - 1);
	CHECK(b.last[0] == 1);
	for (int i = 0; i < TASKS; i++)
		weft_cancel(tasks[i]);
	join_all();
	CHECK(b.passed == TASKS - 1);
	return 0;
}

/* -- all of them ------------------------------------------------------------------------------- */

Explored(sync, mutex_excludes, mutex_excludes, .faults = WEFT_SIM_SLOW) Explored(
	sync, mutex_is_fifo, mutex_is_fifo) Explored(sync, cond_bounded_buffer,
	cond_bounded_buffer, .faults = WEFT_SIM_SLOW) Explored(sync,
	cond_signals_in_order, cond_signals_in_order) Explored(sync,
	cond_no_signal_is_lost, cond_no_signal_is_lost) Explored(sync, sem_counts,
	sem_counts, .faults = WEFT_SIM_SLOW) Explored(sync, sem_is_fifo,
	sem_is_fifo) Explored(sync, sem_first_gives_up, sem_first_gives_up) Explored(sync,
	rwlock_excludes, rwlock_excludes,
	.faults = WEFT_SIM_SLOW) Explored(sync, rwlock_is_fifo, rwlock_is_fifo)
	Explored(sync, rwlock_writer_gives_up, rwlock_writer_gives_up) Explored(
		sync, flag_wakes_all, flag_wakes_all, .faults = WEFT_SIM_SLOW)
		Explored(sync, flag_set_and_cleared, flag_set_and_cleared) Explored(
			sync, barrier_rounds, barrier_rounds, .faults = WEFT_SIM_SLOW)
			Explored(sync, barrier_without_one, barrier_without_one)
