/* SPDX-License-Identifier: MIT */
/*
 * http_parse - one line at a time: find its end, check each byte, act on the few fields
 * that decide how the connection goes on. Everything else is checked and skipped.
 */
#include "http_parse.h"

#include <string.h>
#include <strings.h>

#define REFUSED (-400)

/* 1 for the bytes of a token (RFC 9110, 5.6.2). */
static const unsigned char is_token[256] = {
	['!'] = 1,
	['#'] = 1,
	['$'] = 1,
	['%'] = 1,
	['&'] = 1,
	['\''] = 1,
	['*'] = 1,
	['+'] = 1,
	['-'] = 1,
	['.'] = 1,
	['^'] = 1,
	['_'] = 1,
	['`'] = 1,
	['|'] = 1,
	['~'] = 1,
	['0' ... '9'] = 1,
	['A' ... 'Z'] = 1,
	['a' ... 'z'] = 1,
};

struct text {
	const char *at;
	size_t len;
};

static bool text_is(struct text text, const char *word)
{
	return text.len == strlen(word) && strncasecmp(text.at, word, text.len) == 0;
}

static size_t token_len(const char *at, size_t n)
{
	size_t i = 0;

	while (i < n && is_token[(unsigned char)at[i]])
		i++;
	return i;
}

/* Whether a byte of the word is below `limit` (at most 0x80) or is DEL. */
static bool word_has_control(uint64_t word, uint64_t limit)
{
	const uint64_t ones = 0x0101010101010101u, highs = ones << 7;
	uint64_t del = word ^ (ones * 0x7f);

	return (((word - ones * limit) & ~word) | ((del - ones) & ~del)) & highs;
}

/* Whether all bytes are visible, or blanks if those are allowed; 0x80 and up pass. */
static bool is_text(const char *at, size_t n, bool blanks)
{
	unsigned char least = blanks ? ' ' : ' ' + 1;
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		uint64_t word;

		memcpy(&word, at + i, sizeof(word));
		if (word_has_control(word, least))
			break;
	}
	/* The rest, or a word to look at closely: a tab is a blank too. */
	for (; i < n; i++) {
		unsigned char c = (unsigned char)at[i];

		if ((c < least || c == 0x7f) && !(blanks && c == '\t'))
			return false;
	}
	return true;
}

static bool parse_method(struct http_request *request, const char *at, size_t len)
{
	static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE",
		"CONNECT", "OPTIONS", "TRACE", "PATCH"};
	int method = HTTP_GET;

	if (len == 0)
		return false;
	while (method < HTTP_UNKNOWN &&
		(strlen(names[method]) != len || memcmp(names[method], at, len) != 0))
		method++;
	request->method = (enum http_method)method;
	return true;
}

static int parse_version(struct http_request *request, const char *at, size_t len)
{
	if (len != 8 || memcmp(at, "HTTP/", 5) != 0 || at[6] != '.')
		return REFUSED;
	if (at[5] < '0' || at[5] > '9' || at[7] < '0' || at[7] > '9')
		return REFUSED;
	if (at[5] != '1')
		return -505;
	/* A higher minor version is answered as the highest one known. */
	request->minor = at[7] != '0';
	return 0;
}

static int parse_request_line(struct http_request *request, struct text line)
{
	const char *end = line.at + line.len;
	size_t method = token_len(line.at, line.len);
	const char *target = line.at + method + 1;
	const char *space;

	if (method == line.len || line.at[method] != ' ')
		return REFUSED;
	if (!parse_method(request, line.at, method))
		return REFUSED;
	space = memchr(target, ' ', (size_t)(end - target));
	if (!space || space == target ||
		!is_text(target, (size_t)(space - target), false))
		return REFUSED;
	request->target = request->line + method + 1;
	request->target_len = (size_t)(space - target);
	request->started = true;
	return parse_version(request, space + 1, (size_t)(end - space - 1));
}

static struct text trim(struct text value)
{
	while (value.len && (*value.at == ' ' || *value.at == '\t')) {
		value.at++;
		value.len--;
	}
	while (value.len &&
		(value.at[value.len - 1] == ' ' || value.at[value.len - 1] == '\t'))
		value.len--;
	return value;
}

static int take_length(struct http_request *request, struct text value)
{
	uint64_t sum = 0;

	if (request->has_length || value.len == 0 || value.len > 18)
		return REFUSED;
	for (size_t i = 0; i < value.len; i++) {
		if (value.at[i] < '0' || value.at[i] > '9')
			return REFUSED;
		sum = sum * 10 + (uint64_t)(value.at[i] - '0');
	}
	request->has_length = true;
	request->content_length = sum;
	return 0;
}

static void take_connection(struct http_request *request, struct text list)
{
	while (list.len) {
		const char *comma = memchr(list.at, ',', list.len);
		size_t len = comma ? (size_t)(comma - list.at) : list.len;
		struct text word = trim((struct text){list.at, len});

		if (text_is(word, "close"))
			request->wants_close = true;
		else if (text_is(word, "keep-alive"))
			request->wants_keep_alive = true;
		len += comma != NULL;
		list.at += len;
		list.len -= len;
	}
}

static int take_place(struct http_request *request, struct http_place *place,
	struct text line, struct text value)
{
	if (place->at)
		return REFUSED;
	place->at = request->line + (size_t)(value.at - line.at);
	place->len = value.len;
	return 0;
}

/* The name begins the line. */
static int take_field(struct http_request *request, struct text line, struct text name,
	struct text value)
{
	/* The length tells nearly all names apart from those that matter. */
	switch (name.len) {
	case 4:
		if (!text_is(name, "host"))
			return 0;
		if (request->has_host)
			return REFUSED;
		request->has_host = true;
		return 0;
	case 5:
		return text_is(name, "range")
			       ? take_place(request, &request->range, line, value)
			       : 0;
	case 6:
		if (text_is(name, "expect"))
			request->expect_continue |= text_is(value, "100-continue");
		return 0;
	case 8:
		return text_is(name, "if-range")
			       ? take_place(request, &request->if_range, line, value)
			       : 0;
	case 10:
		if (text_is(name, "connection"))
			take_connection(request, value);
		return 0;
	case 13:
		if (text_is(name, "if-none-match") && !request->if_none_match.at)
			take_place(request, &request->if_none_match, line, value);
		return 0;
	case 14:
		return text_is(name, "content-length") ? take_length(request, value) : 0;
	case 17:
		if (text_is(name, "if-modified-since"))
			return take_place(
				request, &request->if_modified_since, line, value);
		request->chunked |= text_is(name, "transfer-encoding");
		return 0;
	default:
		return 0;
	}
}

static int parse_field(struct http_request *request, struct text line)
{
	size_t name = token_len(line.at, line.len);
	struct text value;

	if (name == 0 || name == line.len || line.at[name] != ':')
		return REFUSED;
	if (++request->fields > HTTP_FIELDS_MAX)
		return -431;
	value = trim((struct text){line.at + name + 1, line.len - name - 1});
	if (!is_text(value.at, value.len, true))
		return REFUSED;
	return take_field(request, line, (struct text){line.at, name}, value);
}

/* What can be judged only when all fields are known. */
static int parse_end(struct http_request *request)
{
	if (request->minor >= 1 && !request->has_host)
		return REFUSED;
	if (request->chunked && (request->has_length || request->minor == 0))
		return REFUSED;
	request->keep_alive = !request->wants_close &&
			      (request->minor >= 1 || request->wants_keep_alive);
	return 0;
}

/* One line without its end. 0: go on; 1: the head is complete; else a refusal. */
static int parse_line(struct http_request *request, struct text line)
{
	int rc;

	if (request->started && line.len == 0) {
		rc = parse_end(request);
		return rc ? rc : 1;
	}
	if (request->started)
		return parse_field(request, line);
	/* One empty line before a request is forgiven: some clients end a body with it. */
	if (line.len == 0)
		return request->line == 0 ? 0 : REFUSED;
	return parse_request_line(request, line);
}

long http_parse(struct http_request *request, const char *data, size_t n)
{
	while (request->scanned < n) {
		const char *from = data + request->scanned;
		const char *feed = memchr(from, '\n', n - request->scanned);
		struct text line = {data + request->line, 0};
		int rc;

		if (!feed) {
			request->scanned = n;
			return 0;
		}
		if (feed == line.at || feed[-1] != '\r')
			return REFUSED;
		line.len = (size_t)(feed - 1 - line.at);
		rc = parse_line(request, line);
		request->line = request->scanned = (size_t)(feed + 1 - data);
		if (rc < 0)
			return rc;
		if (rc == 1)
			return (long)request->line;
	}
	return 0;
}
