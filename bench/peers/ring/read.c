/* SPDX-License-Identifier: MIT */
/*
 * read - bench/micro/file_hot's reads through a ring with nothing in between: 4 KiB at random places of a
 * file in the page cache, one at a time (file_hot) or 32 (file_hot_32).
 */
#include "../rounds.h"

#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

enum { BLOCK = 4096, BLOCKS = 65536, DEPTH_MAX = 32 };

static struct io_uring ring;
static int file;

/* An unnamed file, written so that it is in the page cache. */
static void prepare(void)
{
	const char *folder = getenv("TMPDIR");
	static char block[BLOCK];

	file = open(folder ? folder : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	rounds_check(file >= 0, "an unnamed file");
	for (int i = 0; i < BLOCKS; i++)
		rounds_check(write(file, block, BLOCK) == BLOCK, "write");
	rounds_check(
		io_uring_queue_init(DEPTH_MAX, &ring,
			IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN) == 0,
		"a ring");
}

static off_t next_place(unsigned *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return (off_t)(*seed >> 8) % BLOCKS * BLOCK;
}

/* n reads in batches of depth; ns per read. */
static double reads(size_t n, unsigned depth)
{
	static char buf[DEPTH_MAX][BLOCK];
	unsigned seed = 1;
	double start;

	if (!file)
		prepare();
	start = rounds_now();
	for (size_t done = 0; done < n; done += depth) {
		struct io_uring_cqe *cqe;

		for (unsigned i = 0; i < depth; i++)
			io_uring_prep_read(io_uring_get_sqe(&ring), file, buf[i], BLOCK,
				(unsigned long long)next_place(&seed));
		rounds_check(
			io_uring_submit_and_wait(&ring, depth) == (int)depth, "submit");
		for (unsigned i = 0; i < depth; i++) {
			rounds_check(
				io_uring_wait_cqe(&ring, &cqe) == 0 && cqe->res == BLOCK,
				"a read of a block");
			io_uring_cqe_seen(&ring, cqe);
		}
	}
	return (rounds_now() - start) / (double)(n - n % depth);
}

static double round_one(size_t n, unsigned workers)
{
	(void)workers;
	return reads(n, 1);
}

static double round_batch(size_t n, unsigned workers)
{
	(void)workers;
	return reads(n - n % DEPTH_MAX, DEPTH_MAX);
}

int main(int argc, char **argv)
{
	static const struct rounds_question questions[] = {
		{"file_hot", "ns/read", 200000, round_one},
		{"file_hot_32", "ns/read", 200000, round_batch},
	};

	return rounds_main(argc, argv, questions, sizeof(questions) / sizeof(*questions));
}
