/* SPDX-License-Identifier: MIT */
/*
 * connections - n connections are open, each with a task that echoes 64 bytes: what does a round trip cost when
 * all are active, and when a hundred of them are (`connections_100`)? The asking end writes to all that are
 * active, then reads from all. ns per round trip; both ends are in one process, over socket pairs.
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { BYTES = 64, ACTIVE = 100, TRIPS_LEAST = 20000 };

struct connections {
	size_t n;
	unsigned rounds;
	int (*pairs)[2];
	double all[BENCH_ROUNDS_MAX], some[BENCH_ROUNDS_MAX];
};

static int echo(void *arg)
{
	int *pair = arg;
	char buffer[BYTES];
	ssize_t got;

	while ((got = weft_read(pair[1], buffer, BYTES)) > 0)
		bench_check(weft_write(pair[1], buffer, (size_t)got) == got, "an echo");
	return (int)got;
}

/* ns per trip, with active of the connections, evenly spread. */
static double trips(struct connections *c, size_t active)
{
	size_t turns = TRIPS_LEAST / active + 1;
	char buffer[BYTES] = {0};
	double start = bench_now();

	for (size_t turn = 0; turn < turns; turn++) {
		for (size_t i = 0; i < active; i++)
			bench_check(weft_write(c->pairs[i * (c->n / active)][0], buffer,
					    BYTES) == BYTES,
				"a request");
		for (size_t i = 0; i < active; i++)
			bench_check(weft_read(c->pairs[i * (c->n / active)][0], buffer,
					    BYTES) == BYTES,
				"a reply");
	}
	return (bench_now() - start) / (double)(turns * active);
}

static int measure(void *arg)
{
	struct connections *c = arg;
	struct weft_task **tasks = malloc(c->n * sizeof(*tasks));
	size_t some = c->n < ACTIVE ? c->n : ACTIVE;

	for (size_t i = 0; i < c->n; i++)
		tasks[i] = weft_create_task(echo, c->pairs[i]);
	trips(c, c->n);
	for (unsigned i = 0; i < c->rounds; i++) {
		c->all[i] = trips(c, c->n);
		c->some[i] = trips(c, some);
	}
	for (size_t i = 0; i < c->n; i++)
		weft_close(c->pairs[i][0]);
	bench_check(weft_gather(tasks, c->n, NULL, 0) == 0, "every echo ends");
	weft_release_all(tasks, c->n);
	for (size_t i = 0; i < c->n; i++)
		weft_close(c->pairs[i][1]);
	free(tasks);
	return 0;
}

static void open_pairs(struct connections *c)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	c->pairs = malloc(c->n * sizeof(*c->pairs));
	for (size_t i = 0; i < c->n; i++)
		bench_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				    c->pairs[i]) == 0,
			"as many descriptors as connections, twice");
}

int main(int argc, char **argv)
{
	struct bench_options options = bench_parse(argc, argv);
	struct connections c = {
		.n = options.n ? options.n : 1000, .rounds = options.rounds};
	struct weft_config config = WEFT_CONFIG_INIT;
	int rc;

	config.workers = options.workers;
	config.stall_report = -1;
	open_pairs(&c);
	rc = weft_run(measure, &c, &config);
	if (rc < 0) {
		fprintf(stderr, "connections: %s\n", strerror(-rc));
		return 1;
	}
	bench_print("connections", options.workers, c.all, c.rounds, "ns/trip");
	bench_print("connections_100", options.workers, c.some, c.rounds, "ns/trip");
	free(c.pairs);
	return 0;
}
