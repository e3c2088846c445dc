/* SPDX-License-Identifier: MIT */
/*
 * echo_server [address] - send back whatever arrives, to any number of clients at a time.
 *
 * Each connection is a task that reads and writes in a loop, as if it were alone. The address
 * defaults to a free port on loopback; the one in use is printed.
 */
#include <stdio.h>
#include <sys/socket.h>

#include <weft.h>

static int echo(int fd, void *user)
{
	char buf[4096];
	ssize_t n;

	(void)user;
	while ((n = weft_recv(fd, buf, sizeof(buf), 0)) > 0) {
		n = weft_send_full(fd, buf, (size_t)n, 0, NULL);
		if (n < 0)
			break;
	}
	return (int)n; /* weft_serve closes fd */
}

static int serve(void *arg)
{
	char address[128];

	int fd = weft_listen(arg, SOMAXCONN, 0);
	if (fd < 0)
		return fd;
	int status = weft_local_address(fd, address, sizeof(address));
	if (status >= 0) {
		printf("listening on %s\n", address);
		fflush(stdout);
		status = weft_serve(fd, echo, NULL, 0);
	}
	weft_close(fd);
	return status;
}

int main(int argc, char **argv)
{
	int status = weft_run(serve, argc > 1 ? argv[1] : "127.0.0.1:0", NULL);

	fprintf(stderr, "echo_server: error %d\n", -status);
	return 1;
}
