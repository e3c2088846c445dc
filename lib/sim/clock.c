/* SPDX-License-Identifier: MIT */
/*
 * clock - virtual time. It stands still while tasks run, and leaps to the next timer of a task or event of
 * the simulated world when none can.
 *
 * Who looks at the clock in a loop without ever waiting would loop for good, so it creeps in the end: not at
 * all in the first steps after a leap, then faster and faster, up to CREEP_MOST a step.
 */
#include "base/sys.h"
#include "sched/worker.h"
#include "sim/sim.h"

enum {
	CREEP_SHIFT = 10,
	CREEP_MOST = 250,
	SLOW_SHIFT_LEAST = 10,
	SLOW_SHIFTS = 20,
};

void weft_sim_at(struct weft_simulation *sim, struct weft_sim_event *event, weft_ns when)
{
	weft_wheel_arm(&sim->events, &event->timer, when);
}

void weft_sim_forget(struct weft_simulation *sim, struct weft_sim_event *event)
{
	weft_wheel_disarm(&sim->events, &event->timer);
}

unsigned weft_sim_fire(struct weft_simulation *sim)
{
	unsigned fired = 0;
	struct weft_timer *timer;

	for (; (timer = weft_wheel_expire(&sim->events, sim->now)); fired++) {
		struct weft_sim_event *event =
			weft_container_of(timer, struct weft_sim_event, timer);

		event->fire(sim, event);
	}
	return fired;
}

static void fire_all(struct weft_simulation *sim)
{
	weft_worker_fire_due_timers(&sim->runtime->workers[0]);
	weft_sim_fire(sim);
}

/* The next moment of interest; it may be somewhat early. */
static weft_ns next_moment(const struct weft_simulation *sim)
{
	weft_ns timer = weft_load_relaxed(&sim->runtime->workers[0].next_timer);
	weft_ns event = weft_wheel_next(&sim->events);

	return timer < event ? timer : event;
}

static void pass(struct weft_simulation *sim, weft_ns duration)
{
	sim->now = weft_time_add(sim->now, duration);
	weft_sim_mix(sim, (uint64_t)sim->now);
	fire_all(sim);
}

/* A machine that is too slow: to the next moment of interest, or by microseconds to a second. */
static void be_slow(struct weft_simulation *sim)
{
	if (weft_sim_draw(sim, 2) == 0 && weft_sim_leap(sim))
		return;
	pass(sim, (weft_ns)1 << (SLOW_SHIFT_LEAST + weft_sim_draw(sim, SLOW_SHIFTS)));
}

void weft_sim_creep(struct weft_simulation *sim)
{
	uint64_t by = ++sim->still >> CREEP_SHIFT;

	if (weft_sim_fault(sim, WEFT_SIM_SLOW))
		be_slow(sim);
	else if (weft_unlikely(by))
		pass(sim, by < CREEP_MOST ? (weft_ns)by : CREEP_MOST);
}

bool weft_sim_leap(struct weft_simulation *sim)
{
	weft_ns next = next_moment(sim);

	if (next == WEFT_FOREVER)
		return false;
	if (next > sim->now)
		sim->now = next;
	sim->still = 0;
	weft_sim_mix(sim, (uint64_t)sim->now);
	fire_all(sim);
	return true;
}
