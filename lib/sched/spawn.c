/* SPDX-License-Identifier: MIT */
/*
 * spawn - making tasks: descriptors from the worker's magazines, attributes, the way onto a queue, and
 * the immortal tasks that stand for those that could not be made.
 */
#include "sched/task.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sched/frame.h"
#include "sched/worker.h"

/* -- descriptors ------------------------------------------------------------------------------- */

/* Give the magazine at least one descriptor; false when out of memory. */
static bool refill(
	struct weft_task_pool *pool, struct weft_task_magazine *free, struct weft_task_magazine *spare)
{
	WEFT_DEBUG_ASSERT(free->count == 0); /* else some length was noted wrongly */
	if (spare && spare->head) {
		*free = *spare;
		spare->head = NULL;
		spare->count = 0;
		return true;
	}
	*free = weft_task_pool_get(pool);
	return free->head != NULL;
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
		weft_task_pool_put(&worker->runtime->tasks, worker->spare);
	worker->spare = worker->free;
	worker->free.head = NULL;
	worker->free.count = 0;
}

void weft_task_give_magazines(struct weft_worker *worker)
{
	const struct weft_task_magazine none = { NULL, 0 };

	if (worker->free.head)
		weft_task_pool_put(&worker->runtime->tasks, worker->free);
	if (worker->spare.head)
		weft_task_pool_put(&worker->runtime->tasks, worker->spare);
	worker->free = worker->spare = none;
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

/* What the creator hands down, once there is a key whose values are. */
static void inherit(struct weft_worker *worker, struct weft_task *task)
{
	const struct weft_frame *creator = worker->stack->frame;

	if (!weft_load_relaxed(&weft_values_inherit) || !creator || !creator->has_values ||
		!creator->inherited)
		return;
	task->heritage = weft_values_share(creator->inherited);
	task->flags |= WEFT_TASK_INHERITS;
}

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

/*
 * Everything that is rare: errors, a claim, somebody who asks for work, an empty magazine, something to hand
 * down. The caller may be inside already.
 */
__attribute__((noinline)) static struct weft_task *spawn_slowly(
	const char *site, weft_fn fn, void *arg, unsigned refs)
{
	struct weft_worker *worker = weft_worker_current_once();
	int error = fn ? creation_forbidden(worker) : -EINVAL;
	struct weft_task *task = NULL;

	if (!worker)
		return weft_task_failure(error);
	weft_worker_enter_user(worker);
	if (error == 0) {
		task = take(worker);
		error = -ENOMEM;
	}
	if (!task) {
		weft_worker_leave(worker, false);
		return weft_task_failure(error);
	}
	init(task, worker, site, fn, arg, refs);
	inherit(worker, task);
	weft_count(&worker->counters.created);
	weft_queue_push(&worker->queue, task);
	return offer_and_leave(worker, task);
}

/* All calls are tail calls, so that the common way through saves no register. */
static inline struct weft_task *spawn(const char *site, weft_fn fn, void *arg, unsigned refs)
{
	struct weft_worker *worker = weft_worker_current_once();
	struct weft_task *task;

	if (weft_unlikely(!worker || !fn || weft_load_relaxed(&weft_values_inherit)))
		return spawn_slowly(site, fn, arg, refs);
	if (weft_unlikely(weft_worker_enter_looking(worker) & WEFT_ATTENTION_ANY_WAY_SLOW))
		return spawn_slowly(site, fn, arg, refs);
	if (weft_unlikely(!worker->free.head))
		return spawn_slowly(site, fn, arg, refs);
	task = take_first(worker);
	init(task, worker, site, fn, arg, refs);
	weft_count(&worker->counters.created);
	weft_queue_push(&worker->queue, task);
	if (weft_unlikely(weft_worker_has_surplus(worker)))
		return offer_and_leave(worker, task);
	weft_worker_leave(worker, false);
	return task;
}

struct weft_task *weft_create_task_at(const char *site, weft_fn fn, void *arg)
{
	return spawn(site, fn, arg, 2);
}

struct weft_task *weft_task_spawn_detached(const char *site, weft_fn fn, void *arg)
{
	return spawn(site, fn, arg, 1);
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
	task->large = (uint8_t)class;
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
	inherit(worker, task);
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

struct weft_task *weft_task_new_thread(const char *site, weft_fn fn, void *arg)
{
	struct weft_worker *worker = weft_worker_current();
	struct weft_task *task = take(worker);

	if (!task)
		return NULL;
	init(task, worker, site, fn, arg, 1);
	task->flags |= WEFT_TASK_DAEMON;
	weft_store_relaxed(&task->claim, WEFT_CLAIM_HELD);
	weft_count(&worker->counters.created);
	return task;
}

void weft_task_abandon(struct weft_task *task)
{
	struct weft_worker *worker = weft_worker_current();

	weft_count_release(&worker->counters.done);
	if (task->flags & WEFT_TASK_OWN_SITE)
		free((char *)task->site);
	if (task->flags & WEFT_TASK_INHERITS)
		weft_values_release(task->heritage); /* never the last: the creator holds it too */
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
		if (weft_unlikely(weft_worker_may_offer(worker)))
			weft_worker_offer(worker);
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
