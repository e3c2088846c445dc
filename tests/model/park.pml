/* SPDX-License-Identifier: MIT */
/*
 * park - how workers sleep and are woken (lib/sched/idle.c and the end of worker.c), with as many
 * as matter: three workers, a producer that injects tasks, one that mails to a worker, a kernel
 * that completes operations on a worker's ring, and the end of the runtime.
 *
 * What is under the lock in idle.c is one step here; a waker takes any sleeper, not the last
 * one; memory is sequentially consistent (the orders are the explorer's part). A worker whose ring
 * has a completion wakes by itself and leaves the sleepers by itself.
 *
 * Always:   the counts equal what they count (the assertions).
 * Finally:  each task is run, mail read, completion reaped, and every worker has left: an invalid
 *           end state otherwise, and the claim `finally` under weak fairness.
 * MEETING:  a task that has started waits until all have: a task may not lie queued while
 *           others sleep, even if the one who took the last one never looks again.
 *
 * BUG_...   each breaks one rule; run-spin asks that each be found.
 */
#define WORKERS 3
#ifndef TASKS
#define TASKS 2
#endif
#ifndef LETTERS
#define LETTERS 1 /* 0 or 1 */
#endif
#ifndef COMPLETIONS
#define COMPLETIONS 1
#endif

byte injections, injected;             /* so far; queued */
byte started, ended, reaped, letters; /* begun; done, of each kind */
bool mail[WORKERS], token[WORKERS], asleep[WORKERS];
byte completions[WORKERS];
byte sleeping, searching; /* idle.c's packed counts */
byte gone;
bool exiting;

#define ASLEEP (asleep[0] + asleep[1] + asleep[2])
#define VALID assert(sleeping == ASLEEP && searching <= WORKERS)

#ifdef BUG_NO_RECHECK
#define WORK_ANYWHERE(me) false
#else
#ifdef BUG_FORGET_INJECTOR
#define INJECTED false
#else
#define INJECTED (injected > 0)
#endif
#ifdef BUG_FORGET_MAIL
#define MAIL(me) false
#else
#define MAIL(me) mail[me]
#endif
#ifdef BUG_FORGET_EXIT
#define EXITING false
#else
#define EXITING exiting
#endif
#define WORK_ANYWHERE(me) (INJECTED || MAIL(me) || EXITING)
#endif

#ifdef BUG_COUNTS_LATE /* the flag first, the counts a step later */
#define chosen(w) asleep[w] = false
#define woken(w) atomic { sleeping--; searching++ } token[w] = true
#else
#define chosen(w) choose(w)
#define woken(w) token[w] = true
#endif

/* Under the lock: w leaves the sleepers and counts as searching. */
inline choose(w)
{
	asleep[w] = false;
	sleeping--;
	searching++;
	VALID
}

/* weft_idle_notify: one step, since only the look at the counts under the lock decides */
inline notify()
{
	if
	:: atomic { sleeping > 0 && searching == 0 && asleep[0] -> chosen(0) }
		woken(0)
	:: atomic { sleeping > 0 && searching == 0 && asleep[1] -> chosen(1) }
		woken(1)
	:: atomic { sleeping > 0 && searching == 0 && asleep[2] -> chosen(2) }
		woken(2)
	:: atomic { else -> skip }
	fi
}

/* weft_idle_notify_one */
inline notify_one(w)
{
	if
	:: atomic { asleep[w] -> chosen(w) }
		woken(w)
	:: atomic { else -> skip }
	fi
}

/* A searcher has work in its hands; the last one looks for whoever saw it searching (ID2). */
inline stop_searching()
{
	if
	:: atomic { searches ->
			assert(searching > 0);
			searches = false;
			searching--;
			last = searching == 0
		}
#ifndef BUG_NO_LAST_SEARCHER
		if
		:: atomic { last && injected > 0 -> last = false }
			notify()
		:: atomic { else -> last = false }
		fi
#else
		last = false
#endif
	:: atomic { else -> skip }
	fi
}

/* What it finds it has: mail, a completion, or a task of the injector's. Else: is it the end? */
inline look()
{
	atomic {
		if
		:: mail[me] -> mail[me] = false; letters++; found = true
		:: else ->
			if
			:: completions[me] > 0 -> completions[me]--; reaped++; found = true
			:: else ->
				if
				:: injected > 0 -> injected--; started++; task = true; found = true
				:: else -> leave = exiting
				fi
			fi
		fi
	}
}

/* With work in its hands. */
inline work()
{
	found = false;
	stop_searching();
#ifdef MEETING
	atomic { !task || started == TASKS -> ended = ended + task; task = false }
#else
	atomic { ended = ended + task; task = false }
#endif
}

proctype worker(byte me)
{
	bool searches, found, task, last, leave;

	do
	:: look();
		if
		:: atomic { found -> skip }
			work()
		:: atomic { !found && leave -> break }
		:: atomic { !found && !leave && !searches && 2 * searching < WORKERS ->
				searching++;
				searches = true
			} /* and looks again */
		:: atomic { else ->
				/* weft_idle_sleep */
				assert(!asleep[me]);
				asleep[me] = true;
				sleeping++;
				searching = searching - searches;
				searches = false;
#ifndef BUG_COUNTS_LATE
				VALID
#endif
			}
			if
			:: atomic { WORK_ANYWHERE(me) -> skip }
			:: atomic { else -> skip }
				/* in its ring: woken, or a completion of its own is there */
				atomic { token[me] || completions[me] > 0 -> token[me] = false }
			fi;
			if /* weft_idle_cancel: awake, so searching, whoever woke it */
#ifdef BUG_BYPASS
			:: atomic { asleep[me] && completions[me] > 0 -> skip } /* its ring did */
#endif
#ifdef BUG_SELF_WOKEN_IS_NO_SEARCHER
			:: atomic { asleep[me] -> asleep[me] = false; sleeping--; VALID }
#else
			:: atomic { asleep[me] -> choose(me); searches = true }
#endif
			:: atomic { !asleep[me] -> searches = true }
			fi
		fi
	od;
	stop_searching();
	gone++
}

proctype injector()
{
	do
	:: atomic { injections < TASKS -> injections++; injected++ }
		notify()
	:: atomic { else -> break }
	od
}

proctype sender()
{
	mail[1] = true;
	notify_one(1)
}

/* Completions simply are there; whoever waits in that ring wakes. */
proctype kernel()
{
	byte i;

	do
	:: atomic { i < COMPLETIONS -> i++; completions[0]++ }
	:: atomic { else -> break }
	od
}

/* The end: when everything is done, everybody leaves. */
proctype ender()
{
	ended == TASKS && reaped == COMPLETIONS && letters == LETTERS;
	exiting = true;
	notify_one(0);
	notify_one(1);
	notify_one(2);
	gone == WORKERS;
	assert(injected == 0 && sleeping == 0 && searching == 0)
}

init
{
	atomic {
		run worker(0);
		run worker(1);
		run worker(2);
		run injector();
#if LETTERS
		run sender();
#endif
#if COMPLETIONS
		run kernel();
#endif
		run ender()
	}
}

ltl finally { <> (gone == WORKERS) }
