/* SPDX-License-Identifier: MIT */
/*
 * random - numbers without meaning: the seed's in a simulation, so that nothing else decides.
 */
#include <weft/sim.h>

#include <errno.h>
#include <sys/random.h>

#include "sched/wait.h"
#include "sched/worker.h"

/* The worker, if a seed decides for it. */
static struct weft_worker *seeded(void)
{
	struct weft_worker *worker = weft_worker_current();

	return worker && weft_unlikely(worker->schedule != NULL) ? worker : NULL;
}

/* A function of its own: a thread-local is not kept across a suspension. */
__attribute__((noinline)) static size_t next_below(size_t n)
{
	static _Thread_local uint64_t state;

	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (size_t)((state >> 33) % n);
}

size_t weft_any_below(size_t n)
{
	struct weft_worker *worker = seeded();

	return worker ? worker->schedule->random(worker->backend_state) % n : next_below(n);
}

uint64_t weft_random(void)
{
	struct weft_worker *worker = seeded();
	uint64_t number = 0;
	int before = errno;

	if (worker)
		return worker->schedule->random(worker->backend_state);
	while (getrandom(&number, sizeof(number), 0) != sizeof(number)) /* ends: it fails only early at boot */
		;
	errno = before;
	return number;
}
