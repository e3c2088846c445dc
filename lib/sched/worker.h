/* SPDX-License-Identifier: MIT */
/*
 * worker - a thread, its queue, its ring, its timers, its pools. Engine only: features see
 * sched/wait.h and sched/task.h.
 *
 * Who may touch a worker: its own thread while `inside` is set, which is whenever the scheduler's
 * loop or a call of the library runs there; or the monitor, after it has set CLAIMED in `attention`,
 * made every thread pass a barrier (membarrier) and found `inside` clear. User code runs with
 * inside clear, so a worker stuck in a long computation can be helped: its completions reaped, its
 * timers fired, its ready work given away, without a signal and without an atomic operation on
 * the way in and out:
 *
 *	worker                                  monitor
 *	inside = 1 (plain store)     WK1        attention |= CLAIMED
 *	compiler barrier                        membarrier
 *	attention & CLAIMED? then wait          inside? then give up
 *
 * WK1  membarrier makes the worker's store and load one of "both before" or "both after". Weaker:
 *      owner and monitor change the same list.
 * WK2  leaving user code's side: release store of inside = 0  ->  monitor: acquire load. Weaker: the
 *      monitor sees lists half changed. The claim's end is the same edge the other way round.
 */
#ifndef WEFT_LIB_SCHED_WORKER_H
#define WEFT_LIB_SCHED_WORKER_H

#include <pthread.h>

#include <weft/observe.h>
#include <weft/runtime.h>

#include "base/ticks.h"
#include "sched/backend.h"
#include "sched/idle.h"
#include "sched/mail.h"
#include "sched/queue.h"
#include "sched/share.h"
#include "sched/stack.h"
#include "sched/task.h"
#include "sched/timer.h"

enum {
	WEFT_BUDGET = 128,       /* checkpoints before others get a turn, */
	WEFT_SLICE_NS = 100 * 1000, /* unless all of them have taken less than this */
	WEFT_STEPS_PER_SERVICE = 199,
	WEFT_SHARE_BATCH = 64,   /* given away at a time, at most */
	WEFT_SURPLUS = 8,        /* more than this in the queue and a sleeper is worth waking */
	WEFT_OFFER_FEW_NS = 200 * 1000, /* so often for fewer: a wake costs the waker some 12 us */
};

enum weft_attention {
	WEFT_ATTENTION_CLAIMED = 1, /* the monitor holds the worker, or is about to */
	WEFT_ATTENTION_STEAL = 2,   /* somebody asks for work; stands until there is some to give */
	WEFT_ATTENTION_MAIL = 4,
	WEFT_ATTENTION_STOPPING = 8, /* runtime->stopping, where the short ways look anyway */
	WEFT_ATTENTION_SHORT_WAYS_SHUT = WEFT_ATTENTION_CLAIMED | WEFT_ATTENTION_STOPPING,
	WEFT_ATTENTION_ANY_WAY_SLOW = WEFT_ATTENTION_SHORT_WAYS_SHUT | WEFT_ATTENTION_STEAL,
};

enum weft_after { WEFT_AFTER_NOTHING, WEFT_AFTER_PARK, WEFT_AFTER_POOL };

struct weft_io;

struct weft_counters { /* written by the worker, read by anybody: relaxed */
	_Atomic(uint64_t) created, done, failed, cancelled, steals, wakeups, switches, io_submitted,
		unobserved;
};

struct weft_worker {
	/* shared, written by others */
	_Atomic(uint32_t) attention;
	/* shared, written by the owner: see the header comment */
	_Atomic(uint32_t) inside;
	_Atomic(uint64_t) turns; /* grows whenever the loop picks something: the stall clock */
	/* the owner's, or the claimer's */
	struct weft_stack *stack; /* running now */
	struct weft_runtime *runtime;
	struct weft_queue queue;
	struct weft_task_magazine free, spare;
	uint32_t index;
	uint32_t steps; /* since the last service */
	struct weft_ticks ticks; /* for weft_now_at_most */
	weft_ns served_at;   /* when a spent budget last looked around */
	uint64_t slice_turn; /* the turn that slice_end is of */
	weft_ns slice_end;   /* until when a stack goes on that only makes calls which need not wait */
	uint32_t next_new; /* the step that takes a new task even if stacks are ready */
	enum weft_after after;
	struct weft_stack *after_stack; /* what the stack switched away from still needs */
	struct weft_task *handed;       /* to be run first by the loop on the stack switched to */
	uint32_t default_kind;          /* of new tasks: plain, or WEFT_STAY_ALL */
	int32_t budget;                 /* full_budget of the stacks it starts tasks on */
	const struct weft_schedule *schedule; /* backend->schedule */
	struct weft_stack *pool;        /* free stacks of class 0 */
	uint32_t pooled;
	uint32_t collections;           /* runtime->collections that it has answered */
	struct weft_stack *reserve;     /* resumes tasks when no stack is to be had */
	uint32_t starved_rounds;        /* of the loop on it, in vain */
	const struct weft_backend *backend;
	void *backend_state;
	struct weft_counters counters;
	struct weft_spin timer_lock;
	struct weft_wheel wheel;
	_Atomic(int64_t) next_timer;    /* a bound for the monitor and the loop */
	uint64_t random;
	int64_t few_offered_at;         /* when it last woke somebody for a few tasks */
	int64_t idle_gap;               /* how long it is idle before work comes: a moving average */
	bool searching;                 /* counted as a searcher in runtime->idle */
	/* inboxes, pushed by anybody */
	struct weft_inbox inbox;
	struct weft_share share;
	/* the thread */
	struct weft_stack thread_stack; /* where the loop returns to at the end */
	pthread_t thread;
	void *alternate_stack;
	int start_status;
};

enum weft_stopping {
	WEFT_STOPPING = 1,     /* a task that is left is a leak */
	WEFT_STOPPING_QUIETLY, /* it is not: nobody could go on (lib/sim) */
};

struct weft_runtime {
	struct weft_worker *workers; /* count of them, fixed */
	unsigned count;
	_Atomic(uint32_t) stopping;  /* no new tasks: enum weft_stopping */
	_Atomic(uint32_t) exiting;   /* workers leave their loops */
	struct weft_idle *idle;
	struct weft_stack_pool stacks;
	struct weft_task_pool tasks;
	struct weft_runtime *next_held; /* runtime.c: over, but for handles */
	struct weft_io *io; /* what lib/io keeps per runtime */
	struct weft_jobs *jobs; /* lib/blocking: threads that may block */
	const struct weft_backend *backend; /* of every worker; chosen at start */
	struct weft_spin inject_lock; /* guards the two lists; count is read without it */
	struct weft_stack_fifo injected;
	struct weft_list injected_tasks;
	_Atomic(uint32_t) inject_count;
	_Atomic(uint64_t) posted;    /* tasks created from outside */
	_Atomic(uint32_t) posting;   /* threads between their look at stopping and the injector */
	_Atomic(uint32_t) stacks_reported;
	_Atomic(uint32_t) collections; /* moves when workers that fall asleep are to give what they keep free */
	struct weft_config config;
	char backend_text[96];
	/* monitor */
	pthread_t monitor;
	_Atomic(uint32_t) monitor_state;
	struct watched *watched;     /* monitor.c's notes, one per worker */
	bool monitor_running;
	_Atomic(uint64_t) stalls;
	_Atomic(uint32_t) registered; /* its place in weft_runtimes, plus one */
};

extern _Thread_local struct weft_worker *weft_worker_of_thread;
/*
 * The worker whose thread this is, NULL elsewhere. A task may move between two calls, and compilers keep
 * the address of a thread-local for a whole function: they must not see that this is one.
 */
#ifdef __x86_64__
static inline struct weft_worker *weft_worker_current(void)
{
	struct weft_worker *worker;

	__asm__ __volatile__("movq weft_worker_of_thread@gottpoff(%%rip), %0\n\t"
			     "movq %%fs:(%0), %0"
			     : "=r"(worker));
	return worker;
}
#else
__attribute__((noinline)) struct weft_worker *weft_worker_current(void);
#endif
void weft_worker_set_current(struct weft_worker *worker);
/*
 * The same, inlined: only for a function of its own that does not suspend, or asks once and not again
 * after it has.
 */
static inline struct weft_worker *weft_worker_current_once(void)
{
	return weft_worker_of_thread;
}
/* Why there is no current worker: -EOWNERDEAD in a forked child, else -EPERM. */
int weft_worker_none(void);
extern _Atomic(uint32_t) weft_forked;

void weft_worker_wait_claim(struct weft_worker *worker);

/* Enter the library from user code; what attention says. CLAIMED: the monitor holds the worker. */
static inline uint32_t weft_worker_enter_looking(struct weft_worker *worker)
{
#ifdef WEFT_TSAN
	weft_xchg_seq_cst(&worker->inside, 1);
#else
	weft_store_relaxed(&worker->inside, 1); /* WK1 */
	weft_compiler_barrier();
#endif
	return weft_load_acquire(&worker->attention);
}

/* The same: whether the monitor holds the worker, or the runtime stops. */
static inline uint32_t weft_worker_try_enter_user(struct weft_worker *worker)
{
	return weft_worker_enter_looking(worker) & WEFT_ATTENTION_SHORT_WAYS_SHUT;
}

/* Enter the library from user code. */
static inline void weft_worker_enter_user(struct weft_worker *worker)
{
	if (weft_unlikely(weft_worker_try_enter_user(worker) & WEFT_ATTENTION_CLAIMED))
		weft_worker_wait_claim(worker);
}

/* The same from anywhere: whether it was inside already, for weft_worker_leave. */
static inline bool weft_worker_enter(struct weft_worker *worker)
{
	bool was_inside = weft_load_relaxed(&worker->inside);

	weft_worker_enter_user(worker);
	return was_inside;
}

static inline void weft_worker_leave(struct weft_worker *worker, bool was_inside)
{
	if (!was_inside)
		weft_store_release(&worker->inside, 0); /* WK2 */
}

static inline void weft_count(_Atomic(uint64_t) *counter)
{
	weft_bump_relaxed(counter);
}

/* The same for a counter whose value tells that something else has happened before. */
static inline void weft_count_release(_Atomic(uint64_t) *counter)
{
	weft_bump_release(counter);
}

/* The loop has picked something, or has been looked after otherwise: no stall. */
static inline void weft_worker_count_turn(struct weft_worker *worker)
{
	weft_count(&worker->turns);
}

/* Return a descriptor whose generation and word say that it is free. */
void weft_task_magazine_full(struct weft_worker *worker);
/* All free descriptors of the worker go to the shared pool. */
void weft_task_give_magazines(struct weft_worker *worker);
static inline void weft_task_give(struct weft_worker *worker, struct weft_task *task)
{
	if (weft_unlikely(worker->free.count >= WEFT_MAGAZINE_TASKS))
		weft_task_magazine_full(worker);
	task->node.next = (struct weft_node *)worker->free.head;
	worker->free.head = task;
	worker->free.count++;
}
void weft_task_count_end(struct weft_worker *worker, struct weft_task *task, int status);

/* The worker's loop on the calling thread, a plain one: until the runtime exits. Not with weft_worker_main. */
int weft_worker_run_on_caller(struct weft_worker *worker);
/* Thread main. Signals readiness through start_status (0 or -errno) and weft_futex_wake. */
void *weft_worker_main(void *worker);
int weft_worker_init(struct weft_worker *worker, struct weft_runtime *runtime, unsigned index);
void weft_worker_finish(struct weft_worker *worker);
/* Its thread has ended: the next one uses the runtime's backend, as it is now. 0 or -ENOMEM. */
int weft_worker_change_backend(struct weft_worker *worker);

/* Inside. Switch away from the running stack; it is parked, queued or pooled as `after` says. Where it goes on. */
struct weft_worker *weft_worker_suspend(struct weft_worker *worker, enum weft_after after);
/* Inside. Everything ready now runs before the running stack does again. Where it goes on. */
struct weft_worker *weft_worker_step_back(struct weft_worker *worker);

/* Inside. Give up to half of the queue away if somebody searches for work, or if there is enough
 * of it to be worth waking a sleeper. */
void weft_worker_offer(struct weft_worker *worker);
/* The same for new tasks that are too few for that, but have been there for a while. */
void weft_worker_offer_few(struct weft_worker *worker);
/* Whether that is worth a look: there is more than enough, and somebody sleeps. */
static inline bool weft_worker_has_surplus(struct weft_worker *worker)
{
	return worker->queue.tasks + worker->queue.ready.count > WEFT_SURPLUS &&
		weft_idle_sleeping(worker->runtime->idle) > 0;
}
/* The same, or somebody asks. */
static inline bool weft_worker_may_offer(struct weft_worker *worker)
{
	return (weft_load_relaxed(&worker->attention) & WEFT_ATTENTION_STEAL) ||
		weft_worker_has_surplus(worker);
}

/* Inside, about to sleep: somebody else may need the free stacks, or nobody for long (shed.h). */
void weft_worker_give_back(struct weft_worker *worker);

/* Inside, with an empty queue: find work, or sleep until there may be some. */
void weft_worker_idle(struct weft_worker *worker);

/* Inside. Take a fair part of what was injected; how many. */
unsigned weft_worker_take_injected(struct weft_worker *worker);
bool weft_worker_take_back(struct weft_worker *worker);

/* Inside. Reap completions, flush submissions, fire timers, read mail; what came became ready. */
unsigned weft_worker_service(struct weft_worker *worker);
/* Its first part: what only this worker can bring. The ring, the timers, the mail. */
unsigned weft_worker_look(struct weft_worker *worker);
/* The parts of it that the monitor does for a stuck worker. */
unsigned weft_worker_fire_timers(struct weft_worker *worker, weft_ns now);
unsigned weft_worker_fire_due_timers(struct weft_worker *worker);
void weft_worker_read_mail(struct weft_worker *worker);

/* Inside. Run the task on this stack, as a call. */
void weft_worker_run(struct weft_worker *worker, struct weft_stack *stack, struct weft_task *task);

/* Is anything ready, due or mailed? Anybody, a hint. */
bool weft_worker_has_work(struct weft_worker *worker);

/* Wake that worker if it sleeps. Any thread. */
void weft_worker_poke(struct weft_runtime *runtime, int worker);
/* Hand a ready stack, or an unstarted task, to whichever worker comes first. Any thread. */
void weft_inject_stack(struct weft_runtime *runtime, struct weft_stack *stack);
void weft_inject_task(struct weft_runtime *runtime, struct weft_task *task);

/* monitor.c */
int weft_monitor_start(struct weft_runtime *runtime);
void weft_monitor_stop(struct weft_runtime *runtime);
void weft_monitor_wake(struct weft_runtime *runtime);

/* fault.c */
void weft_fault_install(void);
void *weft_fault_thread_start(void);
void weft_fault_thread_stop(void *alternate_stack);

/* report.c */
void weft_report_task(
	struct weft_runtime *runtime, int kind, struct weft_task *task, int status, const char *text);
void weft_report_text(struct weft_runtime *runtime, int kind, int status, const char *text);
/* The same before there is a runtime. */
void weft_report_to(const struct weft_config *config, int kind, int status, const char *text);

void weft_report_named(struct weft_runtime *runtime, int kind, const char *name, const char *site,
	int status, const char *text);

/* The process's runtimes, for the fault handler and fork: a slot is NULL or a live runtime. */
enum { WEFT_RUNTIMES_MAX = 64 };
extern _Atomic(struct weft_runtime *) weft_runtimes[WEFT_RUNTIMES_MAX];

#endif
