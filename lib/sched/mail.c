/* SPDX-License-Identifier: MIT */
/*
 * mail - delivering to one worker's inbox, and emptying it.
 */
#include "sched/mail.h"

#include "sched/worker.h"

static void ring_the_bell(struct weft_worker *worker)
{
	if (!(weft_load_relaxed(&worker->attention) & WEFT_ATTENTION_MAIL))
		weft_or_acq_rel(&worker->attention, WEFT_ATTENTION_MAIL);
	if (weft_idle_notify_one(worker->runtime->idle, worker->index))
		weft_worker_poke(worker->runtime, (int)worker->index);
}

void weft_mail_letter(struct weft_worker *worker, struct weft_mail *mail)
{
	mail->next = weft_load_relaxed(&worker->inbox.letters);
	while (!weft_cas_acq_rel(&worker->inbox.letters, &mail->next, mail)) /* ML1 */
		;
	ring_the_bell(worker);
}

void weft_mail_stack(struct weft_worker *worker, struct weft_stack *stack)
{
	stack->next = weft_load_relaxed(&worker->inbox.stacks);
	while (!weft_cas_acq_rel(&worker->inbox.stacks, &stack->next, stack)) /* ML1 */
		;
	ring_the_bell(worker);
}

void weft_mail_task(struct weft_worker *worker, struct weft_task *task)
{
	struct weft_task *head = weft_load_relaxed(&worker->inbox.tasks);

	do {
		task->node.next = (struct weft_node *)head;
	} while (!weft_cas_acq_rel(&worker->inbox.tasks, &head, task)); /* ML1 */
	ring_the_bell(worker);
}

static void read_stacks(struct weft_worker *worker)
{
	struct weft_stack *stack = weft_xchg_acq_rel(&worker->inbox.stacks, NULL); /* ML1 */
	struct weft_stack *oldest = NULL;

	while (stack) {
		struct weft_stack *next = stack->next;

		stack->next = oldest;
		oldest = stack;
		stack = next;
	}
	while (oldest) {
		struct weft_stack *next = oldest->next;

		weft_stack_fifo_push(&worker->queue.ready, oldest);
		oldest = next;
	}
}

static void read_tasks(struct weft_worker *worker)
{
	struct weft_task *task = weft_xchg_acq_rel(&worker->inbox.tasks, NULL); /* ML1 */
	struct weft_node *oldest = NULL, *next;

	for (struct weft_node *node = task ? &task->node : NULL; node; node = next) {
		next = node->next;
		node->next = oldest;
		oldest = node;
	}
	for (struct weft_node *node = oldest; node; node = next) {
		next = node->next;
		weft_store_release(&((struct weft_task *)node)->claim, WEFT_CLAIM_PRIVATE); /* TK4 */
		weft_queue_push_oldest(&worker->queue, (struct weft_task *)node);
	}
}

static void read_letters(struct weft_worker *worker)
{
	struct weft_mail *mail = weft_xchg_acq_rel(&worker->inbox.letters, NULL); /* ML1 */

	while (mail) {
		struct weft_mail *next = mail->next; /* gone once handled */

		mail->handle(worker, mail);
		mail = next;
	}
}

void weft_worker_read_mail(struct weft_worker *worker)
{
	weft_and_acq_rel(&worker->attention, ~(uint32_t)WEFT_ATTENTION_MAIL);
	read_stacks(worker);
	read_tasks(worker);
	read_letters(worker);
}

struct awaited_letter {
	struct weft_mail mail;
	struct weft_parker *parker;
	void (*handle)(struct weft_worker *worker, void *arg);
	void *arg;
	_Atomic(uint32_t) handled;
};

static void handle_awaited(struct weft_worker *worker, struct weft_mail *mail)
{
	struct awaited_letter *letter = weft_container_of(mail, struct awaited_letter, mail);
	struct weft_parker *parker = letter->parker;

	letter->handle(worker, letter->arg);
	weft_store_release(&letter->handled, 1); /* ML1: the way back */
	weft_unpark(parker);
}

void weft_mail_and_wait(
	struct weft_worker *worker, void (*handle)(struct weft_worker *, void *), void *arg)
{
	struct awaited_letter letter = {
		.mail.handle = handle_awaited,
		.parker = weft_parker_self(),
		.handle = handle,
		.arg = arg,
	};

	weft_mail_letter(worker, &letter.mail);
	while (!weft_load_acquire(&letter.handled)) /* ML1: the way back */
		weft_park_deaf(WEFT_FOREVER);
}
