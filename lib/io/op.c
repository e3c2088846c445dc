/* SPDX-License-Identifier: MIT */
/*
 * op - runs one operation for the calling task: counts it on its descriptor, hands it to the
 * worker's ring, parks until it is done, and says what its result means to the caller.
 * Knows nothing of rings; the I/O calls beside it know nothing of cancels.
 */
#include "io/op.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>

#include <weft/task.h>

#include "io/at_once.h"
#include "io/ground.h"
#include "io/io.h"
#include "io/sys.h"
#include "io/uring_compat.h"
#include "sched/submit.h"
#include "sched/wait.h"

enum {
	CLOSE_RETRY_NS = 50 * 1000, /* while somebody is inside the kernel's close */
	READY_ATTEMPTS = 8,         /* ready and yet not: after so many, slower */
	READY_RETRY_NS = 1000 * 1000,
};

/* What came in the way of an operation. */
struct interference {
	bool deaf;    /* nothing may */
	bool closing; /* weft_close ended it */
	int pending;  /* the cancel or deadline on account of which it was cancelled */
};

int weft_io_init(struct weft_io *io)
{
	memset(io, 0, sizeof(*io));
	io->ground = &weft_ground_kernel;
	return 0;
}

void weft_io_finish(struct weft_io *io)
{
	weft_fd_table_finish(&io->fds);
}

int weft_io_enter(struct weft_checkpoint *checkpoint)
{
	int rc = weft_checkpoint_enter_first(checkpoint);

	if (weft_unlikely(rc < 0))
		return rc;
	return weft_likely(weft_io_current()) ? 0 : -EPERM;
}

int weft_io_nap(int64_t duration_ns)
{
	weft_ns until = weft_deadline_from(duration_ns);

	while (weft_now() < until) {
		int rc = weft_pending();

		if (rc < 0)
			return rc;
		weft_park(until);
	}
	return 0;
}

int weft_io_begin(int fd, struct weft_fd **entry)
{
	struct weft_fd_turn turn = {0};
	int rc = weft_fd_get(&weft_io_current()->fds, fd, entry);

	while (rc == 0 &&
		(rc = weft_fd_begin(*entry, weft_io_worker(), &turn)) == -EAGAIN)
		rc = weft_io_nap(CLOSE_RETRY_NS);
	return rc;
}

/* Count op on its descriptor. *entry stays NULL for one that has none (AT_FDCWD, -1), which the
 * kernel judges, and for the close itself, which the closer has made room for. */
static int begin(struct weft_op *op, struct weft_fd **entry)
{
	*entry = NULL;
	if (op->fd < 0 || op->code == IORING_OP_CLOSE)
		return 0;
	return weft_io_begin(op->fd, entry);
}

/* Look before parking: what was pending and seen already does not end a park. */
static void wait_until_done(struct weft_op *op, struct interference *why)
{
	for (bool parked = false; !weft_load_acquire(&op->done);
		parked = true) { /* OP1 */
		if (!why->deaf && !op->cancel_sent) {
			why->pending =
				parked ? weft_pending() : weft_pending_before_park();
			op->cancel_sent = why->pending < 0;
			if (op->cancel_sent)
				weft_io_cancel(op);
		}
		if (weft_load_acquire(&op->done))
			return;
		if (why->deaf || op->cancel_sent)
			weft_park_deaf(WEFT_FOREVER);
		else
			weft_park(WEFT_FOREVER);
	}
}

/* The kernel's own codes for a call that a signal ended, which a ring lets through for some. */
static bool restarts(int result)
{
	return result <= -512 && result >= -516;
}

/*
 * With one worker nobody can come between a look at the descriptor and a call that does not suspend: no
 * need to count. NULL: count.
 */
static struct weft_fd *free_to_call(const struct weft_op *op)
{
	struct weft_fd *entry;

	if (op->fd < 0 || weft_io_workers() != 1)
		return NULL;
	entry = weft_fd_find(&weft_io_current()->fds, op->fd);
	return entry && !weft_fd_closing(entry) ? entry : NULL;
}

/* True: *result is the answer. *done: what came of it at once, if there is more to come. */
static bool answer_at_once(
	struct weft_op *op, struct weft_fd *entry, int64_t *done, int64_t *result)
{
	*result = weft_at_once(op, entry, done);
	return weft_likely(*result != -EAGAIN || *done < 0);
}

static int submit_and_wait(
	struct weft_op *op, struct weft_fd *entry, struct interference *why)
{
	bool moves = entry && weft_at_once_moves(op);
	int64_t before = moves ? weft_at_once_move_begin(op, entry) : -1;
	int rc;

	op->cancel_sent = 0;
	op->starts_now = entry && weft_at_once_on_disk(op, entry);
	/* Of a burst of connections each would else wait for a turn of all that are served already. */
	op->ends_now = op->code == IORING_OP_ACCEPT && !weft_io_current()->simulated;
	op->parker = weft_parker_self();
	weft_store_relaxed(&op->done, 0);
	rc = weft_io_submit(op);
	if (weft_unlikely(rc < 0))
		return rc;
	if (weft_unlikely(entry && weft_fd_closing(entry))) /* FD2 */
		weft_io_cancel(op);
	wait_until_done(op, why);
	if (moves)
		weft_at_once_move_end(op, before, op->result);
	return restarts(op->result) ? -EINTR : op->result;
}

/* One attempt: at once, or by the backend. */
static int64_t attempt(struct weft_op *op, struct interference *why)
{
	bool may = weft_at_once_may(op) && !weft_io_current()->simulated;
	struct weft_fd *entry = may ? free_to_call(op) : NULL;
	int64_t done = 0, result;
	int rc;

	if (entry) {
		if (answer_at_once(op, entry, &done, &result))
			return result;
		may = false;
	}
	rc = begin(op, &entry);
	if (rc < 0)
		return done > 0 ? done : rc;
	if (!may || !answer_at_once(op, entry, &done, &result)) {
		result = submit_and_wait(op, entry, why);
		if (done > 0) /* what was read at once wins */
			result = result < 0 ? done : done + result;
	}
	why->closing = entry && weft_fd_end(entry);
	return result;
}

static int64_t run(struct weft_op *op, bool deaf)
{
	struct interference why = {.deaf = deaf};

	for (;;) {
		int64_t result = attempt(op, &why);

		if (weft_likely(result != -ECANCELED && result != -EINTR))
			return result;
		if (why.pending < 0)
			return why.pending;
		if (why.closing)
			return -EBADF;
		if (op->code == IORING_OP_CLOSE)
			return 0; /* interrupted while it flushed: closed all the same */
		/* It had no effect and nobody here wanted that: a signal, or a closer's cancel that
		 * came late and met the number's next owner. Ends with whoever keeps doing it. */
		if (!deaf && (why.pending = weft_pending()) < 0)
			return why.pending;
	}
}

int64_t weft_op_run(struct weft_op *op)
{
	WEFT_CHECKPOINT(checkpoint);
	int rc = weft_io_enter(&checkpoint);

	return weft_unlikely(rc < 0) ? rc : run(op, false);
}

int64_t weft_op_run_deaf(struct weft_op *op)
{
	return run(op, true);
}

int64_t weft_op_run_again(struct weft_op *op)
{
	int rc = weft_pending();

	return weft_unlikely(rc < 0) ? rc : run(op, false);
}

int weft_op_poll(int fd, short events)
{
	struct weft_op op = {
		.code = IORING_OP_POLL_ADD,
		.fd = fd,
		.op_flags = weft_poll_mask(events),
	};

	return (int)weft_op_run_again(&op);
}

static int64_t run_ready(struct weft_op *op, short events, bool looked)
{
	for (unsigned attempts = 1;; attempts++) {
		int64_t result =
			looked && attempts == 1 ? run(op, false) : weft_op_run_again(op);
		int rc;

		if (weft_likely(result != -EAGAIN))
			return result;
		rc = weft_op_poll(op->fd, events);
		if (rc >= 0 && attempts >= READY_ATTEMPTS)
			rc = weft_io_nap(READY_RETRY_NS);
		if (rc < 0)
			return rc;
	}
}

int64_t weft_op_run_ready(struct weft_op *op, short events)
{
	return run_ready(op, events, false);
}

int64_t weft_op_run_ready_first(struct weft_op *op, short events)
{
	return run_ready(op, events, true);
}

void weft_fd_opened(int fd)
{
	struct weft_io *io = weft_io_current();
	struct weft_fd *entry = io && fd >= 0 ? weft_fd_find(&io->fds, fd) : NULL;

	if (!entry)
		return;
	weft_fd_reset(entry);
	weft_fd_forget(entry, fd);
	weft_at_once_socket(entry);
}

void weft_fd_forget(struct weft_fd *entry, int fd)
{
	uint32_t watchers;

	if (weft_likely(!weft_load_relaxed(&entry->watchers)))
		return;
	watchers = weft_xchg_acq_rel(&entry->watchers, 0); /* WA1 */
	for (unsigned worker = 0; worker < weft_io_workers(); worker++) {
		if (watchers & UINT32_C(1) << worker % WEFT_FD_WATCHERS)
			weft_io_forget_fd(worker, fd);
	}
}
