/* SPDX-License-Identifier: MIT */
/*
 * file_direct - reads of 4 KiB at random places past the page cache (O_DIRECT), by 1, 32 and 128 tasks
 * at a time: us per read, and us of processor time per read. Its peer is fio, which the report runs.
 */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "files.h"

enum { BLOCK = 4096, BLOCKS = 65536, DEPTHS = 3, ONE_AT_A_TIME_FEWER = 8 };

static const unsigned depths[DEPTHS] = {1, 32, 128};
static double wall_us[DEPTHS][BENCH_ROUNDS_MAX + 1], cpu_us[DEPTHS][BENCH_ROUNDS_MAX + 1];
static size_t rounds;
static int file;
static size_t left;
static unsigned seed = 1;

static double cpu_now(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static int reader(void *arg)
{
	char *buf = aligned_alloc(BLOCK, BLOCK);

	(void)arg;
	while (left) {
		off_t at;

		left--;
		seed = seed * 1103515245 + 12345;
		at = (off_t)(seed >> 8) % BLOCKS * BLOCK;
		bench_check(weft_pread(file, buf, BLOCK, at) == BLOCK, "weft_pread");
	}
	free(buf);
	return 0;
}

static void run_at(unsigned which, size_t n)
{
	double start = bench_now(), cpu = cpu_now();
	struct weft_group group;

	left = n;
	weft_group_begin(&group, 0);
	for (unsigned i = 0; i < depths[which]; i++)
		weft_group_spawn(&group, reader, NULL);
	bench_check(weft_group_join(&group) == 0, "the readers");
	wall_us[which][rounds] = (bench_now() - start) / 1e3 / (double)n;
	cpu_us[which][rounds] = (cpu_now() - cpu) / (double)n;
}

static double round_of(size_t n)
{
	for (unsigned which = 0; which < DEPTHS; which++)
		run_at(which, depths[which] == 1 ? n / ONE_AT_A_TIME_FEWER : n);
	return wall_us[0][rounds++];
}

static int all_rounds(void *arg)
{
	struct bench_options *options = arg;

	for (unsigned i = 0; i <= options->rounds; i++)
		round_of(options->n ? options->n : 50000);
	return 0;
}

int main(int argc, char **argv)
{
	struct bench_options options = bench_parse(argc, argv);
	struct weft_config config = WEFT_CONFIG_INIT;
	char path[512], name[64];
	int rc;

	files_make("direct", (size_t)BLOCK * BLOCKS);
	snprintf(path, sizeof(path), "%s/direct", files_folder());
	file = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	bench_check(file >= 0, "no O_DIRECT there; set TMPDIR");
	config.workers = 1;
	config.stall_report = -1;
	rc = weft_run(all_rounds, &options, &config);
	for (unsigned i = 0; rc == 0 && i < DEPTHS; i++) {
		snprintf(name, sizeof(name), "file_direct_%u", depths[i]);
		bench_print(name, 1, wall_us[i] + 1, (unsigned)rounds - 1, "us/read");
		snprintf(name, sizeof(name), "file_direct_cpu_%u", depths[i]);
		bench_print(name, 1, cpu_us[i] + 1, (unsigned)rounds - 1, "us/read");
	}
	files_remove();
	if (rc < 0)
		fprintf(stderr, "file_direct: %s\n", strerror(-rc));
	return rc < 0;
}
