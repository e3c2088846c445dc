/* SPDX-License-Identifier: MIT */
/*
 * sys - system calls with their error in the return value. See sys.h.
 */
#include "io/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int status(int rc)
{
	return rc < 0 ? -errno : rc;
}

__attribute__((noinline)) int weft_sys_is_open(int fd)
{
	int rc = status(fcntl(fd, F_GETFD));

	return rc < 0 ? rc : 0;
}

__attribute__((noinline)) int weft_sys_socket(int domain, int type, int protocol)
{
	return status(socket(domain, type, protocol));
}

__attribute__((noinline)) int weft_sys_bind(
	int fd, const struct sockaddr *addr, socklen_t len)
{
	return status(bind(fd, addr, len));
}

__attribute__((noinline)) int weft_sys_listen(int fd, int backlog)
{
	return status(listen(fd, backlog));
}

__attribute__((noinline)) int weft_sys_shutdown(int fd, int how)
{
	return status(shutdown(fd, how));
}

__attribute__((noinline)) int weft_sys_getsockname(
	int fd, struct sockaddr *addr, socklen_t *len)
{
	return status(getsockname(fd, addr, len));
}

__attribute__((noinline)) int weft_sys_enable(int fd, int level, int option)
{
	int on = 1;

	return status(setsockopt(fd, level, option, &on, sizeof(on)));
}

__attribute__((noinline)) int weft_sys_socket_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);
	int rc = status(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len));

	return rc < 0 ? rc : -error;
}

__attribute__((noinline)) void weft_sys_close(int fd)
{
	close(fd);
}
