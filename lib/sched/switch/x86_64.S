/* SPDX-License-Identifier: MIT */
/*
 * x86-64, System V. A saved context, from its stack pointer up:
 *   mxcsr (4) x87 control word (4), r15, r14, r13, r12, rbx, rbp, address to continue at.
 * Left by ret. Its call was made on another stack, but from the same place nearly always, so what the
 * processor remembers of that call is the right address; and a jmp would leave it remembered, so that
 * each return after it, of all the callers, is mispredicted. Shadow stacks are not supported, so the
 * note at the end promises indirect branch tracking only.
 */
	.text
	.globl	weft_switch
	.hidden	weft_switch
	.type	weft_switch, @function
	.balign	16
weft_switch:
	.cfi_startproc
	endbr64
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r13, 0
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r14, 0
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r15, 0
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movl	(%rsp), %eax
	movzwl	4(%rsp), %ecx
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	.cfi_remember_state
	/* Loading control words is slow and they are nearly always equal. */
	cmpl	%eax, (%rsp)
	jne	.Lload_mxcsr
.Lmxcsr_done:
	cmpw	%cx, 4(%rsp)
	jne	.Lload_x87
.Lx87_done:
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r15
	popq	%r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r14
	popq	%r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r13
	popq	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	ret
.Lload_mxcsr:
	.cfi_restore_state
	ldmxcsr	(%rsp)
	jmp	.Lmxcsr_done
.Lload_x87:
	fldcw	4(%rsp)
	jmp	.Lx87_done
	.cfi_endproc
	.size	weft_switch, . - weft_switch

/* Where a fresh context begins: rbx holds the argument, r12 the function. */
	.type	weft_switch_entry, @function
	.balign	16
weft_switch_entry:
	.cfi_startproc
	.cfi_undefined %rip
	xorl	%ebp, %ebp
	movq	%rbx, %rdi
	call	*%r12
	ud2
	.cfi_endproc
	.size	weft_switch_entry, . - weft_switch_entry

/* void *weft_switch_prepare(void *top, void (*entry)(void *), void *arg) */
	.globl	weft_switch_prepare
	.hidden	weft_switch_prepare
	.type	weft_switch_prepare, @function
	.balign	16
weft_switch_prepare:
	.cfi_startproc
	endbr64
	leaq	-64(%rdi), %rax
	stmxcsr	(%rax)
	movl	$0, 4(%rax)
	fnstcw	4(%rax)
	xorl	%ecx, %ecx
	movq	%rcx, 8(%rax)
	movq	%rcx, 16(%rax)
	movq	%rcx, 24(%rax)
	movq	%rsi, 32(%rax)
	movq	%rdx, 40(%rax)
	movq	%rcx, 48(%rax)
	leaq	weft_switch_entry(%rip), %rcx
	movq	%rcx, 56(%rax)
	ret
	.cfi_endproc
	.size	weft_switch_prepare, . - weft_switch_prepare

	.section .note.gnu.property, "a"
	.balign	8
	.long	4
	.long	16
	.long	5
	.asciz	"GNU"
	.long	0xc0000002	/* GNU_PROPERTY_X86_FEATURE_1_AND */
	.long	4
	.long	1		/* IBT */
	.long	0

	.section .note.GNU-stack, "", @progbits
