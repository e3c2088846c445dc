/* SPDX-License-Identifier: MIT */
/*
 * sim - what the files of this room share: one simulation, which is the state of the only worker's backend.
 *
 * Life:   zeroed by the worker, begun and ended by simulate.c around the worker's loop.
 * Who:    the one thread that runs everything. Nothing here is atomic and nothing is locked.
 *
 * The rooms within: schedule.c decides what runs next; clock.c holds virtual time and what is to happen at
 * which of its moments; draw.c has the seed's numbers, and which faults they bring; trace.c writes down and
 * reads back what was decided; graph.c says in words who waits for what; io.c takes the operations and hands
 * them to the simulated devices (net*.c, file*.c) or to the kernel (real.c).
 */
#ifndef WEFT_LIB_SIM_SIM_H
#define WEFT_LIB_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/base.h>
#include <weft/sim.h>

#include "base/list.h"
#include "sched/backend.h"
#include "sched/frame.h"
#include "sched/timer.h"

struct weft_jobs;
struct weft_runtime;
struct weft_net;
struct weft_sim_graph;
struct weft_sim_pct;
struct weft_sim_trace;

/* -- the seed's numbers (draw.c) ---------------------------------------------------------------- */

/* One stream for each purpose, so that what one of them draws does not move the others. */
struct weft_sim_stream {
	uint64_t state;
};

void weft_sim_stream_init(
	struct weft_sim_stream *stream, uint64_t seed, uint64_t purpose);
uint64_t weft_sim_stream_next(struct weft_sim_stream *stream);

/* -- what is to happen at a moment of virtual time (clock.c) ------------------------------------- */

struct weft_simulation;
struct weft_sim_event {
	struct weft_timer timer;
	/* The moment has come; the event is not pending any more. */
	void (*fire)(struct weft_simulation *sim, struct weft_sim_event *event);
};

/* -- operations (io.c) ---------------------------------------------------------------------------- */

enum { WEFT_SIM_DEVICES = 3 };

struct weft_sim_io {
	void *state[WEFT_SIM_DEVICES];
	struct weft_op **ops; /* under way */
	size_t count, room;
	struct weft_op *submitting;
	bool outside; /* some wait for what the kernel says: to be looked at now and then */
};

enum weft_sim_phase { WEFT_SIM_RUNS, WEFT_SIM_ENDS, WEFT_SIM_OVER };

struct weft_simulation {
	struct weft_runtime *runtime;
	struct weft_sim *config; /* the caller's: read, and its out fields written */
	unsigned faults;
	/* clock.c */
	weft_ns now;
	uint64_t still; /* steps since time last leapt */
	struct weft_wheel events;
	/* draw.c */
	struct weft_sim_stream choices, world, program;
	/* schedule.c */
	int policy;
	bool engine_order; /* FIFO, or the replay of one */
	uint64_t steps, checkpoints;
	uint64_t hash;
	struct weft_sim_pct *pct;
	uint32_t in_a_row;               /* checkpoints of the running stack */
	struct weft_scope_state timeout; /* the deadline that cancel_at makes fire */
	struct weft_sim_graph
		*graph; /* graph.c: where stacks were left; with show_step only */
	/* trace.c */
	struct weft_sim_trace *trace;
	struct weft_sim_io io;
	/* net.c */
	struct weft_net *net;
	/* simulate.c */
	enum weft_sim_phase phase;
	unsigned tellings; /* to all stacks that it ends, in vain */
	uint64_t ends_since; /* the step */
	int verdict; /* 0, -EDEADLK or -ETIME: why it ends, if not by the end of main */
	bool main_ended;
	bool stuck; /* tasks are left that do not end */
};

/* The simulation whose worker this is; NULL: none. Asked anew after each suspension. */
struct weft_simulation *weft_sim_current(void);

/* simulate.c. Nothing can run. */
void weft_sim_idle(void *simulation, struct weft_worker *worker);

extern const struct weft_schedule weft_sim_schedule;
extern const struct weft_backend weft_backend_sim;

/* draw.c. Of the world's stream: any number below n (> 0). */
uint64_t weft_sim_draw(struct weft_simulation *sim, uint64_t n);
/* Does that fault (WEFT_SIM_...) happen here and now? Never when it is not asked for. */
bool weft_sim_fault(struct weft_simulation *sim, unsigned fault);
/* How much of n (> 0) is transferred: all of it, or with WEFT_SIM_PARTIAL perhaps less, at least 1. */
size_t weft_sim_part(struct weft_simulation *sim, size_t n);
/* How long something takes: 0, or with WEFT_SIM_LATENCY some microseconds, seldom milliseconds. */
weft_ns weft_sim_latency(struct weft_simulation *sim);

/* clock.c. Have the event fire at that moment, or at the next look if it is past. Not when it is pending. */
void weft_sim_at(struct weft_simulation *sim, struct weft_sim_event *event, weft_ns when);
/* Harmless on one that is not pending. */
void weft_sim_forget(struct weft_simulation *sim, struct weft_sim_event *event);
static inline bool weft_sim_pending(const struct weft_sim_event *event)
{
	return event->timer.armed;
}
/* Fire the events that are due; how many. */
unsigned weft_sim_fire(struct weft_simulation *sim);
/* A step passes: who only looks at the clock sees it move in the end. */
void weft_sim_creep(struct weft_simulation *sim);
/* Leap to the next moment at which something happens, and let it. False: nothing ever will. */
bool weft_sim_leap(struct weft_simulation *sim);

/* schedule.c. What has happened becomes part of trace_hash. */
void weft_sim_mix(struct weft_simulation *sim, uint64_t what);

/* threads.c. For weft_jobs_simulate: a task takes the place of a thread of the pool. */
int weft_sim_start_thread(struct weft_jobs *jobs);

/* simulate.c. Tasks are left that do not end: stop all the same. */
void weft_sim_give_up(struct weft_simulation *sim);
/* simulate.c. The runtime begins to end, for that reason. */
void weft_sim_end(struct weft_simulation *sim, int verdict);
/* Something was left open, or is odd: WEFT_REPORT_LEAK, WEFT_REPORT_MISUSE ... */
void weft_sim_report(struct weft_simulation *sim, int kind, int status, const char *text);

#endif
