/* SPDX-License-Identifier: MIT */
/*
 * child - what a forked child has of its parent's rings: the descriptors, as of every file, but not
 * the memory. An entry written there would be the parent's.
 */
#include "child.h"

#include <sys/socket.h>
#include <sys/syscall.h>

TestSuite(child, .timeout = 30);

enum { RINGS = 64, WORKERS = 3 };

/* Where the mappings of rings begin; how many. */
static int ring_mappings(char *at[RINGS])
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	int n = 0;

	while (maps && n < RINGS && fgets(line, sizeof(line), maps))
		if (strstr(line, "io_uring"))
			at[n++] = (char *)strtoul(line, NULL, 16);
	if (maps)
		fclose(maps);
	return n;
}

/* As the kernel sees it: the owner of a ring writes there meanwhile, and a sanitizer need not know. */
static bool can_be_read(const char *at, const int ends[2])
{
	char byte;

	return syscall(SYS_write, ends[1], at, 1L) == 1 && read(ends[0], &byte, 1) == 1;
}

static int look_in_the_child(char *const at[RINGS], int n)
{
	char *mine[RINGS];
	int ends[2];

	CHECK(ring_mappings(mine) == 0);
	CHECK(pipe(ends) == 0);
	for (int i = 0; i < n; i++)
		CHECK(!can_be_read(at[i], ends) && errno == EFAULT);
	return 0;
}

static int fork_beside_rings(void *arg)
{
	char *at[RINGS], byte;
	int ends[2], status, n = ring_mappings(at);

	(void)arg;
	if (strcmp(weft_runtime_backend(weft_runtime_current()), "io_uring") != 0)
		return SKIP;
	CHECK(n >= 2 * WORKERS); /* the queues, and the entries */
	CHECK(pipe(ends) == 0);
	for (int i = 0; i < n; i++)
		CHECK(can_be_read(at[i], ends));
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		_exit(look_in_the_child(at, n));
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(weft_write(ends[1], "x", 1) == 1);
	CHECK(weft_read(ends[0], &byte, 1) == 1);
	CHECK(weft_close(ends[0]) == 0 && weft_close(ends[1]) == 0);
	return 0;
}

static int fork_once(void)
{
	return try_to_run(WORKERS, fork_beside_rings, NULL);
}

Test(child, has_no_memory_of_its_parents_rings)
{
	in_a_child(fork_once);
}

/* Children that come and go, and close whatever they have, beside I/O in flight. */
static int fork_often(void *arg)
{
	int ends[2], status;
	char byte;

	(void)arg;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	for (int i = 0; i < 20; i++) {
		struct weft_task *sleeper = weft_create_task(sleep_forever, NULL);

		CHECK(weft_yield() == 0);
		pid_t pid = fork();
		CHECK(pid >= 0);
		if (pid == 0) {
			for (int fd = 3; fd < 200; fd++)
				close(fd);
			_exit(weft_sleep(1) == -EOWNERDEAD ? 0 : 1);
		}
		CHECK(weft_send(ends[1], "x", 1, 0) == 1);
		CHECK(weft_recv(ends[0], &byte, 1, 0) == 1);
		CHECK(waitpid(pid, &status, 0) == pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		CHECK(weft_cancel(sleeper) == 1);
		CHECK(weft_join(sleeper) == -ECANCELED);
	}
	CHECK(weft_close(ends[0]) == 0 && weft_close(ends[1]) == 0);
	return 0;
}

static int fork_often_from_each(void)
{
	for (unsigned workers = 1; workers <= 4; workers *= 2)
		CHECK(try_to_run(workers, fork_often, NULL) == 0);
	return 0;
}

Test(child, that_closes_everything_does_not_disturb_its_parent)
{
	in_a_child(fork_often_from_each);
}

/* A child that was forked before there was a runtime may have one of its own. */
static int run_in_the_child(void)
{
	return try_to_run(2, succeed, NULL);
}

Test(child, of_a_process_without_a_runtime_may_start_one)
{
	in_a_child(run_in_the_child);
}
