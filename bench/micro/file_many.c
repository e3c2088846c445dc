/* SPDX-License-Identifier: MIT */
/*
 * file_many - n small files, each opened, read and closed: by weft in one task, and by the plain calls in
 * a process of its own, in turn. ns per file, and how many times the twin's.
 */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "files.h"

enum { SIZE = 1024, BUFFER = 4096 };

static double twin_ns[BENCH_ROUNDS_MAX + 1], times[BENCH_ROUNDS_MAX + 1];
static size_t rounds;
static int folder;

static char (*names)[24];

static void make_names(size_t n)
{
	names = malloc(n * sizeof(*names));
	bench_check(names != NULL, "no memory");
	for (size_t i = 0; i < n; i++)
		snprintf(names[i], sizeof(names[i]), "%zu", i);
}

static double round_serial(size_t n)
{
	double start = bench_now();
	char buf[BUFFER];

	for (size_t i = 0; i < n; i++) {
		int fd = openat(folder, names[i], O_RDONLY | O_CLOEXEC);

		bench_check(read(fd, buf, sizeof(buf)) == SIZE, "read");
		close(fd);
	}
	return (bench_now() - start) / (double)n;
}

static double round_of(size_t n)
{
	char buf[BUFFER];
	double start, figure;

	twin_ns[rounds] = files_twin_round(n);
	start = bench_now();
	for (size_t i = 0; i < n; i++) {
		int fd = weft_openat(folder, names[i], O_RDONLY | O_CLOEXEC, 0);

		bench_check(weft_read(fd, buf, sizeof(buf)) == SIZE, "weft_read");
		weft_close(fd);
	}
	figure = (bench_now() - start) / (double)n;
	times[rounds] = figure / twin_ns[rounds];
	rounds++;
	return figure;
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"file_many", "ns/file", 100000, round_of};
	size_t n = bench_parse(argc, argv).n;
	int rc;

	n = n ? n : bench.n;
	make_names(n);
	for (size_t i = 0; i < n; i++)
		files_make(names[i], SIZE);
	folder = open(files_folder(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	files_twin(round_serial);
	rc = bench_main(argc, argv, &bench);
	if (rc == 0) {
		bench_print("file_many_sync", 1, twin_ns + 1, (unsigned)rounds - 1, "ns/file");
		bench_print("file_many_times", 1, times + 1, (unsigned)rounds - 1, "x");
	}
	files_remove();
	free(names);
	return rc;
}
