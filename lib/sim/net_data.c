/* SPDX-License-Identifier: MIT */
/*
 * net_data - the buffers of an operation on a socket, whichever of the many ways it names them in.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "io/io.h"
#include "io/uring_compat.h"
#include "sim/net.h"

static void *pointer(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

static int count(struct weft_net_data *data)
{
	if (data->count > IOV_MAX)
		return data->msg ? -EMSGSIZE : -EINVAL;
	for (size_t i = 0; i < data->count; i++) {
		size_t n = data->iov[i].iov_len;

		if (n > SSIZE_MAX)
			return -EINVAL;
		data->total += n < WEFT_TRANSFER_MAX - data->total
				       ? n
				       : WEFT_TRANSFER_MAX - data->total;
	}
	return 0;
}

int weft_net_data_of(const struct weft_op *op, struct weft_net_data *data)
{
	memset(data, 0, sizeof(*data));
	data->one = (struct iovec){.iov_base = pointer(op->addr), .iov_len = op->len};
	data->iov = &data->one;
	data->count = 1;
	data->flags = (int)op->op_flags;
	switch (op->code) {
	case IORING_OP_READ:
	case IORING_OP_WRITE:
		data->flags = 0;
		data->reads = true;
		break;
	case IORING_OP_READV:
	case IORING_OP_WRITEV:
		data->flags = 0;
		data->reads = true;
		data->iov = pointer(op->addr);
		data->count = op->len;
		break;
	case IORING_OP_RECVMSG:
	case IORING_OP_SENDMSG:
		data->msg = pointer(op->addr);
		data->iov = data->msg->msg_iov;
		data->count = data->msg->msg_iovlen;
		break;
	default:
		break;
	}
	if (data->reads && op->off != UINT64_MAX)
		return -ESPIPE;
	return count(data);
}

/* Copies n bytes after the first skip; out of the buffers or into them. */
static void copy(const struct weft_net_data *data, size_t skip, char *out, const char *in,
	size_t n)
{
	for (size_t i = 0; n > 0; i++) {
		size_t length = data->iov[i].iov_len, part;
		char *base = data->iov[i].iov_base;

		if (skip >= length) {
			skip -= length;
			continue;
		}
		part = length - skip < n ? length - skip : n;
		if (out) {
			memcpy(out, base + skip, part);
			out += part;
		} else {
			memcpy(base + skip, in, part);
			in += part;
		}
		n -= part;
		skip = 0;
	}
}

void weft_net_gather(const struct weft_net_data *data, size_t skip, char *out, size_t n)
{
	copy(data, skip, out, NULL, n);
}

void weft_net_scatter(
	const struct weft_net_data *data, size_t skip, const char *in, size_t n)
{
	copy(data, skip, NULL, in, n);
}
