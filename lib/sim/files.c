/* SPDX-License-Identifier: MIT */
/*
 * files - the simulated file system: the calls of weft on names, and on the files in memory behind them.
 *
 * The real tree is seen and never changed: see tree.h. Files that are only read are opened for real; a file
 * is in memory once it is opened to be written. The program's own system calls work on descriptors of it
 * (read(2), lseek(2), mmap(2), ftruncate(2)), but know nothing of names in memory: open(2), stat(2) and
 * readdir(3) see the real tree.
 *
 * What differs from a disk: all that is written is there at once, for everybody, so what a crash would lose
 * is not simulated; O_DIRECT is ignored; who has opened a real file before it was first written goes on to
 * see the old content; opening a named pipe does not wait for its other end.
 */
#include "sim/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/optable.h"

/* An operation whose moment has not come. */
struct waiting {
	struct weft_node node;
	struct weft_sim_event event;
	struct weft_sim_files *files;
	struct weft_op *op;
};

/* -- life -------------------------------------------------------------------------------------- */

static int open_files(struct weft_simulation *sim, void **state)
{
	struct weft_sim_files *files = calloc(1, sizeof(*files));

	if (!files)
		return -ENOMEM;
	files->sim = sim;
	if (weft_sim_tree_init(&files->tree) < 0) {
		free(files);
		return -ENOMEM;
	}
	*state = files;
	return 0;
}

static void close_files(struct weft_simulation *sim, void *state)
{
	struct weft_sim_files *files = state;
	int before = errno;

	(void)sim;
	weft_sim_files_close_left_open(files);
	weft_sim_tree_finish(&files->tree);
	free(files);
	errno = before;
}

/* weft_openat's use of it ends. */
static void closing(struct weft_simulation *sim, void *state, int fd)
{
	struct weft_sim_files *files = state;
	int before = errno;
	struct weft_sim_node *node = weft_sim_node_behind(&files->tree, fd);

	(void)sim;
	if (node && node->opens > 0) {
		node->opens--;
		weft_sim_node_unuse(&files->tree, node);
	}
	errno = before;
}

/* -- operations -------------------------------------------------------------------------------- */

static bool takes(struct weft_simulation *sim, void *state, const struct weft_op *op)
{
	struct weft_sim_files *files = state;
	int before = errno;
	bool ours;

	(void)sim;
	switch (op->code) {
	case IORING_OP_OPENAT:
	case IORING_OP_STATX:
	case IORING_OP_UNLINKAT:
	case IORING_OP_RENAMEAT:
	case IORING_OP_MKDIRAT:
		return true;
	case IORING_OP_READ:
	case IORING_OP_WRITE:
	case IORING_OP_READV:
	case IORING_OP_WRITEV:
	case IORING_OP_FSYNC:
	case IORING_OP_FALLOCATE:
	case IORING_OP_FADVISE:
		ours = weft_sim_node_behind(&files->tree, op->fd);
		errno = before;
		return ours;
	default:
		return false;
	}
}

static int64_t perform_on_descriptor(
	struct weft_sim_files *files, const struct weft_op *op)
{
	struct weft_sim_node *node = weft_sim_node_behind(&files->tree, op->fd);

	if (!node) /* closed meanwhile, and got again for something else */
		return -EBADF;
	switch (op->code) {
	case IORING_OP_FSYNC:
	case IORING_OP_FADVISE:
		return 0;
	case IORING_OP_FALLOCATE:
		return weft_sim_file_allocate(files, node, op);
	default:
		return weft_sim_file_transfer(files, node, op);
	}
}

static int64_t perform(struct weft_sim_files *files, const struct weft_op *op)
{
	switch (op->code) {
	case IORING_OP_OPENAT:
		return weft_sim_names_open(files, op);
	case IORING_OP_STATX:
		return weft_sim_names_stat(files, op);
	case IORING_OP_UNLINKAT:
		return weft_sim_names_unlink(files, op);
	case IORING_OP_RENAMEAT:
		return weft_sim_names_rename(files, op);
	case IORING_OP_MKDIRAT:
		return weft_sim_names_make_directory(files, op);
	default:
		return perform_on_descriptor(files, op);
	}
}

static void carry_out(struct weft_sim_files *files, struct weft_op *op)
{
	int before = errno;
	int64_t result = perform(files, op);

	errno = before;
	weft_sim_complete(files->sim, op, result);
}

static void end(struct weft_sim_files *files, struct waiting *waiting)
{
	weft_list_remove(&files->waiting, &waiting->node);
	free(waiting);
}

static void moment_has_come(struct weft_simulation *sim, struct weft_sim_event *event)
{
	struct waiting *waiting = weft_container_of(event, struct waiting, event);
	struct weft_op *op = waiting->op;
	struct weft_sim_files *files = waiting->files;

	(void)sim;
	end(files, waiting);
	carry_out(files, op);
}

static int submit(struct weft_simulation *sim, void *state, struct weft_op *op)
{
	struct weft_sim_files *files = state;
	weft_ns duration = weft_sim_latency(sim);
	struct waiting *waiting;

	if (duration == 0) {
		carry_out(files, op);
		return 0;
	}
	waiting = calloc(1, sizeof(*waiting));
	if (!waiting)
		return -ENOMEM;
	waiting->files = files;
	waiting->op = op;
	waiting->event.fire = moment_has_come;
	weft_list_push_tail(&files->waiting, &waiting->node);
	weft_sim_at(sim, &waiting->event, sim->now + duration);
	return 0;
}

/* All that match: op, or, where that is NULL, those of fd. */
static void cancel_some(struct weft_sim_files *files, const struct weft_op *op, int fd)
{
	struct weft_node *node = files->waiting.head, *next;

	for (; node; node = next) {
		struct waiting *waiting = weft_container_of(node, struct waiting, node);
		struct weft_op *its = waiting->op;

		next = node->next;
		if (op ? its != op : its->fd != fd)
			continue;
		weft_sim_forget(files->sim, &waiting->event);
		end(files, waiting);
		weft_sim_complete(files->sim, its, -ECANCELED);
	}
}

static void cancel(struct weft_simulation *sim, void *state, struct weft_op *op)
{
	(void)sim;
	cancel_some(state, op, -1);
}

static void cancel_fd(struct weft_simulation *sim, void *state, int fd)
{
	(void)sim;
	cancel_some(state, NULL, fd);
}

const struct weft_sim_device weft_sim_files = {
	.name = "files",
	.open = open_files,
	.close = close_files,
	.takes = takes,
	.submit = submit,
	.cancel = cancel,
	.cancel_fd = cancel_fd,
	.closing = closing,
};
