/* SPDX-License-Identifier: MIT */
/*
 * idle - the sleepers and searchers; see the header for the protocol.
 */
#include "sched/idle.h"

#include "base/assert.h"

/* Lock held: worker leaves the sleepers and counts as searching if it was chosen for that. */
static void remove_at(struct weft_idle *idle, uint32_t position, bool searching)
{
	unsigned worker = idle->sleeper[position];

	idle->sleepers--;
	for (uint32_t i = position; i < idle->sleepers; i++)
		idle->sleeper[i] = idle->sleeper[i + 1];
	weft_add_seq_cst(&idle->counts,
		(searching ? WEFT_IDLE_SEARCHING : 0) - WEFT_IDLE_SLEEPING);
	weft_store_release(&idle->asleep[worker], 0); /* ID4 */
}

static bool remove_worker(struct weft_idle *idle, unsigned worker, bool searching)
{
	for (uint32_t i = idle->sleepers; i-- > 0;) {
		if (idle->sleeper[i] == worker) {
			remove_at(idle, i, searching);
			return true;
		}
	}
	return false;
}

int weft_idle_notify(struct weft_idle *idle)
{
	int worker = WEFT_IDLE_NOBODY;

	weft_fence_seq_cst(); /* ID1 */
	if (weft_idle_sleeping(idle) == 0 || weft_idle_searching(idle) > 0)
		return WEFT_IDLE_NOBODY;
	weft_spin_lock(&idle->lock);
	if (idle->sleepers > 0 && weft_idle_searching(idle) == 0) {
		worker = idle->sleeper[idle->sleepers - 1];
		remove_at(idle, idle->sleepers - 1, true); /* ID3 */
	}
	weft_spin_unlock(&idle->lock);
	return worker;
}

bool weft_idle_notify_one(struct weft_idle *idle, unsigned worker)
{
	bool chosen;

	weft_fence_seq_cst(); /* ID1 */
	if (!weft_load_relaxed(&idle->asleep[worker]))
		return false;
	weft_spin_lock(&idle->lock);
	chosen = remove_worker(idle, worker, true); /* ID3 */
	weft_spin_unlock(&idle->lock);
	return chosen;
}

bool weft_idle_search(struct weft_idle *idle, unsigned workers)
{
	if (2 * weft_idle_searching(idle) >= workers)
		return false;
	weft_add_seq_cst(&idle->counts, WEFT_IDLE_SEARCHING);
	return true;
}

bool weft_idle_found(struct weft_idle *idle)
{
	uint64_t before = weft_sub_seq_cst(&idle->counts, WEFT_IDLE_SEARCHING);

	WEFT_DEBUG_ASSERT((before >> 32) > 0);
	weft_fence_seq_cst(); /* ID2 */
	return (before >> 32) == 1;
}

void weft_idle_sleep(struct weft_idle *idle, unsigned worker, bool searching)
{
	weft_spin_lock(&idle->lock);
	idle->sleeper[idle->sleepers++] = (uint16_t)worker;
	weft_store_relaxed(&idle->asleep[worker], 1);
	weft_add_seq_cst(&idle->counts,
		WEFT_IDLE_SLEEPING - (searching ? WEFT_IDLE_SEARCHING : 0));
	weft_spin_unlock(&idle->lock);
	weft_fence_seq_cst(); /* ID1 */
}

void weft_idle_cancel(struct weft_idle *idle, unsigned worker)
{
	if (!weft_load_acquire(&idle->asleep[worker])) /* ID4 */
		return; /* chosen */
	weft_spin_lock(&idle->lock);
	remove_worker(idle, worker, true); /* ID2: it may be the searcher somebody counted on */
	weft_spin_unlock(&idle->lock);
}

bool weft_idle_is_valid(struct weft_idle *idle)
{
	bool valid;

	weft_spin_lock(&idle->lock);
	valid = idle->sleepers == weft_idle_sleeping(idle);
	weft_spin_unlock(&idle->lock);
	return valid;
}
