/* SPDX-License-Identifier: MIT */
/*
 * test_fair - no new task waits for ever while others keep coming: not behind newer ones, and not
 * behind tasks that are resumed again and again; and no ready one behind two that keep waking each other.
 * Counted in runs, not in time.
 *
 * One worker: what another does meanwhile would count too, however long this one is kept from its processor.
 */
#include <criterion/criterion.h>

#include <stdbool.h>

#include <weft.h>

enum {
	CROWD = 1000,
	TURNS = 3,          /* of each place in the crowd */
	RUNS_MAX = 3000000, /* until each has had them: by far more than it takes */
	PAIRS = 16,
	RESUMED_MAX = 40 * CROWD, /* turns of the pairs until a crowd has run */
	IN_A_ROW_MAX = 100,       /* turns of one pair, while others are ready */
	PAIR_TURNS = 5000,
	PATIENCE_S = 60,
};

struct place {
	unsigned runs;
};

/* The tasks' own, one at a time. */
static struct place places[CROWD];
static size_t runs, waiting, left;
static bool over;
static struct weft_event_flag all_left;

static void run_on_one(weft_fn fn)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.workers = 1;
	config.stall_report = -1;
	cr_assert_eq(weft_run(fn, NULL, &config), 0);
}

static void leave(void)
{
	if (--left == 0)
		weft_event_flag_set(&all_left);
}

/* Hands its place on, until everybody has had their turns. */
static int renew(void *arg)
{
	struct place *place = arg;

	runs++;
	if (++place->runs == TURNS)
		waiting--;
	if (waiting > 0 && runs < RUNS_MAX)
		weft_release(weft_create_task(renew, place));
	else
		leave();
	return 0;
}

static int crowd_that_renews_itself(void *arg)
{
	(void)arg;
	waiting = left = CROWD;
	for (size_t i = 0; i < CROWD; i++)
		weft_release(weft_create_task(renew, &places[i]));
	cr_assert_eq(weft_event_flag_wait(&all_left), 0);
	cr_assert_eq(waiting, 0, "%zu places were starved in %zu runs", waiting, runs);
	return 0;
}

/* Each creates the one that has its place next, which is the newest: the others are overtaken. */
Test(stress_fair, newer_tasks_do_not_starve_older_ones, .timeout = PATIENCE_S)
{
	run_on_one(crowd_that_renews_itself);
}

struct pair {
	struct weft_sem turns[2];
};

static struct pair pairs[PAIRS];

static int take_turns(void *arg)
{
	size_t number = (size_t)arg;
	struct pair *pair = &pairs[number / 2];

	while (!over) {
		cr_assert_eq(weft_sem_acquire(&pair->turns[number % 2], 1), 0);
		runs++;
		over = over || runs >= 100 * RESUMED_MAX;
		weft_sem_release(&pair->turns[1 - number % 2], 1);
	}
	leave();
	return 0;
}

static int run_once(void *arg)
{
	(void)arg;
	if (--waiting == 0)
		over = true;
	return 0;
}

static int crowd_beside_pairs(void *arg)
{
	(void)arg;
	left = 2 * (size_t)PAIRS;
	for (size_t i = 0; i < 2 * (size_t)PAIRS; i++) {
		weft_sem_init(&pairs[i / 2].turns[i % 2], i % 2);
		weft_release(weft_create_task(take_turns, (void *)i));
	}
	weft_sleep(WEFT_MS(1)); /* they are under way */
	waiting = CROWD;
	runs = 0;
	for (size_t i = 0; i < CROWD; i++)
		weft_release(weft_create_task(run_once, NULL));
	cr_assert_eq(weft_event_flag_wait(&all_left), 0);
	cr_assert_eq(waiting, 0);
	cr_assert_lt(runs, RESUMED_MAX, "resumed %zu times before %d new ones had run",
		runs, CROWD);
	return 0;
}

Test(stress_fair, resumed_tasks_do_not_starve_new_ones, .timeout = PATIENCE_S)
{
	run_on_one(crowd_beside_pairs);
}

static size_t last_pair, in_a_row, longest_row;
static struct weft_chan *balls[2 * PAIRS];

/* Whom one hands the ball goes before the other pairs, and hands it back. */
static int play(void *arg)
{
	size_t number = (size_t)arg;
	int ball;

	for (int i = 0; i < PAIR_TURNS; i++) {
		cr_assert_eq(weft_chan_recv(balls[number], &ball), 1);
		in_a_row = number / 2 == last_pair ? in_a_row + 1 : 1;
		last_pair = number / 2;
		if (in_a_row > longest_row && left == 2 * (size_t)PAIRS)
			longest_row = in_a_row;
		cr_assert_eq(weft_chan_send(balls[number ^ 1], &ball), 0);
	}
	left--;
	return 0;
}

static int pairs_side_by_side(void *arg)
{
	struct weft_group group;
	int ball = 0;

	(void)arg;
	left = 2 * (size_t)PAIRS;
	weft_group_begin(&group, 0);
	for (size_t i = 0; i < 2 * (size_t)PAIRS; i++)
		balls[i] = weft_chan_create(sizeof(int), 1);
	for (size_t i = 0; i < 2 * (size_t)PAIRS; i++)
		cr_assert_eq(weft_group_spawn(&group, play, (void *)i), 0);
	for (size_t i = 0; i < 2 * (size_t)PAIRS; i += 2)
		weft_chan_send(balls[i], &ball);
	cr_assert_eq(weft_group_join(&group), 0);
	cr_assert_lt(longest_row, IN_A_ROW_MAX, "%zu turns of one pair in a row", longest_row);
	for (size_t i = 0; i < 2 * (size_t)PAIRS; i++)
		weft_chan_destroy(balls[i]);
	return 0;
}

Test(stress_fair, a_pair_does_not_keep_the_others_waiting, .timeout = PATIENCE_S)
{
	run_on_one(pairs_side_by_side);
}
