/* SPDX-License-Identifier: MIT */
/*
 * timeline - who runs when in each order mode: three members, A, B and C, each of some segments of work with
 * sleeps between them, without an order and in each of the five. In COMMIT the last segment is the section.
 *
 *	timeline [--mode NAME] [--workers N] [--segments N] [--unit US]
 *
 * A segment takes 2 units, a sleep 12, 5 or 2. Prints one line per span of time: a member runs, is in its commit
 * section, waits for its sleep, or is ready but may not run (or no worker is free). draw.py makes pictures
 * of it, tests/checks/timeline.py looks whether each mode keeps its word.
 *
 * A member writes its own spans only, so that nothing here puts members into an order but the order.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <weft.h>

enum {
	MEMBERS = 3,
	SEGMENTS_MAX = 50,
	SPANS_MAX = 3 * SEGMENTS_MAX,
	WORK = 2,
	UNORDERED = 0,
	THREADS_MAX = 1024
};

static const char *const mode_names[] = {
	[UNORDERED] = "unordered",
	[WEFT_ORDER_CHAIN] = "chain",
	[WEFT_ORDER_START] = "start",
	[WEFT_ORDER_ARRIVAL] = "arrival",
	[WEFT_ORDER_TURN] = "turn",
	[WEFT_ORDER_COMMIT] = "commit",
};
enum { MODES = sizeof(mode_names) / sizeof(*mode_names) };

/* Units. Each member has another one after each segment, so that waits do not end in creation order. */
static const int sleeps[MEMBERS] = {12, 5, 2};

struct span {
	const char *kind;
	int segment;
	long thread; /* 0: nobody's */
	weft_ns begin, end;
};

struct member {
	struct span spans[SPANS_MAX];
	int count;
	weft_ns ready; /* since when it may go on, but for the order and the worker */
};

static int mode, segments = 2;
static unsigned workers = 2;
static weft_ns unit = WEFT_MS(10), begun;
static struct member members[MEMBERS];

static void record(struct member *self, const char *kind, int segment, long thread,
	weft_ns begin, weft_ns end)
{
	self->spans[self->count++] = (struct span){kind, segment, thread, begin, end};
}

/* Nothing in here suspends, so the thread is the same all along. */
static void work(struct member *self, int segment)
{
	bool section = mode == WEFT_ORDER_COMMIT && segment == segments;
	weft_ns begin = weft_now(), end;

	record(self, "ready", segment, 0, self->ready, begin);
	do {
		end = weft_now();
	} while (end - begin < WORK * unit);
	record(self, section ? "commit" : "run", segment, syscall(SYS_gettid), begin,
		weft_now());
}

static int rest(struct member *self, int segment)
{
	weft_ns begin = weft_now();
	int status;

	self->ready = begin + unit * sleeps[(self - members + segment - 1) % MEMBERS];
	status = weft_sleep_until(self->ready);
	record(self, "wait", segment, 0, begin, self->ready);
	return status;
}

static int body(void *arg)
{
	struct member *self = arg;
	int status = 0;

	for (int segment = 1; segment <= segments && status >= 0; segment++) {
		if (mode == WEFT_ORDER_COMMIT && segment == segments)
			status = weft_commit_begin();
		if (status < 0)
			break;
		work(self, segment);
		if (segment < segments)
			status = rest(self, segment);
		else if (mode == WEFT_ORDER_COMMIT)
			weft_commit_end();
	}
	return status;
}

static int run_members(void *arg)
{
	struct weft_order *order = NULL;
	struct weft_task *tasks[MEMBERS];
	int status;

	(void)arg;
	if (mode != UNORDERED) {
		order = weft_order_create(mode, mode_names[mode]);
		if (!order)
			return -1;
	}
	begun = weft_now();
	for (int i = 0; i < MEMBERS; i++) {
		members[i] = (struct member){.ready = begun};
		tasks[i] = order ? weft_order_create_task(order, body, &members[i])
				 : weft_create_task(body, &members[i]);
	}
	weft_order_release(order);
	status = weft_gather(tasks, MEMBERS, NULL, 0);
	weft_release_all(tasks, MEMBERS);
	return status;
}

/* Threads get the numbers 0, 1, ... in the order in which they appear among a run's spans. */
static int number_of(long thread, long *seen)
{
	int i = 0;

	while (i < THREADS_MAX - 1 && seen[i] && seen[i] != thread)
		i++;
	seen[i] = thread;
	return i;
}

static void print_span(char member, const struct span *span, long *seen)
{
	char worker[16] = "-";

	if (span->thread)
		snprintf(worker, sizeof(worker), "%d", number_of(span->thread, seen));
	printf("%s\t%c\t%d\t%s\t%s\t%lld\t%lld\n", mode_names[mode], member,
		span->segment, span->kind, worker, (long long)(span->begin - begun),
		(long long)(span->end - begun));
}

static void print_spans(void)
{
	long seen[THREADS_MAX] = {0};

	for (int i = 0; i < MEMBERS; i++)
		for (int j = 0; j < members[i].count; j++)
			print_span((char)('A' + i), &members[i].spans[j], seen);
}

static int run_mode(void)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	int status;

	config.workers = workers;
	config.stall_report = -1; /* the work is long on purpose, to be seen */
	status = weft_run(run_members, NULL, &config);
	if (status < 0)
		fprintf(stderr, "timeline: %s: %s\n", mode_names[mode],
			strerror(-status));
	else
		print_spans();
	return status;
}

/* Returns the mode asked for, MODES for all of them, or -1. */
static int parse(int argc, char **argv)
{
	int which = MODES;

	for (int i = 1; i < argc; i += 2) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "--workers") == 0)
			workers = (unsigned)atoi(value);
		else if (strcmp(argv[i], "--segments") == 0)
			segments = atoi(value);
		else if (strcmp(argv[i], "--unit") == 0)
			unit = (weft_ns)atoi(value) * 1000;
		else if (strcmp(argv[i], "--mode") == 0)
			for (which = MODES - 1; which >= 0; which--)
				if (strcmp(value, mode_names[which]) == 0)
					break;
		if (argv[i][0] != '-' || i + 1 == argc)
			return -1;
	}
	return workers && segments > 0 && segments <= SEGMENTS_MAX && unit > 0 ? which
									       : -1;
}

int main(int argc, char **argv)
{
	int which = parse(argc, argv), status = 0;

	if (which < 0) {
		fprintf(stderr,
			"usage: %s [--mode NAME] [--workers N] [--segments N] [--unit "
			"US]\n",
			argv[0]);
		return 2;
	}
	printf("mode\tmember\tsegment\tkind\tworker\tbegin_ns\tend_ns\n");
	for (mode = 0; mode < MODES && status >= 0; mode++)
		if (which == MODES || which == mode)
			status = run_mode();
	return status < 0;
}
