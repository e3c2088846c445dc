/* SPDX-License-Identifier: MIT */
/*
 * process - weft_waitpid: waits for a child to change its state. Called by programs.
 *
 * The end of one child is told by the kernel through a descriptor of that process (pidfd), which is polled
 * like any other. For several children at once, and for a child that stops or goes on, there is no such
 * descriptor: these are found by looking, again and again, with a pause that grows. SIGCHLD would tell, but
 * belongs to the program; a pool thread in the kernel's wait could not be called back. A child is only
 * reaped by the look that reports it, so a cancel loses nothing.
 *
 * In a simulation children are real: when one ends, the seed does not decide.
 */
#include <weft/io.h>

#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/io.h"
#include "sched/submit.h"

enum {
	PAUSE_FIRST_NS = 1000 * 1000,
	PAUSE_MOST_NS = 32 * 1000 * 1000,
	REAL_PAUSE_MS = 1,
};

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* The pid, 0: nothing yet, or -errno. errno is put back: it is the program's. */
__attribute__((noinline)) static int reap(pid_t pid, int *status, int options)
{
	int before = errno;
	int rc;

	do {
		rc = (int)waitpid(pid, status, options | WNOHANG);
	} while (rc < 0 && errno == EINTR); /* ends: the kernel does not wait */
	if (rc < 0)
		rc = -errno;
	errno = before;
	return rc;
}

/* A descriptor that is readable once the process has ended, or -errno. */
__attribute__((noinline)) static int open_process(pid_t pid)
{
	int before = errno;
	int rc = (int)syscall(SYS_pidfd_open, pid, 0);

	if (rc < 0)
		rc = -errno;
	errno = before;
	return rc;
}

/* In a simulation time does not pass for the child by our waiting. */
__attribute__((noinline)) static void let_real_time_pass(void)
{
	int before = errno;

	poll(NULL, 0, REAL_PAUSE_MS);
	errno = before;
}

static int wait_by_looking(pid_t pid, int *status, int options)
{
	int64_t pause = PAUSE_FIRST_NS;

	for (;;) {
		int rc = weft_io_nap(pause);

		if (weft_io_current()->simulated)
			let_real_time_pass();
		if (rc == 0)
			rc = reap(pid, status, options);
		if (rc != 0)
			return rc;
		pause = 2 * pause < PAUSE_MOST_NS ? 2 * pause : PAUSE_MOST_NS;
	}
}

/*
 * The look after the descriptor was opened makes sure that it is our child's: as long as that has not been
 * reaped its number is nobody else's.
 */
static int wait_for_end(int fd, pid_t pid, int *status, int options)
{
	int rc = reap(pid, status, options);

	if (rc == 0)
		rc = weft_op_poll(fd, POLLIN);
	if (rc > 0 && rc != pid)
		rc = reap(pid, status, options);
	return rc;
}

int weft_waitpid(pid_t pid, int *status, int options)
{
	WEFT_CHECKPOINT(checkpoint);
	int rc = weft_io_enter(&checkpoint), fd;

	if (rc == 0)
		rc = reap(pid, status, options);
	if (rc != 0 || options & WNOHANG)
		return rc;
	if (pid <= 0 || options & ~WNOHANG)
		return wait_by_looking(pid, status, options);
	fd = open_process(pid);
	if (fd < 0) /* an old kernel, or no more descriptors */
		return wait_by_looking(pid, status, options);
	weft_fd_opened(fd);
	rc = wait_for_end(fd, pid, status, options);
	weft_close(fd);
	/* Ended and yet not to be had: it is being traced. */
	return rc == 0 ? wait_by_looking(pid, status, options) : rc;
}
