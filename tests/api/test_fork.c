/* SPDX-License-Identifier: MIT */
/*
 * fork - a forked child has the memory of its parent's runtime, but none of its threads: every
 * call that would need them says so, and the parent is not disturbed.
 */
#include "helper.h"

#include <malloc.h>
#include <sys/wait.h>

TestSuite(fork, .timeout = PATIENCE);

/* The child exits with the number of its first check that failed, 0 for none. */
static int exit_code_of(pid_t pid)
{
	int status;

	cr_assert_gt(pid, 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status), "the child was killed by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

struct request {
	struct weft_task *task;
};

static int create_a_sleeper(void *arg)
{
	((struct request *)arg)->task = weft_create_task(sleep_forever, NULL);
	return 0;
}

static int call_as_a_child(struct weft_runtime *rt, struct weft_task *task)
{
	if (weft_runtime_call(rt, succeed, NULL, WEFT_FOREVER) != -EOWNERDEAD)
		return 1;
	if (weft_runtime_post(rt, succeed, NULL) != -EOWNERDEAD)
		return 2;
	if (weft_runtime_stop(rt, WEFT_FOREVER) != -EOWNERDEAD)
		return 3;
	if (weft_await(task) != -EOWNERDEAD)
		return 4;
	if (weft_wait_for(task, WEFT_FOREVER) != -EOWNERDEAD)
		return 5;
	if (weft_gather(&task, 1, NULL, 0) != -EOWNERDEAD)
		return 6;
	if (weft_wait(&task, 1, WEFT_ALL_COMPLETED, WEFT_FOREVER) != -EOWNERDEAD)
		return 7;
	if (weft_race(&task, 1) != -EOWNERDEAD)
		return 8;
	if (weft_cancel(task) != -EOWNERDEAD)
		return 9;
	if (weft_join(task) != -EOWNERDEAD)
		return 10;
	return 0;
}

Test(fork, a_child_of_a_plain_thread_cannot_use_the_runtime)
{
	struct weft_runtime *rt = start_runtime(2);
	struct request r;

	cr_assert_eq(weft_runtime_call(rt, create_a_sleeper, &r, WEFT_FOREVER), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(call_as_a_child(rt, r.task));
	cr_assert_eq(exit_code_of(pid), 0);

	/* the parent goes on */
	cr_assert_eq(weft_status(r.task), -EINPROGRESS);
	cr_assert_eq(weft_runtime_call(rt, succeed, NULL, WEFT_FOREVER), 0);
	weft_cancel(r.task);
	cr_assert_eq(weft_join(r.task), -ECANCELED);
	weft_runtime_destroy(rt);
}

static void nothing(size_t begin, size_t end, void *arg)
{
	(void)begin;
	(void)end;
	(void)arg;
}

/*
 * Whatever thread held the allocator's lock at the fork holds it for good in the child, unless the
 * allocator takes care (glibc's does, a sanitizer's does not): the calls must not need it. A
 * sanitizer's allocator reports nothing here; a call that allocates hangs there now and then.
 */
static size_t allocated(void)
{
	return mallinfo2().uordblks;
}

static int suspend_as_a_child(int fd)
{
	const size_t before = allocated();
	struct weft_group group;
	char byte;

	if (weft_yield() != -EOWNERDEAD)
		return 1;
	if (weft_checkpoint() != -EOWNERDEAD)
		return 2;
	if (weft_sleep(WEFT_MS(1)) != -EOWNERDEAD)
		return 3;
	if (weft_read(fd, &byte, 1) != -EOWNERDEAD)
		return 4;
	if (weft_close(fd) != -EOWNERDEAD)
		return 5;
	if (weft_join(weft_create_task(succeed, NULL)) != -EOWNERDEAD)
		return 6;
	if (weft_go(succeed, NULL) != -EOWNERDEAD)
		return 7;
	weft_group_begin(&group, 0);
	if (weft_group_spawn(&group, succeed, NULL) != -EOWNERDEAD)
		return 8;
	if (weft_parallel_for(1, 1, nothing, NULL) != -EOWNERDEAD)
		return 9;
	if (allocated() != before)
		return 10;
	return 0;
}

static int fork_in_a_task(void *arg)
{
	int fds[2];
	char byte;

	(void)arg;
	cr_assert_eq(pipe(fds), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(suspend_as_a_child(fds[0]));
	cr_assert_eq(exit_code_of(pid), 0);

	/* the parent's rings were not touched */
	cr_assert_eq(weft_write(fds[1], "x", 1), 1);
	cr_assert_eq(weft_read(fds[0], &byte, 1), 1);
	cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
	weft_close(fds[0]);
	weft_close(fds[1]);
	return 0;
}

Test(fork, a_child_of_a_task_cannot_suspend)
{
	run_on_1_2_4(fork_in_a_task);
}

static int fork_with_reads_in_flight(void *arg)
{
	int fds[2];
	char byte;

	(void)arg;
	cr_assert_eq(pipe(fds), 0);
	for (int i = 0; i < 10; i++) {
		struct weft_task *sleeper = weft_create_task(sleep_forever, NULL);
		weft_yield();
		pid_t pid = fork();
		if (pid == 0)
			_exit(weft_sleep(WEFT_MS(1)) == -EOWNERDEAD ? 0 : 1);
		cr_assert_eq(weft_write(fds[1], "x", 1), 1);
		cr_assert_eq(weft_read(fds[0], &byte, 1), 1);
		cr_assert_eq(exit_code_of(pid), 0);
		weft_cancel(sleeper);
		cr_assert_eq(weft_join(sleeper), -ECANCELED);
	}
	weft_close(fds[0]);
	weft_close(fds[1]);
	return 0;
}

Test(fork, leaves_the_parent_undisturbed)
{
	run_on_1_2_4(fork_with_reads_in_flight);
}

Test(fork, a_child_may_exec)
{
	struct weft_runtime *rt = start_runtime(2);

	pid_t pid = fork();
	if (pid == 0) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(127);
	}
	cr_assert_eq(exit_code_of(pid), 0);
	weft_runtime_destroy(rt);
}
