/* SPDX-License-Identifier: MIT */
/*
 * mutex - n tasks lock one mutex 1000 times each around one addition. ns per lock.
 */
#include "bench.h"

enum { EACH = 1000 };

static struct weft_mutex mutex;
static size_t counter;

static int body(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < EACH; i++) {
		weft_mutex_lock(&mutex);
		counter++;
		weft_mutex_unlock(&mutex);
	}
	return 0;
}

static double round_of(size_t n)
{
	struct weft_group group;
	double start = bench_now(), end;

	counter = 0;
	weft_group_begin(&group, 0);
	for (size_t i = 0; i < n; i++)
		weft_group_spawn(&group, body, NULL);
	weft_group_join(&group);
	end = bench_now();
	bench_check(counter == n * EACH, "no addition is lost");
	return (end - start) / (double)(n * EACH);
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"mutex_1000x1000", "ns/lock", 1000, round_of};

	return bench_main(argc, argv, &bench);
}
