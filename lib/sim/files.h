/* SPDX-License-Identifier: MIT */
/*
 * files - what the files of the simulated file system share: its state, and the calls of which files.c makes
 * operations. Each of them answers at once; files.c says when it is asked.
 */
#ifndef WEFT_LIB_SIM_FILES_H
#define WEFT_LIB_SIM_FILES_H

#include "sim/io.h"
#include "sim/tree.h"

struct weft_sim_files {
	struct weft_simulation *sim;
	struct weft_sim_tree tree;
	struct weft_list waiting; /* operations that take a while, files.c */
};

/* -- files_data.c: memfds ---------------------------------------------------------------------- */

/* A new file in memory that no name leads to; NULL: *rc says why. The caller is its user. */
struct weft_sim_node *weft_sim_file_new(
	struct weft_sim_files *files, const char *name, int *rc);
/* The place of something real becomes a file in memory with what is in it; place->node. 0 or -errno. */
int weft_sim_file_copy_up(struct weft_sim_files *files, struct weft_sim_place *place);
/* Give the directory, with nothing beneath, something to be opened. */
int weft_sim_file_back(struct weft_sim_files *files, struct weft_sim_node *dir);
/* A descriptor of what is behind the memfd: its own position and flags. */
int64_t weft_sim_file_open(struct weft_sim_node *node, int flags);

/* READ, WRITE, READV, WRITEV; FALLOCATE. */
int64_t weft_sim_file_transfer(struct weft_sim_files *files, struct weft_sim_node *node,
	const struct weft_op *op);
int64_t weft_sim_file_allocate(struct weft_sim_files *files, struct weft_sim_node *node,
	const struct weft_op *op);

/* Descriptors of files in memory that are still open: tell, and close them. */
void weft_sim_files_close_left_open(struct weft_sim_files *files);

/* -- files_names.c, files_open.c --------------------------------------------------------------- */

int64_t weft_sim_names_open(struct weft_sim_files *files, const struct weft_op *op);
int64_t weft_sim_names_make_directory(
	struct weft_sim_files *files, const struct weft_op *op);
int64_t weft_sim_names_unlink(struct weft_sim_files *files, const struct weft_op *op);
int64_t weft_sim_names_rename(struct weft_sim_files *files, const struct weft_op *op);
int64_t weft_sim_names_stat(struct weft_sim_files *files, const struct weft_op *op);

/* Whether names may be made and removed in that directory: 0 or -errno. */
int weft_sim_names_may_change(const struct weft_sim_node *dir);
/* Give the node its name in the directory, whatever was noted there. */
void weft_sim_names_put(struct weft_sim_files *files, struct weft_sim_node *dir,
	struct weft_sim_node *node);
/* The rights of what is made, as the process's mask leaves them. */
mode_t weft_sim_names_rights(mode_t mode);

static inline const char *weft_sim_names_path(uint64_t addr)
{
	return (const char *)(uintptr_t)addr;
}

#endif
