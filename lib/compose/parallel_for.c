/* SPDX-License-Identifier: MIT */
/*
 * parallel_for - a range halved until it is small enough; the upper halves are tasks that idle
 * workers steal, the lower ones run here. Largest pieces are stolen first.
 */
#include <weft/compose.h>
#include <weft/task.h>

#include <errno.h>

#include "sched/task.h"
#include "sched/wait.h"

enum { PIECES_PER_WORKER = 8 };

struct loop {
	void (*body)(size_t begin, size_t end, void *arg);
	void *arg;
	size_t grain;
	_Atomic(uint32_t) left_out; /* some range was not begun */
};

struct range {
	struct loop *loop;
	size_t begin, end;
};

static int run_range(void *arg);

static void run(struct loop *loop, size_t begin, size_t end)
{
	struct range upper;
	struct weft_task *task;

	if (weft_pending()) {
		weft_store_relaxed(&loop->left_out, 1);
		return;
	}
	if (end - begin <= loop->grain) {
		loop->body(begin, end, loop->arg);
		return;
	}
	upper = (struct range){ loop, begin + (end - begin) / 2, end };
	task = weft_create_task(run_range, &upper);
	run(loop, begin, upper.begin);
	if (weft_task_failure_code(task) < 0)
		run(loop, upper.begin, end); /* no memory for a task: here, then */
	else
		weft_join(task);
}

static int run_range(void *arg)
{
	struct range *range = arg;

	run(range->loop, range->begin, range->end);
	return 0;
}

int weft_parallel_for(
	size_t n, size_t grain, void (*body)(size_t begin, size_t end, void *arg), void *arg)
{
	WEFT_CHECKPOINT(checkpoint);
	struct loop loop = { .body = body, .arg = arg, .grain = grain };
	int rc;

	if (!body)
		return -EINVAL;
	rc = weft_checkpoint_enter(&checkpoint);
	if (rc < 0)
		return rc;
	if (!weft_self())
		return weft_no_task();
	if (!grain)
		loop.grain = n / (PIECES_PER_WORKER * weft_workers_here());
	if (!loop.grain)
		loop.grain = 1;
	if (n > 0)
		run(&loop, 0, n);
	if (!weft_load_relaxed(&loop.left_out))
		return 0;
	rc = weft_pending();
	return rc < 0 ? rc : -ECANCELED;
}
