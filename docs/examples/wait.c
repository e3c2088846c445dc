/* SPDX-License-Identifier: MIT */
/*
 * wait - start three phases and wait until all of them have ended.
 *
 * weft_wait moves the tasks that are done to the front of the array, in the order they had
 * in it, and says how many they are. The phases run on all workers: what they print while
 * they run comes in any order, their results do not.
 */
#include <stdio.h>

#include <weft.h>

#define PHASES 3

struct phase {
	int number;
	char result[32];
};

static int run_phase(void *arg)
{
	struct phase *phase = arg;

	printf("in phase %d\n", phase->number);
	int status = weft_sleep(WEFT_MS(100) * phase->number);
	if (status < 0)
		return status;
	printf("done with phase %d\n", phase->number);
	snprintf(phase->result, sizeof(phase->result), "phase %d result", phase->number);
	return weft_set_value(phase->result, NULL);
}

static void print_results(struct weft_task **tasks, ssize_t n)
{
	printf("results: [");
	for (ssize_t i = 0; i < n; i++)
		printf("%s'%s'", i ? ", " : "", (char *)weft_value(tasks[i]));
	printf("]\n");
}

static int wait_for_phases(void *arg)
{
	struct phase phases[PHASES];
	struct weft_task *tasks[PHASES];

	(void)arg;
	printf("starting main\n");
	for (int i = 0; i < PHASES; i++) {
		phases[i].number = i;
		tasks[i] = weft_create_task(run_phase, &phases[i]);
	}

	printf("waiting for phases to complete\n");
	ssize_t completed = weft_wait(tasks, PHASES, WEFT_ALL_COMPLETED, WEFT_FOREVER);
	if (completed == PHASES)
		print_results(tasks, completed);

	/* weft_wait owns nothing: the phases live on this stack, so each is joined here */
	for (int i = 0; i < PHASES; i++)
		weft_join(tasks[i]);
	return completed == PHASES ? 0 : (int)completed;
}

int main(void)
{
	return weft_run(wait_for_phases, NULL, NULL) < 0;
}
