/* SPDX-License-Identifier: MIT */
/*
 * uts - the Unbalanced Tree Search, tree T1: geometric, 4,130,071 nodes whose number of
 * children comes from SHA-1 of the path, so no worker can foresee where the work is. A task
 * per node; n rounds of the tree; ns per node.
 *
 * Follows the published benchmark (Olivier et al., LCPC 2006): -t 1 -a 3 -d 10 -b 4 -r 19.
 */
#include "bench.h"

#include <math.h>
#include <string.h>

enum { SEED = 19, DEPTH = 10, CHILDREN_MAX = 100, NODES = 4130071 };

struct node {
	uint32_t state[5]; /* big-endian words of a digest */
	unsigned depth;
	size_t size; /* of the subtree, once its task has ended */
};

static uint32_t rotate(uint32_t x, int by)
{
	return x << by | x >> (32 - by);
}

/* Twenty rounds with one function; unrolled, so that a to e change places at no cost. */
#define ROUNDS(from, constant, f)                                                        \
	_Pragma("GCC unroll 20") for (int t = (from); t < (from) + 20; t++)              \
	{                                                                                \
		uint32_t next = rotate(a, 5) + (f) + e + (constant) + w[t];              \
                                                                                         \
		e = d;                                                                   \
		d = c;                                                                   \
		c = rotate(b, 30);                                                       \
		b = a;                                                                   \
		a = next;                                                                \
	}

/* SHA-1 of `words` (5 or 6) big-endian words: always one block. */
static void sha1(uint32_t digest[5], const uint32_t *message, unsigned words)
{
	uint32_t a = 0x67452301, b = 0xefcdab89, c = 0x98badcfe, d = 0x10325476,
		 e = 0xc3d2e1f0;
	uint32_t w[80] = {0};

	memcpy(w, message, words * sizeof(*w));
	w[words] = 0x80000000;
	w[15] = words * 32;
	_Pragma("GCC unroll 64") for (int t = 16; t < 80; t++) w[t] =
		rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
	ROUNDS(0, 0x5a827999, d ^ (b & (c ^ d)))
	ROUNDS(20, 0x6ed9eba1, b ^ c ^ d)
	ROUNDS(40, 0x8f1bbcdc, (b & c) | (d & (b | c)))
	ROUNDS(60, 0xca62c1d6, b ^ c ^ d)
	digest[0] = a + 0x67452301;
	digest[1] = b + 0xefcdab89;
	digest[2] = c + 0x98badcfe;
	digest[3] = d + 0x10325476;
	digest[4] = e + 0xc3d2e1f0;
}

static unsigned children_of(const struct node *node)
{
	double u = (double)(node->state[4] & 0x7fffffff) / 2147483648.0;
	unsigned children;

	if (node->depth >= DEPTH)
		return 0;
	/* A geometric distribution with mean 4. */
	children = (unsigned)floor(log(1 - u) / log(1 - 1.0 / (1 + 4)));
	return children < CHILDREN_MAX ? children : CHILDREN_MAX;
}

static int visit(void *arg)
{
	struct node *me = arg;
	struct node child[CHILDREN_MAX];
	struct weft_task *task[CHILDREN_MAX];
	uint32_t message[6];
	unsigned children = children_of(me);

	memcpy(message, me->state, sizeof(me->state));
	for (unsigned i = 0; i < children; i++) {
		message[5] = i;
		sha1(child[i].state, message, 6);
		child[i].depth = me->depth + 1;
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
	static const uint32_t seed[5] = {0, 0, 0, 0, SEED};
	double start = bench_now();

	for (size_t i = 0; i < n; i++) {
		struct node root = {.depth = 0};

		sha1(root.state, seed, 5);
		visit(&root);
		bench_check(root.size == NODES, "T1 has 4130071 nodes");
	}
	return (bench_now() - start) / (double)(n * NODES);
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"uts_t1", "ns/node", 1, round_of};

	return bench_main(argc, argv, &bench);
}
