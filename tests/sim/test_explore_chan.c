/* SPDX-License-Identifier: MIT */
/*
 * The channel and select, explored: no item is lost or comes twice, whoever is cancelled, times out or is
 * turned away; senders and receivers are served in their order; of a select one case takes effect.
 */
#include "explore.h"

enum { CHANS = 3, ITEMS = 256, ROUNDS = 3, MAX_TASKS = 6 };

/* -- what became of each item ------------------------------------------------------------------ */

static struct {
	struct weft_chan *chans[CHANS];
	int chan_count;
	bool closed[CHANS];
	int next;
	struct {
		bool sent;
		int got;
		int chan;
	} items[ITEMS];
} ledger;

static void ledger_begin(int chans, size_t capacity)
{
	memset(&ledger, 0, sizeof(ledger));
	ledger.next = 1;
	ledger.chan_count = chans;
	for (int i = 0; i < chans; i++) {
		ledger.chans[i] = weft_chan_create(sizeof(int), capacity);
		CHECK(ledger.chans[i]);
	}
}

static int new_item(int chan)
{
	int item = ledger.next < ITEMS - 1 ? ledger.next++ : ITEMS - 1;

	ledger.items[item].chan = chan;
	return item;
}

static void was_sent(int item, int status)
{
	CHECK(status == 0 || status == -EPIPE || status == -ECANCELED ||
		status == -ETIMEDOUT);
	ledger.items[item].sent = status == 0;
}

/* status as weft_chan_recv returns it; before: what lay in *item. */
static void was_received(int chan, int item, int before, int status)
{
	if (status != 1) {
		CHECK(item == before);
		CHECK(status == 0 || status == -ECANCELED || status == -ETIMEDOUT);
		CHECK(status != 0 || ledger.closed[chan]);
		return;
	}
	CHECK(item > 0 && item < ledger.next);
	CHECK(ledger.items[item].chan == chan);
	CHECK(ledger.items[item].got++ == 0);
}

static void close_chan(int i)
{
	ledger.closed[i] = true;
	weft_chan_close(ledger.chans[i]);
}

static void ledger_end(void)
{
	int item;

	for (int i = 0; i < ledger.chan_count; i++) {
		while (weft_chan_try_recv(ledger.chans[i], &item) == 1)
			was_received(i, item, 0, 1);
		CHECK(weft_chan_len(ledger.chans[i]) == 0);
		weft_chan_destroy(ledger.chans[i]);
	}
	for (item = 1; item < ledger.next; item++)
		CHECK(ledger.items[item].got == ledger.items[item].sent);
}

static struct weft_task *tasks[MAX_TASKS];
static bool cancelled[MAX_TASKS];
static int task_count;

static void create(weft_fn fn, int n)
{
	for (int i = 0; i < n; i++) {
		cancelled[task_count] = false;
		tasks[task_count] = weft_create_task(fn, (void *)(intptr_t)task_count);
		task_count++;
	}
}

static void cancel_any(void)
{
	unsigned i = any((unsigned)task_count);

	cancelled[i] = true;
	weft_cancel(tasks[i]);
}

static void join_all(void)
{
	CHECK(weft_gather(tasks, (size_t)task_count, NULL, WEFT_GATHER_ALL) == 0);
	weft_release_all(tasks, (size_t)task_count);
	task_count = 0;
}

/* -- traffic that ends well -------------------------------------------------------------------- */

static int senders_left;

static int send_some(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		int item = new_item(0), rc = weft_chan_send(ledger.chans[0], &item);

		CHECK(rc == 0);
		was_sent(item, rc);
		if (any(2))
			dawdle();
	}
	if (--senders_left == 0)
		close_chan(0);
	return 0;
}

/* Items of a sender come in their order; all senders draw from one sequence. */
static int receive_all(void *arg)
{
	int item = 0, before, rc;

	(void)arg;
	do {
		before = item;
		rc = weft_chan_recv(ledger.chans[0], &item);
		was_received(0, item, before, rc);
		if (any(3) == 0)
			dawdle();
	} while (rc == 1);
	CHECK(rc == 0);
	return 0;
}

static int chan_traffic(void *arg)
{
	(void)arg;
	task_count = 0;
	ledger_begin(1, any(4));
	senders_left = 2;
	create(send_some, 2);
	create(receive_all, 2);
	join_all();
	for (int item = 1; item < ledger.next; item++)
		CHECK(ledger.items[item].got == 1);
	ledger_end();
	return 0;
}

/* One sender and one receiver: exactly the sequence, and never more under way than there is room. */
static int receive_in_order(void *arg)
{
	int item = 0, expected = 1;

	(void)arg;
	while (weft_chan_recv(ledger.chans[0], &item) == 1) {
		CHECK(item == expected++);
		was_received(0, item, 0, 1);
		dawdle();
	}
	return 0;
}

static int chan_in_order(void *arg)
{
	(void)arg;
	task_count = 0;
	ledger_begin(1, any(4));
	senders_left = 1;
	create(send_some, 1);
	create(receive_in_order, 1);
	join_all();
	ledger_end();
	return 0;
}

/* Who waits is served in the order of coming: item i goes to the i-th that is not cancelled. */
static int next_expected;

static int receive_one(void *arg)
{
	int item = 0, rc = weft_chan_recv(ledger.chans[0], &item);

	was_received(0, item, 0, rc);
	*(int *)arg = item;
	return rc;
}

static int chan_receivers_fifo(void *arg)
{
	int items[MAX_TASKS] = {0}, last = 0;

	(void)arg;
	task_count = 0;
	ledger_begin(1, any(3));
	for (; task_count < 4; task_count++) {
		cancelled[task_count] = false;
		tasks[task_count] = weft_create_task(receive_one, &items[task_count]);
		settle();
	}
	if (any(2))
		cancel_any();
	for (int i = 0; i < 4; i++) {
		int item = new_item(0), rc = weft_chan_try_send(ledger.chans[0], &item);

		ledger.items[item].sent = rc == 0;
		if (any(4) == 0)
			cancel_any();
		if (any(2))
			weft_yield();
	}
	settle();
	for (int i = 0; i < 4; i++) {
		CHECK(items[i] > last || (items[i] == 0 && cancelled[i]));
		last = items[i] ? items[i] : last;
	}
	join_all();
	ledger_end();
	return 0;
}

static int send_number(void *arg)
{
	int item = *(int *)arg, rc = weft_chan_send(ledger.chans[0], &item);

	was_sent(item, rc);
	return rc;
}

static int chan_senders_fifo(void *arg)
{
	int items[4], got, last = 0;

	(void)arg;
	task_count = 0;
	ledger_begin(1, any(3));
	for (; task_count < 4; task_count++) {
		items[task_count] = new_item(0);
		cancelled[task_count] = false;
		tasks[task_count] = weft_create_task(send_number, &items[task_count]);
		settle();
	}
	if (any(2))
		cancel_any();
	for (int i = 0; i < 4; i++) {
		if (weft_chan_try_recv(ledger.chans[0], &got) == 1) {
			CHECK(got > last);
			last = got;
			was_received(0, got, 0, 1);
		}
		if (any(4) == 0)
			cancel_any();
		if (any(2))
			weft_yield();
	}
	settle();
	while (weft_chan_try_recv(ledger.chans[0], &got) == 1) {
		CHECK(got > last);
		last = got;
		was_received(0, got, 0, 1);
	}
	for (int i = 0; i < 4; i++)
		CHECK(ledger.items[items[i]].got || cancelled[i]);
	join_all();
	ledger_end();
	return 0;
}

/* A rendezvous: nobody's send returns before its receive has been begun. */
static int begun;

static int meet_sender(void *arg)
{
	int item = 0, rc;

	(void)arg;
	dawdle();
	begun++;
	rc = weft_chan_recv(ledger.chans[0], &item);
	was_received(0, item, 0, rc);
	return 0;
}

static int meet_receiver(void *arg)
{
	int item = new_item(0), rc = weft_chan_send(ledger.chans[0], &item);

	(void)arg;
	was_sent(item, rc);
	next_expected++;
	CHECK(begun >= next_expected);
	return 0;
}

static int chan_rendezvous(void *arg)
{
	(void)arg;
	task_count = 0;
	begun = next_expected = 0;
	ledger_begin(1, 0);
	create(meet_sender, 3);
	create(meet_receiver, 3);
	join_all();
	ledger_end();
	return 0;
}

/* -- a storm ----------------------------------------------------------------------------------- */

static int send_in_storm(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		int item = new_item(0), rc;

		if (any(4)) {
			rc = weft_chan_send(ledger.chans[0], &item);
		} else {
			rc = weft_chan_try_send(ledger.chans[0], &item);
			rc = rc == -EAGAIN ? -ECANCELED : rc;
		}
		was_sent(item, rc);
		CHECK(rc != -EPIPE || ledger.closed[0]);
		if (any(2))
			dawdle();
	}
	return 0;
}

static int receive_in_storm(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		struct weft_scope scope;
		int item = -1, rc;

		if (any(3)) {
			rc = weft_chan_recv(ledger.chans[0], &item);
		} else {
			weft_deadline_begin(&scope, WEFT_MS(any(3)));
			rc = weft_chan_recv(ledger.chans[0], &item);
			CHECK(weft_scope_end(&scope) == (rc == -ETIMEDOUT));
		}
		was_received(0, item, -1, rc);
		if (any(2))
			dawdle();
	}
	return 0;
}

static int chan_storm(void *arg)
{
	(void)arg;
	task_count = 0;
	ledger_begin(1, any(4));
	create(send_in_storm, 3);
	create(receive_in_storm, 3);
	for (unsigned n = any(3); n > 0; n--) {
		dawdle();
		cancel_any();
	}
	dawdle();
	dawdle();
	close_chan(0);
	join_all();
	ledger_end();
	return 0;
}

/* -- select ------------------------------------------------------------------------------------ */

static int nothing(void *arg)
{
	(void)arg;
	dawdle();
	return 7;
}

/* Any cases at all, of which one takes effect: the ledger knows of all others too. */
static void select_something(struct weft_task *task)
{
	struct weft_case cases[5];
	int items[5], n = 2 + (int)any(3);
	weft_ns timeout = any(2) ? WEFT_FOREVER : WEFT_MS(any(3));
	ssize_t chosen;

	for (int i = 0; i < n; i++) {
		int chan = (int)any((unsigned)ledger.chan_count);
		bool sends = any(2);

		items[i] = sends ? new_item(chan) : -1;
		cases[i] = (struct weft_case){
			.op = sends ? WEFT_SEND : WEFT_RECV,
			.chan = ledger.chans[chan],
			.item = &items[i],
			.fd = chan,
		};
	}
	if (task)
		cases[n++] = (struct weft_case){.op = WEFT_TASK, .task = task};
	chosen = weft_select(cases, (size_t)n, timeout);
	CHECK(chosen < n);
	CHECK(chosen >= 0 || chosen == -ECANCELED ||
		(chosen == -EAGAIN && timeout != WEFT_FOREVER));
	for (int i = 0; i < n; i++) {
		struct weft_case *c = &cases[i];

		if (c->op == WEFT_TASK)
			CHECK(i != chosen || (c->status == 7 && weft_status(task) == 7));
		else if (c->op == WEFT_SEND)
			was_sent(items[i], i == chosen ? c->status : -ECANCELED);
		else
			was_received(c->fd, items[i], -1,
				i == chosen ? c->status : -ECANCELED);
	}
}

static int select_in_storm(void *arg)
{
	struct weft_task *task =
		(intptr_t)arg == 0 ? weft_create_task(nothing, NULL) : NULL;

	for (int i = 0; i < ROUNDS; i++) {
		select_something(task);
		if (any(2))
			dawdle();
	}
	if (task)
		weft_join(task);
	return 0;
}

static int select_storm(void *arg)
{
	(void)arg;
	task_count = 0;
	ledger_begin(1 + (int)any(CHANS), any(3));
	create(select_in_storm, 3);
	create(send_in_storm, 1);
	create(receive_in_storm, 1);
	for (unsigned n = any(3); n > 0; n--) {
		dawdle();
		cancel_any();
	}
	weft_sleep(WEFT_MS(any(8)));
	for (int i = 0; i < ledger.chan_count; i++)
		close_chan(i);
	join_all();
	ledger_end();
	return 0;
}

/* As many selects that offer both as there are senders and receivers: they meet each other, in pairs. */
static int meet_by_select(void *arg)
{
	int item = new_item(0), other = -1;
	struct weft_case both[] = {
		{.op = WEFT_SEND, .chan = ledger.chans[0], .item = &item},
		{.op = WEFT_RECV, .chan = ledger.chans[0], .item = &other},
	};
	ssize_t chosen = weft_select(both, 2, WEFT_FOREVER);

	(void)arg;
	CHECK(chosen == 0 || chosen == 1);
	CHECK(other != item);
	was_sent(item, chosen == 0 ? both[0].status : -ECANCELED);
	was_received(0, other, -1, chosen == 1 ? both[1].status : -ECANCELED);
	return 0;
}

static int select_meets_select(void *arg)
{
	(void)arg;
	task_count = 0;
	ledger_begin(1, 0);
	create(meet_by_select, 4);
	join_all();
	ledger_end();
	return 0;
}

/* A waiter behind a select that has been served elsewhere is not forgotten. */
static int select_two(void *arg)
{
	int items[2] = {-1, -1};
	struct weft_case two[] = {
		{.op = WEFT_RECV, .chan = ledger.chans[0], .item = &items[0]},
		{.op = WEFT_RECV, .chan = ledger.chans[1], .item = &items[1]},
	};
	ssize_t chosen = weft_select(two, 2, WEFT_FOREVER);

	(void)arg;
	CHECK(chosen == 0 || chosen == 1 || chosen == -ECANCELED);
	for (int i = 0; i < 2; i++)
		was_received(i, items[i], -1, i == chosen ? two[i].status : -ECANCELED);
	return 0;
}

static int receive_first(void *arg)
{
	int item = -1, rc = weft_chan_recv(ledger.chans[0], &item);

	(void)arg;
	was_received(0, item, -1, rc);
	return rc;
}

static int select_hides_nobody(void *arg)
{
	int item;

	(void)arg;
	task_count = 0;
	ledger_begin(2, 0);
	create(select_two, 1);
	settle();
	create(receive_first, 1);
	settle();
	if (any(2)) {
		item = new_item(1);
		was_sent(item, weft_chan_send(ledger.chans[1], &item));
	} else {
		weft_cancel(tasks[0]);
		if (any(2))
			weft_yield();
	}
	item = new_item(0);
	was_sent(item, weft_chan_send(ledger.chans[0], &item));
	if (weft_status(tasks[1]) == -EINPROGRESS &&
		weft_status(tasks[0]) != -EINPROGRESS)
		settle();
	close_chan(0);
	close_chan(1);
	join_all();
	CHECK(ledger.items[item].got == 1);
	ledger_end();
	return 0;
}

/* -- all of them ------------------------------------------------------------------------------- */

Explored(chan, traffic, chan_traffic, .faults = WEFT_SIM_SLOW) Explored(chan, in_order,
	chan_in_order, .faults = WEFT_SIM_SLOW) Explored(chan, receivers_fifo,
	chan_receivers_fifo) Explored(chan, senders_fifo, chan_senders_fifo)
	Explored(chan, rendezvous, chan_rendezvous, .faults = WEFT_SIM_SLOW)
		Explored(chan, storm, chan_storm, .faults = WEFT_SIM_SLOW) Explored(
			select, storm, select_storm, .faults = WEFT_SIM_SLOW)
			Explored(select, meets_select, select_meets_select,
				.faults = WEFT_SIM_SLOW)
				Explored(select, hides_nobody, select_hides_nobody)
