/* SPDX-License-Identifier: MIT */
/*
 * test_list - the intrusive list.
 */
#include <criterion/criterion.h>

#include "base/list.h"

struct item {
	int number;
	struct weft_node node;
};

static struct item items[10];
static struct weft_list list;

static struct weft_node *node(int number)
{
	items[number].number = number;
	return &items[number].node;
}

/* The list holds exactly these, forwards and backwards; the last of them is followed by -1. */
static void check(struct weft_list *l, const int *expected)
{
	const struct weft_node *previous = NULL;
	struct weft_node *at = l->head;

	for (; *expected >= 0; expected++, at = at->next) {
		cr_assert_not_null(at);
		cr_assert_eq(weft_container_of(at, struct item, node)->number, *expected);
		cr_assert_eq(at->prev, previous);
		previous = at;
	}
	cr_assert_null(at);
	cr_assert_eq(l->tail, previous);
	cr_assert_eq(weft_list_empty(l), previous == NULL);
}

#define CHECK(l, ...) check((l), (const int[]){__VA_ARGS__, -1})
#define CHECK_EMPTY(l) check((l), (const int[]){-1})

Test(list, a_zeroed_head_is_empty)
{
	CHECK_EMPTY(&list);
	cr_assert_null(weft_list_pop_head(&list));
}

Test(list, keeps_the_order_of_pushes)
{
	weft_list_push_tail(&list, node(1));
	weft_list_push_tail(&list, node(2));
	weft_list_push_head(&list, node(0));
	CHECK(&list, 0, 1, 2);
}

Test(list, gives_up_any_node)
{
	for (int i = 0; i < 4; i++)
		weft_list_push_tail(&list, node(i));
	weft_list_remove(&list, &items[1].node);
	CHECK(&list, 0, 2, 3);
	weft_list_remove(&list, &items[3].node);
	CHECK(&list, 0, 2);
	weft_list_remove(&list, &items[0].node);
	CHECK(&list, 2);
	weft_list_remove(&list, &items[2].node);
	CHECK_EMPTY(&list);
}

Test(list, pops_from_the_front_until_it_is_empty)
{
	for (int i = 0; i < 3; i++)
		weft_list_push_tail(&list, node(i));
	for (int i = 0; i < 3; i++)
		cr_assert_eq(weft_list_pop_head(&list), &items[i].node);
	CHECK_EMPTY(&list);
	weft_list_push_head(&list, node(7));
	CHECK(&list, 7);
}
