/* SPDX-License-Identifier: MIT */
/*
 * task - create tasks, name them, place them, and pass results on.
 */
#include "helper.h"

#include <pthread.h>

TestSuite(task, .timeout = PATIENCE);

struct sum {
	int a, b;
	int result;
};

static int add(void *arg)
{
	struct sum *sum = arg;

	sum->result = sum->a + sum->b;
	return 0;
}

static int add_in_a_task(void *arg)
{
	struct sum sum = { .a = 3, .b = 4 };

	(void)arg;
	struct weft_task *task = weft_create_task(add, &sum);
	cr_assert_eq(weft_join(task), 0);
	cr_assert_eq(sum.result, 7, "the join makes it safe to read");
	return 0;
}

Test(task, writes_its_result_where_its_argument_points)
{
	run_on_1_2_4(add_in_a_task);
}

static int create_in_odd_spellings(void *arg)
{
	struct weft_task *(*create)(weft_fn, void *) = weft_create_task;
	struct weft_task *(*create_with)(weft_fn, void *, const struct weft_attr *) =
		weft_create_task_with;
	struct weft_attr attr = { .size = sizeof(attr), .name = "adder" };
	struct sum sum = { .a = 1, .b = 1 };

	(void)arg;
	struct weft_task *literal = weft_create_task(add, &(struct sum){ .a = 1, .b = 2 });
	struct weft_task *function = (weft_create_task)(add, &sum);
	cr_assert_eq(weft_join(literal), 0);
	cr_assert_eq(weft_join(function), 0);
	cr_assert_eq(weft_join(create(add, &sum)), 0);
	cr_assert_eq(weft_join(create_with(add, &sum, &attr)), 0);
	cr_assert_eq(weft_join(weft_create_task_with(add, &sum,
			     &(struct weft_attr){ .size = sizeof(attr), .name = "x" })),
		0);
	cr_assert_eq(sum.result, 2);
	return 0;
}

Test(task, is_created_by_macros_over_functions_of_the_same_name)
{
	run_on_1_2_4(create_in_odd_spellings);
}

static int look_at_the_status(void *arg)
{
	struct weft_event_flag go = { 0 };
	int five = 5;

	(void)arg;
	struct weft_task *task = weft_create_task(wait_for_flag, &go);
	cr_assert_eq(weft_status(task), -EINPROGRESS);
	weft_event_flag_set(&go);
	cr_assert_eq(weft_await(task), 0);
	cr_assert_eq(weft_status(task), 0);
	weft_release(task);

	task = weft_create_task(return_int, &five);
	cr_assert_eq(weft_await(task), 5);
	cr_assert_eq(weft_status(task), 5);
	weft_release(task);
	return 0;
}

Test(task, has_a_status)
{
	run_on_1_2_4(look_at_the_status);
}

static int look_at_names(void *arg)
{
	struct weft_attr attr = { .size = sizeof(attr), .name = "the adder" };
	struct weft_attr unnamed = { .size = sizeof(unnamed) };
	struct sum sum = { 0 };

	(void)arg;
	struct weft_task *tasks[] = {
		weft_create_task(add, &sum),
		weft_create_task_with(add, &sum, &attr),
		weft_create_task_with(add, &sum, &unnamed),
	};
	cr_assert_str_eq(weft_name(tasks[0]), "add");
	cr_assert_str_eq(weft_name(tasks[1]), "the adder");
	cr_assert_str_eq(weft_name(tasks[2]), "add");
	for (int i = 0; i < 3; i++)
		weft_await(tasks[i]);
	cr_assert_str_eq(weft_name(tasks[0]), "add", "also when it has ended");
	weft_release_all(tasks, 3);
	return 0;
}

Test(task, is_named_after_its_function_or_its_attribute)
{
	run_on_1_2_4(look_at_names);
}

static int compare_ids(void *arg)
{
	struct weft_task *tasks[100];

	(void)arg;
	for (int i = 0; i < 100; i++)
		tasks[i] = weft_create_task(succeed, NULL);
	for (int i = 0; i < 100; i++) {
		cr_assert_neq(weft_id(tasks[i]), 0);
		for (int k = 0; k < i; k++)
			cr_assert_neq(weft_id(tasks[i]), weft_id(tasks[k]));
	}
	for (int i = 0; i < 100; i++)
		cr_assert_eq(weft_join(tasks[i]), 0);
	return 0;
}

Test(task, has_an_id_of_its_own)
{
	run_on_1_2_4(compare_ids);
}

static int by_number(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static int note_own_id(void *arg)
{
	*(uint64_t *)arg = weft_id(weft_self());
	return 0;
}

/* One after the other in the same memory, joined in place: asked before, inside, not at all. */
static int compare_ids_of_the_dead(void *arg)
{
	enum { TASKS = 300 };
	uint64_t ids[TASKS];

	(void)arg;
	for (int i = 0; i < TASKS; i++) {
		bool inside = i % 3 == 1;
		struct weft_task *task = weft_create_task(inside ? note_own_id : succeed, &ids[i]);

		if (!inside)
			ids[i] = weft_id(task);
		weft_join(task);
		weft_join(weft_create_task(succeed, NULL));
	}
	qsort(ids, TASKS, sizeof(ids[0]), by_number);
	for (int i = 1; i < TASKS; i++)
		cr_assert_neq(ids[i], ids[i - 1]);
	return 0;
}

Test(task, has_an_id_that_no_other_had)
{
	run_on_1_2_4(compare_ids_of_the_dead);
}

struct identity {
	uint64_t id;
	char name[32];
};

static int note_who_i_am(void *arg)
{
	struct identity *i = arg;

	i->id = weft_id(weft_self());
	snprintf(i->name, sizeof(i->name), "%s", weft_name(weft_self()));
	return 0;
}

static int know_myself(void *arg)
{
	struct identity identity;
	uint64_t mine = weft_id(weft_self());

	(void)arg;
	struct weft_task *task = weft_create_task(note_who_i_am, &identity);
	weft_await(task);
	cr_assert_eq(identity.id, weft_id(task));
	cr_assert_str_eq(identity.name, "note_who_i_am");
	cr_assert_eq(weft_id(weft_self()), mine, "after running another one in place too");
	weft_release(task);
	return 0;
}

Test(task, knows_itself)
{
	run_on_1_2_4(know_myself);
	cr_assert_null(weft_self(), "a plain thread is no task");
}

/* ---- values ---- */

struct value {
	int dropped;
	int number;
};

static void drop_value(void *value)
{
	((struct value *)value)->dropped++;
}

static int publish(void *arg)
{
	return weft_set_value(arg, drop_value);
}

static int use_a_value(void *arg)
{
	struct value value = { .number = 42 };

	(void)arg;
	struct weft_task *task = weft_create_task(publish, &value);
	cr_assert_eq(weft_await(task), 0);
	cr_assert_eq(((struct value *)weft_value(task))->number, 42);
	cr_assert_eq(weft_value(task), &value, "borrowed, any number of times");
	cr_assert_eq(value.dropped, 0);
	weft_release(task);
	cr_assert_eq(value.dropped, 1);
	return 0;
}

Test(task, publishes_a_value)
{
	run_on_1_2_4(use_a_value);
}

static int take_a_value(void *arg)
{
	struct value value = { 0 };

	(void)arg;
	struct weft_task *task = weft_create_task(publish, &value);
	cr_assert_eq(weft_await(task), 0);
	cr_assert_eq(weft_take_value(task), &value);
	cr_assert_null(weft_take_value(task), "taken once");
	cr_assert_null(weft_value(task));
	weft_release(task);
	cr_assert_eq(value.dropped, 0, "it is the caller's to drop");
	return 0;
}

Test(task, lets_its_value_be_moved_out)
{
	run_on_1_2_4(take_a_value);
}

static int publish_twice(void *arg)
{
	struct value *values = arg;

	cr_assert_eq(weft_set_value(&values[0], drop_value), 0);
	cr_assert_eq(weft_set_value(&values[1], drop_value), 0);
	cr_assert_eq(values[0].dropped, 1, "the second call drops the first");
	return 0;
}

static int use_the_second_value(void *arg)
{
	struct value values[2] = { 0 };

	(void)arg;
	struct weft_task *task = weft_create_task(publish_twice, values);
	cr_assert_eq(weft_await(task), 0);
	cr_assert_eq(weft_value(task), &values[1]);
	weft_release(task);
	cr_assert_eq(values[0].dropped, 1);
	cr_assert_eq(values[1].dropped, 1);
	return 0;
}

Test(task, keeps_the_value_published_last)
{
	run_on_1_2_4(use_the_second_value);
}

static int publish_then_fail(void *arg)
{
	weft_set_value(arg, drop_value);
	return -EIO;
}

static int publish_then_wait(void *arg)
{
	struct value *value = arg;

	weft_set_value(value, drop_value);
	return weft_sleep(WEFT_FOREVER);
}

static int look_for_values_in_vain(void *arg)
{
	struct value failed = { 0 }, cancelled = { 0 };

	(void)arg;
	struct weft_task *task = weft_create_task(publish_then_fail, &failed);
	cr_assert_eq(weft_await(task), -EIO);
	cr_assert_null(weft_value(task), "only with a status >= 0");
	cr_assert_null(weft_take_value(task));
	weft_release(task);
	cr_assert_eq(failed.dropped, 1, "what was published is dropped all the same");

	task = weft_create_task(publish_then_wait, &cancelled);
	weft_yield();
	cr_assert_null(weft_value(task), "only when it has ended");
	weft_cancel(task);
	cr_assert_eq(weft_await(task), -ECANCELED);
	weft_release(task);
	cr_assert_eq(cancelled.dropped, 1);
	return 0;
}

Test(task, has_no_value_unless_it_succeeded)
{
	run_on_1_2_4(look_for_values_in_vain);
}

static struct weft_event_flag dropped_at_the_end;

static void note_the_drop(void *value)
{
	(void)value;
	weft_event_flag_set(&dropped_at_the_end);
}

static int publish_for_nobody(void *arg)
{
	return weft_set_value(arg, note_the_drop);
}

static int drop_without_a_handle(void *arg)
{
	int value = 0;

	(void)arg;
	weft_event_flag_clear(&dropped_at_the_end);
	struct weft_attr daemon = { .size = sizeof(daemon), .flags = WEFT_DAEMON };
	weft_release(weft_create_task_with(publish_for_nobody, &value, &daemon));
	return weft_event_flag_wait(&dropped_at_the_end);
}

Test(task, drops_its_value_at_its_end_when_nobody_holds_it)
{
	run_on_1_2_4(drop_without_a_handle);
}

static int publish_without_a_destructor(void *arg)
{
	return weft_set_value(arg, NULL);
}

static int use_a_plain_value(void *arg)
{
	int value = 1;

	(void)arg;
	struct weft_task *task = weft_create_task(publish_without_a_destructor, &value);
	cr_assert_eq(weft_await(task), 0);
	cr_assert_eq(weft_value(task), &value);
	weft_release(task);
	return 0;
}

Test(task, may_publish_what_needs_no_drop)
{
	run_on_1_2_4(use_a_plain_value);
}

/* ---- handles ---- */

static int release_in_bulk(void *arg)
{
	struct weft_task *tasks[10] = { NULL };

	(void)arg;
	for (int i = 0; i < 10; i += 2)
		tasks[i] = weft_create_task(succeed, NULL);
	for (int i = 0; i < 10; i += 2)
		weft_await(tasks[i]);
	weft_release_all(tasks, 10); /* NULL entries are fine */
	weft_release_all(NULL, 0);
	weft_release(NULL);
	return 0;
}

Test(task, can_be_released_in_bulk)
{
	run_on_1_2_4(release_in_bulk);
}

static int count_references(void *arg)
{
	struct weft_task *task = weft_create_task(succeed, NULL);
	struct weft_task *refs[1000];

	(void)arg;
	for (int i = 0; i < 1000; i++)
		refs[i] = weft_ref(task);
	cr_assert_eq(refs[0], task, "weft_ref returns what it was given");
	cr_assert_eq(weft_join(task), 0);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(weft_status(refs[i]), 0);
	weft_release_all(refs, 1000);
	return 0;
}

Test(task, lives_as_long_as_a_reference)
{
	run_on_1_2_4(count_references);
}

/* ---- weft_go ---- */

struct countdown {
	struct weft_sem done;
};

static struct countdown all_gone;

static int count_down(void *arg)
{
	(void)arg;
	weft_sem_release(&all_gone.done, 1);
	return 0;
}

static int let_them_go(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++)
		cr_assert_eq(weft_go(count_down, NULL), 0);
	cr_assert_eq(weft_sem_acquire(&all_gone.done, 100), 0);
	return 0;
}

/* One worker: the last of them has ended when its creator resumes. */
Test(task, can_be_let_go)
{
	cr_assert_eq(run_with(1, let_them_go, NULL), 0);
}

/* ---- attributes ---- */

struct place {
	pthread_t started;
	bool moved;
};

static int stay_for_a_while(void *arg)
{
	struct place *place = arg;

	place->started = pthread_self();
	for (int i = 0; i < 20; i++) {
		if (i % 5)
			weft_yield();
		else
			weft_sleep(WEFT_MS(1));
		if (!pthread_equal(place->started, pthread_self()))
			place->moved = true;
	}
	return 0;
}

static int pin_tasks(void *arg)
{
	unsigned workers = *(unsigned *)arg;
	struct place places[16] = { 0 };
	struct weft_task *tasks[16];

	for (unsigned i = 0; i < 16; i++) {
		struct weft_attr attr = { .size = sizeof(attr), .worker = 1 + i % workers };
		tasks[i] = weft_create_task_with(stay_for_a_while, &places[i], &attr);
	}
	for (unsigned i = 0; i < 16; i++)
		cr_assert_eq(weft_join(tasks[i]), 0);
	for (unsigned i = 0; i < 16; i++) {
		cr_assert_not(places[i].moved);
		for (unsigned k = 0; k < i; k++) {
			bool same = pthread_equal(places[i].started, places[k].started);
			cr_assert_eq(same, i % workers == k % workers);
		}
	}
	return 0;
}

Test(task, starts_and_stays_on_the_worker_it_is_given)
{
	for (unsigned workers = 1; workers <= 4; workers *= 2)
		cr_assert_eq(run_with(workers, pin_tasks, &workers), 0);
}

static int ask_for_a_worker_too_many(void *arg)
{
	struct weft_attr attr = { .size = sizeof(attr), .worker = 3 };

	(void)arg;
	struct weft_task *task = weft_create_task_with(succeed, NULL, &attr);
	cr_assert_eq(weft_id(task), 0);
	cr_assert_eq(weft_join(task), -EINVAL);
	return 0;
}

Test(task, cannot_be_given_a_worker_that_does_not_exist)
{
	cr_assert_eq(run_with(2, ask_for_a_worker_too_many, NULL), 0);
}

static int let_tasks_stay(void *arg)
{
	struct weft_attr attr = { .size = sizeof(attr), .flags = WEFT_STAY };
	struct place places[16] = { 0 };
	struct weft_task *tasks[16];

	(void)arg;
	for (int i = 0; i < 16; i++)
		tasks[i] = weft_create_task_with(stay_for_a_while, &places[i], &attr);
	for (int i = 0; i < 16; i++) {
		cr_assert_eq(weft_join(tasks[i]), 0);
		cr_assert_not(places[i].moved);
	}
	return 0;
}

Test(task, with_stay_never_changes_worker)
{
	run_on_1_2_4(let_tasks_stay);
}

static int use_a_megabyte(void *arg)
{
	volatile char frame[1024 * 1024];

	(void)arg;
	for (size_t i = 0; i < sizeof(frame); i += 1024)
		frame[i] = (char)(i / 1024);
	weft_yield();
	for (size_t i = 0; i < sizeof(frame); i += 1024)
		cr_assert_eq(frame[i], (char)(i / 1024));
	return 0;
}

static int ask_for_a_large_stack(void *arg)
{
	struct weft_attr attr = { .size = sizeof(attr), .stack_size = 2 * 1024 * 1024 };
	struct weft_task *tasks[4];

	(void)arg;
	for (int i = 0; i < 4; i++)
		tasks[i] = weft_create_task_with(use_a_megabyte, NULL, &attr);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(weft_join(tasks[i]), 0);
	return 0;
}

Test(task, may_ask_for_a_larger_stack)
{
	run_on_1_2_4(ask_for_a_large_stack);
}

static int attributes_of_other_sizes(void *arg)
{
	struct weft_attr attr = { .size = sizeof(attr) + 8 };

	(void)arg;
	cr_assert_eq(weft_join(weft_create_task_with(succeed, NULL, &attr)), -EINVAL);
	attr.size = 0;
	cr_assert_eq(weft_join(weft_create_task_with(succeed, NULL, &attr)), -EINVAL);
	attr.size = offsetof(struct weft_attr, stack_size); /* an older program's */
	cr_assert_eq(weft_join(weft_create_task_with(succeed, NULL, &attr)), 0);
	cr_assert_eq(weft_join(weft_create_task_with(succeed, NULL, NULL)), 0);
	attr = (struct weft_attr){ .size = sizeof(attr), .flags = 1u << 31 };
	cr_assert_eq(weft_join(weft_create_task_with(succeed, NULL, &attr)), -EINVAL);
	return 0;
}

Test(task, accepts_the_attributes_of_older_programs)
{
	run_on_1_2_4(attributes_of_other_sizes);
}

/* ---- waiting for one task ---- */

static int wait_for_in_time(void *arg)
{
	int five = 5;

	(void)arg;
	struct weft_task *task = weft_create_task(return_int, &five);
	cr_assert_eq(weft_wait_for(task, WEFT_SEC(20)), 5);
	cr_assert_eq(weft_wait_for(task, 0), 5, "it has ended: nothing to wait for");
	weft_release(task);
	return 0;
}

Test(task, is_waited_for_at_most_so_long)
{
	run_on_1_2_4(wait_for_in_time);
}

static int wait_for_in_vain(void *arg)
{
	int five = 5;

	(void)arg;
	struct weft_task *obedient = weft_create_task(sleep_forever, NULL);
	struct weft_task *stubborn = weft_create_task(return_int_when_cancelled, &five);
	cr_assert_eq(weft_wait_for(obedient, WEFT_MS(2)), -ETIMEDOUT);
	cr_assert_eq(weft_status(obedient), -ECANCELED, "cancelled, and waited for");
	cr_assert_eq(weft_wait_for(stubborn, WEFT_MS(2)), 5, "a result wins");
	cr_assert_eq(weft_checkpoint(), 0, "the timeout is not the caller's");
	weft_release(obedient);
	weft_release(stubborn);
	return 0;
}

Test(task, that_takes_too_long_is_cancelled_and_waited_for)
{
	run_on_1_2_4(wait_for_in_vain);
}

static int wait_for_under_a_deadline(void *arg)
{
	struct weft_scope scope;

	(void)arg;
	struct weft_task *task = weft_create_task(sleep_forever, NULL);
	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_wait_for(task, WEFT_FOREVER), -ETIMEDOUT);
	cr_assert_eq(weft_scope_end(&scope), 1);
	cr_assert_eq(weft_status(task), -ECANCELED);
	weft_release(task);
	return 0;
}

Test(task, is_waited_for_within_the_deadline_of_the_caller)
{
	run_on_1_2_4(wait_for_under_a_deadline);
}

static int join_under_a_deadline(void *arg)
{
	struct weft_scope scope;
	int five = 5;

	(void)arg;
	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_join(weft_create_task(sleep_forever, NULL)), -ETIMEDOUT,
		"the caller's own code");
	cr_assert_eq(weft_join(weft_create_task(return_int_when_cancelled, &five)), 5);
	cr_assert_eq(weft_scope_end(&scope), 1);
	return 0;
}

Test(task, joined_under_a_deadline_is_cancelled_by_it)
{
	run_on_1_2_4(join_under_a_deadline);
}

static int yield_turns(void *arg)
{
	struct diary *diary = arg;

	for (int i = 0; i < 3; i++) {
		diary->n++;
		weft_yield();
	}
	return 0;
}

static int yield_to_the_ready(void *arg)
{
	struct diary a = { 0 }, b = { 0 };

	(void)arg;
	struct weft_task *tasks[] = {
		weft_create_task(yield_turns, &a),
		weft_create_task(yield_turns, &b),
	};
	for (int turn = 1; turn <= 3; turn++) {
		weft_yield(); /* every task ready now runs first */
		cr_assert_eq(a.n, turn);
		cr_assert_eq(b.n, turn);
	}
	cr_assert_eq(weft_gather(tasks, 2, NULL, 0), 0);
	weft_release_all(tasks, 2);
	return 0;
}

Test(task, that_yields_lets_every_ready_task_run_first)
{
	cr_assert_eq(run_with(1, yield_to_the_ready, NULL), 0);
}

static int tree(void *arg)
{
	int depth = *(int *)arg, below = depth - 1;

	if (depth == 0)
		return 1;
	struct weft_task *left = weft_create_task(tree, &below);
	struct weft_task *right = weft_create_task(tree, &below);
	return weft_join(left) + weft_join(right);
}

Test(task, grows_into_a_tree)
{
	int depth = SANITIZED ? 9 : 14;

	for (unsigned workers = 1; workers <= 4; workers *= 2)
		cr_assert_eq(run_with(workers, tree, &depth), 1 << depth);
}

static int many_at_once(void *arg)
{
	static struct weft_task *tasks[10000];
	struct weft_event_flag go = { 0 };

	(void)arg;
	int n = SANITIZED ? 500 : 10000;
	for (int i = 0; i < n; i++)
		tasks[i] = weft_create_task(wait_for_flag, &go);
	weft_yield();
	weft_event_flag_set(&go);
	for (int i = 0; i < n; i++)
		cr_assert_eq(weft_join(tasks[i]), 0);
	return 0;
}

Test(task, comes_in_thousands)
{
	run_on_1_2_4(many_at_once);
}

/* Newest first is the order of new tasks, but not for ever. */
struct stream {
	int seen;
};

static int replace_myself(void *arg)
{
	struct stream *stream = arg;

	return stream->seen ? 0 : weft_go(replace_myself, stream);
}

static int be_seen(void *arg)
{
	((struct stream *)arg)->seen = 1;
	return 0;
}

static int start_behind_a_stream(void *arg)
{
	struct stream stream = { 0 };
	struct weft_task *newer = weft_create_task(replace_myself, &stream);
	struct weft_task *old = weft_create_task(be_seen, &stream);

	(void)arg;
	cr_assert_eq(weft_await(old), 0);
	cr_assert_eq(weft_join(newer), 0);
	weft_release(old);
	return weft_yield(); /* the last of the stream ends */
}

Test(task, is_not_starved_by_newer_ones, .timeout = 30)
{
	cr_assert_eq(run_with(1, start_behind_a_stream, NULL), 0);
}
