/* SPDX-License-Identifier: MIT */
/*
 * spin - the contended path of the spin lock.
 */
#include "base/spin.h"

#include <sched.h>

enum { SPINS_BEFORE_YIELD = 64 };

#ifdef WEFT_TSAN
_Atomic(uint32_t) weft_tsan_fence_word;
#endif

void weft_spin_wait(unsigned spins)
{
	if (spins % SPINS_BEFORE_YIELD == SPINS_BEFORE_YIELD - 1)
		sched_yield(); /* the holder may be waiting for this processor */
	else
		weft_cpu_relax();
}

void weft_spin_lock_slow(struct weft_spin *spin)
{
	for (unsigned spins = 0;; spins++) {
		if (weft_load_relaxed(&spin->held) == 0 && weft_spin_trylock(spin))
			return;
		weft_spin_wait(spins);
	}
}
