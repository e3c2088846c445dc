/* SPDX-License-Identifier: MIT */
/*
 * pct - see pct.h.
 */
#include "sim/pct.h"

#include <stdlib.h>

#include "sim/sim.h"

enum {
	DEPTH_DEFAULT = 3,
	DEPTH_MOST = 64,
	FALLEN = 128,          /* remembered at a time; the oldest rises again */
	POLLS = 512,           /* chosen so often in a row, it polls */
	RANGE_SHIFT_LEAST = 3, /* change points lie among the first 2^3 to 2^12 steps */
	RANGE_SHIFTS = 10,
};

struct weft_sim_pct {
	uint64_t seed;
	unsigned changes, next_change;
	uint64_t change_at[DEPTH_MOST];
	uint64_t fallen[FALLEN]; /* numbers; the later, the lower */
	uint64_t falls;
	uint64_t last;
	unsigned in_a_row;
};

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

struct weft_sim_pct *weft_sim_pct_create(uint64_t seed, unsigned depth)
{
	struct weft_sim_pct *pct = calloc(1, sizeof(*pct));
	struct weft_sim_stream stream;
	uint64_t range;

	if (!pct)
		return NULL;
	weft_sim_stream_init(&stream, seed, 3);
	pct->seed = weft_sim_stream_next(&stream);
	depth = depth ? depth : DEPTH_DEFAULT;
	pct->changes = depth - 1 < DEPTH_MOST ? depth - 1 : DEPTH_MOST;
	range = UINT64_C(1) << (RANGE_SHIFT_LEAST +
				weft_sim_stream_next(&stream) % RANGE_SHIFTS);
	for (unsigned i = 0; i < pct->changes; i++)
		pct->change_at[i] = 1 + weft_sim_stream_next(&stream) % range;
	qsort(pct->change_at, pct->changes, sizeof(pct->change_at[0]), by_size);
	return pct;
}

void weft_sim_pct_destroy(struct weft_sim_pct *pct)
{
	free(pct);
}

/* How low the task has fallen: the number of its last fall, 0 if it has not. */
static uint64_t last_fall(const struct weft_sim_pct *pct, uint64_t number)
{
	uint64_t remembered = pct->falls < FALLEN ? pct->falls : FALLEN;

	for (uint64_t i = 0; i < remembered; i++) {
		uint64_t fall = pct->falls - i;

		if (pct->fallen[fall % FALLEN] == number)
			return fall;
	}
	return 0;
}

uint64_t weft_sim_pct_priority(const struct weft_sim_pct *pct, uint64_t number)
{
	uint64_t fall = pct->falls ? last_fall(pct, number) : 0;
	struct weft_sim_stream hash;

	if (fall)
		return UINT32_MAX - fall;
	weft_sim_stream_init(&hash, pct->seed, number);
	return weft_sim_stream_next(&hash) | UINT64_C(1) << 63;
}

static void fall(struct weft_sim_pct *pct, uint64_t number)
{
	pct->falls++;
	pct->fallen[pct->falls % FALLEN] = number;
	pct->in_a_row = 0;
}

void weft_sim_pct_chosen(
	struct weft_sim_pct *pct, uint64_t number, uint64_t step, bool among_others)
{
	if (number != pct->last)
		pct->in_a_row = 0;
	pct->last = number;
	if (among_others && ++pct->in_a_row >= POLLS)
		fall(pct, number);
	while (pct->next_change < pct->changes &&
		step >= pct->change_at[pct->next_change]) {
		pct->next_change++;
		fall(pct, number);
	}
}
