/* SPDX-License-Identifier: MIT */
/*
 * schedule - what runs next. The engine asks at each of its choices (sched/backend.h); what could run is
 * on the worker's queue, and stays there until it is chosen.
 *
 * Candidates, in this order: resumed stacks, new tasks in the order in which the worker would start them, and
 * the stack that has yielded first, once everything that was ready when it did has run. Of very many only the
 * first WINDOW of each kind are looked at.
 */
#include <weft/task.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sched/frame.h"
#include "sched/worker.h"
#include "sim/graph.h"
#include "sim/pct.h"
#include "sim/sim.h"
#include "sim/trace.h"

enum {
	WINDOW = 256,
	ENDING_STEPS = 1000 * 1000, /* a task that has been cancelled may take */
};

struct candidate {
	struct weft_stack *stack; /* or NULL, and: */
	struct weft_task *task;
};

/* -- names and numbers ------------------------------------------------------------------------- */

void weft_sim_mix(struct weft_simulation *sim, uint64_t what)
{
	sim->hash = (sim->hash ^ what) * UINT64_C(0x9e3779b97f4a7c15);
	sim->hash ^= sim->hash >> 29;
}

/* The task that would run: the one on top of the stack. */
static struct weft_task *task_of(const struct candidate *candidate)
{
	if (!candidate->stack)
		return candidate->task;
	return candidate->stack->frame ? candidate->stack->frame->task : NULL;
}

static uint64_t number_of(const struct candidate *candidate)
{
	struct weft_task *task = task_of(candidate);

	return task ? weft_task_number(task) : 0;
}

/* -- candidates -------------------------------------------------------------------------------- */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static bool may_take_yielded(const struct weft_queue *queue)
{
	return queue->yielded.head && weft_ring_empty(&queue->aged.node) &&
	       (queue->ready_before_yielded == 0 || !queue->ready.head);
}

static size_t candidates(const struct weft_queue *queue)
{
	return least(queue->ready.count, WINDOW) + least(queue->tasks, WINDOW) +
	       may_take_yielded(queue);
}

/* All of them, in that order; room for 2 * WINDOW + 1. */
static void collect(struct weft_queue *queue, struct candidate *all)
{
	struct weft_stack *stack = queue->ready.head;
	size_t n = 0, stacks = least(queue->ready.count, WINDOW);
	size_t tasks = least(queue->tasks, WINDOW);
	const struct weft_node *node;

	for (; n < stacks; n++, stack = stack->next)
		all[n] = (struct candidate){.stack = stack};
	for (node = queue->aged.node.next;
		node != &queue->aged.node && n < stacks + tasks; node = node->next)
		all[n++] = (struct candidate){.task = (struct weft_task *)node};
	for (node = queue->fresh.node.next;
		node != &queue->fresh.node && n < stacks + tasks; node = node->next)
		all[n++] = (struct candidate){.task = (struct weft_task *)node};
	if (may_take_yielded(queue))
		all[n] = (struct candidate){.stack = queue->yielded.head};
}

/* Unlink the stack with that place from the ready ones. */
static struct weft_stack *take_ready(struct weft_queue *queue, size_t place)
{
	struct weft_stack_fifo *fifo = &queue->ready;
	struct weft_stack *before = NULL, *stack = fifo->head;

	for (size_t i = 0; i < place; i++) {
		before = stack;
		stack = stack->next;
	}
	if (before)
		before->next = stack->next;
	else
		fifo->head = stack->next;
	if (fifo->tail == stack)
		fifo->tail = before;
	fifo->count--;
	if (place < queue->ready_before_yielded)
		queue->ready_before_yielded--;
	return stack;
}

static struct weft_task *task_at(const struct weft_queue *queue, size_t place)
{
	const struct weft_node *node = queue->aged.node.next;

	for (; node != &queue->aged.node; node = node->next) {
		if (place-- == 0)
			return (struct weft_task *)node;
	}
	for (node = queue->fresh.node.next; place > 0; place--)
		node = node->next;
	return (struct weft_task *)node;
}

static struct candidate take(struct weft_queue *queue, size_t place)
{
	size_t stacks = least(queue->ready.count, WINDOW);
	size_t tasks = least(queue->tasks, WINDOW);
	struct candidate taken = {0};

	if (place < stacks) {
		taken.stack = take_ready(queue, place);
	} else if (place < stacks + tasks) {
		taken.task = task_at(queue, place - stacks);
		weft_queue_remove(queue, taken.task);
	} else {
		queue->ready_before_yielded = 0;
		taken.stack = weft_stack_fifo_pop(&queue->yielded);
	}
	return taken;
}

/* -- policies ---------------------------------------------------------------------------------- */

/* What a worker would take: resumed stacks, with a share for new tasks, yielded ones last. */
static size_t choose_fifo(
	const struct weft_simulation *sim, const struct weft_queue *queue)
{
	size_t first_task = least(queue->ready.count, WINDOW);

	if (queue->tasks > 0 && sim->steps % WEFT_NEW_SHARE == 0)
		return first_task;
	if (may_take_yielded(queue))
		return first_task + least(queue->tasks, WINDOW);
	if (queue->ready.head &&
		(!queue->yielded.head || queue->ready_before_yielded > 0))
		return 0;
	return first_task;
}

static size_t choose_pct(struct weft_simulation *sim, struct weft_queue *queue, size_t n)
{
	struct candidate all[2 * WINDOW + 1];
	size_t best = 0;
	uint64_t most = 0;

	collect(queue, all);
	for (size_t i = 0; i < n; i++) {
		uint64_t priority =
			weft_sim_pct_priority(sim->pct, number_of(&all[i]));

		if (i == 0 || priority > most) {
			best = i;
			most = priority;
		}
	}
	weft_sim_pct_chosen(sim->pct, number_of(&all[best]), sim->steps, n > 1);
	return best;
}

static size_t choose(struct weft_simulation *sim, struct weft_queue *queue, size_t n)
{
	switch (sim->policy) {
	case WEFT_SIM_RANDOM:
		return n > 1 ? weft_sim_stream_next(&sim->choices) % n : 0;
	case WEFT_SIM_PCT:
		return choose_pct(sim, queue, n);
	case WEFT_SIM_REPLAY:
		return weft_sim_trace_replay(
			sim, WEFT_SIM_TRACE_RUN, n, choose_fifo(sim, queue));
	default:
		return choose_fifo(sim, queue);
	}
}

/* -- what the engine asks ---------------------------------------------------------------------- */

static void note_step(struct weft_simulation *sim, size_t n, size_t place,
	struct weft_task *task, const char *call)
{
	uint64_t number = task ? weft_task_number(task) : 0;

	weft_sim_mix(sim, number);
	if (weft_unlikely(sim->trace != NULL))
		weft_sim_trace_note(sim, WEFT_SIM_TRACE_RUN, n, place, number,
			task ? weft_name(task) : "(no task)", call);
}

static void begin_step(struct weft_simulation *sim)
{
	sim->steps++;
	weft_sim_creep(sim);
	if (weft_unlikely(sim->config->steps_max &&
			  sim->steps >= sim->config->steps_max &&
			  sim->phase == WEFT_SIM_RUNS))
		weft_sim_end(sim, -ETIME);
	if (weft_unlikely(sim->phase == WEFT_SIM_ENDS && sim->steps - sim->ends_since > ENDING_STEPS))
		weft_sim_give_up(sim);
}

static struct weft_stack *next(void *state, struct weft_worker *worker)
{
	struct weft_simulation *sim = state;
	struct weft_queue *queue = &worker->queue;
	struct candidate taken;
	size_t n, place;

	if (weft_unlikely(sim->main_ended && sim->phase == WEFT_SIM_RUNS))
		weft_sim_end(sim, 0);
	if (weft_unlikely(sim->config->show_step))
		weft_sim_graph_keep(sim, worker->stack);
	if (weft_queue_empty(queue) || sim->phase == WEFT_SIM_OVER)
		return NULL;
	begin_step(sim);
	if (weft_unlikely(sim->phase == WEFT_SIM_OVER))
		return NULL;
	n = candidates(queue);
	place = choose(sim, queue, n);
	taken = take(queue, place);
	sim->in_a_row = 0;
	note_step(sim, n, place, task_of(&taken), taken.stack ? taken.stack->call_name : NULL);
	if (weft_unlikely(sim->config->show_step == sim->steps))
		weft_sim_graph_show(sim, taken.stack, task_of(&taken));
	worker->handed = taken.task;
	return taken.stack;
}

static bool steps_back(void *state, struct weft_stack *stack)
{
	struct weft_simulation *sim = state;
	struct weft_queue *queue = &stack->worker->queue;

	if (sim->engine_order && sim->phase != WEFT_SIM_ENDS)
		return ++sim->in_a_row >= WEFT_BUDGET;
	if (!weft_queue_empty(queue))
		return true;
	begin_step(sim); /* nobody else could be chosen */
	note_step(sim, 1, 0, stack->frame ? stack->frame->task : NULL, stack->call_name);
	if (weft_unlikely(sim->config->show_step == sim->steps)) {
		weft_sim_graph_keep(sim, stack);
		weft_sim_graph_show(sim, stack, stack->frame ? stack->frame->task : NULL);
	}
	return sim->phase == WEFT_SIM_OVER;
}

static bool in_place(void *state, struct weft_task *task)
{
	struct weft_simulation *sim = state;
	bool here = true;

	if (sim->policy == WEFT_SIM_REPLAY)
		here = weft_sim_trace_replay(sim, WEFT_SIM_TRACE_PLACE, 2, 1);
	else if (sim->policy != WEFT_SIM_FIFO)
		here = weft_sim_stream_next(&sim->choices) & 1;
	weft_sim_mix(sim, here);
	if (weft_unlikely(sim->trace != NULL))
		weft_sim_trace_note(sim, WEFT_SIM_TRACE_PLACE, 2, here,
			weft_task_number(task), weft_name(task), NULL);
	return here;
}

static void cancel_here(struct weft_simulation *sim, struct weft_stack *stack)
{
	struct weft_frame *frame = stack->frame;
	struct weft_scope_state **outermost = &frame->scopes;

	snprintf(sim->config->cancelled, sizeof(sim->config->cancelled), "%s",
		weft_name(frame->task));
	if (sim->config->cancel_how == WEFT_SIM_CANCEL) {
		weft_task_cancel(frame->task);
		return;
	}
	while (*outermost)
		outermost = &(*outermost)->outer;
	sim->timeout =
		(struct weft_scope_state){.kind = WEFT_SCOPE_DEADLINE, .until = sim->now};
	*outermost = &sim->timeout;
	weft_stack_scopes_changed(stack, sim->now);
}

static void checkpoint(
	void *state, struct weft_stack *stack, const struct weft_checkpoint *checkpoint)
{
	struct weft_simulation *sim = state;

	if (checkpoint)
		stack->call_name = checkpoint->call;
	if (!stack->frame || stack->frame->plain)
		return; /* a value is dropped at a task's end; a thread of the pool */
	if (++sim->checkpoints == sim->config->cancel_at)
		cancel_here(sim, stack);
}

static uint64_t random_number(void *state)
{
	struct weft_simulation *sim = state;

	return weft_sim_stream_next(&sim->program);
}

const struct weft_schedule weft_sim_schedule = {
	.checkpoint = checkpoint,
	.steps_back = steps_back,
	.next = next,
	.in_place = in_place,
	.random = random_number,
	.idle = weft_sim_idle,
};
