/* SPDX-License-Identifier: MIT */
/*
 * resolve - weft_getaddrinfo: libc's resolver, on a thread of the pool.
 *
 * Nothing ends a getaddrinfo that is under way, and a name server that is silent holds it for many
 * seconds, so a caller that is cancelled or timed out leaves: the lookup, which is the pool thread's
 * by then, throws its result away. That is why it lies on the heap, with copies of what it was given.
 *
 * In a simulation, whose network is not the machine's, there are addresses in numbers, and "localhost", and no
 * other name. What the machine's interfaces are like (AI_ADDRCONFIG) does not matter there.
 *
 * RS1  the lookup: exchange of state to DONE  <->  a caller that leaves: exchange of state to LEFT
 *      acq_rel on one word: whoever comes second sees the other, and is the one that frees. Weaker: the
 *      result is read before it is written, or freed twice, or never.
 */
#include "io/resolve.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <weft/io.h>

#include "blocking/jobs.h"
#include "io/io.h"
#include "sched/submit.h"
#include "sched/wait.h"

#define LANE "dns"

enum { LANE_MAX = 16 }; /* lookups at a time, so that silent servers leave the pool to others */

enum { UNDER_WAY, DONE, LEFT };

struct lookup {
	struct weft_job job;
	_Atomic(uint32_t) state; /* RS1 */
	struct weft_parker *parker;
	struct addrinfo hints, *result;
	int status;
	char *node, *service; /* NULL, or in text */
	bool has_hints, simulated;
	char text[];
};

int weft_resolve_code(int eai, int system_error)
{
	switch (eai) {
	case 0:
		return 0;
	case EAI_NONAME:
		return -ENOENT;
	case EAI_NODATA:
	case EAI_ADDRFAMILY:
		return -EADDRNOTAVAIL;
	case EAI_AGAIN:
		return -EREMOTEIO;
	case EAI_FAIL:
		return -EIO;
	case EAI_FAMILY:
		return -EAFNOSUPPORT;
	case EAI_SOCKTYPE:
		return -ESOCKTNOSUPPORT;
	case EAI_SERVICE:
		return -EPROTONOSUPPORT;
	case EAI_MEMORY:
		return -ENOMEM;
	case EAI_OVERFLOW:
		return -EOVERFLOW;
	case EAI_SYSTEM:
		return system_error < 0 ? system_error : -EIO;
	default:
		return -EINVAL; /* EAI_BADFLAGS, and what a later libc may add */
	}
}

static void free_lookup(struct lookup *lookup)
{
	if (lookup->result)
		freeaddrinfo(lookup->result);
	free(lookup);
}

/* getaddrinfo without asking anybody. */
static int look_up_simulated(struct lookup *lookup)
{
	struct addrinfo hints = lookup->has_hints
					? lookup->hints
					: (struct addrinfo){.ai_flags = AI_V4MAPPED};
	const char *node = lookup->node;

	if (node && strcasecmp(node, "localhost") == 0)
		node = hints.ai_family == AF_INET6 ? "::1" : "127.0.0.1";
	hints.ai_flags &= ~AI_ADDRCONFIG;
	if (node)
		hints.ai_flags |= AI_NUMERICHOST;
	return getaddrinfo(node, lookup->service, &hints, &lookup->result);
}

static int look_up_really(struct lookup *lookup)
{
	return getaddrinfo(lookup->node, lookup->service,
		lookup->has_hints ? &lookup->hints : NULL, &lookup->result);
}

static void look_up(struct weft_job *job)
{
	struct lookup *lookup = weft_container_of(job, struct lookup, job);
	struct weft_parker *parker = lookup->parker;
	int eai;

	eai = lookup->simulated ? look_up_simulated(lookup) : look_up_really(lookup);
	lookup->status = weft_resolve_code(eai, eai == EAI_SYSTEM ? -errno : 0);
	if (lookup->status < 0)
		lookup->result = NULL;
	if (weft_xchg_acq_rel(&lookup->state, DONE) == LEFT) /* RS1 */
		free_lookup(lookup);
	else
		weft_unpark(parker); /* the lookup may be gone by now */
}

static struct lookup *new_lookup(
	const char *node, const char *service, const struct addrinfo *hints)
{
	size_t node_size = node ? strlen(node) + 1 : 0;
	size_t service_size = service ? strlen(service) + 1 : 0;
	struct lookup *lookup = calloc(1, sizeof(*lookup) + node_size + service_size);

	if (!lookup)
		return NULL;
	lookup->job.run = look_up;
	lookup->parker = weft_parker_self();
	if (node)
		lookup->node = memcpy(lookup->text, node, node_size);
	if (service)
		lookup->service = memcpy(lookup->text + node_size, service, service_size);
	lookup->simulated = weft_io_current()->simulated;
	lookup->has_hints = hints;
	if (hints)
		lookup->hints = *hints;
	return lookup;
}

/* 0: it is done. Else the code that was pending: the lookup is no longer ours, or freed. */
static int wait_or_leave(struct weft_jobs *jobs, struct lookup *lookup)
{
	while (weft_load_acquire(&lookup->state) != DONE) { /* RS1 */
		int code = weft_pending();

		if (code == 0) {
			weft_park(WEFT_FOREVER);
			continue;
		}
		if (weft_jobs_take_back(jobs, &lookup->job)) {
			free_lookup(lookup);
			return code;
		}
		if (weft_xchg_acq_rel(&lookup->state, LEFT) != DONE) /* RS1 */
			return code;
		weft_store_relaxed(&lookup->state, DONE); /* the result wins */
	}
	return 0;
}

int weft_resolve(const char *node, const char *service, const struct addrinfo *hints,
	struct addrinfo **res)
{
	struct weft_jobs *jobs = weft_jobs_current();
	struct lookup *lookup = new_lookup(node, service, hints);
	int rc;

	if (!lookup)
		return -ENOMEM;
	rc = weft_jobs_submit(jobs, LANE, LANE_MAX, &lookup->job);
	if (rc < 0) {
		free_lookup(lookup);
		return rc;
	}
	rc = wait_or_leave(jobs, lookup);
	if (rc < 0)
		return rc;
	rc = lookup->status;
	if (rc == 0)
		*res = lookup->result;
	lookup->result = NULL; /* the caller's, who frees it with freeaddrinfo */
	free_lookup(lookup);
	return rc;
}

int weft_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
	struct addrinfo **res)
{
	WEFT_CHECKPOINT(checkpoint);
	int rc;

	if (!res)
		return -EINVAL;
	rc = weft_io_enter(&checkpoint);
	return rc < 0 ? rc : weft_resolve(node, service, hints, res);
}
