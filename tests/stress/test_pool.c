/* SPDX-License-Identifier: MIT */
/*
 * pool - many receivers, few buffers, cancels and closes at random moments, puts from elsewhere:
 * what is received is always the connection's own, and afterwards every buffer is there.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weft.h>

enum {
	ROUNDS = 400 / WEFT_TEST_SCALE,
	RECEIVERS = 40,
	BUFFERS = 5,
	SIZE = 64,
};

TestSuite(pool, .timeout = 200);

struct connection {
	struct weft_pool *pool;
	struct weft_chan *putters;
	int ends[2];
	unsigned char mark;
	uint64_t seed;
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void put_somewhere(struct connection *c, struct weft_buf *buf)
{
	if (next_random(&c->seed) % 2 && weft_chan_try_send(c->putters, buf) == 0)
		return;
	weft_buf_put(buf);
}

/* Everything received carries the connection's mark, also after a wait with the buffer in hand. */
static int receive(void *arg)
{
	struct connection *c = arg;

	for (;;) {
		struct weft_buf buf;
		ssize_t n = weft_recv_buf(c->ends[0], c->pool, &buf);

		cr_assert_eq(buf.data != NULL, n > 0);
		if (n <= 0)
			return (int)n;
		cr_assert_eq(buf.len, n);
		if (next_random(&c->seed) % 4 == 0)
			weft_yield();
		for (ssize_t i = 0; i < n; i++)
			cr_assert_eq(((unsigned char *)buf.data)[i], c->mark);
		put_somewhere(c, &buf);
	}
}

static int send_some(void *arg)
{
	struct connection *c = arg;
	unsigned char text[3 * SIZE];
	uint64_t seed = c->mark * 88172645463325252u;
	ssize_t n = 1;

	memset(text, c->mark, sizeof(text));
	for (int i = 0; i < 10 && n > 0; i++) {
		n = weft_send(c->ends[1], text, 1 + next_random(&seed) % sizeof(text), 0);
		if (next_random(&seed) % 3 == 0)
			weft_yield();
	}
	return 0;
}

static int put_for_others(void *arg)
{
	struct weft_buf buf;

	while (weft_chan_recv(arg, &buf) > 0)
		weft_buf_put(&buf);
	return 0;
}

static void assert_all_free(struct weft_pool *pool)
{
	struct weft_buf bufs[BUFFERS + 1];
	struct weft_scope scope;
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
	for (int i = 0; i <= BUFFERS; i++)
		cr_assert_eq(weft_send(ends[1], "x", 1, 0), 1);
	weft_deadline_begin(&scope, WEFT_MS(5));
	for (int i = 0; i < BUFFERS; i++)
		cr_assert_eq(weft_recv_buf(ends[0], pool, &bufs[i]), 1);
	cr_assert_eq(weft_recv_buf(ends[0], pool, &bufs[BUFFERS]), -ETIMEDOUT);
	weft_scope_end(&scope);
	for (int i = 0; i < BUFFERS; i++)
		weft_buf_put(&bufs[i]);
	weft_close(ends[0]);
	weft_close(ends[1]);
}

static void round_of(struct weft_pool *pool, struct weft_chan *putters, uint64_t seed)
{
	static struct connection connections[RECEIVERS];
	struct weft_task *receivers[RECEIVERS], *senders[RECEIVERS];
	bool closed[RECEIVERS] = {false};

	for (unsigned i = 0; i < RECEIVERS; i++) {
		struct connection *c = &connections[i];

		*c = (struct connection){
			.pool = pool,
			.putters = putters,
			.mark = (unsigned char)(i + 1),
			.seed = next_random(&seed),
		};
		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, c->ends), 0);
		receivers[i] = weft_create_task(receive, c);
		senders[i] = weft_create_task(send_some, c);
	}
	for (int i = 0; i < RECEIVERS; i++) {
		switch (next_random(&seed) % 4) {
		case 0:
			weft_cancel(receivers[i]);
			break;
		case 1:
			weft_close(connections[i].ends[0]);
			closed[i] = true; /* and no number is given out again before it has ended */
			break;
		case 2:
			weft_shutdown(connections[i].ends[1], SHUT_WR);
			break;
		default:
			weft_yield();
		}
	}
	for (int i = 0; i < RECEIVERS; i++) {
		weft_join(senders[i]);
		weft_close(connections[i].ends[1]);
	}
	for (int i = 0; i < RECEIVERS; i++) {
		weft_join(receivers[i]);
		if (!closed[i])
			weft_close(connections[i].ends[0]);
	}
}

static int storm(void *arg)
{
	struct weft_pool *pool = weft_pool_create(BUFFERS, SIZE);
	struct weft_chan *putters = weft_chan_create(sizeof(struct weft_buf), 2);
	struct weft_task *putter = weft_create_task(put_for_others, putters);
	uint64_t seed = 88172645463325252u;

	(void)arg;
	for (int i = 0; i < ROUNDS; i++)
		round_of(pool, putters, seed += next_random(&seed));
	weft_chan_close(putters);
	cr_assert_eq(weft_join(putter), 0);
	weft_chan_destroy(putters);
	assert_all_free(pool);
	weft_pool_destroy(pool);
	return 0;
}

Test(pool, loses_no_buffer_and_mixes_up_none)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.stall_report = -1;
	for (config.workers = 1; config.workers <= 4; config.workers *= 2)
		cr_assert_eq(weft_run(storm, NULL, &config), 0);
}
