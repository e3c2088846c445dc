/* SPDX-License-Identifier: MIT */
/*
 * test_tasks - the scheduler under load: many tasks of random shapes on more workers than
 * processors, with thieves, cancels, deadlines, stops and busy loops at random moments. Every
 * task adds its number to a count, a sum and an xor, so one that is lost, or run twice while
 * another is lost, is found out.
 *
 * WEFT_STRESS_SCALE multiplies the amount: 1 is about ten million tasks, 10 the full mode.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weft.h>

#include "base/atomic.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { WORKERS_MAX = 8 };

#define PATIENCE 120

static _Atomic(uint32_t) reports;

static uint64_t amount(uint64_t full)
{
	const char *scale = getenv("WEFT_STRESS_SCALE");
	uint64_t times = scale ? strtoull(scale, NULL, 10) : 1;

	full = full * (times ? times : 1) / WEFT_TEST_SCALE;
	return full ? full : 1;
}

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A number's own random state: the same tree in every run, whoever runs it. */
static uint64_t mix(uint64_t number)
{
	number = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
	number ^= number >> 29;
	number *= UINT64_C(0xbf58476d1ce4e5b9);
	return (number ^ number >> 32) | 1;
}

/* -- what went through ------------------------------------------------------------------------- */

/* One per thread and summed at the end: a shared one would hide races by its own order. */
struct tally {
	_Alignas(64) _Atomic(uint64_t) count;
	_Atomic(uint64_t) sum, xor;
};

enum { TALLIES = 64 };

static struct tally tallies[TALLIES];
static _Atomic(uint32_t) tally_next;
static _Thread_local uint32_t tally_mine;

static void __attribute__((noinline)) tally_add(uint64_t number)
{
	if (!tally_mine)
		tally_mine = weft_add_relaxed(&tally_next, 1) % TALLIES + 1;
	weft_add_relaxed(&tallies[tally_mine - 1].count, 1);
	weft_add_relaxed(&tallies[tally_mine - 1].sum, number);
	for (_Atomic(uint64_t) *x = &tallies[tally_mine - 1].xor;;) {
		uint64_t old = weft_load_relaxed(x);

		if (weft_cas_relaxed(x, &old, old ^ mix(number)))
			return;
	}
}

static void tally_clear(void)
{
	memset((void *)tallies, 0, sizeof(tallies));
}

/* The numbers 0 .. n-1, each once. */
static void tally_check(uint64_t n)
{
	uint64_t count = 0, sum = 0, xor = 0, expected_xor = 0;

	for (int i = 0; i < TALLIES; i++) {
		count += weft_load_relaxed(&tallies[i].count);
		sum += weft_load_relaxed(&tallies[i].sum);
		xor ^= weft_load_relaxed(&tallies[i].xor);
	}
	for (uint64_t i = 0; i < n; i++)
		expected_xor ^= mix(i);
	cr_assert_eq(count, n, "%llu of %llu", (unsigned long long)count, (unsigned long long)n);
	cr_assert_eq(sum, n % 2 ? n * ((n - 1) / 2) : n / 2 * (n - 1));
	cr_assert_eq(xor, expected_xor);
}

static void on_report(const struct weft_report *report, void *user)
{
	(void)user;
	if (report->kind == WEFT_REPORT_LEAK || report->kind == WEFT_REPORT_UNOBSERVED)
		weft_add_relaxed(&reports, 1);
}

static struct weft_config config_of(unsigned workers)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.workers = workers;
	config.stall_report = -1;
	config.on_report = on_report;
	return config;
}

/* Runs it; nothing may be left behind. */
static void run_with(unsigned workers, weft_fn fn, void *arg)
{
	struct weft_config config = config_of(workers);

	weft_store_relaxed(&reports, 0);
	cr_assert_eq(weft_run(fn, arg, &config), 0);
	cr_assert_eq(weft_load_relaxed(&reports), 0);
}

/* Until the caller is the only task: detached ones may still be at it. */
static void wait_until_alone(void)
{
	for (struct weft_metrics m = { .size = sizeof(m), .live = 2 }; m.live > 1;) {
		weft_sleep(WEFT_MS(1));
		weft_runtime_metrics(weft_runtime_current(), &m);
	}
}

static void spin_for(weft_ns duration)
{
	weft_ns end = weft_now() + duration;

	while (weft_now() < end)
		;
}

/* -- trees ------------------------------------------------------------------------------------- */

/* A subtree holds the numbers first .. first + n - 1; its root is the first. */
struct tree {
	uint64_t first, n;
};

enum { FAN_MAX = 6 };

static int grow(void *arg);

static unsigned split(struct tree *tree, struct tree *parts, uint64_t *random)
{
	uint64_t first = tree->first + 1, left = tree->n - 1;
	unsigned fan = 1 + (unsigned)(random_next(random) % FAN_MAX), made = 0;

	for (; made < fan && left > 0; made++) {
		uint64_t n = made == fan - 1 ? left : 1 + random_next(random) % left;

		parts[made] = (struct tree){ first, n };
		first += n;
		left -= n;
	}
	return made;
}

static void gather_parts(struct tree *parts, unsigned n)
{
	struct weft_task *tasks[FAN_MAX];

	for (unsigned i = 0; i < n; i++)
		tasks[i] = weft_create_task(grow, &parts[i]);
	cr_assert_eq(weft_gather(tasks, n, NULL, 0), 0);
	weft_release_all(tasks, n);
}

static void group_parts(struct tree *parts, unsigned n)
{
	struct weft_group group;

	weft_group_begin(&group, 0);
	for (unsigned i = 0; i < n; i++) {
		if (i % 2)
			cr_assert_eq(weft_group_spawn(&group, grow, &parts[i]), 0);
		else
			weft_release(weft_group_create_task(&group, grow, &parts[i]));
	}
	cr_assert_eq(weft_group_join(&group), 0);
}

static void join_parts(struct tree *parts, unsigned n, bool oldest_first)
{
	struct weft_task *tasks[FAN_MAX];

	for (unsigned i = 0; i < n; i++)
		tasks[i] = weft_create_task(grow, &parts[i]);
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(weft_join(tasks[oldest_first ? i : n - 1 - i]), 0);
}

static void await_parts(struct tree *parts, unsigned n)
{
	struct weft_task *tasks[FAN_MAX];

	for (unsigned i = 0; i < n; i++)
		tasks[i] = weft_create_task(grow, &parts[i]);
	for (unsigned i = 0; i < n; i++)
		cr_assert_eq(weft_await(tasks[i]), 0);
	weft_release_all(tasks, n);
}

static int grow(void *arg)
{
	struct tree *tree = arg, parts[FAN_MAX];
	uint64_t random = mix(tree->first);
	unsigned n = split(tree, parts, &random);

	tally_add(tree->first);
	switch (n ? random_next(&random) % 16 : 16) {
	case 0:
		gather_parts(parts, n);
		break;
	case 1:
		group_parts(parts, n);
		break;
	case 2:
		await_parts(parts, n);
		break;
	case 3:
		weft_yield();
		join_parts(parts, n, false);
		break;
	case 4:
	case 5:
	case 6:
		join_parts(parts, n, false);
		break;
	case 16:
		if (tree->first % 64 == 0)
			weft_yield();
		break;
	default:
		join_parts(parts, n, true);
	}
	return 0;
}

Test(tasks, trees_of_random_shapes, .timeout = PATIENCE)
{
	static const unsigned workers[] = { 1, 2, 4, 8 };

	for (unsigned i = 0; i < 4; i++) {
		/* ThreadSanitizer knows 8128 stacks at most, and each may wait at the same time */
		struct tree tree = { 0, amount(SANITIZED ? 150 * 1000 : 2000 * 1000) };

		tally_clear();
		run_with(workers[i], grow, &tree);
		tally_check(tree.n);
	}
}

/* -- storms ------------------------------------------------------------------------------------ */

struct storm {
	uint64_t n;
	_Atomic(uint64_t) started; /* numbers handed out */
	_Atomic(uint64_t) ended;
	struct weft_event_flag all;
};

static struct storm storm;

static int drop_of_storm(void *arg)
{
	uint64_t number = weft_add_relaxed(&storm.started, 1);

	(void)arg;
	if (number < storm.n) {
		tally_add(number);
		if (number % 5 == 0)
			weft_yield();
		/* two for one, until all numbers are out */
		weft_go(drop_of_storm, NULL);
		if (number % 1000 == 0)
			weft_go(drop_of_storm, NULL);
	}
	if (number < storm.n && weft_add_acq_rel(&storm.ended, 1) + 1 == storm.n)
		weft_event_flag_set(&storm.all);
	return 0;
}

static int raise_storm(void *arg)
{
	(void)arg;
	for (int i = 0; i < 64; i++)
		weft_go(drop_of_storm, NULL);
	return weft_event_flag_wait(&storm.all);
}

Test(tasks, storms_of_detached_tasks, .timeout = PATIENCE)
{
	for (unsigned workers = 1; workers <= WORKERS_MAX; workers *= 2) {
		struct weft_config config = config_of(workers);

		memset((void *)&storm, 0, sizeof(storm));
		storm.n = amount(500 * 1000);
		tally_clear();
		cr_assert_eq(weft_run(raise_storm, NULL, &config), 0); /* some may be left: cancelled */
		tally_check(storm.n);
	}
}

/* -- handles that travel ----------------------------------------------------------------------- */

enum { MAKERS = 4, TAKERS = 4 };

struct travel {
	struct weft_chan *chan;
	uint64_t each;
	_Atomic(uint64_t) next;
};

static int travelling(void *arg)
{
	uint64_t number = (uintptr_t)arg;

	tally_add(number);
	if (number % 3 == 0)
		weft_yield();
	return (int)(number % 1000);
}

static int make_travellers(void *arg)
{
	struct travel *travel = arg;

	for (uint64_t i = 0; i < travel->each; i++) {
		uint64_t number = weft_add_relaxed(&travel->next, 1);
		struct weft_task *task = weft_create_task(travelling, (void *)(uintptr_t)number);
		struct weft_task *mine = number % 4 == 0 ? weft_ref(task) : NULL;

		cr_assert_eq(weft_chan_send(travel->chan, &task), 0);
		if (number % 8 == 0)
			cr_assert_eq(weft_await(mine), (int)(number % 1000));
		weft_release(mine);
	}
	return 0;
}

static int take_travellers(void *arg)
{
	struct travel *travel = arg;
	struct weft_task *task;
	uint64_t taken = 0;

	while (weft_chan_recv(travel->chan, &task) == 1) {
		switch (taken++ % 4) {
		case 0:
			cr_assert_geq(weft_await(task), 0);
			weft_release(task);
			break;
		case 1:
			weft_release(task);
			break;
		default:
			cr_assert_geq(weft_join(task), 0);
		}
	}
	return 0;
}

static int travel_all(void *arg)
{
	struct weft_task *makers[MAKERS], *takers[TAKERS];
	struct travel *travel = arg;

	travel->chan = weft_chan_create(sizeof(struct weft_task *), 64);
	for (int i = 0; i < TAKERS; i++)
		takers[i] = weft_create_task(take_travellers, travel);
	for (int i = 0; i < MAKERS; i++)
		makers[i] = weft_create_task(make_travellers, travel);
	for (int i = 0; i < MAKERS; i++)
		cr_assert_eq(weft_join(makers[i]), 0);
	weft_chan_close(travel->chan);
	for (int i = 0; i < TAKERS; i++)
		cr_assert_eq(weft_join(takers[i]), 0);
	weft_chan_destroy(travel->chan);
	wait_until_alone();
	return 0;
}

Test(tasks, made_here_joined_there, .timeout = PATIENCE)
{
	for (unsigned workers = 1; workers <= WORKERS_MAX; workers *= 2) {
		struct travel travel = { .each = amount(40 * 1000) };

		tally_clear();
		run_with(workers, travel_all, &travel);
		tally_check(travel.each * MAKERS);
	}
}

/* -- cancels ----------------------------------------------------------------------------------- */

struct victim {
	_Atomic(uint32_t) ran;
	unsigned how;
	struct weft_event_flag *flag;
	struct weft_chan *chan;
};

static int victim_child(void *arg)
{
	(void)arg;
	return weft_sleep(WEFT_SEC(100));
}

/* Waits in one of many ways; only a cancel, or nothing, ends it. */
static int suffer(void *arg)
{
	struct victim *victim = arg;
	char byte;

	weft_add_relaxed(&victim->ran, 1);
	switch (victim->how % 8) {
	case 0:
		return 0;
	case 1:
		return weft_sleep(WEFT_SEC(100));
	case 2:
		return weft_event_flag_wait(victim->flag);
	case 3:
		return weft_chan_recv(victim->chan, &byte);
	case 4:
		return weft_join(weft_create_task(victim_child, NULL));
	case 5:
		for (;;) {
			int rc = weft_yield();

			if (rc < 0)
				return rc;
		}
	case 6: {
		struct weft_group group;

		weft_group_begin(&group, 0);
		weft_group_spawn(&group, victim_child, NULL);
		weft_group_spawn(&group, victim_child, NULL);
		return weft_group_join(&group);
	}
	default: {
		struct weft_task *two[2] = { weft_create_task(victim_child, NULL),
			weft_create_task(victim_child, NULL) };
		int rc = weft_gather(two, 2, NULL, 0);

		weft_release_all(two, 2);
		return rc;
	}
	}
}

static int cancel_it(void *arg)
{
	struct weft_task *task = arg;

	weft_cancel(task);
	weft_release(task);
	return 0;
}

/* Cancelled before it starts, while it does, later, from here, from another worker, by a deadline
 * of its owner; waited for with join, wait_for, gather. Its body has run by then, once. */
static int cancel_everywhere(void *arg)
{
	uint64_t random = mix((uintptr_t)arg), rounds = amount(20 * 1000);
	struct weft_event_flag never = { 0 };
	struct weft_chan *empty = weft_chan_create(1, 1);

	for (uint64_t i = 0; i < rounds; i++) {
		struct victim victim = { .how = (unsigned)random_next(&random),
			.flag = &never, .chan = empty };
		unsigned when = (unsigned)random_next(&random) % 6;
		struct weft_task *task = weft_create_task(suffer, &victim);
		struct weft_scope scope;
		int rc;

		if (when == 0)
			weft_cancel(task);
		else if (when == 1)
			weft_go(cancel_it, weft_ref(task));
		else if (when == 2) {
			weft_yield();
			weft_cancel(task);
		} else if (when == 3) {
			weft_go(cancel_it, weft_ref(task));
			weft_yield();
		}
		if (when == 4) {
			weft_deadline_begin(&scope, (weft_ns)(random_next(&random) % 50000));
			rc = weft_join(task);
			weft_scope_end(&scope);
			cr_assert(rc == -ETIMEDOUT || rc == 0, "%d", rc);
		} else if (when == 5) {
			rc = weft_wait_for(task, (weft_ns)(random_next(&random) % 50000));
			weft_release(task);
			cr_assert(rc == -ETIMEDOUT || rc == 0, "%d", rc);
		} else {
			rc = weft_join(task);
			cr_assert(rc == -ECANCELED || rc == 0, "%d", rc);
		}
		cr_assert_eq(weft_load_acquire(&victim.ran), 1);
	}
	weft_chan_destroy(empty);
	return 0;
}

static int cancel_on_all(void *arg)
{
	struct weft_group group;

	(void)arg;
	weft_group_begin(&group, 0);
	for (uintptr_t i = 1; i <= 4; i++)
		weft_group_spawn(&group, cancel_everywhere, (void *)i);
	return weft_group_join(&group);
}

Test(tasks, cancelled_at_every_point, .timeout = PATIENCE)
{
	for (unsigned workers = 1; workers <= 4; workers *= 2)
		run_with(workers, cancel_on_all, NULL);
}

/* -- first failures ---------------------------------------------------------------------------- */

struct member {
	unsigned delay;
	int status;
};

static int member(void *arg)
{
	struct member *member = arg;
	int rc = 0;

	if (member->delay % 3 == 1)
		rc = weft_sleep((weft_ns)(member->delay % 40) * 1000);
	else if (member->delay % 3 == 2)
		rc = weft_yield();
	return rc < 0 ? rc : member->status;
}

enum { MEMBERS = 6 };

/* Failures of fellows come at the same time on several workers; the result is one of theirs. */
static int fail_at_random(void *arg)
{
	uint64_t random = mix((uintptr_t)arg + 100), rounds = amount(15 * 1000);

	for (uint64_t i = 0; i < rounds; i++) {
		struct member members[MEMBERS];
		struct weft_task *tasks[MEMBERS];
		int statuses[MEMBERS];
		bool failing = false;
		ssize_t rc;

		for (int k = 0; k < MEMBERS; k++) {
			members[k].delay = (unsigned)random_next(&random);
			members[k].status = random_next(&random) % 4 ? k : -EIO;
			failing = failing || members[k].status < 0;
			tasks[k] = weft_create_task(member, &members[k]);
		}
		switch (random_next(&random) % 4) {
		case 0:
			rc = weft_gather(tasks, MEMBERS, statuses, 0);
			cr_assert_eq(rc, failing ? -EIO : 0);
			/* a second time, over what has ended: the first by number, so maybe another */
			cr_assert_eq(weft_gather(tasks, MEMBERS, NULL, 0) < 0, failing);
			break;
		case 1:
			cr_assert_eq(weft_gather(tasks, MEMBERS, statuses, WEFT_GATHER_ALL), 0);
			for (int k = 0; k < MEMBERS; k++)
				cr_assert_eq(statuses[k], members[k].status);
			break;
		case 2:
			rc = weft_race(tasks, MEMBERS);
			if (rc >= 0)
				cr_assert_eq(weft_status(tasks[rc]), members[rc].status);
			else
				cr_assert_eq(rc, -EIO);
			break;
		default: {
			struct weft_as_completed walk;
			unsigned seen = 0;

			weft_as_completed_begin(&walk, tasks, MEMBERS);
			while ((rc = weft_as_completed_next(&walk, WEFT_FOREVER)) >= 0) {
				cr_assert_eq(weft_status(tasks[rc]), members[rc].status);
				seen |= 1u << rc;
			}
			weft_as_completed_end(&walk);
			cr_assert_eq(seen, (1u << MEMBERS) - 1);
		}
		}
		for (int k = 0; k < MEMBERS; k++)
			cr_assert_neq(weft_status(tasks[k]), -EINPROGRESS);
		weft_release_all(tasks, MEMBERS);
	}
	return 0;
}

static int fail_on_all(void *arg)
{
	struct weft_group group;

	(void)arg;
	weft_group_begin(&group, 0);
	for (uintptr_t i = 1; i <= 4; i++)
		weft_group_spawn(&group, fail_at_random, (void *)i);
	return weft_group_join(&group);
}

Test(tasks, first_failures_anywhere, .timeout = PATIENCE)
{
	for (unsigned workers = 1; workers <= WORKERS_MAX; workers *= 2)
		run_with(workers, fail_on_all, NULL);
}

/* A gather of ended tasks, at the address of an earlier one. */
static int return_eio(void *arg)
{
	(void)arg;
	return -EIO;
}

static int gather_again(void *arg)
{
	struct weft_task *task = weft_create_task(return_eio, NULL);

	(void)arg;
	for (int i = 0; i < 3; i++)
		cr_assert_eq(weft_gather(&task, 1, NULL, 0), -EIO);
	weft_release(task);
	return 0;
}

Test(tasks, gathered_again, .timeout = PATIENCE)
{
	run_with(1, gather_again, NULL);
}

/* -- a handle let go while the group is being told ------------------------------------------------ */

static struct weft_chan *flags;

static int set_flags(void *arg)
{
	struct weft_event_flag *flag;

	(void)arg;
	while (weft_chan_recv(flags, &flag) == 1)
		weft_event_flag_set(flag);
	return 0;
}

static int fail_on_flag(void *arg)
{
	int rc = weft_event_flag_wait(arg);

	return rc < 0 ? rc : -EIO;
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static int let_members_go(void *arg)
{
	(void)arg;
	for (uint64_t i = 0; i < amount(40 * 1000); i++) {
		struct weft_event_flag flag = { 0 }, *sent = &flag;
		struct weft_group group;
		struct weft_task *failing;

		weft_group_begin(&group, WEFT_GROUP_COLLECT);
		failing = weft_group_create_task(&group, fail_on_flag, &flag);
		weft_yield();
		cr_assert_eq(weft_chan_send(flags, &sent), 0);
		while (weft_status(failing) == -EINPROGRESS)
			; /* it ends on the other worker, which tells the group after that */
		weft_release(failing);
		for (int k = 0; k < 3; k++)
			weft_group_spawn(&group, nothing, NULL);
		cr_assert_eq(weft_group_join(&group), -EIO);
	}
	weft_chan_close(flags);
	return 0;
}

static int let_go_of_members(void *arg)
{
	struct weft_attr first = { .size = sizeof(first), .worker = 1 };
	struct weft_attr second = { .size = sizeof(second), .worker = 2 };
	struct weft_task *setter, *releaser;

	(void)arg;
	flags = weft_chan_create(sizeof(struct weft_event_flag *), 4);
	setter = weft_create_task_with(set_flags, NULL, &second);
	releaser = weft_create_task_with(let_members_go, NULL, &first);
	cr_assert_eq(weft_join(releaser), 0);
	cr_assert_eq(weft_join(setter), 0);
	weft_chan_destroy(flags);
	return 0;
}

Test(tasks, members_let_go_at_their_end, .timeout = PATIENCE)
{
	run_with(2, let_go_of_members, NULL);
}

/* -- wakes ------------------------------------------------------------------------------------- */

struct pair {
	struct weft_chan *there, *back;
	struct weft_event_flag flag;
	_Atomic(uint32_t) flagged;
	uint64_t rounds;
};

static int answer(void *arg)
{
	struct pair *pair = arg;
	uint64_t value;

	while (weft_chan_recv(pair->there, &value) == 1) {
		value++;
		cr_assert_eq(weft_chan_send(pair->back, &value), 0);
	}
	return 0;
}

static int ask(void *arg)
{
	struct pair *pair = arg;

	for (uint64_t i = 0; i < pair->rounds; i++) {
		uint64_t value = i;

		cr_assert_eq(weft_chan_send(pair->there, &value), 0);
		cr_assert_eq(weft_chan_recv(pair->back, &value), 1);
		cr_assert_eq(value, i + 1);
	}
	weft_chan_close(pair->there);
	return 0;
}

static int wake_each_other(void *arg)
{
	struct weft_attr attr = { .size = sizeof(attr) };
	struct weft_task *tasks[8];
	struct pair pairs[4] = { 0 };

	(void)arg;
	for (int i = 0; i < 4; i++) {
		unsigned capacity = (unsigned)i % 2;

		pairs[i].rounds = amount(10 * 1000);
		pairs[i].there = weft_chan_create(sizeof(uint64_t), capacity);
		pairs[i].back = weft_chan_create(sizeof(uint64_t), capacity);
		attr.worker = i < 2 ? 1 : 0; /* two pairs across fixed workers, two anywhere */
		tasks[2 * i] = weft_create_task_with(answer, &pairs[i], &attr);
		attr.worker = i < 2 ? 2 : 0;
		tasks[2 * i + 1] = weft_create_task_with(ask, &pairs[i], &attr);
	}
	for (int i = 0; i < 8; i++)
		cr_assert_eq(weft_join(tasks[i]), 0);
	for (int i = 0; i < 4; i++) {
		weft_chan_destroy(pairs[i].there);
		weft_chan_destroy(pairs[i].back);
	}
	return 0;
}

Test(tasks, no_wake_is_lost, .timeout = PATIENCE)
{
	run_with(2, wake_each_other, NULL);
	run_with(4, wake_each_other, NULL);
	run_with(8, wake_each_other, NULL);
}

/* -- deadlines around the end ------------------------------------------------------------------ */

static int sleep_a_little(void *arg)
{
	int rc = weft_sleep((weft_ns)(uintptr_t)arg);

	return rc < 0 ? rc : 7;
}

static int race_the_clock(void *arg)
{
	uint64_t random = mix((uintptr_t)arg + 7);

	for (uint64_t i = 0; i < amount(4000); i++) {
		weft_ns length = (weft_ns)(20000 + random_next(&random) % 60000);
		weft_ns limit = length + (weft_ns)(random_next(&random) % 40000) - 20000;
		struct weft_task *task =
			weft_create_task(sleep_a_little, (void *)(uintptr_t)length);
		struct weft_scope outer, inner;
		int rc, fired;

		weft_deadline_begin(&outer, WEFT_SEC(100));
		weft_deadline_begin(&inner, limit);
		if (i % 2) {
			rc = weft_join(task);
			fired = weft_scope_end(&inner);
			cr_assert(rc == 7 || rc == -ETIMEDOUT, "%d", rc);
			if (rc == -ETIMEDOUT)
				cr_assert_eq(fired, 1);
		} else {
			rc = weft_await(task);
			fired = weft_scope_end(&inner);
			cr_assert(rc == 7 || (rc == -ETIMEDOUT && fired), "%d %d", rc, fired);
			rc = weft_join(task); /* not cancelled by the await */
			cr_assert_eq(rc, 7);
		}
		cr_assert_eq(weft_checkpoint(), 0);
		cr_assert_eq(weft_scope_end(&outer), 0);
	}
	return 0;
}

static int race_clocks(void *arg)
{
	struct weft_group group;

	(void)arg;
	weft_group_begin(&group, 0);
	for (uintptr_t i = 0; i < 8; i++)
		weft_group_spawn(&group, race_the_clock, (void *)i);
	return weft_group_join(&group);
}

Test(tasks, deadlines_around_the_end, .timeout = PATIENCE)
{
	for (unsigned workers = 1; workers <= 4; workers *= 2)
		run_with(workers, race_clocks, NULL);
}

/* -- depth ------------------------------------------------------------------------------------- */

static int dig(void *arg)
{
	uintptr_t left = (uintptr_t)arg;
	int rc;

	tally_add(left);
	if (left == 0)
		return 0;
	if (left % 997 == 0)
		weft_yield();
	rc = weft_join(weft_create_task(dig, (void *)(left - 1)));
	return rc < 0 ? rc : rc + 1;
}

static int dig_beside_thieves(void *arg)
{
	uint64_t depth = SANITIZED ? 4000 : 100 * 1000;
	struct tree tree = { depth + 1, 20 * 1000 };
	struct weft_task *beside = weft_create_task(grow, &tree);
	int rc;

	(void)arg;
	rc = weft_join(weft_create_task(dig, (void *)(uintptr_t)depth));
	cr_assert_eq(rc, (int)depth);
	cr_assert_eq(weft_join(beside), 0);
	tally_check(depth + 1 + tree.n);
	return 0;
}

Test(tasks, deep_while_thieves_steal, .timeout = PATIENCE)
{
	for (unsigned workers = 1; workers <= 4; workers *= 2) {
		tally_clear();
		run_with(workers, dig_beside_thieves, NULL);
	}
}

/* -- few stacks -------------------------------------------------------------------------------- */

static int hold_a_stack(void *arg)
{
	int rc = weft_sleep((weft_ns)((uintptr_t)arg % 50) * 1000);

	tally_add((uintptr_t)arg);
	return rc;
}

static int need_many_stacks(void *arg)
{
	uint64_t n = amount(20 * 1000);

	for (uintptr_t i = 0; i < n; i++)
		weft_go(hold_a_stack, (void *)i);
	(void)arg;
	wait_until_alone();
	tally_check(n);
	return 0;
}

Test(tasks, few_stacks, .timeout = PATIENCE)
{
	for (unsigned workers = 1; workers <= 4; workers *= 2) {
		struct weft_config config = config_of(workers);

		config.stacks_max = 24;
		tally_clear();
		cr_assert_eq(weft_run(need_many_stacks, NULL, &config), 0);
	}
}

/* -- those that stay --------------------------------------------------------------------------- */

static int stay(void *arg)
{
	uint64_t random = mix((uintptr_t)arg);
	pthread_t self = pthread_self();

	for (uint64_t i = 0; i < amount(400); i++) {
		if (random_next(&random) % 2)
			weft_yield();
		else
			weft_sleep((weft_ns)(random_next(&random) % 20000));
		cr_assert(pthread_equal(self, pthread_self()));
	}
	return 0;
}

static int many_stay(void *arg)
{
	struct weft_attr attr = { .size = sizeof(attr), .flags = WEFT_STAY };
	struct weft_task *tasks[64];
	struct tree tree = { 0, 50 * 1000 };
	struct weft_task *noise = weft_create_task(grow, &tree);

	(void)arg;
	for (uintptr_t i = 0; i < 64; i++)
		tasks[i] = weft_create_task_with(stay, (void *)i, &attr);
	for (int i = 0; i < 64; i++)
		cr_assert_eq(weft_join(tasks[i]), 0);
	return weft_join(noise);
}

Test(tasks, some_never_move, .timeout = PATIENCE)
{
	run_with(2, many_stay, NULL);
	run_with(4, many_stay, NULL);
}

/* -- hogs -------------------------------------------------------------------------------------- */

static _Atomic(uint32_t) hogging;

static int hog(void *arg)
{
	uint64_t random = mix((uintptr_t)arg);

	while (weft_load_acquire(&hogging)) {
		spin_for(WEFT_MS(2) + (weft_ns)(random_next(&random) % WEFT_MS(18)));
		/* between two computations it uses what the monitor may be using */
		weft_join(weft_create_task(nothing, NULL));
		weft_go(nothing, NULL);
		if (random_next(&random) % 4 == 0)
			weft_yield();
	}
	return 0;
}

struct wire {
	int fds[2];
	uint64_t rounds;
};

static int echo(void *arg)
{
	struct wire *wire = arg;
	char byte;

	while (weft_recv(wire->fds[1], &byte, 1, 0) == 1)
		cr_assert_eq(weft_send(wire->fds[1], &byte, 1, 0), 1);
	return 0;
}

static int ping(void *arg)
{
	struct wire *wire = arg;

	for (uint64_t i = 0; i < wire->rounds; i++) {
		char byte = (char)i, back = 0;

		cr_assert_eq(weft_send(wire->fds[0], &byte, 1, 0), 1);
		cr_assert_eq(weft_recv(wire->fds[0], &back, 1, 0), 1);
		cr_assert_eq(back, byte);
		if (i % 10 == 0)
			cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
	}
	shutdown(wire->fds[0], SHUT_WR);
	return 0;
}

static int go_on_beside_hogs(void *arg)
{
	struct weft_attr pinned = { .size = sizeof(pinned), .worker = 2 };
	unsigned hogs = (unsigned)(uintptr_t)arg;
	struct weft_task *tasks[2 * 8], *hog_tasks[WORKERS_MAX], *mailed;
	struct wire wires[8];

	weft_store_release(&hogging, 1);
	for (int i = 0; i < 8; i++) {
		wires[i].rounds = amount(400);
		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, wires[i].fds), 0);
		tasks[2 * i] = weft_create_task(echo, &wires[i]);
		tasks[2 * i + 1] = weft_create_task(ping, &wires[i]);
	}
	for (uintptr_t i = 0; i < hogs; i++)
		hog_tasks[i] = weft_create_task(hog, (void *)i);
	for (int i = 0; i < 16; i++)
		cr_assert_eq(weft_join(tasks[i]), 0);
	mailed = weft_create_task_with(nothing, NULL, &pinned); /* nothing got lost on the way */
	weft_store_release(&hogging, 0);
	for (unsigned i = 0; i < hogs; i++)
		cr_assert_eq(weft_join(hog_tasks[i]), 0);
	cr_assert_eq(weft_join(mailed), 0);
	wait_until_alone();
	for (int i = 0; i < 8; i++) {
		close(wires[i].fds[0]);
		close(wires[i].fds[1]);
	}
	return 0;
}

Test(tasks, others_go_on_beside_hogs, .timeout = PATIENCE)
{
	run_with(2, go_on_beside_hogs, (void *)1);
	run_with(4, go_on_beside_hogs, (void *)3);
}

/* The monitor takes a hosted child's worker while the host's batch has a task that must not move. */
static int hog_once(void *arg)
{
	(void)arg;
	spin_for(WEFT_MS(15));
	return 0;
}

static int host_a_hog(void *arg)
{
	struct weft_attr here = { .size = sizeof(here), .worker = 1 };
	struct weft_task *pinned = weft_create_task_with(nothing, NULL, &here), *later[2];

	(void)arg;
	cr_assert_eq(weft_join(weft_create_task(hog_once, NULL)), 0);
	later[0] = weft_create_task(nothing, NULL);
	later[1] = weft_create_task(nothing, NULL);
	cr_assert_eq(weft_await(pinned), 0);
	cr_assert_eq(weft_gather(later, 2, NULL, 0), 0);
	weft_release(pinned);
	weft_release_all(later, 2);
	return 0;
}

static int mail_beside_hosts(void *arg)
{
	struct weft_attr there = { .size = sizeof(there), .worker = 1 };

	(void)arg;
	for (int i = 0; i < 10; i++) {
		cr_assert_eq(weft_join(weft_create_task_with(host_a_hog, NULL, &there)), 0);
		cr_assert_eq(weft_join(weft_create_task_with(nothing, NULL, &there)), 0);
	}
	return 0;
}

static int mail_from_the_other(void *arg)
{
	struct weft_attr here = { .size = sizeof(here), .worker = 2 };

	(void)arg;
	return weft_join(weft_create_task_with(mail_beside_hosts, NULL, &here));
}

Test(tasks, taken_over_under_a_host, .timeout = PATIENCE)
{
	run_with(2, mail_from_the_other, NULL);
}

/* -- values ------------------------------------------------------------------------------------ */

static struct weft_mutex drop_lock;
static _Atomic(uint32_t) dropped;

/* A destructor that locks: it may have to wait, on a stack that runs no task. */
static void locking_drop(void *value)
{
	(void)value;
	cr_assert_eq(weft_mutex_lock(&drop_lock), 0);
	weft_add_relaxed(&dropped, 1);
	cr_assert_eq(weft_mutex_unlock(&drop_lock), 0);
}

static int publish(void *arg)
{
	if ((uintptr_t)arg % 2)
		weft_yield();
	return weft_set_value(&drop_lock, locking_drop);
}

static int publish_much(void *arg)
{
	uint64_t n = amount(2000);

	(void)arg;
	weft_store_relaxed(&dropped, 0);
	for (uintptr_t i = 0; i < n; i++) {
		weft_go(publish, (void *)i);
		weft_release(weft_create_task(publish, (void *)i));
		if (i % 16 == 0) {
			cr_assert_eq(weft_mutex_lock(&drop_lock), 0);
			weft_yield();
			cr_assert_eq(weft_mutex_unlock(&drop_lock), 0);
		}
		weft_join(weft_create_task(publish, (void *)i));
	}
	while (weft_load_acquire(&dropped) < 3 * n)
		weft_yield();
	return 0;
}

Test(tasks, drops_that_wait, .timeout = PATIENCE)
{
	run_with(1, publish_much, NULL);
	run_with(4, publish_much, NULL);
}

/* -- the end ----------------------------------------------------------------------------------- */

static int busy_till_the_end(void *arg);

static int wait_till_the_end(void *arg)
{
	struct weft_event_flag never = { 0 };
	unsigned how = (unsigned)(uintptr_t)arg;
	int fds[2] = { -1, -1 };
	char byte;

	switch (how % 5) {
	case 0:
		return weft_sleep(WEFT_SEC(100));
	case 1:
		return weft_event_flag_wait(&never);
	case 2:
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
			return -errno;
		weft_recv(fds[0], &byte, 1, 0);
		close(fds[0]);
		close(fds[1]);
		return -ECANCELED;
	case 3: {
		struct weft_scope scope;
		int rc = weft_sleep(WEFT_SEC(100));

		weft_shield_begin(&scope, WEFT_MS(20));
		weft_sleep(WEFT_MS(1)); /* cleaning up takes a while */
		weft_scope_end(&scope);
		return rc;
	}
	default:
		return busy_till_the_end(arg);
	}
}

/* Keeps creating, and waits for what it has created. */
static int busy_till_the_end(void *arg)
{
	uintptr_t how = (uintptr_t)arg;
	int rc;

	do {
		struct weft_task *tasks[2] = { weft_create_task(nothing, NULL),
			weft_create_task(nothing, NULL) };

		weft_go(nothing, NULL);
		weft_gather(tasks, 2, NULL, 0);
		weft_release_all(tasks, 2);
		rc = weft_yield();
	} while (rc >= 0);
	(void)how;
	return rc;
}

struct poster {
	struct weft_runtime *runtime;
	_Atomic(uint64_t) *accepted, *ran;
	unsigned number;
};

static _Atomic(uint64_t) posted_ran;

static int posted(void *arg)
{
	weft_add_relaxed(&posted_ran, 1);
	return (uintptr_t)arg % 2 ? wait_till_the_end(arg) : 0;
}

static int called(void *arg)
{
	(void)arg;
	weft_add_relaxed(&posted_ran, 1);
	return 42;
}

static void *post_till_the_end(void *arg)
{
	struct poster *poster = arg;

	for (uintptr_t i = 0;; i++) {
		int rc = i % 8 == 7
			? weft_runtime_call(poster->runtime, called, NULL, WEFT_FOREVER)
			: weft_runtime_post(poster->runtime, posted, (void *)(i % 64 ? 0 : i / 64));

		if (rc == -ESHUTDOWN)
			return NULL;
		cr_assert(rc == 0 || rc == 42, "%d", rc);
		weft_add_relaxed(poster->accepted, 1);
	}
}

Test(tasks, stopped_at_any_moment, .timeout = PATIENCE)
{
	uint64_t random = 88172645463325252u;

	for (uint64_t round = 0; round < amount(60); round++) {
		struct weft_config config = config_of(1 + (unsigned)(round % WORKERS_MAX));
		_Atomic(uint64_t) accepted = 0;
		struct weft_runtime *runtime;
		struct poster poster = { .accepted = &accepted };
		pthread_t threads[3];

		weft_store_relaxed(&posted_ran, 0);
		cr_assert_eq(weft_runtime_create(&config, &runtime), 0);
		poster.runtime = runtime;
		for (uintptr_t i = 0; i < 10; i++, weft_add_relaxed(&accepted, 1))
			cr_assert_eq(weft_runtime_post(runtime, posted, (void *)(2 * i + 1)), 0);
		for (int i = 0; i < 3; i++)
			pthread_create(&threads[i], NULL, post_till_the_end, &poster);
		usleep((useconds_t)(random_next(&random) % 5000));
		cr_assert_eq(weft_runtime_stop(runtime, WEFT_SEC(30)), 0);
		for (int i = 0; i < 3; i++)
			pthread_join(threads[i], NULL);
		/* a body always runs */
		cr_assert_eq(weft_load_relaxed(&posted_ran), weft_load_relaxed(&accepted));
		weft_runtime_destroy(runtime);
	}
}

Test(tasks, runtimes_come_and_go, .timeout = PATIENCE)
{
	for (uint64_t round = 0; round < amount(200); round++) {
		struct tree tree = { 0, 200 };

		tally_clear();
		run_with(1 + (unsigned)(round % WORKERS_MAX), grow, &tree);
		tally_check(tree.n);
	}
}

/*
 * A task absorbs the end of the runtime and then joins, in its place, a child that has not: the
 * child is told all the same.
 */
static int loop_till_cancelled(void *arg)
{
	int rc;

	(void)arg;
	while ((rc = weft_sleep(WEFT_MS(5))) >= 0)
		;
	return rc;
}

static int absorb_and_join(void *arg)
{
	struct weft_task *child = weft_create_task(loop_till_cancelled, NULL);

	while (!weft_cancelled())
		spin_for(WEFT_MS(1)); /* the child does not start */
	cr_assert_eq(weft_checkpoint(), -ECANCELED);
	cr_assert_eq(weft_uncancel(), 1);
	cr_assert_eq(weft_checkpoint(), 0);
	cr_assert_eq(weft_join(child), -ECANCELED);
	weft_store_release((_Atomic(uint32_t) *)arg, 1);
	return 0;
}

Test(tasks, a_child_is_told_of_the_end_its_host_absorbed, .timeout = PATIENCE)
{
	struct weft_config config = config_of(1);
	_Atomic(uint32_t) over = 0;
	struct weft_runtime *runtime;

	cr_assert_eq(weft_runtime_create(&config, &runtime), 0);
	cr_assert_eq(weft_runtime_post(runtime, absorb_and_join, &over), 0);
	usleep(20 * 1000);
	cr_assert_eq(weft_runtime_stop(runtime, WEFT_SEC(3)), 0);
	cr_assert_eq(weft_load_acquire(&over), 1);
	weft_runtime_destroy(runtime);
}
