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
	weft_list_insert_after(&list, &items[1].node, node(5));
	weft_list_insert_after(&list, &items[2].node, node(6));
	CHECK(&list, 0, 1, 5, 2, 6);
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

Test(list, splices_at_either_end)
{
	struct weft_list other = {NULL, NULL};

	weft_list_splice_front(&list, &other);
	weft_list_splice_back(&list, &other);
	CHECK_EMPTY(&list);

	weft_list_push_tail(&other, node(2));
	weft_list_push_tail(&other, node(3));
	weft_list_splice_back(&list, &other);
	CHECK_EMPTY(&other);
	CHECK(&list, 2, 3);

	weft_list_push_tail(&other, node(0));
	weft_list_push_tail(&other, node(1));
	weft_list_splice_front(&list, &other);
	CHECK_EMPTY(&other);
	CHECK(&list, 0, 1, 2, 3);

	weft_list_push_tail(&other, node(4));
	weft_list_splice_back(&list, &other);
	CHECK(&list, 0, 1, 2, 3, 4);

	weft_list_splice_front(&other, &list);
	CHECK_EMPTY(&list);
	CHECK(&other, 0, 1, 2, 3, 4);
}
