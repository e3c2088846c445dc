/* SPDX-License-Identifier: MIT */
/*
 * http_select - If-None-Match before If-Modified-Since, then Range under its If-Range.
 */
#include "http_select.h"

#include <string.h>
#include <strings.h>

#include "http_date.h"

struct text {
	const char *at, *end;
};

static struct text text_at(const char *head, struct http_place place)
{
	return (struct text){head + place.at, head + place.at + place.len};
}

static void skip(struct text *t, const char *bytes)
{
	while (t->at < t->end && *t->at && strchr(bytes, *t->at))
		t->at++;
}

/* Takes a tag with its quotes, W/ before it left out; an empty text when there is none. */
static struct text next_tag(struct text *list)
{
	struct text none = {list->end, list->end}, tag;
	const char *quote;

	skip(list, " \t,");
	if (list->end - list->at >= 2 && memcmp(list->at, "W/", 2) == 0)
		list->at += 2;
	if (list->at == list->end || *list->at != '"')
		return none;
	quote = memchr(list->at + 1, '"', (size_t)(list->end - list->at - 1));
	if (!quote)
		return none;
	tag = (struct text){list->at, quote + 1};
	list->at = tag.end;
	return tag;
}

static bool is_tag(struct text text, const struct http_entity *entity)
{
	return (size_t)(text.end - text.at) == entity->etag_len &&
	       memcmp(text.at, entity->etag, entity->etag_len) == 0;
}

/* Compares weakly: for a copy in a cache that is what counts. */
static bool none_match_has(struct text list, const struct http_entity *entity)
{
	struct text tag;

	if (list.end - list.at == 1 && *list.at == '*')
		return true;
	do {
		tag = next_tag(&list);
		if (is_tag(tag, entity))
			return true;
	} while (tag.at < tag.end);
	return false;
}

static bool is_unchanged(const struct http_request *request, const char *head,
	const struct http_entity *entity, int64_t now)
{
	struct text since;
	int64_t date;

	if (request->if_none_match.at)
		return none_match_has(text_at(head, request->if_none_match), entity);
	if (!request->if_modified_since.at)
		return false;
	since = text_at(head, request->if_modified_since);
	return http_date_parse(since.at, (size_t)(since.end - since.at), now, &date) &&
	       entity->modified <= date;
}

/*
 * Whether the part belongs to what the client has. Strongly: a weak tag never does, and a
 * date only when the second it tells is over, so that nothing else bears it.
 */
static bool range_applies(const struct http_request *request, const char *head,
	const struct http_entity *entity, int64_t now)
{
	struct text text;
	int64_t date;

	if (!request->if_range.at)
		return true;
	text = text_at(head, request->if_range);
	if (is_tag(text, entity))
		return true;
	return http_date_parse(text.at, (size_t)(text.end - text.at), now, &date) &&
	       date == entity->modified && date + 1 < now;
}

/* Takes digits; saturates. False where there are none. */
static bool take_number(struct text *t, uint64_t *value)
{
	const char *from = t->at;

	*value = 0;
	for (; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++)
		if (__builtin_mul_overflow(*value, 10, value) ||
			__builtin_add_overflow(*value, (uint64_t)(*t->at - '0'), value))
			*value = UINT64_MAX;
	return t->at > from;
}

/* A number that saturated stays so: any further digit overflows again. */
static int select_range(struct text t, uint64_t size, struct http_selection *part)
{
	uint64_t first, last = UINT64_MAX;
	bool has_first;

	if (t.end - t.at < 6 || strncasecmp(t.at, "bytes=", 6) != 0)
		return 200;
	t.at += 6;
	has_first = take_number(&t, &first);
	if (t.at == t.end || *t.at++ != '-')
		return 200;
	if (!take_number(&t, &last) && !has_first)
		return 200;
	if (t.at != t.end)
		return 200;
	if (!has_first) { /* so many at the end */
		if (last == 0)
			return 416;
		if (size == 0)
			return 200;
		part->len = last < size ? last : size;
		part->from = size - part->len;
		return 206;
	}
	if (t.end[-1] == '-')
		last = UINT64_MAX;
	if (first > last)
		return 200;
	if (first >= size)
		return 416;
	part->from = first;
	part->len = (last < size - 1 ? last : size - 1) - first + 1;
	return 206;
}

struct http_selection http_select(const struct http_request *request, const char *head,
	const struct http_entity *entity, int64_t now)
{
	struct http_selection whole = {200, 0, entity->size}, part = whole;

	if (is_unchanged(request, head, entity, now))
		return (struct http_selection){.status = 304};
	/* A range of what is not sent means nothing. */
	if (!request->range.at || request->method != HTTP_GET ||
		!range_applies(request, head, entity, now))
		return whole;
	part.status = select_range(text_at(head, request->range), entity->size, &part);
	return part.status == 200 ? whole : part;
}
