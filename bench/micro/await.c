/* SPDX-License-Identifier: MIT */
/*
 * await - create a task, await it, release it, one by one. Unlike a join, an await must be
 * able to return before the task ends, so the task cannot simply run in place. ns per task.
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

	for (size_t i = 0; i < n; i++) {
		struct weft_task *task = weft_create_task(body, &ran);

		weft_await(task);
		weft_release(task);
	}
	end = bench_now();
	bench_check(ran == n, "every task runs once");
	return (end - start) / (double)n;
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"create_await", "ns/task", 500000, round_of};

	return bench_main(argc, argv, &bench);
}
