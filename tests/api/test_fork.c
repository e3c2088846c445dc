/* SPDX-License-Identifier: MIT */
/*
 * fork - a forked child has the memory of its parent's runtime, but none of its threads: every
 * call that would need them says so, and the parent is not disturbed.
 */
#include "helper.h"

#include <fcntl.h>
#include <malloc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

TestSuite(fork, .timeout = PATIENCE);

/* The child exits with the number of its first check that failed, 0 for none. */
static int exit_code_of(pid_t pid)
{
	int status;

	cr_assert_gt(pid, 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status), "the child was killed by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

struct request {
	struct weft_task *task;
};

static int create_a_sleeper(void *arg)
{
	((struct request *)arg)->task = weft_create_task(sleep_forever, NULL);
	return 0;
}

static int call_as_a_child(struct weft_runtime *rt, struct weft_task *task)
{
	if (weft_runtime_call(rt, succeed, NULL, WEFT_FOREVER) != -EOWNERDEAD)
		return 1;
	if (weft_runtime_post(rt, succeed, NULL) != -EOWNERDEAD)
		return 2;
	if (weft_runtime_stop(rt, WEFT_FOREVER) != -EOWNERDEAD)
		return 3;
	if (weft_await(task) != -EOWNERDEAD)
		return 4;
	if (weft_wait_for(task, WEFT_FOREVER) != -EOWNERDEAD)
		return 5;
	if (weft_gather(&task, 1, NULL, 0) != -EOWNERDEAD)
		return 6;
	if (weft_wait(&task, 1, WEFT_ALL_COMPLETED, WEFT_FOREVER) != -EOWNERDEAD)
		return 7;
	if (weft_race(&task, 1) != -EOWNERDEAD)
		return 8;
	if (weft_cancel(task) != -EOWNERDEAD)
		return 9;
	if (weft_join(task) != -EOWNERDEAD)
		return 10;
	return 0;
}

Test(fork, a_child_of_a_plain_thread_cannot_use_the_runtime)
{
	struct weft_runtime *rt = start_runtime(2);
	struct request r;

	cr_assert_eq(weft_runtime_call(rt, create_a_sleeper, &r, WEFT_FOREVER), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(call_as_a_child(rt, r.task));
	cr_assert_eq(exit_code_of(pid), 0);

	/* the parent goes on */
	cr_assert_eq(weft_status(r.task), -EINPROGRESS);
	cr_assert_eq(weft_runtime_call(rt, succeed, NULL, WEFT_FOREVER), 0);
	weft_cancel(r.task);
	cr_assert_eq(weft_join(r.task), -ECANCELED);
	weft_runtime_destroy(rt);
}

static void nothing(size_t begin, size_t end, void *arg)
{
	(void)begin;
	(void)end;
	(void)arg;
}

/*
 * Whatever thread held the allocator's lock at the fork holds it for good in the child, unless the
 * allocator takes care (glibc's does, a sanitizer's does not): the calls must not need it. A
 * sanitizer's allocator reports nothing here; a call that allocates hangs there now and then.
 */
static size_t allocated(void)
{
	return mallinfo2().uordblks;
}

static int suspend_as_a_child(int fd)
{
	const size_t before = allocated();
	struct weft_group group;
	char byte;

	if (weft_yield() != -EOWNERDEAD)
		return 1;
	if (weft_checkpoint() != -EOWNERDEAD)
		return 2;
	if (weft_sleep(WEFT_MS(1)) != -EOWNERDEAD)
		return 3;
	if (weft_read(fd, &byte, 1) != -EOWNERDEAD)
		return 4;
	if (weft_close(fd) != -EOWNERDEAD)
		return 5;
	if (weft_join(weft_create_task(succeed, NULL)) != -EOWNERDEAD)
		return 6;
	if (weft_go(succeed, NULL) != -EOWNERDEAD)
		return 7;
	weft_group_begin(&group, 0);
	if (weft_group_spawn(&group, succeed, NULL) != -EOWNERDEAD)
		return 8;
	if (weft_parallel_for(1, 1, nothing, NULL) != -EOWNERDEAD)
		return 9;
	if (allocated() != before)
		return 10;
	return 0;
}

/* Prints and returns the first call that does not say so. */
#define DEAD(call)                                                                       \
	do {                                                                             \
		long long status_ = (long long)(call);                                   \
		if (status_ != -EOWNERDEAD) {                                            \
			fprintf(stderr, "%s: %lld\n", #call, status_);                   \
			return 1;                                                        \
		}                                                                        \
	} while (0)

static int drop(int fd, void *user)
{
	(void)fd;
	(void)user;
	return 0;
}

static int do_input_and_output(int fd)
{
	struct iovec iov = { .iov_base = &iov, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct addrinfo *found;
	struct statx about;
	socklen_t len = sizeof(to);
	size_t done;
	char buf[16];

	DEAD(weft_read(fd, buf, 1));
	DEAD(weft_write(fd, buf, 1));
	DEAD(weft_pread(fd, buf, 1, 0));
	DEAD(weft_pwrite(fd, buf, 1, 0));
	DEAD(weft_readv(fd, &iov, 1));
	DEAD(weft_writev(fd, &iov, 1));
	DEAD(weft_recv(fd, buf, 1, 0));
	DEAD(weft_send(fd, buf, 1, 0));
	DEAD(weft_recvfrom(fd, buf, 1, 0, (struct sockaddr *)&to, &len));
	DEAD(weft_sendto(fd, buf, 1, 0, (struct sockaddr *)&to, sizeof(to)));
	DEAD(weft_recvmsg(fd, &msg, 0));
	DEAD(weft_sendmsg(fd, &msg, 0));
	DEAD(weft_read_full(fd, buf, 1));
	DEAD(weft_write_full(fd, buf, 1, &done));
	DEAD(weft_send_full(fd, buf, 1, 0, &done));
	DEAD(weft_send_zc(fd, buf, 1, 0));
	DEAD(weft_socket(AF_INET, SOCK_STREAM, 0));
	DEAD(weft_connect(fd, (struct sockaddr *)&to, sizeof(to)));
	DEAD(weft_accept(fd, NULL, NULL, 0));
	DEAD(weft_shutdown(fd, SHUT_RDWR));
	DEAD(weft_close(fd));
	DEAD(weft_openat(AT_FDCWD, "/dev/null", O_RDONLY, 0));
	DEAD(weft_fsync(fd, 0));
	DEAD(weft_statx(AT_FDCWD, "/", 0, STATX_BASIC_STATS, &about));
	DEAD(weft_fallocate(fd, 0, 0, 1));
	DEAD(weft_unlinkat(AT_FDCWD, "/no/such/file", 0));
	DEAD(weft_renameat(AT_FDCWD, "/no/such/file", AT_FDCWD, "/no/such/other", 0));
	DEAD(weft_mkdirat(AT_FDCWD, "/no/such/folder", 0));
	DEAD(weft_splice(fd, NULL, fd, NULL, 1, 0));
	DEAD(weft_sendfile(fd, fd, NULL, 1));
	DEAD(weft_poll(fd, POLLIN));
	DEAD(weft_listen("127.0.0.1:0", 1, 0));
	DEAD(weft_dial("127.0.0.1:1", 0));
	DEAD(weft_dial("localhost:1", 0));
	DEAD(weft_getaddrinfo("localhost", "1", NULL, &found));
	DEAD(weft_serve(fd, drop, NULL, 0));
	return 0;
}

struct things {
	struct weft_pool *pool;
	struct weft_chan *chan;
	weft_key key;
};

static int use_pools(const struct things *things, int fd)
{
	struct weft_buf buf;

	DEAD(weft_recv_buf(fd, things->pool, &buf));
	weft_buf_put(&buf);
	if (weft_pool_create(1, 1))
		return 1;
	weft_pool_destroy(things->pool);
	return 0;
}

static int synchronise(const struct things *things)
{
	struct weft_mutex mutex = { 0 };
	struct weft_sem sem = { 0 };
	struct weft_event_flag flag = { 0 };
	struct weft_rwlock rwlock = { 0 };
	struct weft_barrier barrier;
	struct weft_case one = { .op = WEFT_RECV, .chan = things->chan };
	int item = 0;

	one.item = &item;
	DEAD(weft_mutex_lock(&mutex));
	DEAD(weft_sem_acquire(&sem, 1));
	DEAD(weft_event_flag_wait(&flag));
	DEAD(weft_rwlock_rdlock(&rwlock));
	DEAD(weft_rwlock_wrlock(&rwlock));
	weft_barrier_init(&barrier, 1);
	DEAD(weft_barrier_wait(&barrier));
	DEAD(weft_chan_send(things->chan, &item));
	DEAD(weft_chan_recv(things->chan, &item));
	DEAD(weft_select(&one, 1, WEFT_FOREVER));
	DEAD(weft_mutex_trylock(&mutex));
	DEAD(weft_sem_try_acquire(&sem, 1));
	DEAD(weft_chan_try_send(things->chan, &item));
	DEAD(weft_chan_try_recv(things->chan, &item));
	if (weft_chan_create(1, 1))
		return 1;
	return 0;
}

static int block_and_remember(const struct things *things)
{
	DEAD(weft_blocking(succeed, NULL));
	DEAD(weft_blocking_lane("lane", 1, succeed, NULL));
	DEAD(weft_set(things->key, NULL));
	if (weft_get(things->key))
		return 1;
	return 0;
}

/* Every family of calls, in a child; and none of them takes memory. */
static int call_everything(const struct things *things, int fd)
{
	const size_t before = allocated();

	if (do_input_and_output(fd) || use_pools(things, fd) || synchronise(things) ||
		block_and_remember(things))
		return 1;
	return allocated() == before ? 0 : 2;
}

static int everything_in_a_child_of_a_task(void *arg)
{
	struct things *things = arg;
	int ends[2], item = 1;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	cr_assert_eq(weft_blocking(succeed, NULL), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(call_everything(things, ends[0]));
	cr_assert_eq(exit_code_of(pid), 0);

	/* the parent's descriptors, pool, threads and channel are as they were */
	cr_assert_eq(weft_send(ends[1], "x", 1, 0), 1);
	struct weft_buf buf;
	cr_assert_eq(weft_recv_buf(ends[0], things->pool, &buf), 1);
	weft_buf_put(&buf);
	cr_assert_eq(weft_blocking(succeed, NULL), 0);
	cr_assert_eq(weft_chan_try_send(things->chan, &item), 0);
	cr_assert_eq(weft_chan_try_recv(things->chan, &item), 1);
	cr_assert_eq(weft_close(ends[0]), 0);
	cr_assert_eq(weft_close(ends[1]), 0);
	return 0;
}

static struct things make_things(void)
{
	struct things things = {
		.pool = weft_pool_create(1, 16),
		.chan = weft_chan_create(sizeof(int), 1),
	};

	cr_assert_not_null(things.pool);
	cr_assert_not_null(things.chan);
	cr_assert_eq(weft_key_create(&things.key, NULL, 0), 0);
	return things;
}

Test(fork, every_call_of_a_child_says_that_the_runtime_is_dead)
{
	struct things things = make_things();

	for (unsigned workers = 1; workers <= 4; workers *= 2)
		cr_assert_eq(run_with(workers, everything_in_a_child_of_a_task, &things), 0);
	weft_pool_destroy(things.pool);
	weft_chan_destroy(things.chan);
}

Test(fork, every_call_of_a_plain_threads_child_says_so_too)
{
	struct weft_runtime *rt = start_runtime(2);
	struct things things = make_things();

	cr_assert_eq(weft_runtime_call(rt, succeed, NULL, WEFT_FOREVER), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(call_everything(&things, 0));
	cr_assert_eq(exit_code_of(pid), 0);
	cr_assert_eq(weft_runtime_call(rt, succeed, NULL, WEFT_FOREVER), 0);
	weft_pool_destroy(things.pool);
	weft_chan_destroy(things.chan);
	weft_runtime_destroy(rt);
}

static int fork_in_a_task(void *arg)
{
	int fds[2];
	char byte;

	(void)arg;
	cr_assert_eq(pipe(fds), 0);
	pid_t pid = fork();
	if (pid == 0)
		_exit(suspend_as_a_child(fds[0]));
	cr_assert_eq(exit_code_of(pid), 0);

	/* the parent's rings were not touched */
	cr_assert_eq(weft_write(fds[1], "x", 1), 1);
	cr_assert_eq(weft_read(fds[0], &byte, 1), 1);
	cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
	weft_close(fds[0]);
	weft_close(fds[1]);
	return 0;
}

Test(fork, a_child_of_a_task_cannot_suspend)
{
	run_on_1_2_4(fork_in_a_task);
}

static int fork_with_reads_in_flight(void *arg)
{
	int fds[2];
	char byte;

	(void)arg;
	cr_assert_eq(pipe(fds), 0);
	for (int i = 0; i < 10; i++) {
		struct weft_task *sleeper = weft_create_task(sleep_forever, NULL);
		weft_yield();
		pid_t pid = fork();
		if (pid == 0)
			_exit(weft_sleep(WEFT_MS(1)) == -EOWNERDEAD ? 0 : 1);
		cr_assert_eq(weft_write(fds[1], "x", 1), 1);
		cr_assert_eq(weft_read(fds[0], &byte, 1), 1);
		cr_assert_eq(exit_code_of(pid), 0);
		weft_cancel(sleeper);
		cr_assert_eq(weft_join(sleeper), -ECANCELED);
	}
	weft_close(fds[0]);
	weft_close(fds[1]);
	return 0;
}

Test(fork, leaves_the_parent_undisturbed)
{
	run_on_1_2_4(fork_with_reads_in_flight);
}

Test(fork, a_child_may_exec)
{
	struct weft_runtime *rt = start_runtime(2);

	pid_t pid = fork();
	if (pid == 0) {
		execl("/bin/true", "true", (char *)NULL);
		_exit(127);
	}
	cr_assert_eq(exit_code_of(pid), 0);
	weft_runtime_destroy(rt);
}
