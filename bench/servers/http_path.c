/* SPDX-License-Identifier: MIT */
/*
 * http_path - segment by segment: decode, look, append.
 */
#include "http_path.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

const char *http_path_of(const char *target, size_t *n)
{
	const char *slash;

	if (*n <= 7 || strncasecmp(target, "http://", 7) != 0)
		return target;
	slash = memchr(target + 7, '/', *n - 7);
	if (!slash) {
		*n = 1;
		return "/";
	}
	*n -= (size_t)(slash - target);
	return slash;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the three at `at` stand for; 0 for what is refused. */
static char unescape(const char *at, const char *end)
{
	int high, low;
	char byte;

	if (end - at < 3 || (high = hex(at[1])) < 0 || (low = hex(at[2])) < 0)
		return '\0';
	byte = (char)(high << 4 | low);
	return byte == '/' ? '\0' : byte;
}

/* Appends the segment up to the next slash. Returns where it ended, NULL if it is refused. */
static const char *segment(
	const char *at, const char *end, char *path, size_t *len, long *refusal)
{
	const size_t from = *len;

	for (; at < end && *at != '/'; at++) {
		char byte = *at;

		*refusal = -400;
		if (byte == '#' || byte == '\0')
			return NULL;
		if (byte == '%') {
			byte = unescape(at, end);
			if (byte == '\0')
				return NULL;
			at += 2;
		}
		*refusal = -414;
		if (*len + 2 >= HTTP_PATH_MAX) /* room for a slash and a NUL */
			return NULL;
		path[(*len)++] = byte;
	}
	*refusal = -403;
	if (*len - from <= 2 && *len > from &&
		memcmp(path + from, "..", *len - from) == 0)
		return NULL;
	return at;
}

long http_path_decode(const char *target, size_t n, char *path)
{
	const char *at = http_path_of(target, &n);
	const char *query = memchr(at, '?', n);
	const char *end = query ? query : at + n;
	size_t len = 0;

	if (at == end || *at != '/')
		return -400;
	while (at < end) {
		const size_t before = len;
		long refusal;

		at = segment(at + 1, end, path, &len, &refusal);
		if (!at)
			return refusal;
		if (at < end && len > before)
			path[len++] = '/';
	}
	path[len] = '\0';
	return (long)len;
}
