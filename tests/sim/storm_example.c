/* SPDX-License-Identifier: MIT */
/*
 * storm_example - the program around an example: runs its main under the storm, which cancels it at each of its
 * checkpoints. What it prints is thrown away.
 *
 * The example is named by this program's name, storm-NAME. One that serves gets clients, tasks in the same
 * simulation, in the table below; they account for every byte. Any other example needs nothing here.
 */
#include "storm.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weft.h>

#include "storm_redirect.h"

#undef main

enum { CLIENTS = 3, ECHO_BYTES = 10000, NAME_PORT = 5353 };

static const char SERVER[] = "127.0.0.1:8080";

/* What an example needs around it. */
struct setting {
	const char *name;
	const char *argument;
	weft_fn client; /* of a server: CLIENTS of them, side by side */
	int (*end)(struct weft_task
			*); /* has the server end, once the clients have; default: a cancel */
	void (*clear)(void);          /* before each run */
	int (*verify)(void);          /* within the simulation, when it has succeeded */
	const char *(*check)(void *); /* after each run */
};

/* A main has one type for us; who has no parameters does not look. */
int storm_example_main(int argc, char **argv);

static const struct setting *setting;

/* -- clients of servers -------------------------------------------------------------------------- */

static struct {
	size_t sent, received; /* bytes */
	unsigned asked, answered;
	const char *wrong;
} account;

static char text_of(size_t at)
{
	return (char)('a' + at % 23);
}

/* What comes back must be what was sent, in order and never more of it. */
static int receive_echo(void *arg)
{
	int fd = *(int *)arg;
	char buf[777];
	size_t at = 0;
	ssize_t n;

	while ((n = weft_recv(fd, buf, sizeof(buf), 0)) > 0) {
		for (ssize_t i = 0; i < n; i++, at++) {
			if (buf[i] != text_of(at))
				account.wrong = "other bytes came back than were sent";
		}
	}
	account.received += at;
	return (int)n;
}

static int send_echo(int fd)
{
	char text[ECHO_BYTES];
	size_t done = 0;
	ssize_t n;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = text_of(i);
	n = weft_send_full(fd, text, sizeof(text), 0, &done);
	account.sent += done;
	return n < 0 ? (int)n : weft_shutdown(fd, SHUT_WR);
}

static int echo_client(void *arg)
{
	int fd = weft_dial(SERVER, 0), status, received;
	struct weft_task *receiver;

	(void)arg;
	if (fd < 0)
		return fd;
	receiver = weft_create_task(receive_echo, &fd);
	status = send_echo(fd);
	if (status < 0)
		weft_cancel(receiver);
	received = weft_join(receiver);
	weft_close(fd);
	return status < 0 ? status : received;
}

/* One question, and its answer up to the end that the mark is at. */
static int ask(int fd, const char *question, const char *mark)
{
	char answer[512] = "";
	size_t have = 0;
	ssize_t n = weft_send_full(fd, question, strlen(question), 0, NULL);

	if (n < 0)
		return (int)n;
	account.asked++;
	while (!strstr(answer, mark)) {
		n = weft_recv(fd, answer + have, sizeof(answer) - 1 - have, 0);
		if (n <= 0)
			return n < 0 ? (int)n : -ECONNRESET;
		have += (size_t)n;
	}
	account.answered++;
	return 0;
}

static int ask_twice(const char *question, const char *mark)
{
	int fd = weft_dial(SERVER, 0), status;

	if (fd < 0)
		return fd;
	status = ask(fd, question, mark);
	if (status == 0)
		status = ask(fd, question, mark);
	weft_close(fd);
	return status;
}

static int http_client(void *arg)
{
	(void)arg;
	return ask_twice(
		"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "Hello from weft.\r\n");
}

static int capitals_client(void *arg)
{
	(void)arg;
	return ask_twice("hello\n", "HELLO\n");
}

static int name_client(void *arg)
{
	struct weft_scope patience;
	char answer[100];
	int fd = weft_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), status;
	ssize_t n = 0;
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(NAME_PORT),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	(void)arg;
	if (fd < 0)
		return fd;
	status = weft_connect(fd, (struct sockaddr *)&to, sizeof(to));
	weft_deadline_begin(&patience, WEFT_SEC(1)); /* a datagram may be lost */
	if (status == 0)
		n = weft_send(fd, "\1\2www.example.com", 17, 0);
	account.asked += n == 17;
	if (n == 17)
		n = weft_recv(fd, answer, sizeof(answer), 0);
	weft_scope_end(&patience);
	if (n > 0 && (n != 17 || memcmp(answer, "\1\2WWW.EXAMPLE.COM", 17) != 0))
		account.wrong = "another answer came than was asked for";
	account.answered += n == 17;
	weft_close(fd);
	return 0;
}

static const char *all_is_accounted_for(void *arg)
{
	(void)arg;
	if (account.wrong)
		return account.wrong;
	if (account.received > account.sent || account.answered > account.asked)
		return storm_says(
			"%zu bytes sent, %zu received; %u questions, %u answers",
			account.sent, account.received, account.asked, account.answered);
	if (storm_undisturbed() &&
		(account.received != account.sent || account.answered != account.asked ||
			account.sent + account.asked == 0))
		return storm_says("nothing disturbed, and %zu of %zu bytes came back, %u "
				  "of %u answers",
			account.received, account.sent, account.answered, account.asked);
	return NULL;
}

/* -- what ends a server ---------------------------------------------------------------------------- */

static int end_by_cancel(struct weft_task *server)
{
	int status;

	weft_cancel(server);
	status = weft_join(server);
	return status == -ECANCELED ? 0 : status;
}

/* Before its first wait for signals, and when that was disturbed, it has not heard: once more, then. */
static int end_by_signal(struct weft_task *server)
{
	do
		kill(getpid(), SIGTERM);
	while (weft_wait(&server, 1, WEFT_ALL_COMPLETED, WEFT_MS(100)) == 0);
	return weft_join(server);
}

/* -- a tree to copy -------------------------------------------------------------------------------- */

static char from[32], to[64];
static const char *const files[] = {"a", "b", "sub/c"};

static void write_file(const char *name, size_t n)
{
	char path[PATH_MAX];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", from, name);
	out = fopen(path, "we");
	for (size_t i = 0; out && i < n; i++)
		fputc(text_of(i), out);
	if (!out || fclose(out) != 0)
		abort();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st, (void)type, (void)walk;
	return remove(path);
}

static void remove_copy(void)
{
	nftw(to, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void remove_tree(void)
{
	remove_copy();
	nftw(from, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void plant_tree(void)
{
	char path[PATH_MAX];

	snprintf(from, sizeof(from), "/tmp/weft-storm-XXXXXX");
	if (!mkdtemp(from))
		abort();
	snprintf(to, sizeof(to), "%s-copy", from);
	atexit(remove_tree);
	snprintf(path, sizeof(path), "%s/sub", from);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/link", from);
	if (symlink("a", path) < 0)
		abort();
	write_file("a", 100000);
	write_file("b", 0);
	write_file("sub/c", 3000);
}

static ssize_t read_file(const char *root, const char *name, char *buf, size_t n)
{
	char path[PATH_MAX];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	fd = weft_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	got = weft_read_full(fd, buf, n);
	weft_close(fd);
	return got;
}

/* A copy that succeeded is complete. */
static int verify_copy(void)
{
	static char one[200000], other[200000];
	struct weft_scope shield;

	weft_shield_begin(&shield, WEFT_FOREVER);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		ssize_t n = read_file(from, files[i], one, sizeof(one));
		ssize_t m = read_file(to, files[i], other, sizeof(other));

		/* reading may meet a fault of its own */
		if (n >= 0 && m >= 0 && (n != m || memcmp(one, other, (size_t)n) != 0))
			account.wrong = "the copy differs";
		if (m == -ENOENT)
			account.wrong = "a file was not copied";
	}
	weft_scope_end(&shield);
	return 0;
}

static const char *copy_is_complete(void *arg)
{
	(void)arg;
	return account.wrong;
}

/* -- settings ---------------------------------------------------------------------------------- */

static const struct setting settings[] = {
	{.name = "echo_server",
		.argument = SERVER,
		.client = echo_client,
		.check = all_is_accounted_for},
	{.name = "http_hello",
		.argument = SERVER,
		.client = http_client,
		.check = all_is_accounted_for},
	{.name = "graceful_stop",
		.argument = SERVER,
		.client = capitals_client,
		.end = end_by_signal,
		.check = all_is_accounted_for},
	{.name = "udp_echo",
		.argument = "5353",
		.client = name_client,
		.check = all_is_accounted_for},
	{.name = "file_copy",
		.argument = from,
		.clear = remove_copy,
		.verify = verify_copy,
		.check = copy_is_complete},
	{.name = NULL},
};

/* -- the example under the storm --------------------------------------------------------------------- */

struct example {
	weft_fn fn;
	void *arg;
};

static void be_clients(void)
{
	struct weft_task *clients[CLIENTS];

	weft_sleep(WEFT_MS(1)); /* it is to listen by then */
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = weft_create_task_at(
			"storm_example.c\0client", setting->client, NULL);
	weft_gather(clients, CLIENTS, NULL, WEFT_GATHER_ALL);
	weft_release_all(clients, CLIENTS);
}

static int example_main(void *arg)
{
	struct example *example = arg;
	struct weft_task *server;
	int status;

	if (!setting->client) {
		status = example->fn(example->arg);
		if (status >= 0 && setting->verify)
			setting->verify();
		return status;
	}
	server =
		weft_create_task_at("storm_example.c\0server", example->fn, example->arg);
	be_clients();
	return setting->end ? setting->end(server) : end_by_cancel(server);
}

int storm_example_run(weft_fn main_fn, void *arg, const struct weft_config *cfg_or_null)
{
	struct example example = {main_fn, arg};

	(void)cfg_or_null;
	return storm_simulate(example_main, &example);
}

static int run_example(const struct storm *storm)
{
	static char name[64];
	char *arguments[] = {name, (char *)setting->argument, to, NULL};
	int n = !setting->argument ? 1 : to[0] ? 3 : 2;

	snprintf(name, sizeof(name), "%s", storm->name);
	arguments[n] = NULL;
	memset(&account, 0, sizeof(account));
	if (setting->clear)
		setting->clear();
	storm_example_main(n, arguments);
	return 0;
}

/* What the storm says goes to where stdout and stderr were; what the example says, nowhere. */
static void silence_the_example(void)
{
	int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int told = dup(STDERR_FILENO);

	storm_output = told < 0 ? NULL : fdopen(told, "w");
	if (nowhere < 0 || !storm_output)
		abort();
	dup2(nowhere, STDOUT_FILENO);
	dup2(nowhere, STDERR_FILENO);
	close(nowhere);
}

int main(void)
{
	struct storm storm = {.run = run_example};
	const char *dash = strchr(program_invocation_short_name, '-');

	storm.name = dash ? dash + 1 : program_invocation_short_name;
	setting = settings;
	while (setting->name && strcmp(setting->name, storm.name) != 0)
		setting++;
	storm.check = setting->check;
	if (setting->argument == from)
		plant_tree();
	signal(SIGTERM, SIG_IGN); /* until the example waits for it */
	silence_the_example();
	return storm_run(&storm, NULL) > 0;
}
