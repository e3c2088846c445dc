/* SPDX-License-Identifier: MIT */
/*
 * worker - the scheduler's loop: what to run next, how stacks change hands, how a worker
 * searches, sleeps and wakes. Running one task is in run.c; the protocol of sleep in idle.h.
 *
 * The loop runs on whichever stack is free. It *calls* a task that has not started; if that task
 * suspends, the stack becomes the task's and the loop goes on elsewhere. It *switches* to a stack
 * that is ready, leaving its own in the pool with the loop's context on it.
 */
#include "sched/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "sched/frame.h"
#include "sched/sanitize.h"
#include "sched/switch.h"

enum {
	STEAL_ROUNDS = 4,
	SPIN_CHECKS_PER_CLOCK = 16,
};

/* Sleeping and waking costs both sides some 50 us: looking is cheaper when work comes sooner. */
static const weft_ns SPIN_LONGEST = 100 * 1000;
static const weft_ns SPIN_SHORTEST = 2 * 1000;

/* -- the current worker ------------------------------------------------------------------------ */

_Thread_local struct weft_worker *weft_worker_of_thread;
_Atomic(uint32_t) weft_forked;

struct weft_worker *weft_worker_current(void)
{
	__asm__ __volatile__(""); /* never merged with an earlier call */
	return weft_worker_of_thread;
}

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
	weft_stack_put_chain(&worker->runtime->stacks, first, last);
}

static void pool_put(struct weft_worker *worker, struct weft_stack *stack)
{
	if (weft_unlikely(stack->reserve)) {
		worker->reserve = stack;
		return;
	}
	/* The last ones are for whoever needs them first. */
	if (weft_unlikely(stack->class > 0 || weft_stack_pool_exhausted(&worker->runtime->stacks))) {
		weft_stack_put_chain(&worker->runtime->stacks, stack, stack);
		return;
	}
	stack->next = worker->pool; /* last used, first reused: its page is in the cache */
	worker->pool = stack;
	if (weft_unlikely(++worker->pooled >= WEFT_STACK_POOL_MAX))
		pool_rebalance(worker);
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
	return stack;
}

/* What the stack switched away from still needs, done from the one switched to. */
static void finish_switch(struct weft_worker *worker)
{
	struct weft_stack *left = worker->after_stack;
	uint32_t running = WEFT_PARKER_RUNNING;

	weft_sanitizer_arrive(worker->stack);
	switch (worker->after) {
	case WEFT_AFTER_NOTHING:
		break;
	case WEFT_AFTER_POOL:
		pool_put(worker, left);
		break;
	case WEFT_AFTER_PARK:
		if (!weft_cas_acq_rel(&left->parker.state, &running, WEFT_PARKER_PARKED)) { /* PK1 */
			/* Notified meanwhile: it has something to look at, so it stays ready. */
			weft_xchg_acq_rel(&left->parker.state, WEFT_PARKER_RUNNING); /* PK2 */
			weft_stack_fifo_push(&worker->queue.ready, left);
		}
		break;
	}
	worker->after = WEFT_AFTER_NOTHING;
}

static void switch_to(struct weft_worker *worker, struct weft_stack *to, enum weft_after after)
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

void weft_worker_suspend(struct weft_worker *worker, enum weft_after after)
{
	struct weft_stack *self = worker->stack;
	struct weft_stack *next = NULL;

	/* Straight to a ready stack, unless it is the loop's turn to look around. */
	if (++worker->steps < WEFT_STEPS_PER_SERVICE)
		next = weft_queue_pop_stack(&worker->queue);
	if (next == self) {
		WEFT_DEBUG_ASSERT(after == WEFT_AFTER_NOTHING);
	} else {
		switch_to(worker, next ? next : loop_stack(worker), after);
	}
	worker = weft_worker_current();
	weft_worker_count_turn(worker);
	self->budget = WEFT_BUDGET;
	weft_queue_new_batch(&worker->queue);
}

/* -- giving work away -------------------------------------------------------------------------- */

static unsigned share_tasks(struct weft_worker *worker, unsigned wanted)
{
	struct weft_queue *queue = &worker->queue;
	unsigned given = 0, looked = queue->tasks;
	struct weft_node *node, *before;

	if (!wanted)
		return 0;
	node = &weft_queue_last_task(queue)->node;
	for (; looked > 0 && given < wanted; looked--, node = before) {
		struct weft_task *task = (struct weft_task *)node;

		before = node->prev;
		if (node == &queue->aged || node == &queue->fresh)
			break;
		if (task->flags & WEFT_TASK_PINNED)
			continue;
		weft_queue_remove(queue, task);
		queue->foreign_removals++;
		if (!weft_share_push_task(&worker->share, task)) {
			weft_queue_push_oldest(queue, task);
			break;
		}
		given++;
	}
	return given;
}

static unsigned share_stacks(struct weft_worker *worker, unsigned wanted)
{
	struct weft_stack_fifo *ready = &worker->queue.ready;
	unsigned given = 0, looked = ready->count;

	while (given < wanted && looked-- > 0) {
		struct weft_stack *stack = weft_stack_fifo_pop(ready);

		if (stack->pins > 0 || !weft_share_push_stack(&worker->share, stack)) {
			weft_stack_fifo_push(ready, stack);
			continue;
		}
		given++;
	}
	return given;
}

static unsigned half(unsigned count)
{
	return count / 2 < WEFT_SHARE_BATCH ? count / 2 : WEFT_SHARE_BATCH;
}

static void share(struct weft_worker *worker)
{
	unsigned tasks = half(worker->queue.tasks), stacks = half(worker->queue.ready.count);

	if (share_stacks(worker, stacks) + share_tasks(worker, tasks) == 0)
		return; /* a request stands until there is something to give */
	weft_and_acq_rel(&worker->attention, ~(uint32_t)WEFT_ATTENTION_STEAL);
	weft_worker_poke(worker->runtime, weft_idle_notify(worker->runtime->idle));
}

void weft_worker_offer(struct weft_worker *worker)
{
	struct weft_idle *idle = worker->runtime->idle;
	uint32_t queued = worker->queue.tasks + worker->queue.ready.count;

	if (weft_idle_searching(idle) > 0) {
		if (queued >= 2 && weft_load_relaxed(&worker->attention) & WEFT_ATTENTION_STEAL)
			share(worker);
	} else if (queued > WEFT_SURPLUS && weft_idle_sleeping(idle) > 0 &&
		weft_share_empty(&worker->share)) {
		share(worker);
	}
}

void weft_worker_poke(struct weft_runtime *runtime, int worker)
{
	if (worker == WEFT_IDLE_NOBODY)
		return;
	runtime->workers[worker].backend->wake(runtime->workers[worker].backend_state);
}

/* -- the injector ------------------------------------------------------------------------------ */

void weft_inject_stack(struct weft_runtime *runtime, struct weft_stack *stack)
{
	weft_spin_lock(&runtime->inject_lock);
	weft_stack_fifo_push(&runtime->injected, stack);
	weft_add_relaxed(&runtime->inject_count, 1);
	weft_spin_unlock(&runtime->inject_lock);
	weft_worker_poke(runtime, weft_idle_notify(runtime->idle));
}

void weft_inject_task(struct weft_runtime *runtime, struct weft_task *task)
{
	weft_spin_lock(&runtime->inject_lock);
	weft_list_push_tail(&runtime->injected_tasks, &task->node);
	weft_add_relaxed(&runtime->inject_count, 1);
	weft_spin_unlock(&runtime->inject_lock);
	weft_worker_poke(runtime, weft_idle_notify(runtime->idle));
}

/* Take a fair part of what was injected into the own queue; how many. */
static unsigned take_injected(struct weft_worker *worker)
{
	struct weft_runtime *runtime = worker->runtime;
	unsigned taken = 0, fair;

	if (weft_likely(weft_load_relaxed(&runtime->inject_count) == 0))
		return 0;
	weft_spin_lock(&runtime->inject_lock);
	fair = weft_load_relaxed(&runtime->inject_count) / runtime->count + 1;
	while (taken < fair) {
		struct weft_stack *stack = weft_stack_fifo_pop(&runtime->injected);
		struct weft_task *task = NULL;

		if (stack) {
			weft_stack_fifo_push(&worker->queue.ready, stack);
		} else {
			task = (struct weft_task *)weft_list_pop_head(&runtime->injected_tasks);
			if (!task)
				break;
			task->home = worker;
			weft_store_release(&task->claim, WEFT_CLAIM_PRIVATE); /* TK4 */
			weft_queue_push_oldest(&worker->queue, task);
		}
		taken++;
		weft_sub_relaxed(&runtime->inject_count, 1);
	}
	weft_spin_unlock(&runtime->inject_lock);
	return taken;
}

/* -- looking around ---------------------------------------------------------------------------- */

unsigned weft_worker_fire_timers(struct weft_worker *worker, weft_ns now)
{
	unsigned fired = 0;

	for (;;) {
		struct weft_timer *timer;
		struct weft_stack *stack;

		weft_spin_lock(&worker->timer_lock);
		timer = weft_wheel_expire(&worker->wheel, now);
		if (!timer)
			weft_store_relaxed(&worker->next_timer, weft_wheel_next(&worker->wheel));
		weft_spin_unlock(&worker->timer_lock);
		if (!timer)
			return fired;
		stack = weft_container_of(timer, struct weft_stack, timer);
		weft_unpark(&stack->parker);
		fired++;
	}
}

static unsigned fire_due_timers(struct weft_worker *worker)
{
	weft_ns next = weft_load_relaxed(&worker->next_timer);
	weft_ns now;

	if (weft_likely(next == WEFT_FOREVER))
		return 0;
	now = weft_now();
	return now >= next ? weft_worker_fire_timers(worker, now) : 0;
}

unsigned weft_worker_service(struct weft_worker *worker)
{
	unsigned found = 0;

	worker->steps = 0;
	worker->backend->flush(worker->backend_state);
	found += worker->backend->reap(worker->backend_state);
	found += fire_due_timers(worker);
	if (weft_load_relaxed(&worker->attention) & WEFT_ATTENTION_MAIL)
		weft_worker_read_mail(worker);
	found += take_injected(worker);
	if (weft_worker_may_offer(worker))
		weft_worker_offer(worker);
	weft_monitor_wake(worker->runtime);
	return found;
}

bool weft_worker_has_work(struct weft_worker *worker)
{
	weft_ns next = weft_load_relaxed(&worker->next_timer);

	return !weft_inbox_empty(&worker->inbox) ||
		worker->backend->has_work(worker->backend_state) ||
		(next != WEFT_FOREVER && weft_now() >= next);
}

/* -- searching --------------------------------------------------------------------------------- */

static void adopt(struct weft_worker *worker, struct weft_share_item *item)
{
	if (item->stack) {
		weft_stack_fifo_push(&worker->queue.ready, item->stack);
		return;
	}
	/* Claimed by the pop, so nobody joins it in place any more: run it, but from the loop. */
	worker->handed = item->task;
}

static bool steal_from(struct weft_worker *worker, struct weft_worker *victim)
{
	struct weft_share_item item;
	enum weft_share_result result;

	do {
		result = weft_share_pop(&victim->share, &item);
	} while (result == WEFT_SHARE_RETRY);
	if (result == WEFT_SHARE_EMPTY)
		return false;
	adopt(worker, &item);
	if (victim != worker)
		weft_count(&worker->counters.steals);
	return true;
}

static uint32_t next_random(struct weft_worker *worker)
{
	worker->random ^= worker->random << 13;
	worker->random ^= worker->random >> 7;
	worker->random ^= worker->random << 17;
	return (uint32_t)(worker->random >> 32);
}

/* One round over the others, from a random start; ask those that have nothing shared. */
static bool steal_round(struct weft_worker *worker, bool ask)
{
	struct weft_runtime *runtime = worker->runtime;
	unsigned start = next_random(worker) % runtime->count;

	for (unsigned i = 0; i < runtime->count; i++) {
		struct weft_worker *victim = &runtime->workers[(start + i) % runtime->count];

		if (victim == worker)
			continue;
		if (steal_from(worker, victim))
			return true;
		if (ask && !weft_load_relaxed(&runtime->idle->asleep[victim->index]) &&
			!(weft_load_relaxed(&victim->attention) & WEFT_ATTENTION_STEAL))
			weft_or_acq_rel(&victim->attention, WEFT_ATTENTION_STEAL);
	}
	return false;
}

static bool anything_shared(struct weft_runtime *runtime)
{
	for (unsigned i = 0; i < runtime->count; i++) {
		if (!weft_share_empty(&runtime->workers[i].share))
			return true;
	}
	return false;
}

/* Everything this worker could do is covered here: what is missing here is slept through. */
static bool work_anywhere(struct weft_worker *worker)
{
	struct weft_runtime *runtime = worker->runtime;

	return weft_load_acquire(&runtime->inject_count) > 0 || weft_worker_has_work(worker) ||
		anything_shared(runtime) || weft_load_acquire(&runtime->exiting);
}

static bool have_work(struct weft_worker *worker)
{
	return worker->handed || !weft_queue_empty(&worker->queue);
}

/* Stop being counted as a searcher, with work in hand. */
static void stop_searching(struct weft_worker *worker)
{
	struct weft_runtime *runtime = worker->runtime;

	if (!worker->searching)
		return;
	worker->searching = false;
	if (weft_idle_found(runtime->idle) && /* ID2 */
		(weft_load_acquire(&runtime->inject_count) > 0 || anything_shared(runtime)))
		weft_worker_poke(runtime, weft_idle_notify(runtime->idle));
}

/* One look at everything that could bring work. */
static bool look(struct weft_worker *worker, bool at_the_clock)
{
	if (worker->backend->has_work(worker->backend_state) ||
		!weft_inbox_empty(&worker->inbox) ||
		weft_load_relaxed(&worker->runtime->inject_count) > 0)
		weft_worker_service(worker);
	if (at_the_clock)
		fire_due_timers(worker);
	return have_work(worker) || (worker->searching && steal_round(worker, true));
}

/* As long as work usually takes to come, and some more; not at all if that is too long. */
static weft_ns spin_time(const struct weft_worker *worker)
{
	if (worker->idle_gap > SPIN_LONGEST)
		return SPIN_SHORTEST;
	return worker->idle_gap * 2 + SPIN_SHORTEST;
}

static void note_gap(struct weft_worker *worker, weft_ns begin)
{
	weft_ns gap = weft_sys_clock() - begin;

	/* One long pause must not hide that work comes often. */
	if (gap > 4 * SPIN_LONGEST)
		gap = 4 * SPIN_LONGEST;
	worker->idle_gap += (gap - worker->idle_gap) / 8;
}

/* Look for a bounded time before sleeping. */
static void spin(struct weft_worker *worker, weft_ns begin)
{
	weft_ns longest = spin_time(worker);

	for (unsigned check = 1; !weft_load_relaxed(&worker->runtime->exiting); check++) {
		bool at_the_clock = check % SPIN_CHECKS_PER_CLOCK == 0;

		if (look(worker, at_the_clock))
			return;
		if (at_the_clock && weft_sys_clock() - begin > longest)
			return;
		weft_cpu_relax();
	}
}

static void sleep_until_work(struct weft_worker *worker)
{
	struct weft_idle *idle = worker->runtime->idle;
	weft_ns next, wait = -1;

	weft_idle_sleep(idle, worker->index, worker->searching);
	if (!work_anywhere(worker)) { /* ID1: the recheck */
		next = weft_load_relaxed(&worker->next_timer);
		if (next != WEFT_FOREVER) {
			wait = next - weft_now();
			if (wait < 0)
				wait = 0;
		}
		worker->backend->wait(worker->backend_state, wait);
	}
	weft_idle_cancel(idle, worker->index);
	worker->searching = true; /* ID2, ID3 */
	weft_worker_count_turn(worker);
}

/* Nothing is queued: look around, search, sleep. Returns with work, or to be called again. */
static void idle(struct weft_worker *worker)
{
	struct weft_runtime *runtime = worker->runtime;
	weft_ns begin;

	weft_worker_service(worker);
	if (!have_work(worker))
		steal_from(worker, worker); /* what it gave away and nobody took */
	if (have_work(worker)) {
		stop_searching(worker);
		return;
	}
	begin = weft_sys_clock();
	if (!worker->searching && runtime->count > 1)
		worker->searching = weft_idle_search(runtime->idle, runtime->count);
	spin(worker, begin);
	if (!have_work(worker) && !weft_load_acquire(&runtime->exiting))
		sleep_until_work(worker);
	else
		stop_searching(worker);
	note_gap(worker, begin);
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
		task->home = worker;
		weft_store_release(&task->claim, WEFT_CLAIM_PRIVATE); /* TK4 */
		weft_queue_push_oldest(&worker->queue, task);
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
	return weft_queue_pop_task(&worker->queue);
}

static struct weft_stack *take_stack(struct weft_worker *worker)
{
	/* New tasks get their share even if resumed ones never end. */
	if (worker->handed || (worker->steps % WEFT_NEW_SHARE == 0 && worker->queue.tasks > 0))
		return NULL;
	return weft_queue_pop_stack(&worker->queue);
}

static void reserve_loop(struct weft_worker *worker);

static void loop(struct weft_stack *self)
{
	for (;;) {
		struct weft_worker *worker = weft_worker_current();
		struct weft_stack *stack;
		struct weft_task *task;

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
		task = take_task(worker);
		if (task) {
			start(worker, self, task);
			continue;
		}
		stack = weft_queue_pop_stack(&worker->queue);
		if (stack)
			switch_to(worker, stack, WEFT_AFTER_POOL);
		else if (weft_unlikely(weft_load_acquire(&worker->runtime->exiting)))
			switch_to(worker, &worker->thread_stack, WEFT_AFTER_POOL);
		else
			idle(worker);
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
	if (weft_load_acquire(&worker->runtime->exiting))
		switch_to(worker, &worker->thread_stack, WEFT_AFTER_POOL);
	else if (weft_worker_service(worker) == 0)
		worker->backend->wait(worker->backend_state, WEFT_MS(1));
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
	extern const struct weft_backend weft_backend_uring;

	worker->runtime = runtime;
	worker->index = index;
	worker->random = UINT64_C(0x9e3779b97f4a7c15) * (index + 1);
	worker->backend = &weft_backend_uring;
	worker->backend_state = calloc(1, worker->backend->size);
	worker->thread_stack.runtime = runtime;
	worker->thread_stack.deadline = WEFT_FOREVER;
	if (runtime->config.flags & WEFT_STAY_ALL)
		worker->default_flags = WEFT_TASK_STAY;
	weft_store_relaxed(&worker->inside, 1);
	weft_store_relaxed(&worker->next_timer, WEFT_FOREVER);
	weft_queue_init(&worker->queue);
	weft_wheel_init(&worker->wheel, weft_sys_clock());
	worker->reserve = weft_stack_get(&runtime->stacks, runtime, 0);
	if (!worker->backend_state || !worker->reserve)
		return -ENOMEM;
	worker->reserve->reserve = 1;
	return 0;
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
	if (status == 0) {
		run_loop(worker);
		worker->backend->close(worker->backend_state);
	}
	weft_worker_set_current(NULL);
	weft_fault_thread_stop(worker->alternate_stack);
	return NULL;
}
