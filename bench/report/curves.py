# SPDX-License-Identifier: MIT
"""The cost curves: ns per operation as tasks, timers, connections, chains and workers grow, and whether there
is a cliff.

A figure is the least of three rounds: other programs on the machine only add. Where memory or descriptors do
not suffice for a size, the curve ends before it.
"""
import micro
import peers

ROUNDS = '3'
COUNTS = (100, 1000, 10000, 100000, 1000000)
CONNECTIONS = (100, 300, 1000, 3000, 9900)  # two descriptors each; many systems allow 20,000 or so
WORKERS = (1, 2, 4, 8, 16, 32, 64)

# How many times as much an operation may cost as at the size before: ten times as many things leave one cache
# for the next, twice as many workers share the same processors.
COUNT_STEP, WORKER_STEP = 4.0, 3.0
# Below this a worker's step is between two small numbers: what one worker does by itself, and what two share.
SMALL_NS = 50

# title, what x is, its values, program, {line: figure}
GROWING = (
    ('tasks created and gathered', 'tasks', COUNTS, 'gather', {'gather': 'create_100k_gather'}),
    ('tasks asleep at once', 'tasks', COUNTS, 'sleepers', {'create, sleep, wake, end': 'sleeper_us'}),
    ('timers alive', 'timers', COUNTS, 'timers', {'arm': 'timers_create', 'cancel': 'timers_cancel'}),
    ('links of a chain', 'links', COUNTS, 'chain', {'warm': 'chain', 'fresh memory': 'chain_cold'}),
    ('chains of ten', 'chains', COUNTS[:-1], 'chain_count', {'per link': 'chain_count'}),
    ('connections', 'connections', CONNECTIONS, 'connections',
     {'all active': 'connections', '100 active': 'connections_100'}),
)
# program, its figure, n, n of a quick run
BY_WORKERS = (
    ('fib', 'fib', 25, 20),
    ('create_many', 'create_1000_join_1000', 200, 50),
    ('pingpong', 'pingpong', 50000, 10000),
    ('fanin', 'chan_1000x1000', 100, 20),
    ('mutex', 'mutex_1000x1000', 100, 20),
)


def one(folder, program, workers, n):
    """{figure: ns} of one run; empty where it fails."""
    found = micro.run_program(folder, program, workers, ('--rounds', ROUNDS, '--n', str(n)))
    return {f['name']: f['min'] * (1000 if f['unit'].startswith('us/') else 1)
            for f in found if 'failed' not in f}


def growing(folder, quick, wanted, say):
    for title, x_title, xs, program, lines in GROWING:
        if not wanted(f'curves {program}'):
            continue
        series = {line: [] for line in lines}
        for x in xs[:-1] if quick else xs:
            if not peers.affordable(x):
                break
            say(f'{title}, {x}')
            figures = one(folder, program, 1, x)
            if not figures:
                break
            for line, name in lines.items():
                series[line].append((x, figures[name]))
        yield title + ', one worker', x_title, series, COUNT_STEP


def by_workers(folder, quick, wanted, say):
    series = {}
    for program, name, n, quick_n in BY_WORKERS:
        if not wanted(f'curves workers {program}'):
            continue
        series[program] = []
        for workers in WORKERS[::2] if quick else WORKERS:
            say(f'{program}, {workers} workers')
            figures = one(folder, program, workers, quick_n if quick else n)
            if figures:
                series[program].append((workers, figures[name]))
    if series:
        yield 'workers', 'workers', series, WORKER_STEP


def cliffs(title, series, bound):
    """[what is a cliff]: a step between neighbours of more than the bound."""
    found = []
    for line, points in series.items():
        for (x0, y0), (x1, y1) in zip(points, points[1:]):
            allowed = bound * (max(y0, SMALL_NS) if title == 'workers' else y0)
            if y1 > allowed:
                found.append(f'{title}, {line}: {y0:.0f} ns at {x0}, {y1:.0f} at {x1}, '
                             f'{y1 / y0:.1f} times as much (bound {bound:g})')
    return found


def run_all(folder, quick, wanted, say):
    """Yields (title, what x is, {line: [(x, ns)]}, [cliffs])."""
    for source in growing, by_workers:
        for title, x_title, series, bound in source(folder, quick, wanted, say):
            yield title, x_title, series, cliffs(title, series, bound)
