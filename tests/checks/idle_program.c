/* SPDX-License-Identifier: MIT */
/*
 * idle_program - two workers and one task, which waits for its standard input to end. Used by
 * idle.sh, which looks at what the program does meanwhile: nothing.
 */
#include <stdio.h>
#include <unistd.h>

#include <weft.h>

static int wait_for_input(void *arg)
{
	char byte;

	(void)arg;
	puts("waiting");
	fflush(stdout);
	return (int)weft_read(STDIN_FILENO, &byte, 1);
}

int main(void)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.workers = 2;
	return weft_run(wait_for_input, NULL, &config) != 0;
}
