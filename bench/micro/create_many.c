/* SPDX-License-Identifier: MIT */
/*
 * create_many - create 1000 tasks, then join them in the order they were created, n times
 * over. ns per task.
 */
#include "bench.h"

enum { BATCH = 1000 };

static int body(void *arg)
{
	++*(unsigned char *)arg;
	return 0;
}

static double round_of(size_t n)
{
	static unsigned char ran[BATCH];
	static struct weft_task *tasks[BATCH];
	double start = bench_now(), end;
	unsigned char times = (unsigned char)(ran[0] + n);

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < BATCH; j++)
			tasks[j] = weft_create_task(body, &ran[j]);
		for (size_t j = 0; j < BATCH; j++)
			weft_join(tasks[j]);
	}
	end = bench_now();
	for (size_t j = 0; j < BATCH; j++)
		bench_check(ran[j] == times, "every task runs once");
	return (end - start) / (double)(n * BATCH);
}

int main(int argc, char **argv)
{
	static const struct bench bench = {
		"create_1000_join_1000", "ns/task", 1000, round_of};

	return bench_main(argc, argv, &bench);
}
