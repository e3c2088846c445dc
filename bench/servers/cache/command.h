/* SPDX-License-Identifier: MIT */
/*
 * command - what clients can ask for: the table of names, and what all commands share. The
 * commands themselves are functions in command_string.c, command_key.c and command_server.c;
 * adding one is a row in command.c and a function.
 */
#ifndef WEFT_BENCH_CACHE_COMMAND_H
#define WEFT_BENCH_CACHE_COMMAND_H

#include "client.h"

struct command {
	struct text name; /* in lower case, with a NUL behind it */
	int arity;        /* strings with the name; negative: at least so many */
	bool writes;      /* refused while the append-only file cannot be written */
	void (*run)(struct client *client);
};

/* Builds the index of names; before anybody asks. */
void command_init(void);

/* The command of that name, in any case; NULL if there is none. */
const struct command *command_find(struct text name);

size_t command_count(void);

/* [S] Runs the client's request, which is complete, and appends its reply. */
void command_run(struct client *client);

/* Appends the error for a write while the file fails with `error`. */
void command_refuse_write(struct client *client, int error);

/* Errors that several commands have. */
void command_reply_syntax(struct client *client);
void command_reply_not_integer(struct client *client);
void command_reply_no_memory(struct client *client);

static inline struct text command_arg(const struct client *client, size_t i)
{
	return resp_arg(&client->request, i);
}

/* Whether the i-th argument is this word, in any case. */
bool command_arg_is(const struct client *client, size_t i, const char *word);

/* Reads the i-th argument as a number; false, and an error reply, if it is none. */
bool command_arg_number(struct client *client, size_t i, int64_t *value);

/* Reads the i-th argument, a time in `unit` milliseconds, from now on unless it is absolute.
 * *when is then in milliseconds since 1970. False, and an error reply, for what is no time;
 * at_least bounds the argument. */
bool command_arg_time(struct client *client, size_t i, int64_t unit, bool absolute,
	int64_t at_least, int64_t *when);

void command_set(struct client *client);
void command_get(struct client *client);
void command_mset(struct client *client);
void command_mget(struct client *client);
void command_incr(struct client *client);
void command_decr(struct client *client);
void command_incrby(struct client *client);
void command_decrby(struct client *client);

void command_del(struct client *client);
void command_exists(struct client *client);
void command_expire(struct client *client);
void command_pexpire(struct client *client);
void command_expireat(struct client *client);
void command_pexpireat(struct client *client);
void command_ttl(struct client *client);
void command_pttl(struct client *client);
void command_persist(struct client *client);
void command_dbsize(struct client *client);
void command_flushall(struct client *client);

void command_ping(struct client *client);
void command_echo(struct client *client);
void command_select(struct client *client);
void command_quit(struct client *client);
void command_command(struct client *client);
void command_config(struct client *client);
void command_info(struct client *client);

#endif
