/* SPDX-License-Identifier: MIT */
/*
 * AArch64, AAPCS64. A saved context, from its stack pointer up:
 *   x19..x28, x29, x30, d8..d15, fpcr: 21 words, 176 bytes with padding.
 */
	.text
	.globl	weft_switch
	.hidden	weft_switch
	.type	weft_switch, %function
	.balign	16
weft_switch:
	.cfi_startproc
	hint	#34			/* bti c */
	sub	sp, sp, #176
	.cfi_adjust_cfa_offset 176
	stp	x19, x20, [sp, #0]
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	.cfi_rel_offset x29, 80
	.cfi_rel_offset x30, 88
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mrs	x9, fpcr
	str	x9, [sp, #160]
	mov	x10, sp
	str	x10, [x0]
	mov	sp, x1
	ldr	x11, [sp, #160]
	cmp	x9, x11
	b.eq	1f
	msr	fpcr, x11
1:	ldp	d14, d15, [sp, #144]
	ldp	d12, d13, [sp, #128]
	ldp	d10, d11, [sp, #112]
	ldp	d8, d9, [sp, #96]
	ldp	x29, x30, [sp, #80]
	ldp	x27, x28, [sp, #64]
	ldp	x25, x26, [sp, #48]
	ldp	x23, x24, [sp, #32]
	ldp	x21, x22, [sp, #16]
	ldp	x19, x20, [sp, #0]
	add	sp, sp, #176
	.cfi_adjust_cfa_offset -176
	.cfi_restore x29
	.cfi_restore x30
	ret
	.cfi_endproc
	.size	weft_switch, . - weft_switch

/* Where a fresh context begins: x19 holds the argument, x20 the function. */
	.type	weft_switch_entry, %function
	.balign	16
weft_switch_entry:
	.cfi_startproc
	.cfi_undefined x30
	hint	#36			/* bti j */
	mov	x29, #0
	mov	x30, #0
	mov	x0, x19
	blr	x20
	brk	#1
	.cfi_endproc
	.size	weft_switch_entry, . - weft_switch_entry

/* void *weft_switch_prepare(void *top, void (*entry)(void *), void *arg) */
	.globl	weft_switch_prepare
	.hidden	weft_switch_prepare
	.type	weft_switch_prepare, %function
	.balign	16
weft_switch_prepare:
	.cfi_startproc
	hint	#34			/* bti c */
	sub	x0, x0, #176
	stp	x2, x1, [x0, #0]
	stp	xzr, xzr, [x0, #16]
	stp	xzr, xzr, [x0, #32]
	stp	xzr, xzr, [x0, #48]
	stp	xzr, xzr, [x0, #64]
	adr	x9, weft_switch_entry
	stp	xzr, x9, [x0, #80]
	stp	xzr, xzr, [x0, #96]
	stp	xzr, xzr, [x0, #112]
	stp	xzr, xzr, [x0, #128]
	stp	xzr, xzr, [x0, #144]
	mrs	x9, fpcr
	str	x9, [x0, #160]
	ret
	.cfi_endproc
	.size	weft_switch_prepare, . - weft_switch_prepare

	.section .note.gnu.property, "a"
	.balign	8
	.long	4
	.long	16
	.long	5
	.asciz	"GNU"
	.long	0xc0000000	/* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
	.long	4
	.long	1		/* BTI */
	.long	0

	.section .note.GNU-stack, "", %progbits
