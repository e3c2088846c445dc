/* SPDX-License-Identifier: MIT */
/*
 * wait_timeout - wait for a moment, then cancel what has not ended.
 *
 * A timeout of weft_wait is no error and cancels nothing: the caller decides. Its timer is
 * armed before the phases start, and timers fire by (deadline, creation), so with one worker
 * phase 1 is always still asleep when the wait ends: the output is the same in each run.
 */
#include <errno.h>
#include <stdio.h>

#include <weft.h>

#define PHASES 3

static int run_phase(void *arg)
{
	const int *number = arg;

	printf("in phase %d\n", *number);
	int status = weft_sleep(WEFT_MS(100) * *number);
	if (status == -ECANCELED)
		printf("phase %d cancelled\n", *number);
	else
		printf("done with phase %d\n", *number);
	return status;
}

static int wait_a_moment(void *arg)
{
	int numbers[PHASES];
	struct weft_task *tasks[PHASES];

	(void)arg;
	printf("starting main\n");
	for (int i = 0; i < PHASES; i++) {
		numbers[i] = i;
		tasks[i] = weft_create_task(run_phase, &numbers[i]);
	}

	printf("waiting 0.1 for phases to complete\n");
	ssize_t completed = weft_wait(tasks, PHASES, WEFT_ALL_COMPLETED, WEFT_MS(100));
	if (completed < 0)
		completed = 0;
	printf("%zd completed and %zd pending\n", completed, PHASES - completed);

	if (completed < PHASES) {
		printf("canceling tasks\n");
		for (ssize_t i = completed; i < PHASES; i++)
			weft_cancel(tasks[i]);
	}
	printf("exiting main\n");

	/* a cancel is a request: who owns the task waits until it has been honoured */
	for (int i = 0; i < PHASES; i++)
		weft_join(tasks[i]);
	return 0;
}

int main(void)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.workers = 1;
	return weft_run(wait_a_moment, NULL, &config) < 0;
}
