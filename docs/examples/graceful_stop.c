/* SPDX-License-Identifier: MIT */
/*
 * graceful_stop [address] - a server that finishes what it has begun when it gets SIGTERM or SIGINT.
 *
 * It answers each line with the same line in capitals, after some work. The signal is waited for like
 * anything else. Then the accept loop is cancelled, and with it the connections: one that waits for a
 * request hears of that at once, one that works on a request is shielded until its answer is out.
 */
#include <ctype.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>

#include <weft.h>

#define WORK WEFT_MS(300)
#define GRACE WEFT_SEC(5) /* for one request, once we have been told to stop */

static atomic_int answered;

static ssize_t answer(int fd, char *line, size_t n)
{
	weft_sleep(WORK);
	for (size_t i = 0; i < n; i++)
		line[i] = (char)toupper((unsigned char)line[i]);
	ssize_t sent = weft_send_full(fd, line, n, 0, NULL);
	if (sent >= 0)
		atomic_fetch_add(&answered, 1);
	return sent;
}

static int talk(int fd, void *user)
{
	char line[256]; /* a client here sends one short line at a time */
	ssize_t n;

	(void)user;
	while ((n = weft_recv(fd, line, sizeof(line), 0)) > 0) {
		struct weft_scope scope;

		weft_shield_begin(&scope, GRACE);
		n = answer(fd, line, (size_t)n);
		weft_scope_end(&scope);
		if (n < 0)
			break;
	}
	return (int)n; /* -ECANCELED: told to stop between two requests */
}

static int accept_all(void *arg)
{
	return weft_serve(*(int *)arg, talk, NULL, 0);
}

static int wait_for_signal(void *arg)
{
	sigset_t set;

	(void)arg;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	int signo = weft_signal_wait(&set, NULL);
	if (signo > 0) {
		printf("%s: stopping\n", signo == SIGTERM ? "SIGTERM" : "SIGINT");
		fflush(stdout);
	}
	return signo;
}

/* Until a signal comes, or else nobody accepts any more. */
static int serve_until_told(void *arg)
{
	char address[128];

	int fd = weft_listen(arg, SOMAXCONN, 0);
	if (fd < 0)
		return fd;
	struct weft_task *server = weft_create_task(accept_all, &fd);
	struct weft_task *told = weft_create_task(wait_for_signal, NULL);
	struct weft_task *either[] = { server, told };
	weft_local_address(fd, address, sizeof(address));
	printf("listening on %s\n", address);
	fflush(stdout);

	weft_wait(either, 2, WEFT_FIRST_COMPLETED, WEFT_FOREVER);
	weft_cancel(server);
	weft_cancel(told);
	weft_join(server); /* waits for every connection */
	int signo = weft_join(told);
	weft_close(fd);
	printf("%d answered\n", atomic_load(&answered));
	return signo < 0 ? signo : 0;
}

int main(int argc, char **argv)
{
	int status = weft_run(serve_until_told, argc > 1 ? argv[1] : "127.0.0.1:0", NULL);

	if (status < 0)
		fprintf(stderr, "graceful_stop: error %d\n", -status);
	return status < 0;
}
