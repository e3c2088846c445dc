/* SPDX-License-Identifier: MIT */
/*
 * command_server - the commands about the connection and the program.
 */
#include "command.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "number.h"
#include "program.h"

enum { PATTERN_MAX = 64, INFO_LINE_MAX = 256 };

static void reply_subcommand(struct client *client, const char *command)
{
	struct text word = command_arg(client, 1);

	resp_put_error(&client->out, "ERR unknown subcommand '%.*s'. Try %s HELP.",
		(int)(word.len < 128 ? word.len : 128), word.at, command);
}

static void reply_arity(struct client *client, const char *command)
{
	resp_put_error(
		&client->out, "ERR wrong number of arguments for '%s' command", command);
}

void command_ping(struct client *client)
{
	if (client->request.argc > 2)
		reply_arity(client, "ping");
	else if (client->request.argc == 2)
		resp_put_bulk(&client->out, command_arg(client, 1));
	else
		resp_put_status(&client->out, TEXT("PONG"));
}

void command_echo(struct client *client)
{
	resp_put_bulk(&client->out, command_arg(client, 1));
}

/* There is one database. */
void command_select(struct client *client)
{
	int64_t index;

	if (!command_arg_number(client, 1, &index))
		return;
	if (index == 0)
		resp_put_status(&client->out, TEXT("OK"));
	else
		resp_put_error(&client->out, "ERR DB index is out of range");
}

void command_quit(struct client *client)
{
	resp_put_status(&client->out, TEXT("OK"));
	client->close = true;
}

/* Tools ask for documentation to complete words with; an empty list is an answer. */
void command_command(struct client *client)
{
	if (client->request.argc == 2 && command_arg_is(client, 1, "count"))
		resp_put_integer(&client->out, (int64_t)command_count());
	else
		resp_put_array(&client->out, 0);
}

/* What CONFIG GET knows; `value` writes it at `at`, with a NUL. */
struct setting {
	const char *name;
	void (*value)(char *at, size_t room);
};

static void save_value(char *at, size_t room)
{
	(void)room;
	at[0] = '\0'; /* no snapshots */
}

static void appendonly_value(char *at, size_t room)
{
	snprintf(at, room, "%s", program.options.appendonly ? "yes" : "no");
}

static void appendfsync_value(char *at, size_t room)
{
	snprintf(at, room, "%s", aof_policy_name(program.options.policy));
}

static void dir_value(char *at, size_t room)
{
	snprintf(at, room, "%s", program.options.dir);
}

static void port_value(char *at, size_t room)
{
	snprintf(at, room, "%u", program.port);
}

static void databases_value(char *at, size_t room)
{
	snprintf(at, room, "1");
}

static void maxmemory_value(char *at, size_t room)
{
	snprintf(at, room, "0");
}

static void bulk_value(char *at, size_t room)
{
	snprintf(at, room, "%d", RESP_BULK_MAX);
}

static const struct setting settings[] = {
	{"save", save_value},
	{"appendonly", appendonly_value},
	{"appendfsync", appendfsync_value},
	{"dir", dir_value},
	{"port", port_value},
	{"databases", databases_value},
	{"maxmemory", maxmemory_value},
	{"proto-max-bulk-len", bulk_value},
};

enum { SETTINGS = sizeof(settings) / sizeof(settings[0]) };

static bool is_asked_for(const struct client *client, const struct setting *setting)
{
	for (size_t i = 2; i < client->request.argc; i++) {
		struct text word = command_arg(client, i);
		char pattern[PATTERN_MAX];

		if (word.len >= sizeof(pattern))
			continue;
		memcpy(pattern, word.at, word.len);
		pattern[word.len] = '\0';
		if (fnmatch(pattern, setting->name, FNM_CASEFOLD | FNM_NOESCAPE) == 0)
			return true;
	}
	return false;
}

static void config_get(struct client *client)
{
	bool asked[SETTINGS];
	size_t count = 0;

	for (size_t i = 0; i < SETTINGS; i++)
		count += asked[i] = is_asked_for(client, &settings[i]);
	resp_put_array(&client->out, 2 * count);
	for (size_t i = 0; i < SETTINGS; i++) {
		char value[4096];

		if (!asked[i])
			continue;
		settings[i].value(value, sizeof(value));
		resp_put_bulk(&client->out,
			(struct text){settings[i].name, strlen(settings[i].name)});
		resp_put_bulk(&client->out, (struct text){value, strlen(value)});
	}
}

void command_config(struct client *client)
{
	if (!command_arg_is(client, 1, "get"))
		reply_subcommand(client, "CONFIG");
	else if (client->request.argc < 3)
		reply_arity(client, "config|get");
	else
		config_get(client);
}

static void add_line(struct buffer *info, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add_line(struct buffer *info, const char *format, ...)
{
	char line[INFO_LINE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	buffer_put(info, line, strlen(line));
	buffer_put(info, "\r\n", 2);
}

static void info_server(struct buffer *info)
{
	add_line(info, "server_name:weft cache-server");
	add_line(info, "weft_version:%s", weft_version());
	add_line(info, "weft_backend:%s", weft_runtime_backend(weft_runtime_current()));
	/* clients look here for what they may use: the commands are those of that version */
	add_line(info, "redis_version:7.0.0");
	add_line(info, "redis_mode:standalone");
	add_line(info, "process_id:%d", (int)getpid());
	add_line(info, "tcp_port:%u", program.port);
	add_line(info, "uptime_in_seconds:%lld",
		(long long)((weft_now() - program.start) / WEFT_SEC(1)));
}

static void info_clients(struct buffer *info)
{
	add_line(info, "connected_clients:%u", atomic_load(&program.counts.clients));
	add_line(info, "maxclients:%u", program.options.max_connections);
}

/* Pages of the process that are in memory, from what the kernel tells; 0 if it does not. */
static unsigned long long resident_bytes(void)
{
	char text[128];
	int fd = weft_openat(AT_FDCWD, "/proc/self/statm", O_RDONLY | O_CLOEXEC, 0);
	ssize_t n = fd < 0 ? fd : weft_read(fd, text, sizeof(text) - 1);
	unsigned long long pages = 0;

	if (fd >= 0)
		weft_close(fd);
	text[n > 0 ? n : 0] = '\0';
	sscanf(text, "%*u %llu", &pages);
	return pages * (unsigned long long)sysconf(_SC_PAGESIZE);
}

static void info_memory(struct buffer *info)
{
	add_line(info, "used_memory_rss:%llu", resident_bytes());
	add_line(info, "maxmemory:0");
	add_line(info, "maxmemory_policy:noeviction");
}

static void info_persistence(struct buffer *info)
{
	struct aof *aof = &program.aof;

	add_line(info, "loading:%d", program.cache.loading);
	add_line(info, "aof_enabled:%d", program.options.appendonly);
	add_line(info, "aof_last_write_status:%s", aof_error(aof) ? "err" : "ok");
	if (!aof->on)
		return;
	add_line(info, "aof_appendfsync:%s", aof_policy_name(aof->policy));
	add_line(info, "aof_current_size:%llu", (unsigned long long)aof_length(aof));
	add_line(info, "aof_syncs:%llu", atomic_load(&aof->syncs));
}

static void info_stats(struct buffer *info)
{
	struct counts *counts = &program.counts;

	add_line(info, "total_connections_received:%llu",
		atomic_load(&counts->connections));
	add_line(info, "total_commands_processed:%llu", atomic_load(&counts->commands));
	add_line(info, "keyspace_hits:%llu", atomic_load(&counts->hits));
	add_line(info, "keyspace_misses:%llu", atomic_load(&counts->misses));
	add_line(info, "expired_keys:%llu",
		(unsigned long long)cache_count(&program.cache).expired);
}

static void info_keyspace(struct buffer *info)
{
	struct cache_count count = cache_count(&program.cache);

	if (count.keys)
		add_line(info, "db0:keys=%zu,expires=%zu,avg_ttl=0", count.keys,
			count.timed);
}

static const struct section {
	const char *name;
	void (*write)(struct buffer *info);
} sections[] = {
	{"Server", info_server},
	{"Clients", info_clients},
	{"Memory", info_memory},
	{"Persistence", info_persistence},
	{"Stats", info_stats},
	{"Keyspace", info_keyspace},
};

static bool is_wanted(const struct client *client, const char *section)
{
	for (size_t i = 1; i < client->request.argc; i++)
		if (command_arg_is(client, i, section) ||
			command_arg_is(client, i, "all") ||
			command_arg_is(client, i, "default") ||
			command_arg_is(client, i, "everything"))
			return true;
	return client->request.argc == 1;
}

void command_info(struct client *client)
{
	struct buffer info = {0};

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		if (!is_wanted(client, sections[i].name))
			continue;
		if (info.len)
			buffer_put(&info, "\r\n", 2);
		add_line(&info, "# %s", sections[i].name);
		sections[i].write(&info);
	}
	resp_put_bulk(&client->out, (struct text){info.data ? info.data : "", info.len});
	buffer_finish(&info);
}
