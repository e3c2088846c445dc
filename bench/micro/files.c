/* SPDX-License-Identifier: MIT */
/*
 * files - see files.h.
 */
#include "files.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

static char folder[256];
static int ask[2], answer[2];

const char *files_folder(void)
{
	const char *parent = getenv("TMPDIR");

	if (!folder[0]) {
		snprintf(folder, sizeof(folder), "%s/weft-bench-XXXXXX",
			parent && *parent ? parent : "/var/tmp");
		bench_check(mkdtemp(folder) != NULL, "no folder for the test files");
	}
	return folder;
}

void files_make(const char *name, size_t n)
{
	static char block[65536];
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", files_folder(), name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bench_check(fd >= 0, "a test file cannot be made");
	memset(block, 'x', sizeof(block));
	for (size_t done = 0, part; done < n; done += part) {
		part = n - done < sizeof(block) ? n - done : sizeof(block);
		bench_check(write(fd, block, part) == (ssize_t)part, "the disk is full");
	}
	if (n > sizeof(block))
		fsync(fd); /* written now, and not while somebody measures */
	close(fd);
}

void files_remove(void)
{
	DIR *dir = opendir(files_folder());
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(folder);
}

static void twin(double (*round)(size_t n))
{
	double figure;
	size_t n;

	while (read(ask[0], &n, sizeof(n)) == sizeof(n)) {
		figure = round(n);
		if (write(answer[1], &figure, sizeof(figure)) < 0)
			break;
	}
	_exit(0);
}

void files_twin(double (*round)(size_t n))
{
	int child;

	bench_check(pipe(ask) == 0 && pipe(answer) == 0, "no pipe");
	child = fork();
	bench_check(child >= 0, "no process");
	if (child == 0) {
		close(ask[1]); /* so that the other's end is seen */
		close(answer[0]);
		twin(round);
	}
	close(ask[0]);
	close(answer[1]);
}

double files_twin_round(size_t n)
{
	double figure = 0;

	bench_check(write(ask[1], &n, sizeof(n)) == sizeof(n) &&
			    read(answer[0], &figure, sizeof(figure)) == sizeof(figure),
		"the twin is gone");
	return figure;
}
