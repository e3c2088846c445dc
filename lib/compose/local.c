/* SPDX-License-Identifier: MIT */
/*
 * local - what a task keeps under its keys.
 *
 * A frame has two sets of values: those of its own, and those it hands down. A child gets the whole set
 * that is handed down by sharing it, at the price of one increment; who sets something in a set
 * that is shared takes a copy first. A set holds its values by reference, since copies share them: the
 * last reference to a value drops it.
 *
 * sets:   changed by the task whose frame names it, while refs is 1; only it could share the set then.
 * values: written before they are in a set, read-only afterwards.
 * keys:   appended under keys_lock, read-only afterwards.
 *
 * LK1  weft_key_create: release store of key_count  ->  is_key: acquire load. Weaker: the drop function
 *      of a key that was guessed is read half written.
 * LK2  put_value, weft_values_release: acq_rel decrement of refs  ->  the one that takes it to zero, and who
 *      finds itself the only holder (acquire load). Weaker: a value is dropped, or a set changed, while
 *      another task's use of it is not over.
 */
#include <weft/local.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sched/frame.h"
#include "sched/task.h"
#include "sched/wait.h"

struct value {
	_Atomic(uint32_t) refs; /* sets that hold it: LK2 */
	weft_key key;
	void *pointer;
};

struct weft_values {
	_Atomic(uint32_t) refs; /* frames and tasks not yet started: LK2 */
	uint32_t count, room;
	struct value *value[];
};

enum { ROOM_STEP = 4 };

/* -- keys -------------------------------------------------------------------------------------- */

static struct {
	weft_drop drop;
	bool inherit;
} keys[WEFT_KEYS_MAX];

static _Atomic(uint32_t) key_count; /* LK1 */
static struct weft_spin keys_lock;

_Atomic(uint32_t) weft_values_inherit;

int weft_key_create(weft_key *key, weft_drop drop, unsigned flags)
{
	uint32_t count;

	if (!key || (flags & ~(unsigned)WEFT_KEY_INHERIT))
		return -EINVAL;
	weft_spin_lock(&keys_lock);
	count = weft_load_relaxed(&key_count);
	if (count < WEFT_KEYS_MAX) {
		keys[count].drop = drop;
		keys[count].inherit = flags & WEFT_KEY_INHERIT;
		if (keys[count].inherit)
			weft_store_relaxed(&weft_values_inherit, 1);
		weft_store_release(&key_count, count + 1); /* LK1 */
		*key = count + 1;
	}
	weft_spin_unlock(&keys_lock);
	return count < WEFT_KEYS_MAX ? 0 : -ENOSPC;
}

static bool is_key(weft_key key)
{
	return key > 0 && key <= weft_load_acquire(&key_count); /* LK1 */
}

/* -- sets of values ---------------------------------------------------------------------------- */

static void put_value(struct value *value)
{
	weft_drop drop = keys[value->key - 1].drop;
	void *pointer = value->pointer;

	if (weft_sub_acq_rel(&value->refs, 1) > 1) /* LK2 */
		return;
	free(value);
	if (drop)
		drop(pointer);
}

struct weft_values *weft_values_share(struct weft_values *values)
{
	weft_add_relaxed(&values->refs, 1);
	return values;
}

void weft_values_release(struct weft_values *values)
{
	if (!values || weft_sub_acq_rel(&values->refs, 1) > 1) /* LK2 */
		return;
	for (uint32_t i = 0; i < values->count; i++)
		put_value(values->value[i]);
	free(values);
}

static struct value **find(struct weft_values *values, weft_key key)
{
	for (uint32_t i = 0; values && i < values->count; i++) {
		if (values->value[i]->key == key)
			return &values->value[i];
	}
	return NULL;
}

/* With room for one more, and the caller's alone. */
static struct weft_values *copy_of(const struct weft_values *values)
{
	uint32_t count = values ? values->count : 0;
	uint32_t room = (count / ROOM_STEP + 1) * ROOM_STEP;
	struct weft_values *copy = malloc(sizeof(*copy) + room * sizeof(copy->value[0]));

	if (!copy)
		return NULL;
	weft_store_relaxed(&copy->refs, 1);
	copy->count = count;
	copy->room = room;
	for (uint32_t i = 0; i < count; i++) {
		copy->value[i] = values->value[i];
		weft_add_relaxed(&copy->value[i]->refs, 1);
	}
	return copy;
}

/* Make *set one that its task may change, with room for one more. 0 or -ENOMEM. */
static int make_own(struct weft_values **set)
{
	struct weft_values *values = *set, *copy;

	if (values && values->count < values->room && weft_load_acquire(&values->refs) == 1) /* LK2 */
		return 0;
	copy = copy_of(values);
	if (!copy)
		return -ENOMEM;
	*set = copy;
	weft_values_release(values); /* drops nothing: the copy holds it all */
	return 0;
}

static struct value *new_value(weft_key key, void *pointer)
{
	struct value *value = malloc(sizeof(*value));

	if (!value)
		return NULL;
	weft_store_relaxed(&value->refs, 1);
	value->key = key;
	value->pointer = pointer;
	return value;
}

/* The set is the caller's alone. What it held under the key, or NULL. */
static struct value *replace(struct weft_values *values, weft_key key, struct value *with)
{
	struct value **place = find(values, key);
	struct value *old = place ? *place : NULL;

	if (place && with)
		*place = with;
	else if (place)
		*place = values->value[--values->count];
	else if (with)
		values->value[values->count++] = with;
	return old;
}

/* -- the calling task's ------------------------------------------------------------------------ */

static struct weft_values **set_of(struct weft_frame *frame, weft_key key)
{
	return keys[key - 1].inherit ? &frame->inherited : &frame->own;
}

void *weft_get(weft_key key)
{
	struct weft_frame *frame = weft_frame_current();
	struct value **value;

	if (!frame || !frame->has_values || !is_key(key))
		return NULL;
	value = find(*set_of(frame, key), key);
	return value ? (*value)->pointer : NULL;
}

int weft_set(weft_key key, void *pointer)
{
	struct weft_frame *frame = weft_frame_current();
	struct value *value = NULL;
	struct weft_values **set;

	if (!frame)
		return weft_no_task();
	if (!is_key(key))
		return -EINVAL;
	if (weft_get(key) == pointer)
		return 0;
	if (pointer && !(value = new_value(key, pointer)))
		return -ENOMEM;
	if (!frame->has_values)
		weft_frame_keep_values(frame, NULL);
	set = set_of(frame, key);
	if (make_own(set) < 0) {
		free(value);
		return -ENOMEM;
	}
	value = replace(*set, key, value);
	if (value)
		put_value(value); /* last, since it may run anything, this function too */
	return 0;
}

void weft_values_end(struct weft_frame *frame)
{
	/* A drop may set values again; this ends unless they set some for ever. */
	while (frame->own || frame->inherited) {
		struct weft_values *own = frame->own, *inherited = frame->inherited;

		frame->own = frame->inherited = NULL;
		weft_values_release(own);
		weft_values_release(inherited);
	}
}
