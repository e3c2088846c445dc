/* SPDX-License-Identifier: MIT */
/*
 * idle - a runtime with nothing to do, watched for n milliseconds from a plain thread: CPU
 * time and wake-ups of all its threads per second. Both are to be zero.
 */
#include "bench.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct usage {
	double cpu_us;
	double wakeups;
};

static void add_thread(struct usage *usage, const char *tid)
{
	unsigned long long ran_ns = 0, waited_ns = 0, times = 0;
	char path[300];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat", tid);
	file = fopen(path, "r");
	if (!file)
		return;
	if (fscanf(file, "%llu %llu %llu", &ran_ns, &waited_ns, &times) == 3) {
		usage->cpu_us += (double)ran_ns / 1e3;
		usage->wakeups += (double)times;
	}
	fclose(file);
}

/* All threads but the calling one, which is the main thread. */
static struct usage usage_of_workers(void)
{
	struct usage usage = {0};
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;

	bench_check(dir != NULL, "/proc/self/task");
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != getpid())
			add_thread(&usage, entry->d_name);
	closedir(dir);
	return usage;
}

static void nap(size_t ms)
{
	struct timespec time = {
		.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&time, NULL);
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

int main(int argc, char **argv)
{
	struct bench_options options = bench_parse(argc, argv);
	struct weft_config config = WEFT_CONFIG_INIT;
	double ms = options.n ? (double)options.n : 1000, figure;
	struct weft_runtime *rt;
	struct usage before, after;
	int rc;

	config.workers = options.workers;
	rc = weft_runtime_create(&config, &rt);
	if (rc < 0) {
		fprintf(stderr, "idle: %s\n", strerror(-rc));
		return 1;
	}
	/* Work has come and gone before. */
	bench_check(weft_runtime_call(rt, nothing, NULL, WEFT_FOREVER) == 0, "call");
	nap(200);
	before = usage_of_workers();
	nap((size_t)ms);
	after = usage_of_workers();
	weft_runtime_destroy(rt);
	figure = (after.cpu_us - before.cpu_us) * 1000 / ms;
	bench_print("idle_cpu", options.workers, &figure, 1, "us/s");
	figure = (after.wakeups - before.wakeups) * 1000 / ms;
	bench_print("idle_wakeups", options.workers, &figure, 1, "per-s");
	return 0;
}
