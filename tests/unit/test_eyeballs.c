/* SPDX-License-Identifier: MIT */
/*
 * test_eyeballs - the race between the addresses of one name: in which order they are begun, who
 * wins, and that nothing of the losers is left.
 *
 * A black hole is a listener whose backlog is full: to connect to it takes for ever, until
 * somebody accepts.
 */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <weft.h>

#include "io/eyeballs.h"

TestSuite(eyeballs, .timeout = 60);

static struct weft_address address_of(const char *text)
{
	struct weft_address address;

	cr_assert_eq(weft_address_parse(text, &address), 0, "%s", text);
	return address;
}

/* -- the order --------------------------------------------------------------------------------- */

static void assert_order(const char *const *before, const char *const *after, unsigned n)
{
	struct weft_address list[WEFT_EYEBALLS_MAX];
	char text[64];

	for (unsigned i = 0; i < n; i++)
		list[i] = address_of(before[i]);
	weft_eyeballs_order(list, n);
	for (unsigned i = 0; i < n; i++) {
		weft_address_format(&list[i], text, sizeof(text));
		cr_assert_str_eq(text, after[i]);
	}
}

Test(eyeballs, families_take_turns_beginning_with_the_first)
{
	static const char *const before[] = {
		"[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1", "10.0.0.2:1",
	};
	static const char *const after[] = {
		"[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1", "[::3]:1",
	};

	assert_order(before, after, 5);
}

Test(eyeballs, the_first_family_may_be_either)
{
	static const char *const before[] = { "10.0.0.1:1", "10.0.0.2:1", "[::1]:1" };
	static const char *const after[] = { "10.0.0.1:1", "[::1]:1", "10.0.0.2:1" };

	assert_order(before, after, 3);
}

Test(eyeballs, one_family_keeps_its_order)
{
	static const char *const list[] = { "10.0.0.3:1", "10.0.0.1:1", "10.0.0.2:1" };

	assert_order(list, list, 3);
	assert_order(list, list, 1);
}

/* -- listeners --------------------------------------------------------------------------------- */

struct listener {
	int fd;
	struct weft_address address;
	int filler[8]; /* what a black hole's backlog is full of */
};

static struct listener listener(int backlog)
{
	struct listener l = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0) };

	l.address = address_of("127.0.0.1:0");
	cr_assert_eq(bind(l.fd, (struct sockaddr *)&l.address.storage, l.address.len), 0);
	cr_assert_eq(listen(l.fd, backlog), 0);
	getsockname(l.fd, (struct sockaddr *)&l.address.storage, &l.address.len);
	memset(l.filler, -1, sizeof(l.filler));
	return l;
}

static struct listener black_hole(void)
{
	struct listener l = listener(0);

	for (int i = 0; i < 8; i++) {
		l.filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(l.filler[i], (struct sockaddr *)&l.address.storage, l.address.len);
	}
	return l;
}

static void close_listener(struct listener *l)
{
	for (int i = 0; i < 8; i++) {
		if (l->filler[i] >= 0)
			close(l->filler[i]);
	}
	close(l->fd);
}

/* An address where nobody listens. */
static struct weft_address refused(void)
{
	struct listener l = listener(1);

	close_listener(&l);
	return l.address;
}

/* An address for which this machine has no sockets at all. */
static struct weft_address unsupported(void)
{
	struct weft_address address = address_of("127.0.0.1:1");

	address.storage.ss_family = AF_APPLETALK;
	return address;
}

static bool is_connected_to(int fd, const struct listener *l)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof(peer);

	return getpeername(fd, (struct sockaddr *)&peer, &len) == 0 &&
		peer.sin_port == ((const struct sockaddr_in *)&l->address.storage)->sin_port;
}

static int open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void run(weft_fn fn)
{
	static const unsigned workers[] = { 1, 2 };

	for (unsigned i = 0; i < 2; i++) {
		struct weft_config config = WEFT_CONFIG_INIT;

		config.workers = workers[i];
		cr_assert_eq(weft_run(fn, NULL, &config), 0);
	}
}

/* -- the race ---------------------------------------------------------------------------------- */

static int first_answers(void *arg)
{
	struct listener one = listener(8), two = listener(8);
	struct weft_address list[] = { one.address, two.address };
	int before = open_descriptors();

	(void)arg;
	int fd = weft_eyeballs_connect(list, 2, WEFT_SEC(100));
	cr_assert(is_connected_to(fd, &one));
	cr_assert_eq(accept(two.fd, NULL, NULL), -1, "nobody asked it");
	cr_assert_eq(open_descriptors(), before + 1);
	close(fd);
	close_listener(&one);
	close_listener(&two);
	return 0;
}

Test(eyeballs, an_address_that_answers_at_once_wins_alone)
{
	run(first_answers);
}

static int first_refuses(void *arg)
{
	struct listener one = listener(8);
	struct weft_address list[] = { refused(), unsupported(), refused(), one.address };
	weft_ns start = weft_now();

	(void)arg;
	int fd = weft_eyeballs_connect(list, 4, WEFT_SEC(100));
	cr_assert(is_connected_to(fd, &one));
	cr_assert_lt(weft_now() - start, WEFT_SEC(50), "a failure begins the next one at once");
	close(fd);
	close_listener(&one);
	return 0;
}

Test(eyeballs, after_a_failure_the_next_one_does_not_wait)
{
	run(first_refuses);
}

static int failure_beside_a_silent_one(void *arg)
{
	struct listener hole = black_hole(), one = listener(8);
	struct weft_address list[] = { hole.address, refused(), one.address };
	weft_ns start = weft_now();

	(void)arg;
	int fd = weft_eyeballs_connect(list, 3, WEFT_SEC(1));
	cr_assert(is_connected_to(fd, &one));
	cr_assert_geq(weft_now() - start, WEFT_SEC(1), "for the silent one");
	cr_assert_lt(weft_now() - start, WEFT_SEC(2), "but not for the one that failed");
	close(fd);
	close_listener(&hole);
	close_listener(&one);
	return 0;
}

Test(eyeballs, a_failure_is_not_waited_for_beside_a_silent_one_either)
{
	run(failure_beside_a_silent_one);
}

static int silent_ones_first(void *arg)
{
	struct listener hole = black_hole(), other = black_hole(), one = listener(8);
	struct weft_address list[] = { hole.address, other.address, one.address };
	int before = open_descriptors();
	weft_ns start = weft_now();

	(void)arg;
	int fd = weft_eyeballs_connect(list, 3, WEFT_MS(20));
	cr_assert(is_connected_to(fd, &one));
	cr_assert_geq(weft_now() - start, WEFT_MS(40), "each of the others was alone for a while");
	cr_assert_eq(open_descriptors(), before + 1, "the losers are closed");
	close(fd);
	close_listener(&hole);
	close_listener(&other);
	close_listener(&one);
	return 0;
}

Test(eyeballs, one_that_is_silent_is_left_behind_after_the_delay)
{
	run(silent_ones_first);
}

static int accept_later(void *arg)
{
	struct listener *l = arg;
	int fd;

	weft_sleep(WEFT_MS(50));
	while ((fd = accept(l->fd, NULL, NULL)) >= 0)
		close(fd); /* room in the backlog: the next SYN gets in */
	return 0;
}

static int first_wakes_up(void *arg)
{
	struct listener slow = black_hole(), hole = black_hole();
	struct weft_address list[] = { slow.address, hole.address };
	int before = open_descriptors();
	struct weft_task *task = weft_create_task(accept_later, &slow);

	(void)arg;
	int fd = weft_eyeballs_connect(list, 2, WEFT_MS(5));
	cr_assert(is_connected_to(fd, &slow), "begun first, and still in the race");
	cr_assert_eq(open_descriptors(), before + 1);
	cr_assert_eq(weft_join(task), 0);
	close(fd);
	close_listener(&slow);
	close_listener(&hole);
	return 0;
}

Test(eyeballs, an_earlier_attempt_may_still_win)
{
	run(first_wakes_up);
}

static int the_winners_socket(void *arg)
{
	struct listener hole = black_hole(), one = listener(8);
	struct weft_address list[] = { hole.address, one.address };
	int fd = weft_eyeballs_connect(list, 2, WEFT_MS(5)), on = 0;
	socklen_t len = sizeof(on);

	(void)arg;
	cr_assert(!(fcntl(fd, F_GETFL) & O_NONBLOCK), "as weft_socket makes them");
	cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len);
	cr_assert(on);
	close(fd);
	close_listener(&hole);
	close_listener(&one);
	return 0;
}

Test(eyeballs, the_socket_is_like_any_other_of_weft)
{
	run(the_winners_socket);
}

/* -- nobody wins ------------------------------------------------------------------------------- */

static int all_fail(void *arg)
{
	struct weft_address list[] = { unsupported(), refused(), unsupported() };
	int before = open_descriptors();

	(void)arg;
	cr_assert_eq(weft_eyeballs_connect(list, 3, WEFT_SEC(100)), -ECONNREFUSED,
		"more telling than that there are no such sockets");
	cr_assert_eq(weft_eyeballs_connect(list, 1, WEFT_SEC(100)), -EAFNOSUPPORT);
	cr_assert_eq(open_descriptors(), before);
	return 0;
}

Test(eyeballs, when_all_fail_the_most_telling_code_is_returned)
{
	run(all_fail);
}

static int race_of_holes(void *arg)
{
	struct listener hole = black_hole(), other = black_hole();
	struct weft_address list[] = { hole.address, other.address };
	int rc = weft_eyeballs_connect(list, 2, WEFT_MS(1));

	(void)arg;
	close_listener(&hole);
	close_listener(&other);
	return rc;
}

static int cancel_a_race(void *arg)
{
	int before = open_descriptors();
	struct weft_task *task = weft_create_task(race_of_holes, NULL);

	(void)arg;
	weft_sleep(WEFT_MS(20));
	weft_cancel(task);
	cr_assert_eq(weft_join(task), -ECANCELED);
	cr_assert_eq(open_descriptors(), before);
	return 0;
}

Test(eyeballs, a_cancel_closes_what_was_begun)
{
	run(cancel_a_race);
}

static int race_against_time(void *arg)
{
	int before = open_descriptors();
	struct weft_scope scope;

	weft_deadline_begin(&scope, WEFT_MS(20));
	cr_assert_eq(race_of_holes(arg), -ETIMEDOUT);
	cr_assert_eq(weft_scope_end(&scope), 1);
	cr_assert_eq(open_descriptors(), before);
	return 0;
}

Test(eyeballs, a_deadline_closes_what_was_begun)
{
	run(race_against_time);
}

static int nearly_all_are_silent(void *arg)
{
	struct listener hole[WEFT_EYEBALLS_MAX - 1], one = listener(8);
	struct weft_address list[WEFT_EYEBALLS_MAX];
	int before;

	(void)arg;
	for (int i = 0; i < WEFT_EYEBALLS_MAX - 1; i++) {
		hole[i] = black_hole();
		list[i] = hole[i].address;
	}
	list[WEFT_EYEBALLS_MAX - 1] = one.address;
	before = open_descriptors();
	int fd = weft_eyeballs_connect(list, WEFT_EYEBALLS_MAX, WEFT_MS(1));
	cr_assert(is_connected_to(fd, &one));
	cr_assert_eq(open_descriptors(), before + 1);
	close(fd);
	for (int i = 0; i < WEFT_EYEBALLS_MAX - 1; i++)
		close_listener(&hole[i]);
	close_listener(&one);
	return 0;
}

Test(eyeballs, as_many_as_there_may_be_are_under_way_at_once)
{
	run(nearly_all_are_silent);
}
