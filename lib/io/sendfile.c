/* SPDX-License-Identifier: MIT */
/*
 * sendfile - a file's bytes to a descriptor. io_uring has no such operation, and its splice goes to a
 * thread of the kernel each time, so the plain system call is made on the worker, in chunks that
 * cannot block it:
 *
 *	the socket	one with O_NONBLOCK does not wait. A blocking TCP socket is given at most half
 *			of the free part of its send buffer: the other half is for what the kernel keeps
 *			beside the bytes.
 *	the file	pages that are not in memory are read by the backend first.
 *
 * Whatever else (few bytes, pipes, files, unix sockets, TLS in the kernel, a file system that cannot tell
 * whether it waits) is copied through a buffer by read and send operations.
 *
 * Between chunks the caller looks at cancels and deadlines, and lets others run.
 */
#include <weft/io.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>

#include "io/ground.h"
#include "io/hold.h"
#include "io/io.h"
#include "io/sys.h"
#include "io/uring_compat.h"
#include "sched/wait.h"

enum {
	ON_STACK = 4096,          /* so many bytes are copied without an allocation */
	COPY_MAX = 16 * 1024,     /* at most so many are copied where they need not be */
	COPY_BUFFER = 64 * 1024,
	CHUNK_MAX = 512 * 1024,   /* how long a worker is busy with one */
	CACHED_AGAIN_MAX = 8,     /* pages read ahead and gone before they were sent: then copy */
};

struct sending {
	int out, in;
	struct weft_hold hold_out, hold_in;
	uint64_t at;   /* of the file's next byte */
	size_t left, sent;
	bool is_file;  /* out is no socket */
	bool blocking; /* out has no O_NONBLOCK */
};

static void sent(struct sending *s, int64_t n)
{
	s->at += (uint64_t)n;
	s->sent += (size_t)n;
	s->left -= (size_t)n;
}

/* -- by copying -------------------------------------------------------------------------------- */

static int64_t run_held(struct weft_hold *hold, struct weft_op *op, short events)
{
	int64_t rc = weft_hold_begin(hold);

	if (rc < 0)
		return rc;
	rc = weft_op_run_ready(op, events);
	weft_hold_end(hold);
	return rc;
}

static int64_t read_file(struct sending *s, void *buf, size_t n)
{
	struct weft_op op = {
		.code = IORING_OP_READ,
		.fd = s->in,
		.off = s->at,
		.addr = weft_op_addr(buf),
		.len = (uint32_t)n,
	};

	return run_held(&s->hold_in, &op, POLLIN);
}

/* Send first: what is no socket says so at no cost. */
static int64_t put(struct sending *s, const char *buf, size_t n, bool more)
{
	struct weft_op op = {.fd = s->out, .addr = weft_op_addr(buf), .len = (uint32_t)n};

	if (!s->is_file) {
		int64_t rc;

		op.code = IORING_OP_SEND;
		op.op_flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0U);
		rc = run_held(&s->hold_out, &op, POLLOUT);
		if (rc != -ENOTSOCK)
			return rc;
		s->is_file = true;
	}
	op.code = IORING_OP_WRITE;
	op.off = UINT64_MAX;
	op.op_flags = RWF_NOSIGNAL;
	return run_held(&s->hold_out, &op, POLLOUT);
}

/* Reads a buffer and sends all of it. 1; 0 at the end of the file; -errno. */
static int64_t copy_buffer(struct sending *s, char *buf, size_t size)
{
	int64_t got = read_file(s, buf, s->left < size ? s->left : size);

	for (int64_t put_so_far = 0; put_so_far < got;) {
		bool more = (size_t)got < s->left;
		int64_t rc = put(s, buf + put_so_far, (size_t)(got - put_so_far), more);

		if (rc <= 0)
			return rc < 0 ? rc : -EIO;
		put_so_far += rc;
		sent(s, rc);
	}
	return got > 0 ? 1 : got;
}

static int64_t copy_all(struct sending *s, char *buf, size_t size)
{
	int64_t rc = 1;

	while (s->left && rc > 0)
		rc = copy_buffer(s, buf, size);
	return rc < 0 ? rc : 0;
}

static int64_t copy_few(struct sending *s)
{
	char buf[ON_STACK];

	return copy_all(s, buf, sizeof(buf));
}

static int64_t copy(struct sending *s)
{
	size_t size = s->left < COPY_BUFFER ? s->left : COPY_BUFFER;
	int64_t rc;
	char *buf;

	if (size <= ON_STACK)
		return copy_few(s);
	buf = malloc(size);
	if (!buf)
		return -ENOMEM;
	rc = copy_all(s, buf, size);
	free(buf);
	return rc;
}

/* -- by sendfile ------------------------------------------------------------------------------- */

/* Of n bytes, those that the file has. */
static int64_t to_end(const struct sending *s, int64_t n)
{
	int64_t size = weft_sys_file_size(s->in), rest = size - (int64_t)s->at;

	if (size < 0)
		return size;
	return rest < 0 ? 0 : rest < n ? rest : n;
}

/* In memory, as far as its first and its last page tell: 1 or 0; an error where nobody can tell. */
static int is_cached(const struct sending *s, int64_t *n)
{
	char byte;
	int64_t rc = weft_sys_read_now(s->in, &byte, 1, s->at);

	if (rc == 1 && *n > 1)
		rc = weft_sys_read_now(s->in, &byte, 1, s->at + (uint64_t)*n - 1);
	if (rc == 0) { /* the end is before that */
		*n = to_end(s, *n);
		if (*n <= 0)
			return *n < 0 ? (int)*n : 1;
		rc = weft_sys_read_now(s->in, &byte, 1, s->at + (uint64_t)*n - 1);
	}
	return rc == -EAGAIN ? 0 : rc < 0 ? (int)rc : 1;
}

static int64_t read_byte(struct sending *s, uint64_t at)
{
	char byte;
	struct weft_op op = {
		.code = IORING_OP_READ,
		.fd = s->in,
		.off = at,
		.addr = weft_op_addr(&byte),
		.len = 1,
	};

	return run_held(&s->hold_in, &op, POLLIN);
}

/* Reads them ahead, and waits for the last, which has been asked for after the others. */
static int64_t read_ahead(struct sending *s, size_t n)
{
	struct weft_op op = {
		.code = IORING_OP_FADVISE,
		.fd = s->in,
		.off = s->at,
		.len = (uint32_t)n,
		.op_flags = POSIX_FADV_WILLNEED,
	};
	int64_t rc = run_held(&s->hold_in, &op, POLLIN);

	if (rc >= 0)
		rc = read_byte(s, s->at);
	return rc < 0 ? rc : read_byte(s, s->at + n - 1);
}

/* How many bytes may go at once; -EAGAIN when the socket has too little room. */
static int64_t room(const struct sending *s)
{
	size_t most = s->left < CHUNK_MAX ? s->left : CHUNK_MAX;
	int64_t size, free_now;

	if (!s->blocking)
		return (int64_t)most;
	free_now = weft_sys_socket_room(s->out, &size);
	if (free_now < 0)
		return free_now;
	if (free_now < size / 3) /* from there on poll says that there is room */
		return -EAGAIN;
	return free_now / 2 < (int64_t)most ? free_now / 2 : (int64_t)most;
}

/* The call itself, counted on both. */
static int64_t send_now(struct sending *s, size_t n)
{
	int64_t rc = weft_hold_begin(&s->hold_out);

	if (rc < 0)
		return rc;
	rc = weft_hold_begin(&s->hold_in);
	if (rc == 0) {
		rc = weft_sys_sendfile(s->out, s->in, s->at, n);
		weft_hold_end(&s->hold_in);
	}
	weft_hold_end(&s->hold_out);
	return rc;
}

static int wait_for_room(struct sending *s)
{
	int rc = weft_hold_begin(&s->hold_out);

	if (rc < 0)
		return rc;
	rc = weft_op_poll(s->out, POLLOUT);
	weft_hold_end(&s->hold_out);
	return rc;
}

/* One chunk: the bytes sent; 0 at the end of the file; -EAGAIN; -EOPNOTSUPP: copy it instead. */
static int64_t send_chunk(struct sending *s)
{
	int64_t n = room(s);

	if (n < 0)
		return n;
	for (int tries = 0; tries < CACHED_AGAIN_MAX; tries++) {
		int cached = is_cached(s, &n);
		int64_t rc;

		if (cached < 0)
			return -EOPNOTSUPP;
		if (cached)
			return n == 0 ? 0 : send_now(s, (size_t)n);
		rc = read_ahead(s, (size_t)n);
		if (rc < 0)
			return rc;
	}
	return -EOPNOTSUPP;
}

static int64_t send_chunks(struct sending *s)
{
	while (s->left) {
		int64_t rc = send_chunk(s);

		if (rc > 0)
			sent(s, rc);
		else if (rc == -EOPNOTSUPP)
			return copy(s);
		else if (rc != -EAGAIN && rc != -EINTR)
			return rc;
		if (!s->left)
			break;
		rc = wait_for_room(s); /* the others' turn, even if there is room */
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* -- which of them ----------------------------------------------------------------------------- */

static int64_t send_all(struct sending *s)
{
	int flags;

	if (s->left <= COPY_MAX)
		return copy(s);
	flags = weft_sys_file_flags(s->out);
	s->blocking = !(flags & O_NONBLOCK);
	if (flags < 0 || !weft_ground()->takes_sendfile(s->out, s->blocking))
		return copy(s);
	return send_chunks(s);
}

ssize_t weft_sendfile(int out, int in, off_t *at, size_t n)
{
	WEFT_CHECKPOINT(checkpoint);
	struct sending s = {.out = out, .in = in, .left = n};
	int64_t rc;

	if (at && *at < 0)
		return -EINVAL;
	rc = weft_io_enter(&checkpoint);
	if (rc == 0)
		rc = weft_hold_init(&s.hold_out, out);
	if (rc == 0)
		rc = weft_hold_init(&s.hold_in, in);
	if (rc == 0)
		rc = at ? *at : weft_sys_position(in);
	if (rc < 0)
		return (ssize_t)rc;
	s.at = (uint64_t)rc;
	rc = send_all(&s);
	if (at)
		*at = (off_t)s.at;
	else if (s.sent && weft_hold_begin(&s.hold_in) == 0) {
		weft_sys_set_position(in, (off_t)s.at);
		weft_hold_end(&s.hold_in);
	}
	return s.sent ? (ssize_t)s.sent : (ssize_t)rc;
}
