/* SPDX-License-Identifier: MIT */
/*
 * run - calling a task's body: from the loop, or in place by the owner that joins it.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "sched/frame.h"
#include "sched/gate.h"
#include "sched/worker.h"

void weft_forked_child_returned(void)
{
	static const char text[] =
		"weft: a forked child returned from its task; it should call _exit\n";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(71);
	_exit(70);
}

__attribute__((noreturn, cold)) static void group_left_open(struct weft_task *task)
{
	fprintf(stderr, "weft: task '%s' (%s) returned without joining a group it began\n",
		weft_name(task), task->site);
	weft_assert_failed("every weft_group_begin has its weft_group_join", __FILE__, __LINE__);
}

/*
 * Inside, the frame is current. Groups must be joined; scopes end with the task, and then its values: still
 * as the task, for what drops them is user code. The worker it came back on.
 */
__attribute__((noinline, cold)) static struct weft_worker *close_what_is_open(
	struct weft_stack *stack, struct weft_frame *frame)
{
	if (frame->groups)
		group_left_open(frame->task);
	if (stack->staged)
		weft_stack_unstage(stack);
	frame->scopes = NULL;
	weft_stack_scopes_changed(stack, 0);
	if (frame->has_values) {
		weft_worker_leave(stack->worker, false);
		weft_values_end(frame);
		weft_worker_enter_user(stack->worker);
	}
	return stack->worker;
}

enum { STAYS = WEFT_TASK_STAY | WEFT_TASK_PINNED };

/* A task that stays is pinned; what it was created with goes to its frame. */
__attribute__((noinline)) static void begin_specially(
	struct weft_worker *worker, struct weft_stack *stack, struct weft_frame *frame)
{
	struct weft_task *task = frame->task;

	if (task->flags & STAYS) {
		stack->pin = worker;
		stack->pins++;
	}
	if (task->flags & WEFT_TASK_INHERITS)
		weft_frame_keep_values(frame, task->heritage);
}

static inline struct weft_worker *call(struct weft_worker *worker, struct weft_stack *stack,
	struct weft_frame *frame, int *status)
{
	struct weft_task *task = frame->task;
	uint8_t special = task->flags & (STAYS | WEFT_TASK_INHERITS);

	if (weft_unlikely(special))
		begin_specially(worker, stack, frame);
	weft_store_relaxed(&task->claim, WEFT_CLAIM_STARTED);
	stack->frame = frame;
	weft_store_release(&task->stack, stack); /* TK3 */
	weft_worker_leave(worker, false);
	*status = task->fn(task->arg);
	worker = stack->worker; /* not the same, if it was suspended */
	if (weft_unlikely(!worker))
		weft_forked_child_returned();
	weft_worker_enter_user(worker);
	if (weft_unlikely(frame->left_open))
		worker = close_what_is_open(stack, frame);
	if (weft_unlikely(special & STAYS))
		stack->pins--;
	stack->frame = frame->below;
	return worker;
}

static void enter_gate(struct weft_stack *stack, struct weft_task *member)
{
	struct weft_gate *gate = weft_gate_of(member);

	if (gate->leave)
		stack->gate = gate;
	if (gate->pass) {
		stack->budget = stack->full_budget = 1; /* no checkpoint goes a short way */
		stack->turn = 0;
		stack->call = WEFT_CALL_NONE;
	}
}

static void leave_gate(struct weft_stack *stack, struct weft_task *member)
{
	struct weft_gate *gate = stack->gate;

	stack->gate = NULL;
	gate->leave(gate, stack, member);
}

void weft_worker_run(struct weft_worker *worker, struct weft_stack *stack, struct weft_task *task)
{
	struct weft_frame frame = { .task = task };
	int status;

	weft_queue_new_batch(&worker->queue);
	weft_stack_force_look(stack); /* a cancel may have come before it had a stack */
	stack->deadline = WEFT_FOREVER;
	stack->budget = stack->full_budget = worker->budget;
	if (weft_unlikely(task->flags & WEFT_TASK_ORDERED))
		enter_gate(stack, task);
	worker = call(worker, stack, &frame, &status);
	if (weft_unlikely(stack->gate != NULL))
		leave_gate(stack, task);
	weft_task_complete(worker, task, status);
}

/* May the task run on top of what is on this stack now? */
static bool fits(struct weft_stack *stack, struct weft_task *task)
{
	return (char *)__builtin_frame_address(0) >= stack->host_limit &&
		task->large <= stack->class && !(task->flags & WEFT_TASK_ORDERED);
}

/* TK4: claim before home: whoever adopts a task stores home, then claim. */
static inline bool is_own_private(const struct weft_task *task, const struct weft_worker *worker)
{
	return weft_load_acquire(&((struct weft_task *)task)->claim) == WEFT_CLAIM_PRIVATE &&
		weft_load_relaxed(&((struct weft_task *)task)->home) == worker;
}

static bool take_from_queue(struct weft_worker *worker, struct weft_task *task)
{
	uint8_t claim = weft_load_relaxed(&task->claim);

	if (is_own_private(task, worker)) {
		weft_queue_remove(&worker->queue, task);
		return true;
	}
	if (claim == WEFT_CLAIM_PUBLISHED)
		return weft_cas_acq_rel(&task->claim, &claim, WEFT_CLAIM_STARTED); /* TK2 */
	return false;
}

/* Nobody but the caller, who waits for it, holds a handle to it or may cancel it. */
static inline bool is_sole(const struct weft_task *task)
{
	uint64_t word = weft_load_acquire(&((struct weft_task *)task)->word);

	return WEFT_WORD_REFS(word) == 2 && !(task->flags & WEFT_TASK_SHARED) &&
		!(word & (WEFT_WORD_LOCK | WEFT_WORD_WATCHED | WEFT_WORD_OWNED));
}

/* Run the task above the caller's frame; the worker it came back on. */
static inline struct weft_worker *host(struct weft_worker *worker, struct weft_stack *stack,
	struct weft_task *task, struct weft_owner *owner, int *status)
{
	struct weft_frame *below = stack->frame;
	struct weft_frame frame = { .task = task, .below = below };
	struct weft_node *cursor = worker->queue.cursor;
	struct weft_worker *before = worker;
	uint64_t order;

	below->owner = owner;
	weft_queue_new_batch(&worker->queue);
	order = worker->queue.order;
	worker = call(worker, stack, &frame, status);
	if (weft_likely(worker == before && worker->queue.order == order)) {
		worker->queue.cursor = cursor; /* nobody was suspended: the host's batch goes on */
		worker->queue.order--;
	}
	below->owner = NULL;
	if (weft_unlikely(owner->code))
		weft_stack_force_look(stack);
	return worker;
}

static void end_hosted(struct weft_worker *worker, struct weft_task *task, int status)
{
	if (is_sole(task))
		weft_task_complete_private(worker, task, status);
	else
		weft_task_complete(worker, task, status);
	weft_worker_leave(weft_worker_current(), false); /* a drop may have waited */
}

/* Nothing is pending for the caller, no deadline runs, and its budget is not spent. */
static inline bool undisturbed(struct weft_stack *stack)
{
	return !weft_stack_has_news(stack) && stack->budget-- > 1;
}

static inline bool nobody_else_can_look(struct weft_task *task, struct weft_worker *worker)
{
	return weft_load_acquire(&task->kind) == weft_task_plain_kind() && /* TK4 */
		weft_load_relaxed(&task->home) == worker &&
		(weft_load_relaxed(&task->word) & ~WEFT_WORD_NUMBERED) == 2 * WEFT_WORD_REF;
}

/* What is left of complete and release when both are the caller's. */
static inline void free_quiet(struct weft_worker *worker, struct weft_task *task)
{
	weft_store_release(&task->word, 0);
	weft_task_give(worker, task);
}

static const struct weft_frame quiet_frame = { .quiet = 1 };

/* What a join keeps on the caller's stack while it runs the task there. */
struct joining {
	struct weft_frame frame;
	struct weft_worker *worker; /* where it began; the caller's batch there, and its end */
	uint64_t order;
	struct weft_node *cursor;
};

/* Inside. The caller's frame is current again; nobody was suspended: its batch goes on. */
static inline void go_on(
	struct weft_worker *worker, struct weft_stack *stack, const struct joining *joining)
{
	stack->frame = joining->frame.below;
	if (weft_likely(worker == joining->worker && worker->queue.order == joining->order)) {
		worker->queue.cursor = joining->cursor;
		worker->queue.order--;
	}
}

/* It asked for itself, was cancelled, or published a value: the long way of ending. */
static void end_and_release(struct weft_worker *worker, struct weft_frame *child,
	struct weft_frame *joiner, int *status)
{
	struct weft_task *task = child->task;

	if (joiner->join_code)
		weft_stack_force_look(worker->stack);
	end_hosted(worker, task, *status);
	if (*status == -ECANCELED && joiner->join_code)
		*status = joiner->join_code;
	joiner->join_code = 0;
	weft_task_unref(task, true);
}

/* ignored: what the word may say besides. */
static inline bool has_ended_quietly(const struct weft_frame *child, uint64_t ignored)
{
	return child->marks == quiet_frame.marks &&
		(weft_load_acquire(&child->task->word) & ~ignored) == 2 * WEFT_WORD_REF;
}

/*
 * What the shortest way leaves aside: scopes left open; values kept; a body that asked for itself, was
 * cancelled, published a value, or failed; a task whose number was asked; a worker that is claimed, asked for
 * work or about to stop.
 */
__attribute__((noinline)) static int end_the_long_way(
	struct weft_worker *worker, int status, uint32_t attention)
{
	struct joining *joining = weft_container_of(worker->stack->frame, struct joining, frame);
	struct weft_frame *child = &joining->frame;
	struct weft_task *task = child->task;

	if (attention & WEFT_ATTENTION_CLAIMED)
		weft_worker_wait_claim(worker);
	go_on(worker, worker->stack, joining);
	if (!has_ended_quietly(child, WEFT_WORD_NUMBERED)) {
		if (child->left_open) {
			worker->stack->frame = child;
			worker = close_what_is_open(worker->stack, child);
			worker->stack->frame = child->below;
		}
		end_and_release(worker, child, child->below, &status);
		return status;
	}
	weft_task_count_end(worker, task, status);
	weft_task_next_generation(task);
	free_quiet(worker, task);
	/* Whoever asks for work asks those too who only join any more. */
	if (attention & WEFT_ATTENTION_STEAL && worker->queue.tasks >= 2)
		weft_worker_offer(worker);
	weft_worker_leave(worker, false);
	return status;
}

/*
 * The shortest way of a join: nobody but the caller can look at the task, it has not started, is on this
 * worker's list and fits here, and nothing is pending for the caller. Runs and frees it without
 * one atomic operation. Everything else is weft_join_waiting (compose/await.c), a tail call.
 */
int weft_join(struct weft_task *task)
{
	struct weft_worker *worker = weft_worker_current_once();
	struct weft_stack *stack;
	struct joining joining;
	uint32_t attention;
	int status;

	if (weft_unlikely(!worker || !task))
		return weft_join_waiting(task);
	stack = worker->stack;
	if (weft_unlikely(weft_worker_try_enter_user(worker) ||
		    !nobody_else_can_look(task, worker) || !undisturbed(stack) ||
		    (char *)&joining < stack->host_limit)) {
		weft_worker_leave(worker, false);
		return weft_join_waiting(task);
	}
	weft_queue_remove(&worker->queue, task);
	joining.worker = worker;
	joining.cursor = worker->queue.cursor;
	weft_queue_new_batch(&worker->queue);
	joining.order = worker->queue.order;
	joining.frame.task = task;
	joining.frame.below = stack->frame;
	joining.frame.scopes = NULL;
	joining.frame.owner = NULL;
	joining.frame.marks = quiet_frame.marks;
	joining.frame.join_code = 0;
	stack->frame = &joining.frame;
	weft_worker_leave(worker, false);
	status = task->fn(task->arg);
	worker = stack->worker; /* not the same, if it was suspended */
	if (weft_unlikely(!worker))
		weft_forked_child_returned();
	attention = weft_worker_enter_looking(worker);
	if (weft_unlikely((attention & WEFT_ATTENTION_ANY_WAY_SLOW) || status < 0 ||
		    !has_ended_quietly(&joining.frame, 0)))
		return end_the_long_way(worker, status, attention);
	go_on(worker, stack, &joining);
	weft_count_release(&worker->counters.done);
	free_quiet(worker, joining.frame.task);
	weft_worker_leave(worker, false);
	return status;
}

static bool may_host(struct weft_worker *worker, struct weft_stack *stack, struct weft_task *task)
{
	return stack->frame && !stack->frame->plain && !weft_gate_strict(stack) && fits(stack, task) &&
		(weft_likely(!worker->schedule) ||
			worker->schedule->in_place(worker->backend_state, task));
}

/* Inside; outside afterwards. The task, which is on no list, has then ended. */
static inline void run_hosted(struct weft_worker *worker, struct weft_stack *stack,
	struct weft_task *task, struct weft_owner *owner)
{
	bool had_news = weft_stack_has_news(stack);
	uint32_t seen = stack->seen;
	int status;

	if (!is_sole(task) || (weft_load_relaxed(&task->word) & WEFT_WORD_CANCEL))
		weft_stack_force_look(stack); /* a cancel may have come before it had a stack */
	worker = host(worker, stack, task, owner, &status);
	if (!had_news && !owner->code && stack->seen == seen - 1 &&
		weft_load_relaxed(&stack->epoch) == seen)
		stack->seen = seen; /* it never looked, and nothing came for anybody else */
	end_hosted(worker, task, status);
}

bool weft_task_run_here(struct weft_task *task, struct weft_owner *owner)
{
	struct weft_worker *worker = weft_worker_current();
	struct weft_stack *stack;

	if (weft_load_acquire(&task->claim) > WEFT_CLAIM_PUBLISHED || !worker) /* TK4 */
		return false;
	if (weft_load_relaxed(&task->home)->runtime != worker->runtime)
		return false;
	stack = worker->stack;
	weft_worker_enter_user(worker);
	if (!may_host(worker, stack, task) || !take_from_queue(worker, task)) {
		weft_worker_leave(worker, false);
		return false;
	}
	run_hosted(worker, stack, task, owner);
	return true;
}

/* Inside. The task that the loop would start next, if watcher owns it and it may run here; NULL: neither. */
static inline struct weft_task *next_owned(
	struct weft_worker *worker, struct weft_stack *stack, struct weft_watcher *watcher)
{
	struct weft_task *task = weft_queue_next_task(&worker->queue);

	if (!task || weft_load_relaxed(&task->own.watcher) != watcher ||
		!may_host(worker, stack, task))
		return NULL;
	return task;
}

void weft_owner_run_here(struct weft_owner *owner, struct weft_watcher *watcher)
{
	for (;;) {
		struct weft_worker *worker = weft_worker_current();
		struct weft_task *task;

		if (!worker)
			return;
		weft_worker_enter_user(worker);
		task = next_owned(worker, worker->stack, watcher);
		if (task && weft_unlikely(!undisturbed(worker->stack))) {
			weft_worker_leave(worker, false);
			weft_checkpoint_finishing(NULL);
			weft_owner_look(owner);
			worker = weft_worker_current(); /* it may have given way */
			weft_worker_enter_user(worker);
			task = next_owned(worker, worker->stack, watcher);
		}
		if (!task) {
			weft_worker_leave(worker, false);
			return;
		}
		weft_queue_remove(&worker->queue, task);
		run_hosted(worker, worker->stack, task, owner);
	}
}
