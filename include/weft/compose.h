/* SPDX-License-Identifier: MIT */
/*
 * compose - wait for many tasks: gather, wait, as_completed, race, groups, parallel loops.
 *
 * The words mean what they mean in asyncio. None of the calls releases a handle; the arrays
 * they are given are borrowed for the duration of the call.
 */
#ifndef WEFT_COMPOSE_H
#define WEFT_COMPOSE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <weft/base.h>

WEFT_EXTERN_C_BEGIN

struct weft_task;

/* flags of weft_gather */
enum {
	WEFT_GATHER_ALL = 1, /* a failure cancels nobody (return_exceptions=True) */
};

/* flags of weft_group_begin */
enum {
	WEFT_GROUP_COLLECT = 1, /* an error does not cancel the siblings */
};

/* when weft_wait returns */
enum {
	WEFT_ALL_COMPLETED,
	WEFT_FIRST_COMPLETED,
	WEFT_FIRST_ERROR, /* a status < 0, -ECANCELED aside; else as WEFT_ALL_COMPLETED */
};

/* A walk over tasks in the order they complete. On the caller's stack; does not move. */
struct weft_as_completed {
	uint64_t opaque_[8];
};
WEFT_ASSERT_SIZE_(struct weft_as_completed, 64);

/*
 * A nursery (TaskGroup, errgroup): tasks that all end before the block they were spawned in
 * does. On its owner's stack, from weft_group_begin to weft_group_join; does not move.
 */
struct weft_group {
	uint64_t opaque_[32];
};
WEFT_ASSERT_SIZE_(struct weft_group, 256);

/*
 * [S] Waits for n tasks. The first failure to happen cancels the others, and all are waited
 * for; with WEFT_GATHER_ALL nothing is cancelled. Cancelling the caller cancels all of them,
 * and they are waited for. A member that someone else cancelled counts as a failure. A task
 * may appear twice. statuses_or_null receives the n statuses, in argument order.
 *
 * Returns 0, or the first failure to happen (among tasks that had ended before the call, the
 * first in argument order); with WEFT_GATHER_ALL 0; when the caller was cancelled or timed
 * out meanwhile, that code, unless every member succeeded all the same. n == 0: 0 at once.
 * -EDEADLK when a member is the caller or waits for it.
 */
WEFT_API int weft_gather(struct weft_task *const *tasks, size_t n, int *statuses_or_null,
	unsigned flags);

/*
 * [S] Waits until all tasks, one, or one that failed, have ended, or timeout nanoseconds have
 * passed (<= 0 only looks). Partitions the array: those done first, then those pending, both
 * in argument order. Cancels nobody, neither on timeout nor when the caller is cancelled. Its
 * timer is armed before any task runs in the caller's place.
 *
 * Returns the number done; a timeout is no error. -ECANCELED, -ETIMEDOUT: the caller's own;
 * -EINVAL for an unknown when; -ENOMEM.
 */
WEFT_API ssize_t weft_wait(struct weft_task **tasks, size_t n, int when, weft_ns timeout);

/*
 * Begins a walk over n tasks. The array and the handles must stay valid until
 * weft_as_completed_end.
 */
WEFT_API void weft_as_completed_begin(struct weft_as_completed *it,
	struct weft_task *const *tasks, size_t n);

/*
 * [S] Waits for the next task to complete: first those done at begin, in argument order, then
 * the others as they complete.
 *
 * Returns its index in the array; -ENOENT when all have been returned; -EAGAIN when timeout
 * passed, and the walk can go on; -ENOMEM; -ECANCELED, -ETIMEDOUT: the caller's own.
 */
WEFT_API ssize_t weft_as_completed_next(struct weft_as_completed *it, weft_ns timeout);

/* Ends the walk, at any point of it. The tasks themselves go on. */
WEFT_API void weft_as_completed_end(struct weft_as_completed *it);

/*
 * [S] Waits for the first task to succeed, cancels the others and waits for them. Look at a
 * loser's status: it may have succeeded too. Cancelling the caller cancels all of them, and
 * they are waited for.
 *
 * Returns the index of the first success; the last failure to happen if all failed; the
 * caller's own code if all failed because of that; -EINVAL when n == 0.
 */
WEFT_API ssize_t weft_race(struct weft_task *const *tasks, size_t n);

/* Begins a group owned by the calling task; each begun group must be joined. */
WEFT_API void weft_group_begin(struct weft_group *group, unsigned flags);

/*
 * Spawns a member that runs fn(arg); there is no handle to release. The owner may spawn, and
 * so may members. The first failure of a member cancels its siblings (not the owner), unless
 * the group collects.
 *
 * Returns 0; -ECANCELED into a cancelled group; -ENOMEM, -ESHUTDOWN, -EPERM as
 * weft_create_task. On error fn does not run and arg stays the caller's.
 */
WEFT_API int weft_group_spawn(struct weft_group *group, weft_fn fn, void *arg);

/*
 * weft_group_spawn with a handle, which the caller releases (weft_join is fine too). A member
 * that could not be made is a finished task with weft_id 0 and the code as its status.
 */
WEFT_API struct weft_task *weft_group_create_task(struct weft_group *group, weft_fn fn,
	void *arg);

/* The functions behind the macros; see weft_create_task_at. */
WEFT_API int weft_group_spawn_at(const char *site, struct weft_group *group, weft_fn fn,
	void *arg);
WEFT_API struct weft_task *weft_group_create_task_at(const char *site,
	struct weft_group *group, weft_fn fn, void *arg);

#define weft_group_spawn(...) weft_group_spawn_at(WEFT_SITE_(#__VA_ARGS__), __VA_ARGS__)
#define weft_group_create_task(...) \
	weft_group_create_task_at(WEFT_SITE_(#__VA_ARGS__), __VA_ARGS__)

/* Cancels all members, from the owner or a member. Spawning into it fails from here on. */
WEFT_API void weft_group_cancel(struct weft_group *group);

/*
 * [S] Waits for all members, those spawned meanwhile too; must be called, by the owner. A
 * cancel or deadline of the owner cancels the members, and they are waited for.
 *
 * Returns 0 or the first failure to happen; after weft_group_cancel 0, unless a member failed
 * with another code than -ECANCELED; the owner's own code if members ended -ECANCELED because
 * of it.
 */
WEFT_API int weft_group_join(struct weft_group *group);

/*
 * After the join: the number of members that failed. The codes of the first 16, in spawn
 * order, are kept; up to n of them are stored in statuses.
 */
WEFT_API size_t weft_group_errors(const struct weft_group *group, int *statuses, size_t n);

/*
 * [S] Calls body(begin, end, arg) for ranges that together cover 0..n-1 once, in parallel on
 * all workers, and waits for all of them. A range has at most grain indices; 0 lets the
 * library choose. A body may use [S] calls.
 *
 * Returns 0; when the caller was cancelled or timed out, that code: ranges not yet begun were
 * left out, unless all were done all the same; -ENOMEM.
 */
WEFT_API int weft_parallel_for(size_t n, size_t grain,
	void (*body)(size_t begin, size_t end, void *arg), void *arg);

WEFT_EXTERN_C_END

#endif /* WEFT_COMPOSE_H */
