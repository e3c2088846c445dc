/* SPDX-License-Identifier: MIT */
/*
 * tree - names and files in memory, laid over the real tree, which is never changed.
 *
 * A directory in memory may have a real one beneath it: names that memory does not know are looked up there.
 * What was there and is removed is noted as gone. A real file that is moved is noted under its new name; one
 * that is written is copied first. So memory holds what the program has changed, and the directories on the
 * way there.
 *
 * Each file is a memfd. A descriptor is known by what is behind it (device and inode), so copies of it, and
 * numbers that were closed and got again behind our back, are told apart.
 *
 * Life:  a node is there while a name leads to it, a node lies in it, or a descriptor of it is open that
 *        weft_openat has opened and weft_close has not closed.
 * Who:   files.c and its fellows; walk.c finds places in it.
 */
#ifndef WEFT_LIB_SIM_TREE_H
#define WEFT_LIB_SIM_TREE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <weft/base.h>

#include "base/list.h"

enum weft_sim_kind {
	WEFT_SIM_FILE,      /* in memory */
	WEFT_SIM_DIRECTORY, /* in memory, perhaps with a real one beneath it */
	WEFT_SIM_MOVED,     /* something real, no directory, under another name */
	WEFT_SIM_GONE,      /* nothing, whatever is beneath */
};

struct weft_sim_node {
	struct weft_node all;      /* the tree's */
	struct weft_node by_name;  /* while a name leads to it */
	struct weft_node by_inode; /* once it is identified */
	struct weft_sim_node *parent;
	char *name,
		*real; /* real: the path of what is beneath, or was moved; NULL: nothing */
	enum weft_sim_kind kind;
	bool named, identified;
	bool shown; /* a directory that is where the real one is */
	bool touched; /* a directory in which, or below which, memory differs from what is beneath */
	unsigned users;   /* the name, what lies in it, opens */
	unsigned opens;   /* descriptors of weft_openat that weft_close has not closed */
	unsigned entries; /* what lies in it that is neither gone nor shown */
	int memfd; /* -1: none; of a directory: once it was opened, if nothing is beneath it */
	dev_t dev;
	ino_t ino;
	uint64_t number; /* the inode number that programs see */
	mode_t mode;     /* of a directory; a file's is its memfd's */
	weft_ns born, modified, changed;
};

enum { WEFT_SIM_NAME_BUCKETS = 1024, WEFT_SIM_INODE_BUCKETS = 256 };

struct weft_sim_tree {
	struct weft_sim_node *root;
	struct weft_list all; /* in the order in which they were made */
	struct weft_list names[WEFT_SIM_NAME_BUCKETS];
	struct weft_list inodes[WEFT_SIM_INODE_BUCKETS];
	uint64_t numbers;
	bool in_memory; /* some identified node is: else no descriptor leads to one */
};

/* 0 or -ENOMEM. */
int weft_sim_tree_init(struct weft_sim_tree *tree);
/* Frees all nodes, and closes their memfds. */
void weft_sim_tree_finish(struct weft_sim_tree *tree);

/* A node that no name leads to; the caller is its user. NULL: out of memory. real may be NULL. */
struct weft_sim_node *weft_sim_node_new(struct weft_sim_tree *tree,
	enum weft_sim_kind kind, const char *name, const char *real);
static inline void weft_sim_node_use(struct weft_sim_node *node)
{
	node->users++;
}
void weft_sim_node_unuse(struct weft_sim_tree *tree, struct weft_sim_node *node);

/* Its name leads to it in that directory, where the name was free. The caller's use becomes the name's. */
void weft_sim_node_enter(struct weft_sim_tree *tree, struct weft_sim_node *dir,
	struct weft_sim_node *node);
/* No name leads to it any more; the name's use becomes the caller's. */
void weft_sim_node_leave(struct weft_sim_tree *tree, struct weft_sim_node *node);
/* The same for good: a file lives on behind its open descriptors alone. */
void weft_sim_node_unlink(struct weft_sim_tree *tree, struct weft_sim_node *node);
/* Memory differs from what is beneath in that directory from now on. */
void weft_sim_node_touch(struct weft_sim_node *dir);

/* What the name leads to in memory, gone or not; NULL: memory does not know. */
struct weft_sim_node *weft_sim_node_find(
	struct weft_sim_tree *tree, const struct weft_sim_node *dir, const char *name);

/* Descriptors with that behind them are the node's. */
void weft_sim_node_identify(
	struct weft_sim_tree *tree, struct weft_sim_node *node, dev_t dev, ino_t ino);
struct weft_sim_node *weft_sim_node_known(
	struct weft_sim_tree *tree, dev_t dev, ino_t ino);
/* What is in memory behind a descriptor: a file, or a directory with nothing beneath; NULL: none of ours. */
struct weft_sim_node *weft_sim_node_behind(struct weft_sim_tree *tree, int fd);

/* The path that leads to it, or led. */
void weft_sim_node_path(const struct weft_sim_node *node, char *path, size_t size);

/* -- places (walk.c) --------------------------------------------------------------------------- */

/* Where a path leads. */
struct weft_sim_place {
	struct weft_sim_node *dir; /* the directory that the last name is in */
	struct weft_sim_node *
		node; /* what memory has there; NULL: nothing, or what is there is real */
	mode_t mode;  /* the kind and rights of what is there; 0: nothing is */
	bool means_directory; /* the path ends in a slash or in dots */
	bool is_dots; /* it ends in "." or "..", or is "/": no name to be taken away */
	char name[NAME_MAX + 1];
	char real
		[PATH_MAX]; /* the path of what is there, if that is real and no directory of ours */
};

/* 0 or -errno; that nothing is there is no error. follow: a symbolic link at the end too. */
int weft_sim_walk(struct weft_sim_tree *tree, int dirfd, const char *path, bool follow,
	struct weft_sim_place *place);

/* Whether there is something real beneath that name. */
bool weft_sim_shows_beneath(const struct weft_sim_node *dir, const char *name);
/* Whether nothing is in the directory: 1, 0, -errno. */
int weft_sim_is_empty(struct weft_sim_tree *tree, const struct weft_sim_node *dir);

#endif
