/* SPDX-License-Identifier: MIT */
/*
 * uts_deep - the Unbalanced Tree Search, tree T3 (trees.h): 1,572 deep, most nodes without children,
 * and no saying which subtree is the large one. n rounds of the tree; ns per node.
 */
#include "bench.h"
#include "trees.h"

static void visit_children(struct uts_node *me, struct uts_node *child,
	struct weft_task **task, unsigned children);

static int visit(void *arg)
{
	struct uts_node child[8];
	struct weft_task *task[8];

	visit_children(arg, child, task, uts_children(arg, UTS_T3));
	return 0;
}

static void visit_children(struct uts_node *me, struct uts_node *child,
	struct weft_task **task, unsigned children)
{
	for (unsigned i = 0; i < children; i++) {
		uts_child(&child[i], me, i);
		task[i] = weft_create_task(visit, &child[i]);
	}
	me->size = 1;
	for (unsigned i = 0; i < children; i++) {
		weft_join(task[i]);
		me->size += child[i].size;
	}
}

static double round_of(size_t n)
{
	static struct uts_node child[UTS_T3_ROOT];
	static struct weft_task *task[UTS_T3_ROOT];
	double start = bench_now();

	for (size_t i = 0; i < n; i++) {
		struct uts_node root;

		uts_root(&root, UTS_T3);
		visit_children(&root, child, task, uts_children(&root, UTS_T3));
		bench_check(root.size == UTS_T3_NODES, "T3 has 4112897 nodes");
	}
	return (bench_now() - start) / (double)(n * UTS_T3_NODES);
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"uts_t3", "ns/node", 1, round_of};

	return bench_main(argc, argv, &bench);
}
