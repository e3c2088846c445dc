/* SPDX-License-Identifier: MIT */
/*
 * burst - is the memory of a burst given back? A runtime is idle; then comes a burst of n tasks: all asleep at
 * once, or created and not started, or with a timer and a channel each; then it is idle again, and watched from
 * a plain thread. What the process takes then, resident and in page tables, as a multiple of what it took before,
 * as soon as that is at most twice as much, or else after 10 s; when that was; and the peak.
 */
#include "bench.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PERIOD_MS = 100, WATCHED_MS = 10000, WITHIN = 2 };

/* A channel of fewer is a block of up to 128 bytes, which the C library keeps until a larger one is asked for. */
enum { ITEMS = 16 };

struct burst {
	const char *name;
	int (*body)(void *arg);
	size_t n;
	double peak; /* KiB */
};

/* KiB, resident and in page tables. */
static double memory_now(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	double memory = 0, kib;
	char line[256];

	bench_check(file != NULL, "/proc/self/status");
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "VmRSS: %lf", &kib) == 1 ||
			sscanf(line, "VmPTE: %lf", &kib) == 1)
			memory += kib;
	}
	fclose(file);
	return memory;
}

static atomic_size_t begun;
static struct weft_event_flag wake;

static int sleeper(void *arg)
{
	(void)arg;
	begun++;
	return weft_event_flag_wait(&wake);
}

static int sleepers(void *arg)
{
	struct burst *burst = arg;
	struct weft_task **tasks = malloc(burst->n * sizeof(*tasks));

	begun = 0;
	weft_event_flag_clear(&wake);
	for (size_t i = 0; i < burst->n; i++)
		tasks[i] = weft_create_task(sleeper, NULL);
	while (begun < burst->n)
		weft_sleep(WEFT_MS(1));
	burst->peak = memory_now();
	weft_event_flag_set(&wake);
	bench_check(weft_gather(tasks, burst->n, NULL, 0) == 0, "every sleeper succeeds");
	weft_release_all(tasks, burst->n);
	free(tasks);
	return 0;
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int unstarted(void *arg)
{
	struct burst *burst = arg;
	struct weft_task **tasks = malloc(burst->n * sizeof(*tasks));

	for (size_t i = 0; i < burst->n; i++)
		tasks[i] = weft_create_task(nothing, NULL);
	burst->peak = memory_now();
	bench_check(weft_gather(tasks, burst->n, NULL, 0) == 0, "every task succeeds");
	weft_release_all(tasks, burst->n);
	free(tasks);
	return 0;
}

/* Under a deadline, so with a timer; what is sent to it comes in an order of no meaning. */
static int receiver(void *arg)
{
	struct weft_scope scope;
	size_t item;
	int rc, ended;

	begun++;
	weft_deadline_begin(&scope, WEFT_SEC(3600));
	rc = weft_chan_recv(arg, &item);
	ended = weft_scope_end(&scope);
	return rc == 1 && !ended ? 0 : -1;
}

static int channels(void *arg)
{
	struct burst *burst = arg;
	struct weft_task **tasks = malloc(burst->n * sizeof(*tasks));
	struct weft_chan **chans = malloc(burst->n * sizeof(*chans));

	begun = 0;
	for (size_t i = 0; i < burst->n; i++) {
		chans[i] = weft_chan_create(sizeof(size_t), ITEMS);
		tasks[i] = weft_create_task(receiver, chans[i]);
	}
	while (begun < burst->n)
		weft_sleep(WEFT_MS(1));
	burst->peak = memory_now();
	for (size_t i = 0; i < burst->n; i++) {
		size_t at = (i * 7919 + 13) % burst->n;

		weft_chan_send(chans[at], &i);
	}
	for (size_t i = 0; i < burst->n; i++)
		weft_chan_close(chans[i]); /* if 7919 divides n, some got nothing */
	weft_gather(tasks, burst->n, NULL, WEFT_GATHER_ALL);
	for (size_t i = 0; i < burst->n; i++) {
		weft_status(tasks[i]);
		weft_chan_destroy(chans[i]);
	}
	weft_release_all(tasks, burst->n);
	free(chans);
	free(tasks);
	return 0;
}

static void pause_ms(int ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	nanosleep(&time, NULL);
}

static void print(const char *what, const char *of, unsigned workers, double figure,
	const char *unit)
{
	char name[64];

	snprintf(name, sizeof(name), "burst_%s%s", of, what);
	bench_print(name, workers, &figure, 1, unit);
}

static void watch(struct weft_runtime *rt, struct burst *burst, unsigned workers)
{
	double before = memory_now(), after;
	int ms = 0;

	bench_check(weft_runtime_call(rt, burst->body, burst, WEFT_FOREVER) == 0,
		"the burst");
	for (;;) {
		after = memory_now();
		if (after <= WITHIN * before || ms >= WATCHED_MS)
			break;
		pause_ms(PERIOD_MS);
		ms += PERIOD_MS;
	}
	print("", burst->name, workers, after / before, "x-idle");
	print("_after", burst->name, workers, ms / 1e3, "s");
	print("_peak", burst->name, workers, burst->peak / 1024, "MiB");
}

int main(int argc, char **argv)
{
	struct bench_options options = bench_parse(argc, argv);
	size_t n = bench_affordable_sleepers(options.n ? options.n : 300000);
	struct burst bursts[] = {
		{.name = "sleepers", .body = sleepers, .n = n},
		{.name = "unstarted", .body = unstarted, .n = n},
		{.name = "channels", .body = channels, .n = n / 3},
	};
	struct burst first = {.n = 10};
	struct weft_config config = WEFT_CONFIG_INIT;
	struct weft_runtime *rt;
	int rc;

	/* Else it learns to keep arrays like the program's own, which are not what is measured. */
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	config.workers = options.workers;
	config.stall_report = -1;
	rc = weft_runtime_create(&config, &rt);
	if (rc < 0) {
		fprintf(stderr, "burst: %s\n", strerror(-rc));
		return 1;
	}
	for (size_t i = 0; i < sizeof(bursts) / sizeof(bursts[0]); i++) /* once, small */
		bench_check(
			weft_runtime_call(rt, bursts[i].body, &first, WEFT_FOREVER) == 0,
			"call");
	for (size_t i = 0; i < sizeof(bursts) / sizeof(bursts[0]); i++)
		watch(rt, &bursts[i], options.workers);
	weft_runtime_destroy(rt);
	return 0;
}
