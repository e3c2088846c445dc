/* SPDX-License-Identifier: MIT */
/*
 * submit - I/O calls reach the rings here: the own one directly, another worker's by mail.
 */
#include "sched/submit.h"

#include <errno.h>

#include "sched/frame.h"
#include "sched/worker.h"

int weft_io_submit(struct weft_op *op)
{
	struct weft_worker *worker = weft_worker_current();
	int rc;

	if (!worker)
		return weft_worker_none();
	weft_worker_enter_user(worker);
	op->home = worker;
	rc = worker->backend->submit(worker->backend_state, op);
	if (op->starts_now | op->ends_now)
		worker->backend->flush(worker->backend_state);
	if (op->ends_now) {
		worker->backend->reap(worker->backend_state);
		worker->stack->budget -= WEFT_BUDGET / 16; /* it takes longer than a call that need not wait */
	}
	weft_count(&worker->counters.io_submitted);
	weft_worker_leave(worker, false);
	return rc;
}

static void cancel_on(struct weft_worker *worker, void *op)
{
	worker->backend->cancel(worker->backend_state, op);
	worker->backend->flush(worker->backend_state);
}

void weft_io_cancel(struct weft_op *op)
{
	struct weft_worker *worker = weft_worker_current();

	if (op->home != worker) {
		weft_mail_and_wait(op->home, cancel_on, op);
		return;
	}
	weft_worker_enter_user(worker);
	cancel_on(worker, op);
	weft_worker_leave(worker, false);
}

static void cancel_fd_on(struct weft_worker *worker, void *fd)
{
	worker->backend->cancel_fd(worker->backend_state, *(int *)fd);
	worker->backend->flush(worker->backend_state);
}

int weft_worker_mail_cancel_fd(struct weft_runtime *runtime, unsigned index, int fd)
{
	struct weft_worker *worker = weft_worker_current();
	struct weft_worker *home = &runtime->workers[index];

	if (home != worker) {
		weft_mail_and_wait(home, cancel_fd_on, &fd);
		return 0;
	}
	weft_worker_enter_user(worker);
	cancel_fd_on(worker, &fd);
	weft_worker_leave(worker, false);
	return 0;
}

void weft_io_forget_fd(unsigned index, int fd)
{
	struct weft_worker *worker = &weft_worker_current()->runtime->workers[index];

	if (worker->backend->forget_fd)
		worker->backend->forget_fd(worker->backend_state, fd);
}

/* In a simulation: the caller is on a thread of the pool, as far as the program can tell. */
static inline bool is_plain(const struct weft_worker *worker)
{
	return weft_unlikely(worker->schedule != NULL) && weft_frame_plain(worker->stack);
}

struct weft_io *weft_io_current(void)
{
	struct weft_worker *worker = weft_worker_current();

	return worker && !is_plain(worker) ? worker->runtime->io : NULL;
}

struct weft_jobs *weft_jobs_current(void)
{
	struct weft_worker *worker = weft_worker_current();

	return worker && !is_plain(worker) ? worker->runtime->jobs : NULL;
}

unsigned weft_io_worker(void)
{
	return weft_worker_current()->index;
}

unsigned weft_io_workers(void)
{
	return weft_worker_current()->runtime->count;
}
