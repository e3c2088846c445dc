/* SPDX-License-Identifier: MIT */
/*
 * trees - the work of the tree benchmarks, apart from who runs it: shared with the peers, so that all
 * do the same. C and C++.
 *
 * UTS, the Unbalanced Tree Search (Olivier et al., LCPC 2006): how many children a node has comes
 * from SHA-1 of the path to it, so nobody can foresee where the work is.
 *   T1: geometric, 4,130,071 nodes:  -t 1 -a 3 -d 10 -b 4 -r 19
 *   T3: binomial, 4,112,897 nodes and 1,572 deep:  -t 0 -b 2000 -q 0.124875 -m 8 -r 42
 * Queens: how many ways there are to put n queens on a board of n by n.
 */
#ifndef WEFT_BENCH_MICRO_TREES_H
#define WEFT_BENCH_MICRO_TREES_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	UTS_T1_NODES = 4130071,
	UTS_T3_NODES = 4112897,
	UTS_T3_ROOT = 2000, /* children of its root; every other node has eight or none */
	UTS_CHILDREN_MAX = 100,
	UTS_DEPTH = 10,
};

enum uts_tree { UTS_T1, UTS_T3 };

struct uts_node {
	uint32_t state[5]; /* big-endian words of a digest */
	unsigned depth;
	size_t size; /* of the subtree, once it has been visited */
};

static inline uint32_t uts_rotate(uint32_t x, int by)
{
	return x << by | x >> (32 - by);
}

/* Twenty rounds with one function; unrolled, so that a to e change places at no cost. */
#define UTS_ROUNDS(from, constant, f)                                                    \
	_Pragma("GCC unroll 20") for (int t = (from); t < (from) + 20; t++)              \
	{                                                                                \
		uint32_t next = uts_rotate(a, 5) + (f) + e + (constant) + w[t];          \
                                                                                         \
		e = d;                                                                   \
		d = c;                                                                   \
		c = uts_rotate(b, 30);                                                   \
		b = a;                                                                   \
		a = next;                                                                \
	}

/* SHA-1 of `words` (5 or 6) big-endian words: always one block. */
static inline void uts_sha1(uint32_t digest[5], const uint32_t *message, unsigned words)
{
	uint32_t a = 0x67452301, b = 0xefcdab89, c = 0x98badcfe, d = 0x10325476,
		 e = 0xc3d2e1f0;
	uint32_t w[80] = {0};

	memcpy(w, message, words * sizeof(*w));
	w[words] = 0x80000000;
	w[15] = words * 32;
	_Pragma("GCC unroll 64") for (int t = 16; t < 80; t++) w[t] =
		uts_rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
	UTS_ROUNDS(0, 0x5a827999, d ^ (b & (c ^ d)))
	UTS_ROUNDS(20, 0x6ed9eba1, b ^ c ^ d)
	UTS_ROUNDS(40, 0x8f1bbcdc, (b & c) | (d & (b | c)))
	UTS_ROUNDS(60, 0xca62c1d6, b ^ c ^ d)
	digest[0] = a + 0x67452301;
	digest[1] = b + 0xefcdab89;
	digest[2] = c + 0x98badcfe;
	digest[3] = d + 0x10325476;
	digest[4] = e + 0xc3d2e1f0;
}

static inline void uts_root(struct uts_node *root, enum uts_tree tree)
{
	uint32_t seed[5] = {0, 0, 0, 0, tree == UTS_T1 ? 19u : 42u};

	root->depth = 0;
	uts_sha1(root->state, seed, 5);
}

static inline unsigned uts_children(const struct uts_node *node, enum uts_tree tree)
{
	double u = (double)(node->state[4] & 0x7fffffff) / 2147483648.0;
	unsigned children;

	if (tree == UTS_T3)
		return node->depth == 0 ? (unsigned)UTS_T3_ROOT : u < 0.124875 ? 8 : 0;
	if (node->depth >= UTS_DEPTH)
		return 0;
	/* A geometric distribution with mean 4. */
	children = (unsigned)floor(log(1 - u) / log(1 - 1.0 / (1 + 4)));
	return children < UTS_CHILDREN_MAX ? children : (unsigned)UTS_CHILDREN_MAX;
}

static inline void uts_child(
	struct uts_node *child, const struct uts_node *parent, unsigned i)
{
	uint32_t message[6];

	memcpy(message, parent->state, sizeof(parent->state));
	message[5] = i;
	uts_sha1(child->state, message, 6);
	child->depth = parent->depth + 1;
}

/* A board on which some rows are filled; a bit a column. */
struct queens {
	uint32_t columns, left, right; /* attacked in the next row */
	unsigned row;
	size_t ways; /* to fill the rest, once it has been searched */
};

enum { QUEENS_MAX = 16 };

/* The boards of the next row: how many; n rows in all. */
static inline unsigned queens_next(
	const struct queens *board, struct queens next[QUEENS_MAX], unsigned n)
{
	uint32_t open = ~(board->columns | board->left | board->right) & ((1u << n) - 1);
	unsigned count = 0;

	for (; open; open &= open - 1) {
		uint32_t bit = open & (0u - open);

		next[count].columns = board->columns | bit;
		next[count].left = (board->left | bit) << 1;
		next[count].right = (board->right | bit) >> 1;
		next[count++].row = board->row + 1;
	}
	return count;
}

/* The known numbers of ways, for n up to 16. */
static inline size_t queens_ways(size_t n)
{
	static const size_t ways[QUEENS_MAX + 1] = {1, 1, 0, 0, 2, 10, 4, 40, 92, 352,
		724, 2680, 14200, 73712, 365596, 2279184, 14772512};

	return n <= QUEENS_MAX ? ways[n] : 0;
}

#endif
