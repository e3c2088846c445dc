/* SPDX-License-Identifier: MIT */
/*
 * timeout - a deadline is begun and ended again without having fired, around a call that
 * looks at it: what every guarded step of a server pays. ns per deadline.
 */
#include "bench.h"

static double round_of(size_t n)
{
	struct weft_scope scope;
	double start = bench_now(), end;
	int fired = 0;

	for (size_t i = 0; i < n; i++) {
		weft_deadline_begin(&scope, WEFT_SEC(60));
		fired |= weft_checkpoint();
		fired |= weft_scope_end(&scope);
	}
	end = bench_now();
	bench_check(!fired, "a minute has not passed");
	return (end - start) / (double)n;
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"timeout", "ns/deadline", 1000000, round_of};

	return bench_main(argc, argv, &bench);
}
