/* SPDX-License-Identifier: MIT */
/*
 * resolve - names to addresses, for io/dial.c. The call for programs is weft_getaddrinfo.
 */
#ifndef WEFT_LIB_IO_RESOLVE_H
#define WEFT_LIB_IO_RESOLVE_H

#include <netdb.h>

/* weft_getaddrinfo without the checkpoint. From a task. */
int weft_resolve(const char *node, const char *service, const struct addrinfo *hints,
	struct addrinfo **res);

/* The code for one of getaddrinfo's (EAI_...); system_error: errno, as a negative code, for EAI_SYSTEM. */
int weft_resolve_code(int eai, int system_error);

#endif
