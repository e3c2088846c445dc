/* SPDX-License-Identifier: MIT */
/*
 * sanitize - what is said once per stack; the per-switch part is in the header.
 */
#include "sched/sanitize.h"

#ifdef WEFT_ASAN
#include <pthread.h>
#endif

#ifdef WEFT_HAVE_VALGRIND
#include <valgrind/valgrind.h>
#endif

#ifdef WEFT_TSAN
void *__tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void *fiber);
void *__tsan_get_current_fiber(void);
#endif
#ifdef WEFT_ASAN
void __asan_unpoison_memory_region(const volatile void *from, size_t bytes);
#endif

void weft_sanitizer_stack_created(struct weft_stack *stack)
{
	(void)stack;
#ifdef WEFT_TSAN
	stack->fiber = __tsan_create_fiber(0);
#endif
#ifdef WEFT_HAVE_VALGRIND
	(void)VALGRIND_STACK_REGISTER(stack->low, (char *)stack);
#endif
}

void weft_sanitizer_stack_fresh(char *low, size_t bytes)
{
	(void)low;
	(void)bytes;
#ifdef WEFT_ASAN
	__asan_unpoison_memory_region(low, bytes);
#endif
}

void weft_sanitizer_stack_gone(struct weft_stack *stack)
{
	(void)stack;
#ifdef WEFT_TSAN
	__tsan_destroy_fiber(stack->fiber);
#endif
#ifdef WEFT_ASAN
	__asan_unpoison_memory_region(stack->low, (size_t)((char *)stack - stack->low));
#endif
}

bool weft_sanitizer_keeps_stacks(void)
{
#ifdef WEFT_HAVE_VALGRIND
	return RUNNING_ON_VALGRIND;
#else
	return false;
#endif
}

#ifdef WEFT_ASAN
/* A main thread's bounds are read from /proc: only who needs them pays for that. */
static void ask_for_bounds(struct weft_stack *stack)
{
	pthread_attr_t attributes;
	void *base = NULL;
	size_t size = 0;

	if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
		pthread_attr_getstack(&attributes, &base, &size);
		pthread_attr_destroy(&attributes);
	}
	stack->low = base;
	stack->high = (char *)base + size;
}
#endif

/* stack stands for the calling thread's own stack. */
void weft_sanitizer_thread_stack(struct weft_stack *stack)
{
	(void)stack;
#ifdef WEFT_ASAN
	ask_for_bounds(stack);
#endif
#ifdef WEFT_TSAN
	stack->fiber = __tsan_get_current_fiber();
#endif
}
