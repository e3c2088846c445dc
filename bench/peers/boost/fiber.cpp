/* SPDX-License-Identifier: MIT */
/*
 * fiber - bench/micro's questions with Boost.Fiber, in one thread: a fiber for a task, its join or
 * future, buffered channels. Stacks come from a pool, as they do in weft.
 */
#include "../rounds.h"

#include <boost/fiber/all.hpp>
#include <memory>
#include <vector>

namespace fibers = boost::fibers;

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
	const size_t each = 1000;
	fibers::buffered_channel<size_t> chan(128);
	std::vector<fibers::fiber> senders;
	size_t sum = 0;
	double start = rounds_now(), end;

	for (size_t i = 0; i < n; i++)
		senders.push_back(create([&chan, each] {
			for (size_t j = 1; j <= each; j++)
				chan.push(j);
		}));
	for (size_t i = 0; i < n * each; i++) {
		size_t item = 0;

		chan.pop(item);
		sum += item;
	}
	end = rounds_now();
	for (auto &sender : senders)
		sender.join();
	rounds_check(sum == n * each * (each + 1) / 2, "each number comes once");
	return (end - start) / (double)(n * each);
}

static double round_mutex(size_t n, unsigned)
{
	const size_t each = 1000;
	std::vector<fibers::fiber> tasks;
	fibers::mutex lock;
	size_t counter = 0;
	double start = rounds_now(), end;

	for (size_t i = 0; i < n; i++)
		tasks.push_back(create([&] {
			for (size_t j = 0; j < each; j++) {
				lock.lock();
				counter++;
				lock.unlock();
			}
		}));
	for (auto &task : tasks)
		task.join();
	end = rounds_now();
	rounds_check(counter == n * each, "no addition is lost");
	return (end - start) / (double)(n * each);
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

	return rounds_main(argc, argv, questions, sizeof(questions) / sizeof(*questions));
}
