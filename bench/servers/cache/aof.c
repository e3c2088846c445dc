/* SPDX-License-Identifier: MIT */
/*
 * aof - two buffers take turns: commands fill one while the writer empties the other.
 *
 * The guard of aof->filling is skipped with one worker, but the mutex in it is always taken to
 * wait for progress and to announce it: who waits looks before it is queued, and may be
 * suspended in between.
 */
#include "aof.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "number.h"

enum {
	UNWRITTEN_MAX = 64 << 20, /* more than this, and writers wait */
	BATCH_KEPT = 1 << 20,     /* memory of a buffer that is kept for the next batch */
	LAST_TRIES = 5, /* when the program ends and the file cannot be written */
};

#define RETRY WEFT_MS(100)
#define LOCK_RETRY WEFT_MS(10)
#define LOCK_PATIENCE WEFT_SEC(3)
#define SYNC_EVERY WEFT_SEC(1)

const char *aof_policy_name(enum aof_policy policy)
{
	static const char *const names[] = {"always", "everysec", "no"};

	return names[policy];
}

static int complain(const char *what, int rc)
{
	fprintf(stderr, "cache-server: appendonly.aof: %s: %s\n", what, strerror(-rc));
	return rc;
}

/* A new file is there after a crash only if its folder says so. */
static int sync_folder(const char *dir)
{
	int fd = weft_openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	int rc = fd < 0 ? fd : weft_fsync(fd, 0);

	if (fd >= 0)
		weft_close(fd);
	return rc;
}

/*
 * This program's alone. A program that was just killed may hold the file for a moment still: the
 * kernel ends its writes after it is gone.
 */
static int lock_file(int fd)
{
	weft_ns give_up = weft_now() + LOCK_PATIENCE;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int rc = -errno;

		if (rc != -EWOULDBLOCK || weft_now() >= give_up)
			return complain("another program uses it", rc);
		rc = weft_sleep(LOCK_RETRY);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int aof_open(struct aof *aof, const char *dir, enum aof_policy policy)
{
	char path[4096];
	int rc;

	if ((size_t)snprintf(path, sizeof(path), "%s/appendonly.aof", dir) >=
		sizeof(path))
		return complain("open", -ENAMETOOLONG);
	aof->policy = policy;
	aof->fd = weft_openat(AT_FDCWD, path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (aof->fd < 0)
		return complain("open", aof->fd);
	rc = lock_file(aof->fd);
	if (rc < 0)
		return rc;
	rc = sync_folder(dir);
	return rc < 0 ? complain("sync of the folder", rc) : 0;
}

bool aof_append_request(struct aof *aof, const struct resp_request *request)
{
	struct text *words = malloc(request->argc * sizeof(*words));
	bool ok = words != NULL;

	for (size_t i = 0; ok && i < request->argc; i++)
		words[i] = resp_arg(request, i);
	ok = ok && aof_append(aof, words, request->argc);
	free(words);
	return ok;
}

bool aof_append(struct aof *aof, const struct text *words, size_t n)
{
	size_t most = NUMBER_MAX + 3;
	bool ok, first = false;

	if (!aof->on)
		return true;
	for (size_t i = 0; i < n; i++)
		most += words[i].len + NUMBER_MAX + 5;
	guard_lock(&aof->guard);
	ok = buffer_reserve(&aof->filling, most);
	if (ok) {
		size_t before = aof->filling.len;

		first = before == 0;
		resp_put_array(&aof->filling, n);
		for (size_t i = 0; i < n; i++)
			resp_put_bulk(&aof->filling, words[i]);
		aof->appended += aof->filling.len - before;
	}
	guard_unlock(&aof->guard);
	if (first)
		weft_event_flag_set(&aof->work);
	return ok;
}

uint64_t aof_length(struct aof *aof)
{
	uint64_t length;

	guard_lock(&aof->guard);
	length = aof->appended;
	guard_unlock(&aof->guard);
	return length;
}

static bool is_settled(const struct aof *aof, uint64_t position)
{
	return aof->policy == AOF_ALWAYS ? aof->written >= position
					 : aof->filling.len <= UNWRITTEN_MAX;
}

int aof_settle(struct aof *aof)
{
	struct weft_scope shield;
	uint64_t position;
	bool settled;
	int rc = 0;

	guard_lock(&aof->guard);
	position = aof->appended;
	settled = is_settled(aof, position);
	guard_unlock(&aof->guard);
	if (settled)
		return 0;
	weft_shield_begin(&shield, WEFT_FOREVER);
	weft_mutex_lock(&aof->guard.mutex);
	while (!is_settled(aof, position) && (rc = aof_error(aof)) == 0)
		weft_cond_wait(&aof->progress, &aof->guard.mutex);
	weft_mutex_unlock(&aof->guard.mutex);
	weft_scope_end(&shield);
	return aof->policy == AOF_ALWAYS ? rc : 0;
}

/* Makes known how far the file has come, or why it does not. */
static void announce(struct aof *aof, uint64_t written, int error)
{
	guard_wait(&aof->guard);
	aof->written = written;
	if (!atomic_load(&aof->lost))
		atomic_store(&aof->error, error);
	weft_mutex_unlock(&aof->guard.mutex);
	weft_cond_broadcast(&aof->progress);
}

static int sync_file(struct aof *aof)
{
	int rc = weft_fsync(aof->fd, 1);

	if (rc == 0)
		atomic_fetch_add(&aof->syncs, 1);
	return rc;
}

/* The rest of the batch to its place in the file. *done: bytes that are there. */
static int write_batch(struct aof *aof, const struct buffer *batch, size_t *done)
{
	while (*done < batch->len) {
		ssize_t n = weft_pwrite(aof->fd, batch->data + *done, batch->len - *done,
			(off_t)(aof->written + *done));

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		*done += (size_t)n;
	}
	return 0;
}

/* Writes the batch, and with `always` syncs it, however often it takes. False when the program
 * ends and it still cannot. */
static bool carry_out(struct aof *aof, const struct buffer *batch)
{
	size_t done = 0;

	for (unsigned last = 0;;) {
		int rc = write_batch(aof, batch, &done);

		if (rc == 0 && aof->policy == AOF_ALWAYS) {
			rc = sync_file(aof);
			if (rc < 0)
				done = 0;
		}
		if (rc == 0)
			break;
		if (aof_error(aof) == 0)
			complain("writes are refused", rc);
		announce(aof, aof->written, rc);
		if (atomic_load(&aof->stopping) && ++last > LAST_TRIES)
			return false;
		weft_sleep(RETRY);
	}
	if (aof_error(aof) && !atomic_load(&aof->lost))
		fprintf(stderr, "cache-server: appendonly.aof: written again\n");
	announce(aof, aof->written + batch->len, 0);
	return true;
}

/* What has gathered becomes the batch, whose memory is filled next. */
static void take(struct aof *aof, struct buffer *batch)
{
	struct buffer empty = *batch;

	empty.len = 0;
	if (empty.room > BATCH_KEPT)
		buffer_finish(&empty);
	guard_lock(&aof->guard);
	*batch = aof->filling;
	aof->filling = empty;
	guard_unlock(&aof->guard);
}

static int write_task(void *arg)
{
	struct aof *aof = arg;
	struct weft_scope shield;
	struct buffer batch = {0};
	bool ok = true;

	weft_shield_begin(&shield, WEFT_FOREVER); /* aof_stop says when it ends */
	while (ok) {
		bool stopping = atomic_load(&aof->stopping);

		weft_event_flag_clear(&aof->work);
		take(aof, &batch);
		if (batch.len == 0 && stopping)
			break;
		if (batch.len == 0) {
			weft_event_flag_wait(&aof->work);
			continue;
		}
		ok = carry_out(aof, &batch);
		weft_event_flag_set(&aof->dirty);
	}
	buffer_finish(&batch);
	weft_scope_end(&shield);
	return ok ? 0 : -EIO;
}

static int sync_task(void *arg)
{
	struct aof *aof = arg;

	for (;;) {
		int rc = weft_event_flag_wait(&aof->dirty);

		if (rc == 0)
			rc = weft_sleep(SYNC_EVERY);
		if (rc < 0)
			return 0; /* aof_stop syncs the rest */
		weft_event_flag_clear(&aof->dirty);
		rc = sync_file(aof);
		if (rc == 0 || rc == -ECANCELED)
			continue;
		complain("sync failed, writes are refused until a restart", rc);
		guard_wait(&aof->guard);
		atomic_store(&aof->lost, true);
		atomic_store(&aof->error, rc);
		weft_mutex_unlock(&aof->guard.mutex);
	}
}

int aof_start(struct aof *aof, uint64_t length)
{
	if (ftruncate(aof->fd, (off_t)length) < 0)
		return complain("truncate", -errno);
	aof->appended = aof->written = length;
	aof->writer = weft_create_task(write_task, aof);
	if (aof->policy == AOF_EVERYSEC)
		aof->syncer = weft_create_task(sync_task, aof);
	aof->on = true;
	return 0;
}

int aof_stop(struct aof *aof)
{
	int rc = 0, synced;

	if (!aof->on)
		return 0;
	atomic_store(&aof->stopping, true);
	weft_event_flag_set(&aof->work);
	if (aof->syncer) {
		weft_cancel(aof->syncer);
		weft_join(aof->syncer);
	}
	rc = weft_join(aof->writer);
	if (rc < 0)
		complain("the last changes could not be written", rc);
	synced = weft_fsync(aof->fd, 0);
	if (synced < 0)
		complain("sync", synced);
	weft_close(aof->fd);
	buffer_finish(&aof->filling);
	if (rc == 0 && atomic_load(&aof->lost))
		rc = -EIO;
	return rc < 0 ? rc : synced;
}
