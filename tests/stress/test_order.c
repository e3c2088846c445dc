/* SPDX-License-Identifier: MIT */
/*
 * test_order - orders under everything that could disturb them: signals that stop a worker's thread wherever
 * it is, other tasks that come, go and are stolen, cancels, deadlines, failures, input and output.
 *
 * What members share is plain memory on purpose: an order is a happens-before, and ThreadSanitizer looks.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <weft.h>

#include "base/atomic.h"

TestSuite(order, .timeout = 120);

enum { WORKERS_MAX = 8 };

static uint64_t random_next(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

static int64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * (int64_t)1000000000 + now.tv_nsec;
}

static void burn(int64_t ns)
{
	int64_t until = clock_ns() + ns;

	while (clock_ns() < until)
		;
}

/* -- what disturbs ----------------------------------------------------------------------------- */

static _Atomic(uint32_t) over;
static _Atomic(uint64_t) thread_ids[WORKERS_MAX];
static unsigned workers;

/* Stops the thread where it is, for longer than most things take. */
static void interrupt(int signal)
{
	static _Atomic(uint32_t) count;
	uint32_t n = weft_add_relaxed(&count, 1);

	(void)signal;
	burn(n % 8 ? n * 7919 % 50 * 1000 : 1000000);
}

static void *interrupter(void *arg)
{
	uint64_t random = 1;

	(void)arg;
	while (!weft_load_acquire(&over)) {
		struct timespec pause = {
			.tv_nsec = (long)(random_next(&random) % 100 + 10) * 1000};
		uint64_t id =
			weft_load_relaxed(&thread_ids[random_next(&random) % workers]);

		if (id)
			syscall(SYS_tgkill, getpid(), (pid_t)id, SIGUSR1);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static int tell_thread(void *arg)
{
	weft_store_relaxed((_Atomic(uint64_t) *)arg, (uint64_t)syscall(SYS_gettid));
	return 0;
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

/* Comes, goes, holds a worker for a while, and leaves tasks to steal. */
static int hog(void *arg)
{
	uint64_t random = (uintptr_t)arg;

	while (!weft_load_acquire(&over) && weft_checkpoint() == 0) {
		struct weft_task *tasks[16];

		for (int i = 0; i < 16; i++)
			tasks[i] = weft_create_task(nothing, NULL);
		burn((int64_t)(random_next(&random) % 20) * 1000);
		weft_gather(tasks, 16, NULL, 0);
		weft_release_all(tasks, 16);
		weft_sleep((weft_ns)(random_next(&random) % 300) * 1000);
	}
	return 0;
}

/* With enough in a worker's queue, and others asleep, work is given away. */
static int rustle(void *arg)
{
	uint64_t random = (uintptr_t)arg;

	while (!weft_load_acquire(&over) && weft_checkpoint() == 0) {
		for (uint64_t i = random_next(&random) % 4; i > 0; i--)
			weft_yield();
		weft_sleep((weft_ns)(random_next(&random) % 500) * 1000);
	}
	return 0;
}

enum { HOGS = 2, RUSTLERS = 20 };

struct disturbed {
	weft_fn fn;
	void *arg;
};

static int run_disturbed(void *arg)
{
	struct disturbed *what = arg;
	struct weft_group hogs;
	struct weft_task *telling[WORKERS_MAX];
	struct sigaction action = {
		.sa_handler = interrupt, .sa_flags = SA_RESTART | SA_ONSTACK};
	struct sigaction before;
	pthread_t thread;
	int status;

	for (unsigned i = 0; i < workers; i++) {
		struct weft_attr attr = {.size = sizeof(attr), .worker = i + 1};

		telling[i] = weft_create_task_with(tell_thread, &thread_ids[i], &attr);
	}
	cr_assert_eq(weft_gather(telling, workers, NULL, 0), 0);
	weft_release_all(telling, workers);
	weft_store_release(&over, 0);
	cr_assert_eq(sigaction(SIGUSR1, &action, &before), 0);
	cr_assert_eq(pthread_create(&thread, NULL, interrupter, NULL), 0);
	weft_group_begin(&hogs, 0);
	for (uintptr_t i = 0; i < HOGS + RUSTLERS; i++)
		weft_group_spawn(&hogs, i < HOGS ? hog : rustle, (void *)(i + 1));
	status = what->fn(what->arg);
	weft_store_release(&over, 1);
	weft_group_join(&hogs);
	pthread_join(thread, NULL);
	memset(thread_ids, 0, sizeof(thread_ids));
	return status;
}

static void count_report(const struct weft_report *report, void *user)
{
	(void)user;
	cr_expect_neq(report->kind, WEFT_REPORT_LEAK, "%s", report->text);
	cr_expect_neq(report->kind, WEFT_REPORT_DEADLOCK, "%s", report->text);
}

static void run_with(unsigned n, unsigned flags, weft_fn fn, void *arg)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct disturbed what = {fn, arg};

	workers = n;
	config.workers = n;
	config.flags = flags;
	config.stall_report = -1;
	config.on_report = count_report;
	cr_assert_eq(weft_run(run_disturbed, &what, &config), 0);
}

/* -- TURN: the same in every run --------------------------------------------------------------- */

enum {
	ROOTS = 10,
	MEMBERS_MAX = 40,
	SEGMENTS = 8,
	TRACE_MAX = MEMBERS_MAX * (SEGMENTS + 12) * 4,
	SEEDS = WEFT_TEST_SCALE > 1 ? 2 : 8,
	REPEATS = WEFT_TEST_SCALE > 1 ? 1 : 2,
};

/* Of the members of the order; plain. */
struct group_of {
	struct weft_order *order;
	uint64_t seed;
	struct weft_mutex mutex;
	struct weft_chan *mail; /* never full */
	int inside;
	_Atomic(uint32_t)
		created; /* changed in turns; the one who joins all looks outside of them */
	struct weft_task *handles[MEMBERS_MAX]; /* main's */
	int traced;
	uint32_t trace[TRACE_MAX];
};

static struct group_of turn;

struct member {
	int number;
	uint64_t random;
	struct weft_task *child; /* its own reference */
};

static void trace(int member, int what)
{
	cr_assert_lt(turn.traced, TRACE_MAX);
	turn.trace[turn.traced++] = (uint32_t)member << 16 | (uint16_t)what;
}

static int be_member(void *arg);

static struct weft_task *create_member(weft_fn fn)
{
	uint32_t number = weft_load_relaxed(&turn.created);

	if (number == MEMBERS_MAX)
		return NULL;
	weft_store_relaxed(&turn.created, number + 1);
	turn.handles[number] =
		weft_order_create_task(turn.order, fn, (void *)(uintptr_t)number);
	cr_assert_neq(weft_id(turn.handles[number]), 0);
	return weft_ref(turn.handles[number]);
}

/* Ends of members and what they show each other go into the trace as well. */
static void let_go(struct member *me, struct weft_task **task)
{
	if (!*task)
		return;
	trace(me->number, weft_status(*task) == -EINPROGRESS ? 1 : 2);
	weft_release(*task);
	*task = NULL;
}

static int write_later(void *arg)
{
	weft_sleep(WEFT_MS(1) / 10);
	return (int)write(*(int *)arg, "x", 1);
}

/* An outsider of which only it is known that it will have written. */
static void wait_for_input(bool socket)
{
	struct weft_task *writer;
	int ends[2];
	char byte;

	if (socket)
		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	else
		cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	writer = weft_create_task(write_later, &ends[1]);
	if (socket)
		weft_recv(ends[0], &byte, 1, 0);
	else
		weft_read(ends[0], &byte, 1);
	weft_join(writer);
	close(ends[0]);
	close(ends[1]);
}

/* Five calls, even if a cancel comes in the middle of the first. */
static void use_file(void)
{
	char text[4] = {0};
	int fd = weft_openat(AT_FDCWD, "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	weft_pwrite(fd, "abc", 3, 0);
	weft_pread(fd, text, 3, 0);
	weft_fsync(fd, 0);
	weft_close(fd);
}

static int be_inner(void *arg)
{
	int *inner = arg;

	for (int i = 0; i < 2; i++) {
		cr_assert_eq(inner[0] % 3, inner[1], "an inner order of its own");
		inner[0]++;
		inner[1] = (inner[1] + 1) % 3;
		weft_sleep(20000);
	}
	return 0;
}

static int link_inner(void *arg)
{
	int was = ++*(int *)arg;

	weft_yield();
	cr_assert_eq(*(int *)arg, was);
	return 0;
}

static void nest(int mode)
{
	struct weft_order *order = weft_order_create(mode, "inner");
	struct weft_task *tasks[3];
	int inner[2] = {0, 0};

	for (int i = 0; i < 3; i++)
		tasks[i] = weft_order_create_task(
			order, mode == WEFT_ORDER_TURN ? be_inner : link_inner, inner);
	weft_order_release(order);
	weft_gather(tasks, 3, NULL, WEFT_GATHER_ALL);
	weft_release_all(tasks, 3);
}

static int spend_time(void *arg)
{
	(void)arg;
	usleep(50);
	return 0;
}

/* Its parent closes what it reads from, and gets the number again. */
static int ends_of[MEMBERS_MAX];

static int read_until_closed(void *arg)
{
	int me = (int)(intptr_t)arg;
	char byte;
	int rc = (int)weft_read(ends_of[me], &byte, 1);

	cr_assert(rc == -EBADF || rc == -ECANCELED, "%d", rc);
	trace(me, 0x100 + (rc == -EBADF));
	return rc;
}

/* The reader waits when its turn has passed on; in its next one all would wait for it. */
static void close_what_a_fellow_reads(struct member *me)
{
	int ends[2], again[2];
	struct weft_task *reader;

	if (turn.created == MEMBERS_MAX)
		return;
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	ends_of[turn.created] = ends[0];
	reader = create_member(read_until_closed);
	weft_checkpoint(); /* it joins at the end of the round, before the next turn here */
	cr_assert_eq(weft_close(ends[0]), 0);
	cr_assert_eq(pipe2(again, O_CLOEXEC), 0);
	cr_assert_eq(write(again[1], "!", 1), 1);
	trace(me->number, 0x200);
	weft_join(reader);
	close(again[0]);
	close(again[1]);
	close(ends[1]);
}

static void cancel_child(struct member *me)
{
	if (me->child)
		trace(me->number, 0x300 + weft_cancel(me->child));
	weft_checkpoint();
}

static void wait_in_vain(void)
{
	struct weft_event_flag never = {0};
	struct weft_scope scope;

	weft_deadline_begin(&scope, 50000);
	weft_event_flag_wait(&never);
	weft_scope_end(&scope);
}

static void use_mutex(struct member *me)
{
	int rc = weft_mutex_lock(&turn.mutex);

	trace(me->number, 0x400 - rc);
	if (rc == 0)
		weft_mutex_unlock(&turn.mutex);
}

static void use_mail(struct member *me)
{
	int item = me->number;
	int rc = weft_chan_send(turn.mail, &item);

	trace(me->number, 0x600 - rc);
	if (weft_chan_try_recv(turn.mail, &item) == 1)
		trace(me->number, 0x700 + item);
}

static void wait_for_child(struct member *me, uint64_t how)
{
	struct weft_task *child = me->child;

	if (!child)
		return;
	me->child = NULL;
	if (how % 4 == 0) {
		weft_join(child);
		return;
	}
	if (how % 4 == 1)
		weft_await(child);
	else if (how % 4 == 2)
		weft_wait(&child, 1, WEFT_ALL_COMPLETED, WEFT_FOREVER);
	else
		weft_gather(&child, 1, NULL, WEFT_GATHER_ALL);
	weft_release(child);
}

static void act(struct member *me)
{
	switch (random_next(&me->random) % 17) {
	case 0:
		weft_sleep((weft_ns)(clock_ns() % 100) * 1000); /* any time at all */
		break;
	case 1:
		trace(me->number, 0x500 - weft_checkpoint());
		break;
	case 2:
		weft_yield();
		break;
	case 3:
		wait_for_input(false);
		break;
	case 4:
		wait_for_input(true);
		break;
	case 5:
		use_file();
		break;
	case 6:
		wait_in_vain();
		break;
	case 7:
	case 8:
	case 9:
		if (!me->child)
			me->child = create_member(be_member);
		break;
	case 10:
		wait_for_child(me, random_next(&me->random));
		break;
	case 11:
		cancel_child(me);
		break;
	case 12:
		nest(random_next(&me->random) % 2 ? WEFT_ORDER_TURN : WEFT_ORDER_CHAIN);
		break;
	case 13:
		use_mutex(me);
		break;
	case 14:
		weft_blocking(spend_time, NULL);
		break;
	case 15:
		close_what_a_fellow_reads(me);
		break;
	case 16:
		use_mail(me);
		break;
	}
}

/* Some of its calls fail once it has been cancelled; how many it makes does not depend on that. */
static int be_member(void *arg)
{
	struct member me = {.number = (int)(intptr_t)arg};
	int segments;

	me.random = turn.seed * 1000003 + (uint64_t)me.number;
	segments = 1 + (int)(random_next(&me.random) % SEGMENTS);
	for (int i = 0; i < segments; i++) {
		cr_assert_eq(turn.inside++, 0, "two members at once");
		trace(me.number, i);
		if (random_next(&me.random) % 4 == 0)
			burn(5000);
		cr_assert_eq(--turn.inside, 0);
		act(&me);
	}
	let_go(&me, &me.child);
	return random_next(&me.random) % 3 ? 0 : -EIO;
}

static int run_turns(void *arg)
{
	memset(&turn, 0, sizeof(turn));
	turn.seed = *(uint64_t *)arg;
	turn.mail = weft_chan_create(sizeof(int), TRACE_MAX);
	turn.order = weft_order_create(WEFT_ORDER_TURN, "stress");
	for (int i = 0; i < ROOTS; i++)
		weft_release(create_member(be_member));
	weft_checkpoint(); /* they join */
	for (int i = 0; i < ROOTS; i++)
		weft_await(turn.handles[i]);
	for (uint32_t i = 0; i < weft_load_relaxed(&turn.created);
		i++) /* whoever creates has a smaller number */
		weft_join(turn.handles[i]);
	weft_order_release(turn.order);
	weft_chan_destroy(turn.mail);
	return 0;
}

static void same_as(const struct group_of *first, unsigned n)
{
	int common = first->traced < turn.traced ? first->traced : turn.traced;

	for (int i = 0; i < common; i++)
		cr_assert_eq(turn.trace[i], first->trace[i],
			"seed %d, %u workers, at %d: member %d, %x; it was member %d, %x",
			(int)turn.seed, n, i, (int)(turn.trace[i] >> 16),
			turn.trace[i] & 0xffff, (int)(first->trace[i] >> 16),
			first->trace[i] & 0xffff);
	cr_assert_eq(turn.traced, first->traced);
	cr_assert_eq(turn.created, first->created);
}

Test(order, turn_gives_one_trace_whatever_happens)
{
	static struct group_of first;
	static const unsigned counts[] = {1, 2, 4, 8};

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		first.traced = 0;
		for (int run = 0; run < 4 * REPEATS; run++) {
			run_with(counts[run % 4], run / 4 % 2 ? WEFT_NO_URING : 0,
				run_turns, &seed);
			if (run == 0)
				first = turn;
			else
				same_as(&first, counts[run % 4]);
		}
		cr_assert_geq(first.traced, ROOTS);
	}
}

/* -- TURN: joining, ending --------------------------------------------------------------------- */

enum { CROWD = 2000, CROWDS = 1 + 39 / WEFT_TEST_SCALE };

static int firsts; /* plain: the order's */
static _Atomic(uint32_t) crowd_gone;

static int come_and_go(void *arg)
{
	(void)arg;
	firsts++;
	return 0;
}

/* Each time round, either nobody has joined or everybody has. */
static int go_round_and_round(void *arg)
{
	(void)arg;
	while (!weft_load_acquire(&crowd_gone)) {
		cr_assert(firsts == 0 || firsts == CROWD,
			"%d have joined, and not the others", firsts);
		weft_checkpoint();
	}
	return 0;
}

static int join_as_one(void *arg)
{
	struct weft_task **crowd = malloc(CROWD * sizeof(*crowd));

	(void)arg;
	for (int i = 0; i < CROWDS; i++) {
		struct weft_order *order = weft_order_create(WEFT_ORDER_TURN, "crowd");
		struct weft_task *round;

		firsts = 0;
		weft_store_release(&crowd_gone, 0);
		round = weft_order_create_task(order, go_round_and_round, NULL);
		weft_sleep(100000);
		for (int k = 0; k < CROWD; k++)
			crowd[k] = weft_order_create_task(order, come_and_go, NULL);
		cr_assert_eq(weft_gather(crowd, CROWD, NULL, 0), 0);
		weft_release_all(crowd, CROWD);
		weft_store_release(&crowd_gone, 1);
		cr_assert_eq(weft_join(round), 0);
		weft_order_release(order);
	}
	free(crowd);
	return 0;
}

Test(order, turn_those_that_an_outsider_creates_join_as_one)
{
	run_with(2, 0, join_as_one, NULL);
	run_with(4, 0, join_as_one, NULL);
}

enum { RELAYS = 1 + 39 / WEFT_TEST_SCALE, RELAY = 100 };

static struct weft_order *relay_order;
static struct weft_task *relay[RELAY];
static struct weft_event_flag all_there;

/* Whoever's turn it is, the one before has ended, and can be seen to. */
static int find_the_one_before_ended(void *arg)
{
	intptr_t me = (intptr_t)arg;

	if (me == 0) {
		weft_event_flag_wait(&all_there);
		return 1;
	}
	weft_checkpoint(); /* returns when all are there */
	cr_assert_eq(weft_status(relay[me - 1]), (int)me, "member %d", (int)me - 1);
	cr_assert_eq(weft_cancel(relay[me - 1]), 0);
	return (int)me + 1;
}

static int create_one(void *arg)
{
	relay[(intptr_t)arg] =
		weft_order_create_task(relay_order, find_the_one_before_ended, arg);
	return 0;
}

static int join_relay(void *arg)
{
	(void)arg;
	weft_event_flag_set(&all_there);
	return weft_gather(relay, RELAY, NULL, 0);
}

/* In turns of two runtimes, so that the turn always passes from thread to thread. */
static void run_relay(struct weft_runtime *const *runtimes)
{
	relay_order = weft_order_create(WEFT_ORDER_TURN, "relay");
	memset(&all_there, 0, sizeof(all_there));
	for (intptr_t i = 0; i < RELAY; i++)
		cr_assert_eq(weft_runtime_call(runtimes[i % 2], create_one, (void *)i,
				     WEFT_FOREVER),
			0);
	weft_order_release(relay_order);
	cr_assert_eq(weft_runtime_call(runtimes[0], join_relay, NULL, WEFT_FOREVER), 0);
	weft_release_all(relay, RELAY);
}

static void run_in_two_runtimes(
	void (*run)(struct weft_runtime *const *runtimes), int times)
{
	struct sigaction action = {
		.sa_handler = interrupt, .sa_flags = SA_RESTART | SA_ONSTACK};
	struct weft_config config = WEFT_CONFIG_INIT;
	struct weft_runtime *runtimes[2];
	pthread_t thread;

	config.workers = 1;
	config.stall_report = -1;
	workers = 2;
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(weft_runtime_create(&config, &runtimes[i]), 0);
		weft_runtime_call(runtimes[i], tell_thread, &thread_ids[i], WEFT_FOREVER);
	}
	cr_assert_eq(sigaction(SIGUSR1, &action, NULL), 0);
	cr_assert_eq(pthread_create(&thread, NULL, interrupter, NULL), 0);
	for (int i = 0; i < times; i++)
		run(runtimes);
	weft_store_release(&over, 1);
	pthread_join(thread, NULL);
	weft_runtime_destroy(runtimes[0]);
	weft_runtime_destroy(runtimes[1]);
}

Test(order, turn_passes_on_when_the_end_can_be_seen)
{
	run_in_two_runtimes(run_relay, RELAYS);
}

/* One awaits the last and is cancelled by the second, again and again, maybe before it is parked. */
enum { CANCELS = 1 + 9999 / WEFT_TEST_SCALE };

static int steps; /* plain: the order's */

static void step(int who)
{
	cr_assert_eq(steps % 3, who, "step %d, and it is number %d's turn", steps, who);
	steps++;
}

static int await_the_last(void *arg)
{
	(void)arg;
	weft_event_flag_wait(&all_there);
	for (;;) {
		step(0);
		if (weft_await(relay[2]) != -ECANCELED)
			return 0;
		cr_assert_eq(weft_uncancel(), 1);
	}
}

static int cancel_the_first(void *arg)
{
	(void)arg;
	weft_checkpoint(); /* the first may have started after this one joined: now it waits or has gone on */
	for (int i = 0; i < CANCELS; i++) {
		step(1);
		weft_cancel(relay[0]);
		weft_checkpoint();
	}
	return 0;
}

static int go_as_often(void *arg)
{
	(void)arg;
	weft_checkpoint();
	for (int i = 0; i < CANCELS; i++) {
		step(2);
		weft_checkpoint();
	}
	return 0;
}

static int create_first(void *arg)
{
	(void)arg;
	relay[0] = weft_order_create_task(relay_order, await_the_last, NULL);
	return 0;
}

static int create_others(void *arg)
{
	(void)arg;
	relay[1] = weft_order_create_task(relay_order, cancel_the_first, NULL);
	relay[2] = weft_order_create_task(relay_order, go_as_often, NULL);
	return 0;
}

static int join_three(void *arg)
{
	(void)arg;
	weft_event_flag_set(&all_there);
	return weft_gather(relay, 3, NULL, 0);
}

static void cancel_one_that_is_passed_over(struct weft_runtime *const *runtimes)
{
	relay_order = weft_order_create(WEFT_ORDER_TURN, "passed over");
	memset(&all_there, 0, sizeof(all_there));
	steps = 0;
	cr_assert_eq(weft_runtime_call(runtimes[0], create_first, NULL, WEFT_FOREVER), 0);
	cr_assert_eq(
		weft_runtime_call(runtimes[1], create_others, NULL, WEFT_FOREVER), 0);
	weft_order_release(relay_order);
	cr_assert_eq(weft_runtime_call(runtimes[0], join_three, NULL, WEFT_FOREVER), 0);
	weft_release_all(relay, 3);
	cr_assert_eq(steps, 3 * CANCELS + 1);
}

Test(order, turn_a_cancel_ends_being_passed_over_even_before_it_is_parked)
{
	run_in_two_runtimes(cancel_one_that_is_passed_over, 1);
}

/* -- CHAIN, ARRIVAL, START: one at a time ------------------------------------------------------ */

enum {
	CREATORS = 4,
	EACH = 10 + 80 / WEFT_TEST_SCALE, /* members that each of them creates */
	ROUNDS = WEFT_TEST_SCALE > 1 ? 2 : 4,
};

struct creator {
	int number;
	int begun; /* of its members, in creation order; plain: the order's */
};

struct link {
	struct creator *creator;
	int place;
};

static struct weft_order *serial;
static int mode_of_serial;
static int inside, counted; /* plain: the order's */
static struct creator creators[CREATORS];
static struct link links[CREATORS][EACH];

static void enter(void)
{
	cr_assert_eq(inside++, 0, "two members at once");
}

static void leave(void)
{
	counted++;
	cr_assert_eq(--inside, 0);
}

static int yield_and_sleep(void *arg)
{
	(void)arg;
	weft_yield();
	return weft_sleep(10000);
}

static void wait_somehow(uint64_t *random)
{
	struct weft_event_flag never = {0};
	struct weft_scope scope;

	switch (random_next(random) % 6) {
	case 0:
		weft_sleep((weft_ns)(random_next(random) % 60) * 1000);
		break;
	case 1:
		weft_yield();
		break;
	case 2:
		weft_join(weft_create_task(yield_and_sleep, NULL)); /* maybe in place */
		break;
	case 3:
		weft_blocking(nothing, NULL);
		break;
	case 4:
		weft_deadline_begin(&scope, 20000);
		weft_event_flag_wait(&never);
		weft_scope_end(&scope);
		break;
	case 5:
		wait_for_input(random_next(random) % 2);
		break;
	}
}

/* CHAIN: nobody else between its first and its last instruction. ARRIVAL: nor between two waits. */
static int be_link(void *arg)
{
	struct link *me = arg;
	uint64_t random = (uint64_t)(me->creator->number * EACH + me->place) * 7919 + 1;

	enter();
	cr_assert_eq(me->creator->begun++, me->place,
		"a creator's members start in creation order");
	if (mode_of_serial == WEFT_ORDER_START) {
		leave();
		weft_yield();
		wait_somehow(&random);
		return 0;
	}
	for (uint64_t waits = random_next(&random) % 3; waits > 0; waits--) {
		weft_checkpoint(); /* does not wait */
		if (mode_of_serial == WEFT_ORDER_ARRIVAL)
			leave();
		wait_somehow(&random);
		if (mode_of_serial == WEFT_ORDER_ARRIVAL)
			enter();
	}
	leave();
	return random_next(&random) % 5 ? 0 : -EIO;
}

/* Cancels some in the middle: those that wait, and those that wait to start. */
static int create_links(void *arg)
{
	struct creator *self = arg;
	struct weft_task *tasks[EACH];
	uint64_t random = (uint64_t)self->number + 1;

	for (int i = 0; i < EACH; i++) {
		links[self->number][i] = (struct link){self, i};
		tasks[i] =
			weft_order_create_task(serial, be_link, &links[self->number][i]);
		cr_assert_neq(weft_id(tasks[i]), 0);
		if (random_next(&random) % 8 == 0)
			weft_cancel(tasks[random_next(&random) % (uint64_t)(i + 1)]);
		if (random_next(&random) % 16 == 0)
			weft_yield();
	}
	weft_gather(tasks, EACH, NULL, WEFT_GATHER_ALL);
	weft_release_all(tasks, EACH);
	return 0;
}

static int create_from_all_sides(void *arg)
{
	struct weft_task *tasks[CREATORS];

	(void)arg;
	serial = weft_order_create(mode_of_serial, "serial");
	inside = counted = 0;
	for (int i = 0; i < CREATORS; i++) {
		creators[i] = (struct creator){.number = i};
		tasks[i] = weft_create_task(create_links, &creators[i]);
	}
	cr_assert_eq(weft_gather(tasks, CREATORS, NULL, 0), 0);
	weft_release_all(tasks, CREATORS);
	weft_order_release(serial);
	for (int i = 0; i < CREATORS; i++)
		cr_assert_eq(creators[i].begun, EACH);
	cr_assert_geq(counted, CREATORS * EACH);
	cr_assert_eq(inside, 0);
	return 0;
}

static void all_sides(int mode)
{
	mode_of_serial = mode;
	for (int i = 0; i < ROUNDS; i++)
		run_with(1U << i % 4, i % 2 ? WEFT_NO_URING : 0, create_from_all_sides,
			NULL);
}

Test(order, chain_is_one_at_a_time_from_the_first_instruction_to_the_last)
{
	all_sides(WEFT_ORDER_CHAIN);
}

Test(order, start_begins_one_at_a_time)
{
	all_sides(WEFT_ORDER_START);
}

Test(order, arrival_is_one_at_a_time)
{
	all_sides(WEFT_ORDER_ARRIVAL);
}

/* Woken while they are about to wait, by all workers at once: nobody is lost, nobody is two. */
enum { WAKERS = 4, WOKEN = 16, WAKES = 1 + 1999 / WEFT_TEST_SCALE };

static struct weft_sem wakes[WOKEN];

static int wait_to_be_woken(void *arg)
{
	struct weft_sem *sem = arg;

	for (int i = 0; i < WAKES; i++) {
		cr_assert_eq(weft_sem_acquire(sem, 1), 0);
		enter();
		leave();
	}
	return 0;
}

static int wake_all(void *arg)
{
	(void)arg;
	for (int i = 0; i < WAKES / WAKERS; i++) {
		for (int k = 0; k < WOKEN; k++)
			weft_sem_release(&wakes[k], 1);
		if (i % 16 == 0)
			weft_yield();
	}
	return 0;
}

static int wake_members(void *arg)
{
	struct weft_task *woken[WOKEN], *wakers[WAKERS];

	(void)arg;
	serial = weft_order_create(WEFT_ORDER_ARRIVAL, "woken");
	inside = counted = 0;
	for (int i = 0; i < WOKEN; i++) {
		weft_sem_init(&wakes[i], WAKES % WAKERS);
		woken[i] = weft_order_create_task(serial, wait_to_be_woken, &wakes[i]);
	}
	for (int i = 0; i < WAKERS; i++)
		wakers[i] = weft_create_task(wake_all, NULL);
	cr_assert_eq(weft_gather(wakers, WAKERS, NULL, 0), 0);
	cr_assert_eq(weft_gather(woken, WOKEN, NULL, 0), 0);
	weft_release_all(wakers, WAKERS);
	weft_release_all(woken, WOKEN);
	weft_order_release(serial);
	cr_assert_eq(counted, WOKEN * WAKES);
	return 0;
}

Test(order, arrival_loses_no_wake_between_giving_the_token_up_and_being_parked)
{
	for (unsigned n = 2; n <= 8; n *= 2)
		run_with(n, 0, wake_members, NULL);
}

/* -- COMMIT ------------------------------------------------------------------------------------ */

enum { COMMITTERS = 20 + 280 / WEFT_TEST_SCALE };

static int committed; /* plain: the order's */

/* Some end without a section, some fail in it, some are cancelled before, some begin it twice. */
static int commit(void *arg)
{
	int me = (int)(intptr_t)arg, rc;
	uint64_t random = (uint64_t)me * 7919 + 1;

	wait_somehow(&random);
	if (me % 7 == 3)
		return me % 2 ? 0 : -EIO;
	rc = weft_commit_begin();
	if (rc < 0) {
		cr_assert_eq(rc, -ECANCELED);
		return rc;
	}
	enter();
	cr_assert_lt(committed, me);
	committed = me;
	if (me % 5 == 0)
		wait_somehow(&random);
	if (me % 11 == 0)
		cr_assert_lt(weft_commit_begin(), 0);
	cr_assert_eq(committed, me);
	leave();
	if (me % 13 == 0)
		return -EIO; /* the section ends with the member */
	weft_commit_end();
	wait_somehow(&random);
	return 0;
}

static int nested_commits(void *arg)
{
	struct weft_order *order = weft_order_create(WEFT_ORDER_CHAIN, "in a member");
	struct weft_task *one = weft_order_create_task(order, nothing, NULL);
	int rc;

	weft_order_release(order);
	weft_await(one);
	weft_release(one);
	rc = commit(arg);
	return rc;
}

static int commit_all(void *arg)
{
	struct weft_task *tasks[COMMITTERS];

	(void)arg;
	serial = weft_order_create(WEFT_ORDER_COMMIT, "commits");
	inside = counted = 0;
	committed = -1;
	for (intptr_t i = 0; i < COMMITTERS; i++)
		tasks[i] = weft_order_create_task(
			serial, i % 3 ? commit : nested_commits, (void *)i);
	for (int i = 0; i < COMMITTERS; i += 9)
		weft_cancel(tasks[i]);
	weft_gather(tasks, COMMITTERS, NULL, WEFT_GATHER_ALL);
	weft_release_all(tasks, COMMITTERS);
	weft_order_release(serial);
	return 0;
}

Test(order, commit_sections_are_in_creation_order)
{
	for (int i = 0; i < ROUNDS; i++)
		run_with(1U << i % 4, i % 2 ? WEFT_NO_URING : 0, commit_all, NULL);
}
