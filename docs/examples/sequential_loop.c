/* SPDX-License-Identifier: MIT */
/*
 * sequential_loop - items one at a time: the next one starts when the last one is done.
 *
 * A loop that waits is a loop. Nothing here is a task but the one that runs it.
 */
#include <stdio.h>

#include <weft.h>

#define ITEMS 5

static int process(int item, int *result)
{
	printf("Processing item %d\n", item);
	int status = weft_sleep(WEFT_MS(50));
	if (status < 0)
		return status;
	*result = item * 10;
	printf("Finished item %d\n", item);
	return 0;
}

static void print_list(const int *results, int n)
{
	printf("Result List: [");
	for (int i = 0; i < n; i++)
		printf("%s%d", i ? ", " : "", results[i]);
	printf("]\n");
}

static int loop(void *arg)
{
	int results[ITEMS];

	(void)arg;
	for (int item = 1; item <= ITEMS; item++) {
		int status = process(item, &results[item - 1]);
		if (status < 0)
			return status;
	}
	print_list(results, ITEMS);
	return 0;
}

int main(void)
{
	return weft_run(loop, NULL, NULL) < 0;
}
