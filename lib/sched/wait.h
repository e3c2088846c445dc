/* SPDX-License-Identifier: MIT */
/*
 * wait - the narrow waist: what every blocking feature is built on. Park the caller, wake
 * somebody, ask whether a cancel or deadline is pending. Features (sync, compose, io, order)
 * include this header and sched/task.h, never the worker.
 *
 * A *parker* is what can sleep: the stack of a running task, or a plain thread. Parkers are
 * type-stable: they are recycled but never unmapped while the library is loaded, so a late wake is at
 * worst one spurious return of weft_park somewhere. Hence every wait is a loop around a
 * condition of its own:
 *
 *	weft_spin_lock(&lock);
 *	... condition does not hold: link a waiter that names weft_parker_self() ...
 *	weft_spin_unlock(&lock);
 *	while (!weft_load_acquire(&waiter.granted)) {
 *		weft_park(until);
 *		... weft_pending(), a deadline of one's own: unlink under the lock or lose the race ...
 *	}
 *
 * weft_waitq below is that loop, written once.
 */
#ifndef WEFT_LIB_SCHED_WAIT_H
#define WEFT_LIB_SCHED_WAIT_H

#include <stddef.h>

#include <weft/base.h>

#include "base/atomic.h"
#include "base/list.h"
#include "base/spin.h"

struct weft_stack;
struct weft_task;

/*
 * state: RUNNING -> PARKED by the parker itself, once its context is saved; anybody may turn
 * either into NOTIFIED, and the one who found PARKED makes it ready. (PK1, docs/ORDERING.md)
 */
enum { WEFT_PARKER_RUNNING, WEFT_PARKER_PARKED, WEFT_PARKER_NOTIFIED };
enum { WEFT_PARKER_STACK, WEFT_PARKER_THREAD };

struct weft_parker {
	_Atomic(uint32_t) state;
	uint32_t kind;
};

/* The caller's parker: its stack inside a task, else the thread's own. NULL: out of memory
 * (threads only). */
struct weft_parker *weft_parker_self(void);

/*
 * A checkpoint, from the first line of an [S] call to its return. Declared at the top of the function that
 * makes it.
 */
struct weft_checkpoint {
	struct weft_stack *gives_way; /* before it returns; NULL: it need not */
	const char *call;             /* which call it is */
};
#define WEFT_CHECKPOINT(name) WEFT_CHECKPOINT_OF(name, __func__)
/* The same in a function that does the work of the call of that name. */
#define WEFT_CHECKPOINT_OF(name, call)                                                   \
	struct weft_checkpoint name                                                      \
		__attribute__((cleanup(weft_checkpoint_leave))) = { NULL, call }

void weft_checkpoint_end(struct weft_stack *stack);
static inline void weft_checkpoint_leave(struct weft_checkpoint *checkpoint)
{
	if (weft_unlikely(checkpoint->gives_way != NULL))
		weft_checkpoint_end(checkpoint->gives_way);
}

/*
 * The first line of every [S] call: one checkpoint. Returns 0, or -ECANCELED / -ETIMEDOUT when a
 * cancel or a fired deadline is pending; then the call must return it before any effect. May
 * yield when the fairness budget is spent. In a plain thread: 0. In a forked child: -EOWNERDEAD.
 */
int weft_checkpoint_enter(struct weft_checkpoint *checkpoint);

/*
 * The same for calls that name a descriptor: one that has to yield does so before it returns. Whoever runs
 * meanwhile may close that number and get it again for something else, which the call has nothing to do with.
 */
int weft_checkpoint_enter_first(struct weft_checkpoint *checkpoint);

/*
 * The end of a call that does nothing but give way, and has not failed: 0, or what has become pending
 * meanwhile. Where checkpoint->gives_way is NULL it has done so already.
 */
int weft_checkpoint_give_way(struct weft_checkpoint *checkpoint);

/*
 * The same for calls that finish something (join, gather, close, cond_wait): spends budget, never
 * fails; the caller asks weft_pending() itself. NULL: in the middle of such a call.
 */
void weft_checkpoint_finishing(struct weft_checkpoint *checkpoint);
void weft_checkpoint_finishing_first(struct weft_checkpoint *checkpoint);

/* Why a call that needs a task cannot be made here: -EPERM, or -EOWNERDEAD in a forked child. */
int weft_no_task(void);
bool weft_in_forked_child(void);

/* A call that makes no sense where it was made and has no result to say so. */
void weft_report_misuse(const char *text);

/* What is pending for the calling task right now: 0, -ECANCELED or -ETIMEDOUT. Marks the scope
 * that the -ETIMEDOUT is on account of. Does not yield, never suspends. 0 in a plain thread. */
int weft_pending(void);

/* The same for a wait that does not end with it: marks nothing. */
int weft_pending_peek(void);

/* The same, shortly after a look and right before a weft_park: a deadline that has passed in between is
 * left to the park, which it ends at once, and so the clock is not read. */
int weft_pending_before_park(void);

/* Any number below n, of a sequence without meaning; the seed's in a simulation. */
size_t weft_any_below(size_t n);

/*
 * A plain thread (in a simulation: a task in its place) that works for a waiting task says so: *stop turns non-zero once weft_cancelled() there
 * is to be true. NULL: no longer.
 */
void weft_work_begin(const _Atomic(uint32_t) *stop);
/* The word it gave, NULL if it works for nobody. */
const _Atomic(uint32_t) *weft_work_current(void);

/* fork() inside a body: the child's copy of it has returned, and there is nobody to return to. */
__attribute__((noreturn, cold)) void weft_forked_child_returned(void);

/*
 * Suspend the caller until weft_unpark(its parker), its deadline scopes, a cancel, or the clock
 * reaching until (absolute, weft_now(); WEFT_FOREVER: no bound). May return for no reason at all.
 */
void weft_park(weft_ns until);

/* The same, deaf to deadline scopes: for waits that end for no other reason than their own. */
void weft_park_deaf(weft_ns until);

/* Make the parker run again, or make its next weft_park return at once. Any thread. The parker may
 * be gone from the wait before this returns: touch nothing of its stack after this call. */
void weft_unpark(struct weft_parker *parker);
/* The same; if a task makes the call, whom it wakes so first goes before the others that are ready, for a while. For
 * what is handed over: the two share it, and the one that woke soon waits for more. */
void weft_unpark_next(struct weft_parker *parker);

/*
 * For the deadlock walk: between these two calls the caller says it waits for that task to act
 * (to end, or to unlock). enter returns -EDEADLK if, following such edges, the task would wait for
 * the caller; nothing is left published then. owner may be NULL.
 */
int weft_wait_edge_enter(struct weft_task *owner);
void weft_wait_edge_leave(void);
/* Whether that task waits for the caller now; publishes nothing. 0 or -EDEADLK. */
int weft_wait_edge_check(struct weft_task *task);
/* The same for each of them in turn; -EINVAL for a NULL handle. */
int weft_wait_edge_check_all(struct weft_task *const *tasks, size_t n);

/*
 * weft_wait_edge_enter for a lock, which changes hands while others wait: owner_word holds the task
 * that owns it, or 0, and in the low three bits flags of the lock's own, of which WEFT_OWNER_THREAD
 * says that the owner is no task. Other waiters read the word at any time until leave has returned.
 */
#define WEFT_OWNER_THREAD ((uintptr_t)2)
#define WEFT_OWNER_FLAGS ((uintptr_t)7)
int weft_wait_edge_enter_lock(const _Atomic(uintptr_t) *owner_word);

/*
 * For orders: the caller waits for these tasks from now on, for all or, if their ends wake it, for some of
 * them; 0 of them: no longer. The array stays until then.
 */
void weft_wait_for_fellows(struct weft_task *const *tasks, size_t n);

/* -- a FIFO of waiters under a lock of the feature's ------------------------------------------- */

struct weft_waiter {
	struct weft_node node;
	struct weft_parker *parker;
	_Atomic(uint32_t) granted; /* set under the queue's lock by whoever unlinks it to serve it */
	uint32_t queued;           /* under the lock: still linked */
	void *item;                /* the feature's: an address to copy to or from, a count ... */
	uintptr_t value;
};

struct weft_waitq {
	struct weft_list list;
};

/* Lock held. Append a waiter for the caller. -ENOMEM only in a plain thread. */
int weft_waitq_push(struct weft_waitq *queue, struct weft_waiter *waiter);

/*
 * Lock held, waiter pushed; unlocks, waits, returns unlocked. 0: granted (the result wins, even if
 * a cancel came meanwhile). -ECANCELED, -ETIMEDOUT, or -EAGAIN when the clock passed until: the
 * waiter has been unlinked and nobody will touch it.
 */
int weft_waitq_wait(struct weft_spin *lock, struct weft_waitq *queue, struct weft_waiter *waiter,
	weft_ns until);

/* The same wait, but deaf to cancel and deadlines: only a grant ends it. (cond_wait's relock.) */
void weft_waitq_wait_deaf(struct weft_spin *lock, struct weft_waiter *waiter);

/* Lock held. The oldest waiter, still linked; NULL if none. */
static inline struct weft_waiter *weft_waitq_first(struct weft_waitq *queue)
{
	return (struct weft_waiter *)queue->list.head;
}

/*
 * Lock held. Unlink the waiter and mark it granted. Returns its parker, for weft_unpark once the
 * lock is released: the waiter itself may be gone by then.
 */
struct weft_parker *weft_waitq_grant(struct weft_waitq *queue, struct weft_waiter *waiter);

/* weft_now() or up to a third of a millisecond later, never earlier, in a third of the time. */
weft_ns weft_now_at_most(void);

/* until for a duration from now: saturating; <= 0 gives the present. */
weft_ns weft_deadline_from(weft_ns duration);

#endif
