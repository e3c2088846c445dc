/* SPDX-License-Identifier: MIT */
/*
 * sys - the system calls that io makes directly because they do not wait, as functions that
 * return -errno and leave errno as it was. Nothing here may suspend, so errno is read on the
 * thread that set it.
 */
#ifndef WEFT_LIB_IO_SYS_H
#define WEFT_LIB_IO_SYS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* 0, or -EBADF. */
int weft_sys_is_open(int fd);

int weft_sys_socket(int domain, int type, int protocol);
int weft_sys_bind(int fd, const struct sockaddr *addr, socklen_t len);
int weft_sys_listen(int fd, int backlog);
/* On a socket that is O_NONBLOCK. */
int weft_sys_connect(int fd, const struct sockaddr *addr, socklen_t len);
/* Clear O_NONBLOCK. */
int weft_sys_set_blocking(int fd);
int weft_sys_shutdown(int fd, int how);
/* With MSG_DONTWAIT. */
int64_t weft_sys_send(int fd, const void *buf, size_t n, int flags);
int64_t weft_sys_recv(int fd, void *buf, size_t n, int flags);
int64_t weft_sys_sendmsg(int fd, const void *msg, int flags);
/* F_GETFL and F_SETFL; the type bits of st_mode. */
int weft_sys_file_flags(int fd);
int weft_sys_set_file_flags(int fd, int flags);
int weft_sys_file_mode(int fd);
/* -ESPIPE, or -EAGAIN when there is one. */
int weft_sys_has_position(int fd);
/* Only what is in memory: -EAGAIN for nothing. off UINT64_MAX: the file's position. */
int64_t weft_sys_read_now(int fd, void *buf, size_t n, uint64_t off);
/* Only if the names are in memory: else -EAGAIN; -ENOSYS or -EINVAL where the kernel cannot tell. */
int64_t weft_sys_open_cached(int dirfd, const char *path, int flags);
struct statx;
int weft_sys_statx(
	int dirfd, const char *path, int flags, unsigned mask, struct statx *about);
/* Around a call that would raise SIGPIPE and cannot be told not to. perhaps: it may have, since it
 * failed or did less than it was asked for. */
struct weft_sys_sigpipe {
	sigset_t before;
};
void weft_sys_sigpipe_hold(struct weft_sys_sigpipe *held);
void weft_sys_sigpipe_release(const struct weft_sys_sigpipe *held, bool perhaps);
/* From that offset; the file's position is not moved. */
int64_t weft_sys_sendfile(int out, int in, uint64_t at, size_t n);
int64_t weft_sys_position(int fd);
int64_t weft_sys_file_size(int fd);
int64_t weft_sys_set_position(int fd, int64_t at);
/* How much of a socket's send buffer is free, and its size. */
int64_t weft_sys_socket_room(int fd, int64_t *size);
/* A socket whose sendfile waits for nothing but its send buffer: any with O_NONBLOCK; plain TCP. */
bool weft_sys_takes_sendfile(int fd, bool blocking);
int weft_sys_getsockname(int fd, struct sockaddr *addr, socklen_t *len);
/* Switch a socket option on. */
int weft_sys_enable(int fd, int level, int option);
/* SO_ERROR: 0, or the pending error as a negative code. */
int weft_sys_socket_error(int fd);
/* Give a connection up: what is queued to be sent is dropped, the peer of a stream is told. */
int weft_sys_disconnect(int fd);
/* The number of a network interface, 0 if there is none such. */
uint32_t weft_sys_interface(const char *name);
int weft_sys_close(int fd);

#endif
