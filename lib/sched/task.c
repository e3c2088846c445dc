/* SPDX-License-Identifier: MIT */
/*
 * task - making descriptors, ending tasks, telling those who watch, and the descriptor pools.
 */
#include "sched/task.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "sched/frame.h"
#include "sched/worker.h"

/* -- descriptors ------------------------------------------------------------------------------- */

static unsigned magazine_length(const struct weft_task *head)
{
	unsigned count = 0;

	for (const struct weft_node *node = &head->node; node; node = node->next)
		count++;
	return count;
}

/* Give the magazine at least one descriptor; false when out of memory. */
static bool refill(
	struct weft_task_pool *pool, struct weft_task_magazine *free, struct weft_task_magazine *spare)
{
	if (spare && spare->head) {
		*free = *spare;
		spare->head = NULL;
		spare->count = 0;
		return true;
	}
	free->head = weft_task_pool_get(pool);
	if (!free->head)
		return false;
	free->count = magazine_length(free->head);
	return true;
}

static inline struct weft_task *take_first(struct weft_worker *worker)
{
	struct weft_task *task = worker->free.head;

	worker->free.head = (struct weft_task *)task->node.next;
	worker->free.count--;
	return task;
}

static struct weft_task *take(struct weft_worker *worker)
{
	if (!worker->free.head && !refill(&worker->runtime->tasks, &worker->free, &worker->spare))
		return NULL;
	return take_first(worker);
}

void weft_task_magazine_full(struct weft_worker *worker)
{
	if (worker->spare.head)
		weft_task_pool_put(&worker->runtime->tasks, worker->spare.head);
	worker->spare = worker->free;
	worker->free.head = NULL;
	worker->free.count = 0;
}

static inline void init(struct weft_task *task, struct weft_worker *home, const char *site,
	weft_fn fn, void *arg, unsigned refs)
{
	task->fn = fn;
	task->arg = arg;
	weft_store_relaxed(&task->kind, home->default_kind);
	weft_store_relaxed(&task->home, home);
	/* watches, own.watcher, value and stack are NULL in a free descriptor. */
	task->site = site;
	weft_store_release(&task->word, refs * WEFT_WORD_REF);
}

void weft_task_init(struct weft_task *task, struct weft_worker *home, const char *site, weft_fn fn,
	void *arg, unsigned refs)
{
	init(task, home, site, fn, arg, refs);
}

/* -- creation ---------------------------------------------------------------------------------- */

static int creation_forbidden(struct weft_worker *worker)
{
	if (!worker)
		return weft_worker_none();
	return weft_load_relaxed(&worker->runtime->stopping) ? -ESHUTDOWN : 0;
}

__attribute__((noinline)) static struct weft_task *offer_and_leave(
	struct weft_worker *worker, struct weft_task *task)
{
	weft_worker_offer(worker);
	weft_worker_leave(worker, false);
	return task;
}

/* Everything that is rare: errors, a claim, an empty magazine. */
__attribute__((noinline)) static struct weft_task *spawn_slowly(
	const char *site, weft_fn fn, void *arg, unsigned refs)
{
	struct weft_worker *worker = weft_worker_current_once();
	int error = fn ? creation_forbidden(worker) : -EINVAL;
	struct weft_task *task;

	if (error < 0)
		return weft_task_failure(error);
	weft_worker_enter_user(worker);
	task = take(worker);
	if (!task) {
		weft_worker_leave(worker, false);
		return weft_task_failure(-ENOMEM);
	}
	init(task, worker, site, fn, arg, refs);
	weft_count(&worker->counters.created);
	weft_queue_push(&worker->queue, task);
	return offer_and_leave(worker, task);
}

/* All calls are tail calls, so that the common way through saves no register. */
struct weft_task *weft_task_spawn(const char *site, weft_fn fn, void *arg, unsigned refs)
{
	struct weft_worker *worker = weft_worker_current_once();
	struct weft_task *task;

	if (weft_unlikely(!worker || !fn || !worker->free.head))
		return spawn_slowly(site, fn, arg, refs);
	if (weft_unlikely(weft_worker_try_enter_user(worker)))
		return spawn_slowly(site, fn, arg, refs);
	task = take_first(worker);
	init(task, worker, site, fn, arg, refs);
	weft_count(&worker->counters.created);
	weft_queue_push(&worker->queue, task);
	if (weft_unlikely(weft_worker_may_offer(worker)))
		return offer_and_leave(worker, task);
	weft_worker_leave(worker, false);
	return task;
}

static int apply_attributes(struct weft_task *task, const struct weft_attr *attr)
{
	struct weft_runtime *runtime = weft_load_relaxed(&task->home)->runtime;
	int class = 0;

	if (attr->stack_size)
		class = weft_stack_class(&runtime->stacks, attr->stack_size);
	if (class < 0 || attr->worker > runtime->count)
		return -EINVAL;
	if (attr->flags & ~(unsigned)(WEFT_STAY | WEFT_DAEMON))
		return -EINVAL;
	if (attr->flags & WEFT_STAY)
		task->flags |= WEFT_TASK_STAY;
	if (attr->flags & WEFT_DAEMON)
		task->flags |= WEFT_TASK_DAEMON;
	if (attr->worker) {
		task->flags |= WEFT_TASK_PINNED;
		weft_store_relaxed(&task->home, &runtime->workers[attr->worker - 1]);
	}
	if (class > 0) {
		task->flags |= WEFT_TASK_LARGE;
		task->large = (uint8_t)class;
	}
	if (attr->name) {
		char *own = weft_site_named(task->site, attr->name);

		if (!own)
			return -ENOMEM;
		task->site = own;
		task->flags |= WEFT_TASK_OWN_SITE;
	}
	return 0;
}

struct weft_task *weft_task_new(const char *site, weft_fn fn, void *arg,
	const struct weft_attr *attr, unsigned refs, int *error)
{
	struct weft_worker *worker = weft_worker_current();
	struct weft_task *task;

	*error = creation_forbidden(worker);
	if (*error < 0)
		return NULL;
	if (attr && (attr->size == 0 || attr->size > sizeof(*attr))) {
		*error = -EINVAL;
		return NULL;
	}
	task = take(worker);
	if (!task) {
		*error = -ENOMEM;
		return NULL;
	}
	init(task, worker, site, fn, arg, refs);
	if (attr) {
		struct weft_attr full = { 0 };

		memcpy(&full, attr, attr->size);
		*error = apply_attributes(task, &full);
	}
	weft_count(&worker->counters.created);
	if (*error < 0) {
		weft_task_abandon(task);
		return NULL;
	}
	return task;
}

void weft_task_abandon(struct weft_task *task)
{
	struct weft_worker *worker = weft_worker_current();

	weft_count_release(&worker->counters.done);
	if (task->flags & WEFT_TASK_OWN_SITE)
		free((char *)task->site);
	weft_task_next_generation(task);
	weft_store_release(&task->word, 0);
	weft_task_give(worker, task);
}

unsigned weft_workers_here(void)
{
	return weft_worker_current()->runtime->count;
}

void weft_task_start(struct weft_task *task)
{
	struct weft_worker *worker = weft_worker_current();
	bool was_inside = weft_worker_enter(worker);

	if (weft_load_relaxed(&task->home) == worker) {
		weft_queue_push(&worker->queue, task);
	} else {
		weft_store_relaxed(&task->claim, WEFT_CLAIM_HELD);
		weft_mail_task(weft_load_relaxed(&task->home), task);
	}
	weft_worker_leave(worker, was_inside);
}

static void start_elsewhere(struct weft_task *task)
{
	struct weft_runtime *runtime = weft_load_relaxed(&task->home)->runtime;

	/* One more begun than ended, so that the runtime does not end under the injector's feet. */
	weft_add_seq_cst(&runtime->posted, 1);
	weft_inject_task(runtime, task);
	weft_sub_seq_cst(&runtime->posted, 1);
}

void weft_task_start_held(struct weft_task *task)
{
	struct weft_worker *worker = weft_worker_current();
	bool was_inside;

	if (!worker || worker->runtime != weft_load_relaxed(&task->home)->runtime) {
		start_elsewhere(task);
		return;
	}
	was_inside = weft_worker_enter(worker);
	weft_store_relaxed(&task->home, worker);
	weft_store_release(&task->claim, WEFT_CLAIM_PRIVATE); /* TK4 */
	weft_queue_push(&worker->queue, task);
	if (weft_unlikely(weft_worker_may_offer(worker)))
		weft_worker_offer(worker);
	weft_worker_leave(worker, was_inside);
}

/* -- failures ---------------------------------------------------------------------------------- */

#define IMMORTAL(code)                                                                   \
	{                                                                                \
		.word = WEFT_WORD_DONE | WEFT_WORD_SEEN | (WEFT_WORD_REF << 30),         \
		.claim = WEFT_CLAIM_STARTED, .flags = WEFT_TASK_FAILED, .status = (code), \
		.site = "(nowhere)\0(not created)",                                      \
	}

static struct weft_task failures[] = {
	IMMORTAL(-EINVAL),
	IMMORTAL(-ENOMEM),
	IMMORTAL(-ESHUTDOWN),
	IMMORTAL(-EPERM),
	IMMORTAL(-EOWNERDEAD),
	IMMORTAL(-ECANCELED),
};

struct weft_task *weft_task_failure(int error)
{
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		if (failures[i].status == error)
			return &failures[i];
	}
	return &failures[0];
}

int weft_task_failure_code(const struct weft_task *task)
{
	uintptr_t offset = (uintptr_t)task - (uintptr_t)failures;

	return weft_unlikely(offset < sizeof(failures)) ? task->status : 0;
}

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
	task->node.prev = (struct weft_node *)pool->full;
	pool->full = task;
	weft_spin_unlock(&pool->lock);
}

/* The last reference is gone. observed: its status was looked at. */
static void task_free(struct weft_task *task, bool observed)
{
	struct weft_worker *worker = weft_worker_current();
	struct weft_runtime *runtime = weft_load_relaxed(&task->home)->runtime;
	bool was_inside = false;

	if (weft_unlikely(task->status < 0 && task->status != -ECANCELED && !observed))
		report_unobserved(task, worker);
	if (weft_unlikely(task->value != NULL) && task->drop) {
		if (worker)
			was_inside = weft_load_relaxed(&worker->inside);
		if (was_inside)
			weft_worker_leave(worker, false); /* user code must not hold the worker */
		if (worker && !worker->stack->frame)
			weft_stack_force_look(worker->stack); /* no frame: the short ways are shut */
		task->drop(task->value);
		worker = weft_worker_current(); /* it may have waited */
		if (was_inside)
			weft_worker_enter_user(worker);
	}
	if (weft_unlikely(task->flags & WEFT_TASK_OWN_SITE))
		free((char *)task->site);
	task->value = NULL;
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
	if (owner)
		owner->done(owner, NULL, task);
	while (watch) {
		struct weft_watch *next = watch->next; /* the watch may be gone after done */

		watch->watcher->done(watch->watcher, watch, task);
		watch = next;
	}
	weft_task_unref(task, false);
}

void weft_task_count_end(struct weft_worker *worker, struct weft_task *task, int status)
{
	if (weft_unlikely(status < 0)) {
		if (status == -ECANCELED)
			weft_count(&worker->counters.cancelled);
		else
			weft_count(&worker->counters.failed);
	}
	if (weft_unlikely(weft_load_relaxed(&worker->runtime->stopping)) &&
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
			if (WEFT_WORD_REFS(next) == 0)
				break; /* the owner needs it until it has been told */
			owner = weft_load_relaxed(&task->own.watcher);
		}
		if (!weft_cas_acq_rel(&task->word, &word, next)) /* TK1 */
			continue;
		/* An owner that holds a handle keeps the task until it has been told. */
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

/* On the caller's private list with no handle but the caller's: nobody else can look. */
static bool own_in_private(struct weft_task *task, struct weft_watcher *watcher)
{
	struct weft_worker *worker = weft_worker_current();
	uint64_t word;
	bool is_private;

	if (!worker)
		return false;
	weft_worker_enter_user(worker);
	word = weft_load_relaxed(&task->word);
	is_private = weft_load_acquire(&task->claim) == WEFT_CLAIM_PRIVATE && /* TK4 */
		weft_load_relaxed(&task->home) == worker && WEFT_WORD_REFS(word) == 2 &&
		!weft_load_relaxed(&task->own.watcher) &&
		!(word & (WEFT_WORD_LOCK | WEFT_WORD_DONE));
	if (is_private) {
		weft_store_relaxed(&task->own.watcher, watcher);
		task->flags |= WEFT_TASK_SHARED;
		weft_store_relaxed(&task->word, word | WEFT_WORD_OWNED);
	}
	weft_worker_leave(worker, false);
	return is_private;
}

enum weft_own_result weft_task_own(struct weft_task *task, struct weft_watcher *watcher)
{
	enum weft_own_result result = WEFT_OWN_WATCHING;

	if (weft_task_done(task))
		return WEFT_OWN_ENDED;
	if (own_in_private(task, watcher))
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

struct weft_task *weft_task_next_here(void)
{
	struct weft_worker *worker = weft_worker_current();
	struct weft_task *task;

	if (!worker)
		return NULL;
	weft_worker_enter_user(worker);
	task = weft_queue_next_task(&worker->queue);
	weft_worker_leave(worker, false);
	return task;
}

int weft_task_cancel(struct weft_task *task)
{
	struct weft_stack *stack;

	if (weft_or_seq_cst(&task->word, WEFT_WORD_CANCEL) & WEFT_WORD_DONE) /* TK3 */
		return 0;
	stack = weft_load_seq_cst(&task->stack);
	if (stack) {
		weft_add_seq_cst(&stack->epoch, 1);
		weft_unpark(&stack->parker);
	}
	return 1;
}
