/* SPDX-License-Identifier: MIT */
/*
 * buffer - grows by doubling, so that what it holds is copied a bounded number of times.
 */
#include "buffer.h"

#include <stdint.h>
#include <stdlib.h>

enum { ROOM_MIN = 4096 };

bool buffer_grow(struct buffer *buffer, size_t more)
{
	size_t room = buffer->room ? buffer->room : ROOM_MIN;
	char *data;

	if (more > SIZE_MAX / 4 - buffer->len) {
		buffer->failed = true;
		return false;
	}
	while (room < buffer->len + more)
		room *= 2;
	data = realloc(buffer->data, room);
	if (!data) {
		buffer->failed = true;
		return false;
	}
	buffer->data = data;
	buffer->room = room;
	return true;
}

void buffer_finish(struct buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct buffer){0};
}
