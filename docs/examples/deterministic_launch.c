/* SPDX-License-Identifier: MIT */
/*
 * deterministic_launch - tasks that overlap, and still print in the same order in each run.
 *
 * With one worker the order comes free of charge: the tasks that one task creates start in
 * the order of their creation, and timers fire by deadline, then by creation. The three
 * waits overlap, so the whole takes as long as one of them.
 */
#include <stdio.h>

#include <weft.h>

static int work(void *arg)
{
	const char *name = arg;

	printf("%s_1\n", name);
	int status = weft_sleep(WEFT_MS(300));
	if (status < 0)
		return status;
	printf("%s_2\n", name);
	return 0;
}

static int launch(void *arg)
{
	struct weft_group group;

	(void)arg;
	weft_group_begin(&group, 0);
	weft_group_spawn(&group, work, "A");
	weft_group_spawn(&group, work, "B");
	weft_group_spawn(&group, work, "C");
	return weft_group_join(&group);
}

int main(void)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.workers = 1;
	return weft_run(launch, NULL, &config) < 0;
}
