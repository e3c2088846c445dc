/* SPDX-License-Identifier: MIT */
/*
 * fuzz_http_files - a libFuzzer target for what the file server of bench/servers reads out of
 * a request: its path, its dates, its conditions and its range; with a driver of its own for
 * builds without libFuzzer: known cases, every day of some centuries against the C library,
 * and a fixed number of mutated texts from a fixed seed.
 *
 * Checked for any bytes: nothing outside of them is read; a path that is accepted stays
 * below its root, however its segments are read; a date that is accepted is the one that
 * its text, formatted again, tells; a part lies inside its file.
 *
 * With libFuzzer: clang -fsanitize=fuzzer,address -DWEFT_LIBFUZZER -Ibench/servers
 * tests/fuzz/fuzz_http_files.c bench/servers/http_{date,path,select}.c
 */
#include "http_date.h"
#include "http_path.h"
#include "http_select.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOW 1700000000 /* in 2023 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void require(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fuzz_http_files: %s\n", what);
	abort();
}

/* In memory of exactly its size, so that a look beyond the end is seen by a sanitizer. */
static char *exactly(const void *data, size_t n)
{
	char *copy = malloc(n ? n : 1);

	require(copy != NULL, "out of memory");
	memcpy(copy, data, n);
	return copy;
}

static void check_path(const uint8_t *data, size_t n)
{
	char *target = exactly(data, n);
	char path[HTTP_PATH_MAX];
	long len = n ? http_path_decode(target, n, path) : -400;
	const char *at = path, *end;

	free(target);
	if (len < 0) {
		require(len == -400 || len == -403 || len == -414,
			"a refusal is one of three");
		return;
	}
	require((size_t)len < sizeof(path) && strlen(path) == (size_t)len,
		"its length is told, there is no NUL inside");
	require(path[0] != '/' && !strstr(path, "//"),
		"it is relative, no segment is empty");
	for (; *at; at = *end ? end + 1 : end) {
		size_t segment;

		end = strchrnul(at, '/');
		segment = (size_t)(end - at);
		require(!(segment == 1 && at[0] == '.'), "no segment is a dot");
		require(!(segment == 2 && memcmp(at, "..", 2) == 0),
			"no segment leads up");
	}
}

static void check_date(const uint8_t *data, size_t n)
{
	char *text = exactly(data, n);
	char again[HTTP_DATE_LEN];
	int64_t seconds, seconds_again;
	bool is_date = http_date_parse(text, n, NOW, &seconds);

	free(text);
	if (!is_date)
		return;
	require(seconds >= INT64_C(-62167219200) && seconds <= INT64_C(253402300800),
		"it lies in the years 0 to 9999");
	if (seconds == INT64_C(253402300800)) /* a leap second after them */
		return;
	http_date_format(seconds, again);
	require(http_date_parse(again, sizeof(again), NOW, &seconds_again) &&
			seconds_again == seconds,
		"formatted and read again it is the same");
}

/* The first bytes choose the fields and the size, the rest are the values. */
static void check_select(const uint8_t *data, size_t n)
{
	static const uint64_t sizes[] = {0, 1, 10, 1000, UINT64_C(1) << 40, INT64_MAX};
	struct http_entity entity = {
		.modified = 784111777, .etag = "\"abc-1\"", .etag_len = 7};
	struct http_request request = {0};
	struct http_selection part;
	struct http_place *places[] = {&request.range, &request.if_range,
		&request.if_modified_since, &request.if_none_match};
	char *head;

	if (n < 4)
		return;
	entity.size = sizes[data[0] % 6];
	request.method = data[1] & 16 ? HTTP_HEAD : HTTP_GET;
	for (size_t i = 0; i < 4; i++) /* from 1 on: a place at 0 is none */
		if (data[1] & 1 << i)
			*places[i] = (struct http_place){i ? 1 + data[2] % n : 1, 0};
	for (size_t i = 0; i < 4; i++)
		if (places[i]->at)
			places[i]->len = n - places[i]->at;
	if (request.range.at &&
		data[3] & 1) { /* as text of its own: hard to hit by chance */
		request.range.at = 4;
		request.range.len = n - 4;
	}
	head = exactly(data, n);
	part = http_select(&request, head, &entity, NOW);
	free(head);
	switch (part.status) {
	case 200:
		require(part.from == 0 && part.len == entity.size, "all is all");
		break;
	case 206:
		require(request.range.at && request.method == HTTP_GET,
			"a part was asked for");
		require(part.len > 0 && part.len <= entity.size &&
				part.from <= entity.size - part.len,
			"a part lies inside");
		break;
	case 304:
		require(request.if_none_match.at || request.if_modified_since.at,
			"there was a condition");
		break;
	default:
		require(part.status == 416 && request.range.at, "a range can be refused");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	check_path(data, n);
	check_date(data, n);
	check_select(data, n);
	return 0;
}

#ifndef WEFT_LIBFUZZER

#include "mutate.h"

static const char *const seeds[] = {
	"/a/b.html?x=1",
	"/%2e%2e/..%2f./x%00y%",
	"http://host/a//b/../c/",
	"Sun, 06 Nov 1994 08:49:37 GMT",
	"Sunday, 06-Nov-94 08:49:37 GMT",
	"Sun Nov  6 08:49:37 1994",
	"\1\1\4\1bytes=0-9",
	"\2\1\4\1bytes=-5",
	"\3\3\4\1bytes=99999999999999999999-5",
	"\3\010\3\0\"x\", W/\"abc-1\", *",
	"\4\6\3\1\"abc-1\"",
};

static const struct {
	const char *target;
	long len;
	const char *path;
} paths[] = {
	{"/", 0, ""},
	{"/a", 1, "a"},
	{"/a/", 2, "a/"},
	{"//a//b//", 4, "a/b/"},
	{"/a%20b?c/../d", 3, "a b"},
	{"/%41%2e%2E.x", 5, "A...x"},
	{"/...", 3, "..."},
	{"/..a/.b", 6, "..a/.b"},
	{"http://h/x", 1, "x"},
	{"HTTP://h", 0, ""},
	{"/.", -403, NULL},
	{"/..", -403, NULL},
	{"/a/../b", -403, NULL},
	{"/%2e%2e", -403, NULL},
	{"/.%2E/x", -403, NULL},
	{"/..?x", -403, NULL},
	{"http://h/..", -403, NULL},
	{"/a%2fb", -400, NULL},
	{"/a%00b", -400, NULL},
	{"/a%", -400, NULL},
	{"/a%4", -400, NULL},
	{"/a%4?1", -400, NULL},
	{"/a%+1", -400, NULL},
	{"/a#b", -400, NULL},
	{"*", -400, NULL},
	{"a", -400, NULL},
	{"?x", -400, NULL},
	{"https://h/", -400, NULL},
};

static void check_paths(void)
{
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		char path[HTTP_PATH_MAX];
		char *target = exactly(paths[i].target, strlen(paths[i].target));
		long len = http_path_decode(target, strlen(paths[i].target), path);

		free(target);
		if (len == paths[i].len && (len < 0 || strcmp(path, paths[i].path) == 0))
			continue;
		fprintf(stderr, "%s: %ld\n", paths[i].target, len);
		require(0, "a path is read wrongly");
	}
}

static void check_long_paths(void)
{
	char target[2 * HTTP_PATH_MAX];

	memset(target, 'x', sizeof(target));
	target[0] = '/';
	for (size_t n = 3; n < sizeof(target); n++)
		for (int slash = 0; slash < 2; slash++) {
			char *path = malloc(HTTP_PATH_MAX);
			long len;

			require(path != NULL, "out of memory");
			target[n - 1] = slash ? '/' : 'x';
			len = http_path_decode(target, n, path);
			target[n - 1] = 'x';
			free(path);
			require(len == (long)n - 1 ||
					(len == -414 && n > HTTP_PATH_MAX - 3),
				"a path that fits is read, one that does not is refused");
			require(len < HTTP_PATH_MAX,
				"and never longer than there is room");
		}
}

/* Against the C library, a day and a second after the other. */
static void check_calendar(void)
{
	for (int64_t at = INT64_C(-11644473600); at < INT64_C(32503680000);
		at += 86400 + 61) {
		char ours[HTTP_DATE_LEN], theirs[64];
		time_t t = (time_t)at;
		struct tm utc;
		int64_t back;

		gmtime_r(&t, &utc);
		strftime(theirs, sizeof(theirs), "%a, %d %b %Y %H:%M:%S GMT", &utc);
		http_date_format(at, ours);
		require(memcmp(ours, theirs, HTTP_DATE_LEN) == 0,
			"the date is the library's");
		require(http_date_parse(ours, HTTP_DATE_LEN, NOW, &back) && back == at,
			"a date is read as it was written");
		strftime(theirs, sizeof(theirs), "%a %b %e %H:%M:%S %Y", &utc);
		require(http_date_parse(theirs, strlen(theirs), NOW, &back) && back == at,
			"so is asctime's");
		strftime(theirs, sizeof(theirs), "%A, %d-%b-%y %H:%M:%S GMT", &utc);
		if (utc.tm_year + 1900 > 1973 && utc.tm_year + 1900 <= 2073)
			require(http_date_parse(theirs, strlen(theirs), NOW, &back) &&
					back == at,
				"so is one of two digits, within 50 years");
	}
}

static void check_no_dates(void)
{
	static const char *const texts[] = {"", "Sun", "Sun, 29 Feb 2023 00:00:00 GMT",
		"Sun, 29 Feb 1900 00:00:00 GMT", "Sun, 31 Apr 2023 00:00:00 GMT",
		"Sun, 00 Jan 2023 00:00:00 GMT", "Sun, 01 Jan 2023 24:00:00 GMT",
		"Sun, 01 Jan 2023 00:60:00 GMT", "Sun, 01 Jan 2023 00:00:61 GMT",
		"Sun, 01 Jan 2023 00:00:00 CET", "Sun, 01 Jan 2023 00:00:00 GMT ",
		"Sun, 1 Jan 2023 00:00:00 GMT", "Sun, 01 jan 2023 00:00:00 GMT",
		"Son, 01 Jan 2023 00:00:00 GMT", "Sun, 01 Jan 23 00:00:00 GMT",
		"Sun, 01-Jan-2023 00:00:00 GMT", "Sun Jan 1 00:00:00 2023"};
	int64_t seconds;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		require(!http_date_parse(texts[i], strlen(texts[i]), NOW, &seconds),
			texts[i]);
	require(http_date_parse("Tue, 29 Feb 2000 23:59:60 GMT", 29, NOW, &seconds) &&
			seconds == 951868800,
		"29 February 2000 and a leap second");
}

static const struct {
	const char *range;
	uint64_t size;
	int status;
	uint64_t from, len;
} ranges[] = {
	{"bytes=0-0", 10, 206, 0, 1},
	{"BYTES=2-", 10, 206, 2, 8},
	{"bytes=-3", 10, 206, 7, 3},
	{"bytes=-30", 10, 206, 0, 10},
	{"bytes=5-99999999999999999999999", 10, 206, 5, 5},
	{"bytes=-99999999999999999999999", 10, 206, 0, 10},
	{"bytes=9-9", 10, 206, 9, 1},
	{"bytes=10-", 10, 416, 0, 0},
	{"bytes=99999999999999999999999-", 10, 416, 0, 0},
	{"bytes=-0", 10, 416, 0, 0},
	{"bytes=0-", 0, 416, 0, 0},
	{"bytes=-1", 0, 200, 0, 0},
	{"bytes=3-2", 10, 200, 0, 10},
	{"bytes=0-1,3-4", 10, 200, 0, 10},
	{"bytes=0 -1", 10, 200, 0, 10},
	{"bytes=-", 10, 200, 0, 10},
	{"byte=0-1", 10, 200, 0, 10},
};

static void check_ranges(void)
{
	for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
		struct http_entity entity = {.size = ranges[i].size, .etag = ""};
		struct http_request request = {.range = {1, strlen(ranges[i].range)}};
		char head[128] = " ";
		struct http_selection part;

		strcat(head, ranges[i].range);
		part = http_select(&request, head, &entity, NOW);
		if (part.status == ranges[i].status &&
			(part.status == 416 || (part.from == ranges[i].from &&
						       part.len == ranges[i].len)))
			continue;
		fprintf(stderr, "%s: %d, %llu bytes\n", ranges[i].range, part.status,
			(unsigned long long)part.len);
		require(0, "a range is read wrongly");
	}
}

static const char interesting[] = "./%2eE0fF-,\"=9: \t#?W*\x80";

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 200000;
	uint8_t data[2048];

	check_paths();
	check_long_paths();
	check_calendar();
	check_no_dates();
	check_ranges();
	for (unsigned long i = 0; i < rounds; i++) {
		const char *seed = seeds[i % (sizeof(seeds) / sizeof(*seeds))];
		size_t n = seed[0] < ' ' ? 4 + strlen(seed + 4) : strlen(seed);

		memcpy(data, seed, n);
		for (uint32_t times = random_below(6); times; times--)
			n = mutate(data, n, sizeof(data), interesting);
		LLVMFuzzerTestOneInput(data, n);
	}
	printf("%lu texts\n", rounds);
	return 0;
}

#endif
