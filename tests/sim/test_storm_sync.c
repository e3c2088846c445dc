/* SPDX-License-Identifier: MIT */
/*
 * The storm over what tasks wait for each other with: channels, select, locks, semaphores, flags, barriers. The
 * account: every item is received once or left, every lock and unit is given back, nobody is inside with another.
 */
#include "storm.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include <weft.h>

enum { TASKS = 3, ITEMS = 5 };

static struct {
	int sent, received, left; /* items, and the sums of what they say */
	long sum_sent, sum_received, sum_left;
	int inside, readers; /* who is between lock and unlock */
	int taken, given;    /* units, locks, tickets */
	const char *wrong;
} account;

static void open_account(void)
{
	memset(&account, 0, sizeof(account));
}

static void wrong_unless(bool holds, const char *text)
{
	if (!holds)
		account.wrong = text;
}

static const char *it_adds_up(void *arg)
{
	(void)arg;
	if (account.wrong)
		return account.wrong;
	if (account.sent != account.received + account.left ||
		account.sum_sent != account.sum_received + account.sum_left)
		return storm_says("%d items sent, %d received, %d left", account.sent,
			account.received, account.left);
	if (account.taken != account.given || account.inside || account.readers)
		return storm_says(
			"%d taken, %d given back", account.taken, account.given);
	return NULL;
}

/* fn(arg) by TASKS tasks; the first that fails ends the others. */
static int by_several(weft_fn fn, void *arg)
{
	struct weft_group group;

	weft_group_begin(&group, 0);
	for (int i = 0; i < TASKS; i++)
		weft_group_spawn(&group, fn, arg);
	return weft_group_join(&group);
}

/* -- channels -------------------------------------------------------------------------------------- */

static int send_items(void *arg)
{
	for (int i = 1; i <= ITEMS; i++) {
		int rc = weft_chan_send(arg, &i);

		if (rc < 0)
			return rc;
		account.sent++;
		account.sum_sent += i;
	}
	return 0;
}

static void note_received(int item)
{
	account.received++;
	account.sum_received += item;
}

/* Who does not come for the rest closes: else senders would wait for good. */
static int receive_items(void *arg)
{
	int item, rc;

	while ((rc = weft_chan_recv(arg, &item)) == 1) {
		note_received(item);
		weft_sleep(WEFT_MS(1));
	}
	weft_chan_close(arg);
	return rc;
}

static int select_items(void *arg)
{
	struct weft_chan **chans = arg;
	int items[2], over[2] = {0};
	ssize_t i;

	for (;;) {
		struct weft_case cases[] = {
			{.op = WEFT_RECV, .chan = chans[0], .item = &items[0]},
			{.op = WEFT_RECV, .chan = chans[1], .item = &items[1]},
		};
		size_t first = over[0] ? 1 : 0;

		i = over[0] && over[1]
			    ? -ENOENT
			    : weft_select(&cases[first], over[first ^ 1] ? 1 : 2 - first,
				      WEFT_MS(1));
		if (i == -EAGAIN)
			continue;
		if (i < 0)
			break;
		i += (ssize_t)first;
		if (cases[i].status == 1)
			note_received(items[i]);
		else
			over[i] = 1;
	}
	weft_chan_close(chans[0]);
	weft_chan_close(chans[1]);
	return i == -ENOENT ? 0 : (int)i;
}

/* Sends to whichever has room. */
static int select_sends(void *arg)
{
	struct weft_chan **chans = arg;

	for (int item = 1; item <= ITEMS; item++) {
		struct weft_case cases[] = {
			{.op = WEFT_SEND, .chan = chans[0], .item = &item},
			{.op = WEFT_SEND, .chan = chans[1], .item = &item},
		};
		ssize_t i = weft_select(cases, 2, WEFT_FOREVER);

		if (i < 0 || cases[i].status < 0)
			return i < 0 ? (int)i : cases[i].status;
		account.sent++;
		account.sum_sent += item;
	}
	return 0;
}

static void drain(struct weft_chan *chan)
{
	int item;

	weft_chan_close(chan);
	while (weft_chan_try_recv(chan, &item) == 1) {
		account.left++;
		account.sum_left += item;
	}
	weft_chan_destroy(chan);
}

static int through_a_channel(size_t capacity)
{
	struct weft_chan *chan = weft_chan_create(sizeof(int), capacity);
	struct weft_task *receiver = weft_create_task(receive_items, chan);
	int rc, received;

	open_account();
	rc = by_several(send_items, chan);
	weft_chan_close(chan);
	received = weft_join(receiver);
	drain(chan);
	return rc < 0 ? rc : received;
}

static int buffered(void *arg)
{
	(void)arg;
	return through_a_channel(2);
}

static int rendezvous(void *arg)
{
	(void)arg;
	return through_a_channel(0);
}

static int selects(void *arg)
{
	struct weft_chan *chans[] = {
		weft_chan_create(sizeof(int), 0), weft_chan_create(sizeof(int), 1)};
	struct weft_task *receiver;
	int rc, received;

	(void)arg;
	open_account();
	receiver = weft_create_task(select_items, chans);
	rc = by_several(select_sends, chans);
	weft_chan_close(chans[0]);
	weft_chan_close(chans[1]);
	received = weft_join(receiver);
	drain(chans[0]);
	drain(chans[1]);
	return rc < 0 ? rc : received;
}

Test(storm_sync, channels_and_select)
{
	cr_assert_eq(storm("buffered", buffered, NULL, it_adds_up), 0);
	cr_assert_eq(storm("rendezvous", rendezvous, NULL, it_adds_up), 0);
	cr_assert_eq(storm("selects", selects, NULL, it_adds_up), 0);
}

/* -- mutex and condition ---------------------------------------------------------------------------- */

static struct weft_mutex mutex;
static struct weft_cond cond;
static struct weft_rwlock rwlock;
static struct weft_sem sem;
static struct weft_barrier barrier;
static struct weft_event_flag flag;

static int lock_and_stay(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2; i++) {
		int rc = weft_mutex_lock(&mutex);

		if (rc < 0)
			return rc;
		wrong_unless(account.inside++ == 0, "two are inside");
		account.taken++;
		rc = weft_sleep(WEFT_MS(1));
		account.inside--;
		wrong_unless(weft_mutex_unlock(&mutex) == 0, "a lock was lost");
		account.given++;
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int locks(void *arg)
{
	int rc;

	open_account();
	memset(&mutex, 0, sizeof(mutex));
	rc = by_several(lock_and_stay, arg);
	wrong_unless(weft_mutex_trylock(&mutex) == 0, "the mutex is not free at the end");
	return rc;
}

/* Takes a ticket from a shelf under the mutex; owns the mutex after each wait, however it ended. */
static int take_tickets(void *arg)
{
	int rc = weft_mutex_lock(&mutex);

	(void)arg;
	if (rc < 0)
		return rc;
	for (int i = 0; i < 2 && rc == 0; i++) {
		while (rc == 0 && account.taken == account.sent) {
			rc = weft_cond_wait(&cond, &mutex);
			wrong_unless(weft_mutex_trylock(&mutex) == -EBUSY,
				"cond_wait returned without the mutex");
		}
		if (rc == 0)
			account.taken++;
	}
	wrong_unless(weft_mutex_unlock(&mutex) == 0, "the waiter does not own the mutex");
	return rc;
}

static int hand_out_tickets(void)
{
	int rc = 0;

	for (int i = 0; i < 2 * TASKS && rc == 0; i++) {
		rc = weft_sleep(WEFT_MS(1));
		if (rc == 0)
			rc = weft_mutex_lock(&mutex);
		if (rc < 0)
			break;
		account.sent++;
		weft_cond_signal(&cond);
		weft_mutex_unlock(&mutex);
	}
	return rc;
}

static int tickets(void *arg)
{
	struct weft_group group;
	int rc, joined;

	open_account();
	memset(&mutex, 0, sizeof(mutex));
	memset(&cond, 0, sizeof(cond));
	weft_group_begin(&group, 0);
	for (int i = 0; i < TASKS; i++)
		weft_group_spawn(&group, take_tickets, arg);
	rc = hand_out_tickets();
	if (rc < 0)
		weft_group_cancel(&group);
	joined = weft_group_join(&group);
	wrong_unless(account.taken <= account.sent, "more tickets taken than there were");
	account.given = account.taken;
	account.received = account.sent; /* counted above: they are no items */
	wrong_unless(weft_mutex_trylock(&mutex) == 0, "the mutex is not free at the end");
	return rc < 0 ? rc : joined;
}

/* No signal is used up by a waiter that was cancelled: whoever waits on is woken, or the storm sees a deadlock. */
static int wait_for_one_signal(void *arg)
{
	int rc = weft_mutex_lock(&mutex);

	(void)arg;
	if (rc < 0)
		return rc;
	rc = weft_cond_wait(&cond, &mutex);
	account.taken += rc == 0;
	account.received++;
	weft_mutex_unlock(&mutex);
	return rc;
}

static int signals_go_to_who_waits(void *arg)
{
	struct weft_task *waiters[TASKS];
	struct weft_scope shield;

	open_account();
	memset(&mutex, 0, sizeof(mutex));
	memset(&cond, 0, sizeof(cond));
	for (int i = 0; i < TASKS; i++)
		waiters[i] = weft_create_task(wait_for_one_signal, arg);
	weft_shield_begin(&shield, WEFT_FOREVER);
	while (weft_sleep(WEFT_MS(1)) == 0 && account.given < TASKS) {
		weft_cond_signal(&cond);
		account.given++;
	}
	weft_cond_broadcast(
		&cond); /* to those whom a signal before they waited has missed */
	for (int i = 0; i < TASKS; i++)
		weft_join(waiters[i]);
	weft_scope_end(&shield);
	wrong_unless(account.taken <= TASKS, "one was signalled twice");
	account.sent = account.received;
	account.given = account.taken;
	return 0;
}

Test(storm_sync, mutex_and_condition)
{
	cr_assert_eq(storm("locks", locks, NULL, it_adds_up), 0);
	cr_assert_eq(storm("tickets", tickets, NULL, it_adds_up), 0);
	cr_assert_eq(storm("signals_go_to_who_waits", signals_go_to_who_waits, NULL,
			     it_adds_up),
		0);
}

/* -- semaphore, rwlock, barrier, flag ------------------------------------------------------------------ */

static int use_units(void *arg)
{
	(void)arg;
	for (unsigned n = 1; n <= 3; n++) {
		int rc = weft_sem_acquire(&sem, n);

		if (rc < 0)
			return rc;
		account.taken += (int)n;
		wrong_unless(account.taken - account.given <= 3,
			"more units are out than there are");
		rc = weft_sleep(WEFT_MS(1));
		account.given += (int)n;
		weft_sem_release(&sem, n);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int units(void *arg)
{
	int rc;

	open_account();
	weft_sem_init(&sem, 3);
	rc = by_several(use_units, arg);
	wrong_unless(weft_sem_try_acquire(&sem, 3) == 0, "units are missing at the end");
	wrong_unless(weft_sem_try_acquire(&sem, 1) == -EAGAIN,
		"there are more units at the end");
	return rc;
}

static int read_and_write(void *arg)
{
	int rc = weft_rwlock_rdlock(&rwlock);

	(void)arg;
	if (rc == 0) {
		account.readers++;
		wrong_unless(account.inside == 0, "one reads while another writes");
		rc = weft_sleep(WEFT_MS(1));
		account.readers--;
		weft_rwlock_unlock(&rwlock);
	}
	if (rc == 0)
		rc = weft_rwlock_wrlock(&rwlock);
	if (rc == 0) {
		wrong_unless(account.readers == 0 && account.inside++ == 0,
			"a writer is not alone");
		rc = weft_sleep(WEFT_MS(1));
		account.inside--;
		weft_rwlock_unlock(&rwlock);
	}
	return rc;
}

static int readers_and_writers(void *arg)
{
	struct weft_scope shield;
	int rc;

	open_account();
	memset(&rwlock, 0, sizeof(rwlock));
	rc = by_several(read_and_write, arg);
	weft_shield_begin(&shield, WEFT_FOREVER);
	wrong_unless(weft_rwlock_wrlock(&rwlock) == 0, "the lock is not free at the end");
	weft_scope_end(&shield);
	weft_rwlock_unlock(&rwlock);
	return rc;
}

/* Of each meeting one is told that it was the last. */
static int meet(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++) {
		int rc = weft_barrier_wait(&barrier);

		if (rc < 0)
			return rc;
		account.received++;
		account.sent += rc * TASKS;
	}
	return 0;
}

static int meetings(void *arg)
{
	int rc;

	open_account();
	weft_barrier_init(&barrier, TASKS);
	rc = by_several(meet, arg);
	/* who was let go on and cancelled at the next meeting has been counted all the same */
	wrong_unless(account.received == account.sent, "a meeting was not complete");
	return rc;
}

static int wait_for_the_flag(void *arg)
{
	int rc = weft_event_flag_wait(&flag);

	(void)arg;
	wrong_unless(rc < 0 || weft_event_flag_is_set(&flag),
		"woken, and the flag is not set");
	return rc;
}

static int raise_the_flag(void *arg)
{
	struct weft_group group;
	int rc, joined;

	open_account();
	memset(&flag, 0, sizeof(flag));
	weft_group_begin(&group, WEFT_GROUP_COLLECT);
	for (int i = 0; i < TASKS; i++)
		weft_group_spawn(&group, wait_for_the_flag, arg);
	rc = weft_sleep(WEFT_MS(1));
	weft_event_flag_set(&flag);
	joined = weft_group_join(&group);
	return rc < 0 ? rc : joined;
}

Test(storm_sync, semaphore_rwlock_barrier_and_flag)
{
	cr_assert_eq(storm("units", units, NULL, it_adds_up), 0);
	cr_assert_eq(
		storm("readers_and_writers", readers_and_writers, NULL, it_adds_up), 0);
	cr_assert_eq(storm("meetings", meetings, NULL, it_adds_up), 0);
	cr_assert_eq(storm("raise_the_flag", raise_the_flag, NULL, it_adds_up), 0);
}
