/* SPDX-License-Identifier: MIT */
/*
 * task - what is left of a task once it runs: references, the end, and telling those who watch.
 */
#include "sched/task.h"

#include <errno.h>
#include <stdlib.h>

#include "sched/frame.h"
#include "sched/worker.h"

/* -- references -------------------------------------------------------------------------------- */

static void report_unobserved(struct weft_task *task, struct weft_worker *worker)
{
	struct weft_runtime *runtime = weft_load_relaxed(&task->home)->runtime;

	if (worker)
		weft_count(&worker->counters.unobserved);
	weft_report_task(runtime, WEFT_REPORT_UNOBSERVED, task, task->status,
		"failed and nobody looked at its status");
}

/* The runtime may be freed as soon as no descriptor of it is held and the lock is free. */
static void give_from_outside(struct weft_task_pool *pool, struct weft_task *task)
{
	weft_spin_lock(&pool->lock);
	weft_store_release(&task->word, 0);
	task->node.next = NULL;
	weft_task_pool_put_locked(pool, (struct weft_task_magazine){ task, 1 });
	weft_spin_unlock(&pool->lock);
}

/* Nobody else can look. */
static void drop_value(struct weft_task *task)
{
	struct weft_worker *worker = weft_worker_current();
	void *value = task->value;
	bool was_inside = false;

	task->value = NULL;
	if (!value || !task->drop)
		return;
	if (worker)
		was_inside = weft_load_relaxed(&worker->inside);
	if (was_inside)
		weft_worker_leave(worker, false); /* user code must not hold the worker */
	if (worker && !worker->stack->frame)
		weft_stack_force_look(worker->stack); /* no frame: the short ways are shut */
	task->drop(value);
	if (was_inside)
		weft_worker_enter_user(weft_worker_current()); /* it may have waited */
}

void weft_task_drop_unseen(struct weft_task *task)
{
	if (weft_unlikely(task->value != NULL) &&
		WEFT_WORD_REFS(weft_load_acquire(&task->word)) == 1)
		drop_value(task);
}

/* The last reference is gone. observed: its status was looked at. */
static void task_free(struct weft_task *task, bool observed)
{
	struct weft_worker *worker = weft_worker_current();
	struct weft_runtime *runtime = weft_load_relaxed(&task->home)->runtime;

	if (weft_unlikely(task->status < 0 && task->status != -ECANCELED && !observed))
		report_unobserved(task, worker);
	if (weft_unlikely(task->value != NULL)) {
		drop_value(task);
		worker = weft_worker_current(); /* it may have waited */
	}
	if (weft_unlikely(task->flags & WEFT_TASK_OWN_SITE))
		free((char *)task->site);
	weft_store_relaxed(&task->own.watcher, NULL);
	weft_store_relaxed(&task->stack, NULL);
	weft_task_next_generation(task);
	if (weft_likely(worker && worker->runtime == runtime)) {
		weft_store_release(&task->word, 0);
		weft_task_give(worker, task);
	} else {
		give_from_outside(&runtime->tasks, task);
	}
}

void weft_task_unref(struct weft_task *task, bool observed)
{
	uint64_t word;

	if (task->flags & WEFT_TASK_FAILED)
		return;
	word = weft_load_acquire(&task->word);
	if (WEFT_WORD_REFS(word) != 1) { /* one: nobody else can look */
		if (observed && (word & WEFT_WORD_DONE) && task->status < 0)
			weft_task_observe(task);
		word = weft_sub_acq_rel(&task->word, WEFT_WORD_REF);
		if (WEFT_WORD_REFS(word) != 1)
			return;
	}
	task_free(task, observed || (word & WEFT_WORD_SEEN));
}

void weft_task_observe(struct weft_task *task)
{
	if (!(weft_load_relaxed(&task->word) & WEFT_WORD_SEEN))
		weft_or_acq_rel(&task->word, WEFT_WORD_SEEN);
}

/* -- the end ----------------------------------------------------------------------------------- */

static void lock_word(struct weft_task *task)
{
	for (unsigned spins = 0;; spins++) {
		uint64_t word = weft_load_relaxed(&task->word);

		if (!(word & WEFT_WORD_LOCK) &&
			weft_cas_acquire(&task->word, &word, word | WEFT_WORD_LOCK))
			return;
		weft_spin_wait(spins);
	}
}

static void unlock_word(struct weft_task *task)
{
	weft_and_acq_rel(&task->word, ~WEFT_WORD_LOCK);
}

/* Watches are pushed newest first; they are told oldest first. */
static struct weft_watch *reversed(struct weft_watch *watch)
{
	struct weft_watch *head = NULL;

	while (watch) {
		struct weft_watch *next = watch->next;

		watch->next = head;
		head = watch;
		watch = next;
	}
	return head;
}

static void complete_watched(struct weft_task *task)
{
	bool ordered = task->flags & WEFT_TASK_ORDERED;
	struct weft_watcher *owner;
	struct weft_watch *watch;
	uint64_t word;

	lock_word(task);
	owner = weft_load_relaxed(&task->own.watcher);
	watch = reversed(task->watches);
	task->watches = NULL;
	word = weft_load_relaxed(&task->word);
	while (!weft_cas_acq_rel(&task->word, &word, /* TK1 */
		(word | WEFT_WORD_DONE) & ~(WEFT_WORD_LOCK | WEFT_WORD_WATCHED)))
		;
	if (owner && !ordered)
		owner->done(owner, NULL, task);
	while (watch) {
		struct weft_watch *next = watch->next; /* the watch may be gone after done */

		watch->watcher->done(watch->watcher, watch, task);
		watch = next;
	}
	weft_task_unref(task, false);
	if (owner && ordered) /* it lets the next member go on, so it comes last */
		owner->done(owner, NULL, task);
}

void weft_task_count_end(struct weft_worker *worker, struct weft_task *task, int status)
{
	if (weft_unlikely(status < 0)) {
		if (status == -ECANCELED)
			weft_count(&worker->counters.cancelled);
		else
			weft_count(&worker->counters.failed);
	}
	if (weft_unlikely(weft_load_relaxed(&worker->runtime->stopping) == WEFT_STOPPING) &&
		!(task->flags & WEFT_TASK_DAEMON))
		weft_report_task(worker->runtime, WEFT_REPORT_LEAK, task, status,
			"was still alive at the end and has been cancelled");
	weft_count_release(&worker->counters.done); /* after created, see runtime.c all_ended */
}

/* The body has ended, no other handle than that of the caller's exists, nobody watches. */
void weft_task_complete_private(struct weft_worker *worker, struct weft_task *task, int status)
{
	uint64_t word = weft_load_relaxed(&task->word);

	task->status = status;
	weft_store_relaxed(&task->word, (word | WEFT_WORD_DONE) - WEFT_WORD_REF);
	weft_task_count_end(worker, task, status);
}

void weft_task_complete(struct weft_worker *worker, struct weft_task *task, int status)
{
	uint64_t word = weft_load_acquire(&task->word); /* own.watcher was written before OWNED */

	task->batch = (uint32_t)task->status;
	task->status = status;
	weft_task_count_end(worker, task, status);
	while (!(word & (WEFT_WORD_LOCK | WEFT_WORD_WATCHED))) {
		uint64_t next = (word | WEFT_WORD_DONE) - WEFT_WORD_REF;
		struct weft_watcher *owner = NULL;

		if (word & WEFT_WORD_OWNED) {
			owner = weft_load_relaxed(&task->own.watcher);
			if (WEFT_WORD_REFS(next) == 0) { /* nobody else can look, but the owner */
				if (weft_unlikely(task->value != NULL))
					drop_value(task);
				owner->done(owner, NULL, task);
				task_free(task, weft_load_acquire(&task->word) & WEFT_WORD_SEEN);
				return;
			}
		}
		if (!weft_cas_acq_rel(&task->word, &word, next)) /* TK1 */
			continue;
		/* An owner that looks at the task then holds a handle. */
		if (owner)
			owner->done(owner, NULL, task);
		else if (WEFT_WORD_REFS(next) == 0)
			task_free(task, word & WEFT_WORD_SEEN);
		return;
	}
	complete_watched(task);
}

bool weft_task_watch(
	struct weft_task *task, struct weft_watch *watch, struct weft_watcher *watcher)
{
	bool alive;

	watch->watcher = watcher;
	if (weft_task_done(task))
		return false;
	lock_word(task);
	alive = !(weft_load_acquire(&task->word) & WEFT_WORD_DONE);
	if (alive) {
		watch->next = task->watches;
		task->watches = watch;
		weft_or_acq_rel(&task->word, WEFT_WORD_WATCHED);
	}
	unlock_word(task);
	return alive;
}

bool weft_task_unwatch(struct weft_task *task, struct weft_watch *watch)
{
	struct weft_watch **link;
	bool found = false;

	lock_word(task);
	for (link = &task->watches; *link; link = &(*link)->next) {
		if (*link == watch) {
			*link = watch->next;
			found = true;
			break;
		}
	}
	unlock_word(task);
	return found;
}

/* Inside. On the worker's private list with no handle but the caller's: nobody else can look. */
static inline bool own_if_private(
	struct weft_worker *worker, struct weft_task *task, struct weft_watcher *watcher)
{
	uint64_t word = weft_load_relaxed(&task->word);

	if (weft_load_acquire(&task->claim) != WEFT_CLAIM_PRIVATE || /* TK4 */
		weft_load_relaxed(&task->home) != worker || WEFT_WORD_REFS(word) != 2 ||
		weft_load_relaxed(&task->own.watcher) ||
		(word & (WEFT_WORD_LOCK | WEFT_WORD_DONE)))
		return false;
	weft_store_relaxed(&task->own.watcher, watcher);
	task->flags |= WEFT_TASK_SHARED;
	weft_store_relaxed(&task->word, word | WEFT_WORD_OWNED);
	return true;
}

size_t weft_task_own_private(
	struct weft_task *const *tasks, size_t n, struct weft_watcher *watcher)
{
	enum { AT_A_TIME = 64 }; /* then the monitor may come in */
	struct weft_worker *worker = weft_worker_current();
	size_t owned = 0, until = 0;

	while (worker && owned == until && until < n) {
		until = n - owned < AT_A_TIME ? n : owned + AT_A_TIME;
		weft_worker_enter_user(worker);
		while (owned < until && own_if_private(worker, tasks[owned], watcher))
			owned++;
		weft_worker_leave(worker, false);
	}
	return owned;
}

enum weft_own_result weft_task_own(struct weft_task *task, struct weft_watcher *watcher)
{
	enum weft_own_result result = WEFT_OWN_WATCHING;

	if (weft_task_done(task))
		return WEFT_OWN_ENDED;
	if (weft_task_own_private(&task, 1, watcher))
		return WEFT_OWN_WATCHING;
	lock_word(task);
	if (weft_load_acquire(&task->word) & WEFT_WORD_DONE) {
		result = WEFT_OWN_ENDED;
	} else if (weft_load_relaxed(&task->own.watcher)) {
		result = WEFT_OWN_TAKEN;
	} else {
		weft_store_relaxed(&task->own.watcher, watcher);
		weft_or_acq_rel(&task->word, WEFT_WORD_OWNED);
	}
	unlock_word(task);
	return result;
}

int weft_task_cancel(struct weft_task *task)
{
	struct weft_stack *stack;

	if (weft_or_seq_cst(&task->word, WEFT_WORD_CANCEL) & WEFT_WORD_DONE) /* TK3 */
		return 0;
	stack = weft_load_seq_cst(&task->stack);
	if (stack && !((uintptr_t)stack & WEFT_AFTER_TAGS)) {
		weft_add_seq_cst(&stack->epoch, 1);
		weft_unpark(&stack->parker);
	}
	return 1;
}
