/* SPDX-License-Identifier: MIT */
/*
 * Parking: the real text of park.c and of worker.c's end of a switch, as parts of this file, since
 * what matters there is static. Thread 0 parks until it has seen the news of all wakers; each
 * of them leaves its news and unparks it. News that does not arrive leaves it parked for ever.
 *
 * Linked with --gc-sections: what those files call elsewhere is not reached from here, except
 * what stands at the end.
 */
#include "sched/worker.c"

#include "sched/park.c"

#include "harness.h"

enum { WAKERS = 2 };

static struct weft_worker worker;
static struct weft_stack stack;
static struct weft_parker *parker;
static _Atomic(uint32_t) news[WAKERS], token;
static unsigned wakers, context; /* the latter: what the switch saved, plain */
static bool resumable; /* under nobody's lock: only whoever made it ready may look */

static void setup(void)
{
	memset(&worker, 0, sizeof(worker));
	memset(&stack, 0, sizeof(stack));
	stack.pins = 1; /* so that making it ready is mailing it: weft_mail_stack below */
	stack.pin = &worker;
	for (unsigned i = 0; i < WAKERS; i++)
		weft_store_relaxed(&news[i], 0);
	weft_store_relaxed(&token, 0);
	context = 0;
	resumable = false;
}

static void setup_stack(void)
{
	setup();
	parker = &stack.parker;
	wakers = WAKERS;
}

static void setup_thread(void)
{
	setup();
	parker = weft_parker_self();
	weft_store_relaxed(&parker->state, WEFT_PARKER_RUNNING);
	wakers = WAKERS;
}

static bool all_news(void)
{
	for (unsigned i = 0; i < wakers; i++) {
		if (!weft_load_relaxed(&news[i]))
			return false;
	}
	return true;
}

static void bring_news(unsigned thread)
{
	weft_store_relaxed(&news[thread - 1], 1);
	weft_unpark(parker);
}

/* The switch away saves the context; whoever comes next on the worker finishes it. */
static void switch_away_and_back(void)
{
	context++;
	worker.after = WEFT_AFTER_PARK;
	worker.after_stack = &stack;
	worker.stack = &worker.thread_stack;
	finish_switch(&worker);
	if (!weft_stack_fifo_pop(&worker.queue.ready)) {
		model_sleep(&token);
		model_check(resumable);
		resumable = false;
	}
}

static void run_stack(unsigned thread)
{
	if (thread > 0) {
		bring_news(thread);
		return;
	}
	while (!all_news())
		switch_away_and_back();
}

static void run_thread(unsigned thread)
{
	if (thread > 0) {
		bring_news(thread);
		return;
	}
	while (!all_news())
		weft_park(WEFT_FOREVER);
}

static const char *parked(void)
{
	return "parked, with news";
}

const struct model_harness model_park[] = {
	{"park: a stack and two wakers", 3, 5, setup_stack, run_stack, NULL, parked},
	{"park: a thread and two wakers", 3, 5, setup_thread, run_thread, NULL, parked},
	{0},
};

/* -- what is called from park.c ---------------------------------------------------------------- */

/* A waker has found the stack parked: it may be resumed, once, from the saved context. */
void weft_mail_stack(struct weft_worker *to, struct weft_stack *ready)
{
	model_check(to == &worker && ready == &stack);
	model_check(context > 0 && !resumable);
	resumable = true;
	model_wake(&token);
}

void weft_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, int64_t timeout)
{
	model_check(timeout < 0);
	model_futex_wait(word, expected);
}

void weft_futex_wake(_Atomic(uint32_t) *word, int count)
{
	model_check(count == 1);
	model_futex_wake(word);
}
