/* SPDX-License-Identifier: MIT */
/*
 * The spin lock: what one holder wrote is there for the next, and only one holds it.
 */
#include "base/spin.h"
#include "harness.h"

static struct weft_spin lock;
static unsigned inside, turns;
static _Atomic(uint32_t) tries;

static void setup(void)
{
	lock = (struct weft_spin){0};
	inside = turns = 0;
	weft_store_relaxed(&tries, 0);
}

static void hold(void)
{
	model_check(inside++ == 0);
	weft_add_relaxed(&tries, 1); /* others may run here */
	turns++;
	inside--;
	weft_spin_unlock(&lock);
}

static void run_lock(unsigned thread)
{
	(void)thread;
	weft_spin_lock(&lock);
	hold();
	weft_spin_lock(&lock);
	hold();
}

static void run_trylock(unsigned thread)
{
	if (thread == 0) {
		weft_spin_lock(&lock);
		hold();
	} else if (weft_spin_trylock(&lock)) {
		hold();
	}
}

static const char *finish_all(void)
{
	return turns == 4 ? NULL : "a turn is missing";
}

static const char *finish_one(void)
{
	return turns >= 1 ? NULL : "a turn is missing";
}

static const char *finish_each(void)
{
	return turns == 6 ? NULL : "a turn is missing";
}

const struct model_harness model_spin[] = {
	{"spin: two threads, two turns each", 2, 4, setup, run_lock, finish_all, NULL},
	{"spin: three threads, two turns each", 3, 2, setup, run_lock, finish_each, NULL},
	{"spin: trylock among locks", 3, 4, setup, run_trylock, finish_one, NULL},
	{0},
};
