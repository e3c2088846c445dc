/* SPDX-License-Identifier: MIT */
/*
 * graph - see graph.h.
 */
#include "sim/graph.h"

#include <errno.h>
#include <execinfo.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/task.h>

#include "io/optable.h"
#include "sched/frame.h"
#include "sched/worker.h"
#include "sim/io.h"

/* -- who waits for what ------------------------------------------------------------------------ */

struct text {
	struct weft_simulation *sim;
	FILE *out;
	unsigned tasks;
};

static const char *name_of(struct weft_task *task)
{
	return task ? weft_name(task) : "(nobody)";
}

static void tell_operation(struct text *text, const struct weft_stack *stack)
{
	const struct weft_op *op = weft_sim_operation_of(text->sim, &stack->parker);
	const struct weft_op_row *row = op ? weft_op_row(op->code) : NULL;

	if (!op)
		return;
	fprintf(text->out, ", for %s", row ? row->name : "an operation");
	if (op->fd >= 0)
		fprintf(text->out, " on descriptor %d", op->fd);
}

static void tell_wait(struct text *text, struct weft_stack *stack)
{
	struct weft_task *other = weft_wait_edge_target(stack);

	fputs("waits", text->out);
	if (stack->call_name && strncmp(stack->call_name, "weft_", 5) ==
				   0) /* else it is named by its operation */
		fprintf(text->out, " in %s", stack->call_name);
	if (other)
		fprintf(text->out, " for '%s'", name_of(other));
	tell_operation(text, stack);
}

/* Above it on its stack another one runs, or waits. */
static struct weft_task *hosted_by(
	const struct weft_stack *stack, const struct weft_task *task)
{
	for (const struct weft_frame *frame = stack->frame; frame && frame->below;
		frame = frame->below) {
		if (frame->below->task == task)
			return frame->task;
	}
	return NULL;
}

static void tell_task(const struct weft_task *seen, void *arg)
{
	struct weft_task *task = (struct weft_task *)seen;
	struct weft_stack *stack = weft_load_relaxed(&task->stack);
	struct text *text = arg;

	text->tasks++;
	fprintf(text->out, "\n  '%s' from %s ", name_of(task), task->site);
	if ((uintptr_t)stack & WEFT_AFTER_TAGS)
		fprintf(text->out, "has not started: it comes after others");
	else if (!stack)
		fprintf(text->out, "has not started");
	else if (hosted_by(stack, task))
		fprintf(text->out, "runs '%s' in place, and waits for it",
			name_of(hosted_by(stack, task)));
	else
		tell_wait(text, stack);
}

void weft_sim_graph_report(
	struct weft_simulation *sim, int kind, int status, const char *headline)
{
	struct text text = {.sim = sim};
	char *buffer = NULL;
	size_t size = 0;

	text.out = open_memstream(&buffer, &size);
	if (!text.out) {
		weft_sim_report(sim, kind, status, headline);
		return;
	}
	fputs(headline, text.out);
	weft_task_pool_each(&sim->runtime->tasks, tell_task, &text);
	fclose(text.out);
	weft_sim_report(sim, kind, status, buffer ? buffer : headline);
	free(buffer);
}

/* -- call stacks ------------------------------------------------------------------------------- */

enum { CALLS = 32 };

struct kept {
	struct kept *next;
	struct weft_stack *stack;
	int count;
	void *calls[CALLS];
};

struct weft_sim_graph {
	struct kept *first;
};

static struct kept *kept_of(struct weft_simulation *sim, const struct weft_stack *stack)
{
	struct kept *kept = sim->graph ? sim->graph->first : NULL;

	while (kept && kept->stack != stack)
		kept = kept->next;
	return kept;
}

void weft_sim_graph_keep(struct weft_simulation *sim, struct weft_stack *stack)
{
	struct kept *kept;

	if (!stack->frame)
		return; /* only the loop is on it */
	if (!sim->graph)
		sim->graph = calloc(1, sizeof(*sim->graph));
	kept = kept_of(sim, stack);
	if (!kept && sim->graph) {
		kept = calloc(1, sizeof(*kept));
		if (kept) {
			kept->stack = stack;
			kept->next = sim->graph->first;
			sim->graph->first = kept;
		}
	}
	if (kept)
		kept->count = backtrace(kept->calls, CALLS);
}

void weft_sim_graph_show(
	struct weft_simulation *sim, struct weft_stack *stack, struct weft_task *task)
{
	struct kept *kept = stack ? kept_of(sim, stack) : NULL;
	char **names = kept ? backtrace_symbols(kept->calls, kept->count) : NULL;
	char *buffer = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&buffer, &size);

	if (out) {
		fprintf(out, "step %" PRIu64 ", at %" PRId64 " ns: '%s' runs, ",
			sim->steps, sim->now, name_of(task));
		if (!stack)
			fprintf(out, "for the first time");
		else
			fprintf(out, "which was in %s",
				stack->call_name ? stack->call_name : "no call");
		for (int i = 0; names && i < kept->count; i++)
			fprintf(out, "\n  %s", names[i]);
		fclose(out);
		weft_sim_report(sim, WEFT_REPORT_STEP, 0, buffer ? buffer : "");
	}
	free(names);
	free(buffer);
}

void weft_sim_graph_finish(struct weft_simulation *sim)
{
	struct kept *kept = sim->graph ? sim->graph->first : NULL, *next;

	for (; kept; kept = next) {
		next = kept->next;
		free(kept);
	}
	free(sim->graph);
	sim->graph = NULL;
}
