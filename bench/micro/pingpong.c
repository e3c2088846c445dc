/* SPDX-License-Identifier: MIT */
/*
 * pingpong - two tasks, two channels of one item, one number that goes back and forth n
 * times. ns per round trip: two sends, two receives, two hand-overs.
 */
#include "bench.h"

struct table {
	struct weft_chan *there, *back;
};

static int pong(void *arg)
{
	struct table *table = arg;
	size_t ball;

	while (weft_chan_recv(table->there, &ball) == 1) {
		ball++;
		weft_chan_send(table->back, &ball);
	}
	return 0;
}

static double round_of(size_t n)
{
	struct table table = {
		.there = weft_chan_create(sizeof(size_t), 1),
		.back = weft_chan_create(sizeof(size_t), 1),
	};
	struct weft_task *task = weft_create_task(pong, &table);
	size_t ball = 0;
	double start = bench_now(), end;

	for (size_t i = 0; i < n; i++) {
		weft_chan_send(table.there, &ball);
		weft_chan_recv(table.back, &ball);
	}
	end = bench_now();
	bench_check(ball == n, "each trip adds one");
	weft_chan_close(table.there);
	weft_join(task);
	weft_chan_destroy(table.there);
	weft_chan_destroy(table.back);
	return (end - start) / (double)n;
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"pingpong", "ns/trip", 300000, round_of};

	return bench_main(argc, argv, &bench);
}
