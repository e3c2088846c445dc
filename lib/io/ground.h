/* SPDX-License-Identifier: MIT */
/*
 * ground - the calls on sockets that are no operations: they never wait, and no ring carries them out. The
 * kernel answers them (ground.c), or, in a simulation, the simulated sockets do (sim/net_ground.c).
 *
 * Who:   tasks, between two operations; nothing here suspends. The descriptor is one that weft has opened
 *        and nobody knows yet, or something is counted on it, so that the number is not another's.
 * Error: -errno in the return value; errno is left alone.
 */
#ifndef WEFT_LIB_IO_GROUND_H
#define WEFT_LIB_IO_GROUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct weft_ground {
	int (*socket)(int domain, int type, int protocol);
	int (*bind)(int fd, const struct sockaddr *addr, socklen_t len);
	int (*listen)(int fd, int backlog);
	/* On a socket that is O_NONBLOCK: -EINPROGRESS when it is not decided yet. */
	int (*connect)(int fd, const struct sockaddr *addr, socklen_t len);
	/* Give a connection up: what is queued to be sent is dropped, the peer of a stream is told. */
	int (*disconnect)(int fd);
	int (*shutdown)(int fd, int how);
	int (*local_name)(int fd, struct sockaddr *addr, socklen_t *len);
	/* What has gone wrong, once: 0, or a negative code. */
	int (*socket_error)(int fd);
	/* The poll events that have come, 0 for none. */
	int64_t (*poll)(int fd, short events);
	/* With MSG_DONTWAIT. */
	int64_t (*recv)(int fd, void *buf, size_t n, int flags);
	/* A socket whose sendfile(2) waits for nothing but its send buffer. */
	bool (*takes_sendfile)(int fd, bool blocking);
	/* How much of a socket's send buffer is free, and its size. */
	int64_t (*room)(int fd, int64_t *size);
};

extern const struct weft_ground weft_ground_kernel;

/* The current runtime's. In a task. */
const struct weft_ground *weft_ground(void);

#endif
