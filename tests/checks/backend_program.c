/* SPDX-License-Identifier: MIT */
/*
 * backend_program - says which backend a runtime gets, after using it: a socket, a file, a timer, on two
 * workers. For seccomp.sh.
 *
 *	backend_program [require]	prints the backend's text; or the name of the code of the refusal
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weft.h>

static int answer(void *arg)
{
	char byte;
	int fd = *(int *)arg;

	while (weft_recv(fd, &byte, 1, 0) == 1)
		weft_send(fd, &byte, 1, 0);
	return 0;
}

static int talk(void)
{
	struct weft_task *other;
	int ends[2], good = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	other = weft_create_task(answer, &ends[1]);
	for (char sent = 0, got = 1; sent < 100; sent++) {
		weft_send(ends[0], &sent, 1, 0);
		good += weft_recv(ends[0], &got, 1, 0) == 1 && got == sent;
	}
	weft_close(ends[0]);
	weft_join(other);
	weft_close(ends[1]);
	return good == 100 ? 0 : -1;
}

static int use_file(void)
{
	char path[] = "/tmp/weft-backend-XXXXXX", back[8] = "";
	int fd = mkstemp(path);

	if (fd < 0 || weft_write(fd, "written", 7) != 7 || weft_fsync(fd, 0) != 0)
		return -1;
	weft_close(fd);
	fd = weft_openat(AT_FDCWD, path, O_RDONLY, 0);
	if (weft_read(fd, back, 7) != 7 || strcmp(back, "written") != 0)
		return -1;
	weft_close(fd);
	return unlink(path);
}

static int use(void *arg)
{
	(void)arg;
	if (talk() < 0 || use_file() < 0)
		return -1;
	return weft_sleep(WEFT_MS(1));
}

static void print(const struct weft_report *report, void *user)
{
	(void)user;
	fprintf(stderr, "report: %s\n", report->text);
}

int main(int argc, char **argv)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct weft_runtime *runtime;
	int rc;

	config.workers = 2;
	config.on_report = print;
	if (argc > 1 && strcmp(argv[1], "require") == 0)
		config.flags = WEFT_REQUIRE_URING;
	rc = weft_runtime_create(&config, &runtime);
	if (rc < 0) {
		printf("%s\n", strerrorname_np(-rc));
		return 1;
	}
	printf("%s\n", weft_runtime_backend(runtime));
	rc = weft_runtime_call(runtime, use, NULL, WEFT_FOREVER);
	weft_runtime_destroy(runtime);
	return rc == 0 ? 0 : 2;
}
