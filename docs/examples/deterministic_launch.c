/* SPDX-License-Identifier: MIT */
/*
 * deterministic_launch - tasks that overlap, and still print in the same order in each run, on any number
 * of workers.
 *
 * The members of a TURN order run one at a time, in creation order, and each call that may wait ends a
 * turn. The three waits overlap, so the whole takes as long as one of them.
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
	struct weft_order *order = weft_order_create(WEFT_ORDER_TURN, "launch");
	struct weft_task *tasks[3];
	int status;

	(void)arg;
	tasks[0] = weft_order_create_task(order, work, "A");
	tasks[1] = weft_order_create_task(order, work, "B");
	tasks[2] = weft_order_create_task(order, work, "C");
	weft_order_release(order);
	status = weft_gather(tasks, 3, NULL, 0);
	weft_release_all(tasks, 3);
	return status;
}

int main(void)
{
	return weft_run(launch, NULL, NULL) < 0;
}
