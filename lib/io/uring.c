/* SPDX-License-Identifier: MIT */
/*
 * uring - the backend on io_uring: one ring per worker. Queues operations as submission
 * entries, delivers completions, sleeps in the kernel until one comes. liburing maps and unmaps
 * the ring; the entries are filled and read here.
 *
 * Who:    everything but wake and has_work is called by the worker's owner of the moment, its
 *         thread or the monitor that has claimed it. So the ring is not SINGLE_ISSUER; with
 *         COOP_TASKRUN completions wait for the submitting thread to enter the kernel, and
 *         TASKRUN_FLAG tells that they do.
 * Names:  user_data is a slot of the table below with its generation in the upper half, so a stray
 *         completion is found out and not followed. Slots of operations on one descriptor are
 *         chained, for cancel_fd: the kernel's own cancel by descriptor compares files, and would
 *         end the operations on every duplicate too.
 * Full:   a full submission queue is flushed. If the kernel takes nothing (EAGAIN, EBUSY), the slot
 *         remembers what it wants, and flush tries again. Operations in flight are not bounded by
 *         the completion queue: the kernel keeps what does not fit (CQ_OVERFLOW).
 * Errors: an enter that fails leaves its entries queued, for the next one.
 * Two:    an operation that promises a second completion (F_MORE: a send that does not copy, whose
 *         memory the kernel still reads) keeps its slot and the first one's result until that came.
 * Wake:   a read of an eventfd is posted before a sleep and stays until somebody writes. A wake
 *         that comes while no read is posted is kept by the eventfd's count.
 *
 * OP1  deliver: result, then release store of done  ->  waiter: acquire load of done (io/op.c)
 *      Weaker: the waiter reads an old result. The operation lies on the waiter's stack and may be
 *      gone once done is set, so its parker is read before.
 * UR1  queue: release store of the submission tail after the entry  ->  kernel; and back: its head
 *      after the entry was copied  ->  acquire load. Weaker: half an entry, or one that changes.
 * UR2  kernel: completion tail after the entry  ->  reap: acquire load; and back: release store of
 *      the completion head after the entry was read. Weaker: half an entry.
 */
#include "io/op.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/bell.h"
#include "io/uring_compat.h"
#include "io/uring_setup.h"
#include "sched/wait.h"

#ifdef WEFT_ASAN
#include <sanitizer/asan_interface.h>
#endif

enum {
	ENTRIES_DEFAULT = 256,
	SLOTS_MIN = 64,
	SLOTS_MAX = 1 << 30,
	FLUSH_ROUNDS = 4,
	IOWQ_BOUNDED = 16,   /* kernel threads for files */
	IOWQ_UNBOUNDED = 64, /* for what may block for long */
	DRAIN_ROUNDS = 200,
	DRAIN_NS = 10 * 1000 * 1000,
};

#define NO_SLOT UINT32_C(0xffffffff)

/* user_data of what is not an operation: no slot has such a number. */
#define USER_WAKE UINT64_C(0xffffffff)
#define USER_CANCEL UINT64_C(0xfffffffe)

/* What a slot could not queue because the kernel took no entries. */
enum wants { WANTS_NOTHING, WANTS_SUBMIT, WANTS_CANCEL, WANTS_END };

struct slot {
	struct weft_op *op; /* NULL: free */
	uint32_t generation;
	uint32_t next, prev; /* chain of a descriptor's bucket; next alone: free slots */
	uint32_t wants;
};

struct ring {
	/* mapped from the kernel */
	_Atomic(uint32_t) *sq_head, *sq_tail, *sq_flags, *cq_head, *cq_tail;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	uint32_t sq_entries, sq_mask, cq_mask;
	uint32_t flush_flags; /* of the enter that only submits */
	struct weft_uring_able able;
	/* operations in flight */
	struct slot *slots;
	uint32_t *buckets; /* slot_count of them, a power of two */
	uint32_t slot_count, slot_free;
	_Atomic(uint32_t) live;
	_Atomic(uint32_t) wanting; /* slots that want something */
	/* wake */
	struct weft_bell bell;
	bool wake_posted;
	uint64_t wake_count; /* what the posted read writes */
	/* statistics, read by anybody */
	_Atomic(uint64_t) sq_full, cq_overflow, strays;
	struct io_uring uring;
};

/* -- slots ------------------------------------------------------------------------------------- */

static uint32_t *bucket_of(struct ring *ring, const struct weft_op *op)
{
	return &ring->buckets[(uint32_t)op->fd & (ring->slot_count - 1)];
}

static void slot_link(struct ring *ring, uint32_t index)
{
	struct slot *slot = &ring->slots[index];
	uint32_t *bucket = bucket_of(ring, slot->op);

	slot->prev = NO_SLOT;
	slot->next = *bucket;
	if (slot->next != NO_SLOT)
		ring->slots[slot->next].prev = index;
	*bucket = index;
}

static void slot_unlink(struct ring *ring, uint32_t index)
{
	struct slot *slot = &ring->slots[index];

	if (slot->prev != NO_SLOT)
		ring->slots[slot->prev].next = slot->next;
	else
		*bucket_of(ring, slot->op) = slot->next;
	if (slot->next != NO_SLOT)
		ring->slots[slot->next].prev = slot->prev;
}

/* Only when no slot is free: all of them are linked anew. */
static int slots_grow(struct ring *ring)
{
	uint32_t old = ring->slot_count, count = old ? 2 * old : SLOTS_MIN;
	struct slot *slots;
	uint32_t *buckets;

	if (count > SLOTS_MAX)
		return -ENOMEM;
	buckets = malloc(count * sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	slots = realloc(ring->slots, count * sizeof(*slots));
	if (!slots) {
		free(buckets);
		return -ENOMEM;
	}
	free(ring->buckets);
	memset(buckets, 0xff, count * sizeof(*buckets));
	memset(slots + old, 0, (count - old) * sizeof(*slots));
	ring->slots = slots;
	ring->buckets = buckets;
	ring->slot_count = count;
	for (uint32_t i = 0; i < old; i++)
		slot_link(ring, i);
	for (uint32_t i = count; i > old; i--) {
		slots[i - 1].next = ring->slot_free;
		ring->slot_free = i - 1;
	}
	return 0;
}

static int slot_take(struct ring *ring, struct weft_op *op)
{
	uint32_t index;

	if (weft_unlikely(ring->slot_free == NO_SLOT)) {
		int rc = slots_grow(ring);

		if (rc < 0)
			return rc;
	}
	index = ring->slot_free;
	ring->slot_free = ring->slots[index].next;
	ring->slots[index].op = op;
	op->slot = index;
	slot_link(ring, index);
	weft_store_relaxed(&ring->live, weft_load_relaxed(&ring->live) + 1);
	return 0;
}

static void slot_give(struct ring *ring, uint32_t index)
{
	struct slot *slot = &ring->slots[index];

	slot_unlink(ring, index);
	slot->op = NULL;
	slot->generation++;
	slot->next = ring->slot_free;
	ring->slot_free = index;
	weft_store_relaxed(&ring->live, weft_load_relaxed(&ring->live) - 1);
}

static uint64_t slot_user_data(struct ring *ring, uint32_t index)
{
	return index | (uint64_t)ring->slots[index].generation << 32;
}

static void slot_want(struct ring *ring, struct slot *slot, enum wants wants)
{
	uint32_t wanting = weft_load_relaxed(&ring->wanting);

	wanting += (wants != WANTS_NOTHING) - (slot->wants != WANTS_NOTHING);
	slot->wants = wants;
	weft_store_relaxed(&ring->wanting, wanting);
}

/* The operation in this slot is over. */
static void deliver(struct ring *ring, uint32_t index, int32_t result)
{
	struct slot *slot = &ring->slots[index];
	struct weft_op *op = slot->op;
	struct weft_parker *parker = op->parker;

	if (weft_unlikely(slot->wants))
		slot_want(ring, slot, WANTS_NOTHING);
	slot_give(ring, index);
	op->result = result;
	weft_store_release(&op->done, 1); /* OP1 */
	weft_unpark(parker);
}

/* -- into the kernel --------------------------------------------------------------------------- */

static uint32_t unsubmitted(const struct ring *ring)
{
	return weft_load_relaxed(ring->sq_tail) -
	       weft_load_acquire(ring->sq_head); /* UR1 */
}

/* Hand over what is queued; wait for `complete` completions if flags say so. A failure is no
 * harm: entries stay queued, completions stay where they are. */
static int enter(struct ring *ring, unsigned complete, unsigned flags, int64_t timeout_ns)
{
	struct __kernel_timespec ts = {
		.tv_sec = timeout_ns / 1000000000,
		.tv_nsec = timeout_ns % 1000000000,
	};
	struct io_uring_getevents_arg arg = {.ts = (uint64_t)(uintptr_t)&ts};

	if (complete && timeout_ns >= 0)
		return io_uring_enter2((unsigned)ring->uring.ring_fd, unsubmitted(ring),
			complete, flags | IORING_ENTER_EXT_ARG, (sigset_t *)&arg,
			sizeof(arg));
	return io_uring_enter2((unsigned)ring->uring.ring_fd, unsubmitted(ring), complete,
		flags, NULL, _NSIG / 8);
}

/* A cleared entry; NULL when the kernel takes none now. */
static struct io_uring_sqe *entry_get(struct ring *ring)
{
	struct io_uring_sqe *sqe;

	if (weft_unlikely(unsubmitted(ring) == ring->sq_entries)) {
		weft_add_relaxed(&ring->sq_full, 1);
		enter(ring, 0, 0, -1);
		if (unsubmitted(ring) == ring->sq_entries)
			return NULL;
	}
	sqe = &ring->sqes[weft_load_relaxed(ring->sq_tail) & ring->sq_mask];
	memset(sqe, 0, sizeof(*sqe));
	return sqe;
}

static void entry_queue(struct ring *ring)
{
	weft_store_release(ring->sq_tail, weft_load_relaxed(ring->sq_tail) + 1); /* UR1 */
}

static bool is_write(const struct weft_op *op)
{
	return op->code == IORING_OP_WRITE || op->code == IORING_OP_WRITEV;
}

static bool queue_op(struct ring *ring, uint32_t index)
{
	const struct weft_op *op = ring->slots[index].op;
	struct io_uring_sqe *sqe = entry_get(ring);

	if (weft_unlikely(!sqe))
		return false;
	sqe->opcode = op->code;
	sqe->flags = op->sqe_flags;
	sqe->ioprio = op->ioprio;
	sqe->fd = op->fd;
	sqe->off = op->off;
	sqe->addr = op->addr;
	sqe->len = op->len;
	sqe->rw_flags = (__kernel_rwf_t)op->op_flags;
	if (is_write(op) && !ring->able.nosignal)
		sqe->rw_flags &= ~RWF_NOSIGNAL; /* the thread blocks SIGPIPE instead */
	sqe->user_data = slot_user_data(ring, index);
	entry_queue(ring);
	return true;
}

static bool queue_cancel(struct ring *ring, uint32_t index)
{
	struct io_uring_sqe *sqe = entry_get(ring);

	if (weft_unlikely(!sqe))
		return false;
	sqe->opcode = IORING_OP_ASYNC_CANCEL;
	sqe->fd = -1;
	sqe->addr = slot_user_data(ring, index);
	sqe->user_data = USER_CANCEL;
	entry_queue(ring);
	return true;
}

static bool post_wake(struct ring *ring)
{
	struct io_uring_sqe *sqe;

	if (ring->wake_posted)
		return true;
	sqe = entry_get(ring);
	if (weft_unlikely(!sqe))
		return false;
	sqe->opcode = IORING_OP_READ;
	sqe->fd = ring->bell.fd;
	sqe->addr = (uint64_t)(uintptr_t)&ring->wake_count;
	sqe->len = sizeof(ring->wake_count);
	sqe->user_data = USER_WAKE;
	entry_queue(ring);
	ring->wake_posted = true;
	return true;
}

/* Freed memory handed to the kernel is written to behind every tool's back: look here. */
static void check_buffer(const struct weft_op *op)
{
#ifdef WEFT_ASAN
	void *buffer = (void *)(uintptr_t)op->addr;
	bool has_buffer = is_write(op) || op->code == IORING_OP_READ ||
			  op->code == IORING_OP_RECV || op->code == IORING_OP_SEND ||
			  op->code == IORING_OP_SEND_ZC;

	if (has_buffer && op->code != IORING_OP_WRITEV && op->addr > 65536)
		WEFT_ASSERT(!__asan_region_is_poisoned(buffer, op->len));
#else
	(void)op;
#endif
}

static int uring_submit(void *state, struct weft_op *op)
{
	struct ring *ring = state;
	int rc = slot_take(ring, op);

	if (weft_unlikely(rc < 0))
		return rc;
	check_buffer(op);
	if (weft_unlikely(!queue_op(ring, op->slot)))
		slot_want(ring, &ring->slots[op->slot], WANTS_SUBMIT);
	return 0;
}

static void cancel_slot(struct ring *ring, uint32_t index)
{
	struct slot *slot = &ring->slots[index];

	if (slot->wants == WANTS_SUBMIT)
		slot_want(ring, slot, WANTS_END); /* the kernel never saw it */
	else if (slot->wants == WANTS_NOTHING && !queue_cancel(ring, index))
		slot_want(ring, slot, WANTS_CANCEL);
}

static int uring_cancel(void *state, struct weft_op *op)
{
	struct ring *ring = state;

	if (op->slot < ring->slot_count && ring->slots[op->slot].op == op)
		cancel_slot(ring, op->slot);
	return 0;
}

static int uring_cancel_fd(void *state, int fd)
{
	struct ring *ring = state;
	uint32_t index = ring->buckets[(uint32_t)fd & (ring->slot_count - 1)];

	for (; index != NO_SLOT; index = ring->slots[index].next)
		if (ring->slots[index].op->fd == fd)
			cancel_slot(ring, index);
	return 0;
}

/* What could not be queued earlier. A scan, since the kernel hardly ever refuses. */
static void queue_wanting(struct ring *ring)
{
	for (uint32_t i = 0; i < ring->slot_count && weft_load_relaxed(&ring->wanting);
		i++) {
		struct slot *slot = &ring->slots[i];

		if (slot->wants == WANTS_END)
			deliver(ring, i, -ECANCELED);
		else if (slot->wants == WANTS_SUBMIT && !queue_op(ring, i))
			return;
		else if (slot->wants == WANTS_CANCEL && !queue_cancel(ring, i))
			return;
		else if (slot->wants)
			slot_want(ring, slot, WANTS_NOTHING);
	}
}

static void uring_flush(void *state)
{
	struct ring *ring = state;

	for (int round = 0; round < FLUSH_ROUNDS; round++) {
		if (weft_unlikely(weft_load_relaxed(&ring->wanting)))
			queue_wanting(ring);
		if (!unsubmitted(ring) || enter(ring, 0, ring->flush_flags, -1) < 0)
			return;
	}
}

static void uring_wait(void *state, int64_t wait_ns)
{
	struct ring *ring = state;
	unsigned complete;

	if (weft_unlikely(weft_load_relaxed(&ring->wanting)))
		queue_wanting(ring);
	/* without the wake posted, sleeping could miss it: only look then */
	complete = wait_ns != 0 && post_wake(ring);
	enter(ring, complete, IORING_ENTER_GETEVENTS, wait_ns);
}

static void uring_wake(void *state)
{
	struct ring *ring = state;

	weft_bell_ring(&ring->bell);
}

/* -- out of the kernel ------------------------------------------------------------------------- */

/* A completion of the operation in this slot: 1 when it was the last. */
static unsigned complete_op(struct ring *ring, uint32_t index, const struct io_uring_cqe *cqe)
{
	struct weft_op *op = ring->slots[index].op;

	if (weft_unlikely(cqe->flags & IORING_CQE_F_MORE)) {
		op->result = cqe->res;
		return 0;
	}
	deliver(ring, index, cqe->flags & IORING_CQE_F_NOTIF ? op->result : cqe->res);
	return 1;
}

/* 1 when an operation was delivered. */
static unsigned complete_one(struct ring *ring, const struct io_uring_cqe *cqe)
{
	uint64_t user_data = cqe->user_data;
	uint32_t index = (uint32_t)user_data;

	if (weft_likely(index < ring->slot_count)) {
		struct slot *slot = &ring->slots[index];

		if (weft_likely(slot->op && slot->generation == user_data >> 32))
			return complete_op(ring, index, cqe);
	}
	if (user_data == USER_WAKE)
		ring->wake_posted = false;
	else if (user_data != USER_CANCEL)
		weft_add_relaxed(&ring->strays, 1);
	return 0;
}

static const struct weft_op *op_of(const struct ring *ring, uint32_t place)
{
	uint32_t index = (uint32_t)ring->cqes[place & ring->cq_mask].user_data;

	return index < ring->slot_count ? ring->slots[index].op : NULL;
}

/*
 * With many connections the operation and the stack behind each completion are cold: fetch those of the
 * next few while this one is delivered.
 */
static void prefetch_ahead(const struct ring *ring, uint32_t head, uint32_t tail)
{
	const struct weft_op *op;

	if (tail - head > 4 && (op = op_of(ring, head + 4))) {
		__builtin_prefetch(op, 1);
		__builtin_prefetch((const char *)op + 63, 1);
	}
	if (tail - head > 2 && (op = op_of(ring, head + 2)))
		__builtin_prefetch(op->parker, 1);
}

static unsigned reap_ready(struct ring *ring)
{
	uint32_t head = weft_load_relaxed(ring->cq_head);
	uint32_t tail = weft_load_acquire(ring->cq_tail); /* UR2 */
	unsigned delivered = 0;

	if (head == tail)
		return 0;
	for (; head != tail; head++) {
		const struct io_uring_cqe *cqe = &ring->cqes[head & ring->cq_mask];

		prefetch_ahead(ring, head, tail);
		delivered += complete_one(ring, cqe);
	}
	weft_store_release(ring->cq_head, head); /* UR2 */
	return delivered;
}

/* Completions that show only once the kernel is entered. */
static uint32_t hidden_completions(const struct ring *ring)
{
	return weft_load_relaxed(ring->sq_flags) &
	       (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

static unsigned uring_reap(void *state)
{
	struct ring *ring = state;
	unsigned delivered = reap_ready(ring);
	uint32_t hidden;

	if (delivered)
		return delivered;
	hidden = hidden_completions(ring);
	if (weft_likely(!hidden))
		return 0;
	if (hidden & IORING_SQ_CQ_OVERFLOW)
		weft_add_relaxed(&ring->cq_overflow, 1);
	enter(ring, 0, IORING_ENTER_GETEVENTS, -1);
	return reap_ready(ring);
}

static int uring_has_work(const void *state)
{
	const struct ring *ring = state;

	return weft_load_relaxed(ring->cq_head) != weft_load_acquire(ring->cq_tail) ||
	       hidden_completions(ring) || unsubmitted(ring) ||
	       weft_load_relaxed((_Atomic(uint32_t) *)&ring->wanting);
}

static unsigned uring_in_flight(const void *state)
{
	const struct ring *ring = state;

	return weft_load_relaxed((_Atomic(uint32_t) *)&ring->live);
}

void weft_uring_counts(const void *state, uint64_t *sq_full, uint64_t *cq_overflow)
{
	struct ring *ring = (struct ring *)state;

	*sq_full = weft_load_relaxed(&ring->sq_full);
	*cq_overflow = weft_load_relaxed(&ring->cq_overflow);
}

/* -- setting up -------------------------------------------------------------------------------- */

static void map_words(struct ring *ring)
{
	struct io_uring_sq *sq = &ring->uring.sq;
	struct io_uring_cq *cq = &ring->uring.cq;

	ring->sq_head = (_Atomic(uint32_t) *)sq->khead;
	ring->sq_tail = (_Atomic(uint32_t) *)sq->ktail;
	ring->sq_flags = (_Atomic(uint32_t) *)sq->kflags;
	ring->cq_head = (_Atomic(uint32_t) *)cq->khead;
	ring->cq_tail = (_Atomic(uint32_t) *)cq->ktail;
	ring->sqes = sq->sqes;
	ring->cqes = cq->cqes;
	ring->sq_entries = *sq->kring_entries;
	ring->sq_mask = *sq->kring_mask;
	ring->cq_mask = *cq->kring_mask;
	for (uint32_t i = 0; i < ring->sq_entries; i++)
		sq->array[i] = i; /* entry i is at place i, for good */
}

/* A write to a broken pipe raises the signal on the thread that submits it. */
static void block_sigpipe(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int uring_open(void *state, unsigned entries, unsigned flags)
{
	unsigned workers[2] = {IOWQ_BOUNDED, IOWQ_UNBOUNDED};
	struct ring *ring = state;
	const char *missing;
	int rc;

	ring->slot_free = NO_SLOT;
	rc = weft_bell_open(&ring->bell);
	if (rc < 0)
		return rc;
	rc = weft_uring_setup(&ring->uring, entries ? entries : ENTRIES_DEFAULT,
		flags & WEFT_BACKEND_ONE_THREAD, &ring->able, &missing);
	if (rc < 0)
		goto close_bell;
	if (ring->able.deferred)
		ring->flush_flags = IORING_ENTER_GETEVENTS; /* completions show only then */
	map_words(ring);
	rc = slots_grow(ring);
	if (rc < 0)
		goto exit_ring;
	io_uring_ring_dontfork(&ring->uring); /* a child's entries would be ours */
	io_uring_register_iowq_max_workers(
		&ring->uring, workers); /* without it: the kernel's */
	if (!ring->able.nosignal)
		block_sigpipe();
	return 0;

exit_ring:
	io_uring_queue_exit(&ring->uring);
close_bell:
	weft_bell_close(&ring->bell);
	return rc;
}

static void uring_close(void *state)
{
	struct ring *ring = state;

	if (ring->wake_posted)
		uring_wake(ring);
	for (int i = 0; i < DRAIN_ROUNDS; i++) {
		uring_reap(ring);
		if (!ring->wake_posted && !uring_in_flight(ring))
			break;
		enter(ring, 1, IORING_ENTER_GETEVENTS, DRAIN_NS);
	}
	io_uring_queue_exit(&ring->uring);
	weft_bell_close(&ring->bell);
	free(ring->slots);
	free(ring->buckets);
}

const struct weft_backend weft_backend_uring = {
	.name = "io_uring",
	.size = sizeof(struct ring),
	.open = uring_open,
	.close = uring_close,
	.submit = uring_submit,
	.cancel = uring_cancel,
	.cancel_fd = uring_cancel_fd,
	.flush = uring_flush,
	.reap = uring_reap,
	.wait = uring_wait,
	.wake = uring_wake,
	.has_work = uring_has_work,
	.in_flight = uring_in_flight,
};
