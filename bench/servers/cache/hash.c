/* SPDX-License-Identifier: MIT */
/*
 * hash - SipHash with one round per word and three at the end.
 */
#include "hash.h"

#include <endian.h>
#include <stdlib.h>
#include <sys/random.h>

static uint64_t secret[2];

void hash_init(void)
{
	if (getrandom(secret, sizeof(secret), 0) != (ssize_t)sizeof(secret))
		abort(); /* up to 256 bytes never come short once the kernel has any */
}

static inline uint64_t rotl(uint64_t word, unsigned by)
{
	return word << by | word >> (64 - by);
}

struct sip {
	uint64_t a, b, c, d;
};

static inline void sip_round(struct sip *s)
{
	s->a += s->b;
	s->c += s->d;
	s->b = rotl(s->b, 13) ^ s->a;
	s->d = rotl(s->d, 16) ^ s->c;
	s->a = rotl(s->a, 32);
	s->c += s->b;
	s->a += s->d;
	s->b = rotl(s->b, 17) ^ s->c;
	s->d = rotl(s->d, 21) ^ s->a;
	s->c = rotl(s->c, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
	s->d ^= word;
	sip_round(s);
	s->a ^= word;
}

uint64_t hash_of(struct text key)
{
	struct sip s = {
		.a = secret[0] ^ 0x736f6d6570736575u,
		.b = secret[1] ^ 0x646f72616e646f6du,
		.c = secret[0] ^ 0x6c7967656e657261u,
		.d = secret[1] ^ 0x7465646279746573u,
	};
	uint64_t word = 0;
	size_t i = 0;

	for (; i + sizeof(word) <= key.len; i += sizeof(word)) {
		memcpy(&word, key.at + i, sizeof(word));
		sip_word(&s, le64toh(word));
	}
	word = (uint64_t)key.len << 56;
	for (unsigned shift = 0; i < key.len; i++, shift += 8)
		word |= (uint64_t)(unsigned char)key.at[i] << shift;
	sip_word(&s, word);
	s.c ^= 0xff;
	for (int rounds = 0; rounds < 3; rounds++)
		sip_round(&s);
	return s.a ^ s.b ^ s.c ^ s.d;
}
