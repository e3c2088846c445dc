/* SPDX-License-Identifier: MIT */
/*
 * main.c - runs the tests that registered themselves, in the order of their file.
 *
 * Each test runs in a fork of this process, one after the other: a crash ends that test
 * alone, a leak is charged to the test that made it (LeakSanitizer looks when the child
 * exits), and a test that hangs is killed. Nothing is executed anew, so every sanitizer
 * is at home. The parent never starts a thread, which ThreadSanitizer needs for a fork.
 *
 *   test-x [--list] [PATTERN]    PATTERN: part of suite/name, or a shell pattern
 */
#include "criterion/criterion.h"

#include <fnmatch.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A sanitizer slows a test down by about this much. */
#define TIMEOUT_STRETCH 4
/* For a test that names no limit; of an ordinary build, too. */
#define TIMEOUT_DEFAULT 30.0

enum outcome { PASSED, FAILED, SKIPPED, OUTCOMES };

/* What the child tells the parent; shared memory, written by the child's threads. */
struct verdict {
	int failed;
	int skipped;
};

/*
 * ThreadSanitizer waits a second at the end of a process, for threads that are still at it.
 * Ours are joined by then, and every test is a process.
 */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "atexit_sleep_ms=20";
}

static struct criterion_test *tests;
static struct criterion_test **tests_tail = &tests;
static struct criterion_test *suites;
static const struct criterion_test *running;
static struct verdict *verdict;

static const struct criterion_test_extra_data no_settings;

void criterion_register(struct criterion_test *test)
{
	if (!test->name) {
		test->next = suites;
		suites = test;
		return;
	}
	*tests_tail = test;
	tests_tail = &test->next;
}

static void say(const char *what, const char *fmt, va_list args)
{
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, args);
	fprintf(stderr, "[%s] %s/%s: %s\n", what, running->suite, running->name, text);
}

static void report(const char *file, int line, const char *what, const char *fmt,
	va_list args)
{
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, args);
	fprintf(stderr, "[FAIL] %s/%s: %s:%d: %s%s%s\n", running->suite, running->name,
		file, line, what, *text ? ": " : "", text);
	__atomic_store_n(&verdict->failed, 1, __ATOMIC_RELAXED);
}

void criterion_fail(const char *file, int line, const char *what, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(file, line, what, fmt, args);
	va_end(args);
}

void criterion_abort(const char *file, int line, const char *what, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(file, line, what, fmt, args);
	va_end(args);
	_exit(1);
}

void criterion_skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say("SKIP", fmt, args);
	va_end(args);
	__atomic_store_n(&verdict->skipped, 1, __ATOMIC_RELAXED);
	_exit(0);
}

void criterion_log(const char *level, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(level, fmt, args);
	va_end(args);
}

static const struct criterion_test_extra_data *suite_settings(const char *suite)
{
	for (const struct criterion_test *s = suites; s; s = s->next)
		if (!strcmp(s->suite, suite))
			return &s->data;
	return &no_settings;
}

static void call(void (*fn)(void))
{
	if (fn)
		fn();
}

/* Runs in the child. exit(), not _exit(): the sanitizers look for leaks and races then. */
static void run_here(const struct criterion_test *t, int expected_signal)
{
	const struct criterion_test_extra_data *suite = suite_settings(t->suite);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (expected_signal) /* the sanitizer's handler would turn it into an exit */
		signal(expected_signal, SIG_DFL);
	call(suite->init);
	call(t->data.init);
	t->body();
	call(t->data.fini);
	call(suite->fini);
	exit(0);
}

/* Waits for the child, at most `seconds`. False if it had to be killed. */
static bool reap(pid_t pid, double seconds, int *status)
{
	struct pollfd end = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	bool in_time = end.fd < 0 || poll(&end, 1, (int)(seconds * 1000)) != 0;

	if (!in_time)
		kill(pid, SIGKILL);
	if (end.fd >= 0)
		close(end.fd);
	while (waitpid(pid, status, 0) < 0)
		; /* ends: only a signal makes it fail, and nobody sends many */
	return in_time;
}

static enum outcome failed_because(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say("FAIL", fmt, args);
	va_end(args);
	return FAILED;
}

static enum outcome judge(int status, int expected_signal, int expected_exit)
{
	if (verdict->failed)
		return FAILED;
	if (verdict->skipped)
		return SKIPPED;
	if (WIFSIGNALED(status) && WTERMSIG(status) == expected_signal)
		return PASSED;
	if (WIFSIGNALED(status))
		return failed_because("killed by signal %d (%s)", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	if (expected_signal)
		return failed_because("expected signal %d, but it exited with %d",
			expected_signal, WEXITSTATUS(status));
	if (WEXITSTATUS(status) != expected_exit)
		return failed_because("exited with %d instead of %d", WEXITSTATUS(status),
			expected_exit);
	return PASSED;
}

static double limit_of(const struct criterion_test *t,
	const struct criterion_test_extra_data *suite)
{
	double seconds = t->data.timeout > 0 ? t->data.timeout : suite->timeout;

	return (seconds > 0 ? seconds : TIMEOUT_DEFAULT) * TIMEOUT_STRETCH;
}

static enum outcome run(const struct criterion_test *t)
{
	const struct criterion_test_extra_data *suite = suite_settings(t->suite);
	int expected_signal = t->data.signal ? t->data.signal : suite->signal;
	int expected_exit = t->data.exit_code ? t->data.exit_code : suite->exit_code;
	double limit = limit_of(t, suite);
	int status;
	pid_t pid;

	running = t;
	if (t->data.disabled || suite->disabled)
		return SKIPPED;
	memset(verdict, 0, sizeof(*verdict));
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return failed_because("cannot fork");
	if (!pid)
		run_here(t, expected_signal);
	if (!reap(pid, limit, &status))
		return failed_because("did not end within %g s", limit);
	return judge(status, expected_signal, expected_exit);
}

static bool wanted(const struct criterion_test *t, const char *pattern)
{
	char name[512];

	if (!pattern)
		return true;
	snprintf(name, sizeof(name), "%s/%s", t->suite, t->name);
	return strstr(name, pattern) || !fnmatch(pattern, name, 0);
}

int main(int argc, char **argv)
{
	bool list = argc > 1 && !strcmp(argv[1], "--list");
	const char *pattern = argc > 1 + list ? argv[1 + list] : NULL;
	unsigned count[OUTCOMES] = { 0 };

	verdict = mmap(NULL, sizeof(*verdict), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (verdict == MAP_FAILED)
		return 2;
	for (struct criterion_test *t = tests; t; t = t->next) {
		if (!wanted(t, pattern))
			continue;
		if (list)
			printf("%s/%s\n", t->suite, t->name);
		else
			count[run(t)]++;
	}
	if (list)
		return 0;
	printf("%u passed, %u failed, %u skipped\n", count[PASSED], count[FAILED],
		count[SKIPPED]);
	return count[FAILED] != 0;
}
