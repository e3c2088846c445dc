/* SPDX-License-Identifier: MIT */
/*
 * observe - what a runtime counts. weft_runtime_metrics (weft/runtime.h) fills it.
 */
#ifndef WEFT_OBSERVE_H
#define WEFT_OBSERVE_H

#include <stddef.h>
#include <stdint.h>

#include <weft/base.h>

WEFT_EXTERN_C_BEGIN

struct weft_metrics {
	size_t size;
	uint64_t created;
	uint64_t done;
	uint64_t failed;
	uint64_t cancelled;
	uint64_t live;
	uint64_t ready;
	uint64_t steals;
	uint64_t wakeups;
	uint64_t switches;
	uint64_t io_submitted;
	uint64_t io_inflight;
	uint64_t sq_full;
	uint64_t cq_overflow;
	uint64_t stalls;
	uint64_t unobserved;
	uint64_t blocking_live;
	uint64_t timers;
	uint64_t connections;
	uint64_t connections_failed;
};

WEFT_EXTERN_C_END

#endif /* WEFT_OBSERVE_H */
