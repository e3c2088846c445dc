/* SPDX-License-Identifier: MIT */
/*
 * frame - what is pending, for whom, and the checkpoint that every [S] call begins with.
 */
#include "sched/frame.h"
#include "sched/gate.h"

#include <errno.h>

#include "sched/worker.h"

struct weft_frame *weft_frame_current(void)
{
	struct weft_worker *worker = weft_worker_current();
	struct weft_frame *frame = worker ? worker->stack->frame : NULL;

	return frame && weft_likely(!frame->plain) ? frame : NULL;
}

void weft_frame_become_plain(void)
{
	weft_frame_current()->plain = 1;
}

bool weft_frame_at_end(const struct weft_frame *frame)
{
	return weft_load_relaxed(&weft_load_relaxed(&frame->task->home)->runtime->stopping);
}

bool weft_frame_cancelled(const struct weft_frame *frame)
{
	if (weft_load_acquire(&frame->task->word) & WEFT_WORD_CANCEL)
		return true;
	return weft_frame_at_end(frame) && !frame->absorbed_end;
}

int weft_frame_pending(struct weft_frame *frame, weft_ns now, struct weft_scope_state **cause)
{
	struct weft_scope_state *scope;

	*cause = NULL;
	for (scope = frame->scopes; scope; scope = scope->outer) {
		if (scope->kind == WEFT_SCOPE_SHIELD && now < scope->until)
			break;
		if (scope->kind == WEFT_SCOPE_DEADLINE && now >= scope->until &&
			(!*cause || scope->until < (*cause)->until))
			*cause = scope;
	}
	if (!scope && weft_frame_cancelled(frame))
		return -ECANCELED; /* beats -ETIMEDOUT */
	return *cause ? -ETIMEDOUT : 0;
}

/* When, after now, something of this frame fires or stops being shielded. */
static weft_ns next_event(const struct weft_frame *frame, weft_ns now)
{
	weft_ns next = WEFT_FOREVER;

	for (const struct weft_scope_state *scope = frame->scopes; scope; scope = scope->outer) {
		if (scope->until > now && scope->until < next)
			next = scope->until;
	}
	return next;
}

static bool is_scoped(const struct weft_stack *stack)
{
	for (const struct weft_frame *frame = stack->frame; frame; frame = frame->below) {
		if (frame->scopes)
			return true;
	}
	return false;
}

static weft_ns clock_if_scoped(const struct weft_stack *stack)
{
	return is_scoped(stack) ? weft_now() : 0;
}

/* Only what lies after now: what lies before has been looked at, or will be by force. */
static void set_next_deadline(struct weft_stack *stack, weft_ns now)
{
	stack->deadline = WEFT_FOREVER;
	for (const struct weft_frame *frame = stack->frame; frame; frame = frame->below) {
		weft_ns next = frame->scopes ? next_event(frame, now) : WEFT_FOREVER;

		if (next < stack->deadline)
			stack->deadline = next;
	}
}

void weft_stack_scopes_changed(struct weft_stack *stack, weft_ns now)
{
	set_next_deadline(stack, now ? now : clock_if_scoped(stack));
	weft_stack_force_look(stack);
}

/* Where the last look found nothing, one more deadline is nothing but time: no need to look again. One that
 * has passed since that look is still the next. */
void weft_stack_deadline_added(struct weft_stack *stack, weft_ns now, weft_ns until)
{
	uint32_t epoch = weft_load_relaxed(&stack->epoch);
	bool clean = epoch == stack->seen || (epoch ^ stack->seen) == WEFT_SEEN_BUT_TIME;

	if (!clean || until == WEFT_FOREVER) {
		weft_stack_scopes_changed(stack, now);
		return;
	}
	if (until < stack->deadline)
		stack->deadline = until;
	stack->seen = epoch ^ WEFT_SEEN_BUT_TIME;
}

/* It was the only scope, and nothing but it could have been news: there is none. */
void weft_stack_deadline_removed(struct weft_stack *stack)
{
	uint32_t epoch = weft_load_relaxed(&stack->epoch);

	if ((epoch ^ stack->seen) != WEFT_SEEN_BUT_TIME || is_scoped(stack)) {
		weft_stack_scopes_changed(stack, 0);
		return;
	}
	stack->deadline = WEFT_FOREVER;
	stack->seen = epoch;
}

struct weft_task *weft_frame_self(struct weft_frame *frame)
{
	if (frame->quiet) {
		frame->quiet = 0;
		weft_store_relaxed(&frame->task->claim, WEFT_CLAIM_STARTED);
		weft_store_release(&frame->task->stack, weft_worker_current()->stack); /* TK3 */
	}
	return frame->task;
}

struct weft_task *weft_self(void)
{
	struct weft_frame *frame = weft_frame_current();

	return frame ? weft_frame_self(frame) : NULL;
}

static int newly_pending(struct weft_frame *host, int code_before, weft_ns now)
{
	struct weft_scope_state *cause;
	int code = code_before ? 0 : weft_frame_pending(host, now, &cause);

	if (code == -ETIMEDOUT)
		cause->delivered = 1;
	return code;
}

/* A host cannot run: forward what became pending for it to what it owns, once. */
static void forward(struct weft_frame *host, struct weft_frame *above, weft_ns now)
{
	int code;

	if (!host->owner) { /* it joins, and nothing else */
		code = newly_pending(host, host->join_code, now);
		if (code) {
			host->join_code = code;
			weft_or_seq_cst(&above->task->word, WEFT_WORD_CANCEL); /* it is on this stack */
		}
		return;
	}
	code = newly_pending(host, host->owner->code, now);
	if (!code)
		return;
	host->owner->code = code;
	host->owner->on_pending(host->owner, code);
}

static void forward_hosts(struct weft_frame *frame, struct weft_frame *above, weft_ns now)
{
	if (!frame)
		return;
	forward_hosts(frame->below, frame, now); /* the bottom one first: it may cancel the next */
	forward(frame, above, now);
}

/* A thread is not cancelled; but when a simulation ends because nobody can go on, this is a way out. */
static int pending_for_thread(const struct weft_stack *stack)
{
	return weft_load_relaxed(&stack->runtime->stopping) == WEFT_STOPPING_QUIETLY ? -ECANCELED : 0;
}

/*
 * What a look leaves. Level-triggered: while something is pending every checkpoint looks. At the runtime's
 * end too: who absorbed or is shielded from it may host a child that is not.
 */
static uint32_t seen_after(const struct weft_stack *stack, uint32_t epoch, int code)
{
	if (code || weft_frame_at_end(stack->frame))
		return epoch - 1;
	return stack->deadline != WEFT_FOREVER ? epoch ^ WEFT_SEEN_BUT_TIME : epoch;
}

/* deliver: a call returns what is found. */
static int look_at_all(struct weft_stack *stack, bool deliver)
{
	uint32_t epoch = weft_load_seq_cst(&stack->epoch);
	struct weft_scope_state *cause = NULL;
	weft_ns now;
	int code;

	if (weft_unlikely(!stack->frame))
		return 0; /* a drop at a task's end: nothing is pending, and it hosts nobody */
	if (weft_unlikely(stack->frame->plain))
		return pending_for_thread(stack);
	weft_fence_seq_cst(); /* TK3 */
	now = clock_if_scoped(stack);
	forward_hosts(stack->frame->below, stack->frame, now);
	code = weft_frame_pending(stack->frame, now, &cause);
	set_next_deadline(stack, now);
	stack->seen = seen_after(stack, epoch, code);
	if (code == -ETIMEDOUT && deliver)
		cause->delivered = 1;
	return code;
}

static int look(struct weft_stack *stack, bool deliver)
{
	if (weft_stack_only_time(stack) && weft_now_at_most() < stack->deadline)
		return 0;
	return look_at_all(stack, deliver);
}

int weft_stack_look(struct weft_stack *stack)
{
	return look(stack, true);
}

/*
 * The budget is spent: after a look at the ring and the timers, let others run if any are ready.
 * A call that finishes something does not step back for new tasks: in a fork-join program that would
 * run the tree breadth first.
 */
static void spend(struct weft_worker *worker, struct weft_stack *stack, bool for_new_tasks)
{
	bool was_inside = weft_worker_enter(worker);

	stack->budget = stack->full_budget;
	weft_worker_service(worker);
	weft_worker_count_turn(worker); /* others' I/O is being looked after: no stall */
	if (weft_unlikely(worker->schedule != NULL)) {
		if (worker->schedule->steps_back(worker->backend_state, stack)) {
			weft_stack_fifo_push(&worker->queue.ready, stack);
			weft_worker_suspend(worker, WEFT_AFTER_NOTHING);
			worker = weft_worker_current();
		}
	} else if (worker->queue.ready.count > 0 || worker->queue.yielded.count > 0 ||
		(for_new_tasks && worker->queue.tasks > 0)) {
		worker = weft_worker_step_back(worker);
	}
	weft_worker_leave(worker, was_inside);
}

/* Others get no turn, but what has come for them is not left lying. */
static void look_around(struct weft_worker *worker)
{
	bool was_inside = weft_worker_enter(worker);

	weft_worker_look(worker);
	weft_worker_leave(worker, was_inside);
}

/*
 * The budget is spent. Calls that need not wait take nanoseconds each: then the stack goes on until its slice,
 * which begins here, has passed. A task that serves a thousand others would else be behind all of them time and again.
 */
static void spend_or_go_on(struct weft_worker *worker, struct weft_stack *stack)
{
	uint64_t turns = weft_load_relaxed(&worker->turns);
	weft_ns now;

	if (weft_unlikely(worker->schedule != NULL)) {
		spend(worker, stack, true);
		return;
	}
	now = weft_now_at_most();
	if (worker->slice_turn != turns) {
		worker->slice_turn = turns;
		worker->slice_end = now + WEFT_SLICE_NS;
	}
	if (now - worker->served_at >= WEFT_SLICE_NS) {
		worker->served_at = now;
		if (now < worker->slice_end)
			look_around(worker);
	}
	if (now < worker->slice_end)
		stack->budget = stack->full_budget;
	else
		spend(worker, stack, true);
}

/* -- orders ------------------------------------------------------------------------------------ */

struct weft_task *weft_gate_member(const struct weft_stack *stack)
{
	return stack->frame->task;
}

void weft_gate_stage(struct weft_task *member)
{
	struct weft_stack *stack = weft_worker_current()->stack;
	struct weft_gate *gate = weft_gate_of(member);

	weft_store_relaxed(&member->claim, WEFT_CLAIM_HELD);
	member->node.next = NULL;
	if (!stack->frame || stack->gate == gate) { /* a drop at a task's end; a fellow */
		gate->join(gate, member);
		return;
	}
	if (!stack->staged)
		stack->frame->left_open++;
	member->node.next = (struct weft_node *)stack->staged;
	stack->staged = member;
	stack->budget = 0; /* the next checkpoint looks */
}

/* A list through node.next the other way round. */
static struct weft_task *turned_round(struct weft_task *list)
{
	struct weft_task *turned = NULL;

	while (list) {
		struct weft_task *next = (struct weft_task *)list->node.next;

		list->node.next = (struct weft_node *)turned;
		turned = list;
		list = next;
	}
	return turned;
}

/* Those of the first one's order join it, at once; the rest of the list. */
static struct weft_task *join_first_order(struct weft_task *list)
{
	struct weft_gate *gate = weft_gate_of(list);
	struct weft_task *ours = NULL, *rest = NULL;

	while (list) {
		struct weft_task *next = (struct weft_task *)list->node.next;
		struct weft_task **where = weft_gate_of(list) == gate ? &ours : &rest;

		list->node.next = (struct weft_node *)*where;
		*where = list;
		list = next;
	}
	gate->join(gate, turned_round(ours));
	return turned_round(rest);
}

void weft_stack_unstage(struct weft_stack *stack)
{
	struct weft_task *list = turned_round(stack->staged);

	stack->staged = NULL;
	stack->frame->left_open--;
	while (list) /* once for each order */
		list = join_first_order(list);
}

/*
 * What a checkpoint is to orders. Done before anything else, and whatever the call returns. True: the caller is
 * a member that gives way with its turn, not before. A checkpoint in the middle of a call, such as one that
 * a body makes which the call runs, is part of that call.
 */
static bool tell_orders(
	struct weft_worker *worker, struct weft_stack *stack, struct weft_checkpoint *checkpoint)
{
	struct weft_gate *gate = weft_gate_strict(stack);

	if (weft_unlikely(stack->staged != NULL)) {
		bool was_inside = weft_worker_enter(worker);

		weft_stack_unstage(stack);
		weft_worker_leave(worker, was_inside);
	}
	if (!gate || !stack->frame)
		return false;
	stack->budget = stack->full_budget;
	if (checkpoint && stack->call == WEFT_CALL_NONE) {
		stack->call = WEFT_CALL_BEGUN;
		checkpoint->gives_way = stack;
	}
	return true;
}

/* A member's call is about to return, which is in its next turn. */
static void wait_for_turn(
	struct weft_worker *worker, struct weft_stack *stack, struct weft_gate *gate)
{
	bool waited = stack->call == WEFT_CALL_WAITED;

	stack->call = WEFT_CALL_NONE;
	if (waited)
		return; /* this is the next turn */
	weft_worker_enter_user(worker);
	if (gate->pass(gate, stack)) {
		spend(worker, stack, true); /* nobody else's turn: then others than fellows */
	} else {
		weft_xchg_acq_rel(&stack->parker.state, WEFT_PARKER_NOTIFIED);
		weft_worker_suspend(worker, WEFT_AFTER_PARK);
		weft_stack_take_notice(stack);
	}
	weft_worker_leave(weft_worker_current(), false);
}

void weft_checkpoint_end(struct weft_stack *stack)
{
	struct weft_worker *worker = weft_worker_current();
	struct weft_gate *gate = weft_gate_strict(stack);

	if (gate)
		wait_for_turn(worker, stack, gate);
	else if (stack->budget <= 0) /* else it was suspended meanwhile */
		spend_or_go_on(worker, stack);
}

int weft_checkpoint_give_way(struct weft_checkpoint *checkpoint)
{
	weft_checkpoint_leave(checkpoint);
	checkpoint->gives_way = NULL;
	return weft_pending();
}

void weft_wait_for_fellows(struct weft_task *const *tasks, size_t n)
{
	struct weft_worker *worker = weft_worker_current();

	if (weft_likely(!worker || !weft_gate_strict(worker->stack)))
		return;
	worker->stack->awaited = tasks;
	worker->stack->awaited_count = n;
}

/* -- checkpoints ------------------------------------------------------------------------------- */

static void tell_schedule(struct weft_worker *worker, struct weft_stack *stack,
	const struct weft_checkpoint *checkpoint)
{
	bool was_inside;

	if (weft_likely(!worker->schedule))
		return;
	was_inside = weft_worker_enter(worker);
	worker->schedule->checkpoint(worker->backend_state, stack, checkpoint);
	weft_worker_leave(worker, was_inside);
}

/* first: what the call does comes before it yields. */
__attribute__((noinline)) static int enter_slowly(struct weft_worker *worker,
	struct weft_stack *stack, struct weft_checkpoint *checkpoint, bool first)
{
	bool gives_way_later = tell_orders(worker, stack, checkpoint);

	tell_schedule(worker, stack, checkpoint);
	if (weft_stack_has_news(stack)) {
		int code = weft_stack_look(stack);

		if (code) {
			if (!gives_way_later && --stack->budget <= 0)
				checkpoint->gives_way = stack; /* who does not heed it has to */
			return code;
		}
	}
	if (gives_way_later || --stack->budget > 0)
		return 0;
	if (first) {
		checkpoint->gives_way = stack;
		return 0;
	}
	spend_or_go_on(worker, stack);
	return weft_pending();
}

static inline int enter(struct weft_checkpoint *checkpoint, bool first)
{
	struct weft_worker *worker = weft_worker_current();
	struct weft_stack *stack;

	if (weft_unlikely(!worker))
		return weft_load_relaxed(&weft_forked) ? -EOWNERDEAD : 0;
	stack = worker->stack;
	if (weft_likely(!weft_stack_has_news(stack) && --stack->budget > 0))
		return 0;
	return enter_slowly(worker, stack, checkpoint, first);
}

int weft_checkpoint_enter(struct weft_checkpoint *checkpoint)
{
	return enter(checkpoint, false);
}

int weft_checkpoint_enter_first(struct weft_checkpoint *checkpoint)
{
	return enter(checkpoint, true);
}

bool weft_in_forked_child(void)
{
	return weft_load_relaxed(&weft_forked);
}

int weft_no_task(void)
{
	return weft_worker_none();
}

/* The budget is spent. True: the caller is not to yield now; a member gives way with its turn. */
static bool finish_slowly(struct weft_worker *worker, struct weft_checkpoint *checkpoint)
{
	bool gives_way_later = tell_orders(worker, worker->stack, checkpoint);

	tell_schedule(worker, worker->stack, checkpoint);
	return gives_way_later;
}

void weft_checkpoint_finishing(struct weft_checkpoint *checkpoint)
{
	struct weft_worker *worker = weft_worker_current();

	if (weft_likely(!worker || --worker->stack->budget > 0))
		return;
	if (!finish_slowly(worker, checkpoint))
		spend(worker, worker->stack, false);
}

void weft_checkpoint_finishing_first(struct weft_checkpoint *checkpoint)
{
	struct weft_worker *worker = weft_worker_current();

	if (weft_likely(!worker || --worker->stack->budget > 0))
		return;
	if (!finish_slowly(worker, checkpoint))
		checkpoint->gives_way = worker->stack;
}

int weft_pending(void)
{
	struct weft_worker *worker = weft_worker_current();

	if (!worker || !weft_stack_has_news(worker->stack))
		return 0;
	return weft_stack_look(worker->stack);
}

int weft_pending_before_park(void)
{
	struct weft_worker *worker = weft_worker_current();

	if (!worker || !weft_stack_has_news(worker->stack) || weft_stack_only_time(worker->stack))
		return 0;
	return look_at_all(worker->stack, true);
}

int weft_pending_peek(void)
{
	struct weft_worker *worker = weft_worker_current();

	return worker && weft_stack_has_news(worker->stack) ? look(worker->stack, false) : 0;
}

static _Thread_local const _Atomic(uint32_t) *work_stop;

/* A thread's word; of a stack that works as one, the stack's. */
__attribute__((noinline)) static const _Atomic(uint32_t) **own_work_stop(void)
{
	struct weft_worker *worker = weft_worker_current_once();

	return worker ? &worker->stack->work_stop : &work_stop;
}

void weft_work_begin(const _Atomic(uint32_t) *stop)
{
	*own_work_stop() = stop;
}

const _Atomic(uint32_t) *weft_work_current(void)
{
	return *own_work_stop();
}

void weft_owner_look(struct weft_owner *owner)
{
	int code;

	if (owner->code)
		return;
	code = weft_pending();
	if (!code)
		return;
	owner->code = code;
	owner->on_pending(owner, code);
}

void weft_owner_wait(struct weft_owner *owner, _Atomic(uint32_t) *flag)
{
	while (!weft_load_acquire(flag)) { /* AW1, GA1, GR1, RC1: the caller's flag */
		weft_owner_look(owner);
		if (weft_load_acquire(flag))
			break;
		weft_park(WEFT_FOREVER);
	}
}
