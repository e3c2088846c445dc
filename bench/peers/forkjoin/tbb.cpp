/* SPDX-License-Identifier: MIT */
/*
 * tbb - the fork-join questions with oneTBB: task_group::run for a create, wait for the joins of a
 * node.
 */
#include "../rounds.h"

#include <memory>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>
#include <vector>

#include "../../micro/trees.h"

/* Runs `work` in an arena of that many threads, this one among them; gives the ns it took. */
template <typename Work> static double timed(unsigned workers, Work work)
{
	static tbb::global_control limit(
		tbb::global_control::max_allowed_parallelism, workers);
	static tbb::task_arena arena((int)workers);
	double start = 0, end = 0;

	arena.execute([&] {
		start = rounds_now();
		work();
		end = rounds_now();
	});
	return end - start;
}

static long fib(unsigned n)
{
	long a = 0, b;

	if (n < 2)
		return n;
	tbb::task_group group;

	group.run([&] { a = fib(n - 1); });
	b = fib(n - 2);
	group.wait();
	return a + b;
}

static size_t sky(size_t first, size_t leaves)
{
	size_t part[10], sum = 0;

	if (leaves == 1)
		return first;
	tbb::task_group group;

	for (size_t i = 0; i < 10; i++)
		group.run([&part, i, first, leaves] {
			part[i] = sky(first + i * (leaves / 10), leaves / 10);
		});
	group.wait();
	for (size_t one : part)
		sum += one;
	return sum;
}

static void visit(uts_node *me, uts_tree tree)
{
	unsigned children = uts_children(me, tree);

	me->size = 1;
	if (!children)
		return;
	std::unique_ptr<uts_node[]> child(new uts_node[children]);
	tbb::task_group group;

	for (unsigned i = 0; i < children; i++) {
		uts_child(&child[i], me, i);
		group.run([&child, i, tree] { visit(&child[i], tree); });
	}
	group.wait();
	for (unsigned i = 0; i < children; i++)
		me->size += child[i].size;
}

static void search(queens *board, unsigned n)
{
	queens next[QUEENS_MAX];
	unsigned count = board->row == n ? 0 : queens_next(board, next, n);

	board->ways = board->row == n;
	if (!count)
		return;
	tbb::task_group group;

	for (unsigned i = 0; i < count; i++)
		group.run([&next, i, n] { search(&next[i], n); });
	group.wait();
	for (unsigned i = 0; i < count; i++)
		board->ways += next[i].ways;
}

static double round_fib(size_t n, unsigned workers)
{
	long result = 0, a = 0, b = 1;
	double took = timed(workers, [&] { result = fib((unsigned)n); });

	for (size_t i = 0; i <= n; i++) {
		long next = a + b;

		a = b;
		b = next;
	}
	rounds_check(result == b - a, "fib");
	return took / (double)(a - 1);
}

static double round_sky(size_t n, unsigned workers)
{
	size_t sum = 0, nodes = 0;
	double took = timed(workers, [&] { sum = sky(0, n); });

	rounds_check(sum == n * (n - 1) / 2, "skynet sum");
	for (size_t width = n; width; width /= 10)
		nodes += width;
	return took / (double)nodes;
}

static double round_uts(size_t n, unsigned workers, uts_tree tree, size_t nodes)
{
	double took = 0;

	for (size_t i = 0; i < n; i++) {
		uts_node root;

		uts_root(&root, tree);
		took += timed(workers, [&] { visit(&root, tree); });
		rounds_check(root.size == nodes, "the tree's size");
	}
	return took / (double)(n * nodes);
}

static double round_t1(size_t n, unsigned workers)
{
	return round_uts(n, workers, UTS_T1, UTS_T1_NODES);
}

static double round_t3(size_t n, unsigned workers)
{
	return round_uts(n, workers, UTS_T3, UTS_T3_NODES);
}

static double round_queens(size_t n, unsigned workers)
{
	queens board = {};
	double took = timed(workers, [&] { search(&board, (unsigned)n); });

	rounds_check(board.ways == queens_ways(n), "the number of ways");
	return took / 1e6;
}

static double round_one_by_one(size_t n, unsigned workers)
{
	size_t ran = 0;
	double took = timed(workers, [&] {
		tbb::task_group group;

		for (size_t i = 0; i < n; i++) {
			group.run([&ran] { ran++; });
			group.wait();
		}
	});

	rounds_check(ran == n, "every task runs");
	return took / (double)n;
}

static double batches(size_t n, size_t batch, unsigned workers)
{
	std::vector<unsigned char> ran(batch);
	size_t sum = 0;
	double took = timed(workers, [&] {
		tbb::task_group group;

		for (size_t i = 0; i < n; i++) {
			for (size_t j = 0; j < batch; j++)
				group.run([&ran, j] { ran[j] = 1; });
			group.wait();
		}
	});

	for (unsigned char one : ran)
		sum += one;
	rounds_check(sum == batch, "every task runs");
	return took / (double)(n * batch);
}

static double round_batches(size_t n, unsigned workers)
{
	return batches(n, 1000, workers);
}

static double round_gather(size_t n, unsigned workers)
{
	return batches(1, n, workers);
}

int main(int argc, char **argv)
{
	static const rounds_question questions[] = {
		{"fib", "ns/task", 30, round_fib},
		{"skynet", "ns/node", 1000000, round_sky},
		{"create_join", "ns/task", 1000000, round_one_by_one},
		{"create_1000_join_1000", "ns/task", 1000, round_batches},
		{"create_100k_gather", "ns/task", 100000, round_gather},
		{"uts_t1", "ns/node", 1, round_t1},
		{"uts_t3", "ns/node", 1, round_t3},
		{"queens", "ms", 12, round_queens},
	};

	return rounds_main(argc, argv, questions, sizeof(questions) / sizeof(*questions));
}
