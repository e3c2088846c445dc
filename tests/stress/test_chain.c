/* SPDX-License-Identifier: MIT */
/*
 * test_chain - long CHAINs and many of them: a member that waits holds no stack and little memory, a
 * link costs at most one switch, independent chains run side by side, and each stays serial while
 * thieves are at work.
 */
#include <criterion/criterion.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <weft.h>

#include "base/atomic.h"
#include "sched/worker.h"

enum { LINKS = 1000000 / WEFT_TEST_SCALE, WAITING_BYTES = 160, PATIENCE_S = 60 };

static void run_on(unsigned workers, weft_fn fn)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.workers = workers;
	config.stall_report = -1;
	cr_assert_eq(weft_run(fn, NULL, &config), 0);
}

static struct weft_order *chain(void)
{
	struct weft_order *order = weft_order_create(WEFT_ORDER_CHAIN, "chain");

	cr_assert_not_null(order);
	return order;
}

/* Stacks of the calling task's runtime, in use or free. */
static uint64_t stacks(void)
{
	return weft_load_relaxed(&weft_runtime_current()->stacks.live);
}

static uint64_t switches(void)
{
	struct weft_metrics metrics = {.size = sizeof(metrics)};

	cr_assert_eq(weft_runtime_metrics(weft_runtime_current(), &metrics), 0);
	return metrics.switches;
}

static int count(void *arg)
{
	++*(size_t *)arg; /* one at a time */
	return 0;
}

/* Members without a handle but the last one's. */
static struct weft_task *append(struct weft_order *order, size_t links, size_t *ran)
{
	for (size_t i = 1; i < links; i++)
		weft_release(weft_order_create_task(order, count, ran));
	return weft_order_create_task(order, count, ran);
}

/* -- what a waiting member holds --------------------------------------------------------------- */

static int wait_for_flag(void *arg)
{
	return weft_event_flag_wait(arg);
}

static double resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	cr_assert_not_null(file);
	cr_assert_eq(fscanf(file, "%*u %lu", &pages), 1);
	fclose(file);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* The first member waits, so all others do, and the creator lets everybody run in between. */
static int wait_in_a_chain(void *arg)
{
	struct weft_event_flag go = {0};
	struct weft_order *order = chain();
	uint64_t before;
	struct weft_task *last;
	double bytes;
	size_t ran = 0;

	(void)arg;
	weft_release(weft_order_create_task(order, wait_for_flag, &go));
	for (int i = 0; i < 3; i++) /* it has its stack, and the loop another */
		cr_assert_eq(weft_yield(), 0);
	before = stacks();
	bytes = resident();
	last = append(order, LINKS, &ran);
	bytes = (resident() - bytes) / LINKS;
	for (int i = 0; i < 3; i++)
		cr_assert_eq(weft_yield(), 0);
	cr_assert_eq(ran, 0);
	cr_assert_eq(stacks(), before, "%lu stacks for members that wait",
		(unsigned long)(stacks() - before));
#if !defined(WEFT_ASAN) && !defined(WEFT_TSAN) /* whose shadow would be counted */
	cr_assert_leq(bytes, WAITING_BYTES, "%.0f bytes per waiting member", bytes);
#endif
	weft_event_flag_set(&go);
	cr_assert_eq(weft_join(last), 0);
	cr_assert_eq(ran, LINKS);
	cr_assert_leq(stacks(), before + 2); /* nor did they take one each later */
	weft_order_release(order);
	return 0;
}

Test(stress_chain, a_waiting_member_holds_no_stack, .timeout = 2 * PATIENCE_S)
{
	run_on(1, wait_in_a_chain);
}

/* -- switches ---------------------------------------------------------------------------------- */

static int switch_in_a_chain(void *arg)
{
	struct weft_order *order = chain();
	uint64_t before = switches();
	size_t ran = 0;

	(void)arg;
	cr_assert_eq(weft_join(append(order, LINKS, &ran)), 0);
	cr_assert_eq(ran, LINKS);
	cr_assert_leq(switches() - before, LINKS);
	weft_order_release(order);
	return 0;
}

Test(stress_chain, a_link_costs_at_most_one_switch, .timeout = 2 * PATIENCE_S)
{
	run_on(1, switch_in_a_chain);
	run_on(4, switch_in_a_chain);
}

/* -- side by side ------------------------------------------------------------------------------ */

enum { MEETINGS = 500 / WEFT_TEST_SCALE };

static _Atomic(uint32_t) met[2];

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Computes until the other chain has come as far. */
static int meet(void *arg)
{
	size_t self = (uintptr_t)arg;
	uint32_t turn = weft_add_acq_rel(&met[self], 1) + 1;
	double give_up = seconds() + PATIENCE_S;

	while (weft_load_acquire(&met[1 - self]) < turn) {
		cr_assert_lt(seconds(), give_up, "a chain waits for another");
		sched_yield();
	}
	return 0;
}

static int two_chains(void *arg)
{
	struct weft_task *last[2];

	(void)arg;
	for (size_t k = 0; k < 2; k++) {
		struct weft_order *order = chain();

		weft_store_relaxed(&met[k], 0);
		for (int i = 1; i < MEETINGS; i++)
			weft_release(weft_order_create_task(order, meet, (void *)k));
		last[k] = weft_order_create_task(order, meet, (void *)k);
		weft_order_release(order);
	}
	cr_assert_eq(weft_join(last[0]), 0);
	cr_assert_eq(weft_join(last[1]), 0);
	return 0;
}

Test(stress_chain, independent_chains_run_side_by_side, .timeout = 2 * PATIENCE_S)
{
	run_on(2, two_chains);
}

/* -- thieves ----------------------------------------------------------------------------------- */

enum { CHAINS = 2000 / WEFT_TEST_SCALE, CHAIN_LINKS = 50 };

static struct {
	size_t ran; /* plain: members of one chain never overlap */
	size_t wrong;
} counts[CHAINS];

static struct {
	size_t chain, place;
} places[CHAINS * CHAIN_LINKS];

static int take_place(void *arg)
{
	size_t i = (uintptr_t)arg, chain = places[i].chain;
	size_t before = counts[chain].ran;

	counts[chain].wrong += before != places[i].place;
	if (i % 7 == 0)
		cr_assert_eq(weft_yield(), 0);
	counts[chain].wrong += counts[chain].ran != before;
	counts[chain].ran = before + 1;
	return 0;
}

static int many_chains(void *arg)
{
	struct weft_task **last = calloc(CHAINS, sizeof(*last));
	struct weft_order **orders = calloc(CHAINS, sizeof(*orders));

	(void)arg;
	for (size_t k = 0; k < CHAINS; k++)
		orders[k] = chain();
	for (size_t i = 0; i < CHAINS * CHAIN_LINKS; i++) { /* all chains at a time */
		size_t k = i % CHAINS;

		places[i].chain = k;
		places[i].place = i / CHAINS;
		weft_release(last[k]);
		last[k] = weft_order_create_task(orders[k], take_place, (void *)i);
	}
	for (size_t k = 0; k < CHAINS; k++) {
		weft_order_release(orders[k]);
		cr_assert_eq(weft_join(last[k]), 0);
		cr_assert_eq(counts[k].ran, CHAIN_LINKS);
		cr_assert_eq(counts[k].wrong, 0);
	}
	free(orders);
	free(last);
	return 0;
}

Test(stress_chain, each_of_many_chains_stays_serial, .timeout = 2 * PATIENCE_S)
{
	run_on(4, many_chains);
}
