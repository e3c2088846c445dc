# SPDX-License-Identifier: MIT
"""The peers: the questions of the micro benchmarks, asked of weft and of other systems in turn, and
whether weft reaches what it must.

Every program prints the same lines (micro.py), and is told to run one round, which one more that is
not counted precedes; rounds go round the systems, so a machine whose speed wanders takes all along,
and ratios are taken inside a round before their median is.
"""
import os
import shutil
import statistics
import subprocess
import tempfile

import micro
import servers

ROUNDS, QUICK_ROUNDS = 5, 2

# name: program, arguments after the question, whether it has several workers
PEERS = {
    'serial C': ('peers/peer-serial', (), False),
    'OpenMP': ('peers/peer-openmp', (), True),
    'oneTBB': ('peers/peer-tbb', (), True),
    'Go': ('peers/peer-go', (), True),
    'Tokio': ('peers/peer-tokio', (), True),
    'Boost.Fiber': ('peers/peer-fiber', (), False),
    'uvloop': (servers.PYTHON, ('--loop', 'uvloop'), False),
    'asyncio': (servers.PYTHON, (), False),
    'fio': ('', (), False),
    'raw ring': ('peers/peer-ring-read', (), False),
}
TREES = ('serial C', 'OpenMP', 'oneTBB')
TASKS = ('Go', 'Tokio', 'Boost.Fiber', 'uvloop', 'asyncio')
BOTH, ONE = micro.BOTH, micro.ONE

# title, rows: weft's program, the peers' question, numbers of workers, the peers, n of a quick run
GROUPS = (
    ('Fork-join', (
        ('fib', 'fib', BOTH, TREES + ('Go', 'Tokio'), 18),
        ('skynet', 'skynet', BOTH, TREES, 10000),
        ('create_join', 'create_join', BOTH, TREES[1:] + TASKS, 5000),
        ('create_many', 'create_1000_join_1000', BOTH, TREES[1:] + TASKS, 5),
        ('queens', 'queens', BOTH, TREES, 9),
        ('uts', 'uts_t1', BOTH, TREES, 0),
        ('uts_deep', 'uts_t3', BOTH, TREES, 0),
    )),
    ('Tasks, waits, messages', (
        ('await', 'create_await', BOTH, TASKS, 5000),
        ('gather', 'create_100k_gather', BOTH, TREES[1:] + TASKS, 5000),
        ('yield', 'yield', ONE, TASKS, 5000),
        ('pingpong', 'pingpong', BOTH, TASKS, 5000),
        ('fanin', 'chan_1000x1000', BOTH, TASKS, 10),
        ('mutex', 'mutex_1000x1000', BOTH, TASKS, 10),
        ('chain', 'chain', ONE, TASKS, 5000),
        ('chains', 'chains', (2,), (), 2),
        ('timeout', 'timeout', ONE, ('Go', 'Tokio', 'uvloop', 'asyncio'), 5000),
        ('timers', 'timers_create', ONE, ('Go', 'Tokio', 'uvloop', 'asyncio'), 5000),
        ('wheel', 'wheel_arm', ONE, (), 100000),
        ('skynet_chan', 'skynet_chan', BOTH, ('Go', 'Tokio'), 10000),
    )),
    ('Memory and idle', (
        ('sleepers', 'sleepers', ONE, ('Go', 'Tokio', 'Boost.Fiber', 'uvloop', 'asyncio'), 10000),
        ('idle', 'idle', BOTH, (), 300),
        ('hog', 'hog', (2,), (), 0),
    )),
    ('Files', (
        ('file_hot', 'file_hot', ONE, ('raw ring',), 20000),
        ('file_many', 'file_many', ONE, ('Go', 'Tokio'), 2000),
        ('file_direct', 'file_direct', ONE, ('fio',), 2000),
    )),
)

# What weft may take of a peer's time, where that is what it must reach.
RELATIVE = {'file_direct': ('fio', 1 / 0.98), 'file_direct_cpu': ('fio', 1.0)}

# How figures change with the number of tasks, and of workers: the question, the systems.
TASK_COUNTS = (100, 1000, 10000, 100000, 1000000)
TASK_KIB = 6
WORKER_COUNTS = (1, 2, 4, 8, 16, 32, 64)
SCALING = (
    ('tasks gathered', 'gather', 'create_100k_gather', ('oneTBB', 'Go', 'Tokio')),
    ('links of a chain', 'chain', 'chain', ('Go', 'Tokio')),
    ('timers alive', 'timers', 'timers_create', ('Go', 'Tokio')),
)
WORKERS = (
    ('fib', 'fib', 'fib', ('oneTBB', 'Tokio'), 25),
    ('a thousand created and joined', 'create_many', 'create_1000_join_1000',
     ('oneTBB', 'Go', 'Tokio'), 200),
    ('fan-in to one channel', 'fanin', 'chan_1000x1000', ('Go', 'Tokio'), 100),
)


def there(folder, peer):
    if peer == 'fio':
        return shutil.which('fio') is not None
    if peer == 'uvloop' and not os.path.exists(servers.UVLOOP):
        return False
    return os.path.exists(os.path.join(folder, PEERS[peer][0]))


def ask(folder, who, program, question, workers, arguments):
    """One run: a dict of figures by name; or of the one name, with why there is none."""
    if who == 'weft':
        command = [f'{folder}/micro/micro-{program}']
    else:
        path, extra, _ = PEERS[who]
        command = [os.path.join(folder, path), question, *extra]
    figures = micro.run_command([*command, '--workers', str(workers), *arguments], question, workers)
    return {f['name']: f for f in figures}


def ask_fio(place, quick):
    """fio's turn of a round: the same reads, at each depth."""
    figures = {}
    for depth in micro.FIO_DEPTHS:
        try:
            wall, cpu = micro.fio_once(place, depth, 1 if quick else 2)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            return {'fio': {'failed': str(error)}}
        figures[f'file_direct_{depth}'] = {'median': wall}
        figures[f'file_direct_cpu_{depth}'] = {'median': cpu}
    return figures


def spread(values):
    return {'median': statistics.median(values), 'min': min(values), 'max': max(values)}


def gather_rows(group, runs):
    """Rows from {who: [dict of figures, one a round]}: one row for each figure that weft has."""
    for name in runs['weft'][0]:
        first = runs['weft'][0][name]
        row = {'group': group, 'name': name, 'workers': first['workers'], 'peers': {}}
        good = [r[name]['median'] for r in runs['weft'] if 'failed' not in r.get(name, {'failed': 1})]
        if not good:
            yield {**row, 'failed': first.get('failed', 'no figure')}
            continue
        row.update(unit=first['unit'], weft=spread(good))
        for who, rounds in runs.items():
            both = [(peer[name]['median'], weft[name]['median'])
                    for peer, weft in zip(rounds, runs['weft'])
                    if 'median' in peer.get(name, {}) and 'median' in weft.get(name, {})]
            ratios = [a / b for a, b in both if b > 0]
            if who != 'weft' and both:
                row['peers'][who] = {**spread([a for a, _ in both]),
                                     'ratio': spread(ratios) if ratios else None}
            elif who != 'weft' and any('failed' in f for r in rounds for f in r.values()):
                row['peers'][who] = {'failed': next(
                    f['failed'] for r in rounds for f in r.values() if 'failed' in f)}
        yield {**row, **verdict(row)}


def verdict(row):
    """What weft must reach, and whether it does: by the goal, or by a peer's figure."""
    goal = micro.goal(row)
    base = row['name'].rstrip('0123456789').rstrip('_')
    if base in RELATIVE and goal is None:
        who, share = RELATIVE[base]
        peer = row['peers'].get(who)
        goal = peer['median'] * share if peer and 'median' in peer else None
    if goal is None:
        return {'goal': None, 'verdict': ''}
    median = row['weft']['median']
    if median <= goal:
        return {'goal': goal, 'verdict': 'reached'}
    return {'goal': goal, 'verdict': f'{median / goal:.2f} x' if goal else 'missed'}


def run_row(folder, quick, cpus, say, group, row):
    program, question, worker_counts, peers, quick_n = row
    arguments = ['--rounds', '1'] + (['--n', str(quick_n)] if quick and quick_n else [])
    for workers in worker_counts:
        if workers > cpus:
            continue
        asked = [p for p in peers if there(folder, p) and (workers == 1 or PEERS[p][2])]
        runs = {who: [] for who in ('weft', *asked)}
        rounds = QUICK_ROUNDS if quick else ROUNDS
        with tempfile.TemporaryDirectory(dir=os.environ.get('TMPDIR', '/var/tmp')) as place:
            for number in range(rounds):
                for who in runs:
                    say(f'{question}, {workers}w, {who}, round {number + 1} of {rounds}')
                    runs[who].append(
                        ask_fio(place, quick) if who == 'fio' else
                        ask(folder, who, program, question, workers, arguments))
        yield from gather_rows(group, runs)


def run_all(folder, quick, wanted, cpus, say):
    """Yields (title of a group, its rows)."""
    for group, rows in GROUPS:
        found = [figure for row in rows if wanted(f'micro {row[0]} {row[1]}')
                 for figure in run_row(folder, quick, cpus, say, group, row)]
        if found:
            yield group, found


def failures(rows):
    """[why a peer has no figure], once for each row."""
    return [f"{row['name']}, {row['workers']}w, {who}: {peer['failed']}"
            for row in rows for who, peer in row['peers'].items() if 'failed' in peer]


def affordable(tasks):
    """Whether that many tasks asleep, of the system that holds most, fit in what memory is free."""
    with open('/proc/meminfo', encoding='ascii') as lines:
        free = next(int(line.split()[1]) for line in lines if line.startswith('MemAvailable'))
    return tasks * TASK_KIB < free * 2 / 3


def curve(folder, who, program, question, points, say):
    """[(x, the figure)] for points of (x, workers, n); stops where a system or memory fails."""
    found = []
    for x, workers, n in points:
        if not affordable(n):
            break
        say(f'{question}, {who}, {x}')
        figure = ask(folder, who, program, question, workers,
                     ['--rounds', '3', '--n', str(n)]).get(question, {})
        if 'median' not in figure:
            break
        found.append((x, figure['median']))
    return found


def run_scaling(folder, quick, wanted, say):
    """Yields (title, what x is, {system: [(x, ns)]})."""
    most = 10000 if quick else TASK_COUNTS[-1]
    for title, program, question, peers in SCALING:
        if wanted('scaling ' + program):
            points = [(n, 1, n) for n in TASK_COUNTS if n <= most]
            yield title + ', one worker', 'tasks', {
                who: curve(folder, who, program, question, points, say)
                for who in ('weft', *(p for p in peers if there(folder, p)))}
    for title, program, question, peers, n in WORKERS:
        if wanted('scaling ' + program):
            size = max(n // 10, 20) if quick else n
            points = [(w, w, size) for w in WORKER_COUNTS[:3 if quick else None]]
            yield title, 'workers', {
                who: curve(folder, who, program, question, points, say)
                for who in ('weft', *(p for p in peers if there(folder, p)))}


# What must be reached of a server: by scenario, (what, the figure, compared with, at least or at most).
SERVER_GOALS = {
    'echo 64 B, 1 connection': (('rps', None, 40000),),
    'echo 64 B, 8 connections': (('rps', None, 290000),),
    'echo 64 B, 50 connections': (('rps', 'raw io_uring', 0.97), ('rps', 'raw epoll', 1.0),
                                  ('p99_us', 'raw epoll', 1.0)),
    'echo 64 B, 1000 connections': (('rps', 'raw io_uring', 0.95), ('rps', 'raw epoll', 1.0),
                                    ('p99_us', 'raw epoll', 1.0),
                                    ('p999_us', 'raw epoll', 1.0)),
    'echo 64 B, 10000 connections': (('p99_us', 'raw epoll', 1.0),
                                     ('p999_us', 'raw epoll', 1.0)),
    'http hello, 64 connections': (('rps', 'raw io_uring', 0.93), ('rps', 'nginx', 1.3)),
    'http hello, 512 connections': (('rps', 'raw io_uring', 0.93), ('rps', 'nginx', 1.3)),
}
AT_MOST = {'p99_us': 'p99 at most', 'p999_us': 'p99.9 at most'}


def round_ratios(mine, other, key):
    return [a[key] / b[key] for a, b in zip(mine['runs'], other['runs'])
            if a.get(key) and b.get(key)]


def server_verdicts(name, rows):
    """[(scenario, what must be reached, what was, the verdict)]."""
    by_name = {r['server']: r for r in rows if 'failed' not in r}
    mine, found = by_name.get('weft'), []
    for key, against, share in SERVER_GOALS.get(name, ()) if mine else ():
        if against is None:
            value, must = mine[key]['median'], f'{share / 1000:.0f}k requests/s'
            shown = f'{value / 1000:.1f}k'
        elif against in by_name:
            value = statistics.median(round_ratios(mine, by_name[against], key))
            must = f"{AT_MOST.get(key, 'requests/s at least')} {share:.2f} x {against}"
            shown = f'{value:.3f}'
        else:
            continue
        reached = value <= share if key in AT_MOST else value >= share
        found.append([name, must, shown, 'reached' if reached else 'missed'])
    return found
