/* SPDX-License-Identifier: MIT */
/*
 * explore - runs real source, compiled with WEFT_MODEL, under every schedule and every value that
 * C11 lets a load return, up to a bound. Model threads are contexts of one real thread that
 * give way at each atomic operation.
 *
 * Memory. A location keeps the history of what was stored to it, each entry with the *view* that
 * its store published: for every location the oldest entry one may still read, and for every
 * thread how far its plain accesses are known. A thread has such a view too. A load may return any
 * entry that is not older than the thread's view, so a relaxed or late store is simply one that
 * others go on not seeing. An acquire load joins the entry's view into the thread's; a release
 * store publishes the thread's view; a relaxed one publishes what the last fence left; a
 * read-modify-write takes the newest entry and hands its view on (release sequences); seq_cst
 * fences pass one view from each to the next. That is RC11 without three things: a store always
 * goes to the end of its history, a failing compare-and-swap returns the newest entry, and nothing
 * is read from the future (no load buffering), except where a harness asks for it by
 * model_late: there a relaxed load may also return what somebody stores before the thread's
 * next operation but one, unless the next one is a release.
 *
 * Plain accesses are seen too: the sources are compiled with -fsanitize=thread and the explorer
 * answers the calls that this makes. An access that the other thread's is not known to come
 * before is a violation, so too weak an unlock is found although every context runs on
 * one processor.
 *
 * Search. Depth first over the choices (who goes next, which entry a load returns), by running
 * the harness again from its setup with the choices replayed. Taking the processor from a thread
 * that could go on costs one of harness.preemptions. A state met before (the same history of each
 * thread, at no higher price) is not explored again.
 *
 * Waiting. weft_cpu_relax stops a thread until the location it read last has a newer entry; a
 * thread that polls sees it then, for a store becomes visible at some time. model_sleep waits
 * for model_wake. If nobody can go on, harness.stuck says whether that is fine.
 */
#ifndef WEFT_TESTS_MODEL_EXPLORE_H
#define WEFT_TESTS_MODEL_EXPLORE_H

#include <stdbool.h>
#include <stdint.h>

enum model_order {
	MODEL_RELAXED,
	MODEL_ACQUIRE,
	MODEL_RELEASE,
	MODEL_ACQ_REL,
	MODEL_SEQ_CST,
};

enum model_update { MODEL_XCHG, MODEL_ADD, MODEL_SUB, MODEL_OR, MODEL_AND };

enum { MODEL_THREADS = 4 };

struct model_harness {
	const char *name;
	unsigned threads;
	unsigned
		preemptions; /* how often a thread that could go on is interrupted, at most */
	void (*setup)(void); /* puts the shared data into its first state, alone */
	void (*run)(unsigned thread);
	const char *(*finish)(void); /* all have ended: what is wrong, or NULL */
	const char *(*stuck)(
		void); /* nobody can go on: what is wrong, or NULL; none: a deadlock */
};

/* For harnesses. */
#define model_check(condition) ((condition) ? (void)0 : model_fail(#condition))
__attribute__((noreturn)) void model_fail(const char *what);
/* A binary semaphore: a sleeper's token, as the kernel would keep it. */
void model_sleep(_Atomic(uint32_t) *token);
void model_wake(_Atomic(uint32_t) *token);

/* The kernel's: wait while the newest value is the expected one; wake one who does. */
void model_futex_wait(_Atomic(uint32_t) *word, uint32_t expected);
void model_futex_wake(_Atomic(uint32_t) *word);

/* From setup: relaxed loads of these bytes may be late, and return one of the values. */
void model_late(
	const volatile void *at, unsigned size, const uint64_t *values, unsigned count);

/* Explore it, print one line (and, after a failure, the schedule). */
bool model_explore(const struct model_harness *harness);

/* For model_atomic.h. Outside of harness.run they act on the memory at once. */
uint64_t model_load(
	const volatile void *at, unsigned size, enum model_order, const char *text);
void model_store(volatile void *at, unsigned size, uint64_t value, enum model_order,
	const char *text);
uint64_t model_update(enum model_update, volatile void *at, unsigned size, uint64_t value,
	enum model_order, const char *text);
bool model_cas(volatile void *at, unsigned size, void *expected, uint64_t value,
	enum model_order order, enum model_order failed, const char *text);
void model_fence(void);
void model_relax(void);

#endif
