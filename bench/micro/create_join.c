/* SPDX-License-Identifier: MIT */
/*
 * create_join - what does it cost to create a task and join it at once, one by one? ns per
 * task.
 */
#include "bench.h"

static int body(void *arg)
{
	++*(size_t *)arg;
	return 0;
}

static double round_of(size_t n)
{
	double start = bench_now(), end;
	size_t ran = 0;

	for (size_t i = 0; i < n; i++)
		weft_join(weft_create_task(body, &ran));
	end = bench_now();
	bench_check(ran == n, "every task runs once");
	return (end - start) / (double)n;
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"create_join", "ns/task", 1000000, round_of};

	return bench_main(argc, argv, &bench);
}
