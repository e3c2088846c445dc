/* SPDX-License-Identifier: MIT */
/*
 * share - the work-giving ring; see the header for who may call what, and the edges.
 */
#include "sched/share.h"

#include "sched/task.h"

static const uintptr_t IS_STACK = 1;

static bool is_full(struct weft_share *share)
{
	uint64_t tail = weft_load_relaxed(&share->tail);

	return tail - weft_load_acquire(&share->head) >= WEFT_SHARE_SLOTS; /* SH2 */
}

static void push(struct weft_share *share, uintptr_t item)
{
	uint64_t tail = weft_load_relaxed(&share->tail);

	weft_store_relaxed(&share->slots[tail % WEFT_SHARE_SLOTS], item);
	weft_store_release(&share->tail, tail + 1); /* SH1 */
}

/*
 * Room is asked for first: from the store of claim on, a thief that holds a stale entry of
 * this descriptor may run it. For that thief the store is a release: it has not seen this push.
 */
bool weft_share_push_task(struct weft_share *share, struct weft_task *task)
{
	if (is_full(share))
		return false;
	weft_store_release(&task->claim, WEFT_CLAIM_PUBLISHED); /* TK2 */
	push(share, (uintptr_t)task);
	return true;
}

bool weft_share_push_stack(struct weft_share *share, struct weft_stack *stack)
{
	if (is_full(share))
		return false;
	push(share, (uintptr_t)stack | IS_STACK);
	return true;
}

enum weft_share_result weft_share_pop(struct weft_share *share, struct weft_share_item *item)
{
	uint64_t head = weft_load_acquire(&share->head);
	uint8_t published = WEFT_CLAIM_PUBLISHED;
	uintptr_t found;

	if (head >= weft_load_acquire(&share->tail)) /* SH1 */
		return WEFT_SHARE_EMPTY;
	found = weft_load_relaxed(&share->slots[head % WEFT_SHARE_SLOTS]);
	if (!weft_cas_acq_rel(&share->head, &head, head + 1)) /* SH2 */
		return WEFT_SHARE_RETRY;
	item->stack = NULL;
	item->task = NULL;
	if (found & IS_STACK) {
		item->stack = (struct weft_stack *)(found & ~IS_STACK);
		return WEFT_SHARE_GOT;
	}
	item->task = (struct weft_task *)found;
	if (weft_cas_acq_rel(&item->task->claim, &published, WEFT_CLAIM_STARTED)) /* TK2 */
		return WEFT_SHARE_GOT;
	return WEFT_SHARE_RETRY; /* its joiner was faster; there may be more behind it */
}
