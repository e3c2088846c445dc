/* SPDX-License-Identifier: MIT */
/*
 * sleepers - n tasks asleep at once: memory per task, resident and in page tables, and the
 * CPU time to create and finish them next to the cost of touching n fresh pages. With one
 * worker also the memory of a task that has not started.
 */
#include "bench.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { PAGE = 4096 };

struct figures {
	size_t n;
	unsigned workers;
	double unstarted, rss, tables; /* KiB per task */
	double cpu;                    /* seconds */
};

/* A field of /proc/self/status, in KiB. */
static double status_kib(const char *field)
{
	FILE *file = fopen("/proc/self/status", "r");
	size_t len = strlen(field);
	double kib = 0;
	char line[256];

	bench_check(file != NULL, "/proc/self/status");
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, field, len) == 0)
			kib = strtod(line + len, NULL);
	fclose(file);
	return kib;
}

static double cpu_seconds(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* CPU time to touch n fresh pages: what the kernel takes for the memory alone. */
static double touch_seconds(size_t n)
{
	char *memory = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	double start = cpu_seconds();

	bench_check(memory != MAP_FAILED, "mmap");
	madvise(memory, n * PAGE, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < n; i++)
		memory[i * PAGE] = 1;
	munmap(memory, n * PAGE);
	return cpu_seconds() - start;
}

static atomic_size_t asleep;

static int sleeper(void *arg)
{
	struct weft_event_flag *wake = arg;
	struct weft_scope scope;
	int rc;

	asleep++;

	/* Asleep for up to an hour, but awake when the round is over. */
	weft_deadline_begin(&scope, WEFT_SEC(3600));
	rc = weft_event_flag_wait(wake);
	weft_scope_end(&scope);
	return rc;
}

static int measure(void *arg)
{
	struct figures *f = arg;
	struct weft_task **tasks = malloc(f->n * sizeof(*tasks));
	struct weft_event_flag wake = {0};
	double rss, tables, cpu;

	memset(tasks, 1, f->n * sizeof(*tasks));
	rss = status_kib("VmRSS:");
	tables = status_kib("VmPTE:");
	cpu = cpu_seconds();
	for (size_t i = 0; i < f->n; i++)
		tasks[i] = weft_create_task(sleeper, &wake);
	f->unstarted = (status_kib("VmRSS:") - rss) / (double)f->n;
	while (asleep < f->n)
		weft_sleep(WEFT_MS(10));
	f->rss = (status_kib("VmRSS:") - rss) / (double)f->n;
	f->tables = (status_kib("VmPTE:") - tables) / (double)f->n;
	weft_event_flag_set(&wake);
	bench_check(weft_gather(tasks, f->n, NULL, 0) == 0, "every sleeper succeeds");
	weft_release_all(tasks, f->n);
	f->cpu = cpu_seconds() - cpu;
	free(tasks);
	return 0;
}

int main(int argc, char **argv)
{
	struct bench_options options = bench_parse(argc, argv);
	struct figures f = {.n = bench_affordable_sleepers(options.n ? options.n : 100000)};
	struct weft_config config = WEFT_CONFIG_INIT;
	double touch, ratio, each;
	int rc;

	/* On a virtual machine the host, too, must find memory at first: not our price. */
	touch_seconds(f.n + f.n / 2);
	touch = touch_seconds(f.n);

	config.workers = options.workers;
	config.stall_report = -1;
	rc = weft_run(measure, &f, &config);
	if (rc < 0) {
		fprintf(stderr, "sleepers: %s\n", strerror(-rc));
		return 1;
	}
	ratio = f.cpu / touch;
	each = f.cpu * 1e6 / (double)f.n;
	if (options.workers == 1)
		bench_print(
			"task_unstarted", options.workers, &f.unstarted, 1, "KiB/task");
	bench_print("sleeper_rss", options.workers, &f.rss, 1, "KiB/task");
	bench_print("sleeper_tables", options.workers, &f.tables, 1, "KiB/task");
	bench_print("sleeper_cpu", options.workers, &ratio, 1, "x-fresh-page");
	bench_print("sleeper_us", options.workers, &each, 1, "us/task");
	return 0;
}
