/* SPDX-License-Identifier: MIT */
/*
 * chan - what select needs of a channel beyond the public calls: to look at several at once, and to
 * wait in several queues. Used inside lib/sync only; the rules of the fields are in chan.c.
 *
 * A select waits with one waiter per case, in as many queues. Each names the select's choice, and
 * whoever wants to serve one has to make that choice first, once and for all; the other waiters are
 * then of no use to anybody, and are taken out by who meets them first, or by the select as it leaves.
 *
 * SL1  choice: acq_rel compare-and-swap from open to made, by everybody who could end the wait. Weaker than
 *      one compare-and-swap: two cases take effect.
 */
#ifndef WEFT_LIB_SYNC_CHAN_H
#define WEFT_LIB_SYNC_CHAN_H

#include <stdbool.h>
#include <stddef.h>

#include <weft/sync.h>

#include "base/spin.h"
#include "sched/wait.h"

/* The value of a waiter that was granted; before that, its choice, or 0 if it waits for this alone. */
enum {
	WEFT_CHAN_CLOSED,
	WEFT_CHAN_DONE,
};

struct weft_choice {
	_Atomic(uint32_t) made;
};

struct weft_chan {
	struct weft_spin lock;
	bool closed;
	size_t item_size;
	size_t capacity;
	size_t head;
	size_t count;
	struct weft_waitq senders;
	struct weft_waitq receivers;
	_Alignas(max_align_t) unsigned char items[];
};

/* True: the caller has made it. */
static inline bool weft_choice_make(struct weft_choice *choice)
{
	uint32_t open = 0;

	return weft_cas_acq_rel(&choice->made, &open, 1); /* SL1 */
}

/*
 * `lock` held. The try calls as they are once the lock is held: never wait. *parker: NULL, or whom to unpark
 * once the lock is released.
 */
int weft_chan_send_locked(struct weft_chan *chan, const void *item, struct weft_parker **parker);
int weft_chan_recv_locked(struct weft_chan *chan, void *item, struct weft_parker **parker);

#endif
