/* SPDX-License-Identifier: MIT */
/*
 * bell - an eventfd that ends a worker's sleep. Rung by any thread, also late, while the worker
 * closes it.
 *
 * BE1  ring: add to ringers, then load closed  <->  close: set closed, then load ringers
 *      seq_cst on all four: a late ringer finds closed, or close waits for it. Weaker: it writes to
 *      whatever file has got the number by then.
 */
#ifndef WEFT_LIB_IO_BELL_H
#define WEFT_LIB_IO_BELL_H

#include <stdint.h>

#include "base/atomic.h"

struct weft_bell {
	int fd;
	_Atomic(uint32_t) closed, ringers; /* BE1 */
};

/* 0 or -errno. */
int weft_bell_open(struct weft_bell *bell);
/* Add to the eventfd's count, unless it is closed. Any thread. */
void weft_bell_ring(struct weft_bell *bell);
/* From here on a ring finds no descriptor, not even one that is being closed. */
void weft_bell_close(struct weft_bell *bell);

#endif
