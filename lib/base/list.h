/* SPDX-License-Identifier: MIT */
/*
 * list - an intrusive doubly linked list with head and tail. Unsynchronised: whoever owns
 * the head owns the nodes. A zeroed head is an empty list.
 */
#ifndef WEFT_LIB_BASE_LIST_H
#define WEFT_LIB_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct weft_node {
	struct weft_node *next, *prev;
};

struct weft_list {
	struct weft_node *head, *tail;
};

#define weft_container_of(ptr, type, member)                                             \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline bool weft_list_empty(const struct weft_list *list)
{
	return !list->head;
}

static inline void weft_list_push_tail(struct weft_list *list, struct weft_node *node)
{
	node->next = NULL;
	node->prev = list->tail;
	if (list->tail)
		list->tail->next = node;
	else
		list->head = node;
	list->tail = node;
}

static inline void weft_list_push_head(struct weft_list *list, struct weft_node *node)
{
	node->prev = NULL;
	node->next = list->head;
	if (list->head)
		list->head->prev = node;
	else
		list->tail = node;
	list->head = node;
}

/* node must be on this list. */
static inline void weft_list_remove(struct weft_list *list, struct weft_node *node)
{
	if (node->prev)
		node->prev->next = node->next;
	else
		list->head = node->next;
	if (node->next)
		node->next->prev = node->prev;
	else
		list->tail = node->prev;
}

static inline struct weft_node *weft_list_pop_head(struct weft_list *list)
{
	struct weft_node *node = list->head;

	if (node)
		weft_list_remove(list, node);
	return node;
}

/* -- a ring: a list whose head is a node of it, so that removing needs no case distinction --------- */

static inline void weft_ring_init(struct weft_node *head)
{
	head->next = head->prev = head;
}

static inline bool weft_ring_empty(const struct weft_node *head)
{
	return head->next == head;
}

static inline void weft_ring_insert_after(struct weft_node *position, struct weft_node *node)
{
	node->prev = position;
	node->next = position->next;
	position->next->prev = node;
	position->next = node;
}

static inline void weft_ring_remove(struct weft_node *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
}

/* Put all of other's nodes before all of head's; other is empty afterwards. */
static inline void weft_ring_splice_front(struct weft_node *head, struct weft_node *other)
{
	if (weft_ring_empty(other))
		return;
	other->prev->next = head->next;
	head->next->prev = other->prev;
	head->next = other->next;
	other->next->prev = head;
	weft_ring_init(other);
}

#endif
