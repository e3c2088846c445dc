/* SPDX-License-Identifier: MIT */
/*
 * search - what a worker does with an empty queue: look around, ask the others, look for as long as work
 * usually takes to come, sleep. The protocol of sleep is in idle.h.
 */
#include <weft/task.h>

#include "base/sys.h"
#include "sched/worker.h"

enum {
	SPIN_CHECKS_PER_CLOCK = 16,
};

/* Sleeping and waking costs both sides some 50 us: looking is cheaper when work comes sooner. */
static const weft_ns SPIN_LONGEST = 100 * 1000;
static const weft_ns SPIN_SHORTEST = 2 * 1000;

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

	if (!weft_share_take(&victim->share, &item))
		return false;
	adopt(worker, &item);
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
static bool steal_round(struct weft_worker *worker)
{
	struct weft_runtime *runtime = worker->runtime;
	unsigned start = next_random(worker) % runtime->count;

	for (unsigned i = 0; i < runtime->count; i++) {
		struct weft_worker *victim = &runtime->workers[(start + i) % runtime->count];

		if (victim == worker)
			continue;
		if (steal_from(worker, victim))
			return true;
		if (!weft_load_relaxed(&runtime->idle->asleep[victim->index]) &&
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
		weft_worker_fire_due_timers(worker);
	return have_work(worker) || (worker->searching && steal_round(worker));
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

	weft_worker_give_back(worker);
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
void weft_worker_idle(struct weft_worker *worker)
{
	struct weft_runtime *runtime = worker->runtime;
	weft_ns begin;

	if (weft_unlikely(worker->schedule != NULL)) {
		worker->schedule->idle(worker->backend_state, worker);
		return;
	}
	weft_worker_service(worker);
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

