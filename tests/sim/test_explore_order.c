/* SPDX-License-Identifier: MIT */
/*
 * The modes of orders, explored: what each guarantees whatever the schedule and however long waits take, with
 * members that are cancelled and members that create others.
 */
#include "explore.h"

enum { MEMBERS = 4, SEGMENTS = 3, EVENTS = 128 };

static struct {
	struct weft_order *order;
	struct weft_task *tasks[MEMBERS];
	int mode;
	int inside;              /* members that run: between two calls */
	int began, ended;        /* members */
	int log[EVENTS], logged; /* member * 16 + segment, in the order they ran */
	int sections;
	bool cancels;
} o;

static void note(int member, int segment)
{
	if (o.logged < EVENTS)
		o.log[o.logged++] = member * 16 + segment;
}

static int some_call(void)
{
	switch (any(3)) {
	case 0:
		return weft_checkpoint();
	case 1:
		return weft_sleep(WEFT_MS(any(4)));
	default:
		return weft_yield();
	}
}

static void create_members(int mode, weft_fn fn)
{
	memset(&o, 0, sizeof(o));
	o.mode = mode;
	o.order = weft_order_create(mode, NULL);
	CHECK(o.order);
	for (intptr_t i = 0; i < MEMBERS; i++)
		o.tasks[i] = weft_order_create_task(o.order, fn, (void *)i);
}

static void join_members(bool cancels)
{
	o.cancels = cancels;
	for (unsigned n = cancels ? any(3) : 0; n > 0; n--) {
		dawdle();
		weft_cancel(o.tasks[any(MEMBERS)]);
	}
	CHECK(weft_gather(o.tasks, MEMBERS, NULL, WEFT_GATHER_ALL) == 0);
	weft_release_all(o.tasks, MEMBERS);
	weft_order_release(o.order);
	CHECK(o.ended == MEMBERS);
}

/* -- CHAIN ------------------------------------------------------------------------------------- */

static int chained(void *number)
{
	CHECK(o.ended == (int)(intptr_t)number);
	CHECK(o.inside++ == 0);
	for (unsigned n = any(4); n > 0; n--)
		some_call();
	o.inside--;
	o.ended++;
	return 0;
}

static int chain(void *arg)
{
	(void)arg;
	create_members(WEFT_ORDER_CHAIN, chained);
	join_members(any(2));
	return 0;
}

/* -- START ------------------------------------------------------------------------------------- */

static int starter(void *number)
{
	CHECK(o.began++ == (int)(intptr_t)number);
	for (unsigned n = any(4); n > 0; n--)
		some_call();
	o.ended++;
	return 0;
}

static int start(void *arg)
{
	(void)arg;
	create_members(WEFT_ORDER_START, starter);
	join_members(any(2));
	return 0;
}

/* -- ARRIVAL ----------------------------------------------------------------------------------- */

/* Two that sleep until different moments go on in the order of these, if nobody was running then. */
static int arriver(void *number)
{
	int self = (int)(intptr_t)number;

	for (int i = 0; i < SEGMENTS; i++) {
		CHECK(o.inside++ == 0);
		note(self, i);
		if (any(2)) { /* a call that did not wait keeps the token */
			int before = o.logged;

			weft_checkpoint();
			CHECK(o.logged == before || o.cancels);
		}
		o.inside--;
		some_call();
	}
	o.ended++;
	return 0;
}

static int arrival(void *arg)
{
	(void)arg;
	create_members(WEFT_ORDER_ARRIVAL, arriver);
	join_members(any(2));
	return 0;
}

static weft_ns woken;

static int wake_in_time(void *number)
{
	weft_ns until = weft_now() + WEFT_MS(1 + any(16));

	(void)number;
	if (weft_sleep_until(until) == 0) {
		CHECK(until >= woken);
		woken = until;
	}
	o.ended++;
	return 0;
}

static int arrival_in_time(void *arg)
{
	(void)arg;
	woken = 0;
	create_members(WEFT_ORDER_ARRIVAL, wake_in_time);
	join_members(false);
	return 0;
}

/* -- TURN -------------------------------------------------------------------------------------- */

static int turner(void *number)
{
	int self = (int)(intptr_t)number;

	for (int i = 0; i < SEGMENTS; i++) {
		CHECK(o.inside++ == 0);
		note(self, i);
		o.inside--;
		some_call();
	}
	o.ended++;
	return 0;
}

/* A1 B1 C1 D1 A2 ..., whatever they waited for. */
static int turn(void *arg)
{
	(void)arg;
	create_members(WEFT_ORDER_TURN, turner);
	join_members(any(2));
	CHECK(o.logged == MEMBERS * SEGMENTS);
	for (int i = 0; i < o.logged; i++)
		CHECK(o.log[i] == i % MEMBERS * 16 + i / MEMBERS);
	return 0;
}

/* Members of different lengths, one of which awaits another: each round has those that are left, in order. */
static int length_of(int member)
{
	static const int lengths[MEMBERS] = {1, 3, 2, 4};

	return lengths[member];
}

static int turner_of_its_length(void *number)
{
	int self = (int)(intptr_t)number;

	for (int i = 0; i < length_of(self); i++) {
		note(self, i);
		some_call();
	}
	o.ended++;
	return 0;
}

static int turn_with_leavers(void *arg)
{
	int at = 0;

	(void)arg;
	create_members(WEFT_ORDER_TURN, turner_of_its_length);
	join_members(any(2));
	for (int round = 0; round < SEGMENTS + 2; round++)
		for (int member = 0; member < MEMBERS; member++)
			if (round < length_of(member))
				CHECK(o.log[at++] == member * 16 + round);
	CHECK(at == o.logged);
	return 0;
}

/* A member that joins a member it has created is passed over; the round goes on without it. */
static int created_in_turn(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2; i++) {
		note(7, i);
		some_call();
	}
	return 0;
}

static int creator(void *number)
{
	int self = (int)(intptr_t)number;

	note(self, 0);
	if (self == 0)
		weft_join(weft_order_create_task(o.order, created_in_turn, NULL));
	else
		some_call();
	note(self, 1);
	o.ended++;
	return 0;
}

static int turn_with_creator(void *arg)
{
	static int first[EVENTS], first_count;

	(void)arg;
	create_members(WEFT_ORDER_TURN, creator);
	join_members(false);
	if (first_count == 0) {
		memcpy(first, o.log, sizeof(first));
		first_count = o.logged;
	}
	CHECK(o.logged == 2 * MEMBERS + 2 && o.logged == first_count);
	for (int i = 0; i < o.logged; i++)
		CHECK(o.log[i] == first[i]); /* the same whatever the seed */
	return 0;
}

/* One that is cancelled while it joins a fellow waits for it once more, and is passed over again. */
static int turn_creator_cancelled(void *arg)
{
	(void)arg;
	create_members(WEFT_ORDER_TURN, creator);
	dawdle();
	weft_cancel(o.tasks[0]);
	join_members(true);
	return 0;
}

/* -- COMMIT ------------------------------------------------------------------------------------ */

static int committer(void *number)
{
	int self = (int)(intptr_t)number, rc;

	for (unsigned n = any(3); n > 0; n--)
		some_call();
	if (any(5) == 0) { /* gives its place up */
		o.ended++;
		return 0;
	}
	rc = weft_commit_begin();
	CHECK(rc == 0 || (rc == -ECANCELED && o.cancels));
	if (rc == 0) {
		CHECK(o.inside++ == 0);
		CHECK(o.sections <= self);
		o.sections = self + 1;
		for (unsigned n = any(3); n > 0; n--)
			some_call();
		CHECK(o.inside-- == 1);
		weft_commit_end();
	}
	some_call();
	o.ended++;
	return 0;
}

static int commit(void *arg)
{
	(void)arg;
	create_members(WEFT_ORDER_COMMIT, committer);
	join_members(any(2));
	return 0;
}

/* -- all of them ------------------------------------------------------------------------------- */

Explored(order, chain, chain, .faults = WEFT_SIM_SLOW);
Explored(order, start, start, .faults = WEFT_SIM_SLOW);
Explored(order, arrival, arrival, .faults = WEFT_SIM_SLOW);
Explored(order, arrival_in_time, arrival_in_time);
Explored(order, turn, turn, .faults = WEFT_SIM_SLOW);
Explored(order, turn_with_leavers, turn_with_leavers, .faults = WEFT_SIM_SLOW);
Explored(order, turn_with_creator, turn_with_creator, .faults = WEFT_SIM_SLOW);
Explored(order, turn_creator_cancelled, turn_creator_cancelled, .faults = WEFT_SIM_SLOW);
Explored(order, commit, commit, .faults = WEFT_SIM_SLOW);
