/* SPDX-License-Identifier: MIT */
/*
 * command - finds the command a request names, refuses what cannot be run, runs the rest. The
 * words of the errors are Redis's, which clients know.
 */
#include "command.h"

#include <stdio.h>
#include <strings.h>

#include "number.h"
#include "program.h"

static const struct command commands[] = {
	{TEXT("get"), 2, false, command_get},
	{TEXT("set"), -3, true, command_set},
	{TEXT("mget"), -2, false, command_mget},
	{TEXT("mset"), -3, true, command_mset},
	{TEXT("incr"), 2, true, command_incr},
	{TEXT("decr"), 2, true, command_decr},
	{TEXT("incrby"), 3, true, command_incrby},
	{TEXT("decrby"), 3, true, command_decrby},
	{TEXT("del"), -2, true, command_del},
	{TEXT("unlink"), -2, true, command_del},
	{TEXT("exists"), -2, false, command_exists},
	{TEXT("expire"), -3, true, command_expire},
	{TEXT("pexpire"), -3, true, command_pexpire},
	{TEXT("expireat"), -3, true, command_expireat},
	{TEXT("pexpireat"), -3, true, command_pexpireat},
	{TEXT("ttl"), 2, false, command_ttl},
	{TEXT("pttl"), 2, false, command_pttl},
	{TEXT("persist"), 2, true, command_persist},
	{TEXT("dbsize"), 1, false, command_dbsize},
	{TEXT("flushall"), -1, true, command_flushall},
	{TEXT("flushdb"), -1, true, command_flushall},
	{TEXT("ping"), -1, false, command_ping},
	{TEXT("echo"), 2, false, command_echo},
	{TEXT("select"), 2, false, command_select},
	{TEXT("quit"), -1, false, command_quit},
	{TEXT("command"), -1, false, command_command},
	{TEXT("config"), -2, false, command_config},
	{TEXT("info"), -1, false, command_info},
};

enum {
	COMMANDS = sizeof(commands) / sizeof(commands[0]),
	SLOTS = 128, /* a power of two, large enough that few names meet */
};

/* Open addressing; written by command_init alone. */
static const struct command *slots[SLOTS];

/* Length, first, second and last letter tell the names above apart, nearly. */
static unsigned slot_of(struct text name)
{
	unsigned first = (unsigned char)name.at[0] | 0x20u;
	unsigned second = (unsigned char)name.at[name.len > 1] | 0x20u;
	unsigned last = (unsigned char)name.at[name.len - 1] | 0x20u;

	return (unsigned)name.len * 7 + first * 31 + second * 13 + last * 3;
}

void command_init(void)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		unsigned slot = slot_of(commands[i].name);

		while (slots[slot % SLOTS])
			slot++;
		slots[slot % SLOTS] = &commands[i];
	}
}

size_t command_count(void)
{
	return COMMANDS;
}

const struct command *command_find(struct text name)
{
	if (name.len == 0)
		return NULL;
	for (unsigned slot = slot_of(name); slots[slot % SLOTS]; slot++) {
		const struct command *command = slots[slot % SLOTS];

		if (command->name.len == name.len &&
			strncasecmp(command->name.at, name.at, name.len) == 0)
			return command;
	}
	return NULL;
}

/* Shows what came, as far as it is short. */
static void reply_unknown(struct client *client)
{
	const struct resp_request *request = &client->request;
	struct text name = command_arg(client, 0);
	char words[256];
	int len = 0;

	words[0] = '\0';
	for (size_t i = 1; i < request->argc && len < 128; i++) {
		struct text word = command_arg(client, i);

		len += snprintf(words + len, sizeof(words) - (size_t)len, "'%.*s' ",
			(int)(word.len < (size_t)(128 - len) ? word.len
							     : (size_t)(128 - len)),
			word.at);
	}
	resp_put_error(&client->out,
		"ERR unknown command '%.*s', with args beginning with: %s",
		(int)(name.len < 128 ? name.len : 128), name.at, words);
}

static bool is_arity(const struct command *command, size_t argc)
{
	return command->arity < 0 ? argc >= (size_t)-command->arity
				  : argc == (size_t)command->arity;
}

/* Whether the request may be run; an error reply if not. */
static bool is_allowed(struct client *client, const struct command *command)
{
	int error = aof_error(&program.aof);

	if (!command)
		reply_unknown(client);
	else if (!is_arity(command, client->request.argc))
		resp_put_error(&client->out,
			"ERR wrong number of arguments for '%s' command",
			command->name.at);
	else if (command->writes && error)
		command_refuse_write(client, error);
	else
		return true;
	return false;
}

void command_run(struct client *client)
{
	const struct command *command = command_find(command_arg(client, 0));
	size_t before = client->out.len;

	client->commands++;
	if (is_allowed(client, command)) {
		command->run(client);
		/* From the first change on, replies wait for the file. */
		if (command->writes && !client->marked) {
			client->mark = before;
			client->marked = 1;
			return;
		}
	}
	client->marked += client->marked > 0;
}

void command_refuse_write(struct client *client, int error)
{
	resp_put_error(&client->out, "MISCONF Errors writing to the AOF file: %s",
		strerror(-error));
}

void command_reply_syntax(struct client *client)
{
	resp_put_error(&client->out, "ERR syntax error");
}

void command_reply_not_integer(struct client *client)
{
	resp_put_error(&client->out, "ERR value is not an integer or out of range");
}

void command_reply_no_memory(struct client *client)
{
	resp_put_error(&client->out, "OOM command not allowed: out of memory");
}

bool command_arg_is(const struct client *client, size_t i, const char *word)
{
	struct text text = command_arg(client, i);

	return strlen(word) == text.len && strncasecmp(text.at, word, text.len) == 0;
}

bool command_arg_number(struct client *client, size_t i, int64_t *value)
{
	if (number_parse(command_arg(client, i), value))
		return true;
	command_reply_not_integer(client);
	return false;
}

bool command_arg_time(struct client *client, size_t i, int64_t unit, bool absolute,
	int64_t at_least, int64_t *when)
{
	int64_t value;

	if (!command_arg_number(client, i, &value))
		return false;
	if (value < at_least || __builtin_mul_overflow(value, unit, &value) ||
		(!absolute && __builtin_add_overflow(
				      value, cache_clock_ms(&client->clock), &value))) {
		resp_put_error(&client->out, "ERR invalid expire time in '%s' command",
			command_find(command_arg(client, 0))->name.at);
		return false;
	}
	*when = value;
	return true;
}
