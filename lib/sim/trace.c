/* SPDX-License-Identifier: MIT */
/*
 * trace - see trace.h.
 */
#include "sim/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/runtime.h>

static const char FIRST_LINE[] = "weft trace 1\n";
static const char *const kinds[] = {"run", "place"};

struct decision {
	uint64_t step, number;
	uint32_t kind, n, choice;
	char task[44]; /* its name, perhaps cut, for a report */
};

struct weft_sim_trace {
	FILE *out;
	int policy; /* that the decisions were, or had been, made by */
	/* of a replay */
	struct decision *decisions;
	size_t count, next;
	bool left; /* the program does not follow it any more */
	struct decision
		current; /* what the replay has just given, to be compared with what it led to */
};

/* -- reading ----------------------------------------------------------------------------------- */

static int read_head(struct weft_simulation *sim, FILE *in)
{
	char line[64];

	if (!fgets(line, sizeof(line), in) || strcmp(line, FIRST_LINE) != 0 ||
		fscanf(in, "seed %" SCNu64 " policy %d depth %u faults %u\n",
			&sim->config->seed, &sim->trace->policy, &sim->config->depth,
			&sim->config->faults) != 4)
		return -EBADMSG;
	sim->engine_order = sim->trace->policy == WEFT_SIM_FIFO;
	return sim->config->faults & ~(unsigned)WEFT_SIM_ALL_FAULTS ? -EBADMSG : 0;
}

static int grow(struct weft_sim_trace *trace)
{
	size_t room = trace->count ? trace->count * 2 : 256;
	struct decision *more;

	if (trace->count & (trace->count - 1) || (trace->count && trace->count < 256))
		return 0;
	more = realloc(trace->decisions, room * sizeof(*more));
	if (!more)
		return -ENOMEM;
	trace->decisions = more;
	return 0;
}

/* 1: it was a decision; 0: the last line, or none. */
static int read_line(const char *line, struct decision *d)
{
	char kind[8];

	if (sscanf(line,
		    "%" SCNu64 " %7s %" SCNu32 "/%" SCNu32 " %" SCNu64 " %*d %*x %43s",
		    &d->step, kind, &d->choice, &d->n, &d->number, d->task) != 6)
		return strncmp(line, "end ", 4) == 0 ? 0 : -EBADMSG;
	d->kind = strcmp(kind, kinds[WEFT_SIM_TRACE_PLACE]) == 0 ? WEFT_SIM_TRACE_PLACE
								 : WEFT_SIM_TRACE_RUN;
	return d->choice < d->n ? 1 : -EBADMSG;
}

static int read_decisions(struct weft_sim_trace *trace, FILE *in)
{
	char line[512];

	while (fgets(line, sizeof(line), in)) {
		int rc = grow(trace);

		if (rc == 0)
			rc = read_line(line, &trace->decisions[trace->count]);
		if (rc <= 0)
			return rc;
		trace->count++;
	}
	return 0;
}

static int read_all(struct weft_simulation *sim)
{
	FILE *in;
	int rc;

	if (!sim->config->trace_in)
		return -EINVAL;
	in = fopen(sim->config->trace_in, "re");
	if (!in)
		return -errno;
	rc = read_head(sim, in);
	if (rc == 0)
		rc = read_decisions(sim->trace, in);
	fclose(in);
	return rc;
}

/* -- both -------------------------------------------------------------------------------------- */

int weft_sim_trace_open(struct weft_simulation *sim)
{
	const struct weft_sim *config = sim->config;
	int rc = 0;

	if (!config->trace_out && config->policy != WEFT_SIM_REPLAY)
		return 0;
	sim->trace = calloc(1, sizeof(*sim->trace));
	if (!sim->trace)
		return -ENOMEM;
	sim->trace->policy = config->policy;
	if (config->policy == WEFT_SIM_REPLAY)
		rc = read_all(sim);
	if (rc < 0 || !config->trace_out)
		return rc;
	sim->trace->out = fopen(config->trace_out, "we");
	if (!sim->trace->out)
		return -errno;
	fprintf(sim->trace->out, "%sseed %" PRIu64 " policy %d depth %u faults %u\n",
		FIRST_LINE, config->seed, sim->trace->policy, config->depth,
		config->faults);
	return 0;
}

int weft_sim_trace_close(struct weft_simulation *sim, int status)
{
	struct weft_sim_trace *trace = sim->trace;
	int rc = 0;

	if (!trace)
		return 0;
	if (trace->out) {
		fprintf(trace->out, "end %" PRIu64 " %" PRIx64 " %d\n", sim->steps,
			sim->hash, status);
		rc = ferror(trace->out) ? -EIO : 0;
		if (fclose(trace->out) != 0 && rc == 0)
			rc = -EIO;
	}
	free(trace->decisions);
	free(trace);
	sim->trace = NULL;
	return rc;
}

static void leaves(struct weft_simulation *sim, const char *expected, const char *found)
{
	char text[200];

	if (sim->trace->left)
		return;
	sim->trace->left = true;
	snprintf(text, sizeof(text),
		"the program does not follow the trace from step %" PRIu64
		" on: there '%s' ran, here '%s' would; the rest goes its own way",
		sim->steps, expected, found);
	weft_sim_report(sim, WEFT_REPORT_MISUSE, -EBADMSG, text);
}

/* What was replayed is to have led to the same task. */
static void compare(struct weft_simulation *sim, uint64_t number, const char *task)
{
	struct decision *expected = &sim->trace->current;

	if (sim->trace->left || !expected->n)
		return;
	if (expected->number != number)
		leaves(sim, expected->task, task);
	expected->n = 0;
}

void weft_sim_trace_note(struct weft_simulation *sim, enum weft_sim_trace_kind kind,
	size_t n, size_t choice, uint64_t number, const char *task, const char *call)
{
	if (sim->policy == WEFT_SIM_REPLAY)
		compare(sim, number, task);
	if (sim->trace->out)
		fprintf(sim->trace->out,
			"%" PRIu64 " %s %zu/%zu %" PRIu64 " %" PRId64 " %" PRIx64
			" %s %s\n",
			sim->steps, kinds[kind], choice, n, number, sim->now, sim->hash,
			task, call ? call : "-");
}

/* Steps without a choice are in the file too: it is followed line by line. */
size_t weft_sim_trace_replay(struct weft_simulation *sim, enum weft_sim_trace_kind kind,
	size_t n, size_t otherwise)
{
	struct weft_sim_trace *trace = sim->trace;
	struct decision *d;

	if (trace->left)
		return otherwise;
	while (trace->next < trace->count &&
		trace->decisions[trace->next].step < sim->steps)
		trace->next++; /* steps that nobody else could be chosen in: nothing was asked */
	d = trace->next < trace->count ? &trace->decisions[trace->next++] : NULL;
	if (!d || d->kind != kind || d->n != n ||
		(kind == WEFT_SIM_TRACE_RUN && d->step != sim->steps)) {
		leaves(sim, d ? d->task : "(its end)", "another number of tasks");
		return otherwise;
	}
	trace->current = *d;
	return d->choice;
}
