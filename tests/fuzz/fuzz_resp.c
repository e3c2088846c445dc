/* SPDX-License-Identifier: MIT */
/*
 * fuzz_resp - a libFuzzer target for the request parser of bench/servers/cache, with a driver of
 * its own for builds without libFuzzer: the same checks on a fixed number of mutated requests
 * from a fixed seed.
 *
 * Checked for any bytes: the parser stays inside them; it says the same of bytes that come in one
 * piece, one by one, and in two halves; and what it accepts has the shape it promises.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address -DWEFT_LIBFUZZER -Ibench/servers/cache
 * tests/fuzz/fuzz_resp.c bench/servers/cache/{resp,buffer,number}.c
 */
#include "number.h"
#include "resp.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void require(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_resp: %s\n", what);
	abort();
}

/* What the parser said, in a form that outlives its input: lengths and bytes of all strings. */
struct verdict {
	ssize_t used;
	size_t argc;
	struct buffer strings;
};

/* The strings lie inside the bytes in order, or are the words of a line; noted one by one. */
static void note_strings(struct verdict *verdict, const struct resp_request *request,
	const char *data, size_t used)
{
	verdict->argc = request->argc;
	for (size_t i = 0; i < request->argc; i++) {
		struct text arg = resp_arg(request, i);

		if (data[0] == '*') {
			require(arg.at >= data && arg.at + arg.len + 2 <= data + used,
				"a string is inside");
			require(memcmp(arg.at + arg.len, "\r\n", 2) == 0,
				"and has an end");
		} else {
			require(arg.len < used, "a word is no longer than its line");
		}
		resp_put_bulk(&verdict->strings, arg);
	}
}

/* Feeds the bytes in pieces, each in memory of exactly its size so that a look beyond the end is
 * seen by a sanitizer. */
static struct verdict parse_in_pieces(const uint8_t *data, size_t n, size_t piece)
{
	struct resp_request request = {0};
	struct verdict verdict = {0};

	for (size_t have = 0; have < n && verdict.used == 0;) {
		char *exact;

		have = n - have < piece ? n : have + piece;
		exact = malloc(have);
		require(exact != NULL, "out of memory");
		memcpy(exact, data, have);
		verdict.used = resp_parse(&request, exact, have);
		require(verdict.used <= (ssize_t)have,
			"a request is no longer than the bytes");
		require(verdict.used >= -1, "a refusal is -1");
		require((verdict.used == -1) == (request.error[0] != '\0'),
			"it says why");
		if (verdict.used > 0)
			note_strings(&verdict, &request, exact, (size_t)verdict.used);
		free(exact);
	}
	resp_finish(&request);
	return verdict;
}

static void require_same(const struct verdict *a, struct verdict b, const char *how)
{
	require(a->used == b.used && a->argc == b.argc, how);
	require(a->strings.len == b.strings.len, how);
	require(!a->strings.len ||
			memcmp(a->strings.data, b.strings.data, a->strings.len) == 0,
		how);
	buffer_finish(&b.strings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct verdict whole = parse_in_pieces(data, n, n ? n : 1);

	require_same(&whole, parse_in_pieces(data, n, n / 2 + 1), "the same in halves");
	if (n <= 1024)
		require_same(
			&whole, parse_in_pieces(data, n, 1), "the same byte by byte");
	buffer_finish(&whole.strings);
	return 0;
}

#ifndef WEFT_LIBFUZZER

#include "mutate.h"

static const char *const seeds[] = {
	"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\nbc\r\n",
	"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n",
	"SET key \"a \\x41\\n'b\" 'c \\'d' e\r\n",
	"*2\r\n$12\r\n123456789012\r\n$0\r\n\r\n",
	"*0\r\n\r\nPING\n",
};

/* What the parser says of bytes a person can judge: WHOLE, so many strings, or else. */
enum { MORE = -1, WRONG = -2 };

static const struct {
	const char *bytes;
	int says;
} cases[] = {
	{"*1\r\n$4\r\nPING\r\n", 1},
	{"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", 2},
	{"*0\r\n", 0},
	{"*-1\r\n", 0},
	{"\r\n", 0},
	{" \t \n", 0},
	{"PING\r\n", 1},
	{"set a  b\n", 3},
	{"set a \"b c\"\r\n", 3},
	{"set a ''\r\n", 3},
	{"", MORE},
	{"*", MORE},
	{"*1", MORE},
	{"*1\r", MORE},
	{"*1\r\n", MORE},
	{"*1\r\n$4\r\nPIN", MORE},
	{"*1\r\n$4\r\nPING\r", MORE},
	{"*1048576\r\n$536870912\r\n", MORE},
	{"PING", MORE},
	{"*1048577\r\n", WRONG},
	{"*01\r\n", WRONG},
	{"*+1\r\n", WRONG},
	{"* 1\r\n", WRONG},
	{"*1\rx", WRONG},
	{"*99999999999999999999\r\n", WRONG},
	{"*1\r\n*1\r\n", WRONG},
	{"*1\r\n$-1\r\n", WRONG},
	{"*1\r\n$536870913\r\n", WRONG},
	{"*1\r\n$4\r\nPINGPONG\r\n", WRONG},
	{"set a \"b\r\n", WRONG},
	{"set a 'b'c\r\n", WRONG},
};

static void check_cases(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct resp_request r = {0};
		size_t n = strlen(cases[i].bytes);
		ssize_t used = resp_parse(&r, cases[i].bytes, n);
		int says = used < 0 ? WRONG : used == 0 ? MORE : (int)r.argc;

		resp_finish(&r);
		if (says == cases[i].says && (used <= 0 || (size_t)used == n))
			continue;
		fprintf(stderr, "case %zu, %d: %s\n", i, says, cases[i].bytes);
		require(0, "a request is judged wrongly");
	}
}

static void check_number(int64_t value)
{
	char at[NUMBER_MAX];
	struct text text = {at, number_format(at, value)};
	int64_t again = ~value;

	require(number_parse(text, &again) && again == value, "a number there and back");
}

static void check_numbers(void)
{
	static const char *const none[] = {
		"",
		"-",
		"+1",
		"01",
		"-0",
		" 1",
		"1 ",
		"1.0",
		"9223372036854775808",
		"-9223372036854775809",
		"99999999999999999999",
		"0x1",
		"--1",
	};
	int64_t value;

	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		require(!number_parse((struct text){none[i], strlen(none[i])}, &value),
			"that is no number");
	check_number(INT64_MAX);
	check_number(INT64_MIN);
	for (int64_t n = -1100; n < 1100; n++)
		check_number(n);
}

static const char interesting[] = "\r\n*$ -019\"'\\x\xff";

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 100000;
	uint8_t data[1024];

	check_cases();
	check_numbers();
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
