/* SPDX-License-Identifier: MIT */
/*
 * sys - the system calls behind sys.h. errno is left as it was found: it belongs to the program.
 */
#include "base/sys.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void *weft_sys_map(size_t bytes)
{
	int saved = errno;
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	errno = saved;
	return base == MAP_FAILED ? NULL : base;
}

void weft_sys_unmap(void *base, size_t bytes)
{
	munmap(base, bytes);
}

/* The result of a system call as 0 or -errno, with errno put back. */
static int code_of(long result, int saved)
{
	int code = result < 0 ? -errno : 0;

	errno = saved;
	return code;
}

int weft_sys_map_anew(void *base, size_t bytes)
{
	int saved = errno;
	void *got = mmap(base, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	return code_of(got == MAP_FAILED ? -1 : 0, saved);
}

int weft_sys_madvise(void *base, size_t bytes, int advice)
{
	int saved = errno;

	return code_of(madvise(base, bytes, advice), saved);
}

int weft_sys_protect_none(void *base, size_t bytes)
{
	int saved = errno;

	return code_of(mprotect(base, bytes, PROT_NONE), saved);
}

int weft_sys_membarrier_init(void)
{
	int saved = errno;

	return code_of(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0),
		saved);
}

int weft_sys_membarrier(void)
{
	int saved = errno;

	return code_of(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), saved);
}

#ifdef WEFT_TSAN
enum { TSAN_SLICE_NS = 20 * 1000 * 1000 };
#endif

void weft_futex_wait(_Atomic(uint32_t) *word, uint32_t expected, int64_t timeout_ns)
{
	int saved = errno;
	struct timespec timeout;

#ifdef WEFT_TSAN
	/* That tool runs the handler of a signal only in a function it knows, which this call is not. A
	 * wait may end for no reason, so be in one now and then. */
	usleep(0);
	if (timeout_ns < 0 || timeout_ns > TSAN_SLICE_NS)
		timeout_ns = TSAN_SLICE_NS;
#endif
	timeout.tv_sec = timeout_ns / 1000000000;
	timeout.tv_nsec = timeout_ns % 1000000000;
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout_ns < 0 ? NULL : &timeout,
		NULL, 0);
	errno = saved;
}

void weft_futex_wake(_Atomic(uint32_t) *word, int count)
{
	int saved = errno;

	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
	errno = saved;
}

int64_t weft_sys_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool clock_source_is_tsc(void)
{
	FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
	char name[16] = "";

	if (!file)
		return false;
	if (!fgets(name, sizeof(name), file))
		name[0] = 0;
	fclose(file);
	return strcmp(name, "tsc\n") == 0;
}

bool weft_sys_clock_is_counter(void)
{
	static _Atomic(uint32_t) known; /* 0: not yet; else 1 and the answer */
	uint32_t answer = weft_load_relaxed(&known);

	if (weft_unlikely(!answer)) {
		int saved = errno;

		answer = 1 + clock_source_is_tsc();
		weft_store_relaxed(&known, answer);
		errno = saved;
	}
	return answer == 2;
}

/* The cgroup's quota in processors, rounded up; 0: none, or not readable. */
static unsigned cgroup_processors(void)
{
	FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
	unsigned long long quota, period;
	unsigned result = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%llu %llu", &quota, &period) == 2 && period > 0)
		result = (unsigned)((quota + period - 1) / period);
	fclose(file);
	return result;
}

unsigned weft_sys_processors(void)
{
	unsigned quota = cgroup_processors();
	unsigned count = 1;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		count = (unsigned)CPU_COUNT(&set);
	else if (sysconf(_SC_NPROCESSORS_ONLN) > 0)
		count = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	if (quota > 0 && quota < count)
		count = quota;
	return count > 0 ? count : 1;
}
