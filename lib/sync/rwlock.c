/* SPDX-License-Identifier: MIT */
/*
 * rwlock - one writer or any number of readers, tasks or plain threads. Called by programs.
 *
 * Life:   the caller's 32 bytes, zero is unlocked, nothing to destroy (weft_waiter_leave).
 * word:   who holds it, and WAITERS (the queue may be in use):
 *             0                      nobody
 *             who                    that one writes (sync/owner.h)
 *             who | READ             that one reads, alone since nobody did
 *             MANY | n | READ        n readers, whose names are not kept
 *         Changed by anybody's compare-and-swap while WAITERS is clear; setting WAITERS, and every
 *         change while it is set, is under `lock`.
 * queue:  under `lock`; waiter.value is who, waiter.item not NULL: to write. Not empty only while WAITERS
 *         is set, and then what the first one wants is not to be had.
 * Order:  first come first served: a reader behind a waiting writer waits, so writers do not starve;
 *         readers that follow each other at the front enter together. The lock is given to a
 *         waiter, not offered: a cancel that comes later does not give it back. A writer that gives up
 *         lets in the readers behind it.
 * Price:  with nobody waiting, one compare-and-swap to lock and one to unlock.
 * Deadlock: a writer, and a reader that is or was alone, are known, so waiting for oneself and cycles
 *         through them are found; of several readers there is only the number.
 *
 * RW1  unlock: release compare-and-swap of word  ->  lock: acquire compare-and-swap of word. Readers' too:
 *      each goes on with what the others released. Weaker: a writer changes what somebody still reads.
 * RW2  lock: WAITERS set by compare-and-swap on a word that keeps the caller out  <->  unlock: compare-and-
 *      swap that expects WAITERS clear. Both change one word, so one of them fails and looks again. A
 *      plain store on either side: a waiter that nobody wakes.
 */
#include <assert.h>
#include <errno.h>

#include <weft/sync.h>

#include "base/atomic.h"
#include "base/spin.h"
#include "sched/wait.h"
#include "sync/owner.h"
#include "sync/waiters.h"

#define WAITERS ((uintptr_t)1)
#define THREAD WEFT_OWNER_THREAD
#define READ ((uintptr_t)4)
static_assert(((WAITERS | THREAD | READ) & ~WEFT_OWNER_FLAGS) == 0,
	"what the deadlock walk masks off");

/* The walk takes MANY for a thread and ends there. No address has the top bit. */
#define MANY (~(UINTPTR_MAX >> 1) | THREAD | READ)
#define ONE_MORE ((uintptr_t)8)

struct rwlock {
	_Atomic(uintptr_t) word;
	struct weft_spin lock;
	struct weft_waitq queue;
};

static_assert(sizeof(struct rwlock) <= sizeof(struct weft_rwlock), "fits its public size");
static_assert(_Alignof(struct rwlock) <= _Alignof(struct weft_rwlock), "and alignment");

static struct rwlock *rwlock_of(struct weft_rwlock *rwlock)
{
	return (struct rwlock *)rwlock;
}

/* -- the word, without WAITERS ----------------------------------------------------------------- */

static bool is_many(uintptr_t word)
{
	return (word & MANY) == MANY;
}

/* The word once self has entered too; 0 when it may not. */
static uintptr_t with(uintptr_t word, uintptr_t self, bool writes)
{
	if (word == 0)
		return writes ? self : self | READ;
	if (writes || !(word & READ))
		return 0;
	return is_many(word) ? word + ONE_MORE : MANY + 2 * ONE_MORE;
}

/* The word once one of its holders has left. */
static uintptr_t without_one(uintptr_t word)
{
	return is_many(word) && word != MANY + ONE_MORE ? word - ONE_MORE : 0;
}

static bool is_holder(uintptr_t word, uintptr_t self)
{
	return is_many(word) || (word != 0 && (word & ~READ) == self);
}

/* -- locking ----------------------------------------------------------------------------------- */

/*
 * True: entered. False: it is not to be had now; *word is what was found. A queue that may be in use
 * keeps everybody out.
 */
static bool enter(struct rwlock *rw, uintptr_t self, bool writes, uintptr_t *word)
{
	uintptr_t next;

	*word = weft_load_relaxed(&rw->word);
	while (!(*word & WAITERS) && (next = with(*word, self, writes))) {
		if (weft_cas_acquire(&rw->word, word, next)) /* RW1 */
			return true;
	}
	return false;
}

/* `lock` held. enter, or else leave WAITERS set. */
static bool enter_or_announce(struct rwlock *rw, uintptr_t self, bool writes)
{
	uintptr_t word;

	while (!enter(rw, self, writes, &word)) {
		if (word & WAITERS ||
			weft_cas_relaxed(&rw->word, &word, word | WAITERS)) /* RW2 */
			return false;
	}
	return true;
}

/*
 * `lock` held, WAITERS set; word: who holds the lock from now on, without WAITERS. Let in those at the
 * front who may enter. The word tells of them before they are woken: it is how they unlock.
 */
static void serve(struct rwlock *rw, uintptr_t word, struct weft_wakes *wakes)
{
	struct weft_waiter *waiter = weft_waitq_first(&rw->queue);
	unsigned entering = 0;
	uintptr_t next;

	while (waiter && (next = with(word, waiter->value, waiter->item))) {
		word = next;
		entering++;
		waiter = (struct weft_waiter *)waiter->node.next;
	}
	weft_store_release(&rw->word, word | (waiter ? WAITERS : 0)); /* RW1 */
	for (; entering > 0; entering--)
		weft_wakes_grant(wakes, &rw->queue, weft_waitq_first(&rw->queue));
}

/* A waiter gave up: perhaps those behind it may enter, or nobody is left. */
static void withdraw(struct rwlock *rw)
{
	struct weft_wakes wakes = {.count = 0};
	uintptr_t word;

	weft_spin_lock(&rw->lock);
	word = weft_load_acquire(&rw->word); /* RW1: for those we let in */
	if (word & WAITERS)
		serve(rw, word & ~WAITERS, &wakes);
	weft_spin_unlock(&rw->lock);
	weft_wakes_flush(&wakes);
}

static int wait_for_turn(struct rwlock *rw, uintptr_t self, bool writes)
{
	struct weft_waiter waiter;
	int rc;

	weft_spin_lock(&rw->lock);
	if (enter_or_announce(rw, self, writes)) {
		weft_spin_unlock(&rw->lock);
		return 0;
	}
	rc = weft_waitq_push(&rw->queue, &waiter);
	if (rc < 0) {
		weft_spin_unlock(&rw->lock);
	} else {
		waiter.value = self;
		waiter.item = writes ? &waiter : NULL;
		rc = weft_waitq_wait(&rw->lock, &rw->queue, &waiter, WEFT_FOREVER);
	}
	if (rc < 0)
		withdraw(rw);
	else
		weft_waiter_leave(&rw->lock);
	return rc;
}

/*
 * The edge names the word and not who holds the lock now: it changes hands while we wait. A reader that
 * others keep out who read waits for a writer, which may yet give up: no edge.
 */
static int lock_slow(struct rwlock *rw, uintptr_t self, bool writes)
{
	bool kept_out_by_holder = writes || !(weft_load_relaxed(&rw->word) & READ);
	int rc = kept_out_by_holder ? weft_wait_edge_enter_lock(&rw->word) : 0;

	if (rc < 0)
		return rc;
	rc = wait_for_turn(rw, self, writes);
	weft_wait_edge_leave();
	return rc;
}

static int lock(struct weft_rwlock *rwlock, bool writes)
{
	WEFT_CHECKPOINT_OF(checkpoint, writes ? "weft_rwlock_wrlock" : "weft_rwlock_rdlock");
	struct rwlock *rw = rwlock_of(rwlock);
	uintptr_t self, word;
	int rc;

	if (!rwlock)
		return -EINVAL;
	rc = weft_checkpoint_enter(&checkpoint);
	if (rc < 0)
		return rc;
	self = weft_owner_self();
	if (!self)
		return -ENOMEM;
	if (weft_likely(enter(rw, self, writes, &word)))
		return 0;
	word &= ~WAITERS;
	if (!is_many(word) && is_holder(word, self))
		return -EDEADLK; /* it would wait for itself */
	return lock_slow(rw, self, writes);
}

int weft_rwlock_rdlock(struct weft_rwlock *rwlock)
{
	return lock(rwlock, false);
}

int weft_rwlock_wrlock(struct weft_rwlock *rwlock)
{
	return lock(rwlock, true);
}

/* -- unlocking --------------------------------------------------------------------------------- */

static void unlock_slow(struct rwlock *rw)
{
	struct weft_wakes wakes = {.count = 0};
	uintptr_t word;

	weft_spin_lock(&rw->lock);
	word = weft_load_acquire(&rw->word); /* RW1: for those we let in */
	do {
		if (word & WAITERS) {
			serve(rw, without_one(word & ~WAITERS), &wakes);
			break;
		}
	} while (!weft_cas_acq_rel(&rw->word, &word, without_one(word))); /* RW1, RW2 */
	weft_spin_unlock(&rw->lock);
	weft_wakes_flush(&wakes);
}

int weft_rwlock_unlock(struct weft_rwlock *rwlock)
{
	struct rwlock *rw = rwlock_of(rwlock);
	uintptr_t self, word;

	if (!rwlock)
		return -EINVAL;
	self = weft_owner_self();
	word = weft_load_relaxed(&rw->word);
	do {
		if (!self || !is_holder(word & ~WAITERS, self))
			return -EPERM;
		if (word & WAITERS) {
			unlock_slow(rw);
			return 0;
		}
	} while (!weft_cas_release(&rw->word, &word, without_one(word))); /* RW1, RW2 */
	return 0;
}
