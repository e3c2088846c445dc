/* SPDX-License-Identifier: MIT */
/*
 * buffer - bytes in memory that grows: what a client sent, what it is to be sent, what is to be
 * appended to the file. Belongs to one task at a time, or to the holder of a guard.
 */
#ifndef WEFT_BENCH_CACHE_BUFFER_H
#define WEFT_BENCH_CACHE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A run of bytes somewhere else, NULs among them. */
struct text {
	const char *at;
	size_t len;
};

#define TEXT(literal) ((struct text){"" literal, sizeof(literal) - 1})

/* Zero-initialised it is empty. */
struct buffer {
	char *data;
	size_t len;
	size_t room;
	bool failed; /* memory ran out once: something is missing in it */
};

/* Makes room for `more` bytes behind what is there; false, and failed, when memory is out. */
bool buffer_grow(struct buffer *buffer, size_t more);

/* Frees the memory; the buffer is empty and usable again. */
void buffer_finish(struct buffer *buffer);

static inline bool buffer_reserve(struct buffer *buffer, size_t more)
{
	return buffer->room - buffer->len >= more || buffer_grow(buffer, more);
}

static inline void buffer_put(struct buffer *buffer, const void *bytes, size_t n)
{
	if (!n || !buffer_reserve(buffer, n))
		return;
	memcpy(buffer->data + buffer->len, bytes, n);
	buffer->len += n;
}

#endif
