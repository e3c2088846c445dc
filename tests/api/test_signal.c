/* SPDX-License-Identifier: MIT */
/*
 * signal - weft_signal_wait: signals are waited for, and do nothing else meanwhile.
 */
#include "helper.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

TestSuite(signal, .timeout = PATIENCE);

/*
 * ThreadSanitizer puts off the handler of a thread that sleeps in the kernel, as the main one does, until that
 * has woken up by itself; what a thread sends to itself it sees at once.
 */
static void send_to_process(int signo)
{
#if defined(__SANITIZE_THREAD__)
	raise(signo);
#else
	kill(getpid(), signo);
#endif
}

static sigset_t set_of(int a, int b)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, a);
	if (b)
		sigaddset(&set, b);
	return set;
}

static int wait_for(int signo)
{
	sigset_t set = set_of(signo, 0);

	return weft_signal_wait(&set, NULL);
}

/* From this wait on the signal is owned; nothing has arrived yet. */
static void own(int a, int b)
{
	sigset_t set = set_of(a, b);
	struct weft_scope scope;

	weft_deadline_begin(&scope, WEFT_MS(1));
	cr_assert_eq(weft_signal_wait(&set, NULL), -ETIMEDOUT);
	weft_scope_end(&scope);
}

static int task_that_waits(void *arg)
{
	return wait_for(*(int *)arg);
}

static int wait_for_term(void *arg)
{
	int term = SIGTERM;

	(void)arg;
	for (int i = 0; i < 10; i++) {
		struct weft_task *task = weft_create_task(task_that_waits, &term);

		own(SIGTERM, 0);
		send_to_process(SIGTERM);
		cr_assert_eq(weft_join(task), SIGTERM);
	}
	send_to_process(SIGTERM); /* nobody waits: it is kept, and does not kill */
	weft_sleep(WEFT_MS(2));
	cr_assert_eq(wait_for(SIGTERM), SIGTERM);
	return 0;
}

Test(signal, that_would_kill_is_waited_for_instead)
{
	run_on_1_2_4(wait_for_term);
}

static int read_information(void *arg)
{
	sigset_t set = set_of(SIGUSR1, SIGUSR2);
	siginfo_t info = { 0 };

	(void)arg;
	own(SIGUSR1, SIGUSR2);
	raise(SIGUSR2);
	cr_assert_eq(weft_signal_wait(&set, &info), SIGUSR2);
	cr_assert_eq(info.si_signo, SIGUSR2);
	cr_assert_eq(info.si_pid, getpid());
	cr_assert_eq(info.si_code, SI_TKILL);
	return 0;
}

Test(signal, tells_who_sent_it)
{
	run_on_1_2_4(read_information);
}

static int keep_arrivals(void *arg)
{
	sigset_t set = set_of(SIGUSR1, SIGUSR2);
	struct weft_scope scope;

	(void)arg;
	own(SIGUSR1, SIGUSR2);
	raise(SIGUSR2);
	raise(SIGUSR1);
	raise(SIGUSR1);
	raise(SIGUSR1);
	cr_assert_eq(weft_signal_wait(&set, NULL), SIGUSR1, "the lowest number first");
	cr_assert_eq(weft_signal_wait(&set, NULL), SIGUSR2);
	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(weft_signal_wait(&set, NULL), -ETIMEDOUT, "three of a kind were one");
	weft_scope_end(&scope);
	return 0;
}

Test(signal, arrivals_between_waits_are_kept)
{
	run_on_1_2_4(keep_arrivals);
}

static int queue_realtime(void *arg)
{
	sigset_t set = set_of(SIGRTMIN + 1, 0);
	siginfo_t info;

	(void)arg;
	own(SIGRTMIN + 1, 0);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(pthread_sigqueue(pthread_self(), SIGRTMIN + 1,
				     (union sigval){ .sival_int = i }),
			0);
	for (int i = 0; i < 100; i++) {
		cr_assert_eq(weft_signal_wait(&set, &info), SIGRTMIN + 1);
		cr_assert_eq(info.si_value.sival_int, i);
	}
	return 0;
}

/* ThreadSanitizer keeps one arrival of each number while it puts handlers off. */
static void skip_if_signals_coalesce(void)
{
#if defined(__SANITIZE_THREAD__)
	cr_skip_test("the race detector lets real-time signals coalesce");
#endif
}

Test(signal, realtime_ones_queue_up)
{
	skip_if_signals_coalesce();
	run_on_1_2_4(queue_realtime);
}

static int flood_realtime(void *arg)
{
	sigset_t set = set_of(SIGRTMIN + 1, SIGUSR1);
	struct weft_scope scope;
	int arrived = 0, rc;

	(void)arg;
	own(SIGRTMIN + 1, SIGUSR1);
	for (int i = 0; i < 3000; i++)
		pthread_sigqueue(pthread_self(), SIGRTMIN + 1, (union sigval){ .sival_int = i });
	raise(SIGUSR1); /* finds room all the same */
	cr_assert_eq(weft_signal_wait(&set, NULL), SIGUSR1);
	weft_deadline_begin(&scope, WEFT_MS(50));
	while ((rc = weft_signal_wait(&set, NULL)) > 0)
		arrived++;
	weft_scope_end(&scope);
	cr_assert_eq(rc, -ETIMEDOUT);
	cr_assert_geq(arrived, 512);
	cr_assert_leq(arrived, 3000);
	return 0;
}

Test(signal, a_flood_of_realtime_ones_is_bounded)
{
	skip_if_signals_coalesce();
	cr_assert_eq(run_with(2, flood_realtime, NULL), 0);
}

static int wait_in_line(void *arg)
{
	int usr1 = SIGUSR1;
	struct weft_task *first, *second;

	(void)arg;
	own(SIGUSR1, 0);
	first = weft_create_task(task_that_waits, &usr1);
	weft_sleep(WEFT_MS(1));
	second = weft_create_task(task_that_waits, &usr1);
	weft_sleep(WEFT_MS(1));
	raise(SIGUSR1);
	cr_assert_eq(weft_join(first), SIGUSR1, "the first in line");
	cr_assert_eq(weft_status(second), -EINPROGRESS, "and no other");
	raise(SIGUSR1);
	cr_assert_eq(weft_join(second), SIGUSR1);
	return 0;
}

Test(signal, each_arrival_is_for_one_waiter_in_order)
{
	cr_assert_eq(run_with(1, wait_in_line, NULL), 0);
}

static int wait_for_different_ones(void *arg)
{
	int usr1 = SIGUSR1, usr2 = SIGUSR2;

	(void)arg;
	own(SIGUSR1, SIGUSR2);
	struct weft_task *first = weft_create_task(task_that_waits, &usr1);
	struct weft_task *second = weft_create_task(task_that_waits, &usr2);
	weft_sleep(WEFT_MS(1));
	raise(SIGUSR2);
	cr_assert_eq(weft_join(second), SIGUSR2);
	cr_assert_eq(weft_status(first), -EINPROGRESS, "that was not for the first");
	raise(SIGUSR1);
	cr_assert_eq(weft_join(first), SIGUSR1);
	return 0;
}

Test(signal, goes_to_who_waits_for_it)
{
	run_on_1_2_4(wait_for_different_ones);
}

static int cancel_against_arrival(void *arg)
{
	int usr1 = SIGUSR1;
	int got = 0;

	(void)arg;
	own(SIGUSR1, 0);
	for (int i = 0; i < 300; i++) {
		struct weft_task *task = weft_create_task(task_that_waits, &usr1);

		weft_yield();
		if (i % 2)
			raise(SIGUSR1);
		weft_cancel(task);
		if (i % 2 == 0)
			raise(SIGUSR1);
		int status = weft_join(task);
		cr_assert(status == SIGUSR1 || status == -ECANCELED, "%d", status);
		if (status == SIGUSR1)
			got++;
		else
			cr_assert_eq(wait_for(SIGUSR1), SIGUSR1, "the arrival is still there");
	}
	cancel_myself();
	raise(SIGUSR1);
	cr_assert_eq(wait_for(SIGUSR1), -ECANCELED, "at entry");
	weft_uncancel();
	cr_assert_eq(wait_for(SIGUSR1), SIGUSR1);
	return 0;
}

Test(signal, a_cancelled_wait_loses_no_arrival)
{
	run_on_1_2_4(cancel_against_arrival);
}

/* -- before and after -------------------------------------------------------------------------- */

static volatile sig_atomic_t handled;

static void count_it(int signo)
{
	(void)signo;
	handled++;
}

static int wait_for_usr2(void *arg)
{
	(void)arg;
	own(SIGUSR2, 0);
	raise(SIGUSR2);
	return wait_for(SIGUSR2);
}

static int count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

Test(signal, goes_back_to_its_handler_when_the_runtime_has_stopped)
{
	int descriptors = count_descriptors();

	signal(SIGUSR2, count_it);
	for (int i = 1; i <= 3; i++) {
		cr_assert_eq(run_with(2, wait_for_usr2, NULL), SIGUSR2);
		cr_assert_eq(handled, i - 1, "it is not called while weft owns the signal");
		raise(SIGUSR2);
		cr_assert_eq(handled, i);
	}
	cr_assert_eq(count_descriptors(), descriptors);
}

static int own_usr2(void *arg)
{
	(void)arg;
	own(SIGUSR2, 0);
	return 0;
}

static int wait_for_usr2_now(void *arg)
{
	(void)arg;
	return wait_for(SIGUSR2);
}

Test(signal, belongs_to_all_runtimes_that_wait_for_it)
{
	struct weft_runtime *first = start_runtime(1), *second = start_runtime(1);

	signal(SIGUSR2, count_it);
	cr_assert_eq(weft_runtime_call(first, own_usr2, NULL, WEFT_FOREVER), 0);
	cr_assert_eq(weft_runtime_call(second, own_usr2, NULL, WEFT_FOREVER), 0);
	cr_assert_eq(weft_runtime_stop(first, WEFT_FOREVER), 0);
	raise(SIGUSR2);
	cr_assert_eq(handled, 0, "the other one still owns it");
	cr_assert_eq(weft_runtime_call(second, wait_for_usr2_now, NULL, WEFT_FOREVER), SIGUSR2);
	cr_assert_eq(weft_runtime_stop(second, WEFT_FOREVER), 0);
	raise(SIGUSR2);
	cr_assert_eq(handled, 1);
	weft_runtime_destroy(first);
	weft_runtime_destroy(second);
}

static int wait_for_usr1(void *arg)
{
	(void)arg;
	return wait_for(SIGUSR1);
}

Test(signal, arrives_though_every_thread_has_it_blocked)
{
	sigset_t set = set_of(SIGUSR1, 0);

	pthread_sigmask(SIG_BLOCK, &set, NULL); /* the workers inherit it */
	kill(getpid(), SIGUSR1);                /* pending before anybody waits */
	cr_assert_eq(run_with(2, wait_for_usr1, NULL), SIGUSR1);
}

static void *send_from_a_thread(void *arg)
{
	(void)arg;
	usleep(2000); /* most likely all workers sleep by now; it does not matter */
	send_to_process(SIGUSR1);
	return NULL;
}

static int sleep_and_wait(void *arg)
{
	pthread_t thread;

	(void)arg;
	own(SIGUSR1, 0);
	pthread_create(&thread, NULL, send_from_a_thread, NULL);
	cr_assert_eq(wait_for(SIGUSR1), SIGUSR1);
	pthread_join(thread, NULL);
	return 0;
}

Test(signal, wakes_a_runtime_that_sleeps)
{
	run_on_1_2_4(sleep_and_wait);
}

static int fork_and_kill(void *arg)
{
	int status;

	(void)arg;
	own(SIGTERM, 0);
	pid_t pid = fork();
	if (pid == 0) {
		for (;;)
			pause();
	}
	kill(pid, SIGTERM);
	cr_assert_eq(weft_waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status), "the child owns nothing");
	cr_assert_eq(WTERMSIG(status), SIGTERM);
	struct weft_scope scope;
	weft_deadline_begin(&scope, WEFT_MS(2));
	cr_assert_eq(wait_for(SIGTERM), -ETIMEDOUT, "and the parent does not hear of it");
	weft_scope_end(&scope);
	return 0;
}

Test(signal, of_a_forked_child_is_its_own)
{
	run_on_1_2_4(fork_and_kill);
}

static int misuse(void *arg)
{
	static const int forbidden[] = { SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL };
	sigset_t set;

	(void)arg;
	cr_assert_eq(weft_signal_wait(NULL, NULL), -EINVAL);
	sigemptyset(&set);
	cr_assert_eq(weft_signal_wait(&set, NULL), -EINVAL);
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
		set = set_of(SIGUSR1, forbidden[i]);
		cr_assert_eq(weft_signal_wait(&set, NULL), -EINVAL, "%d", forbidden[i]);
	}
	return 0;
}

Test(signal, refuses_what_nobody_can_wait_for)
{
	sigset_t set = set_of(SIGUSR1, 0);

	run_on_1_2_4(misuse);
	cr_assert_eq(weft_signal_wait(&set, NULL), -EPERM, "on a plain thread");
	signal(SIGUSR1, count_it);
	raise(SIGUSR1);
	cr_assert_eq(handled, 1, "a refused wait owns nothing");
}
