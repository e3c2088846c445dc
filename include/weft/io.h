/* SPDX-License-Identifier: MIT */
/*
 * io - files and sockets: POSIX names, POSIX arguments, negative errno values.
 *
 * All calls are [S] but where noted, and for tasks only: -EPERM on a plain thread. The call
 * waits for the kernel whether the descriptor is blocking or not: weft never changes
 * O_NONBLOCK, never returns -EAGAIN because of it, and never raises SIGPIPE (-EPIPE is
 * returned). A call that is cancelled while it waits returns -ECANCELED or -ETIMEDOUT only if
 * the operation had no effect. Besides the codes named here each call returns those of the
 * system call of its name (section 2 of the manual); -EBADF also when weft_close ended it.
 *
 * Descriptors are ordinary ones. close(2) is legal on one with nothing in flight; else use
 * weft_close.
 */
#ifndef WEFT_IO_H
#define WEFT_IO_H

#include <signal.h>
#include <netdb.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <weft/base.h>

WEFT_EXTERN_C_BEGIN

struct statx; /* <sys/stat.h>, with _GNU_SOURCE */

/* flags of weft_listen */
enum {
	WEFT_REUSEPORT = 1, /* several listeners share the port (SO_REUSEPORT) */
};

/*
 * Transfer up to n bytes at the file's position, as read(2) and write(2) do. Return the number
 * transferred, which may be less than n; a read returns 0 at end of file.
 */
WEFT_API ssize_t weft_read(int fd, void *buf, size_t n);
WEFT_API ssize_t weft_write(int fd, const void *buf, size_t n);

/* Transfer up to n bytes at offset at; the file's position is neither used nor moved. */
WEFT_API ssize_t weft_pread(int fd, void *buf, size_t n, off_t at);
WEFT_API ssize_t weft_pwrite(int fd, const void *buf, size_t n, off_t at);

/* weft_read and weft_write with count buffers, filled or written one after the other. */
WEFT_API ssize_t weft_readv(int fd, const struct iovec *iov, int count);
WEFT_API ssize_t weft_writev(int fd, const struct iovec *iov, int count);

/*
 * Receive or send up to n bytes on a socket; flags are MSG_... ones. Return the number
 * transferred; 0 from weft_recv is the peer's end of the stream.
 */
WEFT_API ssize_t weft_recv(int fd, void *buf, size_t n, int flags);
WEFT_API ssize_t weft_send(int fd, const void *buf, size_t n, int flags);

/*
 * The same with an address, for datagrams: recvfrom(2) and sendto(2). addr takes the sender's,
 * *len the size of addr before and that of the address after, which is larger when it was cut
 * off; both may be NULL. Where a datagram goes is addr; NULL: where the socket is connected to.
 */
WEFT_API ssize_t weft_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *addr,
	socklen_t *len);
WEFT_API ssize_t weft_sendto(int fd, const void *buf, size_t n, int flags,
	const struct sockaddr *addr, socklen_t len);

/* recvmsg(2) and sendmsg(2). msg and all it points to must stay as they are meanwhile. */
WEFT_API ssize_t weft_recvmsg(int fd, struct msghdr *msg, int flags);
WEFT_API ssize_t weft_sendmsg(int fd, const struct msghdr *msg, int flags);

/*
 * Reads until n bytes have come. Returns n, or less, only at end of file. An error, a cancel
 * or a deadline in the middle returns its code; what came before lies at the start of buf.
 */
WEFT_API ssize_t weft_read_full(int fd, void *buf, size_t n);

/*
 * Write or send until all n bytes are out. Return n; an error, a cancel or a deadline in the
 * middle returns its code. *done_or_null is set to the bytes that went out, on every return.
 */
WEFT_API ssize_t weft_write_full(int fd, const void *buf, size_t n, size_t *done_or_null);
WEFT_API ssize_t weft_send_full(int fd, const void *buf, size_t n, int flags,
	size_t *done_or_null);

/* socket(2). Returns a descriptor, the caller's to close. */
WEFT_API int weft_socket(int domain, int type, int protocol);

/*
 * connect(2); waits until connected. Returns 0; -ECONNREFUSED, -ETIMEDOUT (the kernel's own,
 * or a deadline) and the like. After a cancel the socket is fit only to be closed.
 */
WEFT_API int weft_connect(int fd, const struct sockaddr *addr, socklen_t len);

/*
 * accept4(2); waits for a connection. addr and len may both be NULL; flags: SOCK_CLOEXEC,
 * SOCK_NONBLOCK. Returns a descriptor, the caller's to close. A listener that other processes accept from
 * too should have O_NONBLOCK, as weft_listen's have: without io_uring, losing the race for a connection
 * would otherwise hold up the worker until the next one comes.
 */
WEFT_API int weft_accept(int fd, struct sockaddr *addr, socklen_t *len, int flags);

/* shutdown(2); how is SHUT_RD, SHUT_WR or SHUT_RDWR. Returns 0. */
WEFT_API int weft_shutdown(int fd, int how);

/*
 * Ends every operation of this runtime on fd (they return -EBADF, or their result if they had
 * one), waits for them, then closes: none of them can meet whatever gets the number next.
 * Always closes, also when the caller is cancelled or timed out.
 *
 * Returns 0, or close(2)'s code: -EBADF was not open; -EIO, -ENOSPC, -EDQUOT: closed, but
 * earlier writes were lost.
 */
WEFT_API int weft_close(int fd);

/*
 * openat(2); dirfd may be AT_FDCWD. Returns a descriptor, the caller's to close. To open a named
 * pipe for reading does not wait for a writer; the first weft_read of it does.
 */
WEFT_API int weft_openat(int dirfd, const char *path, int flags, mode_t mode);

/* fsync(2); with flags 1 fdatasync(2): the data only. Returns 0. */
WEFT_API int weft_fsync(int fd, unsigned flags);

/* fallocate(2): makes room for, or frees, n bytes at offset at. Returns 0. */
WEFT_API int weft_fallocate(int fd, int mode, off_t at, off_t n);

/*
 * Moves up to n bytes from in to out without copying them here: splice(2). One of the two is a
 * pipe; the other a pipe too, a file or a socket. in_at and out_at are offsets, moved on, for files
 * only; NULL: the position. flags are SPLICE_F_... ones; with SPLICE_F_NONBLOCK it does not
 * wait for the pipe (-EAGAIN). Returns how many were moved, perhaps less; 0 at the end of in.
 */
WEFT_API ssize_t weft_splice(int in, off_t *in_at, int out, off_t *out_at, size_t n,
	unsigned flags);

/*
 * Sends n bytes of the file in, from offset *at, which is moved on, or with NULL from its position:
 * sendfile(2). out is anything that can be written to; quickest is TCP. in is read through the page
 * cache. The worker waits neither for the disk nor for the peer.
 *
 * Returns how many bytes were sent: n, or less at the end of the file, or when an error, a cancel or
 * a deadline stopped it after some had gone. -ESPIPE when in is no file.
 */
WEFT_API ssize_t weft_sendfile(int out, int in, off_t *at, size_t n);

/*
 * The calls on names: as their system calls, with dirfd AT_FDCWD or a directory. path and what
 * about points to must stay until the call returns. Return 0. One that is cancelled while
 * it is under way goes to its end first: the result wins.
 *
 * statx: flags AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH ..., mask STATX_... bits. unlinkat: flags
 * AT_REMOVEDIR. renameat: renameat2(2), flags RENAME_NOREPLACE, RENAME_EXCHANGE ...
 */
WEFT_API int weft_statx(int dirfd, const char *path, int flags, unsigned mask,
	struct statx *about);
WEFT_API int weft_unlinkat(int dirfd, const char *path, int flags);
WEFT_API int weft_renameat(int olddirfd, const char *old, int newdirfd, const char *new_path,
	unsigned flags);
WEFT_API int weft_mkdirat(int dirfd, const char *path, mode_t mode);

/*
 * Waits until fd is ready: events as in poll(2) (POLLIN, POLLOUT, ...). For libraries that do
 * their own I/O. Returns the events that came, POLLERR and POLLHUP among them, always > 0.
 */
WEFT_API int weft_poll(int fd, short events);

/*
 * waitpid(2): waits for a child process; pid > 0 that one, -1 any, 0 any of the caller's process
 * group, less than -1 any of group -pid. options: WNOHANG, WUNTRACED, WCONTINUED. *status, if not
 * NULL, is for WIFEXITED and the like. SIGCHLD is neither needed nor touched. The end of one child
 * (pid > 0) is heard of at once; several at a time, stopping and going on are looked for, every
 * millisecond at first and less and less often, down to every 32 ms.
 *
 * Returns the pid; 0 with WNOHANG when there is nothing to tell; -ECHILD: there is no such child,
 * or no longer; -EINVAL: options. On -ECANCELED and -ETIMEDOUT no child has been reaped.
 */
WEFT_API int weft_waitpid(pid_t pid, int *status, int options);

/*
 * Waits for a signal of the set. From the first wait until the runtime has stopped, weft owns the
 * signals of the set, for the whole process, blocked or not: they no longer kill, the handlers that
 * were there before do not run, and what arrives between two waits is kept. Of a standard signal
 * one arrival is kept, of the real-time ones all, up to 1024 together. Each arrival goes to one
 * waiter, the first come, in whichever runtime; of several arrivals the lowest number goes first.
 * When all runtimes that have waited for a signal have stopped, its earlier handler is put back,
 * and what nobody has waited for is dropped. System calls of the program's own may return EINTR as
 * with any handler set with SA_RESTART; the handler never runs on a task's stack. A forked child
 * owns nothing.
 *
 * Returns the signal's number, and what is known of it in *info_or_null; -EINVAL: set is NULL or
 * empty, or holds SIGKILL, SIGSTOP, or one that an instruction raises (SIGSEGV, SIGBUS, SIGFPE,
 * SIGILL, SIGTRAP, SIGSYS); -EAGAIN, -EMFILE, -ENFILE: no thread or descriptor is left for the
 * first wait. On -ECANCELED and -ETIMEDOUT no arrival has been taken.
 */
WEFT_API int weft_signal_wait(const sigset_t *set, siginfo_t *info_or_null);

/*
 * Creates a listening socket: "127.0.0.1:8080", "[::]:0" (0: a free port), "unix:/path". It is
 * close-on-exec and, on TCP, takes an address in TIME_WAIT (SO_REUSEADDR). It has O_NONBLOCK,
 * which weft_accept does not mind. backlog is listen(2)'s.
 *
 * Returns a descriptor, the caller's to close; -EINVAL for an address in no such form or
 * unknown flags; else the codes of socket, bind and listen: -EADDRINUSE also when the path of
 * a unix address exists.
 */
WEFT_API int weft_listen(const char *address, int backlog, unsigned flags);

/*
 * Connects a stream socket, close-on-exec, to an address in weft_listen's forms or to a name and
 * a port, "example.org:443". A name is looked up (weft_getaddrinfo), and its addresses, IPv6 and
 * IPv4 in turn, up to 16 of them, are tried as RFC 8305 says: the next one when one has failed or
 * has not answered for 250 ms, all that were begun at the same time; the first to be connected is
 * returned and the others are closed. flags is 0. A cancel or deadline closes what was begun.
 *
 * Returns a descriptor, the caller's to close; -EINVAL for an address in no such form or unknown
 * flags; the codes of weft_getaddrinfo; else the codes of socket and connect, when all addresses
 * have failed the last one that tells more than that there is no way to that network.
 */
WEFT_API int weft_dial(const char *address, unsigned flags);

/*
 * Writes the local address of a socket, in the form weft_dial takes, NUL-terminated, into the
 * n bytes at buf. No checkpoint, and allowed on plain threads.
 *
 * Returns its length without the NUL; -ENOSPC when it does not fit; -EAFNOSUPPORT for other
 * families; the codes of getsockname(2).
 */
WEFT_API int weft_local_address(int fd, char *buf, size_t n);

/*
 * Looks up a name and a service, as getaddrinfo(3), whose arguments these are, on the blocking
 * pool's lane "dns". *res is the caller's to free with freeaddrinfo(3); on failure it is left
 * alone. The lookup itself cannot be ended: a caller that is cancelled or timed out returns at
 * once, and the lookup goes on and frees what it finds. The end of the runtime waits for it.
 *
 * Returns 0, or for EAI_NONAME -ENOENT, EAI_NODATA and EAI_ADDRFAMILY -EADDRNOTAVAIL, EAI_AGAIN (no
 * name server answers) -EREMOTEIO, EAI_FAIL -EIO, EAI_FAMILY -EAFNOSUPPORT, EAI_SOCKTYPE
 * -ESOCKTNOSUPPORT, EAI_SERVICE -EPROTONOSUPPORT, EAI_BADFLAGS -EINVAL, EAI_MEMORY -ENOMEM,
 * EAI_OVERFLOW -EOVERFLOW, EAI_SYSTEM the system's code. -EINVAL for a NULL res; -EAGAIN as
 * weft_blocking.
 */
WEFT_API int weft_getaddrinfo(const char *node, const char *service,
	const struct addrinfo *hints, struct addrinfo **res);

/*
 * Accepts on listen_fd, which stays the caller's, and runs conn(fd, user) in a task for each
 * connection. weft closes fd when conn returns, whose status is only counted. With max_conns
 * connections alive it waits for one to end before it accepts; 0 is no limit. Out of
 * descriptors or memory (-EMFILE, -ENFILE, -ENOBUFS, -ENOMEM), it tries again when one of its
 * connections has ended, and else every 100 ms; who connects waits in the backlog meanwhile.
 *
 * Returns only by cancel, deadline or an error of listen_fd itself (-EBADF, -EINVAL,
 * -ENOTSOCK): it then stops accepting, cancels the connections, waits for them all and returns
 * that code.
 */
WEFT_API int weft_serve(int listen_fd, int (*conn)(int fd, void *user), void *user,
	unsigned max_conns);

/*
 * Receive buffers that many connections share, so that an idle one holds none.
 *
 * weft_pool_create makes count buffers of size bytes each; their memory is taken when they are
 * first used. Any thread may create a pool and any runtime use it. NULL: count or size is 0, count
 * is above 16,777,216, size above UINT32_MAX, or there is no memory.
 *
 * weft_pool_destroy frees it. Nobody may be receiving into it any more; who waits for a buffer all
 * the same gets -ESHUTDOWN. Buffers that are still out stay good until they are put, and the memory
 * goes with the last of them. NULL is fine.
 */
struct weft_pool;
WEFT_API struct weft_pool *weft_pool_create(size_t count, size_t size);
WEFT_API void weft_pool_destroy(struct weft_pool *pool);

/* One buffer out of a pool: len bytes at data, from weft_recv_buf until weft_buf_put. */
struct weft_buf {
	void *data;
	uint32_t len;
	uint32_t id; /* the library's */
	struct weft_pool *pool;
};

/*
 * [S] weft_recv into a buffer of the pool, which is taken only once there is something to receive.
 * When all of them are out, waits for one to be put: first come, first served.
 *
 * Returns the bytes received, and in *out the buffer that holds them, the caller's until it puts it.
 * On every other return *out holds no buffer (data is NULL): 0 at the end of the stream, -EINVAL
 * for NULL, -ESHUTDOWN when the pool is destroyed, the codes of weft_recv.
 */
WEFT_API ssize_t weft_recv_buf(int fd, struct weft_pool *pool, struct weft_buf *out);

/*
 * Gives a buffer back, from any task or thread, and clears *buf. One that has been put before, by
 * way of a copy too, is left alone, as long as its pool is there; and so is one that holds none.
 */
WEFT_API void weft_buf_put(struct weft_buf *buf);

/*
 * weft_send without a copy: the kernel reads buf itself, and the call returns once it has told that it
 * never will again; over a network that is when the peer has acknowledged. Worth it for sends of
 * some 10 KiB and more. Where the kernel (before Linux 6.0), the socket (a unix one), the backend or
 * the limit on locked memory does not have it, it is weft_send.
 *
 * Returns the bytes sent, which may be less than n, or the codes of weft_send. A cancel, a deadline
 * or weft_close that finds bytes on their way waits up to 500 ms for the peer to take them, which
 * then is the result; after that the connection is given up (as after a reset), and the code is
 * returned.
 */
WEFT_API ssize_t weft_send_zc(int fd, const void *buf, size_t n, int flags);

WEFT_EXTERN_C_END

#endif /* WEFT_IO_H */
