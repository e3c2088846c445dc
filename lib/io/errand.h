/* SPDX-License-Identifier: MIT */
/*
 * errand - operations that a thread of the blocking pool makes for a backend: files where there is
 * no ring, and what a ring's kernel does not know.
 *
 * Life:  from start until the backend has taken it from what is finished, or taken it back.
 * Who:   start, take_back and take are called by the worker's owner of the moment. The pool thread makes
 *        the call, hands the errand back and rings the bell.
 *
 * ER1  pool thread: result, then release push on finished  ->  take: acquire exchange
 *      Weaker: the owner reads an old result, and memory the call has not filled yet.
 */
#ifndef WEFT_LIB_IO_ERRAND_H
#define WEFT_LIB_IO_ERRAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "blocking/jobs.h"
#include "io/bell.h"
#include "sched/backend.h"

struct weft_errand {
	struct weft_job job;
	struct weft_errand *next; /* on finished */
	struct weft_errands *home;
	struct weft_op *op;
	int64_t result;
};

/* Those of one worker. */
struct weft_errands {
	_Atomic(struct weft_errand *) finished; /* the last first */
	struct weft_bell *bell;
	struct weft_jobs *jobs;
};

/* 0: op is on its way to the pool. Else the code of the refusal. */
int weft_errand_start(
	struct weft_errands *errands, struct weft_op *op, struct weft_errand **out);

/* True: it will not be made, and is freed. */
bool weft_errand_take_back(struct weft_errands *errands, struct weft_errand *errand);

/* Any thread, a hint. */
static inline bool weft_errands_finished(const struct weft_errands *errands)
{
	return weft_load_relaxed(&((struct weft_errands *)errands)->finished) != NULL;
}

/* All that have finished, the first first; each is freed by the caller. */
struct weft_errand *weft_errands_take(struct weft_errands *errands);

#endif
