/* SPDX-License-Identifier: MIT */
/*
 * walk - from a path to a place in the tree, as the kernel would walk: name by name, through memory and what
 * is beneath, through "..", and through the symbolic links that are beneath.
 *
 * A link of /proc that leads to something without a name (a pipe, a deleted file) is not followed by its text:
 * the place is the link itself, which the kernel opens.
 */
#include "sim/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKS_MAX = 40 };

struct walk {
	struct weft_sim_tree *tree;
	struct weft_sim_node *at; /* so far, a directory */
	char rest[PATH_MAX];
	unsigned links;
	bool follow;
	struct weft_sim_place *place;
};

/* -- beneath ----------------------------------------------------------------------------------- */

/* False: there can be nothing. */
static bool join(char *path, const char *dir, const char *name)
{
	int n = snprintf(path, PATH_MAX, "%s/%s", dir[1] ? dir : "", name);

	return n < PATH_MAX;
}

/* 0: about is filled in, or st_mode is 0 as nothing is there. */
static int look_at(const char *path, struct stat *about)
{
	if (lstat(path, about) == 0)
		return 0;
	about->st_mode = 0;
	return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
}

bool weft_sim_shows_beneath(const struct weft_sim_node *dir, const char *name)
{
	char path[PATH_MAX];
	struct stat about;

	return dir->real && join(path, dir->real, name) && lstat(path, &about) == 0;
}

/* A directory that only shows what is beneath is forgotten when that has gone. */
static bool still_there(const struct weft_sim_node *node)
{
	struct stat about;

	if (node->touched || !node->shown)
		return true;
	return lstat(node->real, &about) == 0 && S_ISDIR(about.st_mode) &&
	       about.st_dev == node->dev && about.st_ino == node->ino;
}

static struct weft_sim_node *show_directory(struct weft_sim_tree *tree,
	struct weft_sim_node *dir, const char *name, const char *real,
	const struct stat *about)
{
	struct weft_sim_node *node =
		weft_sim_node_new(tree, WEFT_SIM_DIRECTORY, name, real);

	if (!node)
		return NULL;
	node->shown = true;
	weft_sim_node_identify(tree, node, about->st_dev, about->st_ino);
	weft_sim_node_enter(tree, dir, node);
	return node;
}

static int look_beneath(struct weft_sim_tree *tree, struct weft_sim_node *dir,
	const char *name, struct weft_sim_place *place)
{
	struct stat about;
	int rc;

	if (!dir->real || !join(place->real, dir->real, name))
		return 0;
	rc = look_at(place->real, &about);
	if (rc < 0)
		return rc;
	place->mode = about.st_mode;
	if (!S_ISDIR(about.st_mode))
		return 0;
	place->node = show_directory(tree, dir, name, place->real, &about);
	return place->node ? 0 : -ENOMEM;
}

/* -- one name ---------------------------------------------------------------------------------- */

static int look_in_memory(struct weft_sim_node *node, struct weft_sim_place *place)
{
	struct stat about;
	int rc = 0;

	place->node = node;
	switch (node->kind) {
	case WEFT_SIM_FILE:
		rc = fstat(node->memfd, &about) < 0 ? -errno : 0;
		break;
	case WEFT_SIM_DIRECTORY:
		about.st_mode = S_IFDIR | node->mode;
		break;
	case WEFT_SIM_MOVED:
		snprintf(place->real, sizeof(place->real), "%s", node->real);
		rc = look_at(node->real, &about);
		break;
	case WEFT_SIM_GONE:
		place->node = NULL;
		about.st_mode = 0;
		break;
	}
	place->mode = about.st_mode;
	return rc;
}

/* What is there under that name: fills in node, mode and real. */
static int look(struct weft_sim_tree *tree, struct weft_sim_node *dir, const char *name,
	struct weft_sim_place *place)
{
	struct weft_sim_node *node = weft_sim_node_find(tree, dir, name);

	place->node = NULL;
	place->mode = 0;
	place->real[0] = '\0';
	if (node && !still_there(node)) {
		weft_sim_node_unlink(tree, node);
		node = NULL;
	}
	return node ? look_in_memory(node, place) : look_beneath(tree, dir, name, place);
}

/* -- the way ----------------------------------------------------------------------------------- */

/* Takes the next name off what is left: its length, 0 at the end, -ENAMETOOLONG. */
static int next_name(struct walk *walk, char *name)
{
	char *from = walk->rest;
	size_t n;

	while (*from == '/')
		from++;
	n = strcspn(from, "/");
	if (n > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, from, n);
	name[n] = '\0';
	memmove(walk->rest, from + n, strlen(from + n) + 1);
	return (int)n;
}

static bool is_last(const struct walk *walk)
{
	return walk->rest[strspn(walk->rest, "/")] == '\0';
}

/* The text of the link, to be gone along; 1: it has to be taken as it is; -errno. */
static int read_link(struct walk *walk, const char *link, char *text)
{
	struct stat about;
	ssize_t n = readlink(link, text, PATH_MAX - 1);
	char path[PATH_MAX];

	if (n < 0)
		return -errno;
	text[n] = '\0';
	if (*text == '/')
		snprintf(path, sizeof(path), "%s", text);
	else if (!walk->at->real || !join(path, walk->at->real, text))
		return 0;
	return stat(path, &about) < 0 && stat(link, &about) == 0 ? 1 : 0;
}

static int follow(struct walk *walk)
{
	char text[PATH_MAX], rest[PATH_MAX];
	struct stat about;
	int rc = read_link(walk, walk->place->real, text);

	if (rc > 0) {
		rc = stat(walk->place->real, &about);
		walk->place->mode = about.st_mode;
		return rc < 0 ? -errno : 1;
	}
	if (rc < 0)
		return rc;
	if (++walk->links > LINKS_MAX)
		return -ELOOP;
	memcpy(rest, walk->rest, sizeof(rest));
	if (snprintf(walk->rest, sizeof(walk->rest), "%s%s", text, rest) >=
		(int)sizeof(walk->rest))
		return -ENAMETOOLONG;
	if (*text == '/')
		walk->at = walk->tree->root;
	return 0;
}

/* The path ends in a directory that we have come to without its name. */
static void end_at_dots(struct walk *walk)
{
	struct weft_sim_place *place = walk->place;
	struct weft_sim_node *at = walk->at;

	place->dir = at->parent ? at->parent : at;
	place->node = at;
	place->mode = S_IFDIR | at->mode;
	place->means_directory = place->is_dots = true;
	place->name[0] = place->real[0] = '\0';
}

/* 1: there; 0: go on; -errno. */
static int step(struct walk *walk)
{
	struct weft_sim_place *place = walk->place;
	int rc = next_name(walk, place->name);
	bool last;

	if (rc <= 0 || strcmp(place->name, ".") == 0 || strcmp(place->name, "..") == 0) {
		if (rc > 1 && walk->at->parent)
			walk->at = walk->at->parent;
		if (rc < 0 || !is_last(walk))
			return rc < 0 ? rc : 0;
		end_at_dots(walk);
		return 1;
	}
	last = is_last(walk);
	place->dir = walk->at;
	place->means_directory = last && walk->rest[0] == '/';
	rc = look(walk->tree, walk->at, place->name, place);
	if (rc < 0)
		return rc;
	if (S_ISLNK(place->mode) && (!last || walk->follow || place->means_directory)) {
		rc = follow(walk);
		if (rc <= 0)
			return rc;
	}
	if (last)
		return 1;
	if (!place->mode)
		return -ENOENT;
	if (!place->node || place->node->kind != WEFT_SIM_DIRECTORY)
		return -ENOTDIR;
	walk->at = place->node;
	return 0;
}

static int go(struct walk *walk)
{
	int rc;

	walk->links = 0;
	walk->place->is_dots = false;
	do {
		rc = step(walk);
	} while (rc == 0); /* ends: each takes a name, or one of so many links */
	return rc < 0 ? rc : 0;
}

/* -- where it begins --------------------------------------------------------------------------- */

static int begin_at_path(struct walk *walk, const char *link)
{
	ssize_t n = readlink(link, walk->rest, sizeof(walk->rest) - 1);
	int rc;

	if (n < 0)
		return -errno;
	walk->rest[n] = '\0';
	walk->at = walk->tree->root;
	rc = go(walk);
	if (rc < 0)
		return rc;
	if (!walk->place->node || walk->place->node->kind != WEFT_SIM_DIRECTORY)
		return walk->place->mode ? -ENOTDIR : -ENOENT;
	walk->at = walk->place->node;
	return 0;
}

static int begin(struct walk *walk, int dirfd)
{
	struct weft_sim_node *node;
	struct stat about;
	char link[64];

	if ((dirfd == AT_FDCWD ? stat(".", &about) : fstat(dirfd, &about)) < 0)
		return -errno;
	node = weft_sim_node_known(walk->tree, about.st_dev, about.st_ino);
	if (node && node->kind == WEFT_SIM_DIRECTORY && still_there(node)) {
		walk->at = node;
		return 0;
	}
	if (!S_ISDIR(about.st_mode))
		return -ENOTDIR;
	if (dirfd == AT_FDCWD)
		return begin_at_path(walk, "/proc/self/cwd");
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
	return begin_at_path(walk, link);
}

int weft_sim_walk(struct weft_sim_tree *tree, int dirfd, const char *path, bool follow,
	struct weft_sim_place *place)
{
	struct walk walk = {.tree = tree, .place = place, .at = tree->root};
	size_t n = strlen(path);
	int rc;

	if (n == 0)
		return -ENOENT;
	if (n >= PATH_MAX)
		return -ENAMETOOLONG;
	rc = *path == '/' ? 0 : begin(&walk, dirfd);
	if (rc < 0)
		return rc;
	memcpy(walk.rest, path, n + 1);
	walk.follow = follow;
	return go(&walk);
}

/* -- emptiness --------------------------------------------------------------------------------- */

static bool is_hidden(
	struct weft_sim_tree *tree, const struct weft_sim_node *dir, const char *name)
{
	const struct weft_sim_node *node = weft_sim_node_find(tree, dir, name);

	return node && node->kind == WEFT_SIM_GONE;
}

int weft_sim_is_empty(struct weft_sim_tree *tree, const struct weft_sim_node *dir)
{
	struct dirent *entry;
	int empty = dir->entries == 0;
	DIR *beneath;

	if (!empty || !dir->real)
		return empty;
	beneath = opendir(dir->real);
	if (!beneath)
		return -errno;
	while (empty && (entry = readdir(beneath))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			empty = is_hidden(tree, dir, entry->d_name);
	}
	closedir(beneath);
	return empty;
}
