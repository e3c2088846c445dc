/* SPDX-License-Identifier: MIT */
/*
 * choose - see choose.h. What each way of refusing means is put into words here: the code, and
 * what to look at.
 */
#include "io/choose.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <weft/runtime.h>

#include "io/op.h"
#include "io/uring_setup.h"

static const char sysctl[] = "/proc/sys/kernel/io_uring_disabled";

enum wish { EITHER, ONLY_URING, ONLY_EPOLL, NONSENSE };

static enum wish environment(void)
{
	const char *value = getenv("WEFT_BACKEND");

	if (!value || !*value)
		return EITHER;
	if (strcmp(value, "io_uring") == 0)
		return ONLY_URING;
	return strcmp(value, "epoll") == 0 ? ONLY_EPOLL : NONSENSE;
}

/* '0' to '2'; 0 when the kernel has no such setting. */
static char io_uring_disabled(void)
{
	int fd = open(sysctl, O_RDONLY | O_CLOEXEC);
	char value = 0;

	if (fd < 0)
		return 0;
	if (read(fd, &value, 1) != 1)
		value = 0;
	close(fd);
	return value;
}

static void why_forbidden(char *out, size_t size)
{
	char disabled = io_uring_disabled();

	if (disabled == '1' || disabled == '2')
		snprintf(out, size, ", io_uring_disabled=%c", disabled);
	else
		snprintf(out, size, ", seccomp");
}

static void why_no_memory(char *out, size_t size)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return;
	if (limit.rlim_cur >= 1 << 20)
		snprintf(out, size, ", RLIMIT_MEMLOCK=%llu MiB",
			(unsigned long long)limit.rlim_cur >> 20);
	else
		snprintf(out, size, ", RLIMIT_MEMLOCK=%llu KiB",
			(unsigned long long)limit.rlim_cur >> 10);
}

/* The refusal in words: "io_uring_setup: EPERM, io_uring_disabled=2". */
static void explain(int code, const char *missing, char *out, size_t size)
{
	const char *name = strerrorname_np(-code);
	char hint[48] = "";

	if (*missing) {
		snprintf(out, size, "io_uring: the kernel lacks %s", missing);
		return;
	}
	if (code == -EPERM || code == -EACCES)
		why_forbidden(hint, sizeof(hint));
	else if (code == -ENOSYS)
		snprintf(hint, sizeof(hint), "%s", io_uring_disabled() ?
				", seccomp" : /* since Linux 6.6 the setting is there with io_uring */
				", seccomp or a kernel without it");
	else if (code == -ENOMEM)
		why_no_memory(hint, sizeof(hint));
	snprintf(out, size, "io_uring_setup: %s%s", name ? name : "?", hint);
}

/* What another backend can do about. */
static bool is_refusal(int code)
{
	return code == -EPERM || code == -EACCES || code == -ENOSYS || code == -ENOMEM ||
	       code == -EINVAL || code == -EOPNOTSUPP;
}

static void choose_uring(struct weft_choice *choice)
{
	choice->backend = &weft_backend_uring;
	snprintf(choice->text, sizeof(choice->text), "io_uring");
}

static int choose_epoll(struct weft_choice *choice, const char *why)
{
	choice->backend = &weft_backend_epoll;
	snprintf(choice->text, sizeof(choice->text), "epoll (%s)", why);
	return 0;
}

/* io_uring is refused: epoll, if that will do. */
static int fall_back(
	unsigned flags, int code, const char *missing, struct weft_choice *choice)
{
	const char *required = flags & WEFT_REQUIRE_URING      ? "WEFT_REQUIRE_URING" :
			       environment() == ONLY_URING ? "WEFT_BACKEND=io_uring" :
							     NULL;
	char why[80];

	choice->status = code;
	if (!is_refusal(code))
		return code;
	explain(code, missing, why, sizeof(why));
	if (required) {
		snprintf(choice->report, sizeof(choice->report),
			"io_uring is required (%s) but is not to be had (%s)", required, why);
		return code;
	}
	snprintf(choice->report, sizeof(choice->report),
		"io_uring is not to be had (%s): the epoll backend takes its place", why);
	return choose_epoll(choice, why);
}

static int contradiction(struct weft_choice *choice, const char *text)
{
	snprintf(choice->report, sizeof(choice->report), "%s", text);
	choice->status = -EINVAL;
	return -EINVAL;
}

int weft_backend_choose(unsigned flags, struct weft_choice *choice)
{
	enum wish wish = environment();
	char missing[48] = "";
	int rc;

	*choice = (struct weft_choice){0};
	if (wish == NONSENSE)
		return contradiction(choice,
			"the environment's WEFT_BACKEND is neither io_uring nor epoll");
	if (flags & WEFT_REQUIRE_URING && flags & WEFT_NO_URING)
		return contradiction(
			choice, "WEFT_NO_URING and WEFT_REQUIRE_URING contradict each other");
	if (flags & WEFT_REQUIRE_URING && wish == ONLY_EPOLL)
		return contradiction(choice,
			"WEFT_REQUIRE_URING and WEFT_BACKEND=epoll contradict each other");
	if (flags & WEFT_NO_URING)
		return choose_epoll(choice, "WEFT_NO_URING");
	if (wish == ONLY_EPOLL)
		return choose_epoll(choice, "WEFT_BACKEND=epoll");
	rc = weft_uring_probe(missing, sizeof(missing));
	if (rc < 0)
		return fall_back(flags, rc, missing, choice);
	choose_uring(choice);
	return 0;
}

int weft_backend_choose_again(unsigned flags, int code, struct weft_choice *choice)
{
	if (choice->backend != &weft_backend_uring)
		return code;
	return fall_back(flags, code, "", choice);
}
