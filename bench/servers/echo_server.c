/* SPDX-License-Identifier: MIT */
/*
 * echo_server - sends back what each connection sends, until it ends or the server stops.
 */
#include "server.h"

static int echo(int fd, void *user)
{
	char buf[1024]; /* with the frames around it, one page per connection */

	(void)user;
	for (;;) {
		ssize_t n = weft_recv(fd, buf, sizeof(buf), 0);
		int rc;

		if (n <= 0)
			return (int)n;
		rc = server_send(fd, buf, (size_t)n);
		if (rc < 0)
			return rc;
	}
}

int main(int argc, char **argv)
{
	return server_main(argc, argv, echo);
}
