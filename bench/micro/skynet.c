/* SPDX-License-Identifier: MIT */
/*
 * skynet - a tree of tasks, ten children each, that adds up the numbers of its leaves: is
 * run order depth first, and what does a node cost? n leaves; ns per node.
 */
#include "bench.h"

struct node {
	size_t first, leaves;
	size_t sum;
};

static int node(void *arg)
{
	struct node *me = arg;
	struct node child[10];
	struct weft_task *task[10];

	if (me->leaves == 1) {
		me->sum = me->first;
		return 0;
	}
	for (size_t i = 0; i < 10; i++) {
		child[i].leaves = me->leaves / 10;
		child[i].first = me->first + i * child[i].leaves;
		task[i] = weft_create_task(node, &child[i]);
	}
	me->sum = 0;
	for (size_t i = 0; i < 10; i++) {
		weft_join(task[i]);
		me->sum += child[i].sum;
	}
	return 0;
}

static double round_of(size_t n)
{
	struct node root = {.leaves = n};
	size_t nodes = 0;
	double start = bench_now(), end;

	node(&root);
	end = bench_now();
	bench_check(root.sum == n * (n - 1) / 2, "skynet sum; n must be a power of ten");
	for (size_t width = n; width; width /= 10)
		nodes += width;
	return (end - start) / (double)nodes;
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"skynet", "ns/node", 1000000, round_of};

	return bench_main(argc, argv, &bench);
}
