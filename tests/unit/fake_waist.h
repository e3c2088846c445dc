/* SPDX-License-Identifier: MIT */
/*
 * fake_waist - sched/wait.h for plain threads alone, so that the locks and channels can be
 * tested without the engine, with every thread's cancel in the test's hand.
 *
 * A thread that called fake_begin has a number; the test can ask whether that thread is asleep
 * (fake_asleep: instead of sleeping and hoping), and make something pending for it. With
 * fake_begin(number, true) it passes for a task, as far as owners and deadlock edges go.
 * Defines what the library would: include it from the one file of a test.
 */
#ifndef WEFT_TESTS_UNIT_FAKE_WAIST_H
#define WEFT_TESTS_UNIT_FAKE_WAIST_H

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <weft/task.h>

#include "base/assert.h"
#include "sched/wait.h"

enum { FAKE_THREADS = 64 };

struct fake_thread {
	_Alignas(64) struct weft_parker parker;
	_Atomic(int) pending;
	bool is_task;
	const _Atomic(uintptr_t) *edge_word; /* under fake_edges */
};

/* Never freed: parkers are type-stable. The last quarter is for threads that did not begin. */
static struct fake_thread fake_threads[FAKE_THREADS];
static _Atomic(uint32_t) fake_anonymous = FAKE_THREADS * 3 / 4;
static __thread struct fake_thread *fake_me;
static bool fake_slow_grant; /* let the waiter run before the granter has unlocked */
static bool fake_slow_leave; /* let others run between a waiter's leave and its return */
static pthread_mutex_t fake_edges = PTHREAD_MUTEX_INITIALIZER;

static struct fake_thread *fake_self(void)
{
	if (!fake_me) {
		uint32_t i = weft_add_relaxed(&fake_anonymous, 1);

		WEFT_ASSERT(i < FAKE_THREADS);
		fake_me = &fake_threads[i];
	}
	return fake_me;
}

static inline void fake_begin(unsigned number, bool is_task)
{
	fake_me = &fake_threads[number];
	fake_me->is_task = is_task;
}

/* Returns once that thread sleeps in a wait. */
static inline void fake_wait_asleep(unsigned number)
{
	while (weft_load_seq_cst(&fake_threads[number].parker.state) !=
		WEFT_PARKER_PARKED)
		sched_yield();
}

static inline void fake_set_pending(unsigned number, int code)
{
	weft_store_seq_cst(&fake_threads[number].pending, code);
	weft_unpark(&fake_threads[number].parker);
}

struct weft_task *weft_self(void)
{
	struct fake_thread *self = fake_self();

	return self->is_task ? (struct weft_task *)self : NULL;
}

struct weft_parker *weft_parker_self(void)
{
	return &fake_self()->parker;
}

int weft_pending(void)
{
	return weft_load_seq_cst(&fake_self()->pending);
}

bool weft_in_forked_child(void)
{
	return false;
}

int weft_checkpoint_enter(struct weft_checkpoint *checkpoint)
{
	(void)checkpoint;
	return weft_pending();
}

/* never: no checkpoint of the stand-in asks for it */
void weft_checkpoint_end(struct weft_stack *stack)
{
	(void)stack;
}

void weft_checkpoint_finishing(struct weft_checkpoint *checkpoint)
{
	(void)checkpoint;
}

void weft_park(weft_ns until)
{
	struct weft_parker *parker = weft_parker_self();
	uint32_t running = WEFT_PARKER_RUNNING;

	WEFT_ASSERT(until == WEFT_FOREVER);
	if (weft_cas_seq_cst(&parker->state, &running, WEFT_PARKER_PARKED)) {
		while (weft_load_seq_cst(&parker->state) == WEFT_PARKER_PARKED)
			syscall(SYS_futex, &parker->state, FUTEX_WAIT_PRIVATE,
				WEFT_PARKER_PARKED, NULL, NULL, 0);
	}
	weft_store_seq_cst(&parker->state, WEFT_PARKER_RUNNING);
}

void weft_unpark(struct weft_parker *parker)
{
	if (weft_xchg_seq_cst(&parker->state, WEFT_PARKER_NOTIFIED) == WEFT_PARKER_PARKED)
		syscall(SYS_futex, &parker->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void weft_unpark_next(struct weft_parker *parker)
{
	weft_unpark(parker);
}

/* Under fake_edges: the one that this one waits for. */
static struct fake_thread *fake_next(struct fake_thread *at)
{
	uintptr_t owner = at->edge_word ? weft_load_acquire(at->edge_word) : 0;

	if (owner & WEFT_OWNER_THREAD)
		return NULL;
	return (struct fake_thread *)(owner & ~WEFT_OWNER_FLAGS);
}

int weft_wait_edge_enter_lock(const _Atomic(uintptr_t) *owner_word)
{
	struct fake_thread *self = fake_self(), *at = self;
	int rc = 0;

	pthread_mutex_lock(&fake_edges);
	self->edge_word = owner_word;
	for (int hops = 0; at && hops < FAKE_THREADS; hops++) {
		at = fake_next(at);
		if (at == self && fake_next(self) != self) {
			self->edge_word = NULL;
			rc = -EDEADLK;
			break;
		}
	}
	pthread_mutex_unlock(&fake_edges);
	return rc;
}

void weft_wait_edge_leave(void)
{
	pthread_mutex_lock(&fake_edges);
	fake_self()->edge_word = NULL;
	pthread_mutex_unlock(&fake_edges);
}

int weft_waitq_push(struct weft_waitq *queue, struct weft_waiter *waiter)
{
	waiter->parker = weft_parker_self();
	waiter->queued = 1;
	weft_store_relaxed(&waiter->granted, 0);
	weft_list_push_tail(&queue->list, &waiter->node);
	return 0;
}

int weft_waitq_wait(struct weft_spin *lock, struct weft_waitq *queue,
	struct weft_waiter *waiter, weft_ns until)
{
	weft_spin_unlock(lock);
	while (!weft_load_acquire(&waiter->granted)) {
		int pending = weft_pending();

		if (pending) {
			bool mine;

			weft_spin_lock(lock);
			mine = waiter->queued;
			if (mine) {
				weft_list_remove(&queue->list, &waiter->node);
				waiter->queued = 0;
			}
			weft_spin_unlock(lock);
			for (int i = 0; fake_slow_leave && i < 20; i++)
				sched_yield();
			return mine ? pending : 0;
		}
		weft_park(until);
	}
	return 0;
}

void weft_waitq_wait_deaf(struct weft_spin *lock, struct weft_waiter *waiter)
{
	weft_spin_unlock(lock);
	while (!weft_load_acquire(&waiter->granted))
		weft_park(WEFT_FOREVER);
}

struct weft_parker *weft_waitq_grant(struct weft_waitq *queue, struct weft_waiter *waiter)
{
	struct weft_parker *parker = waiter->parker;

	weft_list_remove(&queue->list, &waiter->node);
	waiter->queued = 0;
	weft_store_release(&waiter->granted, 1);
	if (fake_slow_grant) {
		weft_unpark(parker);
		for (int i = 0; i < 20; i++)
			sched_yield();
	}
	return parker;
}

/* -- threads of a test ----------------------------------------------------------------------- */

struct fake_start {
	pthread_t thread;
	unsigned number;
	bool is_task;
	int (*fn)(void *arg);
	void *arg;
	int status;
};

static void *fake_main(void *arg)
{
	struct fake_start *start = arg;

	fake_begin(start->number, start->is_task);
	start->status = start->fn(start->arg);
	return NULL;
}

/* A thread with that number; as_task: it passes for a task. */
static inline struct fake_start *fake_start(
	unsigned number, bool as_task, int (*fn)(void *arg), void *arg)
{
	struct fake_start *start = malloc(sizeof(*start));

	WEFT_ASSERT(start && number < FAKE_THREADS * 3 / 4);
	*start = (struct fake_start){
		.number = number, .is_task = as_task, .fn = fn, .arg = arg};
	weft_store_seq_cst(&fake_threads[number].pending, 0);
	WEFT_ASSERT(pthread_create(&start->thread, NULL, fake_main, start) == 0);
	return start;
}

/* fake_start, and wait until it sleeps in a wait. */
static inline struct fake_start *fake_start_asleep(
	unsigned number, bool as_task, int (*fn)(void *arg), void *arg)
{
	struct fake_start *start = fake_start(number, as_task, fn, arg);

	fake_wait_asleep(number);
	return start;
}

static inline int fake_join(struct fake_start *start)
{
	int status;

	pthread_join(start->thread, NULL);
	status = start->status;
	free(start);
	return status;
}

#endif
