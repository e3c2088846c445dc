/* SPDX-License-Identifier: MIT */
/*
 * io - the backend of a simulated runtime: takes operations and hands them to the devices. See io.h.
 */
#include "sim/io.h"

#include <errno.h>
#include <stdlib.h>

#include "io/io.h"
#include "io/uring_compat.h"
#include "sched/wait.h"
#include "sched/worker.h"

static const struct weft_sim_device *const devices[WEFT_SIM_DEVICES] = {
	&weft_sim_net,
	&weft_sim_files,
	&weft_sim_real,
};

struct weft_simulation *weft_sim_current(void)
{
	struct weft_worker *worker = weft_worker_current();

	return worker && worker->schedule == &weft_sim_schedule ? worker->backend_state
								: NULL;
}

/* -- operations under way ---------------------------------------------------------------------- */

static int note(struct weft_sim_io *io, struct weft_op *op)
{
	if (io->count == io->room) {
		size_t room = io->room ? io->room * 2 : 64;
		struct weft_op **more = realloc(io->ops, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		io->ops = more;
		io->room = room;
	}
	op->slot = (uint32_t)io->count;
	io->ops[io->count++] = op;
	return 0;
}

static void forget(struct weft_sim_io *io, struct weft_op *op)
{
	struct weft_op *last = io->ops[--io->count];

	io->ops[op->slot] = last;
	last->slot = op->slot;
}

const struct weft_op *weft_sim_operation_of(
	struct weft_simulation *sim, const struct weft_parker *parker)
{
	for (size_t i = 0; i < sim->io.count; i++) {
		if (sim->io.ops[i]->parker == parker)
			return sim->io.ops[i];
	}
	return NULL;
}

/* Its result is a descriptor, whose number depends on what else the process has open. */
static bool opens(const struct weft_op *op)
{
	return op->code == IORING_OP_OPENAT || op->code == IORING_OP_ACCEPT;
}

void weft_sim_complete(struct weft_simulation *sim, struct weft_op *op, int64_t result)
{
	struct weft_parker *parker = op->parker;
	bool at_once = sim->io.submitting == op;

	forget(&sim->io, op);
	op->result = (int32_t)result;
	weft_sim_mix(sim, (uint64_t)op->code << 32 |
				  (uint32_t)(opens(op) && result > 0 ? 0 : result));
	weft_store_release(&op->done, 1);
	if (!at_once) /* else it has not parked */
		weft_unpark(parker);
}

/* -- the backend ------------------------------------------------------------------------------- */

static int open_devices(void *state, unsigned entries, unsigned flags)
{
	struct weft_simulation *sim = state;
	int rc = 0;

	(void)entries, (void)flags;
	for (int i = 0; i < WEFT_SIM_DEVICES && rc == 0; i++)
		rc = devices[i]->open(sim, &sim->io.state[i]);
	return rc;
}

void weft_sim_devices_close(struct weft_simulation *sim)
{
	for (int i = 0; i < WEFT_SIM_DEVICES; i++) {
		if (sim->io.state[i])
			devices[i]->close(sim, sim->io.state[i]);
		sim->io.state[i] = NULL;
	}
	free(sim->io.ops);
	sim->io.ops = NULL;
}

static void close_backend(void *state)
{
	(void)state; /* what is left open is reported once all tasks have ended: simulate.c */
}

static int device_of(struct weft_simulation *sim, const struct weft_op *op)
{
	int i = 0;

	while (i < WEFT_SIM_DEVICES - 1 && !devices[i]->takes(sim, sim->io.state[i], op))
		i++;
	return i;
}

/* weft_close ends here: every device may have something of that number. */
static void tell_closing(struct weft_simulation *sim, int fd)
{
	for (int i = 0; i < WEFT_SIM_DEVICES; i++) {
		if (devices[i]->closing)
			devices[i]->closing(sim, sim->io.state[i], fd);
	}
}

static int submit(void *state, struct weft_op *op)
{
	struct weft_simulation *sim = state;
	int rc = note(&sim->io, op);
	int device;

	if (rc < 0)
		return rc;
	if (op->code == IORING_OP_CLOSE)
		tell_closing(sim, op->fd);
	device = device_of(sim, op);
	sim->io.submitting = op;
	rc = devices[device]->submit(sim, sim->io.state[device], op);
	sim->io.submitting = NULL;
	if (rc < 0)
		forget(&sim->io, op);
	return rc;
}

static int cancel(void *state, struct weft_op *op)
{
	struct weft_simulation *sim = state;

	for (int i = 0; i < WEFT_SIM_DEVICES && !weft_load_relaxed(&op->done); i++)
		devices[i]->cancel(sim, sim->io.state[i], op);
	return 0;
}

static int cancel_fd(void *state, int fd)
{
	struct weft_simulation *sim = state;

	for (int i = 0; i < WEFT_SIM_DEVICES; i++)
		devices[i]->cancel_fd(sim, sim->io.state[i], fd);
	return 0;
}

unsigned weft_sim_look_outside(struct weft_simulation *sim, bool wait)
{
	unsigned ended = 0;

	for (int i = 0; i < WEFT_SIM_DEVICES; i++) {
		if (devices[i]->look_outside)
			ended += devices[i]->look_outside(sim, sim->io.state[i], wait);
	}
	return ended;
}

static void flush(void *state)
{
	(void)state; /* what is submitted has begun */
}

static unsigned reap(void *state)
{
	struct weft_simulation *sim = state;

	return weft_signals_look(sim->runtime->io) +
	       (sim->io.outside ? weft_sim_look_outside(sim, false) : 0);
}

static void no_wait(void *state, int64_t wait_ns)
{
	(void)state, (void)wait_ns;
}

static void no_wake(void *state)
{
	(void)state; /* the one thread never sleeps */
}

static int has_work(void *state)
{
	(void)state;
	return 0;
}

static unsigned in_flight(const void *state)
{
	return (unsigned)((const struct weft_simulation *)state)->io.count;
}

static int64_t virtual_time(void *state)
{
	return ((struct weft_simulation *)state)->now;
}

const struct weft_backend weft_backend_sim = {
	.name = "simulation",
	.size = sizeof(struct weft_simulation),
	.open = open_devices,
	.close = close_backend,
	.submit = submit,
	.cancel = cancel,
	.cancel_fd = cancel_fd,
	.flush = flush,
	.reap = reap,
	.wait = no_wait,
	.wake = no_wake,
	.has_work = has_work,
	.in_flight = in_flight,
	.clock = virtual_time,
	.schedule = &weft_sim_schedule,
};
