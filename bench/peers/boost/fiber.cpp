/* SPDX-License-Identifier: MIT */
/*
 * fiber - bench/micro's questions with Boost.Fiber, in one thread: a fiber for a task, its join or
 * future, buffered channels. Stacks come from a pool, as they do in weft.
 */
#include "../rounds.h"

#include <boost/fiber/all.hpp>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace fibers = boost::fibers;

enum : size_t { EACH = 1000 };

static fibers::pooled_fixedsize_stack &stacks()
{
	static fibers::pooled_fixedsize_stack pool(16384);

	return pool;
}

template <typename Body> static fibers::fiber create(Body body)
{
	return fibers::fiber(fibers::launch::post, std::allocator_arg, stacks(), body);
}

static double round_one_by_one(size_t n, unsigned)
{
	size_t ran = 0;
	double start = rounds_now(), end;

	for (size_t i = 0; i < n; i++)
		create([&ran] { ran++; }).join();
	end = rounds_now();
	rounds_check(ran == n, "every task runs once");
	return (end - start) / (double)n;
}

/* Creates `batch` fibers, then joins them in creation order, n times over. */
static double batches(size_t n, size_t batch)
{
	std::vector<fibers::fiber> tasks(batch);
	size_t ran = 0;
	double start = rounds_now(), end;

	for (size_t i = 0; i < n; i++) {
		for (auto &task : tasks)
			task = create([&ran] { ran++; });
		for (auto &task : tasks)
			task.join();
	}
	end = rounds_now();
	rounds_check(ran == n * batch, "every task runs once");
	return (end - start) / (double)(n * batch);
}

static double round_batches(size_t n, unsigned)
{
	return batches(n, 1000);
}

static double round_gather(size_t n, unsigned)
{
	return batches(1, n);
}

static double round_yield(size_t n, unsigned)
{
	auto giving_way = [n] {
		for (size_t i = 0; i < n; i++)
			boost::this_fiber::yield();
	};
	double start = rounds_now();
	fibers::fiber a = create(giving_way), b = create(giving_way);

	a.join();
	b.join();
	return (rounds_now() - start) / (2 * (double)n);
}

/* Two is the least capacity it has. */
static double round_pingpong(size_t n, unsigned)
{
	fibers::buffered_channel<size_t> there(2), back(2);
	fibers::fiber pong = create([&] {
		size_t ball;

		while (there.pop(ball) == fibers::channel_op_status::success)
			back.push(ball + 1);
	});
	size_t ball = 0;
	double start = rounds_now(), end;

	for (size_t i = 0; i < n; i++) {
		there.push(ball);
		back.pop(ball);
	}
	end = rounds_now();
	there.close();
	pong.join();
	rounds_check(ball == n, "each trip adds one");
	return (end - start) / (double)n;
}

static double round_fanin(size_t n, unsigned)
{
	fibers::buffered_channel<size_t> chan(128);
	std::vector<fibers::fiber> senders;
	size_t sum = 0;
	double start = rounds_now(), end;

	for (size_t i = 0; i < n; i++)
		senders.push_back(create([&chan] {
			for (size_t j = 1; j <= EACH; j++)
				chan.push(j);
		}));
	for (size_t i = 0; i < n * EACH; i++) {
		size_t item = 0;

		chan.pop(item);
		sum += item;
	}
	end = rounds_now();
	for (auto &sender : senders)
		sender.join();
	rounds_check(sum == n * EACH * (EACH + 1) / 2, "each number comes once");
	return (end - start) / (double)(n * EACH);
}

static double round_mutex(size_t n, unsigned)
{
	std::vector<fibers::fiber> tasks;
	fibers::mutex lock;
	size_t counter = 0;
	double start = rounds_now(), end;

	for (size_t i = 0; i < n; i++)
		tasks.push_back(create([&] {
			for (size_t j = 0; j < EACH; j++) {
				lock.lock();
				counter++;
				lock.unlock();
			}
		}));
	for (auto &task : tasks)
		task.join();
	end = rounds_now();
	rounds_check(counter == n * EACH, "no addition is lost");
	return (end - start) / (double)(n * EACH);
}

/* Each link joins the one before. */
static double round_chain(size_t n, unsigned)
{
	std::vector<fibers::fiber> links(n);
	size_t ran = 0;
	double start = rounds_now(), end;

	for (size_t i = 0; i < n; i++)
		links[i] = create([&ran, before = i ? &links[i - 1] : nullptr] {
			if (before)
				before->join();
			ran++;
		});
	links[n - 1].join();
	end = rounds_now();
	rounds_check(ran == n, "every link runs once");
	return (end - start) / (double)n;
}

/* A field of /proc/self/status, in KiB. */
static double status_kib(const std::string &field)
{
	std::ifstream file("/proc/self/status");
	std::string line;

	while (std::getline(file, line))
		if (line.compare(0, field.size(), field) == 0)
			return std::stod(line.substr(field.size()));
	return 0;
}

static double cpu_us()
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (double)used.tv_sec * 1e6 + (double)used.tv_nsec / 1e3;
}

static void print_one(const char *name, double figure, const char *unit)
{
	printf("%s 1 %.2f %.2f %.2f %s\n", name, figure, figure, figure, unit);
}

/* n fibers asleep: memory per fiber, and the processor time to create and finish them. */
static int sleepers(size_t n)
{
	std::vector<fibers::fiber> tasks(n);
	fibers::condition_variable wake;
	fibers::mutex lock;
	size_t asleep = 0;
	bool awake = false;
	double rss = status_kib("VmRSS:"), tables = status_kib("VmPTE:"), cpu = cpu_us();

	for (auto &task : tasks)
		task = create([&] {
			std::unique_lock<fibers::mutex> held(lock);

			asleep++;
			rounds_check(wake.wait_for(held, std::chrono::hours(1),
					     [&] { return awake; }),
				"an hour has not passed");
		});
	while (asleep < n)
		boost::this_fiber::yield();
	print_one("sleeper_rss", (status_kib("VmRSS:") - rss) / (double)n, "KiB/task");
	print_one("sleeper_tables", (status_kib("VmPTE:") - tables) / (double)n,
		"KiB/task");
	awake = true;
	wake.notify_all();
	for (auto &task : tasks)
		task.join();
	print_one("sleeper_us", (cpu_us() - cpu) / (double)n, "us/task");
	return 0;
}

int main(int argc, char **argv)
{
	static const rounds_question questions[] = {
		{"create_join", "ns/task", 200000, round_one_by_one},
		{"create_await", "ns/task", 200000, round_one_by_one},
		{"create_1000_join_1000", "ns/task", 200, round_batches},
		{"create_100k_gather", "ns/task", 20000, round_gather},
		{"yield", "ns/yield", 500000, round_yield},
		{"pingpong", "ns/trip", 200000, round_pingpong},
		{"chan_1000x1000", "ns/item", 1000, round_fanin},
		{"mutex_1000x1000", "ns/lock", 1000, round_mutex},
		{"chain", "ns/link", 20000, round_chain},
	};

	if (argc > 1 && strcmp(argv[1], "sleepers") == 0)
		return sleepers(argc > 2 && strcmp(argv[argc - 2], "--n") == 0
					? strtoul(argv[argc - 1], NULL, 10)
					: 100000);
	return rounds_main(argc, argv, questions, sizeof(questions) / sizeof(*questions));
}
