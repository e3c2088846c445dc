/* SPDX-License-Identifier: MIT */
/*
 * runtime - makes and starts everything, and owns the workers. With stop.c and simulate.c the only files that
 * know all rooms.
 */
#include <weft/observe.h>
#include <weft/runtime.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "blocking/jobs.h"
#include "io/io.h"
#include "runtime.h"

_Atomic(struct weft_runtime *) weft_runtimes[WEFT_RUNTIMES_MAX];

static const size_t STACK_SIZE_DEFAULT = 256 * 1024;
static const size_t STACK_SIZE_MOST = (size_t)1 << 30;
static const weft_ns STALL_DEFAULT = 10 * 1000 * 1000;
static const unsigned RING_ENTRIES_MOST = 32768;
static const unsigned BLOCKING_DEFAULT = 64;
static const unsigned BLOCKING_MOST = 4096;

/* -- fork -------------------------------------------------------------------------------------- */

/* The child has one thread and none of the workers: whatever it calls says -EOWNERDEAD. */
static void in_forked_child(void)
{
	struct weft_worker *worker = weft_worker_current();

	for (unsigned i = 0; i < WEFT_RUNTIMES_MAX; i++) {
		if (weft_load_relaxed(&weft_runtimes[i]))
			weft_store_relaxed(&weft_forked, 1);
	}
	if (worker)
		worker->stack->worker = NULL; /* the body that called fork may return */
	weft_worker_set_current(NULL);
}

static void install_fork_handler(void)
{
	pthread_atfork(NULL, NULL, in_forked_child);
}

/* -- configuration ----------------------------------------------------------------------------- */

static int read_config(const struct weft_config *given, struct weft_config *config)
{
	const unsigned known =
		WEFT_NO_URING | WEFT_REQUIRE_URING | WEFT_PIN_WORKERS | WEFT_STAY_ALL;

	memset(config, 0, sizeof(*config));
	if (given) {
		if (given->size < sizeof(size_t) || given->size > sizeof(*config))
			return -EINVAL;
		memcpy(config, given, given->size);
	}
	if ((config->flags & ~known) || config->workers > WEFT_WORKERS_MAX ||
		config->ring_entries > RING_ENTRIES_MOST || config->blocking_max > BLOCKING_MOST)
		return -EINVAL;
	if (!config->workers)
		config->workers = weft_sys_processors();
	if (config->workers > WEFT_WORKERS_MAX)
		config->workers = WEFT_WORKERS_MAX;
	if (!config->stack_size)
		config->stack_size = STACK_SIZE_DEFAULT;
	if (config->stack_size < WEFT_STACK_MIN || config->stack_size > STACK_SIZE_MOST)
		return -EINVAL;
	if (!config->blocking_max)
		config->blocking_max = BLOCKING_DEFAULT;
	if (!config->stall_report)
		config->stall_report = STALL_DEFAULT;
	return 0;
}

/* -- start ------------------------------------------------------------------------------------- */

static bool add_to_process(struct weft_runtime *runtime)
{
	for (unsigned i = 0; i < WEFT_RUNTIMES_MAX; i++) {
		struct weft_runtime *none = NULL;

		if (weft_cas_acq_rel(&weft_runtimes[i], &none, runtime)) {
			weft_store_relaxed(&runtime->registered, i + 1);
			return true;
		}
	}
	return false;
}

void weft_runtime_leave_process(struct weft_runtime *runtime)
{
	uint32_t place = weft_load_relaxed(&runtime->registered);

	if (place)
		weft_store_release(&weft_runtimes[place - 1], NULL);
}

static int start_worker(struct weft_worker *worker)
{
	_Atomic(uint32_t) *status = (_Atomic(uint32_t) *)&worker->start_status;
	int rc;

	weft_store_relaxed(status, 1);
	rc = -pthread_create(&worker->thread, NULL, weft_worker_main, worker);
	if (rc < 0)
		return rc;
	while (weft_load_acquire(status) == 1)
		weft_futex_wait(status, 1, -1);
	rc = (int)weft_load_acquire(status);
	if (rc < 0)
		pthread_join(worker->thread, NULL);
	return rc;
}

void weft_runtime_end_workers(struct weft_runtime *runtime, unsigned started)
{
	weft_store_seq_cst(&runtime->exiting, 1);
	weft_fence_seq_cst();
	for (unsigned i = 0; i < started; i++)
		runtime->workers[i].backend->wake(runtime->workers[i].backend_state);
	for (unsigned i = 0; i < started; i++)
		pthread_join(runtime->workers[i].thread, NULL);
	weft_monitor_stop(runtime);
}

void weft_runtime_free(struct weft_runtime *runtime)
{
	weft_jobs_destroy(runtime->jobs);
	for (unsigned i = 0; runtime->workers && i < runtime->count; i++)
		weft_worker_finish(&runtime->workers[i]);
	if (runtime->io) {
		weft_io_finish(runtime->io);
		free(runtime->io);
	}
	weft_stack_pool_finish(&runtime->stacks);
	weft_task_pool_finish(&runtime->tasks);
	free(runtime->workers);
	free(runtime->idle);
	free(runtime);
}

static int make_parts(struct weft_runtime *runtime)
{
	int rc = weft_stack_pool_init(
		&runtime->stacks, runtime->config.stack_size, runtime->config.stacks_max);

	if (rc < 0)
		return rc;
	runtime->stacks.keeps = runtime->backend->schedule != NULL;
	runtime->idle = calloc(1, sizeof(*runtime->idle));
	runtime->io = calloc(1, sizeof(*runtime->io));
	if (!runtime->idle || !runtime->io)
		return -ENOMEM;
	rc = weft_io_init(runtime->io);
	if (rc == 0)
		rc = weft_jobs_create(runtime->config.blocking_max, &runtime->jobs);
	if (rc < 0)
		return rc;
	runtime->workers = aligned_alloc(64,
		(runtime->count * sizeof(struct weft_worker) + 63) / 64 * 64);
	if (!runtime->workers)
		return -ENOMEM;
	memset(runtime->workers, 0, runtime->count * sizeof(struct weft_worker));
	for (unsigned i = 0; i < runtime->count && rc == 0; i++)
		rc = weft_worker_init(&runtime->workers[i], runtime, i);
	return rc;
}

static void take_choice(struct weft_runtime *runtime, const struct weft_choice *choice)
{
	runtime->backend = choice->backend;
	memcpy(runtime->backend_text, choice->text, sizeof(runtime->backend_text));
}

int weft_runtime_make(const struct weft_config *config, const struct weft_choice *choice,
	struct weft_runtime **out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct weft_runtime *runtime;
	int rc = weft_sys_membarrier_init();

	if (rc < 0)
		return rc;
	pthread_once(&once, install_fork_handler);
	weft_fault_install();
	runtime = calloc(1, sizeof(*runtime));
	if (!runtime)
		return -ENOMEM;
	runtime->config = *config;
	runtime->count = config->workers;
	take_choice(runtime, choice);
	rc = make_parts(runtime);
	if (rc == 0 && !add_to_process(runtime))
		rc = -ENOMEM;
	if (rc < 0)
		weft_runtime_free(runtime);
	else
		*out = runtime;
	return rc;
}

static int start_workers(struct weft_runtime *runtime)
{
	unsigned started = 0;
	int rc = 0;

	for (; started < runtime->count && rc == 0; started += rc == 0)
		rc = start_worker(&runtime->workers[started]);
	if (rc == 0)
		rc = weft_monitor_start(runtime);
	if (rc < 0)
		weft_runtime_end_workers(runtime, started);
	return rc;
}

/* What a refusal means is said once for the whole runtime. */
static void report_choice(
	const struct weft_config *config, int rc, const struct weft_choice *choice)
{
	if (*choice->report)
		weft_report_to(config, WEFT_REPORT_FALLBACK, rc, choice->report);
}

/* None of the workers could keep its ring if one of them gets none: all change. */
static int change_backend(struct weft_runtime *runtime)
{
	int rc = 0;

	weft_store_seq_cst(&runtime->exiting, 0);
	for (unsigned i = 0; i < runtime->count && rc == 0; i++)
		rc = weft_worker_change_backend(&runtime->workers[i]);
	return rc;
}

static int start(struct weft_runtime *runtime, struct weft_choice *choice)
{
	int rc = start_workers(runtime);
	int why = rc;

	if (rc == 0)
		return 0;
	rc = weft_backend_choose_again(runtime->config.flags, rc, choice);
	report_choice(&runtime->config, why, choice);
	if (rc < 0)
		return rc;
	take_choice(runtime, choice);
	rc = change_backend(runtime);
	return rc < 0 ? rc : start_workers(runtime);
}

int weft_runtime_create(const struct weft_config *given, struct weft_runtime **out)
{
	struct weft_runtime *runtime;
	struct weft_choice choice;
	struct weft_config config;
	int rc;

	if (!out)
		return -EINVAL;
	if (weft_load_relaxed(&weft_forked))
		return -EOWNERDEAD;
	rc = read_config(given, &config);
	if (rc < 0)
		return rc;
	rc = weft_backend_choose(config.flags, &choice);
	report_choice(&config, choice.status, &choice);
	if (rc == 0)
		rc = weft_runtime_make(&config, &choice, &runtime);
	if (rc < 0)
		return rc;
	rc = start(runtime, &choice);
	if (rc < 0) {
		weft_runtime_leave_process(runtime);
		weft_runtime_free(runtime);
		return rc;
	}
	*out = runtime;
	return 0;
}

/* -- tasks from outside ------------------------------------------------------------------------ */

static struct weft_task *task_from_outside(
	struct weft_runtime *runtime, const char *site, weft_fn fn, void *arg, unsigned refs)
{
	struct weft_task_magazine magazine = weft_task_pool_get(&runtime->tasks);
	struct weft_task *task = magazine.head;

	if (!task)
		return NULL;
	magazine.head = (struct weft_task *)task->node.next;
	magazine.count--;
	if (magazine.head)
		weft_task_pool_put(&runtime->tasks, magazine);
	weft_task_init(task, &runtime->workers[0], site, fn, arg, refs);
	weft_store_relaxed(&task->claim, WEFT_CLAIM_HELD);
	weft_add_seq_cst(&runtime->posted, 1);
	return task;
}

int weft_runtime_spawn(struct weft_runtime *runtime, const char *site, weft_fn fn, void *arg,
	unsigned refs, struct weft_task **out)
{
	struct weft_task *task;

	if (!runtime || !fn)
		return -EINVAL;
	if (weft_load_relaxed(&weft_forked))
		return -EOWNERDEAD;
	/* Counted before the look, so that the end waits for it or it sees the end. */
	weft_add_seq_cst(&runtime->posting, 1);
	if (weft_load_seq_cst(&runtime->stopping)) {
		weft_sub_seq_cst(&runtime->posting, 1);
		return -ESHUTDOWN;
	}
	task = task_from_outside(runtime, site, fn, arg, refs);
	if (task) {
		if (out)
			*out = task;
		weft_inject_task(runtime, task);
	}
	weft_sub_seq_cst(&runtime->posting, 1);
	return task ? 0 : -ENOMEM;
}

int weft_runtime_post(struct weft_runtime *runtime, weft_fn fn, void *arg)
{
	return weft_runtime_spawn(runtime, "weft_runtime_post\0(posted)", fn, arg, 1, NULL);
}

static int wait_from_outside(struct weft_task *task, weft_ns timeout)
{
	int rc = weft_wait_for(task, timeout);

	weft_task_unref(task, true);
	return rc;
}

int weft_runtime_call(struct weft_runtime *runtime, weft_fn fn, void *arg, weft_ns timeout)
{
	struct weft_task *task;
	int rc;

	if (weft_worker_current())
		return -EPERM;
	rc = weft_runtime_spawn(runtime, "weft_runtime_call\0(called)", fn, arg, 2, &task);
	return rc < 0 ? rc : wait_from_outside(task, timeout);
}

/* -- run --------------------------------------------------------------------------------------- */

int weft_run(weft_fn main_fn, void *arg, const struct weft_config *config)
{
	struct weft_runtime *runtime;
	struct weft_task *task;
	int rc;

	if (!main_fn)
		return -EINVAL;
	if (weft_worker_current())
		return -EPERM;
	rc = weft_runtime_create(config, &runtime);
	if (rc < 0)
		return rc;
	rc = weft_runtime_spawn(runtime, "weft_run\0main", main_fn, arg, 2, &task);
	if (rc == 0)
		rc = wait_from_outside(task, WEFT_FOREVER);
	weft_runtime_stop(runtime, WEFT_FOREVER);
	weft_runtime_destroy(runtime);
	return rc;
}

/* -- looking ----------------------------------------------------------------------------------- */

struct weft_runtime *weft_runtime_current(void)
{
	struct weft_worker *worker = weft_worker_current();

	return worker ? worker->runtime : NULL;
}

const char *weft_runtime_backend(const struct weft_runtime *runtime)
{
	return runtime ? runtime->backend_text : NULL;
}

const char *weft_version(void)
{
	return WEFT_VERSION;
}

static void add_worker(struct weft_metrics *metrics, struct weft_worker *worker)
{
	struct weft_counters *counters = &worker->counters;

	metrics->done += weft_load_relaxed(&counters->done);
	metrics->created += weft_load_relaxed(&counters->created);
	metrics->failed += weft_load_relaxed(&counters->failed);
	metrics->cancelled += weft_load_relaxed(&counters->cancelled);
	metrics->steals += weft_load_relaxed(&counters->steals);
	metrics->wakeups += weft_load_relaxed(&counters->wakeups);
	metrics->switches += weft_load_relaxed(&counters->switches);
	metrics->io_submitted += weft_load_relaxed(&counters->io_submitted);
	metrics->unobserved += weft_load_relaxed(&counters->unobserved);
	metrics->io_inflight += worker->backend->in_flight(worker->backend_state);
	weft_spin_lock(&worker->timer_lock);
	metrics->timers += worker->wheel.count;
	weft_spin_unlock(&worker->timer_lock);
}

int weft_runtime_metrics(const struct weft_runtime *const_runtime, struct weft_metrics *out)
{
	struct weft_runtime *runtime = (struct weft_runtime *)const_runtime;
	struct weft_metrics metrics = { 0 };
	uint64_t begun, ended;

	if (!runtime || !out || out->size < sizeof(size_t) || out->size > sizeof(metrics))
		return -EINVAL;
	for (unsigned i = 0; i < runtime->count; i++)
		add_worker(&metrics, &runtime->workers[i]);
	weft_jobs_tasks(runtime->jobs, &begun, &ended); /* not the program's */
	metrics.created -= begun;
	metrics.done -= ended;
	metrics.size = out->size;
	metrics.created += weft_load_relaxed(&runtime->posted);
	metrics.live = metrics.created > metrics.done ? metrics.created - metrics.done : 0;
	metrics.stalls = weft_load_relaxed(&runtime->stalls);
	metrics.blocking_live = weft_jobs_threads(runtime->jobs);
	metrics.ready = weft_load_relaxed(&runtime->inject_count);
	metrics.connections = weft_load_relaxed(&runtime->io->connections);
	metrics.connections_failed = weft_load_relaxed(&runtime->io->connections_failed);
	memcpy(out, &metrics, out->size);
	return 0;
}
