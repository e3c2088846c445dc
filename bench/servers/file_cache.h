/* SPDX-License-Identifier: MIT */
/*
 * file_cache - the files a server has open, by path, with what a reply says of them.
 *
 * A path is looked up in the file system when it is asked for and its last look is older
 * than a second: then it is opened anew, and if it is another file, or has another size or
 * time, the new one takes the old one's place. Who holds the old one goes on with it. What
 * is read always comes from the file itself, only its name, size and times are remembered.
 * Paths without a file are not remembered.
 *
 * Life:   files_begin before tasks, files_end after them. A file lives until it has left
 *         the table and its last user has put it.
 * Bound:  max files in the table; more push out the one used longest ago. Beyond these only
 *         those being sent are open: one per connection.
 * Order:  the table, the list and the counts are guarded by one mutex, never held across
 *         anything that suspends; the rest of a file does not change once it is in the table.
 */
#ifndef WEFT_BENCH_SERVERS_FILE_CACHE_H
#define WEFT_BENCH_SERVERS_FILE_CACHE_H

#include <weft.h>

#include "file_open.h"
#include "http_select.h"

enum { FILE_HEAD_MAX = 384 };

struct file {
	int fd;
	struct http_entity entity;
	/* A reply of status 200 up to its Date: head; from `fields` on what a 206 says too, from
	 * `validators` on what a 304 says too. Ends in a NUL. */
	char head[FILE_HEAD_MAX];
	size_t head_len, fields, validators;
	char etag[64];

	/* the cache's own */
	struct stat facts;
	weft_ns looked_at;
	unsigned users; /* the table is one */
	bool in_table;
	uint32_t hash;
	struct file *next;          /* in its bucket */
	struct file *newer, *older; /* in the list by use */
	size_t path_len;
	char path[];
};

int files_begin(const char *root, bool links, unsigned max);
void files_end(void);

/*
 * [S] The file of a relative path, the caller's to put. Returns 0; -EISDIR for a directory;
 * else what file_open returns, -ENOMEM, -ECANCELED.
 */
int file_get(const char *path, size_t len, struct file **file);

/* [S] */
void file_put(struct file *file);

/* The file turned out not to be as it was: the next to ask looks anew. */
void file_forget(struct file *file);

#endif
