/* SPDX-License-Identifier: MIT */
/*
 * io_datagram - datagrams with addresses: who sent it, and where it goes.
 */
#include "helper.h"

#include <arpa/inet.h>
#include <netinet/in.h>

TestSuite(io_datagram, .timeout = PATIENCE);

/* A UDP socket on a free port of loopback; its address. */
static int make_socket(struct sockaddr_in *addr)
{
	socklen_t len = sizeof(*addr);
	int fd = weft_socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0);
	*addr = (struct sockaddr_in){ .sin_family = AF_INET };
	addr->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(bind(fd, (struct sockaddr *)addr, sizeof(*addr)), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)addr, &len), 0);
	return fd;
}

static int talk(void *arg)
{
	struct sockaddr_in a, b, from;
	socklen_t len = sizeof(from);
	int fd_a = make_socket(&a), fd_b = make_socket(&b);
	char buf[64];

	(void)arg;
	cr_assert_eq(weft_sendto(fd_a, "ping", 4, 0, (struct sockaddr *)&b, sizeof(b)), 4);
	cr_assert_eq(
		weft_recvfrom(fd_b, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len), 4);
	cr_assert_arr_eq(buf, "ping", 4);
	cr_assert_eq(len, sizeof(from));
	cr_assert_eq(from.sin_port, a.sin_port, "from the one who sent it");

	cr_assert_eq(weft_sendto(fd_b, "pong", 4, 0, (struct sockaddr *)&from, len), 4);
	cr_assert_eq(weft_recvfrom(fd_a, buf, 2, 0, NULL, NULL), 2, "the rest is gone");

	cr_assert_eq(weft_sendto(fd_a, "", 0, 0, (struct sockaddr *)&b, sizeof(b)), 0);
	cr_assert_eq(weft_recvfrom(fd_b, buf, sizeof(buf), 0, NULL, NULL), 0,
		"an empty datagram is one");

	len = 4;
	cr_assert_eq(weft_sendto(fd_a, "ping", 4, 0, (struct sockaddr *)&b, sizeof(b)), 4);
	cr_assert_eq(
		weft_recvfrom(fd_b, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len), 4);
	cr_assert_eq(len, sizeof(from), "how long it would have been");
	weft_close(fd_a);
	weft_close(fd_b);
	return 0;
}

Test(io_datagram, arrive_with_the_address_of_their_sender)
{
	run_on_1_2_4(talk);
}

static int receive_one(void *arg)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char buf[16];
	ssize_t n = weft_recvfrom(
		*(int *)arg, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);

	return n < 0 ? (int)n : ntohs(from.sin_port);
}

static int wait_for_a_datagram(void *arg)
{
	struct sockaddr_in a, b;
	int fd_a = make_socket(&a), fd_b = make_socket(&b);
	struct weft_task *receiver;

	(void)arg;
	receiver = weft_create_task(receive_one, &fd_b);
	cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
	cr_assert_eq(weft_sendto(fd_a, "late", 4, 0, (struct sockaddr *)&b, sizeof(b)), 4);
	cr_assert_eq(weft_join(receiver), ntohs(a.sin_port));

	receiver = weft_create_task(receive_one, &fd_b);
	cr_assert_eq(weft_wait_for(receiver, WEFT_MS(5)), -ETIMEDOUT);
	weft_release(receiver);

	receiver = weft_create_task(receive_one, &fd_b);
	cr_assert_eq(weft_sleep(WEFT_MS(1)), 0);
	cr_assert_eq(weft_close(fd_b), 0);
	cr_assert_eq(weft_join(receiver), -EBADF);
	weft_close(fd_a);
	return 0;
}

Test(io_datagram, are_waited_for_until_a_cancel_or_a_close)
{
	run_on_1_2_4(wait_for_a_datagram);
}

static int misuse(void *arg)
{
	struct sockaddr_in addr;
	char buf[4];
	int fd = make_socket(&addr);

	(void)arg;
	cr_assert_eq(weft_recvfrom(fd, NULL, 1, 0, NULL, NULL), -EFAULT);
	cr_assert_eq(weft_recvfrom(fd, buf, 4, 0, (struct sockaddr *)&addr, NULL), -EFAULT);
	cr_assert_eq(weft_recvfrom(fd, buf, 4, MSG_DONTWAIT, NULL, NULL), -EAGAIN);
	cr_assert_eq(weft_sendto(fd, NULL, 1, 0, (struct sockaddr *)&addr, sizeof(addr)),
		-EFAULT);
	cr_assert_eq(weft_sendto(fd, "x", 1, 0, NULL, 0), -EDESTADDRREQ);
	cr_assert_eq(weft_sendto(-1, "x", 1, 0, NULL, 0), -EBADF);
	cr_assert_eq(weft_recvfrom(-1, buf, 4, 0, NULL, NULL), -EBADF);
	weft_close(fd);
	return 0;
}

Test(io_datagram, returns_the_codes_of_the_system_calls)
{
	run_on_1_2_4(misuse);
}
