/* SPDX-License-Identifier: MIT */
/*
 * guard - the slow way in. A cancelled task gets its lock all the same: a command that has begun
 * is finished.
 */
#include "guard.h"

bool guard_shared;

void guard_wait(struct guard *guard)
{
	struct weft_scope shield;

	weft_shield_begin(&shield, WEFT_FOREVER);
	weft_mutex_lock(&guard->mutex);
	weft_scope_end(&shield);
}
