/* SPDX-License-Identifier: MIT */
/*
 * bell - see bell.h.
 */
#include "io/bell.h"

#include <errno.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

int weft_bell_open(struct weft_bell *bell)
{
	bell->fd = eventfd(0, EFD_CLOEXEC);
	return bell->fd < 0 ? -errno : 0;
}

void weft_bell_ring(struct weft_bell *bell)
{
	int before = errno;

	weft_add_seq_cst(&bell->ringers, 1); /* BE1 */
	if (weft_likely(!weft_load_seq_cst(&bell->closed)))
		eventfd_write(bell->fd, 1); /* waits only after 2^64 - 2 of them */
	weft_sub_acq_rel(&bell->ringers, 1);
	errno = before;
}

void weft_bell_close(struct weft_bell *bell)
{
	weft_store_seq_cst(&bell->closed, 1); /* BE1 */
	while (weft_load_seq_cst(&bell->ringers))
		sched_yield(); /* ends: a ringer makes one system call */
	close(bell->fd);
}
