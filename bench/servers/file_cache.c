/* SPDX-License-Identifier: MIT */
/*
 * file_cache - a hash table, a list by use, a mutex around both; opening and closing happen
 * outside of it.
 */
#include "file_cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "content_type.h"
#include "http_date.h"

enum { BUCKETS = 4096 };

#define LOOK_AGAIN WEFT_SEC(1)

static struct {
	struct file_root root;
	unsigned max;

	pthread_mutex_t lock; /* guards what follows */
	unsigned count;
	struct file *newest, *oldest;
	struct file *buckets[BUCKETS];
} files = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint32_t hash_of(const char *path, size_t len)
{
	uint64_t sum = 0xcbf29ce484222325u ^ len, word;

	for (; len >= 8; len -= 8, path += 8) {
		memcpy(&word, path, 8);
		sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
		sum ^= sum >> 32;
	}
	word = 0;
	memcpy(&word, path, len);
	sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
	return (uint32_t)(sum >> 32);
}

static struct file *find_locked(const char *path, size_t len, uint32_t hash)
{
	struct file *file = files.buckets[hash % BUCKETS];

	while (file && (file->hash != hash || file->path_len != len ||
			       memcmp(file->path, path, len) != 0))
		file = file->next;
	return file;
}

static void unlist_locked(struct file *file)
{
	*(file->newer ? &file->newer->older : &files.newest) = file->older;
	*(file->older ? &file->older->newer : &files.oldest) = file->newer;
}

static void list_newest_locked(struct file *file)
{
	file->newer = NULL;
	file->older = files.newest;
	*(files.newest ? &files.newest->newer : &files.oldest) = file;
	files.newest = file;
}

/* Returns the file if the table was its last user: then it is the caller's to dispose of. */
static struct file *remove_locked(struct file *file)
{
	struct file **at = &files.buckets[file->hash % BUCKETS];

	while (*at != file)
		at = &(*at)->next;
	*at = file->next;
	unlist_locked(file);
	file->in_table = false;
	files.count--;
	return --file->users ? NULL : file;
}

/* Puts a file in, used by the table and the caller. What had its path, and what the table has
 * no room for, leaves it; what of that nobody uses is returned, linked by `next`. */
static struct file *insert_locked(struct file *file)
{
	struct file *same = find_locked(file->path, file->path_len, file->hash);
	struct file *unused = NULL, *out;
	struct file **bucket = &files.buckets[file->hash % BUCKETS];

	if (same && (out = remove_locked(same))) {
		out->next = unused;
		unused = out;
	}
	if (files.count >= files.max && (out = remove_locked(files.oldest))) {
		out->next = unused;
		unused = out;
	}
	file->next = *bucket;
	*bucket = file;
	list_newest_locked(file);
	file->in_table = true;
	file->users = 2;
	files.count++;
	return unused;
}

/* [S] */
static void dispose(struct file *file)
{
	while (file) {
		struct file *next = file->next;

		weft_close(file->fd);
		free(file);
		file = next;
	}
}

void file_put(struct file *file)
{
	bool last;

	pthread_mutex_lock(&files.lock);
	last = --file->users == 0;
	pthread_mutex_unlock(&files.lock);
	if (last) {
		file->next = NULL;
		dispose(file);
	}
}

void file_forget(struct file *file)
{
	pthread_mutex_lock(&files.lock);
	if (file->in_table)
		remove_locked(file); /* the caller uses it still */
	pthread_mutex_unlock(&files.lock);
}

/* Out of descriptors: lets go of those that nobody uses. Whether there was one. */
static bool shed(void)
{
	struct file *unused = NULL, *file, *newer;

	pthread_mutex_lock(&files.lock);
	for (file = files.oldest; file; file = newer) {
		newer = file->newer;
		if (file->users == 1) {
			remove_locked(file);
			file->next = unused;
			unused = file;
		}
	}
	pthread_mutex_unlock(&files.lock);
	file = unused;
	dispose(unused);
	return file != NULL;
}

/* Appends to the head, which has room for all that describe says. */
static void __attribute__((format(printf, 2, 3)))
say(struct file *f, const char *format, ...)
{
	va_list values;

	va_start(values, format);
	f->head_len += (size_t)vsnprintf(
		f->head + f->head_len, FILE_HEAD_MAX - f->head_len, format, values);
	va_end(values);
}

/* What a reply says of the file. */
static void describe(struct file *f)
{
	const struct stat *facts = &f->facts;
	char modified[HTTP_DATE_LEN + 1] = "";

	http_date_format(facts->st_mtim.tv_sec, modified);
	f->entity = (struct http_entity){
		.size = (uint64_t)facts->st_size,
		.modified = facts->st_mtim.tv_sec,
		.etag = f->etag,
		.etag_len = (size_t)snprintf(f->etag, sizeof(f->etag),
			"\"%llx.%09lx-%llx\"", (unsigned long long)facts->st_mtim.tv_sec,
			(unsigned long)facts->st_mtim.tv_nsec,
			(unsigned long long)facts->st_size),
	};
	say(f, "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n",
		(unsigned long long)facts->st_size);
	f->fields = f->head_len;
	say(f, "Content-Type: %s\r\nAccept-Ranges: bytes\r\n", content_type(f->path));
	f->validators = f->head_len;
	say(f, "Last-Modified: %s\r\nETag: %s\r\n", modified, f->etag);
}

struct opening {
	const char *path;
	struct stat facts;
};

static int open_now(void *arg)
{
	struct opening *o = arg;

	return file_open(&files.root, o->path, &o->facts);
}

/* [S] */
static int open_file(struct opening *o)
{
	int fd = weft_blocking(open_now, o);

	if ((fd == -EMFILE || fd == -ENFILE) && shed())
		fd = weft_blocking(open_now, o);
	return fd;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Says nothing of the file. */
static bool could_not_look(int rc)
{
	return rc == -ECANCELED || rc == -ETIMEDOUT || rc == -EMFILE || rc == -ENFILE ||
	       rc == -ENOMEM;
}

/* [S] Opens the path. *file is what it was when last looked at, used by the caller, or NULL. */
static int look(const char *path, size_t len, uint32_t hash, struct file **file)
{
	struct opening o = {.path = path};
	struct file *old = *file, *unused;
	int fd = open_file(&o);

	if (fd >= 0 && old && is_same(&o.facts, &old->facts)) {
		weft_close(fd);
		return 0;
	}
	if (old && could_not_look(fd))
		return 0;
	if (old) {
		file_forget(old);
		file_put(old);
	}
	if (fd < 0)
		return fd;
	*file = malloc(sizeof(**file) + len + 1);
	if (!*file) {
		weft_close(fd);
		return -ENOMEM;
	}
	**file = (struct file){.fd = fd, .facts = o.facts, .hash = hash, .path_len = len};
	memcpy((*file)->path, path, len + 1);
	describe(*file);
	(*file)->looked_at = weft_now();
	pthread_mutex_lock(&files.lock);
	unused = insert_locked(*file);
	pthread_mutex_unlock(&files.lock);
	dispose(unused);
	return 0;
}

int file_get(const char *path, size_t len, struct file **file)
{
	uint32_t hash = hash_of(path, len);
	weft_ns now = weft_now();
	bool fresh = false;

	pthread_mutex_lock(&files.lock);
	*file = find_locked(path, len, hash);
	if (*file) {
		(*file)->users++;
		fresh = now - (*file)->looked_at < LOOK_AGAIN;
		/* One looks; who asks meanwhile takes what there is. */
		if (!fresh)
			(*file)->looked_at = now;
		if (*file != files.newest) {
			unlist_locked(*file);
			list_newest_locked(*file);
		}
	}
	pthread_mutex_unlock(&files.lock);
	return fresh ? 0 : look(path, len, hash, file);
}

int files_begin(const char *root, bool links, unsigned max)
{
	files.max = max;
	return file_root_open(&files.root, root, links);
}

void files_end(void)
{
	while (files.oldest) {
		struct file *file = remove_locked(files.oldest);

		close(file->fd);
		free(file);
	}
	close(files.root.fd);
}
