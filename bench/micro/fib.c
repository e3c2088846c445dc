/* SPDX-License-Identifier: MIT */
/*
 * fib - what does a task cost when it is created, and joined by its creator soon after?
 * The naive Fibonacci number: one create, one call and one join a node. ns per task.
 */
#include "bench.h"

struct fib {
	unsigned n;
	long result;
};

static int fib(void *arg)
{
	struct fib *f = arg;

	if (f->n < 2) {
		f->result = f->n;
		return 0;
	}
	struct fib a = {.n = f->n - 1}, b = {.n = f->n - 2};
	struct weft_task *task = weft_create_task(fib, &a);

	fib(&b);
	weft_join(task);
	f->result = a.result + b.result;
	return 0;
}

/* The serial number, and with it how many tasks the tree creates. */
static long fib_iterative(unsigned n)
{
	long a = 0, b = 1;

	while (n--) {
		long next = a + b;

		a = b;
		b = next;
	}
	return a;
}

static double round_of(size_t n)
{
	struct fib f = {.n = (unsigned)n};
	double start = bench_now(), end;

	fib(&f);
	end = bench_now();
	bench_check(f.result == fib_iterative(f.n), "fib");
	return (end - start) / (double)(fib_iterative(f.n + 1) - 1);
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"fib", "ns/task", 30, round_of};

	return bench_main(argc, argv, &bench);
}
