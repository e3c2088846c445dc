/* SPDX-License-Identifier: MIT */
/*
 * runtime - start, stop and reach the workers that run tasks.
 *
 * A program with nothing else to do calls weft_run from main. A program with threads of its
 * own creates a runtime and hands it work with weft_runtime_post and weft_runtime_call.
 */
#ifndef WEFT_RUNTIME_H
#define WEFT_RUNTIME_H

#include <stddef.h>

#include <weft/base.h>

WEFT_EXTERN_C_BEGIN

struct weft_metrics;
struct weft_runtime;

/* The most workers one runtime takes. */
#define WEFT_WORKERS_MAX 1024

/* weft_config.flags */
enum {
	/* The epoll backend. The environment's WEFT_BACKEND=epoll asks for it too. */
	WEFT_NO_URING = 1,
	/* Fail with the kernel's code rather than fall back when io_uring is refused. So does
	 * WEFT_BACKEND=io_uring in the environment. */
	WEFT_REQUIRE_URING = 2,
	/* Worker i stays on the i-th CPU of the process's affinity mask. */
	WEFT_PIN_WORKERS = 4,
	/* Every task as if created with WEFT_STAY (weft/task.h). */
	WEFT_STAY_ALL = 8,
};

/* weft_report.kind */
enum {
	WEFT_REPORT_UNOBSERVED = 1, /* a failed task nobody looked at; never -ECANCELED */
	WEFT_REPORT_LEAK,	    /* a task still alive when the runtime ends */
	WEFT_REPORT_STALL,	    /* a task holds its worker longer than stall_report */
	WEFT_REPORT_FALLBACK,	    /* io_uring, or a part of it, is not to be had */
	WEFT_REPORT_DEADLOCK,	    /* tasks that wait for each other */
	WEFT_REPORT_STACKS,	    /* out of task stacks: new tasks wait to start */
	WEFT_REPORT_MISUSE,	    /* a call that makes no sense here and has no result to say so */
	WEFT_REPORT_STEP,	    /* the step of a simulation that weft_sim.show_step asks for */
};

/* One thing worth telling a person. Valid, strings included, only during the callback. */
struct weft_report {
	int kind;	  /* WEFT_REPORT_... */
	const char *task; /* the task's name, or NULL */
	const char *site; /* where it was created, "file.c:12", or NULL */
	int status;	  /* its status, or the code that caused the report; else 0 */
	const char *text; /* one line, without a newline; of DEADLOCK and STEP in a simulation several */
};

/*
 * How a runtime is set up. Copied when it is created. Zero in any field after size means that
 * field's default. A smaller size, from a program built against an older weft, is accepted; a
 * larger one, or zero, is -EINVAL.
 */
struct weft_config {
	size_t size;	       /* = sizeof(struct weft_config) */
	unsigned workers;      /* default: min(CPU affinity, cgroup cpu.max rounded up) */
	unsigned flags;	       /* WEFT_NO_URING, WEFT_REQUIRE_URING, ... */
	unsigned ring_entries; /* submission entries of each worker's ring */
	unsigned blocking_max; /* threads of the blocking pool at most; default 64, up to 4096 */
	size_t stack_size;     /* bytes of address space per task stack; default 256 KiB.
				* Memory is taken page by page, as a task touches it. */
	size_t stacks_max;     /* live stacks at most; when reached, new tasks wait to start */
	weft_ns stall_report;  /* report a task that holds its worker longer; default 10 ms,
				* < 0 never */
	/* Receives the reports; default: a line each on stderr. Called on any thread, of
	 * several at a time perhaps, and may not call into weft. */
	void (*on_report)(const struct weft_report *report, void *user);
	void *user; /* handed to on_report */
};

/* An initialiser that asks for every default: struct weft_config cfg = WEFT_CONFIG_INIT; */
#ifdef __cplusplus
#define WEFT_CONFIG_INIT { sizeof(struct weft_config), 0, 0, 0, 0, 0, 0, 0, nullptr, nullptr }
#else
#define WEFT_CONFIG_INIT { .size = sizeof(struct weft_config) }
#endif

/*
 * Runs main_fn(arg) as the first task of a new runtime, blocking the calling thread, then
 * cancels and joins the tasks that are left and stops the runtime (asyncio.run). Tasks left
 * over that are no daemons are reported as leaks.
 *
 * cfg_or_null is only read; NULL means every default. Must be called on a plain thread.
 *
 * Returns main_fn's status, or, when the runtime could not be created, the code
 * weft_runtime_create gives; main_fn has then not run. -EPERM from a task.
 */
WEFT_API int weft_run(weft_fn main_fn, void *arg, const struct weft_config *cfg_or_null);

/*
 * Creates a runtime and starts its workers. *out belongs to the caller, who ends it with
 * weft_runtime_destroy; on failure *out is left alone. Several runtimes may live side by side.
 *
 * Where io_uring is refused the epoll backend takes its place, with a WEFT_REPORT_FALLBACK.
 *
 * Returns 0; -EINVAL for a bad size, unknown flags, more than WEFT_WORKERS_MAX workers, a number
 * out of its range, or a WEFT_BACKEND in the environment that is unknown or contradicts the
 * flags (reported); -ENOMEM; -EAGAIN when no thread could be started. When io_uring is required:
 * the code of io_uring_setup(2) (-EPERM: forbidden here, -ENOSYS: a kernel without it, -ENOMEM:
 * also when RLIMIT_MEMLOCK is used up), or -EOPNOTSUPP for a kernel that lacks too much; reported
 * too.
 */
WEFT_API int weft_runtime_create(const struct weft_config *cfg_or_null,
	struct weft_runtime **out);

/*
 * Cancels every task and waits up to grace nanoseconds for all of them to end; from here on
 * no task can be created (-ESHUTDOWN). Any plain thread may call it, more than once too.
 *
 * Returns 0; -ETIMEDOUT when tasks survived grace (each is reported as a leak; call again to
 * wait longer); -EDEADLK from a task of the runtime, which would wait for itself.
 */
WEFT_API int weft_runtime_stop(struct weft_runtime *rt, weft_ns grace);

/*
 * Stops the runtime if that has not been done, ends its workers and frees it. With tasks that
 * do not end it leaks the runtime rather than free memory in use, and reports that. Handles
 * of ended tasks stay valid until released. NULL is fine. Plain threads only.
 */
WEFT_API void weft_runtime_destroy(struct weft_runtime *rt);

/*
 * Starts fn(arg) as a detached task of rt, from any thread, and returns at once
 * (call_soon_threadsafe). A failure of the task is reported as unobserved.
 *
 * Returns 0, or -ENOMEM or -ESHUTDOWN: fn does not run and arg stays the caller's.
 */
WEFT_API int weft_runtime_post(struct weft_runtime *rt, weft_fn fn, void *arg);

/*
 * Runs fn(arg) as a task of rt and blocks the calling plain thread for its status. When
 * timeout passes first the task is cancelled and waited for.
 *
 * Returns the task's status; -ETIMEDOUT when it ended -ECANCELED because of the timeout (any
 * other result wins); -ENOMEM, -ESHUTDOWN: fn did not run; -EPERM from a task.
 */
WEFT_API int weft_runtime_call(struct weft_runtime *rt, weft_fn fn, void *arg,
	weft_ns timeout);

/* The runtime of the calling task, borrowed; NULL outside a task. */
WEFT_API struct weft_runtime *weft_runtime_current(void);

/*
 * The backend that does the I/O, and why if it is not the first choice: "io_uring", or
 * "epoll (io_uring_setup: EPERM, io_uring_disabled=2)". Lives as long as rt.
 */
WEFT_API const char *weft_runtime_backend(const struct weft_runtime *rt);

/*
 * Fills *out, from any thread and at any time before destroy, as far as out->size reaches.
 * Counters are read one by one while workers go on, so their sums need not add up.
 *
 * Returns 0, or -EINVAL for a size of zero or larger than this library's.
 */
WEFT_API int weft_runtime_metrics(const struct weft_runtime *rt, struct weft_metrics *out);

/* The version of the library in use; WEFT_VERSION is that of the headers. */
WEFT_API const char *weft_version(void);

WEFT_EXTERN_C_END

#endif /* WEFT_RUNTIME_H */
