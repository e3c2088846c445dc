/* SPDX-License-Identifier: MIT */
/*
 * edge - who waits for whom, and the walk that finds a cycle before it closes.
 *
 * A stack publishes the task it waits for, or the word that names the owner of the lock it waits
 * for; then it walks from there to the stack that task is on, to what that one waits for, and
 * so on. Coming back to its own stack means that it would wait for itself.
 *
 * Everything read is type-stable but a lock's word, which is its user's memory. A walker pins the
 * edge while it reads the word, and leave, hence the call that waits for the lock, does not
 * return under a pin.
 *
 * Others go on meanwhile, so one walk may put together edges that never held at once. Two walks that
 * meet the same stacks in the same waits (edge_sequence has not moved) do: each of these waits
 * lasted from before the first walk ended to after the second began, and who waits neither
 * takes a lock nor gives one back.
 *
 * A wait that ends by itself closes no cycle: one under a deadline scope of the waiter's is not
 * published, and a walk stops at a task that has been cancelled.
 *
 * A task that has not started because it comes after others waits for them, and the walk goes on with each.
 * It counts itself in walkers while it looks at several, since their list goes when the last has ended.
 *
 * AF2  walk: add to walkers, then load the list's address  <->  end_after: take it away, then load walkers
 *      seq_cst on all four: the walk finds no list, or its owner waits for the walk. Weaker: it reads freed
 *      memory.
 * ED1  publish: release store of edge, seq_cst fence, then walk, on every waiter. Two that close a
 *      cycle at the same time cannot both miss it. Weaker: both sleep for good.
 * ED2  walk: acquire compare-and-swap that pins, release store that unpins  <->  leave: acquire
 *      compare-and-swap from unpinned to none. Weaker: a lock's memory is read after it is gone.
 */
#include <errno.h>
#include <stdio.h>

#include "sched/frame.h"
#include "sched/gate.h"
#include "sched/worker.h"

enum { HOPS_MAX = 64 };

#define EDGE_LOCK ((uintptr_t)1)   /* a lock's owner word, not a task */
#define EDGE_PINNED ((uintptr_t)2) /* a walker reads through it */

static struct weft_task *owner_of(uintptr_t edge)
{
	const _Atomic(uintptr_t) *word = (const _Atomic(uintptr_t) *)(edge & ~EDGE_LOCK);
	uintptr_t owner = weft_load_acquire((_Atomic(uintptr_t) *)word);

	return owner & WEFT_OWNER_THREAD
		       ? NULL
		       : (struct weft_task *)(owner & ~WEFT_OWNER_FLAGS);
}

/* The task that the stack waits for now; NULL: none, or a plain thread. */
static struct weft_task *next_of(struct weft_stack *stack)
{
	uintptr_t edge = weft_load_acquire(&stack->edge); /* ED1 */
	struct weft_task *next;

	for (;;) {
		if (!(edge & EDGE_LOCK))
			return (struct weft_task *)edge;
		if (edge & EDGE_PINNED) {
			weft_cpu_relax();
			edge = weft_load_acquire(&stack->edge);
		} else if (weft_cas_acquire(
				   &stack->edge, &edge, edge | EDGE_PINNED)) { /* ED2 */
			break;
		}
	}
	next = owner_of(edge);
	weft_store_release(&stack->edge, edge); /* ED2 */
	return next;
}

struct weft_task *weft_wait_edge_target(struct weft_stack *stack)
{
	return next_of(stack);
}

static bool cancelled(struct weft_task *task)
{
	return weft_load_acquire(&task->word) & WEFT_WORD_CANCEL;
}

/* -- tasks that start after others ------------------------------------------------------------- */

static _Atomic(uint32_t) walkers; /* AF2: those who look at somebody's several */

void weft_task_begin_after(
	struct weft_task *task, struct weft_task *one, struct weft_predecessors *several)
{
	uintptr_t what = one ? (uintptr_t)one | WEFT_AFTER_ONE
			     : (uintptr_t)several | WEFT_AFTER_SEVERAL;

	weft_store_release(&task->stack, (struct weft_stack *)what);
}

void weft_task_end_after(struct weft_task *task)
{
	unsigned spins = 0;

	weft_store_seq_cst(&task->stack, NULL);                /* AF2 */
	while (weft_unlikely(weft_load_seq_cst(&walkers) > 0)) /* AF2: a few hops each */
		weft_spin_wait(spins++);
}

/* -- the walk ---------------------------------------------------------------------------------- */

struct walk {
	const struct weft_stack *self;
	int hops; /* left */
};

static uint64_t walk_from(struct walk *walk, struct weft_task *task, uint64_t way);

static uint64_t mix(uint64_t way, const void *place, uint64_t what)
{
	way = (way ^ (uintptr_t)place) * UINT64_C(0x9E3779B97F4A7C15) + what;
	return way + !way;
}

/* The task waits for several to end: any of them will do, and those at hand are asked first. */
static uint64_t walk_from_several(struct walk *walk, struct weft_task *task, uint64_t way)
{
	struct weft_predecessors *after;
	struct weft_stack *what;
	uint64_t found = 0;

	weft_add_seq_cst(&walkers, 1);
	what = weft_load_seq_cst(&task->stack); /* AF2 */
	after = (struct weft_predecessors *)((uintptr_t)what & ~WEFT_AFTER_TAGS);
	if (!((uintptr_t)what & WEFT_AFTER_SEVERAL))
		after = NULL;
	for (uint32_t i = 0; after && i < after->count && !found; i++) {
		struct weft_task *dep = weft_load_acquire(&after->deps[i].task);

		if (dep && weft_load_acquire(&dep->stack) == walk->self)
			found = walk_from(walk, dep, mix(way, task, i));
	}
	for (uint32_t i = 0; after && i < after->count && !found && walk->hops > 0; i++) {
		struct weft_task *dep = weft_load_acquire(&after->deps[i].task);

		found = dep ? walk_from(walk, dep, mix(way, task, i)) : 0;
	}
	weft_sub_acq_rel(&walkers, 1);
	return found;
}

/* One that has not started: it waits for others to end, whatever is asked of it meanwhile. */
static uint64_t walk_from_held(
	struct walk *walk, struct weft_task *task, uintptr_t what, uint64_t way)
{
	if (what & WEFT_AFTER_SEVERAL)
		return walk_from_several(walk, task, way);
	task = (struct weft_task *)(what & ~WEFT_AFTER_TAGS);
	return walk_from(walk, task, mix(way, task, what));
}

static uint64_t walk_from(struct walk *walk, struct weft_task *task, uint64_t way)
{
	while (task && walk->hops-- > 0) {
		struct weft_stack *stack;
		struct weft_task *waiter;
		uint32_t sequence;

		if (weft_task_done(task))
			return 0;
		stack = weft_load_acquire(&task->stack);
		if ((uintptr_t)stack & WEFT_AFTER_TAGS)
			return walk_from_held(walk, task, (uintptr_t)stack, way);
		if (!stack || cancelled(task))
			return 0;
		if (stack == walk->self)
			return way;
		sequence = weft_load_acquire(&stack->edge_sequence);
		waiter = weft_load_acquire(&stack->edge_waiter);
		if (waiter && cancelled(waiter))
			return 0;
		task = next_of(stack);
		if (weft_load_acquire(&stack->edge_sequence) != sequence)
			return 0; /* it moves; if it waits again, its own walk comes after ours */
		if (task && weft_load_acquire(&task->stack) == stack)
			return 0; /* the lock was just given to it */
		way = mix(way, stack, sequence);
	}
	return 0;
}

/* 0: the waits from task on do not lead to self. Else they do, and the number stands for the way. */
static uint64_t way_to(struct weft_task *task, const struct weft_stack *self)
{
	struct walk walk = {.self = self, .hops = HOPS_MAX};

	return walk_from(&walk, task, 1);
}

static void set_edge(struct weft_stack *stack, uintptr_t edge)
{
	weft_store_release(
		&stack->edge_sequence, weft_load_relaxed(&stack->edge_sequence) + 1);
	weft_store_relaxed(&stack->edge_waiter, stack->frame->task);
	weft_store_release(&stack->edge, edge); /* ED1 */
}

static void publish(struct weft_stack *stack, uintptr_t edge)
{
	set_edge(stack, edge);
	weft_fence_seq_cst(); /* ED1 */
}

/* Nobody but the waiter changes an edge to a task; walkers pin one to a lock. */
static void retract(struct weft_stack *stack)
{
	uintptr_t edge = weft_load_relaxed(&stack->edge) & ~EDGE_PINNED;

	if (!edge)
		return;
	if (!(edge & EDGE_LOCK)) {
		weft_store_release(&stack->edge, 0);
	} else {
		while (!weft_cas_acquire(&stack->edge, &edge, 0)) { /* ED2 */
			edge &= ~EDGE_PINNED;
			weft_cpu_relax();
		}
	}
	weft_store_release(
		&stack->edge_sequence, weft_load_relaxed(&stack->edge_sequence) + 1);
}

void weft_wait_edge_note(struct weft_stack *stack, struct weft_task *task)
{
	set_edge(stack, (uintptr_t)task);
}

void weft_wait_edge_drop(struct weft_stack *stack)
{
	retract(stack);
}

static int look_for_cycle(struct weft_stack *stack, uintptr_t edge)
{
	bool lock = edge & EDGE_LOCK;
	uint64_t way = way_to(lock ? owner_of(edge) : (struct weft_task *)edge, stack);

	if (weft_likely(!way) || way_to(next_of(stack), stack) != way)
		return 0;
	retract(stack);
	return -EDEADLK;
}

/* The caller has a deadline of its own: hosts' are for what they wait for themselves. */
static bool has_deadline(const struct weft_frame *frame)
{
	const struct weft_scope_state *scope = frame->scopes;

	while (scope &&
		(scope->kind != WEFT_SCOPE_DEADLINE || scope->until == WEFT_FOREVER))
		scope = scope->outer;
	return scope;
}

static int enter(struct weft_stack *stack, uintptr_t edge)
{
	if (has_deadline(stack->frame))
		return 0;
	publish(stack, edge);
	return look_for_cycle(stack, edge);
}

/* A member that waits for one which by their order waits for it. */
static bool in_order_deadlock(struct weft_worker *worker, struct weft_task *task)
{
	struct weft_task *self = worker->stack->frame->task;
	char text[160];

	if (!weft_gate_deadlock(task, self))
		return false;
	snprintf(text, sizeof(text), "waits for '%s', which by their order waits for it",
		weft_name(task));
	weft_report_task(worker->runtime, WEFT_REPORT_DEADLOCK, self, -EDEADLK, text);
	return true;
}

int weft_wait_edge_enter(struct weft_task *owner)
{
	struct weft_worker *worker = weft_worker_current();

	if (!worker || !owner || !worker->stack->frame)
		return 0;
	if (owner == worker->stack->frame->task || in_order_deadlock(worker, owner))
		return -EDEADLK;
	return enter(worker->stack, (uintptr_t)owner);
}

int weft_wait_edge_enter_lock(const _Atomic(uintptr_t) *owner_word)
{
	struct weft_worker *worker = weft_worker_current();

	return worker && worker->stack->frame
		       ? enter(worker->stack, (uintptr_t)owner_word | EDGE_LOCK)
		       : 0;
}

int weft_wait_edge_check(struct weft_task *task)
{
	struct weft_worker *worker = weft_worker_current();
	struct weft_stack *stack;
	uint64_t way;

	if (!worker || !worker->stack->frame)
		return 0; /* no task: a plain thread, or a drop at a task's end */
	stack = worker->stack;
	if (task == stack->frame->task || in_order_deadlock(worker, task))
		return -EDEADLK;
	way = has_deadline(stack->frame) ? 0 : way_to(task, stack);
	return way && way_to(task, stack) == way ? -EDEADLK : 0;
}

void weft_wait_edge_leave(void)
{
	struct weft_worker *worker = weft_worker_current();

	if (worker)
		retract(worker->stack);
}

/* It waits for nobody: it has not started, and no order holds it back. */
static inline bool waits_for_nobody(const struct weft_task *task)
{
	return !weft_load_acquire(&((struct weft_task *)task)->stack) &&
		!(task->flags & WEFT_TASK_ORDERED);
}

int weft_wait_edge_check_all(struct weft_task *const *tasks, size_t n)
{
	const struct weft_frame *frame = weft_frame_current();
	const struct weft_task *self = frame ? frame->task : NULL;

	for (size_t i = 0; i < n; i++) {
		int rc;

		if (weft_unlikely(!tasks[i]))
			return -EINVAL;
		if (waits_for_nobody(tasks[i]) && tasks[i] != self)
			continue;
		rc = weft_wait_edge_check(tasks[i]);
		if (rc < 0)
			return rc;
	}
	return 0;
}
