/* SPDX-License-Identifier: MIT */
/*
 * content_type - what kind of file it is, by the end of its name.
 */
#ifndef WEFT_BENCH_SERVERS_CONTENT_TYPE_H
#define WEFT_BENCH_SERVERS_CONTENT_TYPE_H

/* The media type of a file of this name; "application/octet-stream" for one unknown. */
const char *content_type(const char *path);

#endif
