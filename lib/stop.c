/* SPDX-License-Identifier: MIT */
/*
 * stop - ends runtimes, step by step: stopping is set (no new tasks; every task now sees a cancel), all stacks
 * are told, the ends are awaited; then exiting is set, the workers leave their loops, drain their rings
 * and end; then memory goes, in the reverse order of making.
 */
#include <weft/runtime.h>

#include <errno.h>

#include "base/sys.h"
#include "blocking/jobs.h"
#include "io/io.h"
#include "runtime.h"

/* -- the end of all tasks ---------------------------------------------------------------------- */

/* Ends are read before beginnings: equal sums mean that nothing was left in between. */
static bool all_counted(struct weft_runtime *runtime)
{
	uint64_t ended = 0, begun = 0;

	if (weft_load_seq_cst(&runtime->posting) > 0)
		return false;
	for (unsigned i = 0; i < runtime->count; i++)
		ended += weft_load_acquire(&runtime->workers[i].counters.done);
	for (unsigned i = 0; i < runtime->count; i++)
		begun += weft_load_acquire(&runtime->workers[i].counters.created);
	begun += weft_load_acquire(&runtime->posted);
	/* Again: who hands something over may not have let go of the runtime yet. */
	return begun == ended && weft_load_seq_cst(&runtime->posting) == 0;
}

static void found_one(const struct weft_task *task, void *arg)
{
	(void)task;
	*(bool *)arg = true;
}

/* An end is counted just before it shows in the descriptor. */
bool weft_runtime_all_ended(struct weft_runtime *runtime)
{
	bool found = false;

	if (all_counted(runtime))
		weft_task_pool_each(&runtime->tasks, found_one, &found);
	else
		found = true;
	return !found;
}

void weft_runtime_tell_stacks(struct weft_runtime *runtime)
{
	struct weft_stack_slab *slab = weft_load_acquire(&runtime->stacks.slabs);

	for (; slab; slab = slab->next) {
		uint32_t used = weft_load_acquire(&slab->used);

		for (uint32_t i = 0; i < used; i++) {
			struct weft_stack *stack =
				weft_stack_at(&runtime->stacks, slab, i);

			weft_add_seq_cst(&stack->epoch, 1);
			weft_unpark(&stack->parker);
		}
	}
}

static void report_survivor(const struct weft_task *task, void *arg)
{
	struct weft_runtime *runtime = arg;

	weft_report_named(runtime, WEFT_REPORT_LEAK,
		task->flags & WEFT_TASK_OWN_SITE ? "(named)" : weft_name(task),
		task->site, -ETIMEDOUT, "did not end although it was cancelled");
}

void weft_runtime_report_survivors(struct weft_runtime *runtime)
{
	weft_task_pool_each(&runtime->tasks, report_survivor, runtime);
}

void weft_runtime_begin_stop(struct weft_runtime *runtime, enum weft_stopping how)
{
	weft_store_seq_cst(&runtime->stopping, how);
	weft_fence_seq_cst();
	for (unsigned i = 0; i < runtime->count; i++)
		weft_or_seq_cst(&runtime->workers[i].attention, WEFT_ATTENTION_STOPPING);
}

int weft_runtime_stop(struct weft_runtime *runtime, weft_ns grace)
{
	weft_ns until, pause = 20 * 1000;

	if (!runtime)
		return -EINVAL;
	if (weft_load_relaxed(&weft_forked))
		return -EOWNERDEAD;
	if (weft_runtime_current() == runtime)
		return -EDEADLK;
	until = weft_deadline_from(grace);
	weft_runtime_begin_stop(runtime, WEFT_STOPPING);
	for (int rounds = 0; !weft_runtime_all_ended(runtime); rounds++) {
		_Atomic(uint32_t) never = 0;

		if (rounds <
			3) /* a task that was just starting may have missed the first */
			weft_runtime_tell_stacks(runtime);
		if (weft_sys_clock() >= until) {
			weft_runtime_report_survivors(runtime);
			return -ETIMEDOUT;
		}
		weft_futex_wait(&never, 0, pause);
		if (pause < 1000 * 1000)
			pause *= 2;
	}
	weft_signals_release(runtime->io);
	return 0;
}

/* -- the end of the runtime -------------------------------------------------------------------- */

static bool has_handles(struct weft_runtime *runtime)
{
	bool found = false;

	weft_task_pool_each_held(&runtime->tasks, found_one, &found);
	return found;
}

/*
 * Runtimes that are over but for handles somebody still holds: their descriptors stay valid, and go
 * with the first destroy that finds them all released.
 */
static struct weft_spin held_lock;
static struct weft_runtime *held;

void weft_runtime_free_or_hold(struct weft_runtime *runtime)
{
	struct weft_runtime **link, *old;

	weft_stack_pool_finish(&runtime->stacks); /* the bulk goes at once */
	weft_spin_lock(&held_lock);
	runtime->next_held = held;
	held = runtime;
	for (link = &held; (old = *link);) {
		if (has_handles(old)) {
			link = &old->next_held;
		} else {
			*link = old->next_held;
			weft_runtime_free(old);
		}
	}
	weft_spin_unlock(&held_lock);
}

void weft_runtime_destroy(struct weft_runtime *runtime)
{
	if (!runtime || weft_load_relaxed(&weft_forked))
		return;
	if (weft_runtime_stop(runtime, WEFT_SEC(1)) < 0) {
		weft_report_text(runtime, WEFT_REPORT_LEAK, -EBUSY,
			"the runtime is left in place because tasks do not end");
		return;
	}
	weft_runtime_end_workers(runtime, runtime->count);
	/* After the workers, which may need it to end; before they go, since a job wakes a worker last. */
	weft_jobs_destroy(runtime->jobs);
	runtime->jobs = NULL;
	weft_runtime_leave_process(runtime);
	weft_runtime_free_or_hold(runtime);
}
