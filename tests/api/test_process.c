/* SPDX-License-Identifier: MIT */
/*
 * process - weft_waitpid: children are waited for like anything else.
 */
#include "helper.h"

#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

TestSuite(process, .timeout = PATIENCE);

extern char **environ;

/* A child that runs this line of shell, in a process group of its own if that is asked for. */
static pid_t spawn(const char *line, bool own_group)
{
	char *argv[] = { "sh", "-c", (char *)line, NULL };
	posix_spawnattr_t attr;
	pid_t pid;

	posix_spawnattr_init(&attr);
	if (own_group)
		posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
	int rc = posix_spawn(&pid, "/bin/sh", NULL, &attr, argv, environ);
	cr_assert_eq(rc, 0, "%d", rc);
	posix_spawnattr_destroy(&attr);
	return pid;
}

static pid_t spawn_sleeper(void)
{
	return spawn("exec sleep 100", false);
}

static int wait_for_two_ends(void *arg)
{
	int status = 0;

	(void)arg;
	pid_t pid = spawn("exit 3", false);
	cr_assert_eq(weft_waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 3);

	pid = spawn_sleeper();
	kill(pid, SIGKILL);
	cr_assert_eq(weft_waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status));
	cr_assert_eq(WTERMSIG(status), SIGKILL);

	pid = spawn("exit 0", false);
	cr_assert_eq(weft_waitpid(pid, NULL, 0), pid, "the status is optional");
	return 0;
}

Test(process, tells_how_a_child_has_ended)
{
	run_on_1_2_4(wait_for_two_ends);
}

static int wait_for_child(void *arg)
{
	return weft_waitpid(*(pid_t *)arg, NULL, 0);
}

static int wait_beside_others(void *arg)
{
	pid_t pid = spawn_sleeper();

	(void)arg;
	struct weft_task *task = weft_create_task(wait_for_child, &pid);
	for (int i = 0; i < 5; i++)
		weft_sleep(WEFT_MS(1)); /* the worker is free */
	cr_assert_eq(weft_status(task), -EINPROGRESS);
	kill(pid, SIGTERM);
	cr_assert_eq(weft_join(task), pid);
	return 0;
}

Test(process, suspends_the_task_alone)
{
	run_on_1_2_4(wait_beside_others);
}

static int look_only(void *arg)
{
	pid_t pid = spawn_sleeper();

	(void)arg;
	cr_assert_eq(weft_waitpid(pid, NULL, WNOHANG), 0);
	cr_assert_eq(weft_waitpid(-1, NULL, WNOHANG), 0);
	kill(pid, SIGKILL);
	cr_assert_eq(weft_waitpid(pid, NULL, 0), pid);
	cr_assert_eq(weft_waitpid(pid, NULL, 0), -ECHILD, "it has been reaped");
	cr_assert_eq(weft_waitpid(-1, NULL, 0), -ECHILD, "there is none left");
	cr_assert_eq(weft_waitpid(getppid(), NULL, 0), -ECHILD, "no child of ours");
	cr_assert_eq(weft_waitpid(-1, NULL, 0x100000), -EINVAL);
	return 0;
}

Test(process, answers_at_once_what_needs_no_wait)
{
	run_on_1_2_4(look_only);
}

static int give_up(void *arg)
{
	pid_t pids[2] = { spawn_sleeper(), -1 };
	struct weft_scope scope;
	int status;

	(void)arg;
	for (int i = 0; i < 2; i++) {
		struct weft_task *task = weft_create_task(wait_for_child, &pids[i]);

		weft_sleep(WEFT_MS(1));
		weft_cancel(task);
		cr_assert_eq(weft_join(task), -ECANCELED);
		weft_deadline_begin(&scope, WEFT_MS(2));
		cr_assert_eq(weft_waitpid(pids[i], NULL, 0), -ETIMEDOUT);
		cr_assert_eq(weft_scope_end(&scope), 1);
	}
	kill(pids[0], SIGKILL);
	cr_assert_eq(weft_waitpid(pids[0], &status, 0), pids[0], "it is still there to be waited for");
	cr_assert(WIFSIGNALED(status));
	cancel_myself();
	cr_assert_eq(weft_waitpid(pids[0], NULL, WNOHANG), -ECANCELED, "at entry");
	weft_uncancel();
	return 0;
}

Test(process, leaves_the_child_when_it_is_cancelled)
{
	run_on_1_2_4(give_up);
}

static int wait_for_any(void *arg)
{
	pid_t first = spawn("exit 1", false), second = spawn("exit 2", false);
	int seen = 0, status;

	(void)arg;
	for (int i = 0; i < 2; i++) {
		pid_t pid = weft_waitpid(-1, &status, 0);

		cr_assert(pid == first || pid == second, "%d", pid);
		cr_assert_eq(WEXITSTATUS(status), pid == first ? 1 : 2);
		seen |= WEXITSTATUS(status);
	}
	cr_assert_eq(seen, 3, "each once");

	pid_t other = spawn_sleeper(), grouped = spawn("exit 5", true);
	cr_assert_eq(weft_waitpid(-grouped, &status, 0), grouped, "of that group");
	cr_assert_eq(WEXITSTATUS(status), 5);
	kill(other, SIGKILL);
	cr_assert_eq(weft_waitpid(0, &status, 0), other, "of our own group");
	return 0;
}

Test(process, waits_for_any_child_and_for_groups)
{
	run_on_1_2_4(wait_for_any);
}

static int stop_and_go(void *arg)
{
	pid_t pid = spawn_sleeper();
	int status;

	(void)arg;
	kill(pid, SIGSTOP);
	cr_assert_eq(weft_waitpid(pid, &status, WUNTRACED), pid);
	cr_assert(WIFSTOPPED(status));
	kill(pid, SIGCONT);
	cr_assert_eq(weft_waitpid(pid, &status, WCONTINUED), pid);
	cr_assert(WIFCONTINUED(status));
	kill(pid, SIGKILL);
	cr_assert_eq(weft_waitpid(pid, &status, WUNTRACED | WCONTINUED), pid);
	cr_assert(WIFSIGNALED(status));
	return 0;
}

Test(process, hears_of_children_that_stop_and_go_on)
{
	run_on_1_2_4(stop_and_go);
}

static int wait_without_descriptors(void *arg)
{
	struct rlimit limit, none;
	pid_t pid = spawn("exit 4", false);
	int status;

	(void)arg;
	getrlimit(RLIMIT_NOFILE, &limit);
	none = limit;
	none.rlim_cur = 3; /* the lowest free number is above */
	setrlimit(RLIMIT_NOFILE, &none);
	int rc = weft_waitpid(pid, &status, 0);
	setrlimit(RLIMIT_NOFILE, &limit);
	cr_assert_eq(rc, pid, "%d", rc);
	cr_assert_eq(WEXITSTATUS(status), 4);
	return 0;
}

Test(process, needs_no_descriptor)
{
	run_on_1_2_4(wait_without_descriptors);
}

static int spawn_and_wait(void *arg)
{
	int status;
	pid_t pid = spawn("exit 7", false);

	(void)arg;
	return weft_waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7 ? 0 : -ECHILD;
}

static int wait_for_many(void *arg)
{
	struct weft_task *tasks[20];

	(void)arg;
	for (int i = 0; i < 20; i++)
		tasks[i] = weft_create_task(spawn_and_wait, NULL);
	cr_assert_eq(weft_gather(tasks, 20, NULL, 0), 0);
	weft_release_all(tasks, 20);
	return 0;
}

Test(process, gives_each_waiter_its_own_child)
{
	run_on_1_2_4(wait_for_many);
}

Test(process, is_for_tasks_only)
{
	cr_assert_eq(weft_waitpid(-1, NULL, WNOHANG), -EPERM);
}
