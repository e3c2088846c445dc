/* SPDX-License-Identifier: MIT */
/*
 * local - values under keys: whose they are, what children inherit, and when they are dropped.
 */
#include "helper.h"

#include <pthread.h>

TestSuite(local, .timeout = PATIENCE);

static int a, b, c; /* values are their addresses */

static weft_key new_key(weft_drop drop, unsigned flags)
{
	weft_key key = 0;

	cr_assert_eq(weft_key_create(&key, drop, flags), 0);
	cr_assert_neq(key, 0);
	return key;
}

/* -- a task's own ------------------------------------------------------------------------------ */

static int set_and_get(void *arg)
{
	weft_key one = new_key(NULL, 0), two = new_key(NULL, 0);

	(void)arg;
	cr_assert_null(weft_get(one));
	cr_assert_eq(weft_set(one, &a), 0);
	cr_assert_eq(weft_get(one), &a);
	cr_assert_null(weft_get(two), "keys do not share values");
	cr_assert_eq(weft_set(two, &b), 0);
	cr_assert_eq(weft_set(one, &c), 0);
	cr_assert_eq(weft_get(one), &c);
	cr_assert_eq(weft_get(two), &b);
	cr_assert_eq(weft_set(one, NULL), 0);
	cr_assert_null(weft_get(one));
	cr_assert_eq(weft_get(two), &b);
	return 0;
}

Test(local, what_is_set_is_got)
{
	run_on_1_2_4(set_and_get);
}

static weft_key shared_key;

static int have_a_value_of_my_own(void *arg)
{
	cr_assert_null(weft_get(shared_key), "a new task begins without");
	cr_assert_eq(weft_set(shared_key, arg), 0);
	cr_assert_eq(weft_yield(), 0);
	cr_assert_eq(weft_get(shared_key), arg);
	cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
	cr_assert_eq(weft_get(shared_key), arg);
	return 0;
}

static int many_with_values(void *arg)
{
	static int value[100];
	struct weft_group group;

	(void)arg;
	cr_assert_eq(weft_set(shared_key, &a), 0);
	weft_group_begin(&group, 0);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(weft_group_spawn(&group, have_a_value_of_my_own, &value[i]), 0);
	cr_assert_eq(weft_group_join(&group), 0);
	cr_assert_eq(weft_get(shared_key), &a);
	return 0;
}

Test(local, each_task_has_its_own)
{
	shared_key = new_key(NULL, 0);
	run_on_1_2_4(many_with_values);
}

static int join_one_with_a_value(void *arg)
{
	(void)arg;
	cr_assert_eq(weft_set(shared_key, &a), 0);
	/* run in place, on the caller's stack */
	cr_assert_eq(weft_join(weft_create_task(have_a_value_of_my_own, &b)), 0);
	cr_assert_eq(weft_get(shared_key), &a);
	cr_assert_eq(weft_join(weft_create_task(have_a_value_of_my_own, &c)), 0);
	cr_assert_eq(weft_get(shared_key), &a);
	return 0;
}

Test(local, a_task_run_in_place_of_its_joiner_has_its_own)
{
	shared_key = new_key(NULL, 0);
	run_on_1_2_4(join_one_with_a_value);
}

static int set_a_hundred(void *arg)
{
	static int value[100];
	weft_key key[100];

	(void)arg;
	for (int i = 0; i < 100; i++) {
		key[i] = new_key(NULL, i % 2 ? WEFT_KEY_INHERIT : 0);
		cr_assert_eq(weft_set(key[i], &value[i]), 0);
	}
	for (int i = 0; i < 100; i++)
		cr_assert_eq(weft_get(key[i]), &value[i]);
	return 0;
}

Test(local, a_task_may_have_many)
{
	run_on_1_2_4(set_a_hundred);
}

/* -- misuse ------------------------------------------------------------------------------------ */

static int misuse_keys(void *arg)
{
	weft_key zero = 0;

	(void)arg;
	cr_assert_eq(weft_set(zero, &a), -EINVAL);
	cr_assert_eq(weft_set(WEFT_KEYS_MAX + 1, &a), -EINVAL);
	cr_assert_eq(weft_set(~0u, &a), -EINVAL);
	cr_assert_null(weft_get(zero));
	cr_assert_null(weft_get(~0u));
	return 0;
}

Test(local, no_key_is_told)
{
	weft_key key;

	cr_assert_eq(weft_key_create(NULL, NULL, 0), -EINVAL);
	cr_assert_eq(weft_key_create(&key, NULL, 2), -EINVAL);
	run_on_1_2_4(misuse_keys);
}

static int use_as_a_plain_thread(void *arg)
{
	(void)arg;
	return weft_set(shared_key, &a) == -EPERM && !weft_get(shared_key) ? 0 : -EIO;
}

static int use_on_the_pool(void *arg)
{
	cr_assert_eq(weft_set(shared_key, &a), 0);
	return weft_blocking(use_as_a_plain_thread, arg);
}

Test(local, a_plain_thread_has_no_values)
{
	shared_key = new_key(NULL, 0);
	cr_assert_eq(use_as_a_plain_thread(NULL), 0);
	run_on_1_2_4(use_on_the_pool);
}

Test(local, keys_run_out)
{
	weft_key key;

	for (int i = 0; i < WEFT_KEYS_MAX; i++)
		cr_assert_eq(weft_key_create(&key, NULL, 0), 0);
	key = 12345;
	cr_assert_eq(weft_key_create(&key, NULL, 0), -ENOSPC);
	cr_assert_eq(key, 12345);
}

static void *create_keys(void *arg)
{
	for (int i = 0; i < WEFT_KEYS_MAX / 4; i++)
		cr_assert_eq(weft_key_create((weft_key *)arg + i, NULL, 0), 0);
	return NULL;
}

Test(local, threads_that_create_keys_get_different_ones)
{
	static weft_key key[WEFT_KEYS_MAX];
	static bool seen[WEFT_KEYS_MAX + 1];
	pthread_t thread[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, create_keys, key + i * (WEFT_KEYS_MAX / 4));
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < WEFT_KEYS_MAX; i++) {
		cr_assert(key[i] >= 1 && key[i] <= WEFT_KEYS_MAX && !seen[key[i]]);
		seen[key[i]] = true;
	}
}

/* -- drops ------------------------------------------------------------------------------------- */

static struct weft_task *dropped_in; /* by whom the last drop was called */

static void count_drop(void *value)
{
	__atomic_fetch_add((int *)value, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&dropped_in, weft_self(), __ATOMIC_SEQ_CST);
}

static int drops_of(int *value)
{
	return __atomic_load_n(value, __ATOMIC_SEQ_CST);
}

static int keep(void *value)
{
	return weft_set(shared_key, value);
}

static int end_with_a_value(void *arg)
{
	int value = 0, other = 0;

	(void)arg;
	cr_assert_eq(weft_join(weft_create_task(keep, &value)), 0);
	cr_assert_eq(drops_of(&value), 1, "dropped by the time the task has ended");
	struct weft_task *task = weft_create_task(keep, &other);
	cr_assert_eq(weft_await(task), 0);
	cr_assert_eq(drops_of(&other), 1);
	cr_assert_eq(dropped_in, task, "as the task");
	weft_release(task);
	return 0;
}

Test(local, a_value_is_dropped_as_part_of_its_task_at_the_end)
{
	shared_key = new_key(count_drop, 0);
	run_on_1_2_4(end_with_a_value);
}

static int keep_yielding(void *value)
{
	cr_assert_eq(weft_set(shared_key, value), 0);
	cr_assert_eq(weft_sleep(1), 0);
	return 0;
}

static int gather_keepers(void *arg)
{
	enum { N = 64 };
	static int value[N];
	struct weft_task *task[N];

	(void)arg;
	memset(value, 0, sizeof(value));
	for (int i = 0; i < N; i++)
		task[i] = weft_create_task(i % 2 ? keep_yielding : keep, &value[i]);
	cr_assert_eq(weft_gather(task, N, NULL, 0), 0);
	for (int i = 0; i < N; i++)
		cr_assert_eq(drops_of(&value[i]), 1);
	weft_release_all(task, N);
	return 0;
}

Test(local, each_of_many_tasks_drops_its_value_once)
{
	shared_key = new_key(count_drop, 0);
	run_on_1_2_4(gather_keepers);
}

static int replace_values(void *arg)
{
	int first = 0, second = 0;

	(void)arg;
	cr_assert_eq(weft_set(shared_key, &first), 0);
	cr_assert_eq(weft_set(shared_key, &first), 0);
	cr_assert_eq(first, 0, "the same again is no change");
	cr_assert_eq(weft_set(shared_key, &second), 0);
	cr_assert_eq(first, 1);
	cr_assert_eq(second, 0);
	cr_assert_eq(weft_set(shared_key, NULL), 0);
	cr_assert_eq(second, 1);
	return 0;
}

Test(local, a_value_is_dropped_when_another_takes_its_place)
{
	shared_key = new_key(count_drop, 0);
	run_on_1_2_4(replace_values);
}

static weft_key other_key;
static int drops_with_a_wait;

static void wait_and_set_the_other(void *value)
{
	cr_assert_null(weft_get(shared_key));
	cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
	cr_assert_eq(weft_set(other_key, value), 0);
	drops_with_a_wait++;
}

static int drop_with_care(void *arg)
{
	int value = 0;

	(void)arg;
	drops_with_a_wait = 0;
	cr_assert_eq(weft_join(weft_create_task(keep, &value)), 0);
	cr_assert_eq(drops_with_a_wait, 1);
	cr_assert_eq(value, 1, "what a drop sets is dropped too");
	return 0;
}

Test(local, a_drop_may_wait_and_may_set_values)
{
	shared_key = new_key(wait_and_set_the_other, 0);
	other_key = new_key(count_drop, 0);
	run_on_1_2_4(drop_with_care);
}

static int status_of_wait;

static void wait_at_the_end(void *value)
{
	(void)value;
	status_of_wait = weft_sleep(WEFT_MS(1));
}

static int keep_and_wait(void *value)
{
	cr_assert_eq(weft_set(shared_key, value), 0);
	return weft_sleep(WEFT_FOREVER);
}

static int cancel_a_keeper(void *arg)
{
	struct weft_task *task = weft_create_task(keep_and_wait, &a);

	(void)arg;
	weft_yield();
	weft_cancel(task);
	cr_assert_eq(weft_join(task), -ECANCELED);
	cr_assert_eq(status_of_wait, -ECANCELED, "a pending cancel is still pending");
	return 0;
}

Test(local, a_cancelled_task_drops_its_values_too)
{
	shared_key = new_key(wait_at_the_end, 0);
	run_on_1_2_4(cancel_a_keeper);
}

static int open_a_scope_and_keep(void *value)
{
	static struct weft_scope scope;

	weft_deadline_begin(&scope, 0); /* fired, and left open */
	return weft_set(shared_key, value);
}

static int end_with_a_scope(void *arg)
{
	(void)arg;
	cr_assert_eq(weft_join(weft_create_task(open_a_scope_and_keep, &a)), 0);
	cr_assert_eq(status_of_wait, 0);
	cr_assert_eq(weft_checkpoint(), 0);
	return 0;
}

Test(local, scopes_have_ended_when_values_are_dropped)
{
	shared_key = new_key(wait_at_the_end, 0);
	run_on_1_2_4(end_with_a_scope);
}

static pthread_t thread_of_body, thread_of_drop;

static void note_thread(void *value)
{
	(void)value;
	weft_sleep(WEFT_MS(1));
	thread_of_drop = pthread_self();
}

static int keep_and_stay(void *value)
{
	thread_of_body = pthread_self();
	return weft_set(shared_key, value);
}

static int stay_to_the_end(void *arg)
{
	struct weft_attr attr = { .size = sizeof(attr), .flags = WEFT_STAY };

	(void)arg;
	cr_assert_eq(weft_join(weft_create_task_with(keep_and_stay, &a, &attr)), 0);
	cr_assert(pthread_equal(thread_of_body, thread_of_drop));
	return 0;
}

Test(local, a_task_that_stays_drops_its_values_where_it_stayed)
{
	shared_key = new_key(note_thread, 0);
	run_on_1_2_4(stay_to_the_end);
}

/* -- inheritance ------------------------------------------------------------------------------- */

static int expect(void *value)
{
	cr_assert_eq(weft_get(shared_key), value);
	return 0;
}

static int expect_later(void *value)
{
	weft_sleep(WEFT_MS(1));
	return expect(value);
}

static int create_in_every_way(void *arg)
{
	struct weft_attr attr = { .size = sizeof(attr), .name = "heir" };
	struct weft_group group;
	struct weft_task *task[4];

	(void)arg;
	cr_assert_eq(weft_set(shared_key, &a), 0);
	task[0] = weft_create_task(expect, &a);
	task[1] = weft_create_task_with(expect, &a, &attr);
	task[2] = weft_create_task_after(expect, &a, task, 2);
	task[3] = weft_create_task(expect_later, &a);
	weft_group_begin(&group, 0);
	weft_group_spawn(&group, expect, &a);
	weft_group_spawn(&group, expect_later, &a);
	/* what matters is the moment of creation */
	cr_assert_eq(weft_set(shared_key, &b), 0);
	cr_assert_eq(weft_gather(task, 4, NULL, 0), 0);
	cr_assert_eq(weft_group_join(&group), 0);
	cr_assert_eq(weft_join(weft_create_task(expect, &b)), 0);
	weft_release_all(task, 4);
	return 0;
}

Test(local, children_inherit_what_their_creator_has_at_their_creation)
{
	shared_key = new_key(NULL, WEFT_KEY_INHERIT);
	run_on_1_2_4(create_in_every_way);
}

static int change_mine(void *arg)
{
	(void)arg;
	cr_assert_eq(weft_get(shared_key), &a);
	cr_assert_eq(weft_set(shared_key, &c), 0);
	return weft_join(weft_create_task(expect, &c));
}

static int keep_mine(void *arg)
{
	(void)arg;
	cr_assert_eq(weft_set(shared_key, &a), 0);
	cr_assert_eq(weft_set(other_key, &b), 0);
	cr_assert_eq(weft_join(weft_create_task(change_mine, NULL)), 0);
	cr_assert_eq(weft_get(shared_key), &a);
	cr_assert_eq(weft_get(other_key), &b);
	return 0;
}

Test(local, a_childs_change_is_its_own_and_its_childrens)
{
	shared_key = new_key(NULL, WEFT_KEY_INHERIT);
	other_key = new_key(NULL, WEFT_KEY_INHERIT);
	run_on_1_2_4(keep_mine);
}

static int expect_nothing(void *arg)
{
	(void)arg;
	cr_assert_null(weft_get(other_key));
	return expect(&a);
}

static int two_kinds(void *arg)
{
	(void)arg;
	cr_assert_eq(weft_set(shared_key, &a), 0);
	cr_assert_eq(weft_set(other_key, &b), 0);
	return weft_join(weft_create_task(expect_nothing, NULL));
}

Test(local, only_keys_made_for_it_are_inherited)
{
	shared_key = new_key(NULL, WEFT_KEY_INHERIT);
	other_key = new_key(NULL, 0);
	run_on_1_2_4(two_kinds);
}

static int grandchild(void *arg)
{
	(void)arg;
	return weft_join(weft_create_task(expect, &a));
}

static int grandparent(void *arg)
{
	(void)arg;
	cr_assert_eq(weft_set(shared_key, &a), 0);
	return weft_join(weft_create_task(grandchild, NULL));
}

Test(local, grandchildren_inherit_through_children)
{
	shared_key = new_key(NULL, WEFT_KEY_INHERIT);
	run_on_1_2_4(grandparent);
}

static int outlive(void *arg)
{
	struct weft_event_flag *flag = arg;

	cr_assert_eq(weft_event_flag_wait(flag), 0);
	cr_assert_eq(drops_of(weft_get(shared_key)), 0, "I hold it");
	return 0;
}

struct heirs {
	struct weft_event_flag flag;
	struct weft_task *heir[3];
	int value;
};

static int bequeath(void *arg)
{
	struct heirs *heirs = arg;

	cr_assert_eq(weft_set(shared_key, &heirs->value), 0);
	for (int i = 0; i < 3; i++)
		heirs->heir[i] = weft_create_task(outlive, &heirs->flag);
	return 0;
}

static int last_holder(void *arg)
{
	struct heirs heirs = { 0 };

	(void)arg;
	cr_assert_eq(weft_join(weft_create_task(bequeath, &heirs)), 0);
	cr_assert_eq(drops_of(&heirs.value), 0);
	weft_event_flag_set(&heirs.flag);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(weft_join(heirs.heir[i]), 0);
	}
	cr_assert_eq(drops_of(&heirs.value), 1, "dropped once, by the last holder");
	return 0;
}

Test(local, an_inherited_value_is_dropped_once_by_its_last_holder)
{
	shared_key = new_key(count_drop, WEFT_KEY_INHERIT);
	run_on_1_2_4(last_holder);
}

static int refuse_members(void *arg)
{
	int value = 0;
	struct weft_group group;

	(void)arg;
	cr_assert_eq(weft_set(shared_key, &value), 0);
	weft_group_begin(&group, 0);
	weft_group_cancel(&group);
	cr_assert_eq(weft_group_spawn(&group, succeed, NULL), -ECANCELED);
	cr_assert_eq(weft_group_join(&group), 0);
	cr_assert_eq(weft_set(shared_key, NULL), 0);
	cr_assert_eq(value, 1, "who was never created holds nothing");
	return 0;
}

Test(local, a_task_that_could_not_be_created_holds_nothing)
{
	shared_key = new_key(count_drop, WEFT_KEY_INHERIT);
	run_on_1_2_4(refuse_members);
}

static int post_expecting_nothing(void *arg)
{
	struct weft_event_flag *flag = arg;

	cr_assert_null(weft_get(shared_key));
	weft_event_flag_set(flag);
	return 0;
}

static int post_a_stranger(void *arg)
{
	struct weft_event_flag flag = { 0 };

	(void)arg;
	cr_assert_eq(weft_set(shared_key, &a), 0);
	cr_assert_eq(weft_runtime_post(weft_runtime_current(), post_expecting_nothing, &flag), 0);
	return weft_event_flag_wait(&flag);
}

Test(local, a_posted_task_inherits_nothing)
{
	shared_key = new_key(NULL, WEFT_KEY_INHERIT);
	run_on_1_2_4(post_a_stranger);
}

/* -- many at a time ---------------------------------------------------------------------------- */

static void free_counted(void *value)
{
	__atomic_fetch_sub((int *)value, 1, __ATOMIC_SEQ_CST);
}

static int live;

static int tree(void *arg)
{
	uintptr_t depth = (uintptr_t)arg;
	struct weft_group group;

	cr_assert_eq(weft_get(shared_key), &live);
	if (depth % 2) {
		__atomic_fetch_add(&live, 1, __ATOMIC_SEQ_CST);
		cr_assert_eq(weft_set(shared_key, NULL), 0);
		cr_assert_eq(weft_set(shared_key, &live), 0);
	}
	if (depth == 0)
		return weft_yield();
	weft_group_begin(&group, 0);
	for (int i = 0; i < 4; i++)
		weft_group_spawn(&group, tree, (void *)(depth - 1));
	return weft_group_join(&group);
}

static int root(void *arg)
{
	(void)arg;
	live = 1;
	cr_assert_eq(weft_set(shared_key, &live), 0);
	cr_assert_eq(weft_join(weft_create_task(tree, (void *)(uintptr_t)(SANITIZED ? 4 : 7))), 0);
	cr_assert_eq(weft_set(shared_key, NULL), 0);
	cr_assert_eq(live, 0, "as many drops as values");
	return 0;
}

Test(local, a_tree_of_tasks_drops_as_many_values_as_it_sets)
{
	shared_key = new_key(free_counted, WEFT_KEY_INHERIT);
	run_on_1_2_4(root);
}
