/* SPDX-License-Identifier: MIT */
/*
 * The ring through which a worker gives work away, with two slots. Thread 0 owns it; the
 * others take from it. An item is run by whoever popped or claimed it, which reads what was
 * written into the task before it was pushed: the race detector looks on.
 */
#include "harness.h"
#include "sched/share.h"
#include "sched/task.h"

enum { TASKS = 4, SLOTS = WEFT_SHARE_SLOTS, TRIES = 4 };

static struct weft_share share;
static struct weft_task tasks[TASKS];
static char stack_of[64] __attribute__((aligned(64))); /* only its address travels */
static unsigned pushed[TASKS], runs[TASKS]; /* of each: written by the owner; counted */
static unsigned stack_pushed, stack_runs;

static void setup(void)
{
	share = (struct weft_share){0};
	for (unsigned i = 0; i < TASKS; i++) {
		tasks[i] = (struct weft_task){0};
		weft_store_relaxed(&tasks[i].claim, WEFT_CLAIM_PRIVATE);
		pushed[i] = runs[i] = 0;
	}
	stack_pushed = stack_runs = 0;
}

/* The body of a task: what create wrote is here, and nobody else is. */
static void run_task(struct weft_task *task)
{
	unsigned i = (unsigned)(task - tasks);

	model_check(i < TASKS);
	model_check(task->status == (int)i + 1);
	task->status = -1;
	runs[i]++;
}

static void run_item(struct weft_share_item *item)
{
	model_check(!item->stack != !item->task);
	if (item->task)
		run_task(item->task);
	else
		stack_runs++;
}

static enum weft_share_result take(void)
{
	struct weft_share_item item;
	enum weft_share_result result = weft_share_pop(&share, &item);

	if (result == WEFT_SHARE_GOT)
		run_item(&item);
	return result;
}

static void thieve(unsigned times)
{
	while (times-- > 0)
		take();
}

/* A fresh task (or one used before): written, then given away if there is room. */
static bool give(unsigned i)
{
	tasks[i].status = (int)i + 1;
	weft_store_relaxed(&tasks[i].claim, WEFT_CLAIM_PRIVATE); /* as create leaves it */
	if (!weft_share_push_task(&share, &tasks[i]))
		return false;
	pushed[i]++;
	return true;
}

/* As the owner joins a task that it has given away: it runs it if nobody has claimed it. */
static bool join(unsigned i)
{
	uint8_t published = WEFT_CLAIM_PUBLISHED;

	if (!weft_cas_acq_rel(&tasks[i].claim, &published, WEFT_CLAIM_STARTED))
		return false;
	run_task(&tasks[i]);
	return true;
}

/* Everything given away has been run, once; the rest is still here and is taken now. */
static const char *finish(void)
{
	while (take() != WEFT_SHARE_EMPTY)
		;
	for (unsigned i = 0; i < TASKS; i++) {
		if (runs[i] < pushed[i])
			return "a task was lost";
		if (runs[i] > pushed[i])
			return "a task ran twice";
	}
	return stack_runs == stack_pushed ? NULL : "a stack was lost or taken twice";
}

static void last_item(unsigned thread)
{
	if (thread > 0) {
		thieve(2);
		return;
	}
	model_check(give(0));
	take();
	model_check(give(1));
	take();
}

static void two_items(unsigned thread)
{
	if (thread > 0) {
		thieve(2);
		return;
	}
	model_check(give(0));
	model_check(give(1));
	take();
}

/*
 * A thief's load of the slot may be as late as its next operation lets it: then it may take
 * what is put into the slot after it has moved on.
 */
static void setup_late(void)
{
	static uint64_t items[TASKS];

	setup();
	for (unsigned i = 0; i < TASKS; i++)
		items[i] = (uintptr_t)&tasks[i];
	model_late(share.slots, sizeof(share.slots), items, TASKS);
}

/* Four items through two slots: a slot is used again, and the ring is full now and then. */
static void wrap_around(unsigned thread)
{
	if (thread > 0) {
		thieve(TRIES);
		return;
	}
	for (unsigned i = 0; i < TASKS; i++) {
		if (!give(i) && take() != WEFT_SHARE_EMPTY)
			give(i);
	}
}

static void wrap_around_two(unsigned thread)
{
	if (thread > 0) {
		thieve(2);
		return;
	}
	for (unsigned i = 0; i < TASKS; i++)
		give(i);
}

static void stacks_too(unsigned thread)
{
	if (thread > 0) {
		thieve(2);
		return;
	}
	model_check(give(0));
	model_check(weft_share_push_stack(&share, (struct weft_stack *)stack_of));
	stack_pushed = 1;
	if (give(1))
		join(1);
}

/* Nothing but its place in the ring says who has a stack. */
static void stacks(unsigned thread)
{
	if (thread > 0) {
		thieve(2);
		return;
	}
	model_check(weft_share_push_stack(&share, (struct weft_stack *)stack_of));
	stack_pushed = 1;
	take();
}

static void joined(unsigned thread)
{
	if (thread > 0) {
		thieve(2);
		return;
	}
	model_check(give(0));
	model_check(give(1));
	join(1);
	join(0);
}

/* The owner joins a task, so its entry is stale, and gives the same descriptor away anew. */
static void used_again(unsigned thread)
{
	if (thread > 0) {
		thieve(2);
		return;
	}
	model_check(give(0));
	if (join(0))
		give(0);
}

/* The ring is full, with a stale entry of the very task that does not fit. */
static void used_again_full(unsigned thread)
{
	if (thread > 0) {
		thieve(2);
		return;
	}
	model_check(give(0));
	model_check(give(1));
	if (join(0) && !give(0)) {
		/* it stayed private: the owner runs it without asking anybody */
		pushed[0]++;
		run_task(&tasks[0]);
	}
}

/* Empty is what a popper sees only when it is: no item that a push has finished is overlooked. */
static _Atomic(uint32_t) given;

static void setup_hint(void)
{
	setup();
	weft_store_relaxed(&given, 0);
}

static void seen_items(unsigned thread)
{
	if (thread == 0) {
		model_check(give(0));
		weft_store_release(&given, 1);
	} else if (weft_load_acquire(&given)) {
		model_check(!weft_share_empty(&share));
		model_check(take() == WEFT_SHARE_GOT);
	}
}

const struct model_harness model_share[] = {
	{"share: owner and thief at the last item", 2, 6, setup, last_item, finish, NULL},
	{"share: two thieves and the owner", 3, 3, setup, two_items, finish, NULL},
	{"share: wrap around", 2, 5, setup, wrap_around, finish, NULL},
	{"share: wrap around, late loads", 2, 4, setup_late, wrap_around, finish, NULL},
	{"share: wrap around, two thieves", 3, 3, setup, wrap_around_two, finish, NULL},
	{"share: stacks among tasks", 2, 6, setup, stacks_too, finish, NULL},
	{"share: a stack is taken once", 3, 3, setup, stacks, finish, NULL},
	{"share: the owner joins what it gave", 2, 6, setup, joined, finish, NULL},
	{"share: the owner joins, two thieves", 3, 3, setup, joined, finish, NULL},
	{"share: a descriptor used again", 2, 6, setup, used_again, finish, NULL},
	{"share: a descriptor used again, two thieves", 3, 3, setup, used_again, finish,
		NULL},
	{"share: used again, but the ring is full", 2, 6, setup, used_again_full, finish,
		NULL},
	{"share: what was given is seen", 2, 6, setup_hint, seen_items, finish, NULL},
	{0},
};
