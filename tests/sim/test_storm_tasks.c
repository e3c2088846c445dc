/* SPDX-License-Identifier: MIT */
/*
 * The storm over the calls that make tasks and wait for them. The account: every task that was made runs and ends,
 * every status is what its body returned, every value is taken or dropped once.
 */
#include "storm.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft.h>

enum { JOBS = 4 };

struct job {
	int number;
	int fails_with; /* 0: it does not */
	int returned;
	bool begun, ended;
};

static struct {
	struct job jobs[JOBS];
	int made, begun, ended; /* tasks */
	int values, dropped, taken;
	const char *wrong;
} account;

static void open_account(void)
{
	memset(&account, 0, sizeof(account));
	for (int i = 0; i < JOBS; i++)
		account.jobs[i].number = i;
}

static const char *every_task_ended(void *arg)
{
	(void)arg;
	if (account.wrong)
		return account.wrong;
	if (account.made != account.begun || account.begun != account.ended)
		return storm_says("%d tasks made, %d begun, %d ended", account.made,
			account.begun, account.ended);
	if (account.values != account.dropped + account.taken)
		return storm_says("%d values published, %d dropped, %d taken",
			account.values, account.dropped, account.taken);
	return NULL;
}

static void wrong_unless(bool holds, const char *text)
{
	if (!holds)
		account.wrong = text;
}

static int work(void *arg)
{
	struct job *job = arg;
	int rc;

	account.begun++;
	wrong_unless(!job->begun, "a body ran twice");
	job->begun = true;
	rc = weft_sleep(WEFT_MS(3 - job->number));
	if (rc == 0)
		rc = weft_checkpoint();
	if (rc == 0)
		rc = job->fails_with ? job->fails_with : job->number;
	job->returned = rc;
	job->ended = true;
	account.ended++;
	return rc;
}

static struct weft_task *make(struct job *job)
{
	struct weft_task *task = weft_create_task(work, job);

	account.made += weft_id(task) != 0;
	return task;
}

static void make_all(struct weft_task **tasks)
{
	for (int i = 0; i < JOBS; i++)
		tasks[i] = make(&account.jobs[i]);
}

/* The handles are still held: what they say is what the bodies returned. */
static void compare_and_release(struct weft_task **tasks)
{
	for (int i = 0; i < JOBS; i++) {
		wrong_unless(
			account.jobs[i].ended, "an owner returned before its task ended");
		wrong_unless(weft_status(tasks[i]) == account.jobs[i].returned,
			"a handle's status is not what the body returned");
	}
	weft_release_all(tasks, JOBS);
}

/* -- gather -------------------------------------------------------------------------------------- */

static int gather_some(int fails_with, unsigned flags)
{
	struct weft_task *tasks[JOBS];
	int statuses[JOBS], rc, failed = 0;

	open_account();
	account.jobs[2].fails_with = fails_with;
	make_all(tasks);
	rc = weft_gather(tasks, JOBS, statuses, flags);
	for (int i = 0; i < JOBS; i++) {
		wrong_unless(statuses[i] == account.jobs[i].returned,
			"gather tells another status than the body returned");
		failed += statuses[i] < 0;
	}
	if (!(flags & WEFT_GATHER_ALL))
		wrong_unless(
			(rc < 0) == (failed > 0), "gather's result is not its members'");
	compare_and_release(tasks);
	return fails_with ? 0 : rc;
}

static int gather_good_ones(void *arg)
{
	(void)arg;
	return gather_some(0, 0);
}

static int gather_with_a_failure(void *arg)
{
	(void)arg;
	return gather_some(-EIO, 0);
}

static int gather_all(void *arg)
{
	(void)arg;
	return gather_some(-EIO, WEFT_GATHER_ALL);
}

Test(storm_tasks, gather)
{
	cr_assert_eq(
		storm("gather_good_ones", gather_good_ones, NULL, every_task_ended), 0);
	cr_assert_eq(storm("gather_with_a_failure", gather_with_a_failure, NULL,
			     every_task_ended),
		0);
	cr_assert_eq(storm("gather_all", gather_all, NULL, every_task_ended), 0);
}

/* -- join, await, wait_for ------------------------------------------------------------------------ */

/* Each level makes the next one and joins it. */
static int nest(void *arg)
{
	int level = (int)(intptr_t)arg, rc = 0;

	account.begun++;
	if (level < JOBS) {
		struct weft_task *inner =
			weft_create_task(nest, (void *)(intptr_t)(level + 1));

		account.made += weft_id(inner) != 0;
		rc = weft_join(inner);
	} else {
		rc = weft_sleep(WEFT_MS(1));
	}
	account.ended++;
	return rc;
}

static int nested_joins(void *arg)
{
	(void)arg;
	open_account();
	account.made = 1;
	return nest(NULL);
}

/* Awaits with references of their own; the owner joins. */
static int await_a_shared_one(void *arg)
{
	struct weft_task *shared = arg;
	int rc;

	account.begun++;
	rc = weft_await(shared);
	if (rc >= 0)
		wrong_unless(
			rc == account.jobs[0].returned, "await tells another status");
	weft_release(shared);
	account.ended++;
	return rc;
}

static int several_await(void *arg)
{
	struct weft_task *shared, *others[JOBS];
	int rc, first = 0;

	(void)arg;
	open_account();
	shared = make(&account.jobs[0]);
	for (int i = 0; i < JOBS; i++) {
		others[i] = weft_create_task(await_a_shared_one, weft_ref(shared));
		account.made += weft_id(others[i]) != 0;
	}
	for (int i = 0; i < JOBS; i++) {
		rc = weft_join(others[i]);
		first = first ? first : rc;
	}
	rc = weft_join(shared);
	return first < 0 ? first : rc;
}

static int wait_for_each(void *arg)
{
	struct weft_task *tasks[JOBS];

	(void)arg;
	open_account();
	make_all(tasks);
	for (int i = 0; i < JOBS; i++) {
		int rc = weft_wait_for(tasks[i], WEFT_MS(1));

		wrong_unless(
			account.jobs[i].ended, "wait_for returned before its task ended");
		if (account.jobs[i].returned >= 0)
			wrong_unless(rc == account.jobs[i].returned,
				"wait_for did not let the result win");
	}
	compare_and_release(tasks);
	return 0;
}

Test(storm_tasks, join_await_and_wait_for)
{
	cr_assert_eq(storm("nested_joins", nested_joins, NULL, every_task_ended), 0);
	cr_assert_eq(storm("several_await", several_await, NULL, every_task_ended), 0);
	cr_assert_eq(storm("wait_for_each", wait_for_each, NULL, every_task_ended), 0);
}

/* -- wait, as_completed --------------------------------------------------------------------------- */

static void join_all(struct weft_task **tasks)
{
	for (int i = 0; i < JOBS; i++)
		weft_join(tasks[i]);
	for (int i = 0; i < JOBS; i++)
		wrong_unless(
			account.jobs[i].ended, "join returned before its task ended");
}

static int wait_in_steps(void *arg)
{
	struct weft_task *tasks[JOBS], *before[JOBS];
	ssize_t done, old = 0;

	(void)arg;
	open_account();
	make_all(tasks);
	do {
		memcpy(before, tasks, sizeof(before));
		done = weft_wait(tasks, JOBS, WEFT_ALL_COMPLETED, WEFT_MS(1));
		for (int i = 0; i < done; i++)
			wrong_unless(weft_status(tasks[i]) != -EINPROGRESS,
				"wait counts one that has not ended");
		for (int i = 0, found = 0; i < JOBS; i++, found = 0) {
			for (int j = 0; j < JOBS; j++)
				found += tasks[j] == before[i];
			wrong_unless(found == 1, "wait lost a handle");
		}
		wrong_unless(done < 0 || done >= old, "fewer are done than before");
		old = done;
	} while (done >= 0 && done < JOBS);
	join_all(tasks);
	return done < 0 ? (int)done : 0;
}

static int walk_as_completed(void *arg)
{
	struct weft_as_completed walk;
	struct weft_task *tasks[JOBS];
	int met[JOBS] = {0}, count = 0;
	ssize_t i;

	(void)arg;
	open_account();
	make_all(tasks);
	weft_as_completed_begin(&walk, tasks, JOBS);
	while ((i = weft_as_completed_next(&walk, WEFT_MS(1))) >= 0 || i == -EAGAIN) {
		if (i < 0)
			continue;
		wrong_unless(met[i]++ == 0, "as_completed gave one twice");
		wrong_unless(account.jobs[i].ended,
			"as_completed gave one that has not ended");
		count++;
	}
	wrong_unless(i != -ENOENT || count == JOBS, "as_completed left one out");
	weft_as_completed_end(&walk);
	join_all(tasks);
	return i == -ENOENT ? 0 : (int)i;
}

Test(storm_tasks, wait_and_as_completed)
{
	cr_assert_eq(storm("wait_in_steps", wait_in_steps, NULL, every_task_ended), 0);
	cr_assert_eq(
		storm("walk_as_completed", walk_as_completed, NULL, every_task_ended), 0);
}

/* -- race, values --------------------------------------------------------------------------------- */

static void drop_value(void *value)
{
	free(value);
	account.dropped++;
}

static int publish(void *arg)
{
	struct job *job = arg;
	int *value = malloc(sizeof(*value));

	if (value && weft_set_value(value, drop_value) == 0) {
		*value = job->number;
		account.values++;
	}
	return work(arg);
}

static int race_for_a_value(void *arg)
{
	struct weft_task *tasks[JOBS];
	ssize_t winner;

	(void)arg;
	open_account();
	account.jobs[3].fails_with = -EIO;
	for (int i = 0; i < JOBS; i++) {
		tasks[i] = weft_create_task(publish, &account.jobs[i]);
		account.made += weft_id(tasks[i]) != 0;
	}
	winner = weft_race(tasks, JOBS);
	if (winner >= 0) {
		int *value = weft_take_value(tasks[winner]);

		wrong_unless(value && *value == winner, "the winner has another value");
		account.taken += value != NULL;
		free(value);
	}
	compare_and_release(tasks);
	return winner < 0 ? (int)winner : 0;
}

Test(storm_tasks, race_and_values)
{
	cr_assert_eq(
		storm("race_for_a_value", race_for_a_value, NULL, every_task_ended), 0);
}

/* -- groups --------------------------------------------------------------------------------------- */

/* What a member is given, and frees. */
struct item {
	struct weft_group *group;
	int children;
};

static int use_item(void *arg);

static int spawn_item(struct weft_group *group, int children)
{
	struct item *item = malloc(sizeof(*item));
	int rc;

	*item = (struct item){group, children};
	rc = weft_group_spawn(group, use_item, item);
	if (rc < 0)
		free(item);
	else
		account.made++;
	return rc;
}

static int use_item(void *arg)
{
	struct item *item = arg;
	int rc;

	account.begun++;
	rc = weft_sleep(WEFT_MS(item->children));
	for (int i = 0; i < item->children && rc == 0; i++)
		rc = spawn_item(item->group, 0);
	if (rc == 0)
		rc = weft_checkpoint();
	free(item);
	account.ended++;
	return rc;
}

static int tree_of_a_group(unsigned flags)
{
	struct weft_group group;
	int spawned = 0, rc;

	open_account();
	weft_group_begin(&group, flags);
	for (int i = 0; i < 3 && spawned == 0; i++)
		spawned = spawn_item(&group, i);
	rc = weft_group_join(&group);
	wrong_unless(account.ended == account.made,
		"a group was joined before its members ended");
	return rc < 0 ? rc : spawned;
}

static int group_tree(void *arg)
{
	(void)arg;
	return tree_of_a_group(0);
}

static int group_tree_that_collects(void *arg)
{
	(void)arg;
	return tree_of_a_group(WEFT_GROUP_COLLECT);
}

Test(storm_tasks, groups)
{
	cr_assert_eq(storm("group_tree", group_tree, NULL, every_task_ended), 0);
	cr_assert_eq(storm("group_tree_that_collects", group_tree_that_collects, NULL,
			     every_task_ended),
		0);
}

/* -- tasks after others, parallel_for ----------------------------------------------------------------- */

static int work_after(void *arg)
{
	for (struct job *before = account.jobs; before < (struct job *)arg - 1; before++)
		wrong_unless(before->ended,
			"a task began before those it comes after had ended");
	return work(arg);
}

static int one_after_the_others(void *arg)
{
	struct weft_task *tasks[JOBS];
	int rc, first = 0;

	(void)arg;
	open_account();
	for (int i = 0; i < JOBS; i++) {
		tasks[i] = weft_create_task_after(
			work_after, &account.jobs[i], tasks, i > 0 ? (size_t)i - 1 : 0);
		account.made += weft_id(tasks[i]) != 0;
	}
	for (int i = 0; i < JOBS; i++) {
		rc = weft_join(tasks[i]);
		first = first < 0 ? first : rc;
	}
	return first < 0 ? first : 0;
}

static int covered[20];

static void cover(size_t begin, size_t end, void *arg)
{
	(void)arg;
	for (size_t i = begin; i < end; i++)
		covered[i]++;
	weft_checkpoint();
}

static int cover_all(void *arg)
{
	int rc;

	(void)arg;
	open_account();
	memset(covered, 0, sizeof(covered));
	rc = weft_parallel_for(20, 3, cover, NULL);
	for (int i = 0; i < 20; i++)
		wrong_unless(covered[i] == 1 || (rc < 0 && covered[i] == 0),
			"parallel_for lost or repeated a range");
	return rc;
}

Test(storm_tasks, after_and_parallel_for)
{
	cr_assert_eq(storm("one_after_the_others", one_after_the_others, NULL,
			     every_task_ended),
		0);
	cr_assert_eq(storm("cover_all", cover_all, NULL, every_task_ended), 0);
}

/* -- sleep, scopes, shields, uncancel ------------------------------------------------------------------ */

/* Opened and closed in `made` and `ended`; the clean-up waits, and has to get through. */
static int open_and_close(void *arg)
{
	struct weft_scope deadline, shield;
	int rc, cleaned;

	account.made++;
	account.begun++;
	weft_deadline_begin(&deadline, WEFT_MS(5));
	rc = weft_sleep(WEFT_MS((intptr_t)arg));
	weft_shield_begin(&shield, WEFT_FOREVER);
	cleaned = weft_sleep(WEFT_MS(1));
	if (cleaned == 0)
		cleaned = weft_checkpoint();
	weft_scope_end(&shield);
	account.ended += cleaned == 0;
	if (weft_scope_end(&deadline) && rc == -ETIMEDOUT)
		rc = 0;
	return rc;
}

static int clean_up_shielded(void *arg)
{
	struct weft_group group;

	(void)arg;
	open_account();
	weft_group_begin(&group, 0);
	for (intptr_t i = 3; i <= 6; i += 3)
		weft_group_spawn(&group, open_and_close, (void *)i);
	open_and_close((void *)4);
	return weft_group_join(&group);
}

/* Takes each cancel as a wish to go on with the next item. */
static int go_on_after_a_cancel(void *arg)
{
	int rc = 0;

	(void)arg;
	open_account();
	for (int i = 0; i < 5; i++) {
		account.made++;
		account.begun++;
		rc = weft_sleep(WEFT_MS(1));
		if (rc == -ECANCELED)
			wrong_unless(weft_uncancel() == 1,
				"cancelled, and there was no request");
		account.ended++;
		if (rc == -ETIMEDOUT)
			return rc;
		rc = weft_checkpoint();
		if (rc == -ECANCELED)
			weft_uncancel();
	}
	return 0;
}

Test(storm_tasks, scopes_and_shields)
{
	cr_assert_eq(
		storm("clean_up_shielded", clean_up_shielded, NULL, every_task_ended), 0);
	cr_assert_eq(storm("go_on_after_a_cancel", go_on_after_a_cancel, NULL,
			     every_task_ended),
		0);
}

/* -- values under keys ------------------------------------------------------------------------------- */

static weft_key key;

static int set_and_inherit(void *arg)
{
	int *value, rc;

	account.begun++;
	value = malloc(sizeof(*value));
	if (value && weft_set(key, value) == 0)
		account.values++;
	if (arg) {
		struct weft_task *child = weft_create_task(set_and_inherit, NULL);

		account.made += weft_id(child) != 0;
		rc = weft_join(child);
	} else {
		rc = weft_sleep(WEFT_MS(1));
	}
	account.ended++;
	return rc;
}

static int keep_under_keys(void *arg)
{
	open_account();
	account.made = 1;
	return set_and_inherit(&arg);
}

Test(storm_tasks, values_under_keys)
{
	cr_assert_eq(weft_key_create(&key, drop_value, WEFT_KEY_INHERIT), 0);
	cr_assert_eq(
		storm("keep_under_keys", keep_under_keys, NULL, every_task_ended), 0);
}
