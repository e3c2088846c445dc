/* SPDX-License-Identifier: MIT */
/*
 * address - parses and formats socket addresses. The forms are in address.h.
 */
#include "io/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "io/sys.h"

#define UNIX_PREFIX "unix:"

enum { HOST_MAX = INET6_ADDRSTRLEN + 1 + IF_NAMESIZE };

static const socklen_t unix_empty = offsetof(struct sockaddr_un, sun_path);

/* Digits and nothing else, at most 65535. */
static bool parse_port(const char *text, in_port_t *port)
{
	unsigned value = 0;
	size_t digits = strspn(text, "0123456789");

	if (!digits || digits > 5 || text[digits])
		return false;
	for (size_t i = 0; i < digits; i++)
		value = 10 * value + (unsigned)(text[i] - '0');
	*port = htons((uint16_t)value);
	return value <= UINT16_MAX;
}

bool weft_address_is_port(const char *text)
{
	in_port_t port;

	return parse_port(text, &port);
}

static int parse_unix(const char *path, struct weft_address *address)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&address->storage;
	size_t length = strlen(path);

	if (!length)
		return -EINVAL;
	if (length >= sizeof(un->sun_path))
		return -ENAMETOOLONG;
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, length);
	if (path[0] == '@') {
		un->sun_path[0] =
			'\0'; /* abstract: the length ends the name, not a NUL */
		address->len = unix_empty + (socklen_t)length;
	} else {
		address->len = unix_empty + (socklen_t)length + 1;
	}
	return 0;
}

static int parse_ip4(const char *host, const char *port, struct weft_address *address)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&address->storage;

	if (inet_pton(AF_INET, host, &in->sin_addr) != 1 ||
		!parse_port(port, &in->sin_port))
		return -EINVAL;
	in->sin_family = AF_INET;
	address->len = sizeof(*in);
	return 0;
}

/* The interface of "%eth0" or "%2"; 0 if there is none such. */
static uint32_t scope_of(const char *name)
{
	size_t digits = strspn(name, "0123456789");
	uint32_t number = 0;

	if (!digits || digits > 9 || name[digits])
		return weft_sys_interface(name);
	for (size_t i = 0; i < digits; i++)
		number = 10 * number + (uint32_t)(name[i] - '0');
	return number;
}

static int parse_ip6(char *host, const char *port, struct weft_address *address)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address->storage;
	char *scope = strchr(host, '%');

	if (scope) {
		*scope = '\0';
		in6->sin6_scope_id = scope_of(scope + 1);
		if (!in6->sin6_scope_id)
			return -EINVAL;
	}
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1 ||
		!parse_port(port, &in6->sin6_port))
		return -EINVAL;
	in6->sin6_family = AF_INET6;
	address->len = sizeof(*in6);
	return 0;
}

int weft_address_parse(const char *text, struct weft_address *address)
{
	char host[HOST_MAX + 1];
	const char *colon = strrchr(text, ':');
	size_t length;

	memset(address, 0, sizeof(*address));
	if (!strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)))
		return parse_unix(text + strlen(UNIX_PREFIX), address);
	length = colon ? (size_t)(colon - text) : 0;
	if (!length || length > HOST_MAX)
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = '\0';
	if (host[0] != '[')
		return parse_ip4(host, colon + 1, address);
	if (host[length - 1] != ']')
		return -EINVAL;
	host[length - 1] = '\0';
	return parse_ip6(host + 1, colon + 1, address);
}

static int fitted(int length, size_t n)
{
	return length >= 0 && (size_t)length < n ? length : -ENOSPC;
}

static int format_unix(const struct weft_address *address, char *buf, size_t n)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;
	size_t length = address->len > unix_empty ? address->len - unix_empty : 0;
	bool is_abstract = length && !un->sun_path[0];

	if (is_abstract)
		return fitted(snprintf(buf, n, UNIX_PREFIX "@%.*s", (int)length - 1,
				      un->sun_path + 1),
			n);
	/* a path need not be terminated, and a socket need not have one */
	return fitted(snprintf(buf, n, UNIX_PREFIX "%.*s", (int)length, un->sun_path), n);
}

static int format_ip6(const struct sockaddr_in6 *in6, char *buf, size_t n)
{
	char host[INET6_ADDRSTRLEN], scope[16] = "";

	inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
	if (in6->sin6_scope_id)
		snprintf(scope, sizeof(scope), "%%%u", (unsigned)in6->sin6_scope_id);
	return fitted(
		snprintf(buf, n, "[%s%s]:%u", host, scope, ntohs(in6->sin6_port)), n);
}

int weft_address_format(const struct weft_address *address, char *buf, size_t n)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)&address->storage;
	char host[INET_ADDRSTRLEN];

	switch (address->storage.ss_family) {
	case AF_INET:
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		return fitted(snprintf(buf, n, "%s:%u", host, ntohs(in->sin_port)), n);
	case AF_INET6:
		return format_ip6((const struct sockaddr_in6 *)&address->storage, buf, n);
	case AF_UNIX:
		return format_unix(address, buf, n);
	default:
		return -EAFNOSUPPORT;
	}
}
