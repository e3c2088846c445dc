/* SPDX-License-Identifier: MIT */
/*
 * seccomp - runs a program where io_uring is forbidden, as container runtimes and sandboxes do it: its
 * system calls (425 to 427) fail with the code given.
 *
 *	seccomp EPERM|ENOSYS|EACCES|ENOMEM PROGRAM [ARGUMENT...]
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { FIRST = 425, LAST = 427 };

static int code_named(const char *name)
{
	static const int codes[] = { EPERM, ENOSYS, EACCES, ENOMEM };

	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
		if (strcmp(strerrorname_np(codes[i]), name) == 0)
			return codes[i];
	}
	return 0;
}

static int forbid(int code)
{
	struct sock_filter steps[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, LAST, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)code),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {
		.len = sizeof(steps) / sizeof(*steps),
		.filter = steps,
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int argc, char **argv)
{
	int code = argc > 2 ? code_named(argv[1]) : 0;

	if (!code) {
		fprintf(stderr, "usage: %s EPERM|ENOSYS|EACCES|ENOMEM PROGRAM [ARGUMENT...]\n",
			argv[0]);
		return 2;
	}
	if (forbid(code) < 0) {
		perror("seccomp");
		return 77;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
