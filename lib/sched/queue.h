/* SPDX-License-Identifier: MIT */
/*
 * queue - what one worker has to run, seen by its owner alone (or by the monitor while it holds
 * a claim on the worker): new tasks, resumed stacks, stacks that yielded. Nothing here is atomic;
 * thieves only ever see sched/share.h.
 *
 * New tasks: newest batch first, creation order inside a batch. A batch is what one task created
 * since it last started or resumed. One list suffices: `cursor` is the current batch's
 * last task; a new task goes behind it, or, when the batch is empty, to the front. Depth
 * first bounds memory on trees; creation order is what asyncio users expect.
 *
 * A list that has waited is sealed: spliced in front of `aged`, which is served before anything
 * created later. That is what makes yield mean "everything ready now runs first". For the fairness of
 * new tasks service.c seals the oldest batch every WEFT_SEAL_NS, and all that had been there
 * then already as long as it costs no memory.
 *
 * Resumed stacks hold memory and go first, in FIFO order; one pick in WEFT_NEW_SHARE takes a
 * new task all the same, and of sealed ones WEFT_AGED_ROW go for each of them. Whom the running task hands an item
 * of a channel goes before the others for a while: a producer and its consumer find in the cache what they share,
 * and the consumer need not wait for a turn of a thousand producers.
 */
#ifndef WEFT_LIB_SCHED_QUEUE_H
#define WEFT_LIB_SCHED_QUEUE_H

#include "base/assert.h"
#include "sched/stack.h"
#include "sched/task.h"

enum { WEFT_NEW_SHARE = 8, WEFT_AGED_ROW = 3, WEFT_WOKEN_ROW = 31, WEFT_SEAL_NS = 2 * 1000 * 1000 };

struct weft_stack_fifo {
	struct weft_stack *head, *tail;
	uint32_t count;
};

/*
 * The head of a ring of tasks. It has the shape of a task's beginning and a batch of no task, so that
 * removing a task needs not ask whether its neighbour is one.
 */
struct weft_task_ring {
	struct weft_node node;
	uint32_t batch;
};
static_assert(offsetof(struct weft_task_ring, batch) == offsetof(struct weft_task, batch) &&
	offsetof(struct weft_task, node) == 0, "a ring's head looks like a task");

enum { WEFT_BATCH_OLDEST = 0, WEFT_BATCH_NO_TASK = 1, WEFT_BATCH_FIRST = 2 };

struct weft_queue {
	struct weft_task_ring fresh; /* new tasks, newest batch first */
	struct weft_task_ring aged;  /* sealed ones */
	struct weft_node *cursor;  /* last task of the current batch; &fresh if that is empty */
	int64_t sealed_at;         /* when new tasks were last sealed for having waited */
	uint32_t sealed_batch;     /* the current batch then */
	uint32_t due_batch;        /* the same of the time before: what is older is due */
	uint32_t pace;             /* how many due ones are sealed next; 0: none, they cost memory */
	/*
	 * Low half: the number of the current batch; high half: how many tasks were taken out of other batches.
	 * While it is unchanged, so is what the cursor means (run.c). One number, not a union: a load of eight
	 * bytes right after a store of four has to wait until that has reached the cache.
	 */
	uint64_t order;
	uint32_t tasks; /* on fresh and aged */
	struct weft_stack_fifo ready;
	struct weft_stack_fifo yielded;
	uint32_t ready_before_yielded; /* resumed stacks that go before the yielded ones */
	struct weft_stack *woken;      /* the first by whoever runs now; a hint */
	uint32_t woken_row;            /* how many of those were taken in a row */
};

static inline void weft_stack_fifo_push(struct weft_stack_fifo *fifo, struct weft_stack *stack)
{
	stack->next = NULL;
	if (fifo->tail)
		fifo->tail->next = stack;
	else
		fifo->head = stack;
	fifo->tail = stack;
	fifo->count++;
}

/*
 * With many stacks each is cold when its turn comes: fetch the next one's frames, and the control
 * block of the one behind it, while this one runs.
 */
static inline void weft_stack_fifo_prefetch(const struct weft_stack *next)
{
	const struct weft_stack *after = next->next;
	const char *frames = next->sp;

	for (int line = 0; line < 4; line++)
		__builtin_prefetch(frames + 64 * line, 1);
	if (after) {
		__builtin_prefetch(after, 1);
		__builtin_prefetch((const char *)after + 64, 1);
	}
}

static inline struct weft_stack *weft_stack_fifo_pop(struct weft_stack_fifo *fifo)
{
	struct weft_stack *stack = fifo->head;

	if (!stack)
		return NULL;
	fifo->head = stack->next;
	if (fifo->head)
		weft_stack_fifo_prefetch(fifo->head);
	else
		fifo->tail = NULL;
	fifo->count--;
	return stack;
}

/*
 * The running task has handed something over to it. Whom it wakes so first goes before all that are ready, WEFT_WOKEN_ROW times in a
 * row at most; those that it wakes besides come after them, in that order.
 */
static inline void weft_queue_wake(struct weft_queue *queue, struct weft_stack *stack)
{
	struct weft_stack_fifo *ready = &queue->ready;

	if (queue->woken || queue->woken_row >= WEFT_WOKEN_ROW) {
		weft_stack_fifo_push(ready, stack);
		return;
	}
	queue->woken = stack;
	if (!ready->head) {
		weft_stack_fifo_push(ready, stack);
		return;
	}
	stack->next = ready->head;
	ready->head = stack;
	ready->count++;
	if (weft_unlikely(queue->yielded.head))
		queue->ready_before_yielded++;
}

/* The next ready stack, or NULL. */
static inline struct weft_stack *weft_queue_pop_ready(struct weft_queue *queue)
{
	struct weft_stack *stack = weft_stack_fifo_pop(&queue->ready);

	queue->woken_row = stack && stack == queue->woken ? queue->woken_row + 1 : 0;
	queue->woken = NULL;
	return stack;
}

static inline uint32_t weft_queue_batch(const struct weft_queue *queue)
{
	return (uint32_t)queue->order;
}

/* What runs now begins a batch of its own. */
static inline void weft_queue_new_batch(struct weft_queue *queue)
{
	queue->cursor = &queue->fresh.node;
	queue->order++; /* once in 2^32 times the other half counts one too many, which only costs a batch */
}

/* A task was taken out of another batch than the current one. */
static inline void weft_queue_count_foreign(struct weft_queue *queue)
{
	queue->order += UINT64_C(1) << 32;
}

static inline void weft_queue_init(struct weft_queue *queue)
{
	weft_ring_init(&queue->fresh.node);
	weft_ring_init(&queue->aged.node);
	queue->fresh.batch = queue->aged.batch = WEFT_BATCH_NO_TASK;
	queue->order = WEFT_BATCH_FIRST;
	weft_queue_new_batch(queue);
}

static inline void weft_queue_push(struct weft_queue *queue, struct weft_task *task)
{
	task->batch = weft_queue_batch(queue);
	weft_ring_insert_after(queue->cursor, &task->node);
	queue->cursor = &task->node;
	queue->tasks++;
}

/* A task that the running one did not create: behind everything, no part of its batch. */
static inline void weft_queue_push_oldest(struct weft_queue *queue, struct weft_task *task)
{
	task->batch = WEFT_BATCH_OLDEST;
	weft_ring_insert_after(queue->fresh.node.prev, &task->node);
	queue->tasks++;
}

/* Unlink a task that is on this queue. */
static inline void weft_queue_remove(struct weft_queue *queue, struct weft_task *task)
{
	struct weft_node *before = task->node.prev;

	if (weft_likely(&task->node == queue->cursor))
		queue->cursor = ((struct weft_task *)before)->batch == task->batch
			? before
			: &queue->fresh.node;
	else if (task->batch != weft_queue_batch(queue))
		weft_queue_count_foreign(queue);
	weft_ring_remove(&task->node);
	queue->tasks--;
}

/* The task the loop would start next, still linked; NULL if none. */
static inline struct weft_task *weft_queue_next_task(struct weft_queue *queue)
{
	if (weft_unlikely(!weft_ring_empty(&queue->aged.node)))
		return (struct weft_task *)queue->aged.node.next;
	return weft_ring_empty(&queue->fresh.node) ? NULL : (struct weft_task *)queue->fresh.node.next;
}

/* The end of the oldest batch: furthest from what the owner runs next. NULL if none. */
static inline struct weft_task *weft_queue_last_task(struct weft_queue *queue)
{
	if (!weft_ring_empty(&queue->aged.node))
		return (struct weft_task *)queue->aged.node.prev;
	return weft_ring_empty(&queue->fresh.node) ? NULL : (struct weft_task *)queue->fresh.node.prev;
}

/* Everything created so far goes before everything created from now on. */
static inline void weft_queue_seal(struct weft_queue *queue)
{
	weft_ring_splice_front(&queue->aged.node, &queue->fresh.node);
	queue->cursor = &queue->fresh.node;
}

/*
 * The oldest batch goes first from now on; how many tasks that are. It is found by walking it, once in the
 * life of each task. Not everything that waits: in a tree of tasks that wait for their children that
 * would start all of them, level by level, each holding a stack.
 */
static inline uint32_t weft_queue_seal_oldest(struct weft_queue *queue)
{
	struct weft_node *last = queue->fresh.node.prev, *first = last;
	uint32_t batch = ((struct weft_task *)last)->batch, count = 1;

	if (queue->cursor == last)
		queue->cursor = &queue->fresh.node;
	while (first->prev != &queue->fresh.node && ((struct weft_task *)first->prev)->batch == batch) {
		first = first->prev;
		count++;
	}
	queue->fresh.node.prev = first->prev;
	first->prev->next = &queue->fresh.node;
	first->prev = queue->aged.node.prev;
	queue->aged.node.prev->next = first;
	last->next = &queue->aged.node;
	queue->aged.node.prev = last;
	return count;
}

/* Whether the oldest new task was there at the seal before the last one. */
static inline bool weft_queue_is_due(const struct weft_queue *queue)
{
	const struct weft_node *last = queue->fresh.node.prev;
	uint32_t batch;

	if (last == &queue->fresh.node)
		return false;
	batch = ((const struct weft_task *)last)->batch;
	return batch == WEFT_BATCH_OLDEST || (int32_t)(batch - queue->due_batch) < 0;
}

/* stack has yielded: it runs again after all that is ready now. */
static inline void weft_queue_yield(struct weft_queue *queue, struct weft_stack *stack)
{
	weft_queue_seal(queue);
	queue->ready_before_yielded = queue->ready.count;
	weft_stack_fifo_push(&queue->yielded, stack);
}

/*
 * weft_queue_yield and the choice of the next in one, where only stacks that have yielded are ready: the first
 * of them. NULL: nothing is done.
 */
static inline struct weft_stack *weft_queue_turn_yielded(
	struct weft_queue *queue, struct weft_stack *stack)
{
	struct weft_stack *next = queue->yielded.head;

	if (weft_unlikely(!next || queue->tasks | queue->ready.count))
		return NULL;
	queue->ready_before_yielded = 0;
	stack->next = NULL;
	queue->yielded.tail->next = stack; /* maybe next's */
	queue->yielded.tail = stack;
	queue->yielded.head = next->next;
	if (next->next != stack)
		weft_stack_fifo_prefetch(next->next);
	return next;
}

/* The next stack to resume, or NULL: then a new task is due, or nothing is. */
static inline struct weft_stack *weft_queue_pop_stack(struct weft_queue *queue)
{
	if (weft_unlikely(queue->yielded.head)) {
		if (!queue->ready.head)
			queue->ready_before_yielded = 0; /* thieves may have taken them */
		if (queue->ready_before_yielded > 0)
			queue->ready_before_yielded--;
		else if (!weft_ring_empty(&queue->aged.node))
			return NULL; /* the new tasks that were there first */
		else
			return weft_stack_fifo_pop(&queue->yielded);
	}
	return weft_queue_pop_ready(queue);
}

static inline struct weft_task *weft_queue_pop_task(struct weft_queue *queue)
{
	struct weft_task *task = weft_queue_next_task(queue);

	if (task)
		weft_queue_remove(queue, task);
	return task;
}

static inline bool weft_queue_empty(const struct weft_queue *queue)
{
	return !queue->tasks && !queue->ready.count && !queue->yielded.count;
}

#endif
