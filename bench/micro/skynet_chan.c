/* SPDX-License-Identifier: MIT */
/*
 * skynet_chan - skynet as the Go original has it: detached tasks that report over a
 * rendezvous channel, so each suspends. Run order decides how many stacks are alive.
 * n leaves; ms per tree, and the most memory the process ever had.
 */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
	size_t first, leaves;
	struct weft_chan *out;
};

static int node(void *arg)
{
	struct node me = *(struct node *)arg;
	size_t sum = 0;

	free(arg);
	if (me.leaves == 1)
		return weft_chan_send(me.out, &me.first);

	struct weft_chan *in = weft_chan_create(sizeof(size_t), 0);

	for (size_t i = 0; i < 10; i++) {
		struct node *child = malloc(sizeof(*child));

		child->leaves = me.leaves / 10;
		child->first = me.first + i * child->leaves;
		child->out = in;
		weft_go(node, child);
	}
	for (size_t i = 0; i < 10; i++) {
		size_t part;

		weft_chan_recv(in, &part);
		sum += part;
	}
	weft_chan_destroy(in);
	return weft_chan_send(me.out, &sum);
}

static double round_of(size_t n)
{
	struct weft_chan *in = weft_chan_create(sizeof(size_t), 0);
	struct node *root = malloc(sizeof(*root));
	double start = bench_now();
	size_t sum = 0;

	*root = (struct node){.leaves = n, .out = in};
	weft_go(node, root);
	weft_chan_recv(in, &sum);
	bench_check(sum == n * (n - 1) / 2, "skynet sum; n must be a power of ten");
	weft_chan_destroy(in);
	return (bench_now() - start) / 1e6;
}

/* The most memory resident at once, in MiB; getrusage would count that of our parent. */
static double peak_mib(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	double kib = 0;
	char line[256];

	bench_check(file != NULL, "/proc/self/status");
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, "VmHWM:", 6) == 0)
			kib = strtod(line + 6, NULL);
	fclose(file);
	return kib / 1024;
}

int main(int argc, char **argv)
{
	static const struct bench bench = {"skynet_chan", "ms", 1000000, round_of};
	int rc = bench_main(argc, argv, &bench);
	double mib = peak_mib();

	if (rc == 0)
		bench_print("skynet_chan_rss", bench_parse(argc, argv).workers, &mib, 1,
			"MiB");
	return rc;
}
