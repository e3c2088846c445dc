/* SPDX-License-Identifier: MIT */
/*
 * timer - a hierarchical timing wheel (Varghese & Lauck, 1987) with exact order. The worker
 * calls it under the lock of its timers; nothing here reads a clock, locks or allocates.
 *
 * Where a timer is: time is cut into ticks of 16 us. A timer whose tick is not after the
 * wheel's is in `due`. Any other is on the level of the highest group of six bits in which its
 * tick differs from the wheel's, in the slot those six bits name. Hence
 *
 *   - a slot in use lies ahead of the wheel's own slot on that level: levels never wrap;
 *   - every timer of a level fires before any timer of the level above: the lowest occupied
 *     slot of the lowest occupied level comes next, two bit scans away;
 *   - moving the wheel to a time before that slot's start changes no timer's place.
 *
 * When the next slot's start is reached its timers move down a level or into `due`, at most
 * eight times in a timer's life. Slots are refilled into `due` only when it is empty, so its
 * top is always the earliest timer of all.
 *
 * Why a pairing heap for `due`: a slot may hold a million timers and a program may arm as many
 * in the past, in any order. Insertion is O(1), removal O(log n) amortised, and a timer needs
 * one pointer more than in a list. A sorted list is quadratic in the second case.
 */
#include "sched/timer.h"

#include <stddef.h>
#include <string.h>

enum {
	SLOT_MASK = WEFT_WHEEL_SLOTS - 1,
	PLACE_DUE = WEFT_WHEEL_LEVELS * WEFT_WHEEL_SLOTS,
};

_Static_assert(sizeof(struct weft_timer) <= 48, "a timer is part of every waiting task");

static bool fires_before(const struct weft_timer *a, const struct weft_timer *b)
{
	if (a->deadline != b->deadline)
		return a->deadline < b->deadline;
	return a->sequence < b->sequence;
}

/*
 * The heap. A node's children are a list through node.next, from child on; node.prev is the
 * left sibling, or the parent of a first child, or NULL for the top.
 */

static struct weft_timer *timer_of(struct weft_node *node)
{
	return (struct weft_timer *)node; /* node is the first member; NULL stays NULL */
}

/* a and b are tops, or NULL; the later one becomes the first child of the other. */
static struct weft_timer *heap_meld(struct weft_timer *a, struct weft_timer *b)
{
	struct weft_timer *top, *under;

	if (!a)
		return b;
	if (!b)
		return a;
	top = fires_before(b, a) ? b : a;
	under = top == a ? b : a;

	under->node.prev = &top->node;
	under->node.next = top->child ? &top->child->node : NULL;
	if (top->child)
		top->child->node.prev = &under->node;
	top->child = under;
	top->node.next = top->node.prev = NULL;
	return top;
}

/* Make one heap of a list of siblings: meld them in pairs, then the pairs from the back. */
static struct weft_timer *heap_meld_siblings(struct weft_timer *first)
{
	struct weft_timer *pairs = NULL, *top = NULL;

	while (first) {
		struct weft_timer *a = first;
		struct weft_timer *b = timer_of(a->node.next);
		struct weft_timer *pair;

		first = b ? timer_of(b->node.next) : NULL;
		pair = heap_meld(a, b);
		pair->node.next = pairs ? &pairs->node : NULL;
		pairs = pair;
	}
	while (pairs) {
		struct weft_timer *rest = timer_of(pairs->node.next);

		top = heap_meld(top, pairs);
		pairs = rest;
	}
	if (top)
		top->node.next = top->node.prev = NULL;
	return top;
}

static void heap_insert(struct weft_wheel *wheel, struct weft_timer *timer)
{
	timer->place = PLACE_DUE;
	timer->child = NULL;
	timer->node.next = timer->node.prev = NULL;
	wheel->due = heap_meld(wheel->due, timer);
}

static void heap_remove(struct weft_wheel *wheel, struct weft_timer *timer)
{
	struct weft_timer *rest = heap_meld_siblings(timer->child);
	struct weft_timer *left = timer_of(timer->node.prev);

	if (!left) {
		wheel->due = rest;
		return;
	}
	if (left->child == timer)
		left->child = timer_of(timer->node.next);
	else
		left->node.next = timer->node.next;
	if (timer->node.next)
		timer->node.next->prev = &left->node;
	wheel->due = heap_meld(wheel->due, rest);
}

/* The wheel. */

static int64_t tick_of(int64_t time)
{
	return time >> WEFT_WHEEL_GRAIN_SHIFT;
}

static unsigned level_shift(unsigned level)
{
	return WEFT_WHEEL_GRAIN_SHIFT + level * WEFT_WHEEL_BITS;
}

static unsigned lowest_bit(uint64_t bits)
{
	return (unsigned)__builtin_ctzll(bits);
}

static unsigned level_of(int64_t tick, int64_t wheel_tick)
{
	unsigned bit = 63 - (unsigned)__builtin_clzll((uint64_t)(tick ^ wheel_tick));

	return bit / WEFT_WHEEL_BITS;
}

static void place(struct weft_wheel *wheel, struct weft_timer *timer)
{
	int64_t tick = tick_of(timer->deadline), wheel_tick = tick_of(wheel->now);
	unsigned level, index;
	struct weft_wheel_slot *slot;

	if (tick <= wheel_tick) {
		heap_insert(wheel, timer);
		return;
	}
	level = level_of(tick, wheel_tick);
	index = (unsigned)(timer->deadline >> level_shift(level)) & SLOT_MASK;
	slot = &wheel->slots[level][index];
	if (weft_list_empty(&slot->timers) || timer->deadline < slot->earliest)
		slot->earliest = timer->deadline;
	weft_list_push_tail(&slot->timers, &timer->node);
	timer->place = level * WEFT_WHEEL_SLOTS + index;
	wheel->occupied[level] |= UINT64_C(1) << index;
	wheel->levels |= 1u << level;
}

static void mark_empty(struct weft_wheel *wheel, unsigned level, unsigned index)
{
	wheel->occupied[level] &= ~(UINT64_C(1) << index);
	if (!wheel->occupied[level])
		wheel->levels &= ~(1u << level);
}

/* The slot whose turn comes next; there must be one. */
static void next_slot(const struct weft_wheel *wheel, unsigned *level, unsigned *index)
{
	*level = lowest_bit(wheel->levels);
	*index = lowest_bit(wheel->occupied[*level]);
}

/* The higher bits of a slot's start are the wheel's own: levels never wrap. */
static int64_t slot_start(const struct weft_wheel *wheel, unsigned level, unsigned index)
{
	unsigned above = level_shift(level) + WEFT_WHEEL_BITS;
	int64_t base = above < 63 ? wheel->now >> above << above : 0;

	return base | (int64_t)index << level_shift(level);
}

/* Go to the start of the next slot, if that is not after now, and empty the slot. */
static bool advance(struct weft_wheel *wheel, int64_t now)
{
	unsigned level, index;
	struct weft_node *node, *next;
	int64_t start;

	next_slot(wheel, &level, &index);
	start = slot_start(wheel, level, index);
	if (start > now)
		return false;

	wheel->now = start;
	node = wheel->slots[level][index].timers.head;
	wheel->slots[level][index].timers = (struct weft_list){NULL, NULL};
	mark_empty(wheel, level, index);
	for (; node; node = next) {
		next = node->next;
		place(wheel, timer_of(node));
	}
	return true;
}

void weft_wheel_init(struct weft_wheel *wheel, int64_t now)
{
	memset(wheel, 0, sizeof(*wheel));
	wheel->now = now;
}

void weft_wheel_arm(struct weft_wheel *wheel, struct weft_timer *timer, int64_t deadline)
{
	timer->deadline = deadline;
	timer->sequence = wheel->sequence++;
	timer->armed = 1;
	wheel->count++;
	place(wheel, timer);
}

void weft_wheel_disarm(struct weft_wheel *wheel, struct weft_timer *timer)
{
	unsigned level, index;
	struct weft_list *timers;

	if (!timer->armed)
		return;
	timer->armed = 0;
	wheel->count--;
	if (timer->place == PLACE_DUE) {
		heap_remove(wheel, timer);
		return;
	}
	level = timer->place / WEFT_WHEEL_SLOTS;
	index = timer->place % WEFT_WHEEL_SLOTS;
	timers = &wheel->slots[level][index].timers;
	weft_list_remove(timers, &timer->node);
	if (weft_list_empty(timers))
		mark_empty(wheel, level, index);
}

struct weft_timer *weft_wheel_expire(struct weft_wheel *wheel, int64_t now)
{
	struct weft_timer *first;

	while (!wheel->due && wheel->levels && advance(wheel, now))
		;
	first = wheel->due;
	if (!first) {
		if (now > wheel->now)
			wheel->now = now; /* changes no timer's place: see above */
		return NULL;
	}
	if (first->deadline > now)
		return NULL;
	weft_wheel_disarm(wheel, first);
	return first;
}

int64_t weft_wheel_next(const struct weft_wheel *wheel)
{
	unsigned level, index;

	if (wheel->due)
		return wheel->due->deadline;
	if (!wheel->levels)
		return INT64_MAX;
	next_slot(wheel, &level, &index);
	return wheel->slots[level][index].earliest;
}

/* The checks. */

static bool slot_is_valid(
	const struct weft_wheel *wheel, unsigned level, unsigned index, uint64_t *count)
{
	const struct weft_wheel_slot *slot = &wheel->slots[level][index];
	const struct weft_node *previous = NULL;

	for (struct weft_node *node = slot->timers.head; node; node = node->next) {
		const struct weft_timer *timer = timer_of(node);
		int64_t tick = tick_of(timer->deadline), wheel_tick = tick_of(wheel->now);

		if (node->prev != previous || !timer->armed)
			return false;
		if (timer->place != level * WEFT_WHEEL_SLOTS + index)
			return false;
		if (tick <= wheel_tick || level_of(tick, wheel_tick) != level)
			return false;
		if (((timer->deadline >> level_shift(level)) & SLOT_MASK) != index)
			return false;
		if (timer->deadline < slot->earliest ||
			timer->sequence >= wheel->sequence)
			return false;
		previous = node;
		++*count;
	}
	return slot->timers.tail == previous;
}

/* Walks the heap in pre-order without a stack: up is the way left, then to the parent. */
static bool heap_is_valid(const struct weft_wheel *wheel, uint64_t *count)
{
	struct weft_timer *at = wheel->due;

	if (at && (at->node.prev || at->node.next))
		return false;
	while (at) {
		if (!at->armed || at->place != PLACE_DUE)
			return false;
		if (tick_of(at->deadline) > tick_of(wheel->now))
			return false;
		for (struct weft_timer *c = at->child; c; c = timer_of(c->node.next)) {
			struct weft_node *left = c->node.prev;

			if (fires_before(c, at))
				return false;
			if (c == at->child ? left != &at->node : left->next != &c->node)
				return false;
		}
		++*count;
		if (at->child) {
			at = at->child;
			continue;
		}
		while (at && !at->node.next) {
			struct weft_timer *left = timer_of(at->node.prev);

			while (left && left->child != at) {
				at = left;
				left = timer_of(at->node.prev);
			}
			at = left;
		}
		at = at ? timer_of(at->node.next) : NULL;
	}
	return true;
}

bool weft_wheel_is_valid(const struct weft_wheel *wheel)
{
	uint64_t count = 0;

	if (!heap_is_valid(wheel, &count))
		return false;
	for (unsigned level = 0; level < WEFT_WHEEL_LEVELS; level++) {
		bool used = wheel->occupied[level] != 0;

		if (used != ((wheel->levels >> level & 1) != 0))
			return false;
		for (unsigned i = 0; i < WEFT_WHEEL_SLOTS; i++) {
			bool marked = (wheel->occupied[level] >> i & 1) != 0;

			if (marked == weft_list_empty(&wheel->slots[level][i].timers))
				return false;
			if (!slot_is_valid(wheel, level, i, &count))
				return false;
		}
	}
	return count == wheel->count;
}
