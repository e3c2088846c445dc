/* SPDX-License-Identifier: MIT */
/*
 * watch - the table and the registrations. See watch.h.
 */
#include "io/watch.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int weft_fd_watches_open(struct weft_fd_watches *watches)
{
	watches->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return watches->epoll_fd < 0 ? -errno : 0;
}

void weft_fd_watches_close(struct weft_fd_watches *watches)
{
	close(watches->epoll_fd);
	for (unsigned i = 0; i < WEFT_FD_SEGMENTS; i++)
		free(weft_load_relaxed(&watches->segment[i]));
}

struct weft_fd_watch *weft_fd_watch_make(struct weft_fd_watches *watches, int fd)
{
	unsigned segment = weft_fd_segment_of(fd);
	struct weft_fd_watch *entries = calloc(weft_fd_segment_length(segment), sizeof(*entries));

	if (!entries)
		return NULL;
	weft_store_release(&watches->segment[segment], entries);
	return &entries[(size_t)fd - weft_fd_segment_start(segment)];
}

/*
 * 0 or -errno, which stays as it was. Not by libc's function: to a race detector that would be a use
 * of a descriptor which the program may be closing just now, and then it only fails.
 */
static int control(struct weft_fd_watches *watches, int what, int fd)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET,
		.data.fd = fd,
	};
	int before = errno, rc = 0;

	if (syscall(SYS_epoll_ctl, watches->epoll_fd, what, fd, &event) < 0)
		rc = -errno;
	errno = before;
	return rc;
}

/* Only of TCP: others may end a receive where a message, or what came with it, does. */
static bool drains(int fd)
{
	int protocol = 0, before = errno;
	socklen_t len = sizeof(protocol);
	int rc = getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len);

	errno = before;
	return rc == 0 && protocol == IPPROTO_TCP;
}

static void is_added(struct weft_fd_watch *watch, int fd)
{
	watch->drains = drains(fd);
	watch->unwanted = 0;
	weft_store_relaxed(&watch->added, 1);
}

/* Whichever of the two the set asks for. */
static int add_or_verify(
	struct weft_fd_watches *watches, struct weft_fd_watch *watch, int fd, int what, int else_error)
{
	int rc = control(watches, what, fd);

	if (rc == else_error)
		rc = control(watches, what == EPOLL_CTL_ADD ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd);
	if (rc < 0)
		weft_store_relaxed(&watch->added, 0);
	else
		is_added(watch, fd);
	return rc < 0 ? rc : 1;
}

int weft_fd_watch_add(struct weft_fd_watches *watches, struct weft_fd_watch *watch, int fd)
{
	if (weft_likely(weft_load_relaxed(&watch->added)))
		return 0;
	return add_or_verify(watches, watch, fd, EPOLL_CTL_ADD, -EEXIST);
}

int weft_fd_watch_verify(struct weft_fd_watches *watches, struct weft_fd_watch *watch, int fd)
{
	return add_or_verify(watches, watch, fd, EPOLL_CTL_MOD, -ENOENT);
}

void weft_fd_watch_remove(struct weft_fd_watches *watches, struct weft_fd_watch *watch, int fd)
{
	weft_store_relaxed(&watch->added, 0);
	control(watches, EPOLL_CTL_DEL, fd);
}

void weft_fd_watch_forget(struct weft_fd_watches *watches, int fd)
{
	struct weft_fd_watch *watch = weft_fd_watch_find(watches, fd);

	if (watch && weft_load_relaxed(&watch->added))
		weft_fd_watch_remove(watches, watch, fd);
}
