/* SPDX-License-Identifier: MIT */
/*
 * errand - see errand.h.
 */
#include "io/errand.h"

#include <errno.h>
#include <stdlib.h>

#include "io/optable.h"
#include "sched/submit.h"

/* On a pool thread. The errand is the owner's again once it is pushed; the bell outlives it. */
static void run(struct weft_job *job)
{
	struct weft_errand *errand = weft_container_of(job, struct weft_errand, job);
	struct weft_errands *home = errand->home;
	struct weft_errand *first;

	errand->result = weft_op_row(errand->op->code)->perform(errand->op, true);
	first = weft_load_relaxed(&home->finished);
	do {
		errand->next = first;
	} while (!weft_cas_acq_rel(&home->finished, &first, errand)); /* ER1 */
	if (!first) /* else whoever pushed onto the empty list rings */
		weft_bell_ring(home->bell);
}

/* Only tasks submit, but the monitor may be the one who finds that a thread is needed. */
static struct weft_jobs *jobs_of(struct weft_errands *errands)
{
	if (!errands->jobs)
		errands->jobs = weft_jobs_current();
	return errands->jobs;
}

int weft_errand_start(
	struct weft_errands *errands, struct weft_op *op, struct weft_errand **out)
{
	struct weft_jobs *jobs = jobs_of(errands);
	struct weft_errand *errand;
	int rc;

	if (!jobs)
		return -EOPNOTSUPP;
	errand = malloc(sizeof(*errand));
	if (!errand)
		return -ENOMEM;
	*errand = (struct weft_errand){.job.run = run, .home = errands, .op = op};
	rc = weft_jobs_submit(jobs, NULL, 1, &errand->job);
	if (rc < 0) {
		free(errand);
		return rc == -EAGAIN ? -ENOMEM : rc; /* no thread; to an operation -EAGAIN means: wait */
	}
	*out = errand;
	return 0;
}

bool weft_errand_take_back(struct weft_errands *errands, struct weft_errand *errand)
{
	if (!weft_jobs_take_back(errands->jobs, &errand->job))
		return false;
	free(errand);
	return true;
}

struct weft_errand *weft_errands_take(struct weft_errands *errands)
{
	struct weft_errand *errand, *oldest = NULL, *next;

	if (!weft_errands_finished(errands))
		return NULL;
	errand = weft_xchg_acq_rel(&errands->finished, NULL); /* ER1 */
	for (; errand; errand = next) {
		next = errand->next;
		errand->next = oldest;
		oldest = errand;
	}
	return oldest;
}
