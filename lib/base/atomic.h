/* SPDX-License-Identifier: MIT */
/*
 * atomic - the only file that spells a memory order. The order is part of the name, so a
 * reader sees it at the call and a checker can replace this file and nothing else.
 *
 * WEFT_MODEL builds take every operation from the explorer in tests/model instead.
 * Under ThreadSanitizer a fence is a read-modify-write of one shared word, since that tool
 * does not model fences.
 */
#ifndef WEFT_LIB_BASE_ATOMIC_H
#define WEFT_LIB_BASE_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#if defined(__SANITIZE_THREAD__)
#define WEFT_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEFT_TSAN 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#define WEFT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT_ASAN 1
#endif
#endif

#ifdef WEFT_MODEL
#include "model_atomic.h"
#else

#define weft_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define weft_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define weft_load_seq_cst(p) atomic_load_explicit((p), memory_order_seq_cst)
#define weft_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define weft_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define weft_store_seq_cst(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)

#define weft_xchg_acquire(p, v) atomic_exchange_explicit((p), (v), memory_order_acquire)
#define weft_xchg_acq_rel(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define weft_xchg_seq_cst(p, v) atomic_exchange_explicit((p), (v), memory_order_seq_cst)

/* Compare and swap; *expected holds what was found after a failure. */
#define weft_cas_relaxed(p, expected, v)                                                 \
	atomic_compare_exchange_strong_explicit(                                         \
		(p), (expected), (v), memory_order_relaxed, memory_order_relaxed)
#define weft_cas_acquire(p, expected, v)                                                 \
	atomic_compare_exchange_strong_explicit(                                         \
		(p), (expected), (v), memory_order_acquire, memory_order_acquire)
#define weft_cas_release(p, expected, v)                                                 \
	atomic_compare_exchange_strong_explicit(                                         \
		(p), (expected), (v), memory_order_release, memory_order_relaxed)
#define weft_cas_acq_rel(p, expected, v)                                                 \
	atomic_compare_exchange_strong_explicit(                                         \
		(p), (expected), (v), memory_order_acq_rel, memory_order_acquire)
#define weft_cas_seq_cst(p, expected, v)                                                 \
	atomic_compare_exchange_strong_explicit(                                         \
		(p), (expected), (v), memory_order_seq_cst, memory_order_seq_cst)

#define weft_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define weft_add_acq_rel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define weft_add_seq_cst(p, v) atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define weft_sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define weft_sub_acq_rel(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel)
#define weft_sub_seq_cst(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_seq_cst)
#define weft_or_acq_rel(p, v) atomic_fetch_or_explicit((p), (v), memory_order_acq_rel)
#define weft_or_seq_cst(p, v) atomic_fetch_or_explicit((p), (v), memory_order_seq_cst)
#define weft_and_acq_rel(p, v) atomic_fetch_and_explicit((p), (v), memory_order_acq_rel)

/* Orders nothing for the processor, only for the compiler: the partner of a membarrier. */
#define weft_compiler_barrier() atomic_signal_fence(memory_order_seq_cst)

#ifdef WEFT_TSAN
extern _Atomic(uint32_t) weft_tsan_fence_word;
#define weft_fence_seq_cst()                                                             \
	((void)atomic_fetch_add_explicit(&weft_tsan_fence_word, 1, memory_order_seq_cst))
#else
#define weft_fence_seq_cst() atomic_thread_fence(memory_order_seq_cst)
#endif

static inline void weft_cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ __volatile__("yield");
#endif
}

#endif /* WEFT_MODEL */

/*
 * Add one to what nobody else writes, for whoever may read it. Where the processor has one instruction for it
 * that is what is meant: compilers make three of an atomic load and an atomic store.
 */
#if defined(__x86_64__) && !defined(WEFT_TSAN) && !defined(WEFT_MODEL)
#define weft_bump_relaxed(p)                                                             \
	do {                                                                             \
		if (sizeof(*(p)) == sizeof(uint64_t))                                    \
			__asm__ __volatile__("addq $1, %0" : "+m"(*(p)) : : "cc");       \
		else                                                                     \
			__asm__ __volatile__("addl $1, %0" : "+m"(*(p)) : : "cc");       \
	} while (0)
/* Every store releases there: only the compiler is told. */
#define weft_bump_release(p)                                                             \
	do {                                                                             \
		atomic_signal_fence(memory_order_release);                               \
		weft_bump_relaxed(p);                                                    \
	} while (0)
#else
#define weft_bump_relaxed(p) weft_store_relaxed((p), weft_load_relaxed(p) + 1)
#define weft_bump_release(p) weft_store_release((p), weft_load_relaxed(p) + 1)
#endif

#define weft_likely(x) __builtin_expect(!!(x), 1)
#define weft_unlikely(x) __builtin_expect(!!(x), 0)

#endif
