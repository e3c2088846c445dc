/* SPDX-License-Identifier: MIT */
#ifndef WEFT_IO_H
#define WEFT_IO_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <weft/base.h>

WEFT_EXTERN_C_BEGIN

enum { WEFT_REUSEPORT = 1 };

WEFT_API ssize_t weft_read(int fd, void *buf, size_t n);
WEFT_API ssize_t weft_write(int fd, const void *buf, size_t n);
WEFT_API ssize_t weft_pread(int fd, void *buf, size_t n, off_t at);
WEFT_API ssize_t weft_pwrite(int fd, const void *buf, size_t n, off_t at);
WEFT_API ssize_t weft_readv(int fd, const struct iovec *iov, int count);
WEFT_API ssize_t weft_writev(int fd, const struct iovec *iov, int count);
WEFT_API ssize_t weft_recv(int fd, void *buf, size_t n, int flags);
WEFT_API ssize_t weft_send(int fd, const void *buf, size_t n, int flags);
WEFT_API ssize_t weft_recvmsg(int fd, struct msghdr *msg, int flags);
WEFT_API ssize_t weft_sendmsg(int fd, const struct msghdr *msg, int flags);
WEFT_API ssize_t weft_read_full(int fd, void *buf, size_t n);
WEFT_API ssize_t weft_write_full(int fd, const void *buf, size_t n, size_t *done_or_null);
WEFT_API ssize_t weft_send_full(int fd, const void *buf, size_t n, int flags,
				size_t *done_or_null);

WEFT_API int weft_socket(int domain, int type, int protocol);
WEFT_API int weft_connect(int fd, const struct sockaddr *addr, socklen_t len);
WEFT_API int weft_accept(int fd, struct sockaddr *addr, socklen_t *len, int flags);
WEFT_API int weft_shutdown(int fd, int how);
WEFT_API int weft_close(int fd);
WEFT_API int weft_openat(int dirfd, const char *path, int flags, mode_t mode);
WEFT_API int weft_fsync(int fd, unsigned flags);
WEFT_API int weft_poll(int fd, short events);

WEFT_API int weft_listen(const char *address, int backlog, unsigned flags);
WEFT_API int weft_dial(const char *address, unsigned flags);
WEFT_API int weft_local_address(int fd, char *buf, size_t n);
WEFT_API int weft_serve(int listen_fd, int (*conn)(int fd, void *user), void *user,
			unsigned max_conns);

WEFT_EXTERN_C_END

#endif /* WEFT_IO_H */
