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
	SLAB_SLOTS_MOST = 512,
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

int weft_stack_pool_init(struct weft_stack_pool *pool, size_t slot_bytes, size_t max)
{
	void *probe;

	memset(pool, 0, sizeof(*pool));
	pool->page = (uint32_t)sysconf(_SC_PAGESIZE);
	pool->slot_bytes = (slot_bytes + pool->page - 1) / pool->page * pool->page;
	pool->max = max ? max : UINT64_MAX;
	probe = weft_sys_map(WEFT_GUARD_BYTES);
	if (!probe)
		return -ENOMEM;
	if (weft_sys_madvise(probe, WEFT_GUARD_BYTES, MADV_GUARD_INSTALL) < 0) {
		pool->guard_by_mprotect = true;
		if (mapping_cap() < pool->max)
			pool->max = mapping_cap();
	}
	weft_sys_unmap(probe, WEFT_GUARD_BYTES);
	return 0;
}

void weft_stack_pool_finish(struct weft_stack_pool *pool)
{
	struct weft_stack_slab *slab = weft_load_acquire(&pool->slabs), *next;

	for (; slab; slab = next) {
		next = slab->next;
		weft_sys_unmap(slab->base, slab->bytes);
		free(slab);
	}
	weft_store_relaxed(&pool->slabs, NULL);
}

static struct weft_stack_slab *slab_new(
	struct weft_stack_pool *pool, unsigned class, uint32_t slots)
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
	slab->next = weft_load_relaxed(&pool->slabs);
	weft_store_release(&pool->slabs, slab); /* the fault handler walks it without the lock */
	return slab;
}

/* Lock held: a slot nobody has used, NULL when no memory or too many. */
static struct weft_stack_slab *reserve_slot(
	struct weft_stack_pool *pool, unsigned class, uint32_t *index)
{
	struct weft_stack_slab *slab = pool->current[class];
	uint64_t live = weft_load_relaxed(&pool->live);
	uint64_t wanted = live < SLAB_SLOTS_FIRST ? SLAB_SLOTS_FIRST : live;

	if (live >= pool->max)
		return NULL;
	if (!slab || weft_load_relaxed(&slab->used) == slab->slots) {
		if (wanted > SLAB_SLOTS_MOST)
			wanted = SLAB_SLOTS_MOST;
		if (class > 0)
			wanted = 1;
		slab = slab_new(pool, class, (uint32_t)wanted);
		if (!slab && wanted > 1)
			slab = slab_new(pool, class, 1);
		if (!slab)
			return NULL;
		pool->current[class] = slab;
	}
	*index = weft_load_relaxed(&slab->used);
	weft_store_relaxed(&pool->live, live + 1);
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

static int install_guard(struct weft_stack_pool *pool, char *slot)
{
	int rc = -EINVAL;

	if (!pool->guard_by_mprotect)
		rc = weft_sys_madvise(slot, WEFT_GUARD_BYTES, MADV_GUARD_INSTALL);
	/* Refused on locked memory (mlockall): protect instead, one more mapping each. */
	return rc < 0 ? weft_sys_protect_none(slot, WEFT_GUARD_BYTES) : 0;
}

static struct weft_stack *carve(
	struct weft_stack_pool *pool, struct weft_runtime *runtime, unsigned class)
{
	struct weft_stack_slab *slab;
	struct weft_stack *stack;
	uint32_t index;
	char *slot;

	weft_spin_lock(&pool->lock);
	slab = reserve_slot(pool, class, &index);
	if (slab)
		weft_store_release(&slab->used, index + 1);
	weft_spin_unlock(&pool->lock);
	if (!slab)
		return NULL;
	slot = slab->base + index * slab->slot_bytes;
	if (install_guard(pool, slot) < 0)
		return NULL; /* the slot is lost: no stack without a guard */
	stack = weft_stack_at(pool, slab, index);
	stack->parker.kind = WEFT_PARKER_STACK;
	stack->class = (uint8_t)class;
	stack->deadline = WEFT_FOREVER;
	stack->runtime = runtime;
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
	if (stack)
		pool->free[class] = stack->next;
	weft_spin_unlock(&pool->lock);
	return stack ? stack : carve(pool, runtime, class);
}

void weft_stack_put_chain(
	struct weft_stack_pool *pool, struct weft_stack *first, struct weft_stack *last)
{
	weft_spin_lock(&pool->lock);
	last->next = pool->free[first->class];
	pool->free[first->class] = first;
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
