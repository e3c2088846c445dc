/* SPDX-License-Identifier: MIT */
/*
 * aof - the append-only file: every change as the command that makes it, in the protocol's own
 * form, so that running the file again gives the same cache. redis-server reads it too.
 *
 * Commands append to memory; one task writes what has gathered, all clients' records at a time
 * (group commit), so a file that is slow makes groups larger, not the queue longer. What policy
 * decides is when the file is synced, and what a reply waits for:
 *
 *   always    after each group; no reply is sent before all that was appended up to then is
 *             on the disk, so no reply tells what a crash can take back
 *   everysec  by another task, a second after the first write since; replies do not wait
 *   no        never; the kernel writes when it likes
 *
 * When the file cannot be written (ENOSPC, EIO), commands that write are refused; the records at
 * hand stay in memory and are tried again. The replies that waited for them become errors: those
 * changes are made, and will be on the file if it can be written again. A failed fsync may have
 * lost pages the kernel has; with `always` the whole group is written again, with the others the
 * pages are known to nobody and writes are refused until the program starts anew.
 */
#ifndef WEFT_BENCH_CACHE_AOF_H
#define WEFT_BENCH_CACHE_AOF_H

#include <stdatomic.h>

#include "guard.h"
#include "resp.h"

enum aof_policy { AOF_ALWAYS, AOF_EVERYSEC, AOF_NO };

/* One per program. */
struct aof {
	/* set before there are others */
	bool on; /* there is a file, and it has been replayed */
	int fd;
	enum aof_policy policy;

	/* the guard's */
	struct guard guard;
	struct buffer filling; /* appended, not taken by the writer yet */
	uint64_t appended;     /* the file's length with all that was appended */
	uint64_t written; /* its length so far; with `always`, what of it is synced */

	struct weft_cond
		progress; /* written or error have changed; goes with guard.mutex */
	struct weft_event_flag work; /* filling holds something, or the end has come */
	struct weft_event_flag
		dirty; /* something was written since the last sync began */
	atomic_int
		error; /* why commands that write are refused, negative errno; 0: they are not */
	atomic_bool stopping;
	atomic_bool lost;    /* a sync failed whose pages nobody has: error stays */
	atomic_ullong syncs; /* how often the file was synced */
	struct weft_task *writer, *syncer;
};

/* [S] Opens or creates DIR/appendonly.aof, for this program alone. Returns 0, or after a line on
 * stderr a negative errno value. */
int aof_open(struct aof *aof, const char *dir, enum aof_policy policy);

/* [S] Begins to append at `length`, behind what was replayed; the rest is cut off. 0 or -errno. */
int aof_start(struct aof *aof, uint64_t length);

/* [S] Writes and syncs all that was appended, then ends the tasks and closes. Nobody appends any
 * more. Returns 0, or -errno, after a line on stderr, when something could not be written. */
int aof_stop(struct aof *aof);

/* Appends one record; false when memory is out. To be called before the change is made, with the
 * guards held under which it is made: the file has changes to a key in their order. */
bool aof_append(struct aof *aof, const struct text *words, size_t n);
bool aof_append_request(struct aof *aof, const struct resp_request *request);

/*
 * [S] To be called before replies are sent: with `always`, waits until the file is synced with
 * all that was appended by now; else only while more is unwritten than memory should hold. A
 * cancel does not end the wait.
 *
 * Returns 0; or with `always` -errno, when the file cannot be written now.
 */
int aof_settle(struct aof *aof);

/* The file's length with all that was appended. */
uint64_t aof_length(struct aof *aof);

static inline int aof_error(struct aof *aof)
{
	return atomic_load(&aof->error);
}

const char *aof_policy_name(enum aof_policy policy);

#endif
