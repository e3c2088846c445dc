/* SPDX-License-Identifier: MIT */
/*
 * as_completed - take each answer as soon as it is there.
 *
 * The phases finish in the reverse of the order they were started in; the loop meets them in
 * the order they finish.
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
	int status = weft_sleep(WEFT_MS(500) - WEFT_MS(100) * phase->number);
	if (status < 0)
		return status;
	printf("done with phase %d\n", phase->number);
	snprintf(phase->result, sizeof(phase->result), "phase %d result", phase->number);
	return 0;
}

static void take_answers(struct weft_task **tasks, const struct phase *phases)
{
	struct weft_as_completed walk;
	const char *results[PHASES];
	int n = 0;
	ssize_t i;

	weft_as_completed_begin(&walk, tasks, PHASES);
	while ((i = weft_as_completed_next(&walk, WEFT_FOREVER)) >= 0) {
		if (weft_status(tasks[i]) < 0)
			continue;
		printf("received answer '%s'\n", phases[i].result);
		results[n++] = phases[i].result;
	}
	weft_as_completed_end(&walk);

	printf("results: [");
	for (int r = 0; r < n; r++)
		printf("%s'%s'", r ? ", " : "", results[r]);
	printf("]\n");
}

static int collect(void *arg)
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
	take_answers(tasks, phases);

	for (int i = 0; i < PHASES; i++)
		weft_join(tasks[i]);
	return 0;
}

int main(void)
{
	return weft_run(collect, NULL, NULL) < 0;
}
