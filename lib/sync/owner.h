/* SPDX-License-Identifier: MIT */
/*
 * owner - how a lock names who owns it: in one word, which the deadlock walk of sched/wait.h reads.
 * Used inside lib/sync only.
 */
#ifndef WEFT_LIB_SYNC_OWNER_H
#define WEFT_LIB_SYNC_OWNER_H

#include <weft/task.h>

#include "base/atomic.h"
#include "sched/wait.h"

/* Who the caller is: a task, or a plain thread's parker with WEFT_OWNER_THREAD; 0 for a thread out
 * of memory, and in a forked child, where a parker might have to be allocated. The flags of the lock's
 * own are clear. */
static inline uintptr_t weft_owner_self(void)
{
	uintptr_t self = (uintptr_t)weft_self();

	if (weft_unlikely(!self && !weft_in_forked_child())) {
		self = (uintptr_t)weft_parker_self();
		if (self)
			self |= WEFT_OWNER_THREAD;
	}
	return self;
}

#endif
