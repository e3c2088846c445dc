/* SPDX-License-Identifier: MIT */
/*
 * mail - what other threads ask of one particular worker: resume a stack that is pinned to it, start a
 * task that is, or do something to its ring. Pushed by anybody, emptied by the owner.
 *
 * ML1  push: release in the compare-and-swap of the head  ->  take: acquire exchange. Weaker: the
 *      owner reads a letter before it is written.
 */
#ifndef WEFT_LIB_SCHED_MAIL_H
#define WEFT_LIB_SCHED_MAIL_H

#include <stddef.h>

#include "base/atomic.h"

struct weft_stack;
struct weft_task;
struct weft_worker;

/* A letter lies on the stack of its sender, which waits until it has been handled. */
struct weft_mail {
	struct weft_mail *next;
	void (*handle)(struct weft_worker *worker, struct weft_mail *mail);
};

struct weft_inbox {
	_Atomic(struct weft_mail *) letters;
	_Atomic(struct weft_stack *) stacks;
	_Atomic(struct weft_task *) tasks;
};

static inline bool weft_inbox_empty(struct weft_inbox *inbox)
{
	return !weft_load_acquire(&inbox->letters) && !weft_load_acquire(&inbox->stacks) &&
		!weft_load_acquire(&inbox->tasks);
}

/* Deliver to that worker and wake it. Any thread. */
void weft_mail_letter(struct weft_worker *worker, struct weft_mail *mail);
void weft_mail_stack(struct weft_worker *worker, struct weft_stack *stack);
void weft_mail_task(struct weft_worker *worker, struct weft_task *task);

/* Deliver and wait until the owner, or the monitor for it, has handled it. From a task. */
void weft_mail_and_wait(
	struct weft_worker *worker, void (*handle)(struct weft_worker *, void *), void *arg);

#endif
