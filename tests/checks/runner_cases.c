/* SPDX-License-Identifier: MIT */
/*
 * runner_cases.c - tests that must fail, and some that must not, for runner.sh.
 *
 * Built once under Criterion and once per sanitizer under the stand-in; runner.sh asks
 * for each case by name and compares what the runner said with what the case deserves.
 */
#include <criterion/criterion.h>

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static int set_up;

static void prepare(void)
{
	set_up = 1;
}

TestSuite(good, .init = prepare, .description = "cases that pass");

Test(good, passes)
{
	cr_assert(1);
	cr_assert_eq(2, 1 + 1, "two is %d", 2);
	cr_assert_str_eq("weft", "weft");
	cr_assert_float_eq(0.1 + 0.2, 0.3, 1e-9);
	cr_expect_not_null("");
}

Test(good, is_set_up_by_its_suite)
{
	cr_assert_eq(set_up, 1);
}

Test(good, signal_as_expected, .signal = SIGSEGV)
{
	raise(SIGSEGV);
}

Test(good, exit_code_as_expected, .exit_code = 3)
{
	exit(3);
}

Test(skipped, says_so)
{
	cr_skip_test("nothing to look at");
}

Test(bad, assertion)
{
	cr_assert_eq(1, 2, "one is not %s", "two");
}

Test(bad, expectation)
{
	cr_expect_eq(1, 2);
}

Test(bad, crash)
{
	raise(SIGSEGV);
}

Test(bad, missing_signal, .signal = SIGSEGV)
{
}

Test(bad, exit_code)
{
	exit(3);
}

Test(bad, hang, .timeout = 0.2)
{
	for (;;)
		pause();
}

static void *assert_elsewhere(void *arg)
{
	cr_assert_null(arg);
	return NULL;
}

Test(bad, assertion_on_another_thread)
{
	pthread_t thread;

	pthread_create(&thread, NULL, assert_elsewhere, "not NULL");
	pthread_join(thread, NULL);
}

/* Criterion does not see these two: that is what the stand-in is for. */
Test(leak, block)
{
	char *volatile block = malloc(100);

	block[0] = 1;
	block = NULL;
}

static int shared;

static void *add(void *arg)
{
	for (int i = 0; i < 1000; i++)
		shared++;
	return arg;
}

Test(race, counter)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, add, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	cr_assert_gt(shared, 0);
}
