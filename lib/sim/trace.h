/* SPDX-License-Identifier: MIT */
/*
 * trace - a file of what was decided, a line for each decision, and its replay. Lines are words, for people
 * and diff(1):
 *
 *	weft trace 1
 *	seed 7 policy 1 depth 0 faults 3
 *	12 run 1/3 4294967299 1000000000000 9a0b... worker weft_mutex_lock
 *
 * the step; run or place (whether a task is run in place by who joins it); which of how many; the number of the
 * task; the time; the hash so far; the task's name; the call it was in, "-" if it has not started.
 */
#ifndef WEFT_LIB_SIM_TRACE_H
#define WEFT_LIB_SIM_TRACE_H

#include "sim/sim.h"

enum weft_sim_trace_kind { WEFT_SIM_TRACE_RUN, WEFT_SIM_TRACE_PLACE };

/* Open what sim->config asks for. When it is a replay: takes seed, depth and faults from the file. 0 or -errno. */
int weft_sim_trace_open(struct weft_simulation *sim);
/* The last line is written; 0, or -errno when not everything could be. */
int weft_sim_trace_close(struct weft_simulation *sim, int status);

void weft_sim_trace_note(struct weft_simulation *sim, enum weft_sim_trace_kind kind,
	size_t n, size_t choice, uint64_t number, const char *task, const char *call);

/*
 * What was chosen here among n; otherwise where the program does not follow the file, which is reported once.
 */
size_t weft_sim_trace_replay(struct weft_simulation *sim, enum weft_sim_trace_kind kind,
	size_t n, size_t otherwise);

#endif
