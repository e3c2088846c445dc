# SPDX-License-Identifier: MIT
"""The cache server beside redis-server (bench/peers/redis says how that is set up), both driven
by redis-benchmark: fifty connections, a request at a time or sixteen.
"""
import os
import re
import shutil
import subprocess
import tempfile

import servers
from static import cpu_seconds, own_cpu

REDIS = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'peers', 'redis')
WEFT = 'servers/cache/cache-server'
IN_MEMORY = (
    ('redis-server', REDIS, ()),
    ('weft', WEFT, ('--workers', '1')),
)
EVERYSEC = ('--appendonly', 'yes', '--appendfsync', 'everysec')
ON_DISK = (
    ('redis-server', REDIS, EVERYSEC),
    ('weft', WEFT, ('--workers', '1', *EVERYSEC)),
)
# name, what redis-benchmark is told, requests in thousands, the servers
SCENARIOS = (
    ('cache set, -P 1', ('-t', 'set', '-P', '1'), 100, IN_MEMORY),
    ('cache get, -P 1', ('-t', 'get', '-P', '1'), 100, IN_MEMORY),
    ('cache set, -P 16', ('-t', 'set', '-P', '16'), 1000, IN_MEMORY),
    ('cache get, -P 16', ('-t', 'get', '-P', '16'), 1000, IN_MEMORY),
    ('cache set, 10^6 keys, -P 16', ('-t', 'set', '-P', '16', '-r', '1000000'), 500, IN_MEMORY),
    ('cache set, everysec, -P 1', ('-t', 'set', '-P', '1'), 100, ON_DISK),
    ('cache set, everysec, -P 16', ('-t', 'set', '-P', '16'), 1000, ON_DISK),
)
WARM_UP = 20  # thousands of requests


def parse(text):
    """The figures in what redis-benchmark prints; milliseconds become microseconds."""
    rps = re.search(r'throughput summary: ([\d.]+) requests per second', text)
    reached = re.findall(r'^([\d.]+)% <= ([\d.]+) milliseconds', text, re.M)
    if not rps or not reached:
        raise RuntimeError('redis-benchmark: ' + text.strip()[-200:])
    at = lambda percent: next(float(ms) * 1000 for p, ms in reached if float(p) >= percent)
    return {'rps': float(rps[1]), 'p50_us': at(50), 'p99_us': at(99), 'p999_us': at(99.9)}


def benchmark(port, load, thousands):
    command = servers.pin(['redis-benchmark', '-p', str(port), '-c', '50', '-n',
                           str(thousands * 1000), *load], servers.LOAD_CPU)
    done = subprocess.run(command, capture_output=True, text=True, timeout=servers.LOAD_S)
    return {**parse(done.stdout), 'requests': thousands * 1000,
            'errors': len(re.findall('[Ee]rror', done.stdout + done.stderr))}


def drive(folder, server, load, thousands):
    """One server under load: its figures, or why there are none."""
    _, program, arguments = server
    try:
        with tempfile.TemporaryDirectory() as place:
            if program == WEFT:
                arguments = (*arguments, '--dir', place)
            with servers.running(folder, program, arguments) as (process, port):
                benchmark(port, load, WARM_UP)
                server_cpu, client_cpu = cpu_seconds(process.pid), own_cpu()
                figures = benchmark(port, load, thousands)
                server_cpu = cpu_seconds(process.pid) - server_cpu
                seconds = figures['requests'] / figures['rps']
                figures['own_cpu'] = (own_cpu() - client_cpu) / seconds
                figures['server_us_per_request'] = server_cpu * 1e6 / figures['requests']
                return figures
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        return {'failed': str(error)}


def run_all(folder, quick, wanted, say):
    """Every scenario wanted, its servers interleaved; yields name and rows."""
    rounds, share = (1, 0.3) if quick else (3, 1)
    if not shutil.which('redis-benchmark') or not shutil.which('redis-server'):
        return
    for name, load, thousands, peers in SCENARIOS:
        if not wanted(name):
            continue
        runs = {server[0]: [] for server in peers}
        for number in range(rounds):
            say(f'{name}, round {number + 1} of {rounds}')
            for server in peers:
                runs[server[0]].append(drive(folder, server, load, int(thousands * share)))
        yield name, [servers.summarize(who, r, runs['redis-server']) for who, r in runs.items()]
