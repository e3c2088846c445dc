/* SPDX-License-Identifier: MIT */
/*
 * graph - who waits for what, in words; and call stacks of tasks that do not run.
 */
#ifndef WEFT_LIB_SIM_GRAPH_H
#define WEFT_LIB_SIM_GRAPH_H

#include "sim/sim.h"

/* All tasks are blocked for good: report each, and what it waits for. */
void weft_sim_graph_report(
	struct weft_simulation *sim, int kind, int status, const char *headline);

/* With show_step: the running stack, which is about to be left, is remembered with its calls. */
void weft_sim_graph_keep(struct weft_simulation *sim, struct weft_stack *stack);
/* Report the calls that were remembered of that stack; NULL: the task has not started. */
void weft_sim_graph_show(
	struct weft_simulation *sim, struct weft_stack *stack, struct weft_task *task);
void weft_sim_graph_finish(struct weft_simulation *sim);

#endif
