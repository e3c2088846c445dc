/* SPDX-License-Identifier: MIT */
/*
 * shed - giving memory back; see the header.
 *
 * A slab, of stacks or of descriptors, is nobody else's once all of it that was ever handed out is in the
 * monitor's hands: who wants one takes the pool's lock, and finds others. Late looks, from an old pointer, may
 * come at any time, and find what was there or zeroes.
 */
#include "sched/shed.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/sys.h"
#include "sched/sanitize.h"
#include "sched/worker.h"

enum {
	STACKS_LEAST =
		128, /* half a MiB, if none was used deeply; fewer of the large ones */
	TASKS_LEAST = 8 * WEFT_TASK_SLAB_TASKS, /* half a MiB */
	WALKED_MOST =
		16384, /* that are needed, and are passed over on the way to the others */
	STACKS_STEP = 4096,
	SLABS_STEP = 4,
	MAGAZINES_STEP = 64,
	TASK_SLABS_STEP = 32,
};

weft_ns weft_shed_window = 1000 * 1000 * 1000;

static uint32_t stacks_least(unsigned class)
{
	return STACKS_LEAST >> class ? STACKS_LEAST >> class : 1;
}

/* -- stacks ------------------------------------------------------------------------------------ */

/* Lock held: how many more can be carved: so many at most are taken, who needs one must find another. */
static uint64_t room_in(struct weft_stack_pool *pool)
{
	uint64_t live = weft_load_relaxed(&pool->live);

	return pool->max > live ? pool->max - live : 0;
}

/* Lock held: is there something that was not needed in this window, or may not be in the next? */
static bool stacks_to_shed(struct weft_stack_pool *pool)
{
	uint64_t room = room_in(pool);

	for (unsigned class = 0; class < WEFT_STACK_CLASSES; class ++) {
		if (pool->free_count[class] >= stacks_least(class) && room >= stacks_least(class))
			return true;
	}
	return false;
}

/* The first keep of a list go back to the pool; what is left of it. */
static struct weft_stack *put_first(
	struct weft_stack_pool *pool, struct weft_stack *first, uint32_t keep)
{
	struct weft_stack *last = first, *rest;

	if (keep == 0)
		return first;
	for (uint32_t i = 1; i < keep; i++)
		last = last->next;
	rest = last->next;
	weft_stack_put_chain(pool, first, last, keep);
	return rest;
}

/* The list's last ones have lain longest. */
static void take_stacks(
	struct weft_shed *shed, struct weft_stack_pool *pool, unsigned class)
{
	struct weft_stack *taken = NULL, *last;
	uint64_t room;
	uint32_t count, least, keep;

	weft_spin_lock(&pool->lock);
	count = pool->free_count[class];
	least = pool->free_least[class];
	room = room_in(pool);
	if (least > room)
		least = (uint32_t)room;
	keep = count - least;
	if (least >= stacks_least(class) && keep <= WALKED_MOST) {
		taken = pool->free[class];
		pool->free[class] = NULL;
		pool->free_count[class] = 0;
	}
	pool->free_least[class] = pool->free_count[class];
	weft_spin_unlock(&pool->lock);
	if (!taken)
		return;
	last = put_first(pool, taken, keep);
	if (!shed->stacks) {
		shed->stacks = last;
		return;
	}
	for (taken = last; taken->next; taken = taken->next)
		;
	taken->next = shed->stacks;
	shed->stacks = last;
}

static void sort_stacks(struct weft_shed *shed, struct weft_stack_pool *pool)
{
	for (unsigned i = 0; i < STACKS_STEP && shed->stacks; i++) {
		struct weft_stack *stack = shed->stacks;
		struct weft_stack_slab *slab = stack->slab;

		shed->stacks = stack->next;
		stack->next = slab->shed;
		slab->shed = stack;
		slab->shed_count++;
	}
	if (!shed->stacks) {
		shed->sorted = true;
		shed->slab = weft_load_acquire(&pool->slabs);
	}
}

/* All stacks of the slab that exist are here: from now on nobody gets one. */
static bool take_whole(struct weft_stack_pool *pool, struct weft_stack_slab *slab)
{
	bool whole;

	weft_spin_lock(&pool->lock);
	whole = slab->shed_count + slab->bare_count == weft_load_relaxed(&slab->used);
	if (whole) {
		if (pool->current[slab->class] == slab)
			pool->current[slab->class] = NULL;
		slab->bare_count = 0;
		memset(slab->bare, 0, sizeof(slab->bare));
		weft_store_release(&slab->used, 0);
	}
	weft_spin_unlock(&pool->lock);
	return whole;
}

/* Lock held. */
static void count_given_back(struct weft_stack_pool *pool, struct weft_stack_slab *slab)
{
	weft_store_relaxed(
		&pool->live, weft_load_relaxed(&pool->live) - slab->shed_count);
	pool->given_back++;
	slab->shed = NULL;
	slab->shed_count = 0;
}

/* A late look finds the old pages or the new ones: the kernel exchanges them under its own lock. */
static void renew(struct weft_stack_pool *pool, struct weft_stack_slab *slab)
{
	for (struct weft_stack *stack = slab->shed; stack; stack = stack->next)
		weft_sanitizer_stack_gone(stack);
	/* Refused on locked memory, which would be populated again at once. */
	if (weft_sys_madvise(slab->base, slab->bytes, MADV_DONTNEED) == 0 &&
		weft_sys_map_anew(slab->base, slab->bytes) == 0)
		weft_sys_madvise(slab->base, slab->bytes, MADV_NOHUGEPAGE);
	weft_spin_lock(&pool->lock);
	count_given_back(pool, slab);
	slab->next_empty = pool->empty[slab->class];
	pool->empty[slab->class] = slab;
	weft_spin_unlock(&pool->lock);
}

/* Some of its stacks are in use: the free ones become bare slots. */
static void empty_slots(struct weft_stack_pool *pool, struct weft_stack_slab *slab)
{
	uint64_t bare[WEFT_STACK_SLAB_SLOTS / 64] = {0};

	for (struct weft_stack *stack = slab->shed, *next; stack; stack = next) {
		char *low = stack->low, *slot = low - WEFT_GUARD_BYTES;
		uint32_t index =
			(uint32_t)((size_t)(slot - slab->base) / slab->slot_bytes);

		next = stack->next;
		weft_sanitizer_stack_gone(stack);
		bare[index / 64] |= UINT64_C(1) << index % 64;
		weft_sys_madvise(low, slab->slot_bytes - WEFT_GUARD_BYTES, MADV_DONTNEED);
	}
	weft_spin_lock(&pool->lock);
	for (unsigned i = 0; i < WEFT_STACK_SLAB_SLOTS / 64; i++)
		slab->bare[i] |= bare[i];
	slab->bare_count += slab->shed_count;
	count_given_back(pool, slab);
	if (!slab->listed_bare) {
		slab->listed_bare = true;
		slab->next_bare = pool->bare[slab->class];
		pool->bare[slab->class] = slab;
	}
	weft_spin_unlock(&pool->lock);
}

static void settle_stacks(struct weft_shed *shed, struct weft_stack_pool *pool)
{
	unsigned settled = 0;

	for (; shed->slab && settled < SLABS_STEP; shed->slab = shed->slab->next) {
		if (shed->slab->shed_count == 0)
			continue;
		settled++;
		if (take_whole(pool, shed->slab))
			renew(pool, shed->slab);
		else
			empty_slots(pool, shed->slab);
	}
	if (!shed->slab)
		shed->sorted = false;
}

static bool step_stacks(struct weft_shed *shed, struct weft_stack_pool *pool)
{
	if (!shed->stacks && !shed->sorted)
		return false;
	if (shed->sorted)
		settle_stacks(shed, pool);
	else
		sort_stacks(shed, pool);
	return true;
}

/* -- descriptors ------------------------------------------------------------------------------- */

static struct weft_task_slab *slab_of(struct weft_task *task)
{
	return (struct weft_task_slab *)((uintptr_t)task &
					 ~(uintptr_t)(WEFT_TASK_SLAB_BYTES - 1));
}

static struct weft_task *next_magazine(struct weft_task *head)
{
	return (struct weft_task *)head->node.prev;
}

/* The first magazines, of keep descriptors or some more, go back to the pool; what is left. */
static struct weft_task *put_first_magazines(
	struct weft_task_pool *pool, struct weft_task *first, uint32_t keep)
{
	struct weft_task *last = NULL, *rest = first;
	uint32_t count = 0;

	for (; rest && count < keep; rest = next_magazine(rest)) {
		count += rest->batch;
		last = rest;
	}
	if (!last)
		return rest;
	weft_spin_lock(&pool->lock);
	last->node.prev = (struct weft_node *)pool->full;
	pool->full = first;
	pool->free_count += count;
	weft_spin_unlock(&pool->lock);
	return rest;
}

static void take_tasks(struct weft_shed *shed, struct weft_task_pool *pool)
{
	struct weft_task *taken = NULL;
	uint32_t keep;

	weft_spin_lock(&pool->lock);
	keep = pool->free_count - pool->free_least;
	if (pool->free_least >= TASKS_LEAST && pool->puts != shed->puts &&
		keep <= WALKED_MOST * WEFT_MAGAZINE_TASKS) {
		shed->puts = pool->puts - (keep > 0); /* what is kept is looked at again */
		taken = pool->full;
		pool->full = NULL;
		pool->free_count = 0;
	}
	pool->free_least = pool->free_count;
	weft_spin_unlock(&pool->lock);
	if (!taken)
		return;
	shed->magazines = shed->magazine = put_first_magazines(pool, taken, keep);
	shed->tasks = shed->magazine ? WEFT_SHED_COUNT : WEFT_SHED_NO_TASKS;
}

/* Room for the slabs of which everything is here, beside those that are empty already. */
static bool make_room(struct weft_shed *shed, struct weft_task_pool *pool)
{
	size_t count;

	weft_spin_lock(&pool->lock);
	count = pool->empty_count;
	for (struct weft_task_slab *slab = pool->slabs; slab; slab = slab->next)
		count += slab->shed_count == WEFT_TASK_SLAB_TASKS;
	weft_spin_unlock(&pool->lock);
	shed->room = malloc((count + 1) * sizeof(struct weft_task_slab *));
	return shed->room != NULL;
}

static void count_tasks(struct weft_shed *shed, struct weft_task_pool *pool)
{
	for (unsigned i = 0; i < MAGAZINES_STEP && shed->magazine; i++) {
		struct weft_task *task = shed->magazine;

		for (uint32_t left = task->batch; left > 0; left--) {
			slab_of(task)->shed_count++;
			task = (struct weft_task *)task->node.next;
		}
		shed->magazine = next_magazine(shed->magazine);
	}
	if (shed->magazine)
		return;
	shed->tasks = WEFT_SHED_SORT;
	shed->magazine = shed->magazines;
	shed->magazines = NULL;
	shed->kept = NULL;
	shed->kept_count = 0;
	if (!make_room(shed, pool)) { /* all of it stays */
		weft_spin_lock(&pool->lock);
		for (struct weft_task_slab *slab = pool->slabs; slab; slab = slab->next)
			slab->shed_count = 0;
		weft_spin_unlock(&pool->lock);
	}
}

static void put_kept(struct weft_shed *shed, struct weft_task_pool *pool)
{
	if (shed->kept_count > 0) {
		weft_task_pool_put(
			pool, (struct weft_task_magazine){shed->kept, shed->kept_count});
		shed->puts++;
	}
	shed->kept = NULL;
	shed->kept_count = 0;
}

static void keep_task(
	struct weft_shed *shed, struct weft_task_pool *pool, struct weft_task *task)
{
	task->node.next = (struct weft_node *)shed->kept;
	shed->kept = task;
	if (++shed->kept_count == WEFT_MAGAZINE_TASKS)
		put_kept(shed, pool);
}

/* Lock held: take the slabs out of the pool of which everything is here. */
static struct weft_task_slab *unlink_slabs(struct weft_task_pool *pool)
{
	struct weft_task_slab **link = &pool->slabs, *slab, *found = NULL;

	while ((slab = *link)) {
		bool whole = slab->shed_count == WEFT_TASK_SLAB_TASKS;

		slab->shed_count = 0;
		if (!whole) {
			link = &slab->next;
			continue;
		}
		*link = slab->next;
		slab->next = found;
		found = slab;
	}
	return found;
}

static void sort_tasks(struct weft_shed *shed, struct weft_task_pool *pool)
{
	struct weft_task_slab **before = NULL;

	for (unsigned i = 0; i < MAGAZINES_STEP && shed->magazine; i++) {
		struct weft_task *task = shed->magazine, *next;
		uint32_t left = task->batch;

		shed->magazine = next_magazine(task);
		for (; left > 0; left--, task = next) {
			next = (struct weft_task *)task->node.next;
			if (slab_of(task)->shed_count != WEFT_TASK_SLAB_TASKS)
				keep_task(shed, pool, task);
		}
	}
	if (shed->magazine)
		return;
	put_kept(shed, pool);
	shed->tasks = shed->room ? WEFT_SHED_EMPTY : WEFT_SHED_NO_TASKS;
	if (!shed->room)
		return;
	weft_spin_lock(&pool->lock);
	shed->slabs = unlink_slabs(pool);
	before = pool->empty;
	if (pool->empty_count > 0)
		memcpy(shed->room, before,
			pool->empty_count * sizeof(struct weft_task_slab *));
	pool->empty = shed->room;
	weft_spin_unlock(&pool->lock);
	shed->room = NULL;
	free(before);
}

static void empty_task_slabs(struct weft_shed *shed, struct weft_task_pool *pool)
{
	for (unsigned i = 0; i < TASK_SLABS_STEP && shed->slabs; i++) {
		struct weft_task_slab *slab = shed->slabs;

		shed->slabs = slab->next;
		/* Refused (locked memory): free descriptors still, which will do as well. */
		weft_sys_madvise(slab, sizeof(*slab), MADV_DONTNEED);
		weft_spin_lock(&pool->lock);
		pool->empty[pool->empty_count++] = slab;
		weft_spin_unlock(&pool->lock);
	}
	if (!shed->slabs)
		shed->tasks = WEFT_SHED_NO_TASKS;
}

static bool step_tasks(struct weft_shed *shed, struct weft_task_pool *pool)
{
	switch (shed->tasks) {
	case WEFT_SHED_NO_TASKS:
		return false;
	case WEFT_SHED_COUNT:
		count_tasks(shed, pool);
		break;
	case WEFT_SHED_SORT:
		sort_tasks(shed, pool);
		break;
	case WEFT_SHED_EMPTY:
		empty_task_slabs(shed, pool);
		break;
	}
	return true;
}

/* -- the monitor's ----------------------------------------------------------------------------- */

static bool at_work(const struct weft_shed *shed)
{
	return shed->stacks || shed->sorted || shed->tasks != WEFT_SHED_NO_TASKS;
}

static bool to_shed(const struct weft_shed *shed, struct weft_runtime *runtime)
{
	struct weft_stack_pool *stacks = &runtime->stacks;
	bool found;

	/* The last ones to be had are for whoever needs them, and must be found at once. */
	if (weft_stack_pool_exhausted(stacks) || weft_sanitizer_keeps_stacks())
		return false;
	weft_spin_lock(&stacks->lock);
	found = stacks_to_shed(stacks);
	weft_spin_unlock(&stacks->lock);
	weft_spin_lock(&runtime->tasks.lock);
	found = found || (runtime->tasks.free_count >= TASKS_LEAST &&
				 runtime->tasks.puts != shed->puts);
	weft_spin_unlock(&runtime->tasks.lock);
	return found;
}

/* Who sleeps keeps some of its own: a burst is over when they have given them. */
static void collect(struct weft_runtime *runtime)
{
	weft_add_seq_cst(&runtime->collections, 1);
	for (unsigned i = 0; i < runtime->count; i++) {
		if (weft_idle_notify_one(runtime->idle, i))
			weft_worker_poke(runtime, (int)i);
	}
}

void weft_shed_look(struct weft_shed *shed, struct weft_runtime *runtime, weft_ns now)
{
	if (now - shed->looked < weft_shed_window || at_work(shed))
		return;
	shed->looked = now;
	if (!to_shed(shed, runtime))
		return;
	for (unsigned class = 0; class < WEFT_STACK_CLASSES; class ++)
		take_stacks(shed, &runtime->stacks, class);
	take_tasks(shed, &runtime->tasks);
	collect(runtime);
}

bool weft_shed_step(struct weft_shed *shed, struct weft_runtime *runtime)
{
	bool stacks = step_stacks(shed, &runtime->stacks);

	return step_tasks(shed, &runtime->tasks) || stacks;
}

weft_ns weft_shed_pause(struct weft_shed *shed, struct weft_runtime *runtime, weft_ns now)
{
	weft_ns left = shed->looked + weft_shed_window - now;

	if (at_work(shed))
		return 0;
	if (!to_shed(shed, runtime))
		return -1;
	return left > 0 ? left : 0;
}

void weft_shed_finish(struct weft_shed *shed, struct weft_runtime *runtime)
{
	while (weft_shed_step(shed, runtime))
		;
}
