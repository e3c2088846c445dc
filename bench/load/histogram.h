/* SPDX-License-Identifier: MIT */
/*
 * histogram - latencies in nanoseconds in buckets whose width is under 1 % of their
 * value, at the price of one count-leading-zeros and one increment. One thread.
 */
#ifndef WEFT_BENCH_LOAD_HISTOGRAM_H
#define WEFT_BENCH_LOAD_HISTOGRAM_H

#include <stdint.h>

enum {
	HISTOGRAM_BITS = 7, /* values below 2^(BITS + 1) are exact */
	HISTOGRAM_SUB = 1 << HISTOGRAM_BITS,
	HISTOGRAM_BUCKETS = (64 - HISTOGRAM_BITS + 1) * HISTOGRAM_SUB,
};

struct histogram {
	uint64_t count;
	uint64_t max;
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

static inline unsigned histogram_index(uint64_t value)
{
	int shift = 63 - __builtin_clzll(value | HISTOGRAM_SUB) - HISTOGRAM_BITS;

	/* value >> shift is in [SUB, 2 SUB) but for the first SUB values. */
	return (unsigned)shift * HISTOGRAM_SUB + (unsigned)(value >> shift);
}

static inline void histogram_add(struct histogram *h, uint64_t value)
{
	h->bucket[histogram_index(value)]++;
	h->count++;
	if (value > h->max)
		h->max = value;
}

/* The largest value of a bucket: a percentile is never reported too low. */
static inline uint64_t histogram_top(unsigned index)
{
	unsigned shift = index < 2 * HISTOGRAM_SUB ? 0 : index / HISTOGRAM_SUB - 1;
	uint64_t base = index - shift * HISTOGRAM_SUB;

	return ((base + 1) << shift) - 1;
}

/* The value at or below which `percent` per cent of the counted ones are; 0 if none. */
static inline uint64_t histogram_percentile(const struct histogram *h, double percent)
{
	uint64_t rank = (uint64_t)((double)h->count * percent / 100.0 + 0.5);
	uint64_t seen = 0;

	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen && seen >= rank)
			return histogram_top(i) < h->max ? histogram_top(i) : h->max;
	}
	return h->max;
}

#endif
