/* SPDX-License-Identifier: MIT */
/*
 * cache-server - an in-memory cache that speaks the Redis protocol, written on weft. redis-cli,
 * redis-benchmark and the client libraries of Redis talk to it.
 *
 *   cache-server [--port N] [--address A] [--unix PATH] [--workers N] [--max-connections N]
 *                [--dir D] [--appendonly yes|no] [--appendfsync always|everysec|no]
 *                [--grace-ms N]
 *
 * Listens on 127.0.0.1, a free port unless told, says "listening ADDRESS" on stdout, and serves
 * until SIGTERM or SIGINT. Then it stops accepting, answers what has been received, writes and
 * syncs the append-only file, and exits with 0. Try it:
 *
 *   cache-server --port 6380 --appendonly yes --appendfsync everysec &
 *   redis-cli -p 6380 set greeting hello ex 60
 *   redis-benchmark -p 6380 -t get,set -P 16 -q
 *
 * Commands: the rows in command.c. One database, no replication, no transactions, no eviction.
 * The append-only file (aof.h) is DIR/appendonly.aof; it only grows.
 *
 * A task per connection (client.c), one for the times to go (expire.c), one that writes the file
 * and one that syncs it (aof.c).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "command.h"
#include "expire.h"
#include "program.h"
#include "replay.h"

enum { BACKLOG = 4096 };

struct program program = {
	.options =
		{
			.address = "127.0.0.1",
			.max_connections = 10000,
			.dir = ".",
			.policy = AOF_EVERYSEC,
			.grace = WEFT_SEC(2),
		},
};

/* The two addresses there may be, and what ends the serving. */
struct serving {
	int listeners[2];
	struct weft_task *tasks[2];
	unsigned count;
};

static int serve(void *arg)
{
	return weft_serve(
		*(int *)arg, client_serve, NULL, program.options.max_connections);
}

static sigset_t stop_signals(void)
{
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	return stop;
}

/* Waits for the first signal; later ones find the server stopping already. */
static int watch_signals(void *arg)
{
	struct serving *s = arg;
	sigset_t stop = stop_signals();
	int rc = weft_signal_wait(&stop, NULL);

	for (unsigned i = 0; i < s->count; i++)
		weft_cancel(s->tasks[i]); /* one that could not be stopped stops at once */
	return rc < 0 ? rc : 0;
}

/*
 * The first wait takes the signals over, and what that needs: before there are clients, who may take
 * the last descriptor. 1: one has come already.
 */
static int own_signals(void)
{
	sigset_t stop = stop_signals();
	struct weft_scope scope;
	int rc;

	weft_deadline_begin(&scope, WEFT_MS(10));
	rc = weft_signal_wait(&stop, NULL);
	weft_scope_end(&scope);
	return rc == -ETIMEDOUT ? 0 : rc < 0 ? rc : 1;
}

static int listen_on(struct serving *s, const char *address)
{
	int fd = weft_listen(address, BACKLOG, 0);

	if (fd < 0) {
		fprintf(stderr, "cache-server: %s: %s\n", address, strerror(-fd));
		return fd;
	}
	s->listeners[s->count++] = fd;
	return 0;
}

static int listen_all(struct serving *s)
{
	const struct options *options = &program.options;
	char address[160];
	int rc;

	snprintf(address, sizeof(address),
		strchr(options->address, ':') ? "[%s]:%u" : "%s:%u", options->address,
		options->port);
	rc = listen_on(s, address);
	if (rc < 0 || !options->unix_path)
		return rc;
	unlink(options->unix_path); /* what an earlier server left */
	snprintf(address, sizeof(address), "unix:%s", options->unix_path);
	return listen_on(s, address);
}

/* Once all are there: who reads a line may connect to any. */
static void say_listening(const struct serving *s)
{
	for (unsigned i = 0; i < s->count; i++) {
		char address[160];

		if (weft_local_address(s->listeners[i], address, sizeof(address)) < 0)
			continue;
		if (i == 0)
			program.port =
				(unsigned)strtoul(strrchr(address, ':') + 1, NULL, 10);
		printf("listening %s\n", address);
	}
	fflush(stdout);
}

/* Serves until a signal, or until an address fails; then its status. */
static int serve_all(struct serving *s)
{
	struct weft_task *serving[2], *watching;
	int rc;

	for (unsigned i = 0; i < s->count; i++) {
		serving[i] = weft_create_task(serve, &s->listeners[i]);
		s->tasks[i] = weft_ref(serving[i]);
	}
	watching = weft_create_task(watch_signals, s);
	rc = weft_gather(serving, s->count, NULL, 0);
	weft_cancel(watching);
	weft_join(watching);
	weft_release_all(serving, s->count);
	weft_release_all(s->tasks, s->count);
	return rc == -ECANCELED ? 0 : rc;
}

static int load(void)
{
	const struct options *options = &program.options;
	uint64_t length = 0;
	int rc;

	if (!options->appendonly)
		return 0;
	rc = aof_open(&program.aof, options->dir, options->policy);
	if (rc == 0)
		rc = replay(program.aof.fd, &length);
	return rc < 0 ? rc : aof_start(&program.aof, length);
}

static int run(void *arg)
{
	struct serving *s = arg;
	struct weft_task *expiring;
	int rc = own_signals(), stopped;

	if (rc)
		return rc < 0 ? rc : 0;
	rc = load();
	if (rc < 0)
		return rc;
	program.start = weft_now();
	expiring = weft_create_task(expire_task, &program.cache);
	rc = listen_all(s);
	if (rc == 0) {
		say_listening(s);
		rc = serve_all(s);
	}
	for (unsigned i = 0; i < s->count; i++)
		weft_close(s->listeners[i]);
	if (s->count == 2)
		unlink(program.options.unix_path);
	weft_cancel(expiring);
	weft_join(expiring);
	stopped = aof_stop(&program.aof);
	return rc < 0 ? rc : stopped;
}

static void __attribute__((noreturn)) usage(void)
{
	fprintf(stderr, "usage: cache-server [--port N] [--address A] [--unix PATH] "
			"[--workers N] "
			"[--max-connections N] [--dir D] [--appendonly yes|no] "
			"[--appendfsync always|everysec|no] [--grace-ms N]\n");
	exit(2);
}

static unsigned number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || end == text || value > INT32_MAX)
		usage();
	return (unsigned)value;
}

/* The place of the word in the list; usage if it is not there. */
static int choice(const char *word, const char *const *words, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(word, words[i]) == 0)
			return i;
	usage();
}

static void parse_option(const char *name, const char *value)
{
	static const char *const yes_no[] = {"no", "yes"};
	static const char *const policies[] = {"always", "everysec", "no"};
	struct options *options = &program.options;

	if (strcmp(name, "--port") == 0)
		options->port = number(value);
	else if (strcmp(name, "--address") == 0)
		options->address = value;
	else if (strcmp(name, "--unix") == 0)
		options->unix_path = value;
	else if (strcmp(name, "--workers") == 0)
		options->workers = number(value);
	else if (strcmp(name, "--max-connections") == 0)
		options->max_connections = number(value);
	else if (strcmp(name, "--dir") == 0)
		options->dir = value;
	else if (strcmp(name, "--appendonly") == 0)
		options->appendonly = choice(value, yes_no, 2);
	else if (strcmp(name, "--appendfsync") == 0)
		options->policy = (enum aof_policy)choice(value, policies, 3);
	else if (strcmp(name, "--grace-ms") == 0)
		options->grace = WEFT_MS(number(value));
	else
		usage();
}

/* Blocked before there are workers, so in all of them: one that comes before it is waited for is
 * kept until then. */
static void hold_signals(void)
{
	sigset_t stop = stop_signals();

	signal(SIGXFSZ, SIG_IGN); /* a file at its limit is an error of the write */
	pthread_sigmask(SIG_BLOCK, &stop, NULL);
}

int main(int argc, char **argv)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct serving s = {0};
	int rc;

	for (int i = 1; i < argc; i += 2) {
		if (i + 1 == argc)
			usage();
		parse_option(argv[i], argv[i + 1]);
	}
	config.workers = program.options.workers;
	command_init();
	hold_signals();
	if (!cache_init(&program.cache, config.workers != 1)) {
		fprintf(stderr, "cache-server: out of memory\n");
		return 1;
	}
	rc = weft_run(run, &s, &config);
	if (rc < 0)
		fprintf(stderr, "cache-server: %s\n", strerror(-rc));
	return rc < 0;
}
