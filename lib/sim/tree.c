/* SPDX-License-Identifier: MIT */
/*
 * tree - the nodes: made, named, found, forgotten. See tree.h.
 *
 * The tables are for finding only: what is walked over is walked in the order of making.
 */
#include "sim/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_NUMBER = 1000 };

/* -- life -------------------------------------------------------------------------------------- */

static char *copy_of(const char *text)
{
	return text ? strdup(text) : NULL;
}

struct weft_sim_node *weft_sim_node_new(struct weft_sim_tree *tree,
	enum weft_sim_kind kind, const char *name, const char *real)
{
	struct weft_sim_node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->name = copy_of(name);
	node->real = copy_of(real);
	if (!node->name || (real && !node->real)) {
		free(node->name);
		free(node->real);
		free(node);
		return NULL;
	}
	node->kind = kind;
	node->users = 1;
	node->memfd = -1;
	node->number = tree->numbers++;
	weft_list_push_tail(&tree->all, &node->all);
	return node;
}

static struct weft_list *bucket_of_inode(struct weft_sim_tree *tree, dev_t dev, ino_t ino)
{
	return &tree->inodes[(ino ^ dev) % WEFT_SIM_INODE_BUCKETS];
}

static void forget_inode(struct weft_sim_tree *tree, struct weft_sim_node *node)
{
	if (node->identified)
		weft_list_remove(
			bucket_of_inode(tree, node->dev, node->ino), &node->by_inode);
	node->identified = false;
}

static void free_node(struct weft_sim_node *node)
{
	if (node->memfd >= 0)
		close(node->memfd);
	free(node->name);
	free(node->real);
	free(node);
}

void weft_sim_node_unuse(struct weft_sim_tree *tree, struct weft_sim_node *node)
{
	while (node && --node->users == 0) { /* ends: upwards */
		struct weft_sim_node *parent = node->parent;

		forget_inode(tree, node);
		weft_list_remove(&tree->all, &node->all);
		free_node(node);
		node = parent;
	}
}

int weft_sim_tree_init(struct weft_sim_tree *tree)
{
	struct stat about;

	tree->numbers = FIRST_NUMBER;
	tree->root = weft_sim_node_new(tree, WEFT_SIM_DIRECTORY, "", "/");
	if (!tree->root)
		return -ENOMEM;
	tree->root->touched = true; /* it does not go away */
	if (stat("/", &about) == 0)
		weft_sim_node_identify(tree, tree->root, about.st_dev, about.st_ino);
	return 0;
}

void weft_sim_tree_finish(struct weft_sim_tree *tree)
{
	struct weft_node *node;

	while ((node = weft_list_pop_head(&tree->all)))
		free_node(weft_container_of(node, struct weft_sim_node, all));
}

/* -- names ------------------------------------------------------------------------------------- */

static struct weft_list *bucket_of_name(
	struct weft_sim_tree *tree, const struct weft_sim_node *dir, const char *name)
{
	uint64_t hash = UINT64_C(14695981039346656037) ^ dir->number; /* FNV-1a */

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * UINT64_C(1099511628211);
	return &tree->names[hash % WEFT_SIM_NAME_BUCKETS];
}

struct weft_sim_node *weft_sim_node_find(
	struct weft_sim_tree *tree, const struct weft_sim_node *dir, const char *name)
{
	struct weft_node *link = bucket_of_name(tree, dir, name)->head;

	for (; link; link = link->next) {
		struct weft_sim_node *node =
			weft_container_of(link, struct weft_sim_node, by_name);

		if (node->parent == dir && strcmp(node->name, name) == 0)
			return node;
	}
	return NULL;
}

void weft_sim_node_enter(
	struct weft_sim_tree *tree, struct weft_sim_node *dir, struct weft_sim_node *node)
{
	weft_list_push_tail(bucket_of_name(tree, dir, node->name), &node->by_name);
	weft_sim_node_use(dir);
	if (node->parent)
		weft_sim_node_unuse(tree, node->parent);
	node->parent = dir;
	node->named = true;
	if (node->kind != WEFT_SIM_GONE && !node->shown)
		dir->entries++;
}

/* It remembers where it was, and keeps that directory: for its path, and the ".." in it. */
void weft_sim_node_leave(struct weft_sim_tree *tree, struct weft_sim_node *node)
{
	weft_list_remove(bucket_of_name(tree, node->parent, node->name), &node->by_name);
	node->named = false;
	if (node->kind != WEFT_SIM_GONE && !node->shown)
		node->parent->entries--;
	node->shown = false;
}

void weft_sim_node_unlink(struct weft_sim_tree *tree, struct weft_sim_node *node)
{
	weft_sim_node_leave(tree, node);
	if (node->memfd >= 0)
		close(node->memfd);
	node->memfd = -1;
	weft_sim_node_unuse(tree, node);
}

void weft_sim_node_touch(struct weft_sim_node *dir)
{
	for (; dir && !dir->touched; dir = dir->parent)
		dir->touched = true;
}

/* Written from its end. */
void weft_sim_node_path(const struct weft_sim_node *node, char *path, size_t size)
{
	size_t at = size - 1;

	path[at] = '\0';
	for (; node->parent; node = node->parent) {
		size_t n = strlen(node->name);

		if (n + 1 > at)
			break;
		at -= n;
		memcpy(path + at, node->name, n);
		path[--at] = '/';
	}
	if (!path[at] && at > 0)
		path[--at] = '/';
	memmove(path, path + at, size - at);
}

/* -- what is behind descriptors ---------------------------------------------------------------- */

struct weft_sim_node *weft_sim_node_known(
	struct weft_sim_tree *tree, dev_t dev, ino_t ino)
{
	struct weft_node *link = bucket_of_inode(tree, dev, ino)->head;

	for (; link; link = link->next) {
		struct weft_sim_node *node =
			weft_container_of(link, struct weft_sim_node, by_inode);

		if (node->dev == dev && node->ino == ino)
			return node;
	}
	return NULL;
}

/* An inode belongs to who came last: the numbers of those that are gone come again. */
void weft_sim_node_identify(
	struct weft_sim_tree *tree, struct weft_sim_node *node, dev_t dev, ino_t ino)
{
	struct weft_sim_node *before = weft_sim_node_known(tree, dev, ino);

	if (before)
		forget_inode(tree, before);
	forget_inode(tree, node);
	node->dev = dev;
	node->ino = ino;
	node->identified = true;
	weft_list_push_tail(bucket_of_inode(tree, dev, ino), &node->by_inode);
	if (!node->real)
		tree->in_memory = true;
}

struct weft_sim_node *weft_sim_node_behind(struct weft_sim_tree *tree, int fd)
{
	struct weft_sim_node *node;
	struct stat about;

	if (fd < 0 || !tree->in_memory || fstat(fd, &about) < 0)
		return NULL;
	node = weft_sim_node_known(tree, about.st_dev, about.st_ino);
	return node && !node->real ? node : NULL;
}
