/* SPDX-License-Identifier: MIT */
/*
 * select - waits for several channels, tasks and descriptors at once and lets exactly one case take
 * effect. Called by programs. How a channel moves items is chan.c's; how a poll reaches a ring, io/ready.c's.
 *
 *	1 look at the tasks and descriptors, without a lock
 *	2 lock all channels, by address, so that two selects never wait for each other; try them, in
 *	  turn with what 1 has found; if nothing was to be had, queue a waiter in each; unlock
 *	3 watch the tasks, begin the polls
 *	4 park until somebody has made the choice (chan.h), or the time is up and we have made it
 *	5 take everything back, and wait for those who are still telling us something
 *
 * While all channels are locked nobody can choose us, so step 2 never has to make two selects' choices
 * at once, and does not meet its own waiters.
 *
 * Life:    all of it lies on the caller's stack, or in one allocation when there are many cases. A partner
 *          touches a waiter under its channel's lock only; a completer its watch until `told`; a
 *          backend its poll until that is over. Step 5 waits for all of them.
 * choice:  made by a partner that serves a waiter of ours, by a completer, or by ourselves for a poll that
 *          is over, a cancel or the timeout. Whose it was is seen from `granted` or `told`.
 *
 * SL2  completer: release store of told, its last touch but for the parker it has copied  ->  select: acquire
 *      load. Weaker: it writes to a dead stack.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <weft/sync.h>
#include <weft/task.h>

#include "io/ready.h"
#include "sched/task.h"
#include "sched/wait.h"
#include "sync/chan.h"

enum {
	FEW = 8, /* cases without an allocation */
	NONE = -1,
};

enum told { NOT_TOLD, TOLD, TOLD_AND_CHOSEN };

/* A case while it is waited for. */
struct place {
	bool used;
	union {
		struct weft_waiter waiter; /* SEND, RECV */
		struct {
			struct weft_watch watch;
			_Atomic(uint32_t) told; /* SL2 */
		}; /* TASK */
		struct weft_ready ready; /* READABLE, WRITABLE */
	};
};

struct select {
	struct weft_choice choice;
	struct weft_watcher watcher;
	struct weft_parker *parker;
	struct weft_case *cases;
	size_t n;
	struct place *places;
	struct weft_chan **chans; /* by address, each once */
	size_t chan_count;
	struct place few_places[FEW];
	struct weft_chan *few_chans[FEW];
};

static bool is_chan(const struct weft_case *c)
{
	return c->op == WEFT_SEND || c->op == WEFT_RECV;
}

static bool is_fd(const struct weft_case *c)
{
	return c->op == WEFT_READABLE || c->op == WEFT_WRITABLE;
}

static short events_of(const struct weft_case *c)
{
	return c->op == WEFT_READABLE ? POLLIN : POLLOUT;
}

static bool is_valid(const struct weft_case *c)
{
	if (is_chan(c))
		return c->chan && c->item;
	return c->op == WEFT_TASK ? c->task != NULL : is_fd(c);
}

static int check(const struct weft_case *cases, size_t n)
{
	if (!cases && n > 0)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		if (!is_valid(&cases[i]))
			return -EINVAL;
	}
	return 0;
}

static bool has_fd_outside_task(const struct weft_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (is_fd(&cases[i]))
			return !weft_self();
	}
	return false;
}

/* -- the beginning ----------------------------------------------------------------------------- */

static int by_address(const void *a, const void *b)
{
	const struct weft_chan *const *left = a, *const *right = b;

	return ((uintptr_t)*left > (uintptr_t)*right) - ((uintptr_t)*left < (uintptr_t)*right);
}

static void collect_chans(struct select *s)
{
	size_t count = 0, kept = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (is_chan(&s->cases[i]))
			s->chans[count++] = s->cases[i].chan;
	}
	if (count > 1)
		qsort(s->chans, count, sizeof(s->chans[0]), by_address);
	for (size_t i = 0; i < count; i++) {
		if (kept == 0 || s->chans[kept - 1] != s->chans[i])
			s->chans[kept++] = s->chans[i];
	}
	s->chan_count = kept;
}

static int begin(struct select *s, struct weft_case *cases, size_t n)
{
	s->cases = cases;
	s->n = n;
	weft_store_relaxed(&s->choice.made, 0);
	s->parker = weft_parker_self();
	if (!s->parker)
		return -ENOMEM;
	s->places = s->few_places;
	s->chans = s->few_chans;
	if (n > FEW) {
		if (n > SIZE_MAX / 2 / (sizeof(struct place) + sizeof(s->chans[0])))
			return -ENOMEM;
		s->places = malloc(n * (sizeof(struct place) + sizeof(s->chans[0])));
		if (!s->places)
			return -ENOMEM;
		s->chans = (struct weft_chan **)(void *)(s->places + n);
	}
	for (size_t i = 0; i < n; i++)
		s->places[i].used = false;
	collect_chans(s);
	return 0;
}

static void finish(struct select *s)
{
	if (s->places != s->few_places)
		free(s->places);
}

/* -- looking ----------------------------------------------------------------------------------- */

/*
 * Whether the task or descriptor can go on; *status is then what it will say. A code that came in the way is
 * returned.
 */
static int look(const struct weft_case *c, int *status)
{
	int rc;

	if (c->op == WEFT_TASK)
		return weft_task_done(c->task);
	rc = weft_ready_now(c->fd, events_of(c));
	if (rc < 0 && rc != -EBADF)
		return rc;
	*status = rc;
	return rc != 0;
}

/* The status of a task that has been chosen; the caller has looked at it. */
static int status_of(const struct weft_case *c)
{
	if (c->task->status < 0)
		weft_task_observe(c->task);
	return c->task->status;
}

/* Step 1: the first that can go on, at or after start and then from 0; NONE; a code. */
static ssize_t look_from(struct select *s, size_t start, int *status)
{
	for (size_t k = 0; k < s->n; k++) {
		size_t i = (start + k) % s->n;
		int rc = is_chan(&s->cases[i]) ? 0 : look(&s->cases[i], status);

		if (rc != 0)
			return rc < 0 ? rc - 1 : (ssize_t)i;
	}
	return NONE;
}

/* `lock` held. True: the case has taken effect. */
static bool try_chan(struct weft_case *c, struct weft_parker **parker)
{
	int rc = c->op == WEFT_SEND ? weft_chan_send_locked(c->chan, c->item, parker)
				    : weft_chan_recv_locked(c->chan, c->item, parker);

	if (rc == -EAGAIN)
		return false;
	c->status = rc;
	return true;
}

/* All locks held. The channels from start up to what else can go on; NONE if there is nothing. */
static ssize_t try_from(
	struct select *s, size_t start, ssize_t found, struct weft_parker **parker)
{
	for (size_t k = 0; k < s->n; k++) {
		size_t i = (start + k) % s->n;

		if ((ssize_t)i == found ||
			(is_chan(&s->cases[i]) && try_chan(&s->cases[i], parker)))
			return (ssize_t)i;
	}
	return NONE;
}

/* All locks held; nothing was to be had. */
static void queue_waiters(struct select *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct weft_case *c = &s->cases[i];
		struct weft_waiter *waiter = &s->places[i].waiter;

		if (!is_chan(c))
			continue;
		(void)weft_waitq_push( /* the caller has its parker */
			c->op == WEFT_SEND ? &c->chan->senders : &c->chan->receivers, waiter);
		waiter->item = c->item;
		waiter->value = (uintptr_t)&s->choice;
		s->places[i].used = true;
	}
}

/* Step 2. found: what step 1 found. The case that takes effect; NONE: its waiters are queued, if it may wait. */
static ssize_t try_or_queue(struct select *s, size_t start, ssize_t found, bool may_wait)
{
	struct weft_parker *parker = NULL;
	ssize_t index;

	for (size_t i = 0; i < s->chan_count; i++)
		weft_spin_lock(&s->chans[i]->lock);
	index = try_from(s, start, found, &parker);
	if (index == NONE && may_wait)
		queue_waiters(s);
	for (size_t i = 0; i < s->chan_count; i++)
		weft_spin_unlock(&s->chans[i]->lock);
	if (parker)
		weft_unpark(parker);
	return index;
}

/* -- waiting ----------------------------------------------------------------------------------- */

static void task_ended(struct weft_watcher *watcher, struct weft_watch *watch, struct weft_task *task)
{
	struct select *s = weft_container_of(watcher, struct select, watcher);
	struct place *place = weft_container_of(watch, struct place, watch);
	struct weft_parker *parker = s->parker;
	bool chosen = weft_choice_make(&s->choice); /* SL1 */

	(void)task;
	weft_store_release(&place->told, chosen ? TOLD_AND_CHOSEN : TOLD); /* SL2 */
	weft_unpark(parker);
}

/* Step 3 for one case. 1: it can go on at once. 0, or a code. */
static int start(struct select *s, size_t i)
{
	struct weft_case *c = &s->cases[i];
	struct place *place = &s->places[i];
	int rc;

	if (is_chan(c))
		return 0;
	if (c->op == WEFT_TASK) {
		weft_store_relaxed(&place->told, NOT_TOLD);
		place->used = weft_task_watch(c->task, &place->watch, &s->watcher);
		return !place->used;
	}
	rc = weft_ready_begin(&place->ready, c->fd, events_of(c));
	place->used = rc == 0;
	return rc == -EBADF ? 1 : rc;
}

/* The poll that is over, NONE if none is. */
static ssize_t poll_over(struct select *s)
{
	for (size_t i = 0; i < s->n; i++) {
		if (is_fd(&s->cases[i]) && s->places[i].used &&
			weft_ready_over(&s->places[i].ready))
			return (ssize_t)i;
	}
	return NONE;
}

/* Whose choice it was, if a partner or completer has made it; it may not have told yet. */
static ssize_t served(struct select *s)
{
	for (unsigned spins = 0;; spins++) {
		for (size_t i = 0; i < s->n; i++) {
			struct place *place = &s->places[i];

			if (!place->used)
				continue;
			if (is_chan(&s->cases[i]) && weft_load_acquire(&place->waiter.granted))
				return (ssize_t)i; /* WQ1 */
			if (s->cases[i].op == WEFT_TASK &&
				weft_load_acquire(&place->told) == TOLD_AND_CHOSEN)
				return (ssize_t)i; /* SL2 */
		}
		weft_spin_wait(spins); /* ends: they are a few instructions apart */
	}
}

/* A choice of our own, if it is still open: index; else whoever was faster has it. */
static ssize_t choose(struct select *s, ssize_t index)
{
	return weft_choice_make(&s->choice) ? index : served(s); /* SL1 */
}

/* Step 4. The case that goes on, or a code minus one: what ended the wait. */
static ssize_t wait_for_choice(struct select *s, weft_ns until)
{
	while (!weft_load_acquire(&s->choice.made)) { /* SL1 */
		ssize_t over = poll_over(s);
		int code = over == NONE ? weft_pending() : 0;

		if (over == NONE && !code && until != WEFT_FOREVER && weft_now() >= until)
			code = -EAGAIN;
		if (over != NONE || code)
			return choose(s, code ? code - 1 : over);
		weft_park(until);
	}
	return served(s);
}

/* Steps 3 and 4. */
static ssize_t wait_for_one(struct select *s, weft_ns until)
{
	s->watcher.done = task_ended;
	for (size_t i = 0; i < s->n; i++) {
		int rc = start(s, i);

		if (rc != 0)
			return choose(s, rc < 0 ? rc - 1 : (ssize_t)i);
	}
	return wait_for_choice(s, until);
}

/* -- the end ----------------------------------------------------------------------------------- */

static void leave_chan(struct weft_case *c, struct weft_waiter *waiter)
{
	struct weft_waitq *queue =
		c->op == WEFT_SEND ? &c->chan->senders : &c->chan->receivers;

	weft_spin_lock(&c->chan->lock);
	if (waiter->queued)
		weft_list_remove(&queue->list, &waiter->node);
	weft_spin_unlock(&c->chan->lock);
}

static void leave_task(struct weft_case *c, struct place *place)
{
	if (weft_task_unwatch(c->task, &place->watch))
		return;
	while (!weft_load_acquire(&place->told)) /* SL2 */
		weft_park_deaf(WEFT_FOREVER);
}

/* Step 5 for one case; what it has to say if it is the one. A channel that has served us may be gone. */
static int leave(struct weft_case *c, struct place *place)
{
	if (is_fd(c))
		return place->used ? weft_ready_end(&place->ready) : -EBADF;
	if (c->op == WEFT_TASK) {
		if (place->used)
			leave_task(c, place);
		return 0;
	}
	if (!weft_load_acquire(&place->waiter.granted)) { /* WQ1 */
		leave_chan(c, &place->waiter);
		return 0;
	}
	if (place->waiter.value == WEFT_CHAN_DONE)
		return c->op == WEFT_RECV;
	return c->op == WEFT_RECV ? 0 : -EPIPE;
}

static void leave_all(struct select *s, ssize_t chosen)
{
	for (size_t i = 0; i < s->n; i++) {
		struct weft_case *c = &s->cases[i];
		int status = leave(c, &s->places[i]);

		if ((ssize_t)i == chosen)
			c->status = c->op == WEFT_TASK ? status_of(c) : status;
	}
}

/* -- the call ---------------------------------------------------------------------------------- */

/* All cases are tasks, and each waits for the caller. */
static bool waits_for_itself(const struct weft_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (cases[i].op != WEFT_TASK || weft_task_done(cases[i].task) ||
			weft_wait_edge_check(cases[i].task) != -EDEADLK)
			return false;
	}
	return n > 0;
}

/* With one task and nothing else the wait is an await, for the deadlock walk too. */
static ssize_t wait_published(struct select *s, weft_ns until)
{
	bool is_await = until == WEFT_FOREVER && s->n == 1 && s->cases[0].op == WEFT_TASK;
	ssize_t chosen;
	int rc = is_await ? weft_wait_edge_enter(s->cases[0].task) : 0;

	if (rc < 0)
		return rc - 1;
	chosen = wait_for_one(s, until);
	if (is_await)
		weft_wait_edge_leave();
	leave_all(s, chosen);
	return chosen;
}

/* The case that has taken effect, or a code minus one: NONE is what nothing was, without a wait. */
static ssize_t select_one(struct select *s, weft_ns timeout, weft_ns until)
{
	size_t from = s->n > 1 ? weft_any_below(s->n) : 0;
	int status = 0;
	ssize_t found = look_from(s, from, &status), chosen;

	if (found < NONE)
		return found;
	chosen = try_or_queue(s, from, found, timeout > 0);
	if (chosen == NONE)
		return timeout > 0 ? wait_published(s, until) : -EAGAIN - 1;
	if (chosen == found)
		s->cases[chosen].status = s->cases[chosen].op == WEFT_TASK
						  ? status_of(&s->cases[chosen])
						  : status;
	return chosen;
}

ssize_t weft_select(struct weft_case *cases, size_t n, weft_ns timeout)
{
	WEFT_CHECKPOINT(checkpoint);
	weft_ns until = weft_deadline_from(timeout);
	int rc = check(cases, n);
	struct select s;
	ssize_t chosen;

	if (rc == 0)
		rc = weft_checkpoint_enter_first(&checkpoint); /* there may be descriptors */
	if (rc == 0 && has_fd_outside_task(cases, n))
		rc = weft_no_task();
	if (rc == 0 && timeout == WEFT_FOREVER && waits_for_itself(cases, n))
		rc = -EDEADLK;
	if (rc == 0)
		rc = begin(&s, cases, n);
	if (rc < 0)
		return rc;
	chosen = select_one(&s, timeout, until);
	finish(&s);
	return chosen >= 0 ? chosen : chosen + 1;
}
