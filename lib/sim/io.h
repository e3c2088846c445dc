/* SPDX-License-Identifier: MIT */
/*
 * io - the simulated devices, and how operations reach them.
 *
 * A device carries out operations: it completes one when it is submitted, or keeps it, linked through a slot
 * of its own, until it can. Which device an operation is for depends on its descriptor and its code (io.c).
 * Descriptors are real numbers: sockets are backed by real ones that are never connected, files in memory
 * by memfds; what is behind a number is looked up anew at each operation, since a program may close it with
 * close(2) and get the number again for something else.
 */
#ifndef WEFT_LIB_SIM_IO_H
#define WEFT_LIB_SIM_IO_H

#include "sim/sim.h"

struct weft_sim_device {
	const char *name;
	/* NULL state and an error when out of memory. */
	int (*open)(struct weft_simulation *sim, void **state);
	/* Everything has ended; descriptors of its that are open are reported and closed. */
	void (*close)(struct weft_simulation *sim, void *state);
	/* Is the operation for this device? */
	bool (*takes)(struct weft_simulation *sim, void *state, const struct weft_op *op);
	/* Complete it (weft_sim_complete), now or later. 0, or -ENOMEM: it did not begin. */
	int (*submit)(struct weft_simulation *sim, void *state, struct weft_op *op);
	/* End it early with -ECANCELED, if it is kept here and still can be. */
	void (*cancel)(struct weft_simulation *sim, void *state, struct weft_op *op);
	/* The same for all that is kept of that descriptor. */
	void (*cancel_fd)(struct weft_simulation *sim, void *state, int fd);
	/* The number is about to be closed by weft_close, nothing is in flight on it. NULL: of no interest. */
	void (*closing)(struct weft_simulation *sim, void *state, int fd);
	/*
	 * Look whether the kernel lets some of what is kept go on; how many ended. wait: nothing else can
	 * happen, so wait for it, if somebody outside of the process could bring it about. NULL: nothing here
	 * depends on the kernel.
	 */
	unsigned (*look_outside)(struct weft_simulation *sim, void *state, bool wait);
};

extern const struct weft_sim_device weft_sim_net; /* net.c: sockets */
extern const struct weft_sim_device
	weft_sim_files; /* files.c: names, and the files behind them */
extern const struct weft_sim_device
	weft_sim_real; /* real.c: everything else, which the kernel answers */

/* The operation is over. */
void weft_sim_complete(struct weft_simulation *sim, struct weft_op *op, int64_t result);

/* Of those that wait: the one of that parker, NULL if it has none. */
const struct weft_op *weft_sim_operation_of(
	struct weft_simulation *sim, const struct weft_parker *parker);

/* All devices' look_outside. */
unsigned weft_sim_look_outside(struct weft_simulation *sim, bool wait);
/* All tasks have ended: what is left open is reported, and closed. */
void weft_sim_devices_close(struct weft_simulation *sim);

#endif
