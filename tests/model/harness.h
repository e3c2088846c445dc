/* SPDX-License-Identifier: MIT */
/*
 * harness - the groups of harnesses that main.c explores; each ends with one without a name.
 */
#ifndef WEFT_TESTS_MODEL_HARNESS_H
#define WEFT_TESTS_MODEL_HARNESS_H

#include <stddef.h>

#include "explore.h"

extern const struct model_harness model_spin[];
extern const struct model_harness model_share[];
extern const struct model_harness model_idle[];
extern const struct model_harness model_park[];

#endif
