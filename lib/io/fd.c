/* SPDX-License-Identifier: MIT */
/*
 * fd - the table of descriptor words and their state changes. The protocol is in fd.h.
 */
#include "io/fd.h"

#include <errno.h>
#include <stdlib.h>

#include "io/sys.h"
#include "sched/wait.h"

/* The word: count in the low half, then the rings, the state, the generation. */
#define COUNT_ONE UINT64_C(1)
#define COUNT(word) ((uint32_t)(word))
#define RING_BIT(worker) (UINT64_C(1) << (32 + (worker) % WEFT_FD_RINGS))
#define RINGS(word) ((unsigned)((word) >> 32) & 0xffff)
#define RINGS_MASK (UINT64_C(0xffff) << 32)
#define CLOSING (UINT64_C(1) << 48)
#define FINAL (UINT64_C(1) << 49)
#define STATE_MASK (CLOSING | FINAL)
#define GENERATION_ONE (UINT64_C(1) << 50)
#define GENERATION_MASK (~(GENERATION_ONE - 1))

void weft_fd_table_finish(struct weft_fd_table *table)
{
	for (unsigned i = 0; i < WEFT_FD_SEGMENTS; i++) {
		free(weft_load_relaxed(&table->segment[i]));
		weft_store_relaxed(&table->segment[i], NULL);
	}
}

struct weft_fd *weft_fd_find(struct weft_fd_table *table, int fd)
{
	unsigned segment = weft_fd_segment_of(fd);
	struct weft_fd *entries = weft_load_acquire(&table->segment[segment]); /* FD5 */

	return entries ? &entries[(size_t)fd - weft_fd_segment_start(segment)] : NULL;
}

/* Only for a descriptor that is open, so a wild number does not cost gigabytes. */
static int add_segment(struct weft_fd_table *table, int fd)
{
	unsigned segment = weft_fd_segment_of(fd);
	struct weft_fd *entries, *found = NULL;
	int rc = weft_sys_is_open(fd);

	if (rc < 0)
		return rc;
	entries = calloc(weft_fd_segment_length(segment), sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	if (!weft_cas_acq_rel(&table->segment[segment], &found, entries)) /* FD5 */
		free(entries); /* somebody else was faster */
	return 0;
}

int weft_fd_get(struct weft_fd_table *table, int fd, struct weft_fd **entry)
{
	int rc;

	*entry = weft_fd_find(table, fd);
	if (weft_likely(*entry))
		return 0;
	rc = add_segment(table, fd);
	if (rc < 0)
		return rc;
	*entry = weft_fd_find(table, fd);
	return 0;
}

/* May the caller enter this state? 0, -EBADF, or -EAGAIN with the generation to wait for. */
static int may_enter(uint64_t word, struct weft_fd_turn *turn)
{
	uint64_t generation = word & GENERATION_MASK;

	if (weft_likely(!turn->waited)) {
		if (weft_likely(!(word & STATE_MASK)))
			return 0;
		if (!(word & FINAL))
			return -EBADF;
		turn->waited = true;
		turn->generation = generation + GENERATION_ONE;
		return -EAGAIN;
	}
	if (generation + GENERATION_ONE == turn->generation)
		return -EAGAIN;
	return generation == turn->generation && !(word & STATE_MASK) ? 0 : -EBADF;
}

int weft_fd_begin(struct weft_fd *entry, unsigned worker, struct weft_fd_turn *turn)
{
	uint64_t word = weft_load_relaxed(&entry->word);
	int rc;

	do {
		rc = may_enter(word, turn);
		if (weft_unlikely(rc < 0))
			return rc;
	} while (!weft_cas_acq_rel(
		&entry->word, &word, (word + COUNT_ONE) | RING_BIT(worker))); /* FD1 */
	return 0;
}

uint64_t weft_fd_generation(struct weft_fd *entry)
{
	return weft_load_relaxed(&entry->word) & GENERATION_MASK;
}

bool weft_fd_closing(struct weft_fd *entry)
{
	return weft_load_acquire(&entry->word) & STATE_MASK; /* FD2 */
}

static void wake_closer(struct weft_fd *entry)
{
	struct weft_parker *closer = weft_load_seq_cst(&entry->closer); /* FD3 */

	if (closer)
		weft_unpark(closer);
}

bool weft_fd_end(struct weft_fd *entry)
{
	uint64_t word = weft_load_relaxed(&entry->word), next;

	do {
		next = word - COUNT_ONE;
		if (!COUNT(next))
			next &= ~RINGS_MASK;
	} while (!weft_cas_seq_cst(&entry->word, &word, next)); /* FD3 */
	if (weft_likely(!(word & STATE_MASK)))
		return false;
	if (!COUNT(next))
		wake_closer(entry);
	return true;
}

int weft_fd_close_begin(struct weft_fd *entry, struct weft_fd_turn *turn, uint64_t *ticket,
	unsigned *rings_out)
{
	uint64_t word = weft_load_relaxed(&entry->word);
	int rc;

	do {
		rc = may_enter(word, turn);
		if (rc < 0)
			return rc;
	} while (!weft_cas_seq_cst(
		&entry->word, &word, word | (COUNT(word) ? CLOSING : FINAL))); /* FD1 */
	*ticket = word & GENERATION_MASK;
	*rings_out = COUNT(word) ? RINGS(word) : 0;
	return 0;
}

/* Done waiting: 0 when FINAL was reached, -EBADF when the closing was called off; else 1. */
static int try_final(struct weft_fd *entry, uint64_t ticket)
{
	uint64_t word = weft_load_seq_cst(&entry->word); /* FD3 */

	for (;;) {
		if ((word & GENERATION_MASK) != ticket)
			return -EBADF;
		if (word & FINAL)
			return 0;
		if (COUNT(word))
			return 1;
		if (weft_cas_seq_cst(&entry->word, &word, ticket | FINAL))
			return 0;
	}
}

int weft_fd_close_wait(struct weft_fd *entry, uint64_t ticket)
{
	int rc = try_final(entry, ticket);

	if (rc <= 0)
		return rc;
	weft_store_seq_cst(&entry->closer, weft_parker_self()); /* FD3 */
	while ((rc = try_final(entry, ticket)) > 0)
		weft_park_deaf(WEFT_FOREVER);
	return rc;
}

void weft_fd_close_end(struct weft_fd *entry, uint64_t ticket)
{
	uint64_t word = weft_load_relaxed(&entry->word);

	while ((word & GENERATION_MASK) == ticket) { /* FD4 */
		uint64_t next = (word & ~STATE_MASK) + GENERATION_ONE;

		if (weft_cas_acq_rel(&entry->word, &word, next))
			return;
	}
}

void weft_fd_reset(struct weft_fd *entry)
{
	uint64_t word = weft_load_relaxed(&entry->word);

	do {
		if (weft_likely(!(word & STATE_MASK)))
			return;
	} while (!weft_cas_seq_cst(
		&entry->word, &word, (word & ~STATE_MASK) + GENERATION_ONE)); /* FD4 */
	if (word & CLOSING)
		wake_closer(entry);
}
