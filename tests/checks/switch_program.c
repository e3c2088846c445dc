/* SPDX-License-Identifier: MIT */
/*
 * switch_program.c - the promises of sched/switch.h, for one processor. It needs nothing but
 * the assembly: aarch64.sh runs it under an emulator, and natively for comparison.
 *
 * Two contexts switch to and fro while each holds its own values in every register the
 * calling convention makes it keep, and its own rounding mode.
 */
#include "sched/switch.h"

#include <fenv.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 100000
#define STACK_BYTES (64 * 1024)

/*
 * Fill every callee-saved register with base + its number, switch, and count those that
 * come back with something else.
 */
int switch_holding(void **save, void *load, uintptr_t base);

#if defined(__aarch64__)
__asm__("	.text\n"
	"	.balign 16\n"
	"switch_holding:\n"
	"	stp x29, x30, [sp, #-192]!\n"
	"	stp x19, x20, [sp, #16]\n"
	"	stp x21, x22, [sp, #32]\n"
	"	stp x23, x24, [sp, #48]\n"
	"	stp x25, x26, [sp, #64]\n"
	"	stp x27, x28, [sp, #80]\n"
	"	stp d8, d9, [sp, #96]\n"
	"	stp d10, d11, [sp, #112]\n"
	"	stp d12, d13, [sp, #128]\n"
	"	stp d14, d15, [sp, #144]\n"
	"	str x2, [sp, #160]\n"
	"	.irp r, 19,20,21,22,23,24,25,26,27,28,29\n"
	"	add x\\r, x2, #\\r\n"
	"	.endr\n"
	"	.irp r, 8,9,10,11,12,13,14,15\n"
	"	add x9, x2, #\\r\n"
	"	fmov d\\r, x9\n"
	"	.endr\n"
	"	bl weft_switch\n"
	"	mov w0, #0\n"
	"	ldr x2, [sp, #160]\n"
	"	.irp r, 19,20,21,22,23,24,25,26,27,28,29\n"
	"	add x9, x2, #\\r\n"
	"	cmp x9, x\\r\n"
	"	cinc w0, w0, ne\n"
	"	.endr\n"
	"	.irp r, 8,9,10,11,12,13,14,15\n"
	"	add x9, x2, #\\r\n"
	"	fmov x10, d\\r\n"
	"	cmp x9, x10\n"
	"	cinc w0, w0, ne\n"
	"	.endr\n"
	"	ldp d14, d15, [sp, #144]\n"
	"	ldp d12, d13, [sp, #128]\n"
	"	ldp d10, d11, [sp, #112]\n"
	"	ldp d8, d9, [sp, #96]\n"
	"	ldp x27, x28, [sp, #80]\n"
	"	ldp x25, x26, [sp, #64]\n"
	"	ldp x23, x24, [sp, #48]\n"
	"	ldp x21, x22, [sp, #32]\n"
	"	ldp x19, x20, [sp, #16]\n"
	"	ldp x29, x30, [sp], #192\n"
	"	ret\n");
#elif defined(__x86_64__)
__asm__("	.text\n"
	"	.balign 16\n"
	"switch_holding:\n"
	"	pushq %rbx\n"
	"	pushq %rbp\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	pushq %rdx\n"
	"	leaq 1(%rdx), %rbx\n"
	"	leaq 2(%rdx), %rbp\n"
	"	leaq 12(%rdx), %r12\n"
	"	leaq 13(%rdx), %r13\n"
	"	leaq 14(%rdx), %r14\n"
	"	leaq 15(%rdx), %r15\n"
	"	call weft_switch\n"
	"	popq %rdx\n"
	"	xorl %eax, %eax\n"
	"	.macro wants register, number\n"
	"	leaq \\number(%rdx), %rcx\n"
	"	cmpq %rcx, \\register\n"
	"	setne %cl\n"
	"	movzbl %cl, %ecx\n"
	"	addl %ecx, %eax\n"
	"	.endm\n"
	"	wants %rbx, 1\n"
	"	wants %rbp, 2\n"
	"	wants %r12, 12\n"
	"	wants %r13, 13\n"
	"	wants %r14, 14\n"
	"	wants %r15, 15\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbp\n"
	"	popq %rbx\n"
	"	ret\n");
#else
#error "write switch_holding for this processor"
#endif

struct pair {
	void *outside, *inside; /* saved contexts */
	long turns;
	int wrong;
	int unaligned;
	int rounding;
};

/* Both the word that fegetround reads and the arithmetic: x86-64 has a mode for each. */
static int rounds(int mode)
{
	static const double third = 1.0 / 3.0; /* to nearest, which is downward here */
	volatile double one = 1.0, three = 3.0;

	return fegetround() == mode && (one / three > third) == (mode == FE_UPWARD);
}

static void inside(void *arg)
{
	struct pair *pair = arg;
	/* a local that the compiler aligns by trusting the stack pointer it was given */
	_Alignas(16) char probe[16];
	uintptr_t address = (uintptr_t)probe;

	__asm__ volatile("" : "+r"(address)); /* the compiler knows the answer it wants */
	pair->unaligned = (address & 15) != 0;
	fesetround(FE_UPWARD);
	for (;;) {
		pair->turns++;
		pair->wrong += switch_holding(&pair->inside, pair->outside, 0x5500);
		pair->rounding += !rounds(FE_UPWARD);
	}
}

static int expect(int good, const char *what)
{
	if (!good)
		printf("wrong: %s\n", what);
	return !good;
}

int main(void)
{
	struct pair pair = { 0 };
	char *stack = aligned_alloc(16, STACK_BYTES);
	int bad = 0;

	pair.inside = weft_switch_prepare(stack + STACK_BYTES, inside, &pair);
	for (int i = 0; i < ROUNDS; i++) {
		pair.wrong += switch_holding(&pair.outside, pair.inside, 0xaa00);
		pair.rounding += !rounds(FE_TONEAREST);
	}
	bad += expect(pair.turns == ROUNDS, "every switch arrives once");
	bad += expect(pair.wrong == 0, "callee-saved registers stay with their context");
	bad += expect(pair.rounding == 0, "the rounding mode stays with its context");
	bad += expect(!pair.unaligned, "a fresh context has an aligned stack");
	free(stack);
	return bad != 0;
}
