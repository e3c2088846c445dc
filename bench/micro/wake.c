/* SPDX-License-Identifier: MIT */
/*
 * wake - when does a task run that another one has woken?
 *
 * wake_behind_hog: the waker computes for 50 ms at once, without a call into weft; us until the woken one
 *                  runs, the worst of n. With one worker nobody can help.
 * wake_pair:       two tasks wake each other in turn and do nothing else; ns per wake.
 * wake_crowd:      a thousand such pairs: the woken one's turn comes after all that were ready before it,
 *                  and whatever the waker has left in the cache is gone by then.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum { HOG_MS = 50, CROWD = 1000, CARRIED = 4096 };

struct pair {
	struct weft_sem turns[2];
	size_t trips;
	char carried[CARRIED]; /* what one writes and the other reads */
};

struct half {
	struct pair *pair;
	int side;
};

struct woken {
	struct weft_sem sem;
	weft_ns at;
};

static int wait_for_it(void *arg)
{
	struct woken *woken = arg;

	weft_sem_acquire(&woken->sem, 1);
	woken->at = weft_now();
	return 0;
}

static double behind_hog(size_t n)
{
	weft_ns worst = 0;

	for (size_t i = 0; i < n; i++) {
		struct woken woken = {.at = 0};
		struct weft_task *task;
		weft_ns released, end;

		weft_sem_init(&woken.sem, 0);
		task = weft_create_task(wait_for_it, &woken);
		weft_sleep(WEFT_MS(2)); /* it waits */
		released = weft_now();
		end = released + WEFT_MS(HOG_MS);
		weft_sem_release(&woken.sem, 1);
		while (weft_now() < end)
			;
		bench_check(weft_join(task) == 0, "it has run");
		if (woken.at - released > worst)
			worst = woken.at - released;
	}
	return (double)worst / 1e3;
}

static int take_turns(void *arg)
{
	struct half *half = arg;
	struct pair *pair = half->pair;

	for (size_t i = 0; i < pair->trips; i++) {
		weft_sem_acquire(&pair->turns[half->side], 1);
		if (half->side)
			memset(pair->carried, (int)i, CARRIED);
		else
			bench_check(
				pair->carried[i % CARRIED] == (char)i, "carried over");
		weft_sem_release(&pair->turns[!half->side], 1);
	}
	return 0;
}

/* n wakes by so many pairs; ns each. */
static double by_pairs(size_t count, size_t n)
{
	struct pair *pairs = calloc(count, sizeof(*pairs));
	struct half *halves = calloc(2 * count, sizeof(*halves));
	struct weft_group group;
	double start;

	bench_check(pairs && halves, "memory");
	weft_group_begin(&group, 0);
	start = bench_now();
	for (size_t i = 0; i < 2 * count; i++) {
		struct pair *pair = &pairs[i / 2];
		int side = i % 2;

		pair->trips = n / count / 2;
		weft_sem_init(&pair->turns[side], side);
		halves[i] = (struct half){.pair = pair, .side = side};
		if (side) {
			weft_group_spawn(&group, take_turns, &halves[i - 1]);
			weft_group_spawn(&group, take_turns, &halves[i]);
		}
	}
	bench_check(weft_group_join(&group) == 0, "all end well");
	start = bench_now() - start;
	free(halves);
	free(pairs);
	return start / (double)n;
}

static double pair(size_t n)
{
	return by_pairs(1, n);
}

static double crowd(size_t n)
{
	return by_pairs(CROWD, n);
}

int main(int argc, char **argv)
{
	static const struct bench benches[] = {
		{"wake_behind_hog", "us", 10, behind_hog},
		{"wake_pair", "ns/wake", 200000, pair},
		{"wake_crowd", "ns/wake", 200000, crowd},
	};
	size_t first = bench_parse(argc, argv).workers == 1; /* nobody could help */

	for (size_t i = first; i < sizeof(benches) / sizeof(*benches); i++) {
		if (bench_main(argc, argv, &benches[i]) != 0)
			return 1;
	}
	return 0;
}
