/* SPDX-License-Identifier: MIT */
/*
 * rwlock - many readers or one writer, tasks and plain threads alike.
 */
#include "helper.h"

TestSuite(rwlock, .timeout = PATIENCE);

struct book {
	struct weft_rwlock lock;
	int left, right; /* equal, but while somebody writes */
	struct weft_event_flag may_go;
	struct weft_event_flag started;
	int readers;
};

static int read_pages(void *arg)
{
	struct book *book = arg;

	for (int i = 0; i < 200; i++) {
		cr_assert_eq(weft_rwlock_rdlock(&book->lock), 0);
		int left = book->left;
		if (i % 20 == 0)
			weft_yield();
		cr_assert_eq(left, book->right);
		cr_assert_eq(weft_rwlock_unlock(&book->lock), 0);
	}
	return 0;
}

static int write_pages(void *arg)
{
	struct book *book = arg;

	for (int i = 0; i < 100; i++) {
		cr_assert_eq(weft_rwlock_wrlock(&book->lock), 0);
		book->left++;
		if (i % 10 == 0)
			weft_yield();
		book->right++;
		cr_assert_eq(weft_rwlock_unlock(&book->lock), 0);
	}
	return 0;
}

static int read_and_write(void *arg)
{
	struct book book = { .left = 0 };
	struct weft_task *tasks[9];

	(void)arg;
	for (int i = 0; i < 9; i++)
		tasks[i] = weft_create_task(i % 3 ? read_pages : write_pages, &book);
	cr_assert_eq(weft_gather(tasks, 9, NULL, 0), 0);
	cr_assert_eq(book.left, 300);
	cr_assert_eq(book.right, 300);
	weft_release_all(tasks, 9);
	return 0;
}

Test(rwlock, keeps_readers_and_writers_apart)
{
	run_on_1_2_4(read_and_write);
}

static int read_until_told(void *arg)
{
	struct book *book = arg;

	cr_assert_eq(weft_rwlock_rdlock(&book->lock), 0);
	weft_event_flag_set(&book->started);
	weft_event_flag_wait(&book->may_go);
	return weft_rwlock_unlock(&book->lock);
}

static int write_one(void *arg)
{
	struct book *book = arg;
	int rc = weft_rwlock_wrlock(&book->lock);

	if (rc < 0)
		return rc;
	book->left++;
	return weft_rwlock_unlock(&book->lock);
}

/* Its status: what it found on the left page. */
static int read_one(void *arg)
{
	struct book *book = arg;
	int rc = weft_rwlock_rdlock(&book->lock);

	if (rc < 0)
		return rc;
	int left = book->left;
	cr_assert_eq(weft_rwlock_unlock(&book->lock), 0);
	return left;
}

static int queue_up(void *arg)
{
	struct book book = { .left = 0 };

	(void)arg;
	struct weft_task *reader = weft_create_task(read_until_told, &book);
	weft_event_flag_wait(&book.started);
	struct weft_task *writer = weft_create_task(write_one, &book);
	weft_yield();
	struct weft_task *late = weft_create_task(read_one, &book);
	weft_yield();
	cr_assert_eq(weft_status(late), -EINPROGRESS, "it is behind a writer");
	weft_event_flag_set(&book.may_go);
	cr_assert_eq(weft_join(reader), 0);
	cr_assert_eq(weft_join(late), 1, "after the writer");
	cr_assert_eq(weft_join(writer), 0);
	return 0;
}

Test(rwlock, serves_who_came_first)
{
	cr_assert_eq(run_with(1, queue_up, NULL), 0);
}

static int give_up_writing(void *arg)
{
	struct book book = { .left = 5 };

	(void)arg;
	cr_assert_eq(weft_rwlock_rdlock(&book.lock), 0);
	struct weft_task *writer = weft_create_task(write_one, &book);
	weft_yield();
	struct weft_task *reader = weft_create_task(read_one, &book);
	weft_yield();
	weft_cancel(writer);
	cr_assert_eq(weft_join(writer), -ECANCELED);
	cr_assert_eq(weft_join(reader), 5, "let in by the writer that left");
	cr_assert_eq(weft_rwlock_unlock(&book.lock), 0);
	cr_assert_eq(weft_rwlock_wrlock(&book.lock), 0);
	cr_assert_eq(weft_rwlock_unlock(&book.lock), 0);
	return 0;
}

Test(rwlock, lets_readers_in_when_the_writer_before_them_is_cancelled)
{
	cr_assert_eq(run_with(1, give_up_writing, NULL), 0);
}

static int write_in_time(void *arg)
{
	struct weft_scope scope;

	weft_deadline_begin(&scope, WEFT_MS(2));
	int rc = write_one(arg);
	cr_assert_eq(weft_scope_end(&scope), 1);
	return rc;
}

static int own_it(void *arg)
{
	struct book book = { .left = 0 };
	struct weft_rwlock *lock = &book.lock;

	(void)arg;
	cr_assert_eq(weft_rwlock_unlock(lock), -EPERM);
	cr_assert_eq(weft_rwlock_wrlock(lock), 0);
	cr_assert_eq(weft_rwlock_wrlock(lock), -EDEADLK);
	cr_assert_eq(weft_rwlock_rdlock(lock), -EDEADLK);
	cr_assert_eq(weft_join(weft_create_task(write_in_time, &book)), -ETIMEDOUT);
	cr_assert_eq(weft_rwlock_unlock(lock), 0);
	cr_assert_eq(weft_rwlock_rdlock(lock), 0);
	cr_assert_eq(weft_rwlock_wrlock(lock), -EDEADLK, "it would wait for itself");
	cr_assert_eq(weft_rwlock_rdlock(lock), 0, "twice is fine while nobody waits");
	cr_assert_eq(weft_rwlock_unlock(lock), 0);
	cr_assert_eq(weft_rwlock_unlock(lock), 0);
	cr_assert_eq(weft_rwlock_unlock(lock), -EPERM);
	return 0;
}

Test(rwlock, has_owners)
{
	run_on_1_2_4(own_it);
}

static int write_what_my_owner_holds(void *arg)
{
	struct book *book = arg;

	weft_event_flag_wait(&book->started);
	return write_one(book);
}

static int join_under_the_lock(void *arg)
{
	(void)arg;
	for (int writing = 0; writing < 2; writing++) {
		struct book book = { .left = 0 };

		struct weft_task *task = weft_create_task(write_what_my_owner_holds, &book);
		if (writing)
			cr_assert_eq(weft_rwlock_wrlock(&book.lock), 0);
		else
			cr_assert_eq(weft_rwlock_rdlock(&book.lock), 0);
		weft_event_flag_set(&book.started);
		cr_assert_eq(weft_join(task), -EDEADLK, "its owner waits for it");
		cr_assert_eq(weft_rwlock_unlock(&book.lock), 0);
	}
	return 0;
}

Test(rwlock, tells_of_a_circle_of_locks_and_joins)
{
	run_on_1_2_4(join_under_the_lock);
}

static int hold_out_for_writing(void *arg)
{
	struct book *book = arg;
	struct weft_scope scope;

	weft_deadline_begin(&scope, WEFT_MS(20));
	int rc = weft_rwlock_wrlock(&book->lock);
	weft_scope_end(&scope);
	return rc;
}

/* The writer gives up by itself, so who waits behind it is not stuck. */
static int join_a_reader_behind_a_timed_writer(void *arg)
{
	struct book book = { .left = 3 };

	(void)arg;
	cr_assert_eq(weft_rwlock_rdlock(&book.lock), 0);
	struct weft_task *writer = weft_create_task(hold_out_for_writing, &book);
	weft_yield();
	struct weft_task *reader = weft_create_task(read_one, &book);
	cr_assert_eq(weft_join(reader), 3);
	cr_assert_eq(weft_join(writer), -ETIMEDOUT);
	cr_assert_eq(weft_rwlock_unlock(&book.lock), 0);
	return 0;
}

Test(rwlock, takes_no_wait_that_ends_for_a_circle)
{
	cr_assert_eq(run_with(1, join_a_reader_behind_a_timed_writer, NULL), 0);
}
