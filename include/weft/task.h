/* SPDX-License-Identifier: MIT */
#ifndef WEFT_TASK_H
#define WEFT_TASK_H

#include <stddef.h>
#include <stdint.h>

#include <weft/base.h>

WEFT_EXTERN_C_BEGIN

struct weft_task;

enum {
	WEFT_STAY = 1,
	WEFT_DAEMON = 2,
};

struct weft_attr {
	size_t size;
	const char *name;
	size_t stack_size;
	unsigned worker;
	unsigned flags;
};

WEFT_API struct weft_task *weft_create_task(weft_fn fn, void *arg);
WEFT_API struct weft_task *weft_create_task_with(weft_fn fn, void *arg,
						 const struct weft_attr *attr_or_null);
WEFT_API int weft_go(weft_fn fn, void *arg);

WEFT_API struct weft_task *weft_create_task_at(const char *site, weft_fn fn, void *arg);
WEFT_API struct weft_task *weft_create_task_with_at(const char *site, weft_fn fn, void *arg,
						    const struct weft_attr *attr_or_null);
WEFT_API int weft_go_at(const char *site, weft_fn fn, void *arg);

#define weft_create_task(...) weft_create_task_at(WEFT_SITE_(#__VA_ARGS__), __VA_ARGS__)
#define weft_create_task_with(...) \
	weft_create_task_with_at(WEFT_SITE_(#__VA_ARGS__), __VA_ARGS__)
#define weft_go(...) weft_go_at(WEFT_SITE_(#__VA_ARGS__), __VA_ARGS__)

WEFT_API int weft_await(struct weft_task *task);
WEFT_API int weft_join(struct weft_task *task);
WEFT_API int weft_wait_for(struct weft_task *task, weft_ns timeout);
WEFT_API int weft_status(const struct weft_task *task);
WEFT_API void *weft_value(const struct weft_task *task);
WEFT_API void *weft_take_value(struct weft_task *task);
WEFT_API int weft_set_value(void *value, weft_drop drop);
WEFT_API struct weft_task *weft_ref(struct weft_task *task);
WEFT_API void weft_release(struct weft_task *task);
WEFT_API void weft_release_all(struct weft_task **tasks, size_t n);
WEFT_API struct weft_task *weft_self(void);
WEFT_API const char *weft_name(const struct weft_task *task);
WEFT_API uint64_t weft_id(const struct weft_task *task);
WEFT_API int weft_yield(void);
WEFT_API int weft_sleep(weft_ns duration);
WEFT_API int weft_sleep_until(weft_ns when);
WEFT_API weft_ns weft_now(void);

WEFT_EXTERN_C_END

#endif /* WEFT_TASK_H */
