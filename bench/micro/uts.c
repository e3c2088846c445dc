/* SPDX-License-Identifier: MIT */
/*
 * uts - the Unbalanced Tree Search, tree T1 (trees.h): a task per node, and nobody can foresee where
 * the work is. n rounds of the tree; ns per node.
 */
#include "bench.h"
#include "trees.h"

static int visit(void *arg)
{
	struct uts_node *me = arg;
	struct uts_node child[UTS_CHILDREN_MAX];
	struct weft_task *task[UTS_CHILDREN_MAX];
	unsigned children = uts_children(me, UTS_T1);

	for (unsigned i = 0; i < children; i++) {
		uts_child(&child[i], me, i);
		task[i] = weft_create_task(visit, &child[i]);
	}
	me->size = 1;
	for (unsigned i = 0; i < children; i++) {
		weft_join(task[i]);
		me->size += child[i].size;
	}
	return 0;
}

static double round_of(size_t n)
{
	double start = bench_now();

	for (size_t i = 0; i < n; i++) {
		struct uts_node root;

		uts_root(&root, UTS_T1);
		visit(&root);
		bench_check(root.size == UTS_T1_NODES, "T1 has 4130071 nodes");
	}
	return (bench_now() - start) / (double)(n * UTS_T1_NODES);
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"uts_t1", "ns/node", 1, round_of};

	return bench_main(argc, argv, &bench);
}
