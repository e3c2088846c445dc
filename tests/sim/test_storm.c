/* SPDX-License-Identifier: MIT */
/*
 * The storm itself: what it notices, in programs that are broken on purpose.
 *
 * The programs that are right are in test_storm_*.c; the examples in docs/examples are run by storm_example.c.
 */
#include "storm.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <weft.h>

#include "held.h"

/* -- programs with one fault, that only shows when they are disturbed ------------------------------ */

static int pause_briefly(void *arg)
{
	(void)arg;
	return weft_sleep(WEFT_MS(1));
}

static int forget_a_handle(void *arg)
{
	struct weft_task *child = weft_create_task(pause_briefly, arg);
	int rc = weft_await(child);

	if (rc < 0)
		return rc; /* without the release */
	weft_release(child);
	return 0;
}

static int forget_a_descriptor(void *arg)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int rc = pause_briefly(arg);

	if (rc < 0)
		return rc;
	return weft_close(fd);
}

/* Held by a task that only its joiner's cancel meets while it waits. */
static int forget_a_block(void *arg)
{
	void *volatile block =
		malloc(100); /* or the compiler sees that nobody needs it */
	int rc = pause_briefly(arg);

	if (rc < 0)
		return rc;
	free(block);
	return 0;
}

static int join_one_that_forgets(void *arg)
{
	return weft_join(weft_create_task(forget_a_block, arg));
}

static int forget_a_mapping(void *arg)
{
	void *pages = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc = pause_briefly(arg);

	if (rc < 0)
		return rc;
	munmap(pages, 65536);
	return 0;
}

static struct weft_mutex mutex;

static int forget_to_unlock(void *arg)
{
	int rc = weft_mutex_lock(&mutex);

	if (rc < 0)
		return rc;
	rc = pause_briefly(arg);
	if (rc < 0)
		return rc;
	weft_mutex_unlock(&mutex);
	return 0;
}

static int wait_for_the_lock(void *arg)
{
	struct weft_task *a, *b;
	int statuses[2];

	memset(&mutex, 0, sizeof(mutex));
	a = weft_create_task(forget_to_unlock, arg);
	b = weft_create_task(forget_to_unlock, arg);
	statuses[0] = weft_join(a);
	statuses[1] = weft_join(b);
	return statuses[0] < 0 ? statuses[0] : statuses[1];
}

/* It goes on after a timeout, whatever it takes; told to stop, it does. */
static int take_no_for_an_answer(void *arg)
{
	while (pause_briefly(arg) == -ETIMEDOUT) {
		struct weft_scope shield;

		weft_shield_begin(&shield, WEFT_FOREVER);
		pause_briefly(arg);
		weft_scope_end(&shield);
	}
	return 0;
}

static int never_give_up(void *arg)
{
	if (pause_briefly(arg) < 0) {
		for (;;)
			; /* no checkpoint: nothing can be told to it */
	}
	return 0;
}

/* A queue whose reader throws away what it has read when it is cancelled. */
static int produced, consumed;

static int drop_an_item(void *arg)
{
	struct weft_chan *chan = arg;
	int item;

	while (weft_chan_recv(chan, &item) == 1) {
		int rc = weft_checkpoint();

		if (rc < 0) {
			weft_chan_close(chan); /* nobody will receive any more */
			return rc;             /* with an item in its hand */
		}
		consumed++;
	}
	weft_chan_close(chan);
	return 0;
}

static int lose_an_item(void *arg)
{
	struct weft_chan *chan = weft_chan_create(sizeof(int), 2);
	struct weft_task *reader = weft_create_task(drop_an_item, chan);
	int rc = 0, status;

	(void)arg;
	produced = consumed = 0;
	for (int i = 0; i < 5 && rc == 0; i++) {
		rc = weft_chan_send(chan, &i);
		produced += rc == 0;
	}
	weft_chan_close(chan);
	status = weft_join(reader);
	consumed += (int)weft_chan_len(chan);
	weft_chan_destroy(chan);
	return rc < 0 ? rc : status;
}

static const char *items_add_up(void *arg)
{
	(void)arg;
	return produced == consumed ? NULL
				    : storm_says("%d items produced, %d consumed or left",
					      produced, consumed);
}

static int flip_a_real_coin(void *arg)
{
	static int runs;

	return runs++ % 2 ? 0 : pause_briefly(arg);
}

/* -- the storm notices ---------------------------------------------------------------------------- */

static void notices(const char *what, weft_fn fn, const char *(*check)(void *arg))
{
	struct storm program = {
		.name = "broken", .fn = fn, .check = check, .quiet = true};
	struct storm_result result;

	cr_assert_gt(storm_run(&program, &result), 0, "%s was not noticed", what);
	cr_assert(strstr(result.text, what), "not '%s': %s", what, result.text);
	cr_assert(strstr(result.text, "again: WEFT_STORM='broken "), "%s", result.text);
}

Test(storm, notices_a_handle_that_nobody_released)
{
	notices("a handle of it was never released", forget_a_handle, NULL);
}

Test(storm, notices_a_descriptor_that_was_left_open)
{
	notices("(/dev/null) was left open", forget_a_descriptor, NULL);
}

Test(storm, notices_memory_that_was_not_given_back)
{
	if (!HELD_COUNTED)
		cr_skip_test("a sanitizer's allocator");
	notices("bytes were not given back", join_one_that_forgets, NULL);
	notices("bytes were not given back", forget_a_mapping, NULL);
}

Test(storm, notices_a_lock_that_was_not_given_back)
{
	notices("a deadlock", wait_for_the_lock, NULL);
}

Test(storm, notices_a_task_that_does_not_end)
{
	notices("it does not end", take_no_for_an_answer, NULL);
}

/* Not even when the simulation ends it: the process ends, once it has said which case it was. */
Test(storm, notices_a_task_that_nothing_ends, .exit_code = 1)
{
	struct storm program = {.name = "broken", .fn = never_give_up};

	setenv("WEFT_STORM_SECONDS", "1", 1);
	storm_run(&program, NULL);
}

Test(storm, notices_an_item_that_was_dropped)
{
	notices("items produced", lose_an_item, items_add_up);
}

Test(storm, notices_that_two_runs_differ)
{
	notices("two runs of it differ", flip_a_real_coin, NULL);
}

/* -- and only that -------------------------------------------------------------------------------- */

static int sleep_thrice(void *arg)
{
	int rc = 0;

	for (int i = 0; i < 3 && rc == 0; i++)
		rc = pause_briefly(arg);
	return rc;
}

Test(storm, counts_checkpoints_and_tries_each)
{
	struct storm program = {
		.name = "sleep_thrice", .fn = sleep_thrice, .quiet = true};
	struct storm_result result;

	cr_assert_eq(storm_run(&program, &result), 0, "%s", result.text);
	cr_assert_eq(result.checkpoints, 3);
	/* under each of eight schedules: undisturbed twice, each checkpoint in two ways */
	cr_assert_geq(result.runs, 8 * (2 + 2 * 3));
}

static int leave_a_task(void *arg)
{
	weft_go(pause_briefly, arg);
	return pause_briefly(arg);
}

static bool is_left_on_purpose(const struct weft_report *report)
{
	return strcmp(report->task, "pause_briefly") == 0;
}

Test(storm, a_program_may_say_what_it_leaves)
{
	struct storm program = {
		.name = "leave_a_task", .fn = leave_a_task, .quiet = true};

	cr_assert_gt(storm_run(&program, NULL), 0);
	program.allowed = is_left_on_purpose;
	cr_assert_eq(storm_run(&program, NULL), 0);
}

static int check_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2000; i++) {
		int rc = weft_checkpoint();

		if (rc < 0)
			return rc;
	}
	return 0;
}

Test(storm, of_very_many_checkpoints_tries_a_sample)
{
	struct storm program = {.name = "check_many", .fn = check_many, .quiet = true};
	struct storm_result result;

	cr_assert_eq(storm_run(&program, &result), 0, "%s", result.text);
	cr_assert_eq(result.checkpoints, 2000);
	cr_assert_lt(result.runs, 7 * (STORM_EACH + STORM_MORE + 7 * STORM_FEW) * 5 / 4);
}

/* What a failure prints is enough to meet it again. */
Test(storm, a_case_can_be_repeated)
{
	struct storm program = {.name = "broken", .fn = forget_a_handle, .quiet = true};
	struct storm_result result;
	char *again;

	storm_run(&program, &result);
	again = strstr(result.text, "WEFT_STORM='");
	cr_assert_not_null(again);
	again += strlen("WEFT_STORM='");
	*strchr(again, '\'') = 0;
	setenv("WEFT_STORM", again, 1);
	cr_assert_eq(storm_run(&program, &result), 1);
	cr_assert_leq(result.runs, 4);
	program.name = "another";
	cr_assert_eq(storm_run(&program, &result), 0);
	cr_assert_eq(result.runs, 0);
}
