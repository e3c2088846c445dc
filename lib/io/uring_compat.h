/* SPDX-License-Identifier: MIT */
/*
 * uring_compat - the numbers of operations and flags that the I/O calls and the uring backend
 * use, with those that older kernel headers lack. What the running kernel knows is asked at
 * run time (io/uring.c); this file only names it.
 */
#ifndef WEFT_LIB_IO_URING_COMPAT_H
#define WEFT_LIB_IO_URING_COMPAT_H

#include <linux/fs.h>
#include <linux/io_uring.h>

#ifndef IORING_SETUP_SUBMIT_ALL
#define IORING_SETUP_SUBMIT_ALL (1U << 7)
#endif

#ifndef IORING_SETUP_COOP_TASKRUN
#define IORING_SETUP_COOP_TASKRUN (1U << 8)
#define IORING_SETUP_TASKRUN_FLAG (1U << 9)
#endif

#ifndef IORING_SQ_TASKRUN
#define IORING_SQ_TASKRUN (1U << 2)
#endif

/* A send that does not copy, and its second completion. Linux 6.0. */
#ifndef IORING_CQE_F_NOTIF
#define IORING_CQE_F_NOTIF (1U << 3)
#define IORING_OP_SEND_ZC 47
#endif

/* The write raises no SIGPIPE. Linux 6.18. */
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x00000100
#endif

#endif
