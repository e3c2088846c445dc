/* SPDX-License-Identifier: MIT */
/*
 * fanin - n tasks send 1000 numbers each into one channel of 128 items; one task receives
 * them. ns per number.
 */
#include "bench.h"

enum { EACH = 1000, CAPACITY = 128 };

static int sender(void *arg)
{
	for (size_t i = 1; i <= EACH; i++)
		weft_chan_send(arg, &i);
	return 0;
}

static double round_of(size_t n)
{
	struct weft_chan *chan = weft_chan_create(sizeof(size_t), CAPACITY);
	struct weft_group senders;
	size_t sum = 0;
	double start = bench_now(), end;

	weft_group_begin(&senders, 0);
	for (size_t i = 0; i < n; i++)
		weft_group_spawn(&senders, sender, chan);
	for (size_t i = 0; i < n * EACH; i++) {
		size_t item = 0;

		weft_chan_recv(chan, &item);
		sum += item;
	}
	end = bench_now();
	weft_group_join(&senders);
	bench_check(sum == n * EACH * (EACH + 1) / 2, "each number comes once");
	weft_chan_destroy(chan);
	return (end - start) / (double)(n * EACH);
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"chan_1000x1000", "ns/item", 1000, round_of};

	return bench_main(argc, argv, &bench);
}
