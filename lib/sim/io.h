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
	/* Nothing else can happen: look at what is outside of the simulation; how many operations ended.
	 * NULL: there is nothing outside. */
	unsigned (*look_outside)(struct weft_simulation *sim, void *state);
};

extern const struct weft_sim_device weft_sim_net;   /* net.c: sockets */
extern const struct weft_sim_device weft_sim_files; /* files.c: names, and the files behind them */
extern const struct weft_sim_device weft_sim_real;  /* real.c: everything else, which the kernel answers */

enum { WEFT_SIM_DEVICES = 3 };

struct weft_sim_io {
	void *state[WEFT_SIM_DEVICES];
};

/* The operation is over. */
void weft_sim_complete(struct weft_simulation *sim, struct weft_op *op, int64_t result);

#endif
