/* SPDX-License-Identifier: MIT */
/*
 * gather - create n tasks, gather them all, release them. ns per task.
 */
#include "bench.h"

#include <stdlib.h>

static int body(void *arg)
{
	*(unsigned char *)arg = 1;
	return 0;
}

static double round_of(size_t n)
{
	struct weft_task **tasks = malloc(n * sizeof(*tasks));
	unsigned char *ran = calloc(n, 1);
	double start = bench_now(), end;

	for (size_t i = 0; i < n; i++)
		tasks[i] = weft_create_task(body, &ran[i]);
	bench_check(weft_gather(tasks, n, NULL, 0) == 0, "gather succeeds");
	weft_release_all(tasks, n);
	end = bench_now();
	for (size_t i = 0; i < n; i++)
		bench_check(ran[i], "every task runs");
	free(ran);
	free(tasks);
	return (end - start) / (double)n;
}

int main(int argc, char **argv)
{
	static const struct bench bench = {
		"create_100k_gather", "ns/task", 100000, round_of};

	return bench_main(argc, argv, &bench);
}
