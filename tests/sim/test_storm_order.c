/* SPDX-License-Identifier: MIT */
/*
 * The storm over orders: whoever is cancelled and wherever, each member runs and ends, the order holds among all
 * of them, and nobody waits for good for a place that a cancelled one had.
 */
#include "storm.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <weft.h>

enum { MEMBERS = 4 };

static struct {
	int mode;
	int made, begun, ended;
	int running; /* members between their first and last instruction, of CHAIN */
	int last;    /* the latest that began (CHAIN, START) or committed */
	int committing;
	const char *wrong;
} account;

static void wrong_unless(bool holds, const char *text)
{
	if (!holds)
		account.wrong = text;
}

static const char *every_member_ended(void *arg)
{
	(void)arg;
	if (account.wrong)
		return account.wrong;
	if (account.made != account.begun || account.begun != account.ended)
		return storm_says("%d members made, %d begun, %d ended", account.made,
			account.begun, account.ended);
	return NULL;
}

static void begin(int number)
{
	account.begun++;
	if (account.mode == WEFT_ORDER_CHAIN)
		wrong_unless(account.running++ == 0, "two members of a chain at a time");
	if (account.mode == WEFT_ORDER_CHAIN || account.mode == WEFT_ORDER_START) {
		wrong_unless(
			number > account.last, "a member began before an earlier one");
		account.last = number;
	}
}

static int commit(int number)
{
	int rc = weft_commit_begin();

	if (rc < 0)
		return rc;
	wrong_unless(account.committing++ == 0, "two sections at a time");
	wrong_unless(number > account.last, "a section before that of an earlier member");
	account.last = number;
	rc = weft_sleep(WEFT_MS(1));
	account.committing--;
	weft_commit_end();
	return rc;
}

/* A few waits, the later members' shorter than the earlier ones'. */
static int be_a_member(void *arg)
{
	int number = (int)(intptr_t)arg, rc;

	begin(number);
	rc = weft_sleep(WEFT_MS(MEMBERS - number));
	if (rc == 0)
		rc = weft_checkpoint();
	if (rc == 0 && account.mode == WEFT_ORDER_COMMIT)
		rc = commit(number);
	if (rc == 0)
		rc = weft_yield();
	account.running--;
	account.ended++;
	return rc;
}

static int in_order(void *arg)
{
	struct weft_order *order;
	struct weft_task *members[MEMBERS];
	int rc;

	memset(&account, 0, sizeof(account));
	account.mode = *(int *)arg;
	account.last = -1;
	order = weft_order_create(account.mode, "storm");
	for (int i = 0; i < MEMBERS; i++) {
		members[i] =
			weft_order_create_task(order, be_a_member, (void *)(intptr_t)i);
		account.made += weft_id(members[i]) != 0;
	}
	weft_order_release(order);
	rc = weft_gather(members, MEMBERS, NULL, WEFT_GATHER_ALL);
	weft_release_all(members, MEMBERS);
	return rc;
}

/* The first member makes two more, and joins them. */
static int make_members(void *arg)
{
	struct weft_order *order = arg;
	struct weft_task *children[2];
	int rc = 0;

	account.begun++;
	for (int i = 0; i < 2; i++) {
		children[i] = weft_order_create_task(
			order, be_a_member, (void *)(intptr_t)(i + 1));
		account.made += weft_id(children[i]) != 0;
	}
	if (account.mode == WEFT_ORDER_TURN || account.mode == WEFT_ORDER_ARRIVAL) {
		for (int i = 0; i < 2; i++) {
			int status = weft_join(children[i]);

			rc = rc < 0 ? rc : status;
		}
	} else {
		weft_release_all(children, 2); /* a join would wait for its own end */
		rc = weft_sleep(WEFT_MS(1));
	}
	account.ended++;
	return rc;
}

static int members_make_members(void *arg)
{
	struct weft_order *order;
	struct weft_task *first;
	int rc;

	memset(&account, 0, sizeof(account));
	account.mode = *(int *)arg;
	account.last = -1;
	order = weft_order_create(account.mode, "storm");
	first = weft_order_create_task(order, make_members, order);
	account.made += weft_id(first) != 0;
	rc = weft_join(first);
	weft_order_release(order);
	return rc;
}

static int mode;

Test(storm_order, every_mode)
{
	static const char *const names[] = {
		"chain", "start", "arrival", "turn", "commit"};

	for (mode = WEFT_ORDER_CHAIN; mode <= WEFT_ORDER_COMMIT; mode++)
		cr_expect_eq(
			storm(names[mode - 1], in_order, &mode, every_member_ended), 0);
}

Test(storm_order, members_that_make_members)
{
	mode = WEFT_ORDER_ARRIVAL;
	cr_expect_eq(
		storm("arrival_makes", members_make_members, &mode, every_member_ended),
		0);
	mode = WEFT_ORDER_TURN;
	cr_expect_eq(
		storm("turn_makes", members_make_members, &mode, every_member_ended), 0);
}
