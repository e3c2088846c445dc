/* SPDX-License-Identifier: MIT */
/*
 * file_hot - reads of 4 KiB at random places of a file in the page cache: weft_pread in one task, and
 * pread(2) in a process of its own, in turn. ns per read, and how many times the twin's.
 */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "files.h"

enum { BLOCK = 4096, BLOCKS = 65536 };

static double twin_ns[BENCH_ROUNDS_MAX + 1], times[BENCH_ROUNDS_MAX + 1];
static size_t rounds;
static int file;

static off_t next_place(unsigned *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return (off_t)(*seed >> 8) % BLOCKS * BLOCK;
}

static double round_serial(size_t n)
{
	static char buf[BLOCK];
	double start = bench_now();
	unsigned seed = 1;

	for (size_t i = 0; i < n; i++)
		bench_check(pread(file, buf, BLOCK, next_place(&seed)) == BLOCK, "pread");
	return (bench_now() - start) / (double)n;
}

static double round_of(size_t n)
{
	static char buf[BLOCK];
	double start, figure;
	unsigned seed = 1;

	twin_ns[rounds] = files_twin_round(n);
	start = bench_now();
	for (size_t i = 0; i < n; i++)
		bench_check(weft_pread(file, buf, BLOCK, next_place(&seed)) == BLOCK,
			"weft_pread");
	figure = (bench_now() - start) / (double)n;
	times[rounds] = figure / twin_ns[rounds];
	rounds++;
	return figure;
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"file_hot", "ns/read", 200000, round_of};
	char path[512];
	int rc;

	bench_parse(argc, argv);
	files_make("hot", (size_t)BLOCK * BLOCKS);
	snprintf(path, sizeof(path), "%s/hot", files_folder());
	file = open(path, O_RDONLY | O_CLOEXEC);
	files_twin(round_serial);
	rc = bench_main(argc, argv, &bench);
	if (rc == 0) {
		bench_print("file_hot_pread", 1, twin_ns + 1, (unsigned)rounds - 1, "ns/read");
		bench_print("file_hot_times", 1, times + 1, (unsigned)rounds - 1, "x");
	}
	files_remove();
	return rc;
}
