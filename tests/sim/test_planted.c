/* SPDX-License-Identifier: MIT */
/*
 * Planted bugs: toy programs, each wrong in a way that is known, and the same ones put right. The wrong ones are
 * found within a stated number of seeds, whichever seed is the first, and their traces replay to the same
 * failure; the right ones survive all seeds.
 *
 * The steps are checkpoints: weft_yield lets everybody else run, so no one can be held up at it.
 * The bounds are about three times the worst of 100 first seeds; WEFT_PLANTED=1 prints what is behind them:
 *
 *	seeds until it is found    RANDOM: median, worst    PCT of depth 2: median, worst
 *	lost update                             1      6                        6      52
 *	lost wake-up                            2     13                      158    1602
 *	ABBA                                    2     18                       27     191
 *	used after free                     not in 10,000                       6      32
 */
#include "explore.h"

enum { STARTS = 100, APART = 1000000 };

static int run_both(weft_fn one, weft_fn other)
{
	struct weft_task *two[] = {
		weft_create_task(one, NULL), weft_create_task(other, NULL)};
	int rc = weft_gather(two, 2, NULL, 0);

	weft_release_all(two, 2);
	return rc;
}

/* -- a lost update: read, think, write --------------------------------------------------------- */

static struct weft_mutex lock;
static bool locks;
static int balance;

static int deposit(void *arg)
{
	int seen;

	(void)arg;
	if (locks && weft_mutex_lock(&lock) < 0)
		return -EINVAL;
	seen = balance;
	weft_checkpoint();
	balance = seen + 10;
	return locks ? weft_mutex_unlock(&lock) : 0;
}

static int lost_update(void *right)
{
	locks = right != NULL;
	balance = 0;
	lock = (struct weft_mutex){0};
	run_both(deposit, deposit);
	CHECK(balance == 20);
	return 0;
}

/* -- a lost wake-up: a toy lock forgets that it may be let go of before it begins to wait ------ */

static struct {
	struct weft_event_flag let_go;
	bool taken, right;
} toy;

static void toy_lock(void)
{
	if (toy.right)
		weft_event_flag_clear(&toy.let_go);
	while (toy.taken) {
		weft_checkpoint(); /* what others do in between */
		if (!toy.right)
			weft_event_flag_clear(&toy.let_go);
		if (weft_event_flag_wait(&toy.let_go) < 0)
			return;
		if (toy.right)
			weft_event_flag_clear(&toy.let_go);
	}
	toy.taken = true;
}

static int use_toy(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2; i++) {
		toy_lock();
		weft_checkpoint();
		toy.taken = false;
		weft_event_flag_set(&toy.let_go);
	}
	return 0;
}

static int lost_wakeup(void *right)
{
	memset(&toy, 0, sizeof(toy));
	toy.right = right != NULL;
	return run_both(use_toy, use_toy);
}

/* -- ABBA: two locks in two orders. Semaphores have no owner, so nobody is told but the simulation - */

static struct weft_sem a, b;
static bool in_one_order;

static int with_both(struct weft_sem *first, struct weft_sem *second)
{
	if (weft_sem_acquire(first, 1) < 0)
		return -EINVAL;
	if (weft_sem_acquire(second, 1) < 0)
		return -EINVAL;
	weft_sem_release(second, 1);
	weft_sem_release(first, 1);
	return 0;
}

static int a_then_b(void *arg)
{
	(void)arg;
	return with_both(&a, &b);
}

static int b_then_a(void *arg)
{
	(void)arg;
	return in_one_order ? with_both(&a, &b) : with_both(&b, &a);
}

static int abba(void *right)
{
	in_one_order = right != NULL;
	weft_sem_init(&a, 1);
	weft_sem_init(&b, 1);
	return run_both(a_then_b, b_then_a);
}

/* -- used after it was freed, by who held it through all of a long work: one preemption, then none - */

enum { WORK = 24 };

static struct {
	bool linked, freed, counted;
	int users;
} shared;

static int use_once(void *arg)
{
	(void)arg;
	for (int i = 0; i < 4; i++) {
		bool seen = shared.linked;

		shared.users += seen;
		weft_checkpoint();
		CHECK(!seen || !shared.freed);
		shared.users -= seen;
	}
	return 0;
}

static int retire(void *arg)
{
	(void)arg;
	shared.linked = false;
	for (int i = 0; i < WORK; i++) /* "by now nobody can have it any more" */
		weft_checkpoint();
	while (shared.counted && shared.users > 0)
		weft_checkpoint();
	shared.freed = true;
	return 0;
}

static int used_after_free(void *right)
{
	shared.linked = true;
	shared.freed = false;
	shared.counted = right != NULL;
	shared.users = 0;
	return run_both(use_once, retire);
}

/* -- how soon they are found ------------------------------------------------------------------- */

static int by_number(const void *left, const void *right)
{
	uint64_t l = *(const uint64_t *)left, r = *(const uint64_t *)right;

	return (l > r) - (l < r);
}

/* From 100 first seeds, all within the bound. */
static void is_found(
	const char *name, weft_fn fn, int policy, unsigned depth, uint64_t bound)
{
	uint64_t tried[STARTS];
	struct explored found;

	for (uint64_t i = 0; i < STARTS; i++) {
		cr_assert(explore_finds(name, fn, NULL,
				  &(struct explore){.first = i * APART,
					  .seeds = bound,
					  .policy = policy,
					  .depth = depth},
				  &found),
			"%s: not within %" PRIu64 " seeds from %" PRIu64, name, bound,
			i * APART);
		tried[i] = found.tried;
	}
	qsort(tried, STARTS, sizeof(tried[0]), by_number);
	if (getenv("WEFT_PLANTED"))
		fprintf(stderr,
			"%s, policy %d, depth %u: median %" PRIu64 ", worst %" PRIu64
			"\n",
			name, policy, depth, tried[STARTS / 2], tried[STARTS - 1]);
}

static void replays(const char *name, weft_fn fn, int policy, unsigned depth)
{
	char path[] = "/tmp/weft-planted-XXXXXX";
	struct explore options = {.policy = policy, .depth = depth, .trace = path};
	struct weft_sim replay = SIM(.policy = WEFT_SIM_REPLAY, .trace_in = path,
		.steps_max = EXPLORE_STEPS_MAX);
	struct explored found, again;
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert(explore_finds(name, fn, NULL, &options, &found));
	explore_trace(fn, NULL, name, &options, &found);
	cr_assert(explore_once(fn, NULL, &options, &replay, &again));
	cr_assert_str_eq(again.why, found.why);
	cr_assert_eq(again.sim.trace_hash, found.sim.trace_hash);
	cr_assert_eq(again.sim.steps, found.sim.steps);
	unlink(path);
}

static void survives(const char *name, weft_fn fn)
{
	explore(name, fn, &lock, &(struct explore){.faults = WEFT_SIM_SLOW});
}

Test(planted, lost_update)
{
	is_found("planted/lost_update", lost_update, WEFT_SIM_RANDOM, 0, 20);
	is_found("planted/lost_update", lost_update, WEFT_SIM_PCT, 2, 150);
	replays("planted/lost_update", lost_update, WEFT_SIM_RANDOM, 0);
	replays("planted/lost_update", lost_update, WEFT_SIM_PCT, 2);
	survives("planted/lost_update", lost_update);
}

Test(planted, lost_wakeup)
{
	is_found("planted/lost_wakeup", lost_wakeup, WEFT_SIM_RANDOM, 0, 40);
	is_found("planted/lost_wakeup", lost_wakeup, WEFT_SIM_PCT, 2, 5000);
	replays("planted/lost_wakeup", lost_wakeup, WEFT_SIM_RANDOM, 0);
	replays("planted/lost_wakeup", lost_wakeup, WEFT_SIM_PCT, 2);
	survives("planted/lost_wakeup", lost_wakeup);
}

Test(planted, abba)
{
	is_found("planted/abba", abba, WEFT_SIM_RANDOM, 0, 60);
	is_found("planted/abba", abba, WEFT_SIM_PCT, 2, 600);
	replays("planted/abba", abba, WEFT_SIM_RANDOM, 0);
	replays("planted/abba", abba, WEFT_SIM_PCT, 2);
	survives("planted/abba", abba);
}

/* Each step of the work had to miss the user: 2^-24 for RANDOM, which does not find it. */
Test(planted, used_after_free)
{
	struct explored found;

	cr_assert_not(explore_finds("planted/used_after_free", used_after_free, NULL,
		&(struct explore){.policy = WEFT_SIM_RANDOM, .seeds = 10000}, &found));
	is_found("planted/used_after_free", used_after_free, WEFT_SIM_PCT, 2, 100);
	replays("planted/used_after_free", used_after_free, WEFT_SIM_PCT, 2);
	survives("planted/used_after_free", used_after_free);
}
