/* SPDX-License-Identifier: MIT */
/*
 * file_server - serves the files below a directory over HTTP/1.1.
 *
 *     file-server [--address HOST] [--port N] [--workers N] [--files N] [--links 0|1]
 *                 [--max-connections N] [--idle-ms N] [--grace-ms N] ROOT
 *
 *     $ file-server --port 8080 /srv/www &
 *     listening 127.0.0.1:8080
 *     $ curl -r 0-99 http://127.0.0.1:8080/index.html
 *
 * GET and HEAD. A directory is answered with its index.html, or, without the slash at the
 * end, with a redirect to where it has one. Ranges, conditions: http_select.h. Which paths are
 * refused: http_path.h (400, 403); links that leave the root: file_open.h (403). What is
 * kept open, and when a change of a file is seen: file_cache.h. Limits on requests and the
 * idle time: http_conn.h.
 *
 * Small files go out with their heads, in one call; larger ones by sendfile, without passing
 * through this program. A file that shrinks while it is sent ends the connection: its length
 * has been promised. A client has to take MIN_RATE bytes a second, and some in each idle time.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "file_cache.h"
#include "http_conn.h"
#include "http_path.h"

enum {
	SMALL = 16 * 1024, /* up to here a copy is cheaper than a second call */
	MIN_RATE = 4096,
	ATTEMPTS = 3,
	LOCATION_MAX = 4096,
	FILES = 1024,
};

#define INDEX "index.html"

static struct {
	unsigned files;
	bool links;
} options = {FILES, true};

static int status_of(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
	case -ENAMETOOLONG:
	case -EISDIR: /* named index.html */
		return 404;
	case -EACCES:
	case -EPERM:
	case -ELOOP:
	case -EXDEV:
		return 403;
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
		return 503;
	default:
		return 500;
	}
}

/* To the same path with a slash. Not more than one in front: two would name a host. */
static void reply_redirect(struct http_conn *c, const char *target, size_t n)
{
	const char *path = http_path_of(target, &n);
	const char *query = memchr(path, '?', n);
	size_t path_len = query ? (size_t)(query - path) : n;
	size_t query_len = n - path_len;
	char fields[LOCATION_MAX];

	while (path_len > 1 && path[1] == '/') {
		path++;
		path_len--;
	}
	if (path_len + query_len + 32 > sizeof(fields))
		query_len = 0;
	snprintf(fields, sizeof(fields), "Location: %.*s/%.*s\r\n", (int)path_len, path,
		(int)query_len, query ? query : "");
	http_reply_status(c, 301, fields);
}

/* The head of a 200 or 206. The caller has made room. */
static void append_head(
	struct http_conn *c, const struct file *file, const struct http_selection *part)
{
	if (part->status == 200) {
		http_append(c, file->head, file->head_len);
	} else {
		c->out_len += (size_t)sprintf(c->out + c->out_len,
			"HTTP/1.1 206 Partial Content\r\nContent-Length: %llu\r\n"
			"Content-Range: bytes %llu-%llu/%llu\r\n",
			(unsigned long long)part->len, (unsigned long long)part->from,
			(unsigned long long)(part->from + part->len - 1),
			(unsigned long long)file->entity.size);
		http_append(c, file->head + file->fields, file->head_len - file->fields);
	}
	http_append_end(c);
}

/* Sends what is left, some in each idle time. 0, or a code, also when the file ends too early. */
static int transfer(
	struct http_conn *c, const struct file *file, off_t *at, uint64_t *left)
{
	weft_ns end = weft_now() + server_options.idle + WEFT_SEC(*left / MIN_RATE);
	ssize_t n = 1;

	while (*left && n > 0) {
		struct weft_scope patience;
		weft_ns rest = end - weft_now();

		weft_deadline_begin(&patience,
			rest < server_options.idle ? rest : server_options.idle);
		n = weft_sendfile(c->fd, file->fd, at, *left);
		weft_scope_end(&patience);
		*left -= n > 0 ? (uint64_t)n : 0;
	}
	return n > 0 ? 0 : n == 0 ? -EIO : (int)n;
}

/* The head and the part, for what is large. What has begun goes on through a stop. */
static void send_large(
	struct http_conn *c, const struct file *file, const struct http_selection *part)
{
	off_t at = (off_t)part->from;
	uint64_t left = part->len;
	int rc;

	if (!http_room(c, FILE_HEAD_MAX + HTTP_REPLY_MAX))
		return;
	append_head(c, file, part);
	if (!http_flush(c, true))
		return;
	rc = transfer(c, file, &at, &left);
	if (rc == -ECANCELED) {
		struct weft_scope grace;

		weft_shield_begin(&grace, server_options.grace);
		rc = transfer(c, file, &at, &left);
		weft_scope_end(&grace);
	}
	c->broken |= rc < 0;
}

/* The head and the part, for what is small: both lie in out[]. 0; -ESTALE if the file is not
 * as it was; the code of reading it. On failure nothing is appended. */
static int append_small(
	struct http_conn *c, const struct file *file, const struct http_selection *part)
{
	size_t len = c->request.method == HTTP_HEAD ? 0 : part->len;
	size_t before;
	ssize_t n = 0;

	if (!http_room(c, FILE_HEAD_MAX + HTTP_REPLY_MAX + len))
		return 0;
	before = c->out_len;
	append_head(c, file, part);
	if (len)
		n = weft_pread(file->fd, c->out + c->out_len, len, (off_t)part->from);
	if (n == (ssize_t)len) {
		c->out_len += len;
		return 0;
	}
	c->out_len = before;
	return n < 0 ? (int)n : -ESTALE;
}

/* 0, or a code before anything was appended: -ESTALE, -ECANCELED, or what reading failed with. */
static int reply_file(struct http_conn *c, const char *head, const struct file *file)
{
	struct http_selection part =
		http_select(&c->request, head, &file->entity, c->date_second);
	char field[64];

	switch (part.status) {
	case 304:
		http_reply_status(c, 304, file->head + file->validators);
		return 0;
	case 416:
		snprintf(field, sizeof(field), "Content-Range: bytes */%llu\r\n",
			(unsigned long long)file->entity.size);
		http_reply_status(c, 416, field);
		return 0;
	default:
		if (c->request.method == HTTP_HEAD || part.len <= SMALL)
			return append_small(c, file, &part);
		send_large(c, file, &part);
		return 0;
	}
}

/* Finds and sends the file of a path. 0, or a code before anything was appended. */
static int reply_path(struct http_conn *c, const char *head, const char *path, size_t len)
{
	int rc = -ESTALE;

	for (int attempt = 0; rc == -ESTALE && attempt < ATTEMPTS; attempt++) {
		struct file *file;

		rc = file_get(path, len, &file);
		if (rc < 0)
			break;
		rc = reply_file(c, head, file);
		if (rc < 0)
			file_forget(file);
		file_put(file);
	}
	return rc;
}

/* The reply to a good GET or HEAD. The head stays where it is: there is no body after it. */
static void reply(struct http_conn *c, const char *head)
{
	const struct http_request *r = &c->request;
	char path[HTTP_PATH_MAX + sizeof(INDEX)];
	long len = http_path_decode(head + r->target, r->target_len, path);
	bool is_folder = len == 0 || (len > 0 && path[len - 1] == '/');
	int rc;

	if (len < 0) {
		http_reply_status(c, (int)-len, "");
		return;
	}
	if (is_folder) {
		memcpy(path + len, INDEX, sizeof(INDEX));
		len += (long)sizeof(INDEX) - 1;
	}
	rc = reply_path(c, head, path, (size_t)len);
	if (rc == -ECANCELED) {
		struct weft_scope grace;

		weft_shield_begin(&grace, server_options.grace);
		c->close = true;
		rc = reply_path(c, head, path, (size_t)len);
		weft_scope_end(&grace);
	}
	if (rc == -EISDIR && !is_folder)
		reply_redirect(c, head + r->target, r->target_len);
	else if (rc < 0)
		http_reply_status(c, status_of(rc), "");
}

/* 0: it asks for a file. */
static int refusal(struct http_conn *c)
{
	const struct http_request *r = &c->request;

	if (c->status)
		return c->status;
	if (r->method == HTTP_UNKNOWN)
		return 501;
	if (r->method != HTTP_GET && r->method != HTTP_HEAD)
		return 405;
	if (r->content_length == 0)
		return 0;
	/* No such request has a body by right; some have one to smuggle another in. */
	c->close = true;
	return 400;
}

static int serve(int fd, void *user)
{
	struct http_conn c;

	(void)user;
	http_conn_begin(&c, fd);
	while (http_next(&c)) {
		const char *head = http_head(&c);
		int status = refusal(&c);

		if (!http_skip_body(&c))
			break;
		if (status)
			http_reply_status(
				&c, status, status == 405 ? "Allow: GET, HEAD\r\n" : "");
		else
			reply(&c, head);
	}
	http_conn_end(&c);
	return c.broken ? -EIO : 0;
}

static bool option(const char *name, unsigned number)
{
	if (strcmp(name, "--files") == 0 && number > 0)
		options.files = number;
	else if (strcmp(name, "--links") == 0 && number <= 1)
		options.links = number;
	else
		return false;
	return true;
}

/* Half of the descriptors, at most, are for files nobody is being sent. */
static int begin(const char *root)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
		if (options.files > limit.rlim_cur / 2)
			options.files = (unsigned)(limit.rlim_cur / 2);
	}
	return files_begin(root, options.links, options.files ? options.files : 1);
}

int main(int argc, char **argv)
{
	int status;

	server_options.usage = "[--files N] [--links 0|1] ROOT";
	server_options.option = option;
	server_options.begin = begin;
	status = server_main(argc, argv, serve);
	files_end();
	return status;
}
