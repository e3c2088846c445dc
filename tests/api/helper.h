/* SPDX-License-Identifier: MIT */
/*
 * helper - the few words that all API tests share: run a task with so many workers, and
 * small bodies for tasks that wait, refuse to stop, or just return something.
 *
 * Assertions inside tasks are fine: a test is a process of its own. A run that reports a
 * leaked task or an unobserved failure fails its test; tests about reports bring their own
 * configuration.
 */
#ifndef WEFT_TESTS_API_HELPER_H
#define WEFT_TESTS_API_HELPER_H

#include <criterion/criterion.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weft.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Seconds; generous, because it only ends a test that hangs. */
#define PATIENCE 30

/* Prints a report that no test asked for; counts it in *user, an int. */
static inline void count_report(const struct weft_report *report, void *user)
{
	if (report->kind != WEFT_REPORT_LEAK && report->kind != WEFT_REPORT_UNOBSERVED)
		return;
	fprintf(stderr, "%s\n", report->text);
	__atomic_fetch_add((int *)user, 1, __ATOMIC_SEQ_CST);
}

/* Runs fn(arg) as the main task; returns its status. */
static inline int run_with(unsigned workers, weft_fn fn, void *arg)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	int reports = 0;

	config.workers = workers;
	config.stall_report = -1;
	config.on_report = count_report;
	config.user = &reports;
	int status = weft_run(fn, arg, &config);
	cr_assert_eq(reports, 0, "%d tasks leaked or failed unobserved", reports);
	return status;
}

/* Runs fn(NULL) with 1, 2 and 4 workers; it must return 0 each time. */
static inline void run_on_1_2_4(weft_fn fn)
{
	static const unsigned workers[] = { 1, 2, 4 };

	for (unsigned i = 0; i < 3; i++) {
		int status = run_with(workers[i], fn, NULL);
		cr_assert_eq(status, 0, "status %d with %u workers", status, workers[i]);
	}
}

/* A runtime for tests that speak to it from a plain thread. */
static inline struct weft_runtime *start_runtime(unsigned workers)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct weft_runtime *rt = NULL;

	config.workers = workers;
	config.stall_report = -1;
	int status = weft_runtime_create(&config, &rt);
	cr_assert_eq(status, 0, "status %d", status);
	return rt;
}

/* Bodies. */

/* arg: an int, the status to return. */
static inline int return_int(void *arg)
{
	return *(int *)arg;
}

static inline int succeed(void *arg)
{
	(void)arg;
	return 0;
}

static inline int fail_eio(void *arg)
{
	(void)arg;
	return -EIO;
}

/* arg: an event flag. Its status is that of the wait. */
static inline int wait_for_flag(void *arg)
{
	return weft_event_flag_wait(arg);
}

static inline int set_flag(void *arg)
{
	weft_event_flag_set(arg);
	return 0;
}

/* Ends only by a cancel, with the code of the sleep. */
static inline int sleep_forever(void *arg)
{
	(void)arg;
	return weft_sleep(WEFT_FOREVER);
}

/* arg: an int. Waits until it is cancelled, then succeeds all the same. */
static inline int return_int_when_cancelled(void *arg)
{
	weft_sleep(WEFT_FOREVER);
	return *(int *)arg;
}

/* arg: a bool, set when the body runs. */
static inline int note_that_it_ran(void *arg)
{
	*(bool *)arg = true;
	return 0;
}

/* From here on each checkpoint of the calling task returns -ECANCELED. */
static inline void cancel_myself(void)
{
	weft_cancel(weft_self());
}

/* What happened, in order; for runs with one worker, or under a lock. */
struct diary {
	int n;
	int line[64];
};

static inline void note(struct diary *diary, int line)
{
	cr_assert_lt(diary->n, 64);
	diary->line[diary->n++] = line;
}

/* The diary reads 0, 1, ... n-1. */
static inline void assert_in_order(const struct diary *diary, int n)
{
	cr_assert_eq(diary->n, n, "%d lines instead of %d", diary->n, n);
	for (int i = 0; i < n; i++)
		cr_assert_eq(diary->line[i], i, "line %d is %d", i, diary->line[i]);
}

/* A task's own page in a shared diary. */
struct entry {
	struct diary *diary;
	int line;
};

static inline int write_entry(void *arg)
{
	struct entry *entry = arg;

	note(entry->diary, entry->line);
	return 0;
}

#endif
