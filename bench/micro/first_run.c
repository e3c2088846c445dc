/* SPDX-License-Identifier: MIT */
/*
 * first_run - n tasks of a microsecond are ready at once: how long does the one that waits longest wait
 * for its first run? In ms.
 *
 * alone:   nothing else is there.
 * newer:   64 others, each of which creates the next one as it ends, came before and go on coming.
 * resumed: 64 others, in pairs that wake each other for ever.
 * renewed: each of the n creates the next one as it ends, for 200 ms, so that n are ready all the time;
 *          what counts is the longest wait of all of them.
 *
 * Who creates a task does not wait for it, so none is run in place.
 */
#include "bench.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum { OTHERS = 64, NS_EACH = 1000, RENEWED_MS = 200 };

/* One place in the crowd; whoever is in it hands it on. */
struct place {
	struct round *round;
	weft_ns created, longest;
	bool renews;
};

struct round {
	struct weft_event_flag ended;
	atomic_size_t left;
	atomic_bool over; /* nobody renews itself any more */
};

struct pair {
	struct round *round;
	struct weft_sem turns[2];
};

struct half {
	struct pair *pair;
	int side;
};

static void compute(void)
{
	weft_ns end = weft_now() + NS_EACH;

	while (weft_now() < end)
		;
}

static void leave(struct round *round)
{
	if (atomic_fetch_sub(&round->left, 1) == 1)
		weft_event_flag_set(&round->ended);
}

static int occupant(void *arg);

static void fill(struct place *place)
{
	place->created = weft_now();
	weft_release(weft_create_task(occupant, place));
}

static int occupant(void *arg)
{
	struct place *place = arg;
	weft_ns waited = weft_now() - place->created;

	if (waited > place->longest)
		place->longest = waited;
	compute();
	if (place->renews && !place->round->over)
		fill(place);
	else
		leave(place->round);
	return 0;
}

static void begin(struct round *round, size_t count)
{
	atomic_store(&round->left, count);
	atomic_store(&round->over, false);
	round->ended = (struct weft_event_flag){0};
}

static void crowd(struct round *round, struct place *places, size_t n, bool renews)
{
	for (size_t i = 0; i < n; i++)
		places[i] = (struct place){.round = round, .renews = renews};
	for (size_t i = 0; i < n; i++)
		fill(&places[i]);
}

static double longest(struct place *places, size_t n)
{
	weft_ns most = 0;

	for (size_t i = 0; i < n; i++)
		most = places[i].longest > most ? places[i].longest : most;
	free(places);
	return (double)most / 1e6;
}

static struct place *places_of(size_t n)
{
	struct place *places = calloc(n, sizeof(*places));

	bench_check(places != NULL, "memory");
	return places;
}

/* n at once, while what others began goes on; the longest wait. */
static double longest_wait(size_t n)
{
	struct place *places = places_of(n);
	struct round round;

	begin(&round, n);
	crowd(&round, places, n, false);
	bench_check(weft_event_flag_wait(&round.ended) == 0, "all have run");
	return longest(places, n);
}

static double alone(size_t n)
{
	return longest_wait(n);
}

static double newer(size_t n)
{
	struct place others[OTHERS];
	struct round round;
	double figure;

	begin(&round, OTHERS);
	crowd(&round, others, OTHERS, true);
	weft_sleep(WEFT_MS(20)); /* on every worker */
	figure = longest_wait(n);
	round.over = true;
	weft_event_flag_wait(&round.ended);
	return figure;
}

static double renewed(size_t n)
{
	struct place *places = places_of(n);
	struct round round;

	begin(&round, n);
	crowd(&round, places, n, true);
	weft_sleep(WEFT_MS(RENEWED_MS));
	round.over = true;
	weft_event_flag_wait(&round.ended);
	return longest(places, n);
}

static int take_turns(void *arg)
{
	struct half *half = arg;
	struct pair *pair = half->pair;

	while (!pair->round->over) {
		weft_sem_acquire(&pair->turns[half->side], 1);
		compute();
		weft_sem_release(&pair->turns[!half->side], 1);
	}
	leave(pair->round);
	return 0;
}

static double resumed(size_t n)
{
	struct pair pairs[OTHERS / 2];
	struct half halves[OTHERS];
	struct round round;
	double figure;

	begin(&round, OTHERS);
	for (int i = 0; i < OTHERS; i++) {
		struct pair *pair = &pairs[i / 2];

		pair->round = &round;
		weft_sem_init(&pair->turns[i % 2], i % 2);
		halves[i] = (struct half){.pair = pair, .side = i % 2};
	}
	for (int i = 0; i < OTHERS; i++)
		weft_release(weft_create_task(take_turns, &halves[i]));
	weft_sleep(WEFT_MS(20));
	figure = longest_wait(n);
	round.over = true;
	weft_event_flag_wait(&round.ended);
	return figure;
}

int main(int argc, char **argv)
{
	static const struct bench benches[] = {
		{"first_run_alone", "ms", 10000, alone},
		{"first_run_newer", "ms", 10000, newer},
		{"first_run_resumed", "ms", 10000, resumed},
		{"first_run_renewed", "ms", 10000, renewed},
	};

	for (size_t i = 0; i < sizeof(benches) / sizeof(*benches); i++) {
		if (bench_main(argc, argv, &benches[i]) != 0)
			return 1;
	}
	return 0;
}
