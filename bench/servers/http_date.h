/* SPDX-License-Identifier: MIT */
/*
 * http_date - the dates of HTTP (RFC 9110, 5.6.7), to text and from it. No allocation, no
 * locale, no time zone; used for Date, Last-Modified, If-Modified-Since and If-Range.
 */
#ifndef WEFT_BENCH_SERVERS_HTTP_DATE_H
#define WEFT_BENCH_SERVERS_HTTP_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_DATE_LEN = 29 }; /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/* Seconds since 1970 as text, HTTP_DATE_LEN bytes without a NUL. Years 0 to 9999 only. */
void http_date_format(int64_t seconds, char *out);

/*
 * Reads a date in any of the three forms there are. `now` decides the century of a year of
 * two digits: never more than 50 years ahead.
 *
 * Returns whether it is a date; *seconds is set if so.
 */
bool http_date_parse(const char *text, size_t n, int64_t now, int64_t *seconds);

#endif
