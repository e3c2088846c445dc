/* SPDX-License-Identifier: MIT */
/*
 * misuse - what cannot be meant is answered with a code, and the runtime goes on.
 *
 * NULL and bad sizes are -EINVAL, the wrong thread is -EPERM (test_rules, plain_threads). For
 * calls without a status, doing nothing is the answer.
 */
#include "helper.h"

#include <sys/socket.h>

TestSuite(misuse, .timeout = PATIENCE);

static int tasks_of_nothing(void *arg)
{
	struct weft_attr attr = { .size = sizeof(attr), .stack_size = SIZE_MAX };

	(void)arg;
	cr_assert_eq(weft_join(weft_create_task(NULL, NULL)), -EINVAL);
	cr_assert_eq(weft_go(NULL, NULL), -EINVAL);
	cr_assert_eq(weft_await(NULL), -EINVAL);
	cr_assert_eq(weft_join(NULL), -EINVAL);
	cr_assert_eq(weft_wait_for(NULL, WEFT_FOREVER), -EINVAL);
	cr_assert_eq(weft_status(NULL), -EINVAL);
	cr_assert_eq(weft_cancel(NULL), -EINVAL);
	cr_assert_null(weft_value(NULL));
	cr_assert_null(weft_take_value(NULL));
	cr_assert_null(weft_ref(NULL));
	cr_assert_eq(weft_id(NULL), 0);
	weft_release(NULL);
	weft_release_all(NULL, 0);
	int status = weft_join(weft_create_task_with(succeed, NULL, &attr));
	cr_assert(status == -EINVAL || status == -ENOMEM, "a stack of all memory: %d", status);
	return 0;
}

Test(misuse, of_tasks)
{
	run_on_1_2_4(tasks_of_nothing);
}

static int compose_nothing(void *arg)
{
	struct weft_task *null = NULL, *task = weft_create_task(succeed, NULL);
	struct weft_task *with_null[] = { task, NULL };
	struct weft_as_completed walk;

	(void)arg;
	cr_assert_eq(weft_gather(NULL, 1, NULL, 0), -EINVAL);
	cr_assert_eq(weft_gather(with_null, 2, NULL, 0), -EINVAL);
	cr_assert_eq(weft_gather(&task, 1, NULL, 1u << 31), -EINVAL, "unknown flags");
	cr_assert_eq(weft_wait(NULL, 1, WEFT_ALL_COMPLETED, 0), -EINVAL);
	cr_assert_eq(weft_wait(&null, 1, WEFT_ALL_COMPLETED, 0), -EINVAL);
	cr_assert_eq(weft_wait(&task, 1, 99, 0), -EINVAL);
	cr_assert_eq(weft_race(NULL, 1), -EINVAL);
	cr_assert_eq(weft_race(with_null, 2), -EINVAL);
	cr_assert_eq(weft_race(&task, 0), -EINVAL);
	weft_as_completed_begin(&walk, NULL, 1);
	cr_assert_eq(weft_as_completed_next(&walk, 0), -EINVAL);
	weft_as_completed_end(&walk);
	weft_as_completed_begin(&walk, &null, 1);
	cr_assert_eq(weft_as_completed_next(&walk, 0), -EINVAL);
	weft_as_completed_end(&walk);
	cr_assert_eq(weft_as_completed_next(NULL, 0), -EINVAL);
	cr_assert_eq(weft_parallel_for(1, 1, NULL, NULL), -EINVAL);
	cr_assert_eq(weft_join(task), 0, "it came to no harm");
	return 0;
}

Test(misuse, of_compose_calls)
{
	run_on_1_2_4(compose_nothing);
}

static int group_nothing(void *arg)
{
	struct weft_group group;

	(void)arg;
	weft_group_begin(NULL, 0);
	cr_assert_eq(weft_group_spawn(NULL, succeed, NULL), -EINVAL);
	cr_assert_eq(weft_group_join(NULL), -EINVAL);
	weft_group_cancel(NULL);
	cr_assert_eq(weft_group_errors(NULL, NULL, 0), 0);
	weft_group_begin(&group, 0);
	cr_assert_eq(weft_group_spawn(&group, NULL, NULL), -EINVAL);
	struct weft_task *task = weft_group_create_task(&group, NULL, NULL);
	cr_assert_eq(weft_id(task), 0);
	cr_assert_eq(weft_join(task), -EINVAL);
	/* what never became a member is no failure of the group */
	cr_assert_eq(weft_group_spawn(&group, succeed, NULL), 0);
	cr_assert_eq(weft_group_join(&group), 0);
	return 0;
}

Test(misuse, of_groups)
{
	run_on_1_2_4(group_nothing);
}

static int scope_nothing(void *arg)
{
	struct weft_scope never_begun = { { 0 } };

	(void)arg;
	weft_deadline_begin(NULL, 0);
	weft_deadline_move(NULL, 0);
	weft_shield_begin(NULL, 0);
	cr_assert_eq(weft_scope_end(NULL), -EINVAL);
	cr_assert_eq(weft_scope_end(&never_begun), -EINVAL);
	cr_assert_eq(weft_checkpoint(), 0);
	return 0;
}

Test(misuse, of_scopes)
{
	run_on_1_2_4(scope_nothing);
}

static int sync_nothing(void *arg)
{
	struct weft_mutex mutex = { 0 };
	struct weft_cond cond = { 0 };
	struct weft_chan *chan = weft_chan_create(sizeof(int), 1);
	int item = 0;

	(void)arg;
	cr_assert_eq(weft_mutex_lock(NULL), -EINVAL);
	cr_assert_eq(weft_mutex_trylock(NULL), -EINVAL);
	cr_assert_eq(weft_mutex_unlock(NULL), -EINVAL);
	cr_assert_eq(weft_cond_wait(NULL, &mutex), -EINVAL);
	cr_assert_eq(weft_cond_wait(&cond, NULL), -EINVAL);
	weft_cond_signal(NULL);
	weft_cond_broadcast(NULL);
	weft_sem_init(NULL, 1);
	cr_assert_eq(weft_sem_acquire(NULL, 1), -EINVAL);
	cr_assert_eq(weft_sem_try_acquire(NULL, 1), -EINVAL);
	weft_sem_release(NULL, 1);
	cr_assert_eq(weft_event_flag_wait(NULL), -EINVAL);
	weft_event_flag_set(NULL);
	weft_event_flag_clear(NULL);
	cr_assert_leq(weft_event_flag_is_set(NULL), 0);
	cr_assert_eq(weft_chan_send(NULL, &item), -EINVAL);
	cr_assert_eq(weft_chan_recv(NULL, &item), -EINVAL);
	cr_assert_eq(weft_chan_try_send(NULL, &item), -EINVAL);
	cr_assert_eq(weft_chan_try_recv(NULL, &item), -EINVAL);
	cr_assert_eq(weft_chan_send(chan, NULL), -EINVAL);
	cr_assert_eq(weft_chan_recv(chan, NULL), -EINVAL);
	cr_assert_eq(weft_chan_len(NULL), 0);
	weft_chan_close(NULL);
	weft_chan_destroy(NULL);
	weft_chan_destroy(chan);
	return 0;
}

Test(misuse, of_locks_and_channels)
{
	run_on_1_2_4(sync_nothing);
}

static int io_nothing(void *arg)
{
	char buf[4];

	(void)arg;
	cr_assert_eq(weft_read(-1, buf, 4), -EBADF);
	cr_assert_eq(weft_write(-1, buf, 4), -EBADF);
	cr_assert_eq(weft_pread(-1, buf, 4, 0), -EBADF);
	cr_assert_eq(weft_pwrite(-1, buf, 4, 0), -EBADF);
	cr_assert_eq(weft_recv(12345, buf, 4, 0), -EBADF);
	cr_assert_eq(weft_send(12345, buf, 4, 0), -EBADF);
	cr_assert_eq(weft_read_full(-1, buf, 4), -EBADF);
	cr_assert_eq(weft_write_full(-1, buf, 4, NULL), -EBADF);
	cr_assert_eq(weft_send_full(-1, buf, 4, 0, NULL), -EBADF);
	cr_assert_eq(weft_accept(-1, NULL, NULL, 0), -EBADF);
	cr_assert_eq(weft_shutdown(-1, SHUT_RDWR), -EBADF);
	cr_assert_eq(weft_fsync(-1, 0), -EBADF);
	cr_assert_eq(weft_close(-1), -EBADF);
	cr_assert_eq(weft_close(12345), -EBADF);
	cr_assert_eq(weft_listen(NULL, 1, 0), -EINVAL);
	cr_assert_eq(weft_dial(NULL, 0), -EINVAL);
	cr_assert_eq(weft_dial("127.0.0.1:1", 99), -EINVAL, "flags is 0");
	cr_assert_eq(weft_serve(0, NULL, NULL, 0), -EINVAL);
	return 0;
}

Test(misuse, of_descriptors)
{
	run_on_1_2_4(io_nothing);
}

Test(misuse, of_runtimes)
{
	struct weft_runtime *rt = start_runtime(1);
	struct weft_metrics m = { .size = sizeof(m) };

	cr_assert_eq(weft_run(NULL, NULL, NULL), -EINVAL);
	cr_assert_eq(weft_runtime_create(NULL, NULL), -EINVAL);
	cr_assert_eq(weft_runtime_stop(NULL, 0), -EINVAL);
	weft_runtime_destroy(NULL);
	cr_assert_eq(weft_runtime_post(NULL, succeed, NULL), -EINVAL);
	cr_assert_eq(weft_runtime_post(rt, NULL, NULL), -EINVAL);
	cr_assert_eq(weft_runtime_call(NULL, succeed, NULL, 0), -EINVAL);
	cr_assert_eq(weft_runtime_call(rt, NULL, NULL, 0), -EINVAL);
	cr_assert_eq(weft_runtime_metrics(NULL, &m), -EINVAL);
	cr_assert_eq(weft_runtime_metrics(rt, NULL), -EINVAL);
	cr_assert_eq(weft_runtime_call(rt, succeed, NULL, WEFT_FOREVER), 0, "it goes on");
	weft_runtime_destroy(rt);
}

Test(misuse, on_a_plain_thread)
{
	/* -EINVAL or -EPERM: both are true, either will do, a crash will not */
	cr_assert_lt(weft_join(NULL), 0);
	cr_assert_lt(weft_join(weft_create_task(NULL, NULL)), 0);
	cr_assert_lt(weft_group_join(NULL), 0);
	cr_assert_lt(weft_scope_end(NULL), 0);
	cr_assert_lt(weft_parallel_for(1, 1, NULL, NULL), 0);
	cr_assert_lt(weft_mutex_lock(NULL), 0);
	cr_assert_lt(weft_serve(-1, NULL, NULL, 0), 0);
}

static int stacks_of_odd_sizes(void *arg)
{
	static const size_t sizes[] = { 1, 4097, 20000, 100001, 300000 };

	(void)arg;
	for (int i = 0; i < 5; i++) {
		struct weft_attr attr = { .size = sizeof(attr), .stack_size = sizes[i] };
		/* rounded up to what can work, or refused; never a crash */
		int status = weft_join(weft_create_task_with(succeed, NULL, &attr));
		cr_assert(status == 0 || status == -EINVAL, "%zu bytes: %d", sizes[i], status);
	}
	return 0;
}

Test(misuse, of_stack_sizes)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	run_on_1_2_4(stacks_of_odd_sizes);
	config.workers = 1;
	config.stack_size = 1;
	int status = weft_run(succeed, NULL, &config);
	cr_assert(status == 0 || status == -EINVAL, "%d", status);
	config.stack_size = SIZE_MAX;
	status = weft_run(succeed, NULL, &config);
	cr_assert(status == -EINVAL || status == -ENOMEM, "%d", status);
}
