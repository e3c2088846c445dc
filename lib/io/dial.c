/* SPDX-License-Identifier: MIT */
/*
 * dial - weft_dial: a connected socket from an address as text. A numeric address is connected to as it
 * is; a name is looked up (io/resolve.c), and its addresses compete (io/eyeballs.c).
 */
#include <weft/io.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>

#include "io/address.h"
#include "io/eyeballs.h"
#include "io/ground.h"
#include "io/io.h"
#include "io/resolve.h"
#include "io/sys.h"

enum { NAME_MAX_LENGTH = 253 }; /* RFC 1035, written with dots */

static int dial_one(const struct weft_address *address)
{
	int family = address->storage.ss_family;
	int fd = weft_ground()->socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	if (fd < 0)
		return fd;
	weft_fd_opened(fd);
	if (family != AF_UNIX)
		weft_sys_enable(fd, IPPROTO_TCP, TCP_NODELAY);
	rc = weft_io_connect(fd, (const struct sockaddr *)&address->storage, address->len);
	if (rc < 0) {
		weft_io_close(fd);
		return rc;
	}
	return fd;
}

/* -- names ------------------------------------------------------------------------------------- */

/*
 * Letters, digits, '-', '_' and dots. What ends in a number is a mistaken address rather than a name;
 * the resolver would take "127.1" or "2130706433" for one.
 */
static bool is_name(const char *host, size_t length)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
	size_t last = length;

	if (length == 0 || length > NAME_MAX_LENGTH || host[0] == '.')
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!strchr(letters, host[i]) && !strchr("0123456789.", host[i]))
			return false;
	}
	if (host[length - 1] == '.')
		last--;
	while (last > 0 && host[last - 1] != '.') {
		if (strchr(letters, host[--last]))
			return true;
	}
	return false;
}

/* "name:port" into host and port, which points into text. 0 or -EINVAL. */
static int split(const char *text, char *host, const char **port)
{
	const char *colon = strrchr(text, ':');

	if (!colon || !is_name(text, (size_t)(colon - text)) ||
		!weft_address_is_port(colon + 1))
		return -EINVAL;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	*port = colon + 1;
	return 0;
}

static unsigned collect(const struct addrinfo *info, struct weft_address *list)
{
	unsigned n = 0;

	for (; info && n < WEFT_EYEBALLS_MAX; info = info->ai_next) {
		if (info->ai_addrlen > sizeof(list[n].storage))
			continue;
		memcpy(&list[n].storage, info->ai_addr, info->ai_addrlen);
		list[n++].len = info->ai_addrlen;
	}
	return n;
}

static int dial_name(const char *host, const char *port)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV,
	};
	struct weft_address list[WEFT_EYEBALLS_MAX];
	struct addrinfo *info;
	unsigned n;
	int rc = weft_resolve(host, port, &hints, &info);

	if (rc < 0)
		return rc;
	n = collect(info, list);
	freeaddrinfo(info);
	if (n == 0)
		return -EADDRNOTAVAIL;
	if (n == 1)
		return dial_one(&list[0]);
	weft_eyeballs_order(list, n);
	return weft_eyeballs_connect(list, n, WEFT_EYEBALLS_DELAY);
}

int weft_dial(const char *text, unsigned flags)
{
	WEFT_CHECKPOINT(checkpoint);
	char host[NAME_MAX_LENGTH + 1];
	struct weft_address address;
	const char *port = NULL;
	int rc;

	if (!text || flags)
		return -EINVAL;
	rc = weft_address_parse(text, &address);
	if (rc == -EINVAL)
		rc = split(text, host, &port);
	if (rc < 0)
		return rc;
	rc = weft_io_enter(&checkpoint);
	if (rc < 0)
		return rc;
	return port ? dial_name(host, port) : dial_one(&address);
}
