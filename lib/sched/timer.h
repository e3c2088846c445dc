/* SPDX-License-Identifier: MIT */
/*
 * timer - the timers of one worker: a hierarchical wheel that fires in (deadline, creation)
 * order. Arming and disarming are O(1); the exact order is made only for the slot that is due.
 *
 * No lock inside: the worker guards its wheel with a spin lock, because a task that migrated
 * disarms a timer on the wheel it left, and the monitor fires for a worker that is stuck.
 * Time is int64_t nanoseconds of the runtime's clock, never negative.
 */
#ifndef WEFT_LIB_SCHED_TIMER_H
#define WEFT_LIB_SCHED_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct weft_timer {
	struct weft_node node; /* in a slot's list; among the due: siblings in the heap */
	struct weft_timer *child; /* among the due only: the first child */
	int64_t deadline;
	uint64_t sequence; /* order of arming among equal deadlines */
	uint32_t armed;    /* on the wheel (or among its due ones) */
	uint32_t place;    /* the wheel's: which slot it is in, or that it is due */
};

enum {
	WEFT_WHEEL_BITS = 6,
	WEFT_WHEEL_SLOTS = 1 << WEFT_WHEEL_BITS,
	WEFT_WHEEL_GRAIN_SHIFT = 14, /* finest slot: 16 us */
	WEFT_WHEEL_LEVELS = 9,       /* 9 x 6 + 14 bits > 63 bits of nanoseconds */
};

struct weft_wheel_slot {
	struct weft_list timers;
	int64_t earliest; /* no timer of the slot is due before; too early after a disarm */
};

struct weft_wheel {
	int64_t now; /* every timer of this time's finest slot or an earlier one is in due */
	uint64_t sequence;
	uint64_t count;         /* armed timers */
	struct weft_timer *due; /* a pairing heap; may hold some that are not yet due */
	uint32_t levels;        /* bit set: the level has an occupied slot */
	uint64_t occupied[WEFT_WHEEL_LEVELS];
	struct weft_wheel_slot slots[WEFT_WHEEL_LEVELS][WEFT_WHEEL_SLOTS];
};

void weft_wheel_init(struct weft_wheel *wheel, int64_t now);

/* timer must not be armed; deadline may lie in the past. */
void weft_wheel_arm(struct weft_wheel *wheel, struct weft_timer *timer, int64_t deadline);

/* Harmless on a timer that is not armed. */
void weft_wheel_disarm(struct weft_wheel *wheel, struct weft_timer *timer);

/* The next timer with deadline <= now, disarmed, in (deadline, sequence) order; NULL: none left. */
struct weft_timer *weft_wheel_expire(struct weft_wheel *wheel, int64_t now);

/* No timer fires before this; exact or early (never late); INT64_MAX when there is none. */
int64_t weft_wheel_next(const struct weft_wheel *wheel);

/* Checks every invariant; for debug builds and tests. */
bool weft_wheel_is_valid(const struct weft_wheel *wheel);

#endif
