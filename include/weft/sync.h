/* SPDX-License-Identifier: MIT */
#ifndef WEFT_SYNC_H
#define WEFT_SYNC_H

#include <stddef.h>
#include <stdint.h>

#include <weft/base.h>

WEFT_EXTERN_C_BEGIN

struct weft_mutex {
	uint64_t opaque_[4];
};
WEFT_ASSERT_SIZE_(struct weft_mutex, 32);

struct weft_cond {
	uint64_t opaque_[4];
};
WEFT_ASSERT_SIZE_(struct weft_cond, 32);

struct weft_sem {
	uint64_t opaque_[4];
};
WEFT_ASSERT_SIZE_(struct weft_sem, 32);

struct weft_event_flag {
	uint64_t opaque_[4];
};
WEFT_ASSERT_SIZE_(struct weft_event_flag, 32);

struct weft_chan;

WEFT_API int weft_mutex_lock(struct weft_mutex *mutex);
WEFT_API int weft_mutex_trylock(struct weft_mutex *mutex);
WEFT_API int weft_mutex_unlock(struct weft_mutex *mutex);

WEFT_API int weft_cond_wait(struct weft_cond *cond, struct weft_mutex *mutex);
WEFT_API void weft_cond_signal(struct weft_cond *cond);
WEFT_API void weft_cond_broadcast(struct weft_cond *cond);

WEFT_API void weft_sem_init(struct weft_sem *sem, unsigned count);
WEFT_API int weft_sem_acquire(struct weft_sem *sem, unsigned n);
WEFT_API int weft_sem_try_acquire(struct weft_sem *sem, unsigned n);
WEFT_API void weft_sem_release(struct weft_sem *sem, unsigned n);

WEFT_API int weft_event_flag_wait(struct weft_event_flag *flag);
WEFT_API void weft_event_flag_set(struct weft_event_flag *flag);
WEFT_API void weft_event_flag_clear(struct weft_event_flag *flag);
WEFT_API int weft_event_flag_is_set(const struct weft_event_flag *flag);

WEFT_API struct weft_chan *weft_chan_create(size_t item_size, size_t capacity);
WEFT_API int weft_chan_send(struct weft_chan *chan, const void *item);
WEFT_API int weft_chan_recv(struct weft_chan *chan, void *item);
WEFT_API int weft_chan_try_send(struct weft_chan *chan, const void *item);
WEFT_API int weft_chan_try_recv(struct weft_chan *chan, void *item);
WEFT_API size_t weft_chan_len(const struct weft_chan *chan);
WEFT_API void weft_chan_close(struct weft_chan *chan);
WEFT_API void weft_chan_destroy(struct weft_chan *chan);

WEFT_EXTERN_C_END

#endif /* WEFT_SYNC_H */
