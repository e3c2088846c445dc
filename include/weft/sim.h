/* SPDX-License-Identifier: MIT */
/*
 * sim - the same program on one thread, with virtual time, a seeded schedule, and simulated sockets, pipes,
 * files, names, timers, signals and pool threads: same seed, same everything.
 *
 * Every [S] call is a scheduling point, at which the caller may be chosen again. Time stands still while
 * anything can run, and leaps to the next timer or arrival when nothing can: a year of sleep takes
 * milliseconds. A program that fails under a seed fails under it each time, and its trace can be replayed.
 *
 * What is simulated, and where it shows:
 *
 *	names	of files: what weft's calls change is changed in memory, over the real tree, and gone at the end.
 *		The program's own open(2), stat(2), readdir(3) see the real tree alone; on descriptors that
 *		weft_openat gave its system calls work. A crash of the machine is not simulated.
 *	pool	threads: weft_blocking's function runs on the one thread, on a stack of its own. It is in a plain
 *		thread as far as it can tell, but may create tasks, errno and the signal mask are the thread's,
 *		and real time that it sleeps or waits away passes for nobody.
 *	hosts	weft_getaddrinfo knows addresses in numbers and "localhost" (127.0.0.1, or ::1 when AF_INET6 is
 *		asked for); every other name is -ENOENT.
 *	signals	that the program sends itself arrive, if no other thread lets them in. Those from outside come
 *		when they come.
 *	children are real, and waited for in real time when nothing else can happen: no seed decides about them.
 *
 * docs/guide/simulation.md shows how to find a race with it.
 */
#ifndef WEFT_SIM_H
#define WEFT_SIM_H

#include <stddef.h>
#include <stdint.h>

#include <weft/base.h>
#include <weft/runtime.h>

WEFT_EXTERN_C_BEGIN

/* policies: what runs next, where several could */
enum {
	/* What a runtime with one worker would run. */
	WEFT_SIM_FIFO = 0,
	/* Any of them, with equal odds. */
	WEFT_SIM_RANDOM,
	/*
	 * The one with the highest priority; priorities are random, and change depth - 1 times during the run.
	 * Finds a bug that takes depth events in a certain order with a probability that has a lower bound
	 * (Burckhardt et al., A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs, ASPLOS 2010).
	 */
	WEFT_SIM_PCT,
	/* As in the trace file trace_in, which also gives seed, depth and faults. */
	WEFT_SIM_REPLAY,
};

/* bits of faults: what the simulated world does besides working. Where and when, the seed says. */
enum {
	/* What is sent, and what a disk or a pool thread does, takes a while. */
	WEFT_SIM_LATENCY = 1,
	/* Reads and writes transfer less than they could. */
	WEFT_SIM_PARTIAL = 2,
	/* Connections are reset: -ECONNRESET, -EPIPE. */
	WEFT_SIM_RESET = 4,
	/* Writes and the making of files meet a full disk: -ENOSPC. */
	WEFT_SIM_ENOSPC = 8,
	/* No descriptor is to be had for a moment: -EMFILE. */
	WEFT_SIM_EMFILE = 16,
	/* Connects are refused: -ECONNREFUSED. */
	WEFT_SIM_REFUSE = 32,
	/* What is sent by different sockets arrives in another order; datagrams of one socket do too. */
	WEFT_SIM_REORDER = 64,
	/* Time also passes while tasks could run, as on a machine that is too slow: deadlines meet them. */
	WEFT_SIM_SLOW = 128,
	WEFT_SIM_ALL_FAULTS = 255,
};

/* cancel_how */
enum {
	WEFT_SIM_CANCEL = 0, /* weft_cancel() */
	WEFT_SIM_TIMEOUT,    /* as if a deadline around the task's body had fired just then */
};

struct weft_sim {
	size_t size; /* = sizeof(struct weft_sim) */
	uint64_t seed;
	int policy;     /* WEFT_SIM_FIFO = 0, _RANDOM, _PCT, _REPLAY */
	unsigned depth; /* of WEFT_SIM_PCT; 0: 3 */
	unsigned faults;
	const char *trace_in;  /* of WEFT_SIM_REPLAY: a file that trace_out has written */
	const char *trace_out; /* NULL, or a file for what is decided, a line each */
	uint64_t trace_hash;   /* out: of everything that was decided and came of it */
	uint64_t steps;        /* out: how often something was chosen */
	/* -- beyond this zero is a default -- */
	/* Receives the reports; default: a line each on stderr. It may not call into weft. */
	void (*on_report)(const struct weft_report *report, void *user);
	void *user;
	uint64_t steps_max;   /* so many steps at most: then all tasks are cancelled, -ETIME. 0: no bound */
	uint64_t cancel_at;   /* number of a checkpoint: the task that comes to it is cancelled. 0: none */
	unsigned cancel_how;  /* WEFT_SIM_CANCEL or WEFT_SIM_TIMEOUT */
	uint64_t checkpoints; /* out: how many there were */
	char cancelled[64];   /* out: the name of the task that cancel_at met, "" if none */
	uint64_t show_step;   /* report the call stack of what is chosen in that step (WEFT_REPORT_STEP). 0: none */
};

/*
 * Runs main_fn(arg) as weft_run does, simulated, on the calling plain thread, which must be no task (-EPERM).
 * Programs need no change: descriptors are real numbers, so that bind(2), setsockopt(2), close(2) and the like
 * work on them; what the calls of weft do with them is simulated.
 *
 * Returns main_fn's status; -EDEADLK when all tasks were blocked for good: who waits for what is reported
 * (WEFT_REPORT_DEADLOCK), then they are cancelled and joined; also when a task that was cancelled at the end went on
 * for a million steps (WEFT_REPORT_LEAK; what it uses is left in place). -ETIME after steps_max steps. -EINVAL for
 * a NULL function, a bad size, policy or fault; -ENOENT or another code when trace_in cannot be read, -EBADMSG
 * when it is no trace; -ENOMEM. Reported too: a task that is left at the end, a handle that nobody released, a
 * simulated descriptor that is still open (WEFT_REPORT_LEAK); where a program does not follow trace_in
 * (WEFT_REPORT_MISUSE).
 */
WEFT_API int weft_simulate(weft_fn main_fn, void *arg, struct weft_sim *sim);

/* A random number: the seed's in a simulation, else the system's. Any thread; never suspends. */
WEFT_API uint64_t weft_random(void);

WEFT_EXTERN_C_END

#endif /* WEFT_SIM_H */
