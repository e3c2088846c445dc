/* SPDX-License-Identifier: MIT */
/*
 * timers - n tasks sleep, for an hour and a different while each, and are then cancelled in
 * creation order: what do a timer and its task cost to arm, and to cancel and join, with n
 * of them alive? ns per timer, after a round that made the stacks.
 */
#include "bench.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

static double cancel_ns[BENCH_ROUNDS_MAX + 1];
static size_t rounds;
static atomic_size_t asleep;

static int sleeper(void *arg)
{
	size_t *index = arg;

	asleep++;
	return weft_sleep(WEFT_SEC(3600) + WEFT_MS(*index * 7919 % 100003));
}

static double round_of(size_t n)
{
	struct weft_task **tasks = malloc(n * sizeof(*tasks));
	size_t *index = malloc(n * sizeof(*index));
	double start = bench_now(), armed, end;

	asleep = 0;
	for (size_t i = 0; i < n; i++) {
		index[i] = i;
		tasks[i] = weft_create_task(sleeper, &index[i]);
	}
	while (asleep < n)
		weft_yield();
	armed = bench_now();
	for (size_t i = 0; i < n; i++)
		weft_cancel(tasks[i]);
	bench_check(weft_gather(tasks, n, NULL, WEFT_GATHER_ALL) == 0, "gather all");
	end = bench_now();
	for (size_t i = 0; i < n; i++)
		bench_check(
			weft_status(tasks[i]) == -ECANCELED, "sleepers are cancelled");
	weft_release_all(tasks, n);
	free(index);
	free(tasks);
	cancel_ns[rounds++] = (end - armed) / (double)n;
	return (armed - start) / (double)n;
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"timers_create", "ns/timer", 100000, round_of};
	int rc = bench_main(argc, argv, &bench);

	if (rc == 0)
		bench_print("timers_cancel", bench_parse(argc, argv).workers,
			cancel_ns + 1, (unsigned)rounds - 1, "ns/timer");
	return rc;
}
