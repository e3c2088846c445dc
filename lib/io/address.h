/* SPDX-License-Identifier: MIT */
/*
 * address - socket addresses as text: "127.0.0.1:8080", "[::1]:0", "[fe80::1%eth0]:80",
 * "unix:/path", "unix:@name" (abstract). Hosts are numeric; names are not looked up here.
 * For io/listen.c and io/dial.c.
 */
#ifndef WEFT_LIB_IO_ADDRESS_H
#define WEFT_LIB_IO_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct weft_address {
	struct sockaddr_storage storage;
	socklen_t len;
};

/* 0; -EINVAL for text in none of these forms; -ENAMETOOLONG for a path that does not fit. */
int weft_address_parse(const char *text, struct weft_address *address);

/* Is this the number of a port: digits and nothing else, at most 65535? */
bool weft_address_is_port(const char *text);

/* The text for it, NUL-terminated: its length; -ENOSPC; -EAFNOSUPPORT for other families. */
int weft_address_format(const struct weft_address *address, char *buf, size_t n);

#endif
