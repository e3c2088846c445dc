/* SPDX-License-Identifier: MIT */
/*
 * files - the test files of the file benchmarks, and a twin to compare with: a process of its own with
 * one thread and plain calls, which does a round whenever it is asked, so that both sides meet the
 * same moments of the machine.
 */
#ifndef WEFT_BENCH_MICRO_FILES_H
#define WEFT_BENCH_MICRO_FILES_H

#include <stddef.h>

/* A new folder in $TMPDIR, or /var/tmp, where O_DIRECT works; ends the program if there is none. */
const char *files_folder(void);
/* A file of n bytes in it. */
void files_make(const char *name, size_t n);
/* Removes the folder and all in it. */
void files_remove(void);

/* Begins the twin; before there is any thread. */
void files_twin(double (*round)(size_t n));
/* Has it do a round: its figure. */
double files_twin_round(size_t n);

#endif
