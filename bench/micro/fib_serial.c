/* SPDX-License-Identifier: MIT */
/*
 * fib_serial - the twin of fib.c with plain calls, through the same kind of argument. It
 * says what the work itself costs. ns per call that would have been a task.
 */
#include "bench.h"

struct fib {
	unsigned n;
	long result;
};

static __attribute__((noinline)) int fib(void *arg)
{
	struct fib *f = arg;

	if (f->n < 2) {
		f->result = f->n;
		return 0;
	}
	struct fib a = {.n = f->n - 1}, b = {.n = f->n - 2};
	int (*volatile call)(void *) = fib;

	call(&a);
	fib(&b);
	f->result = a.result + b.result;
	return 0;
}

static double round_of(size_t n)
{
	struct fib f = {.n = (unsigned)n}, next = {.n = (unsigned)n + 1};
	double start = bench_now(), end;

	fib(&f);
	end = bench_now();
	fib(&next);
	return (end - start) / (double)(next.result - 1);
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"fib_serial", "ns/call", 30, round_of};

	return bench_main(argc, argv, &bench);
}
