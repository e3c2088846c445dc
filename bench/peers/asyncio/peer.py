#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""peer.py: bench/micro's questions with asyncio, or with uvloop's loop instead of its own.

  peer.py QUESTION [--loop asyncio|uvloop] [--rounds N] [--n N]
  peer.py echo [--loop asyncio|uvloop]

The frame: rounds after one that is not counted, and the same line of output. It is always one
thread, so there is no --workers but 1. The system's Python, since uvloop is there.
"""
import argparse
import asyncio
import gc
import statistics
import sys
import time

clock = time.perf_counter_ns


def check(ok, what):
    if not ok:
        sys.exit('peer: wrong: ' + what)


def print_figures(name, figures, unit):
    print(f'{name} 1 {statistics.median(figures):.2f} {min(figures):.2f} {max(figures):.2f} {unit}')


async def one_by_one(n):
    ran = 0

    async def body():
        nonlocal ran
        ran += 1

    start = clock()
    for _ in range(n):
        await asyncio.create_task(body())
    took = clock() - start
    check(ran == n, 'every task runs once')
    return took / n


async def batches(n, batch=1000):
    ran = 0

    async def body():
        nonlocal ran
        ran += 1

    start = clock()
    for _ in range(n):
        for task in [asyncio.create_task(body()) for _ in range(batch)]:
            await task
    took = clock() - start
    check(ran == n * batch, 'every task runs once')
    return took / (n * batch)


async def gather(n):
    async def body():
        return 1

    start = clock()
    ran = await asyncio.gather(*(asyncio.create_task(body()) for _ in range(n)))
    took = clock() - start
    check(sum(ran) == n, 'every task runs')
    return took / n


async def give_way(n):
    async def body():
        for _ in range(n):
            await asyncio.sleep(0)

    start = clock()
    await asyncio.gather(body(), body())
    return (clock() - start) / (2 * n)


async def pingpong(n):
    there, back = asyncio.Queue(1), asyncio.Queue(1)

    async def pong():
        while True:
            await back.put(await there.get() + 1)

    task = asyncio.create_task(pong())
    ball, start = 0, clock()
    for _ in range(n):
        await there.put(ball)
        ball = await back.get()
    took = clock() - start
    task.cancel()
    check(ball == n, 'each trip adds one')
    return took / n


async def fanin(n, each=1000):
    queue = asyncio.Queue(128)

    async def sender():
        for i in range(1, each + 1):
            await queue.put(i)

    start = clock()
    tasks = [asyncio.create_task(sender()) for _ in range(n)]
    total = 0
    for _ in range(n * each):
        total += await queue.get()
    took = clock() - start
    await asyncio.gather(*tasks)
    check(total == n * each * (each + 1) // 2, 'each number comes once')
    return took / (n * each)


async def mutex(n, each=1000):
    lock, counter = asyncio.Lock(), 0

    async def body():
        nonlocal counter
        for _ in range(each):
            async with lock:
                counter += 1

    start = clock()
    await asyncio.gather(*(body() for _ in range(n)))
    took = clock() - start
    check(counter == n * each, 'no addition is lost')
    return took / (n * each)


async def timeout(n):
    """What wait_for does for its deadline: a timer armed and cancelled."""
    loop, fired = asyncio.get_running_loop(), []
    start = clock()
    for _ in range(n):
        loop.call_later(60, fired.append, 1).cancel()
    took = clock() - start
    check(not fired, 'a minute has not passed')
    return took / n


async def chain(n):
    ran = 0

    async def link(before):
        nonlocal ran
        if before:
            await before
        ran += 1

    start, last = clock(), None
    for _ in range(n):
        last = asyncio.create_task(link(last))
    await last
    took = clock() - start
    check(ran == n, 'every link runs once')
    return took / n


timers_cancel = []  # the second figure of the question


async def timers(n):
    """As bench/micro/timers.c: tasks that sleep for an hour, cancelled in creation order."""
    asleep = 0

    async def sleeper(i):
        nonlocal asleep
        asleep += 1
        await asyncio.sleep(3600 + i * 7919 % 100003 / 1000)

    start = clock()
    tasks = [asyncio.create_task(sleeper(i)) for i in range(n)]
    while asleep < n:
        await asyncio.sleep(0)
    armed = clock()
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    end = clock()
    check(all(isinstance(e, asyncio.CancelledError) for e in ended), 'sleepers are cancelled')
    timers_cancel.append((end - armed) / n)
    return (armed - start) / n


QUESTIONS = {
    'create_join': ('ns/task', 20000, one_by_one),
    'create_await': ('ns/task', 20000, one_by_one),
    'create_1000_join_1000': ('ns/task', 20, batches),
    'create_100k_gather': ('ns/task', 20000, gather),
    'yield': ('ns/yield', 20000, give_way),
    'pingpong': ('ns/trip', 10000, pingpong),
    'chan_1000x1000': ('ns/item', 20, fanin),
    'mutex_1000x1000': ('ns/lock', 20, mutex),
    'timeout': ('ns/deadline', 20000, timeout),
    'timers_create': ('ns/timer', 20000, timers),
    'chain': ('ns/link', 10000, chain),
}


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def echo():
    server = await asyncio.get_running_loop().create_server(Echo, '127.0.0.1', 0, backlog=4096)
    print('listening 127.0.0.1:%d' % server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def status_kib(field):
    with open('/proc/self/status', encoding='ascii') as lines:
        return next(float(line.split()[1]) for line in lines if line.startswith(field))


async def sleepers(n):
    """n tasks asleep: memory per task, and the processor time to create and finish them."""
    asleep, wake, tasks = 0, asyncio.Event(), [None] * n

    async def sleeper():
        nonlocal asleep
        asleep += 1
        await wake.wait()

    rss, tables, cpu = status_kib('VmRSS:'), status_kib('VmPTE:'), time.process_time()
    for i in range(n):
        tasks[i] = asyncio.create_task(sleeper())
    while asleep < n:
        await asyncio.sleep(0)
    held = ((status_kib('VmRSS:') - rss) / n, (status_kib('VmPTE:') - tables) / n)
    wake.set()
    await asyncio.gather(*tasks)
    for name, figure, unit in (('sleeper_rss', held[0], 'KiB/task'),
                               ('sleeper_tables', held[1], 'KiB/task'),
                               ('sleeper_us', (time.process_time() - cpu) * 1e6 / n, 'us/task')):
        print_figures(name, [figure], unit)


async def rounds_of(round_of, n, rounds):
    await round_of(n)
    figures = []
    for _ in range(rounds):
        gc.collect()  # of the round before
        figures.append(await round_of(n))
    return figures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('question', choices=[*QUESTIONS, 'echo', 'sleepers'])
    parser.add_argument('--loop', choices=('asyncio', 'uvloop'), default='asyncio')
    parser.add_argument('--workers', type=int, choices=(1,), default=1)
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--n', type=int, default=0)
    options = parser.parse_args()
    if options.loop == 'uvloop':
        import uvloop
        uvloop.install()
    if options.question == 'echo':
        asyncio.run(echo())
        return
    if options.question == 'sleepers':
        asyncio.run(sleepers(options.n or 100000))
        return
    unit, n, round_of = QUESTIONS[options.question]
    figures = asyncio.run(rounds_of(round_of, options.n or n, options.rounds))
    print_figures(options.question, figures, unit)
    if timers_cancel:
        print_figures('timers_cancel', timers_cancel[1:], unit)


if __name__ == '__main__':
    main()
