/* SPDX-License-Identifier: MIT */
/*
 * frame - one running task on a stack. Several tasks may sit on one stack: an owner that joins a
 * child runs it in place, above itself. Only the top one waits; those beneath are hosts. A
 * frame lies on the C stack of whoever calls the body.
 *
 * News (a cancel, a scope that fires) is told to the stack by moving its epoch. The task on top
 * looks at its next checkpoint or wake-up, for itself and for every host beneath: a host that
 * became pending forwards that to what it owns, since it cannot run itself.
 */
#ifndef WEFT_LIB_SCHED_FRAME_H
#define WEFT_LIB_SCHED_FRAME_H

#include <weft/cancel.h>

#include "sched/stack.h"
#include "sched/task.h"

enum weft_scope_kind { WEFT_SCOPE_DEADLINE = 1, WEFT_SCOPE_SHIELD };

/* What a struct weft_scope holds. Belongs to the task that began it. */
struct weft_scope_state {
	struct weft_scope_state *outer;
	struct weft_task *task;
	weft_ns until; /* fires, or stops shielding */
	uint32_t kind;
	uint32_t delivered; /* some call returned -ETIMEDOUT on account of it */
};
static_assert(sizeof(struct weft_scope_state) <= sizeof(struct weft_scope), "opaque size");

struct weft_frame {
	struct weft_task *task;
	struct weft_frame *below;
	struct weft_scope_state *scopes; /* innermost first */
	struct weft_owner *owner;        /* while it hosts: whom to tell of what becomes pending; NULL: it joins */
	union {
		struct {
			uint8_t quiet;         /* nobody else can look at task: see weft_frame_self */
			uint8_t plain;         /* it works as a plain thread: see weft_frame_plain */
			uint8_t absorbed_end;  /* weft_uncancel absorbed the runtime's end */
			uint8_t has_values;    /* own and inherited are set, if only to NULL */
			uint16_t groups;       /* begun and not joined */
			uint16_t left_open;    /* groups and scopes begun and not ended, values */
		};
		uint64_t marks; /* all of them */
	};
	int32_t join_code;               /* what was forwarded to the child that it joins in place */
	struct weft_values *own;         /* compose/local.c: what the task keeps under its keys */
	struct weft_values *inherited;   /* what it keeps and hands to those it creates */
};

/*
 * Values under keys, provided by compose/local.c. Creating a task looks at the creator's only once
 * there is a key whose values are inherited.
 */
extern _Atomic(uint32_t) weft_values_inherit __attribute__((visibility("hidden")));
struct weft_values *weft_values_share(struct weft_values *values);
void weft_values_release(struct weft_values *values);
/* The body has returned: drop what the frame, which is current, keeps. As user code, which may wait. */
void weft_values_end(struct weft_frame *frame);

/* The frame keeps values from now on. */
static inline void weft_frame_keep_values(struct weft_frame *frame, struct weft_values *inherited)
{
	frame->has_values = 1;
	frame->left_open++;
	frame->own = NULL;
	frame->inherited = inherited;
}

/* The calling task's frame; NULL outside a task, and where a task works as a plain thread. */
struct weft_frame *weft_frame_current(void);

/*
 * In a simulation tasks do what threads of the pool would. On such a stack nothing is a task to the program,
 * nothing is pending, and nothing else is run in place.
 */
static inline bool weft_frame_plain(const struct weft_stack *stack)
{
	return stack->frame && stack->frame->plain;
}
/* The calling task does so from now on. */
void weft_frame_become_plain(void);

/*
 * The frame's task, for handing out. A task that its owner joins in place with no other handle
 * is not marked as started until it asks for itself here: nobody could see the mark.
 */
struct weft_task *weft_frame_self(struct weft_frame *frame);

/* Whether a cancel was requested of the frame's task, shielded or not; whether the runtime ends. */
bool weft_frame_cancelled(const struct weft_frame *frame);
bool weft_frame_at_end(const struct weft_frame *frame);

/*
 * What is pending for the frame's task at this time: 0, -ECANCELED or -ETIMEDOUT; cause: the
 * scope of the latter.
 */
int weft_frame_pending(struct weft_frame *frame, weft_ns now, struct weft_scope_state **cause);

/* Look at the news: forward for hosts, and say what is pending for the top. */
int weft_stack_look(struct weft_stack *stack);
/* Make the next checkpoint look, whatever the epoch. */
static inline void weft_stack_force_look(struct weft_stack *stack)
{
	stack->seen = weft_load_relaxed(&stack->epoch) - 1;
}
/* Resumed by its gate: a notice that came before it was parked is not for its next wait. */
static inline void weft_stack_take_notice(struct weft_stack *stack)
{
	if (weft_load_relaxed(&stack->parker.state) == WEFT_PARKER_NOTIFIED)
		weft_xchg_acq_rel(&stack->parker.state, WEFT_PARKER_RUNNING); /* PK2 */
}
/* Inside. Tell the orders of the members that the task on top has created. */
void weft_stack_unstage(struct weft_stack *stack);
/* After scopes have changed: which is the next to fire. now: the present if the caller knows it, or 0. */
void weft_stack_scopes_changed(struct weft_stack *stack, weft_ns now);
/* The same after a deadline has been added, and after one has been taken away. */
void weft_stack_deadline_added(struct weft_stack *stack, weft_ns now, weft_ns until);
void weft_stack_deadline_removed(struct weft_stack *stack);

/*
 * edge.c: whoever runs on this stack waits for a task that has not started: no walk and no fence, since a cycle
 * can only be closed by that task's own wait, later. And it has ceased to.
 */
void weft_wait_edge_note(struct weft_stack *stack, struct weft_task *task);
void weft_wait_edge_drop(struct weft_stack *stack);

/* edge.c, for a report: the task that the stack waits for to end or unlock, NULL if none. */
struct weft_task *weft_wait_edge_target(struct weft_stack *stack);

static inline bool weft_stack_has_news(struct weft_stack *stack)
{
	return weft_load_relaxed(&stack->epoch) != stack->seen;
}

/*
 * A look found nothing, but a deadline runs. That counts as news, since time goes on; yet as long as the
 * epoch stays, the clock is all there is to look at. seen is half of its range away from the epoch then.
 */
#define WEFT_SEEN_BUT_TIME (UINT32_C(1) << 31)
static inline bool weft_stack_only_time(struct weft_stack *stack)
{
	return (weft_load_relaxed(&stack->epoch) ^ stack->seen) == WEFT_SEEN_BUT_TIME;
}

#endif
