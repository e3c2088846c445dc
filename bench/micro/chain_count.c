/* SPDX-License-Identifier: MIT */
/*
 * chain_count - n CHAINs of ten members each, created chain by chain, all alive at once. ns per link.
 */
#include "bench.h"

#include <stdlib.h>

enum { LINKS = 10 };

static int member(void *arg)
{
	++*(unsigned char *)arg;
	return 0;
}

static double round_of(size_t n)
{
	struct weft_task **last = malloc(n * sizeof(*last));
	unsigned char *ran = calloc(n, 1);
	double start = bench_now(), end;

	for (size_t i = 0; i < n; i++) {
		struct weft_order *order = weft_order_create(WEFT_ORDER_CHAIN, "chain");

		bench_check(order != NULL, "an order");
		for (unsigned j = 1; j < LINKS; j++)
			weft_release(weft_order_create_task(order, member, &ran[i]));
		last[i] = weft_order_create_task(order, member, &ran[i]);
		weft_order_release(order);
	}
	for (size_t i = 0; i < n; i++)
		bench_check(weft_join(last[i]) == 0, "the last member succeeds");
	end = bench_now();
	for (size_t i = 0; i < n; i++)
		bench_check(ran[i] == LINKS, "every member runs once");
	free(ran);
	free(last);
	return (end - start) / (double)(n * LINKS);
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"chain_count", "ns/link", 10000, round_of};

	return bench_main(argc, argv, &bench);
}
