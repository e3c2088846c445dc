/* SPDX-License-Identifier: MIT */
/*
 * A task that overruns its stack dies in the guard below it, and is named before the process does.
 */
#include <criterion/criterion.h>

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft.h>

static volatile size_t deep_enough = SIZE_MAX; /* volatile: no compiler sees that it has no end */

static int recurse_without_end(void *arg)
{
	volatile char frame[4096];

	memset((char *)frame, (int)(size_t)arg, sizeof(frame));
	if ((size_t)arg == deep_enough)
		return 0;
	return recurse_without_end((void *)((size_t)arg + 1)) + frame[17];
}

static int overrun(void *arg)
{
	return weft_join(weft_create_task(recurse_without_end, arg));
}

static int fault_elsewhere(void *arg)
{
	volatile int *nowhere = arg;

	return *nowhere;
}

/* Runs body in a child process; its standard error goes to text. The signal it died of, or 0. */
static int die(weft_fn body, char *text, size_t size)
{
	int ends[2], status;
	ssize_t got, have = 0;
	pid_t child;

	cr_assert_eq(pipe(ends), 0);
	child = fork();
	cr_assert_geq(child, 0);
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		weft_run(body, NULL, NULL);
		_exit(0);
	}
	close(ends[1]);
	while ((got = read(ends[0], text + have, size - 1 - (size_t)have)) > 0)
		have += got;
	text[have] = '\0';
	close(ends[0]);
	cr_assert_eq(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

Test(overflow, names_the_task_and_where_it_was_created, .timeout = 30)
{
	char text[4096];

	cr_assert_eq(die(overrun, text, sizeof(text)), SIGSEGV);
	cr_assert(strstr(text, "stack overflow"), "%s", text);
	cr_assert(strstr(text, "recurse_without_end"), "%s", text);
	cr_assert(strstr(text, "test_overflow.c:"), "%s", text);
	cr_assert(strstr(text, "stack_size"), "what to do about it: %s", text);
}

Test(overflow, says_nothing_about_other_faults, .timeout = 30)
{
	char text[4096];

	die(fault_elsewhere, text, sizeof(text));
	cr_assert(!strstr(text, "stack overflow"), "%s", text);
}
