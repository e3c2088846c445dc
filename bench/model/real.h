/* SPDX-License-Identifier: MIT */
/*
 * real - the same plans on the library itself, and what the model's steps cost on this machine.
 */
#ifndef WEFT_BENCH_MODEL_REAL_H
#define WEFT_BENCH_MODEL_REAL_H

#include "model.h"

/* Rounds of the plan on a runtime of its own: the shortest time and the least lateness; of every count the median. */
struct model_result real_run(const struct model_plan *plan, unsigned rounds);

struct model_costs real_costs(void);

#endif
