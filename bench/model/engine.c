/* SPDX-License-Identifier: MIT */
/*
 * engine - the modelled workers, their lines and their clocks; what their tasks do is in works.c.
 */
#include "engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const model_line_names[MODEL_LINES] = {
	"idle word", "injector", "pools", "attention", "ring head", "ring tail"};

/* -- lines ------------------------------------------------------------------------------------- */

/* Of one kind; `of` is the worker it belongs to, 0 for those that all share. */
static unsigned line_of(const struct model *model, unsigned kind, unsigned of)
{
	return kind < LINE_ATTENTION
		       ? kind
		       : LINE_ATTENTION + (kind - LINE_ATTENTION) * model->count + of;
}

/* The time at which actor has the line, to read or to change. */
double model_touch(
	struct model *model, struct actor *actor, unsigned kind, unsigned of, bool change)
{
	unsigned index = line_of(model, kind, of);
	struct line *line = &model->lines[index];
	uint32_t *seen = &model->seen[(size_t)actor->index * model->line_count + index];
	bool alone = line->owner == actor->index && !line->readers;
	double start;

	if (*seen == line->version && (!change || alone))
		return actor->clock += change ? model->costs.locked : model->costs.hit;
	start = actor->clock > line->free_at ? actor->clock : line->free_at;
	line->free_at = start + (change || !line->readers ? model->costs.transfer
							  : model->costs.copy);
	line->used += line->free_at - start;
	line->moves++;
	if (change) {
		line->version++;
		line->owner = actor->index;
		line->readers = 0;
	} else if (line->owner != actor->index) {
		line->readers++;
	}
	*seen = line->version;
	return actor->clock = start + model->costs.transfer;
}

/*
 * The worker's fields lie on the line that others ask for work on: what it writes at every step costs
 * nothing unless one of them has looked.
 */
static void own_line(struct actor *actor)
{
	struct line *line =
		&actor->model->lines[line_of(actor->model, LINE_ATTENTION, actor->index)];

	if (line->owner != actor->index || line->readers)
		model_touch(actor->model, actor, LINE_ATTENTION, actor->index, true);
}

static void touch(struct actor *actor, unsigned kind, bool change)
{
	model_touch(actor->model, actor, kind, actor->index, change);
}

double model_exponential(struct model *model, double mean)
{
	return -log((double)(model_random(model) % 1000000 + 1) / 1000000) * mean;
}

/* -- the order of events ----------------------------------------------------------------------- */

static void swap(struct actor **a, struct actor **b)
{
	struct actor *kept = *a;

	*a = *b;
	*b = kept;
}

static void heap_push(struct model *model, struct actor *actor)
{
	struct actor **heap = model->heap;
	unsigned i = model->awake++;

	heap[i] = actor;
	for (; i && heap[(i - 1) / 2]->clock > heap[i]->clock; i = (i - 1) / 2)
		swap(&heap[i], &heap[(i - 1) / 2]);
}

static struct actor *heap_pop(struct model *model)
{
	struct actor **heap = model->heap, *first = heap[0];
	unsigned i = 0;

	heap[0] = heap[--model->awake];
	for (;;) {
		unsigned child = 2 * i + 1;

		if (child >= model->awake)
			return first;
		if (child + 1 < model->awake &&
			heap[child + 1]->clock < heap[child]->clock)
			child++;
		if (heap[i]->clock <= heap[child]->clock)
			return first;
		swap(&heap[i], &heap[child]);
		i = child;
	}
}

static bool apart(const struct model *model)
{
	return model->plan.what_if & MODEL_SLEEPERS_APART;
}

static void sleepers_change(struct model *model, struct actor *by)
{
	if (apart(model))
		model_touch(model, by, LINE_SLEEPERS, 0, true);
}

/* The backend's wake, called by the library on behalf of whose turn it is. */
static void wake(void *state)
{
	struct actor *actor = state;
	struct model *model = actor->model;

	model->result.wakes++;
	sleepers_change(model, model->now);
	model->now->clock += model->costs.wake_sender;
	actor->clock = model->now->clock - model->costs.wake_sender +
		       model->costs.wake_after +
		       model_exponential(model, model->costs.wake_spread);
	actor->state = IDLE_WOKEN;
	heap_push(model, actor);
}

/* -- giving, as give.c does it ----------------------------------------------------------------- */

void model_offer(struct actor *actor)
{
	struct model *model = actor->model;
	struct weft_worker *worker = actor->worker;
	uint32_t queued = worker->queue.tasks + worker->queue.ready.count;
	uint64_t wakes = model->result.wakes, tail = worker->share.tail;

	if (queued > WEFT_SURPLUS)
		model_touch(
			model, actor, apart(model) ? LINE_SLEEPERS : LINE_IDLE, 0, false);
	if (!weft_worker_may_offer(worker))
		return;
	model_touch(model, actor, LINE_IDLE, 0, false);
	model->now = actor;
	weft_worker_offer(worker);
	if (worker->share.tail == tail)
		return;
	touch(actor, LINE_HEAD, false);
	touch(actor, LINE_TAIL, true);
	touch(actor, LINE_ATTENTION, true);
	actor->clock += (double)(worker->share.tail - tail) * model->costs.hit * 4;
	if (model->result.wakes != wakes)
		model_touch(model, actor, LINE_IDLE, 0, true);
}

/* A lock that guards a pool of descriptors or stacks. */
void model_pool(struct actor *actor)
{
	actor->model->result.pools++;
	model_touch(actor->model, actor, LINE_POOLS, 0, true);
	actor->clock += actor->model->costs.locked;
}

void model_inject(struct model *model, struct actor *by, struct weft_task *task)
{
	uint64_t wakes = model->result.wakes;

	model->now = by;
	model_touch(model, by, LINE_INJECT, 0, true);
	by->clock += model->costs.locked * 4;
	model_touch(model, by, LINE_IDLE, 0, false);
	weft_inject_task(&model->runtime, task);
	if (model->result.wakes != wakes)
		model_touch(model, by, LINE_IDLE, 0, true);
}

void model_service(struct actor *actor)
{
	struct model *model = actor->model;
	struct weft_worker *worker = actor->worker;

	worker->steps = 0;
	model_touch(model, actor, LINE_INJECT, 0, false);
	if (weft_load_relaxed(&model->runtime.inject_count) > 0) {
		model_touch(model, actor, LINE_INJECT, 0, true);
		weft_worker_take_injected(worker);
	}
	touch(actor, LINE_HEAD, false);
	if (weft_worker_take_back(worker))
		touch(actor, LINE_HEAD, true);
	model_offer(actor);
}

/* -- searching, as search.c does it ------------------------------------------------------------ */

static bool have_work(const struct weft_worker *worker)
{
	return worker->handed || !weft_queue_empty(&worker->queue);
}

static bool anything_shared(struct actor *actor)
{
	struct model *model = actor->model;
	bool found = false;

	for (unsigned i = 0; i < model->count && !found; i++) {
		model_touch(model, actor, LINE_HEAD, i, false);
		model_touch(model, actor, LINE_TAIL, i, false);
		found = !weft_share_empty(&model->workers[i].share);
	}
	return found;
}

/* What if the last searcher woke two: ramping up would double each time, not add one. */
static void wake_one_more(struct model *model)
{
	struct weft_idle *idle = model->runtime.idle;

	unsigned next = idle->sleepers > 0 ? idle->sleeper[idle->sleepers - 1] : 0;

	if (idle->sleepers > 0 && weft_idle_notify_one(idle, next))
		weft_worker_poke(&model->runtime, (int)next);
}

static void stop_searching(struct actor *actor)
{
	struct model *model = actor->model;

	if (!actor->worker->searching)
		return;
	actor->worker->searching = false;
	model_touch(model, actor, LINE_IDLE, 0, true);
	model->now = actor;
	if (!weft_idle_found(model->runtime.idle) ||
		!(weft_load_relaxed(&model->runtime.inject_count) > 0 ||
			anything_shared(actor)))
		return;
	weft_worker_poke(&model->runtime, weft_idle_notify(model->runtime.idle));
	if (model->plan.what_if & MODEL_WAKE_TWO)
		wake_one_more(model);
}

static void note_gap(struct actor *actor)
{
	int64_t gap = (int64_t)(actor->clock - actor->idle_since);

	if (gap > 400000)
		gap = 400000;
	actor->worker->idle_gap += (gap - actor->worker->idle_gap) / 8;
}

static void found_work(struct actor *actor)
{
	stop_searching(actor);
	note_gap(actor);
	actor->state = BUSY;
}

static void begin_idle(struct actor *actor)
{
	struct model *model = actor->model;
	struct weft_worker *worker = actor->worker;

	model_service(actor);
	if (have_work(worker)) {
		stop_searching(actor);
		actor->state = BUSY;
		return;
	}
	actor->clock += model->costs.clock;
	actor->idle_since = actor->clock;
	if (!worker->searching && model->count > 1) {
		model_touch(model, actor, LINE_IDLE, 0, false);
		worker->searching = weft_idle_search(model->runtime.idle, model->count);
		if (worker->searching)
			model_touch(model, actor, LINE_IDLE, 0, true);
	}
	model->result.searches += worker->searching;
	actor->looks = 0;
	actor->left = 0;
	actor->state = IDLE_LOOKS;
}

static bool take_from(struct actor *actor, unsigned victim)
{
	struct model *model = actor->model;
	struct weft_share_item item;

	model_touch(model, actor, LINE_HEAD, victim, false);
	model_touch(model, actor, LINE_TAIL, victim, false);
	if (weft_share_empty(&model->workers[victim].share))
		return false;
	model_touch(model, actor, LINE_HEAD, victim, true);
	if (!weft_share_take(&model->workers[victim].share, &item))
		return false;
	if (item.stack)
		weft_stack_fifo_push(&actor->worker->queue.ready, item.stack);
	actor->worker->handed = item.task;
	model->result.steals++;
	return true;
}

static void ask(struct actor *actor, unsigned victim)
{
	struct model *model = actor->model;

	if (model->runtime.idle->asleep[victim])
		return;
	model_touch(model, actor, LINE_ATTENTION, victim, false);
	if (weft_load_relaxed(&model->workers[victim].attention) & WEFT_ATTENTION_STEAL)
		return;
	model_touch(model, actor, LINE_ATTENTION, victim, true);
	weft_or_acq_rel(&model->workers[victim].attention, WEFT_ATTENTION_STEAL);
	model->result.requests++;
}

static void fall_asleep(struct actor *actor)
{
	struct model *model = actor->model;

	model_touch(model, actor, LINE_IDLE, 0, true);
	sleepers_change(model, actor);
	weft_idle_sleep(model->runtime.idle, actor->index, actor->worker->searching);
	if (weft_load_relaxed(&model->runtime.inject_count) > 0 ||
		anything_shared(actor)) {
		model_touch(model, actor, LINE_IDLE, 0, true);
		weft_idle_cancel(model->runtime.idle, actor->index);
		actor->worker->searching = true;
		note_gap(actor);
		actor->state = IDLE_BEGINS;
		return;
	}
	actor->clock += model->costs.sleep;
	actor->state = ASLEEP;
}

/* One look at everything, or as much of the round as fits before `until`. */
static void look(struct actor *actor, double until)
{
	struct model *model = actor->model;
	struct weft_worker *worker = actor->worker;
	double longest =
		worker->idle_gap > 100000 ? 2000 : (double)worker->idle_gap * 2 + 2000;

	if (!actor->left) {
		actor->clock += model->costs.look;
		model_touch(model, actor, LINE_INJECT, 0, false);
		if (weft_load_relaxed(&model->runtime.inject_count) > 0)
			model_service(actor);
		if (have_work(worker)) {
			found_work(actor);
			return;
		}
		actor->looks++;
		actor->left = worker->searching ? model->count : 0;
		actor->victim = (unsigned)(model_random(model) % model->count);
	}
	for (; actor->left && actor->clock < until; actor->left--) {
		unsigned victim = (actor->victim + actor->left) % model->count;

		if (victim == actor->index)
			continue;
		if (take_from(actor, victim)) {
			actor->left = 0;
			found_work(actor);
			return;
		}
		ask(actor, victim);
	}
	if (actor->left || actor->looks % 16)
		return;
	actor->clock += model->costs.clock;
	if (actor->clock - actor->idle_since > longest)
		fall_asleep(actor);
}

/* -- the loop, as worker.c does it ------------------------------------------------------------- */

static void pick(struct actor *actor)
{
	struct weft_worker *worker = actor->worker;
	struct weft_stack *stack = NULL;
	struct weft_task *task = worker->handed;

	if (++worker->steps >= WEFT_STEPS_PER_SERVICE)
		model_service(actor);
	if (!task && !(worker->steps % WEFT_NEW_SHARE == 0 && worker->queue.tasks > 0))
		stack = weft_queue_pop_stack(&worker->queue);
	if (!stack && !task)
		task = weft_queue_pop_task(&worker->queue);
	if (!stack && !task)
		stack = weft_queue_pop_stack(&worker->queue);
	worker->handed = NULL;
	actor->turns++;
	if (stack)
		model_resume(actor, stack);
	else if (task)
		model_start(actor, task);
	else
		actor->state = IDLE_BEGINS;
}

static void turn(struct actor *actor)
{
	struct model *model = actor->model;
	double begin = actor->clock, until = begin + QUANTUM_NS;

	while (actor->clock < until && actor->state != ASLEEP && model->live) {
		enum state state = actor->state;

		begin = actor->clock;
		if (state == BUSY) {
			own_line(actor);
			if (actor->on)
				model_step(actor);
			else
				pick(actor);
			model->running += actor->clock - begin;
		} else {
			if (state == IDLE_WOKEN) {
				weft_idle_cancel(model->runtime.idle, actor->index);
				actor->worker->searching = true;
				note_gap(actor);
				actor->state = IDLE_BEGINS;
			} else if (state == IDLE_BEGINS) {
				begin_idle(actor);
			} else {
				look(actor, until);
			}
			model->searching += actor->clock - begin;
		}
	}
}

/* -- the monitor, as monitor.c does it --------------------------------------------------------- */

static void give_away(struct model *model, struct weft_worker *worker)
{
	struct weft_queue *queue = &worker->queue;
	struct weft_task *task;

	while (weft_worker_take_back(worker))
		;
	while ((task = weft_queue_pop_task(queue))) {
		weft_queue_count_foreign(queue);
		task->claim = WEFT_CLAIM_HELD;
		model_inject(model, &model->monitor, task);
	}
}

/* A worker whose loop has not turned since the last look is in user code, and somebody could help. */
static void look_after_all(struct model *model)
{
	struct actor *monitor = &model->monitor;
	double begin = monitor->clock;
	uint32_t sleeping;

	for (unsigned i = 0; i < model->count; i++) {
		struct actor *actor = &model->actors[i];

		model_touch(model, monitor, LINE_ATTENTION, i, false);
		if (actor->state == BUSY && actor->turns == actor->turns_seen) {
			model->result.claims++;
			give_away(model, actor->worker);
		}
		actor->turns_seen = actor->turns;
	}
	sleeping = weft_idle_sleeping(model->runtime.idle);
	monitor->clock =
		begin +
		(sleeping > 0 && sleeping < model->count ? LOOK_NS : LOOK_SELDOM_NS);
}

static void *zeroed(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		abort();
	return memory;
}

static void build(struct model *model)
{
	static const struct weft_backend backend = {.name = "model", .wake = wake};
	unsigned count = model->count;

	model->line_count = LINE_ATTENTION + 3 * count + 1;
	model->lines = zeroed(model->line_count, sizeof(*model->lines));
	model->seen =
		zeroed((size_t)model->line_count * (count + 2), sizeof(*model->seen));
	model->workers = aligned_alloc(64, count * sizeof(*model->workers));
	model->actors = zeroed(count + 1, sizeof(*model->actors));
	model->heap = zeroed(count + 2, sizeof(struct actor *));
	model->runtime.idle = zeroed(1, sizeof(struct weft_idle));
	model->runtime.count = count;
	model->runtime.workers = model->workers;
	memset(model->workers, 0, count * sizeof(*model->workers));
	for (unsigned i = 0; i <= count; i++) {
		struct actor *actor = &model->actors[i];

		*actor = (struct actor){.model = model, .index = i, .state = BUSY};
		if (i == count)
			break; /* who brings work from outside */
		actor->worker = &model->workers[i];
		actor->worker->runtime = &model->runtime;
		actor->worker->index = i;
		actor->worker->backend = &backend;
		actor->worker->backend_state = actor;
		weft_queue_init(&actor->worker->queue);
		heap_push(model, actor);
	}
	model->monitor = (struct actor){
		.model = model, .index = count + 1, .clock = LOOK_SELDOM_NS / 2};
	if (count > 1)
		heap_push(model, &model->monitor);
}

static void summarize(struct model *model)
{
	struct model_result *result = &model->result;
	double all = result->time * model->count;

	result->running = model->running / all;
	result->searching = model->searching / all;
	result->late /= model->late_ones ? (double)model->late_ones : 1;
	for (unsigned kind = 0; kind < MODEL_LINES; kind++) {
		for (unsigned of = 0; of < (kind < LINE_ATTENTION ? 1 : model->count);
			of++) {
			struct line *line = &model->lines[line_of(model, kind, of)];
			double used = line->used / result->time;

			if (used > result->used[kind])
				result->used[kind] = used;
			result->moves[kind] +=
				(double)line->moves / (double)result->tasks;
		}
	}
}

static void tear_down(struct model *model)
{
	model_works_finish(model);
	free(model->lines);
	free(model->seen);
	free(model->workers);
	free(model->actors);
	free(model->heap);
	free(model->runtime.idle);
}

struct model_result model_run(
	const struct model_plan *plan, const struct model_costs *costs)
{
	struct model model = {.plan = *plan,
		.costs = *costs,
		.count = plan->workers,
		.random = 88172645463325252u};
	struct actor *actor = NULL;

	build(&model);
	model_works_begin(&model);
	while (model.live && model.awake) {
		actor = heap_pop(&model);
		if (actor->worker)
			turn(actor);
		else if (actor == &model.monitor)
			look_after_all(&model);
		else
			model_arrive(actor);
		if (actor->state != ASLEEP)
			heap_push(&model, actor);
	}
	model.result.time = actor->clock;
	summarize(&model);
	tear_down(&model);
	return model.result;
}
