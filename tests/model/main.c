/* SPDX-License-Identifier: MIT */
/*
 * main - explores the harnesses whose names begin with one of the arguments (all, without
 * any) and ends with `N passed, N failed`. With -x it stops at the first failure.
 */
#include <stdio.h>
#include <string.h>

#include "harness.h"

static bool wanted(const char *name, int count, char **prefixes)
{
	for (int i = 0; i < count; i++) {
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	}
	return count == 0;
}

int main(int argc, char **argv)
{
	static const struct model_harness *const groups[] = {
		model_spin, model_share, model_idle, model_park};
	bool stop_early = argc > 1 && strcmp(argv[1], "-x") == 0;
	unsigned passed = 0, failed = 0;

	argc -= 1 + stop_early;
	argv += 1 + stop_early;
	for (unsigned g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
		for (const struct model_harness *h = groups[g]; h->name; h++) {
			if (!wanted(h->name, argc, argv) || (stop_early && failed))
				continue;
			if (model_explore(h))
				passed++;
			else
				failed++;
			fflush(stdout);
		}
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed;
}
