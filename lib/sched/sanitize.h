/* SPDX-License-Identifier: MIT */
/*
 * sanitize - tells ThreadSanitizer, AddressSanitizer and Valgrind about every change of stack, in one
 * place. Compiles to nothing in ordinary builds (Valgrind's request is a few inert instructions, made
 * once per stack).
 */
#ifndef WEFT_LIB_SCHED_SANITIZE_H
#define WEFT_LIB_SCHED_SANITIZE_H

#include "sched/stack.h"

void weft_sanitizer_stack_created(struct weft_stack *stack);
/* Memory for a stack, perhaps where one was whose frames never ended, in a runtime that is over. */
void weft_sanitizer_stack_fresh(char *low, size_t bytes);
/* Its memory is about to go; another may be made in the same place. */
void weft_sanitizer_stack_gone(struct weft_stack *stack);
/* Whether somebody remembers stacks who cannot be told that they are gone. */
bool weft_sanitizer_keeps_stacks(void);
void weft_sanitizer_thread_stack(struct weft_stack *stack);

#ifdef WEFT_TSAN
void __tsan_switch_to_fiber(void *fiber, unsigned flags);
#endif
#ifdef WEFT_ASAN
void __sanitizer_start_switch_fiber(void **fake_stack, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack, const void **bottom, size_t *size);
#endif

/* Just before the switch, on the stack being left. */
static inline void weft_sanitizer_leave(struct weft_stack *from, struct weft_stack *to)
{
	(void)from;
	(void)to;
#ifdef WEFT_ASAN
	__sanitizer_start_switch_fiber(
		&from->fake_stack, to->low, (size_t)(to->high - to->low));
#endif
#ifdef WEFT_TSAN
	__tsan_switch_to_fiber(to->fiber, 0);
#endif
}

/* Just after it, on the stack arrived at. */
static inline void weft_sanitizer_arrive(struct weft_stack *on)
{
	(void)on;
#ifdef WEFT_ASAN
	__sanitizer_finish_switch_fiber(on->fake_stack, NULL, NULL);
#endif
}

#endif
