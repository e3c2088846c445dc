/* SPDX-License-Identifier: MIT */
/*
 * simulate - weft_simulate: a runtime with one worker, whose loop runs on the calling thread, on the backend and
 * by the schedule of lib/sim.
 *
 * It ends like weft_run: main has ended (or nothing can run any more), the tasks that are left are cancelled and
 * waited for; then what is left over is told: tasks, handles, descriptors.
 */
#include <weft/sim.h>

#include <errno.h>
#include <string.h>

#include "blocking/jobs.h"
#include "io/io.h"
#include "runtime.h"
#include "sched/frame.h"
#include "sim/graph.h"
#include "sim/io.h"
#include "sim/net.h"
#include "sim/pct.h"
#include "sim/sim.h"
#include "sim/trace.h"

static const weft_ns BEGINNING = WEFT_SEC(1000); /* of virtual time */

enum { TELLINGS = 3 }; /* a task that was just starting may have missed the first */

/* -- reports ----------------------------------------------------------------------------------- */

void weft_sim_report(struct weft_simulation *sim, int kind, int status, const char *text)
{
	weft_report_text(sim->runtime, kind, status, text);
}

static void report_handle(const struct weft_task *task, void *arg)
{
	struct weft_simulation *sim = arg;

	weft_report_named(sim->runtime, WEFT_REPORT_LEAK, weft_name(task), task->site,
		task->status, "has ended, but a handle of it was never released");
}

/* -- the end ----------------------------------------------------------------------------------- */

struct main_watch {
	struct weft_watcher watcher;
	struct weft_watch watch;
	struct weft_simulation *sim;
};

static void main_ended(
	struct weft_watcher *watcher, struct weft_watch *watch, struct weft_task *task)
{
	struct main_watch *self = weft_container_of(watcher, struct main_watch, watcher);

	(void)watch, (void)task;
	self->sim->main_ended = true;
}

void weft_sim_end(struct weft_simulation *sim, int verdict)
{
	if (verdict == -EDEADLK)
		weft_sim_graph_report(sim, WEFT_REPORT_DEADLOCK, verdict,
			"all tasks are blocked for good:");
	else if (verdict < 0)
		weft_sim_graph_report(
			sim, WEFT_REPORT_MISUSE, verdict, "steps_max is reached:");
	sim->phase = WEFT_SIM_ENDS;
	sim->verdict = verdict;
	sim->ends_since = sim->steps;
	weft_runtime_begin_stop(
		sim->runtime, verdict ? WEFT_STOPPING_QUIETLY : WEFT_STOPPING);
	weft_runtime_tell_stacks(sim->runtime);
}

void weft_sim_give_up(struct weft_simulation *sim)
{
	sim->stuck = !weft_runtime_all_ended(sim->runtime);
	sim->phase = WEFT_SIM_OVER;
	weft_store_release(&sim->runtime->exiting, 1);
}

/* Nothing can happen any more, whatever time it is. */
static void come_to_rest(struct weft_simulation *sim)
{
	if (sim->phase == WEFT_SIM_RUNS) {
		weft_sim_end(sim, sim->main_ended ? 0 : -EDEADLK);
		return;
	}
	if (!weft_runtime_all_ended(sim->runtime) && ++sim->tellings < TELLINGS) {
		weft_runtime_tell_stacks(sim->runtime);
		return;
	}
	weft_sim_give_up(sim);
}

void weft_sim_idle(void *simulation, struct weft_worker *worker)
{
	struct weft_simulation *sim = simulation;

	weft_worker_service(worker);
	if (!weft_queue_empty(&worker->queue))
		return;
	if (sim->main_ended && sim->phase == WEFT_SIM_RUNS)
		weft_sim_end(sim, 0);
	else if (sim->phase == WEFT_SIM_ENDS && weft_runtime_all_ended(sim->runtime))
		weft_sim_give_up(sim);
	else if (!weft_sim_look_outside(sim, false) && !weft_sim_leap(sim) &&
		 !weft_sim_look_outside(sim, true))
		come_to_rest(sim);
}

/* -- the beginning ----------------------------------------------------------------------------- */

static const size_t LEAST_SIZE = offsetof(struct weft_sim, steps) + sizeof(uint64_t);

static int check(weft_fn fn, const struct weft_sim *given)
{
	if (!fn || !given || given->size < LEAST_SIZE || given->size > sizeof(*given))
		return -EINVAL;
	if (given->policy < WEFT_SIM_FIFO || given->policy > WEFT_SIM_REPLAY ||
		given->faults & ~(unsigned)WEFT_SIM_ALL_FAULTS)
		return -EINVAL;
	if (weft_load_relaxed(&weft_forked))
		return -EOWNERDEAD;
	return weft_worker_current() ? -EPERM : 0;
}

static int make(struct weft_sim *config, struct weft_simulation **out)
{
	struct weft_config runtime_config = {
		.size = sizeof(runtime_config),
		.workers = 1,
		.stack_size = 256 * 1024,
		.blocking_max = 64,
		.stall_report = -1,
		.on_report = config->on_report,
		.user = config->user,
	};
	struct weft_choice choice = {.backend = &weft_backend_sim, .text = "simulation"};
	struct weft_runtime *runtime;
	int rc = weft_runtime_make(&runtime_config, &choice, &runtime);

	if (rc < 0)
		return rc;
	runtime->io->simulated = true;
	weft_jobs_simulate(runtime->jobs, weft_sim_start_thread);
	runtime->tasks.counts_alone = true;
	runtime->io->ground = &weft_ground_sim;
	*out = runtime->workers[0].backend_state;
	(*out)->runtime = runtime;
	(*out)->config = config;
	return 0;
}

/* The trace comes first: it may say what the seed is. */
static int begin(struct weft_simulation *sim)
{
	struct weft_sim *config = sim->config;
	int rc;

	sim->policy = config->policy;
	sim->engine_order = config->policy == WEFT_SIM_FIFO;
	rc = weft_sim_trace_open(sim);
	if (rc < 0)
		return rc;
	sim->faults = config->faults;
	weft_sim_stream_init(&sim->choices, config->seed, 0);
	weft_sim_stream_init(&sim->world, config->seed, 1);
	weft_sim_stream_init(&sim->program, config->seed, 2);
	if (sim->policy == WEFT_SIM_PCT) {
		sim->pct = weft_sim_pct_create(config->seed, config->depth);
		if (!sim->pct)
			return -ENOMEM;
	}
	sim->now = BEGINNING;
	weft_wheel_init(&sim->events, BEGINNING);
	weft_wheel_init(&sim->runtime->workers[0].wheel, BEGINNING);
	return 0;
}

static int run(struct weft_simulation *sim, weft_fn fn, void *arg)
{
	struct main_watch watch = {.watcher.done = main_ended, .sim = sim};
	struct weft_task *main_task;
	int status, rc;

	rc = weft_runtime_spawn(
		sim->runtime, "weft_simulate\0main", fn, arg, 2, &main_task);
	if (rc < 0)
		return rc;
	weft_task_watch(main_task, &watch.watch, &watch.watcher);
	rc = weft_worker_run_on_caller(&sim->runtime->workers[0]);
	if (rc < 0 || sim->stuck)
		return rc < 0 ? rc : sim->verdict ? sim->verdict : -EDEADLK;
	status = main_task->status;
	weft_task_unref(main_task, true);
	return sim->verdict < 0 ? sim->verdict : status;
}

/* What was left over is told, and taken down. */
static void end(struct weft_simulation *sim)
{
	struct weft_runtime *runtime = sim->runtime;

	weft_signals_release(runtime->io);
	if (sim->stuck) {
		weft_runtime_report_survivors(runtime);
		return; /* their memory is in use */
	}
	weft_task_pool_each_held(&runtime->tasks, report_handle, sim);
	weft_sim_devices_close(sim);
	weft_sim_graph_finish(sim);
	weft_sim_pct_destroy(sim->pct);
	weft_jobs_destroy(runtime->jobs);
	runtime->jobs = NULL;
	weft_runtime_leave_process(runtime);
	weft_runtime_free_or_hold(runtime);
}

static int simulate(weft_fn fn, void *arg, struct weft_sim *config)
{
	struct weft_simulation *sim;
	int rc = make(config, &sim), written;

	if (rc < 0)
		return rc;
	rc = begin(sim);
	if (rc == 0)
		rc = run(sim, fn, arg);
	config->trace_hash = sim->hash;
	config->steps = sim->steps;
	config->checkpoints = sim->checkpoints;
	written = weft_sim_trace_close(sim, rc);
	end(sim);
	return written < 0 ? written : rc;
}

int weft_simulate(weft_fn main_fn, void *arg, struct weft_sim *given)
{
	struct weft_sim config = {0};
	int rc = check(main_fn, given);

	if (rc < 0)
		return rc;
	memcpy(&config, given, given->size);
	rc = simulate(main_fn, arg, &config);
	memcpy(given, &config, given->size);
	return rc;
}
