/* SPDX-License-Identifier: MIT */
/*
 * runtime - start and stop the workers, reach them from outside, and hear their reports.
 */
#include "helper.h"

#include <pthread.h>

TestSuite(runtime, .timeout = PATIENCE);

/* ---- weft_run ---- */

Test(runtime, run_returns_the_status_of_its_main_function)
{
	int seven = 7, failure = -EIO;

	cr_assert_eq(weft_run(return_int, &seven, NULL), 7);
	cr_assert_eq(weft_run(return_int, &failure, NULL), -EIO);
	cr_assert_eq(weft_run(return_int, &seven, NULL), 7, "again and again");
}

static int run_inside(void *arg)
{
	(void)arg;
	return weft_run(succeed, NULL, NULL);
}

Test(runtime, run_is_for_plain_threads)
{
	cr_assert_eq(run_with(1, run_inside, NULL), -EPERM);
}

Test(runtime, run_refuses_a_bad_configuration)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.workers = 1025;
	cr_assert_eq(weft_run(succeed, NULL, &config), -EINVAL);
	config = (struct weft_config)WEFT_CONFIG_INIT;
	config.flags = 1u << 31;
	cr_assert_eq(weft_run(succeed, NULL, &config), -EINVAL);
	config = (struct weft_config)WEFT_CONFIG_INIT;
	config.size = 0;
	cr_assert_eq(weft_run(succeed, NULL, &config), -EINVAL);
	config.size = sizeof(config) + 8;
	cr_assert_eq(weft_run(succeed, NULL, &config), -EINVAL);
	config.size = offsetof(struct weft_config, flags); /* an older program's */
	config.workers = 1;
	cr_assert_eq(weft_run(succeed, NULL, &config), 0);
	cr_assert_eq(weft_run(NULL, NULL, NULL), -EINVAL);
}

/* ---- reports ---- */

struct reports {
	pthread_mutex_t mutex;
	int n[8];
	struct {
		int status;
		char task[32], site[64], text[256];
	} last[8];
};

static void keep_report(const struct weft_report *report, void *user)
{
	struct reports *r = user;

	pthread_mutex_lock(&r->mutex);
	r->n[report->kind]++;
	r->last[report->kind].status = report->status;
	snprintf(r->last[report->kind].task, 32, "%s", report->task ? report->task : "");
	snprintf(r->last[report->kind].site, 64, "%s", report->site ? report->site : "");
	snprintf(r->last[report->kind].text, 256, "%s", report->text ? report->text : "");
	pthread_mutex_unlock(&r->mutex);
}

static struct weft_config reporting(unsigned workers, struct reports *reports)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	memset(reports, 0, sizeof(*reports));
	pthread_mutex_init(&reports->mutex, NULL);
	config.workers = workers;
	config.on_report = keep_report;
	config.user = reports;
	config.stall_report = -1;
	return config;
}

/* Both name the task and the place of its creation. */
static void assert_names(const struct reports *r, int kind, const char *task)
{
	cr_assert_str_eq(r->last[kind].task, task);
	cr_assert_not_null(strstr(r->last[kind].site, "test_runtime.c:"), "'%s'", r->last[kind].site);
	cr_assert_str_not_empty(r->last[kind].text);
	cr_assert_null(strchr(r->last[kind].text, '\n'), "one line");
}

static int ignore_a_failure(void *arg)
{
	(void)arg;
	weft_release(weft_create_task(fail_eio, NULL));
	return weft_sleep(WEFT_MS(1));
}

Test(runtime, reports_a_failure_nobody_looked_at)
{
	for (unsigned workers = 1; workers <= 4; workers *= 2) {
		struct reports r;
		struct weft_config config = reporting(workers, &r);

		cr_assert_eq(weft_run(ignore_a_failure, NULL, &config), 0);
		cr_assert_eq(r.n[WEFT_REPORT_UNOBSERVED], 1);
		cr_assert_eq(r.last[WEFT_REPORT_UNOBSERVED].status, -EIO);
		assert_names(&r, WEFT_REPORT_UNOBSERVED, "fail_eio");
	}
}

static int let_a_failure_go(void *arg)
{
	(void)arg;
	cr_assert_eq(weft_go(fail_eio, NULL), 0);
	return weft_sleep(WEFT_MS(1));
}

Test(runtime, reports_a_detached_failure)
{
	struct reports r;
	struct weft_config config = reporting(2, &r);

	cr_assert_eq(weft_run(let_a_failure_go, NULL, &config), 0);
	cr_assert_eq(r.n[WEFT_REPORT_UNOBSERVED], 1);
	assert_names(&r, WEFT_REPORT_UNOBSERVED, "fail_eio");
}

static int look_at_each_failure(void *arg)
{
	struct weft_group group;
	struct weft_task *tasks[4];

	(void)arg;
	for (int i = 0; i < 4; i++)
		tasks[i] = weft_create_task(fail_eio, NULL);
	weft_await(tasks[0]);
	weft_gather(&tasks[1], 1, NULL, 0);
	weft_race(&tasks[2], 1);
	weft_wait(&tasks[3], 1, WEFT_ALL_COMPLETED, WEFT_FOREVER);
	weft_status(tasks[3]);
	weft_release_all(tasks, 4);
	weft_join(weft_create_task(fail_eio, NULL));
	weft_group_begin(&group, WEFT_GROUP_COLLECT);
	weft_group_spawn(&group, fail_eio, NULL);
	weft_group_join(&group);
	return 0;
}

Test(runtime, reports_no_failure_that_was_looked_at)
{
	for (unsigned workers = 1; workers <= 4; workers *= 2) {
		struct reports r;
		struct weft_config config = reporting(workers, &r);

		cr_assert_eq(weft_run(look_at_each_failure, NULL, &config), 0);
		cr_assert_eq(r.n[WEFT_REPORT_UNOBSERVED], 0, "%s",
			r.last[WEFT_REPORT_UNOBSERVED].text);
	}
}

static int cancel_and_forget(void *arg)
{
	(void)arg;
	struct weft_task *task = weft_create_task(sleep_forever, NULL);
	weft_cancel(task);
	weft_await(task);
	weft_release(task);
	task = weft_create_task(sleep_forever, NULL);
	weft_cancel(task);
	weft_release(task);
	return weft_sleep(WEFT_MS(1));
}

Test(runtime, reports_no_cancelled_task_as_a_failure)
{
	struct reports r;
	struct weft_config config = reporting(2, &r);

	cr_assert_eq(weft_run(cancel_and_forget, NULL, &config), 0);
	cr_assert_eq(r.n[WEFT_REPORT_UNOBSERVED], 0);
}

static struct weft_event_flag left_over_has_ended;

static int be_left_over(void *arg)
{
	(void)arg;
	int status = weft_sleep(WEFT_FOREVER);
	weft_event_flag_set(&left_over_has_ended);
	return status;
}

static int leave_one_over(void *arg)
{
	struct weft_attr attr = { .size = sizeof(attr), .flags = *(unsigned *)arg };

	weft_release(weft_create_task_with(be_left_over, NULL, &attr));
	return weft_sleep(WEFT_MS(1));
}

Test(runtime, cancels_joins_and_reports_what_is_left)
{
	for (unsigned workers = 1; workers <= 4; workers *= 2) {
		struct reports r;
		struct weft_config config = reporting(workers, &r);
		unsigned flags = 0;

		weft_event_flag_clear(&left_over_has_ended);
		cr_assert_eq(weft_run(leave_one_over, &flags, &config), 0);
		cr_assert(weft_event_flag_is_set(&left_over_has_ended), "it was joined");
		cr_assert_eq(r.n[WEFT_REPORT_LEAK], 1);
		assert_names(&r, WEFT_REPORT_LEAK, "be_left_over");
	}
}

Test(runtime, does_not_report_daemons)
{
	struct reports r;
	struct weft_config config = reporting(2, &r);
	unsigned flags = WEFT_DAEMON;

	weft_event_flag_clear(&left_over_has_ended);
	cr_assert_eq(weft_run(leave_one_over, &flags, &config), 0);
	cr_assert(weft_event_flag_is_set(&left_over_has_ended), "it was joined all the same");
	cr_assert_eq(r.n[WEFT_REPORT_LEAK], 0);
}

static int hog_the_worker(void *arg)
{
	weft_ns until = weft_now() + *(weft_ns *)arg;

	while (weft_now() < until)
		; /* ends by the clock */
	return 0;
}

static int let_one_hog(void *arg)
{
	struct weft_task *task = weft_create_task(hog_the_worker, arg);
	weft_yield();
	return weft_join(task);
}

Test(runtime, reports_a_task_that_holds_its_worker)
{
	struct reports r;
	struct weft_config config = reporting(2, &r);
	weft_ns long_time = WEFT_MS(150);

	config.stall_report = WEFT_MS(20);
	cr_assert_eq(weft_run(let_one_hog, &long_time, &config), 0);
	cr_assert_geq(r.n[WEFT_REPORT_STALL], 1);
	assert_names(&r, WEFT_REPORT_STALL, "hog_the_worker");
}

Test(runtime, reports_no_stall_when_told_not_to)
{
	struct reports r;
	struct weft_config config = reporting(2, &r);
	weft_ns long_time = WEFT_MS(50);

	config.stall_report = -1;
	cr_assert_eq(weft_run(let_one_hog, &long_time, &config), 0);
	cr_assert_eq(r.n[WEFT_REPORT_STALL], 0);
}

/* ---- create, post, call, stop, destroy ---- */

Test(runtime, can_be_created_and_destroyed)
{
	struct weft_runtime *rt = NULL;

	weft_runtime_destroy(NULL);
	for (int i = 0; i < 20; i++) {
		struct weft_config config = WEFT_CONFIG_INIT;

		config.workers = 1 + (unsigned)i % 4;
		cr_assert_eq(weft_runtime_create(i ? &config : NULL, &rt), 0);
		cr_assert_not_null(rt);
		weft_runtime_destroy(rt);
	}
}

Test(runtime, that_cannot_be_created_leaves_out_alone)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct weft_runtime *untouched = (struct weft_runtime *)&config, *rt = untouched;

	config.workers = WEFT_WORKERS_MAX + 1;
	cr_assert_eq(weft_runtime_create(&config, &rt), -EINVAL);
	cr_assert_eq(rt, untouched);
	config.workers = 1;
	cr_assert_eq(weft_runtime_create(&config, NULL), -EINVAL);
}

Test(runtime, call_runs_a_task_and_returns_its_status)
{
	struct weft_runtime *rt = start_runtime(2);
	int seven = 7, failure = -EIO;

	cr_assert_eq(weft_runtime_call(rt, return_int, &seven, WEFT_FOREVER), 7);
	cr_assert_eq(weft_runtime_call(rt, return_int, &failure, WEFT_FOREVER), -EIO);
	cr_assert_eq(weft_runtime_call(rt, sleep_forever, NULL, WEFT_MS(5)), -ETIMEDOUT);
	cr_assert_eq(weft_runtime_call(rt, return_int_when_cancelled, &seven, WEFT_MS(5)), 7,
		"a result wins");
	cr_assert_eq(weft_runtime_call(rt, NULL, NULL, WEFT_FOREVER), -EINVAL);
	weft_runtime_destroy(rt);
}

static int call_my_own_runtime(void *arg)
{
	struct weft_runtime *rt = weft_runtime_current();

	(void)arg;
	cr_assert_not_null(rt);
	cr_assert_eq(weft_runtime_call(rt, succeed, NULL, WEFT_FOREVER), -EPERM);
	cr_assert_eq(weft_runtime_stop(rt, 0), -EDEADLK);
	return 0;
}

Test(runtime, call_and_stop_are_not_for_its_own_tasks)
{
	run_on_1_2_4(call_my_own_runtime);
}

static int count(void *arg)
{
	weft_sem_release(arg, 1);
	return 0;
}

struct poster {
	struct weft_runtime *rt;
	struct weft_sem *done;
};

static void *post_from_a_thread(void *arg)
{
	struct poster *p = arg;

	for (int i = 0; i < 200; i++)
		cr_assert_eq(weft_runtime_post(p->rt, count, p->done), 0);
	return NULL;
}

Test(runtime, post_starts_tasks_from_any_thread)
{
	struct weft_runtime *rt = start_runtime(2);
	struct weft_sem done = { 0 };
	struct poster p = { rt, &done };
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, post_from_a_thread, &p);
	cr_assert_eq(weft_sem_acquire(&done, 4 * 200), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	weft_runtime_destroy(rt);
}

static int post_from_a_task(void *arg)
{
	for (int i = 0; i < 50; i++)
		cr_assert_eq(weft_runtime_post(weft_runtime_current(), count, arg), 0);
	return weft_sem_acquire(arg, 50);
}

Test(runtime, post_may_be_called_by_tasks_too)
{
	struct weft_runtime *rt = start_runtime(2);
	static struct weft_sem done;

	cr_assert_eq(weft_runtime_call(rt, post_from_a_task, &done, WEFT_FOREVER), 0);
	weft_runtime_destroy(rt);
}

/* A runtime that sleeps with nothing to do is woken by what comes from outside. */
Test(runtime, is_woken_from_its_sleep)
{
	struct weft_runtime *rt = start_runtime(2);

	for (int i = 0; i < 10; i++) {
		weft_sleep(WEFT_MS(i * 3));
		cr_assert_eq(weft_runtime_call(rt, succeed, NULL, WEFT_FOREVER), 0);
	}
	weft_runtime_destroy(rt);
}

struct late {
	struct weft_runtime *rt;
	struct weft_event_flag started;
	int created, went, posted;
};

static int create_while_it_stops(void *arg)
{
	struct late *late = arg;

	weft_event_flag_set(&late->started);
	weft_sleep(WEFT_FOREVER);
	struct weft_task *task = weft_create_task(succeed, NULL);
	late->created = weft_status(task);
	weft_release(task);
	late->went = weft_go(succeed, NULL);
	late->posted = weft_runtime_post(late->rt, succeed, NULL);
	return 0;
}

Test(runtime, that_stops_takes_no_new_tasks)
{
	struct weft_runtime *rt = start_runtime(2);
	struct late late = { .rt = rt };

	cr_assert_eq(weft_runtime_post(rt, create_while_it_stops, &late), 0);
	weft_event_flag_wait(&late.started);
	cr_assert_eq(weft_runtime_stop(rt, WEFT_FOREVER), 0);
	cr_assert_eq(late.created, -ESHUTDOWN);
	cr_assert_eq(late.went, -ESHUTDOWN);
	cr_assert_eq(late.posted, -ESHUTDOWN);
	cr_assert_eq(weft_runtime_post(rt, succeed, NULL), -ESHUTDOWN);
	cr_assert_eq(weft_runtime_call(rt, succeed, NULL, WEFT_FOREVER), -ESHUTDOWN);
	cr_assert_eq(weft_runtime_stop(rt, 0), 0, "stopping twice is fine");
	weft_runtime_destroy(rt);
}

static int refuse_to_stop(void *arg)
{
	struct weft_event_flag *flags = arg;
	struct weft_scope shield;

	weft_event_flag_set(&flags[0]);
	weft_shield_begin(&shield, WEFT_FOREVER);
	weft_event_flag_wait(&flags[1]);
	weft_scope_end(&shield);
	return 0;
}

Test(runtime, stop_waits_so_long_and_reports_survivors)
{
	struct reports r;
	struct weft_config config = reporting(2, &r);
	struct weft_runtime *rt;
	struct weft_event_flag flags[2] = { 0 };

	cr_assert_eq(weft_runtime_create(&config, &rt), 0);
	cr_assert_eq(weft_runtime_post(rt, refuse_to_stop, flags), 0);
	weft_event_flag_wait(&flags[0]);
	cr_assert_eq(weft_runtime_stop(rt, WEFT_MS(20)), -ETIMEDOUT);
	cr_assert_geq(r.n[WEFT_REPORT_LEAK], 1);
	weft_event_flag_set(&flags[1]);
	cr_assert_eq(weft_runtime_stop(rt, WEFT_FOREVER), 0, "call again to wait longer");
	weft_runtime_destroy(rt);
}

static int keep_busy(void *arg)
{
	struct weft_task *tasks[10];

	(void)arg;
	for (int i = 0; i < 10; i++)
		tasks[i] = weft_create_task(sleep_forever, NULL);
	int status = weft_gather(tasks, 10, NULL, 0);
	weft_release_all(tasks, 10);
	return status;
}

Test(runtime, can_be_stopped_at_any_moment)
{
	for (int i = 0; i < 30; i++) {
		struct reports r;
		struct weft_config config = reporting(1 + (unsigned)i % 4, &r);
		struct weft_runtime *rt;

		cr_assert_eq(weft_runtime_create(&config, &rt), 0);
		for (int k = 0; k < 5; k++)
			cr_assert_eq(weft_runtime_post(rt, keep_busy, NULL), 0);
		if (i % 3 == 0)
			weft_sleep(i * 50000);
		cr_assert_eq(weft_runtime_stop(rt, WEFT_FOREVER), 0);
		weft_runtime_destroy(rt);
	}
}

struct keeper {
	struct weft_task *task;
};

static int keep_a_handle(void *arg)
{
	((struct keeper *)arg)->task = weft_create_task(fail_eio, NULL);
	return weft_await(((struct keeper *)arg)->task);
}

Test(runtime, leaves_handles_of_ended_tasks_valid)
{
	struct weft_runtime *rt = start_runtime(1);
	struct keeper keeper;

	cr_assert_eq(weft_runtime_call(rt, keep_a_handle, &keeper, WEFT_FOREVER), -EIO);
	weft_runtime_destroy(rt);
	cr_assert_eq(weft_status(keeper.task), -EIO);
	cr_assert_str_eq(weft_name(keeper.task), "fail_eio");
	weft_release(keeper.task);
}

/* ---- what it says about itself ---- */

static int look_around(void *arg)
{
	cr_assert_eq(weft_runtime_current(), arg);
	return 0;
}

Test(runtime, is_known_to_its_tasks)
{
	struct weft_runtime *rt = start_runtime(2), *other = start_runtime(1);

	cr_assert_eq(weft_runtime_call(rt, look_around, rt, WEFT_FOREVER), 0);
	cr_assert_eq(weft_runtime_call(other, look_around, other, WEFT_FOREVER), 0);
	cr_assert_null(weft_runtime_current(), "outside a task there is none");
	weft_runtime_destroy(rt);
	weft_runtime_destroy(other);
}

Test(runtime, names_its_backend)
{
	struct weft_runtime *rt = start_runtime(1);
	const char *backend = weft_runtime_backend(rt);

	cr_assert(!strcmp(backend, "io_uring") || !strncmp(backend, "epoll (", 7), "'%s'", backend);
	weft_runtime_destroy(rt);
}

static int fallback_reports;

static void note_report(const struct weft_report *report, void *user)
{
	(void)user;
	fallback_reports += report->kind == WEFT_REPORT_FALLBACK;
}

Test(runtime, may_be_told_its_backend)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct weft_runtime *rt;

	config.workers = 1;
	config.flags = WEFT_REQUIRE_URING;
	int status = weft_runtime_create(&config, &rt);
	if (status == 0) {
		cr_assert_str_eq(weft_runtime_backend(rt), "io_uring");
		weft_runtime_destroy(rt);
	} else {
		cr_assert(status == -EPERM || status == -ENOSYS || status == -ENOMEM ||
			  (status == -EINVAL && getenv("WEFT_BACKEND")));
	}
	config.flags = WEFT_NO_URING;
	cr_assert_eq(weft_runtime_create(&config, &rt), 0);
	cr_assert_str_eq(weft_runtime_backend(rt), "epoll (WEFT_NO_URING)");
	weft_runtime_destroy(rt);
	config.flags = WEFT_NO_URING | WEFT_REQUIRE_URING;
	cr_assert_eq(weft_runtime_create(&config, &rt), -EINVAL);
}

Test(runtime, may_be_told_its_backend_by_the_environment)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct weft_runtime *rt;

	config.workers = 2;
	config.on_report = note_report;
	setenv("WEFT_BACKEND", "epoll", 1);
	cr_assert_eq(weft_runtime_create(&config, &rt), 0);
	cr_assert_str_eq(weft_runtime_backend(rt), "epoll (WEFT_BACKEND=epoll)");
	weft_runtime_destroy(rt);
	cr_assert_eq(fallback_reports, 0, "it is no surprise");
	setenv("WEFT_BACKEND", "kqueue", 1);
	cr_assert_eq(weft_runtime_create(&config, &rt), -EINVAL);
	cr_assert_eq(fallback_reports, 1, "it says why");
}

/* As on a kernel whose rings cannot be used. */
Test(runtime, falls_back_and_says_so)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct weft_runtime *rt;

	config.workers = 2;
	config.on_report = note_report;
	unsetenv("WEFT_BACKEND");
	setenv("WEFT_URING_WITHOUT", "fast_poll", 1);
	cr_assert_eq(weft_runtime_create(&config, &rt), 0);
	if (!strncmp(weft_runtime_backend(rt), "epoll (io_uring_setup: ", 23))
		cr_skip_test("no io_uring here: %s", weft_runtime_backend(rt));
	cr_assert_str_eq(weft_runtime_backend(rt), "epoll (io_uring: the kernel lacks fast_poll)");
	cr_assert_eq(fallback_reports, 1);
	cr_assert_eq(weft_runtime_call(rt, succeed, NULL, WEFT_FOREVER), 0);
	weft_runtime_destroy(rt);
	config.flags = WEFT_REQUIRE_URING;
	cr_assert_eq(weft_runtime_create(&config, &rt), -EOPNOTSUPP);
	cr_assert_eq(fallback_reports, 2);
}

/* As when the memory for rings ends with the third worker's. */
Test(runtime, falls_back_with_all_its_workers)
{
	struct weft_config config = WEFT_CONFIG_INIT;
	struct weft_runtime *rt;

	config.workers = 4;
	config.on_report = note_report;
	unsetenv("WEFT_BACKEND");
	setenv("WEFT_URING_WITHOUT", "rings:3", 1);
	cr_assert_eq(weft_runtime_create(&config, &rt), 0);
	cr_assert_eq(strncmp(weft_runtime_backend(rt), "epoll (io_uring_setup: E", 24), 0, "%s",
		weft_runtime_backend(rt));
	cr_assert_eq(fallback_reports, 1);
	for (int i = 0; i < 100; i++)
		cr_assert_eq(weft_runtime_call(rt, succeed, NULL, WEFT_FOREVER), 0);
	weft_runtime_destroy(rt);
	config.flags = WEFT_REQUIRE_URING;
	cr_assert_lt(weft_runtime_create(&config, &rt), 0);
	cr_assert_eq(fallback_reports, 2);
}

static int count_tasks(void *arg)
{
	struct weft_metrics m = { .size = sizeof(m) };
	struct weft_task *tasks[12];

	(void)arg;
	for (int i = 0; i < 12; i++)
		tasks[i] = weft_create_task(i < 8 ? succeed : i < 10 ? fail_eio : sleep_forever, NULL);
	for (int i = 0; i < 10; i++)
		weft_join(tasks[i]);
	weft_yield();
	cr_assert_eq(weft_runtime_metrics(weft_runtime_current(), &m), 0);
	cr_assert_eq(m.size, sizeof(m));
	cr_assert_eq(m.created, 13, "and the main task");
	cr_assert_eq(m.live, 3);
	weft_cancel(tasks[10]);
	weft_cancel(tasks[11]);
	weft_join(tasks[10]);
	weft_join(tasks[11]);
	cr_assert_eq(weft_runtime_metrics(weft_runtime_current(), &m), 0);
	cr_assert_eq(m.done, 12);
	cr_assert_eq(m.cancelled, 2);
	/* whether a cancelled task counts as failed too is not said: both readings pass */
	cr_assert(m.failed == 2 || m.failed == 4);
	cr_assert_eq(m.live, 1);
	return 0;
}

Test(runtime, counts)
{
	cr_assert_eq(run_with(1, count_tasks, NULL), 0);
}

Test(runtime, fills_as_many_counters_as_are_asked_for)
{
	struct weft_runtime *rt = start_runtime(1);
	struct weft_metrics m;

	cr_assert_eq(weft_runtime_call(rt, succeed, NULL, WEFT_FOREVER), 0);
	memset(&m, 0x55, sizeof(m));
	m.size = offsetof(struct weft_metrics, done);
	cr_assert_eq(weft_runtime_metrics(rt, &m), 0);
	cr_assert_eq(m.created, 1);
	cr_assert_eq(m.done, 0x5555555555555555u, "an older program's struct ends here");
	m.size = 0;
	cr_assert_eq(weft_runtime_metrics(rt, &m), -EINVAL);
	m.size = sizeof(m) + 8;
	cr_assert_eq(weft_runtime_metrics(rt, &m), -EINVAL);
	weft_runtime_destroy(rt);
}

Test(runtime, knows_its_version)
{
	cr_assert_str_eq(weft_version(), WEFT_VERSION);
}

static int hold_a_stack(void *arg)
{
	return weft_event_flag_wait(arg);
}

static int want_many_stacks(void *arg)
{
	struct weft_event_flag go = { 0 };
	struct weft_task *tasks[50];

	(void)arg;
	for (int i = 0; i < 50; i++)
		tasks[i] = weft_create_task(hold_a_stack, &go);
	weft_sleep(WEFT_MS(2));
	weft_event_flag_set(&go);
	for (int i = 0; i < 50; i++)
		cr_assert_eq(weft_join(tasks[i]), 0);
	return 0;
}

Test(runtime, out_of_stacks_lets_new_tasks_wait_to_start)
{
	struct reports r;
	struct weft_config config = reporting(2, &r);

	config.stacks_max = 8;
	cr_assert_eq(weft_run(want_many_stacks, NULL, &config), 0);
	cr_assert_geq(r.n[WEFT_REPORT_STACKS], 1, "and says so");
}

static int pin(void *arg)
{
	return arg ? 0 : weft_sleep(WEFT_MS(1));
}

Test(runtime, can_pin_its_workers)
{
	struct weft_config config = WEFT_CONFIG_INIT;

	config.workers = 2;
	config.flags = WEFT_PIN_WORKERS | WEFT_STAY_ALL;
	cr_assert_eq(weft_run(pin, NULL, &config), 0);
}
