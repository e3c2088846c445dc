/* SPDX-License-Identifier: MIT */
/*
 * after - tasks that start when others have ended.
 */
#include "helper.h"

TestSuite(after, .timeout = PATIENCE);

/* -- graphs ------------------------------------------------------------------------------------ */

/* A place in a graph: what it saw of those it comes after. */
struct place {
	struct place *before[2];
	int value;
};

/* One more than the largest of those before it. */
static int rise(void *arg)
{
	struct place *place = arg;
	int most = 0;

	for (int i = 0; i < 2; i++) {
		if (place->before[i] && place->before[i]->value > most)
			most = place->before[i]->value;
	}
	place->value = most + 1;
	return 0;
}

static int make_a_diamond(void *arg)
{
	struct place top = { .value = 0 }, left = { .before = { &top } };
	struct place right = { .before = { &top } }, bottom = { .before = { &left, &right } };
	struct weft_task *a, *b, *c, *d;

	(void)arg;
	a = weft_create_task(rise, &top);
	b = weft_create_task_after(rise, &left, &a, 1);
	c = weft_create_task_after(rise, &right, &a, 1);
	d = weft_create_task_after(rise, &bottom, (struct weft_task *[]){ b, c }, 2);
	weft_release(a);
	weft_release(b);
	weft_release(c);
	cr_assert_eq(weft_join(d), 0);
	cr_assert_eq(bottom.value, 3, "it came third, not %d", bottom.value);
	return 0;
}

Test(after, a_diamond_ends_at_its_bottom)
{
	run_on_1_2_4(make_a_diamond);
}

enum { WIDTH = 1000000 / WEFT_TEST_SCALE };

static int count_one(void *arg)
{
	__atomic_fetch_add((int *)arg, 1, __ATOMIC_RELAXED);
	return 0;
}

static int all_counted(void *arg)
{
	return __atomic_load_n((int *)arg, __ATOMIC_RELAXED) == WIDTH ? 0 : -EIO;
}

static int fan_out_and_in(void *arg)
{
	struct weft_task **middle = calloc(WIDTH, sizeof(struct weft_task *));
	struct weft_event_flag go = { 0 };
	int counted = 0;

	(void)arg;
	struct weft_task *source = weft_create_task(wait_for_flag, &go);
	for (int i = 0; i < WIDTH; i++)
		middle[i] = weft_create_task_after(count_one, &counted, &source, 1);
	struct weft_task *sink = weft_create_task_after(all_counted, &counted, middle, WIDTH);
	cr_assert_eq(weft_yield(), 0);
	cr_assert_eq(counted, 0, "%d ran before their time", counted);
	cr_assert_eq(weft_status(sink), -EINPROGRESS);
	weft_event_flag_set(&go);
	cr_assert_eq(weft_join(sink), 0, "it starts when all have been counted");
	weft_release_all(middle, WIDTH);
	weft_release(source);
	free(middle);
	return 0;
}

Test(after, one_starts_many_and_many_start_one)
{
	run_on_1_2_4(fan_out_and_in);
}

enum { DEPTH = 1000000 / WEFT_TEST_SCALE };

static int follow_a_chain(void *arg)
{
	struct place *places = calloc(DEPTH, sizeof(*places));
	struct weft_event_flag go = { 0 };

	(void)arg;
	struct weft_task *end = weft_create_task(wait_for_flag, &go);
	for (int i = 0; i < DEPTH; i++) {
		struct weft_task *before = end;

		places[i].before[0] = i > 0 ? &places[i - 1] : NULL;
		end = weft_create_task_after(rise, &places[i], &before, 1);
		weft_release(before);
	}
	weft_event_flag_set(&go);
	cr_assert_eq(weft_join(end), 0);
	cr_assert_eq(places[DEPTH - 1].value, DEPTH);
	free(places);
	return 0;
}

Test(after, a_chain_may_be_as_long_as_memory_lasts)
{
	run_on_1_2_4(follow_a_chain);
}

enum { NODES = 20000 / WEFT_TEST_SCALE, NODES_MANY = 1000000 / WEFT_TEST_SCALE, NEAR = 64, MOST_DEPS = 6 };

struct node {
	struct node *deps[MOST_DEPS];
	int n;
	bool ended;
};

/* Runs once, after all it depends on; what they wrote, on whichever worker, is there to read. */
static int check_node(void *arg)
{
	struct node *node = arg;

	cr_assert(!node->ended);
	for (int i = 0; i < node->n; i++)
		cr_assert(node->deps[i]->ended, "a dependency has not ended");
	if ((uintptr_t)node / sizeof(*node) % 7 == 0)
		weft_yield();
	node->ended = true;
	return (uintptr_t)node / sizeof(*node) % 5 == 0 ? -ECANCELED : 0;
}

/* From 0 to n - 1. */
static int draw(unsigned *seed, int n)
{
	*seed = *seed * 1103515245u + 12345u;
	return (int)(*seed >> 16 & 0x7fff) % n;
}

static int any_graph_of(int n)
{
	struct node *nodes = calloc((size_t)n, sizeof(*nodes));
	struct weft_task **tasks = calloc((size_t)n, sizeof(struct weft_task *));
	unsigned seed = 1;

	for (int i = 0; i < n; i++) {
		struct weft_task *deps[MOST_DEPS];

		nodes[i].n = i == 0 ? 0 : draw(&seed, MOST_DEPS + 1);
		for (int k = 0; k < nodes[i].n; k++) {
			int dep = i - 1 - draw(&seed, i < NEAR ? i : NEAR);

			nodes[i].deps[k] = &nodes[dep];
			deps[k] = tasks[dep];
		}
		tasks[i] = weft_create_task_after(check_node, &nodes[i], deps, nodes[i].n);
		if (draw(&seed, 10) == 0)
			weft_cancel(tasks[i]);
		if (draw(&seed, 200) == 0)
			weft_yield();
	}
	weft_gather(tasks, (size_t)n, NULL, WEFT_GATHER_ALL);
	for (int i = 0; i < n; i++)
		cr_assert(nodes[i].ended, "node %d has not run", i);
	weft_release_all(tasks, (size_t)n);
	free(tasks);
	free(nodes);
	return 0;
}

static int any_graph(void *arg)
{
	(void)arg;
	return any_graph_of(NODES);
}

static int any_large_graph(void *arg)
{
	(void)arg;
	return any_graph_of(NODES_MANY);
}

Test(after, in_any_graph_each_runs_once_and_after_its_dependencies)
{
	run_on_1_2_4(any_graph);
}

Test(after, a_graph_may_have_a_million_nodes)
{
	cr_assert_eq(run_with(2, any_large_graph, NULL), 0);
}

/* -- what counts as ended ---------------------------------------------------------------------- */

static int after_what_has_ended(void *arg)
{
	struct weft_event_flag go = { 0 };
	bool ran[5] = { false };

	(void)arg;
	struct weft_task *failed = weft_create_task(fail_eio, NULL);
	struct weft_task *never = weft_create_task(NULL, NULL);
	cr_assert_eq(weft_await(failed), -EIO);

	struct weft_task *task = weft_create_task_after(note_that_it_ran, &ran[0], &failed, 1);
	cr_assert_eq(weft_join(task), 0);
	task = weft_create_task_after(note_that_it_ran, &ran[1], &never, 1);
	cr_assert_eq(weft_join(task), 0);
	task = weft_create_task_after(note_that_it_ran, &ran[2], NULL, 0);
	cr_assert_eq(weft_join(task), 0);

	/* some have, one has not, and that is named twice */
	struct weft_task *waits = weft_create_task(wait_for_flag, &go);
	struct weft_task *deps[] = { failed, waits, never, waits };
	task = weft_create_task_after(note_that_it_ran, &ran[3], deps, 4);
	struct weft_task *other = weft_create_task_after(note_that_it_ran, &ran[4], deps, 3);
	cr_assert_eq(weft_yield(), 0);
	cr_assert(!ran[3] && !ran[4]);
	weft_event_flag_set(&go);
	cr_assert_eq(weft_join(task), 0);
	cr_assert_eq(weft_join(other), 0);
	for (int i = 0; i < 5; i++)
		cr_assert(ran[i], "number %d has not run", i);
	weft_release_all((struct weft_task *[]){ failed, never, waits }, 3);
	return 0;
}

Test(after, what_has_ended_or_failed_or_never_was_is_not_waited_for)
{
	run_on_1_2_4(after_what_has_ended);
}

static int wait_then_fail(void *arg)
{
	weft_event_flag_wait(arg);
	return -EIO;
}

static int after_a_failure(void *arg)
{
	struct weft_event_flag go = { 0 };
	bool ran = false;

	(void)arg;
	struct weft_task *dep = weft_create_task(wait_then_fail, &go);
	struct weft_task *task = weft_create_task_after(note_that_it_ran, &ran, &dep, 1);
	weft_release(dep);
	weft_event_flag_set(&go);
	cr_assert_eq(weft_join(task), 0, "the failure is not its own");
	cr_assert(ran);
	return 0;
}

static void count_unobserved(const struct weft_report *report, void *user)
{
	if (report->kind == WEFT_REPORT_UNOBSERVED)
		__atomic_fetch_add((int *)user, 1, __ATOMIC_SEQ_CST);
}

Test(after, a_failure_is_not_observed_by_who_comes_after_it)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	int unobserved = 0;

	config.on_report = count_unobserved;
	config.user = &unobserved;
	cr_assert_eq(weft_run(after_a_failure, NULL, &config), 0);
	cr_assert_eq(unobserved, 1);
}

static int depend_on_the_caller(void *arg)
{
	struct weft_task *self = weft_self();

	*(struct weft_task **)arg = weft_create_task_after(succeed, NULL, &self, 1);
	return 0;
}

static int come_after_its_creator(void *arg)
{
	struct weft_task *after = NULL;

	(void)arg;
	cr_assert_eq(weft_join(weft_create_task(depend_on_the_caller, &after)), 0);
	cr_assert_eq(weft_join(after), 0);
	return 0;
}

Test(after, a_task_may_start_when_its_creator_has_ended)
{
	run_on_1_2_4(come_after_its_creator);
}

/* -- order ------------------------------------------------------------------------------------- */

static int start_in_order(void *arg)
{
	struct diary diary = { 0 };
	struct entry entries[6];
	struct weft_task *tasks[6];

	(void)arg;
	for (int i = 0; i < 6; i++)
		entries[i] = (struct entry){ .diary = &diary, .line = i };
	tasks[0] = weft_create_task(write_entry, &entries[0]);
	for (int i = 1; i < 5; i++)
		tasks[i] = weft_create_task_after(write_entry, &entries[i], tasks, 1);
	tasks[5] = weft_create_task_after(write_entry, &entries[5], &tasks[1], 4);
	cr_assert_eq(weft_gather(tasks, 6, NULL, 0), 0);
	assert_in_order(&diary, 6);
	weft_release_all(tasks, 6);
	return 0;
}

Test(after, with_one_worker_those_after_the_same_task_start_in_creation_order)
{
	cr_assert_eq(run_with(1, start_in_order, NULL), 0);
}

/* -- what is held meanwhile -------------------------------------------------------------------- */

static void count_drop(void *value)
{
	++*(int *)value;
}

struct publisher {
	struct weft_event_flag go;
	int dropped;
};

static int publish(void *arg)
{
	struct publisher *publisher = arg;

	cr_assert_eq(weft_event_flag_wait(&publisher->go), 0);
	return weft_set_value(&publisher->dropped, count_drop);
}

static int is_dropped(void *arg)
{
	cr_assert_eq(*(int *)arg, 1, "the last reference has gone with the end");
	return 0;
}

static int let_go_of_a_dependency(void *arg)
{
	struct publisher publisher = { 0 };

	(void)arg;
	struct weft_task *dep = weft_create_task(publish, &publisher);
	struct weft_task *deps[] = { dep, dep };
	struct weft_task *one = weft_create_task_after(is_dropped, &publisher.dropped, deps, 1);
	struct weft_task *two = weft_create_task_after(is_dropped, &publisher.dropped, deps, 2);
	weft_release(dep);
	weft_event_flag_set(&publisher.go);
	cr_assert_eq(weft_join(one), 0);
	cr_assert_eq(weft_join(two), 0);
	return 0;
}

Test(after, a_dependency_is_let_go_of_when_it_ends)
{
	cr_assert_eq(run_with(1, let_go_of_a_dependency, NULL), 0);
}

enum { STACKS = 16, HELD = 1000000 / WEFT_TEST_SCALE };

static void no_stack_is_missing(const struct weft_report *report, void *user)
{
	(void)user;
	cr_assert_neq(report->kind, WEFT_REPORT_STACKS, "%s", report->text);
}

static int hold_many(void *arg)
{
	static struct weft_task *held[HELD];
	struct weft_event_flag go = { 0 };

	(void)arg;
	struct weft_task *gate = weft_create_task(wait_for_flag, &go);
	for (int i = 0; i < HELD; i++)
		held[i] = weft_create_task_after(succeed, NULL, &gate, 1);
	cr_assert_eq(weft_yield(), 0);
	weft_event_flag_set(&go);
	cr_assert_eq(weft_gather(held, HELD, NULL, 0), 0);
	weft_release_all(held, HELD);
	weft_release(gate);
	return 0;
}

Test(after, no_stack_is_held_before_the_start)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.workers = 2;
	config.stacks_max = STACKS;
	config.on_report = no_stack_is_missing;
	cr_assert_eq(weft_run(hold_many, NULL, &config), 0);
}

/* -- cancel ------------------------------------------------------------------------------------ */

struct late {
	struct weft_event_flag go;
	bool dependency_ended;
	bool ran;
};

static int end_late(void *arg)
{
	struct late *late = arg;

	cr_assert_eq(weft_event_flag_wait(&late->go), 0, "nobody cancels the dependency");
	late->dependency_ended = true;
	return 0;
}

static int run_cancelled(void *arg)
{
	struct late *late = arg;

	cr_assert(late->dependency_ended);
	late->ran = true;
	return weft_checkpoint();
}

static int cancel_before_the_start(void *arg)
{
	struct late late = { .ran = false };

	(void)arg;
	struct weft_task *dep = weft_create_task(end_late, &late);
	struct weft_task *task = weft_create_task_after(run_cancelled, &late, &dep, 1);
	struct weft_task *next = weft_create_task_after(succeed, NULL, &task, 1);
	cr_assert_eq(weft_cancel(task), 1);
	cr_assert_eq(weft_yield(), 0);
	cr_assert(!late.ran, "its place is kept");
	cr_assert_eq(weft_status(task), -EINPROGRESS);
	weft_event_flag_set(&late.go);
	cr_assert_eq(weft_join(task), -ECANCELED, "the cancel was pending");
	cr_assert(late.ran);
	cr_assert_eq(weft_join(next), 0);
	weft_release(dep);
	return 0;
}

Test(after, cancelled_before_its_start_it_keeps_its_place_and_runs)
{
	run_on_1_2_4(cancel_before_the_start);
}

static int cancel_the_dependencies(void *arg)
{
	bool ran = false;

	(void)arg;
	struct weft_task *deps[] = {
		weft_create_task(sleep_forever, NULL),
		weft_create_task(sleep_forever, NULL),
	};
	struct weft_task *task = weft_create_task_after(note_that_it_ran, &ran, deps, 2);
	cr_assert_eq(weft_cancel(deps[0]), 1);
	cr_assert_eq(weft_await(deps[0]), -ECANCELED);
	cr_assert(!ran);
	cr_assert_eq(weft_cancel(deps[1]), 1);
	cr_assert_eq(weft_join(task), 0, "a cancel does not spread");
	cr_assert(ran);
	weft_release_all(deps, 2);
	return 0;
}

Test(after, cancelled_dependencies_have_ended_too)
{
	run_on_1_2_4(cancel_the_dependencies);
}

static int note_the_end(void *arg)
{
	*(int *)arg = weft_checkpoint();
	return 0;
}

static int leave_it_behind(void *arg)
{
	struct weft_task *dep = weft_create_task(sleep_forever, NULL);

	weft_release(weft_create_task_after(note_the_end, arg, &dep, 1));
	weft_release(dep);
	return 0;
}

static void ignore_report(const struct weft_report *report, void *user)
{
	(void)report;
	(void)user;
}

Test(after, at_the_end_of_the_runtime_it_runs_with_the_cancel_pending)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.on_report = ignore_report; /* both are reported as leaks */
	for (config.workers = 1; config.workers <= 4; config.workers *= 2) {
		int seen = 0;

		cr_assert_eq(weft_run(leave_it_behind, &seen, &config), 0);
		cr_assert_eq(seen, -ECANCELED, "it saw %d", seen);
	}
}

/* -- who may call, and how --------------------------------------------------------------------- */

static int after_another_runtimes_task(void *arg)
{
	struct weft_task *dep = arg;
	bool ran = false;

	struct weft_task *task = weft_create_task_after(note_that_it_ran, &ran, &dep, 1);
	struct weft_task *deps[] = { dep, task };
	struct weft_task *last = weft_create_task_after(succeed, NULL, deps, 2);
	weft_release(task);
	weft_release(dep);
	cr_assert_eq(weft_join(last), 0);
	cr_assert(ran);
	return 0;
}

static int sleep_a_little(void *arg)
{
	(void)arg;
	return weft_sleep(WEFT_MS(1));
}

static int hand_out_a_sleeper(void *arg)
{
	*(struct weft_task **)arg = weft_create_task(sleep_a_little, NULL);
	return 0;
}

Test(after, a_dependency_may_run_in_another_runtime)
{
	struct weft_runtime *there = start_runtime(2);

	for (unsigned round = 0; round < 20; round++) {
		struct weft_runtime *here = start_runtime(1 + round % 2);
		struct weft_task *dep = NULL;

		cr_assert_eq(weft_runtime_call(there, hand_out_a_sleeper, &dep, WEFT_FOREVER), 0);
		cr_assert_eq(weft_runtime_call(
				     here, after_another_runtimes_task, dep, WEFT_FOREVER),
			0);
		weft_runtime_destroy(here);
	}
	weft_runtime_destroy(there);
}

static int spell_it_oddly(void *arg)
{
	struct weft_task *(*create)(weft_fn, void *, struct weft_task *const *, size_t) =
		weft_create_task_after;
	bool ran = false;

	(void)arg;
	struct weft_task *dep = weft_create_task(succeed, NULL);
	struct weft_task *literal =
		weft_create_task_after(note_that_it_ran, &ran, (struct weft_task *[]){ dep }, 1);
	cr_assert_str_eq(weft_name(literal), "note_that_it_ran");
	cr_assert_neq(weft_id(literal), 0);
	cr_assert_eq(weft_join(literal), 0);
	cr_assert_eq(weft_join((weft_create_task_after)(succeed, NULL, &dep, 1)), 0);
	cr_assert_eq(weft_join(create(succeed, NULL, &dep, 1)), 0);
	weft_release(dep);
	return 0;
}

Test(after, is_a_macro_over_a_function_of_the_same_name)
{
	run_on_1_2_4(spell_it_oddly);
}

/* -- deadlock ---------------------------------------------------------------------------------- */

enum { NEXT, BOTH, LAST, SUCCESSORS };

static int wait_for_my_own_successors(void *arg)
{
	struct weft_task **after = arg;
	struct weft_task *me = weft_self();
	struct weft_event_flag go = { 0 };
	struct weft_task *other = weft_create_task(wait_for_flag, &go);
	struct weft_task *either[] = { other, me };
	struct weft_scope scope;

	after[NEXT] = weft_create_task_after(succeed, NULL, &me, 1);
	after[BOTH] = weft_create_task_after(succeed, NULL, either, 2);
	after[LAST] = weft_create_task_after(succeed, NULL, &after[BOTH], 1);
	cr_assert_eq(weft_await(after[NEXT]), -EDEADLK, "it starts when we have ended");
	cr_assert_eq(weft_await(after[BOTH]), -EDEADLK, "so does this one");
	cr_assert_eq(weft_await(after[LAST]), -EDEADLK, "and what comes after it");
	weft_deadline_begin(&scope, WEFT_MS(1));
	cr_assert_eq(weft_await(after[LAST]), -ETIMEDOUT, "this wait ends by itself");
	weft_scope_end(&scope);
	weft_cancel(after[NEXT]);
	cr_assert_eq(weft_await(after[NEXT]), -EDEADLK, "a cancel does not start it");
	weft_event_flag_set(&go);
	cr_assert_eq(weft_join(other), 0);
	cr_assert_eq(weft_await(after[BOTH]), -EDEADLK, "one of the two is left");
	return 0;
}

static int end_before_my_successors(void *arg)
{
	struct weft_task *after[SUCCESSORS];

	(void)arg;
	cr_assert_eq(weft_join(weft_create_task(wait_for_my_own_successors, after)), 0);
	for (int i = 0; i < SUCCESSORS; i++)
		cr_assert_eq(weft_join(after[i]), 0, "then they all run");
	return 0;
}

Test(after, waiting_for_what_comes_after_oneself_is_edeadlk)
{
	run_on_1_2_4(end_before_my_successors);
}

struct circle {
	struct weft_task *successor;
	struct weft_event_flag known;
};

static int await_the_successor(void *arg)
{
	struct circle *circle = arg;

	weft_event_flag_wait(&circle->known);
	return weft_await(circle->successor);
}

/* Waits for a child, which waits for what comes after its parent. */
static int join_a_child_in_a_circle(void *arg)
{
	struct circle *circle = arg;
	struct weft_task *me = weft_self();
	struct weft_task *child = weft_create_task(await_the_successor, circle);

	circle->successor = weft_create_task_after(succeed, NULL, &me, 1);
	weft_event_flag_set(&circle->known);
	return weft_join(child);
}

static int go_round(void *arg)
{
	struct circle circle = { 0 };

	(void)arg;
	cr_assert_eq(weft_join(weft_create_task(join_a_child_in_a_circle, &circle)), -EDEADLK);
	cr_assert_eq(weft_join(circle.successor), 0);
	return 0;
}

Test(after, a_circle_through_another_task_is_edeadlk_too)
{
	run_on_1_2_4(go_round);
}

static int mean_nothing(void *arg)
{
	struct weft_task *dep = weft_create_task(sleep_a_little, NULL);
	struct weft_task *with_null[] = { dep, NULL };

	(void)arg;
	struct weft_task *bad = weft_create_task_after(succeed, NULL, with_null, 2);
	cr_assert_eq(weft_id(bad), 0);
	cr_assert_eq(weft_join(bad), -EINVAL);
	cr_assert_eq(weft_join(weft_create_task_after(succeed, NULL, NULL, 1)), -EINVAL);
	cr_assert_eq(weft_join(weft_create_task_after(NULL, NULL, &dep, 1)), -EINVAL);
	cr_assert_eq(weft_join(weft_create_task_after(NULL, NULL, NULL, 0)), -EINVAL);
	cr_assert_eq(weft_join(dep), 0, "it came to no harm");
	return 0;
}

Test(after, misuse_is_a_finished_handle)
{
	run_on_1_2_4(mean_nothing);
}

Test(after, outside_a_task_is_eperm)
{
	struct weft_runtime *there = start_runtime(1);
	struct weft_task *dep = NULL;

	cr_assert_eq(weft_join(weft_create_task_after(succeed, NULL, NULL, 0)), -EPERM);
	cr_assert_eq(weft_runtime_call(there, hand_out_a_sleeper, &dep, WEFT_FOREVER), 0);
	cr_assert_eq(weft_join(weft_create_task_after(succeed, NULL, &dep, 1)), -EPERM);
	cr_assert_eq(weft_join(dep), 0);
	weft_runtime_destroy(there);
}
