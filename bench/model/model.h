/* SPDX-License-Identifier: MIT */
/*
 * model - many workers in virtual time, on one thread. Who gives, takes, asks, searches, sleeps and is
 * woken is decided by the library's own code (sched/idle, give, share, queue), which each modelled worker
 * calls when its turn comes; the model knows what time each step takes, and whom it makes wait.
 *
 * A cache line that several workers use is a resource that serves one transfer at a time: who has not
 * seen its newest version waits for it. The steps of search.c and run.c are told again here, one
 * victim and one task at a time. Left out: the timers, the kernel's own locks, and
 * that neighbours are nearer than the other socket.
 */
#ifndef WEFT_BENCH_MODEL_H
#define WEFT_BENCH_MODEL_H

#include <stdbool.h>
#include <stdint.h>

/* Nanoseconds, each measured (costs.c) or stated. */
struct model_costs {
	double create, run, join; /* of one task that stays on its worker */
	double hop;               /* a stack makes another ready and is switched from */
	double hit, locked,
		transfer; /* a line that is here; a locked operation on it; one that is not */
	double copy;      /* how soon another may read a line that several read */
	double look;      /* between two looks of a searcher, beside the lines */
	double clock;
	double sleep; /* what it costs a worker to fall asleep and get up */
	double wake_sender,
		wake_after; /* what waking costs the waker; when the woken one runs at the earliest */
	double wake_spread; /* and how much later on average, exponentially */
};

enum model_work {
	MODEL_FIB,
	MODEL_SKYNET,
	MODEL_FLAT,
	MODEL_CHAINS,
	MODEL_PINGS,
	MODEL_ARRIVALS,
	MODEL_WORKS
};

enum model_what_if {
	MODEL_WAKE_TWO = 1, /* the last searcher that finds work wakes two, not one */
	MODEL_SLEEPERS_APART =
		2, /* how many sleep is on a line of its own, which searchers leave alone */
	MODEL_JOIN_ANSWERS = 4, /* a join in place looks whether somebody asks for work */
};

struct model_plan {
	enum model_work work;
	unsigned workers;
	unsigned
		n; /* fib: the number; skynet: levels; else rounds, links, hops, arrivals */
	unsigned width; /* flat: tasks a round; chains: of them; pings: pairs */
	double task_ns; /* what a task computes */
	double gap_ns;  /* arrivals: mean time between two of them, exponential */
	unsigned
		what_if; /* rules that the library does not have, to see what they would do */
};

enum { MODEL_LINES = 6 };
extern const char *const model_line_names[MODEL_LINES];

struct model_result {
	uint64_t tasks,
		runs; /* created; begun: the same, or a task was lost or run twice */
	double time, serial; /* of the whole; what the tasks compute */
	uint64_t steals, wakes, requests, searches, pools, claims;
	uint64_t waits;            /* real runs: how often a lock was held by another */
	double running, searching; /* shares of workers x time */
	double late; /* arrivals, their later half: mean time from arrival to the start */
	double used
		[MODEL_LINES]; /* the share of time in which the line was on its way, of the busiest */
	double moves[MODEL_LINES]; /* how often a task they were, all together */
};

struct model_result model_run(
	const struct model_plan *plan, const struct model_costs *costs);

#endif
