/* SPDX-License-Identifier: MIT */
/*
 * hog - a task computes for n milliseconds without a call into weft, while four pairs of
 * tasks send a byte to and fro over socket pairs. How long do their round trips take?
 *
 * pingpong: each trip follows the last one at once. A trip that takes long is one of few then,
 * however long; so paced starts one a millisecond and counts from when it was due: every trip
 * that a stuck one delays is late too. With one worker nobody is left to help: n milliseconds.
 * With more workers as many compute as there are workers but one.
 */
#include "bench.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { PAIRS = 4, TRIPS_PER_MS = 1000 };

struct pair {
	int fds[2];
	weft_ns interval; /* from trip to trip; 0: at once */
	size_t room, count;
	uint32_t *trips; /* ns, of those that met the computation */
};

static _Atomic(weft_ns) begin; /* of the computation; 0: not yet */
static atomic_bool over;
static size_t hogs; /* that compute at the same time */
static double p99s[BENCH_ROUNDS_MAX + 1], maxima[BENCH_ROUNDS_MAX + 1];
static size_t rounds;

static int hog(void *arg)
{
	double end = bench_now() + *(size_t *)arg * 1e6;
	volatile uint64_t sum = 0;

	begin = weft_now();
	while (bench_now() < end)
		for (int i = 0; i < 1000; i++)
			sum = sum * 31 + (uint64_t)i;
	over = true;
	return 0;
}

static int pong(void *arg)
{
	int fd = ((struct pair *)arg)->fds[1];
	char ball;

	while (weft_recv(fd, &ball, 1, 0) == 1)
		weft_send(fd, &ball, 1, 0);
	return weft_close(fd);
}

static int ping(void *arg)
{
	struct pair *pair = arg;
	weft_ns due = weft_now(), now;
	char ball = 0;

	while (!over && pair->count < pair->room) {
		due = pair->interval ? due + pair->interval : weft_now();
		if (pair->interval)
			weft_sleep_until(due);
		bench_check(weft_send(pair->fds[0], &ball, 1, 0) == 1, "send");
		bench_check(weft_recv(pair->fds[0], &ball, 1, 0) == 1, "receive");
		now = weft_now();
		if (begin && now >= begin)
			pair->trips[pair->count++] = (uint32_t)(now - due);
	}
	return weft_close(pair->fds[0]);
}

static int ascending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Sorts the trips of all pairs. Returns the median, and keeps the rest; in us. */
static double evaluate(const struct pair *pairs)
{
	size_t count = 0, at = 0;
	uint32_t *all;
	double median;

	for (int i = 0; i < PAIRS; i++)
		count += pairs[i].count;
	all = malloc(count * sizeof(*all));
	bench_check(all && count > 0, "there were trips");
	for (int i = 0; i < PAIRS; at += pairs[i++].count)
		memcpy(all + at, pairs[i].trips, pairs[i].count * sizeof(*all));
	qsort(all, count, sizeof(*all), ascending);
	p99s[rounds] = all[count * 99 / 100] / 1e3;
	maxima[rounds++] = all[count - 1] / 1e3;
	median = all[count / 2] / 1e3;
	free(all);
	return median;
}

static void compute_together(size_t n)
{
	struct weft_task **tasks = calloc(hogs, sizeof(*tasks));

	bench_check(tasks != NULL, "memory");
	for (size_t i = 0; i < hogs; i++)
		tasks[i] = weft_create_task(hog, &n);
	/* Not a join, which would run them here, one after the other. */
	for (size_t i = 0; i < hogs; i++)
		bench_check(weft_await(tasks[i]) == 0, "a computation ends");
	weft_release_all(tasks, hogs);
	free(tasks);
}

static double round_of(size_t n, weft_ns interval)
{
	struct pair pairs[PAIRS];
	struct weft_task *tasks[2 * PAIRS];
	double median;

	begin = 0;
	over = false;
	for (int i = 0; i < PAIRS; i++) {
		struct pair *pair = &pairs[i];

		*pair = (struct pair){.interval = interval, .room = n * TRIPS_PER_MS};
		pair->trips = malloc(pair->room * sizeof(*pair->trips));
		bench_check(pair->trips != NULL, "memory");
		bench_check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair->fds) == 0, "pair");
		tasks[2 * i] = weft_create_task(pong, pair);
		tasks[2 * i + 1] = weft_create_task(ping, pair);
	}
	weft_sleep(WEFT_MS(20)); /* they are under way, on every worker */
	compute_together(n);
	bench_check(weft_gather(tasks, 2 * PAIRS, NULL, 0) == 0, "all end well");
	weft_release_all(tasks, 2 * PAIRS);
	median = evaluate(pairs);
	for (int i = 0; i < PAIRS; i++)
		free(pairs[i].trips);
	return median;
}

static double pingpong(size_t n)
{
	return round_of(n, 0);
}

static double paced(size_t n)
{
	return round_of(n, WEFT_MS(1));
}

int main(int argc, char **argv)
{
	static const struct bench benches[] = {
		{"hog_pingpong_p50", "us", 1000, pingpong},
		{"hog_paced_p50", "us", 1000, paced},
	};
	static const char *const more[][2] = {
		{"hog_pingpong_p99", "hog_pingpong_max"},
		{"hog_paced_p99", "hog_paced_max"},
	};
	unsigned workers = bench_parse(argc, argv).workers;

	hogs = workers > 1 ? workers - 1 : 1;
	for (int i = 0; i < 2; i++) {
		rounds = 0;
		if (bench_main(argc, argv, &benches[i]) != 0)
			return 1;
		/* The first round is not counted. */
		bench_print(more[i][0], workers, p99s + 1, (unsigned)rounds - 1, "us");
		bench_print(more[i][1], workers, maxima + 1, (unsigned)rounds - 1, "us");
	}
	return 0;
}
