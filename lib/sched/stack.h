/* SPDX-License-Identifier: MIT */
/*
 * stack - stacks for tasks: slots of address space with a guard below, and a control block at the
 * top, inside the first page that is touched anyway.
 *
 * Every stack in a pool holds a saved context that continues the scheduler's loop: a fresh one
 * begins it, a used one goes on where it switched away. Which worker runs it is asked anew after
 * each switch.
 *
 * Life:   carved from slabs that are unmapped only with the runtime; control blocks are
 *         type-stable, so a late epoch bump or wake is at worst one spurious look. What is free and has not been
 *         needed for a while is given back to the kernel (shed.h): it reads as zeroes then, which is a control
 *         block that nobody is parked on, and is carved anew.
 * Fields: `parker.state` and `epoch` are shared; `timer` is under its wheel's lock; the rest belongs
 *         to whoever runs on the stack, or, while it is parked or ready, to whoever holds it in
 *         a queue.
 * Bound:  weft_config.stacks_max, and vm.max_map_count where guards cost a mapping.
 */
#ifndef WEFT_LIB_SCHED_STACK_H
#define WEFT_LIB_SCHED_STACK_H

#include <stddef.h>
#include <stdint.h>

#include <weft/base.h>

#include "base/atomic.h"
#include "base/spin.h"
#include "sched/timer.h"
#include "sched/wait.h"

struct weft_frame;
struct weft_gate;
struct weft_runtime;
struct weft_worker;

enum {
	WEFT_GUARD_BYTES = 64 * 1024,
	WEFT_STACK_MIN = 128 * 1024,
	WEFT_STACK_COLORS = 8,    /* first pages at different distances, to spread cache sets */
	WEFT_STACK_CLASSES = 16,  /* class k: weft_config.stack_size << k */
	WEFT_STACK_POOL_MAX = 256, /* kept by one worker before half go to the shared pool */
	WEFT_STACK_SLAB_SLOTS = 512,
};

struct weft_stack {
	struct weft_parker parker; /* first: a parker of kind STACK is a weft_stack */
	void *sp;                  /* the saved context */
	struct weft_stack *next;   /* ready queue, pool, inbox */
	_Atomic(uint32_t) epoch;   /* moved by whoever has news for a task on this stack */
	uint32_t seen;             /* the epoch that has been looked at; see weft_stack_only_time */
	int32_t budget;            /* checkpoints left before others get a turn */
	int32_t full_budget;       /* what it begins with: 1 where every checkpoint matters */
	uint8_t class;
	uint8_t reserve;           /* only resumes tasks, never starts one */
	uint16_t pins;             /* frames on it that must not change worker */
	weft_ns deadline;          /* the next scope to fire that was not looked at; WEFT_FOREVER: none */
	weft_ns scoped_at;         /* when the last scope on it began, as that was taken: compose/scope.c */
	struct weft_frame *frame;  /* the running task, hosts beneath it; NULL: only the loop */
	struct weft_runtime *runtime;
	struct weft_stack_slab *slab;
	struct weft_worker *pin;   /* where it must run, while pins > 0 */
	struct weft_worker *worker; /* on which it runs, or ran last */
	char *low, *high;          /* usable bytes */
	char *host_limit;          /* a task is run in place only above this address */
	const char *call_name;     /* in a simulation: the [S] call it is in, or was last */
	const _Atomic(uint32_t) *work_stop; /* there too: of the job it does, as a thread of the pool */
	struct weft_gate *gate;    /* of the order whose member runs here, or waits: gate.h */
	uint64_t arrival;          /* the gate's: when it came to wait there */
	uint8_t turn;              /* the gate's: order/turn.c */
	uint8_t call;              /* of a member whose every checkpoint counts: below */
	struct weft_task *const *awaited; /* fellows in the order that the member waits for */
	size_t awaited_count;
	struct weft_stack *caller; /* to go on when the task here has ended: weft_task_start_ahead */
	struct weft_task *staged;  /* created into an order, and not told to it yet: newest first */
	struct weft_timer timer;
	struct weft_worker *timer_home; /* whose wheel the timer is armed on */
	_Atomic(uintptr_t) edge;         /* what it waits for, for the deadlock walk: edge.c */
	_Atomic(struct weft_task *) edge_waiter; /* who on this stack waits so */
	_Atomic(uint32_t) edge_sequence; /* moves whenever edge is set or cleared */
	void *fiber;                      /* ThreadSanitizer's name for it */
	void *fake_stack;                 /* AddressSanitizer's */
};

/* stack->call: the member that runs on it is in a call that is a checkpoint. */
enum {
	WEFT_CALL_NONE,
	WEFT_CALL_BEGUN,  /* in the turn in which the call was made */
	WEFT_CALL_WAITED, /* it has given that up, and returns in the next one */
};

struct weft_stack_slab {
	struct weft_stack_slab *next;
	char *base;
	size_t bytes;
	size_t slot_bytes;
	_Atomic(uint32_t) used; /* slots handed out */
	uint32_t guarded; /* of a pool that keeps: the first slots, whose guards are there already */
	uint32_t slots;
	uint32_t class;
	/* under the pool's lock */
	struct weft_stack_slab *next_empty, *next_bare;
	bool listed_bare;
	uint32_t bare_count; /* slots handed out once whose memory has been given back */
	uint64_t bare[WEFT_STACK_SLAB_SLOTS / 64];
	/* shed.c's */
	struct weft_stack *shed;
	uint32_t shed_count;
};

struct weft_stack_pool {
	struct weft_spin lock;
	struct weft_stack *free[WEFT_STACK_CLASSES];
	uint32_t free_count[WEFT_STACK_CLASSES];
	uint32_t free_least[WEFT_STACK_CLASSES]; /* since shed.c looked */
	_Atomic(struct weft_stack_slab *) slabs;
	struct weft_stack_slab *current[WEFT_STACK_CLASSES];
	struct weft_stack_slab *empty[WEFT_STACK_CLASSES]; /* given back whole: as good as new ones */
	struct weft_stack_slab *bare[WEFT_STACK_CLASSES];  /* given back in part */
	uint32_t given_back; /* how often something was */
	_Atomic(uint64_t) live; /* carved, and not given back */
	_Atomic(uint32_t) starved; /* workers that go on without a stack; a hint to the others */
	uint64_t max;
	size_t slot_bytes; /* of class 0 */
	uint32_t page;
	bool guard_by_mprotect;
	bool keeps; /* its first slab outlives it, for the next pool that keeps: lib/sim */
};

int weft_stack_pool_init(struct weft_stack_pool *pool, size_t slot_bytes, size_t max);
void weft_stack_pool_finish(struct weft_stack_pool *pool);

/* A stack of the class, from the shared pool or newly carved; NULL: stacks_max or out of memory. */
struct weft_stack *weft_stack_get(
	struct weft_stack_pool *pool, struct weft_runtime *runtime, unsigned class);
/* No more can be carved, or a worker could carve none: those in the pools are all there will be. */
static inline bool weft_stack_pool_exhausted(struct weft_stack_pool *pool)
{
	return weft_load_relaxed(&pool->live) >= pool->max ||
		weft_load_relaxed(&pool->starved) > 0;
}

/* Return a chain of count stacks of one class. */
void weft_stack_put_chain(struct weft_stack_pool *pool, struct weft_stack *first,
	struct weft_stack *last, uint32_t count);

/* The control block of a slab's slot. */
struct weft_stack *weft_stack_at(
	const struct weft_stack_pool *pool, const struct weft_stack_slab *slab, uint32_t index);

/* The class whose slot holds stack_size bytes of address space; -EINVAL if none does. */
int weft_stack_class(const struct weft_stack_pool *pool, size_t stack_size);

/* The slot that the address lies in the guard of: its stack's control block, else NULL. */
struct weft_stack *weft_stack_guarding(struct weft_stack_pool *pool, const void *address);

#endif
