/* SPDX-License-Identifier: MIT */
/*
 * clock - the runtime's clock: the backend's if it brings one, else the system's monotonic one.
 */
#include <weft/task.h>

#include "base/sys.h"
#include "sched/worker.h"

weft_ns weft_now(void)
{
	struct weft_worker *worker = weft_worker_current();

	if (worker && weft_unlikely(worker->backend->clock != NULL))
		return worker->backend->clock(worker->backend_state);
	return weft_sys_clock();
}

weft_ns weft_now_at_most(void)
{
	struct weft_worker *worker = weft_worker_current();

	if (!worker)
		return weft_sys_clock();
	if (weft_unlikely(worker->backend->clock != NULL))
		return worker->backend->clock(worker->backend_state);
	return weft_ticks_now(&worker->ticks);
}
