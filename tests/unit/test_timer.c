/* SPDX-License-Identifier: MIT */
/*
 * test_timer - the timer wheel against a plain model, and one test per promise of timer.h.
 */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "sched/timer.h"

#define GRAIN ((int64_t)1 << WEFT_WHEEL_GRAIN_SHIFT)

/* A multiplicative generator with an xor shift: the same numbers from the same seed anywhere. */
static uint64_t random_next(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state ^ *state >> 29;
}

static struct weft_wheel *wheel_at(int64_t now)
{
	static struct weft_wheel wheel;

	weft_wheel_init(&wheel, now);
	return &wheel;
}

/* -- against a model ------------------------------------------------------------------------- */

enum { MODEL_TIMERS = 300 };

struct model {
	uint64_t seed, state;
	struct weft_wheel *wheel;
	struct weft_timer timers[MODEL_TIMERS];
	struct weft_timer *sorted[MODEL_TIMERS]; /* the armed ones, next to fire first */
	size_t count;
	int64_t now;
};

static void model_insert(struct model *m, struct weft_timer *timer)
{
	size_t at = m->count++;

	for (; at && m->sorted[at - 1]->deadline > timer->deadline; at--)
		m->sorted[at] = m->sorted[at - 1];
	m->sorted[at] = timer; /* behind its equals: it is the youngest */
}

static void model_remove(struct model *m, struct weft_timer *timer)
{
	size_t at = 0;

	while (at < m->count && m->sorted[at] != timer)
		at++;
	cr_assert_lt(at, m->count, "seed %lu: not in the model", m->seed);
	m->count--;
	for (; at < m->count; at++)
		m->sorted[at] = m->sorted[at + 1];
}

/* Distances of every size: each level of the wheel is met, and the past. */
static int64_t random_distance(struct model *m)
{
	unsigned bits = (unsigned)(random_next(&m->state) >> 20) % 50;

	return (int64_t)(random_next(&m->state) & ((UINT64_C(1) << bits) - 1));
}

static int64_t random_deadline(struct model *m)
{
	int64_t distance = random_distance(m);

	switch ((random_next(&m->state) >> 20) % 8) {
	case 0:
		return distance < m->now ? m->now - distance : 0;
	case 1:
		return (m->now / GRAIN + 1) * GRAIN - 1 + (distance & 1);
	case 2:
		return m->now;
	default:
		return m->now + distance;
	}
}

static void step_arm(struct model *m)
{
	struct weft_timer *timer =
		&m->timers[(random_next(&m->state) >> 20) % MODEL_TIMERS];

	if (timer->armed) {
		model_remove(m, timer);
		weft_wheel_disarm(m->wheel, timer);
		return;
	}
	weft_wheel_arm(m->wheel, timer, random_deadline(m));
	model_insert(m, timer);
}

static void step_expire(struct model *m, int64_t now, unsigned at_most)
{
	m->now = now;
	for (unsigned i = 0; i < at_most; i++) {
		struct weft_timer *expected = m->count ? m->sorted[0] : NULL;
		struct weft_timer *timer;

		if (expected && expected->deadline > now)
			expected = NULL;
		timer = weft_wheel_expire(m->wheel, now);
		cr_assert_eq(
			timer, expected, "seed %lu: another timer, or none", m->seed);
		if (!timer)
			return;
		cr_assert_eq(timer->armed, 0);
		model_remove(m, timer);
	}
}

static void check_next(struct model *m)
{
	int64_t next = weft_wheel_next(m->wheel);

	if (m->count)
		cr_assert_leq(
			next, m->sorted[0]->deadline, "seed %lu: next is late", m->seed);
	else
		cr_assert_eq(
			next, INT64_MAX, "seed %lu: next of an empty wheel", m->seed);
}

static void run_model(uint64_t seed, unsigned steps)
{
	static struct model model;
	struct model *m = &model;

	*m = (struct model){.seed = seed, .state = seed, .now = (int64_t)seed << 30};
	m->wheel = wheel_at(m->now);
	for (unsigned i = 0; i < steps; i++) {
		uint64_t choice = (random_next(&m->state) >> 20) % 16;

		if (choice < 11)
			step_arm(m);
		else if (choice < 13)
			step_expire(m, m->now + (random_distance(m) >> 12), 3);
		else if (choice < 15)
			step_expire(m, m->count ? m->sorted[0]->deadline : m->now, ~0u);
		else
			step_expire(m, m->now + random_distance(m) / 64, ~0u);
		check_next(m);
		if (i % 64 == 0)
			cr_assert(weft_wheel_is_valid(m->wheel), "seed %lu, step %u",
				seed, i);
	}
	step_expire(m, INT64_MAX, ~0u);
	cr_assert_eq(m->count, 0);
	cr_assert(weft_wheel_is_valid(m->wheel));
}

Test(timer, fires_exactly_as_a_sorted_array_does)
{
	for (uint64_t seed = 1; seed <= 20; seed++)
		run_model(seed, 50000);
}

/* -- promises -------------------------------------------------------------------------------- */

Test(timer, equal_deadlines_fire_in_the_order_of_arming)
{
	static struct weft_timer timers[1000];
	struct weft_wheel *wheel = wheel_at(0);

	for (size_t i = 0; i < 1000; i++)
		weft_wheel_arm(wheel, &timers[i], i % 3 * 1000 * GRAIN);
	for (size_t group = 0; group < 3; group++)
		for (size_t i = group; i < 1000; i += 3)
			cr_assert_eq(weft_wheel_expire(wheel, INT64_MAX - 1), &timers[i]);
	cr_assert_null(weft_wheel_expire(wheel, INT64_MAX - 1));
}

Test(timer, fires_at_its_nanosecond_and_not_before)
{
	struct weft_timer timer = {0};

	for (int64_t deadline = GRAIN - 2; deadline < 2 * GRAIN + 2; deadline++) {
		struct weft_wheel *wheel = wheel_at(0);

		weft_wheel_arm(wheel, &timer, deadline);
		cr_assert_eq(weft_wheel_next(wheel), deadline);
		cr_assert_null(weft_wheel_expire(wheel, deadline - 1));
		cr_assert_eq(weft_wheel_next(wheel), deadline);
		cr_assert_eq(weft_wheel_expire(wheel, deadline), &timer);
	}
}

/* Around the border of a slot of each level, approached by one jump or from just before. */
Test(timer, is_exact_at_the_borders_of_every_level)
{
	struct weft_timer timers[3] = {{.armed = 0}};

	for (unsigned level = 0; level < WEFT_WHEEL_LEVELS; level++) {
		int64_t border = GRAIN << level * WEFT_WHEEL_BITS;

		for (int64_t start = 0; start < border; start += border - 1) {
			struct weft_wheel *wheel = wheel_at(start);

			for (int i = 2; i >= 0; i--)
				weft_wheel_arm(wheel, &timers[i], border - 1 + i);
			cr_assert(weft_wheel_is_valid(wheel), "level %u", level);
			cr_assert_leq(weft_wheel_next(wheel), border - 1);
			cr_assert_null(weft_wheel_expire(wheel, border - 2));
			for (int i = 0; i < 3; i++) {
				int64_t at = border - 1 + i;

				cr_assert_eq(weft_wheel_expire(wheel, at), &timers[i]);
				cr_assert_null(weft_wheel_expire(wheel, at));
				cr_assert(weft_wheel_is_valid(wheel), "level %u", level);
			}
		}
	}
}

Test(timer, survives_a_jump_of_the_clock_by_years)
{
	static struct weft_timer timers[64];
	struct weft_wheel *wheel = wheel_at(12345);
	int64_t year = INT64_C(365) * 24 * 3600 * 1000000000;

	for (int i = 0; i < 64; i++)
		weft_wheel_arm(wheel, &timers[i], (int64_t)(64 - i) * year);
	cr_assert_null(weft_wheel_expire(wheel, year - 1));
	for (int i = 63; i >= 0; i--)
		cr_assert_eq(weft_wheel_expire(wheel, 100 * year), &timers[i]);
	cr_assert_null(weft_wheel_expire(wheel, 101 * year));
	weft_wheel_arm(wheel, &timers[0], 101 * year + 1);
	cr_assert_null(weft_wheel_expire(wheel, 101 * year));
	cr_assert_eq(weft_wheel_expire(wheel, 101 * year + 1), &timers[0]);
}

Test(timer, zero_is_due_and_forever_is_never)
{
	struct weft_timer zero = {0}, forever = {0};
	struct weft_wheel *wheel = wheel_at(1000);

	weft_wheel_arm(wheel, &forever, INT64_MAX);
	cr_assert_eq(weft_wheel_next(wheel), INT64_MAX);
	weft_wheel_arm(wheel, &zero, 0);
	cr_assert_eq(weft_wheel_next(wheel), 0);
	cr_assert_eq(weft_wheel_expire(wheel, 1000), &zero);
	cr_assert_null(weft_wheel_expire(wheel, INT64_MAX - 1));
	cr_assert_eq(weft_wheel_expire(wheel, INT64_MAX), &forever);
	cr_assert_eq(wheel->count, 0);
}

Test(timer, a_clock_that_steps_back_fires_nothing_twice_and_nothing_early)
{
	struct weft_timer a = {0}, b = {0};
	struct weft_wheel *wheel = wheel_at(0);

	weft_wheel_arm(wheel, &a, 10 * GRAIN);
	cr_assert_eq(weft_wheel_expire(wheel, 20 * GRAIN), &a);
	cr_assert_null(weft_wheel_expire(wheel, 20 * GRAIN));
	weft_wheel_arm(wheel, &b, 15 * GRAIN);
	cr_assert_null(weft_wheel_expire(wheel, 14 * GRAIN));
	cr_assert_eq(weft_wheel_expire(wheel, 15 * GRAIN), &b);
}

Test(timer, a_due_timer_can_be_disarmed_and_armed_again)
{
	static struct weft_timer timers[100];
	struct weft_wheel *wheel = wheel_at(0);

	for (int i = 0; i < 100; i++)
		weft_wheel_arm(wheel, &timers[i], 7 * i % 100);
	cr_assert_eq(weft_wheel_expire(wheel, 100), &timers[0]);
	for (int i = 1; i < 100; i += 2)
		weft_wheel_disarm(wheel, &timers[i]);
	weft_wheel_disarm(wheel, &timers[1]); /* once more: harmless */
	cr_assert(weft_wheel_is_valid(wheel));
	cr_assert_eq(wheel->count, 49);
	weft_wheel_arm(wheel, &timers[1], 0);
	cr_assert_eq(weft_wheel_expire(wheel, 100), &timers[1]);
	for (int64_t last = -1, i = 0; i < 49; i++) {
		struct weft_timer *timer = weft_wheel_expire(wheel, 100);

		cr_assert_not_null(timer);
		cr_assert_eq((timer - timers) % 2, 0);
		cr_assert_gt(timer->deadline, last);
		last = timer->deadline;
	}
	cr_assert_null(weft_wheel_expire(wheel, 100));
}

Test(timer, next_is_never_late_after_the_earliest_of_a_slot_is_disarmed)
{
	struct weft_timer a = {0}, b = {0};
	struct weft_wheel *wheel = wheel_at(0);
	int64_t second = 1000000000;

	weft_wheel_arm(wheel, &a, second);
	weft_wheel_arm(wheel, &b, second + 5);
	cr_assert_eq(weft_wheel_next(wheel), second);
	weft_wheel_disarm(wheel, &a);
	cr_assert_leq(weft_wheel_next(wheel), second + 5);
	cr_assert_null(weft_wheel_expire(wheel, second));
	cr_assert_eq(
		weft_wheel_next(wheel), second + 5); /* one early look, not a busy loop */
	weft_wheel_disarm(wheel, &b);
	cr_assert_eq(weft_wheel_next(wheel), INT64_MAX);
}

/*
 * Hundreds of thousands in one slot, in the past, falling and rising: a structure that is
 * quadratic here does not finish within the time limit.
 */
Test(timer, many_timers_due_at_once_cost_little_each, .timeout = 20)
{
	enum { MANY = 400000 };
	struct weft_timer *timers = calloc(MANY, sizeof(*timers));
	struct weft_wheel *wheel = wheel_at(GRAIN * 1000);
	int64_t last = -1;

	cr_assert_not_null(timers);
	for (int i = 0; i < MANY; i++) {
		int64_t deadline = i % 4 == 0   ? MANY - i
				   : i % 4 == 1 ? i
						: GRAIN * 5000 + i % 97;

		weft_wheel_arm(wheel, &timers[i], deadline);
	}
	for (int i = 0; i < MANY; i++) {
		struct weft_timer *timer = weft_wheel_expire(wheel, GRAIN * 6000);

		cr_assert_not_null(timer);
		cr_assert_geq(timer->deadline, last);
		last = timer->deadline;
	}
	cr_assert_null(weft_wheel_expire(wheel, INT64_MAX));
	free(timers);
}

Test(timer, the_checker_notices_a_broken_wheel)
{
	struct weft_timer a = {0}, b = {0};
	struct weft_wheel *wheel = wheel_at(0);

	weft_wheel_arm(wheel, &a, 100 * GRAIN);
	weft_wheel_arm(wheel, &b, 1);
	cr_assert(weft_wheel_is_valid(wheel));
	a.deadline = 300 * GRAIN;
	cr_assert_not(weft_wheel_is_valid(wheel));
	a.deadline = 100 * GRAIN;
	wheel->count++;
	cr_assert_not(weft_wheel_is_valid(wheel));
	wheel->count--;
	b.deadline = 100 * GRAIN;
	cr_assert_not(weft_wheel_is_valid(wheel));
}
