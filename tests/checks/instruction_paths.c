/* SPDX-License-Identifier: MIT */
/*
 * instruction_paths - the hot paths that instructions.py counts: one of them, n times over, in one
 * task of one worker. What a run costs besides is the same for every n.
 *
 *   instruction_paths           names them
 *   instruction_paths PATH N
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft.h>

enum { MANY = 1000, SENDERS = 10, CAPACITY = 128 };

static int body(void *arg)
{
	++*(size_t *)arg;
	return 0;
}

static size_t create_join(size_t n)
{
	size_t ran = 0;

	for (size_t i = 0; i < n; i++)
		weft_join(weft_create_task(body, &ran));
	return ran;
}

/* In batches: n is a multiple of MANY here and in chain. */
static size_t create_gather(size_t n)
{
	static struct weft_task *tasks[MANY];
	size_t ran = 0;

	for (size_t left = n; left; left -= MANY) {
		for (size_t i = 0; i < MANY; i++)
			tasks[i] = weft_create_task(body, &ran);
		weft_gather(tasks, MANY, NULL, 0);
		weft_release_all(tasks, MANY);
	}
	return ran;
}

static size_t await(size_t n)
{
	size_t ran = 0;

	for (size_t i = 0; i < n; i++) {
		struct weft_task *task = weft_create_task(body, &ran);

		weft_await(task);
		weft_release(task);
	}
	return ran;
}

static int yielding(void *arg)
{
	for (size_t left = *(size_t *)arg / 2; left; left--)
		weft_yield();
	return 0;
}

static size_t yield(size_t n)
{
	struct weft_task *other = weft_create_task(yielding, &n);

	yielding(&n);
	weft_join(other);
	return n;
}

struct table {
	struct weft_chan *there, *back;
};

static int pong(void *arg)
{
	struct table *table = arg;
	size_t ball;

	while (weft_chan_recv(table->there, &ball) == 1) {
		ball++;
		weft_chan_send(table->back, &ball);
	}
	return 0;
}

static size_t pingpong(size_t n)
{
	struct table table = {
		weft_chan_create(sizeof(size_t), 1), weft_chan_create(sizeof(size_t), 1)};
	struct weft_task *task = weft_create_task(pong, &table);
	size_t ball = 0;

	for (size_t i = 0; i < n; i++) {
		weft_chan_send(table.there, &ball);
		weft_chan_recv(table.back, &ball);
	}
	weft_chan_close(table.there);
	weft_join(task);
	weft_chan_destroy(table.there);
	weft_chan_destroy(table.back);
	return ball;
}

struct sender {
	struct weft_chan *chan;
	size_t items;
};

static int sender(void *arg)
{
	struct sender *me = arg;

	for (size_t i = 0; i < me->items; i++)
		weft_chan_send(me->chan, &i);
	return 0;
}

static size_t fanin(size_t n)
{
	struct sender each = {weft_chan_create(sizeof(size_t), CAPACITY), n / SENDERS};
	struct weft_group senders;
	size_t item, got = 0;

	weft_group_begin(&senders, 0);
	for (size_t i = 0; i < SENDERS; i++)
		weft_group_spawn(&senders, sender, &each);
	while (got < n && weft_chan_recv(each.chan, &item) == 1)
		got++;
	weft_group_join(&senders);
	weft_chan_destroy(each.chan);
	return got;
}

static size_t mutex(size_t n)
{
	static struct weft_mutex lock;
	size_t locked = 0;

	for (size_t i = 0; i < n; i++) {
		locked += weft_mutex_lock(&lock) == 0;
		weft_mutex_unlock(&lock);
	}
	return locked;
}

static size_t timeout(size_t n)
{
	struct weft_scope scope;
	size_t ended = 0;

	for (size_t i = 0; i < n; i++) {
		weft_deadline_begin(&scope, WEFT_SEC(3600));
		ended += weft_checkpoint() == 0;
		weft_scope_end(&scope);
	}
	return ended;
}

/* A checkpoint while a deadline runs, which is what a server's calls mostly are. */
static size_t timed_checkpoint(size_t n)
{
	struct weft_scope scope;
	size_t passed = 0;

	weft_deadline_begin(&scope, WEFT_SEC(3600));
	for (size_t i = 0; i < n; i++)
		passed += weft_checkpoint() == 0;
	weft_scope_end(&scope);
	return passed;
}

static size_t chain(size_t n)
{
	struct weft_order *order = weft_order_create(WEFT_ORDER_CHAIN, "chain");
	size_t ran = 0;

	for (size_t left = n; left; left -= MANY) {
		for (size_t i = 1; i < MANY; i++)
			weft_release(weft_order_create_task(order, body, &ran));
		weft_join(weft_order_create_task(order, body, &ran));
	}
	weft_order_release(order);
	return ran;
}

static size_t checkpoint(size_t n)
{
	size_t passed = 0;

	for (size_t i = 0; i < n; i++)
		passed += weft_checkpoint() == 0;
	return passed;
}

static const struct path {
	const char *name;
	size_t (*run)(size_t n); /* does it n times; how often it was done */
} paths[] = {
	{"create_join", create_join},
	{"create_gather", create_gather},
	{"await", await},
	{"yield", yield},
	{"pingpong", pingpong},
	{"fanin", fanin},
	{"mutex", mutex},
	{"timeout", timeout},
	{"in_deadline", timed_checkpoint},
	{"chain", chain},
	{"checkpoint", checkpoint},
};

struct request {
	const struct path *path;
	size_t n;
};

static int run(void *arg)
{
	struct request *request = arg;

	return request->path->run(request->n) == request->n ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct request request = {0};

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		if (argc == 1)
			puts(paths[i].name);
		else if (argc == 3 && strcmp(argv[1], paths[i].name) == 0)
			request.path = &paths[i];
	}
	if (!request.path)
		return argc == 1 ? 0 : 2;
	request.n = strtoul(argv[2], NULL, 10);
	config.workers = 1;
	config.stall_report = -1; /* under valgrind everything is one */
	return weft_run(run, &request, &config) == 0 ? 0 : 1;
}
