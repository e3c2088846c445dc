/* SPDX-License-Identifier: MIT */
/* Signals that the program sends to itself, children, and bytes that go from one descriptor to another. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim.h"

enum { SEEDS = 100 };

static int wait_for(int signo, siginfo_t *info)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	return weft_signal_wait(&set, info);
}

static int threads(void)
{
	char line[256];
	FILE *file = fopen("/proc/self/status", "r");
	int n = 0;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Threads: %d", &n) == 1)
			break;
	}
	if (file)
		fclose(file);
	return n;
}

/* -- signals ------------------------------------------------------------------------------------- */

static int waits_for_two(void *arg)
{
	cr_assert_eq(wait_for(SIGUSR1, NULL), SIGUSR1);
	cr_assert_eq(wait_for(SIGUSR1, NULL), SIGUSR1);
	++*(unsigned *)arg;
	return 0;
}

static int sends_signals(void *arg)
{
	unsigned served = 0;
	int before = threads();
	struct weft_task *task = weft_create_task(waits_for_two, &served);

	(void)arg;
	weft_sleep(WEFT_SEC(1));
	kill(getpid(), SIGUSR1);
	weft_sleep(WEFT_SEC(1));
	cr_assert_eq(threads(), before, "no thread takes part");
	cr_assert_eq(served, 0);
	raise(SIGUSR1);
	cr_assert_eq(weft_join(task), 0);
	cr_assert_eq(served, 1);
	return 0;
}

static void unused(int signo)
{
	(void)signo;
}

Test(signal, those_that_the_program_sends_arrive)
{
	struct sigaction action = {.sa_handler = unused}, now;

	sigaction(SIGUSR1, &action, NULL);
	for (uint64_t seed = 1; seed <= SEEDS; seed++)
		cr_assert_eq(simulate(sends_signals, NULL, seed, WEFT_SIM_RANDOM,
				     seed % 2 ? WEFT_SIM_ALL_FAULTS : 0),
			0);
	sigaction(SIGUSR1, NULL, &now);
	cr_assert_eq(now.sa_handler, unused, "what was there before is back");
}

/* While somebody computes, too: it need not come to rest first. */
static int ticks_until(void *arg)
{
	unsigned ticks = 0;

	while (!*(bool *)arg) {
		weft_checkpoint();
		cr_assert_lt(++ticks, 100000);
	}
	return 0;
}

static int waits_for_one(void *arg)
{
	cr_assert_eq(wait_for(SIGUSR2, NULL), SIGUSR2);
	*(bool *)arg = true;
	return 0;
}

static int is_busy(void *arg)
{
	bool arrived = false;
	struct weft_task *waiter = weft_create_task(waits_for_one, &arrived), *busy;

	(void)arg;
	weft_sleep(WEFT_MS(1));
	busy = weft_create_task(ticks_until, &arrived);
	raise(SIGUSR2);
	cr_assert_eq(weft_join(busy), 0);
	return weft_join(waiter);
}

Test(signal, nobody_has_to_rest_for_one_to_arrive)
{
	for (int policy = WEFT_SIM_FIFO; policy <= WEFT_SIM_PCT; policy++)
		cr_assert_eq(simulate(is_busy, NULL, 1, policy, 0), 0);
}

static int waits_in_between(void *arg)
{
	union sigval value = {.sival_int = 0};
	siginfo_t info;

	(void)arg;
	raise(SIGUSR1);
	cr_assert_eq(wait_for(SIGUSR1, NULL), SIGUSR1);
	raise(SIGUSR1);
	raise(SIGUSR1); /* is one with it */
	cr_assert_eq(wait_for(SIGUSR1, NULL), SIGUSR1);
	sigqueue(getpid(), SIGRTMIN, value);
	cr_assert_eq(wait_for(SIGRTMIN, &info), SIGRTMIN);
	for (value.sival_int = 1; value.sival_int <= 3; value.sival_int++)
		sigqueue(getpid(), SIGRTMIN, value);
	for (int i = 1; i <= 3; i++) {
		cr_assert_eq(wait_for(SIGRTMIN, &info), SIGRTMIN);
		cr_assert_eq(info.si_value.sival_int, i, "in order");
	}
	return 0;
}

/* Blocked, as for sigwait: the first of each is let in by the wait. */
Test(signal, arrivals_between_waits_are_kept)
{
	sigset_t set, now;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	cr_assert_eq(simulate(waits_in_between, NULL, 1, WEFT_SIM_RANDOM, 0), 0);
	sigprocmask(SIG_BLOCK, NULL, &now);
	cr_assert(sigismember(&now, SIGUSR1) && sigismember(&now, SIGRTMIN),
		"blocked again");
	cr_assert_not(sigismember(&now, SIGUSR2));
}

static int waits_for_nothing(void *arg)
{
	struct weft_scope scope;
	int rc;

	weft_deadline_begin(&scope, WEFT_SEC(10));
	rc = wait_for(SIGUSR1, NULL);
	weft_scope_end(&scope);
	cr_assert_eq(rc, -ETIMEDOUT);
	return arg ? wait_for(SIGUSR1, NULL) : 0;
}

Test(signal, a_wait_may_end_without_one)
{
	struct weft_sim sim = SIM(.seed = 1);

	cr_assert_eq(simulate(waits_for_nothing, NULL, 1, WEFT_SIM_RANDOM, 0), 0);
	reports_clear();
	cr_assert_eq(simulate_once(waits_for_nothing, &sim, &sim), -EDEADLK,
		"nobody will send one");
	cr_assert_eq(reports.deadlocks, 1);
}

static int first_wait(void *arg)
{
	(void)arg;
	return wait_for(SIGUSR1, NULL);
}

/* A runtime beside it has a thread for signals, which ends with it. */
Test(signal, a_simulation_and_a_runtime_in_turn)
{
	struct weft_runtime *runtime;

	for (int round = 0; round < 3; round++) {
		cr_assert_eq(simulate(sends_signals, NULL, 1, WEFT_SIM_FIFO, 0), 0);
		cr_assert_eq(weft_runtime_create(NULL, &runtime), 0);
		cr_assert_eq(weft_runtime_call(runtime, first_wait, NULL, WEFT_MS(1)),
			-ETIMEDOUT);
		kill(getpid(), SIGUSR1);
		cr_assert_eq(weft_runtime_call(runtime, first_wait, NULL, WEFT_FOREVER),
			SIGUSR1);
		weft_runtime_destroy(runtime);
	}
}

/* -- children ------------------------------------------------------------------------------------ */

static int has_a_child(void *arg)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		usleep(20 * 1000);
		_exit(3);
	}
	cr_assert_eq(weft_waitpid(arg ? pid : -1, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	cr_assert_eq(weft_waitpid(-1, &status, 0), -ECHILD);
	return 0;
}

Test(signal, children_are_real)
{
	struct weft_sim one = SIM(.seed = 1), any = SIM(.seed = 1);

	cr_assert_eq(simulate_once(has_a_child, &one, &one), 0);
	cr_assert_eq(simulate_once(has_a_child, NULL, &any), 0);
	cr_assert_lt(any.steps, 1000, "it does not spin");
}

/* -- sendfile and splice ------------------------------------------------------------------------- */

enum { BYTES = 100 * 1000 };

static char bytes[BYTES];

static int file_of_bytes(void)
{
	int fd = weft_openat(
		AT_FDCWD, "/tmp/weft-sim-bytes", O_RDWR | O_CREAT | O_EXCL, 0600);

	cr_assert_geq(fd, 0, "%d", fd);
	cr_assert_eq(weft_unlinkat(AT_FDCWD, "/tmp/weft-sim-bytes", 0), 0);
	for (size_t done = 0; done < BYTES;) {
		ssize_t n = weft_write(fd, bytes + done, BYTES - done);

		cr_assert_gt(n, 0);
		done += (size_t)n;
	}
	return fd;
}

struct way {
	int from, to;
};

/* Until the end, and closes what it wrote to. */
static int splices(void *arg)
{
	struct way *way = arg;
	ssize_t n;

	while ((n = weft_splice(way->from, NULL, way->to, NULL, 50000, 0)) > 0)
		;
	cr_assert_eq(n, 0, "%zd", n);
	return weft_close(way->to);
}

static int sends_file(void *arg)
{
	struct way *way = arg;
	off_t at = 0;

	while (at < BYTES)
		cr_assert_gt(
			weft_sendfile(way->to, way->from, &at, (size_t)(BYTES - at)), 0);
	cr_assert_eq(at, BYTES);
	return weft_close(way->to);
}

static void check_bytes(int fd)
{
	static char found[BYTES];
	size_t done = 0;
	ssize_t n;

	while ((n = weft_pread(fd, found + done, BYTES - done, (off_t)done)) > 0)
		done += (size_t)n;
	cr_assert_eq(done, BYTES);
	cr_assert_eq(memcmp(found, bytes, BYTES), 0);
}

/* File, pipe, socket pair, pipe, file. */
static int goes_all_the_way(void *arg)
{
	int from = file_of_bytes(), to = file_of_bytes(), first[2], last[2], copy;
	struct weft_task *tasks[3];
	struct way ways[3];

	(void)arg;
	cr_assert_eq(ftruncate(to, 0), 0);
	lseek(to, 0, SEEK_SET);
	copy = dup(to);
	cr_assert_eq(pipe2(first, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(last, O_CLOEXEC), 0);
	ways[0] = (struct way){from, first[1]};
	ways[1] = (struct way){first[0], last[1]};
	ways[2] = (struct way){last[0], to};
	tasks[0] = weft_create_task(sends_file, &ways[0]);
	tasks[1] = weft_create_task(splices, &ways[1]);
	tasks[2] = weft_create_task(splices, &ways[2]);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(weft_join(tasks[i]), 0);
	check_bytes(copy);
	cr_assert_eq(weft_splice(from, NULL, copy, NULL, 1, 0), -EINVAL, "no pipe");
	close(copy);
	close(first[0]);
	close(last[0]);
	return weft_close(from);
}

Test(signal, bytes_go_through_pipes_and_files)
{
	for (size_t i = 0; i < BYTES; i++)
		bytes[i] = (char)(i * 7 % 251);
	reports_clear();
	for (uint64_t seed = 1; seed <= 10; seed++)
		cr_assert_eq(simulate(goes_all_the_way, NULL, seed, WEFT_SIM_RANDOM,
				     seed % 2 ? WEFT_SIM_PARTIAL | WEFT_SIM_LATENCY : 0),
			0);
	cr_assert_eq(reports.count, 0, "%s", reports.text);
	cr_assert_eq(access("/tmp/weft-sim-bytes", F_OK), -1);
}

static int does_not_wait(void *arg)
{
	int ends[2], other[2];
	off_t at = 0;

	(void)arg;
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(other, O_CLOEXEC), 0);
	cr_assert_eq(weft_splice(ends[0], NULL, other[1], NULL, 10, SPLICE_F_NONBLOCK),
		-EAGAIN);
	cr_assert_eq(write(ends[1], "abc", 3), 3);
	cr_assert_eq(weft_splice(ends[0], &at, other[1], NULL, 10, 0), -ESPIPE);
	cr_assert_eq(
		weft_splice(ends[0], NULL, other[1], NULL, 10, SPLICE_F_NONBLOCK), 3);
	for (int i = 0; i < 2; i++) {
		close(ends[i]);
		close(other[i]);
	}
	return 0;
}

Test(signal, a_splice_need_not_wait)
{
	cr_assert_eq(simulate(does_not_wait, NULL, 1, WEFT_SIM_RANDOM, 0), 0);
}
