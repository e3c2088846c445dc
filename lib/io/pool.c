/* SPDX-License-Identifier: MIT */
/*
 * pool - receive buffers that a connection holds only while it has data: weft_pool_create,
 * weft_recv_buf, weft_buf_put. Called by programs.
 *
 * A receiver waits for its socket first and for a buffer second, and keeps neither across the other:
 * so a pool smaller than the number of idle connections serves them all, on every backend. The
 * kernel's own buffer rings were left out. They belong to one ring, while a pool is everybody's; a
 * ring that is out of buffers could not be filled from one that has some, since nobody but the kernel
 * may take one back; and all they save is one receive on a socket known to be ready, a tenth of an
 * echo. To look before waiting costs as much whenever a peer waits for its answer before it sends
 * more, so only a full buffer makes the next receive look: then there is probably more.
 *
 * Life:   memory lies in one mapping, touched buffer by buffer. Freed by destroy, or by the put that
 *         brings the last buffer back after it.
 * lock:   guards everything that changes. Buffers are stacked: the last put is the first taken, so
 *         few of them are ever touched.
 * ids:    the id under which a buffer is out, or will go out next: its number, and above it a count
 *         of its puts. An id of an earlier turn is no longer there, so a second put is found out.
 * queue:  receivers whose socket is ready while no buffer is. A put hands its buffer to the first of
 *         them: while somebody waits, none is free.
 * more:   a hint, written and read by any receiver; orders nothing.
 * starved: of the runtime, under its own lock: those same receivers, to be found by descriptor.
 *         Each is counted on its descriptor all the while, as an operation is, and weft_close wakes it.
 *
 * PL1  wait: linked in starved, then load CLOSING  <->  close: set CLOSING, then walk starved
 *      One of them is first under the lock of starved: the closer finds the receiver and wakes it, or
 *      the receiver sees CLOSING. Weaker: weft_close waits until a buffer is put. (io/close.c)
 */
#include <weft/io.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/spin.h"
#include "base/sys.h"
#include "io/ground.h"
#include "io/io.h"
#include "sched/submit.h"
#include "sched/wait.h"

#ifdef WEFT_ASAN
#include <sanitizer/asan_interface.h>
#endif

enum {
	COUNT_BITS_MAX = 24, /* of an id; the rest counts turns */
	ALIGNMENT = 64,
	READY_ATTEMPTS = 8, /* ready and yet not: after so many, slower */
	READY_RETRY_NS = 1000 * 1000,
};

#define NO_BUFFER UINTPTR_MAX

struct weft_pool {
	char *memory;
	size_t mapped, stride;
	uint32_t size, count;
	uint32_t number_mask;
	struct weft_spin lock;
	_Atomic(uint32_t) more; /* the last receive filled its buffer */
	bool destroyed;
	uint32_t free_count;
	uint32_t *ids;
	uint32_t *free; /* a stack of numbers */
	struct weft_waitq queue;
};

/* A receiver that waits for a buffer; on its stack. */
struct receiver {
	struct weft_waiter waiter; /* value: the number of the buffer it was given */
	struct weft_node node;     /* of starved */
	struct weft_fd *entry;
	int fd;
};

/* -- memory ------------------------------------------------------------------------------------ */

/* Free buffers must not be touched: let a sanitizer see it. */
static void forbid(struct weft_pool *pool, uint32_t number)
{
#ifdef WEFT_ASAN
	ASAN_POISON_MEMORY_REGION(pool->memory + number * pool->stride, pool->stride);
#else
	(void)pool;
	(void)number;
#endif
}

static void allow(struct weft_pool *pool, uint32_t number)
{
#ifdef WEFT_ASAN
	ASAN_UNPOISON_MEMORY_REGION(pool->memory + number * pool->stride, pool->size);
#else
	(void)pool;
	(void)number;
#endif
}

static bool map_memory(struct weft_pool *pool, size_t count, size_t size)
{
	pool->stride = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (__builtin_mul_overflow(count, pool->stride, &pool->mapped) ||
		pool->mapped > PTRDIFF_MAX)
		return false;
	pool->memory = weft_sys_map(pool->mapped);
	return pool->memory != NULL;
}

static void fill(struct weft_pool *pool)
{
	pool->number_mask = 1;
	while (pool->number_mask < pool->count)
		pool->number_mask *= 2;
	pool->number_mask--;
	for (uint32_t i = 0; i < pool->count; i++) {
		pool->ids[i] = i;
		pool->free[i] = pool->count - 1 - i;
		forbid(pool, i);
	}
	pool->free_count = pool->count;
}

static void free_pool(struct weft_pool *pool)
{
#ifdef WEFT_ASAN
	ASAN_UNPOISON_MEMORY_REGION(pool->memory, pool->mapped);
#endif
	weft_sys_unmap(pool->memory, pool->mapped);
	free(pool);
}

struct weft_pool *weft_pool_create(size_t count, size_t size)
{
	struct weft_pool *pool;

	if (!count || !size || count > (size_t)1 << COUNT_BITS_MAX || size > UINT32_MAX ||
		weft_in_forked_child())
		return NULL;
	pool = calloc(1, sizeof(*pool) + 2 * count * sizeof(uint32_t));
	if (!pool)
		return NULL;
	pool->size = (uint32_t)size;
	pool->count = (uint32_t)count;
	pool->ids = (uint32_t *)(pool + 1);
	pool->free = pool->ids + count;
	if (!map_memory(pool, count, size)) {
		free(pool);
		return NULL;
	}
	fill(pool);
	return pool;
}

/* -- buffers ----------------------------------------------------------------------------------- */

/* A free buffer's number; NO_BUFFER: there is none. */
static uintptr_t take(struct weft_pool *pool)
{
	uintptr_t number = NO_BUFFER;

	weft_spin_lock(&pool->lock);
	if (weft_likely(pool->free_count > 0))
		number = pool->free[--pool->free_count];
	weft_spin_unlock(&pool->lock);
	return number;
}

/* The buffer is nobody's: the first waiter's, or free. With the lock; releases it. */
static void give_locked(struct weft_pool *pool, uint32_t number)
{
	struct weft_waiter *first = weft_waitq_first(&pool->queue);
	struct weft_parker *parker = NULL;
	bool is_last;

	if (first) {
		first->value = number;
		parker = weft_waitq_grant(&pool->queue, first);
	} else {
		pool->free[pool->free_count++] = number;
	}
	is_last = pool->destroyed && pool->free_count == pool->count;
	weft_spin_unlock(&pool->lock);
	if (parker)
		weft_unpark(parker);
	if (is_last)
		free_pool(pool);
}

static void give(struct weft_pool *pool, uint32_t number)
{
	weft_spin_lock(&pool->lock);
	give_locked(pool, number);
}

void weft_buf_put(struct weft_buf *buf)
{
	struct weft_pool *pool = buf ? buf->pool : NULL;
	uint32_t number;

	if (!pool || !buf->data || weft_in_forked_child())
		return;
	number = buf->id & pool->number_mask;
	weft_spin_lock(&pool->lock);
	if (number < pool->count && pool->ids[number] == buf->id) {
		pool->ids[number] += pool->number_mask + 1;
		forbid(pool, number);
		give_locked(pool, number);
	} else {
		weft_spin_unlock(&pool->lock); /* a copy of it has been put before */
	}
	*buf = (struct weft_buf){0};
}

/* The receivers that wait learn that no buffer will come. */
static void turn_away(struct weft_pool *pool)
{
	struct weft_waiter *waiter;

	while ((waiter = weft_waitq_first(&pool->queue))) {
		waiter->value = NO_BUFFER;
		weft_unpark(weft_waitq_grant(&pool->queue, waiter));
	}
}

void weft_pool_destroy(struct weft_pool *pool)
{
	bool is_last;

	if (!pool || weft_in_forked_child())
		return;
	weft_spin_lock(&pool->lock);
	pool->destroyed = true;
	turn_away(pool);
	is_last = pool->free_count == pool->count;
	weft_spin_unlock(&pool->lock);
	if (is_last)
		free_pool(pool);
}

/* -- waiting for a buffer ---------------------------------------------------------------------- */

static void starve(struct weft_io *io, struct receiver *self)
{
	weft_spin_lock(&io->starved_lock);
	weft_list_push_tail(&io->starved, &self->node);
	weft_spin_unlock(&io->starved_lock); /* PL1 */
}

static void starve_end(struct weft_io *io, struct receiver *self)
{
	weft_spin_lock(&io->starved_lock);
	weft_list_remove(&io->starved, &self->node);
	weft_spin_unlock(&io->starved_lock);
}

void weft_pool_wake(struct weft_io *io, int fd)
{
	weft_spin_lock(&io->starved_lock); /* PL1 */
	for (struct weft_node *node = io->starved.head; node; node = node->next) {
		struct receiver *receiver = weft_container_of(node, struct receiver, node);

		if (receiver->fd == fd)
			weft_unpark(receiver->waiter.parker);
	}
	weft_spin_unlock(&io->starved_lock);
}

static bool leave_queue(struct weft_pool *pool, struct weft_waiter *waiter)
{
	bool was_queued;

	weft_spin_lock(&pool->lock);
	was_queued = waiter->queued;
	if (was_queued) {
		weft_list_remove(&pool->queue.list, &waiter->node);
		waiter->queued = 0;
	}
	weft_spin_unlock(&pool->lock);
	return was_queued;
}

/* 0: self->waiter.value is its buffer. A buffer that came with a cancel is taken all the same. */
static int wait_granted(struct weft_pool *pool, struct receiver *self)
{
	while (!weft_load_acquire(&self->waiter.granted)) { /* WQ1 */
		int rc = weft_fd_closing(self->entry) ? -EBADF : weft_pending(); /* PL1 */

		if (rc < 0 && leave_queue(pool, &self->waiter))
			return rc;
		if (rc == 0)
			weft_park(WEFT_FOREVER);
	}
	return self->waiter.value == NO_BUFFER ? -ESHUTDOWN : 0;
}

static int take_or_wait(struct weft_pool *pool, int fd, struct weft_fd *entry, uintptr_t *number)
{
	struct weft_io *io = weft_io_current();
	struct receiver self = {.entry = entry, .fd = fd};
	int rc;

	weft_spin_lock(&pool->lock);
	if (weft_likely(pool->free_count > 0)) {
		*number = pool->free[--pool->free_count];
		weft_spin_unlock(&pool->lock);
		return 0;
	}
	rc = pool->destroyed ? -ESHUTDOWN : weft_waitq_push(&pool->queue, &self.waiter);
	weft_spin_unlock(&pool->lock);
	if (rc < 0)
		return rc;
	starve(io, &self);
	rc = wait_granted(pool, &self);
	starve_end(io, &self);
	*number = self.waiter.value;
	return rc;
}

/* -- receiving --------------------------------------------------------------------------------- */

/* Wait until there is something to receive, then for a buffer to receive it into. */
static int wait_for_both(struct weft_pool *pool, int fd, struct weft_fd *entry, unsigned attempts,
	uintptr_t *number)
{
	int rc = weft_op_poll(fd, POLLIN);

	if (rc >= 0 && attempts >= READY_ATTEMPTS)
		rc = weft_io_nap(READY_RETRY_NS);
	return rc < 0 ? rc : take_or_wait(pool, fd, entry, number);
}

/* One attempt, without waiting. The buffer is the caller's if data came, else given back. */
static int64_t receive_into(
	struct weft_pool *pool, int fd, uint32_t number, struct weft_buf *out)
{
	char *data = pool->memory + number * pool->stride;
	int64_t n = weft_ground()->recv(fd, data, pool->size, 0);

	if (weft_unlikely(n <= 0)) {
		give(pool, number);
		return n;
	}
	if (weft_load_relaxed(&pool->more) != (n == pool->size))
		weft_store_relaxed(&pool->more, n == pool->size);
	allow(pool, number);
	*out = (struct weft_buf){
		.data = data,
		.len = (uint32_t)n,
		.id = pool->ids[number],
		.pool = pool,
	};
	return n;
}

static int64_t receive(struct weft_pool *pool, int fd, struct weft_fd *entry, struct weft_buf *out)
{
	uintptr_t number = weft_load_relaxed(&pool->more) ? take(pool) : NO_BUFFER;

	for (unsigned attempts = 1;; attempts++) {
		int64_t n = number == NO_BUFFER ? -EAGAIN
						: receive_into(pool, fd, (uint32_t)number, out);

		if (n != -EAGAIN)
			return n;
		n = wait_for_both(pool, fd, entry, attempts, &number);
		if (n < 0)
			return n;
	}
}

ssize_t weft_recv_buf(int fd, struct weft_pool *pool, struct weft_buf *out)
{
	WEFT_CHECKPOINT(checkpoint);
	struct weft_fd *entry;
	int64_t n;
	int rc;

	if (!pool || !out)
		return -EINVAL;
	*out = (struct weft_buf){0};
	rc = weft_io_enter(&checkpoint);
	if (rc < 0)
		return rc;
	if (fd < 0)
		return -EBADF;
	rc = weft_io_begin(fd, &entry);
	if (rc < 0)
		return rc;
	n = receive(pool, fd, entry, out);
	weft_fd_end(entry);
	return (ssize_t)n;
}
