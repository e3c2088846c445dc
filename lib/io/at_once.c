/* SPDX-License-Identifier: MIT */
/*
 * at_once - system calls that find everything there, instead of a trip through the ring. See
 * at_once.h.
 */
#include "io/at_once.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "io/fd.h"
#include "io/sys.h"

enum {
	KIND_USES = 128,
	PAGE = 4096, /* pages of the page cache are a multiple of this */
};

/* The low bits of kind: what is known. Above: how many more uses it is believed. */
enum {
	UNKNOWN,
	STREAM, /* no position: a pipe, a socket, a terminal */
	SLOW,   /* reads are for the backend: O_DIRECT, or a file system without RWF_NOWAIT */
	OPENED, /* weft_openat's, without O_DIRECT; perhaps no file at all */
	FILE_,  /* a file, read through the page cache */
	STATE = 0x07,
	LOCAL = 0x08,     /* a read has been made at once, so its file system asks nobody */
	READ_ONLY = 0x10, /* it has written nothing that closing could have to wait for */
	ALIGNED = 0x20,   /* weft_openat's, and as far as we know its position is at a page */
	USES_SHIFT = 8,
};

static uint32_t kind_keep(struct weft_fd *entry, uint32_t kind)
{
	weft_store_relaxed(&entry->kind, kind | (uint32_t)KIND_USES << USES_SHIFT);
	return kind;
}

/* Ask the kernel what fd is. */
static uint32_t kind_look(struct weft_fd *entry, int fd)
{
	int flags = weft_sys_file_flags(fd), mode = weft_sys_file_mode(fd);
	uint32_t kind = STREAM;

	if (flags < 0 || mode < 0)
		return UNKNOWN;
	if (S_ISREG(mode) || S_ISBLK(mode))
		kind = flags & O_DIRECT ? SLOW : FILE_;
	if ((flags & O_ACCMODE) == O_RDONLY)
		kind |= READ_ONLY;
	return kind_keep(entry, kind);
}

static uint32_t kind_of(struct weft_fd *entry, int fd)
{
	uint32_t word = weft_load_relaxed(&entry->kind);

	if (weft_unlikely(word < 1U << USES_SHIFT))
		return kind_look(entry, fd);
	weft_store_relaxed(&entry->kind, word - (1U << USES_SHIFT));
	return word & ((1U << USES_SHIFT) - 1);
}

void weft_at_once_socket(struct weft_fd *entry)
{
	kind_keep(entry, STREAM);
}

void weft_at_once_opened(struct weft_fd *entry, int flags)
{
	uint32_t kind = flags & O_DIRECT ? SLOW : OPENED | ALIGNED;

	kind_keep(entry, (flags & O_ACCMODE) == O_RDONLY ? kind | READ_ONLY : kind);
}

bool weft_at_once_closes(struct weft_fd *entry)
{
	uint32_t kind = weft_load_relaxed(&entry->kind);

	weft_store_relaxed(&entry->kind, UNKNOWN);
	return (kind & (LOCAL | READ_ONLY)) == (LOCAL | READ_ONLY);
}

/* -- reading files ----------------------------------------------------------------------------- */

/* What is in memory of the op's bytes after the first got. */
static int64_t read_now(const struct weft_op *op, int64_t got)
{
	uint64_t off = op->off == UINT64_MAX ? op->off : op->off + (uint64_t)got;

	return weft_sys_read_now(op->fd, (void *)(uintptr_t)(op->addr + (uint64_t)got),
		op->len - (size_t)got, off);
}

/*
 * got is less than was asked for. A page is in memory as a whole, so within one the file ends. That
 * a position is aligned is a guess: after a seek to the middle of a page it may make a read shorter
 * than it could be.
 */
static bool at_end(const struct weft_op *op, uint32_t kind, int64_t got)
{
	if (op->off == UINT64_MAX)
		return got == 0 || (kind & ALIGNED && got % PAGE);
	return got == 0 || (op->off + (uint64_t)got) % PAGE;
}

/* Some has been read, the next page is not there: shall the backend read the rest? */
static int64_t leave_rest(
	struct weft_op *op, struct weft_fd *entry, int64_t got, int64_t *done)
{
	if ((kind_look(entry, op->fd) & STATE) != FILE_)
		return got;
	op->addr += (uint64_t)got;
	op->len -= (uint32_t)got;
	if (op->off != UINT64_MAX)
		op->off += (uint64_t)got;
	*done = got;
	return -EAGAIN;
}

static int64_t read_more(struct weft_op *op, struct weft_fd *entry, uint32_t kind, int64_t got,
	int64_t *done)
{
	while (got < op->len && !at_end(op, kind, got)) { /* ends: got grows */
		int64_t more = read_now(op, got);

		if (more == -EAGAIN)
			return leave_rest(op, entry, got, done);
		if (more <= 0)
			return got;
		got += more;
	}
	return got;
}

/*
 * The first read of what weft_openat got says that it ends: so does a named pipe that nobody has
 * opened to write yet, since it was opened without waiting for that.
 */
static int64_t first_end(const struct weft_op *op, struct weft_fd *entry, int64_t *done)
{
	kind_look(entry, op->fd);
	if (!S_ISFIFO(weft_sys_file_mode(op->fd)))
		return 0;
	*done = WEFT_AT_ONCE_POLL;
	return -EAGAIN;
}

static int64_t read_at_once(struct weft_op *op, struct weft_fd *entry, int64_t *done)
{
	uint32_t kind = kind_of(entry, op->fd);
	int64_t got;

	if ((kind & STATE) < OPENED)
		return op->off != UINT64_MAX && (kind & STATE) == STREAM
			       ? weft_sys_has_position(op->fd)
			       : -EAGAIN;
	got = read_now(op, 0);
	if (weft_unlikely(got == 0 && op->len && (kind & (STATE | LOCAL)) == OPENED))
		return first_end(op, entry, done);
	if (weft_likely(got >= 0)) {
		uint32_t now = kind | LOCAL;

		if (op->off == UINT64_MAX && got % PAGE)
			now &= ~(uint32_t)ALIGNED;
		if (weft_unlikely(now != kind))
			kind_keep(entry, now);
		return got == op->len ? got : read_more(op, entry, kind, got, done);
	}
	if (got == -EOPNOTSUPP)
		kind_keep(entry, SLOW);
	else if (got == -EAGAIN && (kind & STATE) == OPENED)
		kind_look(entry, op->fd);
	return got == -EOPNOTSUPP ? -EAGAIN : got;
}

bool weft_at_once_on_disk(const struct weft_op *op, const struct weft_fd *entry)
{
	uint32_t state = weft_load_relaxed(&((struct weft_fd *)entry)->kind) & STATE;

	switch (op->code) {
	case IORING_OP_READ:
	case IORING_OP_WRITE:
	case IORING_OP_READV:
	case IORING_OP_WRITEV:
		return state == SLOW || state == FILE_ || state == OPENED;
	case IORING_OP_FSYNC:
		return true;
	default:
		return false;
	}
}

/* A backend ignores the offset where there is no position. */
static int64_t refuse_offset(const struct weft_op *op, struct weft_fd *entry)
{
	uint32_t state;

	if (op->off == UINT64_MAX)
		return -EAGAIN;
	state = kind_of(entry, op->fd) & STATE;
	if (state == OPENED)
		state = kind_look(entry, op->fd) & STATE;
	return state == STREAM ? weft_sys_has_position(op->fd) : -EAGAIN;
}

int64_t weft_at_once_move_begin(const struct weft_op *op, struct weft_fd *entry)
{
	if ((kind_of(entry, op->fd) & STATE) == STREAM)
		return -1;
	return weft_sys_position(op->fd);
}

static int64_t wanted(const struct weft_op *op)
{
	const struct iovec *iov = (const struct iovec *)(uintptr_t)op->addr;
	int64_t sum = 0;

	if (op->code != IORING_OP_WRITEV)
		return op->len;
	for (uint32_t i = 0; i < op->len; i++)
		sum += (int64_t)iov[i].iov_len; /* fits: the kernel has taken it */
	return sum;
}

void weft_at_once_move_end(const struct weft_op *op, int64_t before, int64_t written)
{
	if (before < 0 || written <= 0 || written == wanted(op))
		return;
	if (weft_sys_position(op->fd) == before)
		weft_sys_set_position(op->fd, before + written);
}

/* -- names and attributes ---------------------------------------------------------------------- */

/*
 * O_NONBLOCK, for a moment, because a pipe's open waits for its other end, and a lease for its
 * holder.
 */
static int64_t open_at_once(struct weft_op *op)
{
	int flags = (int)op->op_flags;
	int64_t fd;

	if (flags & (O_CREAT | O_TRUNC | O_PATH | (O_TMPFILE & ~O_DIRECTORY)))
		return -EAGAIN;
	fd = weft_sys_open_cached(
		op->fd, (const char *)(uintptr_t)op->addr, flags | O_NONBLOCK);
	if (fd >= 0) {
		if (!(flags & O_NONBLOCK))
			weft_sys_set_file_flags((int)fd, flags);
		return fd;
	}
	if (fd == -ENXIO && !(flags & O_NONBLOCK)) /* nobody reads that pipe yet */
		op->sqe_flags |= IOSQE_ASYNC;
	else if (fd != -EINVAL && fd != -ENOSYS)
		return fd;
	return -EAGAIN;
}

/*
 * Attributes of an open file are in memory, except where another machine or program keeps them:
 * those file systems are on no device. What is told without asking them says so.
 */
static int64_t statx_at_once(const struct weft_op *op)
{
	const char *path = (const char *)(uintptr_t)op->addr;
	struct statx *about = (struct statx *)(uintptr_t)op->off;
	int flags = (int)op->op_flags;
	int64_t rc;

	if (op->fd < 0 || !(flags & AT_EMPTY_PATH) || flags & AT_STATX_SYNC_TYPE || *path)
		return -EAGAIN;
	rc = weft_sys_statx(op->fd, path, flags | AT_STATX_DONT_SYNC, op->len, about);
	return rc == 0 && !about->stx_dev_major ? -EAGAIN : rc;
}

int64_t weft_at_once(struct weft_op *op, struct weft_fd *entry, int64_t *done)
{
	const void *addr = (const void *)(uintptr_t)op->addr;
	int flags = (int)op->op_flags;

	switch (op->code) {
	case IORING_OP_SEND:
		return weft_sys_send(op->fd, addr, op->len, flags | MSG_DONTWAIT);
	case IORING_OP_SENDMSG:
		return weft_sys_sendmsg(op->fd, addr, flags | MSG_DONTWAIT);
	case IORING_OP_READ:
		return entry ? read_at_once(op, entry, done) : -EAGAIN;
	case IORING_OP_WRITE:
		return entry ? refuse_offset(op, entry) : -EAGAIN;
	case IORING_OP_OPENAT:
		return open_at_once(op);
	case IORING_OP_STATX:
		return statx_at_once(op);
	default:
		return -EAGAIN;
	}
}
