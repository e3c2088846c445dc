/* SPDX-License-Identifier: MIT */
/*
 * gather - run tasks side by side and collect their results in argument order.
 *
 * weft_gather owns what it waits for: a failure of one cancels the others, and when it
 * returns all have ended. The results are values the tasks published.
 */
#include <stdio.h>

#include <weft.h>

static int phase1(void *arg)
{
	(void)arg;
	printf("in phase1\n");
	int status = weft_sleep(WEFT_SEC(2));
	if (status < 0)
		return status;
	printf("done with phase1\n");
	return weft_set_value("phase1 result", NULL);
}

static int phase2(void *arg)
{
	(void)arg;
	printf("in phase2\n");
	int status = weft_sleep(WEFT_SEC(1));
	if (status < 0)
		return status;
	printf("done with phase2\n");
	return weft_set_value("phase2 result", NULL);
}

static int gather_phases(void *arg)
{
	(void)arg;
	printf("starting main\n");
	struct weft_task *tasks[] = {
		weft_create_task(phase1, NULL),
		weft_create_task(phase2, NULL),
	};

	printf("waiting for phases to complete\n");
	int status = weft_gather(tasks, 2, NULL, 0);
	if (status == 0)
		printf("results: ['%s', '%s']\n", (char *)weft_value(tasks[0]),
			(char *)weft_value(tasks[1]));
	weft_release_all(tasks, 2);
	return status;
}

int main(void)
{
	return weft_run(gather_phases, NULL, NULL) < 0;
}
