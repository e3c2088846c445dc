/* SPDX-License-Identifier: MIT */
/*
 * epoll - the backend without io_uring: one epoll set per worker, and the blocking pool for what cannot be
 * waited for (files). How each operation is made is in io/optable.h, what is known of each descriptor in
 * io/watch.h, what pool threads do in io/errand.h.
 *
 * An operation is attempted when it is submitted, unless its descriptor is known not to be ready or
 * others already wait for the same. After -EAGAIN it waits: a slot on its descriptor's list. An
 * event lets those waiting try again, the first to come first.
 *
 * Who:     everything but wake and forget_fd is called by the worker's owner of the moment, its
 *          thread or the monitor that has claimed it. Attempts are made there too.
 * Edges:   the set tells changes, so an attempt may be left out only if the last one said so: with
 *          -EAGAIN, or, where that is a proof (TCP, no end of stream in sight), by receiving less
 *          than was asked for. That saves the failing call of every answer's wait.
 * Verify:  a registration may be of a file that is gone, when the program closed its number with
 *          close(2) and has a new one by it. So who has waited for one to two ROUND_NS has its
 *          descriptor's readiness reported anew, once. This also catches every edge a driver forgot.
 * Bound:   slots grow with the operations in flight; the kernel bounds what is registered
 *          (-ENOSPC, -ENOMEM are the operation's result then).
 *
 * OP1 as in io/uring.c: deliver: result, then release store of done  ->  waiter (io/op.c).
 */
#include "io/op.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/sys.h"
#include "io/bell.h"
#include "io/errand.h"
#include "io/io.h"
#include "io/optable.h"
#include "io/slots.h"
#include "io/uring_compat.h"
#include "io/watch.h"
#include "sched/submit.h"
#include "sched/wait.h"

enum {
	EVENTS = 256, /* taken from the kernel at a time */
	PORTION = 32, /* operations delivered at a look, if events bring more: they stay in the cache */
	ROUND_NS = 20 * 1000 * 1000, /* of the hand: who waits for one to two rounds is verified */
	VERIFY_CHUNKS = 4,           /* at a look */
	DRAIN_ROUNDS = 200,
	DRAIN_NS = 10 * 1000 * 1000,
};

#define IN_EVENTS (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)
#define OUT_EVENTS (EPOLLOUT | EPOLLHUP | EPOLLERR)
#define END_EVENTS (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)
#define BELL (-1)

struct epoll {
	struct weft_fd_watches watches;
	struct weft_errands errands;
	struct weft_bell bell;
	struct weft_slots slots;
	weft_ns next_round; /* of the hand over the slots, if some are unproven then */
	/* events taken from the kernel and not looked at yet */
	unsigned event_next;
	_Atomic(uint32_t) events_left;
	bool no_pwait2;
	/* the runtime's, known from the first submit on */
	struct weft_io *io;
	uint32_t watcher; /* this worker's bit in a descriptor's watchers */
	struct epoll_event events[EVENTS];
};

/* -- results ----------------------------------------------------------------------------------- */

static void finish(struct weft_op *op, int64_t result)
{
	op->result = (int32_t)result;
	weft_store_release(&op->done, 1); /* OP1 */
}

/* The operation in this slot is over. */
static void deliver(struct epoll *ep, struct weft_slot *slot, int64_t result)
{
	struct weft_op *op = slot->op;
	struct weft_parker *parker = op->parker;

	if (slot->progress)
		result = (int64_t)slot->progress;
	if (slot->watch)
		weft_list_remove(&slot->watch->waiting, &slot->node);
	weft_slot_give(&ep->slots, slot);
	finish(op, result);
	weft_unpark(parker);
}

/* -- on a pool thread -------------------------------------------------------------------------- */

static void to_pool(struct epoll *ep, struct weft_slot *slot)
{
	int rc = weft_errand_start(&ep->errands, slot->op, &slot->errand);

	if (weft_unlikely(rc < 0)) {
		deliver(ep, slot, rc);
		return;
	}
	weft_slot_prove(&ep->slots, slot);
	weft_slots_count(&ep->slots.waiting, -1);
}

/* The slot's errand is over: it is as if it waited. */
static void from_pool(struct epoll *ep, struct weft_slot *slot)
{
	slot->errand = NULL;
	weft_slots_count(&ep->slots.waiting, 1);
}

static unsigned take_errands(struct epoll *ep)
{
	struct weft_errand *errand = weft_errands_take(&ep->errands), *next;
	unsigned delivered = 0;

	for (; errand; errand = next, delivered++) {
		struct weft_slot *slot = weft_slot_of(&ep->slots, errand->op);
		int64_t result = errand->result;

		next = errand->next;
		free(errand);
		from_pool(ep, slot);
		deliver(ep, slot, result);
	}
	return delivered;
}

/* -- attempts ---------------------------------------------------------------------------------- */

static bool is_poll(const struct weft_op *op)
{
	return op->code == IORING_OP_POLL_ADD;
}

/* The direction whose readiness an operation uses up. */
static uint8_t direction(const struct weft_op *op)
{
	return weft_op_events(op) & POLLOUT ? WEFT_READY_OUT : WEFT_READY_IN;
}

static bool plainly_receives(const struct weft_op *op)
{
	return (op->code == IORING_OP_RECV || op->code == IORING_OP_READ) &&
	       !(op->op_flags & ~(uint32_t)MSG_WAITALL);
}

/* Make the calls; remember what the answer says about the descriptor. */
static int64_t attempt(
	const struct weft_op *op, struct weft_fd_watch *watch, uint64_t *progress)
{
	int64_t rc = weft_op_attempt(op, progress);

	if (!watch || is_poll(op))
		return rc;
	if (rc == -EAGAIN)
		watch->ready &= ~direction(op);
	else if (rc > 0 && rc < op->len && watch->drains && plainly_receives(op))
		watch->ready &= ~WEFT_READY_IN;
	return rc;
}

/* Nobody waits for it already, and it is not known to be in vain. */
static bool worth_an_attempt(const struct weft_op *op, struct weft_fd_watch *watch)
{
	if (!watch || is_poll(op))
		return true;
	watch->unwanted = 0;
	if (!weft_load_relaxed(&watch->added))
		watch->ready = WEFT_READY_IN | WEFT_READY_OUT; /* nothing is known */
	return watch->ready & direction(op) || weft_op_answers_again(op);
}

/* -- waiting ----------------------------------------------------------------------------------- */

/* Let those who close the descriptor know that this worker watches it. */
static void note_watcher(struct epoll *ep, int fd)
{
	struct weft_fd *entry = ep->io ? weft_fd_find(&ep->io->fds, fd) : NULL;

	if (entry && !(weft_load_relaxed(&entry->watchers) & ep->watcher))
		weft_or_acq_rel(&entry->watchers, ep->watcher); /* WA1 */
}

/* What became of registering its descriptor. */
static void registered(struct epoll *ep, struct weft_slot *slot, int rc)
{
	if (rc == 0)
		weft_slot_doubt(&ep->slots, slot);
	else if (rc == -EPERM)
		to_pool(ep, slot); /* a file */
	else if (rc < 0)
		deliver(ep, slot, rc);
}

static void wait_for_event(struct epoll *ep, struct weft_slot *slot)
{
	int fd = slot->op->fd;

	if (!weft_load_relaxed(&slot->watch->added))
		note_watcher(ep, fd);
	registered(ep, slot, weft_fd_watch_add(&ep->watches, slot->watch, fd));
}

static void verify_chunk(
	struct epoll *ep, struct weft_slot_chunk *chunk, uint64_t due)
{
	for (; due; due &= due - 1) {
		struct weft_slot *slot = &chunk->slots[__builtin_ctzll(due)];

		registered(ep, slot,
			weft_fd_watch_verify(&ep->watches, slot->watch, slot->op->fd));
	}
}

/* Some chunks of slots at a look: registering is a system call for each that waits for long. */
static void verify_some(struct epoll *ep, weft_ns now)
{
	struct weft_slot_chunk *chunk;
	uint64_t due;

	if (!ep->slots.hand && (!ep->slots.unproven || now < ep->next_round))
		return;
	for (int i = 0; i < VERIFY_CHUNKS; i++) {
		chunk = weft_slots_move_hand(&ep->slots, &due);
		if (!chunk) {
			ep->next_round = now + ROUND_NS;
			return;
		}
		verify_chunk(ep, chunk, due);
	}
}

static unsigned let_try(struct epoll *ep, struct weft_slot *slot)
{
	struct weft_fd_watch *watch = slot->watch;
	int64_t rc;

	if (slot->errand || !(is_poll(slot->op) || watch->ready & direction(slot->op)))
		return 0;
	rc = attempt(slot->op, watch, &slot->progress);
	if (rc == -EAGAIN)
		return 0;
	if (rc == -EOPNOTSUPP) {
		to_pool(ep, slot);
		return 0;
	}
	deliver(ep, slot, rc);
	return 1;
}

static unsigned let_all_try(struct epoll *ep, struct weft_fd_watch *watch)
{
	struct weft_node *node = watch->waiting.head, *next;
	unsigned delivered = 0;

	for (; node; node = next) {
		next = node->next;
		delivered += let_try(ep, weft_container_of(node, struct weft_slot, node));
	}
	return delivered;
}

static unsigned look_at_event(struct epoll *ep, const struct epoll_event *event)
{
	struct weft_fd_watch *watch;

	if (event->data.fd == BELL)
		return 0; /* edge-triggered: what it counts is of no interest */
	watch = weft_fd_watch_find(&ep->watches, event->data.fd);
	if (event->events & IN_EVENTS)
		watch->ready |= WEFT_READY_IN;
	if (event->events & OUT_EVENTS)
		watch->ready |= WEFT_READY_OUT;
	if (event->events & END_EVENTS)
		watch->drains = false; /* the end itself is still to be received */
	if (!weft_list_empty(&watch->waiting))
		return let_all_try(ep, watch);
	if (weft_load_relaxed(&watch->added) && ++watch->unwanted > 1)
		weft_fd_watch_remove(&ep->watches, watch, event->data.fd);
	return 0;
}

/* -- the kernel's events ----------------------------------------------------------------------- */

/* 0 to EVENTS; timeout_ns < 0: no bound. */
static void take_events(struct epoll *ep, int64_t timeout_ns)
{
	struct timespec ts = {
		.tv_sec = timeout_ns / 1000000000,
		.tv_nsec = timeout_ns % 1000000000,
	};
	const struct timespec *bound = timeout_ns < 0 ? NULL : &ts;
	struct pollfd look = {.fd = ep->watches.epoll_fd, .events = POLLIN};
	long got = -1;

	if (timeout_ns != 0 && !ep->no_pwait2) {
		got = syscall(SYS_epoll_pwait2, ep->watches.epoll_fd, ep->events, EVENTS,
			bound, NULL, 0L);
		ep->no_pwait2 = got < 0 && errno != EINTR;
	}
	if (timeout_ns != 0 && ep->no_pwait2)
		syscall(SYS_ppoll, &look, 1L, bound, NULL, 0L);
	if (timeout_ns == 0 || ep->no_pwait2)
		got = syscall(SYS_epoll_pwait, ep->watches.epoll_fd, ep->events, EVENTS, 0,
			NULL, 0L);
	ep->event_next = 0;
	weft_store_relaxed(&ep->events_left, got > 0 ? (uint32_t)got : 0);
}

/*
 * With many connections everything behind an event is cold: its watch, the slot, the operation, the stack.
 * Each is fetched early, one step per event.
 */
static void prefetch_ahead(struct epoll *ep)
{
	const struct epoll_event *event = &ep->events[ep->event_next];
	uint32_t left = weft_load_relaxed(&ep->events_left);
	const struct weft_fd_watch *watch;
	const struct weft_node *first;

	if (left > 6 && event[6].data.fd != BELL)
		__builtin_prefetch(weft_fd_watch_find(&ep->watches, event[6].data.fd), 1);
	if (left > 4 && event[4].data.fd != BELL) {
		watch = weft_fd_watch_find(&ep->watches, event[4].data.fd);
		__builtin_prefetch(watch->waiting.head, 1);
	}
	if (left > 2 && event[2].data.fd != BELL) {
		watch = weft_fd_watch_find(&ep->watches, event[2].data.fd);
		first = watch->waiting.head;
		if (first)
			__builtin_prefetch(weft_container_of(first, struct weft_slot, node)->op, 1);
	}
}

static unsigned look_at_events(struct epoll *ep)
{
	unsigned delivered = 0;

	while (weft_load_relaxed(&ep->events_left) && delivered < PORTION) {
		prefetch_ahead(ep);
		weft_slots_count(&ep->events_left, -1);
		delivered += look_at_event(ep, &ep->events[ep->event_next++]);
	}
	return delivered;
}

/* How long to sleep when asked to sleep that long: while some are unproven, rounds are due. */
static int64_t sleep_time(struct epoll *ep, int64_t wait_ns)
{
	int64_t left;

	if (!ep->slots.unproven)
		return wait_ns; /* a round that has begun ends when there are some again */
	left = ep->slots.hand ? 0 : ep->next_round - weft_sys_clock();
	if (left < 0)
		left = 0;
	return wait_ns < 0 || left < wait_ns ? left : wait_ns;
}

/* -- the backend ------------------------------------------------------------------------------- */

static void know_runtime(struct epoll *ep)
{
	ep->io = weft_io_current();
	if (!ep->io)
		return;
	ep->errands.jobs = weft_jobs_current();
	ep->watcher = UINT32_C(1) << weft_io_worker() % WEFT_FD_WATCHERS;
}

/* It was attempted, or that would have been in vain: it needs a slot. */
static int begin(struct epoll *ep, struct weft_op *op, struct weft_fd_watch *watch,
	uint64_t progress, bool on_pool)
{
	struct weft_slot *slot = weft_slot_take(&ep->slots, op);

	if (weft_unlikely(!slot))
		return -ENOMEM;
	slot->progress = progress;
	slot->watch = watch;
	if (watch)
		weft_list_push_tail(&watch->waiting, &slot->node);
	if (on_pool)
		to_pool(ep, slot);
	else
		wait_for_event(ep, slot);
	return 0;
}

static int epoll_submit(void *state, struct weft_op *op)
{
	const struct weft_op_row *row = weft_op_row(op->code);
	struct weft_fd_watch *watch = NULL;
	struct epoll *ep = state;
	uint64_t progress = 0;
	int64_t rc = -EAGAIN;

	if (weft_unlikely(!ep->io))
		know_runtime(ep);
	if (weft_unlikely(!row)) {
		finish(op, -EINVAL);
		return 0;
	}
	if (op->fd >= 0) {
		watch = weft_fd_watch_get(&ep->watches, op->fd);
		if (weft_unlikely(!watch))
			return -ENOMEM;
	}
	if (!weft_op_events(op))
		return begin(ep, op, watch, 0, true);
	if (worth_an_attempt(op, watch))
		rc = attempt(op, watch, &progress);
	if (rc == -EOPNOTSUPP || (rc == -EAGAIN && !weft_op_answers_again(op)))
		return begin(ep, op, watch, progress, rc == -EOPNOTSUPP);
	finish(op, rc); /* the caller has not parked: nobody to wake */
	return 0;
}

static void cancel_slot(struct epoll *ep, struct weft_slot *slot)
{
	if (slot->errand) {
		if (!weft_errand_take_back(&ep->errands, slot->errand))
			return; /* it has begun, and is waited for */
		from_pool(ep, slot);
	}
	deliver(ep, slot, -ECANCELED);
}

static int epoll_cancel(void *state, struct weft_op *op)
{
	struct epoll *ep = state;
	struct weft_slot *slot = weft_slot_of(&ep->slots, op);

	if (slot)
		cancel_slot(ep, slot);
	return 0;
}

static int epoll_cancel_fd(void *state, int fd)
{
	struct epoll *ep = state;
	struct weft_fd_watch *watch = weft_fd_watch_find(&ep->watches, fd);
	struct weft_node *node = watch ? watch->waiting.head : NULL, *next;

	for (; node; node = next) {
		next = node->next;
		cancel_slot(ep, weft_container_of(node, struct weft_slot, node));
	}
	return 0;
}

static void epoll_forget_fd(void *state, int fd)
{
	struct epoll *ep = state;

	weft_fd_watch_forget(&ep->watches, fd);
}

static void epoll_flush(void *state)
{
	(void)state; /* what is submitted has begun */
}

static unsigned epoll_reap(void *state)
{
	struct epoll *ep = state;
	unsigned delivered = take_errands(ep);

	if (!weft_load_relaxed(&ep->slots.waiting) && !weft_load_relaxed(&ep->events_left))
		return delivered;
	if (!weft_load_relaxed(&ep->events_left))
		take_events(ep, 0);
	delivered += look_at_events(ep);
	if (ep->slots.unproven || ep->slots.hand)
		verify_some(ep, weft_sys_clock());
	return delivered;
}

static void epoll_sleep(void *state, int64_t wait_ns)
{
	struct epoll *ep = state;

	if (weft_load_relaxed(&ep->events_left) || weft_errands_finished(&ep->errands))
		return;
	take_events(ep, sleep_time(ep, wait_ns));
}

static void epoll_wake(void *state)
{
	struct epoll *ep = state;

	weft_bell_ring(&ep->bell);
}

static int epoll_has_work(void *state)
{
	struct epoll *ep = state;

	if (weft_errands_finished(&ep->errands))
		return 1;
	if (!weft_load_relaxed(&ep->events_left) && weft_load_relaxed(&ep->slots.waiting))
		take_events(ep, 0); /* asking whether there are any costs as much */
	return weft_load_relaxed(&ep->events_left) > 0;
}

static unsigned epoll_in_flight(const void *state)
{
	struct epoll *ep = (struct epoll *)state;

	return weft_load_relaxed(&ep->slots.live);
}

static int add_bell(struct epoll *ep)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = BELL};

	return epoll_ctl(ep->watches.epoll_fd, EPOLL_CTL_ADD, ep->bell.fd, &event) < 0 ?
		       -errno :
		       0;
}

/* A write to a broken pipe raises the signal on the thread that makes it. */
static void block_sigpipe(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int epoll_open(void *state, unsigned entries, unsigned flags)
{
	struct epoll *ep = state;
	int rc;

	(void)entries;
	(void)flags;
	ep->errands.bell = &ep->bell;
	rc = weft_fd_watches_open(&ep->watches);
	if (rc < 0)
		return rc;
	rc = weft_bell_open(&ep->bell);
	if (rc < 0)
		goto close_watches;
	rc = add_bell(ep);
	if (rc < 0)
		goto close_bell;
	if (!weft_kernel_has_nosignal())
		block_sigpipe();
	return 0;

close_bell:
	weft_bell_close(&ep->bell);
close_watches:
	weft_fd_watches_close(&ep->watches);
	return rc;
}

static void epoll_close(void *state)
{
	struct epoll *ep = state;

	for (int i = 0; i < DRAIN_ROUNDS && epoll_in_flight(ep); i++) {
		epoll_sleep(ep, DRAIN_NS);
		epoll_reap(ep);
	}
	weft_bell_close(&ep->bell);
	weft_fd_watches_close(&ep->watches);
	weft_slots_finish(&ep->slots);
}

const struct weft_backend weft_backend_epoll = {
	.name = "epoll",
	.size = sizeof(struct epoll),
	.open = epoll_open,
	.close = epoll_close,
	.submit = epoll_submit,
	.cancel = epoll_cancel,
	.cancel_fd = epoll_cancel_fd,
	.forget_fd = epoll_forget_fd,
	.flush = epoll_flush,
	.reap = epoll_reap,
	.wait = epoll_sleep,
	.wake = epoll_wake,
	.has_work = epoll_has_work,
	.in_flight = epoll_in_flight,
};
