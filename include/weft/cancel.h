/* SPDX-License-Identifier: MIT */
#ifndef WEFT_CANCEL_H
#define WEFT_CANCEL_H

#include <stdint.h>

#include <weft/base.h>

WEFT_EXTERN_C_BEGIN

struct weft_task;

struct weft_scope {
	uint64_t opaque_[8];
};
WEFT_ASSERT_SIZE_(struct weft_scope, 64);

WEFT_API int weft_cancel(struct weft_task *task);
WEFT_API int weft_cancelled(void);
WEFT_API int weft_checkpoint(void);
WEFT_API int weft_uncancel(void);
WEFT_API void weft_deadline_begin(struct weft_scope *scope, weft_ns from_now);
WEFT_API void weft_deadline_move(struct weft_scope *scope, weft_ns from_now);
WEFT_API void weft_shield_begin(struct weft_scope *scope, weft_ns at_most);
WEFT_API int weft_scope_end(struct weft_scope *scope);

WEFT_EXTERN_C_END

#endif /* WEFT_CANCEL_H */
