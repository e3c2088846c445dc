/* SPDX-License-Identifier: MIT */
/*
 * uring - the backend on io_uring: one ring per worker. Queues operations as submission
 * entries, delivers completions, sleeps in the kernel until one comes. liburing maps and unmaps
 * the ring; the entries are filled and read here.
 *
 * Who:    everything but wake is called by the worker's owner of the moment, its
 *         thread or the monitor that has claimed it. So the ring is not SINGLE_ISSUER; with
 *         COOP_TASKRUN completions wait for the submitting thread to enter the kernel, and
 *         TASKRUN_FLAG tells that they do.
 * Names:  user_data is a slot of the table with its generation in the upper half, so a stray
 *         completion is found out and not followed. Slots of operations on one descriptor are
 *         chained, for cancel_fd: the kernel's own cancel by descriptor compares files, and would
 *         end the operations on every duplicate too.
 * Full:   a full submission queue is flushed. If the kernel takes nothing (EAGAIN, EBUSY), the slot
 *         remembers what it wants, and flush tries again. Operations in flight are not bounded by
 *         the completion queue: the kernel keeps what does not fit (CQ_OVERFLOW).
 * Errors: an enter that fails leaves its entries queued, for the next one.
 * Two:    an operation that promises a second completion (F_MORE: a send that does not copy, whose
 *         memory the kernel still reads) keeps its slot and the first one's result until that came.
 * Older:  what the kernel does not know is made up for in io/uring_detour.c; what it cannot do otherwise,
 *         in io/uring_setup.c.
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
#include "io/io.h"
#include "io/optable.h"
#include "io/uring_compat.h"
#include "io/uring_ring.h"
#include "io/uring_setup.h"
#include "sched/wait.h"

#ifdef WEFT_ASAN
#include <sanitizer/asan_interface.h>
#endif

enum {
	ENTRIES_DEFAULT = 256,
	FLUSH_ROUNDS = 4,
	HIDDEN_AT_A_TIME = 20, /* the kernel brings no more to light in one enter */
	IOWQ_BOUNDED = 16,   /* kernel threads for files */
	IOWQ_UNBOUNDED = 64, /* for what may block for long */
	DRAIN_ROUNDS = 200,
	DRAIN_NS = 10 * 1000 * 1000,
};

/* user_data of what is not an operation: no slot has such a number. */
#define USER_WAKE UINT64_C(0xffffffff)
#define USER_TIMEOUT UINT64_C(0xfffffffd)
#define CANCEL_OF UINT64_C(0x80000000) /* that operation's, with this added */

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

/* For an operation the kernel does not know: when to try again. */
static void fill_poll(struct io_uring_sqe *sqe, const struct weft_op *op)
{
	sqe->opcode = IORING_OP_POLL_ADD;
	sqe->fd = op->fd;
	sqe->poll32_events = weft_poll_mask(weft_op_events(op));
}

static void fill_splice(struct io_uring_sqe *sqe, const struct weft_op *op)
{
	const struct weft_op_splice *source = (const void *)(uintptr_t)op->addr;

	sqe->splice_off_in = (uint64_t)source->off;
	sqe->splice_fd_in = source->fd;
}

static bool queue_op(struct ring *ring, uint32_t index)
{
	const struct weft_op *op = ring->slots[index].op;
	struct io_uring_sqe *sqe = entry_get(ring);

	if (weft_unlikely(!sqe))
		return false;
	if (weft_unlikely(ring->slots[index].detour != NULL)) {
		fill_poll(sqe, op);
		sqe->user_data = slot_user_data(ring, index);
		entry_queue(ring);
		return true;
	}
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
	if (weft_unlikely(op->code == IORING_OP_SPLICE))
		fill_splice(sqe, op);
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
	sqe->user_data = sqe->addr | CANCEL_OF;
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

void weft_uring_queue(struct ring *ring, uint32_t index)
{
	if (!queue_op(ring, index))
		slot_want(ring, &ring->slots[index], WANTS_SUBMIT);
}

static int uring_submit(void *state, struct weft_op *op)
{
	struct ring *ring = state;
	int rc;

	check_buffer(op);
	if (weft_unlikely(!weft_uring_knows(&ring->able, op->code)))
		return weft_uring_detour(ring, op);
	rc = slot_take(ring, op);
	if (weft_unlikely(rc < 0))
		return rc;
	if (weft_unlikely(!queue_op(ring, op->slot)))
		slot_want(ring, &ring->slots[op->slot], WANTS_SUBMIT);
	return 0;
}

static void cancel_slot(struct ring *ring, uint32_t index)
{
	struct slot *slot = &ring->slots[index];

	if (weft_unlikely(slot->detour != NULL) && !weft_uring_detour_cancel(ring, index))
		return;
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
	uint32_t index = ring->buckets[(uint32_t)fd & (ring->slot_count - 1)], next;

	for (; index != NO_SLOT; index = next) {
		next = ring->slots[index].next;
		if (ring->slots[index].op->fd == fd)
			cancel_slot(ring, index);
	}
	return 0;
}

/* A completion of what the slot has queued: 1 when its operation is over. */
static unsigned end_op(struct ring *ring, uint32_t index, int32_t result)
{
	if (weft_unlikely(ring->slots[index].detour != NULL))
		return weft_uring_detour_polled(ring, index, result);
	deliver(ring, index, result);
	return 1;
}

/* What could not be queued earlier. A scan, since the kernel hardly ever refuses. */
static void queue_wanting(struct ring *ring)
{
	for (uint32_t i = 0; i < ring->slot_count && weft_load_relaxed(&ring->wanting);
		i++) {
		struct slot *slot = &ring->slots[i];

		if (slot->wants == WANTS_END)
			end_op(ring, i, -ECANCELED);
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

/* Where enter takes no time: an entry that completes after it, or with the next completion. */
static bool post_timeout(struct ring *ring, int64_t wait_ns)
{
	struct io_uring_sqe *sqe = entry_get(ring);

	if (!sqe)
		return false;
	ring->timeout = (struct __kernel_timespec){
		.tv_sec = wait_ns / 1000000000,
		.tv_nsec = wait_ns % 1000000000,
	};
	sqe->opcode = IORING_OP_TIMEOUT;
	sqe->fd = -1;
	sqe->addr = (uint64_t)(uintptr_t)&ring->timeout;
	sqe->len = 1;
	sqe->off = 1;
	sqe->user_data = USER_TIMEOUT;
	entry_queue(ring);
	return true;
}

/* Hand over what is queued and sleep until something completes. */
static void sleep_in_kernel(struct ring *ring, int64_t wait_ns)
{
	unsigned complete = 1;

	if (weft_unlikely(!ring->able.timed && wait_ns >= 0)) {
		complete = post_timeout(ring, wait_ns);
		wait_ns = -1;
	}
	enter(ring, complete, IORING_ENTER_GETEVENTS, wait_ns);
}

static void uring_wait(void *state, int64_t wait_ns)
{
	struct ring *ring = state;

	if (weft_unlikely(weft_load_relaxed(&ring->wanting)))
		queue_wanting(ring);
	/* without the wake posted, sleeping could miss it: only look then */
	if (wait_ns != 0 && post_wake(ring))
		sleep_in_kernel(ring, wait_ns);
	else
		enter(ring, 0, IORING_ENTER_GETEVENTS, -1);
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
	return end_op(ring, index, cqe->flags & IORING_CQE_F_NOTIF ? op->result : cqe->res);
}

/*
 * The kernel has not found what to cancel. If it is not over, it was on its way from one place in there to
 * another, where it would stay: ask again. (Not for what is sent without a copy, see Two.)
 */
static void cancel_again(struct ring *ring, uint64_t user_data)
{
	uint32_t index = (uint32_t)user_data;
	const struct slot *slot;

	if (index >= ring->slot_count)
		return;
	slot = &ring->slots[index];
	if (slot->op && slot->generation == user_data >> 32 && !slot->detour &&
		slot->op->code != IORING_OP_SEND_ZC)
		cancel_slot(ring, index);
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
	else if (user_data == USER_TIMEOUT)
		return 0;
	else if (!(user_data & CANCEL_OF))
		weft_add_relaxed(&ring->strays, 1);
	else if (weft_unlikely(cqe->res == -ENOENT))
		cancel_again(ring, user_data & ~CANCEL_OF);
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
	unsigned delivered = reap_ready(ring) + weft_uring_detour_reap(ring);
	uint32_t rounds = weft_load_relaxed(&ring->live) / HIDDEN_AT_A_TIME + 1;

	for (; rounds > 0; rounds--) {
		uint32_t hidden = hidden_completions(ring);

		if (weft_likely(!hidden))
			break;
		if (hidden & IORING_SQ_CQ_OVERFLOW)
			weft_add_relaxed(&ring->cq_overflow, 1);
		enter(ring, 0, IORING_ENTER_GETEVENTS, -1);
		delivered += reap_ready(ring);
	}
	return delivered;
}

static int uring_has_work(void *state)
{
	const struct ring *ring = state;

	return weft_load_relaxed(ring->cq_head) != weft_load_acquire(ring->cq_tail) ||
	       hidden_completions(ring) || unsubmitted(ring) ||
	       weft_errands_finished(&ring->errands) ||
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
	ring->errands.bell = &ring->bell;
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
	rc = weft_uring_add_slots(ring);
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
		sleep_in_kernel(ring, DRAIN_NS);
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
