/* SPDX-License-Identifier: MIT */
/*
 * listen - listening sockets from addresses as text, and what address a socket has. The text itself
 * is io/address.c's.
 */
#include <weft/io.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>

#include "io/address.h"
#include "io/ground.h"
#include "io/io.h"
#include "io/sys.h"

static bool is_ip(const struct weft_address *address)
{
	return address->storage.ss_family != AF_UNIX;
}

static int set_options(int fd, const struct weft_address *address, unsigned flags)
{
	int rc = 0;

	if (is_ip(address)) {
		rc = weft_sys_enable(fd, SOL_SOCKET, SO_REUSEADDR);
		/* accepted sockets inherit it: small answers must not wait for an acknowledgement */
		weft_sys_enable(fd, IPPROTO_TCP, TCP_NODELAY);
	}
	if (rc == 0 && flags & WEFT_REUSEPORT)
		rc = weft_sys_enable(fd, SOL_SOCKET, SO_REUSEPORT);
	return rc;
}

int weft_listen(const char *text, int backlog, unsigned flags)
{
	WEFT_CHECKPOINT(checkpoint);
	struct weft_address address;
	int fd, rc;

	if (!text || flags & ~(unsigned)WEFT_REUSEPORT)
		return -EINVAL;
	rc = weft_address_parse(text, &address);
	if (rc < 0)
		return rc;
	rc = weft_io_enter(&checkpoint);
	if (rc < 0)
		return rc;
	/* SOCK_NONBLOCK: without a ring, nothing else keeps accept from waiting (io/optable.c). */
	fd = weft_ground()->socket(address.storage.ss_family,
		SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	weft_fd_opened(fd);
	rc = set_options(fd, &address, flags);
	if (rc == 0)
		rc = weft_ground()->bind(fd, (struct sockaddr *)&address.storage, address.len);
	if (rc == 0)
		rc = weft_ground()->listen(fd, backlog);
	if (rc < 0) {
		weft_sys_close(fd); /* nothing is in flight on it */
		return rc;
	}
	return fd;
}

int weft_local_address(int fd, char *buf, size_t n)
{
	struct weft_address address = {.len = sizeof(address.storage)};
	int rc;

	if (!buf && n)
		return -EFAULT;
	rc = weft_ground()->local_name(fd, (struct sockaddr *)&address.storage, &address.len);
	return rc < 0 ? rc : weft_address_format(&address, buf, n);
}
