/* SPDX-License-Identifier: MIT */
/*
 * rules - the promises that hold for every call, one by one.
 *
 * A test is named after its rule; where a rule promises several things, the promise follows
 * two underscores. The other files of this folder go through the calls; this one is the place
 * to learn how all of them behave.
 */
#include "helper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

TestSuite(rules, .timeout = PATIENCE);

/* ---- status: >= 0 is success, a negative errno value is failure ---- */

static int statuses_travel(void *arg)
{
	int large = 123456, failure = -EXDEV;

	(void)arg;
	cr_assert_eq(weft_join(weft_create_task(return_int, &large)), 123456);
	cr_assert_eq(weft_join(weft_create_task(return_int, &failure)), -EXDEV);
	return large;
}

Test(rules, status)
{
	for (unsigned workers = 1; workers <= 4; workers *= 2)
		cr_assert_eq(run_with(workers, statuses_travel, NULL), 123456);
}

static int fail_in_many_ways(void *arg)
{
	struct weft_sem empty = { 0 };
	char byte;

	(void)arg;
	errno = 4711;
	cr_assert_eq(weft_read(-1, &byte, 1), -EBADF);
	cr_assert_eq(weft_openat(AT_FDCWD, "/no/such/file", O_RDONLY, 0), -ENOENT);
	cr_assert_eq(weft_close(-1), -EBADF);
	cr_assert_eq(weft_sem_try_acquire(&empty, 1), -EAGAIN);
	cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
	cr_assert_eq(errno, 4711);
	return 0;
}

/* With one worker every segment runs on one thread, so it is the same errno throughout. */
Test(rules, status__errno_is_never_set)
{
	cr_assert_eq(run_with(1, fail_in_many_ways, NULL), 0);
	errno = 4711;
	cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
	cr_assert_eq(weft_yield(), -EPERM);
	cr_assert_eq(errno, 4711);
}

/* ---- checkpoint: every [S] call gives way, whether or not it has to wait ---- */

struct busy {
	struct weft_event_flag stop;
	struct weft_sem sem;
	struct weft_mutex mutex;
	struct weft_event_flag set;
	struct weft_chan *chan;
	int which;
};

/* None of these has to wait; each of them is a checkpoint. */
static int call_that_need_not_wait(struct busy *busy)
{
	int item = 1;

	switch (busy->which) {
	case 0:
		return weft_checkpoint();
	case 1:
		return weft_event_flag_wait(&busy->set);
	case 2:
		weft_sem_release(&busy->sem, 1);
		return weft_sem_acquire(&busy->sem, 1);
	case 3:
		weft_mutex_lock(&busy->mutex);
		return weft_mutex_unlock(&busy->mutex);
	case 4:
		weft_chan_send(busy->chan, &item);
		return weft_chan_recv(busy->chan, &item) - 1;
	default:
		return weft_yield();
	}
}

static int call_until_told_to_stop(void *arg)
{
	struct busy *busy = arg;

	while (!weft_event_flag_is_set(&busy->stop))
		cr_assert_eq(call_that_need_not_wait(busy), 0);
	return 0;
}

static int share_one_worker(void *arg)
{
	(void)arg;
	for (int which = 0; which <= 5; which++) {
		struct busy busy = { .chan = weft_chan_create(sizeof(int), 1), .which = which };
		weft_event_flag_set(&busy.set);
		struct weft_task *tasks[] = {
			weft_create_task(call_until_told_to_stop, &busy),
			weft_create_task(set_flag, &busy.stop),
		};
		/* the busy one starts first and ends only if it lets the other one run */
		cr_assert_eq(weft_gather(tasks, 2, NULL, 0), 0);
		weft_release_all(tasks, 2);
		weft_chan_destroy(busy.chan);
	}
	return 0;
}

Test(rules, checkpoint)
{
	cr_assert_eq(run_with(1, share_one_worker, NULL), 0);
}

/* ---- cancel at entry: reported before any effect ---- */

static int calls_of_sync(int code)
{
	struct weft_mutex mutex = { 0 };
	struct weft_sem sem = { 0 };
	struct weft_event_flag set = { 0 };
	struct weft_chan *chan = weft_chan_create(sizeof(int), 2);
	int item = 1;

	weft_sem_init(&sem, 1);
	weft_event_flag_set(&set);
	weft_chan_try_send(chan, &item);

	cr_assert_eq(weft_mutex_lock(&mutex), code);
	cr_assert_eq(weft_mutex_trylock(&mutex), 0, "the lock was not taken");
	cr_assert_eq(weft_sem_acquire(&sem, 1), code);
	cr_assert_eq(weft_sem_try_acquire(&sem, 1), 0, "the unit was not taken");
	cr_assert_eq(weft_event_flag_wait(&set), code);
	cr_assert_eq(weft_chan_send(chan, &item), code);
	cr_assert_eq(weft_chan_len(chan), 1, "nothing was sent");
	cr_assert_eq(weft_chan_recv(chan, &item), code);
	cr_assert_eq(weft_chan_len(chan), 1, "nothing was received");
	weft_chan_destroy(chan);
	return 0;
}

static int calls_of_time_and_compose(int code)
{
	struct weft_task *done = weft_create_task(succeed, NULL);
	struct weft_task *tasks[] = { done };
	struct weft_as_completed walk;
	struct weft_scope shield;

	weft_shield_begin(&shield, WEFT_FOREVER);
	cr_assert_eq(weft_await(done), 0);
	weft_scope_end(&shield);

	cr_assert_eq(weft_yield(), code);
	cr_assert_eq(weft_checkpoint(), code);
	cr_assert_eq(weft_sleep(0), code);
	cr_assert_eq(weft_sleep(WEFT_FOREVER), code);
	cr_assert_eq(weft_sleep_until(weft_now()), code);
	cr_assert_eq(weft_await(done), code, "also of a task that has ended");
	cr_assert_eq(weft_wait(tasks, 1, WEFT_ALL_COMPLETED, 0), code);
	weft_as_completed_begin(&walk, tasks, 1);
	cr_assert_eq(weft_as_completed_next(&walk, WEFT_FOREVER), code);
	weft_as_completed_end(&walk);
	weft_release(done);
	return 0;
}

static int bytes_in(int fd)
{
	int n = -1;

	return ioctl(fd, FIONREAD, &n) < 0 ? -errno : n;
}

static int calls_of_io(int code)
{
	int fds[2], out[2];
	char byte = 'x', path[] = P_tmpdir "/weft-rules-XXXXXX";
	struct iovec iov = { &byte, 1 };

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	cr_assert_eq(pipe(out), 0);
	cr_assert_not_null(mkdtemp(path));
	cr_assert_eq(write(fds[1], "data", 4), 4);

	cr_assert_eq(weft_read(fds[0], &byte, 1), code);
	cr_assert_eq(weft_recv(fds[0], &byte, 1, 0), code);
	cr_assert_eq(weft_readv(fds[0], &iov, 1), code);
	cr_assert_eq(weft_read_full(fds[0], &byte, 1), code);
	cr_assert_eq(weft_poll(fds[0], POLLIN), code);
	cr_assert_eq(bytes_in(fds[0]), 4, "nothing was read");
	cr_assert_eq(weft_write(fds[0], &byte, 1), code);
	cr_assert_eq(weft_send(fds[0], &byte, 1, 0), code);
	cr_assert_eq(weft_writev(fds[0], &iov, 1), code);
	cr_assert_eq(bytes_in(fds[1]), 0, "nothing was written");
	cr_assert_eq(weft_shutdown(fds[0], SHUT_RDWR), code);
	cr_assert_eq(write(fds[1], "x", 1), 1, "the connection was not shut down");
	cr_assert_eq(weft_socket(AF_UNIX, SOCK_STREAM, 0), code);
	cr_assert_eq(weft_listen("127.0.0.1:0", 1, 0), code);
	cr_assert_eq(weft_dial("127.0.0.1:1", 0), code);

	int dir = open(path, O_RDONLY | O_DIRECTORY);
	cr_assert_eq(weft_openat(dir, "new", O_CREAT | O_WRONLY, 0600), code);
	cr_assert_eq(faccessat(dir, "new", F_OK, 0), -1, "no file was made");
	close(dir);
	rmdir(path);
	for (int i = 0; i < 2; i++) {
		close(fds[i]);
		close(out[i]);
	}
	return 0;
}

static void count_calls(size_t begin, size_t end, void *arg)
{
	__atomic_fetch_add((size_t *)arg, end - begin, __ATOMIC_SEQ_CST);
}

static int every_call(int code)
{
	size_t called = 0;

	calls_of_sync(code);
	calls_of_time_and_compose(code);
	calls_of_io(code);
	cr_assert_eq(weft_parallel_for(10, 1, count_calls, &called), code);
	cr_assert_eq(called, 0);
	return 0;
}

static int cancelled_before_each_call(void *arg)
{
	(void)arg;
	cancel_myself();
	return every_call(-ECANCELED);
}

Test(rules, cancel_at_entry)
{
	run_on_1_2_4(cancelled_before_each_call);
}

static int timed_out_before_each_call(void *arg)
{
	struct weft_scope scope;

	(void)arg;
	weft_deadline_begin(&scope, 0);
	every_call(-ETIMEDOUT);
	cr_assert_eq(weft_scope_end(&scope), 1);
	return 0;
}

Test(rules, cancel_at_entry__of_a_fired_deadline)
{
	run_on_1_2_4(timed_out_before_each_call);
}

static int join_although_cancelled(void *arg)
{
	int seven = 7;

	(void)arg;
	struct weft_task *stubborn = weft_create_task(return_int_when_cancelled, &seven);
	struct weft_task *obedient = weft_create_task(sleep_forever, NULL);
	struct weft_task *quick = weft_create_task(return_int, &seven);
	cancel_myself();
	/* each join cancels its task, waits for it to end, and the result wins */
	cr_assert_eq(weft_join(stubborn), 7);
	cr_assert_eq(weft_join(obedient), -ECANCELED);
	cr_assert_eq(weft_join(quick), 7);
	return 0;
}

Test(rules, cancel_at_entry__join_finishes_first)
{
	run_on_1_2_4(join_although_cancelled);
}

static int gather_although_cancelled(void *arg)
{
	int seven = 7;

	(void)arg;
	struct weft_task *good[] = {
		weft_create_task(return_int_when_cancelled, &seven),
		weft_create_task(return_int, &seven),
	};
	struct weft_task *mixed[] = {
		weft_create_task(return_int, &seven),
		weft_create_task(sleep_forever, NULL),
	};
	cancel_myself();
	cr_assert_eq(weft_gather(good, 2, NULL, 0), 0, "every member succeeded all the same");
	cr_assert_eq(weft_gather(mixed, 2, NULL, 0), -ECANCELED);
	cr_assert_eq(weft_status(mixed[0]), 7);
	cr_assert_eq(weft_status(mixed[1]), -ECANCELED, "it was waited for");
	weft_release_all(good, 2);
	weft_release_all(mixed, 2);
	return 0;
}

Test(rules, cancel_at_entry__gather_finishes_first)
{
	run_on_1_2_4(gather_although_cancelled);
}

static int race_although_cancelled(void *arg)
{
	int seven = 7;

	(void)arg;
	struct weft_task *one_wins[] = {
		weft_create_task(sleep_forever, NULL),
		weft_create_task(return_int_when_cancelled, &seven),
	};
	struct weft_task *none_wins[] = { weft_create_task(sleep_forever, NULL) };
	cancel_myself();
	cr_assert_eq(weft_race(one_wins, 2), 1);
	cr_assert_eq(weft_race(none_wins, 1), -ECANCELED);
	cr_assert_eq(weft_status(none_wins[0]), -ECANCELED);
	weft_release_all(one_wins, 2);
	weft_release_all(none_wins, 1);
	return 0;
}

Test(rules, cancel_at_entry__race_finishes_first)
{
	run_on_1_2_4(race_although_cancelled);
}

static int wait_for_although_cancelled(void *arg)
{
	int seven = 7;

	(void)arg;
	struct weft_task *stubborn = weft_create_task(return_int_when_cancelled, &seven);
	struct weft_task *obedient = weft_create_task(sleep_forever, NULL);
	cancel_myself();
	cr_assert_eq(weft_wait_for(stubborn, WEFT_FOREVER), 7);
	cr_assert_eq(weft_wait_for(obedient, WEFT_FOREVER), -ECANCELED);
	cr_assert_eq(weft_status(obedient), -ECANCELED);
	weft_release(stubborn);
	weft_release(obedient);
	return 0;
}

Test(rules, cancel_at_entry__wait_for_finishes_first)
{
	run_on_1_2_4(wait_for_although_cancelled);
}

static int group_join_although_cancelled(void *arg)
{
	struct weft_group group;
	bool ran = false;

	(void)arg;
	weft_group_begin(&group, 0);
	weft_group_spawn(&group, sleep_forever, NULL);
	weft_group_spawn(&group, note_that_it_ran, &ran);
	cancel_myself();
	cr_assert_eq(weft_group_join(&group), -ECANCELED);
	cr_assert(ran, "members end before the join returns");
	return 0;
}

Test(rules, cancel_at_entry__group_join_finishes_first)
{
	run_on_1_2_4(group_join_although_cancelled);
}

static int close_although_cancelled(void *arg)
{
	int fds[2];

	(void)arg;
	cr_assert_eq(pipe(fds), 0);
	cancel_myself();
	cr_assert_eq(weft_close(fds[0]), 0);
	cr_assert_eq(fcntl(fds[0], F_GETFD), -1, "it is closed");
	cr_assert_eq(weft_checkpoint(), -ECANCELED, "and the cancel is still there");
	close(fds[1]);
	return 0;
}

Test(rules, cancel_at_entry__close_always_closes)
{
	run_on_1_2_4(close_although_cancelled);
}

static int cond_wait_although_cancelled(void *arg)
{
	struct weft_mutex mutex = { 0 };
	struct weft_cond cond = { 0 };

	(void)arg;
	weft_mutex_lock(&mutex);
	cancel_myself();
	cr_assert_eq(weft_cond_wait(&cond, &mutex), -ECANCELED);
	cr_assert_eq(weft_mutex_trylock(&mutex), -EBUSY);
	cr_assert_eq(weft_mutex_unlock(&mutex), 0, "it is mine again");
	return 0;
}

Test(rules, cancel_at_entry__cond_wait_relocks)
{
	run_on_1_2_4(cond_wait_although_cancelled);
}

/* ---- result wins: what was done is returned; the cancel waits for the next checkpoint ---- */

struct receiver {
	struct weft_chan *chan;
	int item;
	int status;
	int next;
};

static int receive_one(void *arg)
{
	struct receiver *r = arg;

	r->status = weft_chan_recv(r->chan, &r->item);
	r->next = weft_checkpoint();
	return 0;
}

static int cancel_after_the_item_was_handed_over(void *arg)
{
	struct receiver r = { .chan = weft_chan_create(sizeof(int), 0) };
	int item = 42;

	(void)arg;
	struct weft_task *receiver = weft_create_task(receive_one, &r);
	weft_yield(); /* one worker: now it waits */
	cr_assert_eq(weft_chan_try_send(r.chan, &item), 0);
	cr_assert_eq(weft_cancel(receiver), 1);
	weft_join(receiver);
	cr_assert_eq(r.status, 1);
	cr_assert_eq(r.item, 42);
	cr_assert_eq(r.next, -ECANCELED);
	weft_chan_destroy(r.chan);
	return 0;
}

Test(rules, result_wins)
{
	cr_assert_eq(run_with(1, cancel_after_the_item_was_handed_over, NULL), 0);
}

struct locker {
	struct weft_mutex mutex;
	int status;
	int next;
};

static int lock_then_look(void *arg)
{
	struct locker *l = arg;

	l->status = weft_mutex_lock(&l->mutex);
	l->next = weft_checkpoint();
	return weft_mutex_unlock(&l->mutex);
}

static int cancel_after_the_lock_was_handed_over(void *arg)
{
	struct locker l = { .status = 1 };

	(void)arg;
	weft_mutex_lock(&l.mutex);
	struct weft_task *locker = weft_create_task(lock_then_look, &l);
	weft_yield();
	weft_mutex_unlock(&l.mutex);
	weft_cancel(locker);
	cr_assert_eq(weft_join(locker), 0, "it did own the lock");
	cr_assert_eq(l.status, 0);
	cr_assert_eq(l.next, -ECANCELED);
	return 0;
}

Test(rules, result_wins__a_lock_handed_over)
{
	cr_assert_eq(run_with(1, cancel_after_the_lock_was_handed_over, NULL), 0);
}

static int join_then_look(void *arg)
{
	int seven = 7;

	cr_assert_eq(weft_join(weft_create_task(return_int_when_cancelled, &seven)), 7);
	weft_event_flag_set(arg);
	return weft_checkpoint();
}

static int cancel_an_owner(void *arg)
{
	struct weft_event_flag joined = { 0 };

	(void)arg;
	struct weft_task *owner = weft_create_task(join_then_look, &joined);
	weft_cancel(owner);
	cr_assert_eq(weft_join(owner), -ECANCELED);
	cr_assert(weft_event_flag_is_set(&joined));
	return 0;
}

Test(rules, result_wins__an_owned_task_that_succeeded)
{
	run_on_1_2_4(cancel_an_owner);
}

struct reader {
	int fd;
	struct weft_event_flag started;
	char byte;
};

static int read_one_byte(void *arg)
{
	struct reader *r = arg;

	weft_event_flag_set(&r->started);
	return (int)weft_read(r->fd, &r->byte, 1);
}

/* A write and a cancel at the same time: the byte is in the reader's hands or in the pipe. */
static int cancel_while_data_arrives(void *arg)
{
	int fds[2];

	(void)arg;
	cr_assert_eq(pipe(fds), 0);
	for (int i = 0; i < 200; i++) {
		struct reader r = { .fd = fds[0] };
		struct weft_task *reader = weft_create_task(read_one_byte, &r);
		weft_event_flag_wait(&r.started);
		if (i % 2)
			weft_yield();
		cr_assert_eq(weft_write(fds[1], "x", 1), 1);
		weft_cancel(reader);
		int status = weft_join(reader);
		cr_assert(status == 1 || status == -ECANCELED, "status %d", status);
		cr_assert_eq(bytes_in(fds[0]), status == 1 ? 0 : 1, "round %d", i);
		if (status != 1)
			cr_assert_eq(read(fds[0], &r.byte, 1), 1);
		cr_assert_eq(r.byte, 'x');
	}
	close(fds[0]);
	close(fds[1]);
	return 0;
}

Test(rules, result_wins__no_byte_is_lost)
{
	run_on_1_2_4(cancel_while_data_arrives);
}

struct acceptor {
	int listener;
	struct weft_event_flag started;
};

static int accept_one(void *arg)
{
	struct acceptor *a = arg;

	weft_event_flag_set(&a->started);
	return weft_accept(a->listener, NULL, NULL, SOCK_CLOEXEC);
}

/* A connection and a cancel at the same time: it is accepted, or still there to accept. */
static int cancel_while_a_client_arrives(void *arg)
{
	char address[64];
	int listener = weft_listen("127.0.0.1:0", 64, 0);

	(void)arg;
	cr_assert_gt(weft_local_address(listener, address, sizeof(address)), 0);
	for (int i = 0; i < 50; i++) {
		struct acceptor a = { .listener = listener };
		struct weft_task *acceptor = weft_create_task(accept_one, &a);
		weft_event_flag_wait(&a.started);
		int client = weft_dial(address, 0);
		cr_assert_geq(client, 0);
		weft_cancel(acceptor);
		int server = weft_join(acceptor);
		if (server == -ECANCELED)
			server = weft_accept(listener, NULL, NULL, 0);
		cr_assert_geq(server, 0);
		weft_close(server);
		weft_close(client);
	}
	weft_close(listener);
	return 0;
}

Test(rules, result_wins__no_descriptor_is_lost)
{
	run_on_1_2_4(cancel_while_a_client_arrives);
}

/* Senders are cancelled at random moments; what a send reported is what was received. */
struct traffic {
	struct weft_chan *chan;
	int sent;
};

static int send_until_cancelled(void *arg)
{
	struct traffic *t = arg;
	int item = 1;

	while (weft_chan_send(t->chan, &item) == 0)
		t->sent++;
	return 0;
}

static int count_items(void *arg)
{
	struct traffic *t = arg;
	int item, n = 0;

	while (weft_chan_recv(t->chan, &item) == 1)
		n++;
	return n;
}

static int cancel_senders(void *arg)
{
	(void)arg;
	for (size_t capacity = 0; capacity <= 2; capacity++) {
		struct traffic out = { .chan = weft_chan_create(sizeof(int), capacity) };
		struct weft_task *receiver = weft_create_task(count_items, &out);
		int sent = 0;

		for (int i = 0; i < 50; i++) {
			struct traffic t = { .chan = out.chan };
			struct weft_task *sender = weft_create_task(send_until_cancelled, &t);
			for (int turns = 0; turns < i % 5; turns++)
				weft_yield();
			weft_cancel(sender);
			weft_join(sender);
			sent += t.sent;
		}
		weft_chan_close(out.chan);
		cr_assert_eq(weft_join(receiver), sent);
		weft_chan_destroy(out.chan);
	}
	return 0;
}

Test(rules, result_wins__no_item_is_lost)
{
	run_on_1_2_4(cancel_senders);
}

/* ---- cancel is level: until the task ends, is shielded, or absorbs it ---- */

static int stay_cancelled(void *arg)
{
	struct weft_scope shield;

	(void)arg;
	cr_assert_eq(weft_cancelled(), 0);
	cancel_myself();
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(weft_checkpoint(), -ECANCELED);
		cr_assert_eq(weft_sleep(WEFT_MS(1)), -ECANCELED);
	}
	cr_assert_eq(weft_cancelled(), 1);

	weft_shield_begin(&shield, WEFT_FOREVER);
	cr_assert_eq(weft_sleep(WEFT_MS(1)), 0, "shielded");
	weft_scope_end(&shield);
	cr_assert_eq(weft_checkpoint(), -ECANCELED);

	cr_assert_eq(weft_uncancel(), 1);
	cr_assert_eq(weft_cancelled(), 0);
	cr_assert_eq(weft_checkpoint(), 0, "absorbed");
	cr_assert_eq(weft_uncancel(), 0, "there is none left");
	return 0;
}

Test(rules, cancel_is_level)
{
	run_on_1_2_4(stay_cancelled);
}

/* ---- cancel has an owner: await leaves the task alone, owners take it with them ---- */

struct awaiter {
	struct weft_task *task;
	struct weft_event_flag started;
};

static int await_it(void *arg)
{
	struct awaiter *a = arg;

	weft_event_flag_set(&a->started);
	int status = weft_await(a->task);
	weft_release(a->task);
	return status;
}

static int cancel_an_awaiter(void *arg)
{
	struct weft_event_flag go = { 0 };

	(void)arg;
	struct weft_task *task = weft_create_task(wait_for_flag, &go);
	struct awaiter a = { .task = weft_ref(task) };
	struct weft_task *awaiter = weft_create_task(await_it, &a);
	weft_event_flag_wait(&a.started);
	weft_yield();
	weft_cancel(awaiter);
	/* the flag is not set yet: that the awaiter ends shows it does not wait any longer */
	cr_assert_eq(weft_join(awaiter), -ECANCELED);
	cr_assert_eq(weft_status(task), -EINPROGRESS);
	weft_event_flag_set(&go);
	cr_assert_eq(weft_join(task), 0, "nobody cancelled it");
	return 0;
}

Test(rules, cancel_has_an_owner__await_is_none)
{
	run_on_1_2_4(cancel_an_awaiter);
}

/* What an owner waits with; each of them takes the task with it when it is cancelled. */
struct owner {
	int how;
	struct weft_event_flag started;
	int child; /* the status of what it owned */
};

static int note_the_cancel(void *arg)
{
	struct owner *o = arg;

	weft_event_flag_set(&o->started);
	o->child = weft_sleep(WEFT_FOREVER);
	return o->child;
}

static int own_a_task(void *arg)
{
	struct owner *o = arg;
	struct weft_group group;
	struct weft_task *task;
	int status = 0;

	if (o->how == 4) {
		weft_group_begin(&group, 0);
		weft_group_spawn(&group, note_the_cancel, o);
		return weft_group_join(&group);
	}
	task = weft_create_task(note_the_cancel, o);
	switch (o->how) {
	case 0:
		return weft_join(task);
	case 1:
		status = weft_gather(&task, 1, NULL, 0);
		break;
	case 2:
		status = (int)weft_race(&task, 1);
		break;
	case 3:
		status = weft_wait_for(task, WEFT_FOREVER);
		break;
	}
	weft_release(task);
	return status;
}

static int cancel_each_owner(void *arg)
{
	(void)arg;
	for (int how = 0; how <= 4; how++) {
		struct owner o = { .how = how };
		struct weft_task *owner = weft_create_task(own_a_task, &o);
		weft_event_flag_wait(&o.started);
		weft_cancel(owner);
		cr_assert_eq(weft_join(owner), -ECANCELED, "owner %d", how);
		cr_assert_eq(o.child, -ECANCELED, "the child of owner %d", how);
	}
	return 0;
}

Test(rules, cancel_has_an_owner)
{
	run_on_1_2_4(cancel_each_owner);
}

/* ---- handles: one reference, one user at a time ---- */

static int await_and_release(void *arg)
{
	struct weft_task *mine = arg;

	int status = weft_await(mine);
	weft_release(mine);
	return status;
}

static int share_a_task(void *arg)
{
	struct weft_event_flag go = { 0 };
	struct weft_task *awaiters[5];
	int statuses[5];

	(void)arg;
	struct weft_task *task = weft_create_task(wait_for_flag, &go);
	for (int i = 0; i < 5; i++)
		awaiters[i] = weft_create_task(await_and_release, weft_ref(task));
	weft_release(task); /* the others keep it alive */
	weft_event_flag_set(&go);
	cr_assert_eq(weft_gather(awaiters, 5, statuses, 0), 0);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(statuses[i], 0);
	weft_release_all(awaiters, 5);
	return 0;
}

Test(rules, handles)
{
	run_on_1_2_4(share_a_task);
}

static void count_drop(void *value)
{
	++*(int *)value;
}

static int publish(void *arg)
{
	return weft_set_value(arg, count_drop);
}

static int release_one_by_one(void *arg)
{
	int dropped = 0;

	(void)arg;
	struct weft_task *first = weft_create_task(publish, &dropped);
	struct weft_task *second = weft_ref(first);
	cr_assert_eq(weft_await(first), 0);
	cr_assert_eq(weft_await(first), 0, "await does not release");
	cr_assert_eq(weft_join(first), 0, "join does");
	cr_assert_eq(dropped, 0);
	cr_assert_eq(weft_value(second), &dropped);
	weft_release(second);
	cr_assert_eq(dropped, 1, "inside the release of the last handle");
	return 0;
}

Test(rules, handles__only_join_and_release_release)
{
	run_on_1_2_4(release_one_by_one);
}

static int compose_without_releasing(void *arg)
{
	int dropped = 0;

	(void)arg;
	struct weft_task *task = weft_create_task(publish, &dropped);
	cr_assert_eq(weft_gather(&task, 1, NULL, 0), 0);
	cr_assert_eq(weft_wait(&task, 1, WEFT_ALL_COMPLETED, WEFT_FOREVER), 1);
	cr_assert_eq(weft_race(&task, 1), 0);
	cr_assert_eq(weft_wait_for(task, WEFT_FOREVER), 0);
	cr_assert_eq(dropped, 0);
	weft_release(task);
	cr_assert_eq(dropped, 1);
	return 0;
}

Test(rules, handles__compose_calls_do_not_release)
{
	run_on_1_2_4(compose_without_releasing);
}

/* Static: a detached task may still be inside the set when its creator goes on. */
static struct weft_event_flag detached_go, detached_done;

static int wait_then_set(void *arg)
{
	(void)arg;
	int status = weft_event_flag_wait(&detached_go);
	weft_event_flag_set(&detached_done);
	return status;
}

static int release_a_running_task(void *arg)
{
	struct weft_attr daemon = { .size = sizeof(daemon), .flags = WEFT_DAEMON };

	(void)arg;
	weft_event_flag_clear(&detached_go);
	weft_event_flag_clear(&detached_done);
	weft_release(weft_create_task_with(wait_then_set, NULL, &daemon));
	weft_yield();
	weft_event_flag_set(&detached_go);
	return weft_event_flag_wait(&detached_done); /* it ran on, and to its end */
}

Test(rules, handles__a_release_neither_cancels_nor_frees_a_running_task)
{
	run_on_1_2_4(release_a_running_task);
}

/* ---- a body always runs ---- */

static int free_arg(void *arg)
{
	cr_assert_eq(weft_checkpoint(), -ECANCELED, "the cancel is pending");
	free(arg);
	return -ECANCELED;
}

static int cancel_before_the_start(void *arg)
{
	struct weft_task *tasks[20];

	(void)arg;
	for (int i = 0; i < 20; i++) {
		struct weft_task *owned = weft_create_task(free_arg, malloc(100));
		/* with one worker it cannot have started yet */
		weft_cancel(owned);
		tasks[i] = owned;
	}
	for (int i = 0; i < 20; i++)
		cr_assert_eq(weft_join(tasks[i]), -ECANCELED);
	return 0;
}

/* LeakSanitizer sees a body that did not run; the checkpoint inside one that did. */
Test(rules, a_body_always_runs)
{
	cr_assert_eq(run_with(1, cancel_before_the_start, NULL), 0);
}

struct member {
	struct weft_event_flag ran;
};

static int ran(void *arg)
{
	struct member *m = arg;

	weft_event_flag_set(&m->ran);
	return 0;
}

static int cancel_members_before_the_start(void *arg)
{
	struct weft_group group;
	struct member members[10] = { 0 };

	(void)arg;
	weft_group_begin(&group, 0);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(weft_group_spawn(&group, ran, &members[i]), 0);
	weft_group_cancel(&group);
	cr_assert_eq(weft_group_join(&group), 0);
	for (int i = 0; i < 10; i++)
		cr_assert(weft_event_flag_is_set(&members[i].ran));
	return 0;
}

Test(rules, a_body_always_runs__in_a_cancelled_group)
{
	run_on_1_2_4(cancel_members_before_the_start);
}

static int only_what_was_created(void *arg)
{
	struct weft_task *task = weft_create_task(NULL, NULL);

	(void)arg;
	cr_assert_eq(weft_id(task), 0);
	cr_assert_eq(weft_status(task), -EINVAL, "its status says why");
	cr_assert_eq(weft_await(task), -EINVAL);
	cr_assert_eq(weft_cancel(task), 0, "it has ended already");
	cr_assert_eq(weft_join(task), -EINVAL);
	return 0;
}

Test(rules, a_body_always_runs__but_for_tasks_that_could_not_be_created)
{
	run_on_1_2_4(only_what_was_created);
}

/* ---- buffers: a call returns only after the kernel is done with its buffer ---- */

static int read_into_the_stack(void *arg)
{
	struct reader *r = arg;
	char buf[512];

	weft_event_flag_set(&r->started);
	return (int)weft_read(r->fd, buf, sizeof(buf));
}

/* Lies where the reader's buffer lay, if stacks are used again. */
static int watch_the_stack(void *arg)
{
	struct reader *r = arg;
	char buf[2048];

	memset(buf, 'w', sizeof(buf));
	cr_assert_eq(write(r->fd, "EVIL", 4), 4);
	weft_sleep(WEFT_MS(1));
	for (size_t i = 0; i < sizeof(buf); i++)
		cr_assert_eq(buf[i], 'w', "byte %zu was written by the kernel", i);
	return 0;
}

static int reuse_a_stack_after_a_cancel(void *arg)
{
	int fds[2];
	char buf[8];

	(void)arg;
	cr_assert_eq(pipe(fds), 0);
	for (int i = 0; i < 50; i++) {
		struct reader in = { .fd = fds[0] }, out = { .fd = fds[1] };
		struct weft_task *reader = weft_create_task(read_into_the_stack, &in);
		weft_event_flag_wait(&in.started);
		weft_yield();
		weft_cancel(reader);
		cr_assert_eq(weft_join(reader), -ECANCELED);
		struct weft_task *watcher = weft_create_task(watch_the_stack, &out);
		cr_assert_eq(weft_join(watcher), 0);
		cr_assert_eq(read(fds[0], buf, sizeof(buf)), 4, "the bytes are in the pipe");
	}
	close(fds[0]);
	close(fds[1]);
	return 0;
}

Test(rules, buffers)
{
	run_on_1_2_4(reuse_a_stack_after_a_cancel);
}

/* ---- codes with a meaning ---- */

static int codes_of_cancel_and_time(void *arg)
{
	struct weft_scope scope;
	struct weft_task *task = weft_create_task(sleep_forever, NULL);
	struct weft_as_completed walk;

	(void)arg;
	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_await(task), -ETIMEDOUT, "a deadline scope fired");
	cancel_myself();
	cr_assert_eq(weft_checkpoint(), -ECANCELED, "-ECANCELED beats -ETIMEDOUT");
	weft_uncancel();
	cr_assert_eq(weft_checkpoint(), -ETIMEDOUT);
	weft_scope_end(&scope);

	weft_as_completed_begin(&walk, &task, 1);
	cr_assert_eq(weft_as_completed_next(&walk, WEFT_MS(2)), -EAGAIN, "its own timeout");
	weft_as_completed_end(&walk);

	weft_cancel(task);
	cr_assert_eq(weft_await(task), -ECANCELED, "someone cancelled what was awaited");
	cr_assert_eq(weft_checkpoint(), 0, "not me");
	weft_release(task);
	return 0;
}

Test(rules, codes_with_a_meaning)
{
	run_on_1_2_4(codes_of_cancel_and_time);
}

static int wait_for_myself(void *arg)
{
	struct weft_task *me = weft_ref(weft_self());

	(void)arg;
	cr_assert_eq(weft_await(me), -EDEADLK);
	cr_assert_eq(weft_gather(&me, 1, NULL, 0), -EDEADLK);
	cr_assert_eq(weft_wait_for(me, WEFT_FOREVER), -EDEADLK);
	cr_assert_eq(weft_cancelled(), 0, "and nobody was cancelled for it");
	/* join releases, even on error; but what weft_self() lends is not a reference to give up */
	cr_assert_eq(weft_join(weft_self()), -EDEADLK);
	cr_assert_str_eq(weft_name(me), weft_name(weft_self()));
	weft_release(me);
	return 0;
}

Test(rules, codes_with_a_meaning__edeadlk_of_oneself)
{
	run_on_1_2_4(wait_for_myself);
}

struct circle {
	struct weft_task *next;
	struct weft_event_flag *ready;
};

static int await_the_next(void *arg)
{
	struct circle *c = arg;

	weft_event_flag_wait(c->ready);
	int status = weft_await(c->next);
	weft_release(c->next);
	return status == -EDEADLK ? 1 : status;
}

static int close_a_circle(void *arg)
{
	struct weft_event_flag ready = { 0 };
	struct circle circle[3];
	struct weft_task *tasks[3];
	int statuses[3], deadlocks = 0;

	(void)arg;
	for (int i = 0; i < 3; i++) {
		circle[i].ready = &ready;
		tasks[i] = weft_create_task(await_the_next, &circle[i]);
	}
	for (int i = 0; i < 3; i++)
		circle[i].next = weft_ref(tasks[(i + 1) % 3]);
	weft_event_flag_set(&ready);
	cr_assert_eq(weft_gather(tasks, 3, statuses, WEFT_GATHER_ALL), 0);
	/* who closes the circle is told, returns 1, and that travels round */
	for (int i = 0; i < 3; i++)
		deadlocks += statuses[i] == 1;
	cr_assert_eq(deadlocks, 3);
	weft_release_all(tasks, 3);
	return 0;
}

Test(rules, codes_with_a_meaning__edeadlk_of_a_circle)
{
	run_on_1_2_4(close_a_circle);
}

static int lock_twice(void *arg)
{
	struct weft_mutex mutex = { 0 };

	(void)arg;
	weft_mutex_lock(&mutex);
	cr_assert_eq(weft_mutex_lock(&mutex), -EDEADLK);
	cr_assert_eq(weft_mutex_unlock(&mutex), 0);
	return 0;
}

Test(rules, codes_with_a_meaning__edeadlk_of_a_relock)
{
	run_on_1_2_4(lock_twice);
}

static int close_under_a_reader(void *arg)
{
	struct reader r = { 0 };
	int fds[2];

	(void)arg;
	cr_assert_eq(pipe(fds), 0);
	r.fd = fds[0];
	struct weft_task *reader = weft_create_task(read_one_byte, &r);
	weft_event_flag_wait(&r.started);
	weft_yield();
	cr_assert_eq(weft_close(fds[0]), 0);
	cr_assert_eq(weft_join(reader), -EBADF);
	close(fds[1]);
	return 0;
}

Test(rules, codes_with_a_meaning__ebadf_of_a_close)
{
	run_on_1_2_4(close_under_a_reader);
}

/* ---- misuse: an error code, never a crash (test_misuse goes through the calls) ---- */

static int small_misuse(void *arg)
{
	(void)arg;
	cr_assert_eq(weft_await(NULL), -EINVAL);
	cr_assert_eq(weft_join(NULL), -EINVAL);
	cr_assert_eq(weft_go(NULL, NULL), -EINVAL);
	return 0;
}

Test(rules, misuse)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	run_on_1_2_4(small_misuse);
	config.workers = 1025;
	cr_assert_eq(weft_run(succeed, NULL, &config), -EINVAL);
	config.workers = 1;
	config.size = 0;
	cr_assert_eq(weft_run(succeed, NULL, &config), -EINVAL);
	cr_assert_eq(weft_yield(), -EPERM, "the wrong thread");
}

/* ---- plain threads: the test itself is one ---- */

struct request {
	struct weft_task *task;
	weft_fn fn;
	void *arg;
};

static int create_for_a_thread(void *arg)
{
	struct request *r = arg;

	r->task = weft_create_task(r->fn, r->arg);
	return 0;
}

static struct weft_task *create_in(struct weft_runtime *rt, weft_fn fn, void *arg)
{
	struct request r = { .fn = fn, .arg = arg };

	cr_assert_eq(weft_runtime_call(rt, create_for_a_thread, &r, WEFT_FOREVER), 0);
	return r.task;
}

Test(rules, plain_threads)
{
	struct weft_runtime *rt = start_runtime(2);
	struct weft_event_flag go = { 0 };
	struct weft_task *task = create_in(rt, wait_for_flag, &go);
	struct weft_task *other = weft_ref(task);

	cr_assert_eq(weft_status(task), -EINPROGRESS);
	weft_event_flag_set(&go);
	cr_assert_eq(weft_await(task), 0, "it blocks");
	cr_assert_eq(weft_join(task), 0);
	cr_assert_eq(weft_status(other), 0);
	weft_release(other);

	struct weft_task *endless = create_in(rt, sleep_forever, NULL);
	cr_assert_eq(weft_cancel(endless), 1);
	cr_assert_eq(weft_join(endless), -ECANCELED);
	weft_runtime_destroy(rt);
}

Test(rules, plain_threads__compose)
{
	struct weft_runtime *rt = start_runtime(2);
	struct weft_event_flag go = { 0 };
	struct weft_as_completed walk;
	struct weft_task *tasks[] = {
		create_in(rt, wait_for_flag, &go),
		create_in(rt, succeed, NULL),
	};

	cr_assert_eq(weft_wait(tasks, 2, WEFT_FIRST_COMPLETED, WEFT_FOREVER), 1);
	cr_assert_eq(weft_wait(tasks, 2, WEFT_ALL_COMPLETED, WEFT_MS(2)), 1);
	weft_as_completed_begin(&walk, tasks, 2);
	cr_assert_eq(weft_as_completed_next(&walk, WEFT_FOREVER), 0);
	cr_assert_eq(weft_as_completed_next(&walk, WEFT_MS(2)), -EAGAIN);
	weft_as_completed_end(&walk);
	cr_assert_eq(weft_race(tasks, 2), 0, "the loser is cancelled");
	cr_assert_eq(weft_gather(tasks, 2, NULL, 0), -ECANCELED);
	weft_release_all(tasks, 2);

	struct weft_task *endless = create_in(rt, sleep_forever, NULL);
	cr_assert_eq(weft_wait_for(endless, WEFT_MS(2)), -ETIMEDOUT);
	cr_assert_eq(weft_status(endless), -ECANCELED);
	weft_release(endless);
	weft_runtime_destroy(rt);
}

Test(rules, plain_threads__sleep)
{
	weft_ns before = weft_now();

	cr_assert_eq(weft_sleep(WEFT_MS(5)), 0);
	cr_assert_geq(weft_now() - before, WEFT_MS(5));
	cr_assert_eq(weft_sleep(0), 0);
	cr_assert_eq(weft_sleep_until(weft_now() + WEFT_MS(1)), 0);
}

struct exchange {
	struct weft_chan *to_task;
	struct weft_chan *to_thread;
	struct weft_mutex mutex;
	int sum;
};

static int double_each(void *arg)
{
	struct exchange *x = arg;
	int item;

	while (weft_chan_recv(x->to_task, &item) == 1) {
		weft_mutex_lock(&x->mutex);
		x->sum += item;
		weft_mutex_unlock(&x->mutex);
		item *= 2;
		weft_chan_send(x->to_thread, &item);
	}
	return 0;
}

Test(rules, plain_threads__all_of_sync)
{
	struct weft_runtime *rt = start_runtime(2);
	struct exchange x = {
		.to_task = weft_chan_create(sizeof(int), 0),
		.to_thread = weft_chan_create(sizeof(int), 0),
	};
	struct weft_task *task = create_in(rt, double_each, &x);

	for (int i = 0; i < 100; i++) {
		int answer = 0;
		cr_assert_eq(weft_chan_send(x.to_task, &i), 0);
		cr_assert_eq(weft_chan_recv(x.to_thread, &answer), 1);
		cr_assert_eq(answer, 2 * i);
		cr_assert_eq(weft_mutex_lock(&x.mutex), 0);
		x.sum -= i;
		cr_assert_eq(x.sum, 0);
		cr_assert_eq(weft_mutex_unlock(&x.mutex), 0);
	}
	weft_chan_close(x.to_task);
	cr_assert_eq(weft_join(task), 0);
	weft_chan_destroy(x.to_task);
	weft_chan_destroy(x.to_thread);
	weft_runtime_destroy(rt);
}

static void do_nothing(size_t begin, size_t end, void *arg)
{
	(void)begin;
	(void)end;
	(void)arg;
}

Test(rules, plain_threads__what_is_for_tasks_only)
{
	struct weft_scope scope;
	struct weft_group group;
	char byte;

	struct weft_task *task = weft_create_task(succeed, NULL);
	cr_assert_eq(weft_id(task), 0);
	cr_assert_eq(weft_join(task), -EPERM);
	cr_assert_eq(weft_go(succeed, NULL), -EPERM);
	weft_group_begin(&group, 0);
	cr_assert_eq(weft_group_spawn(&group, succeed, NULL), -EPERM);
	cr_assert_eq(weft_parallel_for(1, 1, do_nothing, NULL), -EPERM);
	cr_assert_eq(weft_yield(), -EPERM);
	cr_assert_eq(weft_checkpoint(), -EPERM);
	cr_assert_eq(weft_uncancel(), -EPERM);
	cr_assert_eq(weft_read(0, &byte, 1), -EPERM);
	cr_assert_eq(weft_close(-1), -EPERM);
	cr_assert_eq(weft_listen("127.0.0.1:0", 1, 0), -EPERM);
	cr_assert_eq(weft_set_value(&byte, NULL), -EPERM);
	weft_deadline_begin(&scope, 0);
	weft_deadline_move(&scope, 0);
	cr_assert_eq(weft_scope_end(&scope), -EPERM);
	weft_shield_begin(&scope, 0);
	cr_assert_eq(weft_scope_end(&scope), -EPERM);
	cr_assert_null(weft_self());
	cr_assert_null(weft_runtime_current());
	cr_assert_eq(weft_cancelled(), 0);
}

static int join_it(void *arg)
{
	return weft_join(arg);
}

Test(rules, plain_threads__await_join_and_cancel_work_across_runtimes)
{
	struct weft_runtime *here = start_runtime(1), *there = start_runtime(1);
	struct weft_event_flag go = { 0 };

	struct weft_task *task = create_in(there, wait_for_flag, &go);
	struct weft_task *awaiter = create_in(here, await_and_release, weft_ref(task));
	weft_event_flag_set(&go);
	cr_assert_eq(weft_join(awaiter), 0);
	cr_assert_eq(weft_join(task), 0);

	struct weft_task *endless = create_in(there, sleep_forever, NULL);
	struct weft_task *owner = create_in(here, join_it, endless);
	weft_cancel(owner); /* and with it what it owns, on the other side */
	cr_assert_eq(weft_join(owner), -ECANCELED);
	weft_runtime_destroy(here);
	weft_runtime_destroy(there);
}

/* ---- order, free of charge ---- */

enum { MEMBERS = 12 };

static void write_entries(struct diary *diary, struct entry *entries, struct weft_task **tasks)
{
	for (int i = 0; i < MEMBERS; i++) {
		entries[i] = (struct entry){ .diary = diary, .line = i };
		tasks[i] = weft_create_task(write_entry, &entries[i]);
	}
}

static int start_in_creation_order(void *arg)
{
	struct diary diary = { 0 };
	struct entry entries[MEMBERS];
	struct weft_task *tasks[MEMBERS];

	(void)arg;
	write_entries(&diary, entries, tasks);
	weft_wait(tasks, MEMBERS, WEFT_ALL_COMPLETED, WEFT_FOREVER);
	assert_in_order(&diary, MEMBERS);
	weft_release_all(tasks, MEMBERS);

	diary.n = 0; /* and again, in what was created since it last resumed */
	write_entries(&diary, entries, tasks);
	weft_sleep(WEFT_MS(1));
	assert_in_order(&diary, MEMBERS);
	weft_release_all(tasks, MEMBERS);
	return 0;
}

Test(rules, order_free_of_charge)
{
	cr_assert_eq(run_with(1, start_in_creation_order, NULL), 0);
}

static int gather_in_creation_order(void *arg)
{
	struct diary diary = { 0 };
	struct entry entries[MEMBERS];
	struct weft_task *tasks[MEMBERS], *reverse[MEMBERS];

	(void)arg;
	write_entries(&diary, entries, tasks);
	for (int i = 0; i < MEMBERS; i++)
		reverse[i] = tasks[MEMBERS - 1 - i];
	cr_assert_eq(weft_gather(reverse, MEMBERS, NULL, 0), 0);
	assert_in_order(&diary, MEMBERS); /* of creation, not of the arguments */
	weft_release_all(tasks, MEMBERS);
	return 0;
}

Test(rules, order_free_of_charge__under_gather)
{
	cr_assert_eq(run_with(1, gather_in_creation_order, NULL), 0);
}

static int group_in_creation_order(void *arg)
{
	struct diary diary = { 0 };
	struct entry entries[MEMBERS];
	struct weft_group group;

	(void)arg;
	weft_group_begin(&group, 0);
	for (int i = 0; i < MEMBERS; i++) {
		entries[i] = (struct entry){ .diary = &diary, .line = i };
		weft_group_spawn(&group, write_entry, &entries[i]);
	}
	cr_assert_eq(weft_group_join(&group), 0);
	assert_in_order(&diary, MEMBERS);
	return 0;
}

Test(rules, order_free_of_charge__under_group_join)
{
	cr_assert_eq(run_with(1, group_in_creation_order, NULL), 0);
}

struct alarm {
	struct diary *diary;
	int line;
	weft_ns when;
};

static int sleep_then_write(void *arg)
{
	struct alarm *alarm = arg;

	weft_sleep_until(alarm->when);
	note(alarm->diary, alarm->line);
	return 0;
}

/* All are long due when the worker gets round to them: the order is not one of arrival. */
static int fire_in_order(void *arg)
{
	static const int after_ms[MEMBERS] = { 5, 1, 3, 1, 4, 2, 2, 5, 3, 4, 1, 2 };
	struct diary diary = { 0 };
	struct alarm alarms[MEMBERS];
	struct weft_task *tasks[MEMBERS];
	/* when all of them sleep for certain: a new stack takes ThreadSanitizer milliseconds */
	weft_ns start = weft_now() + WEFT_MS(SANITIZED ? 500 : 50);
	int rank = 0;

	(void)arg;
	for (int ms = 1; ms <= 5; ms++)
		for (int i = 0; i < MEMBERS; i++)
			if (after_ms[i] == ms)
				alarms[i].line = rank++;
	for (int i = 0; i < MEMBERS; i++) {
		alarms[i].diary = &diary;
		alarms[i].when = start + WEFT_MS(after_ms[i]);
		tasks[i] = weft_create_task(sleep_then_write, &alarms[i]);
	}
	weft_yield(); /* they all sleep now */
	while (weft_now() < start + WEFT_MS(10))
		; /* ends by the clock; this task holds the only worker meanwhile */
	weft_wait(tasks, MEMBERS, WEFT_ALL_COMPLETED, WEFT_FOREVER);
	assert_in_order(&diary, MEMBERS);
	weft_release_all(tasks, MEMBERS);
	return 0;
}

Test(rules, order_free_of_charge__timers_fire_by_deadline_then_creation)
{
	cr_assert_eq(run_with(1, fire_in_order, NULL), 0);
}

struct queue {
	struct diary diary;
	struct weft_mutex mutex;
	struct weft_sem sem;
	struct weft_cond cond;
	struct weft_chan *chan;
	int which;
};

struct place {
	struct queue *queue;
	int line;
};

static int queue_up(void *arg)
{
	struct place *place = arg;
	struct queue *q = place->queue;
	int item;

	switch (q->which) {
	case 0:
		weft_mutex_lock(&q->mutex);
		note(&q->diary, place->line);
		return weft_mutex_unlock(&q->mutex);
	case 1:
		weft_sem_acquire(&q->sem, 1);
		note(&q->diary, place->line);
		weft_sem_release(&q->sem, 1);
		return 0;
	case 2:
		weft_mutex_lock(&q->mutex);
		weft_cond_wait(&q->cond, &q->mutex);
		note(&q->diary, place->line);
		return weft_mutex_unlock(&q->mutex);
	case 3:
		weft_chan_recv(q->chan, &item);
		cr_assert_eq(item, place->line, "the first waiter gets the first item");
		note(&q->diary, item);
		return 0;
	default:
		return weft_chan_send(q->chan, &place->line);
	}
}

static void open_the_doors(struct queue *q)
{
	int item;

	switch (q->which) {
	case 0:
		weft_mutex_unlock(&q->mutex);
		break;
	case 1:
		weft_sem_release(&q->sem, 1);
		break;
	case 2:
		for (int i = 0; i < MEMBERS; i++)
			weft_cond_signal(&q->cond);
		break;
	case 3:
		for (int i = 0; i < MEMBERS; i++)
			weft_chan_send(q->chan, &i);
		break;
	default:
		for (int i = 0; i < MEMBERS; i++) {
			weft_chan_recv(q->chan, &item);
			note(&q->diary, item);
		}
	}
}

static int serve_in_order(void *arg)
{
	(void)arg;
	for (int which = 0; which <= 4; which++) {
		struct queue q = { .which = which, .chan = weft_chan_create(sizeof(int), 0) };
		struct place places[MEMBERS];
		struct weft_task *tasks[MEMBERS];

		if (which == 0)
			weft_mutex_lock(&q.mutex);
		for (int i = 0; i < MEMBERS; i++) {
			places[i] = (struct place){ .queue = &q, .line = i };
			tasks[i] = weft_create_task(queue_up, &places[i]);
			weft_yield(); /* one worker: it waits now */
		}
		open_the_doors(&q);
		cr_assert_eq(weft_gather(tasks, MEMBERS, NULL, 0), 0);
		assert_in_order(&q.diary, MEMBERS);
		weft_release_all(tasks, MEMBERS);
		weft_chan_destroy(q.chan);
	}
	return 0;
}

Test(rules, order_free_of_charge__waiters_are_served_in_order)
{
	cr_assert_eq(run_with(1, serve_in_order, NULL), 0);
}

/* ---- depth ---- */

static int create_and_join_deeper(void *arg)
{
	int left = *(int *)arg - 1;

	if (left == 0)
		return 1;
	int below = weft_join(weft_create_task(create_and_join_deeper, &left));
	return below < 0 ? below : below + 1;
}

Test(rules, depth)
{
	for (unsigned workers = 1; workers <= 4; workers *= 2) {
		int levels = SANITIZED ? 2000 : 100000;
		cr_assert_eq(run_with(workers, create_and_join_deeper, &levels), levels);
	}
}

static int use_a_large_frame(void *arg)
{
	volatile char frame[128 * 1024];

	(void)arg;
	for (size_t i = 0; i < sizeof(frame); i += 1024)
		frame[i] = (char)i;
	weft_yield();
	for (size_t i = 0; i < sizeof(frame); i += 1024)
		cr_assert_eq(frame[i], (char)i);
	return 0;
}

static int use_large_frames(void *arg)
{
	struct weft_task *tasks[20];

	for (int i = 0; i < 20; i++)
		tasks[i] = weft_create_task(use_a_large_frame, arg);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(weft_join(tasks[i]), 0);
	return 0;
}

Test(rules, depth__a_frame_of_128_kib_fits)
{
	run_on_1_2_4(use_large_frames);
}

/* ---- time ---- */

static int measure(void *arg)
{
	weft_ns before = weft_now();

	(void)arg;
	cr_assert_eq(WEFT_MS(3), 3000000);
	cr_assert_eq(WEFT_SEC(2), 2000000000);
	cr_assert_eq(weft_sleep(WEFT_MS(3)), 0);
	cr_assert_geq(weft_now() - before, WEFT_MS(3), "never less than asked for");
	before = weft_now();
	cr_assert_eq(weft_sleep_until(before + WEFT_MS(3)), 0);
	cr_assert_geq(weft_now(), before + WEFT_MS(3));
	return 0;
}

Test(rules, time)
{
	run_on_1_2_4(measure);
}

static int saturate(void *arg)
{
	struct weft_scope scope;
	static const weft_ns huge[] = { WEFT_FOREVER, WEFT_FOREVER - 1, WEFT_FOREVER - WEFT_SEC(1) };

	(void)arg;
	for (int i = 0; i < 3; i++) {
		struct weft_task *task = weft_create_task(sleep_forever, NULL);
		weft_deadline_begin(&scope, huge[i]);
		cr_assert_eq(weft_sleep(WEFT_MS(1)), 0, "it has not fired");
		cr_assert_eq(weft_scope_end(&scope), 0);
		cr_assert_eq(weft_wait(&task, 1, WEFT_ALL_COMPLETED, WEFT_MS(1)), 0);
		weft_deadline_begin(&scope, WEFT_MS(1));
		cr_assert_eq(weft_sleep(huge[i]), -ETIMEDOUT);
		cr_assert_eq(weft_sleep_until(huge[i]), -ETIMEDOUT);
		weft_scope_end(&scope);
		weft_cancel(task);
		weft_join(task);
	}
	return 0;
}

Test(rules, time__saturates)
{
	run_on_1_2_4(saturate);
}

static int do_not_wait(void *arg)
{
	static const weft_ns none[] = { 0, -1, INT64_MIN };

	(void)arg;
	for (int i = 0; i < 3; i++) {
		struct weft_task *task = weft_create_task(sleep_forever, NULL);
		struct weft_as_completed walk;
		struct weft_scope scope;

		cr_assert_eq(weft_sleep(none[i]), 0);
		cr_assert_eq(weft_sleep_until(none[i]), 0, "long past");
		cr_assert_eq(weft_wait(&task, 1, WEFT_ALL_COMPLETED, none[i]), 0);
		weft_as_completed_begin(&walk, &task, 1);
		cr_assert_eq(weft_as_completed_next(&walk, none[i]), -EAGAIN);
		weft_as_completed_end(&walk);
		weft_deadline_begin(&scope, none[i]);
		cr_assert_eq(weft_checkpoint(), -ETIMEDOUT);
		weft_scope_end(&scope);
		cr_assert_eq(weft_wait_for(task, none[i]), -ETIMEDOUT);
		weft_release(task);
	}
	return 0;
}

Test(rules, time__a_duration_of_zero_or_less_does_not_wait)
{
	run_on_1_2_4(do_not_wait);
}

static int yield_by_sleeping(void *arg)
{
	bool ran_meanwhile = false;

	(void)arg;
	struct weft_task *task = weft_create_task(note_that_it_ran, &ran_meanwhile);
	weft_sleep(0);
	cr_assert(ran_meanwhile);
	weft_join(task);
	return 0;
}

Test(rules, time__sleeping_for_nothing_yields)
{
	cr_assert_eq(run_with(1, yield_by_sleeping, NULL), 0);
}
