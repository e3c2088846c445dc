/* SPDX-License-Identifier: MIT */
/*
 * mutate - small random changes to an input, for the fuzz programs where no fuzzing engine drives them:
 * the same changes in every run.
 */
#ifndef WEFT_TESTS_FUZZ_MUTATE_H
#define WEFT_TESTS_FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((random_state >> 33) % n);
}

/* One change to n > 0 bytes of data, which holds up to room; the new n. interesting: a string of bytes that
 * the reader treats specially, its end among them. */
static size_t mutate(uint8_t *data, size_t n, size_t room, const char *interesting)
{
	uint32_t at = random_below((uint32_t)n);
	uint32_t len = random_below((uint32_t)(n - at)) + 1;

	switch (random_below(4)) {
	case 0:
		data[at] = (uint8_t)interesting[random_below((uint32_t)strlen(interesting) + 1)];
		return n;
	case 1:
		data[at] ^= (uint8_t)(1u << random_below(8));
		return n;
	case 2: /* cut a piece out */
		if (len == n)
			return n;
		memmove(data + at, data + at + len, n - at - len);
		return n - len;
	default: /* say a piece twice */
		if (n + len > room)
			return n;
		memmove(data + at + len, data + at, n - at);
		return n + len;
	}
}

#endif
