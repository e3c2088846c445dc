/* SPDX-License-Identifier: MIT */
/*
 * cancel - a request to stop: who is told, when, and what they may do about it.
 */
#include "helper.h"

TestSuite(cancel, .timeout = PATIENCE);

static int cancel_a_sleeper(void *arg)
{
	(void)arg;
	struct weft_task *task = weft_create_task(sleep_forever, NULL);
	weft_yield();
	cr_assert_eq(weft_cancel(task), 1);
	cr_assert_eq(weft_await(task), -ECANCELED);
	cr_assert_eq(weft_checkpoint(), 0, "it is the task that was cancelled, not me");
	weft_release(task);
	return 0;
}

Test(cancel, ends_a_wait)
{
	run_on_1_2_4(cancel_a_sleeper);
}

static int cancel_what_has_ended(void *arg)
{
	(void)arg;
	struct weft_task *task = weft_create_task(succeed, NULL);
	weft_await(task);
	cr_assert_eq(weft_cancel(task), 0);
	cr_assert_eq(weft_join(task), 0);
	return 0;
}

Test(cancel, of_an_ended_task_returns_0)
{
	run_on_1_2_4(cancel_what_has_ended);
}

static int cancel_twice(void *arg)
{
	(void)arg;
	struct weft_task *task = weft_create_task(sleep_forever, NULL);
	cr_assert_eq(weft_cancel(task), 1);
	/* whether the second finds it ended or not, it does no harm */
	int again = weft_cancel(task);
	cr_assert(again == 0 || again == 1);
	cr_assert_eq(weft_join(task), -ECANCELED);
	return 0;
}

Test(cancel, may_be_requested_twice)
{
	run_on_1_2_4(cancel_twice);
}

static int finish_first(void *arg)
{
	struct weft_scope shield;

	if (weft_sleep(WEFT_FOREVER) != -ECANCELED)
		return -EPROTO;
	weft_shield_begin(&shield, WEFT_SEC(10));
	int status = weft_event_flag_wait(arg); /* clean-up that has to wait */
	weft_scope_end(&shield);
	return status < 0 ? status : weft_checkpoint();
}

static int cancel_with_clean_up(void *arg)
{
	struct weft_event_flag cleaned = { 0 };

	(void)arg;
	struct weft_task *task = weft_create_task(finish_first, &cleaned);
	weft_yield();
	weft_cancel(task);
	weft_yield();
	cr_assert_eq(weft_status(task), -EINPROGRESS, "it cleans up");
	weft_event_flag_set(&cleaned);
	cr_assert_eq(weft_join(task), -ECANCELED);
	return 0;
}

Test(cancel, leaves_time_to_clean_up)
{
	run_on_1_2_4(cancel_with_clean_up);
}

struct absorber {
	struct weft_chan *chan;
	struct weft_event_flag absorbed;
};

static int absorb_and_go_on(void *arg)
{
	struct absorber *a = arg;
	int item;

	cr_assert_eq(weft_chan_recv(a->chan, &item), -ECANCELED);
	cr_assert_eq(weft_uncancel(), 1);
	weft_event_flag_set(&a->absorbed);
	cr_assert_eq(weft_chan_recv(a->chan, &item), 1);
	return item;
}

static int cancel_what_absorbs(void *arg)
{
	struct absorber a = { .chan = weft_chan_create(sizeof(int), 1) };
	int item = 5;

	(void)arg;
	struct weft_task *task = weft_create_task(absorb_and_go_on, &a);
	weft_cancel(task);
	weft_event_flag_wait(&a.absorbed);
	weft_chan_send(a.chan, &item);
	cr_assert_eq(weft_join(task), 5);
	weft_chan_destroy(a.chan);
	return 0;
}

Test(cancel, may_be_absorbed)
{
	run_on_1_2_4(cancel_what_absorbs);
}

static int count_cancels(void *arg)
{
	int *seen = arg;

	while (*seen < 3) {
		if (weft_sleep(WEFT_FOREVER) == -ECANCELED) {
			weft_uncancel();
			++*seen;
		}
	}
	return 0;
}

static int cancel_again_and_again(void *arg)
{
	int seen = 0;

	(void)arg;
	struct weft_task *task = weft_create_task(count_cancels, &seen);
	for (int i = 1; i <= 3; i++) {
		weft_yield();
		weft_cancel(task);
		weft_yield();
		cr_assert_eq(seen, i);
	}
	cr_assert_eq(weft_join(task), 0);
	return 0;
}

Test(cancel, counts_anew_after_it_was_absorbed)
{
	cr_assert_eq(run_with(1, cancel_again_and_again, NULL), 0);
}

static int compute_until_cancelled(void *arg)
{
	weft_event_flag_set(arg);
	while (!weft_cancelled())
		; /* no checkpoint: ends when another worker cancels */
	return 1;
}

static int cancel_a_computation(void *arg)
{
	struct weft_event_flag started = { 0 };

	(void)arg;
	struct weft_task *task = weft_create_task(compute_until_cancelled, &started);
	weft_event_flag_wait(&started);
	weft_cancel(task);
	cr_assert_eq(weft_join(task), 1);
	return 0;
}

/* The creator, woken by a task that never gives way, has to be taken to another worker. */
Test(cancel, can_be_polled_by_a_computation)
{
	cr_assert_eq(run_with(2, cancel_a_computation, NULL), 0);
	cr_assert_eq(run_with(4, cancel_a_computation, NULL), 0);
}

static int cancel_each_other(void *arg)
{
	struct weft_task *other = arg;

	weft_yield();
	weft_cancel(other);
	weft_release(other);
	return 0;
}

static int cancel_from_many_sides(void *arg)
{
	struct weft_task *cancellers[8];

	(void)arg;
	struct weft_task *task = weft_create_task(sleep_forever, NULL);
	for (int i = 0; i < 8; i++)
		cancellers[i] = weft_create_task(cancel_each_other, weft_ref(task));
	cr_assert_eq(weft_await(task), -ECANCELED);
	cr_assert_eq(weft_gather(cancellers, 8, NULL, 0), 0);
	weft_release_all(cancellers, 8);
	weft_release(task);
	return 0;
}

Test(cancel, may_come_from_many_sides_at_once)
{
	run_on_1_2_4(cancel_from_many_sides);
}

struct chain {
	int levels;
	struct weft_event_flag bottom;
};

static int join_a_chain(void *arg)
{
	struct chain *chain = arg;

	if (chain->levels-- == 0) {
		weft_event_flag_set(&chain->bottom);
		return weft_sleep(WEFT_FOREVER);
	}
	return weft_join(weft_create_task(join_a_chain, chain));
}

static int cancel_the_top_of_a_chain(void *arg)
{
	struct chain chain = { .levels = 50 };

	(void)arg;
	struct weft_task *top = weft_create_task(join_a_chain, &chain);
	weft_event_flag_wait(&chain.bottom);
	weft_cancel(top);
	cr_assert_eq(weft_join(top), -ECANCELED);
	return 0;
}

/* Joined tasks may run on the stack of their owner; the one asleep on top ends for it. */
Test(cancel, reaches_the_bottom_of_a_chain_of_owners)
{
	run_on_1_2_4(cancel_the_top_of_a_chain);
}

struct middle {
	struct weft_task *middle;
	struct weft_event_flag ready;
	int upper, lower;
};

static int lower(void *arg)
{
	struct middle *m = arg;

	weft_event_flag_set(&m->ready);
	m->lower = weft_sleep(WEFT_FOREVER);
	return m->lower;
}

static int middle(void *arg)
{
	struct middle *m = arg;

	m->middle = weft_ref(weft_self());
	return weft_join(weft_create_task(lower, m)) == -ECANCELED ? 7 : -EPROTO;
}

static int upper(void *arg)
{
	struct middle *m = arg;

	m->upper = weft_join(weft_create_task(middle, m));
	return weft_checkpoint();
}

static int cancel_the_middle_of_a_chain(void *arg)
{
	struct middle m = { 0 };

	(void)arg;
	struct weft_task *task = weft_create_task(upper, &m);
	weft_event_flag_wait(&m.ready);
	weft_cancel(m.middle);
	cr_assert_eq(weft_join(task), 0, "the one above is not cancelled");
	cr_assert_eq(m.upper, 7);
	cr_assert_eq(m.lower, -ECANCELED);
	weft_release(m.middle);
	return 0;
}

Test(cancel, of_a_task_in_the_middle_goes_down_and_not_up)
{
	run_on_1_2_4(cancel_the_middle_of_a_chain);
}

struct sleeper {
	weft_ns due;
};

static int sleep_until_due(void *arg)
{
	struct sleeper *sleeper = arg;

	return weft_sleep_until(sleeper->due);
}

static int cancel_a_sleeper_that_is_due(void *arg)
{
	(void)arg;
	for (int i = 0; i < 5; i++) {
		struct sleeper s = { .due = weft_now() + WEFT_MS(30) };
		struct weft_task *sleeper = weft_create_task(sleep_until_due, &s);
		weft_yield();			   /* it sleeps */
		weft_sleep_until(s.due - WEFT_MS(1)); /* this one is due before it */
		while (weft_now() < s.due)
			; /* ends by the clock; nobody else can run meanwhile */
		weft_cancel(sleeper);
		cr_assert_eq(weft_join(sleeper), -ECANCELED);
	}
	return 0;
}

/*
 * A sleep does no work whose result could win: a sleeper that is cancelled before it runs
 * again is cancelled, however late, as asyncio's is.
 */
Test(cancel, beats_the_end_of_a_sleep)
{
	cr_assert_eq(run_with(1, cancel_a_sleeper_that_is_due, NULL), 0);
}

static int spin_until_due(void *arg)
{
	struct sleeper *sleeper = arg;

	while (weft_now() < sleeper->due)
		; /* ends by the clock */
	return 0;
}

static int time_out_before_a_sleeper(void *arg)
{
	(void)arg;
	for (int i = 0; i < 5; i++) {
		struct sleeper s = { .due = weft_now() + WEFT_MS(30) };
		struct weft_event_flag never = { 0 };
		struct weft_scope scope;
		struct weft_task *sleeper = weft_create_task(sleep_until_due, &s);

		weft_yield(); /* it sleeps */
		struct weft_task *spinner = weft_create_task(spin_until_due, &s);
		weft_ns left = s.due - WEFT_MS(1) - weft_now();
		weft_deadline_begin(&scope, left);
		cr_assert_eq(weft_event_flag_wait(&never), -ETIMEDOUT);
		weft_scope_end(&scope);
		weft_cancel(sleeper);
		int status = weft_join(sleeper);
		cr_assert(status == -ECANCELED || left <= 0, "a machine that slow proves nothing");
		cr_assert_eq(weft_join(spinner), 0);
	}
	return 0;
}

/* Both timers are due when the worker looks; the earlier one is served, and cancels. */
Test(cancel, by_a_task_whose_timer_was_earlier)
{
	cr_assert_eq(run_with(1, time_out_before_a_sleeper, NULL), 0);
}

struct in_turn {
	struct diary diary;
	weft_ns due;
};

static int note_the_due_one(void *arg)
{
	struct in_turn *t = arg;

	weft_sleep_until(t->due + WEFT_MS(1));
	note(&t->diary, 0);
	return 0;
}

static int note_the_other(void *arg)
{
	struct in_turn *t = arg;

	weft_sleep(WEFT_SEC(3600));
	note(&t->diary, 1);
	return 0;
}

static int spin_past_both(void *arg)
{
	struct in_turn *t = arg;

	while (weft_now() < t->due + WEFT_MS(3))
		; /* ends by the clock */
	return 0;
}

static int cancel_one_that_is_due_first(void *arg)
{
	struct in_turn t = { .due = weft_now() + WEFT_MS(20) };
	struct weft_task *tasks[3];

	(void)arg;
	tasks[0] = weft_create_task(note_the_due_one, &t);
	tasks[1] = weft_create_task(note_the_other, &t);
	weft_yield(); /* they sleep */
	tasks[2] = weft_create_task(spin_past_both, &t);
	weft_sleep_until(t.due);
	weft_cancel(tasks[0]); /* ready already: its timer has fired as well */
	weft_cancel(tasks[1]);
	for (int i = 0; i < 3; i++)
		weft_join(tasks[i]);
	assert_in_order(&t.diary, 2);
	return 0;
}

/* Who was ready before goes first: a cancel makes nobody overtake. */
Test(cancel, wakes_in_the_order_of_the_calls)
{
	cr_assert_eq(run_with(1, cancel_one_that_is_due_first, NULL), 0);
}

/* arg: a semaphore that says it is about to sleep. */
static int absorb(void *arg)
{
	weft_sem_release(arg, 1);
	cr_assert_eq(weft_sleep(WEFT_SEC(3600)), -ECANCELED);
	cr_assert_eq(weft_uncancel(), 1);
	return weft_checkpoint();
}

/* It is cancelled while its child runs in its place. */
static int join_one_that_absorbs(void *arg)
{
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(weft_checkpoint(), 0);
		cr_assert_eq(weft_join(weft_create_task(absorb, arg)), 0, "the result wins");
		cr_assert_eq(weft_checkpoint(), -ECANCELED, "the request was the owner's as well");
		cr_assert_eq(weft_sleep(1), -ECANCELED);
		cr_assert_eq(weft_uncancel(), 1);
	}
	return 0;
}

static int cancel_owner_of_one_that_absorbs(void *arg)
{
	(void)arg;
	struct weft_sem sleeps;
	weft_sem_init(&sleeps, 0);
	struct weft_task *owner = weft_create_task(join_one_that_absorbs, &sleeps);
	for (int i = 0; i < 2; i++) { /* the second finds what the first has left */
		cr_assert_eq(weft_sem_acquire(&sleeps, 1), 0);
		weft_cancel(owner);
	}
	return weft_join(owner);
}

Test(cancel, absorbed_by_a_child_is_still_its_owners)
{
	run_on_1_2_4(cancel_owner_of_one_that_absorbs);
}
