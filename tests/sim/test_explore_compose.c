/* SPDX-License-Identifier: MIT */
/*
 * Waiting for tasks, explored: gather, groups, race, wait, as_completed, wait_for, join, tasks after tasks, scopes.
 * Each program knows in which order its tasks ended, and by that what the call has to say.
 */
#include "explore.h"

enum { N = 4 };

/* -- children, whose ends are noted ------------------------------------------------------------ */

static struct {
	struct weft_task *tasks[N];
	int status[N]; /* as told to end, if nobody cancels it */
	int ended[N];  /* what it ended with */
	int order[N];  /* who ended as the k-th */
	int ends, started;
	weft_ns first_end, first_error; /* when the first ended, and failed; 0: none */
	bool late; /* none of them ends before who waits for them has begun to */
} k;

static int child(void *number)
{
	int self = (int)(intptr_t)number, rc = 0;

	k.started++;
	if (k.late)
		rc = weft_sleep(WEFT_MS(1 + any(3)));
	for (unsigned n = any(3); n > 0 && rc == 0; n--)
		rc = any(2) ? weft_sleep(WEFT_MS(any(4))) : weft_checkpoint();
	rc = rc < 0 ? rc : k.status[self];
	k.ended[self] = rc;
	k.order[k.ends++] = self;
	if (!k.first_end)
		k.first_end = weft_now();
	if (!k.first_error && rc < 0 && rc != -ECANCELED)
		k.first_error = weft_now();
	return rc;
}

static void create_children(bool failures)
{
	memset(&k, 0, sizeof(k));
	for (intptr_t i = 0; i < N; i++) {
		k.status[i] = failures && any(3) == 0 ? -(int)(100 + i) : (int)i;
		k.ended[i] = -EINPROGRESS;
		k.tasks[i] = weft_create_task(child, (void *)i);
	}
	k.late = any(2);
}

static void all_have_ended(void)
{
	CHECK(k.ends == N);
	for (int i = 0; i < N; i++)
		CHECK(weft_status(k.tasks[i]) == k.ended[i]);
	weft_release_all(k.tasks, N);
}

static int first_failure(void)
{
	for (int i = 0; i < k.ends; i++)
		if (k.ended[k.order[i]] < 0)
			return k.ended[k.order[i]];
	return 0;
}

static int successes(void)
{
	int n = 0;

	for (int i = 0; i < N; i++)
		n += k.ended[i] >= 0;
	return n;
}

/* A failure that happened; the first, but for children that could end while the call gave way at its entry: to
 * it they were done already. */
static bool is_first_failure(int rc)
{
	bool happened = rc == 0 && successes() == N;

	for (int i = 0; i < N; i++)
		happened |= rc < 0 && k.ended[i] == rc;
	return k.late ? rc == first_failure() : happened;
}

/* The owner is a task of its own, that may be cancelled. */
static bool owner_cancelled;

static int run_owner(weft_fn fn)
{
	struct weft_task *owner = weft_create_task(fn, NULL);

	owner_cancelled = false;
	if (any(2)) {
		dawdle();
		owner_cancelled = true;
		weft_cancel(owner);
	}
	return weft_join(owner);
}

/* -- gather ------------------------------------------------------------------------------------ */

static int gather_owner(void *arg)
{
	int rc, statuses[N];
	unsigned flags = any(2) ? WEFT_GATHER_ALL : 0;

	(void)arg;
	create_children(true);
	rc = weft_gather(k.tasks, N, statuses, flags);
	for (int i = 0; i < N; i++)
		CHECK(statuses[i] == k.ended[i]);
	if (flags)
		CHECK(rc == 0 || (rc == -ECANCELED && owner_cancelled));
	else if (!owner_cancelled)
		CHECK(is_first_failure(rc));
	else
		CHECK(is_first_failure(rc) || (rc == -ECANCELED && successes() < N));
	if (!owner_cancelled && flags)
		for (int i = 0; i < N; i++)
			CHECK(k.ended[i] == k.status[i]);
	if (!owner_cancelled && first_failure() == 0)
		CHECK(successes() == N);
	all_have_ended();
	return 0;
}

static int gather(void *arg)
{
	(void)arg;
	return run_owner(gather_owner);
}

/* Siblings of a failure end at once, however long they would have slept. */
static int sleeper(void *arg)
{
	(void)arg;
	return weft_sleep(WEFT_SEC(1000));
}

static int failing(void *arg)
{
	(void)arg;
	weft_sleep(WEFT_MS(any(3)));
	return -EIO;
}

static int gather_does_not_sleep(void *arg)
{
	struct weft_task *two[] = {
		weft_create_task(sleeper, NULL), weft_create_task(failing, NULL)};
	weft_ns begin = weft_now();

	(void)arg;
	CHECK(weft_gather(two, 2, NULL, 0) == -EIO);
	CHECK(weft_now() - begin <= WEFT_MS(3));
	CHECK(weft_status(two[0]) == -ECANCELED);
	weft_release_all(two, 2);
	return 0;
}

/* -- group ------------------------------------------------------------------------------------- */

static struct weft_group *the_group;
static int spawned;

static int member(void *number)
{
	intptr_t self = (intptr_t)number;

	if (self == 0 && any(2)) {
		int rc = weft_group_spawn(the_group, child, (void *)(intptr_t)(N - 1));

		CHECK(rc == 0 || rc == -ECANCELED);
		spawned += rc == 0;
	}
	return child(number);
}

static int group_owner(void *arg)
{
	struct weft_group group;
	unsigned flags = any(2) ? WEFT_GROUP_COLLECT : 0;
	bool given_up = any(4) == 0;
	int rc, first, errors[N];
	size_t failed;

	(void)arg;
	memset(&k, 0, sizeof(k));
	for (int i = 0; i < N; i++) {
		k.status[i] = any(3) == 0 ? -(100 + i) : i;
		k.ended[i] = 0;
	}
	the_group = &group;
	spawned = 0;
	weft_group_begin(&group, flags);
	for (intptr_t i = 0; i < N - 1; i++) {
		rc = weft_group_spawn(&group, member, (void *)i);
		CHECK(rc == 0 || (rc == -ECANCELED && !flags) || given_up);
		spawned += rc == 0;
		if (any(3) == 0)
			dawdle();
	}
	if (given_up) {
		weft_group_cancel(&group);
		CHECK(weft_group_spawn(&group, child, NULL) == -ECANCELED);
	}
	rc = weft_group_join(&group);
	CHECK(k.ends == spawned);
	first = first_failure();
	if (!owner_cancelled && !given_up)
		CHECK(rc == first);
	else
		CHECK(rc == 0 || rc == -ECANCELED || rc <= -100);
	failed = weft_group_errors(&group, errors, N);
	for (size_t i = 0; i < failed && i < N; i++)
		CHECK(errors[i] < 0);
	if (flags && !owner_cancelled && !given_up)
		CHECK((int)failed == spawned - (successes() - (N - spawned)));
	/* each kept once, in the order of the spawns; but for the one that a member spawned */
	for (size_t i = 0; i + 1 < failed && i + 1 < N; i++)
		CHECK(errors[i] > errors[i + 1] || errors[i] == -(100 + N - 1) ||
			errors[i + 1] == -ECANCELED || errors[i] == -ECANCELED);
	return 0;
}

static int group(void *arg)
{
	(void)arg;
	return run_owner(group_owner);
}

/* -- race -------------------------------------------------------------------------------------- */

static int race_owner(void *arg)
{
	ssize_t winner;

	(void)arg;
	create_children(true);
	winner = weft_race(k.tasks, N);
	if (winner >= 0) {
		CHECK(winner < N && k.ended[winner] >= 0);
		for (int i = 0; i < N && k.order[i] != winner; i++)
			CHECK(!k.late || k.ended[k.order[i]] < 0);
	} else if (owner_cancelled) {
		CHECK(successes() == 0);
		CHECK(winner == -ECANCELED || winner == k.ended[k.order[N - 1]] ||
			!k.late);
	} else {
		CHECK(successes() == 0 && (!k.late || winner == k.ended[k.order[N - 1]]));
	}
	all_have_ended();
	return 0;
}

static int race(void *arg)
{
	(void)arg;
	return run_owner(race_owner);
}

/* -- wait, as_completed ------------------------------------------------------------------------ */

static int number_of(const struct weft_task *task, struct weft_task *const *in)
{
	for (int i = 0; i < N; i++)
		if (in[i] == task)
			return i;
	CHECK(!"one of them");
	return 0;
}

static int wait_owner(void *arg)
{
	struct weft_task *waited[N], *original[N];
	int when = (int)any(3), failures = 0, cancelled = -1;
	weft_ns begin = weft_now(), timeout = any(2) ? WEFT_FOREVER : WEFT_MS(any(6));
	ssize_t done;

	(void)arg;
	create_children(true);
	memcpy(waited, k.tasks, sizeof(waited));
	memcpy(original, k.tasks, sizeof(original));
	if (any(2))
		weft_cancel(k.tasks[cancelled = (int)any(N)]);
	done = weft_wait(waited, N, when, timeout);
	CHECK(done >= 0 || (done == -ECANCELED && owner_cancelled));
	CHECK(k.started == N || timeout != WEFT_FOREVER || when != WEFT_ALL_COMPLETED ||
		done < 0);
	for (int i = 0; i < N && done >= 0; i++) {
		CHECK((weft_status(waited[i]) != -EINPROGRESS) == (i < done));
		CHECK(i == 0 || i == done ||
			number_of(waited[i - 1], original) <
				number_of(waited[i], original));
		failures += i < done && weft_status(waited[i]) < 0 &&
			    weft_status(waited[i]) != -ECANCELED;
	}
	if (done >= 0 && weft_now() - begin < timeout)
		CHECK(done == N || (when == WEFT_FIRST_COMPLETED && done > 0) ||
			(when == WEFT_FIRST_ERROR && failures > 0));
	if (done > 0 && when == WEFT_FIRST_COMPLETED && weft_now() - begin < timeout)
		CHECK(weft_now() == k.first_end);
	if (done >= 0 && done < N && when == WEFT_FIRST_ERROR &&
		weft_now() - begin < timeout)
		CHECK(weft_now() == k.first_error);
	CHECK(weft_now() - begin <= timeout);
	weft_gather(k.tasks, N, NULL, WEFT_GATHER_ALL);
	if (!owner_cancelled) /* nobody was cancelled by a wait */
		for (int i = 0; i < N; i++)
			CHECK(i == cancelled || k.ended[i] == k.status[i]);
	all_have_ended();
	return 0;
}

static int wait_some(void *arg)
{
	(void)arg;
	return run_owner(wait_owner);
}

static int completed_owner(void *arg)
{
	struct weft_as_completed walk;
	bool seen[N] = {false};
	int count = 0;

	(void)arg;
	create_children(true);
	weft_as_completed_begin(&walk, k.tasks, N);
	for (;;) {
		ssize_t i =
			weft_as_completed_next(&walk, any(2) ? WEFT_FOREVER : WEFT_MS(1));

		if (i == -EAGAIN)
			continue;
		CHECK(i >= 0 || i == -ENOENT || (i == -ECANCELED && owner_cancelled));
		if (i < 0)
			break;
		CHECK(i < N && !seen[i]);
		seen[i] = true;
		CHECK(k.order[count++] == i);
	}
	CHECK(count == N || owner_cancelled);
	weft_as_completed_end(&walk);
	weft_gather(k.tasks, N, NULL, WEFT_GATHER_ALL);
	all_have_ended();
	return 0;
}

static int as_completed(void *arg)
{
	(void)arg;
	return run_owner(completed_owner);
}

/* -- one task ---------------------------------------------------------------------------------- */

static int wait_for_owner(void *arg)
{
	weft_ns timeout = WEFT_MS(any(5)), begin = weft_now();
	int rc;

	(void)arg;
	memset(&k, 0, sizeof(k));
	k.status[0] = any(2) ? 5 : -EIO;
	k.tasks[0] = weft_create_task(child, NULL);
	rc = weft_wait_for(k.tasks[0], timeout);
	CHECK(k.ends == 1 && weft_status(k.tasks[0]) == k.ended[0]);
	if (rc == -ETIMEDOUT)
		CHECK(k.ended[0] == -ECANCELED && weft_now() - begin >= timeout);
	else if (rc == -ECANCELED)
		CHECK(owner_cancelled && k.ended[0] == -ECANCELED);
	else
		CHECK(rc == k.status[0] && rc == k.ended[0]);
	weft_release(k.tasks[0]);
	return 0;
}

static int wait_for_one(void *arg)
{
	(void)arg;
	return run_owner(wait_for_owner);
}

/* Whom it has cancelled ends at once. */
static int wait_for_sleeper(void *arg)
{
	struct weft_task *task = weft_create_task(sleeper, NULL);
	weft_ns begin = weft_now(), timeout = WEFT_MS(any(5));

	(void)arg;
	CHECK(weft_wait_for(task, timeout) == -ETIMEDOUT);
	CHECK(weft_now() - begin == timeout);
	weft_release(task);
	return 0;
}

/* A cancel of who awaits it leaves a task alone; of who joins it, ends it. */
static int await_it(void *task)
{
	int rc = weft_await(task);

	CHECK(rc == k.status[0] || rc == -ECANCELED);
	CHECK(rc == -ECANCELED || k.ends == 1);
	weft_release(task);
	return rc;
}

static int many_await(void *arg)
{
	struct weft_task *task, *others[3];

	(void)arg;
	memset(&k, 0, sizeof(k));
	k.status[0] = any(2) ? 5 : -EIO;
	task = weft_create_task(child, NULL);
	for (int i = 0; i < 3; i++)
		others[i] = weft_create_task(await_it, weft_ref(task));
	for (unsigned n = any(3); n > 0; n--) {
		dawdle();
		weft_cancel(others[any(3)]);
	}
	CHECK(weft_join(task) == k.status[0]);
	weft_gather(others, 3, NULL, WEFT_GATHER_ALL);
	weft_release_all(others, 3);
	return 0;
}

static int join_owner(void *arg)
{
	int rc;

	(void)arg;
	memset(&k, 0, sizeof(k));
	k.status[0] = any(2) ? 5 : -EIO;
	rc = weft_join(weft_create_task(child, NULL));
	CHECK(k.ends == 1 && rc == k.ended[0]);
	CHECK(rc == k.status[0] || owner_cancelled);
	return 0;
}

static int join_one(void *arg)
{
	(void)arg;
	return run_owner(join_owner);
}

/* Tasks that await each other in a ring: one of them is told, and nobody is who could go on. */
static struct weft_task *ring[3];
static int told;

static int await_next(void *number)
{
	int rc;

	dawdle();
	rc = weft_await(ring[((intptr_t)number + 1) % 3]);
	told += rc == -EDEADLK;
	return 0;
}

static int ring_of_awaits(void *arg)
{
	(void)arg;
	told = 0;
	for (intptr_t i = 0; i < 3; i++)
		ring[i] = weft_create_task(await_next, (void *)i);
	CHECK(weft_gather(ring, 3, NULL, 0) == 0);
	CHECK(told == 1);
	weft_release_all(ring, 3);
	return 0;
}

/* -- tasks after tasks ------------------------------------------------------------------------- */

static struct {
	struct weft_task *tasks[N + 2];
	unsigned deps[N + 2]; /* bits */
	unsigned ended;
} dag;

static int come_after(void *number)
{
	unsigned self = (unsigned)(intptr_t)number;
	int rc;

	CHECK((dag.deps[self] & ~dag.ended) == 0);
	rc = any(2) ? weft_sleep(WEFT_MS(any(3))) : weft_checkpoint();
	dag.ended |= 1u << self;
	return rc;
}

static int after(void *arg)
{
	(void)arg;
	memset(&dag, 0, sizeof(dag));
	for (unsigned i = 0; i < N + 2; i++) {
		struct weft_task *deps[N + 2];
		size_t n = 0;

		for (unsigned d = 0; d < i; d++) {
			if (any(2)) {
				dag.deps[i] |= 1u << d;
				deps[n++] = dag.tasks[d];
			}
		}
		dag.tasks[i] =
			weft_create_task_after(come_after, (void *)(intptr_t)i, deps, n);
		if (any(4) == 0)
			dawdle();
	}
	for (unsigned n = any(2); n > 0; n--)
		weft_cancel(dag.tasks[any(N + 2)]);
	CHECK(weft_gather(dag.tasks, N + 2, NULL, WEFT_GATHER_ALL) == 0);
	CHECK(dag.ended == (1u << (N + 2)) - 1);
	weft_release_all(dag.tasks, N + 2);
	return 0;
}

/* -- scopes ------------------------------------------------------------------------------------ */

static int scoped(void *arg)
{
	struct weft_scope outer, inner, shield;
	weft_ns begin = weft_now(), short_one = WEFT_MS(any(6)),
		long_one = WEFT_MS(any(6));
	weft_ns sleep = WEFT_MS(any(6)) + 1, first;
	int rc, outer_fired, inner_fired;

	(void)arg;
	weft_deadline_begin(&outer, long_one);
	weft_deadline_begin(&inner, short_one);
	first = short_one < long_one ? short_one : long_one;
	rc = weft_sleep(sleep);
	if (rc == -ETIMEDOUT)
		CHECK(weft_now() - begin == first);
	else if (rc == 0)
		CHECK(weft_now() - begin == sleep);
	else
		CHECK(rc == -ECANCELED && owner_cancelled);
	weft_shield_begin(&shield, WEFT_FOREVER);
	CHECK(weft_sleep(WEFT_MS(any(3))) == 0);
	CHECK(weft_checkpoint() == 0);
	CHECK(weft_scope_end(&shield) == 0);
	inner_fired = weft_scope_end(&inner);
	outer_fired = weft_scope_end(&outer);
	CHECK(inner_fired + outer_fired == (rc == -ETIMEDOUT));
	if (rc == -ETIMEDOUT && short_one != long_one &&
		weft_now() - begin < WEFT_MS(4) + first)
		CHECK(inner_fired == (short_one < long_one) ||
			weft_now() - begin > first);
	if (rc == -ECANCELED)
		CHECK(weft_checkpoint() == -ECANCELED && weft_uncancel() == 1);
	return 0;
}

static int scopes(void *arg)
{
	(void)arg;
	return run_owner(scoped);
}

/* -- all of them ------------------------------------------------------------------------------- */

Explored(compose, gather, gather);
Explored(compose, gather_does_not_sleep, gather_does_not_sleep);
Explored(compose, group, group, .faults = WEFT_SIM_SLOW);
Explored(compose, race, race);
Explored(compose, wait, wait_some);
Explored(compose, as_completed, as_completed, .faults = WEFT_SIM_SLOW);
Explored(compose, wait_for, wait_for_one, .faults = WEFT_SIM_SLOW);
Explored(compose, wait_for_sleeper, wait_for_sleeper);
Explored(compose, many_await, many_await, .faults = WEFT_SIM_SLOW);
Explored(compose, join, join_one, .faults = WEFT_SIM_SLOW);
Explored(compose, ring_of_awaits, ring_of_awaits, .faults = WEFT_SIM_SLOW);
Explored(compose, after, after, .faults = WEFT_SIM_SLOW);
Explored(compose, scopes, scopes);
