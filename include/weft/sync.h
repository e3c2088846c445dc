/* SPDX-License-Identifier: MIT */
/*
 * sync - locks and channels for tasks, and between tasks and plain threads.
 *
 * A waiting task gives its worker away; a waiting plain thread blocks. Every wait is first
 * come first served, can be cancelled and obeys deadlines. The structs live in the caller's
 * memory; zero-initialised they are ready, and nothing needs to be destroyed. They must not
 * be copied, nor their memory reused, while somebody waits. What one side wrote before
 * unlock, release, set or send, the other sees after lock, acquire, wait or recv.
 */
#ifndef WEFT_SYNC_H
#define WEFT_SYNC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <weft/base.h>

WEFT_EXTERN_C_BEGIN

/* A lock with one owner, a task or a plain thread. A task may hold it across [S] calls. */
struct weft_mutex {
	uint64_t opaque_[4];
};
WEFT_ASSERT_SIZE_(struct weft_mutex, 32);

/* A condition variable, always used with the same mutex. */
struct weft_cond {
	uint64_t opaque_[4];
};
WEFT_ASSERT_SIZE_(struct weft_cond, 32);

/* A counting semaphore; zero-initialised it holds no unit. */
struct weft_sem {
	uint64_t opaque_[4];
};
WEFT_ASSERT_SIZE_(struct weft_sem, 32);

/* A flag to wait for; zero-initialised it is clear. */
struct weft_event_flag {
	uint64_t opaque_[4];
};
WEFT_ASSERT_SIZE_(struct weft_event_flag, 32);

/* A lock for one writer or many readers, tasks or plain threads. */
struct weft_rwlock {
	uint64_t opaque_[4];
};
WEFT_ASSERT_SIZE_(struct weft_rwlock, 32);

/* A place where n tasks or threads wait for each other; ready after weft_barrier_init. */
struct weft_barrier {
	uint64_t opaque_[4];
};
WEFT_ASSERT_SIZE_(struct weft_barrier, 32);

/* A queue of items of one size, for any number of senders and receivers. */
struct weft_chan;

/*
 * [S] Locks. Returns 0: the caller owns it; -EDEADLK if it already does, or if its owner
 * waits for the caller; -ECANCELED, -ETIMEDOUT: not locked.
 */
WEFT_API int weft_mutex_lock(struct weft_mutex *mutex);

/* Locks without waiting. Returns 0, or -EBUSY when it is locked, by the caller too. */
WEFT_API int weft_mutex_trylock(struct weft_mutex *mutex);

/* Unlocks and hands over to the first waiter. Returns 0, or -EPERM if not the owner. */
WEFT_API int weft_mutex_unlock(struct weft_mutex *mutex);

/*
 * [S] Unlocks the mutex, waits for a signal, and locks the mutex again, also when cancelled or
 * timed out: the caller owns the mutex on every return but -EPERM and -EINVAL. Wait in a loop
 * that tests the condition.
 *
 * Returns 0 when signalled; -ECANCELED, -ETIMEDOUT: not signalled, no signal was used up;
 * -EPERM when the caller does not own the mutex.
 */
WEFT_API int weft_cond_wait(struct weft_cond *cond, struct weft_mutex *mutex);

/* Wakes the first waiter, if there is one. The mutex need not be held. */
WEFT_API void weft_cond_signal(struct weft_cond *cond);

/* Wakes all who wait now. The mutex need not be held. */
WEFT_API void weft_cond_broadcast(struct weft_cond *cond);

/* Gives the semaphore its first count units. Nobody may be using it yet. */
WEFT_API void weft_sem_init(struct weft_sem *sem, unsigned count);

/*
 * [S] Takes n units at once, waiting until that many are free. Waiters are served in order: a
 * large request at the head is not overtaken by small ones behind it.
 *
 * Returns 0; -ECANCELED, -ETIMEDOUT: nothing was taken.
 */
WEFT_API int weft_sem_acquire(struct weft_sem *sem, unsigned n);

/* Takes n units without waiting. Returns 0; -EAGAIN: too few free, or others wait. */
WEFT_API int weft_sem_try_acquire(struct weft_sem *sem, unsigned n);

/* Gives n units back, or adds them. Any task or thread may. */
WEFT_API void weft_sem_release(struct weft_sem *sem, unsigned n);

/* [S] Waits until the flag is set. Returns 0, -ECANCELED or -ETIMEDOUT. */
WEFT_API int weft_event_flag_wait(struct weft_event_flag *flag);

/* Sets the flag and wakes all who wait. It stays set until it is cleared. */
WEFT_API void weft_event_flag_set(struct weft_event_flag *flag);

/* Clears the flag; who has been woken stays woken. */
WEFT_API void weft_event_flag_clear(struct weft_event_flag *flag);

/* 1 if the flag is set, else 0; never waits. */
WEFT_API int weft_event_flag_is_set(const struct weft_event_flag *flag);

/*
 * [S] Locks for reading; others may read at the same time. Waits while somebody writes, and behind
 * those who wait to write: writers do not starve.
 *
 * Returns 0: the caller reads; -EDEADLK when the wait could not end: the caller writes, the writer
 * waits for the caller, or the caller alone reads already and a writer is waiting; -ECANCELED,
 * -ETIMEDOUT: not locked.
 */
WEFT_API int weft_rwlock_rdlock(struct weft_rwlock *rwlock);

/*
 * [S] Locks for writing. Waits until all who came earlier are done.
 *
 * Returns 0: the caller alone has the lock; -EDEADLK when it has it already, or when the one who
 * has it waits for the caller; of several readers at a time nobody knows who they are: then a wait
 * for oneself is not noticed. -ECANCELED, -ETIMEDOUT: not locked, and readers that waited behind
 * the caller go on.
 */
WEFT_API int weft_rwlock_wrlock(struct weft_rwlock *rwlock);

/*
 * Gives back what rdlock or wrlock gave; by the task or thread that locked. Returns 0; -EPERM when
 * the caller does not hold it, as far as that is known: of several readers it is not.
 */
WEFT_API int weft_rwlock_unlock(struct weft_rwlock *rwlock);

/* Makes a barrier for n tasks or threads. Nobody may be using it yet. n is at least 1. */
WEFT_API void weft_barrier_init(struct weft_barrier *barrier, unsigned n);

/*
 * [S] Waits until n callers, this one among them, have arrived. Then all go on, and the next n
 * meet in the same way.
 *
 * Returns 1 for the last one to arrive, 0 for the others; -ECANCELED, -ETIMEDOUT: the caller has
 * left, and somebody else has to arrive in its place; -EINVAL when n is 0.
 */
WEFT_API int weft_barrier_wait(struct weft_barrier *barrier);

/*
 * Creates a channel of items of item_size bytes that holds capacity of them; with capacity 0
 * each send meets a receive (a rendezvous). The caller destroys it. NULL when memory is short,
 * item_size is 0 or the whole does not fit a size_t.
 */
WEFT_API struct weft_chan *weft_chan_create(size_t item_size, size_t capacity);

/*
 * [S] Sends a copy of the item, waiting while the channel is full (or, capacity 0, until a
 * receiver has it).
 *
 * Returns 0; -EPIPE once closed, for those who are waiting too; -ECANCELED, -ETIMEDOUT. On
 * error the item was not sent and stays the caller's.
 */
WEFT_API int weft_chan_send(struct weft_chan *chan, const void *item);

/*
 * [S] Receives into item, waiting while the channel is empty.
 *
 * Returns 1 with an item, 0 once closed and drained; -ECANCELED, -ETIMEDOUT: none was taken.
 */
WEFT_API int weft_chan_recv(struct weft_chan *chan, void *item);

/* weft_chan_send that never waits: -EAGAIN when it would have to. */
WEFT_API int weft_chan_try_send(struct weft_chan *chan, const void *item);

/* weft_chan_recv that never waits: -EAGAIN when it would have to. */
WEFT_API int weft_chan_try_recv(struct weft_chan *chan, void *item);

/* The number of items held now; 0 always for a rendezvous. */
WEFT_API size_t weft_chan_len(const struct weft_chan *chan);

/*
 * Closes: senders get -EPIPE, receivers what is left and then 0. Closing twice is harmless.
 */
WEFT_API void weft_chan_close(struct weft_chan *chan);

/*
 * Frees the channel; nobody may be using it or waiting on it. Items left in it are dropped as
 * bytes: drain it first if they own something. NULL is fine.
 */
WEFT_API void weft_chan_destroy(struct weft_chan *chan);

/* op of a struct weft_case: what it waits for, and its status when it was chosen */
enum {
	WEFT_SEND = 1, /* chan takes *item: 0; -EPIPE: it is closed */
	WEFT_RECV,     /* chan gives *item: 1; 0: it is closed and drained */
	WEFT_TASK,     /* task ends: its status */
	WEFT_READABLE, /* fd can be read from: the events that came, as weft_poll; -EBADF: not open */
	WEFT_WRITABLE, /* fd can be written to: likewise */
};

/* One of the things weft_select waits for. Fields that its op does not use are ignored. */
struct weft_case {
	int op;
	struct weft_chan *chan; /* SEND, RECV */
	void *item;             /* SEND: read; RECV: written, if the case is chosen */
	struct weft_task *task; /* TASK */
	int fd;                 /* READABLE, WRITABLE */
	int status;             /* out: set in the case that was chosen, and in no other */
};

/*
 * [S] Waits until one of n cases can go on, and lets that one, and no other, take effect. What is
 * closed, ended or failed can go on too: its status says so. Of several that can, one is taken by
 * a start at random. The same channel may stand in several cases, in both directions: a select never
 * meets itself. A timeout <= 0 only looks; without a case the call waits for the timeout.
 *
 * Descriptors belong to the calling task's runtime; weft_close ends such a case with -EBADF. On a
 * plain thread channels and tasks only. A channel that stands in several cases must not be
 * destroyed before the call has returned.
 *
 * Returns the index of the case; -EAGAIN when the timeout passed; -ECANCELED, -ETIMEDOUT;
 * -EDEADLK when all cases are tasks that wait for the caller, without a timeout; -EINVAL for a
 * bad op, or no channel, item or task where the op needs it; -EPERM for a descriptor on a plain
 * thread; -ENOMEM. On error no case has taken effect.
 */
WEFT_API ssize_t weft_select(struct weft_case *cases, size_t n, weft_ns timeout);

WEFT_EXTERN_C_END

#endif /* WEFT_SYNC_H */
