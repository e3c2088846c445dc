/* SPDX-License-Identifier: MIT */
/*
 * dial - connections by name, and names looked up: what is a name, what the codes mean, and that a
 * lookup that takes long holds up nobody.
 *
 * No name server is asked: names are those of /etc/hosts. A lookup that takes for ever is one that
 * waits behind others in its lane.
 */
#include "helper.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netdb.h>
#include <semaphore.h>

TestSuite(dial, .timeout = PATIENCE);

/* -- names ------------------------------------------------------------------------------------- */

static int listen_on_loopback(char *name, size_t n, const char *host)
{
	char address[64];
	int fd = weft_listen("127.0.0.1:0", 8, 0);

	cr_assert_geq(fd, 0);
	cr_assert_gt(weft_local_address(fd, address, sizeof(address)), 0);
	snprintf(name, n, "%s%s", host, strchr(address, ':'));
	return fd;
}

static int dial_localhost(void *arg)
{
	static const char *const hosts[] = { "localhost", "LOCALHOST", "127.0.0.1" };
	char name[64], byte = 'x';

	(void)arg;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		int listener = listen_on_loopback(name, sizeof(name), hosts[i]);
		int fd = weft_dial(name, 0);

		cr_assert_geq(fd, 0, "dial %s: %d", name, fd);
		int peer = weft_accept(listener, NULL, NULL, SOCK_CLOEXEC);
		cr_assert_eq(weft_send(fd, &byte, 1, 0), 1);
		cr_assert_eq(weft_recv(peer, &byte, 1, 0), 1);
		weft_close(peer);
		weft_close(fd);
		weft_close(listener);
	}
	return 0;
}

Test(dial, a_name_is_looked_up)
{
	run_on_1_2_4(dial_localhost);
}

static int dial_nobody(void *arg)
{
	char name[64];

	(void)arg;
	weft_close(listen_on_loopback(name, sizeof(name), "localhost"));
	cr_assert_eq(weft_dial(name, 0), -ECONNREFUSED);
	return 0;
}

Test(dial, a_name_where_nobody_listens_is_refused)
{
	run_on_1_2_4(dial_nobody);
}

static int dial_itself(void *arg)
{
	char address[64];
	int listener = weft_listen("unix:@weft-test-dial", 8, 0);

	(void)arg;
	cr_assert_gt(weft_local_address(listener, address, sizeof(address)), 0);
	cr_assert_str_eq(address, "unix:@weft-test-dial");
	int fd = weft_dial(address, 0);
	cr_assert_geq(fd, 0);
	weft_close(fd);
	weft_close(listener);
	return 0;
}

Test(dial, the_address_of_a_socket_can_be_dialled)
{
	cr_assert_eq(run_with(2, dial_itself, NULL), 0);
}

static int dial_no_names(void *arg)
{
	static char long_name[400];
	static const char *const bad[] = {
		"localhost", "localhost:", ":80", "localhost:http", "localhost:65536",
		"localhost:-1", "localhost: 80", "local host:80", ".localhost:80", ".:80",
		"127.1:80", "2130706433:80", "256.0.0.1:80", "1.2.3.4.:80", "a.b.1:80",
		"http://localhost:80", "user@localhost:80", "::1:80", "[localhost]:80",
	};

	(void)arg;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(weft_dial(bad[i], 0), -EINVAL, "dial '%s'", bad[i]);
	memset(long_name, 'a', 254);
	strcpy(long_name + 254, ":80");
	cr_assert_eq(weft_dial(long_name, 0), -EINVAL);
	cr_assert_eq(weft_dial("localhost:80", 1), -EINVAL);
	return 0;
}

Test(dial, what_is_neither_an_address_nor_a_name_is_refused_without_a_lookup)
{
	run_on_1_2_4(dial_no_names);
}

/* -- lookups ----------------------------------------------------------------------------------- */

static int look_up_addresses(void *arg)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_INET }, *found;
	struct sockaddr_in in;

	(void)arg;
	cr_assert_eq(weft_getaddrinfo("localhost", "80", &hints, &found), 0);
	cr_assert_eq(found->ai_addrlen, sizeof(in));
	memcpy(&in, found->ai_addr, sizeof(in));
	cr_assert_eq(in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	cr_assert_eq(in.sin_port, htons(80));
	cr_assert_null(found->ai_next);
	freeaddrinfo(found);

	cr_assert_eq(weft_getaddrinfo("127.0.0.1", NULL, NULL, &found), 0);
	freeaddrinfo(found);
	cr_assert_eq(weft_getaddrinfo(NULL, "80", &hints, &found), 0);
	freeaddrinfo(found);
	return 0;
}

Test(dial, getaddrinfo_finds_what_libc_finds)
{
	run_on_1_2_4(look_up_addresses);
}

static int fail_to_look_up(void *arg)
{
	struct addrinfo numeric = { .ai_flags = AI_NUMERICHOST };
	struct addrinfo ip6 = { .ai_flags = AI_NUMERICHOST, .ai_family = AF_INET6 };
	struct addrinfo family = { .ai_family = AF_APPLETALK };
	struct addrinfo type = { .ai_socktype = 99 };
	struct addrinfo flags = { .ai_flags = 1 << 30 };
	struct addrinfo stream = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = &numeric;

	(void)arg;
	cr_assert_eq(weft_getaddrinfo("localhost", NULL, &numeric, &found), -ENOENT);
	cr_assert_eq(weft_getaddrinfo(NULL, NULL, NULL, &found), -ENOENT);
	cr_assert_eq(weft_getaddrinfo("127.0.0.1", NULL, &ip6, &found), -EADDRNOTAVAIL);
	cr_assert_eq(weft_getaddrinfo("127.0.0.1", NULL, &family, &found), -EAFNOSUPPORT);
	cr_assert_eq(weft_getaddrinfo("127.0.0.1", NULL, &type, &found), -ESOCKTNOSUPPORT);
	cr_assert_eq(weft_getaddrinfo("127.0.0.1", NULL, &flags, &found), -EINVAL);
	cr_assert_eq(weft_getaddrinfo("127.0.0.1", "no such service", &stream, &found),
		-EPROTONOSUPPORT);
	cr_assert_eq(weft_getaddrinfo("127.0.0.1", NULL, NULL, NULL), -EINVAL);
	cr_assert_eq(found, &numeric, "left alone");
	return 0;
}

Test(dial, the_resolvers_codes_are_told_apart)
{
	run_on_1_2_4(fail_to_look_up);
}

Test(dial, a_plain_thread_has_a_resolver_of_its_own)
{
	struct addrinfo *found;

	cr_assert_eq(weft_getaddrinfo("localhost", NULL, NULL, &found), -EPERM);
	cr_assert_eq(weft_dial("localhost:80", 0), -EPERM);
}

/* -- lookups that take long -------------------------------------------------------------------- */

struct jam {
	sem_t go;
	struct weft_event_flag begun;
};

static int block_the_lane(void *arg)
{
	struct jam *jam = arg;

	weft_event_flag_set(&jam->begun);
	while (sem_wait(&jam->go))
		;
	return 0;
}

static int be_the_jam(void *arg)
{
	return weft_blocking_lane("dns", 1, block_the_lane, arg);
}

/* Until end_jam no lookup begins. */
static struct weft_task *begin_jam(struct jam *jam)
{
	struct weft_task *task;

	*jam = (struct jam){ 0 };
	sem_init(&jam->go, 0, 0);
	task = weft_create_task(be_the_jam, jam);
	cr_assert_eq(weft_event_flag_wait(&jam->begun), 0);
	return task;
}

static void end_jam(struct jam *jam, struct weft_task *task)
{
	sem_post(&jam->go);
	cr_assert_eq(weft_join(task), 0);
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

static int look_up_localhost(void *arg)
{
	struct addrinfo *found;
	int rc = weft_getaddrinfo("localhost", NULL, NULL, &found);

	(void)arg;
	if (rc == 0)
		freeaddrinfo(found);
	return rc;
}

static int dial_port_one(void *arg)
{
	(void)arg;
	return weft_dial("localhost:1", 0);
}

static int cancel_lookups(void *arg)
{
	int before = open_descriptors();
	struct jam jam;
	struct weft_task *jammed = begin_jam(&jam);
	struct weft_task *lookup = weft_create_task(look_up_localhost, NULL);
	struct weft_task *dial = weft_create_task(dial_port_one, NULL);

	(void)arg;
	weft_yield();
	weft_cancel(lookup);
	weft_cancel(dial);
	cr_assert_eq(weft_join(lookup), -ECANCELED, "though the lane is still blocked");
	cr_assert_eq(weft_join(dial), -ECANCELED);
	end_jam(&jam, jammed);
	cr_assert_eq(open_descriptors(), before);
	return 0;
}

Test(dial, a_cancel_does_not_wait_for_the_resolver)
{
	run_on_1_2_4(cancel_lookups);
}

static int look_up_against_time(void *arg)
{
	struct jam jam;
	struct weft_task *jammed = begin_jam(&jam);
	struct weft_scope scope;

	(void)arg;
	weft_deadline_begin(&scope, WEFT_MS(10));
	cr_assert_eq(weft_dial("localhost:1", 0), -ETIMEDOUT);
	cr_assert_eq(weft_scope_end(&scope), 1);
	weft_deadline_begin(&scope, WEFT_MS(10));
	cr_assert_eq(look_up_localhost(NULL), -ETIMEDOUT);
	cr_assert_eq(weft_scope_end(&scope), 1);
	end_jam(&jam, jammed);
	return 0;
}

Test(dial, a_deadline_does_not_wait_for_the_resolver)
{
	run_on_1_2_4(look_up_against_time);
}

static int look_up_while_jammed(void *arg)
{
	struct jam jam;
	struct weft_task *jammed = begin_jam(&jam);
	struct weft_task *lookup = weft_create_task(look_up_localhost, NULL);

	(void)arg;
	weft_yield();
	cr_assert_eq(weft_blocking(succeed, NULL), 0, "other calls on the pool go on");
	cr_assert_eq(weft_status(lookup), -EINPROGRESS);
	end_jam(&jam, jammed);
	cr_assert_eq(weft_join(lookup), 0);
	return 0;
}

Test(dial, lookups_have_a_lane_of_their_own)
{
	run_on_1_2_4(look_up_while_jammed);
}

static int leave_a_lookup(void *arg)
{
	struct weft_scope scope;
	int rc;

	(void)arg;
	weft_deadline_begin(&scope, rand() % 200 * 1000);
	rc = look_up_localhost(NULL);
	weft_scope_end(&scope);
	return rc == -ETIMEDOUT ? 0 : rc;
}

static int leave_many_lookups(void *arg)
{
	struct weft_group group;

	(void)arg;
	for (int round = 0; round < 20; round++) {
		weft_group_begin(&group, 0);
		for (int i = 0; i < 40; i++)
			weft_group_spawn(&group, leave_a_lookup, NULL);
		cr_assert_eq(weft_group_join(&group), 0);
	}
	return 0;
}

Test(dial, a_lookup_that_ends_as_its_caller_leaves_is_freed_once)
{
	run_on_1_2_4(leave_many_lookups);
}

static int dial_although_cancelled(void *arg)
{
	struct addrinfo *found = NULL;

	(void)arg;
	cancel_myself();
	cr_assert_eq(weft_dial("localhost:1", 0), -ECANCELED);
	cr_assert_eq(weft_getaddrinfo("localhost", NULL, NULL, &found), -ECANCELED);
	cr_assert_null(found);
	return 0;
}

Test(dial, a_cancel_pending_at_entry_is_returned)
{
	run_on_1_2_4(dial_although_cancelled);
}
