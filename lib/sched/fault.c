/* SPDX-License-Identifier: MIT */
/*
 * fault - a task that overran its stack is named before the process dies of it; any other
 * segmentation fault goes to the handler that was there before.
 *
 * The handler runs on an alternate stack, one per worker, since there is no room on the task's. It
 * calls nothing but write, and reads only what is type-stable.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "sched/frame.h"
#include "sched/worker.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

enum { HANDLER_BYTES = 32 * 1024 };

static struct sigaction previous;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void say(const char *text, size_t length)
{
	if (write(STDERR_FILENO, text, length) < 0)
		return;
}

static void say_text(const char *text)
{
	say(text, strlen(text));
}

static void say_task(const struct weft_task *task)
{
	const char *name = task->site + strlen(task->site) + 1;

	say_text("task '");
	say(name, strcspn(name, ","));
	say_text("' from ");
	say_text(task->site);
}

static struct weft_stack *overrun(const void *address)
{
	for (unsigned i = 0; i < WEFT_RUNTIMES_MAX; i++) {
		struct weft_runtime *runtime = weft_load_acquire(&weft_runtimes[i]);
		struct weft_stack *stack =
			runtime ? weft_stack_guarding(&runtime->stacks, address) : NULL;

		if (stack)
			return stack;
	}
	return NULL;
}

static void pass_on(int number, siginfo_t *info, void *context)
{
	if (previous.sa_flags & SA_SIGINFO) {
		previous.sa_sigaction(number, info, context);
	} else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
		previous.sa_handler(number);
	} else {
		/* The instruction faults again, and the default action takes the core. */
		signal(number, SIG_DFL);
	}
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	struct weft_stack *stack = overrun(info->si_addr);

	if (!stack) {
		pass_on(number, info, context);
		return;
	}
	say_text("weft: stack overflow: ");
	if (stack->frame)
		say_task(stack->frame->task);
	else
		say_text("no task");
	say_text(" ran into the guard below its stack; give it more with "
		 "weft_config.stack_size or weft_attr.stack_size\n");
	signal(number, SIG_DFL);
}

static void install(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigaction(SIGSEGV, &action, &previous);
}

void weft_fault_install(void)
{
	pthread_once(&once, install);
}

void *weft_fault_thread_start(void)
{
	size_t size = HANDLER_BYTES + getauxval(AT_MINSIGSTKSZ);
	stack_t stack = { .ss_sp = malloc(size), .ss_size = size };

	if (stack.ss_sp)
		sigaltstack(&stack, NULL);
	return stack.ss_sp;
}

void weft_fault_thread_stop(void *alternate_stack)
{
	stack_t none = { .ss_flags = SS_DISABLE };

	sigaltstack(&none, NULL);
	free(alternate_stack);
}
