/* SPDX-License-Identifier: MIT */
/*
 * order - what each mode guarantees, on 1, 2 and 4 workers. The plain, unlocked variables in the
 * members are on purpose: an order is a happens-before, and ThreadSanitizer looks.
 */
#include "helper.h"

#include <stdatomic.h>

TestSuite(order, .timeout = PATIENCE);

enum { MEMBERS = 200 };

static struct weft_order *order;
static int trace[MEMBERS * 4], traced; /* plain: guarded by the order */
static struct weft_task *members[MEMBERS];

static void record(int what)
{
	trace[traced++] = what;
}

static void begin(int mode)
{
	order = weft_order_create(mode, "test");
	cr_assert_not_null(order);
	traced = 0;
}

static void create_all(weft_fn fn)
{
	for (intptr_t i = 0; i < MEMBERS; i++) {
		members[i] = weft_order_create_task(order, fn, (void *)i);
		cr_assert_neq(weft_id(members[i]), 0);
	}
	weft_order_release(order); /* the members go on all the same */
}

static void join_all(void)
{
	for (int i = 0; i < MEMBERS; i++)
		cr_assert_eq(weft_join(members[i]), 0);
}

/* A little time, different for every member and call. */
static void jitter(intptr_t member, int call)
{
	weft_sleep((weft_ns)((member * 7919 + call * 104729) % 50) * 1000);
}

/* -- CHAIN ------------------------------------------------------------------------------------- */

static int link_in_three_parts(void *arg)
{
	for (int part = 0; part < 3; part++) {
		record((int)(intptr_t)arg);
		jitter((intptr_t)arg, part);
	}
	return 0;
}

static int chain(void *arg)
{
	(void)arg;
	begin(WEFT_ORDER_CHAIN);
	create_all(link_in_three_parts);
	join_all();
	cr_assert_eq(traced, 3 * MEMBERS);
	for (int i = 0; i < traced; i++)
		cr_assert_eq(trace[i], i / 3, "at %d: member %d", i, trace[i]);
	return 0;
}

Test(order, chain_stays_serial_across_waits)
{
	run_on_1_2_4(chain);
}

static int fail_or_wait(void *arg)
{
	record((int)(intptr_t)arg);
	switch ((intptr_t)arg % 3) {
	case 0:
		return -EIO;
	case 1:
		return weft_sleep(WEFT_SEC(3600)); /* cancelled below */
	default:
		return 0;
	}
}

static int chain_of_failures(void *arg)
{
	(void)arg;
	begin(WEFT_ORDER_CHAIN);
	create_all(fail_or_wait);
	for (int i = 1; i < MEMBERS; i += 3)
		weft_cancel(members[i]);
	for (int i = 0; i < MEMBERS; i++)
		cr_assert_eq(weft_join(members[i]),
			i % 3 == 0 ? -EIO : i % 3 == 1 ? -ECANCELED : 0);
	for (int i = 0; i < traced; i++)
		cr_assert_eq(trace[i], i);
	cr_assert_eq(traced, MEMBERS);
	return 0;
}

Test(order, who_fails_or_is_cancelled_gives_way_in_its_place)
{
	run_on_1_2_4(chain_of_failures);
}

static int await_the_next(void *arg)
{
	(void)arg;
	return weft_await(members[1]);
}

static int chain_of_the_impatient(void *arg)
{
	(void)arg;
	begin(WEFT_ORDER_CHAIN);
	struct weft_task *gate = weft_create_task(sleep_forever, NULL);
	members[0] = weft_order_create_task(order, wait_for_flag, NULL);
	weft_cancel(members[0]);
	weft_join(members[0]);
	members[0] = weft_order_create_task(order, await_the_next, NULL);
	members[1] = weft_order_create_task(order, succeed, NULL);
	cr_assert_eq(weft_join(members[0]), -EDEADLK);
	cr_assert_eq(weft_join(members[1]), 0);
	weft_cancel(gate);
	weft_join(gate);
	weft_order_release(order);
	return 0;
}

static void ignore_report(const struct weft_report *report, void *user)
{
	if (report->kind == WEFT_REPORT_DEADLOCK && strstr(report->text, "succeed"))
		++*(int *)user;
}

static int run_and_count_deadlocks(weft_fn fn, unsigned workers)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	int deadlocks = 0;

	config.workers = workers;
	config.on_report = ignore_report;
	config.user = &deadlocks;
	cr_assert_eq(weft_run(fn, NULL, &config), 0);
	return deadlocks;
}

Test(order, a_link_that_waits_for_a_later_one_is_told)
{
	cr_assert_eq(run_and_count_deadlocks(chain_of_the_impatient, 1), 1);
	cr_assert_eq(run_and_count_deadlocks(chain_of_the_impatient, 2), 1);
}

enum { LONG = SANITIZED ? 20000 : 1000000 };
static int links;

static int count_link(void *arg)
{
	cr_assert_eq(links, (intptr_t)arg);
	links++;
	return 0;
}

static int long_chain(void *arg)
{
	struct weft_task *last = NULL;

	(void)arg;
	links = 0;
	begin(WEFT_ORDER_CHAIN);
	for (intptr_t i = 0; i < LONG; i++) {
		weft_release(last);
		last = weft_order_create_task(order, count_link, (void *)i);
	}
	cr_assert_eq(weft_join(last), 0);
	cr_assert_eq(links, LONG);
	weft_order_release(order);
	return 0;
}

Test(order, a_chain_of_a_million_needs_no_million_stacks)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.workers = 2;
	config.stacks_max = 16;
	cr_assert_eq(weft_run(long_chain, NULL, &config), 0);
}

/* A member creates the next one, and another order's members. */
static int create_the_next(void *arg)
{
	intptr_t left = (intptr_t)arg;

	record((int)left);
	if (left == 0)
		return 0;
	struct weft_order *inner = weft_order_create(WEFT_ORDER_CHAIN, NULL);
	struct weft_task *a = weft_order_create_task(inner, succeed, NULL);
	struct weft_task *b = weft_order_create_task(inner, succeed, NULL);
	weft_order_release(inner);
	weft_release(weft_order_create_task(order, create_the_next, (void *)(left - 1)));
	cr_assert_eq(weft_join(b), 0);
	cr_assert_eq(weft_status(a), 0, "the inner order's first ends before its second");
	return weft_join(a);
}

static int nested(void *arg)
{
	(void)arg;
	begin(WEFT_ORDER_CHAIN);
	weft_release(weft_order_create_task(order, create_the_next, (void *)(intptr_t)20));
	while (traced < 21) /* read without the order: only the last look matters */
		weft_sleep(WEFT_MS(1));
	struct weft_task *last = weft_order_create_task(order, succeed, NULL);
	cr_assert_eq(weft_join(last), 0);
	for (int i = 0; i <= 20; i++)
		cr_assert_eq(trace[i], 20 - i);
	weft_order_release(order);
	return 0;
}

Test(order, members_create_members_and_other_orders)
{
#if !SANITIZED
	run_on_1_2_4(nested);
#else
	cr_assert_eq(run_with(1, nested, NULL), 0);
#endif
}

/* -- START ------------------------------------------------------------------------------------- */

static atomic_int in_first_segment;

static int two_segments(void *arg)
{
	cr_assert_eq(atomic_fetch_add(&in_first_segment, 1), 0, "two first segments at once");
	record((int)(intptr_t)arg);
	atomic_fetch_sub(&in_first_segment, 1);
	if ((intptr_t)arg % 2)
		weft_yield();
	else
		jitter((intptr_t)arg, 1);
	return 0;
}

static int start_order(void *arg)
{
	(void)arg;
	begin(WEFT_ORDER_START);
	create_all(two_segments);
	join_all();
	cr_assert_eq(traced, MEMBERS);
	for (int i = 0; i < traced; i++)
		cr_assert_eq(trace[i], i);
	return 0;
}

Test(order, start_runs_first_segments_in_creation_order)
{
	run_on_1_2_4(start_order);
}

static atomic_int waiting;

static int wait_for_all_others(void *arg)
{
	(void)arg;
	atomic_fetch_add(&waiting, 1);
	while (atomic_load(&waiting) < MEMBERS)
		weft_sleep(WEFT_MS(1));
	return 0;
}

static int start_then_free(void *arg)
{
	(void)arg;
	atomic_store(&waiting, 0);
	begin(WEFT_ORDER_START);
	create_all(wait_for_all_others);
	join_all();
	return 0;
}

Test(order, start_lets_members_go_after_their_first_suspension)
{
	run_on_1_2_4(start_then_free);
}

/* -- ARRIVAL ----------------------------------------------------------------------------------- */

static int inside;

static int alone_between_waits(void *arg)
{
	intptr_t me = (intptr_t)arg;

	for (int i = 0; i < 5; i++) {
		cr_assert_eq(inside++, 0, "two members at once");
		weft_checkpoint(); /* does not wait, so nobody gets between */
		cr_assert_eq(--inside, 0);
		if (i % 2)
			jitter(me, i);
		else
			weft_yield();
	}
	return 0;
}

static int arrival_alone(void *arg)
{
	(void)arg;
	begin(WEFT_ORDER_ARRIVAL);
	create_all(alone_between_waits);
	join_all();
	return 0;
}

Test(order, arrival_runs_one_member_at_a_time)
{
	run_on_1_2_4(arrival_alone);
}

enum { WAITERS = 10 };
static struct weft_event_flag flags[WAITERS];

static int wait_for_own_flag(void *arg)
{
	cr_assert_eq(weft_event_flag_wait(&flags[(intptr_t)arg]), 0);
	record((int)(intptr_t)arg);
	return 0;
}

static int arrival_in_order_of_waits(void *arg)
{
	(void)arg;
	memset(flags, 0, sizeof(flags));
	begin(WEFT_ORDER_ARRIVAL);
	for (intptr_t i = 0; i < WAITERS; i++)
		members[i] = weft_order_create_task(order, wait_for_own_flag, (void *)i);
	/* it has the token only once all before it wait */
	cr_assert_eq(weft_join(weft_order_create_task(order, succeed, NULL)), 0);
	weft_sleep(WEFT_MS(20)); /* and the last of them has been suspended altogether */
	for (int i = WAITERS; i-- > 0;)
		weft_event_flag_set(&flags[i]);
	for (int i = 0; i < WAITERS; i++)
		cr_assert_eq(weft_join(members[i]), 0);
	for (int i = 0; i < WAITERS; i++)
		cr_assert_eq(trace[i], WAITERS - 1 - i);
	weft_order_release(order);
	return 0;
}

Test(order, arrival_resumes_in_the_order_in_which_waits_end)
{
	run_on_1_2_4(arrival_in_order_of_waits);
}

static int outsider(void *arg)
{
	weft_yield();
	++*(int *)arg;
	return 0;
}

static int host_others(void *arg)
{
	int mine = 0;

	(void)arg;
	for (int i = 0; i < 5; i++) {
		cr_assert_eq(weft_join(weft_create_task(outsider, &mine)), 0);
		cr_assert_eq(inside++, 0);
		cr_assert_eq(--inside, 0);
	}
	cr_assert_eq(mine, 5);
	return 0;
}

static int arrival_hosts(void *arg)
{
	(void)arg;
	begin(WEFT_ORDER_ARRIVAL);
	create_all(host_others);
	join_all();
	return 0;
}

Test(order, arrival_holds_for_members_that_join_others)
{
	run_on_1_2_4(arrival_hosts);
}

/* -- COMMIT ------------------------------------------------------------------------------------ */

static int commit_in_turn(void *arg)
{
	intptr_t me = (intptr_t)arg;

	jitter(me, 0);
	if (me % 10 == 3)
		return 0; /* gives its place up */
	cr_assert_eq(weft_commit_begin(), 0);
	record((int)me);
	jitter(me, 1);
	record((int)me);
	weft_commit_end();
	jitter(me, 2);
	return 0;
}

static int commit(void *arg)
{
	int expected = 0;

	(void)arg;
	begin(WEFT_ORDER_COMMIT);
	create_all(commit_in_turn);
	join_all();
	for (int i = 0; i < traced; i += 2, expected++) {
		expected += expected % 10 == 3;
		cr_assert_eq(trace[i], expected);
		cr_assert_eq(trace[i + 1], expected, "another section began in between");
	}
	cr_assert_eq(expected, MEMBERS);
	return 0;
}

Test(order, commit_sections_run_in_creation_order)
{
	run_on_1_2_4(commit);
}

static int sleep_then_commit(void *arg)
{
	(void)arg;
	weft_sleep(WEFT_MS(20));
	int rc = weft_commit_begin();
	weft_commit_end();
	return rc;
}

static int commit_overlaps(void *arg)
{
	weft_ns start = weft_now();

	(void)arg;
	begin(WEFT_ORDER_COMMIT);
	create_all(sleep_then_commit);
	join_all();
	cr_assert_lt(weft_now() - start, WEFT_MS(20) * MEMBERS / 4, "the sleeps did not overlap");
	return 0;
}

Test(order, commit_lets_the_rest_overlap)
{
	run_on_1_2_4(commit_overlaps);
}

static int commit_or_say(void *arg)
{
	(void)arg;
	int rc = weft_commit_begin();
	if (rc < 0)
		return rc;
	record(1);
	weft_commit_end();
	return 0;
}

static int commit_after(void *arg)
{
	int rc;

	weft_event_flag_wait(arg);
	rc = weft_commit_begin();
	weft_commit_end();
	return rc;
}

static int commit_cancelled(void *arg)
{
	struct weft_event_flag flag = { 0 };

	(void)arg;
	begin(WEFT_ORDER_COMMIT);
	members[0] = weft_order_create_task(order, commit_after, &flag);
	members[1] = weft_order_create_task(order, commit_or_say, NULL);
	members[2] = weft_order_create_task(order, commit_or_say, NULL);
	weft_order_release(order);
	weft_sleep(WEFT_MS(2));
	weft_cancel(members[1]);
	cr_assert_eq(weft_join(members[1]), -ECANCELED);
	cr_assert_eq(weft_status(members[2]), -EINPROGRESS, "the first has not committed");
	weft_event_flag_set(&flag);
	cr_assert_eq(weft_join(members[0]), 0);
	cr_assert_eq(weft_join(members[2]), 0);
	cr_assert_eq(traced, 1);
	return 0;
}

Test(order, a_cancelled_committer_gives_up_its_place_at_its_end)
{
	run_on_1_2_4(commit_cancelled);
}

static int await_the_next_in_section(void *arg)
{
	(void)arg;
	cr_assert_eq(weft_commit_begin(), 0);
	int rc = weft_await(members[1]);
	weft_commit_end();
	return rc;
}

static int commit_of_the_impatient(void *arg)
{
	struct weft_event_flag flag = { 0 };

	(void)arg;
	begin(WEFT_ORDER_COMMIT);
	struct weft_task *first = weft_order_create_task(order, commit_after, &flag);
	members[0] = weft_order_create_task(order, await_the_next_in_section, NULL);
	members[1] = weft_order_create_task(order, succeed, NULL);
	struct weft_task *gate = weft_order_create_task(order, commit_after, &flag);
	weft_release(members[1]);
	members[1] = weft_ref(gate);
	weft_event_flag_set(&flag);
	cr_assert_eq(weft_join(first), 0);
	cr_assert_eq(weft_join(members[0]), -EDEADLK);
	cr_assert_eq(weft_join(members[1]), 0);
	weft_release(gate);
	weft_order_release(order);
	return 0;
}

Test(order, a_section_that_waits_for_a_later_member_is_told)
{
	cr_assert_eq(weft_run(commit_of_the_impatient, NULL, NULL), 0);
}

static int misuse_commit(void *arg)
{
	(void)arg;
	weft_commit_end(); /* reported */
	cr_assert_eq(weft_commit_begin(), 0);
	cr_assert_eq(weft_commit_begin(), -EALREADY);
	weft_commit_end();
	cr_assert_eq(weft_commit_begin(), -EALREADY, "a member commits once");
	weft_commit_end(); /* reported */
	return 0;
}

static int misuse(void *arg)
{
	(void)arg;
	cr_assert_eq(weft_commit_begin(), -EPERM, "no member");
	weft_commit_end(); /* reported */
	begin(WEFT_ORDER_COMMIT);
	cr_assert_eq(weft_join(weft_order_create_task(order, misuse_commit, NULL)), 0);
	cr_assert_eq(weft_join(weft_order_create_task(order, NULL, NULL)), -EINVAL);
	cr_assert_eq(weft_join(weft_order_create_task(NULL, succeed, NULL)), -EINVAL);
	weft_order_release(order);
	weft_order_release(NULL);
	cr_assert_null(weft_order_create(0, NULL));
	cr_assert_null(weft_order_create(99, NULL));
	return 0;
}

static void count_misuse(const struct weft_report *report, void *user)
{
	*(int *)user += report->kind == WEFT_REPORT_MISUSE;
}

Test(order, misuse_has_clear_errors)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	int reports = 0;

	config.workers = 1;
	config.on_report = count_misuse;
	config.user = &reports;
	cr_assert_eq(weft_run(misuse, NULL, &config), 0);
	cr_assert_eq(reports, 3);
	cr_assert_eq(weft_commit_begin(), -EPERM, "a plain thread");
	order = weft_order_create(WEFT_ORDER_CHAIN, NULL);
	struct weft_task *task = weft_order_create_task(order, succeed, NULL);
	cr_assert_eq(weft_id(task), 0);
	cr_assert_eq(weft_join(task), -EPERM);
	weft_order_release(order);
}

/* -- TURN -------------------------------------------------------------------------------------- */

enum { TURNS = 4 };
static struct weft_event_flag never;

/* Calls that wait, calls that do not, calls that fail: each is one checkpoint. */
static void some_call(intptr_t member, int segment, bool vary)
{
	static _Thread_local unsigned coin;
	char byte;

	/* which call it is follows from the member; whether it has to wait does not matter */
	switch ((member + segment) % 6) {
	case 0:
		weft_sleep(vary ? (weft_ns)(++coin * 7919 % 200) * 1000 : WEFT_MS(1));
		break;
	case 1:
		weft_checkpoint();
		break;
	case 2:
		weft_yield();
		break;
	case 3:
		cr_assert_eq(weft_read(-1, &byte, 1), -EBADF);
		break;
	case 4:
		cr_assert_eq(weft_join(weft_create_task(outsider, &(int){ 0 })), 0);
		break;
	case 5:
		weft_join(weft_create_task(succeed, NULL));
		break;
	}
}

static int take_turns(void *arg)
{
	intptr_t me = (intptr_t)arg;

	for (int segment = 0; segment < TURNS; segment++) {
		cr_assert_eq(inside++, 0, "two members at once");
		record((int)me);
		cr_assert_eq(--inside, 0);
		some_call(me, segment, true);
	}
	return 0;
}

static int turn(void *arg)
{
	(void)arg;
	begin(WEFT_ORDER_TURN);
	create_all(take_turns);
	join_all();
	cr_assert_eq(traced, TURNS * MEMBERS);
	for (int i = 0; i < traced; i++)
		cr_assert_eq(trace[i], i % MEMBERS, "at %d: member %d", i, trace[i]);
	return 0;
}

Test(order, turn_goes_round_whether_calls_wait_or_not)
{
	run_on_1_2_4(turn);
	cr_assert_eq(run_with(8, turn, NULL), 0);
}

static int three_lines(void *arg)
{
	for (int segment = 0; segment < 3; segment++) {
		record((int)(intptr_t)arg * 10 + segment);
		weft_sleep(WEFT_MS(30));
	}
	return 0;
}

static int turn_overlaps(void *arg)
{
	weft_ns start = weft_now();

	(void)arg;
	begin(WEFT_ORDER_TURN);
	for (intptr_t i = 0; i < 20; i++)
		members[i] = weft_order_create_task(order, three_lines, (void *)i);
	weft_order_release(order);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(weft_join(members[i]), 0);
	cr_assert_lt(weft_now() - start, WEFT_MS(30) * 20, "waits overlap");
	for (int i = 0; i < traced; i++)
		cr_assert_eq(trace[i], i % 20 * 10 + i / 20);
	return 0;
}

Test(order, turn_lets_waits_overlap)
{
	run_on_1_2_4(turn_overlaps);
}

/* Members of different lengths, which leave; failures; one that is cancelled. */
static int as_many_turns_as_its_number(void *arg)
{
	for (intptr_t i = 0; i <= (intptr_t)arg; i++) {
		record((int)(intptr_t)arg);
		if (weft_sleep(100000) < 0)
			return -ECANCELED;
	}
	return (intptr_t)arg % 2 ? -EIO : 0;
}

static int turn_leaves(void *arg)
{
	int at = 0;

	(void)arg;
	begin(WEFT_ORDER_TURN);
	for (intptr_t i = 0; i < 10; i++)
		members[i] = weft_order_create_task(order, as_many_turns_as_its_number, (void *)i);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(weft_join(members[i]), i % 2 ? -EIO : 0);
	for (int round = 0; round < 10; round++)
		for (int i = round; i < 10; i++)
			cr_assert_eq(trace[at++], i);
	cr_assert_eq(at, traced);
	weft_order_release(order);
	return 0;
}

Test(order, turn_goes_on_without_those_that_have_ended)
{
	run_on_1_2_4(turn_leaves);
}

/* Some wait for fellows, and are passed over meanwhile. */
static int wait_for_fellows(void *arg)
{
	record(100);
	if (arg)
		cr_assert_eq(weft_gather(&members[1], 2, NULL, 0), 0);
	else
		cr_assert_eq(weft_await(members[1]), 0);
	record(101);
	return 0;
}

static int three_turns(void *arg)
{
	for (int segment = 0; segment < 3; segment++) {
		record((int)(intptr_t)arg);
		weft_sleep(WEFT_MS(1));
	}
	return 0;
}

static int turn_with(void *gather, const int *expected, int n)
{
	begin(WEFT_ORDER_TURN);
	members[0] = weft_order_create_task(order, wait_for_fellows, gather);
	members[1] = weft_order_create_task(order, three_turns, (void *)(intptr_t)1);
	members[2] = weft_order_create_task(order, three_turns, (void *)(intptr_t)2);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(weft_join(members[i]), 0);
	weft_order_release(order);
	cr_assert_eq(traced, n);
	for (int i = 0; i < n; i++)
		cr_assert_eq(trace[i], expected[i], "at %d: %d", i, trace[i]);
	return 0;
}

static int turn_awaits(void *arg)
{
	/* in its fourth turn member 1 ends; then member 2 does, and member 0 goes on */
	static const int expected[] = { 100, 1, 2, 1, 2, 1, 2, 101 };

	(void)arg;
	return turn_with(NULL, expected, 8);
}

static int turn_gathers(void *arg)
{
	static const int expected[] = { 100, 1, 2, 1, 2, 1, 2, 101 };

	(void)arg;
	return turn_with(&members, expected, 8);
}

Test(order, turn_passes_over_those_that_wait_for_fellows)
{
	for (int i = 0; i < 20; i++) {
		run_on_1_2_4(turn_awaits);
		run_on_1_2_4(turn_gathers);
	}
}

/* Members create members; every run gives the same trace. */
static int breed(void *arg)
{
	intptr_t me = (intptr_t)arg;

	for (int segment = 0; segment < 3; segment++) {
		record((int)(me * 10 + segment));
		if (me < 12 && segment == me % 3)
			weft_release(weft_order_create_task(order, breed, (void *)(me * 2 + 10)));
		some_call(me, segment, true);
	}
	return 0;
}

static int first_trace[MEMBERS * 4], first_traced;

static int turn_breeds(void *arg)
{
	(void)arg;
	begin(WEFT_ORDER_TURN);
	for (intptr_t i = 0; i < 10; i++)
		members[i] = weft_order_create_task(order, breed, (void *)i);
	for (int i = 0; i < 10; i++)
		weft_join(members[i]);
	weft_join(weft_order_create_task(order, take_turns, (void *)(intptr_t)1));
	weft_order_release(order);
	return 0;
}

Test(order, turn_gives_the_same_trace_in_every_run)
{
	for (int run = 0; run < 10; run++) {
		for (unsigned workers = 1; workers <= 8; workers *= 2) {
			cr_assert_eq(run_with(workers, turn_breeds, NULL), 0);
			if (first_traced == 0) {
				first_traced = traced;
				memcpy(first_trace, trace, sizeof(trace));
			}
			cr_assert_eq(traced, first_traced);
			cr_assert_arr_eq(trace, first_trace, (size_t)traced * sizeof(int));
		}
	}
}

static int wait_for_good(void *arg)
{
	(void)arg;
	return weft_event_flag_wait(&never);
}

static atomic_int turns_taken;

static int count_three_turns(void *arg)
{
	for (int segment = 0; segment < 3; segment++) {
		atomic_fetch_add(&turns_taken, 1);
		weft_sleep(WEFT_MS(1));
	}
	return (int)(intptr_t)arg;
}

static int turn_cancelled(void *arg)
{
	(void)arg;
	atomic_store(&turns_taken, 0);
	begin(WEFT_ORDER_TURN);
	members[0] = weft_order_create_task(order, wait_for_good, NULL);
	members[1] = weft_order_create_task(order, count_three_turns, NULL);
	while (atomic_load(&turns_taken) == 0)
		weft_sleep(WEFT_MS(1));
	weft_sleep(WEFT_MS(20));
	cr_assert_eq(atomic_load(&turns_taken), 1, "all wait for the one whose turn it is");
	weft_cancel(members[0]);
	cr_assert_eq(weft_join(members[0]), -ECANCELED);
	cr_assert_eq(weft_join(members[1]), 0);
	cr_assert_eq(atomic_load(&turns_taken), 3);
	weft_order_release(order);
	return 0;
}

Test(order, turn_waits_for_the_member_whose_turn_it_is)
{
	run_on_1_2_4(turn_cancelled);
}
