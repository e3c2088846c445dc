/* SPDX-License-Identifier: MIT */
#ifndef WEFT_RUNTIME_H
#define WEFT_RUNTIME_H

#include <stddef.h>

#include <weft/base.h>

WEFT_EXTERN_C_BEGIN

struct weft_metrics;
struct weft_runtime;

#define WEFT_WORKERS_MAX 1024

enum {
	WEFT_NO_URING = 1,
	WEFT_REQUIRE_URING = 2,
	WEFT_PIN_WORKERS = 4,
	WEFT_STAY_ALL = 8,
};

enum {
	WEFT_REPORT_UNOBSERVED = 1,
	WEFT_REPORT_LEAK,
	WEFT_REPORT_STALL,
	WEFT_REPORT_FALLBACK,
	WEFT_REPORT_DEADLOCK,
	WEFT_REPORT_STACKS,
};

struct weft_report {
	int kind;
	const char *task;
	const char *site;
	int status;
	const char *text;
};

struct weft_config {
	size_t size;
	unsigned workers;
	unsigned flags;
	unsigned ring_entries;
	unsigned blocking_max;
	size_t stack_size;
	size_t stacks_max;
	weft_ns stall_report;
	void (*on_report)(const struct weft_report *report, void *user);
	void *user;
};

#ifdef __cplusplus
#define WEFT_CONFIG_INIT { sizeof(struct weft_config), 0, 0, 0, 0, 0, 0, 0, nullptr, nullptr }
#else
#define WEFT_CONFIG_INIT { .size = sizeof(struct weft_config) }
#endif

WEFT_API int weft_run(weft_fn main_fn, void *arg, const struct weft_config *cfg_or_null);
WEFT_API int weft_runtime_create(const struct weft_config *cfg_or_null,
				 struct weft_runtime **out);
WEFT_API int weft_runtime_stop(struct weft_runtime *rt, weft_ns grace);
WEFT_API void weft_runtime_destroy(struct weft_runtime *rt);
WEFT_API int weft_runtime_post(struct weft_runtime *rt, weft_fn fn, void *arg);
WEFT_API int weft_runtime_call(struct weft_runtime *rt, weft_fn fn, void *arg, weft_ns timeout);
WEFT_API struct weft_runtime *weft_runtime_current(void);
WEFT_API const char *weft_runtime_backend(const struct weft_runtime *rt);
WEFT_API int weft_runtime_metrics(const struct weft_runtime *rt, struct weft_metrics *out);
WEFT_API const char *weft_version(void);

WEFT_EXTERN_C_END

#endif /* WEFT_RUNTIME_H */
