/* SPDX-License-Identifier: MIT */
/*
 * Who sleeps and whom to wake: two workers with a shared ring, an inbox each and a ring of
 * completions each, and a third thread that publishes. The loop of a worker is the scheduler's in
 * small: look, search, announce sleep, recheck everything, sleep. A run ends when all sleep;
 * then nothing may be queued, and the counts must say just that.
 */
#include <string.h>

#include "harness.h"
#include "sched/idle.h"
#include "sched/share.h"
#include "sched/task.h"

enum { WORKERS = 2, PUBLISHER = WORKERS, TASKS = 2 };

static struct weft_idle idle;
static struct weft_share share;
static struct weft_task tasks[TASKS];
static _Atomic(uint32_t) token[WORKERS]; /* how a sleeper is woken */
static _Atomic(uint32_t) mail[WORKERS], completions[WORKERS], exiting, started;
static unsigned published, mailed, completed;                      /* by the publisher */
static unsigned ran[WORKERS], read_mail[WORKERS], reaped[WORKERS]; /* by the worker */
static bool asleep[WORKERS];
static bool tasks_meet; /* a task that has started goes on when all have */

static void setup(void)
{
	memset(&idle, 0, sizeof(idle));
	memset(&share, 0, sizeof(share));
	memset(tasks, 0, sizeof(tasks));
	for (unsigned i = 0; i < WORKERS; i++) {
		weft_store_relaxed(&token[i], 0);
		weft_store_relaxed(&mail[i], 0);
		weft_store_relaxed(&completions[i], 0);
		ran[i] = read_mail[i] = reaped[i] = 0;
		asleep[i] = false;
	}
	weft_store_relaxed(&exiting, 0);
	weft_store_relaxed(&started, 0);
	published = mailed = completed = 0;
	tasks_meet = false;
}

static void setup_meeting(void)
{
	setup();
	tasks_meet = true;
}

static void wake(int worker)
{
	if (worker != WEFT_IDLE_NOBODY)
		model_wake(&token[worker]);
}

/* -- a worker ---------------------------------------------------------------------------------- */

static void run_task(unsigned me)
{
	ran[me]++;
	if (!tasks_meet)
		return;
	weft_add_relaxed(&started, 1);
	while (weft_load_relaxed(&started) < TASKS)
		weft_cpu_relax();
}

static bool look_at_own(unsigned me)
{
	bool found = false;

	if (weft_load_relaxed(&mail[me])) {
		read_mail[me] += weft_xchg_acquire(&mail[me], 0);
		found = true;
	}
	if (weft_load_relaxed(&completions[me])) {
		reaped[me] += weft_xchg_acquire(&completions[me], 0);
		found = true;
	}
	return found;
}

static enum weft_share_result steal(void)
{
	struct weft_share_item item;
	enum weft_share_result result;

	do {
		result = weft_share_pop(&share, &item);
	} while (result == WEFT_SHARE_RETRY);
	return result;
}

static void found_work(bool *searching)
{
	if (*searching && weft_idle_found(&idle) && !weft_share_empty(&share)) /* ID2 */
		wake(weft_idle_notify(&idle));
	*searching = false;
}

static bool work_anywhere(unsigned me)
{
	return weft_load_relaxed(&mail[me]) || weft_load_relaxed(&completions[me]) ||
	       !weft_share_empty(&share) || weft_load_relaxed(&exiting);
}

static bool look(unsigned me, bool *searching)
{
	if (look_at_own(me)) {
		found_work(searching);
		return true;
	}
	if (steal() == WEFT_SHARE_GOT) {
		found_work(searching);
		run_task(me);
		return true;
	}
	return false;
}

/* searches: it looks twice, the second time as a searcher; else it sleeps after the first. */
static void worker(unsigned me, bool searches)
{
	bool searching = false;

	while (!weft_load_relaxed(&exiting)) {
		if (look(me, &searching))
			continue;
		if (searches && !searching) {
			searching = weft_idle_search(&idle, WORKERS);
			if (searching && look(me, &searching))
				continue;
		}
		weft_idle_sleep(&idle, me, searching);
		if (!work_anywhere(me)) {
			asleep[me] = true;
			model_sleep(&token[me]);
			asleep[me] = false;
		}
		weft_idle_cancel(&idle, me);
		searching = true; /* whoever woke it */
	}
	found_work(&searching);
}

/* -- what happens around them ------------------------------------------------------------------ */

static void publish(void)
{
	weft_store_relaxed(&tasks[published].claim, WEFT_CLAIM_PRIVATE);
	model_check(weft_share_push_task(&share, &tasks[published]));
	published++;
	wake(weft_idle_notify(&idle));
}

static void send_mail(unsigned to)
{
	weft_add_relaxed(&mail[to], 1);
	mailed++;
	if (weft_idle_notify_one(&idle, to))
		wake((int)to);
}

/* The kernel: it wakes whoever waits in that ring and knows nothing of sleepers and counts. */
static void complete(unsigned to)
{
	weft_add_acq_rel(&completions[to], 1);
	completed++;
	model_wake(&token[to]);
}

static void run_publish(unsigned thread)
{
	if (thread == PUBLISHER)
		publish();
	else
		worker(thread, true);
}

static void run_publish_two(unsigned thread)
{
	if (thread == PUBLISHER) {
		publish();
		publish();
	} else {
		worker(thread, false);
	}
}

static void run_meeting(unsigned thread)
{
	if (thread == PUBLISHER) {
		publish();
		publish();
	} else {
		worker(thread, true);
	}
}

/* A worker publishes what the other is to take, then looks for itself. */
static void run_surplus(unsigned thread)
{
	if (thread == 0)
		publish();
	worker(thread, true);
}

static void run_mail(unsigned thread)
{
	if (thread == PUBLISHER) {
		send_mail(0);
		publish();
	} else {
		worker(thread, false);
	}
}

static void run_completion(unsigned thread)
{
	if (thread == PUBLISHER) {
		complete(0);
		publish();
	} else {
		worker(thread, false);
	}
}

static void run_exit(unsigned thread)
{
	if (thread != PUBLISHER) {
		worker(thread, false);
		return;
	}
	weft_store_relaxed(&exiting, 1);
	for (unsigned i = 0; i < WORKERS; i++) {
		if (weft_idle_notify_one(&idle, i))
			wake((int)i);
	}
}

/* -- what must hold ---------------------------------------------------------------------------- */

static unsigned sum(const unsigned *of)
{
	return of[0] + of[1];
}

static const char *everything_done(void)
{
	if (!weft_share_empty(&share))
		return "a task is queued and nobody looks";
	if (sum(ran) != published)
		return "a task was lost or ran twice";
	if (sum(read_mail) != mailed)
		return "mail lies unread";
	if (sum(reaped) != completed)
		return "a completion was not seen";
	return NULL;
}

static const char *all_asleep(void)
{
	const char *wrong = everything_done();

	if (wrong)
		return wrong;
	for (unsigned i = 0; i < WORKERS; i++) {
		if (!asleep[i])
			return "a worker waits elsewhere";
		if (!weft_load_relaxed(&idle.asleep[i]))
			return "a sleeper is not marked";
	}
	if (weft_idle_sleeping(&idle) != WORKERS || weft_idle_searching(&idle) != 0)
		return "the counts are wrong";
	return weft_idle_is_valid(&idle) ? NULL : "not valid";
}

static const char *all_gone(void)
{
	if (weft_idle_sleeping(&idle) != 0 || weft_idle_searching(&idle) != 0)
		return "the counts are wrong";
	return weft_idle_is_valid(&idle) ? everything_done() : "not valid";
}

static const char *one_stays(void)
{
	return "a worker sleeps through the end";
}

const struct model_harness model_idle[] = {
	{"idle: one task", 3, 2, setup, run_publish, NULL, all_asleep},
	{"idle: two tasks", 3, 2, setup, run_publish_two, NULL, all_asleep},
	{"idle: a worker gives work away", 2, 4, setup, run_surplus, NULL, all_asleep},
	{"idle: two tasks that need each other", 3, 1, setup_meeting, run_meeting, NULL,
		all_asleep},
	{"idle: mail and a task", 3, 2, setup, run_mail, NULL, all_asleep},
	{"idle: a completion and a task", 3, 2, setup, run_completion, NULL, all_asleep},
	{"idle: the end", 3, 2, setup, run_exit, all_gone, one_stays},
	{0},
};
