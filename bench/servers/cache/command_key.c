/* SPDX-License-Identifier: MIT */
/*
 * command_key - the commands that look at keys, and at how long they live.
 */
#include "command.h"

#include <stdlib.h>

#include "number.h"
#include "program.h"

enum { DISPOSED_AT_ONCE = 1000 }; /* entries freed before others have their turn */

/* The key that the command names, found, with its shard locked until leave. */
struct visit {
	struct place place;
	shard_set shard;
	struct entry *entry;
};

static void enter(struct client *client, struct visit *visit)
{
	visit->place = cache_place(&program.cache, command_arg(client, 1));
	visit->shard = cache_set_of(&program.cache, visit->place.shard);
	cache_lock(&program.cache, visit->shard);
	visit->entry = cache_find(&program.cache, &visit->place, &client->clock);
}

static void leave(const struct visit *visit)
{
	cache_unlock(&program.cache, visit->shard);
}

/* The shards of all arguments, to be locked. */
static shard_set shards_of(struct client *client)
{
	shard_set set = 0;

	for (size_t i = 1; i < client->request.argc; i++)
		set |= cache_set_of(&program.cache,
			cache_place(&program.cache, command_arg(client, i)).shard);
	return set;
}

/* How many of the keys are there; one that is named twice counts twice. */
static int64_t count_present(struct client *client)
{
	int64_t count = 0;

	for (size_t i = 1; i < client->request.argc; i++) {
		struct place place = cache_place(&program.cache, command_arg(client, i));

		count += cache_find(&program.cache, &place, &client->clock) != NULL;
	}
	return count;
}

static int64_t remove_all(struct client *client)
{
	int64_t count = 0;

	for (size_t i = 1; i < client->request.argc; i++) {
		struct place place = cache_place(&program.cache, command_arg(client, i));
		struct entry *entry = cache_find(&program.cache, &place, &client->clock);

		count += entry != NULL;
		if (entry)
			cache_remove(place.shard, entry);
	}
	return count;
}

void command_del(struct client *client)
{
	shard_set shards = shards_of(client);

	cache_lock(&program.cache, shards);
	if (count_present(client) == 0)
		resp_put_integer(&client->out, 0);
	else if (aof_append_request(&program.aof, &client->request))
		resp_put_integer(&client->out, remove_all(client));
	else
		command_reply_no_memory(client);
	cache_unlock(&program.cache, shards);
}

void command_exists(struct client *client)
{
	shard_set shards = shards_of(client);

	cache_lock(&program.cache, shards);
	resp_put_integer(&client->out, count_present(client));
	cache_unlock(&program.cache, shards);
}

/* EXPIRE's options, a bit each. */
enum { IF_NONE = 1, IF_SOME = 2, IF_LATER = 4, IF_EARLIER = 8 };

/* The words behind the time; -1, and an error reply, if they are wrong. */
static int take_conditions(struct client *client)
{
	static const char *const words[] = {"nx", "xx", "gt", "lt"};
	int conditions = 0;

	for (size_t i = 3; i < client->request.argc; i++) {
		struct text word = command_arg(client, i);
		int w = 0;

		while (w < 4 && !command_arg_is(client, i, words[w]))
			w++;
		if (w == 4) {
			resp_put_error(&client->out, "ERR Unsupported option %.*s",
				(int)(word.len < 128 ? word.len : 128), word.at);
			return -1;
		}
		conditions |= 1 << w;
	}
	if (conditions & IF_NONE && conditions != IF_NONE) {
		resp_put_error(&client->out,
			"ERR NX and XX, GT or LT options at the same time "
			"are not compatible");
		return -1;
	}
	if (conditions & IF_LATER && conditions & IF_EARLIER) {
		resp_put_error(&client->out,
			"ERR GT and LT options at the same time are not compatible");
		return -1;
	}
	return conditions;
}

/* Whether an entry that goes at `present`, 0: never, may be told to go at `when`. */
static bool are_met(int conditions, int64_t present, int64_t when)
{
	if (conditions & IF_NONE && present)
		return false;
	if (conditions & IF_SOME && !present)
		return false;
	if (conditions & IF_LATER && (!present || when <= present))
		return false;
	return !(conditions & IF_EARLIER && present && when >= present);
}

/* A time that is over removes the entry at once. */
static bool expire_entry(struct client *client, const struct visit *visit, int64_t when)
{
	struct shard *shard = visit->place.shard;
	char digits[NUMBER_MAX];
	struct text words[] = {TEXT("PEXPIREAT"), visit->place.key,
		{digits, number_format(digits, when)}};

	if (when <= cache_clock_ms(&client->clock) && !program.cache.loading) {
		words[0] = TEXT("DEL");
		if (!aof_append(&program.aof, words, 2))
			return false;
		cache_remove(shard, visit->entry);
		return true;
	}
	/* 0 would mean never: a file that says so means the first moment there was. */
	if (!heap_reserve(&shard->heap) || !aof_append(&program.aof, words, 3))
		return false;
	cache_set_expiry(&program.cache, shard, visit->entry, when > 0 ? when : 1);
	return true;
}

static void expire(struct client *client, int64_t unit, bool absolute)
{
	int64_t when;
	struct visit visit;
	int conditions = take_conditions(client);

	if (conditions < 0 ||
		!command_arg_time(client, 2, unit, absolute, INT64_MIN, &when))
		return;
	enter(client, &visit);
	if (!visit.entry || !are_met(conditions, visit.entry->expires, when))
		resp_put_integer(&client->out, 0);
	else if (expire_entry(client, &visit, when))
		resp_put_integer(&client->out, 1);
	else
		command_reply_no_memory(client);
	leave(&visit);
}

void command_expire(struct client *client)
{
	expire(client, 1000, false);
}

void command_pexpire(struct client *client)
{
	expire(client, 1, false);
}

void command_expireat(struct client *client)
{
	expire(client, 1000, true);
}

void command_pexpireat(struct client *client)
{
	expire(client, 1, true);
}

/* What is left, in `unit` milliseconds, rounded; -1 for ever, -2 without the key. */
static void reply_time_left(struct client *client, int64_t unit)
{
	struct visit visit;
	int64_t left = -2;

	enter(client, &visit);
	if (visit.entry && !visit.entry->expires)
		left = -1;
	else if (visit.entry)
		left = (visit.entry->expires - cache_clock_ms(&client->clock) +
			       unit / 2) /
		       unit;
	leave(&visit);
	resp_put_integer(&client->out, left);
}

void command_ttl(struct client *client)
{
	reply_time_left(client, 1000);
}

void command_pttl(struct client *client)
{
	reply_time_left(client, 1);
}

void command_persist(struct client *client)
{
	struct visit visit;
	struct text words[] = {TEXT("PERSIST"), command_arg(client, 1)};

	enter(client, &visit);
	if (!visit.entry || !visit.entry->expires) {
		resp_put_integer(&client->out, 0);
	} else if (aof_append(&program.aof, words, 2)) {
		cache_set_expiry(&program.cache, visit.place.shard, visit.entry, 0);
		resp_put_integer(&client->out, 1);
	} else {
		command_reply_no_memory(client);
	}
	leave(&visit);
}

void command_dbsize(struct client *client)
{
	resp_put_integer(&client->out, (int64_t)cache_count(&program.cache).keys);
}

/* Frees what was in the shards, a little at a time; nobody else can reach it any more. */
static int dispose(void *arg)
{
	struct table *tables = arg;

	for (unsigned i = 0; i < 1u << program.cache.shard_bits; i++) {
		while (table_drain(&tables[i], DISPOSED_AT_ONCE))
			weft_yield();
		table_finish(&tables[i]);
	}
	free(tables);
	return 0;
}

/* Puts empty tables into all shards, which are locked, and theirs into tables[]. */
static bool clear_all(struct table *tables)
{
	struct text word = TEXT("FLUSHALL");
	unsigned n = 1u << program.cache.shard_bits, made = 0;

	while (made < n && table_init(&tables[made]))
		made++;
	if (made < n || !aof_append(&program.aof, &word, 1)) {
		while (made--)
			table_finish(&tables[made]);
		return false;
	}
	for (unsigned i = 0; i < n; i++)
		cache_exchange(&program.cache.shards[i], &tables[i]);
	return true;
}

void command_flushall(struct client *client)
{
	shard_set shards = cache_all(&program.cache);
	struct table *tables;
	bool ok;

	if (client->request.argc > 2 ||
		(client->request.argc == 2 && !command_arg_is(client, 1, "sync") &&
			!command_arg_is(client, 1, "async"))) {
		command_reply_syntax(client);
		return;
	}
	tables = calloc(1u << program.cache.shard_bits, sizeof(*tables));
	cache_lock(&program.cache, shards);
	ok = tables && clear_all(tables);
	cache_unlock(&program.cache, shards);
	if (!ok) {
		free(tables);
		command_reply_no_memory(client);
		return;
	}
	if (weft_go(dispose, tables) < 0)
		dispose(tables);
	resp_put_status(&client->out, TEXT("OK"));
}
