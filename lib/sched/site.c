/* SPDX-License-Identifier: MIT */
/*
 * site - spawn sites: "file.c:12", a NUL, and the arguments of the spawning call as they are spelt
 * there. Finds the task's name in it. Names are interned by site, so their number is
 * bounded by the program's text.
 */
#include <stdlib.h>
#include <string.h>

#include "base/spin.h"
#include "sched/task.h"

enum { BUCKETS = 256, NAME_MAX_BYTES = 64 };

struct interned {
	struct interned *next;
	const char *site;
	char name[];
};

static struct weft_spin interned_lock;
static struct interned *interned[BUCKETS];

/* The end of the argument that starts at text: a comma outside brackets and literals, or the NUL. */
static const char *argument_end(const char *text)
{
	int depth = 0;
	char quote = 0;

	for (; *text; text++) {
		if (quote) {
			if (*text == '\\' && text[1])
				text++;
			else if (*text == quote)
				quote = 0;
		} else if (*text == '"' || *text == '\'') {
			quote = *text;
		} else if (strchr("([{", *text)) {
			depth++;
		} else if (strchr(")]}", *text)) {
			depth--;
		} else if (*text == ',' && depth <= 0) {
			break;
		}
	}
	return text;
}

static struct interned *intern(const char *site, const char *text, size_t length)
{
	struct interned *entry = malloc(sizeof(*entry) + length + 1);

	if (!entry)
		return NULL;
	entry->site = site;
	memcpy(entry->name, text, length);
	entry->name[length] = '\0';
	return entry;
}

static struct interned *make(const char *site, unsigned argument)
{
	const char *text = site + strlen(site) + 1;
	const char *end = argument_end(text);

	for (; argument > 0 && *end; argument--) {
		text = end + 1;
		end = argument_end(text);
	}
	while (*text == ' ' || *text == '&')
		text++;
	while (end > text && end[-1] == ' ')
		end--;
	return intern(site, text,
		(size_t)(end - text) < NAME_MAX_BYTES ? (size_t)(end - text) : NAME_MAX_BYTES);
}

const char *weft_site_name(const char *site, unsigned argument)
{
	struct interned **bucket = &interned[(uintptr_t)site / 8 % BUCKETS];
	struct interned *entry;

	weft_spin_lock(&interned_lock);
	for (entry = *bucket; entry && entry->site != site; entry = entry->next)
		;
	if (!entry) {
		entry = make(site, argument);
		if (entry) {
			entry->next = *bucket;
			*bucket = entry;
		}
	}
	weft_spin_unlock(&interned_lock);
	return entry ? entry->name : "(no memory for the name)";
}

char *weft_site_named(const char *site, const char *name)
{
	size_t place = strlen(site) + 1;
	size_t length = strlen(name) + 1;
	char *own = malloc(place + length);

	if (!own)
		return NULL;
	memcpy(own, site, place);
	memcpy(own + place, name, length);
	return own;
}
