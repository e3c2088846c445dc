/* SPDX-License-Identifier: MIT */
/*
 * stack - slabs of stacks, their guards, and the pool that workers share.
 */
#include "sched/stack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/sys.h"
#include "sched/sanitize.h"
#include "sched/switch.h"
#include "sched/worker.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

enum {
	SLAB_SLOTS_FIRST = 16,
	SLAB_SLOTS_KEPT = 64, /* of a simulation's first slab: what most programs need */
	SLAB_SLOTS_MOST = WEFT_STACK_SLAB_SLOTS,
	MAPPINGS_PER_GUARDED_STACK = 2,
	MAPPINGS_LEFT_TO_OTHERS = 4096,
};

void weft_loop_entry(void *stack); /* worker.c */

/* How many stacks the kernel's limit on mappings allows, where each guard splits one. */
static uint64_t mapping_cap(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned long limit = 65530;

	if (file) {
		if (fscanf(file, "%lu", &limit) != 1)
			limit = 65530;
		fclose(file);
	}
	if (limit <= 2 * MAPPINGS_LEFT_TO_OTHERS)
		return 64;
	return (limit - MAPPINGS_LEFT_TO_OTHERS) / MAPPINGS_PER_GUARDED_STACK;
}

/*
 * Simulations are short, and come by the thousand: most of what one costs would be mapping its stacks, their
 * guards and first pages. So the first slab of one is kept for the next: whoever exchanges the pointer has
 * it. Not for sanitizers, which remember what lay on a stack.
 */
#if defined(WEFT_ASAN) || defined(WEFT_TSAN)
enum { KEEP = 0 };
#else
enum { KEEP = 1 };
#endif

static _Atomic(struct weft_stack_slab *) kept;

static void slab_free(struct weft_stack_slab *slab)
{
	if (!slab)
		return;
	weft_sys_unmap(slab->base, slab->bytes);
	free(slab);
}

static struct weft_stack_slab *take_kept(
	const struct weft_stack_pool *pool, unsigned class, uint32_t slots)
{
	struct weft_stack_slab *slab = NULL;

	if (pool->keeps && class == 0 && slots == SLAB_SLOTS_KEPT)
		slab = weft_xchg_acq_rel(&kept, NULL);
	if (slab && slab->slot_bytes != pool->slot_bytes) {
		slab_free(slab);
		slab = NULL;
	}
	if (slab)
		weft_store_relaxed(&slab->used, 0);
	return slab;
}

static void slab_finish(const struct weft_stack_pool *pool, struct weft_stack_slab *slab)
{
	if (KEEP && pool->keeps && slab->class == 0 && slab->slots == SLAB_SLOTS_KEPT)
		slab = weft_xchg_acq_rel(&kept, slab);
	slab_free(slab);
}

/* Whether the kernel has light guards; what it has once said yes to is not asked again. */
static int has_light_guards(void)
{
	static _Atomic(uint32_t) known;
	void *probe;

	if (weft_load_relaxed(&known))
		return 1;
	probe = weft_sys_map(WEFT_GUARD_BYTES);
	if (!probe)
		return -ENOMEM;
	weft_store_relaxed(
		&known, weft_sys_madvise(probe, WEFT_GUARD_BYTES, MADV_GUARD_INSTALL) == 0);
	weft_sys_unmap(probe, WEFT_GUARD_BYTES);
	return (int)weft_load_relaxed(&known);
}

int weft_stack_pool_init(struct weft_stack_pool *pool, size_t slot_bytes, size_t max)
{
	int light;

	memset(pool, 0, sizeof(*pool));
	pool->page = (uint32_t)sysconf(_SC_PAGESIZE);
	pool->slot_bytes = (slot_bytes + pool->page - 1) / pool->page * pool->page;
	pool->max = max ? max : UINT64_MAX;
	light = has_light_guards();
	if (light < 0)
		return light;
	pool->guard_by_mprotect = !light;
	if (!light && mapping_cap() < pool->max)
		pool->max = mapping_cap();
	return 0;
}

void weft_stack_pool_finish(struct weft_stack_pool *pool)
{
	struct weft_stack_slab *slab = weft_load_acquire(&pool->slabs), *next;

	for (; slab; slab = next) {
		next = slab->next;
		slab_finish(pool, slab);
	}
	weft_store_relaxed(&pool->slabs, NULL);
}

static struct weft_stack_slab *slab_map(
	const struct weft_stack_pool *pool, unsigned class, uint32_t slots)
{
	struct weft_stack_slab *slab = calloc(1, sizeof(*slab));

	if (!slab)
		return NULL;
	slab->slot_bytes = pool->slot_bytes << class;
	slab->slots = slots;
	slab->bytes = slab->slot_bytes * slots;
	slab->class = class;
	slab->base = weft_sys_map(slab->bytes);
	if (!slab->base) {
		free(slab);
		return NULL;
	}
	/* A huge page would make every stack cost 2 MiB at its first touch. */
	weft_sys_madvise(slab->base, slab->bytes, MADV_NOHUGEPAGE);
	return slab;
}

static struct weft_stack_slab *slab_new(
	struct weft_stack_pool *pool, unsigned class, uint32_t slots)
{
	struct weft_stack_slab *slab = take_kept(pool, class, slots);

	if (!slab)
		slab = slab_map(pool, class, slots);
	if (!slab)
		return NULL;
	slab->next = weft_load_relaxed(&pool->slabs);
	weft_store_release(&pool->slabs, slab); /* the fault handler walks it without the lock */
	return slab;
}

/* Lock held: a slot that was used, and whose memory was given back; its guard is there. */
static struct weft_stack_slab *take_bare(
	struct weft_stack_pool *pool, unsigned class, uint32_t *index)
{
	struct weft_stack_slab *slab;

	while ((slab = pool->bare[class])) {
		if (slab->bare_count > 0) {
			unsigned word = 0;

			while (!slab->bare[word])
				word++;
			*index = word * 64 + (uint32_t)__builtin_ctzll(slab->bare[word]);
			slab->bare[word] &= slab->bare[word] - 1;
			slab->bare_count--;
			return slab;
		}
		pool->bare[class] = slab->next_bare;
		slab->listed_bare = false;
	}
	return NULL;
}

/* Lock held: a slab with a slot that nobody has used since it was mapped. */
static struct weft_stack_slab *unused_slab(struct weft_stack_pool *pool, unsigned class)
{
	struct weft_stack_slab *slab = pool->current[class];
	uint64_t live = weft_load_relaxed(&pool->live);
	uint64_t first = pool->keeps ? SLAB_SLOTS_KEPT : SLAB_SLOTS_FIRST;
	uint64_t wanted = live < first ? first : live;

	if (slab && weft_load_relaxed(&slab->used) < slab->slots)
		return slab;
	slab = pool->empty[class];
	if (slab)
		pool->empty[class] = slab->next_empty;
	if (wanted > SLAB_SLOTS_MOST)
		wanted = SLAB_SLOTS_MOST;
	if (class > 0)
		wanted = 1;
	if (!slab)
		slab = slab_new(pool, class, (uint32_t)wanted);
	if (!slab && wanted > 1)
		slab = slab_new(pool, class, 1);
	if (slab)
		pool->current[class] = slab;
	return slab;
}

/* Lock held: a slot without a stack, NULL when no memory or too many. */
static struct weft_stack_slab *reserve_slot(
	struct weft_stack_pool *pool, unsigned class, uint32_t *index, bool *guarded)
{
	struct weft_stack_slab *slab;

	if (weft_load_relaxed(&pool->live) >= pool->max)
		return NULL;
	slab = take_bare(pool, class, index);
	*guarded = slab != NULL;
	if (!slab) {
		slab = unused_slab(pool, class);
		if (!slab)
			return NULL;
		*index = weft_load_relaxed(&slab->used);
		weft_store_release(&slab->used, *index + 1);
	}
	weft_store_relaxed(&pool->live, weft_load_relaxed(&pool->live) + 1);
	return slab;
}

/*
 * The control block lies at the top of the slot, one of several page distances below its end:
 * at a fixed distance all blocks would compete for one set of each cache.
 */
struct weft_stack *weft_stack_at(
	const struct weft_stack_pool *pool, const struct weft_stack_slab *slab, uint32_t index)
{
	size_t color = (size_t)(index % WEFT_STACK_COLORS) * pool->page;
	size_t in_page = (size_t)(index / WEFT_STACK_COLORS % 8) * 128;
	size_t bytes = (sizeof(struct weft_stack) + 63) / 64 * 64;

	return (void *)(slab->base + (index + 1) * slab->slot_bytes - color - in_page - bytes);
}

static int install_guard(const struct weft_stack_pool *pool, char *slot)
{
	int rc = -EINVAL;

	if (!pool->guard_by_mprotect)
		rc = weft_sys_madvise(slot, WEFT_GUARD_BYTES, MADV_GUARD_INSTALL);
	/* Refused on locked memory (mlockall): protect instead, one more mapping each. */
	return rc < 0 ? weft_sys_protect_none(slot, WEFT_GUARD_BYTES) : 0;
}

static int guard(
	const struct weft_stack_pool *pool, struct weft_stack_slab *slab, uint32_t index)
{
	int rc;

	if (pool->keeps && index < slab->guarded)
		return 0;
	rc = install_guard(pool, slab->base + index * slab->slot_bytes);
	if (pool->keeps && rc == 0 && index == slab->guarded)
		slab->guarded++;
	return rc;
}

static struct weft_stack *carve(
	struct weft_stack_pool *pool, struct weft_runtime *runtime, unsigned class)
{
	struct weft_stack_slab *slab;
	struct weft_stack *stack;
	uint32_t index, given_back;
	bool guarded;
	char *slot;

	weft_spin_lock(&pool->lock);
	slab = reserve_slot(pool, class, &index, &guarded);
	given_back = pool->given_back;
	weft_spin_unlock(&pool->lock);
	if (!slab)
		return NULL;
	if (!guarded && guard(pool, slab, index) < 0)
		return NULL; /* the slot is lost: no stack without a guard */
	slot = slab->base + index * slab->slot_bytes;
	weft_sanitizer_stack_fresh(slot + WEFT_GUARD_BYTES, slab->slot_bytes - WEFT_GUARD_BYTES);
	stack = weft_stack_at(pool, slab, index);
	if (pool->keeps)
		memset(stack, 0, sizeof(*stack)); /* perhaps not its first life */
	/* parker.kind is WEFT_PARKER_STACK: 0, which a late wake may read meanwhile */
	stack->class = (uint8_t)class;
	stack->deadline = WEFT_FOREVER;
	stack->runtime = runtime;
	stack->slab = slab;
	/* A walk (edge.c) that looks twice must not meet the numbers of the stack that was here. */
	weft_store_relaxed(&stack->edge_sequence, given_back * UINT32_C(0x9E3779B1));
	stack->low = slot + WEFT_GUARD_BYTES;
	stack->high = (char *)stack;
	stack->host_limit = stack->low + (pool->slot_bytes - WEFT_GUARD_BYTES) / 4 * 3;
	stack->sp = weft_switch_prepare(stack, weft_loop_entry, stack);
	weft_sanitizer_stack_created(stack);
	return stack;
}

struct weft_stack *weft_stack_get(
	struct weft_stack_pool *pool, struct weft_runtime *runtime, unsigned class)
{
	struct weft_stack *stack;

	weft_spin_lock(&pool->lock);
	stack = pool->free[class];
	if (stack) {
		pool->free[class] = stack->next;
		if (--pool->free_count[class] < pool->free_least[class])
			pool->free_least[class] = pool->free_count[class];
	}
	weft_spin_unlock(&pool->lock);
	return stack ? stack : carve(pool, runtime, class);
}

void weft_stack_put_chain(struct weft_stack_pool *pool, struct weft_stack *first,
	struct weft_stack *last, uint32_t count)
{
	weft_spin_lock(&pool->lock);
	last->next = pool->free[first->class];
	pool->free[first->class] = first;
	pool->free_count[first->class] += count;
	weft_spin_unlock(&pool->lock);
}

int weft_stack_class(const struct weft_stack_pool *pool, size_t stack_size)
{
	for (int class = 0; class < WEFT_STACK_CLASSES; class ++) {
		if (stack_size <= pool->slot_bytes << class)
			return class;
	}
	return -EINVAL;
}

struct weft_stack *weft_stack_guarding(struct weft_stack_pool *pool, const void *address)
{
	const char *at = address;
	struct weft_stack_slab *slab = weft_load_acquire(&pool->slabs);

	for (; slab; slab = slab->next) {
		size_t offset = (size_t)(at - slab->base);
		uint32_t index;

		if (at < slab->base || offset >= slab->bytes)
			continue;
		index = (uint32_t)(offset / slab->slot_bytes);
		if (offset % slab->slot_bytes >= WEFT_GUARD_BYTES ||
			index >= weft_load_acquire(&slab->used))
			return NULL;
		return weft_stack_at(pool, slab, index);
	}
	return NULL;
}
