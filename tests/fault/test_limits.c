/* SPDX-License-Identifier: MIT */
/*
 * limits - descriptors, memory and processes run out, at the start and in the middle: a clear code,
 * nothing lost, nothing left behind, and all is well once there is enough again.
 */
#include "child.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>

TestSuite(limits, .timeout = 60);

enum { WORKERS = 4, CHILDREN = 200 };

static int add(void *arg)
{
	__atomic_fetch_add((int *)arg, 1, __ATOMIC_SEQ_CST);
	return weft_yield();
}

/* Something of everything: tasks, a timer, I/O, a pool thread. */
static int be_alive(void *arg)
{
	struct weft_group group;
	int ends[2], ran = 0;
	char byte;

	(void)arg;
	weft_group_begin(&group, 0);
	for (int i = 0; i < CHILDREN; i++)
		CHECK(weft_group_spawn(&group, add, &ran) == 0);
	CHECK(weft_group_join(&group) == 0);
	CHECK(ran == CHILDREN);
	CHECK(weft_sleep(1000) == 0);
	CHECK(pipe(ends) == 0);
	CHECK(weft_write(ends[1], "x", 1) == 1);
	CHECK(weft_read(ends[0], &byte, 1) == 1);
	CHECK(weft_close(ends[0]) == 0 && weft_close(ends[1]) == 0);
	CHECK(weft_blocking(succeed, NULL) == 0);
	return 0;
}

/* -- descriptors ------------------------------------------------------------------------------- */

static int start_with_few_descriptors(void)
{
	const rlim_t lifted = soft_limit(RLIMIT_NOFILE);
	const bool warm = warm_up();
	const int held = open_descriptors(), threads = threads_now();
	bool started = false;

	CHECK(warm);
	for (int spare = 0; spare < 100 && !started; spare++) {
		int rc;

		set_soft_limit(RLIMIT_NOFILE, (rlim_t)(held + spare));
		rc = try_to_run(WORKERS, succeed, NULL);
		set_soft_limit(RLIMIT_NOFILE, lifted);
		CHECK(rc == 0 || rc == -EMFILE, "%d with %d spare\n", rc, spare);
		CHECK(open_descriptors() == held, "%d of %d\n", open_descriptors(), held);
		CHECK(threads_are(threads));
		started = rc == 0;
	}
	CHECK(started);
	CHECK(try_to_run(WORKERS, be_alive, NULL) == 0);
	return 0;
}

Test(limits, a_runtime_without_descriptors_does_not_start_and_leaves_nothing)
{
	in_a_child(start_with_few_descriptors);
}

static int use_up_descriptors(void *arg)
{
	const rlim_t lifted = soft_limit(RLIMIT_NOFILE);
	char address[64];
	int listener = weft_listen("127.0.0.1:0", 8, 0), fds[2];

	(void)arg;
	CHECK(listener >= 0);
	CHECK(weft_local_address(listener, address, sizeof(address)) > 0);
	CHECK(weft_yield() == 0);
	set_soft_limit(RLIMIT_NOFILE, (rlim_t)listener + 1); /* the last that is open */
	for (int fd = 0; fd < listener; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			CHECK(dup2(listener, fd) == fd); /* and no hole before it */
	CHECK(weft_socket(AF_INET, SOCK_STREAM, 0) == -EMFILE);
	CHECK(weft_openat(AT_FDCWD, "/dev/null", O_RDONLY, 0) == -EMFILE);
	CHECK(weft_dial(address, 0) == -EMFILE);
	CHECK(weft_listen("127.0.0.1:0", 8, 0) == -EMFILE);
	CHECK(weft_accept(listener, NULL, NULL, 0) == -EMFILE);
	CHECK(weft_sleep(1000) == 0);
	set_soft_limit(RLIMIT_NOFILE, lifted);
	fds[0] = weft_dial(address, 0);
	CHECK(fds[0] >= 0);
	fds[1] = weft_accept(listener, NULL, NULL, 0);
	CHECK(fds[1] >= 0);
	CHECK(weft_close(fds[0]) == 0 && weft_close(fds[1]) == 0);
	CHECK(weft_close(listener) == 0);
	return be_alive(NULL);
}

static int run_out_of_descriptors(void)
{
	for (unsigned workers = 1; workers <= 4; workers *= 2)
		CHECK(try_to_run(workers, use_up_descriptors, NULL) == 0);
	return 0;
}

Test(limits, calls_without_a_descriptor_say_so_and_work_again_later)
{
	in_a_child(run_out_of_descriptors);
}

/* -- memory ------------------------------------------------------------------------------------ */

static size_t mapped_bytes(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f) {
		if (fscanf(f, "%lu", &pages) != 1)
			pages = 0;
		fclose(f);
	}
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static int start_with_little_memory(void)
{
	const bool warm = warm_up();
	const int held = open_descriptors(), threads = threads_now();
	size_t bytes = 64 * 1024;
	int failures = 0, rc;

	CHECK(warm);
	do {
		set_soft_limit(RLIMIT_AS, mapped_bytes() + bytes);
		rc = try_to_run(WORKERS, succeed, NULL);
		set_soft_limit(RLIMIT_AS, RLIM_INFINITY);
		/* a thread whose stack cannot be mapped: EAGAIN, says pthread_create(3) */
		CHECK(rc == 0 || rc == -ENOMEM || rc == -EAGAIN, "%d with %zu KiB\n", rc,
			bytes >> 10);
		CHECK(open_descriptors() == held, "with %zu KiB\n", bytes >> 10);
		CHECK(threads_are(threads));
		failures += rc < 0;
		bytes += bytes / 4;
	} while (rc < 0 && bytes < (size_t)1 << 32);
	CHECK(failures > 3);
	CHECK(rc == 0);
	CHECK(try_to_run(WORKERS, be_alive, NULL) == 0);
	return 0;
}

Test(limits, a_runtime_without_memory_does_not_start_and_leaves_nothing)
{
	if (SANITIZED)
		cr_skip_test("a sanitizer maps more than any limit");
	in_a_child(start_with_little_memory);
}

static int count_and_wait(void *arg)
{
	__atomic_fetch_add((int *)arg, 1, __ATOMIC_SEQ_CST);
	return weft_sleep(WEFT_MS(20));
}

/* Tasks that wait need a stack each; more of them than there is memory for. */
static int use_up_memory(void *arg)
{
	enum { MANY = 20000 };
	static struct weft_task *tasks[MANY];
	int ran = 0, made = 0;

	(void)arg;
	set_soft_limit(RLIMIT_AS, mapped_bytes() + (32 << 20));
	CHECK(weft_pool_create(1 << 20, 1024) == NULL);
	for (int i = 0; i < MANY; i++)
		tasks[i] = weft_create_task(count_and_wait, &ran);
	for (int i = 0; i < MANY; i++) {
		bool is_made = weft_id(tasks[i]) != 0;
		int rc = weft_join(tasks[i]);

		CHECK(rc == (is_made ? 0 : -ENOMEM), "%d\n", rc);
		made += is_made;
	}
	CHECK(ran == made, "%d of %d ran\n", ran, made);
	set_soft_limit(RLIMIT_AS, RLIM_INFINITY);
	return be_alive(NULL);
}

static int run_out_of_memory(void)
{
	for (unsigned workers = 1; workers <= 4; workers *= 2)
		CHECK(try_to_run(workers, use_up_memory, NULL) == 0);
	return 0;
}

Test(limits, tasks_without_memory_wait_or_say_so_and_none_is_lost)
{
	if (SANITIZED)
		cr_skip_test("a sanitizer maps more than any limit");
	in_a_child(run_out_of_memory);
}

/* -- processes, privileges --------------------------------------------------------------------- */

/* Become somebody who owns no other process. False: we are not root. */
static bool become_nobody(void)
{
	uid_t uid = 60000 + (uid_t)(getpid() % 5000);

	return setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 &&
	       setresuid(uid, uid, uid) == 0;
}

static int start_with_few_processes(void)
{
	int held, threads, rc = -1;

	if (!become_nobody())
		return SKIP;
	CHECK(warm_up());
	held = open_descriptors();
	threads = threads_now();
	const rlim_t lifted = soft_limit(RLIMIT_NPROC);
	for (rlim_t limit = 1; limit < WORKERS + 8; limit++) {
		set_soft_limit(RLIMIT_NPROC, limit);
		rc = try_to_run(WORKERS, succeed, NULL);
		set_soft_limit(RLIMIT_NPROC, lifted);
		CHECK(rc == 0 || rc == -EAGAIN, "%d with %d\n", rc, (int)limit);
		CHECK(rc < 0 || limit > WORKERS);
		CHECK(open_descriptors() == held);
		CHECK(threads_are(threads));
	}
	CHECK(rc == 0);
	CHECK(try_to_run(WORKERS, be_alive, NULL) == 0);
	return 0;
}

Test(limits, a_runtime_without_threads_does_not_start_and_leaves_nothing)
{
	in_a_child(start_with_few_processes);
}

static int block_a_while(void *arg)
{
	__atomic_fetch_add((int *)arg, 1, __ATOMIC_SEQ_CST);
	usleep(1000);
	return 3;
}

static int call_blocking(void *arg)
{
	return weft_blocking(block_a_while, arg);
}

static int use_up_processes(void *arg)
{
	const rlim_t lifted = soft_limit(RLIMIT_NPROC);
	struct weft_task *tasks[50];
	int ran = 0;

	(void)arg;
	set_soft_limit(RLIMIT_NPROC, 1);
	CHECK(weft_blocking(block_a_while, &ran) == -EAGAIN);
	CHECK(ran == 0);
	CHECK(weft_sleep(1000) == 0);
	set_soft_limit(RLIMIT_NPROC, lifted);
	CHECK(weft_blocking(block_a_while, &ran) == 3);
	set_soft_limit(RLIMIT_NPROC, 1); /* one thread it is, for all of them */
	for (int i = 0; i < 50; i++)
		tasks[i] = weft_create_task(call_blocking, &ran);
	for (int i = 0; i < 50; i++)
		CHECK(weft_join(tasks[i]) == 3);
	CHECK(ran == 51);
	set_soft_limit(RLIMIT_NPROC, lifted);
	return be_alive(NULL);
}

/* On epoll files are for the pool, and there is no thread to be had. */
static int use_files_without_threads(void *arg)
{
	const rlim_t lifted = soft_limit(RLIMIT_NPROC);
	char path[] = "/tmp/weft-limits-XXXXXX";
	int fd = mkstemp(path);

	(void)arg;
	CHECK(fd >= 0 && unlink(path) == 0);
	set_soft_limit(RLIMIT_NPROC, 1);
	CHECK(weft_fsync(fd, 0) == -ENOMEM);
	CHECK(weft_pwrite(fd, "x", 1, 0) == 1 || weft_pwrite(fd, "x", 1, 0) == -ENOMEM);
	CHECK(weft_close(fd) == 0); /* that always comes about */
	CHECK(fcntl(fd, F_GETFD) < 0);
	set_soft_limit(RLIMIT_NPROC, lifted);
	return be_alive(NULL);
}

static int run_files_out_of_processes(void)
{
	if (!become_nobody())
		return SKIP;
	setenv("WEFT_BACKEND", "epoll", 1);
	CHECK(try_to_run(1, use_files_without_threads, NULL) == 0);
	return 0;
}

Test(limits, files_without_a_thread_give_a_clear_error_and_close)
{
	in_a_child(run_files_out_of_processes);
}

static int run_out_of_processes(void)
{
	if (!become_nobody())
		return SKIP;
	for (unsigned workers = 1; workers <= 4; workers *= 2)
		CHECK(try_to_run(workers, use_up_processes, NULL) == 0);
	return 0;
}

Test(limits, blocking_calls_without_a_thread_say_so_or_wait_for_one)
{
	in_a_child(run_out_of_processes);
}

static int start_many_workers_unprivileged(void)
{
	struct rlimit locked = { .rlim_cur = 8 << 20, .rlim_max = 8 << 20 };

	CHECK(setrlimit(RLIMIT_MEMLOCK, &locked) == 0);
	if (!become_nobody())
		return SKIP;
	CHECK(try_to_run(64, be_alive, NULL) == 0);
	return 0;
}

Test(limits, a_user_with_8_MiB_of_locked_memory_has_64_workers)
{
	in_a_child(start_many_workers_unprivileged);
}

static int send_without_copies(void *arg)
{
	static char block[1 << 20];
	char address[64];
	int listener = weft_listen("127.0.0.1:0", 8, 0);

	(void)arg;
	CHECK(weft_local_address(listener, address, sizeof(address)) > 0);
	int from = weft_dial(address, 0), to = weft_accept(listener, NULL, NULL, 0);
	CHECK(from >= 0 && to >= 0);
	for (size_t done = 0; done < sizeof(block);) {
		ssize_t n = weft_send_zc(from, block, sizeof(block) - done, 0);

		CHECK(n > 0, "%zd\n", n);
		CHECK(weft_read_full(to, block, (size_t)n) == n);
		done += (size_t)n;
	}
	CHECK(weft_close(from) == 0 && weft_close(to) == 0 && weft_close(listener) == 0);
	return be_alive(NULL);
}

static int send_without_locked_memory(void)
{
	struct rlimit locked = { .rlim_cur = 0, .rlim_max = 0 };

	CHECK(setrlimit(RLIMIT_MEMLOCK, &locked) == 0);
	if (!become_nobody())
		return SKIP;
	CHECK(try_to_run(1, send_without_copies, NULL) == 0);
	CHECK(try_to_run(4, send_without_copies, NULL) == 0);
	return 0;
}

Test(limits, a_user_with_no_locked_memory_has_everything)
{
	in_a_child(send_without_locked_memory);
}
