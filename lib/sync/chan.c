/* SPDX-License-Identifier: MIT */
/*
 * chan - a channel: a bounded queue of items of one size, for any number of senders and
 * receivers. Called by programs.
 *
 * Life:     one allocation, freed by destroy, which takes `lock` once more: a sender or receiver
 *           that is about to release it is then out, and touches nothing but a parker.
 * lock:     guards everything but item_size and capacity, which never change.
 * items:    a ring of capacity slots behind the struct; head is the oldest, count how many.
 * senders:  wait only while the channel is full; waiter.item is read under `lock` by whoever
 *           takes the item over. receivers: wait only while it is empty and no sender waits;
 *           waiter.item is written under `lock`. So at most one of the two queues is in use, but
 *           for a select that offers both and does not meet itself.
 * Order:    items, senders and receivers first come first served.
 * Result:   a granted waiter's value is DONE (its item was moved) or CLOSED. An item changes
 *           hands together with the grant, so a cancel either finds the waiter still queued,
 *           and nothing has happened, or comes too late.
 * Select:   waits in several queues (chan.h). Its waiters are served as others are, after its choice
 *           has been made; those it has no more use for do not count, and are taken out when met.
 * Bound:    capacity items; 0 makes each send meet a receive.
 *
 * The edges are the lock's (SP1) and the grant's: what was written before a send is seen after
 * the receive that got the item.
 */
#include "sync/chan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/spin.h"
#include "sched/wait.h"
#include "sync/waiters.h"

struct weft_chan *weft_chan_create(size_t item_size, size_t capacity)
{
	struct weft_chan *chan;
	size_t bytes;

	if (weft_in_forked_child() || item_size == 0 ||
		__builtin_mul_overflow(item_size, capacity, &bytes) ||
		__builtin_add_overflow(bytes, sizeof(*chan), &bytes))
		return NULL;
	chan = malloc(bytes);
	if (!chan)
		return NULL;
	memset(chan, 0, sizeof(*chan));
	chan->item_size = item_size;
	chan->capacity = capacity;
	return chan;
}

/* Most items are a pointer or a number: spare those the call. */
static void copy_item(const struct weft_chan *chan, void *to, const void *from)
{
	if (weft_likely(chan->item_size == sizeof(uint64_t)))
		memcpy(to, from, sizeof(uint64_t));
	else
		memcpy(to, from, chan->item_size);
}

static void ring_push(struct weft_chan *chan, const void *item)
{
	size_t slot = chan->head + chan->count; /* each less than or equal to capacity */

	if (slot >= chan->capacity || slot < chan->head)
		slot -= chan->capacity;
	copy_item(chan, chan->items + slot * chan->item_size, item);
	chan->count++;
}

static void ring_pop(struct weft_chan *chan, void *item)
{
	copy_item(chan, item, chan->items + chan->head * chan->item_size);
	if (++chan->head == chan->capacity)
		chan->head = 0;
	chan->count--;
}

/* `lock` held. Among others there are selects: make the choice of the first that is still open. */
__attribute__((noinline)) static struct weft_waiter *choose_first(struct weft_waitq *queue)
{
	struct weft_waiter *waiter;

	while ((waiter = weft_waitq_first(queue)) && waiter->value) {
		if (weft_choice_make((struct weft_choice *)waiter->value)) /* SL1 */
			break;
		weft_list_remove(&queue->list, &waiter->node);
		waiter->queued = 0;
	}
	return waiter;
}

/* `lock` held. The waiter to serve, which must then be served; NULL: none. */
static inline struct weft_waiter *first_to_serve(struct weft_waitq *queue)
{
	struct weft_waiter *first = weft_waitq_first(queue);

	return weft_unlikely(first && first->value) ? choose_first(queue) : first;
}

/* `lock` held; the waiter's item was moved. */
static struct weft_parker *grant_done(
	struct weft_waitq *queue, struct weft_waiter *waiter)
{
	waiter->value = WEFT_CHAN_DONE;
	return weft_waitq_grant(queue, waiter);
}

/* `lock` held. 0, -EPIPE, or -EAGAIN: full. *parker is to be unparked without the lock. */
static int send_locked(
	struct weft_chan *chan, const void *item, struct weft_parker **parker)
{
	struct weft_waiter *receiver;

	if (chan->closed)
		return -EPIPE;
	receiver = first_to_serve(&chan->receivers);
	if (receiver) {
		copy_item(chan, receiver->item, item);
		*parker = grant_done(&chan->receivers, receiver);
		return 0;
	}
	if (chan->count == chan->capacity)
		return -EAGAIN;
	ring_push(chan, item);
	return 0;
}

/* `lock` held. 1: an item; 0: closed and drained; -EAGAIN: empty. *parker as above. */
static int recv_locked(struct weft_chan *chan, void *item, struct weft_parker **parker)
{
	struct weft_waiter *sender = first_to_serve(&chan->senders);

	if (chan->count) {
		ring_pop(chan, item);
		if (sender) {
			ring_push(chan, sender->item);
			*parker = grant_done(&chan->senders, sender);
		}
		return 1;
	}
	if (sender) {
		copy_item(chan, item, sender->item);
		*parker = grant_done(&chan->senders, sender);
		return 1;
	}
	return chan->closed ? 0 : -EAGAIN;
}

int weft_chan_send_locked(struct weft_chan *chan, const void *item, struct weft_parker **parker)
{
	return send_locked(chan, item, parker);
}

int weft_chan_recv_locked(struct weft_chan *chan, void *item, struct weft_parker **parker)
{
	return recv_locked(chan, item, parker);
}

/* `lock` held; released. Waits for a partner: DONE, CLOSED or a negative code. */
static int wait_for_partner(struct weft_chan *chan, struct weft_waitq *queue, void *item)
{
	struct weft_waiter waiter;
	int rc = weft_waitq_push(queue, &waiter);

	if (rc < 0) {
		weft_spin_unlock(&chan->lock);
		return rc;
	}
	waiter.item = item;
	waiter.value = 0;
	rc = weft_waitq_wait(&chan->lock, queue, &waiter, WEFT_FOREVER);
	return rc < 0 ? rc : (int)waiter.value;
}

static void unlock_and_wake(struct weft_chan *chan, struct weft_parker *parker)
{
	weft_spin_unlock(&chan->lock);
	if (parker)
		weft_unpark_next(parker);
}

int weft_chan_send(struct weft_chan *chan, const void *item)
{
	WEFT_CHECKPOINT(checkpoint);
	struct weft_parker *parker = NULL;
	int rc;

	if (!chan || !item)
		return -EINVAL;
	rc = weft_checkpoint_enter(&checkpoint);
	if (rc < 0)
		return rc;
	weft_spin_lock(&chan->lock);
	rc = send_locked(chan, item, &parker);
	if (rc != -EAGAIN) {
		unlock_and_wake(chan, parker);
		return rc;
	}
	rc = wait_for_partner(chan, &chan->senders, (void *)item);
	if (rc < 0)
		return rc;
	return rc == WEFT_CHAN_DONE ? 0 : -EPIPE;
}

int weft_chan_recv(struct weft_chan *chan, void *item)
{
	WEFT_CHECKPOINT(checkpoint);
	struct weft_parker *parker = NULL;
	int rc;

	if (!chan || !item)
		return -EINVAL;
	rc = weft_checkpoint_enter(&checkpoint);
	if (rc < 0)
		return rc;
	weft_spin_lock(&chan->lock);
	rc = recv_locked(chan, item, &parker);
	if (rc != -EAGAIN) {
		unlock_and_wake(chan, parker);
		return rc;
	}
	rc = wait_for_partner(chan, &chan->receivers, item);
	if (rc < 0)
		return rc;
	return rc == WEFT_CHAN_DONE ? 1 : 0;
}

int weft_chan_try_send(struct weft_chan *chan, const void *item)
{
	struct weft_parker *parker = NULL;
	int rc;

	if (!chan || !item)
		return -EINVAL;
	if (weft_unlikely(weft_in_forked_child()))
		return -EOWNERDEAD; /* the lock may be held for good */
	weft_spin_lock(&chan->lock);
	rc = send_locked(chan, item, &parker);
	unlock_and_wake(chan, parker);
	return rc;
}

int weft_chan_try_recv(struct weft_chan *chan, void *item)
{
	struct weft_parker *parker = NULL;
	int rc;

	if (!chan || !item)
		return -EINVAL;
	if (weft_unlikely(weft_in_forked_child()))
		return -EOWNERDEAD; /* the lock may be held for good */
	weft_spin_lock(&chan->lock);
	rc = recv_locked(chan, item, &parker);
	unlock_and_wake(chan, parker);
	return rc;
}

size_t weft_chan_len(const struct weft_chan *chan)
{
	struct weft_chan *c = (struct weft_chan *)chan;
	size_t count;

	if (!chan)
		return 0;
	weft_spin_lock(&c->lock);
	count = c->count;
	weft_spin_unlock(&c->lock);
	return count;
}

static void turn_away(struct weft_wakes *wakes, struct weft_waitq *queue)
{
	struct weft_waiter *first;

	while ((first = first_to_serve(queue))) {
		first->value = WEFT_CHAN_CLOSED;
		weft_wakes_grant(wakes, queue, first);
	}
}

void weft_chan_close(struct weft_chan *chan)
{
	struct weft_wakes wakes = {.count = 0};

	if (!chan)
		return;
	weft_spin_lock(&chan->lock);
	chan->closed = true;
	turn_away(&wakes, &chan->senders);
	turn_away(&wakes, &chan->receivers);
	weft_spin_unlock(&chan->lock);
	weft_wakes_flush(&wakes);
}

void weft_chan_destroy(struct weft_chan *chan)
{
	if (!chan)
		return;
	weft_spin_lock(&chan->lock);
	free(chan);
}
