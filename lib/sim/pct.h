/* SPDX-License-Identifier: MIT */
/*
 * pct - priorities that find bugs of a given depth (weft/sim.h names the paper).
 *
 * A task's priority is a hash of the seed and its number. At depth - 1 steps, chosen at random, the task that
 * runs falls below all others. How long the program will run is not known, so the range of these steps is
 * drawn too, from a few to many thousand.
 *
 * Not in the paper: who is chosen again and again while others could run, because it polls, falls as well.
 */
#ifndef WEFT_LIB_SIM_PCT_H
#define WEFT_LIB_SIM_PCT_H

#include <stdbool.h>
#include <stdint.h>

struct weft_sim_pct;

/* NULL: out of memory. */
struct weft_sim_pct *weft_sim_pct_create(uint64_t seed, unsigned depth);
void weft_sim_pct_destroy(struct weft_sim_pct *pct);

/* The task with the highest runs. */
uint64_t weft_sim_pct_priority(const struct weft_sim_pct *pct, uint64_t number);
/* That one has been chosen, in that step; alone: there was no other. */
void weft_sim_pct_chosen(
	struct weft_sim_pct *pct, uint64_t number, uint64_t step, bool among_others);

#endif
