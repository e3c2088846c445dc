/* SPDX-License-Identifier: MIT */
/*
 * draw - the seed's numbers, and what they bring upon the simulated world.
 *
 * Each stream is splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).
 */
#include "sim/sim.h"

enum {
	FAULT_ODDS = 16,   /* one in so many, where a fault may happen */
	PARTIAL_ODDS = 2,  /* ... a transfer is cut */
	SLOW_ODDS = 32,    /* ... steps, time passes beside */
	LATENCY_LONG = 32, /* one in so many takes long */
};

static const weft_ns LATENCY_USUAL = WEFT_MS(0.1);
static const weft_ns LATENCY_LONGEST = WEFT_MS(20);

static uint64_t scramble(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

void weft_sim_stream_init(struct weft_sim_stream *stream, uint64_t seed, uint64_t purpose)
{
	stream->state = scramble(seed + UINT64_C(0x9e3779b97f4a7c15) * (purpose + 1));
}

uint64_t weft_sim_stream_next(struct weft_sim_stream *stream)
{
	stream->state += UINT64_C(0x9e3779b97f4a7c15);
	return scramble(stream->state);
}

uint64_t weft_sim_draw(struct weft_simulation *sim, uint64_t n)
{
	return weft_sim_stream_next(&sim->world) % n;
}

bool weft_sim_fault(struct weft_simulation *sim, unsigned fault)
{
	unsigned odds = fault == WEFT_SIM_PARTIAL ? PARTIAL_ODDS
			: fault == WEFT_SIM_SLOW  ? SLOW_ODDS
						  : FAULT_ODDS;

	return sim->faults & fault && weft_sim_draw(sim, odds) == 0;
}

size_t weft_sim_part(struct weft_simulation *sim, size_t n)
{
	return n > 1 && weft_sim_fault(sim, WEFT_SIM_PARTIAL)
		       ? 1 + weft_sim_draw(sim, n - 1)
		       : n;
}

weft_ns weft_sim_latency(struct weft_simulation *sim)
{
	weft_ns longest = LATENCY_USUAL;

	if (!(sim->faults & WEFT_SIM_LATENCY))
		return 0;
	if (weft_sim_draw(sim, LATENCY_LONG) == 0)
		longest = LATENCY_LONGEST;
	return 1 + (weft_ns)weft_sim_draw(sim, (uint64_t)longest);
}
