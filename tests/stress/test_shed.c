/* SPDX-License-Identifier: MIT */
/*
 * test_shed - memory given back while it is looked at: bursts come and go with windows of a millisecond, some tasks
 * outlive them, and cancels from outside come at any time, also late. Nothing that runs may notice. And in the
 * end all is given back, and the monitor sleeps.
 */
#include <criterion/criterion.h>

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <weft.h>

#include "base/atomic.h"
#include "base/sys.h"
#include "sched/shed.h"
#include "sched/worker.h"

enum {
	BURSTS = 40 / WEFT_TEST_SCALE + 3,
	MEMBERS = WEFT_TEST_SCALE > 1 ? 600 : 4000, /* a stack is costly to make under ThreadSanitizer */
	UNSTARTED = 8000,
	SURVIVORS = 40, /* of each burst; scattered over the slabs */
	WORKERS = 3,
	PATIENCE_S = 60,
};

struct place {
	_Atomic(struct weft_task *) task; /* whom the outsider may cancel; it holds a reference */
	_Atomic(uint32_t) used;
};

static struct place places[SURVIVORS];
static _Atomic(uint32_t) begun, over;
static struct weft_event_flag wake, end;

/* What lies on the stack is there after the wait, and a stack is nobody else's. */
static int sleep_on(struct weft_event_flag *flag, size_t number)
{
	volatile size_t mine[200];
	int rc;

	for (size_t i = 0; i < 200; i++)
		mine[i] = number * 1000 + i;
	weft_add_relaxed(&begun, 1);
	rc = weft_event_flag_wait(flag);
	for (size_t i = 0; i < 200; i++)
		cr_assert_eq(mine[i], number * 1000 + i);
	return rc;
}

static int sleeper(void *arg)
{
	return sleep_on(&wake, (size_t)arg);
}

static int survivor(void *arg)
{
	return sleep_on(&end, (size_t)arg);
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* Cancels what it finds, often long after it has ended. */
static void *outsider(void *arg)
{
	(void)arg;
	while (!weft_load_acquire(&over)) {
		for (size_t i = 0; i < SURVIVORS; i++) {
			struct weft_task *task = weft_xchg_acq_rel(&places[i].task, NULL);

			if (!task)
				continue;
			weft_cancel(task);
			weft_release(task);
		}
		sched_yield();
	}
	return NULL;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t *ids; /* of all tasks ever */
static size_t id_count;

static void burst(struct weft_task **survivors)
{
	static struct weft_task *tasks[UNSTARTED];

	begun = 0;
	weft_event_flag_clear(&wake);
	for (size_t i = 0; i < MEMBERS; i++) {
		bool survives = i % (MEMBERS / SURVIVORS) == 0;

		tasks[i] = weft_create_task(survives ? survivor : sleeper, (void *)i);
		ids[id_count++] = weft_id(tasks[i]);
	}
	while (begun < MEMBERS)
		weft_yield();
	for (size_t i = 0; i < SURVIVORS; i++) {
		survivors[i] = tasks[i * (MEMBERS / SURVIVORS)];
		tasks[i * (MEMBERS / SURVIVORS)] = NULL;
	}
	for (size_t i = 0; i < SURVIVORS; i++) { /* the outsider gets a handle of its own */
		struct weft_task *task = tasks[i * (MEMBERS / SURVIVORS) + 1];

		weft_task_ref(task);
		task = weft_xchg_acq_rel(&places[i].task, task);
		if (task)
			weft_release(task);
	}
	weft_event_flag_set(&wake);
	for (size_t i = 0; i < MEMBERS; i++) {
		if (tasks[i])
			weft_join(tasks[i]);
	}
	for (size_t i = 0; i < UNSTARTED; i++) { /* descriptors alone */
		tasks[i] = weft_create_task(nothing, NULL);
		ids[id_count++] = weft_id(tasks[i]);
	}
	cr_assert_eq(weft_gather(tasks, UNSTARTED, NULL, 0), 0);
	weft_release_all(tasks, UNSTARTED);
}

static void finish(struct weft_task **survivors)
{
	weft_event_flag_set(&end);
	for (size_t i = 0; i < SURVIVORS; i++)
		cr_assert_eq(weft_join(survivors[i]), 0);
	weft_event_flag_clear(&end);
}

static int bursts(void *arg)
{
	static struct weft_task *survivors[2][SURVIVORS];

	(void)arg;
	ids = malloc(BURSTS * (MEMBERS + UNSTARTED) * sizeof(*ids));
	for (size_t i = 0; i < BURSTS; i++) {
		burst(survivors[i % 2]);
		weft_sleep(WEFT_MS(i % 4 * 3));
		if (i % 2 == 1) {
			finish(survivors[0]);
			finish(survivors[1]);
			weft_sleep(WEFT_MS(i % 3 * 3));
		}
	}
	if (BURSTS % 2 == 1)
		finish(survivors[0]);
	qsort(ids, id_count, sizeof(*ids), by_number);
	for (size_t i = 1; i < id_count; i++)
		cr_assert_neq(ids[i - 1], ids[i], "a number comes twice");
	free(ids);
	return 0;
}

static uint32_t given_back(struct weft_runtime *rt)
{
	uint32_t times;

	weft_spin_lock(&rt->stacks.lock);
	times = rt->stacks.given_back;
	weft_spin_unlock(&rt->stacks.lock);
	return times;
}

/* How many stacks lie free, and how many descriptors: in the shared pools. */
static bool all_given_back(struct weft_runtime *rt)
{
	bool given;

	weft_spin_lock(&rt->stacks.lock);
	given = rt->stacks.free_count[0] < 128 && weft_load_relaxed(&rt->stacks.live) < 128 + 256 * WORKERS;
	weft_spin_unlock(&rt->stacks.lock);
	weft_spin_lock(&rt->tasks.lock);
	/* What a sleeping worker keeps for its next tasks, some forty, may lie in as many slabs, which then stay. */
	given = given && rt->tasks.free_count < 24 * WEFT_TASK_SLAB_TASKS && rt->tasks.empty_count > 0;
	weft_spin_unlock(&rt->tasks.lock);
	return given;
}

static bool monitor_sleeps(struct weft_runtime *rt)
{
	return weft_load_seq_cst(&rt->monitor_state) != 0;
}

static void wait_for(bool (*ready)(struct weft_runtime *), struct weft_runtime *rt, const char *what)
{
	int64_t until = weft_sys_clock() + WEFT_SEC(PATIENCE_S);

	while (!ready(rt)) {
		cr_assert(weft_sys_clock() < until, "%s", what);
		sched_yield();
	}
}

Test(shed, bursts_and_late_cancels, .timeout = 120)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct weft_runtime *rt;
	pthread_t thread;

	weft_shed_window = WEFT_MS(1);
	config.workers = WORKERS;
	config.stall_report = -1;
	cr_assert_eq(weft_runtime_create(&config, &rt), 0);
	cr_assert_eq(pthread_create(&thread, NULL, outsider, NULL), 0);
	cr_assert_eq(weft_runtime_call(rt, bursts, NULL, WEFT_FOREVER), 0);
	weft_store_release(&over, 1);
	pthread_join(thread, NULL);
	for (size_t i = 0; i < SURVIVORS; i++) {
		if (places[i].task)
			weft_release(places[i].task);
	}
	wait_for(all_given_back, rt, "all that was free is given back");
	wait_for(monitor_sleeps, rt, "then the monitor sleeps");
	cr_assert(given_back(rt) > 2, "also meanwhile");
	weft_runtime_destroy(rt);
}

/* -- memory that cannot be given back ------------------------------------------------------------------ */

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)*(struct weft_task *const *)a, y = (uintptr_t)*(struct weft_task *const *)b;

	return (x > y) - (x < y);
}

static int create_twice(void *arg)
{
	static struct weft_task *tasks[UNSTARTED * 2];
	enum { COUNT = UNSTARTED * 2 };

	(void)arg;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < COUNT; i++)
			tasks[i] = weft_create_task(nothing, NULL);
		if (round == 1)
			break;
		for (int i = 0; i < COUNT; i++)
			cr_assert_eq(weft_join(tasks[i]), 0);
		weft_sleep(WEFT_MS(100)); /* a hundred windows */
	}
	qsort(tasks, COUNT, sizeof(*tasks), by_address);
	for (int i = 1; i < COUNT; i++)
		cr_assert_neq(tasks[i - 1], tasks[i], "a descriptor is handed out twice");
	for (int i = 0; i < COUNT; i++)
		cr_assert_eq(weft_join(tasks[i]), 0);
	return 0;
}

Test(shed, locked_memory_stays_and_is_used_again, .timeout = 60)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	if (WEFT_TEST_SCALE > 1) /* a sanitizer's shadow would be locked as well */
		cr_skip_test("a sanitizer");
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0)
		cr_skip_test("memory may not be locked here");
	weft_shed_window = WEFT_MS(1);
	config.workers = 1;
	config.stall_report = -1;
	cr_assert_eq(weft_run(create_twice, NULL, &config), 0);
	munlockall();
}
