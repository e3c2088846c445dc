/* SPDX-License-Identifier: MIT */
/*
 * order - what each mode guarantees, on 1, 2 and 4 workers. The plain, unlocked variables in the
 * members are on purpose: an order is a happens-before, and ThreadSanitizer looks.
 */
#include "helper.h"

#include <stdatomic.h>

TestSuite(order, .timeout = PATIENCE);

enum { MEMBERS = 200, REPEATS = SANITIZED ? 3 : 20 };

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

/* Runs the functions as members, created in this order, and joins them; the status of each must be 0. */
static void members_run(int n, const weft_fn *fns)
{
	for (intptr_t i = 0; i < n; i++)
		members[i] = weft_order_create_task(order, fns[i], (void *)i);
	cr_assert_eq(weft_gather(members, (size_t)n, NULL, WEFT_GATHER_ALL), 0); /* they look at each other */
	for (int i = 0; i < n; i++)
		cr_assert_eq(weft_join(members[i]), 0, "member %d", i);
	weft_order_release(order);
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

/* Reports of a deadlock that name both. */
struct deadlocks {
	const char *waits, *for_whom;
	int reported;
};

static void count_deadlock(const struct weft_report *report, void *user)
{
	struct deadlocks *deadlocks = user;

	if (report->kind != WEFT_REPORT_DEADLOCK)
		return;
	cr_assert_eq(report->status, -EDEADLK);
	cr_assert_str_eq(report->task, deadlocks->waits);
	cr_assert_not_null(strstr(report->text, deadlocks->for_whom), "%s", report->text);
	deadlocks->reported++;
}

static int run_and_count_deadlocks(
	weft_fn fn, unsigned workers, const char *waits, const char *for_whom)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct deadlocks deadlocks = { waits, for_whom, 0 };

	config.workers = workers;
	config.on_report = count_deadlock;
	config.user = &deadlocks;
	cr_assert_eq(weft_run(fn, NULL, &config), 0);
	return deadlocks.reported;
}

Test(order, a_link_that_waits_for_a_later_one_is_told)
{
	for (unsigned workers = 1; workers <= 2; workers++)
		cr_assert_eq(run_and_count_deadlocks(
				     chain_of_the_impatient, workers, "await_the_next", "'succeed'"),
			1);
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
	cr_assert_eq(weft_gather(&members[1], 1, NULL, 0), -EDEADLK);
	cr_assert_eq(weft_wait_for(members[1], WEFT_SEC(10)), -EDEADLK);
	cr_assert_eq(weft_join(weft_ref(members[1])), -EDEADLK);
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
	cr_assert_eq(run_and_count_deadlocks(commit_of_the_impatient, 2, "await_the_next_in_section",
			     "'commit_after'"),
		4);
}

static int await_and_commit(void *arg)
{
	(void)arg;
	int rc = weft_await(members[1]); /* in no section: it may commit before this one */
	cr_assert_eq(rc, 0);
	rc = weft_commit_begin();
	weft_commit_end();
	return rc;
}

static int give_up_and_end(void *arg)
{
	(void)arg;
	return weft_status(members[0]) == -EINPROGRESS ? 0 : -EIO;
}

static int patient_commit(void *arg)
{
	(void)arg;
	begin(WEFT_ORDER_COMMIT);
	members_run(2, (const weft_fn[]){ await_and_commit, give_up_and_end });
	return 0;
}

Test(order, outside_a_section_a_later_member_may_be_waited_for)
{
	run_on_1_2_4(patient_commit);
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

static int commit_nowhere(void *arg)
{
	(void)arg;
	weft_commit_end(); /* reported */
	return weft_commit_begin();
}

static int misuse(void *arg)
{
	static const int others[] = { WEFT_ORDER_CHAIN, WEFT_ORDER_START, WEFT_ORDER_ARRIVAL, WEFT_ORDER_TURN };

	(void)arg;
	cr_assert_eq(weft_commit_begin(), -EPERM, "no member");
	weft_commit_end(); /* reported */
	begin(WEFT_ORDER_COMMIT);
	cr_assert_eq(weft_join(weft_order_create_task(order, misuse_commit, NULL)), 0);
	cr_assert_eq(weft_join(weft_order_create_task(order, NULL, NULL)), -EINVAL);
	cr_assert_eq(weft_join(weft_order_create_task(NULL, succeed, NULL)), -EINVAL);
	cr_assert_eq(weft_join(weft_create_task(commit_nowhere, NULL)), -EPERM, "a member's child is none");
	weft_order_release(order);
	for (int i = 0; i < 4; i++) {
		begin(others[i]);
		cr_assert_eq(weft_join(weft_order_create_task(order, commit_nowhere, NULL)), -EPERM);
		weft_order_release(order);
	}
	weft_order_release(NULL);
	cr_assert_null(weft_order_create(-1, NULL));
	cr_assert_null(weft_order_create(WEFT_ORDER_COMMIT + 1, NULL));
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
	cr_assert_eq(reports, 8);
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
	for (int i = 0; i < REPEATS; i++) {
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
	for (int run = 0; run < (SANITIZED ? 3 : 10); run++) {
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

/* -- TURN: what belongs to a turn -------------------------------------------------------------- */

static struct weft_chan *chan;

static int record_twice(void *arg)
{
	record((int)(intptr_t)arg);
	weft_checkpoint();
	record((int)(intptr_t)arg);
	return 0;
}

/* Two orders' members, created in turns, are two groups that join. */
static int two_orders(void *arg)
{
	struct weft_order *other = weft_order_create(WEFT_ORDER_TURN, "other");
	struct weft_task *theirs[20];

	(void)arg;
	begin(WEFT_ORDER_TURN);
	for (intptr_t i = 0; i < 20; i++) {
		members[i] = weft_order_create_task(order, record_twice, (void *)i);
		theirs[i] = weft_order_create_task(other, succeed, NULL);
	}
	cr_assert_eq(weft_gather(members, 20, NULL, 0), 0);
	cr_assert_eq(weft_gather(theirs, 20, NULL, 0), 0);
	weft_release_all(members, 20);
	weft_release_all(theirs, 20);
	weft_order_release(order);
	weft_order_release(other);
	for (int i = 0; i < traced; i++)
		cr_assert_eq(trace[i], i % 20);
	return 0;
}

Test(order, members_of_two_orders_join_each_their_own)
{
	run_on_1_2_4(two_orders);
}

static int create_and_end(void *arg)
{
	for (intptr_t i = 0; i < 3; i++)
		((struct weft_task **)arg)[i] = weft_order_create_task(order, record_twice, (void *)i);
	cr_assert_eq(traced, 0);
	return 0;
}

static int staged_until_the_end(void *arg)
{
	(void)arg;
	begin(WEFT_ORDER_TURN);
	cr_assert_eq(weft_join(weft_create_task(create_and_end, members)), 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(weft_join(members[i]), 0);
	weft_order_release(order);
	for (int i = 0; i < 6; i++)
		cr_assert_eq(trace[i], i % 3);
	return 0;
}

Test(order, or_at_the_end_of_the_task_that_created_them)
{
	run_on_1_2_4(staged_until_the_end);
}

static int send_one(void *arg)
{
	int item = 1;

	(void)arg;
	cr_assert_eq(weft_chan_send(chan, &item), 0, "nothing was pending when it was called");
	cr_assert_eq(weft_checkpoint(), -ECANCELED, "the next one tells");
	return 0;
}

static int find_one_and_cancel(void *arg)
{
	(void)arg;
	cr_assert_eq(weft_chan_len(chan), 1, "the call was made in an earlier turn");
	weft_cancel(members[0]);
	weft_checkpoint();
	return 0;
}

static int calls_in_turn(void *arg)
{
	(void)arg;
	begin(WEFT_ORDER_TURN);
	chan = weft_chan_create(sizeof(int), 1);
	members_run(2, (const weft_fn[]){ send_one, find_one_and_cancel });
	weft_chan_destroy(chan);
	return 0;
}

Test(order, turn_what_a_call_does_at_once_is_done_in_its_turn)
{
	for (int i = 0; i < REPEATS; i++)
		run_on_1_2_4(calls_in_turn);
}

static int receive_one(void *arg)
{
	int item;

	(void)arg;
	cr_assert_eq(weft_chan_recv(chan, &item), 1);
	return item;
}

static int find_a_receiver(void *arg)
{
	int item = 0;

	(void)arg;
	cr_assert_eq(weft_chan_try_send(chan, &item), 0, "it waits already");
	return 0;
}

static int waits_in_turn(void *arg)
{
	(void)arg;
	begin(WEFT_ORDER_TURN);
	chan = weft_chan_create(sizeof(int), 0);
	members_run(2, (const weft_fn[]){ receive_one, find_a_receiver });
	weft_chan_destroy(chan);
	return 0;
}

Test(order, turn_passes_on_when_the_wait_has_begun)
{
	for (int i = 0; i < REPEATS; i++)
		run_on_1_2_4(waits_in_turn);
}

static int ends[2];

static int read_byte(void *arg)
{
	char byte;

	(void)arg;
	cr_assert_eq(weft_read(ends[0], &byte, 1), 1);
	return 0;
}

static int find_it_in_flight(void *arg)
{
	struct weft_metrics metrics = { .size = sizeof(metrics) };

	(void)arg;
	cr_assert_eq(weft_runtime_metrics(weft_runtime_current(), &metrics), 0);
	cr_assert_eq(metrics.io_inflight, 2, "%d reads", (int)metrics.io_inflight);
	cr_assert_eq(write(ends[1], "ab", 2), 2);
	return 0;
}

static int input_in_turn(void *arg)
{
	(void)arg;
	begin(WEFT_ORDER_TURN);
	cr_assert_eq(pipe(ends), 0);
	members_run(3, (const weft_fn[]){ read_byte, read_byte, find_it_in_flight });
	close(ends[0]);
	close(ends[1]);
	return 0;
}

Test(order, turn_passes_on_when_the_kernel_has_the_operation)
{
	run_on_1_2_4(input_in_turn);
}

static struct weft_mutex mutex;

static int lock_after_b(void *arg)
{
	(void)arg;
	cr_assert_eq(weft_mutex_lock(&mutex), 0, "B unlocked it before A could hear C's cancel");
	cr_assert_eq(weft_checkpoint(), -ECANCELED);
	weft_mutex_unlock(&mutex);
	return 0;
}

static int cancel_the_waiter(void *arg)
{
	(void)arg;
	weft_cancel(members[1]);
	weft_checkpoint();
	return 0;
}

static int unlock_for_b(void *arg)
{
	(void)arg;
	cr_assert_eq(weft_mutex_trylock(&mutex), 0);
	weft_checkpoint();
	return weft_mutex_unlock(&mutex);
}

/* B locks; A waits for it; C cancels A; in the next round B unlocks, and A's turn comes. */
static int heard_in_turn(void *arg)
{
	(void)arg;
	begin(WEFT_ORDER_TURN);
	memset(&mutex, 0, sizeof(mutex));
	members_run(3, (const weft_fn[]){ unlock_for_b, lock_after_b, cancel_the_waiter });
	return 0;
}

Test(order, turn_a_cancel_is_heard_in_the_cancelled_ones_turn)
{
	for (int i = 0; i < REPEATS; i++)
		run_on_1_2_4(heard_in_turn);
}

/* What a member leaves behind is dropped while it has the token still. */
static int ended_alone;

static void drop_slowly(void *value)
{
	(void)value;
	cr_assert_eq(inside, 1, "another member ran before this one was over");
	weft_sleep(WEFT_MS(1));
	cr_assert_eq(inside--, 1);
	ended_alone++;
}

static int publish_and_end(void *arg)
{
	(void)arg;
	weft_yield();
	cr_assert_eq(inside++, 0);
	cr_assert_eq(weft_set_value(&ended_alone, drop_slowly), 0);
	return 0;
}

static int drops_in_turn(void *arg)
{
	begin(*(int *)arg);
	ended_alone = 0;
	for (int i = 0; i < 20; i++)
		weft_release(weft_order_create_task(order, publish_and_end, NULL));
	weft_sleep(WEFT_MS(1));
	cr_assert_eq(weft_join(weft_order_create_task(order, succeed, NULL)), 0);
	while (__atomic_load_n(&ended_alone, __ATOMIC_ACQUIRE) < 20)
		weft_sleep(WEFT_MS(1));
	weft_order_release(order);
	return 0;
}

Test(order, what_a_member_published_is_dropped_before_the_next_one_goes_on)
{
	static int modes[] = { WEFT_ORDER_CHAIN, WEFT_ORDER_TURN };

	for (int i = 0; i < 2; i++) {
		for (unsigned workers = 1; workers <= 4; workers *= 2)
			cr_assert_eq(run_with(workers, drops_in_turn, &modes[i]), 0);
	}
}

/* -- TURN: one call is one checkpoint ---------------------------------------------------------- */

static void piece(size_t from, size_t to, void *arg)
{
	if (weft_self() != *(struct weft_task **)arg)
		return; /* a task made for it */
	cr_assert_eq(inside++, 0, "%zu to %zu while a fellow runs", from, to);
	weft_checkpoint(); /* part of the call that runs it */
	cr_assert_eq(--inside, 0);
}

static int compute_in_pieces(void *arg)
{
	struct weft_task *self = weft_self();

	record((int)(intptr_t)arg);
	cr_assert_eq(weft_parallel_for(64, 1, piece, &self), 0);
	record((int)(intptr_t)arg);
	return 0;
}

static int wait_for_a_child(void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	record((int)(intptr_t)arg);
	cr_assert_eq(weft_waitpid(pid, &status, 0), pid);
	record((int)(intptr_t)arg);
	return 0;
}

static int one_call_is_one(void *arg)
{
	(void)arg;
	begin(WEFT_ORDER_TURN);
	inside = 0;
	members_run(4, (const weft_fn[]){ compute_in_pieces, record_twice, wait_for_a_child, record_twice });
	for (int i = 0; i < traced; i++)
		cr_assert_eq(trace[i], i % 4, "at %d: member %d", i, trace[i]);
	return 0;
}

Test(order, turn_a_call_is_one_checkpoint_whatever_it_does)
{
	for (int i = 0; i < REPEATS; i++)
		run_on_1_2_4(one_call_is_one);
}

/* -- TURN: those that wait for fellows --------------------------------------------------------- */

static int three_segments(void *arg)
{
	for (int i = 0; i < 3; i++) {
		record((int)(intptr_t)arg);
		weft_checkpoint();
	}
	return 0;
}

static int five_segments(void *arg)
{
	(void)arg;
	for (int i = 0; i < 5; i++) {
		record(2);
		weft_checkpoint();
	}
	return 0;
}

static int race_fellows(void *arg)
{
	(void)arg;
	record(0);
	cr_assert_eq(weft_race(members + 1, 2), 0, "the first of the ring to end");
	record(0);
	return 0;
}

static int wait_for_first_fellow(void *arg)
{
	struct weft_task *tasks[2] = { members[1], members[2] };

	(void)arg;
	record(0);
	cr_assert_eq(weft_wait(tasks, 2, WEFT_FIRST_COMPLETED, WEFT_FOREVER), 1);
	cr_assert_eq(tasks[0], members[1]);
	record(0);
	return 0;
}

static int walk_over_fellows(void *arg)
{
	struct weft_as_completed walk;

	(void)arg;
	record(0);
	weft_as_completed_begin(&walk, members + 1, 2);
	cr_assert_eq(weft_as_completed_next(&walk, WEFT_FOREVER), 0);
	record(0);
	weft_as_completed_end(&walk);
	return 0;
}

static int passed_over_until_the_first(void *arg)
{
	/* member 1 ends in its fourth turn; 2 comes before 0 once more */
	static const int expected[][10] = {
		{ 0, 1, 2, 1, 2, 1, 2, 2, 2, 0 }, /* and waits for the other's end */
		{ 0, 1, 2, 1, 2, 1, 2, 2, 0, 2 },
		{ 0, 1, 2, 1, 2, 1, 2, 2, 0, 2 },
	};
	static const weft_fn waits[] = { race_fellows, wait_for_first_fellow, walk_over_fellows };

	(void)arg;
	for (int i = 0; i < 3; i++) {
		begin(WEFT_ORDER_TURN);
		members_run(3, (const weft_fn[]){ waits[i], three_segments, five_segments });
		cr_assert_eq(traced, 10);
		cr_assert_arr_eq(trace, expected[i], sizeof(expected[i]));
	}
	return 0;
}

Test(order, turn_passes_over_those_that_wait_for_one_of_several_fellows)
{
	for (int i = 0; i < REPEATS; i++)
		run_on_1_2_4(passed_over_until_the_first);
}

static int await_for_good(void *arg)
{
	(void)arg;
	record(0);
	cr_assert_eq(weft_await(members[2]), -ECANCELED);
	record(0);
	weft_event_flag_set(&flags[0]);
	return 0;
}

static int cancel_and_go_on(void *arg)
{
	(void)arg;
	record(1);
	weft_checkpoint();
	record(1);
	weft_cancel(members[0]);
	weft_checkpoint();
	record(1);
	return 0;
}

/* The one that is passed over has its next turn as soon as it is cancelled. */
static int cancelled_while_passed_over(void *arg)
{
	static const int expected[] = { 0, 1, 2, 1, 2, 0, 1, 2, 2, 2 };

	(void)arg;
	begin(WEFT_ORDER_TURN);
	members_run(3, (const weft_fn[]){ await_for_good, cancel_and_go_on, five_segments });
	cr_assert_eq(traced, 10);
	cr_assert_arr_eq(trace, expected, sizeof(expected));
	return 0;
}

Test(order, turn_one_that_is_passed_over_can_be_cancelled)
{
	for (int i = 0; i < REPEATS; i++)
		run_on_1_2_4(cancelled_while_passed_over);
}
