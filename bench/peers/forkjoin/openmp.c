/* SPDX-License-Identifier: MIT */
/*
 * openmp - the fork-join questions as OpenMP tasks: `omp task` for a create, `omp taskwait` for the
 * joins of a node.
 */
#include "../rounds.h"

#include "../../micro/trees.h"

static long fib(unsigned n)
{
	long a, b;

	if (n < 2)
		return n;
#pragma omp task shared(a)
	a = fib(n - 1);
	b = fib(n - 2);
#pragma omp taskwait
	return a + b;
}

static size_t sky(size_t first, size_t leaves)
{
	size_t part[10], sum = 0;

	if (leaves == 1)
		return first;
	for (size_t i = 0; i < 10; i++) {
#pragma omp task shared(part) firstprivate(i)
		part[i] = sky(first + i * (leaves / 10), leaves / 10);
	}
#pragma omp taskwait
	for (size_t i = 0; i < 10; i++)
		sum += part[i];
	return sum;
}

static void visit(struct uts_node *me, enum uts_tree tree)
{
	unsigned children = uts_children(me, tree);
	struct uts_node *child = NULL;

	me->size = 1;
	if (!children)
		return;
	child = (struct uts_node *)malloc(children * sizeof(*child));
	for (unsigned i = 0; i < children; i++) {
		uts_child(&child[i], me, i);
#pragma omp task firstprivate(i)
		visit(&child[i], tree);
	}
#pragma omp taskwait
	for (unsigned i = 0; i < children; i++)
		me->size += child[i].size;
	free(child);
}

static void search(struct queens *board, unsigned n)
{
	struct queens next[QUEENS_MAX];
	unsigned count = board->row == n ? 0 : queens_next(board, next, n);

	board->ways = board->row == n;
	for (unsigned i = 0; i < count; i++) {
#pragma omp task shared(next) firstprivate(i)
		search(&next[i], n);
	}
#pragma omp taskwait
	for (unsigned i = 0; i < count; i++)
		board->ways += next[i].ways;
}

static size_t one_by_one(size_t n)
{
	size_t ran = 0;

	for (size_t i = 0; i < n; i++) {
#pragma omp task shared(ran)
		ran++;
#pragma omp taskwait
	}
	return ran;
}

static size_t batches(size_t n, size_t batch)
{
	unsigned char *ran = (unsigned char *)calloc(batch, 1);
	size_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < batch; j++) {
#pragma omp task firstprivate(j)
			ran[j] = 1;
		}
#pragma omp taskwait
	}
	for (size_t j = 0; j < batch; j++)
		sum += ran[j];
	free(ran);
	return sum;
}

/* Runs `call` as the one thread of a team that creates; gives the ns it took. */
#define TIMED(workers, call)                                                             \
	({                                                                               \
		double start_ = rounds_now();                                            \
		_Pragma("omp parallel num_threads(workers)") _Pragma("omp single") call; \
		rounds_now() - start_;                                                   \
	})

static double round_fib(size_t n, unsigned workers)
{
	long result = 0, a = 0, b = 1;
	double took = TIMED(workers, result = fib((unsigned)n));

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
	double took = TIMED(workers, sum = sky(0, n));

	rounds_check(sum == n * (n - 1) / 2, "skynet sum");
	for (size_t width = n; width; width /= 10)
		nodes += width;
	return took / (double)nodes;
}

static double round_t1(size_t n, unsigned workers)
{
	struct uts_node root;
	double took = 0;

	for (size_t i = 0; i < n; i++) {
		uts_root(&root, UTS_T1);
		took += TIMED(workers, visit(&root, UTS_T1));
		rounds_check(root.size == UTS_T1_NODES, "T1's size");
	}
	return took / (double)(n * UTS_T1_NODES);
}

static double round_t3(size_t n, unsigned workers)
{
	struct uts_node root;
	double took = 0;

	for (size_t i = 0; i < n; i++) {
		uts_root(&root, UTS_T3);
		took += TIMED(workers, visit(&root, UTS_T3));
		rounds_check(root.size == UTS_T3_NODES, "T3's size");
	}
	return took / (double)(n * UTS_T3_NODES);
}

static double round_queens(size_t n, unsigned workers)
{
	struct queens board = {0};
	double took = TIMED(workers, search(&board, (unsigned)n));

	rounds_check(board.ways == queens_ways(n), "the number of ways");
	return took / 1e6;
}

static double round_one_by_one(size_t n, unsigned workers)
{
	size_t ran = 0;
	double took = TIMED(workers, ran = one_by_one(n));

	rounds_check(ran == n, "every task runs");
	return took / (double)n;
}

static double round_batches(size_t n, unsigned workers)
{
	size_t ran = 0;
	double took = TIMED(workers, ran = batches(n, 1000));

	rounds_check(ran == 1000, "every task runs");
	return took / (double)(n * 1000);
}

static double round_gather(size_t n, unsigned workers)
{
	size_t ran = 0;
	double took = TIMED(workers, ran = batches(1, n));

	rounds_check(ran == n, "every task runs");
	return took / (double)n;
}

int main(int argc, char **argv)
{
	static const struct rounds_question questions[] = {
		{"fib", "ns/task", 25, round_fib},
		{"skynet", "ns/node", 100000, round_sky},
		{"create_join", "ns/task", 100000, round_one_by_one},
		{"create_1000_join_1000", "ns/task", 100, round_batches},
		{"create_100k_gather", "ns/task", 20000, round_gather},
		{"uts_t1", "ns/node", 1, round_t1},
		{"uts_t3", "ns/node", 1, round_t3},
		{"queens", "ms", 12, round_queens},
	};

	return rounds_main(argc, argv, questions, sizeof(questions) / sizeof(*questions));
}
