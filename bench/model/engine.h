/* SPDX-License-Identifier: MIT */
/*
 * engine - what engine.c and works.c share; see model.h.
 */
#ifndef WEFT_BENCH_MODEL_ENGINE_H
#define WEFT_BENCH_MODEL_ENGINE_H

#include "model.h"
#include "sched/worker.h"

/* How far an actor goes in one turn: what others did meanwhile it sees that much too late. */
enum { QUANTUM_NS = 100 };

/* Between the monitor's looks: while some sleep and some work, and otherwise. */
enum { LOOK_NS = 500000, LOOK_SELDOM_NS = 5000000 };

/* Three that all share, three of each worker, and the one of MODEL_SLEEPERS_APART. */
enum {
	LINE_IDLE,
	LINE_INJECT,
	LINE_POOLS,
	LINE_ATTENTION,
	LINE_HEAD,
	LINE_TAIL,
	LINE_SLEEPERS
};

enum state { BUSY, IDLE_BEGINS, IDLE_LOOKS, IDLE_WOKEN, ASLEEP };

struct line {
	double free_at; /* when it has arrived where it is going */
	double used;
	uint64_t moves;
	uint32_t version, owner, readers;
};

struct fiber;

/* A worker, or the last one, who brings work from outside. */
struct actor {
	struct model *model;
	struct weft_worker *worker;
	unsigned index;
	enum state state;
	double clock, idle_since;
	unsigned looks, left,
		victim;   /* of the round of a search: victims left, from which */
	struct fiber *on; /* the stack that runs */
	unsigned descriptors, stacks; /* free ones kept here */
	uint64_t turns, turns_seen;   /* of the loop; by the monitor */
};

struct model {
	struct model_plan plan;
	struct model_costs costs;
	struct weft_runtime runtime;
	struct weft_worker *workers;
	struct actor monitor, *actors, **heap,
		*now; /* now: on whose behalf the library is called */
	unsigned count, awake;
	struct line *lines;
	uint32_t *seen; /* the version of each line that each actor has */
	unsigned line_count;
	uint64_t live, random, late_ones;
	double running, searching;
	struct model_result result;
	struct job *free_jobs, *all_jobs;
	struct fiber *free_fibers, *all_fibers;
	unsigned to_come;
};

static inline uint64_t model_random(struct model *model)
{
	model->random ^= model->random << 13;
	model->random ^= model->random >> 7;
	model->random ^= model->random << 17;
	return model->random >> 16;
}

double model_exponential(struct model *model, double mean);
double model_touch(struct model *model, struct actor *actor, unsigned kind, unsigned of,
	bool change);
void model_offer(struct actor *actor);
void model_service(struct actor *actor);
void model_pool(struct actor *actor);
void model_inject(struct model *model, struct actor *by, struct weft_task *task);

/* works.c */
void model_works_begin(struct model *model);
void model_works_finish(struct model *model);
void model_start(struct actor *actor, struct weft_task *task);
void model_resume(struct actor *actor, struct weft_stack *stack);
void model_step(struct actor *actor);
void model_arrive(struct actor *client);

#endif
