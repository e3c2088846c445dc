/* SPDX-License-Identifier: MIT */
/*
 * sys - system calls with their error in the return value, leaving errno alone. See sys.h.
 */
#include "io/sys.h"

#include "base/atomic.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
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

__attribute__((noinline)) int64_t weft_sys_sendfile(int out, int in, uint64_t at, size_t n)
{
	struct weft_sys_sigpipe held;
	off_t off = (off_t)at;
	int before = errno;
	int64_t rc;

	weft_sys_sigpipe_hold(&held);
	rc = sendfile(out, in, &off, n);
	if (rc < 0)
		rc = -errno;
	weft_sys_sigpipe_release(&held, rc < (int64_t)n);
	errno = before;
	return rc;
}

__attribute__((noinline)) void weft_sys_sigpipe_hold(struct weft_sys_sigpipe *held)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, &held->before);
}

__attribute__((noinline)) void weft_sys_sigpipe_release(
	const struct weft_sys_sigpipe *held, bool perhaps)
{
	const struct timespec at_once = {0};
	int errno_before = errno;
	sigset_t set;

	if (perhaps) {
		sigemptyset(&set);
		sigaddset(&set, SIGPIPE);
		sigtimedwait(&set, NULL, &at_once); /* it is this thread's own */
	}
	pthread_sigmask(SIG_SETMASK, &held->before, NULL);
	errno = errno_before;
}

__attribute__((noinline)) int64_t weft_sys_file_size(int fd)
{
	struct stat about;
	int before = errno, rc = status(fstat(fd, &about), before);

	return rc < 0 ? rc : (int64_t)about.st_size;
}

__attribute__((noinline)) int64_t weft_sys_set_position(int fd, int64_t at)
{
	int before = errno;
	int64_t rc = lseek(fd, at, SEEK_SET);

	if (rc < 0)
		rc = -errno;
	errno = before;
	return rc;
}

__attribute__((noinline)) int64_t weft_sys_position(int fd)
{
	int before = errno;
	int64_t rc = lseek(fd, 0, SEEK_CUR);

	if (rc < 0)
		rc = -errno;
	errno = before;
	return rc;
}

__attribute__((noinline)) int64_t weft_sys_socket_room(int fd, int64_t *size)
{
	uint32_t memory[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(memory);
	int before = errno;
	int rc = status(getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &len), before);
	uint32_t used = memory[SK_MEMINFO_WMEM_QUEUED];

	if (rc < 0)
		return rc;
	if (used < memory[SK_MEMINFO_WMEM_ALLOC])
		used = memory[SK_MEMINFO_WMEM_ALLOC];
	*size = memory[SK_MEMINFO_SNDBUF];
	return *size > used ? *size - used : 0;
}

/* The system's, 0 for none: how much may be unsent before a send waits, whatever the buffer. */
static uint32_t system_lowat(void)
{
	FILE *file = fopen("/proc/sys/net/ipv4/tcp_notsent_lowat", "re");
	unsigned value = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%u", &value) != 1 || value >= INT32_MAX)
		value = 0;
	fclose(file);
	return value;
}

static bool has_system_lowat(void)
{
	enum { UNKNOWN, NO, YES };
	static _Atomic(uint32_t) known;
	uint32_t now = weft_load_relaxed(&known);

	if (now == UNKNOWN) {
		now = system_lowat() ? YES : NO;
		weft_store_relaxed(&known, now);
	}
	return now == YES;
}

/* No layer on top (TLS), and no limit besides the buffer's. */
static bool is_plain_tcp(int fd)
{
	char layer[16] = "";
	uint32_t lowat = 0;
	socklen_t layer_len = sizeof(layer), lowat_len = sizeof(lowat);

	if (getsockopt(fd, IPPROTO_TCP, TCP_ULP, layer, &layer_len) < 0 || layer_len)
		return false;
	if (getsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, &lowat_len) < 0)
		return false;
	return lowat ? lowat >= INT32_MAX : !has_system_lowat();
}

__attribute__((noinline)) bool weft_sys_takes_sendfile(int fd, bool blocking)
{
	int before = errno, protocol;
	socklen_t len = sizeof(protocol);
	bool takes = getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0;

	if (takes && blocking)
		takes = protocol == IPPROTO_TCP && is_plain_tcp(fd);
	errno = before;
	return takes;
}
