/* SPDX-License-Identifier: MIT */
/*
 * weft-load - a closed-loop client: each connection sends a request, waits for its whole
 * reply, checks it, and sends the next. One thread, one ring; prints requests per
 * second, latency percentiles, and the CPU time that the server and itself took.
 *
 * The client must not be what is measured. So one multishot receive stands on each
 * connection, replies arrive in buffers the kernel picks, sends complete silently, and
 * everything queued goes out with the wait for the next replies. Over loopback each side
 * still pays for its own half of TCP: a client CPU near 1.0 means that the client, and
 * not the server, may have been the limit.
 *
 * Latency runs from the moment a request is queued to the moment its reply is handled.
 */
#include "histogram.h"
#include "protocol.h"

#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 16384 };
enum {
	ENTRIES = 4096,
	/* All replies may arrive at once: with many connections as many buffers, and small ones. */
	BUFFERS_FEW = 1024,
	BUFFERS_MANY = CONNECTIONS_MAX, /* powers of two */
	BUFFER_MEMORY = 4 << 20,
	GROUP = 0,
};

/* What a completion is about: an index of a connection, or one of these. */
enum { TAG_SEND = 1u << 31 };

struct options {
	unsigned port;
	unsigned connections;
	double seconds;
	double warmup;
	int cpu;   /* -1: not pinned */
	pid_t pid; /* of the server, 0: unknown */
	unsigned spin_us;
	bool json;
};

struct connection {
	int fd;
	uint64_t sent_at;
	uint32_t replies; /* that count */
	struct dialog dialog;
};

static struct options options = {
	.connections = 50, .seconds = 2, .warmup = 0.3, .cpu = -1};
static struct protocol protocol;
static struct io_uring ring;
static struct io_uring_buf_ring *pool;
static char *pool_memory;
static unsigned buffers, buffer_size;
static struct connection *connections;
static unsigned alive;
static struct histogram latency;
static uint64_t requests, errors;

static void __attribute__((noreturn)) die(const char *what, int error)
{
	fprintf(stderr, "weft-load: %s: %s\n", what,
		strerror(error < 0 ? -error : error));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* CPU time of a process, all its threads, in seconds; 0 when it cannot be read. */
static double cpu_seconds(pid_t pid)
{
	struct timespec used;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) < 0)
		return 0;
	return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static struct io_uring_sqe *next_sqe(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

	if (!sqe) {
		io_uring_submit(&ring);
		sqe = io_uring_get_sqe(&ring);
		if (!sqe)
			die("submission queue", EBUSY);
	}
	return sqe;
}

static void queue_recv(unsigned index)
{
	struct io_uring_sqe *sqe = next_sqe();

	io_uring_prep_recv_multishot(sqe, (int)index, NULL, 0, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT | IOSQE_FIXED_FILE;
	sqe->buf_group = GROUP;
	sqe->user_data = index;
}

static void queue_request(unsigned index, uint64_t now)
{
	struct connection *c = &connections[index];
	struct io_uring_sqe *sqe = next_sqe();

	dialog_next(&c->dialog, &protocol);
	io_uring_prep_send(sqe, (int)index, c->dialog.message, c->dialog.message_len,
		MSG_NOSIGNAL | MSG_WAITALL);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS | IOSQE_FIXED_FILE;
	sqe->user_data = index | TAG_SEND;
	c->sent_at = now;
}

/* A connection that failed is left alone: the server's fault is counted, not hidden. */
static void failed(unsigned index)
{
	errors++;
	if (connections[index].fd < 0)
		return;
	shutdown(connections[index].fd, SHUT_RDWR);
	connections[index].fd = -1;
	alive--;
}

static char *buffer(unsigned id)
{
	return pool_memory + (size_t)id * buffer_size;
}

static void replied(unsigned index, const char *data, size_t n, uint64_t now)
{
	struct connection *c = &connections[index];

	switch (dialog_reply(&c->dialog, &protocol, data, n)) {
	case VERDICT_MORE:
		return;
	case VERDICT_BAD:
		failed(index);
		return;
	case VERDICT_DONE:
		requests++;
		c->replies++;
		histogram_add(&latency, now - c->sent_at);
		queue_request(index, now);
	}
}

static void give_back(unsigned id)
{
	io_uring_buf_ring_add(pool, buffer(id), buffer_size, (unsigned short)id,
		io_uring_buf_ring_mask(buffers), 0);
	io_uring_buf_ring_advance(pool, 1);
}

static void received(const struct io_uring_cqe *cqe, uint64_t now)
{
	unsigned index = (unsigned)cqe->user_data;

	if (cqe->res > 0) {
		unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;

		if (connections[index].fd >= 0)
			replied(index, buffer(id), (size_t)cqe->res, now);
		give_back(id);
	} else if (cqe->res != -ENOBUFS) {
		if (connections[index].fd >= 0)
			failed(index);
		return;
	}
	if (!(cqe->flags & IORING_CQE_F_MORE) && connections[index].fd >= 0)
		queue_recv(index);
}

static void completed(const struct io_uring_cqe *cqe, uint64_t now)
{
	if (cqe->user_data & TAG_SEND) /* only failed sends complete visibly */
		failed((unsigned)cqe->user_data & ~TAG_SEND);
	else
		received(cqe, now);
}

/* Submits; looks for replies for spin_us, then sleeps until there is one, or 100 ms. */
static void submit_and_wait(void)
{
	struct __kernel_timespec patience = {.tv_nsec = 100 * 1000 * 1000};
	struct io_uring_cqe *cqe;

	if (options.spin_us) {
		uint64_t end = now_ns() + options.spin_us * 1000u;

		do {
			io_uring_submit_and_get_events(&ring);
			if (io_uring_cq_ready(&ring))
				return;
		} while (now_ns() < end);
	}
	io_uring_submit_and_wait_timeout(&ring, &cqe, 1, &patience, NULL);
}

static void drive_until(uint64_t end)
{
	struct io_uring_cqe *cqe;
	uint64_t now;

	do {
		unsigned head, count = 0;

		submit_and_wait();
		now = now_ns();
		io_uring_for_each_cqe(&ring, head, cqe)
		{
			completed(cqe, now);
			count++;
		}
		io_uring_cq_advance(&ring, count);
	} while (now < end && alive);
}

static int connect_one(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((unsigned short)options.port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 && errno == EMFILE)
		die("socket: raise the limit of open files (ulimit -n)", errno);
	if (fd < 0)
		die("socket", errno);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("connect", errno);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	/* The cheapest there is; nothing is lost if this kernel lacks it. */
	setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
	return fd;
}

static void raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Registers each socket too, under the index of its connection. */
static void connect_all(void)
{
	int *fds = calloc(options.connections, sizeof(*fds));
	int rc;

	raise_fd_limit();
	connections = calloc(options.connections, sizeof(*connections));
	if (!connections || !fds)
		die("connections", ENOMEM);
	for (unsigned i = 0; i < options.connections; i++) {
		fds[i] = connections[i].fd = connect_one();
		if (dialog_init(&connections[i].dialog, &protocol, i) < 0)
			die("connections", ENOMEM);
		alive++;
	}
	rc = io_uring_register_files(&ring, fds, options.connections);
	if (rc < 0)
		die("file table", rc);
	free(fds);
}

static void *map(size_t bytes)
{
	void *memory = mmap(
		NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap", errno);
	return memory;
}

static void start_ring(void)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_CQSIZE,
		.cq_entries = 4 * ENTRIES,
	};
	struct io_uring_buf_reg reg = {.bgid = GROUP};
	int rc = io_uring_queue_init_params(ENTRIES, &ring, &params);

	if (rc < 0)
		die("io_uring_setup", rc);
	io_uring_register_ring_fd(&ring);
	buffers = options.connections > BUFFERS_FEW ? BUFFERS_MANY : BUFFERS_FEW;
	buffer_size = BUFFER_MEMORY / buffers;
	pool = map(buffers * sizeof(struct io_uring_buf));
	pool_memory = map(BUFFER_MEMORY);
	reg.ring_entries = buffers;
	reg.ring_addr = (uintptr_t)pool;
	rc = io_uring_register_buf_ring(&ring, &reg, 0);
	if (rc < 0)
		die("buffer ring", rc);
	io_uring_buf_ring_init(pool);
	for (unsigned id = 0; id < buffers; id++)
		give_back(id);
}

/* How many requests the connections got answered that were served least and most. */
static void spread_of_replies(uint32_t *least, uint32_t *most)
{
	*least = UINT32_MAX;
	*most = 0;
	for (unsigned i = 0; i < options.connections; i++) {
		uint32_t replies = connections[i].replies;

		*least = replies < *least ? replies : *least;
		*most = replies > *most ? replies : *most;
	}
}

/* The end of the JSON: how many per cent of the requests took at most how long. */
static void print_distribution(void)
{
	static const double percents[] = {0, 1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95,
		98, 99, 99.5, 99.8, 99.9, 99.95, 99.99, 100};
	const char *before = "\"cdf\": [";

	for (size_t i = 0; i < sizeof(percents) / sizeof(*percents); i++) {
		printf("%s[%g, %.1f]", before, percents[i],
			(double)histogram_percentile(&latency, percents[i]) / 1e3);
		before = ", ";
	}
	puts("]}");
}

static void report(double seconds, double server_cpu, double own_cpu)
{
	static const double percents[] = {50, 99, 99.9};
	uint32_t least, most;
	double us[3];

	spread_of_replies(&least, &most);
	for (int i = 0; i < 3; i++)
		us[i] = (double)histogram_percentile(&latency, percents[i]) / 1e3;
	printf(options.json
			? "{\"connections\": %u, \"seconds\": %.3f, \"requests\": %llu, "
			  "\"rps\": %.0f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
			  "\"p999_us\": %.1f, \"max_us\": %.1f, \"least\": %u, \"most\": "
			  "%u, "
			  "\"errors\": %llu, "
			  "\"server_us_per_request\": %.3f, \"own_cpu\": %.3f, "
			: "%u connections, %.2f s: %llu requests, %.0f/s\n"
			  "latency us: p50 %.1f  p99 %.1f  p99.9 %.1f  max %.1f\n"
			  "requests of a connection: %u to %u\n"
			  "errors %llu, server CPU %.3f us/request, client CPU %.2f\n",
		options.connections, seconds, (unsigned long long)requests,
		(double)requests / seconds, us[0], us[1], us[2],
		(double)latency.max / 1e3, least, most, (unsigned long long)errors,
		requests ? server_cpu * 1e6 / (double)requests : 0.0, own_cpu / seconds);
	if (options.json)
		print_distribution();
}

static void measure(void)
{
	double server_cpu, own_cpu;
	uint64_t start;

	start = now_ns();
	for (unsigned i = 0; i < options.connections; i++) {
		queue_recv(i);
		queue_request(i, start);
	}
	drive_until(start + (uint64_t)(options.warmup * 1e9));
	memset(&latency, 0, sizeof(latency));
	for (unsigned i = 0; i < options.connections; i++)
		connections[i].replies = 0;
	requests = 0;
	server_cpu = options.pid ? cpu_seconds(options.pid) : 0;
	own_cpu = cpu_seconds(getpid());
	start = now_ns();
	drive_until(start + (uint64_t)(options.seconds * 1e9));
	server_cpu = options.pid ? cpu_seconds(options.pid) - server_cpu : 0;
	report((double)(now_ns() - start) / 1e9, server_cpu,
		cpu_seconds(getpid()) - own_cpu);
}

static void __attribute__((noreturn)) usage(void)
{
	fprintf(stderr, "usage: weft-load --port N (--echo SIZE | --http PATH) "
			"[--connections C]\n"
			"       [--seconds S] [--warmup W] [--cpu N] [--pid SERVER] "
			"[--spin US] [--json]\n");
	exit(2);
}

static void parse_one(const char *name, const char *value)
{
	unsigned long number = strtoul(value, NULL, 10);

	if (strcmp(name, "--port") == 0)
		options.port = (unsigned)number;
	else if (strcmp(name, "--echo") == 0)
		protocol.echo_size = number;
	else if (strcmp(name, "--http") == 0 && protocol_http(&protocol, value) < 0)
		die("path", ENOMEM);
	else if (strcmp(name, "--connections") == 0)
		options.connections = (unsigned)number;
	else if (strcmp(name, "--seconds") == 0)
		options.seconds = strtod(value, NULL);
	else if (strcmp(name, "--warmup") == 0)
		options.warmup = strtod(value, NULL);
	else if (strcmp(name, "--cpu") == 0)
		options.cpu = (int)number;
	else if (strcmp(name, "--pid") == 0)
		options.pid = (pid_t)number;
	else if (strcmp(name, "--spin") == 0)
		options.spin_us = (unsigned)number;
	else if (strcmp(name, "--http") != 0)
		usage();
}

static void parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0) {
			options.json = true;
			continue;
		}
		if (i + 1 == argc)
			usage();
		parse_one(argv[i], argv[i + 1]);
		i++;
	}
	if (!options.port || !protocol.echo_size == !protocol.request ||
		protocol.echo_size > PROTOCOL_MESSAGE_MAX || !options.connections ||
		options.connections > CONNECTIONS_MAX)
		usage();
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	if (options.cpu >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((size_t)options.cpu, &set);
		if (sched_setaffinity(0, sizeof(set), &set) < 0)
			die("--cpu", errno);
	}
	start_ring();
	connect_all();
	measure();
	return errors ? 1 : 0;
}
