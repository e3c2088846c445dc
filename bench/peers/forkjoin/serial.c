/* SPDX-License-Identifier: MIT */
/*
 * serial - the fork-join questions as plain calls in one thread: what the work itself costs. The calls
 * go through a pointer, since a task's body is not inlined either.
 */
#include "../rounds.h"

#include "../../micro/trees.h"

struct fib {
	unsigned n;
	long result;
};

static void fib(struct fib *f)
{
	void (*volatile call)(struct fib *) = fib;

	if (f->n < 2) {
		f->result = f->n;
		return;
	}
	struct fib a = {.n = f->n - 1}, b = {.n = f->n - 2};

	call(&a);
	fib(&b);
	f->result = a.result + b.result;
}

static double round_fib(size_t n, unsigned workers)
{
	struct fib f = {.n = (unsigned)n}, next = {.n = (unsigned)n + 1};
	double start = rounds_now(), end;

	(void)workers;
	fib(&f);
	end = rounds_now();
	fib(&next);
	return (end - start) / (double)(next.result - 1);
}

struct sky {
	size_t first, leaves, sum;
};

static void sky(struct sky *me)
{
	void (*volatile call)(struct sky *) = sky;

	me->sum = me->leaves == 1 ? me->first : 0;
	for (size_t i = 0; i < 10 && me->leaves > 1; i++) {
		struct sky child = {.leaves = me->leaves / 10};

		child.first = me->first + i * child.leaves;
		call(&child);
		me->sum += child.sum;
	}
}

static double round_sky(size_t n, unsigned workers)
{
	struct sky root = {.leaves = n};
	double start = rounds_now(), end;
	size_t nodes = 0;

	(void)workers;
	sky(&root);
	end = rounds_now();
	rounds_check(root.sum == n * (n - 1) / 2, "skynet sum");
	for (size_t width = n; width; width /= 10)
		nodes += width;
	return (end - start) / (double)nodes;
}

static void visit(struct uts_node *me, enum uts_tree tree)
{
	void (*volatile call)(struct uts_node *, enum uts_tree) = visit;
	unsigned children = uts_children(me, tree);

	me->size = 1;
	for (unsigned i = 0; i < children; i++) {
		struct uts_node child;

		uts_child(&child, me, i);
		call(&child, tree);
		me->size += child.size;
	}
}

static double round_uts(size_t n, enum uts_tree tree, size_t nodes)
{
	double start = rounds_now();

	for (size_t i = 0; i < n; i++) {
		struct uts_node root;

		uts_root(&root, tree);
		visit(&root, tree);
		rounds_check(root.size == nodes, "the tree's size");
	}
	return (rounds_now() - start) / (double)(n * nodes);
}

static double round_t1(size_t n, unsigned workers)
{
	(void)workers;
	return round_uts(n, UTS_T1, UTS_T1_NODES);
}

static double round_t3(size_t n, unsigned workers)
{
	(void)workers;
	return round_uts(n, UTS_T3, UTS_T3_NODES);
}

static void search(struct queens *board, unsigned n)
{
	void (*volatile call)(struct queens *, unsigned) = search;
	struct queens next[QUEENS_MAX];
	unsigned count = board->row == n ? 0 : queens_next(board, next, n);

	board->ways = board->row == n;
	for (unsigned i = 0; i < count; i++) {
		call(&next[i], n);
		board->ways += next[i].ways;
	}
}

static double round_queens(size_t n, unsigned workers)
{
	struct queens board = {0};
	double start = rounds_now();

	(void)workers;
	search(&board, (unsigned)n);
	rounds_check(board.ways == queens_ways(n), "the number of ways");
	return (rounds_now() - start) / 1e6;
}

int main(int argc, char **argv)
{
	static const struct rounds_question questions[] = {
		{"fib", "ns/task", 30, round_fib},
		{"skynet", "ns/node", 1000000, round_sky},
		{"uts_t1", "ns/node", 1, round_t1},
		{"uts_t3", "ns/node", 1, round_t3},
		{"queens", "ms", 12, round_queens},
	};

	return rounds_main(argc, argv, questions, sizeof(questions) / sizeof(*questions));
}
