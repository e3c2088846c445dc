/* SPDX-License-Identifier: MIT */
/*
 * monitor - one thread per runtime that looks after workers stuck in a long computation. A worker
 * whose loop has not turned between two looks, and which is in user code, is claimed (see
 * worker.h): its completions are reaped, its submissions flushed, its timers fired, its mail
 * read and its ready work handed to the others. Its stall is reported by name.
 *
 * In between it gives back the memory that a burst has left (shed.h).
 *
 * It looks every half millisecond while somebody could help, seldom otherwise, and sleeps
 * without bound once all workers have slept for a while and nothing is to be given back: an idle runtime
 * makes no wake-ups.
 *
 * MN1  monitor: announce asleep, fence, look whether all workers still sleep  <->  worker: leave the sleepers
 *      (seq_cst), then load monitor_state. Weaker: a worker computes unwatched.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "sched/frame.h"
#include "sched/shed.h"
#include "sched/worker.h"

enum { MONITOR_AWAKE, MONITOR_ASLEEP };

static const weft_ns LOOK_OFTEN = 500 * 1000;
static const weft_ns LOOK_SELDOM = 5 * 1000 * 1000;
static const weft_ns QUIET = 5 * 1000 * 1000;

struct watched {
	uint64_t turns;
	weft_ns since; /* the loop has not turned since then */
	bool reported;
};

static bool claim(struct weft_worker *worker)
{
	weft_or_seq_cst(&worker->attention, WEFT_ATTENTION_CLAIMED); /* WK1 */
	weft_fence_seq_cst();
	if (weft_sys_membarrier() == 0 && !weft_load_seq_cst(&worker->inside)) /* WK2 */
		return true;
	weft_and_acq_rel(&worker->attention, ~(uint32_t)WEFT_ATTENTION_CLAIMED);
	return false;
}

static void release(struct weft_worker *worker)
{
	weft_and_acq_rel(&worker->attention, ~(uint32_t)WEFT_ATTENTION_CLAIMED); /* WK2 */
}

static void give_stacks(struct weft_runtime *runtime, struct weft_stack_fifo *fifo)
{
	struct weft_stack_fifo stay = { 0 };
	struct weft_stack *stack;

	while ((stack = weft_stack_fifo_pop(fifo))) {
		if (stack->pins > 0)
			weft_stack_fifo_push(&stay, stack);
		else
			weft_inject_stack(runtime, stack);
	}
	*fifo = stay;
}

/* Claimed: everything others may run goes to the injector. */
static void give_away(struct weft_worker *worker)
{
	struct weft_queue *queue = &worker->queue;
	unsigned looked;

	/* Those who have no time to search look at the injector, not at what is shared. */
	while (weft_worker_take_back(worker))
		;
	give_stacks(worker->runtime, &queue->ready);
	give_stacks(worker->runtime, &queue->yielded);
	for (looked = queue->tasks; looked > 0; looked--) {
		struct weft_task *task = weft_queue_next_task(queue);

		weft_queue_remove(queue, task);
		weft_queue_count_foreign(queue);
		if (task->flags & WEFT_TASK_PINNED) {
			weft_queue_push_oldest(queue, task);
			continue;
		}
		weft_store_relaxed(&task->claim, WEFT_CLAIM_HELD);
		weft_inject_task(worker->runtime, task);
	}
}

static void help(struct weft_worker *worker)
{
	worker->backend->flush(worker->backend_state);
	worker->backend->reap(worker->backend_state);
	weft_worker_fire_timers(worker, weft_now());
	weft_worker_read_mail(worker);
	give_away(worker);
}

/* Claimed: who is it? Copied, since the task may be gone once the claim is released. */
struct stall_text {
	char name[64], site[128], text[96];
};

static bool describe(struct weft_worker *worker, weft_ns held, struct stall_text *out)
{
	struct weft_frame *frame = worker->stack->frame;

	if (!frame)
		return false;
	snprintf(out->name, sizeof(out->name), "%s", weft_name(frame->task));
	snprintf(out->site, sizeof(out->site), "%s", frame->task->site);
	snprintf(out->text, sizeof(out->text), "has held its worker for %lld ms",
		(long long)(held / 1000000));
	return true;
}

static void look_at(struct weft_worker *worker, struct watched *watched, weft_ns now)
{
	struct weft_runtime *runtime = worker->runtime;
	uint64_t turns = weft_load_relaxed(&worker->turns);
	struct stall_text stall;
	bool report;

	if (turns != watched->turns || weft_load_relaxed(&runtime->idle->asleep[worker->index])) {
		*watched = (struct watched){ .turns = turns, .since = now };
		return;
	}
	report = !watched->reported && runtime->config.stall_report >= 0 &&
		now - watched->since > runtime->config.stall_report;
	if ((runtime->count == 1 && !report) || weft_load_relaxed(&worker->inside) ||
		!claim(worker))
		return;
	if (runtime->count > 1)
		help(worker);
	if (report)
		report = describe(worker, now - watched->since, &stall);
	release(worker);
	if (report) {
		watched->reported = true;
		weft_add_relaxed(&runtime->stalls, 1);
		weft_report_named(
			runtime, WEFT_REPORT_STALL, stall.name, stall.site, 0, stall.text);
	}
}

static bool all_asleep(struct weft_runtime *runtime)
{
	return (uint32_t)weft_load_seq_cst(&runtime->idle->counts) == runtime->count;
}

/* Until somebody wakes, or pause has passed; < 0: without bound. */
static void sleep_through(struct weft_runtime *runtime, weft_ns pause)
{
	weft_ns end = weft_time_add(weft_sys_clock(), pause);

	weft_store_seq_cst(&runtime->monitor_state, MONITOR_ASLEEP); /* MN1 */
	weft_fence_seq_cst();
	while (all_asleep(runtime) && !weft_load_acquire(&runtime->exiting) &&
		weft_load_acquire(&runtime->monitor_state) == MONITOR_ASLEEP && pause != 0) {
		weft_futex_wait(&runtime->monitor_state, MONITOR_ASLEEP, pause);
		if (pause > 0 && (pause = end - weft_sys_clock()) < 0)
			pause = 0;
	}
	weft_store_seq_cst(&runtime->monitor_state, MONITOR_AWAKE);
}

/* Sleep until the next look is due; quiet: since when all workers sleep. */
static void nap(struct weft_runtime *runtime, struct weft_shed *shed, weft_ns quiet)
{
	weft_ns stall = runtime->config.stall_report;
	weft_ns interval = stall > 0 && stall / 2 < LOOK_SELDOM ? stall / 2 : LOOK_SELDOM;

	/* All asleep is no reason for a longer one: the next to wake may compute. */
	if (runtime->count > 1 && weft_idle_sleeping(runtime->idle) > 0)
		interval = LOOK_OFTEN;
	if (quiet <= QUIET) {
		weft_futex_wait(&runtime->monitor_state, MONITOR_AWAKE, interval);
		return;
	}
	sleep_through(runtime, weft_shed_pause(shed, runtime, weft_sys_clock()));
}

void weft_monitor_wake(struct weft_runtime *runtime)
{
	if (weft_likely(weft_load_seq_cst(&runtime->monitor_state) == MONITOR_AWAKE)) /* MN1 */
		return;
	if (weft_xchg_seq_cst(&runtime->monitor_state, MONITOR_AWAKE) == MONITOR_ASLEEP)
		weft_futex_wake(&runtime->monitor_state, 1);
}

static void *monitor_main(void *arg)
{
	struct weft_runtime *runtime = arg;
	struct watched *watched = runtime->watched;
	weft_ns busy = weft_sys_clock();
	struct weft_shed shed = { .looked = busy };
	sigset_t all;

	/* Signals are the program's: none shall run its handler here. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	pthread_setname_np(pthread_self(), "weft-monitor");
	while (!weft_load_acquire(&runtime->exiting)) {
		weft_ns now = weft_sys_clock();

		if (!all_asleep(runtime))
			busy = now;
		for (unsigned i = 0; i < runtime->count; i++)
			look_at(&runtime->workers[i], &watched[i], now);
		weft_shed_look(&shed, runtime, now);
		while (weft_shed_step(&shed, runtime) && all_asleep(runtime) &&
			!weft_load_acquire(&runtime->exiting))
			;
		nap(runtime, &shed, now - busy);
	}
	weft_shed_finish(&shed, runtime);
	return NULL;
}

int weft_monitor_start(struct weft_runtime *runtime)
{
	int rc;

	runtime->watched = calloc(runtime->count, sizeof(*runtime->watched));
	if (!runtime->watched)
		return -ENOMEM;
	rc = -pthread_create(&runtime->monitor, NULL, monitor_main, runtime);
	runtime->monitor_running = rc == 0;
	return rc;
}

void weft_monitor_stop(struct weft_runtime *runtime)
{
	if (runtime->monitor_running) {
		weft_xchg_seq_cst(&runtime->monitor_state, MONITOR_AWAKE);
		weft_futex_wake(&runtime->monitor_state, 1);
		pthread_join(runtime->monitor, NULL);
		runtime->monitor_running = false;
	}
	free(runtime->watched);
	runtime->watched = NULL;
}
