/* SPDX-License-Identifier: MIT */
/*
 * observe - what a runtime counts. weft_runtime_metrics (weft/runtime.h) fills it in.
 */
#ifndef WEFT_OBSERVE_H
#define WEFT_OBSERVE_H

#include <stddef.h>
#include <stdint.h>

#include <weft/base.h>

WEFT_EXTERN_C_BEGIN

/*
 * Numbers of one runtime. "since" ones count from its creation and never decrease; "now" ones
 * are a momentary look. Fields are only ever appended: the caller sets size, the library fills
 * at most that many bytes.
 */
struct weft_metrics {
	size_t size;		     /* = sizeof(struct weft_metrics), set by the caller */
	uint64_t created;	     /* since: tasks created */
	uint64_t done;		     /* since: tasks ended, whatever their status */
	uint64_t failed;	     /* since: ended with a negative status, not -ECANCELED */
	uint64_t cancelled;	     /* since: ended with -ECANCELED */
	uint64_t live;		     /* now: created and not ended */
	uint64_t ready;		     /* now: able to run, waiting for a worker */
	uint64_t steals;	     /* since: tasks taken over from another worker */
	uint64_t wakeups;	     /* since: parked workers woken */
	uint64_t switches;	     /* since: changes from one stack to another */
	uint64_t io_submitted;	     /* since: operations handed to the kernel */
	uint64_t io_inflight;	     /* now: operations the kernel has not completed */
	uint64_t sq_full;	     /* since: times a submission queue had no room */
	uint64_t cq_overflow;	     /* since: times a completion queue had no room */
	uint64_t stalls;	     /* since: tasks that held their worker too long */
	uint64_t unobserved;	     /* since: failed tasks nobody looked at */
	uint64_t blocking_live;	     /* now: threads of the blocking pool */
	uint64_t timers;	     /* now: timers armed */
	uint64_t connections;	     /* since: connections weft_serve accepted */
	uint64_t connections_failed; /* since: those whose function returned < 0 */
};

WEFT_EXTERN_C_END

#endif /* WEFT_OBSERVE_H */
