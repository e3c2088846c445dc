/* SPDX-License-Identifier: MIT */
/*
 * storm_redirect - included in front of an example's source (cc -include): it becomes a function that storm_example
 * calls, once for each case of the storm, and what it hands to weft_run is simulated. Its text stays as users
 * read it.
 */
#ifndef WEFT_TESTS_SIM_STORM_REDIRECT_H
#define WEFT_TESTS_SIM_STORM_REDIRECT_H

#include <weft.h>

int storm_example_run(weft_fn main_fn, void *arg, const struct weft_config *cfg_or_null);

#define weft_run storm_example_run
#define main storm_example_main

/* with and without arguments, as in main itself */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#endif
