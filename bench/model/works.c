/* SPDX-License-Identifier: MIT */
/*
 * works - what the modelled tasks do: compute, create, join, make each other ready; and who brings them
 * from outside. A stack is a pile of frames, of which the top one goes on step by step.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "engine.h"

enum { FRAMES_MAX = 96, MAGAZINE = WEFT_MAGAZINE_TASKS, POOL_MAX = WEFT_STACK_POOL_MAX };

enum kind { ROOT, FIB, SKYNET, LEAF, LINK, PING, PONG };

struct job {
	struct weft_task task; /* first: what the library's queues hold */
	enum kind kind;
	unsigned n, creator;
	bool begun, ended, joined, timed;
	double born;
	struct fiber *joiner; /* waits for its end */
	struct job *sibling;  /* the creator's next one to join */
	struct job *next_free, *next_all;
	struct fiber *partner; /* of a PONG: whose ball it is */
};

enum phase { BEGIN, CREATE, CALL, JOIN, LEAVE, END };

struct frame {
	struct job *job; /* NULL: a plain call */
	enum kind kind;
	enum phase phase;
	unsigned n, to_create;
	struct job *first, *last; /* to be joined */
};

struct fiber {
	struct weft_stack stack; /* first: what the library's queues hold */
	struct frame frames[FRAMES_MAX];
	unsigned depth;
	struct fiber *partner, *next_free, *next_all;
};

/* -- descriptors and stacks -------------------------------------------------------------------- */

static void *grown(size_t size)
{
	void *memory = aligned_alloc(64, (size + 63) / 64 * 64);

	if (!memory)
		abort();
	memset(memory, 0, size);
	return memory;
}

static struct job *job_new(struct model *model, enum kind kind, unsigned n)
{
	struct job *job = model->free_jobs, *all;

	if (job) {
		model->free_jobs = job->next_free;
	} else {
		job = grown(sizeof(*job));
		job->next_all = model->all_jobs;
		model->all_jobs = job;
	}
	all = job->next_all;
	/* claim too: a stale entry in a ring may still name this descriptor, as in the library. */
	*job = (struct job){.kind = kind, .n = n, .next_all = all};
	job->task.claim = WEFT_CLAIM_PRIVATE;
	model->result.tasks++;
	model->live++;
	return job;
}

static void job_free(struct actor *actor, struct job *job)
{
	job->next_free = actor->model->free_jobs;
	actor->model->free_jobs = job;
	if (++actor->descriptors < 2 * MAGAZINE)
		return;
	actor->descriptors -= MAGAZINE;
	model_pool(actor);
}

static struct fiber *fiber_new(struct model *model)
{
	struct fiber *fiber = model->free_fibers;

	if (fiber) {
		model->free_fibers = fiber->next_free;
	} else {
		fiber = grown(sizeof(*fiber));
		fiber->next_all = model->all_fibers;
		model->all_fibers = fiber;
	}
	fiber->depth = 0;
	fiber->partner = NULL;
	fiber->stack.budget = WEFT_BUDGET;
	return fiber;
}

/* The running stack is given up to a wait: where does the loop go on? */
static void leave_stack(struct actor *actor)
{
	actor->on = NULL;
	if (actor->worker->queue.ready.count > 0)
		actor->stacks++; /* straight to that one, which puts none away */
	else if (actor->stacks == 0)
		model_pool(actor);
	else
		actor->stacks--;
}

static void put_stack(struct actor *actor)
{
	if (actor->stacks > 0 && ++actor->stacks < POOL_MAX)
		return;
	actor->stacks = POOL_MAX / 2;
}

/* -- tasks ------------------------------------------------------------------------------------- */

static void push_frame(struct fiber *fiber, struct job *job, enum kind kind, unsigned n)
{
	WEFT_ASSERT(fiber->depth < FRAMES_MAX);
	fiber->frames[fiber->depth++] = (struct frame){.job = job, .kind = kind, .n = n};
}

static void begin(struct actor *actor, struct job *job)
{
	struct model *model = actor->model;

	WEFT_ASSERT(!job->begun);
	job->begun = true;
	job->task.claim = WEFT_CLAIM_STARTED;
	model->result.runs++;
	if (job->timed) {
		model->result.late += actor->clock - job->born;
		model->late_ones++;
	}
	if (job->creator != actor->index) /* descriptor, argument, what they point to */
		actor->clock += 3 * model->costs.transfer;
	weft_queue_new_batch(&actor->worker->queue);
	push_frame(actor->on, job, job->kind, job->n);
}

void model_start(struct actor *actor, struct weft_task *task)
{
	actor->on = fiber_new(actor->model);
	actor->clock += actor->model->costs.run;
	begin(actor, (struct job *)task);
}

void model_resume(struct actor *actor, struct weft_stack *stack)
{
	actor->on = (struct fiber *)stack;
	actor->clock += actor->model->costs.hop;
	put_stack(actor);
	actor->on->stack.budget = WEFT_BUDGET;
	weft_queue_new_batch(&actor->worker->queue);
}

static struct job *create(struct actor *actor, enum kind kind, unsigned n)
{
	struct model *model = actor->model;
	struct job *job = job_new(model, kind, n);

	if (actor->descriptors == 0) {
		actor->descriptors = MAGAZINE;
		model_pool(actor);
	}
	actor->descriptors--;
	actor->clock += model->costs.create;
	job->creator = actor->index;
	job->born = actor->clock;
	job->task.home = actor->worker;
	weft_queue_push(&actor->worker->queue, &job->task);
	model_offer(actor);
	return job;
}

static void make_ready(struct actor *actor, struct fiber *fiber)
{
	weft_stack_fifo_push(&actor->worker->queue.ready, &fiber->stack);
}

static void end(struct actor *actor, struct frame *frame)
{
	struct job *job = frame->job;
	struct model *model = actor->model;

	actor->on->depth--;
	if (!job)
		return;
	job->ended = true;
	model->live--;
	if (job->creator != actor->index)
		actor->clock += model->costs.transfer;
	if (job->joiner)
		make_ready(actor, job->joiner);
	else if (!job->joined)
		job_free(actor, job);
	if (actor->on->depth > 0)
		return;
	actor->on->next_free = model->free_fibers;
	model->free_fibers = actor->on;
	actor->on = NULL;
}

/* Whether the joiner may claim it and run it in place, as run.c decides. */
static bool claim(struct actor *actor, struct job *job)
{
	if (job->task.claim == WEFT_CLAIM_PUBLISHED) {
		actor->clock += actor->model->costs.locked;
		return true;
	}
	if (job->task.claim != WEFT_CLAIM_PRIVATE || job->task.home != actor->worker)
		return false;
	weft_queue_remove(&actor->worker->queue, &job->task);
	return true;
}

/* The budget of checkpoints is spent: a look around, and others' turn if any are ready. True: left. */
static bool spend(struct actor *actor)
{
	struct fiber *self = actor->on;
	struct weft_queue *queue = &actor->worker->queue;

	self->stack.budget = WEFT_BUDGET;
	model_service(actor);
	actor->turns++;
	if (queue->ready.count + queue->yielded.count == 0)
		return false;
	weft_queue_yield(queue, &self->stack);
	leave_stack(actor);
	return true;
}

static void join(struct actor *actor, struct frame *frame)
{
	struct job *job = frame->first;

	if (actor->model->plan.what_if & MODEL_JOIN_ANSWERS &&
		actor->worker->attention & WEFT_ATTENTION_STEAL)
		model_offer(actor);
	if (!job->begun && --actor->on->stack.budget <= 0 && spend(actor))
		return;
	if (job->ended) {
		frame->first = job->sibling;
		actor->clock += actor->model->costs.join;
		if (job->creator != actor->index)
			actor->clock += actor->model->costs.transfer;
		job_free(actor, job);
	} else if (claim(actor, job)) {
		begin(actor, job);
	} else {
		job->joiner = actor->on;
		leave_stack(actor);
	}
}

/* What a call computes, and how many it creates before it goes on. */
static void begin_frame(struct actor *actor, struct frame *frame)
{
	const struct model_plan *plan = &actor->model->plan;
	double work = 0;

	frame->phase = CREATE;
	switch (frame->kind) {
	case FIB:
		work = plan->task_ns;
		frame->to_create = frame->n >= 2;
		break;
	case SKYNET:
		work = frame->n ? 0 : plan->task_ns;
		frame->to_create = frame->n ? 10 : 0;
		break;
	case ROOT:
		frame->to_create = plan->width;
		break;
	case LINK:
		work = plan->task_ns;
		frame->to_create = frame->n > 1;
		break;
	case LEAF:
		work = plan->task_ns;
		break;
	case PING:
		frame->to_create = 1;
		break;
	case PONG:
		actor->on->partner = frame->job->partner;
		frame->job->partner->partner = actor->on;
		frame->phase = LEAVE;
		break;
	}
	actor->clock += work;
	actor->model->result.serial += work;
}

static void create_next(struct actor *actor, struct frame *frame)
{
	static const enum kind roots[MODEL_WORKS] = {
		[MODEL_FLAT] = LEAF, [MODEL_CHAINS] = LINK, [MODEL_PINGS] = PING};
	const struct model_plan *plan = &actor->model->plan;
	enum kind kind = frame->kind == ROOT   ? roots[plan->work]
			 : frame->kind == PING ? PONG
					       : frame->kind;
	unsigned n = kind == LINK && frame->kind == ROOT ? plan->n : frame->n - 1;
	struct job *job = create(actor, kind, n);

	frame->to_create--;
	job->partner = actor->on;
	job->joined = kind == FIB || kind == SKYNET || kind == LEAF;
	if (!job->joined)
		return;
	if (frame->last)
		frame->last->sibling = job;
	else
		frame->first = job;
	frame->last = job;
}

/* A hop: the partner becomes ready, and this stack waits for the answer. */
static void hop(struct actor *actor, struct frame *frame)
{
	struct fiber *self = actor->on;

	if (self->partner)
		make_ready(actor, self->partner);
	if (frame->n-- == 0) {
		if (self->partner)
			self->partner->partner = NULL;
		frame->phase = END;
		return;
	}
	leave_stack(actor);
}

void model_step(struct actor *actor)
{
	struct fiber *fiber = actor->on;
	struct frame *frame = &fiber->frames[fiber->depth - 1];

	switch (frame->phase) {
	case BEGIN:
		if (frame->kind == PING)
			frame->n = actor->model->plan.n;
		begin_frame(actor, frame);
		if (frame->kind == PONG)
			frame->n = actor->model->plan.n;
		break;
	case CREATE:
		if (frame->to_create)
			create_next(actor, frame);
		else
			frame->phase = CALL;
		break;
	case CALL:
		frame->phase = frame->kind == PING ? LEAVE : JOIN;
		if (frame->kind == PING)
			leave_stack(actor);
		else if (frame->kind == FIB && frame->n >= 2)
			push_frame(fiber, NULL, FIB, frame->n - 2);
		break;
	case JOIN:
		if (frame->first) {
			join(actor, frame);
		} else if (frame->kind == ROOT && actor->model->plan.work == MODEL_FLAT &&
			   --frame->n > 0) {
			frame->last = NULL;
			frame->phase = BEGIN;
		} else {
			frame->phase = END;
		}
		break;
	case LEAVE:
		hop(actor, frame);
		break;
	case END:
		end(actor, frame);
		break;
	}
}

/* -- from outside ------------------------------------------------------------------------------ */

void model_arrive(struct actor *client)
{
	struct model *model = client->model;
	double due = client->clock;
	struct job *job = job_new(model, LEAF, 0);

	model->live--; /* counted from the beginning */
	job->creator = client->index;
	job->born = due;
	job->timed = model->to_come <= model->plan.n / 2; /* all are awake who will be */
	job->task.claim = WEFT_CLAIM_HELD;
	model_pool(client); /* a magazine is taken out for one descriptor ... */
	model_pool(client); /* ... and put back */
	model_inject(model, client, &job->task);
	/* The next one comes from somebody else, who has not waited. */
	client->clock = due + model_exponential(model, model->plan.gap_ns);
	if (--model->to_come == 0)
		client->state = ASLEEP;
}

void model_works_begin(struct model *model)
{
	static const enum kind first[MODEL_WORKS] = {
		[MODEL_FIB] = FIB, [MODEL_SKYNET] = SKYNET};
	struct actor *actor = &model->actors[0], *client = &model->actors[model->count];
	struct job *job;

	if (model->plan.work == MODEL_ARRIVALS) {
		model->to_come = model->plan.n;
		model->live = model->plan.n;
		client->clock = 50000; /* all have fallen asleep, or soon will */
		model->heap[model->awake++] =
			client; /* later than all others: last in the heap */
		return;
	}
	job = job_new(model, first[model->plan.work], model->plan.n);
	job->task.home = actor->worker;
	weft_queue_push(&actor->worker->queue, &job->task);
}

void model_works_finish(struct model *model)
{
	for (struct job *job = model->all_jobs, *next; job; job = next) {
		next = job->next_all;
		free(job);
	}
	for (struct fiber *fiber = model->all_fibers, *next; fiber; fiber = next) {
		next = fiber->next_all;
		free(fiber);
	}
}
