/* SPDX-License-Identifier: MIT */
/*
 * signal - weft_signal_wait: signals as something to wait for. Called by programs, and by lib/runtime.c when
 * a runtime has stopped.
 *
 * Signals are the process's, so all of this is one per process. A signal is *owned* from the first wait
 * for it until every runtime that has waited for it has stopped; meanwhile its handler is ours, and it
 * kills nobody.
 *
 *	handler      notes the arrival and rings the pipe; nothing else is allowed there
 *	our thread   reads the pipe and gives arrivals to waiters
 *	waiters      tasks, in a queue like that of a lock
 *
 * Why not signalfd, or sigwait on a thread: both need the signal blocked in every thread, and most threads
 * are not ours. Why a thread at all: a handler may wake nobody; and where the program has blocked the signal in
 * all its threads, as it must for sigwait, ours is the one that takes it. It has every signal blocked but
 * for those owned, and these let in only while it polls.
 *
 * The handler runs on whatever thread the kernel picks, on the alternate stack if there is one (SA_ONSTACK):
 * workers have one, so it never runs on a task's stack. System calls go on (SA_RESTART).
 *
 * In a simulation there is one thread, and ours is not started: the handler has run by the time that kill(2) or
 * raise(3) returns, and the simulation looks whether something arrived at each of its steps. What of the signals
 * the caller has blocked is let in as long as they are owned.
 *
 * slots:   of each standard signal at most one arrival is kept, the first: more coalesce, as in the kernel.
 *          EMPTY -> FILLING -> FULL by the handler, FULL -> EMPTY under `lock` by who takes it.
 * kept:    of the real-time ones, in order, KEPT_MAX in all, under `lock`. They come through the pipe,
 *          which has room for another 512 until the thread has run. Beyond that arrivals are lost.
 * waiters: under `lock`. Each arrival goes to the first that waits for it. Those of a simulation are in a queue of
 *          its own (weft_io), served by nobody else.
 * arrivals: a count of what rang, which orders nothing: simulations look at it in the thread of the handler.
 * owned, owners, previous, thread, bell: under `setup`, which is held for system calls and never across a wait.
 *          owned is read by our thread, and in a forked child, which gives all signals back.
 *
 * SG1  handler: release store of FULL  ->  take: acquire load; and back: release store of EMPTY  ->
 *      acquire compare-and-swap to FILLING. Weaker: information of half an arrival.
 * SG2  handler: add to ringing, then load bell  <->  close_bell: store bell = none, then load ringing
 *      seq_cst on all four: a late handler finds no pipe, or the close waits for it. Weaker: it writes to
 *      whatever file has got the number by then.
 * SG3  settle: change owned, then add to asked  ->  our thread: load asked, then owned, then release store of
 *      seen  ->  settle: acquire load. Once seen has come up, the thread lets in nothing but what is owned.
 *      Weaker: it takes a signal that has been given back, and dies of it.
 */
#include <weft/io.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/spin.h"
#include "io/io.h"
#include "sched/submit.h"
#include "sched/wait.h"

enum {
	FIRST_REALTIME = 32, /* the kernel's, two of which the C library keeps for itself */
	SIGNALS = 64,
	KEPT_MAX = 1024,
	READ_AT_ONCE = 16,
};

enum slot_state { EMPTY, FILLING, FULL };

struct slot {
	_Atomic(uint32_t) state;
	siginfo_t info;
};

struct kept {
	struct kept *next;
	siginfo_t info;
};

struct kept_list {
	struct kept *first, *last;
};

/* waiter.item: on the waiter's stack */
struct request {
	uint64_t set;
	siginfo_t info;
};

static struct slot slots[FIRST_REALTIME];

static struct weft_spin lock;
static struct weft_waitq waiters;
static struct kept_list kept[SIGNALS + 1];
static unsigned kept_count;

static pthread_mutex_t setup = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(uint64_t) owned;
static unsigned owners[SIGNALS + 1];
static struct sigaction previous[SIGNALS + 1];
static pthread_t thread;
static bool has_thread, has_bell;
static _Atomic(uint32_t) asked, seen, quit; /* SG3 */
static _Atomic(uint32_t) arrivals;

static _Atomic(int) bell = -1, ringing; /* SG2 */
static int bell_out;                    /* the pipe's other end */
static _Atomic(int) process;            /* whose signals these are: a forked child has its own */

static uint64_t bit_of(int signo)
{
	return UINT64_C(1) << (signo - 1);
}

static int lowest_of(uint64_t set)
{
	return __builtin_ctzll(set) + 1;
}

/* -- arrivals ---------------------------------------------------------------------------------- */

/* A failure is no harm but to a real-time signal: the thread is about to look at everything. */
static void ring(const siginfo_t *info)
{
	int fd;

	weft_add_relaxed(&arrivals, 1);
	weft_add_seq_cst(&ringing, 1);
	fd = weft_load_seq_cst(&bell); /* SG2 */
	if (fd >= 0 && write(fd, info, sizeof(*info)) < 0)
		fd = -1;
	weft_sub_seq_cst(&ringing, 1);
}

/* False: one is kept already. */
static bool fill_slot(int signo, const siginfo_t *info)
{
	struct slot *slot = &slots[signo];
	uint32_t state = EMPTY;

	if (!weft_cas_acquire(&slot->state, &state, FILLING)) /* SG1 */
		return false;
	slot->info = *info;
	weft_store_release(&slot->state, FULL); /* SG1 */
	return true;
}

static void on_signal(int signo, siginfo_t *info, void *context)
{
	int before = errno;

	(void)context;
	if (getpid() == weft_load_relaxed(&process) &&
		(signo >= FIRST_REALTIME || fill_slot(signo, info)))
		ring(info);
	errno = before;
}

/* `lock` held. True: an arrival of one of the set is the caller's. */
static bool take_slot(int signo, siginfo_t *info)
{
	struct slot *slot = &slots[signo];

	if (weft_load_acquire(&slot->state) != FULL) /* SG1 */
		return false;
	*info = slot->info;
	weft_store_release(&slot->state, EMPTY); /* SG1 */
	return true;
}

/* `lock` held. NULL: none. The caller frees it. */
static struct kept *take_kept(int signo)
{
	struct kept *first = kept[signo].first;

	if (first) {
		kept[signo].first = first->next;
		kept_count--;
	}
	return first;
}

/* `lock` held. True: an arrival of one of the set, the lowest number first, is the caller's. */
static bool take(uint64_t set, siginfo_t *info)
{
	for (; set; set &= set - 1) {
		int signo = lowest_of(set);
		struct kept *first;

		if (signo < FIRST_REALTIME) {
			if (take_slot(signo, info))
				return true;
		} else if ((first = take_kept(signo))) {
			*info = first->info;
			free(first);
			return true;
		}
	}
	return false;
}

/* -- our thread -------------------------------------------------------------------------------- */

static void keep(const siginfo_t *info)
{
	struct kept *arrival = malloc(sizeof(*arrival));
	int signo = info->si_signo;

	if (!arrival)
		return;
	*arrival = (struct kept){.info = *info};
	weft_spin_lock(&lock);
	if (kept_count == KEPT_MAX || !(weft_load_acquire(&owned) & bit_of(signo))) {
		weft_spin_unlock(&lock);
		free(arrival);
		return;
	}
	if (kept[signo].first)
		kept[signo].last->next = arrival;
	else
		kept[signo].first = arrival;
	kept[signo].last = arrival;
	kept_count++;
	weft_spin_unlock(&lock);
}

/* Read what has been rung: a standard signal is in its slot, a signal 0 is from ourselves. */
static void read_bell(void)
{
	siginfo_t infos[READ_AT_ONCE];
	ssize_t n;

	while ((n = read(bell_out, infos, sizeof(infos))) > 0) {
		for (size_t i = 0; i < (size_t)n / sizeof(infos[0]); i++) {
			if (infos[i].si_signo >= FIRST_REALTIME)
				keep(&infos[i]);
		}
	}
}

/* `lock` held. The first waiter that something has arrived for, with that; NULL: none. */
static struct weft_waiter *first_to_serve(struct weft_waitq *queue)
{
	struct weft_waiter *waiter = weft_waitq_first(queue);

	for (; waiter; waiter = (struct weft_waiter *)waiter->node.next) {
		struct request *request = waiter->item;

		if (take(request->set, &request->info))
			break;
	}
	return waiter;
}

/* How many were served. */
static unsigned serve_waiters(struct weft_waitq *queue)
{
	struct weft_waiter *waiter;
	unsigned served = 0;

	do {
		struct weft_parker *parker = NULL;

		weft_spin_lock(&lock);
		waiter = first_to_serve(queue);
		if (waiter)
			parker = weft_waitq_grant(queue, waiter);
		weft_spin_unlock(&lock);
		if (parker)
			weft_unpark(parker);
		served += waiter != NULL;
	} while (waiter);
	return served;
}

/* All but what is owned. */
static void mask_of_thread(sigset_t *mask)
{
	uint64_t set = weft_load_acquire(&owned);

	sigfillset(mask);
	for (; set; set &= set - 1)
		sigdelset(mask, lowest_of(set));
}

static void *thread_main(void *arg)
{
	struct pollfd end = {.fd = bell_out, .events = POLLIN};

	while (!weft_load_acquire(&quit)) {
		uint32_t round = weft_load_acquire(&asked); /* SG3 */
		sigset_t mask;

		mask_of_thread(&mask);
		weft_store_release(&seen, round); /* SG3 */
		ppoll(&end, 1, NULL, &mask);
		read_bell();
		serve_waiters(&waiters);
	}
	return arg;
}

/* -- in a simulation --------------------------------------------------------------------------- */

unsigned weft_signals_look(struct weft_io *io)
{
	uint32_t count = weft_load_relaxed(&arrivals);

	if (weft_likely(count == io->arrivals_seen))
		return 0;
	io->arrivals_seen = count;
	if (!weft_load_relaxed(&io->signals))
		return 0;
	read_bell();
	return serve_waiters(&io->signal_waiters);
}

bool weft_signals_awaited(const struct weft_io *io)
{
	return !weft_list_empty(&io->signal_waiters.list);
}

static sigset_t set_of(uint64_t bits)
{
	sigset_t set;

	sigemptyset(&set);
	for (; bits; bits &= bits - 1)
		sigaddset(&set, lowest_of(bits));
	return set;
}

/* What of them the simulation's thread has blocked comes in from now on, at once if it is pending. */
static void let_in(struct weft_io *io, uint64_t bits)
{
	sigset_t set = set_of(bits), before;

	pthread_sigmask(SIG_UNBLOCK, &set, &before);
	for (; bits; bits &= bits - 1) {
		if (sigismember(&before, lowest_of(bits)) == 1)
			io->signals_let_in |= bit_of(lowest_of(bits));
	}
}

static void shut_out(struct weft_io *io)
{
	sigset_t set = set_of(io->signals_let_in);

	pthread_sigmask(SIG_BLOCK, &set, NULL);
	io->signals_let_in = 0;
}

/* -- setting up, under `setup` ----------------------------------------------------------------- */

static void close_bell(void)
{
	int fd = weft_load_relaxed(&bell);

	weft_store_seq_cst(&bell, -1); /* SG2 */
	while (weft_load_seq_cst(&ringing))
		sched_yield(); /* ends: a handler makes one system call */
	close(fd);
	close(bell_out);
	has_bell = false;
}

static int open_bell(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	bell_out = ends[0];
	weft_store_seq_cst(&bell, ends[1]);
	weft_store_relaxed(&process, getpid());
	has_bell = true;
	return 0;
}

static int start_thread(void)
{
	pthread_attr_t attr;
	sigset_t all;
	int rc;

	weft_store_relaxed(&quit, 0);
	sigfillset(&all);
	rc = pthread_attr_init(&attr);
	if (rc == 0) {
		pthread_attr_setsigmask_np(&attr, &all);
		rc = pthread_create(&thread, &attr, thread_main, NULL);
		pthread_attr_destroy(&attr);
	}
	has_thread = rc == 0;
	return -rc;
}

static void stop_thread(void)
{
	siginfo_t nothing = {.si_signo = 0};

	weft_store_release(&quit, 1);
	ring(&nothing);
	pthread_join(thread, NULL);
	has_thread = false;
}

/* What takes signals to their waiters. */
static int set_up(const struct weft_io *io)
{
	int rc = has_bell ? 0 : open_bell();

	if (rc == 0 && !has_thread && !io->simulated)
		rc = start_thread();
	if (rc < 0 && has_bell && !weft_load_relaxed(&owned))
		close_bell();
	return rc;
}

static void take_down(void)
{
	if (has_thread)
		stop_thread();
	close_bell();
}

/* Returns once our thread, if there is one, lets in what is owned and nothing else. */
static void settle(void)
{
	siginfo_t nothing = {.si_signo = 0};
	uint32_t round = weft_add_acq_rel(&asked, 1) + 1; /* SG3 */

	if (!has_thread)
		return;
	ring(&nothing);
	while (weft_load_acquire(&seen) != round) /* SG3 */
		sched_yield(); /* ends: the thread never waits but for the bell */
}

/* What has arrived for nobody. */
static void forget(uint64_t set)
{
	siginfo_t info;

	weft_spin_lock(&lock);
	while (take(set, &info))
		;
	weft_spin_unlock(&lock);
}

static void take_over(int signo)
{
	struct sigaction action = {
		.sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART,
	};

	forget(bit_of(signo)); /* of an earlier owner */
	sigfillset(&action.sa_mask);
	sigaction(signo, &action, &previous[signo]);
}

/* The handler that was there before, unless the program has put in another one meanwhile. */
static void put_back(int signo)
{
	struct sigaction now;

	if (sigaction(signo, NULL, &now) == 0 && now.sa_flags & SA_SIGINFO &&
		now.sa_sigaction == on_signal)
		sigaction(signo, &previous[signo], NULL);
}

/*
 * A forked child has none of our threads: its signals do what they did before. They stay blocked until it has
 * come so far, else one sent at once would find our handler there, and be lost.
 */
static sigset_t mask_before_fork;

static void before_fork(void)
{
	sigset_t mask;

	pthread_mutex_lock(&setup);
	sigemptyset(&mask);
	for (uint64_t set = weft_load_relaxed(&owned); set; set &= set - 1)
		sigaddset(&mask, lowest_of(set));
	pthread_sigmask(SIG_BLOCK, &mask, &mask_before_fork);
}

static void after_fork(void)
{
	sigset_t mask = mask_before_fork;

	pthread_mutex_unlock(&setup);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

static void in_forked_child(void)
{
	for (uint64_t set = weft_load_relaxed(&owned); set; set &= set - 1)
		put_back(lowest_of(set));
	after_fork();
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork, in_forked_child);
}

static int own_locked(struct weft_io *io, uint64_t set)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	uint64_t fresh = set & ~weft_load_relaxed(&io->signals), taken = 0;
	int rc = set_up(io);

	if (rc < 0)
		return rc;
	pthread_once(&once, watch_forks);
	for (uint64_t left = fresh; left; left &= left - 1) {
		int signo = lowest_of(left);

		if (owners[signo]++ > 0)
			continue;
		take_over(signo);
		taken |= bit_of(signo);
	}
	if (taken) {
		weft_or_acq_rel(&owned, taken);
		settle();
	}
	weft_or_acq_rel(&io->signals, fresh);
	if (io->simulated)
		let_in(io, fresh);
	return 0;
}

/* errno is put back: it is the program's. */
__attribute__((noinline)) static int own(struct weft_io *io, uint64_t set)
{
	int before = errno;
	int rc;

	if ((weft_load_acquire(&io->signals) & set) == set)
		return 0;
	pthread_mutex_lock(&setup);
	rc = own_locked(io, set);
	pthread_mutex_unlock(&setup);
	errno = before;
	return rc;
}

static void release_locked(struct weft_io *io)
{
	uint64_t given = 0;

	for (uint64_t set = weft_load_relaxed(&io->signals); set; set &= set - 1) {
		if (--owners[lowest_of(set)] == 0)
			given |= bit_of(lowest_of(set));
	}
	weft_store_relaxed(&io->signals, 0);
	if (io->simulated)
		shut_out(io);
	if (!given)
		return;
	weft_and_acq_rel(&owned, ~given);
	settle();
	for (uint64_t set = given; set; set &= set - 1)
		put_back(lowest_of(set));
	if (!weft_load_relaxed(&owned))
		take_down();
	forget(given);
}

void weft_signals_release(struct weft_io *io)
{
	pthread_mutex_lock(&setup);
	release_locked(io);
	pthread_mutex_unlock(&setup);
}

/* -- the call ---------------------------------------------------------------------------------- */

static bool may_be_owned(int signo)
{
	switch (signo) {
	case SIGKILL:
	case SIGSTOP: /* nobody's */
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	case SIGTRAP:
	case SIGSYS: /* of the very thread whose instruction failed */
		return false;
	}
	return signo < FIRST_REALTIME || signo >= SIGRTMIN;
}

/* The signals of the set as bits; 0: there is none, or one that cannot be waited for. */
static uint64_t bits_of(const sigset_t *set)
{
	uint64_t bits = 0;

	for (int signo = 1; signo <= SIGNALS; signo++) {
		if (sigismember(set, signo) != 1)
			continue;
		if (!may_be_owned(signo))
			return 0;
		bits |= bit_of(signo);
	}
	return bits;
}

/* `lock` held. What others, who came earlier, wait for. */
static uint64_t wanted(struct weft_waitq *queue)
{
	struct weft_waiter *waiter = weft_waitq_first(queue);
	uint64_t set = 0;

	for (; waiter; waiter = (struct weft_waiter *)waiter->node.next)
		set |= ((struct request *)waiter->item)->set;
	return set;
}

static int wait_for_arrival(struct weft_io *io, struct request *request)
{
	struct weft_waitq *queue = io->simulated ? &io->signal_waiters : &waiters;
	struct weft_waiter waiter;
	int rc;

	if (io->simulated)
		weft_signals_look(io); /* those who came earlier go first */
	weft_spin_lock(&lock);
	if (take(request->set & ~wanted(queue), &request->info)) {
		weft_spin_unlock(&lock);
		return 0;
	}
	rc = weft_waitq_push(queue, &waiter);
	if (rc < 0) {
		weft_spin_unlock(&lock);
		return rc;
	}
	waiter.item = request;
	return weft_waitq_wait(&lock, queue, &waiter, WEFT_FOREVER);
}

int weft_signal_wait(const sigset_t *set, siginfo_t *info_or_null)
{
	WEFT_CHECKPOINT(checkpoint);
	struct request request = {.set = set ? bits_of(set) : 0};
	int rc;

	if (!request.set)
		return -EINVAL;
	rc = weft_io_enter(&checkpoint);
	if (rc == 0)
		rc = own(weft_io_current(), request.set);
	if (rc == 0)
		rc = wait_for_arrival(weft_io_current(), &request);
	if (rc < 0)
		return rc;
	if (info_or_null)
		*info_or_null = request.info;
	return request.info.si_signo;
}
