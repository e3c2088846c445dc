/* SPDX-License-Identifier: MIT */
/*
 * fuzz_http_parse - a libFuzzer target for the request parser of bench/servers, with a
 * driver of its own for builds without libFuzzer: the same checks on a fixed number of
 * mutated requests from a fixed seed.
 *
 * Checked for any bytes: the parser stays inside them; it says the same of bytes that come
 * in one piece, one by one, and in two halves; and what it accepts has the shape it
 * promises.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address -DWEFT_LIBFUZZER -Ibench/servers
 * tests/fuzz/fuzz_http_parse.c bench/servers/http_parse.c
 */
#include "http_parse.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void require(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_http_parse: %s\n", what);
	abort();
}

/* Feeds the bytes in pieces, each in memory of exactly its size so that a look beyond
 * the end is seen by a sanitizer. */
static long parse_in_pieces(
	struct http_request *request, const uint8_t *data, size_t n, size_t piece)
{
	long rc = 0;

	memset(request, 0, sizeof(*request));
	for (size_t have = 0; have < n && rc == 0;) {
		char *exact;

		have = n - have < piece ? n : have + piece;
		exact = malloc(have);
		require(exact != NULL, "out of memory");
		memcpy(exact, data, have);
		rc = http_parse(request, exact, have);
		free(exact);
	}
	return rc;
}

static void check_accepted(const struct http_request *r, const uint8_t *data, size_t head)
{
	require(memcmp(data + head - 4, "\r\n\r\n", 4) == 0,
		"a head ends in an empty line");
	require(r->method <= HTTP_UNKNOWN && r->minor <= 1,
		"method and version are known");
	require(r->target_len > 0 && r->target + r->target_len < head,
		"the target is inside");
	for (size_t i = 0; i < r->target_len; i++)
		require(data[r->target + i] > ' ' && data[r->target + i] != 0x7f,
			"the target is visible");
	require(!r->chunked || !r->has_length, "a body is delimited in one way");
	require(r->minor == 0 || r->has_host, "there is a host");
	require(memchr(data, '\0', head) == NULL, "there is no NUL");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const size_t refusals[] = {400, 431, 505};
	struct http_request whole, pieces, halves;
	long rc = parse_in_pieces(&whole, data, n, n ? n : 1);
	int known = rc >= 0;

	require(rc <= (long)n, "a head is no longer than the bytes");
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++)
		known |= rc == -(long)refusals[i];
	require(known, "a refusal is one of three");
	if (rc > 0)
		check_accepted(&whole, data, (size_t)rc);
	require(rc == parse_in_pieces(&halves, data, n, n / 2 + 1), "the same in halves");
	if (n > 1024)
		return 0;
	require(rc == parse_in_pieces(&pieces, data, n, 1), "the same byte by byte");
	if (rc > 0)
		require(memcmp(&whole.method, &pieces.method,
				offsetof(struct http_request, line)) == 0,
			"the same request byte by byte");
	return 0;
}

#ifndef WEFT_LIBFUZZER

#include "mutate.h"

static const char *const seeds[] = {
	"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST /x?y=1 HTTP/1.0\r\nContent-Length: 12\r\nConnection: keep-alive, "
	"close\r\n\r\n",
	"\r\nHEAD http://h/ HTTP/1.1\r\nhost:\th \r\nTransfer-Encoding: chunked\r\n\r\n",
	"PUT * HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: "
	"0\r\n\r\nGET /",
};

/* What the parser says of requests a person can judge; WHOLE: a head of all its bytes. */
enum { WHOLE = 1 };

static const struct {
	const char *bytes;
	long says;
} cases[] = {
	{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", WHOLE},
	{"GET / HTTP/1.0\r\n\r\n", WHOLE},
	{"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", WHOLE},
	{"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", WHOLE},
	{"GET / HTTP/1.7\r\nHost: a\r\n\r\n", WHOLE},
	{"GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \ta\tb \r\n\r\n", WHOLE},
	{"GET / HTTP/1.1\r\nHost: a\r\n", 0},
	{"GET / HT", 0},
	{"", 0},
	{"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", -400},
	{"GET / HTTP/1.1\nHost: a\n\n", -400},
	{"GET / HTTP/1.1\r\n\r\n", -400},
	{"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", -400},
	{"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", -400},
	{"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", -400},
	{"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", -400},
	{"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", -400},
	{"GET / http/1.1\r\nHost: a\r\n\r\n", -400},
	{"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", -400},
	{"GET / HTTP/1.1\r\nHost : a\r\n\r\n", -400},
	{"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n", -400},
	{"GET / HTTP/1.1\r\nHost: a\r\nX: 1234567890\x7f\r\n\r\n", -400},
	{"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", -400},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", -400},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", -400},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\n",
		-400},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
		-400},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: "
	 "chunked\r\n\r\n",
		-400},
	{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", -400},
	{"GET / HTTP/2.0\r\nHost: a\r\n\r\n", -505},
};

static void check_cases(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct http_request r = {0};
		size_t n = strlen(cases[i].bytes);
		long rc = http_parse(&r, cases[i].bytes, n);

		if (rc == (cases[i].says == WHOLE ? (long)n : cases[i].says))
			continue;
		fprintf(stderr, "case %zu, %ld: %s\n", i, rc, cases[i].bytes);
		require(0, "a request is judged wrongly");
	}
}

static void check_connection(const char *version, const char *field, int keeps)
{
	struct http_request r = {0};
	char text[128];

	snprintf(
		text, sizeof(text), "GET / HTTP/%s\r\nHost: a\r\n%s\r\n", version, field);
	require(http_parse(&r, text, strlen(text)) > 0, "a good request");
	require(r.keep_alive == keeps, "whether the connection stays");
}

static const char interesting[] = "\r\n\t :,/.09aZ\x7f\x80\xff";

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
	uint8_t data[1024];

	check_cases();
	check_connection("1.1", "", 1);
	check_connection("1.1", "Connection: foo, CLOSE\r\n", 0);
	check_connection("1.0", "", 0);
	check_connection("1.0", "connection: Keep-Alive\r\n", 1);
	check_connection("1.0", "Connection: keep-alive ,close\r\n", 0);
	for (unsigned long i = 0; i < rounds; i++) {
		const char *seed = seeds[i % (sizeof(seeds) / sizeof(*seeds))];
		size_t n = strlen(seed);

		memcpy(data, seed, n);
		for (uint32_t times = random_below(6); times; times--)
			n = mutate(data, n, sizeof(data), interesting);
		LLVMFuzzerTestOneInput(data, n);
	}
	printf("%lu requests\n", rounds);
	return 0;
}

#endif
