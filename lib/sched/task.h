/* SPDX-License-Identifier: MIT */
/*
 * task - the descriptor of a task, its state word, its pools and its end.
 *
 * Life:    taken from a worker's pool by create, holds no stack until it starts. One reference
 *          belongs to the scheduler until the body has ended, one to each handle. Whoever drops
 *          the last one drops the value and returns the descriptor to a pool of its runtime.
 *          Descriptors are type-stable: their memory stays a weft_task until the runtime is gone,
 *          so a stale pointer in a shared ring or a late cancel reads a valid, if other, task. A slab that
 *          nobody has needed for a while is given back to the kernel (shed.h) and reads as zeroes: tasks that
 *          nobody can claim, on no stack. It gets a new number when it is used again, so that theirs are new.
 * word:    every cross-thread change is one read-modify-write: references, DONE, the lock of the watch
 *          list, the cancel request. With one handle and a body run in place by its holder nobody
 *          else can look, and plain loads and stores do (sched/run.c).
 * claim:   who may start it. Written by the owner of the private list it is on, except for
 *          PUBLISHED -> STARTED, which anybody does by compare-and-swap (TK2).
 * stack:   set once, at the start, by the starter; read by cancel (TK3). Before that NULL, or, in a task that
 *          starts after others, whom it waits for, for the deadlock walk (weft_task_begin_after).
 * watches: under the LOCK bit of word.
 * status, value: written by the body's worker before DONE, read after it (TK1).
 * the rest: written by create, read-only afterwards.
 *
 * TK1  end: release in the exchange that sets DONE  ->  await, status: acquire load of word.
 *      Weaker: an awaiter reads an old status or an unfinished value.
 * TK2  publish: release store of claim = PUBLISHED, the descriptor written before  ->  the claiming
 *      compare-and-swap, acquire. Weaker: a thief runs a half-written descriptor.
 * TK4  adopt from the injector, the mail or the hold: store of home, then release store of claim = PRIVATE  ->
 *      the owner's joins: acquire load of claim, then home. Weaker: a joiner unlinks the task from the
 *      list of another worker.
 * TK3  cancel: seq_cst or of CANCEL into word, then load of stack  <->  start: store of stack, then, at
 *      the first checkpoint, a seq_cst fence before word is read.
 *      At least one sees the other. Weaker: a cancel that meets a start is lost.
 */
#ifndef WEFT_LIB_SCHED_TASK_H
#define WEFT_LIB_SCHED_TASK_H

#include <stddef.h>
#include <stdint.h>

#include <weft/base.h>
#include <weft/task.h>

#include "base/assert.h"
#include "base/atomic.h"
#include "base/list.h"
#include "base/spin.h"

struct weft_runtime;
struct weft_stack;
struct weft_values;
struct weft_worker;

/* Something that wants to know when a task ends. done runs on the completer's stack, inside the
 * runtime: it may wake and cancel, it may not suspend. The watch may be gone once done returns. */
struct weft_watch {
	struct weft_watch *next;
	struct weft_watcher *watcher;
};

struct weft_watcher {
	/* watch is NULL when the task's owner is told */
	void (*done)(struct weft_watcher *watcher, struct weft_watch *watch, struct weft_task *task);
};

/* The one owner (gather, group) that may embed itself in the descriptor. */
struct weft_owned {
	/* written under LOCK of word, or before anybody else can look; anybody may compare it */
	_Atomic(struct weft_watcher *) watcher;
	struct weft_task *next; /* the owner's list of members */
	union {
		struct weft_task *prev;
		uint64_t place; /* an order's: its number, and in the low bits what has become of it */
	};
};

enum weft_claim {
	WEFT_CLAIM_PRIVATE = 1, /* on the private list of its home */
	WEFT_CLAIM_PUBLISHED,   /* in a shared ring: the first to claim it runs it */
	WEFT_CLAIM_STARTED,
	WEFT_CLAIM_HELD, /* waits in an inbox or injector for its worker, or for others to end */
};

enum weft_task_flag {
	WEFT_TASK_STAY = 1,
	WEFT_TASK_DAEMON = 2,
	WEFT_TASK_PINNED = 4,    /* attr.worker: runs on its home only */
	WEFT_TASK_OWN_SITE = 8,  /* site was allocated for this task */
	WEFT_TASK_ORDERED = 16,  /* member of an order: own.watcher is its gate; never run in place */
	WEFT_TASK_FAILED = 32,   /* one of the immortal tasks that could not be created */
	WEFT_TASK_INHERITS = 64, /* heritage is set */
	WEFT_TASK_SHARED = 128,  /* others than the handle's holder may cancel it: a group's member */
};

struct weft_task {
	union {
		struct weft_node node; /* private list; next alone: pools, inboxes */
		struct weft_watch dependency; /* compose/after.c: until it is started */
	};
	uint32_t batch; /* which batch of its home's private list: queue.h */
	union {
		struct {
			_Atomic(uint8_t) claim;
			uint8_t flags;
			uint8_t large;         /* class of stack it needs */
			uint8_t name_argument; /* which argument of the spawning call names it */
		};
		_Atomic(uint32_t) kind; /* all four at once: written by init, compared by join */
	};
	weft_fn fn;
	void *arg;
	_Atomic(uint64_t) word;
	_Atomic(struct weft_worker *) home; /* TK4; of the same runtime always, so anybody may look */
	const char *site;
	/* All above in one cache line, so that a create and a join touch no other. */
	_Atomic(struct weft_stack *) stack;
	struct weft_watch *watches; /* newest first */
	struct weft_owned own;
	void *value;
	union {
		weft_drop drop;               /* of value */
		struct weft_values *heritage; /* until it starts: what it was created with */
	};
	int status; /* until the end: the owner's number for the task; complete moves it to batch */
	_Atomic(uint32_t) generation; /* how often it has been freed after somebody may have asked its number */
};
static_assert(sizeof(struct weft_task) <= 128, "two cache lines");
static_assert(offsetof(struct weft_task, stack) == 64, "what every task needs is in the first");

/* kind of a task on a private list with no attribute at all, whatever the order of bytes. */
static inline uint32_t weft_task_plain_kind(void)
{
	const uint8_t bytes[4] = { WEFT_CLAIM_PRIVATE, 0, 0, 0 };
	uint32_t kind;

	__builtin_memcpy(&kind, bytes, sizeof(kind));
	return kind;
}

#define WEFT_WORD_DONE UINT64_C(1)
#define WEFT_WORD_LOCK UINT64_C(2)
#define WEFT_WORD_WATCHED UINT64_C(4) /* watches is not empty */
#define WEFT_WORD_CANCEL UINT64_C(8)
#define WEFT_WORD_SEEN UINT64_C(16) /* somebody looked at the failure */
#define WEFT_WORD_OWNED UINT64_C(32) /* own.watcher is set */
#define WEFT_WORD_VALUED UINT64_C(64) /* a value has been published; by the body itself */
#define WEFT_WORD_NUMBERED UINT64_C(128) /* its number was asked, by whoever used the handle: no other task may get it */
#define WEFT_WORD_REF (UINT64_C(1) << 8) /* two of them are a constant that fits an instruction */
#define WEFT_WORD_REFS(word) ((word) >> 8)

static inline bool weft_task_done(const struct weft_task *task)
{
	/* TK1 */
	return weft_load_acquire(&((struct weft_task *)task)->word) & WEFT_WORD_DONE;
}

static inline void weft_task_next_generation(struct weft_task *task)
{
	weft_bump_relaxed(&task->generation);
}

/* -- for features ------------------------------------------------------------------------------ */

/* A fresh descriptor of the current worker with refs references, cancel and watches clear; NULL
 * outside a task, when the runtime stops, or out of memory: *error says which. Not yet queued. */
struct weft_task *weft_task_new(
	const char *site, weft_fn fn, void *arg, const struct weft_attr *attr, unsigned refs, int *error);
/* Queue it on the current worker (or mail it to the worker it is pinned to). */
void weft_task_start(struct weft_task *task);
/*
 * Queue a task whose claim is HELD, which is not pinned and on no list: on the current worker, or, if that
 * is none of its runtime's, wherever a worker comes first. Inside the runtime or outside.
 */
void weft_task_start_held(struct weft_task *task);

/*
 * A task that starts once others have ended (compose/after.c) tells the deadlock walk whom it waits for:
 * weft_task_begin_after, before it is watched, with one task, or with several that the caller keeps until
 * weft_task_end_after has returned, and sets to NULL, with release, as they end.
 */
struct weft_predecessor {
	struct weft_watch watch;
	_Atomic(struct weft_task *) task;
};
struct weft_predecessors {
	struct weft_watcher watcher;
	struct weft_task *task;
	_Atomic(uint32_t) left; /* AF1: release by each that counts down, acquire by the last */
	uint32_t count;
	struct weft_predecessor deps[];
};
void weft_task_begin_after(
	struct weft_task *task, struct weft_task *one, struct weft_predecessors *several);
/* Nobody looks any more; before it is started. */
void weft_task_end_after(struct weft_task *task);
/* task->stack of a task that has started is a stack. */
#define WEFT_AFTER_ONE ((uintptr_t)1)
#define WEFT_AFTER_SEVERAL ((uintptr_t)2)
#define WEFT_AFTER_TAGS (WEFT_AFTER_ONE | WEFT_AFTER_SEVERAL)

/*
 * A task that works as a plain thread of the current runtime, for weft_task_start_held: also while that
 * stops; no handle, nothing handed down, no leak if it is left. NULL: out of memory. In a simulation.
 */
struct weft_task *weft_task_new_thread(const char *site, weft_fn fn, void *arg);

/* Undo weft_task_new: it was not started and nobody has seen it. */
void weft_task_abandon(struct weft_task *task);
/* new and start with the default attributes, no handle: the hot path, as weft_create_task_at. On failure the task of
 * weft_task_failure. */
struct weft_task *weft_task_spawn_detached(const char *site, weft_fn fn, void *arg);

/* The immortal finished task that stands for this error. */
struct weft_task *weft_task_failure(int error);
/* Which error it stands for; 0 for any other task, which may be gone: nothing of it is read. */
int weft_task_failure_code(const struct weft_task *task);

/* Tell watcher when task ends. False: it has ended already, the watch is unused. */
bool weft_task_watch(struct weft_task *task, struct weft_watch *watch, struct weft_watcher *watcher);
/* True: unlinked, done will not run. False: done has run or is running (weft_task_settled). */
bool weft_task_unwatch(struct weft_task *task, struct weft_watch *watch);

/*
 * Tell watcher through the place in the descriptor. WATCHING; ENDED: it has ended already; TAKEN: it has
 * an owner there already.
 */
enum weft_own_result { WEFT_OWN_WATCHING, WEFT_OWN_ENDED, WEFT_OWN_TAKEN };
enum weft_own_result weft_task_own(struct weft_task *task, struct weft_watcher *watcher);
/* How many of the first tasks are on the caller's private list, with no handle but the caller's: owned now. */
size_t weft_task_own_private(
	struct weft_task *const *tasks, size_t n, struct weft_watcher *watcher);

/* Request a cancel and wake the stack it is on. 1 requested, 0 already done. Any thread. */
int weft_task_cancel(struct weft_task *task);

/*
 * Run the task at once on the caller's stack if that is allowed: not started, on the current
 * worker's private list (or published and still unclaimed), fits what is left of the stack, may
 * run on this worker. True: it has ended. The caller is its owner and waits for it anyway.
 * owner: what to do when the caller is cancelled meanwhile (weft_owner below).
 */
struct weft_owner;
bool weft_task_run_here(struct weft_task *task, struct weft_owner *owner);

/*
 * For an onlooker: start the task at once, on a stack of its own, if it is the very task that the loop would
 * run next, and wait for its end. True: it has ended, or the caller was woken for another reason and has to look
 * what that is; it watches nothing.
 */
bool weft_task_start_ahead(struct weft_task *task);

/*
 * What the owner's calls (join, gather, group_join, race, wait_for) do when their caller is
 * cancelled or timed out while it waits for what it owns: on_pending runs once, with the pending
 * code, on the owner's own stack, maybe under a hosted child's call.
 */
struct weft_owner {
	void (*on_pending)(struct weft_owner *owner, int code);
	int code; /* what was pending, 0 if nothing was */
};

/* weft_join when the task cannot just be called (sched/run.c); provided by compose/await.c. */
int weft_join_waiting(struct weft_task *task);

/* Wait (without a code) until *flag is non-zero, forwarding what becomes pending to owner once. */
void weft_owner_wait(struct weft_owner *owner, _Atomic(uint32_t) *flag);
/* Run what watcher owns in place, for as long as the loop would start one of these next anyway. */
void weft_owner_run_here(struct weft_owner *owner, struct weft_watcher *watcher);
/* Look once: forward what is pending already. */
void weft_owner_look(struct weft_owner *owner);

/* How many workers the calling task's runtime has. */
unsigned weft_workers_here(void);

/* Drop one reference; observed: the caller has seen the status. */
void weft_task_unref(struct weft_task *task, bool observed);
static inline void weft_task_ref(struct weft_task *task)
{
	weft_add_relaxed(&task->word, WEFT_WORD_REF);
}
void weft_task_observe(struct weft_task *task);
/* For an owner that is told of the end: if no handle is left, what the task published is dropped now. */
void weft_task_drop_unseen(struct weft_task *task);

/* -- for the engine ---------------------------------------------------------------------------- */

/* The body has returned; called inside the runtime by the worker that ran it. */
void weft_task_complete(struct weft_worker *worker, struct weft_task *task, int status);
/* The same when nobody but the caller, its owner, can look: plain stores. */
void weft_task_complete_private(struct weft_worker *worker, struct weft_task *task, int status);

/* site.c: the name that a site's text spells (interned, never freed), and a site of its own. */
const char *weft_site_name(const char *site, unsigned argument);
char *weft_site_named(const char *site, const char *name);

enum { WEFT_MAGAZINE_TASKS = 128, WEFT_TASK_SLAB_TASKS = 511, WEFT_TASK_SLAB_BYTES = 1 << 16 };

struct weft_task_magazine {
	struct weft_task *head;
	unsigned count;
};

/*
 * Descriptors of one runtime. A worker keeps two magazines; whole ones travel through here, their
 * length noted in the head's batch: counting would fetch each descriptor, cold, one after the other.
 */
struct weft_task_pool {
	struct weft_spin lock;
	struct weft_task *full; /* magazines, linked through node.prev of their heads */
	uint32_t free_count; /* descriptors in them */
	uint32_t free_least; /* since shed.c looked */
	uint32_t puts; /* magazines that came: unless it moves, shed.c would find what it found */
	struct weft_task_slab *slabs;
	struct weft_task_slab **empty; /* given back: they read as zeroes; shed.c makes the room */
	uint32_t empty_count;
	uint32_t slab_count; /* numbers given */
	bool counts_alone; /* its slabs' numbers are its own, and not the process's: lib/sim */
};

/* Aligned to its size, so that a descriptor's slab, hence its number, follows from its address. */
struct weft_task_slab {
	struct weft_task_slab *next;
	uint32_t number;
	uint32_t used; /* made into magazines so far; under the pool's lock */
	uint32_t shed_count; /* shed.c's */
	_Alignas(128) struct weft_task tasks[WEFT_TASK_SLAB_TASKS];
};
static_assert(sizeof(struct weft_task_slab) == WEFT_TASK_SLAB_BYTES, "no byte is left over");

/* A number that no other task has, until one descriptor has been asked for its number 2^24 times: how often that
 * was, and which descriptor it is. */
static inline uint64_t weft_task_number(const struct weft_task *task)
{
	const struct weft_task_slab *slab =
		(const struct weft_task_slab *)((uintptr_t)task & ~(uintptr_t)(WEFT_TASK_SLAB_BYTES - 1));
	uint64_t place = (uint64_t)slab->number * WEFT_TASK_SLAB_TASKS + (uint64_t)(task - slab->tasks);
	uint64_t generation = weft_load_relaxed(&((struct weft_task *)task)->generation);

	return generation << 40 | (place + 1);
}

/* A magazine of free descriptors; its head is NULL when out of memory. */
struct weft_task_magazine weft_task_pool_get(struct weft_task_pool *pool);
void weft_task_pool_put(struct weft_task_pool *pool, struct weft_task_magazine magazine);
/* Lock held. */
void weft_task_pool_put_locked(struct weft_task_pool *pool, struct weft_task_magazine magazine);
void weft_task_pool_finish(struct weft_task_pool *pool);
/* Call fn for each task that seems unfinished; it may only read, and only what is type-stable. */
void weft_task_pool_each(struct weft_task_pool *pool,
	void (*fn)(const struct weft_task *task, void *arg), void *arg);
/* The same for each descriptor that somebody holds a reference to. */
void weft_task_pool_each_held(struct weft_task_pool *pool,
	void (*fn)(const struct weft_task *task, void *arg), void *arg);
/* Fill in a descriptor fresh from a pool. */
void weft_task_init(struct weft_task *task, struct weft_worker *home, const char *site, weft_fn fn,
	void *arg, unsigned refs);

#endif
