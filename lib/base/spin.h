/* SPDX-License-Identifier: MIT */
/*
 * spin - a lock held for a handful of instructions, never across a suspension or a
 * system call. After a bounded spin the waiter yields the processor, since the holder may
 * have been descheduled. Zero is unlocked.
 */
#ifndef WEFT_LIB_BASE_SPIN_H
#define WEFT_LIB_BASE_SPIN_H

#include "base/atomic.h"

struct weft_spin {
	_Atomic(uint32_t) held;
};

void weft_spin_lock_slow(struct weft_spin *spin);
/* One step of waiting for another thread's few instructions; yields the processor now and then. */
void weft_spin_wait(unsigned spins);

/* SP1: acquire; pairs with the release in weft_spin_unlock. */
static inline void weft_spin_lock(struct weft_spin *spin)
{
	uint32_t free = 0;

	if (weft_unlikely(!weft_cas_acquire(&spin->held, &free, 1)))
		weft_spin_lock_slow(spin);
}

static inline bool weft_spin_trylock(struct weft_spin *spin)
{
	uint32_t free = 0;

	return weft_cas_acquire(&spin->held, &free, 1);
}

/* SP1: release. */
static inline void weft_spin_unlock(struct weft_spin *spin)
{
	weft_store_release(&spin->held, 0);
}

#endif
