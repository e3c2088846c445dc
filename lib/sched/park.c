/* SPDX-License-Identifier: MIT */
/*
 * park - suspend the caller, make somebody run again; for tasks and for plain threads.
 *
 * PK1  park: compare-and-swap RUNNING -> PARKED, made by the context switched to, after the parked one
 *      is saved (release)  ->  unpark: compare-and-swap PARKED -> RUNNING (acquire). Weaker: the
 *      waker resumes a context that is not yet written.
 * PK2  unpark: release in every compare-and-swap, even NOTIFIED -> NOTIFIED  ->  park: acquire
 *      exchange when it finds NOTIFIED. Weaker: the woken one does not see why it was woken.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/sys.h"
#include "sched/frame.h"
#include "sched/gate.h"
#include "sched/worker.h"

/* -- plain threads ----------------------------------------------------------------------------- */

/* Recycled and never freed: a late wake may touch one after its thread is gone. */
struct thread_parker {
	struct weft_parker parker;
	struct thread_parker *next;
};

static struct weft_spin free_lock;
static struct thread_parker *free_parkers;
static pthread_key_t thread_key;
static pthread_once_t thread_once = PTHREAD_ONCE_INIT;

static void thread_gone(void *value)
{
	struct thread_parker *parker = value;

	weft_spin_lock(&free_lock);
	parker->next = free_parkers;
	free_parkers = parker;
	weft_spin_unlock(&free_lock);
}

static void make_key(void)
{
	if (pthread_key_create(&thread_key, thread_gone))
		abort();
}

static struct weft_parker *thread_parker_self(void)
{
	struct thread_parker *parker;

	pthread_once(&thread_once, make_key);
	parker = pthread_getspecific(thread_key);
	if (parker)
		return &parker->parker;
	weft_spin_lock(&free_lock);
	parker = free_parkers;
	if (parker)
		free_parkers = parker->next;
	weft_spin_unlock(&free_lock);
	if (!parker)
		parker = calloc(1, sizeof(*parker));
	if (!parker)
		return NULL;
	parker->parker.kind = WEFT_PARKER_THREAD;
	pthread_setspecific(thread_key, parker);
	return &parker->parker;
}

static void thread_park(weft_ns until)
{
	struct weft_parker *parker = thread_parker_self();
	uint32_t running = WEFT_PARKER_RUNNING;

	/* PK2, and PK1: nothing but the futex word to save. */
	if (weft_cas_acq_rel(&parker->state, &running, WEFT_PARKER_PARKED)) {
		weft_ns left = -1;

		if (until != WEFT_FOREVER) {
			left = until - weft_sys_clock();
			if (left < 0)
				left = 0;
		}
		weft_futex_wait(&parker->state, WEFT_PARKER_PARKED, left);
	}
	weft_xchg_acq_rel(&parker->state, WEFT_PARKER_RUNNING);
}

/* -- both -------------------------------------------------------------------------------------- */

struct weft_parker *weft_parker_self(void)
{
	struct weft_worker *worker = weft_worker_current();

	return worker ? &worker->stack->parker : thread_parker_self();
}

static void arm(struct weft_worker *worker, struct weft_stack *stack, weft_ns until)
{
	stack->timer_home = worker;
	weft_spin_lock(&worker->timer_lock);
	weft_wheel_arm(&worker->wheel, &stack->timer, until);
	if (until < weft_load_relaxed(&worker->next_timer))
		weft_store_relaxed(&worker->next_timer, until);
	weft_spin_unlock(&worker->timer_lock);
}

static void disarm(struct weft_stack *stack)
{
	struct weft_worker *home = stack->timer_home;

	weft_spin_lock(&home->timer_lock);
	weft_wheel_disarm(&home->wheel, &stack->timer);
	weft_spin_unlock(&home->timer_lock);
}

static void stack_park(struct weft_worker *worker, struct weft_stack *stack, weft_ns until)
{
	if (weft_load_relaxed(&stack->parker.state) == WEFT_PARKER_NOTIFIED) {
		weft_xchg_acq_rel(&stack->parker.state, WEFT_PARKER_RUNNING); /* PK2 */
		return;
	}
	weft_worker_enter_user(worker);
	if (until != WEFT_FOREVER)
		arm(worker, stack, until);
	if (weft_unlikely(stack->gate != NULL))
		stack->gate->leave(stack->gate, stack, NULL);
	weft_worker_suspend(worker, WEFT_AFTER_PARK);
	if (weft_unlikely(stack->gate != NULL))
		weft_stack_take_notice(stack);
	if (weft_unlikely(stack->staged != NULL))
		stack->budget = 0; /* this was no checkpoint: the next one looks */
	if (until != WEFT_FOREVER)
		disarm(stack);
	weft_worker_leave(weft_worker_current(), false);
}

__attribute__((noinline)) static void park_slowly(struct weft_worker *worker, weft_ns until)
{
	if (!worker)
		thread_park(until);
	else if (worker->stack->deadline < until)
		stack_park(worker, worker->stack, worker->stack->deadline);
	else
		stack_park(worker, worker->stack, until);
}

/* No clock, no gate, no notice: nothing but the switch. */
static inline bool parks_plainly(const struct weft_stack *stack, weft_ns until)
{
	return until == WEFT_FOREVER && stack->deadline == WEFT_FOREVER && !stack->gate &&
		weft_load_relaxed(&stack->parker.state) != WEFT_PARKER_NOTIFIED;
}

void weft_park(weft_ns until)
{
	struct weft_worker *worker = weft_worker_current();

	if (weft_unlikely(!worker || !parks_plainly(worker->stack, until))) {
		park_slowly(worker, until);
		return;
	}
	weft_worker_enter_user(worker);
	worker = weft_worker_suspend(worker, WEFT_AFTER_PARK);
	if (weft_unlikely(worker->stack->staged != NULL))
		worker->stack->budget = 0; /* this was no checkpoint: the next one looks */
	weft_worker_leave(worker, false);
}

void weft_park_deaf(weft_ns until)
{
	struct weft_worker *worker = weft_worker_current();

	if (!worker)
		thread_park(until);
	else
		stack_park(worker, worker->stack, until);
}

/* On no worker of its runtime, or not on its own. */
__attribute__((noinline)) static void resume_elsewhere(struct weft_worker *worker, struct weft_stack *stack)
{
	if (stack->pins > 0 && stack->pin != worker)
		weft_mail_stack(stack->pin, stack);
	else
		weft_inject_stack(stack->runtime, stack);
}

/* next: before the others that are ready, see queue.h. */
static inline void resume(struct weft_stack *stack, bool next)
{
	struct weft_worker *worker = weft_worker_current();
	bool was_inside;

	if (weft_unlikely(!worker || worker->runtime != stack->runtime ||
		    (stack->pins > 0 && stack->pin != worker))) {
		resume_elsewhere(worker, stack);
		return;
	}
	was_inside = weft_worker_enter(worker);
	if (next)
		weft_queue_wake(&worker->queue, stack);
	else
		weft_stack_fifo_push(&worker->queue.ready, stack);
	weft_count(&worker->counters.wakeups);
	weft_worker_leave(worker, was_inside);
}

void weft_gate_resume(struct weft_stack *stack)
{
	resume(stack, false);
}

static inline void unpark(struct weft_parker *parker, bool next_to_run)
{
	uint32_t state = weft_load_relaxed(&parker->state);
	uint32_t next;

	do {
		next = state == WEFT_PARKER_PARKED ? WEFT_PARKER_RUNNING : WEFT_PARKER_NOTIFIED;
	} while (!weft_cas_acq_rel(&parker->state, &state, next)); /* PK1, PK2 */
	if (state != WEFT_PARKER_PARKED)
		return;
	if (parker->kind == WEFT_PARKER_THREAD)
		weft_futex_wake(&parker->state, 1);
	else if (weft_gate_passed((void *)parker))
		resume((void *)parker, next_to_run);
}

void weft_unpark(struct weft_parker *parker)
{
	unpark(parker, false);
}

void weft_unpark_next(struct weft_parker *parker)
{
	unpark(parker, true);
}

weft_ns weft_deadline_from(weft_ns duration)
{
	if (duration == WEFT_FOREVER)
		return WEFT_FOREVER;
	return weft_time_add(weft_now(), duration);
}
