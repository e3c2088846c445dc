/* SPDX-License-Identifier: MIT */
/*
 * wheel - the timers alone, without tasks that sleep (timers.c has those): n of them, each in an object of two
 * cache lines, are armed for an hour and a different while each, and disarmed in that order, or in another.
 * The library's own structure, under no lock. ns per timer.
 */
#include "bench.h"

#include <stdlib.h>

#include "sched/timer.h"

enum { STRIDE = 7919 }; /* prime to n, which is a power of ten */

struct object {
	_Alignas(64) struct weft_timer timer;
	char rest[64];
};

static struct weft_wheel wheel;

static void arm_all(struct object *objects, size_t n)
{
	for (size_t i = 0; i < n; i++)
		weft_wheel_arm(&wheel, &objects[i].timer,
			weft_now() + WEFT_SEC(3600) + WEFT_MS(i * STRIDE % 100003));
}

static void disarm_all(struct object *objects, size_t n, size_t stride)
{
	for (size_t i = 0; i < n; i++)
		weft_wheel_disarm(&wheel, &objects[i * stride % n].timer);
	bench_check(weft_wheel_next(&wheel) == WEFT_FOREVER, "none is left");
}

int main(int argc, char **argv)
{
	struct bench_options options = bench_parse(argc, argv);
	size_t n = options.n ? options.n : 1000000;
	struct object *objects = aligned_alloc(64, n * sizeof(*objects));
	double arm[BENCH_ROUNDS_MAX + 1], in_order[BENCH_ROUNDS_MAX + 1], in_another[BENCH_ROUNDS_MAX + 1];

	bench_check(objects != NULL, "memory");
	weft_wheel_init(&wheel, weft_now());
	for (unsigned round = 0; round <= options.rounds; round++) {
		double begin, armed, disarmed;

		for (size_t i = 0; i < n; i++)
			objects[i].timer = (struct weft_timer){.armed = 0};
		begin = bench_now();
		arm_all(objects, n);
		armed = bench_now();
		disarm_all(objects, n, 1);
		disarmed = bench_now();
		arm[round] = (armed - begin) / (double)n;
		in_order[round] = (disarmed - armed) / (double)n;
		arm_all(objects, n);
		begin = bench_now();
		disarm_all(objects, n, STRIDE);
		in_another[round] = (bench_now() - begin) / (double)n;
	}
	free(objects);
	/* The first round touched the memory. */
	bench_print("wheel_arm", 1, arm + 1, options.rounds, "ns/timer");
	bench_print("wheel_disarm", 1, in_order + 1, options.rounds, "ns/timer");
	bench_print("wheel_disarm_shuffled", 1, in_another + 1, options.rounds, "ns/timer");
	return 0;
}
