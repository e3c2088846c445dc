/* SPDX-License-Identifier: MIT */
/*
 * mutex - a lock with one owner, a task or a plain thread. Called by programs and by cond.c.
 *
 * Life:   the caller's 32 bytes, zero is unlocked, nothing to destroy. Whoever has seen every
 *         lock and unlock call but its own return may reuse the memory: see weft_waiter_leave.
 * owner:  0, or who owns it, and in the low bits WAITERS (the queue may be in use: unlock takes
 *         the slow way) and THREAD (a plain thread's parker, not a task). 0 to owned by anybody's
 *         compare-and-swap; owned to 0 by the owner's while WAITERS is clear. Setting WAITERS, and
 *         every change while it is set, is under `lock`.
 * queue:  under `lock`. Not empty only while WAITERS is set.
 * Order:  first come first served. Unlock gives the mutex to the first waiter, which owns it from
 *         then on, running or not: nobody overtakes, and a cancel that comes later does not
 *         give it back.
 * Price:  free: one compare-and-swap to lock, one to unlock. With waiters: the spin lock and
 *         one wake per hand-over. The holder of `lock` never waits for anything.
 *
 * MX1  unlock: release compare-and-swap of owner  ->  lock: acquire compare-and-swap of owner.
 *      Weaker: the next owner misses what the last one wrote.
 * MX2  lock: WAITERS set by compare-and-swap, under `lock`  <->  unlock: compare-and-swap that expects
 *      it clear. Both change one word, so one of them fails and looks again. A plain store on
 *      either side: a waiter that nobody wakes.
 */
#include "sync/mutex.h"

#include <assert.h>
#include <errno.h>

#include "base/atomic.h"
#include "base/spin.h"
#include "sched/wait.h"
#include "sync/owner.h"
#include "sync/waiters.h"

#define WAITERS ((uintptr_t)1)
#define THREAD WEFT_OWNER_THREAD
static_assert(((WAITERS | THREAD) & ~WEFT_OWNER_FLAGS) == 0,
	"what the deadlock walk masks off");

struct mutex {
	_Atomic(uintptr_t) owner;
	struct weft_spin lock;
	struct weft_waitq queue; /* waiter.value: who it is, as in owner */
};

static_assert(sizeof(struct mutex) <= sizeof(struct weft_mutex), "fits its public size");
static_assert(_Alignof(struct mutex) <= _Alignof(struct weft_mutex), "and alignment");

static struct mutex *mutex_of(const struct weft_mutex *mutex)
{
	return (struct mutex *)mutex;
}

/* `lock` held. True: locked for self. False: owned by another, and WAITERS is set. */
static bool take_or_announce(struct mutex *m, uintptr_t self)
{
	uintptr_t owner = weft_load_relaxed(&m->owner);

	for (;;) {
		if (owner == 0) {
			if (weft_cas_acquire(&m->owner, &owner, self)) /* MX1 */
				return true;
		} else if (owner & WAITERS || weft_cas_relaxed(&m->owner, &owner,
						      owner | WAITERS)) { /* MX2 */
			return false;
		}
	}
}

/* A waiter gave up. The last one to leave takes WAITERS back: whoever locks the mutex from then on
 * may free it, and is followed by nobody who still needs `lock`. */
static void withdraw(struct mutex *m)
{
	weft_spin_lock(&m->lock);
	if (!weft_waitq_first(&m->queue)) {
		uintptr_t owner = weft_load_relaxed(&m->owner);

		if (owner & WAITERS)
			weft_store_relaxed(&m->owner, owner & ~WAITERS);
	}
	weft_spin_unlock(&m->lock);
}

/* Queue until unlock hands over, or a cancel or deadline comes first. */
static int wait_for_turn(struct mutex *m, uintptr_t self)
{
	struct weft_waiter waiter;
	int rc;

	weft_spin_lock(&m->lock);
	if (take_or_announce(m, self)) {
		weft_spin_unlock(&m->lock);
		return 0;
	}
	rc = weft_waitq_push(&m->queue, &waiter);
	if (rc < 0) {
		weft_spin_unlock(&m->lock);
	} else {
		waiter.value = self;
		rc = weft_waitq_wait(&m->lock, &m->queue, &waiter, WEFT_FOREVER);
	}
	if (rc < 0)
		withdraw(m);
	else
		weft_waiter_leave(&m->lock);
	return rc;
}

/*
 * The edge names the word, not the owner of the moment: the mutex changes hands while we wait,
 * and an edge to who held it once is a cycle that is none.
 */
__attribute__((noinline)) static int lock_slow(struct mutex *m, uintptr_t self, uintptr_t owner)
{
	int rc;

	if ((owner & ~WAITERS) == self)
		return -EDEADLK;
	rc = weft_wait_edge_enter_lock(&m->owner);
	if (rc < 0)
		return rc;
	rc = wait_for_turn(m, self);
	weft_wait_edge_leave();
	return rc;
}

int weft_mutex_lock(struct weft_mutex *mutex)
{
	WEFT_CHECKPOINT(checkpoint);
	struct mutex *m = mutex_of(mutex);
	uintptr_t self, owner = 0;
	int rc;

	if (!mutex)
		return -EINVAL;
	rc = weft_checkpoint_enter(&checkpoint);
	if (rc < 0)
		return rc;
	self = weft_owner_self();
	if (!self)
		return -ENOMEM;
	if (weft_likely(weft_cas_acquire(&m->owner, &owner, self))) /* MX1 */
		return 0;
	return lock_slow(m, self, owner);
}

int weft_mutex_trylock(struct weft_mutex *mutex)
{
	uintptr_t self, owner = 0;

	if (!mutex)
		return -EINVAL;
	self = weft_owner_self();
	if (!self)
		return weft_in_forked_child() ? -EOWNERDEAD : -ENOMEM;
	if (!weft_cas_acquire(&mutex_of(mutex)->owner, &owner, self)) /* MX1 */
		return -EBUSY;
	return 0;
}

__attribute__((noinline)) static void unlock_slow(struct mutex *m)
{
	struct weft_waiter *first;
	struct weft_parker *parker = NULL;

	weft_spin_lock(&m->lock);
	first = weft_waitq_first(&m->queue);
	if (!first) {
		weft_store_release(&m->owner, 0); /* MX1 */
	} else {
		bool more = first->node.next != NULL;

		/* What we wrote reaches the new owner through the grant. */
		weft_store_relaxed(&m->owner, first->value | (more ? WAITERS : 0));
		parker = weft_waitq_grant(&m->queue, first);
	}
	weft_spin_unlock(&m->lock);
	if (parker)
		weft_unpark(parker);
}

int weft_mutex_unlock(struct weft_mutex *mutex)
{
	struct mutex *m = mutex_of(mutex);
	uintptr_t self, owner;

	if (!mutex)
		return -EINVAL;
	self = weft_owner_self();
	owner = self;
	if (weft_likely(self && weft_cas_release(&m->owner, &owner, 0))) /* MX1, MX2 */
		return 0;
	if (!self || owner != (self | WAITERS))
		return -EPERM;
	unlock_slow(m);
	return 0;
}

bool weft_mutex_is_mine(const struct weft_mutex *mutex)
{
	uintptr_t owner = weft_load_relaxed(&mutex_of(mutex)->owner);

	return owner && (owner & ~WAITERS) == weft_owner_self();
}

void weft_mutex_relock(struct weft_mutex *mutex)
{
	struct mutex *m = mutex_of(mutex);
	struct weft_waiter waiter;
	uintptr_t self = weft_owner_self(), owner = 0;

	if (weft_cas_acquire(&m->owner, &owner, self)) /* MX1 */
		return;
	/* The edge is for others to find: a cycle through us is theirs to break. */
	(void)weft_wait_edge_enter_lock(&m->owner);
	weft_spin_lock(&m->lock);
	if (take_or_announce(m, self)) {
		weft_spin_unlock(&m->lock);
	} else {
		(void)weft_waitq_push(&m->queue, &waiter);
		waiter.value = self;
		weft_waitq_wait_deaf(&m->lock, &waiter);
		weft_waiter_leave(&m->lock);
	}
	weft_wait_edge_leave();
}
