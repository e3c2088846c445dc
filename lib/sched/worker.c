/* SPDX-License-Identifier: MIT */
/*
 * worker - the scheduler's loop: what to run next, and how stacks change hands. Running one task is
 * in run.c, looking around in service.c, searching and sleeping in search.c, giving work away in give.c.
 *
 * The loop runs on whichever stack is free. It *calls* a task that has not started; if that task
 * suspends, the stack becomes the task's and the loop goes on elsewhere. It *switches* to a stack
 * that is ready, leaving its own in the pool with the loop's context on it.
 */
#include "sched/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "sched/frame.h"
#include "sched/gate.h"
#include "sched/sanitize.h"
#include "sched/switch.h"

/* -- the current worker ------------------------------------------------------------------------ */

__attribute__((used)) _Thread_local struct weft_worker *weft_worker_of_thread;
_Atomic(uint32_t) weft_forked;

#ifndef __x86_64__
struct weft_worker *weft_worker_current(void)
{
	__asm__ __volatile__(""); /* never merged with an earlier call */
	return weft_worker_of_thread;
}
#endif

void weft_worker_set_current(struct weft_worker *worker)
{
	weft_worker_of_thread = worker;
}

int weft_worker_none(void)
{
	return weft_load_relaxed(&weft_forked) ? -EOWNERDEAD : -EPERM;
}

void weft_worker_wait_claim(struct weft_worker *worker)
{
	/* inside is set: the monitor backs off, or is at work and will clear the flag. */
	for (unsigned spins = 0;
		weft_load_acquire(&worker->attention) & WEFT_ATTENTION_CLAIMED; spins++)
		weft_spin_wait(spins);
}

/* -- stacks ------------------------------------------------------------------------------------ */

static void pool_rebalance(struct weft_worker *worker)
{
	struct weft_stack *first = worker->pool, *last = first;

	for (int i = 1; i < WEFT_STACK_POOL_MAX / 2; i++)
		last = last->next;
	worker->pool = last->next;
	worker->pooled -= WEFT_STACK_POOL_MAX / 2;
	weft_stack_put_chain(&worker->runtime->stacks, first, last, WEFT_STACK_POOL_MAX / 2);
}

static void pool_put(struct weft_worker *worker, struct weft_stack *stack)
{
	if (weft_unlikely(stack->reserve)) {
		worker->reserve = stack;
		weft_sub_relaxed(&worker->runtime->stacks.starved, 1);
		return;
	}
	/* The last ones are for whoever needs them first. */
	if (weft_unlikely(stack->class > 0 || weft_stack_pool_exhausted(&worker->runtime->stacks))) {
		weft_stack_put_chain(&worker->runtime->stacks, stack, stack, 1);
		return;
	}
	stack->next = worker->pool; /* last used, first reused: its page is in the cache */
	worker->pool = stack;
	if (weft_unlikely(++worker->pooled >= WEFT_STACK_POOL_MAX))
		pool_rebalance(worker);
}

static void give_stacks(struct weft_worker *worker)
{
	struct weft_stack *first = worker->pool, *last = first;
	uint32_t count = worker->pooled;

	if (!first)
		return;
	while (last->next)
		last = last->next;
	worker->pool = NULL;
	worker->pooled = 0;
	weft_stack_put_chain(&worker->runtime->stacks, first, last, count);
}

void weft_worker_give_back(struct weft_worker *worker)
{
	struct weft_runtime *runtime = worker->runtime;
	uint32_t collections = weft_load_relaxed(&runtime->collections);

	if (weft_unlikely(collections != worker->collections)) {
		worker->collections = collections;
		give_stacks(worker);
		weft_task_give_magazines(worker);
	} else if (weft_unlikely(weft_stack_pool_exhausted(&runtime->stacks))) {
		give_stacks(worker);
	}
}

/* Who sleeps on free stacks is to give them: now, and later again, who fell asleep meanwhile. */
static void ask_for_stacks(struct weft_worker *worker)
{
	struct weft_runtime *runtime = worker->runtime;
	uint32_t round = ++worker->starved_rounds;

	if (round & (round - 1))
		return;
	for (unsigned i = 0; i < runtime->count; i++) {
		if (i != worker->index)
			weft_worker_poke(runtime, (int)i);
	}
}

static struct weft_stack *pool_get(struct weft_worker *worker)
{
	struct weft_stack *stack = worker->pool;

	if (weft_likely(stack != NULL)) {
		worker->pool = stack->next;
		worker->pooled--;
		return stack;
	}
	return weft_stack_get(&worker->runtime->stacks, worker->runtime, 0);
}

static void report_stacks(struct weft_worker *worker)
{
	if (weft_xchg_acq_rel(&worker->runtime->stacks_reported, 1))
		return;
	weft_report_text(worker->runtime, WEFT_REPORT_STACKS, -ENOMEM,
		"no stack is to be had: tasks that have not started wait; raise stacks_max or the "
		"memory limit, or lower the number of tasks that wait at the same time");
}

/* A stack with the loop on it, to go on when the present one is suspended. */
static struct weft_stack *loop_stack(struct weft_worker *worker)
{
	struct weft_stack *stack = pool_get(worker);

	if (weft_likely(stack != NULL))
		return stack;
	report_stacks(worker);
	stack = worker->reserve;
	WEFT_ASSERT(stack); /* the reserve never runs a task, so it is never suspended under one */
	worker->reserve = NULL;
	worker->starved_rounds = 0;
	weft_add_relaxed(&worker->runtime->stacks.starved, 1);
	return stack;
}

/* Notified before it was parked: it has something to look at, so it stays ready; or its gate has it, and may
 * know until then that something has come for it. */
__attribute__((noinline)) static void not_parked(struct weft_worker *worker, struct weft_stack *left)
{
	if (!weft_gate_passed(left))
		return; /* it takes the notice itself */
	weft_xchg_acq_rel(&left->parker.state, WEFT_PARKER_RUNNING); /* PK2 */
	weft_stack_fifo_push(&worker->queue.ready, left);
}

/* What the stack switched away from still needs, done from the one switched to. */
static inline void finish_switch(struct weft_worker *worker)
{
	struct weft_stack *left = worker->after_stack;
	uint32_t running = WEFT_PARKER_RUNNING;

	weft_sanitizer_arrive(worker->stack);
	if (worker->after == WEFT_AFTER_PARK) {
		if (weft_unlikely(!weft_cas_acq_rel(
			    &left->parker.state, &running, WEFT_PARKER_PARKED))) /* PK1 */
			not_parked(worker, left);
	} else if (worker->after == WEFT_AFTER_POOL) {
		pool_put(worker, left);
	}
}

static inline void switch_to(struct weft_worker *worker, struct weft_stack *to, enum weft_after after)
{
	struct weft_stack *from = worker->stack;

	worker->after = after;
	worker->after_stack = from;
	worker->stack = to;
	to->worker = worker;
	weft_count(&worker->counters.switches);
	weft_sanitizer_leave(from, to);
	weft_switch(&from->sp, to->sp);
	finish_switch(weft_worker_current());
}

/*
 * When the next new task has its turn. Between rows of sealed ones a stack takes two steps: it is
 * suspended at one, and the loop goes on at the next.
 */
static inline void put_off_new(struct weft_worker *worker)
{
	uint32_t steps = worker->steps;

	if (weft_likely(weft_ring_empty(&worker->queue.aged.node)))
		worker->next_new = steps + WEFT_NEW_SHARE;
	else
		worker->next_new = steps + 1 + (steps % (WEFT_AGED_ROW + 2) == WEFT_AGED_ROW - 1);
	if (worker->next_new > WEFT_STEPS_PER_SERVICE)
		worker->next_new = WEFT_STEPS_PER_SERVICE;
}

/* The turn of a new task has come: there is none, and the loop need not look around. */
static bool no_new_due(struct weft_worker *worker)
{
	if (worker->queue.tasks > 0 || worker->steps >= WEFT_STEPS_PER_SERVICE)
		return false;
	put_off_new(worker);
	return true;
}

/* The stack goes on, with a full budget and a batch of its own. */
static inline struct weft_worker *resumed(struct weft_stack *self)
{
	struct weft_worker *worker = weft_worker_current();

	weft_worker_count_turn(worker);
	self->budget = self->full_budget;
	weft_queue_new_batch(&worker->queue);
	return worker;
}

/* -- started ahead ----------------------------------------------------------------------------- */

/*
 * The task has ended for which the caller waits: parked like anybody, so that a cancel finds it, but watching
 * nothing. A cancel may have woken it before; if it now waits for something else, that is one look in vain.
 * Back to it at once, unless others are ready.
 */
static void return_to_caller(struct weft_worker *worker, struct weft_stack *self)
{
	struct weft_stack *caller = self->caller;
	uint32_t parked = WEFT_PARKER_PARKED;

	self->caller = NULL;
	if (!weft_cas_acq_rel(&caller->parker.state, &parked, WEFT_PARKER_RUNNING)) /* PK1 */
		return;
	if (weft_likely(!worker->queue.ready.head && !worker->queue.yielded.head &&
		    caller->pins == 0 && !caller->gate))
		switch_to(worker, caller, WEFT_AFTER_POOL);
	else if (weft_gate_passed(caller))
		weft_gate_resume(caller);
}

/* No deadline, no order, no simulation: nothing that wants to know of every wait. */
static bool may_call(const struct weft_worker *worker, const struct weft_stack *self)
{
	return self->frame && !self->frame->plain && !self->gate && !self->staged &&
	       self->deadline == WEFT_FOREVER && !worker->schedule;
}

static bool is_next(struct weft_worker *worker, struct weft_task *task)
{
	return weft_load_acquire(&task->kind) == weft_task_plain_kind() && /* TK4 */
	       weft_load_relaxed(&task->home) == worker &&
	       weft_queue_next_task(&worker->queue) == task &&
	       !worker->queue.ready.head && !worker->queue.yielded.head &&
	       worker->steps + 1 < WEFT_STEPS_PER_SERVICE;
}

bool weft_task_start_ahead(struct weft_task *task)
{
	struct weft_worker *worker = weft_worker_current();
	struct weft_stack *self, *stack;

	if (!worker || !may_call(worker, worker->stack))
		return false;
	self = worker->stack;
	weft_worker_enter_user(worker);
	stack = is_next(worker, task) ? pool_get(worker) : NULL;
	if (!stack) {
		weft_worker_leave(worker, false);
		return false;
	}
	weft_queue_remove(&worker->queue, task);
	worker->handed = task;
	stack->caller = self;
	weft_wait_edge_note(self, task);
	switch_to(worker, stack, WEFT_AFTER_PARK);
	weft_wait_edge_drop(self);
	weft_worker_leave(resumed(self), false);
	return true;
}

struct weft_worker *weft_worker_suspend(struct weft_worker *worker, enum weft_after after)
{
	struct weft_stack *self = worker->stack;
	struct weft_stack *next = NULL;

	/* Straight to a ready stack, unless it is the loop's turn to look around. */
	if (weft_unlikely(worker->schedule != NULL))
		next = worker->schedule->next(worker->backend_state, worker);
	else if (weft_likely(++worker->steps < worker->next_new) || no_new_due(worker))
		next = weft_queue_pop_stack(&worker->queue);
	if (next == self) {
		WEFT_DEBUG_ASSERT(after == WEFT_AFTER_NOTHING);
	} else {
		switch_to(worker, next ? next : loop_stack(worker), after);
	}
	return resumed(self);
}

struct weft_worker *weft_worker_step_back(struct weft_worker *worker)
{
	struct weft_stack *self = worker->stack;
	struct weft_stack *next;

	if (weft_likely(!worker->schedule && worker->steps + 1 < WEFT_STEPS_PER_SERVICE) &&
		(next = weft_queue_turn_yielded(&worker->queue, self))) {
		worker->steps++;
		switch_to(worker, next, WEFT_AFTER_NOTHING);
		return resumed(self);
	}
	weft_queue_yield(&worker->queue, self);
	return weft_worker_suspend(worker, WEFT_AFTER_NOTHING);
}

/* -- the loop ---------------------------------------------------------------------------------- */

/* Run it here if this stack will do, else on one of its size, where the loop goes on. */
static void start(struct weft_worker *worker, struct weft_stack *self, struct weft_task *task)
{
	struct weft_stack *large;

	if (weft_likely(task->large <= self->class)) {
		weft_worker_run(worker, self, task);
		return;
	}
	large = weft_stack_get(&worker->runtime->stacks, worker->runtime, task->large);
	if (!large) {
		report_stacks(worker);
		weft_store_relaxed(&task->home, worker);
		weft_store_release(&task->claim, WEFT_CLAIM_PRIVATE); /* TK4 */
		weft_queue_push_oldest(&worker->queue, task);
		if (worker->queue.tasks == 1 && weft_worker_service(worker) == 0)
			worker->backend->wait(worker->backend_state, WEFT_MS(1));
		return;
	}
	worker->handed = task;
	switch_to(worker, large, WEFT_AFTER_POOL);
}

static struct weft_task *take_task(struct weft_worker *worker)
{
	struct weft_task *task = worker->handed;

	if (weft_unlikely(task != NULL)) {
		worker->handed = NULL;
		return task;
	}
	if (weft_unlikely(worker->schedule != NULL))
		return NULL; /* it has chosen none */
	return weft_queue_pop_task(&worker->queue);
}

static struct weft_stack *take_stack(struct weft_worker *worker)
{
	if (weft_unlikely(worker->schedule != NULL))
		return worker->handed ? NULL
				      : worker->schedule->next(worker->backend_state, worker);
	if (worker->handed)
		return NULL;
	/* New tasks get their share even if resumed ones never end. */
	if (worker->steps >= worker->next_new && worker->queue.tasks > 0) {
		put_off_new(worker);
		return NULL;
	}
	return weft_queue_pop_stack(&worker->queue);
}

/*
 * One that was sealed for having waited. Until it has ended, without having been suspended and with
 * no more new tasks than before, no more of them are sealed (service.c).
 */
__attribute__((noinline)) static void start_aged(
	struct weft_worker *worker, struct weft_stack *self, struct weft_task *task)
{
	uint64_t turns = weft_load_relaxed(&worker->turns);
	uint32_t pace = worker->queue.pace, tasks = worker->queue.tasks + 1;

	worker->queue.pace = 0;
	start(worker, self, task);
	if (weft_worker_current() == worker && weft_load_relaxed(&worker->turns) == turns &&
		worker->queue.tasks <= tasks)
		worker->queue.pace = pace;
}

/*
 * Unless this stack was left in start(), for a larger one, and then taken from the pool to start another task
 * ahead: that one is handed still, and the loop runs it first.
 */
static void task_ended_here(struct weft_worker *worker, struct weft_stack *self)
{
	if (!worker->handed)
		return_to_caller(worker, self);
}

static void reserve_loop(struct weft_worker *worker);

static void loop(struct weft_stack *self)
{
	for (;;) {
		struct weft_worker *worker = weft_worker_current();
		struct weft_stack *stack;
		struct weft_task *task;
		bool aged;

		weft_worker_count_turn(worker);
		if (weft_unlikely(self->reserve)) {
			reserve_loop(worker);
			continue;
		}
		if (weft_unlikely(++worker->steps >= WEFT_STEPS_PER_SERVICE))
			weft_worker_service(worker);
		stack = take_stack(worker);
		if (!stack && weft_unlikely(self->class > 0) && !worker->handed)
			stack = pool_get(worker); /* large stacks are for those that asked */
		if (stack) {
			switch_to(worker, stack, WEFT_AFTER_POOL);
			continue;
		}
		aged = !weft_ring_empty(&worker->queue.aged.node);
		task = take_task(worker);
		if (task) {
			if (weft_unlikely(aged))
				start_aged(worker, self, task);
			else
				start(worker, self, task);
			if (weft_unlikely(self->caller != NULL))
				task_ended_here(weft_worker_current(), self);
			continue;
		}
		stack = worker->schedule ? NULL : weft_queue_pop_stack(&worker->queue);
		if (stack)
			switch_to(worker, stack, WEFT_AFTER_POOL);
		else if (weft_unlikely(weft_load_acquire(&worker->runtime->exiting)))
			switch_to(worker, &worker->thread_stack, WEFT_AFTER_POOL);
		else
			weft_worker_idle(worker);
	}
}

/* No stack was left: only resume tasks, until one of them ends and leaves its stack. */
static void reserve_loop(struct weft_worker *worker)
{
	struct weft_stack *stack = weft_stack_fifo_pop(&worker->queue.ready);

	if (!stack)
		stack = weft_stack_fifo_pop(&worker->queue.yielded);
	if (!stack)
		stack = pool_get(worker);
	if (stack) {
		switch_to(worker, stack, WEFT_AFTER_POOL);
		return;
	}
	if (weft_load_acquire(&worker->runtime->exiting)) {
		switch_to(worker, &worker->thread_stack, WEFT_AFTER_POOL);
	} else if (weft_worker_service(worker) == 0) {
		ask_for_stacks(worker);
		worker->backend->wait(worker->backend_state, WEFT_MS(1));
	}
}

void weft_loop_entry(void *stack);

/* Where a fresh stack begins. */
void weft_loop_entry(void *stack)
{
	finish_switch(weft_worker_current());
	loop(stack);
}

/* -- the thread -------------------------------------------------------------------------------- */

int weft_worker_init(struct weft_worker *worker, struct weft_runtime *runtime, unsigned index)
{
	struct weft_task plain = { .kind = weft_task_plain_kind() };

	worker->runtime = runtime;
	worker->index = index;
	worker->random = UINT64_C(0x9e3779b97f4a7c15) * (index + 1);
	worker->thread_stack.runtime = runtime;
	worker->thread_stack.deadline = WEFT_FOREVER;
	plain.flags = runtime->config.flags & WEFT_STAY_ALL ? WEFT_TASK_STAY : 0;
	worker->default_kind = plain.kind;
	worker->budget = runtime->backend->schedule ? 1 : WEFT_BUDGET;
	weft_store_relaxed(&worker->inside, 1);
	weft_store_relaxed(&worker->next_timer, WEFT_FOREVER);
	weft_queue_init(&worker->queue);
	weft_wheel_init(&worker->wheel, weft_sys_clock());
	weft_sys_clock_is_counter(); /* looks into a file: not later, in a task */
	worker->reserve = weft_stack_get(&runtime->stacks, runtime, 0);
	if (!worker->reserve)
		return -ENOMEM;
	worker->reserve->reserve = 1;
	return weft_worker_change_backend(worker);
}

int weft_worker_change_backend(struct weft_worker *worker)
{
	free(worker->backend_state);
	worker->backend = worker->runtime->backend;
	worker->schedule = worker->backend->schedule;
	worker->queue.woken_row = worker->schedule ? WEFT_WOKEN_ROW : 0; /* who goes next is not the queue's choice then */
	worker->backend_state = calloc(1, worker->backend->size);
	return worker->backend_state ? 0 : -ENOMEM;
}

void weft_worker_finish(struct weft_worker *worker)
{
	free(worker->backend_state);
	worker->backend_state = NULL;
}

static void pin_thread(struct weft_worker *worker)
{
	cpu_set_t allowed, one;
	unsigned skip = worker->index;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) || CPU_COUNT(&allowed) == 0)
		return;
	skip %= (unsigned)CPU_COUNT(&allowed);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || skip-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

/* start_status: 1 until the thread knows, then 0 or -errno. */
static void announce(struct weft_worker *worker, int status)
{
	_Atomic(uint32_t) *word = (_Atomic(uint32_t) *)&worker->start_status;

	weft_store_release(word, (uint32_t)status);
	weft_futex_wake(word, 1);
}

static void run_loop(struct weft_worker *worker)
{
	struct weft_stack *first;

	worker->stack = &worker->thread_stack;
	first = loop_stack(worker);
	switch_to(worker, first, WEFT_AFTER_NOTHING);
	worker->stack = &worker->thread_stack;
}

/* The runtime's backend is open. */
static void run_as(struct weft_worker *worker)
{
	run_loop(worker);
	worker->backend->close(worker->backend_state);
}

int weft_worker_run_on_caller(struct weft_worker *worker)
{
	stack_t before;
	int rc;

	sigaltstack(NULL, &before);
	weft_worker_set_current(worker);
	weft_sanitizer_thread_stack(&worker->thread_stack);
	worker->alternate_stack = weft_fault_thread_start();
	rc = worker->backend->open(worker->backend_state, worker->runtime->config.ring_entries,
		WEFT_BACKEND_ONE_THREAD);
	if (rc == 0)
		run_as(worker);
	weft_worker_set_current(NULL);
	weft_fault_thread_stop(worker->alternate_stack);
	sigaltstack(&before, NULL);
	return rc;
}

void *weft_worker_main(void *arg)
{
	struct weft_worker *worker = arg;
	char name[16];
	int status;

	snprintf(name, sizeof(name), "weft-%u", worker->index);
	pthread_setname_np(pthread_self(), name);
	if (worker->runtime->config.flags & WEFT_PIN_WORKERS)
		pin_thread(worker);
	weft_worker_set_current(worker);
	weft_sanitizer_thread_stack(&worker->thread_stack);
	worker->alternate_stack = weft_fault_thread_start();
	status = worker->backend->open(
		worker->backend_state, worker->runtime->config.ring_entries,
		worker->runtime->count == 1 ? WEFT_BACKEND_ONE_THREAD : 0);
	announce(worker, status);
	if (status == 0)
		run_as(worker);
	weft_worker_set_current(NULL);
	weft_fault_thread_stop(worker->alternate_stack);
	return NULL;
}
