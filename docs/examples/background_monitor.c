/* SPDX-License-Identifier: MIT */
/*
 * background_monitor - a task that reports in the background while the main one works.
 *
 * The handle is kept and joined at the end: what a program starts, it also ends.
 */
#include <stdio.h>

#include <weft.h>

#define REPORTS 5

static int monitor(void *arg)
{
	(void)arg;
	for (int i = 1; i <= REPORTS; i++) {
		int status = weft_sleep(WEFT_MS(500));
		if (status < 0)
			return status;
		printf("  [Monitor] System running... (%d/%d)\n", i, REPORTS);
	}
	return 0;
}

static int process(void *arg)
{
	(void)arg;
	printf("[Main] Process started\n");
	struct weft_task *background = weft_create_task(monitor, NULL);

	int status = weft_sleep(WEFT_SEC(3));
	printf("[Main] Process finished\n");

	int monitored = weft_join(background);
	return status < 0 ? status : monitored;
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0); /* each line when it happens, also into a pipe */
	return weft_run(process, NULL, NULL) < 0;
}
