/* SPDX-License-Identifier: MIT */
/*
 * sys - system calls with their error in the return value, leaving errno alone. See sys.h.
 */
#include "io/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What the call returned, or its error; errno is put back, since it is the program's. */
static int status(int rc, int errno_before)
{
	int code = rc < 0 ? -errno : rc;

	errno = errno_before;
	return code;
}

__attribute__((noinline)) int weft_sys_is_open(int fd)
{
	int before = errno;
	int rc = status(fcntl(fd, F_GETFD), before);

	return rc < 0 ? rc : 0;
}

__attribute__((noinline)) int weft_sys_socket(int domain, int type, int protocol)
{
	int before = errno;

	return status(socket(domain, type, protocol), before);
}

__attribute__((noinline)) int weft_sys_bind(
	int fd, const struct sockaddr *addr, socklen_t len)
{
	int before = errno;

	return status(bind(fd, addr, len), before);
}

__attribute__((noinline)) int weft_sys_listen(int fd, int backlog)
{
	int before = errno;

	return status(listen(fd, backlog), before);
}

__attribute__((noinline)) int weft_sys_shutdown(int fd, int how)
{
	int before = errno;

	return status(shutdown(fd, how), before);
}

__attribute__((noinline)) int weft_sys_getsockname(
	int fd, struct sockaddr *addr, socklen_t *len)
{
	int before = errno;

	return status(getsockname(fd, addr, len), before);
}

__attribute__((noinline)) int weft_sys_enable(int fd, int level, int option)
{
	int before = errno, on = 1;

	return status(setsockopt(fd, level, option, &on, sizeof(on)), before);
}

__attribute__((noinline)) int weft_sys_socket_error(int fd)
{
	int before = errno, error = 0;
	socklen_t len = sizeof(error);
	int rc = status(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), before);

	return rc < 0 ? rc : -error;
}

__attribute__((noinline)) int weft_sys_disconnect(int fd)
{
	const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	int before = errno;

	return status(connect(fd, &nobody, sizeof(nobody)), before);
}

__attribute__((noinline)) uint32_t weft_sys_interface(const char *name)
{
	int before = errno;
	uint32_t index = if_nametoindex(name);

	errno = before;
	return index;
}

__attribute__((noinline)) void weft_sys_close(int fd)
{
	int before = errno;

	close(fd);
	errno = before;
}

__attribute__((noinline)) int64_t weft_sys_send(int fd, const void *buf, size_t n, int flags)
{
	int before = errno;
	/* Not send(): that is a cancellation point, which costs and which nobody needs here. */
	int64_t rc = syscall(SYS_sendto, fd, buf, n, flags, NULL, 0);

	if (rc < 0)
		rc = -errno;
	errno = before;
	return rc;
}

__attribute__((noinline)) int64_t weft_sys_recv(int fd, void *buf, size_t n, int flags)
{
	int before = errno;
	int64_t rc = syscall(SYS_recvfrom, fd, buf, n, flags, NULL, NULL);

	if (rc < 0)
		rc = -errno;
	errno = before;
	return rc;
}
