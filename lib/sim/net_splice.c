/* SPDX-License-Identifier: MIT */
/*
 * net_splice - bytes between a simulated socket and a pipe, which is the kernel's. They are copied, without
 * waiting for either; io/splice.c has waited before.
 */
#include <errno.h>
#include <stdlib.h>

#include "io/io.h"
#include "io/op.h"
#include "io/optable.h"
#include "sim/net.h"

enum { AT_ONCE = 4096 }; /* a pipe that can be written takes so many */

static const struct weft_op_splice *source_of(const struct weft_op *op)
{
	return (const void *)(uintptr_t)op->addr;
}

bool weft_net_splices(struct weft_net *net, const struct weft_op *op,
	struct weft_net_socket **in, struct weft_net_socket **out)
{
	*in = weft_net_find(net, source_of(op)->fd);
	*out = weft_net_find(net, op->fd);
	return *in || *out;
}

/* The kernel's answer for the pipe. */
static int64_t move(uint8_t code, int fd, void *buf, size_t n)
{
	struct weft_op op = {
		.code = code,
		.fd = fd,
		.off = UINT64_MAX,
		.addr = weft_op_addr(buf),
		.len = (uint32_t)n,
		.op_flags = code == IORING_OP_WRITE ? RWF_NOSIGNAL : 0,
	};
	int64_t rc = weft_op_row(code)->perform(&op, false);

	return rc == -EOPNOTSUPP ? weft_op_row(code)->perform(&op, true) : rc;
}

static int64_t to_socket(struct weft_net_socket *out, int pipe, size_t n)
{
	struct weft_net_chunk *chunk;
	int64_t room = weft_net_stream_room(out), rc;

	if (room <= 0)
		return room < 0 ? room : -EAGAIN;
	if (n > (size_t)room)
		n = (size_t)room;
	chunk = malloc(sizeof(*chunk) + n);
	if (!chunk)
		return -ENOMEM;
	rc = move(IORING_OP_READ, pipe, chunk->data, n);
	if (rc <= 0) {
		free(chunk);
		return rc;
	}
	chunk->size = (size_t)rc;
	chunk->taken = 0;
	weft_net_stream_push(out, chunk);
	return rc;
}

static int64_t from_socket(struct weft_net_socket *in, int pipe, size_t n)
{
	char buf[AT_ONCE];
	struct iovec iov = {
		.iov_base = buf, .iov_len = n < sizeof(buf) ? n : sizeof(buf)};
	struct weft_net_data data = {
		.iov = &iov, .count = 1, .total = iov.iov_len, .flags = MSG_PEEK};
	uint64_t progress = 0;
	int64_t rc = weft_net_stream_receive(in, &data, &progress);

	if (rc <= 0)
		return rc;
	rc = move(IORING_OP_WRITE, pipe, buf, (size_t)rc);
	if (rc > 0)
		weft_net_stream_take(in, (size_t)rc);
	return rc;
}

int64_t weft_net_splice(struct weft_net *net, const struct weft_op *op)
{
	const struct weft_op_splice *source = source_of(op);
	struct weft_net_socket *in, *out;

	weft_net_splices(net, op, &in, &out);
	if (in && out)
		return -EINVAL; /* one of them is to be a pipe */
	if (!weft_net_is_stream(in ? in : out))
		return -EINVAL;
	if (in ? source->off >= 0 : op->off != UINT64_MAX)
		return -ESPIPE;
	return in ? from_socket(in, op->fd, op->len)
		  : to_socket(out, source->fd, op->len);
}
