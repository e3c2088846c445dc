/* SPDX-License-Identifier: MIT */
/*
 * report - tells the program about trouble it would otherwise not see: through its on_report, or as one
 * line on stderr.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sched/frame.h"
#include "sched/worker.h"

static const char *kind_text(int kind)
{
	switch (kind) {
	case WEFT_REPORT_UNOBSERVED:
		return "unobserved failure";
	case WEFT_REPORT_LEAK:
		return "leak";
	case WEFT_REPORT_STALL:
		return "stall";
	case WEFT_REPORT_FALLBACK:
		return "fallback";
	case WEFT_REPORT_DEADLOCK:
		return "deadlock";
	case WEFT_REPORT_STACKS:
		return "stacks";
	case WEFT_REPORT_MISUSE:
		return "misuse";
	case WEFT_REPORT_STEP:
		return "step";
	}
	return "report";
}

static void print(const struct weft_report *report)
{
	char status[64] = "";

	if (report->status < 0)
		snprintf(status, sizeof(status), " (%d, %s)", report->status,
			strerrordesc_np(-report->status));
	if (report->task)
		fprintf(stderr, "weft: %s: task '%s' from %s: %s%s\n", kind_text(report->kind),
			report->task, report->site, report->text, status);
	else
		fprintf(stderr, "weft: %s: %s%s\n", kind_text(report->kind), report->text, status);
}

static void deliver_to(const struct weft_config *config, const struct weft_report *report)
{
	if (config->on_report)
		config->on_report(report, config->user);
	else
		print(report);
}

static void deliver(struct weft_runtime *runtime, const struct weft_report *report)
{
	deliver_to(&runtime->config, report);
}

void weft_report_to(const struct weft_config *config, int kind, int status, const char *text)
{
	struct weft_report report = { .kind = kind, .status = status, .text = text };

	deliver_to(config, &report);
}

void weft_report_task(
	struct weft_runtime *runtime, int kind, struct weft_task *task, int status, const char *text)
{
	struct weft_report report = {
		.kind = kind,
		.task = weft_name(task),
		.site = task->site,
		.status = status,
		.text = text,
	};

	deliver(runtime, &report);
}

void weft_report_text(struct weft_runtime *runtime, int kind, int status, const char *text)
{
	weft_report_to(&runtime->config, kind, status, text);
}

void weft_report_named(struct weft_runtime *runtime, int kind, const char *name, const char *site,
	int status, const char *text)
{
	struct weft_report report = {
		.kind = kind,
		.task = name,
		.site = site,
		.status = status,
		.text = text,
	};

	deliver(runtime, &report);
}

void weft_report_misuse(const char *text)
{
	struct weft_worker *worker = weft_worker_current();

	if (worker && worker->stack->frame)
		weft_report_task(worker->runtime, WEFT_REPORT_MISUSE, worker->stack->frame->task,
			-EINVAL, text);
	else
		fprintf(stderr, "weft: misuse: %s\n", text);
}
