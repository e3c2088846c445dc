/* SPDX-License-Identifier: MIT */
/*
 * command_string - the commands that read and write values.
 *
 * A write prepares what it needs, appends its record, then changes the table: memory that runs
 * out refuses it before anything is different. Records say what the result is, not how it was
 * computed (INCR is logged as the SET of its sum), with absolute times.
 */
#include "command.h"

#include <stdlib.h>

#include "number.h"
#include "program.h"

/* A new value for a key, on its way into the table. */
struct change {
	struct place place;
	struct text bytes;
	int64_t expires;
	struct entry *entry; /* there already, or prepared and not in the table yet */
	bool is_new;
	struct value *value; /* prepared; NULL when the present one is written over */
};

static struct entry *find(struct client *client, const struct place *place)
{
	return cache_find(&program.cache, place, &client->clock);
}

/* Allocates what the change needs. The shard is locked, and stays so until the change is applied
 * or dropped. */
static bool prepare(struct change *change, struct entry *present, bool may_write_over)
{
	change->is_new = !present;
	change->value = NULL;
	change->entry =
		present ? present : entry_create(change->place.key, change->place.hash);
	if (!change->entry)
		return false;
	if (change->is_new || !may_write_over ||
		!value_is_writable(present->value, change->bytes.len)) {
		change->value = value_create(change->bytes);
		if (!change->value)
			return false;
	}
	return !change->expires || heap_reserve(&change->place.shard->heap);
}

static void drop(struct change *change)
{
	value_release(change->value);
	if (change->is_new)
		entry_destroy(change->entry);
}

static void apply(struct change *change)
{
	struct entry *entry = change->entry;
	struct shard *shard = change->place.shard;

	if (change->value) {
		value_release(entry->value);
		entry->value = change->value;
	} else {
		value_write(entry->value, change->bytes);
	}
	if (change->is_new)
		table_insert(&shard->table, entry);
	cache_set_expiry(&program.cache, shard, entry, change->expires);
}

static bool log_change(const struct change *change)
{
	char when[NUMBER_MAX];
	struct text words[] = {TEXT("SET"), change->place.key, change->bytes,
		TEXT("PXAT"), {when, number_format(when, change->expires)}};

	return aof_append(&program.aof, words, change->expires ? 5 : 3);
}

/* Prepares, logs and applies; false, with everything as it was, when memory is out. */
static bool store(struct change *change, struct entry *present)
{
	if (!prepare(change, present, true) || !log_change(change)) {
		drop(change);
		return false;
	}
	apply(change);
	return true;
}

/* How long a value lives: the words that say so. */
struct time_word {
	const char *word;
	int64_t unit; /* in milliseconds */
	bool absolute;
};

static const struct time_word time_words[] = {
	{"ex", 1000, false},
	{"px", 1, false},
	{"exat", 1000, true},
	{"pxat", 1, true},
};

/* What the words behind SET's value ask for. */
struct set_options {
	bool only_new, only_present, keep_time, old_value;
	const struct time_word *time; /* NULL: none */
	size_t time_at;               /* the argument behind it */
};

/* One option at *i; moves *i to its last word. False if it is none, or not with the others. */
static bool take_option(struct client *client, struct set_options *options, size_t *i)
{
	if (command_arg_is(client, *i, "nx") && !options->only_present)
		return options->only_new = true;
	if (command_arg_is(client, *i, "xx") && !options->only_new)
		return options->only_present = true;
	if (command_arg_is(client, *i, "get"))
		return options->old_value = true;
	if (options->time)
		return false;
	if (command_arg_is(client, *i, "keepttl"))
		return options->keep_time = true;
	if (options->keep_time || *i + 1 == client->request.argc)
		return false;
	for (int t = 0; t < 4; t++)
		if (command_arg_is(client, *i, time_words[t].word))
			options->time = &time_words[t];
	options->time_at = ++*i;
	return options->time != NULL;
}

/* All options, and the time they tell; false, and an error reply, if they are wrong. */
static bool take_options(
	struct client *client, struct set_options *options, int64_t *expires)
{
	for (size_t i = 3; i < client->request.argc; i++)
		if (!take_option(client, options, &i)) {
			command_reply_syntax(client);
			return false;
		}
	return !options->time ||
	       command_arg_time(client, options->time_at, options->time->unit,
		       options->time->absolute, 1, expires);
}

static void put_old_value(struct client *client, const struct entry *entry)
{
	if (entry)
		client_put_value(client, entry->value);
	else
		resp_put_null(&client->out);
}

/* The rest of SET, with the shard locked. */
static void set(
	struct client *client, struct change *change, const struct set_options *options)
{
	struct entry *entry = find(client, &change->place);
	bool wanted = entry ? !options->only_new : !options->only_present;
	struct value *old = NULL;

	if (options->keep_time && entry)
		change->expires = entry->expires;
	if (options->old_value && entry) {
		/* held, so the change makes a value of its own */
		old = entry->value;
		value_ref(old);
	}
	if (wanted && !store(change, entry))
		command_reply_no_memory(client);
	else if (old)
		client_put_value(client, old);
	else if (options->old_value || !wanted)
		resp_put_null(&client->out);
	else
		resp_put_status(&client->out, TEXT("OK"));
	value_release(old);
}

void command_set(struct client *client)
{
	struct change change = {
		.place = cache_place(&program.cache, command_arg(client, 1)),
		.bytes = command_arg(client, 2),
	};
	shard_set shard = cache_set_of(&program.cache, change.place.shard);
	struct set_options options = {0};

	if (!take_options(client, &options, &change.expires))
		return;
	cache_lock(&program.cache, shard);
	set(client, &change, &options);
	cache_unlock(&program.cache, shard);
}

void command_get(struct client *client)
{
	struct place place = cache_place(&program.cache, command_arg(client, 1));
	shard_set shard = cache_set_of(&program.cache, place.shard);
	struct entry *entry;

	cache_lock(&program.cache, shard);
	entry = find(client, &place);
	client->hits += entry != NULL;
	client->misses += entry == NULL;
	put_old_value(client, entry);
	cache_unlock(&program.cache, shard);
}

/* The shards of every step-th argument from the second on. */
static shard_set shards_of(struct client *client, size_t step)
{
	shard_set set = 0;

	for (size_t i = 1; i < client->request.argc; i += step)
		set |= cache_set_of(&program.cache,
			cache_place(&program.cache, command_arg(client, i)).shard);
	return set;
}

/* The values of all keys at one moment, each with a reference; NULL for a key that is none. */
static void look_up(struct client *client, struct value **values, size_t n)
{
	shard_set shards = shards_of(client, 1);

	cache_lock(&program.cache, shards);
	for (size_t i = 0; i < n; i++) {
		struct place place =
			cache_place(&program.cache, command_arg(client, 1 + i));
		struct entry *entry = find(client, &place);

		values[i] = entry ? entry->value : NULL;
		if (entry)
			value_ref(entry->value);
		client->hits += entry != NULL;
		client->misses += entry == NULL;
	}
	cache_unlock(&program.cache, shards);
}

void command_mget(struct client *client)
{
	size_t n = client->request.argc - 1;
	struct value **values = malloc(n * sizeof(struct value *));

	if (!values) {
		command_reply_no_memory(client);
		return;
	}
	look_up(client, values, n);
	/* A reply in parts cannot be taken back: what waits for the file goes out before. */
	if (client->marked)
		client_flush(client);
	resp_put_array(&client->out, n);
	for (size_t i = 0; i < n; i++) {
		if (values[i])
			client_put_value(client, values[i]);
		else
			resp_put_null(&client->out);
		value_release(values[i]);
		if (client->tail)
			client_flush(client);
	}
	free(values);
}

/* Prepares all changes. A key may be named twice: each brings a value of its own. */
static bool prepare_all(struct client *client, struct change *changes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct change *change = &changes[i];

		change->place =
			cache_place(&program.cache, command_arg(client, 1 + 2 * i));
		change->bytes = command_arg(client, 2 + 2 * i);
		if (!prepare(change, find(client, &change->place), false))
			return false;
	}
	return true;
}

/* An earlier change of the same command may have made the entry. */
static void apply_next(struct change *change)
{
	struct place *place = &change->place;
	struct entry *present =
		change->is_new ? table_find(&place->shard->table, place->key, place->hash)
			       : NULL;

	if (present) {
		entry_destroy(change->entry);
		change->entry = present;
		change->is_new = false;
	}
	apply(change);
}

void command_mset(struct client *client)
{
	size_t n = (client->request.argc - 1) / 2;
	struct change *changes;
	shard_set shards;

	if (client->request.argc % 2 == 0) {
		resp_put_error(
			&client->out, "ERR wrong number of arguments for 'mset' command");
		return;
	}
	changes = calloc(n, sizeof(*changes));
	if (!changes) {
		command_reply_no_memory(client);
		return;
	}
	shards = shards_of(client, 2);
	cache_lock(&program.cache, shards);
	if (prepare_all(client, changes, n) &&
		aof_append_request(&program.aof, &client->request)) {
		for (size_t i = 0; i < n; i++)
			apply_next(&changes[i]);
		resp_put_status(&client->out, TEXT("OK"));
	} else {
		for (size_t i = 0; i < n; i++)
			drop(&changes[i]);
		command_reply_no_memory(client);
	}
	cache_unlock(&program.cache, shards);
	free(changes);
}

/* The sum as the key's new value, with the shard locked. */
static void add(struct client *client, struct change *change, int64_t by)
{
	struct entry *entry = find(client, &change->place);
	char digits[NUMBER_MAX];
	int64_t sum = 0;

	if (entry && !number_parse(value_text(entry->value), &sum)) {
		command_reply_not_integer(client);
		return;
	}
	if (__builtin_add_overflow(sum, by, &sum)) {
		resp_put_error(&client->out, "ERR increment or decrement would overflow");
		return;
	}
	change->bytes = (struct text){digits, number_format(digits, sum)};
	change->expires = entry ? entry->expires : 0;
	if (store(change, entry))
		resp_put_integer(&client->out, sum);
	else
		command_reply_no_memory(client);
}

static void add_to_key(struct client *client, int64_t by)
{
	struct change change = {
		.place = cache_place(&program.cache, command_arg(client, 1)),
	};
	shard_set shard = cache_set_of(&program.cache, change.place.shard);

	cache_lock(&program.cache, shard);
	add(client, &change, by);
	cache_unlock(&program.cache, shard);
}

void command_incr(struct client *client)
{
	add_to_key(client, 1);
}

void command_decr(struct client *client)
{
	add_to_key(client, -1);
}

void command_incrby(struct client *client)
{
	int64_t by;

	if (command_arg_number(client, 2, &by))
		add_to_key(client, by);
}

void command_decrby(struct client *client)
{
	int64_t by;

	if (!command_arg_number(client, 2, &by))
		return;
	if (by == INT64_MIN)
		resp_put_error(&client->out, "ERR decrement would overflow");
	else
		add_to_key(client, -by);
}
