/* SPDX-License-Identifier: MIT */
/*
 * uring_setup - see uring_setup.h.
 */
#include "io/uring_setup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/atomic.h"
#include "io/optable.h"
#include "io/uring_compat.h"

enum {
	ENTRIES_LEAST = 1,
	ENTRIES_MIN = 32,
	COMPLETIONS_PER_ENTRY = 4,
	MEMORY_RETRIES = 5, /* a ring torn down elsewhere gives its pages back late */
	MEMORY_RETRY_NS = 10 * 1000 * 1000,
	OPS_MAX = 64,
};

/* -- what tests take away ---------------------------------------------------------------------- */

static bool without(const char *what)
{
	const char *list = getenv("WEFT_URING_WITHOUT");
	size_t length = strlen(what);

	while (list && *list) {
		size_t item = strcspn(list, ",");

		if (item == length && memcmp(list, what, length) == 0)
			return true;
		list += item + (list[item] == ',');
	}
	return false;
}

/* "rings:N": no more than N are set up in the life of the process. */
static bool rings_used_up(void)
{
	static _Atomic(uint32_t) rings;
	char name[24];
	uint32_t count;

	if (!getenv("WEFT_URING_WITHOUT"))
		return false;
	count = weft_add_relaxed(&rings, 1);
	snprintf(name, sizeof(name), "rings:%u", count);
	if (without(name))
		weft_sub_relaxed(&rings, 1);
	return without(name);
}

/* -- the ring ---------------------------------------------------------------------------------- */

#define DEFER (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)
#define DEFERRED (DEFER | IORING_SETUP_TASKRUN_FLAG)
#define COOPERATIVE (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG)

/*
 * Newest first: a kernel that does not know a flag says EINVAL. Deferred task work is cheapest, but binds
 * the ring to one thread, so it is for a worker that no monitor helps.
 */
static const unsigned setup_flags[] = {
	DEFERRED | IORING_SETUP_SUBMIT_ALL,
	COOPERATIVE | IORING_SETUP_SUBMIT_ALL,
	IORING_SETUP_SUBMIT_ALL,
	0,
};

static bool taken_away(unsigned flags)
{
	return (flags & DEFER && without("defer")) ||
	       (flags & IORING_SETUP_COOP_TASKRUN && without("coop")) ||
	       (flags & IORING_SETUP_SUBMIT_ALL && without("submit_all"));
}

static int setup(struct io_uring *uring, unsigned entries, bool one_thread,
	struct io_uring_params *params)
{
	int rc = -EINVAL;

	for (size_t i = one_thread ? 0 : 1;
		rc == -EINVAL && i < sizeof(setup_flags) / sizeof(*setup_flags); i++) {
		if (taken_away(setup_flags[i]))
			continue;
		*params = (struct io_uring_params){
			.flags = setup_flags[i] | IORING_SETUP_CLAMP |
				 IORING_SETUP_CQSIZE,
			.cq_entries = entries * COMPLETIONS_PER_ENTRY,
		};
		rc = io_uring_queue_init_params(entries, uring, params);
	}
	return rc;
}

/* Locked memory is limited for ordinary users, and what another ring held comes back late. */
static int setup_within_memory(struct io_uring *uring, unsigned entries, bool one_thread,
	struct io_uring_params *params)
{
	const struct timespec pause = {.tv_nsec = MEMORY_RETRY_NS};
	int rc = setup(uring, entries, one_thread, params);

	for (int i = 0; rc == -ENOMEM && i < MEMORY_RETRIES; i++) {
		nanosleep(&pause, NULL);
		rc = setup(uring, entries, one_thread, params);
	}
	while (rc == -ENOMEM && entries > ENTRIES_MIN) {
		entries /= 2;
		rc = setup(uring, entries, one_thread, params);
	}
	return rc;
}

/* -- what it is able to do --------------------------------------------------------------------- */

static const struct {
	unsigned bit;
	const char *name;
} features_needed[] = {
	{IORING_FEAT_NODROP, "nodrop"},
	{IORING_FEAT_SUBMIT_STABLE, "submit_stable"},
	{IORING_FEAT_RW_CUR_POS, "rw_cur_pos"},
	{IORING_FEAT_FAST_POLL, "fast_poll"},
};

/* With these io/uring.c does everything else. */
static const struct {
	uint8_t code;
	const char *name;
} ops_needed[] = {
	{IORING_OP_POLL_ADD, "op:poll"},
	{IORING_OP_READ, "op:read"},
	{IORING_OP_ASYNC_CANCEL, "op:async_cancel"},
	{IORING_OP_TIMEOUT, "op:timeout"},
};

static const char *feature_lacking(unsigned features)
{
	for (size_t i = 0; i < sizeof(features_needed) / sizeof(*features_needed); i++) {
		if (!(features & features_needed[i].bit) || without(features_needed[i].name))
			return features_needed[i].name;
	}
	return NULL;
}

static const char *op_lacking(uint64_t ops)
{
	for (size_t i = 0; i < sizeof(ops_needed) / sizeof(*ops_needed); i++) {
		if (!(ops >> ops_needed[i].code & 1) || without(ops_needed[i].name))
			return ops_needed[i].name;
	}
	return NULL;
}

static bool op_taken_away(uint8_t code)
{
	const struct weft_op_row *row = weft_op_row(code);
	char name[40];

	if (!row)
		return false;
	snprintf(name, sizeof(name), "op:%s", row->name);
	return without(name);
}

/* A bit for each; 0 when the kernel cannot even be asked. */
static uint64_t known_ops(struct io_uring *uring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(uring);
	uint64_t ops = 0;

	if (!probe)
		return 0;
	for (uint8_t code = 0; code < OPS_MAX; code++) {
		if (io_uring_opcode_supported(probe, code) && !op_taken_away(code))
			ops |= UINT64_C(1) << code;
	}
	io_uring_free_probe(probe);
	return ops;
}

int weft_uring_setup(struct io_uring *uring, unsigned entries, bool one_thread,
	struct weft_uring_able *able, const char **missing)
{
	struct io_uring_params params;
	int rc = rings_used_up() ? -ENOMEM :
				   setup_within_memory(uring, entries, one_thread, &params);

	*missing = NULL;
	if (rc < 0)
		return rc;
	*able = (struct weft_uring_able){
		.ops = known_ops(uring),
		.deferred = params.flags & IORING_SETUP_DEFER_TASKRUN,
		.timed = params.features & IORING_FEAT_EXT_ARG && !without("ext_arg"),
		.nosignal = weft_kernel_has_nosignal() && !without("nosignal"),
	};
	*missing = feature_lacking(params.features);
	if (!*missing)
		*missing = op_lacking(able->ops);
	if (!*missing)
		return 0;
	io_uring_queue_exit(uring);
	return -EOPNOTSUPP;
}

int weft_uring_probe(char *missing, size_t size)
{
	struct weft_uring_able able;
	struct io_uring uring;
	const char *name;
	int rc = weft_uring_setup(&uring, ENTRIES_LEAST, false, &able, &name);

	snprintf(missing, size, "%s", name ? name : "");
	if (rc == 0)
		io_uring_queue_exit(&uring);
	return rc;
}
