/* SPDX-License-Identifier: MIT */
/*
 * protocol - echo: every byte must come back, and each message is marked with its
 * connection and its number, so that a byte of another one is noticed. HTTP: status 200
 * and exactly Content-Length bytes; a reply equal to the one before costs one memcmp.
 */
#include "protocol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int protocol_http(struct protocol *protocol, const char *path)
{
	int n = asprintf(&protocol->request,
		"GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: weft-load\r\n\r\n",
		path);

	protocol->request_len = (size_t)n;
	return n < 0 ? -1 : 0;
}

int dialog_init(struct dialog *dialog, const struct protocol *protocol, uint32_t id)
{
	uint64_t pattern = id * 0x9e3779b97f4a7c15u + 1;

	memset(dialog, 0, sizeof(*dialog));
	dialog->id = id;
	if (!protocol->echo_size) {
		dialog->message = protocol->request;
		dialog->message_len = protocol->request_len;
		dialog->head = malloc(PROTOCOL_HEAD_MAX);
		dialog->whole = malloc(PROTOCOL_HEAD_MAX);
		return dialog->head && dialog->whole ? 0 : -1;
	}
	dialog->message_len = protocol->echo_size;
	dialog->message = malloc(protocol->echo_size);
	if (!dialog->message)
		return -1;
	for (size_t i = 0; i < protocol->echo_size; i++) {
		pattern = pattern * 6364136223846793005u + 1442695040888963407u;
		dialog->message[i] = (char)(pattern >> 56);
	}
	return 0;
}

void dialog_finish(struct dialog *dialog)
{
	/* An HTTP dialog borrows its message from the protocol. */
	if (dialog->head) {
		free(dialog->head);
		free(dialog->whole);
	} else {
		free(dialog->message);
	}
}

void dialog_next(struct dialog *dialog, const struct protocol *protocol)
{
	uint32_t mark[2] = {dialog->id, ++dialog->sequence};

	dialog->got = 0;
	dialog->head_len = 0;
	dialog->in_body = 0;
	if (protocol->echo_size)
		memcpy(dialog->message, mark,
			protocol->echo_size < sizeof(mark) ? protocol->echo_size
							   : sizeof(mark));
}

static enum verdict echo_reply(struct dialog *dialog, const char *data, size_t n)
{
	if (n > dialog->message_len - dialog->got)
		return VERDICT_BAD;
	if (memcmp(dialog->message + dialog->got, data, n) != 0)
		return VERDICT_BAD;
	dialog->got += n;
	return dialog->got == dialog->message_len ? VERDICT_DONE : VERDICT_MORE;
}

/* Reads the head of a reply, which ends before `end`; -1 if it is not a good one. */
static int read_head(struct dialog *dialog, const char *end)
{
	static const char length[] = "\r\nContent-Length:";
	const char *at;

	if (memcmp(dialog->head, "HTTP/1.1 200 ", 13) != 0)
		return -1;
	for (at = dialog->head; at < end; at++) {
		if (strncasecmp(at, length, sizeof(length) - 1) == 0) {
			dialog->body_left = strtoull(at + sizeof(length) - 1, NULL, 10);
			return 0;
		}
	}
	return -1;
}

static enum verdict body_reply(struct dialog *dialog, size_t n)
{
	if (n > dialog->body_left)
		return VERDICT_BAD;
	dialog->body_left -= n;
	return dialog->body_left ? VERDICT_MORE : VERDICT_DONE;
}

static enum verdict http_reply(struct dialog *dialog, const char *data, size_t n)
{
	size_t room = PROTOCOL_HEAD_MAX - 1 - dialog->head_len;
	size_t part = n < room ? n : room;
	enum verdict verdict;
	const char *end;

	if (dialog->in_body)
		return body_reply(dialog, n);
	if (!dialog->head_len && n == dialog->whole_len &&
		memcmp(data, dialog->whole, n) == 0)
		return VERDICT_DONE;
	memcpy(dialog->head + dialog->head_len, data, part);
	dialog->head_len += part;
	dialog->head[dialog->head_len] = '\0';
	end = memmem(dialog->head, dialog->head_len, "\r\n\r\n", 4);
	if (!end)
		return part < n ? VERDICT_BAD : VERDICT_MORE;
	if (read_head(dialog, end) < 0)
		return VERDICT_BAD;
	dialog->in_body = 1;
	verdict = body_reply(
		dialog, dialog->head_len - (size_t)(end + 4 - dialog->head) + (n - part));
	if (verdict == VERDICT_DONE && part == n) {
		dialog->whole_len = dialog->head_len;
		memcpy(dialog->whole, dialog->head, dialog->head_len);
	}
	return verdict;
}

enum verdict dialog_reply(struct dialog *dialog, const struct protocol *protocol,
	const char *data, size_t n)
{
	if (protocol->echo_size)
		return echo_reply(dialog, data, n);
	return http_reply(dialog, data, n);
}
