/* SPDX-License-Identifier: MIT */
/*
 * install_user.c - the smallest program that uses an installed weft: it starts workers,
 * waits for a task and sleeps. install.sh builds and runs it.
 */
#include <weft.h>

#include <stdio.h>

static int twenty_one(void *arg)
{
	return weft_sleep(WEFT_MS(1)) == 0 ? *(int *)arg : -1;
}

static int program(void *arg)
{
	int half = 21;
	struct weft_task *task = weft_create_task(twenty_one, &half);

	(void)arg;
	return weft_join(task) + half;
}

int main(void)
{
	int status = weft_run(program, NULL, NULL);

	printf("weft %s: %d\n", weft_version(), status);
	return status == 42 ? 0 : 1;
}
