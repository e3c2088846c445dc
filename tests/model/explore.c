/* SPDX-License-Identifier: MIT */
/*
 * explore - the search, the memory and the race detector; see the header for what they promise.
 * Compiled without WEFT_MODEL and without instrumentation; it shares only the context
 * switch with the library.
 */
#include "explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sched/switch.h"

enum {
	LOCATIONS = 40,
	HISTORY = 64,
	STACK_BYTES = 64 * 1024,
	CHOICES = 4096,
	STEPS = 1500, /* a run longer than this goes round in circles */
	STEPS_SHOWN = 120,
	PLAIN = 1024, /* power of two */
	EXECUTIONS = 2000000,
	NOBODY = -1,
};

struct view {
	uint8_t seen[LOCATIONS];       /* the oldest entry that may still be read */
	uint16_t clock[MODEL_THREADS]; /* whose plain accesses up to when are known */
};

struct entry {
	uint64_t value;
	struct view view;
};

struct location {
	const volatile void *at;
	unsigned count;
	struct entry history[HISTORY];
};

enum thread_state { READY, POLLING, SLEEPING, WAITING, ENDED };

struct thread {
	void *sp;
	enum thread_state state;
	struct view now;  /* what it knows */
	struct view read; /* what relaxed loads have met: known from the next fence on */
	struct view fenced; /* what it knew at the last fence: goes with relaxed stores */
	unsigned polled;    /* location it read last */
	unsigned polled_entry;
	bool after_load; /* see begin */
	unsigned late; /* operations until the late load has happened; 0: there is none */
	unsigned late_location, late_from;
	uint64_t late_value;
	uint64_t hash; /* of all it has done and read */
};

struct choice {
	uint8_t taken, count;
};

struct plain {
	uintptr_t at;
	uint64_t execution;
	int writer;
	uint16_t written;
	uint16_t read[MODEL_THREADS];
};

struct step {
	uint8_t thread, order;
	bool older;
	const char *what, *text;
	uint64_t value, wrote;
};

static const struct model_harness *harness;
static char stacks[MODEL_THREADS][STACK_BYTES] __attribute__((aligned(4096)));
static struct thread threads[MODEL_THREADS];
static struct location locations[LOCATIONS];
static unsigned location_count;
static struct view global; /* passed from each seq_cst fence to the next */
static uint64_t global_moves;
static struct plain plains[PLAIN];

static const volatile char *late_begin, *late_end; /* what model_late names */
static const uint64_t *late_values;
static unsigned late_count;

static void *explorer_sp;
static int current = NOBODY; /* NOBODY: the explorer itself */
static unsigned preemptions;
static bool stopped, pruned;
static char failure[200];

static struct choice choices[CHOICES];
static unsigned choice_count, replayed;
static struct step steps[STEPS];
static unsigned step_count;
static uint64_t executions, prunings;

/* -- states met before ------------------------------------------------------------------------- */

struct met {
	uint64_t key;
	uint8_t price;
};

static struct met *met;
static uint64_t met_size, met_count;

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ (hash >> 29);
}

static struct met *met_slot(uint64_t key)
{
	uint64_t at = mix(key, 1) & (met_size - 1);

	while (met[at].key && met[at].key != key)
		at = (at + 1) & (met_size - 1);
	return &met[at];
}

static void met_grow(void)
{
	struct met *old = met;
	uint64_t old_size = met_size;

	met_size = met_size ? met_size * 2 : 1 << 16;
	met = calloc(met_size, sizeof(*met));
	if (!met) {
		fprintf(stderr, "explore: out of memory\n");
		exit(1);
	}
	for (uint64_t i = 0; i < old_size; i++) {
		if (old[i].key)
			*met_slot(old[i].key) = old[i];
	}
	free(old);
}

/* Has the present state been explored at this price or a lower one? Notes that it is now. */
static bool state_met(bool can_go_on)
{
	uint64_t key = can_go_on ? (uint64_t)current + 1 : 0;
	struct met *slot;

	for (unsigned i = 0; i < harness->threads; i++)
		key = mix(key, threads[i].hash);
	key |= 1;
	if (met_count * 2 >= met_size)
		met_grow();
	slot = met_slot(key);
	if (slot->key && slot->price <= preemptions)
		return true;
	if (!slot->key)
		met_count++;
	slot->key = key;
	slot->price = (uint8_t)preemptions;
	return false;
}

/* -- choices and threads ----------------------------------------------------------------------- */

static void stop(void)
{
	void *unused;

	stopped = true;
	current = NOBODY;
	weft_switch(&unused, explorer_sp);
	__builtin_unreachable();
}

void model_fail(const char *what)
{
	snprintf(failure, sizeof(failure), "%s", what);
	if (current != NOBODY)
		stop();
	fprintf(stderr, "%s: %s\n", harness->name, what);
	exit(1);
}

void weft_assert_failed(const char *condition, const char *file, int line)
{
	char text[160];

	snprintf(text, sizeof(text), "%s:%d: %s", file, line, condition);
	model_fail(text);
}

/* One of count ways to go on; way 0 comes first. */
static unsigned choose(unsigned count)
{
	if (count <= 1)
		return 0;
	if (replayed == choice_count) {
		if (choice_count == CHOICES)
			model_fail("the run is too long: more choices than the explorer "
				   "keeps");
		choices[choice_count++] = (struct choice){0, (uint8_t)count};
	}
	return choices[replayed++].taken;
}

/* The last choice that has a way left takes it; false when everything is explored. */
static bool next_execution(void)
{
	while (choice_count > 0) {
		struct choice *last = &choices[choice_count - 1];

		if (++last->taken < last->count)
			return true;
		choice_count--;
	}
	return false;
}

static uint64_t newest(unsigned l)
{
	return locations[l].history[locations[l].count - 1].value;
}

static bool can_go(unsigned t)
{
	switch (threads[t].state) {
	case READY:
		return true;
	case POLLING:
		return locations[threads[t].polled].count - 1 > threads[t].polled_entry;
	case SLEEPING:
		return newest(threads[t].polled) != 0;
	default:
		return false;
	}
}

/* Before each operation, and when the thread cannot go on: who is next. */
static void schedule(void)
{
	unsigned ways[MODEL_THREADS], count = 0, me = (unsigned)current;
	bool can_go_on = can_go(me);

	if (can_go_on)
		ways[count++] = me;
	for (unsigned t = 0; t < harness->threads; t++) {
		if (t != me && can_go(t) &&
			(!can_go_on || preemptions < harness->preemptions))
			ways[count++] = t;
	}
	if (count == 0)
		stop();
	if (replayed == choice_count && state_met(can_go_on)) {
		pruned = true;
		stop();
	}
	current = (int)ways[choose(count)];
	if ((unsigned)current == me)
		return;
	if (can_go_on)
		preemptions++;
	weft_switch(&threads[me].sp, threads[current].sp);
}

/* -- memory ------------------------------------------------------------------------------------ */

static uint64_t fetch(const volatile void *at, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, (const void *)at, size);
	return value;
}

static uint64_t narrow(uint64_t value, unsigned size)
{
	return size == 8 ? value : value & ((UINT64_C(1) << (8 * size)) - 1);
}

static void put(volatile void *at, unsigned size, uint64_t value)
{
	memcpy((void *)at, &value, size);
}

static void join_seen(struct view *into, const struct view *from)
{
	for (unsigned i = 0; i < LOCATIONS; i++)
		into->seen[i] =
			into->seen[i] > from->seen[i] ? into->seen[i] : from->seen[i];
}

static void join(struct view *into, const struct view *from)
{
	join_seen(into, from);
	for (unsigned i = 0; i < MODEL_THREADS; i++)
		into->clock[i] =
			into->clock[i] > from->clock[i] ? into->clock[i] : from->clock[i];
}

static unsigned locate(const volatile void *at, unsigned size)
{
	struct location *l;

	for (unsigned i = 0; i < location_count; i++) {
		if (locations[i].at == at)
			return i;
	}
	if (location_count == LOCATIONS)
		model_fail("more locations than the explorer keeps");
	l = &locations[location_count];
	l->at = at;
	l->count = 1;
	l->history[0] = (struct entry){.value = fetch(at, size)};
	return location_count++;
}

static bool acquires(enum model_order order)
{
	return order == MODEL_ACQUIRE || order >= MODEL_ACQ_REL;
}

static bool releases(enum model_order order)
{
	return order >= MODEL_RELEASE;
}

static void record(const char *what, const char *text, enum model_order order, bool older,
	uint64_t value, uint64_t wrote)
{
	if (step_count == STEPS)
		model_fail("the run goes round in circles");
	steps[step_count++] = (struct step){.thread = (uint8_t)current,
		.order = (uint8_t)order,
		.older = older,
		.what = what,
		.text = text,
		.value = value,
		.wrote = wrote};
}

/* The execution cannot be: what was assumed about the future did not come to pass. */
static void prune(void)
{
	pruned = true;
	stop();
}

static void observe(
	struct thread *me, unsigned l, unsigned index, enum model_order order);

/* The late load happens now: an entry that was not there before says what it was taken to. */
static void load_late(struct thread *me)
{
	struct location *l = &locations[me->late_location];

	me->late = 0;
	for (unsigned i = me->late_from; i < l->count; i++) {
		if (l->history[i].value == me->late_value) {
			observe(me, me->late_location, i, MODEL_RELAXED);
			return;
		}
	}
	prune();
}

/*
 * An operation begins: others may run first. The thread that performs it.
 *
 * Not between a load and what follows it: what others would do there they can as well do
 * before the load, which may return the older entry all the same.
 */
static struct thread *begin(const volatile void *at, enum model_order order, bool is_load)
{
	struct thread *me = &threads[current];

	if ((uintptr_t)at < 4096)
		model_fail("an operation through a null pointer");
	if (!me->after_load)
		schedule();
	me->after_load = is_load && order != MODEL_SEQ_CST;
	if (me->late == 1)
		load_late(me);
	else if (me->late == 2 &&
		 (releases(order) || at == locations[me->late_location].at))
		prune(); /* nothing before a release comes after it */
	else if (me->late == 2)
		me->late = 1;
	if (me->late)
		me->after_load = false;
	return me;
}

static void observe(struct thread *me, unsigned l, unsigned index, enum model_order order)
{
	struct entry *entry = &locations[l].history[index];

	me->polled = l;
	me->polled_entry = index;
	if (me->now.seen[l] < index)
		me->now.seen[l] = (uint8_t)index;
	join(&me->read, &entry->view);
	if (acquires(order))
		join(&me->now, &entry->view);
	if (order == MODEL_SEQ_CST && global.seen[l] < index)
		global.seen[l] = (uint8_t)index;
	me->hash = mix(mix(me->hash, (uintptr_t)locations[l].at), index);
}

static void append(struct thread *me, unsigned l, uint64_t value,
	const struct view *handed_on, unsigned size, enum model_order order)
{
	struct location *location = &locations[l];
	struct entry *entry = &location->history[location->count];
	unsigned index = location->count++;

	if (index == HISTORY - 1)
		model_fail("more stores to a location than the explorer keeps");
	me->now.seen[l] = (uint8_t)index;
	entry->value = value;
	entry->view = releases(order) ? me->now : me->fenced;
	entry->view.seen[l] = (uint8_t)index;
	if (handed_on)
		join(&entry->view, handed_on);
	if (order == MODEL_SEQ_CST)
		global.seen[l] = (uint8_t)index;
	me->now.clock[me - threads]++;
	me->hash = mix(mix(mix(me->hash, ~(uintptr_t)location->at), index), value);
	put((volatile void *)(uintptr_t)location->at, size, value);
}

static unsigned oldest(struct thread *me, unsigned l, enum model_order order)
{
	unsigned from = me->now.seen[l];

	return order == MODEL_SEQ_CST && global.seen[l] > from ? global.seen[l] : from;
}

static void order_globally(struct thread *me, enum model_order order)
{
	if (order == MODEL_SEQ_CST)
		me->hash = mix(me->hash, ++global_moves);
}

static unsigned late_ways(
	const struct thread *me, const volatile void *at, enum model_order order)
{
	const volatile char *byte = at;

	return order == MODEL_RELAXED && !me->late && byte >= late_begin &&
			       byte < late_end
		       ? late_count
		       : 0;
}

uint64_t model_load(
	const volatile void *at, unsigned size, enum model_order order, const char *text)
{
	struct thread *me;
	unsigned l, back, ways;

	if (current == NOBODY)
		return fetch(at, size);
	me = begin(at, order, true);
	l = locate(at, size);
	order_globally(me, order);
	ways = locations[l].count - oldest(me, l, order);
	back = choose(ways + late_ways(me, at, order));
	if (back >= ways) {
		me->late = 2;
		me->late_location = l;
		me->late_from = locations[l].count;
		me->late_value = late_values[back - ways];
		me->after_load = false;
		me->hash = mix(mix(me->hash, ~(uintptr_t)at), me->late_value);
		record("late load", text, order, false, me->late_value, 0);
		return me->late_value;
	}
	observe(me, l, locations[l].count - 1 - back, order);
	record("load", text, order, back > 0,
		locations[l].history[me->polled_entry].value, 0);
	return locations[l].history[me->polled_entry].value;
}

void model_store(volatile void *at, unsigned size, uint64_t value, enum model_order order,
	const char *text)
{
	struct thread *me;

	value = narrow(value, size);
	if (current == NOBODY) {
		put(at, size, value);
		return;
	}
	me = begin(at, order, false);
	order_globally(me, order);
	append(me, locate(at, size), value, NULL, size, order);
	record("store", text, order, false, 0, value);
}

static uint64_t updated(enum model_update how, uint64_t old, uint64_t value)
{
	switch (how) {
	case MODEL_ADD:
		return old + value;
	case MODEL_SUB:
		return old - value;
	case MODEL_OR:
		return old | value;
	case MODEL_AND:
		return old & value;
	default:
		return value;
	}
}

/* The newest entry is read and the next one stored. */
static void update(struct thread *me, unsigned l, uint64_t value, unsigned size,
	enum model_order order)
{
	unsigned index = locations[l].count - 1;

	observe(me, l, index, order);
	append(me, l, value, &locations[l].history[index].view, size, order);
}

uint64_t model_update(enum model_update how, volatile void *at, unsigned size,
	uint64_t value, enum model_order order, const char *text)
{
	struct thread *me;
	uint64_t old;
	unsigned l;

	if (current == NOBODY) {
		old = fetch(at, size);
		put(at, size, updated(how, old, value));
		return old;
	}
	me = begin(at, order, false);
	l = locate(at, size);
	order_globally(me, order);
	old = newest(l);
	value = narrow(updated(how, old, value), size);
	update(me, l, value, size, order);
	record("update", text, order, false, old, value);
	return old;
}

/* Like every read-modify-write it meets the newest entry, also when it fails. */
bool model_cas(volatile void *at, unsigned size, void *expected, uint64_t value,
	enum model_order order, enum model_order failed, const char *text)
{
	uint64_t wanted = fetch(expected, size), found;
	struct thread *me;
	unsigned l;

	value = narrow(value, size);
	if (current == NOBODY) {
		found = fetch(at, size);
		put(expected, size, found);
		if (found == wanted)
			put(at, size, value);
		return found == wanted;
	}
	me = begin(at, order, false);
	l = locate(at, size);
	order_globally(me, order);
	found = newest(l);
	if (found == wanted) {
		update(me, l, value, size, order);
		record("cas", text, order, false, found, value);
		return true;
	}
	observe(me, l, locations[l].count - 1, failed);
	record("failed cas", text, failed, false, found, 0);
	put(expected, size, found);
	return false;
}

void model_fence(void)
{
	struct thread *me;

	if (current == NOBODY)
		return;
	me = begin(&global, MODEL_SEQ_CST, false);
	order_globally(me, MODEL_SEQ_CST);
	join(&me->now, &me->read);
	join_seen(&me->now, &global);
	join_seen(&global, &me->now);
	me->fenced = me->now;
	me->now.clock[current]++;
	record("fence", "", MODEL_SEQ_CST, false, 0, 0);
}

/* The thread polls: it goes on when there is something new where it looked. */
void model_relax(void)
{
	struct thread *me = &threads[current];

	if (current == NOBODY)
		return;
	me->state = POLLING;
	if (!can_go((unsigned)current))
		schedule();
	me->state = READY;
	me->after_load = false;
	me->now.seen[me->polled] = (uint8_t)(locations[me->polled].count - 1);
	me->hash = mix(mix(me->hash, 3), me->now.seen[me->polled]);
	record("relax", "", MODEL_RELAXED, false, 0, 0);
}

void model_late(
	const volatile void *at, unsigned size, const uint64_t *values, unsigned count)
{
	late_begin = at;
	late_end = late_begin + size;
	late_values = values;
	late_count = count;
}

void model_sleep(_Atomic(uint32_t) *token)
{
	struct thread *me = &threads[current];

	me->polled = locate(token, sizeof(*token));
	me->state = SLEEPING;
	schedule();
	me->state = READY;
	me->after_load = false;
	update(me, me->polled, 0, sizeof(*token), MODEL_ACQUIRE);
	record("wakes up", "", MODEL_ACQUIRE, false, 0, 0);
}

void model_futex_wait(_Atomic(uint32_t) *word, uint32_t expected)
{
	struct thread *me = begin(word, MODEL_SEQ_CST, false);

	me->polled = locate(word, sizeof(*word));
	me->hash = mix(mix(me->hash, 5), locations[me->polled].count);
	record("futex wait", "", MODEL_RELAXED, false, newest(me->polled), 0);
	if (newest(me->polled) != expected)
		return;
	me->state = WAITING;
	schedule();
}

void model_futex_wake(_Atomic(uint32_t) *word)
{
	struct thread *me = begin(word, MODEL_SEQ_CST, false);
	unsigned l = locate(word, sizeof(*word));

	record("futex wake", "", MODEL_RELAXED, false, 0, 0);
	for (unsigned t = 0; t < harness->threads; t++) {
		if (threads[t].state == WAITING && threads[t].polled == l) {
			threads[t].state = READY;
			me->hash = mix(mix(me->hash, 6), t);
			threads[t].hash = mix(threads[t].hash, 6);
			return;
		}
	}
	me->hash = mix(me->hash, 7);
}

void model_wake(_Atomic(uint32_t) *token)
{
	model_update(MODEL_XCHG, token, sizeof(*token), 1, MODEL_RELEASE, "token");
}

/* -- plain accesses ---------------------------------------------------------------------------- */

static struct plain *plain_slot(uintptr_t at)
{
	unsigned slot = (unsigned)mix(at, 7) & (PLAIN - 1);

	for (unsigned tries = 0; tries < PLAIN;
		tries++, slot = (slot + 1) & (PLAIN - 1)) {
		struct plain *p = &plains[slot];

		if (p->execution == executions && p->at == at)
			return p;
		if (p->execution != executions) {
			*p = (struct plain){
				.at = at, .execution = executions, .writer = NOBODY};
			return p;
		}
	}
	model_fail("more plain locations than the explorer keeps");
}

static void plain_access(const volatile void *address, bool write)
{
	uintptr_t at = (uintptr_t)address;
	struct view *now;
	struct plain *p;

	if (current == NOBODY)
		return;
	if (at < 4096)
		model_fail("a plain access through a null pointer");
	if (at >= (uintptr_t)stacks && at < (uintptr_t)stacks + sizeof(stacks))
		return;
	now = &threads[current].now;
	p = plain_slot(at);
	if (p->writer != NOBODY && p->written > now->clock[p->writer])
		model_fail(write ? "two plain writes race"
				 : "a plain read races with a write");
	if (!write) {
		p->read[current] = now->clock[current];
		return;
	}
	for (unsigned t = 0; t < harness->threads; t++) {
		if (p->read[t] > now->clock[t])
			model_fail("a plain write races with a read");
	}
	p->writer = current;
	p->written = now->clock[current];
}

/* What -fsanitize=thread makes the compiler call. */
#define INSTRUMENTED(name, write)                                                        \
	void __tsan_##name(void *at);                                                    \
	void __tsan_##name(void *at)                                                     \
	{                                                                                \
		plain_access(at, write);                                                 \
	}
#define INSTRUMENTED_SIZE(size)                                                          \
	INSTRUMENTED(read##size, false)                                                  \
	INSTRUMENTED(write##size, true)                                                  \
	INSTRUMENTED(unaligned_read##size, false)                                        \
	INSTRUMENTED(unaligned_write##size, true)
INSTRUMENTED_SIZE(1)
INSTRUMENTED_SIZE(2)
INSTRUMENTED_SIZE(4)
INSTRUMENTED_SIZE(8)
INSTRUMENTED_SIZE(16)

void __tsan_read_range(void *at, unsigned long size);
void __tsan_read_range(void *at, unsigned long size)
{
	for (unsigned long i = 0; i < size; i += 4)
		plain_access((char *)at + i, false);
}

void __tsan_write_range(void *at, unsigned long size);
void __tsan_write_range(void *at, unsigned long size)
{
	for (unsigned long i = 0; i < size; i += 4)
		plain_access((char *)at + i, true);
}

void __tsan_init(void);
void __tsan_init(void)
{
}

void __tsan_func_entry(void *caller);
void __tsan_func_entry(void *caller)
{
	(void)caller;
}

void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}

/* -- the search -------------------------------------------------------------------------------- */

static void show_steps(void)
{
	static const char *const orders[] = {
		"relaxed", "acquire", "release", "acq_rel", "seq_cst"};
	unsigned from = step_count > STEPS_SHOWN ? step_count - STEPS_SHOWN : 0;

	for (unsigned i = from; i < step_count; i++) {
		const struct step *s = &steps[i];

		printf("    %*s%u: %s %s %s read %#llx%s wrote %#llx\n", 4 * s->thread,
			"", s->thread, s->what, orders[s->order], s->text,
			(unsigned long long)s->value, s->older ? " (older)" : "",
			(unsigned long long)s->wrote);
	}
}

static void thread_main(void *arg)
{
	struct thread *me = arg;

	harness->run((unsigned)(me - threads));
	if (me->late)
		load_late(me);
	me->state = ENDED;
	schedule();
	__builtin_unreachable();
}

static void reset(void)
{
	executions++;
	memset(&global, 0, sizeof(global));
	global_moves = 0;
	location_count = 0;
	preemptions = 0;
	replayed = 0;
	step_count = 0;
	stopped = pruned = false;
	memset(threads, 0, sizeof(threads));
	for (unsigned t = 0; t < harness->threads; t++) {
		threads[t].hash = t + 1;
		threads[t].now.clock[t] = 1;
		threads[t].sp = weft_switch_prepare(
			stacks[t] + STACK_BYTES, thread_main, &threads[t]);
	}
}

/* What is wrong with a run that has come to its end, or NULL. */
static const char *verdict(void)
{
	if (failure[0])
		return failure;
	for (unsigned t = 0; t < harness->threads; t++) {
		if (threads[t].state != ENDED)
			return harness->stuck ? harness->stuck() : "nobody can go on";
	}
	return harness->finish ? harness->finish() : NULL;
}

/* The first thread to run is a choice like any other; none of them has begun. */
static void run_once(void)
{
	unsigned first = choose(harness->threads);

	current = (int)first;
	weft_switch(&explorer_sp, threads[first].sp);
	current = NOBODY;
}

bool model_explore(const struct model_harness *h)
{
	const char *wrong = NULL;

	harness = h;
	executions = prunings = choice_count = met_count = 0;
	late_begin = late_end = NULL;
	late_count = 0;
	memset(plains, 0, sizeof(plains));
	failure[0] = '\0';
	free(met);
	met = NULL;
	met_size = 0;
	met_grow();
	do {
		h->setup();
		reset();
		run_once();
		prunings += pruned;
		if (!pruned)
			wrong = verdict();
		if (!wrong && executions == EXECUTIONS)
			wrong = "not explored to the end: too many executions";
	} while (!wrong && next_execution());
	printf("%s %s: %llu executions, %llu of them cut short, %llu states, "
	       "at most %u preemptions\n",
		wrong ? "[FAIL]" : "ok:", h->name, (unsigned long long)executions,
		(unsigned long long)prunings, (unsigned long long)met_count,
		h->preemptions);
	if (wrong) {
		printf("  %s, after:\n", wrong);
		show_steps();
	}
	return !wrong;
}
