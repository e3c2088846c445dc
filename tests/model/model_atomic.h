/* SPDX-License-Identifier: MIT */
/*
 * model_atomic - what lib/base/atomic.h includes in WEFT_MODEL builds: every operation by its
 * name and order, carried out by the explorer. It also has the orders that atomic.h does not offer,
 * since run-mutants weakens an operation by writing another suffix.
 *
 * The _Atomic fields are only ever used by their address here; each operation knows the text of
 * its operand, for the trace of a failure.
 */
#ifndef WEFT_TESTS_MODEL_ATOMIC_H
#define WEFT_TESTS_MODEL_ATOMIC_H

#include "explore.h"

#define model_type(p) __typeof__((void)0, *(p))

#define model_op_load(p, order)                                                          \
	((model_type(p))model_load((p), sizeof(*(p)), (order), #p))
#define model_op_store(p, v, order)                                                      \
	model_store((p), sizeof(*(p)), (uint64_t)(model_type(p))(v), (order), #p)
#define model_op_update(how, p, v, order)                                                \
	({ /* a value that need not be used */                                           \
		model_type(p) model_old = (model_type(p))model_update((how), (p),        \
			sizeof(*(p)), (uint64_t)(model_type(p))(v), (order), #p);        \
		model_old;                                                               \
	})
#define model_op_cas(p, expected, v, order, failed)                                      \
	model_cas((p), sizeof(*(p)), (expected), (uint64_t)(model_type(p))(v), (order),  \
		(failed), #p)

#define weft_load_relaxed(p) model_op_load(p, MODEL_RELAXED)
#define weft_load_acquire(p) model_op_load(p, MODEL_ACQUIRE)
#define weft_load_seq_cst(p) model_op_load(p, MODEL_SEQ_CST)

#define weft_store_relaxed(p, v) model_op_store(p, v, MODEL_RELAXED)
#define weft_store_release(p, v) model_op_store(p, v, MODEL_RELEASE)
#define weft_store_seq_cst(p, v) model_op_store(p, v, MODEL_SEQ_CST)

#define weft_xchg_relaxed(p, v) model_op_update(MODEL_XCHG, p, v, MODEL_RELAXED)
#define weft_xchg_acquire(p, v) model_op_update(MODEL_XCHG, p, v, MODEL_ACQUIRE)
#define weft_xchg_release(p, v) model_op_update(MODEL_XCHG, p, v, MODEL_RELEASE)
#define weft_xchg_acq_rel(p, v) model_op_update(MODEL_XCHG, p, v, MODEL_ACQ_REL)
#define weft_xchg_seq_cst(p, v) model_op_update(MODEL_XCHG, p, v, MODEL_SEQ_CST)

#define weft_cas_relaxed(p, e, v) model_op_cas(p, e, v, MODEL_RELAXED, MODEL_RELAXED)
#define weft_cas_acquire(p, e, v) model_op_cas(p, e, v, MODEL_ACQUIRE, MODEL_ACQUIRE)
#define weft_cas_release(p, e, v) model_op_cas(p, e, v, MODEL_RELEASE, MODEL_RELAXED)
#define weft_cas_acq_rel(p, e, v) model_op_cas(p, e, v, MODEL_ACQ_REL, MODEL_ACQUIRE)
#define weft_cas_seq_cst(p, e, v) model_op_cas(p, e, v, MODEL_SEQ_CST, MODEL_SEQ_CST)

#define weft_add_relaxed(p, v) model_op_update(MODEL_ADD, p, v, MODEL_RELAXED)
#define weft_add_acquire(p, v) model_op_update(MODEL_ADD, p, v, MODEL_ACQUIRE)
#define weft_add_release(p, v) model_op_update(MODEL_ADD, p, v, MODEL_RELEASE)
#define weft_add_acq_rel(p, v) model_op_update(MODEL_ADD, p, v, MODEL_ACQ_REL)
#define weft_add_seq_cst(p, v) model_op_update(MODEL_ADD, p, v, MODEL_SEQ_CST)

#define weft_sub_relaxed(p, v) model_op_update(MODEL_SUB, p, v, MODEL_RELAXED)
#define weft_sub_acquire(p, v) model_op_update(MODEL_SUB, p, v, MODEL_ACQUIRE)
#define weft_sub_release(p, v) model_op_update(MODEL_SUB, p, v, MODEL_RELEASE)
#define weft_sub_acq_rel(p, v) model_op_update(MODEL_SUB, p, v, MODEL_ACQ_REL)
#define weft_sub_seq_cst(p, v) model_op_update(MODEL_SUB, p, v, MODEL_SEQ_CST)

#define weft_or_relaxed(p, v) model_op_update(MODEL_OR, p, v, MODEL_RELAXED)
#define weft_or_acquire(p, v) model_op_update(MODEL_OR, p, v, MODEL_ACQUIRE)
#define weft_or_release(p, v) model_op_update(MODEL_OR, p, v, MODEL_RELEASE)
#define weft_or_acq_rel(p, v) model_op_update(MODEL_OR, p, v, MODEL_ACQ_REL)
#define weft_or_seq_cst(p, v) model_op_update(MODEL_OR, p, v, MODEL_SEQ_CST)

#define weft_and_relaxed(p, v) model_op_update(MODEL_AND, p, v, MODEL_RELAXED)
#define weft_and_acquire(p, v) model_op_update(MODEL_AND, p, v, MODEL_ACQUIRE)
#define weft_and_release(p, v) model_op_update(MODEL_AND, p, v, MODEL_RELEASE)
#define weft_and_acq_rel(p, v) model_op_update(MODEL_AND, p, v, MODEL_ACQ_REL)
#define weft_and_seq_cst(p, v) model_op_update(MODEL_AND, p, v, MODEL_SEQ_CST)

#define weft_fence_seq_cst() model_fence()
#define weft_compiler_barrier() ((void)0)
#define weft_cpu_relax() model_relax()

#endif
