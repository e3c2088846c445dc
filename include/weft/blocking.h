/* SPDX-License-Identifier: MIT */
/*
 * blocking - calls that would hold up a worker, on threads that are allowed to block: file
 * system calls without an asynchronous form, foreign libraries, long computations.
 *
 * The runtime keeps a pool of such threads. It starts with none, grows to
 * weft_config.blocking_max while all are busy, and shrinks again after some seconds. Calls that
 * find no thread wait for one, first come, first served.
 *
 * On a pool thread the program is in a plain thread: what works in one works there
 * (weft/sync.h, cancel, await, weft_runtime_post to a runtime it knows), what does not gives
 * -EPERM, and weft_self() is NULL. Signals other than those a thread brings on itself are
 * blocked there, in programs that are started from there as well.
 */
#ifndef WEFT_BLOCKING_H
#define WEFT_BLOCKING_H

#include <weft/base.h>

WEFT_EXTERN_C_BEGIN

/*
 * [S] Runs fn(arg) on a pool thread while the calling task waits (asyncio.to_thread).
 *
 * The call is always waited for: what arg points to may lie on the caller's stack. A cancel or
 * deadline of the caller that comes meanwhile does not end the wait, and the result of fn wins;
 * fn may ask weft_cancelled(), which is 1 from then on, and return early. While the runtime
 * stops it is 1 as well. One that is pending at entry is returned before fn has begun.
 *
 * Returns fn's status; -EINVAL for a NULL fn; -EPERM outside a task; -EAGAIN when there is no
 * pool thread and none could be started: fn has not run, as with every code before it.
 */
WEFT_API int weft_blocking(weft_fn fn, void *arg);

/*
 * [S] The same on a lane: of all calls with the same name, at most max run at a time, in the
 * order of the calls, and those that wait for their turn hold no thread; so one kind of call
 * cannot use up the pool. lane is copied. The lane belongs to the runtime; while it has calls
 * running or waiting, the max of the first of them counts.
 *
 * Returns what weft_blocking does; -EINVAL also for a NULL or empty lane or a max of 0; -ENOMEM.
 */
WEFT_API int weft_blocking_lane(const char *lane, unsigned max, weft_fn fn, void *arg);

WEFT_EXTERN_C_END

#endif /* WEFT_BLOCKING_H */
