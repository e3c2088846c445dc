/* SPDX-License-Identifier: MIT */
#ifndef WEFT_COMPOSE_H
#define WEFT_COMPOSE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <weft/base.h>

WEFT_EXTERN_C_BEGIN

struct weft_task;

enum { WEFT_GATHER_ALL = 1 };
enum { WEFT_GROUP_COLLECT = 1 };
enum {
	WEFT_ALL_COMPLETED,
	WEFT_FIRST_COMPLETED,
	WEFT_FIRST_ERROR,
};

struct weft_as_completed {
	uint64_t opaque_[8];
};
WEFT_ASSERT_SIZE_(struct weft_as_completed, 64);

struct weft_group {
	uint64_t opaque_[32];
};
WEFT_ASSERT_SIZE_(struct weft_group, 256);

WEFT_API int weft_gather(struct weft_task *const *tasks, size_t n, int *statuses_or_null,
			 unsigned flags);
WEFT_API ssize_t weft_wait(struct weft_task **tasks, size_t n, int when, weft_ns timeout);

WEFT_API void weft_as_completed_begin(struct weft_as_completed *it,
				      struct weft_task *const *tasks, size_t n);
WEFT_API ssize_t weft_as_completed_next(struct weft_as_completed *it, weft_ns timeout);
WEFT_API void weft_as_completed_end(struct weft_as_completed *it);

WEFT_API ssize_t weft_race(struct weft_task *const *tasks, size_t n);

WEFT_API void weft_group_begin(struct weft_group *group, unsigned flags);
WEFT_API int weft_group_spawn(struct weft_group *group, weft_fn fn, void *arg);
WEFT_API struct weft_task *weft_group_create_task(struct weft_group *group, weft_fn fn,
						  void *arg);
WEFT_API int weft_group_spawn_at(const char *site, struct weft_group *group, weft_fn fn,
				 void *arg);
WEFT_API struct weft_task *weft_group_create_task_at(const char *site, struct weft_group *group,
						     weft_fn fn, void *arg);

#define weft_group_spawn(...) weft_group_spawn_at(WEFT_SITE_(#__VA_ARGS__), __VA_ARGS__)
#define weft_group_create_task(...) \
	weft_group_create_task_at(WEFT_SITE_(#__VA_ARGS__), __VA_ARGS__)

WEFT_API void weft_group_cancel(struct weft_group *group);
WEFT_API int weft_group_join(struct weft_group *group);
WEFT_API size_t weft_group_errors(const struct weft_group *group, int *statuses, size_t n);

WEFT_API int weft_parallel_for(size_t n, size_t grain,
			       void (*body)(size_t begin, size_t end, void *arg), void *arg);

WEFT_EXTERN_C_END

#endif /* WEFT_COMPOSE_H */
