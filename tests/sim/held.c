/* SPDX-License-Identifier: MIT */
/*
 * held - see held.h. The heap is counted by standing in front of the C library's allocator, because mallinfo
 * takes for used what its caches keep. Sanitizers stand there themselves: their builds do not count.
 */
#include "held.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTED 0
#else
#define COUNTED 1
#endif

/* -- the heap ---------------------------------------------------------------------------------- */

static __thread int64_t heap;

#if COUNTED
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *p);

static void *taken(void *p)
{
	heap += (int64_t)malloc_usable_size(p);
	return p;
}

void *malloc(size_t size)
{
	return taken(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
	return taken(__libc_calloc(n, size));
}

void *realloc(void *p, size_t size)
{
	int64_t before = (int64_t)malloc_usable_size(p);
	void *moved = __libc_realloc(p, size);

	if (moved || size == 0)
		heap -= before;
	return taken(moved);
}

void *memalign(size_t alignment, size_t size)
{
	return taken(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
	void *p = memalign(alignment, size);

	if (!p)
		return ENOMEM;
	*out = p;
	return 0;
}

void free(void *p)
{
	heap -= (int64_t)malloc_usable_size(p);
	__libc_free(p);
}
#endif

/* -- descriptors and address space ---------------------------------------------------------------- */

static void note_fds(struct held *held)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		long fd = strtol(entry->d_name, NULL, 10);

		if (entry->d_name[0] != '.' && fd != dirfd(dir) && fd < HELD_FDS)
			held->fds[fd / 64] |= UINT64_C(1) << fd % 64;
	}
	if (dir)
		closedir(dir);
}

static int64_t mapped(void)
{
	char text[64] = "";
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	return strtoll(text, NULL, 10) * sysconf(_SC_PAGESIZE);
}

void held_now(struct held *held)
{
	memset(held, 0, sizeof(*held));
	note_fds(held);
	held->mapped = COUNTED ? mapped() : 0;
	held->heap = heap;
}

static int first_of_not(const struct held *of, const struct held *not_of)
{
	for (int fd = 0; fd < HELD_FDS; fd++) {
		if (of->fds[fd / 64] & ~not_of->fds[fd / 64] & UINT64_C(1) << fd % 64)
			return fd;
	}
	return -1;
}

int held_new_fd(const struct held *before, const struct held *after)
{
	return first_of_not(after, before);
}

int held_lost_fd(const struct held *before, const struct held *after)
{
	return first_of_not(before, after);
}

/* -- memory that nobody can reach ----------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__)
int __lsan_do_recoverable_leak_check(void);

bool held_unreachable(void)
{
	return __lsan_do_recoverable_leak_check() != 0;
}
#else
bool held_unreachable(void)
{
	return false;
}
#endif
