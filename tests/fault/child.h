/* SPDX-License-Identifier: MIT */
/*
 * child - limits and privileges are the process's, so each scenario runs in a child of its own,
 * which says what went wrong by its exit status; and what a process holds, counted from /proc.
 */
#ifndef WEFT_TESTS_FAULT_CHILD_H
#define WEFT_TESTS_FAULT_CHILD_H

#include "../api/helper.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* In a scenario: the first check that fails ends it. */
#define CHECK(condition, ...)                                                            \
	do {                                                                             \
		if (!(condition)) {                                                      \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);  \
			fprintf(stderr, " " __VA_ARGS__);                                \
			return 1;                                                        \
		}                                                                        \
	} while (0)

enum { SKIP = 77 };

/* Runs the scenario in a child; it must return 0, or SKIP. */
static inline void in_a_child(int (*scenario)(void))
{
	int status;

	fflush(NULL);
	pid_t pid = fork();
	cr_assert_geq(pid, 0);
	if (pid == 0) {
		status = scenario();
		fflush(NULL);
		_exit(status);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status), "killed by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status) == SKIP)
		cr_skip_test("not possible here");
	cr_assert_eq(WEXITSTATUS(status), 0);
}

static inline int entries_of(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

static inline int open_descriptors(void)
{
	return entries_of("/proc/self/fd");
}

/* Whether there are as many threads as then. One that was joined takes a moment to go. */
static inline bool threads_are(int then)
{
	for (int i = 0; i < 2000; i++) {
		if (entries_of("/proc/self/task") == then)
			return true;
		usleep(1000);
	}
	return false;
}

static inline int threads_now(void)
{
	return entries_of("/proc/self/task");
}

static inline rlim_t soft_limit(int resource)
{
	struct rlimit limit;

	return getrlimit(resource, &limit) == 0 ? limit.rlim_cur : 0;
}

static inline void set_soft_limit(int resource, rlim_t value)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) == 0) {
		limit.rlim_cur = value;
		setrlimit(resource, &limit);
	}
}

/* Runs main_fn as a program would, but without reports on stderr. */
static inline void say_nothing(const struct weft_report *report, void *user)
{
	(void)report;
	(void)user;
}

static inline int try_to_run(unsigned workers, weft_fn main_fn, void *arg)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.workers = workers;
	config.stall_report = -1;
	config.on_report = say_nothing;
	return weft_run(main_fn, arg, &config);
}

/* Before threads are counted: a sanitizer starts one of its own with the first. */
static inline bool warm_up(void)
{
	return try_to_run(1, succeed, NULL) == 0;
}

#endif
