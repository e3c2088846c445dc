/* SPDX-License-Identifier: MIT */
/*
 * yield - two tasks that give way to each other n times each: the price of a turn, a switch
 * from stack to stack included. ns per yield.
 */
#include "bench.h"

static int body(void *arg)
{
	for (size_t left = *(size_t *)arg; left; left--)
		weft_yield();
	return 0;
}

static double round_of(size_t n)
{
	double start = bench_now();
	struct weft_task *a = weft_create_task(body, &n);
	struct weft_task *b = weft_create_task(body, &n);

	weft_await(a);
	weft_await(b);
	weft_release(a);
	weft_release(b);
	return (bench_now() - start) / (2 * (double)n);
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"yield", "ns/yield", 1000000, round_of};

	return bench_main(argc, argv, &bench);
}
