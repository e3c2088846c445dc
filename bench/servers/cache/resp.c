/* SPDX-License-Identifier: MIT */
/*
 * resp - the parser keeps where it stopped, so that a request that comes in pieces is read once;
 * one that is there in whole, as nearly all are, is read in one go without looking for ends.
 */
#include "resp.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "number.h"

enum { ARGS_MIN = 8, ARGS_KEPT = 1024, LINE_KEPT = 4096 };

/* What a step found. */
enum step { STEP_MORE, STEP_DONE, STEP_WRONG };

static enum step refuse(struct resp_request *request, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static enum step refuse(struct resp_request *request, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(request->error, sizeof(request->error), format, args);
	va_end(args);
	return STEP_WRONG;
}

static bool add_arg(struct resp_request *request, size_t at, size_t len)
{
	if (request->argc == request->room) {
		size_t room = request->room ? 2 * request->room : ARGS_MIN;
		void *args = realloc(request->args, room * sizeof(*request->args));

		if (!args) {
			refuse(request, "out of memory");
			return false;
		}
		request->args = args;
		request->room = room;
	}
	request->args[request->argc++] = (struct resp_span){at, len};
	return true;
}

/* Any number, or one that has not come whole: look for its end. */
static enum step parse_long_number(struct resp_request *request, const char *data,
	size_t n, size_t at, int64_t *value, const char *what)
{
	const char *line = data + at;
	const char *end = memchr(line, '\r', n - at);

	if (!end && n - at > RESP_LINE_MAX)
		return refuse(request, "Protocol error: too big %s count string", what);
	if (!end || end + 1 == data + n)
		return STEP_MORE;
	if (end[1] != '\n' ||
		!number_parse((struct text){line, (size_t)(end - line)}, value))
		*value = INT64_MIN; /* the caller says what is wrong with it */
	request->scanned = (size_t)(end + 2 - data);
	return STEP_DONE;
}

/* A number and its CRLF at `at`; INT64_MIN for what is none. Moves scanned behind it. */
static enum step parse_number(struct resp_request *request, const char *data, size_t n,
	size_t at, int64_t *value, const char *what)
{
	unsigned sum = 0;
	size_t i = at;

	/* Nearly all numbers are short and there. */
	for (; i < n && i < at + 8; i++) {
		unsigned digit = (unsigned)(unsigned char)data[i] - '0';

		if (digit > 9)
			break;
		sum = sum * 10 + digit;
	}
	if (i == at || i + 2 > n || data[i] != '\r' || data[i + 1] != '\n' ||
		(data[at] == '0' && i > at + 1))
		return parse_long_number(request, data, n, at, value, what);
	*value = sum;
	request->scanned = i + 2;
	return STEP_DONE;
}

static enum step parse_array_length(
	struct resp_request *request, const char *data, size_t n)
{
	enum step step = parse_number(request, data, n, 1, &request->strings, "mbulk");

	if (step != STEP_DONE)
		return step;
	if (request->strings == INT64_MIN || request->strings > RESP_ARGS_MAX)
		return refuse(request, "Protocol error: invalid multibulk length");
	request->started = true;
	request->bulk = -1;
	return STEP_DONE;
}

/* The line with a string's length, at scanned. */
static enum step parse_bulk_length(
	struct resp_request *request, const char *data, size_t n)
{
	size_t at = request->scanned;
	enum step step;

	if (at == n)
		return STEP_MORE;
	if (data[at] != '$')
		return refuse(request, "Protocol error: expected '$', got '%c'",
			data[at] ? data[at] : ' ');
	step = parse_number(request, data, n, at + 1, &request->bulk, "bulk");
	if (step != STEP_DONE) {
		request->bulk = -1;
		return step;
	}
	if (request->bulk < 0 || request->bulk > RESP_BULK_MAX)
		return refuse(request, "Protocol error: invalid bulk length");
	return STEP_DONE;
}

/* One string: its length, its bytes, its CRLF. */
static enum step parse_string(struct resp_request *request, const char *data, size_t n)
{
	size_t len, end;

	if (request->bulk < 0) {
		enum step step = parse_bulk_length(request, data, n);

		if (step != STEP_DONE)
			return step;
	}
	len = (size_t)request->bulk;
	end = request->scanned + len;
	if (n < end + 2)
		return STEP_MORE;
	if (data[end] != '\r' || data[end + 1] != '\n')
		return refuse(request, "Protocol error: invalid bulk length");
	if (!add_arg(request, request->scanned, len))
		return STEP_WRONG;
	request->scanned = end + 2;
	request->bulk = -1;
	return STEP_DONE;
}

static enum step parse_array(struct resp_request *request, const char *data, size_t n)
{
	enum step step = STEP_DONE;

	if (!request->started)
		step = parse_array_length(request, data, n);
	while (step == STEP_DONE && request->strings > 0) {
		step = parse_string(request, data, n);
		request->strings -= step == STEP_DONE;
	}
	request->data = data;
	return step;
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character that a backslash and what follows it mean; moves *at to the last one read. */
static char unescape(struct text line, size_t *at)
{
	const char *from = line.at + *at + 1; /* behind the backslash */
	size_t left = line.len - *at - 1;

	if (left >= 3 && from[0] == 'x' && hex_digit(from[1]) >= 0 &&
		hex_digit(from[2]) >= 0) {
		*at += 3;
		return (char)(hex_digit(from[1]) << 4 | hex_digit(from[2]));
	}
	*at += 1;
	switch (from[0]) {
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'b':
		return '\b';
	case 'a':
		return '\a';
	default:
		return from[0];
	}
}

/* Appends the quoted piece at *at to request->line; *at is then behind the closing quote. */
static bool take_quoted(struct resp_request *request, struct text line, size_t *at)
{
	char quote = line.at[(*at)++];

	for (; *at < line.len && line.at[*at] != quote; (*at)++) {
		char c = line.at[*at];

		if (c == '\\' && *at + 1 < line.len && quote == '"') {
			c = unescape(line, at);
		} else if (c == '\\' && *at + 1 < line.len && line.at[*at + 1] == '\'') {
			c = '\'';
			(*at)++;
		}
		buffer_put(&request->line, &c, 1);
	}
	if (*at == line.len)
		return false;
	(*at)++;
	return *at == line.len || is_blank(line.at[*at]);
}

/* One word from *at on; false when its quotes are not balanced. */
static bool take_word(struct resp_request *request, struct text line, size_t *at)
{
	while (*at < line.len && !is_blank(line.at[*at])) {
		if (line.at[*at] == '"' || line.at[*at] == '\'') {
			if (!take_quoted(request, line, at))
				return false;
		} else {
			buffer_put(&request->line, line.at + *at, 1);
			(*at)++;
		}
	}
	return true;
}

static enum step take_words(struct resp_request *request, struct text line)
{
	for (size_t at = 0;;) {
		size_t start = request->line.len;

		while (at < line.len && is_blank(line.at[at]))
			at++;
		if (at == line.len)
			break;
		if (!take_word(request, line, &at))
			return refuse(
				request, "Protocol error: unbalanced quotes in request");
		if (!add_arg(request, start, request->line.len - start))
			return STEP_WRONG;
	}
	if (request->line.failed)
		return refuse(request, "out of memory");
	request->data = request->line.data ? request->line.data : "";
	return STEP_DONE;
}

static enum step parse_line(struct resp_request *request, const char *data, size_t n)
{
	const char *end = memchr(data + request->scanned, '\n', n - request->scanned);
	struct text line = {data, 0};

	if ((end ? (size_t)(end - data) : n) > RESP_LINE_MAX)
		return refuse(request, "Protocol error: too big inline request");
	request->scanned = end ? (size_t)(end + 1 - data) : n;
	if (!end)
		return STEP_MORE;
	line.len = request->scanned - 1;
	if (line.len && line.at[line.len - 1] == '\r')
		line.len--;
	return take_words(request, line);
}

ssize_t resp_parse(struct resp_request *request, const char *data, size_t n)
{
	enum step step;

	if (n == 0)
		return 0;
	step = data[0] == '*' ? parse_array(request, data, n)
			      : parse_line(request, data, n);
	if (step == STEP_WRONG)
		return -1;
	return step == STEP_DONE ? (ssize_t)request->scanned : 0;
}

void resp_next(struct resp_request *request)
{
	request->argc = 0;
	request->scanned = 0;
	request->started = false;
	request->line.len = 0;
	/* A huge request is rare: its memory is not kept for the next. */
	if (request->room > ARGS_KEPT || request->line.room > LINE_KEPT)
		resp_finish(request);
}

void resp_finish(struct resp_request *request)
{
	free(request->args);
	buffer_finish(&request->line);
	*request = (struct resp_request){0};
}

/* A sign, a number, CRLF: what most replies begin with or are. */
static void put_number(struct buffer *out, char sign, int64_t value)
{
	char *at;
	size_t len;

	if (!buffer_reserve(out, NUMBER_MAX + 3))
		return;
	at = out->data + out->len;
	at[0] = sign;
	len = 1 + number_format(at + 1, value);
	at[len] = '\r';
	at[len + 1] = '\n';
	out->len += len + 2;
}

void resp_put_status(struct buffer *out, struct text line)
{
	buffer_put(out, "+", 1);
	buffer_put(out, line.at, line.len);
	buffer_put(out, "\r\n", 2);
}

void resp_put_integer(struct buffer *out, int64_t value)
{
	put_number(out, ':', value);
}

void resp_put_bulk_head(struct buffer *out, size_t len)
{
	put_number(out, '$', (int64_t)len);
}

void resp_put_bulk(struct buffer *out, struct text bytes)
{
	resp_put_bulk_head(out, bytes.len);
	buffer_put(out, bytes.at, bytes.len);
	buffer_put(out, "\r\n", 2);
}

void resp_put_null(struct buffer *out)
{
	buffer_put(out, "$-1\r\n", 5);
}

void resp_put_array(struct buffer *out, size_t count)
{
	put_number(out, '*', (int64_t)count);
}

void resp_put_error(struct buffer *out, const char *format, ...)
{
	char text[512];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (len >= (int)sizeof(text))
		len = sizeof(text) - 1;
	for (int i = 0; i < len; i++)
		if (text[i] == '\r' || text[i] == '\n')
			text[i] = ' ';
	buffer_put(out, "-", 1);
	buffer_put(out, text, (size_t)len);
	buffer_put(out, "\r\n", 2);
}
