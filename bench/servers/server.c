/* SPDX-License-Identifier: MIT */
/*
 * server - start, serve, stop: weft_listen, weft_serve in a task of its own, and another
 * task that reads the signals and cancels the first.
 */
#include "server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BACKLOG = 4096 };

struct server_options server_options = {
	.host = "127.0.0.1",
	.idle = WEFT_SEC(60),
	.grace = WEFT_SEC(2),
};

struct serving {
	int listener;
	sigset_t signals;
	int (*connection)(int fd, void *user);
	struct weft_task *serve;
};

static int serve(void *arg)
{
	struct serving *s = arg;

	return weft_serve(
		s->listener, s->connection, NULL, server_options.max_connections);
}

/*
 * The first wait takes the signals over, and what that needs: before there are clients, who may take
 * the last descriptor. 1: one has come already.
 */
static int own_signals(struct serving *s)
{
	struct weft_scope scope;
	int rc;

	weft_deadline_begin(&scope, WEFT_MS(10));
	rc = weft_signal_wait(&s->signals, NULL);
	weft_scope_end(&scope);
	return rc == -ETIMEDOUT ? 0 : rc < 0 ? rc : 1;
}

/* Waits for the first signal; later ones find the server stopping already. A server that could not be
 * stopped stops at once. */
static int watch_signals(void *arg)
{
	struct serving *s = arg;
	int rc = weft_signal_wait(&s->signals, NULL);

	weft_cancel(s->serve);
	return rc < 0 ? rc : 0;
}

/* Connections inherit TCP_NODELAY: the end of a reply never waits for what it follows. */
static int start_listening(char *address, size_t room)
{
	int one = 1, fd;

	snprintf(address, room, "%s:%u", server_options.host, server_options.port);
	fd = weft_listen(address, BACKLOG, 0);
	if (fd < 0)
		return fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	weft_local_address(fd, address, room);
	return fd;
}

static int run(void *arg)
{
	struct serving *s = arg;
	struct weft_task *serving, *watching;
	char address[128];
	int rc = own_signals(s), watch_rc;

	if (rc)
		return rc < 0 ? rc : 0;
	s->listener = start_listening(address, sizeof(address));
	if (s->listener < 0)
		return s->listener;
	printf("listening %s\n", address);
	fflush(stdout);

	serving = weft_create_task(serve, s);
	s->serve = weft_ref(serving);
	watching = weft_create_task(watch_signals, s);
	rc = weft_join(serving);
	weft_cancel(watching);
	watch_rc = weft_join(watching);
	weft_release(s->serve);
	weft_close(s->listener);
	if (rc == -ECANCELED)
		return watch_rc == -ECANCELED ? 0 : watch_rc;
	return rc;
}

static int send_all(int fd, const void *buf, size_t n, int flags)
{
	struct weft_scope grace;
	size_t sent = 0;
	ssize_t rc = weft_send_full(fd, buf, n, flags, &sent);

	if (rc == -ECANCELED) {
		weft_shield_begin(&grace, server_options.grace);
		rc = weft_send_full(fd, (const char *)buf + sent, n - sent, flags, NULL);
		weft_scope_end(&grace);
	}
	return rc < 0 ? (int)rc : 0;
}

int server_send(int fd, const void *buf, size_t n)
{
	return send_all(fd, buf, n, 0);
}

int server_send_more(int fd, const void *buf, size_t n)
{
	return send_all(fd, buf, n, MSG_MORE);
}

static void __attribute__((noreturn)) usage(const char *program)
{
	fprintf(stderr,
		"usage: %s [--address HOST] [--port N] [--workers N] [--max-connections "
		"N] "
		"[--idle-ms N] [--grace-ms N] %s\n",
		program, server_options.usage ? server_options.usage : "");
	exit(2);
}

static void parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i += 2) {
		unsigned number;

		if (i + 1 == argc)
			usage(argv[0]);
		number = (unsigned)strtoul(argv[i + 1], NULL, 10);
		if (strcmp(argv[i], "--address") == 0)
			server_options.host = argv[i + 1];
		else if (strcmp(argv[i], "--port") == 0)
			server_options.port = number;
		else if (strcmp(argv[i], "--workers") == 0)
			server_options.workers = number;
		else if (strcmp(argv[i], "--max-connections") == 0)
			server_options.max_connections = number;
		else if (strcmp(argv[i], "--idle-ms") == 0)
			server_options.idle = WEFT_MS(number);
		else if (strcmp(argv[i], "--grace-ms") == 0)
			server_options.grace = WEFT_MS(number);
		else if (!server_options.option ||
			 !server_options.option(argv[i], number))
			usage(argv[0]);
	}
}

int server_main(int argc, char **argv, int (*connection)(int fd, void *user))
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct serving s = {.connection = connection};
	int rc;

	if (server_options.begin) {
		if (argc < 2 || argv[argc - 1][0] == '-')
			usage(argv[0]);
		parse(argc - 1, argv);
		rc = server_options.begin(argv[argc - 1]);
		if (rc < 0) {
			fprintf(stderr, "%s: %s: %s\n", argv[0], argv[argc - 1],
				strerror(-rc));
			return 1;
		}
	} else {
		parse(argc, argv);
	}
	config.workers = server_options.workers;
	/* Blocked before there are threads, so that one that comes before it is waited for is kept. */
	sigemptyset(&s.signals);
	sigaddset(&s.signals, SIGTERM);
	sigaddset(&s.signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &s.signals, NULL);
	rc = weft_run(run, &s, &config);
	if (rc < 0)
		fprintf(stderr, "%s: %s\n", argv[0], strerror(-rc));
	return rc < 0;
}
