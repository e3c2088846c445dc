/* SPDX-License-Identifier: MIT */
/*
 * task - create tasks, wait for them, and pass results on.
 *
 * The calls that create are variadic macros over real functions of the same name, which stay
 * addressable: the macro adds the spawn site. Compound literals, commas included, and C++
 * lambdas without captures work as arguments.
 */
#ifndef WEFT_TASK_H
#define WEFT_TASK_H

#include <stddef.h>
#include <stdint.h>

#include <weft/base.h>

WEFT_EXTERN_C_BEGIN

struct weft_task;

/* weft_attr.flags */
enum {
	/* Once started the task never changes worker: for code that keeps thread-locals,
	 * errno or a library's per-thread state across [S] calls. */
	WEFT_STAY = 1,
	/* Cancelled and joined when the runtime ends, without a leak report. */
	WEFT_DAEMON = 2,
};

/*
 * What is special about one task; zero in any field but size is its default. A smaller size,
 * from a program built against an older weft, is accepted; a larger one, or zero, is -EINVAL.
 */
struct weft_attr {
	size_t size;	   /* = sizeof(struct weft_attr) */
	const char *name;  /* must outlive the task; default: as spelt at the spawn site */
	size_t stack_size; /* bytes; default: the runtime's */
	unsigned worker;   /* 0 any, else 1 + index: starts and stays there */
	unsigned flags;	   /* WEFT_STAY, WEFT_DAEMON */
};

/*
 * Creates a task that will run fn(arg), and returns a handle that the caller gives back with
 * weft_join or weft_release. arg must stay valid until the body is done with it. The task
 * inherits no scope and no pending cancel.
 *
 * Never NULL and never a visible failure: a task that cannot be made is a finished one with
 * weft_id 0, so the error meets the caller where the task is awaited. Its status is -ENOMEM,
 * -ESHUTDOWN (the runtime is stopping), -EPERM (not called from a task) or -EINVAL (fn is
 * NULL); its body does not run and arg stays the caller's.
 */
WEFT_API struct weft_task *weft_create_task(weft_fn fn, void *arg);

/*
 * weft_create_task with attributes, which are copied; NULL is none. Also -EINVAL for a bad
 * size, an unknown flag or a worker that does not exist.
 */
WEFT_API struct weft_task *weft_create_task_with(weft_fn fn, void *arg,
	const struct weft_attr *attr_or_null);

/*
 * Creates a task that starts when n others have ended, whatever their status; until then it holds
 * no stack. The array is only read during the call, and of each task that has not ended the new
 * one keeps a reference of its own until it does: the handles may be released at once. A task
 * that has ended, has failed or could not be created counts as ended; one may be listed twice.
 * With n == 0 it is weft_create_task. The failure of a dependency is not looked at, so it may
 * still be reported as unobserved.
 *
 * Cancelled before it starts, the task keeps its place: it runs after its dependencies, with
 * the cancel pending; the dependencies are left alone. At the end of the runtime the same
 * happens to all of them. A dependency that awaits or joins the task that waits for it never
 * ends, and nobody is told -EDEADLK.
 *
 * The handle is that of weft_create_task; also -EINVAL when one of the dependencies is NULL.
 */
WEFT_API struct weft_task *weft_create_task_after(weft_fn fn, void *arg,
	struct weft_task *const *deps, size_t n);

/*
 * Creates a detached task: there is no handle, and a failure is reported as unobserved.
 *
 * Returns 0, or the codes of weft_create_task: fn does not run and arg stays the caller's.
 */
WEFT_API int weft_go(weft_fn fn, void *arg);

/*
 * The functions behind the macros, for bindings and wrappers that have a spawn site of their
 * own to pass on: a literal made by WEFT_SITE_, or NULL.
 */
WEFT_API struct weft_task *weft_create_task_at(const char *site, weft_fn fn, void *arg);
WEFT_API struct weft_task *weft_create_task_with_at(const char *site, weft_fn fn, void *arg,
	const struct weft_attr *attr_or_null);
WEFT_API struct weft_task *weft_create_task_after_at(const char *site, weft_fn fn, void *arg,
	struct weft_task *const *deps, size_t n);
WEFT_API int weft_go_at(const char *site, weft_fn fn, void *arg);

#define weft_create_task(...) weft_create_task_at(WEFT_SITE_(#__VA_ARGS__), __VA_ARGS__)
#define weft_create_task_with(...) \
	weft_create_task_with_at(WEFT_SITE_(#__VA_ARGS__), __VA_ARGS__)
#define weft_create_task_after(...) \
	weft_create_task_after_at(WEFT_SITE_(#__VA_ARGS__), __VA_ARGS__)
#define weft_go(...) weft_go_at(WEFT_SITE_(#__VA_ARGS__), __VA_ARGS__)

/*
 * [S] Waits until the task has ended. Any number of tasks and threads may await it, each with
 * a reference of its own, any number of times. Cancelling the caller ends the wait at once
 * and leaves the task alone. Does not release.
 *
 * Returns the task's status; -ECANCELED also when the caller was cancelled; -EDEADLK when the
 * task is the caller or waits for it through awaits and joins.
 */
WEFT_API int weft_await(struct weft_task *task);

/*
 * [S] The owner's await: waits until the task has ended, then releases the handle, also when
 * it returns an error. A cancel or fired deadline of the caller, pending at entry or coming
 * meanwhile, cancels the task, which is waited for all the same. May run a task that has not
 * started in place, on the caller's stack.
 *
 * Returns the task's status; if the task ended -ECANCELED because of the caller's own cancel
 * or deadline, the caller's own code; -EDEADLK as weft_await. With a NULL task -EINVAL.
 */
WEFT_API int weft_join(struct weft_task *task);

/*
 * [S] Awaits the task for at most timeout nanoseconds; then cancels it and waits until it has
 * ended. A cancel or deadline of the caller cancels it too. Does not release.
 *
 * Returns the task's status, even when the timeout has passed, if it ended in another way than
 * by that cancel; else -ETIMEDOUT, or the caller's own code; -EDEADLK as weft_await.
 */
WEFT_API int weft_wait_for(struct weft_task *task, weft_ns timeout);

/*
 * The status of the task, or -EINPROGRESS while it has not ended; never waits. Having looked
 * at a failure makes it observed.
 */
WEFT_API int weft_status(const struct weft_task *task);

/*
 * What the task published with weft_set_value: borrowed, valid until the caller's handle is
 * released. NULL unless the task has ended with a status >= 0.
 */
WEFT_API void *weft_value(const struct weft_task *task);

/*
 * Moves the value out: it is the caller's now and its destructor will not run. NULL as
 * weft_value, and for everybody once it has been taken.
 */
WEFT_API void *weft_take_value(struct weft_task *task);

/*
 * Publishes value as the result of the calling task; a second call drops the first value.
 * drop (NULL: nothing to do) runs once, inside the release of the last handle, or when the
 * task ends if there is none, unless the value was taken.
 *
 * Returns 0; -EPERM outside a task. On error the value stays the caller's.
 */
WEFT_API int weft_set_value(void *value, weft_drop drop);

/* Another reference to the task, for another task or thread to use. Returns task. */
WEFT_API struct weft_task *weft_ref(struct weft_task *task);

/*
 * Gives one reference back. Never cancels and never frees a running task: it runs on,
 * detached. NULL is fine.
 */
WEFT_API void weft_release(struct weft_task *task);

/* Releases n handles; NULL entries are fine. */
WEFT_API void weft_release_all(struct weft_task **tasks, size_t n);

/* The calling task, borrowed: weft_ref it before handing it out. NULL outside a task. */
WEFT_API struct weft_task *weft_self(void);

/*
 * The name of the task: its attr's name, else its function as spelt at the spawn site. Valid
 * as long as the handle.
 */
WEFT_API const char *weft_name(const struct weft_task *task);

/*
 * A number no other task of the process has; in a simulation, of the simulation, and the same in each run of a
 * seed. 0: the task could not be created.
 */
WEFT_API uint64_t weft_id(const struct weft_task *task);

/*
 * [S] Lets every task that is ready now on this worker run first.
 *
 * Returns 0; -ECANCELED or -ETIMEDOUT, at entry only; -EPERM outside a task.
 */
WEFT_API int weft_yield(void);

/*
 * [S] Sleeps for a duration, at least; <= 0 is a yield. A plain thread blocks.
 *
 * Returns 0; -ECANCELED, -ETIMEDOUT: at entry, or when one ended the sleep early.
 */
WEFT_API int weft_sleep(weft_ns duration);

/* [S] Sleeps until weft_now() has reached a time; otherwise weft_sleep. */
WEFT_API int weft_sleep_until(weft_ns when);

/* The clock of the calling task's runtime; outside a task, CLOCK_MONOTONIC. */
WEFT_API weft_ns weft_now(void);

WEFT_EXTERN_C_END

#endif /* WEFT_TASK_H */
