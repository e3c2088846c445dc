/* SPDX-License-Identifier: MIT */
/*
 * eyeballs - one connection to whichever of several addresses answers first ("happy eyeballs", RFC
 * 8305). For io/dial.c.
 */
#ifndef WEFT_LIB_IO_EYEBALLS_H
#define WEFT_LIB_IO_EYEBALLS_H

#include <weft/base.h>

#include "io/address.h"

/* Addresses tried for one name. */
enum { WEFT_EYEBALLS_MAX = 16 };

/* How long an attempt is alone before the next one begins; RFC 8305, section 5. */
#define WEFT_EYEBALLS_DELAY WEFT_MS(250)

/* Alternate between the families, beginning with that of the first; each keeps its order. */
void weft_eyeballs_order(struct weft_address *list, unsigned n);

/*
 * Connect a TCP socket to one of n addresses, 1 to WEFT_EYEBALLS_MAX of them, begun in their order:
 * the next one when the one before has failed, or when delay has passed since it began. The first to
 * be connected is returned, a blocking close-on-exec descriptor; the others are closed.
 *
 * When all have failed, the last of their codes, but for codes that say that this machine has no way
 * there as long as there are others. A code that is pending ends it; nothing is left open. In a task;
 * no checkpoint.
 */
int weft_eyeballs_connect(const struct weft_address *list, unsigned n, weft_ns delay);

#endif
