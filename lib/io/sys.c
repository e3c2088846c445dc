/* SPDX-License-Identifier: MIT */
/*
 * sys - system calls with their error in the return value, leaving errno alone. See sys.h.
 */
#include "io/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <net/if.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
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

__attribute__((noinline)) int weft_sys_connect(
	int fd, const struct sockaddr *addr, socklen_t len)
{
	int before = errno;

	return status(connect(fd, addr, len), before);
}

__attribute__((noinline)) int weft_sys_set_blocking(int fd)
{
	int before = errno;
	int flags = status(fcntl(fd, F_GETFL), before);

	return flags < 0 ? flags : status(fcntl(fd, F_SETFL, flags & ~O_NONBLOCK), before);
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

__attribute__((noinline)) int weft_sys_close(int fd)
{
	int before = errno;

	return status((int)syscall(SYS_close, fd), before);
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

__attribute__((noinline)) int64_t weft_sys_sendmsg(int fd, const void *msg, int flags)
{
	int before = errno;

	return status((int)syscall(SYS_sendmsg, fd, msg, flags), before);
}

__attribute__((noinline)) int weft_sys_file_flags(int fd)
{
	int before = errno;

	return status(fcntl(fd, F_GETFL), before);
}

__attribute__((noinline)) int weft_sys_set_file_flags(int fd, int flags)
{
	int before = errno;

	return status((int)syscall(SYS_fcntl, fd, F_SETFL, flags), before);
}

__attribute__((noinline)) int weft_sys_file_mode(int fd)
{
	struct stat about;
	int before = errno, rc = status(fstat(fd, &about), before);

	return rc < 0 ? rc : (int)about.st_mode;
}

__attribute__((noinline)) int weft_sys_has_position(int fd)
{
	int before = errno;
	int rc = lseek(fd, 0, SEEK_CUR) < 0 && errno == ESPIPE ? -ESPIPE : -EAGAIN;

	errno = before;
	return rc;
}

/* Not preadv2() either. An offset is one register wide where a long is. */
__attribute__((noinline)) int64_t weft_sys_read_now(int fd, void *buf, size_t n, uint64_t off)
{
	struct iovec iov = {.iov_base = buf, .iov_len = n};
	int before = errno;
	int64_t rc = syscall(SYS_preadv2, fd, &iov, 1UL, (long)off,
		sizeof(long) == 8 ? 0L : (long)(off >> 32), RWF_NOWAIT);

	if (rc < 0)
		rc = -errno;
	errno = before;
	return rc;
}

__attribute__((noinline)) int64_t weft_sys_open_cached(
	int dirfd, const char *path, int flags)
{
#ifdef RESOLVE_CACHED
	struct open_how how = {
		.flags = (uint32_t)flags | O_LARGEFILE, .resolve = RESOLVE_CACHED};
	int before = errno;

	return status((int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how)), before);
#else
	(void)dirfd, (void)path, (void)flags;
	return -ENOSYS;
#endif
}

__attribute__((noinline)) int weft_sys_statx(
	int dirfd, const char *path, int flags, unsigned mask, struct statx *about)
{
	int before = errno;

	return status(
		(int)syscall(SYS_statx, dirfd, path, flags, mask, about), before);
}
