/* SPDX-License-Identifier: MIT */
/*
 * test_fdtable - the words of descriptors: what a closer waits for, whom it refuses, and that
 * the number's next owner is left alone.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include "io/fd.h"
#include "sched/wait.h"

enum { ROUNDS = 20000 / WEFT_TEST_SCALE, USERS = 3 };

static struct weft_fd_table table;

static struct weft_fd *entry_of(int fd)
{
	struct weft_fd *entry;

	cr_assert_eq(weft_fd_get(&table, fd, &entry), 0);
	return entry;
}

static void finish(void)
{
	weft_fd_table_finish(&table);
}

TestSuite(fdtable, .fini = finish, .timeout = 30);

static int begin(struct weft_fd *entry, unsigned worker)
{
	struct weft_fd_turn turn = {0};

	return weft_fd_begin(entry, worker, &turn);
}

static int close_begin(struct weft_fd *entry, uint64_t *ticket, unsigned *rings)
{
	struct weft_fd_turn turn = {0};

	return weft_fd_close_begin(entry, &turn, ticket, rings);
}

Test(fdtable, close_of_an_idle_descriptor_waits_for_nobody)
{
	struct weft_fd *entry = entry_of(0);
	unsigned rings = 99;
	uint64_t ticket;

	cr_assert_eq(begin(entry, 3), 0);
	cr_assert(!weft_fd_end(entry));
	cr_assert_eq(close_begin(entry, &ticket, &rings), 0);
	cr_assert_eq(rings, 0);
	cr_assert_eq(weft_fd_close_wait(entry, ticket), 0);
	weft_fd_close_end(entry, ticket);
	cr_assert_eq(begin(entry, 3), 0);
	cr_assert(!weft_fd_end(entry));
}

Test(fdtable, closer_learns_the_rings)
{
	struct weft_fd *entry = entry_of(0);
	unsigned rings;
	uint64_t ticket;

	begin(entry, 0);
	begin(entry, 5);
	begin(entry, 16 + 5);
	cr_assert_eq(close_begin(entry, &ticket, &rings), 0);
	cr_assert_eq(rings, 1 << 0 | 1 << 5);
}

Test(fdtable, closing_refuses_operations_and_other_closers)
{
	struct weft_fd *entry = entry_of(0);
	unsigned rings;
	uint64_t ticket, other;

	cr_assert_eq(begin(entry, 0), 0);
	cr_assert(!weft_fd_closing(entry));
	cr_assert_eq(close_begin(entry, &ticket, &rings), 0);
	cr_assert(weft_fd_closing(entry));
	cr_assert_eq(begin(entry, 0), -EBADF);
	cr_assert_eq(close_begin(entry, &other, &rings), -EBADF);
	cr_assert(weft_fd_end(entry));
	cr_assert_eq(weft_fd_close_wait(entry, ticket), 0);
	/* inside the kernel's close: whoever comes may be the next owner */
	cr_assert_eq(begin(entry, 0), -EAGAIN);
	cr_assert_eq(close_begin(entry, &other, &rings), -EAGAIN);
	weft_fd_close_end(entry, ticket);
	cr_assert_eq(begin(entry, 0), 0);
}

Test(fdtable, next_owners_state_outlives_the_closers_end)
{
	struct weft_fd *entry = entry_of(0);
	uint64_t ticket, next;
	unsigned rings;

	close_begin(entry, &ticket, &rings);
	weft_fd_close_wait(entry, ticket);
	weft_fd_reset(entry); /* the kernel gave the number away already */
	cr_assert_eq(begin(entry, 0), 0);
	cr_assert_eq(close_begin(entry, &next, &rings), 0);
	weft_fd_close_end(entry, ticket); /* late */
	cr_assert(weft_fd_closing(entry));
	cr_assert_eq(begin(entry, 0), -EBADF);
}

Test(fdtable, closing_is_called_off_when_the_number_has_a_new_owner)
{
	struct weft_fd *entry = entry_of(0);
	uint64_t ticket;
	unsigned rings;

	begin(entry, 0);
	close_begin(entry, &ticket, &rings);
	weft_fd_reset(entry);
	cr_assert_eq(weft_fd_close_wait(entry, ticket), -EBADF);
	cr_assert(!weft_fd_end(entry));
}

static void *end_one(void *arg)
{
	usleep(10000);
	cr_assert(weft_fd_end(arg));
	return NULL;
}

/* A caller that found FINAL owns the number's next life; a later one is somebody else's. */
Test(fdtable, who_waited_is_let_in_to_the_next_generation_only)
{
	struct weft_fd *entry = entry_of(0);
	struct weft_fd_turn early = {0}, late = {0};
	uint64_t ticket;
	unsigned rings;

	cr_assert_eq(close_begin(entry, &ticket, &rings), 0);
	cr_assert_eq(weft_fd_close_wait(entry, ticket), 0);
	cr_assert_eq(weft_fd_begin(entry, 0, &early), -EAGAIN);
	cr_assert_eq(weft_fd_begin(entry, 0, &late), -EAGAIN);
	weft_fd_close_end(entry, ticket);
	cr_assert_eq(weft_fd_begin(entry, 0, &early), 0);
	cr_assert(!weft_fd_end(entry));

	cr_assert_eq(close_begin(entry, &ticket, &rings), 0);
	cr_assert_eq(weft_fd_close_wait(entry, ticket), 0);
	cr_assert_eq(weft_fd_begin(entry, 0, &late), -EBADF, "its own life is being closed");
	weft_fd_close_end(entry, ticket);
	cr_assert_eq(weft_fd_begin(entry, 0, &late), -EBADF, "its own life is over");
}

Test(fdtable, last_end_wakes_the_closer)
{
	struct weft_fd *entry = entry_of(0);
	pthread_t thread;
	uint64_t ticket;
	unsigned rings;

	begin(entry, 0);
	close_begin(entry, &ticket, &rings);
	cr_assert_eq(pthread_create(&thread, NULL, end_one, entry), 0);
	cr_assert_eq(weft_fd_close_wait(entry, ticket), 0);
	pthread_join(thread, NULL);
}

Test(fdtable, wild_numbers_cost_nothing)
{
	struct weft_fd *entry;

	cr_assert_eq(weft_fd_get(&table, INT32_MAX, &entry), -EBADF);
	cr_assert_eq(weft_fd_get(&table, 1 << 20, &entry), -EBADF);
	cr_assert_null(weft_fd_find(&table, INT32_MAX));
}

Test(fdtable, entries_are_apart_and_stay)
{
	static const int fds[] = {0, 1, 1023, 1024, 1025, 2047, 2048, 4095, 4096, 8191};
	enum { COUNT = sizeof(fds) / sizeof(*fds) };
	struct rlimit limit = {.rlim_cur = 8192, .rlim_max = 8192};
	struct weft_fd *entries[COUNT];

	setrlimit(RLIMIT_NOFILE, &limit);
	for (int i = 0; i < COUNT; i++) {
		if (fds[i] > 2)
			dup2(0, fds[i]);
		entries[i] = entry_of(fds[i]);
		for (int k = 0; k < i; k++)
			cr_assert_neq(entries[i], entries[k]);
	}
	for (int i = 0; i < COUNT; i++)
		cr_assert_eq(weft_fd_find(&table, fds[i]), entries[i]);
}

/* Users count themselves while one thread closes over and over: an operation that was let in is
 * never alive in FINAL, and the closer never sleeps for good. */
struct contest {
	struct weft_fd *entry;
	_Atomic(uint32_t) open; /* what the word protects */
	_Atomic(uint32_t) over;
	_Atomic(uint32_t) let_in;
};

static void *use(void *arg)
{
	struct contest *contest = arg;

	while (!weft_load_acquire(&contest->over)) {
		if (begin(contest->entry, 0) < 0) {
			sched_yield();
			continue;
		}
		cr_assert(weft_load_acquire(&contest->open));
		weft_add_relaxed(&contest->let_in, 1);
		weft_fd_end(contest->entry);
	}
	return NULL;
}

Test(fdtable, no_operation_is_alive_while_the_kernel_closes)
{
	struct contest contest = {.entry = entry_of(0), .open = 1};
	pthread_t users[USERS];

	for (int i = 0; i < USERS; i++)
		cr_assert_eq(pthread_create(&users[i], NULL, use, &contest), 0);
	/* Until a user has come at all: the threads may start late. */
	for (int i = 0; i < ROUNDS || !weft_load_relaxed(&contest.let_in); i++) {
		uint64_t ticket;
		unsigned rings;

		cr_assert_eq(close_begin(contest.entry, &ticket, &rings), 0);
		cr_assert_eq(weft_fd_close_wait(contest.entry, ticket), 0);
		weft_store_release(&contest.open, 0);
		weft_store_release(&contest.open, 1);
		weft_fd_close_end(contest.entry, ticket);
		if (i % 64 == 0)
			sched_yield();
	}
	weft_store_release(&contest.over, 1);
	for (int i = 0; i < USERS; i++)
		pthread_join(users[i], NULL);
	cr_assert_gt(weft_load_relaxed(&contest.let_in), 0);
}
