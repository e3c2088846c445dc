/* SPDX-License-Identifier: MIT */
/*
 * storm - see storm.h.
 *
 * Two kinds of disturbance. The simulation's own (weft_sim.cancel_at) meets a task as it comes to a checkpoint:
 * the call returns at entry. The meddler's comes from another task, and so also meets tasks that wait, or
 * whose wait is over but which have not run since: there the result has to win.
 */
#include "storm.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <weft.h>

#include "held.h"
#include "runtime.h"
#include "sched/worker.h"
#include "sim/sim.h"

enum {
	FAILURES_SHOWN = 3,
	FAILURES_MOST = 20, /* then the storm goes home */
	GROWS_MOST = 3,     /* what a repeated run takes each time again is lost */
	TWICE = 16, /* one case in so many runs twice: same seed, same everything */
	VICTIMS_MOST = 64,
	SECONDS_MOST = 20, /* of processor time for one case */
	STEPS_LEAST =
		100000, /* a case that takes more, and ten times the undisturbed run's, does not end */
};

/* A sanitizer build tries fewer. */
static const uint64_t SCALE = WEFT_TEST_SCALE > 1 ? 10 : 1;

/* One way to run a program. */
struct attempt {
	int policy;
	uint64_t seed;
	unsigned faults;
	unsigned how;
	uint64_t at; /* checkpoint or moment, from 1; 0: undisturbed */
};

/* A run of a program, and what came of it. */
struct trial {
	const struct storm *storm;
	struct attempt attempt;
	struct weft_sim sim;
	int status;
	unsigned leaks, deadlocks, misuses;
	char reports[1200];
	/* the meddler's */
	weft_fn fn;
	void *arg;
	struct weft_task *main_task;
	uint64_t moments;
	char victim[64];
};

struct storming {
	const struct storm *storm;
	struct storm_result result;
	uint64_t steps_most;
};

static struct trial *current; /* what storm_simulate runs, or has just run */
static char last_words[1000]; /* of a case that nothing ends */

FILE *storm_output;

static FILE *output(void)
{
	return storm_output ? storm_output : stderr;
}

/* -- the meddler ------------------------------------------------------------------------------- */

struct victims {
	const struct weft_task *self, *all[VICTIMS_MOST];
	size_t count;
};

static void note_victim(const struct weft_task *task, void *arg)
{
	struct victims *victims = arg;

	if (task != victims->self && victims->count < VICTIMS_MOST)
		victims->all[victims->count++] = task;
}

static void strike(struct trial *trial)
{
	struct victims victims = {.self = weft_self()};
	const struct weft_task *victim = trial->main_task;

	if (trial->attempt.how == STORM_ANY) {
		weft_task_pool_each(
			&weft_sim_current()->runtime->tasks, note_victim, &victims);
		victim = victims.all[trial->attempt.at % victims.count];
	}
	snprintf(trial->victim, sizeof(trial->victim), "%s", weft_name(victim));
	weft_cancel((struct weft_task *)victim);
}

/*
 * Counts moments: all who are ready have run, or else, when nobody was, time has moved on. It strikes at one
 * of them.
 */
static int meddle(void *arg)
{
	struct trial *trial = arg;
	weft_ns nap = 1;

	for (;;) {
		bool others = !weft_queue_empty(&weft_worker_current()->queue);
		int rc = others ? weft_yield() : weft_sleep(nap);

		nap = others ? 1 : nap * 4;
		if (rc < 0)
			return 0;
		if (++trial->moments == trial->attempt.at) {
			strike(trial);
			return 0;
		}
	}
}

static int meddled_with(void *arg)
{
	struct trial *trial = arg;
	struct weft_task *meddler;
	int status;

	trial->main_task = weft_self();
	meddler = weft_create_task(meddle, trial);
	status = trial->fn(trial->arg);
	weft_cancel(meddler);
	weft_join(meddler);
	return status;
}

/* -- words --------------------------------------------------------------------------------------- */

static const char *policy_name(int policy)
{
	static const char *const names[] = {"fifo", "random", "pct"};

	return names[policy];
}

static void describe(const struct trial *trial, const char *wrong, char *text, size_t n)
{
	static const char *const hows[] = {"a cancel at checkpoint",
		"a timeout at checkpoint", "a cancel of main at moment",
		"a cancel from outside at moment"};
	const struct attempt *attempt = &trial->attempt;
	static char program[PATH_MAX];

	if (!program[0] && readlink("/proc/self/exe", program, sizeof(program) - 1) < 0)
		program[0] = '?';
	snprintf(text, n,
		"storm: %s: %s, after %s %" PRIu64 ", which met '%s' (%s, seed %" PRIu64
		", faults %u); status %d\n"
		"%s  again: WEFT_STORM='%s %d %" PRIu64 " %u %u %" PRIu64 "' %s\n",
		trial->storm->name, wrong, hows[attempt->how], attempt->at, trial->victim,
		policy_name(attempt->policy), attempt->seed, attempt->faults,
		trial->status, trial->reports, trial->storm->name, attempt->policy,
		attempt->seed, attempt->faults, attempt->how, attempt->at, program);
}

/*
 * A task that takes no cancel for an answer cannot be ended by the simulation either. Who uses the processor for
 * that long is one.
 */
static void give_up(int signal)
{
	(void)signal;
	if (write(fileno(output()), last_words, strlen(last_words)) < 0)
		_exit(2);
	_exit(1);
}

static void set_watch(const struct trial *trial)
{
	const char *given = getenv("WEFT_STORM_SECONDS");
	struct itimerval patience = {
		.it_value.tv_sec = given ? strtol(given, NULL, 10) : SECONDS_MOST};

	describe(trial, "it does not end, not even when the simulation does", last_words,
		sizeof(last_words));
	signal(SIGPROF, give_up);
	setitimer(ITIMER_PROF, &patience, NULL);
}

static void stop_watch(void)
{
	setitimer(ITIMER_PROF, &(struct itimerval){0}, NULL);
}

/* -- one run ----------------------------------------------------------------------------------- */

static void keep_report(const struct weft_report *report, void *user)
{
	struct trial *trial = user;
	size_t used = strlen(trial->reports);

	if (report->kind == WEFT_REPORT_LEAK &&
		!(trial->storm->allowed && trial->storm->allowed(report)))
		trial->leaks++;
	trial->deadlocks += report->kind == WEFT_REPORT_DEADLOCK;
	trial->misuses += report->kind == WEFT_REPORT_MISUSE;
	snprintf(trial->reports + used, sizeof(trial->reports) - used,
		"  reported: %s%s%s%s%s\n", report->task ? report->task : "",
		report->site ? " from " : "", report->site ? report->site : "",
		report->task ? ": " : "", report->text);
}

int storm_simulate(weft_fn fn, void *arg)
{
	struct trial *trial = current;
	const struct attempt *attempt = &trial->attempt;

	if (attempt->how < STORM_MAIN) {
		trial->sim.cancel_at = attempt->at;
		trial->sim.cancel_how = attempt->how;
		trial->status = weft_simulate(fn, arg, &trial->sim);
	} else {
		trial->fn = fn;
		trial->arg = arg;
		trial->status = weft_simulate(meddled_with, trial, &trial->sim);
	}
	return trial->status;
}

static void run_once(const struct storming *storming, const struct attempt *attempt,
	struct trial *trial)
{
	const struct storm *storm = storming->storm;

	*trial = (struct trial){
		.storm = storm,
		.attempt = *attempt,
		.sim = {.size = sizeof(struct weft_sim),
			.seed = attempt->seed,
			.policy = attempt->policy,
			.faults = attempt->faults,
			.steps_max = storming->steps_most,
			.trace_out = getenv("WEFT_STORM_TRACE"),
			.on_report = keep_report,
			.user = trial},
	};
	current = trial;
	set_watch(trial);
	if (storm->run)
		storm->run(storm);
	else
		storm_simulate(storm->fn, storm->arg);
	stop_watch();
	if (!trial->victim[0])
		memcpy(trial->victim, trial->sim.cancelled, sizeof(trial->victim));
}

/* -- judging it -------------------------------------------------------------------------------- */

const char *storm_says(const char *format, ...)
{
	static char text[400];
	va_list values;

	va_start(values, format);
	vsnprintf(text, sizeof(text), format, values);
	va_end(values);
	return text;
}

static const char *judge_descriptors(const struct held *before, const struct held *after)
{
	int left = held_new_fd(before, after), lost = held_lost_fd(before, after);
	char path[64], what[200];
	ssize_t n;

	if (left < 0 && lost < 0)
		return NULL;
	if (left < 0)
		return storm_says("descriptor %d, not its own, was closed", lost);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", left);
	n = readlink(path, what, sizeof(what) - 1);
	what[n > 0 ? n : 0] = 0;
	close(left);
	return storm_says("descriptor %d (%s) was left open", left, what);
}

bool storm_undisturbed(void)
{
	return current->attempt.at == 0 && !current->attempt.faults;
}

static const char *judge_reports(const struct trial *trial)
{
	if (trial->deadlocks)
		return "a deadlock";
	if (trial->status == -ETIME)
		return "it does not end";
	if (trial->leaks)
		return "something was left over";
	if (trial->misuses)
		return "misuse";
	if (storm_undisturbed() && trial->status < 0 && !trial->storm->may_fail)
		return storm_says("undisturbed, and it fails with %d (%s)", trial->status,
			strerror(-trial->status));
	return NULL;
}

/* NULL: what it took it gave back. grown: bytes that it may keep for the next run to use. */
static const char *judge(const struct trial *trial, const struct held *before,
	const struct held *after, int64_t *grown)
{
	const char *wrong = judge_reports(trial);
	int64_t heap = after->heap - before->heap,
		mapped = after->mapped - before->mapped;

	if (!wrong)
		wrong = judge_descriptors(before, after);
	if (!wrong && trial->storm->check)
		wrong = trial->storm->check(trial->storm->arg);
	*grown = heap > 0 ? heap : mapped > 0 ? mapped : 0;
	return wrong;
}

static void failed(
	struct storming *storming, const struct trial *trial, const char *wrong)
{
	struct storm_result *result = &storming->result;
	char text[sizeof(result->text)];

	describe(trial, wrong, text, sizeof(text));
	if (result->failures++ == 0)
		memcpy(result->text, text, sizeof(text));
	if (!storming->storm->quiet && result->failures <= FAILURES_SHOWN)
		fputs(text, output());
}

/*
 * Runs it, and again as long as the heap or the address space grows: buffers that are made once and kept do not
 * grow each time.
 */
static void run_and_judge(
	struct storming *storming, const struct attempt *attempt, struct trial *trial)
{
	struct held before, after;
	const char *wrong = NULL;
	uint64_t hash = 0;
	int64_t grown;
	bool twice = storming->result.runs % TWICE == 0;

	for (int i = 0; i == 0 || (i == 1 && twice) || (grown && i < GROWS_MOST); i++) {
		held_now(&before);
		run_once(storming, attempt, trial);
		held_now(&after);
		storming->result.runs++;
		wrong = judge(trial, &before, &after, &grown);
		if (!wrong && i > 0 && trial->sim.trace_hash != hash)
			wrong = "two runs of it differ";
		if (wrong)
			break;
		hash = trial->sim.trace_hash;
	}
	if (getenv("DBG"))
		fprintf(output(), "how %u at %lu grown %ld moments %lu steps %lu\n",
			attempt->how, attempt->at, grown, trial->moments,
			trial->sim.steps);
	if (!wrong && grown)
		wrong = storm_says("%" PRId64 " bytes were not given back", grown);
	if (wrong)
		failed(storming, trial, wrong);
}

/* -- all of them ------------------------------------------------------------------------------- */

static bool enough(const struct storming *storming)
{
	return storming->result.failures >= FAILURES_MOST;
}

/* Of count places all of the first ones, then every j-th; in other orders than the engine's only every j-th. */
static uint64_t next_at(uint64_t at, uint64_t count, const struct attempt *attempt)
{
	bool first = attempt->policy == WEFT_SIM_FIFO && !attempt->faults;
	uint64_t each = (first ? STORM_EACH : 0) / SCALE;
	uint64_t more = (first ? STORM_MORE : STORM_FEW) / SCALE;
	uint64_t stride = count > each ? (count - each + more - 1) / more : 1;

	if (at < each)
		at++;
	else
		at += at == each ? 1 + attempt->seed % stride : stride;
	return at <= count ? at : 0;
}

static void run_at_each(struct storming *storming, struct attempt attempt, uint64_t count)
{
	struct trial trial;

	for (attempt.at = next_at(0, count, &attempt); attempt.at && !enough(storming);
		attempt.at = next_at(attempt.at, count, &attempt))
		run_and_judge(storming, &attempt, &trial);
}

static void run_undisturbed(
	struct storming *storming, const struct attempt *attempt, struct trial *trial)
{
	storming->steps_most = 0;
	run_and_judge(storming, attempt, trial);
	storming->steps_most = STEPS_LEAST + 10 * trial->sim.steps;
}

static void run_under(struct storming *storming, struct attempt attempt)
{
	struct trial trial;
	uint64_t moments;

	attempt.how = STORM_MAIN;
	run_undisturbed(storming, &attempt, &trial);
	moments = trial.moments;
	attempt.how = WEFT_SIM_CANCEL;
	run_undisturbed(storming, &attempt, &trial);
	if (!storming->result.checkpoints)
		storming->result.checkpoints = trial.sim.checkpoints;
	for (; attempt.how < STORM_HOWS; attempt.how++)
		run_at_each(storming, attempt,
			attempt.how < STORM_MAIN ? trial.sim.checkpoints : moments);
}

static void run_all(struct storming *storming)
{
	static const struct attempt attempts[] = {
		{.policy = WEFT_SIM_FIFO},
		{.policy = WEFT_SIM_RANDOM, .seed = 1},
		{.policy = WEFT_SIM_PCT, .seed = 2},
		{.policy = WEFT_SIM_RANDOM, .seed = 3},
		{.policy = WEFT_SIM_FIFO, .seed = 4, .faults = WEFT_SIM_ALL_FAULTS},
		{.policy = WEFT_SIM_RANDOM, .seed = 5, .faults = WEFT_SIM_ALL_FAULTS},
		{.policy = WEFT_SIM_PCT, .seed = 6, .faults = WEFT_SIM_ALL_FAULTS},
		{.policy = WEFT_SIM_RANDOM,
			.seed = 7,
			.faults = WEFT_SIM_PARTIAL | WEFT_SIM_LATENCY},
	};

	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		struct attempt attempt = attempts[i];

		attempt.faults &= ~storming->storm->spare;
		if (!enough(storming))
			run_under(storming, attempt);
	}
	if (held_unreachable()) {
		storming->result.failures++;
		fprintf(output(), "storm: %s: memory was lost, see above\n",
			storming->storm->name);
	}
}

/* WEFT_STORM names one case: that one, if it is of this program. */
static void run_again(struct storming *storming, const char *again)
{
	size_t length = strlen(storming->storm->name);
	struct attempt attempt;
	struct trial trial;

	if (strncmp(again, storming->storm->name, length) != 0 ||
		sscanf(again + length, " %d %" SCNu64 " %u %u %" SCNu64, &attempt.policy,
			&attempt.seed, &attempt.faults, &attempt.how, &attempt.at) != 5 ||
		attempt.how >= STORM_HOWS)
		return;
	run_undisturbed(storming, &(struct attempt){.policy = attempt.policy}, &trial);
	run_and_judge(storming, &attempt, &trial);
	fprintf(output(), "storm: %s: status %d, %" PRIu64 " steps, hash %" PRIx64 "\n",
		storming->storm->name, trial.status, trial.sim.steps,
		trial.sim.trace_hash);
}

uint64_t storm_run(const struct storm *storm, struct storm_result *result)
{
	struct storming storming = {.storm = storm};
	const char *again = getenv("WEFT_STORM");

	if (again)
		run_again(&storming, again);
	else
		run_all(&storming);
	if (!again && !storm->quiet)
		fprintf(output(),
			"storm: %s: %" PRIu64 " checkpoints, %" PRIu64 " runs, %" PRIu64
			" failures\n",
			storm->name, storming.result.checkpoints, storming.result.runs,
			storming.result.failures);
	fflush(output());
	if (result)
		*result = storming.result;
	return storming.result.failures;
}
