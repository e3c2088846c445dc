/* SPDX-License-Identifier: MIT */
/*
 * weft - C servers in straight lines: tasks that wait without blocking a thread, on all
 * cores, over io_uring. Including this header gives the whole interface; each header under
 * weft/ also compiles alone, in gnu11 (or C11 with _GNU_SOURCE) and in C++17.
 *
 * Rules that hold for every call. The headers say only what is special to a call.
 *
 * status      >= 0 is success, a negative errno value is failure. errno itself is neither
 *             read nor set, and a task must not expect it to survive an [S] call. A task's
 *             negative return value is its "exception".
 *
 * [S]         The call may suspend the calling task; other tasks run meanwhile, and the task
 *             may resume on another thread. Each [S] call is one checkpoint, whether or not
 *             it had to wait and however often it waits inside.
 *
 * cancel      A pending cancel (-ECANCELED) or fired deadline (-ETIMEDOUT) is returned at
 *  at entry   entry, before any effect, by every [S] call but those that finish something:
 *             join, gather, race, wait_for, group_join, weft_close and weft_cond_wait.
 *             When both are pending, -ECANCELED is the one returned.
 *
 * result      If the kernel, a channel, a lock or an owned task did the work, the call
 *  wins       returns that result; a cancel that came meanwhile is reported by the next
 *             checkpoint. No byte, descriptor or item is lost to a cancel.
 *
 * level       Once cancelled, every checkpoint of the task returns -ECANCELED until the task
 *             ends, is shielded (weft_shield_begin) or calls weft_uncancel.
 *
 * owners      weft_await never forwards a cancel to the task it awaits. join, gather, race,
 *             wait_for and group_join own their tasks: they cancel them, and always wait for
 *             them to end before they return.
 *
 * handles     A handle is one reference, used by one task or thread at a time; weft_ref makes
 *             another. Only weft_join and weft_release give one back; "joined" elsewhere
 *             means waited for.
 *
 * bodies      A task cancelled before it started still runs, with the cancel pending, so what
 *  run        it owns through arg is released. Only a task that could not be created
 *             (weft_id() == 0) never runs: its arg stays the caller's.
 *
 * buffers     An I/O call returns only after the kernel's last use of its buffers, cancelled
 *             or not. Buffers on the caller's stack are always safe.
 *
 * order       With one worker, the tasks one task created since it last started or resumed
 *             start in creation order, and timers fire by (deadline, creation). Everywhere,
 *             locks and channels serve their waiters first come, first served.
 *
 * plain       A thread that is no task may cancel, ref, release, look at, await, join, gather,
 *  threads    race and wait for tasks, sleep, and use all of weft/sync.h; it blocks. Creating
 *             tasks, weft/io.h, yield, checkpoint, scopes and blocking are -EPERM there; use
 *             weft_runtime_post or weft_runtime_call. Await, join and cancel work across
 *             runtimes.
 *
 * time        Durations and times are weft_ns, nanoseconds on a monotonic clock; sums
 *             saturate at WEFT_FOREVER. A duration <= 0 means: do not wait.
 *
 * Codes with one meaning everywhere, not repeated below: -ECANCELED someone cancelled the
 * caller (or, from await, the task awaited); -ETIMEDOUT a deadline scope fired, or the
 * kernel's own connection timeout; -EAGAIN the call's own timeout argument passed; -EDEADLK
 * a cycle of waits; -EOWNERDEAD called in a forked child; -EINVAL a NULL handle or function,
 * or a bad size; -EPERM called from the wrong kind of thread.
 */
#ifndef WEFT_H
#define WEFT_H

#include <weft/base.h>
#include <weft/runtime.h>
#include <weft/task.h>
#include <weft/cancel.h>
#include <weft/compose.h>
#include <weft/sync.h>
#include <weft/blocking.h>
#include <weft/local.h>
#include <weft/io.h>
#include <weft/observe.h>
#include <weft/order.h>

#endif /* WEFT_H */
