/* SPDX-License-Identifier: MIT */
/*
 * test_address - socket addresses as text: what is read, what is refused, and that what is
 * written is what was read.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "io/address.h"

static struct weft_address parsed(const char *text)
{
	struct weft_address address;
	int rc = weft_address_parse(text, &address);

	cr_assert_eq(rc, 0, "%s: %d", text, rc);
	return address;
}

static void refuses(const char *text, int code)
{
	struct weft_address address;
	int rc = weft_address_parse(text, &address);

	cr_expect_eq(rc, code, "%s: %d", text, rc);
}

static void comes_back(const char *text)
{
	struct weft_address address = parsed(text);
	char buf[256];
	int length = weft_address_format(&address, buf, sizeof(buf));

	cr_expect_str_eq(buf, text);
	cr_expect_eq(length, (int)strlen(text));
}

Test(address, reads_ip4)
{
	struct weft_address address = parsed("127.0.0.1:8080");
	struct sockaddr_in *in = (struct sockaddr_in *)&address.storage;

	cr_assert_eq(in->sin_family, AF_INET);
	cr_assert_eq(in->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
	cr_assert_eq(in->sin_port, htons(8080));
	cr_assert_eq(address.len, sizeof(*in));
}

Test(address, reads_ip6)
{
	struct weft_address address = parsed("[::1]:65535");
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address.storage;

	cr_assert_eq(in6->sin6_family, AF_INET6);
	cr_assert_eq(memcmp(&in6->sin6_addr, &in6addr_loopback, 16), 0);
	cr_assert_eq(in6->sin6_port, htons(65535));
	cr_assert_eq(address.len, sizeof(*in6));
}

Test(address, reads_a_scope_by_name_and_by_number)
{
	struct weft_address address = parsed("[fe80::1%lo]:1");
	struct weft_address number = parsed("[fe80::1%1]:1");

	cr_assert_eq(((struct sockaddr_in6 *)&address.storage)->sin6_scope_id, 1);
	cr_assert_eq(((struct sockaddr_in6 *)&number.storage)->sin6_scope_id, 1);
}

Test(address, reads_an_abstract_unix_name)
{
	struct weft_address address = parsed("unix:@name");
	struct sockaddr_un *un = (struct sockaddr_un *)&address.storage;

	cr_assert_eq(un->sun_path[0], '\0');
	cr_assert_eq(memcmp(un->sun_path + 1, "name", 4), 0);
	cr_assert_eq(address.len, offsetof(struct sockaddr_un, sun_path) + 5);
}

Test(address, writes_what_it_read)
{
	comes_back("127.0.0.1:8080");
	comes_back("0.0.0.0:0");
	comes_back("[::]:0");
	comes_back("[2001:db8::7]:443");
	comes_back("[fe80::1%1]:80");
	comes_back("unix:/run/weft.sock");
	comes_back("unix:relative");
	comes_back("unix:@name");
}

Test(address, refuses_what_is_none)
{
	static const char *const none[] = {
		"",
		":",
		":80",
		"127.0.0.1",
		"127.0.0.1:",
		"127.0.0.1:65536",
		"127.0.0.1:-1",
		"127.0.0.1:+1",
		"127.0.0.1: 1",
		"127.0.0.1:1x",
		"127.0.0.1:000001",
		"127.1:80",
		"localhost:80",
		"256.0.0.1:80",
		"::1:80",
		"[::1]",
		"[::1]80",
		"[::1:80",
		"[]:80",
		"[127.0.0.1]:80",
		"[::1%]:80",
		"[::1%no-such-interface]:80",
		"unix:",
		"[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd]:80",
	};

	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		refuses(none[i], -EINVAL);
}

Test(address, refuses_a_path_that_does_not_fit)
{
	char text[5 + sizeof(((struct sockaddr_un *)0)->sun_path) + 1] = "unix:";

	memset(text + 5, 'x', sizeof(text) - 6);
	refuses(text, -ENAMETOOLONG);
	text[sizeof(text) - 2] = '\0';
	comes_back(text);
}

Test(address, says_when_the_text_does_not_fit)
{
	struct weft_address address = parsed("127.0.0.1:80");
	char buf[13];

	cr_assert_eq(weft_address_format(&address, buf, 13), 12);
	cr_assert_eq(weft_address_format(&address, buf, 12), -ENOSPC);
	cr_assert_eq(weft_address_format(&address, NULL, 0), -ENOSPC);
}

Test(address, writes_an_unnamed_unix_socket)
{
	struct weft_address address = {.len = sizeof(sa_family_t)};
	char buf[16];

	address.storage.ss_family = AF_UNIX;
	cr_assert_eq(weft_address_format(&address, buf, sizeof(buf)), 5);
	cr_assert_str_eq(buf, "unix:");
}

Test(address, knows_no_other_family)
{
	struct weft_address address = {.len = sizeof(sa_family_t)};
	char buf[16];

	address.storage.ss_family = AF_NETLINK;
	cr_assert_eq(weft_address_format(&address, buf, sizeof(buf)), -EAFNOSUPPORT);
}
