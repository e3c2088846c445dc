/* SPDX-License-Identifier: MIT */
/*
 * queens - n queens on a board of n by n: every way to fill the next row is a task, so tasks are many
 * and some tens of instructions long. ms.
 */
#include "bench.h"
#include "trees.h"

static unsigned size;

static int search(void *arg)
{
	struct queens *board = arg;
	struct queens next[QUEENS_MAX];
	struct weft_task *task[QUEENS_MAX];
	unsigned count;

	if (board->row == size) {
		board->ways = 1;
		return 0;
	}
	count = queens_next(board, next, size);
	for (unsigned i = 0; i < count; i++)
		task[i] = weft_create_task(search, &next[i]);
	board->ways = 0;
	for (unsigned i = 0; i < count; i++) {
		weft_join(task[i]);
		board->ways += next[i].ways;
	}
	return 0;
}

static double round_of(size_t n)
{
	struct queens board = {0};
	double start = bench_now(), end;

	size = (unsigned)n;
	search(&board);
	end = bench_now();
	bench_check(board.ways == queens_ways(n), "the number of ways");
	return (end - start) / 1e6;
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"queens", "ms", 12, round_of};

	return bench_main(argc, argv, &bench);
}
