/* SPDX-License-Identifier: MIT */
/*
 * real - what is not simulated: pipes, socket pairs, event descriptors and the like that the program made by
 * itself, and files that it only reads. The kernel answers, without blocking. Where both ends are in this
 * process, which has one thread, that depends on nothing else; so it is the same in every run.
 *
 * What cannot be done yet is kept, and tried again in the order of submission whenever something could have
 * changed. When nothing else can happen, and the process has children, it is waited for in real time: that
 * alone is outside of the seed's power.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/io.h"
#include "io/optable.h"
#include "io/sys.h"
#include "sched/worker.h"
#include "sim/io.h"

enum {
	WAIT_MS = 10,  /* at a time, for children */
	PATIENCE = 50, /* so many times for others beside one that has ended */
};

struct kept {
	struct weft_node node;
	struct weft_op *op;
	uint64_t progress;
};

struct real {
	struct weft_list kept;
	size_t count;
};

static int open_real(struct weft_simulation *sim, void **state)
{
	(void)sim;
	*state = calloc(1, sizeof(struct real));
	return *state ? 0 : -ENOMEM;
}

static void close_real(struct weft_simulation *sim, void *state)
{
	(void)sim;
	free(state);
}

static bool takes(struct weft_simulation *sim, void *state, const struct weft_op *op)
{
	(void)sim, (void)state, (void)op;
	return true;
}

/* -- attempts ---------------------------------------------------------------------------------- */

static bool is_transfer(const struct weft_op *op)
{
	return op->code == IORING_OP_READ || op->code == IORING_OP_WRITE ||
	       op->code == IORING_OP_RECV || op->code == IORING_OP_SEND;
}

/* The kernel's answer to it, or to a part of it. */
static int64_t attempt(
	struct weft_simulation *sim, struct weft_op *op, uint64_t *progress)
{
	struct weft_op part = *op;
	int64_t rc;

	if (is_transfer(op) && !(op->op_flags & MSG_WAITALL))
		part.len = (uint32_t)weft_sim_part(sim, op->len ? op->len : 1);
	if (!op->len)
		part.len = 0;
	if (!weft_op_events(op))
		return weft_op_row(op->code)->perform(op, true);
	rc = weft_op_attempt(is_transfer(op) ? &part : op, progress);
	return rc == -EOPNOTSUPP ? weft_op_row(op->code)->perform(op, true) : rc;
}

static void drop(struct weft_simulation *sim, struct real *real, struct kept *kept)
{
	weft_list_remove(&real->kept, &kept->node);
	sim->io.outside = --real->count > 0;
	free(kept);
}

static int submit(struct weft_simulation *sim, void *state, struct weft_op *op)
{
	struct real *real = state;
	uint64_t progress = 0;
	struct kept *kept;
	int64_t rc;

	if (!weft_op_row(op->code)) {
		weft_sim_complete(sim, op, -EINVAL);
		return 0;
	}
	rc = attempt(sim, op, &progress);
	/* What has no readiness to wait for (a splice) has waited for it before. */
	if (rc != -EAGAIN || weft_op_answers_again(op) || !weft_op_events(op)) {
		weft_sim_complete(sim, op, progress ? (int64_t)progress : rc);
		return 0;
	}
	kept = calloc(1, sizeof(*kept));
	if (!kept)
		return -ENOMEM;
	kept->op = op;
	kept->progress = progress;
	weft_list_push_tail(&real->kept, &kept->node);
	real->count++;
	sim->io.outside = true;
	return 0;
}

static unsigned try_all(struct weft_simulation *sim, struct real *real)
{
	struct weft_node *node = real->kept.head, *next;
	unsigned ended = 0;

	for (; node; node = next) {
		struct kept *kept = weft_container_of(node, struct kept, node);
		struct weft_op *op = kept->op;
		int64_t rc = attempt(sim, op, &kept->progress);

		next = node->next;
		if (rc == -EAGAIN)
			continue;
		rc = kept->progress ? (int64_t)kept->progress : rc;
		drop(sim, real, kept);
		weft_sim_complete(sim, op, rc);
		ended++;
	}
	return ended;
}

/* -- outside ----------------------------------------------------------------------------------- */

/* One that has ended and was not waited for hides whether there are others. */
enum children { NO_CHILDREN, ONE_HAS_ENDED, SOME_LIVE };

static enum children look_for_children(void)
{
	siginfo_t info = {0};
	int before = errno;
	int rc = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);

	errno = before;
	return rc < 0 ? NO_CHILDREN : info.si_pid ? ONE_HAS_ENDED : SOME_LIVE;
}

static void sleep_a_little(void)
{
	int before = errno;

	poll(NULL, 0, WAIT_MS);
	errno = before;
}

static unsigned look_outside(struct weft_simulation *sim, void *state, bool wait)
{
	struct real *real = state;
	struct weft_io *io = sim->runtime->io;
	unsigned ended = try_all(sim, real);
	int patience = PATIENCE;

	while (wait && !ended && (real->count > 0 || weft_signals_awaited(io))) {
		enum children children = look_for_children();

		if (children == NO_CHILDREN || (children == ONE_HAS_ENDED && patience-- == 0))
			break;
		sleep_a_little();
		ended = try_all(sim, real) + weft_signals_look(io);
	}
	return ended;
}

/* -- cancels ----------------------------------------------------------------------------------- */

/* All that match: op, or, where that is NULL, those of fd. */
static void cancel_some(
	struct weft_simulation *sim, struct real *real, const struct weft_op *op, int fd)
{
	struct weft_node *node = real->kept.head, *next;

	for (; node; node = next) {
		struct kept *kept = weft_container_of(node, struct kept, node);
		struct weft_op *its = kept->op;
		int64_t rc = kept->progress ? (int64_t)kept->progress : -ECANCELED;

		next = node->next;
		if (op ? its != op : its->fd != fd)
			continue;
		drop(sim, real, kept);
		weft_sim_complete(sim, its, rc);
	}
}

static void cancel(struct weft_simulation *sim, void *state, struct weft_op *op)
{
	cancel_some(sim, state, op, -1);
}

static void cancel_fd(struct weft_simulation *sim, void *state, int fd)
{
	cancel_some(sim, state, NULL, fd);
}

const struct weft_sim_device weft_sim_real = {
	.name = "real",
	.open = open_real,
	.close = close_real,
	.takes = takes,
	.submit = submit,
	.cancel = cancel,
	.cancel_fd = cancel_fd,
	.look_outside = look_outside,
};
