/* SPDX-License-Identifier: MIT */
/* In a simulation tasks take the place of the pool's threads: lanes, locks, cancels, names. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "sim.h"

enum { SEEDS = 100, CALLERS = 6, ROUNDS = 4 };

/* -- what is different on a pool thread ---------------------------------------------------------- */

static int on_pool(void *arg)
{
	char byte;
	int ends[2] = {-1, -1};

	(void)arg;
	cr_assert_eq(weft_self(), NULL);
	cr_assert_eq(weft_cancelled(), 0);
	cr_assert_eq(weft_read(ends[0], &byte, 1), -EPERM);
	cr_assert_eq(weft_close(5), -EPERM);
	cr_assert_eq(weft_blocking(on_pool, NULL), -EPERM);
	return 42;
}

static int asks_pool(void *arg)
{
	struct weft_metrics before = {.size = sizeof(before)}, after = before;

	weft_runtime_metrics(weft_runtime_current(), &before);
	cr_assert_eq(weft_blocking(on_pool, arg), 42);
	cr_assert_eq(weft_blocking(NULL, arg), -EINVAL);
	weft_runtime_metrics(weft_runtime_current(), &after);
	cr_assert_eq(after.created, before.created, "the pool is not the program's");
	cr_assert_eq(after.live, before.live);
	return weft_self() ? 0 : -1;
}

Test(blocking, a_pool_thread_is_no_task)
{
	reports_clear();
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		cr_assert_eq(simulate(asks_pool, NULL, seed, WEFT_SIM_RANDOM,
				     WEFT_SIM_ALL_FAULTS),
			0);
	cr_assert_eq(reports.count, 0, "%s", reports.text);
}

static int takes_a_while(void *arg)
{
	weft_ns from = weft_now();
	int rc = weft_blocking(on_pool, NULL);

	*(unsigned *)arg += weft_now() - from > WEFT_MS(0.001);
	return rc == 42 ? 0 : rc;
}

Test(blocking, it_begins_late_with_latency_alone)
{
	unsigned late = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		cr_assert_eq(simulate(takes_a_while, &late, seed, WEFT_SIM_FIFO,
				     WEFT_SIM_ALL_FAULTS &
					     ~(WEFT_SIM_LATENCY | WEFT_SIM_SLOW)),
			0);
	cr_assert_eq(late, 0);
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		cr_assert_eq(simulate(takes_a_while, &late, seed, WEFT_SIM_FIFO,
				     WEFT_SIM_LATENCY),
			0);
	cr_assert_gt(late, SEEDS);
}

/* -- waiting on a pool thread -------------------------------------------------------------------- */

struct shared {
	struct weft_mutex mutex;
	bool inside;
	unsigned count;
	unsigned met; /* how often somebody had to wait */
};

static int adds_one(void *arg)
{
	struct shared *shared = arg;

	if (weft_mutex_trylock(&shared->mutex) == -EBUSY) {
		shared->met++;
		cr_assert_eq(weft_mutex_lock(&shared->mutex), 0);
	}
	cr_assert(!shared->inside);
	shared->inside = true;
	weft_sleep(WEFT_MS(1));
	shared->inside = false;
	shared->count++;
	return weft_mutex_unlock(&shared->mutex);
}

static int adds_on_both(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		cr_assert_eq(adds_one(arg), 0);
		cr_assert_eq(weft_blocking(adds_one, arg), 0);
	}
	return 0;
}

static int shares_a_mutex(void *arg)
{
	struct shared *total = arg;
	struct shared shared = {0};
	struct weft_task *tasks[CALLERS];

	for (int i = 0; i < CALLERS; i++)
		tasks[i] = weft_create_task(adds_on_both, &shared);
	for (int i = 0; i < CALLERS; i++)
		cr_assert_eq(weft_join(tasks[i]), 0);
	cr_assert_eq(shared.count, 2 * CALLERS * ROUNDS);
	total->met += shared.met;
	return 0;
}

Test(blocking, a_mutex_is_shared_with_tasks)
{
	struct shared total = {0};

	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		cr_assert_eq(simulate(shares_a_mutex, &total, seed, WEFT_SIM_RANDOM,
				     seed % 2 ? WEFT_SIM_LATENCY : 0),
			0);
	cr_assert_gt(total.met, 0);
}

static int sends_ten(void *arg)
{
	for (int i = 0; i < 10; i++)
		cr_assert_eq(weft_chan_send(arg, &i), 0);
	return 0;
}

static int receives_ten(void *arg)
{
	for (int i = 0, got; i < 10; i++) {
		int rc = weft_chan_recv(arg, &got);
		cr_assert_eq(rc, 1);
		cr_assert_eq(got, i);
	}
	return 0;
}

static int call_sends_ten(void *arg)
{
	return weft_blocking(sends_ten, arg);
}

static int crosses_a_channel(void *arg)
{
	struct weft_chan *chan = weft_chan_create(sizeof(int), 2);
	struct weft_task *sender = weft_create_task(call_sends_ten, chan);
	int rc = weft_blocking(receives_ten, chan);

	(void)arg;
	cr_assert_eq(weft_join(sender), 0);
	weft_chan_destroy(chan);
	return rc;
}

Test(blocking, a_channel_joins_two_pool_threads)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		cr_assert_eq(
			simulate(crosses_a_channel, NULL, seed, WEFT_SIM_RANDOM, 0), 0);
}

/* -- bounds -------------------------------------------------------------------------------------- */

struct lane {
	unsigned running, most, order;
	bool in_order;
};

static struct lane narrow, wide;

static int counts_itself(void *arg)
{
	struct lane *lane = arg;

	if (++lane->running > lane->most)
		lane->most = lane->running;
	weft_sleep((weft_ns)(1 + weft_random() % 1000));
	lane->running--;
	return 0;
}

static int calls_narrow(void *arg)
{
	(void)arg;
	return weft_blocking_lane("narrow", 2, counts_itself, &narrow);
}

static int calls_wide(void *arg)
{
	(void)arg;
	return weft_blocking(counts_itself, &wide);
}

static int fills_lanes(void *arg)
{
	struct weft_task *tasks[100];

	narrow = wide = (struct lane){0};
	for (int i = 0; i < 100; i++)
		tasks[i] = weft_create_task(i % 5 ? calls_wide : calls_narrow, NULL);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(weft_join(tasks[i]), 0);
	cr_assert_leq(narrow.most, 2);
	cr_assert_leq(wide.most, 64, "as many as there may be threads");
	*(unsigned *)arg |= (narrow.most == 2) | (wide.most > 60) << 1;
	return 0;
}

Test(blocking, lanes_and_the_pool_have_their_bounds)
{
	unsigned reached = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		cr_assert_eq(simulate(fills_lanes, &reached, seed, WEFT_SIM_RANDOM,
				     seed % 2 ? WEFT_SIM_LATENCY : 0),
			0);
	cr_assert_eq(reached, 3, "and they are reached");
}

/* -- cancels ------------------------------------------------------------------------------------- */

static int until_cancelled(void *arg)
{
	unsigned *rounds = arg;

	while (!weft_cancelled()) {
		++*rounds;
		weft_sleep(WEFT_MS(1));
	}
	return 7;
}

static int calls_until_cancelled(void *arg)
{
	return weft_blocking(until_cancelled, arg);
}

static int cancels_a_call(void *arg)
{
	unsigned rounds = 0, others = 0;
	struct weft_task *task = weft_create_task(calls_until_cancelled, &rounds);
	struct weft_task *other = weft_create_task(calls_until_cancelled, &others);
	struct weft_scope scope;
	int rc;

	weft_sleep(WEFT_MS(10.5));
	weft_cancel(task);
	rc = weft_join(task);
	cr_assert(rc == 7 || (rc == -ECANCELED && rounds == 0), "%d", rc);
	*(unsigned *)arg += rc == 7;
	weft_sleep(WEFT_MS(10));
	cr_assert_gt(others, rounds, "the other one goes on");
	weft_cancel(other);
	cr_assert_eq(weft_join(other), 7);
	weft_deadline_begin(&scope, WEFT_MS(5));
	cr_assert_eq(weft_blocking(until_cancelled, &rounds), 7);
	weft_scope_end(&scope);
	return 0;
}

Test(blocking, a_call_hears_that_its_caller_is_cancelled)
{
	unsigned finished = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		cr_assert_eq(
			simulate(cancels_a_call, &finished, seed, WEFT_SIM_RANDOM, 0), 0);
	cr_assert_gt(finished, SEEDS);
}

static int waits_for_good(void *arg)
{
	return weft_mutex_lock(arg);
}

static int blocks_for_good(void *arg)
{
	struct weft_mutex mutex = {0};

	(void)arg;
	weft_mutex_lock(&mutex);
	return weft_blocking(waits_for_good, &mutex);
}

Test(blocking, who_waits_on_a_pool_thread_for_good_is_told)
{
	struct weft_sim sim = SIM(.seed = 1);

	reports_clear();
	cr_assert_eq(simulate_once(blocks_for_good, NULL, &sim), -EDEADLK);
	cr_assert_eq(reports.deadlocks, 1, "%s", reports.text);
	cr_assert(strstr(reports.text, "'(pool thread)'"), "%s", reports.text);
	cr_assert(strstr(reports.text, "weft_mutex_lock"), "%s", reports.text);
	cr_assert_eq(reports.leaks, 0, "%s", reports.text);
}

/* -- names --------------------------------------------------------------------------------------- */

static int resolve(const char *node, int family, char *text, size_t size)
{
	struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM}, *found;
	int rc = weft_getaddrinfo(node, "80", &hints, &found);

	if (rc < 0)
		return rc;
	getnameinfo(found->ai_addr, found->ai_addrlen, text, (socklen_t)size, NULL, 0,
		NI_NUMERICHOST);
	freeaddrinfo(found);
	return 0;
}

static int resolves(void *arg)
{
	char text[64];

	(void)arg;
	cr_assert_eq(resolve("192.0.2.7", AF_UNSPEC, text, sizeof(text)), 0);
	cr_assert_str_eq(text, "192.0.2.7");
	cr_assert_eq(resolve("2001:db8::1", AF_UNSPEC, text, sizeof(text)), 0);
	cr_assert_str_eq(text, "2001:db8::1");
	cr_assert_eq(resolve("localhost", AF_UNSPEC, text, sizeof(text)), 0);
	cr_assert_str_eq(text, "127.0.0.1");
	cr_assert_eq(resolve("LocalHost", AF_INET6, text, sizeof(text)), 0);
	cr_assert_str_eq(text, "::1");
	cr_assert_eq(resolve(NULL, AF_INET, text, sizeof(text)), 0);
	cr_assert_str_eq(text, "127.0.0.1");
	cr_assert_eq(resolve("example.com", AF_UNSPEC, text, sizeof(text)), -ENOENT);
	return 0;
}

Test(blocking, names_are_resolved_without_asking_anybody)
{
	cr_assert_eq(simulate(resolves, NULL, 1, WEFT_SIM_RANDOM, 0), 0);
	cr_assert_eq(
		simulate(resolves, NULL, 1, WEFT_SIM_RANDOM, WEFT_SIM_ALL_FAULTS), 0);
}

static int resolves_one(void *arg)
{
	char text[64];
	int rc = resolve("localhost", AF_UNSPEC, text, sizeof(text));

	((unsigned *)arg)[rc == 0 ? 0 : rc == -ECANCELED ? 1 : 2]++;
	return 0;
}

/* A lookup that nobody waits for any more is taken back, or throws its result away. */
static int leaves_lookups(void *arg)
{
	struct weft_task *tasks[40];

	for (int i = 0; i < 40; i++)
		tasks[i] = weft_create_task(resolves_one, arg);
	weft_sleep((weft_ns)(weft_random() % WEFT_MS(0.2)));
	for (int i = 0; i < 40; i++) {
		if (i % 2)
			weft_cancel(tasks[i]);
	}
	for (int i = 0; i < 40; i++)
		weft_join(tasks[i]);
	return 0;
}

Test(blocking, a_lookup_may_be_left)
{
	unsigned outcomes[3] = {0};

	reports_clear();
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		cr_assert_eq(simulate(leaves_lookups, outcomes, seed, WEFT_SIM_RANDOM,
				     WEFT_SIM_LATENCY),
			0);
	cr_assert_gt(outcomes[0], 0);
	cr_assert_gt(outcomes[1], 0);
	cr_assert_eq(outcomes[2], 0);
	cr_assert_eq(reports.count, 0, "%s", reports.text);
}
