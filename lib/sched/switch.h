/* SPDX-License-Identifier: MIT */
/*
 * switch - leave one stack, continue on another. The assembly (switch/<arch>.S) saves the
 * callee-saved registers and the floating-point control words of the psABI, nothing else.
 * Signal masks are the thread's and do not travel.
 *
 * Only sched/stack.c and sched/worker.c call this; the sanitizers are told in worker.c.
 */
#ifndef WEFT_LIB_SCHED_SWITCH_H
#define WEFT_LIB_SCHED_SWITCH_H

/* Save the present context, its stack pointer into *save, and continue the one at load. */
void weft_switch(void **save, void *load);

/*
 * Build, just below top (16-byte aligned), a context whose first switch calls entry(arg) on an
 * aligned stack. entry must not return. The value to load.
 */
void *weft_switch_prepare(void *top, void (*entry)(void *arg), void *arg);

#endif
