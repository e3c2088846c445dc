/* SPDX-License-Identifier: MIT */
/*
 * criterion.h - the spellings of Criterion that our tests use, for sanitizer builds.
 *
 * Criterion cannot start under ThreadSanitizer and does not fail a run for a leak, so
 * with b_sanitize set the same test files are built against this header and main.c
 * beside it. What is missing here (parameters, theories, redirection, the newer
 * assertions) is missing in our tests too.
 *
 * A test registers itself through a constructor. An assertion that fails may do so on
 * any thread and any stack: it reports and ends the test's process, nothing is unwound.
 */
#ifndef WEFT_TESTS_INPROC_CRITERION_H
#define WEFT_TESTS_INPROC_CRITERION_H

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct criterion_test_extra_data {
	void (*init)(void);
	void (*fini)(void);
	int signal;
	int exit_code;
	bool disabled;
	const char *description;
	double timeout; /* seconds, on a plain build; main.c stretches it */
	void *data;
};

struct criterion_test {
	const char *suite;
	const char *name; /* NULL: this entry is the suite's own settings */
	void (*body)(void);
	struct criterion_test_extra_data data;
	struct criterion_test *next;
};

void criterion_register(struct criterion_test *test);
void criterion_fail(const char *file, int line, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void criterion_abort(const char *file, int line, const char *what, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 4, 5)));
void criterion_skip(const char *fmt, ...)
	__attribute__((noreturn, format(printf, 1, 2)));
void criterion_log(const char *level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#define CRI_REGISTER_(id, suite_, name_, body_, ...)                                     \
	__attribute__((constructor)) static void id##_register(void)                     \
	{                                                                                \
		static struct criterion_test test = {                                    \
			.suite = suite_, .name = name_, .body = body_,                   \
			.data = { __VA_ARGS__ },                                         \
		};                                                                       \
		criterion_register(&test);                                               \
	}

#define CRI_TEST_(suite_, name_, ...)                                                    \
	static void suite_##_##name_##_body(void);                                       \
	CRI_REGISTER_(suite_##_##name_, #suite_, #name_, suite_##_##name_##_body,        \
		__VA_ARGS__)                                                             \
	static void suite_##_##name_##_body(void)

#define CRI_SUITE_(suite_, ...)                                                          \
	CRI_REGISTER_(suite_##_settings, #suite_, NULL, NULL, __VA_ARGS__)               \
	struct criterion_test

#define Test(...) CRI_TEST_(__VA_ARGS__, .data = NULL)
#define TestSuite(...) CRI_SUITE_(__VA_ARGS__, .data = NULL)

/* `""` in front of the caller's format: both no message and a message are one spelling. */
#define CRI_CHECK_(fail, cond, text, ...)                                                \
	((cond) ? (void)0 : fail(__FILE__, __LINE__, text, "" __VA_ARGS__))

#define CRI_OP_(fail, a, op, b, ...)                                                    \
	CRI_CHECK_(fail, (a) op (b), #a " " #op " " #b, __VA_ARGS__)
#define CRI_STR_(fail, a, op, b, ...)                                                   \
	CRI_CHECK_(fail, strcmp(a, b) op 0, #a " " #op " " #b, __VA_ARGS__)
#define CRI_MEM_(fail, a, op, b, n, ...)                                                \
	CRI_CHECK_(fail, memcmp(a, b, n) op 0, #a " " #op " " #b ", " #n " bytes",       \
		__VA_ARGS__)
#define CRI_FLOAT_(fail, a, b, op, eps, ...)                                            \
	CRI_CHECK_(fail, fabs((a) - (b)) op (eps), "|" #a " - " #b "| " #op " " #eps,     \
		__VA_ARGS__)

#define cr_assert(c, ...) CRI_CHECK_(criterion_abort, c, #c, __VA_ARGS__)
#define cr_assert_not(c, ...) CRI_CHECK_(criterion_abort, !(c), "!(" #c ")", __VA_ARGS__)
#define cr_assert_fail(...) CRI_CHECK_(criterion_abort, false, "failed", __VA_ARGS__)
#define cr_assert_eq(a, b, ...) CRI_OP_(criterion_abort, a, ==, b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) CRI_OP_(criterion_abort, a, !=, b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) CRI_OP_(criterion_abort, a, <, b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) CRI_OP_(criterion_abort, a, <=, b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) CRI_OP_(criterion_abort, a, >, b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) CRI_OP_(criterion_abort, a, >=, b, __VA_ARGS__)
#define cr_assert_null(a, ...) CRI_OP_(criterion_abort, a, ==, NULL, __VA_ARGS__)
#define cr_assert_not_null(a, ...) CRI_OP_(criterion_abort, a, !=, NULL, __VA_ARGS__)
#define cr_assert_float_eq(a, b, eps, ...)                                               \
	CRI_FLOAT_(criterion_abort, a, b, <=, eps, __VA_ARGS__)
#define cr_assert_float_neq(a, b, eps, ...)                                              \
	CRI_FLOAT_(criterion_abort, a, b, >, eps, __VA_ARGS__)
#define cr_assert_str_empty(a, ...) CRI_STR_(criterion_abort, a, ==, "", __VA_ARGS__)
#define cr_assert_str_not_empty(a, ...) CRI_STR_(criterion_abort, a, !=, "", __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) CRI_STR_(criterion_abort, a, ==, b, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...) CRI_STR_(criterion_abort, a, !=, b, __VA_ARGS__)
#define cr_assert_str_lt(a, b, ...) CRI_STR_(criterion_abort, a, <, b, __VA_ARGS__)
#define cr_assert_str_gt(a, b, ...) CRI_STR_(criterion_abort, a, >, b, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...) CRI_MEM_(criterion_abort, a, ==, b, n, __VA_ARGS__)
#define cr_assert_arr_neq(a, b, n, ...)                                                  \
	CRI_MEM_(criterion_abort, a, !=, b, n, __VA_ARGS__)

#define cr_expect(c, ...) CRI_CHECK_(criterion_fail, c, #c, __VA_ARGS__)
#define cr_expect_not(c, ...) CRI_CHECK_(criterion_fail, !(c), "!(" #c ")", __VA_ARGS__)
#define cr_expect_fail(...) CRI_CHECK_(criterion_fail, false, "failed", __VA_ARGS__)
#define cr_expect_eq(a, b, ...) CRI_OP_(criterion_fail, a, ==, b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...) CRI_OP_(criterion_fail, a, !=, b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...) CRI_OP_(criterion_fail, a, <, b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...) CRI_OP_(criterion_fail, a, <=, b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...) CRI_OP_(criterion_fail, a, >, b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...) CRI_OP_(criterion_fail, a, >=, b, __VA_ARGS__)
#define cr_expect_null(a, ...) CRI_OP_(criterion_fail, a, ==, NULL, __VA_ARGS__)
#define cr_expect_not_null(a, ...) CRI_OP_(criterion_fail, a, !=, NULL, __VA_ARGS__)
#define cr_expect_float_eq(a, b, eps, ...)                                               \
	CRI_FLOAT_(criterion_fail, a, b, <=, eps, __VA_ARGS__)
#define cr_expect_float_neq(a, b, eps, ...)                                              \
	CRI_FLOAT_(criterion_fail, a, b, >, eps, __VA_ARGS__)
#define cr_expect_str_empty(a, ...) CRI_STR_(criterion_fail, a, ==, "", __VA_ARGS__)
#define cr_expect_str_not_empty(a, ...) CRI_STR_(criterion_fail, a, !=, "", __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) CRI_STR_(criterion_fail, a, ==, b, __VA_ARGS__)
#define cr_expect_str_neq(a, b, ...) CRI_STR_(criterion_fail, a, !=, b, __VA_ARGS__)
#define cr_expect_str_lt(a, b, ...) CRI_STR_(criterion_fail, a, <, b, __VA_ARGS__)
#define cr_expect_str_gt(a, b, ...) CRI_STR_(criterion_fail, a, >, b, __VA_ARGS__)
#define cr_expect_arr_eq(a, b, n, ...) CRI_MEM_(criterion_fail, a, ==, b, n, __VA_ARGS__)
#define cr_expect_arr_neq(a, b, n, ...) CRI_MEM_(criterion_fail, a, !=, b, n, __VA_ARGS__)

#define cr_skip_test(...) criterion_skip("" __VA_ARGS__)
#define cr_skip(...) criterion_skip("" __VA_ARGS__)
#define cr_log_info(...) criterion_log("info", __VA_ARGS__)
#define cr_log_warn(...) criterion_log("warning", __VA_ARGS__)
#define cr_log_error(...) criterion_log("error", __VA_ARGS__)

#endif
