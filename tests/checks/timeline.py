#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""timeline.py PROGRAM: each order keeps its word, by the trace of bench/order/timeline.c.

Traces of several runs, and the one the guide's pictures are drawn from, are held against what
docs/guide/ordering.md says of each mode; traces that break it must be noticed. The pictures in
docs/guide are what bench/order/draw.py makes of that trace.
"""
import itertools
import os
import subprocess
import sys
import tempfile

import report

sys.path.insert(0, os.path.join(report.ROOT, 'bench', 'order'))
sys.dont_write_bytecode = True
import draw

DRAW = os.path.join(report.ROOT, 'bench', 'order', 'draw.py')
GUIDE = os.path.join(report.ROOT, 'docs', 'guide')
MEMBERS = 'ABC'
MODES = tuple(draw.TITLES)
LIMIT_S = 60
# workers, segments, the unit in microseconds. In the last one members hold their worker for so long that
# another worker takes the others over: what is not kept apart by an order runs at once.
RUNS = ((1, 2, 500), (2, 2, 500), (2, 3, 200), (4, 2, 500), (4, 20, 50), (2, 2, 10000))


def one_at_a_time(spans):
    """Spans by beginning; each ends before the next one begins."""
    return [f'{b.member}{b.segment} begins {a.end_ns - b.begin_ns} ns before '
            f'{a.member}{a.segment} ends' for a, b in itertools.pairwise(spans)
            if b.begin_ns < a.end_ns]


def in_this_order(spans, want):
    """The same, and these members and segments in this order."""
    got = [(s.member, s.segment) for s in spans]
    return one_at_a_time(spans) + ([] if got == want else [
        'the order is ' + ' '.join(f'{m}{s}' for m, s in got)])


def lives(spans):
    """Each member runs its segments once and in order, and does one thing at a time."""
    problems = []
    last = max(s.segment for s in spans)
    for member in MEMBERS:
        own = sorted((s for s in spans if s.member == member), key=lambda s: (s.begin_ns, s.end_ns))
        problems += one_at_a_time(own)
        ran = [s.segment for s in draw.runs(own)]
        if ran != list(range(1, last + 1)):
            problems.append(f'{member} ran {ran}')
    return problems


def chain(spans):
    ran, last = draw.runs(spans), max(s.segment for s in spans)
    return in_this_order(ran, [(m, s) for m in MEMBERS for s in range(1, last + 1)])


def start(spans):
    return in_this_order([s for s in draw.runs(spans) if s.segment == 1],
                         [(m, 1) for m in MEMBERS])


def arrival(spans):
    return one_at_a_time(draw.runs(spans)) + start(spans)


def arrival_on_one_worker(spans):
    """There, waits end in the order of their times."""
    due = {(s.member, s.segment + 1): s.end_ns for s in spans if s.kind == 'wait'}
    woken = [(s.member, s.segment) for s in draw.runs(spans) if s.segment > 1]
    return [f'{b[0]}{b[1]} waited longer than {a[0]}{a[1]}'
            for a, b in itertools.pairwise(woken) if due[b] < due[a]]


def turn(spans):
    ran, last = draw.runs(spans), max(s.segment for s in spans)
    return in_this_order(ran, [(m, s) for s in range(1, last + 1) for m in MEMBERS])


def commit(spans):
    last = max(s.segment for s in spans)
    return in_this_order([s for s in draw.runs(spans) if s.kind == 'commit'],
                         [(m, last) for m in MEMBERS])


RULES = {'unordered': lambda spans: [], 'chain': chain, 'start': start, 'arrival': arrival,
         'turn': turn, 'commit': commit}


def record(program, workers, segments, unit):
    done = subprocess.run([program, '--workers', str(workers), '--segments', str(segments),
                           '--unit', str(unit)], capture_output=True, text=True, timeout=LIMIT_S)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def judge(out, name, modes):
    out.check(f'timeline: {name}: every mode is there', [m for m in MODES if m not in modes])
    for mode, spans in modes.items():
        out.check(f'timeline: {name}: {mode}', lives(spans) + RULES[mode](spans))


def with_sections(spans):
    last = max(s.segment for s in spans)
    return [s._replace(kind='commit') if s.kind == 'run' and s.segment == last else s
            for s in spans]


def broken(modes):
    """Name, rule and a trace that the rule must not let pass."""
    free, round_robin = modes['unordered'], modes['turn']
    yield 'a missing segment', lives, [s for s in free if (s.member, s.segment) != ('B', 2)]
    for mode in ('chain', 'start', 'arrival', 'turn'):
        yield f'no order as {mode}', RULES[mode], free
    yield 'no order as commit', commit, with_sections(free)
    yield 'turns as a chain', chain, round_robin
    yield 'a chain as turns', turn, modes['chain']
    yield 'arrival as turns', turn, modes['arrival']
    yield 'turns as arrival on one worker', arrival_on_one_worker, round_robin
    early = next(s for s in round_robin if (s.member, s.segment, s.kind) == ('B', 2, 'run'))
    moved = [s._replace(begin_ns=s.begin_ns - 100000) if s is early else s for s in round_robin]
    yield 'a turn that begins early', turn, moved
    yield 'the same as arrival', arrival, moved


def overlap(spans, first, second):
    a, b = ([s for s in spans if f'{s.member}{s.segment}' == name and s.kind in kinds]
            for name, kinds in (first, second))
    return bool(a and b and a[0].begin_ns < b[0].end_ns and b[0].begin_ns < a[0].end_ns)


def guide_says(modes):
    """What the pictures are to show beyond what is guaranteed."""
    run, wait = ('run', 'commit'), ('wait',)
    shown = {
        'unordered: A1 beside B1': overlap(modes['unordered'], ('A1', run), ('B1', run)),
        'start: B2 beside C2': overlap(modes['start'], ('B2', run), ('C2', run)),
        'commit: A1 beside B1': overlap(modes['commit'], ('A1', run), ('B1', run)),
        'arrival: the sequence': draw.sequence(modes['arrival']) == 'A1 B1 C1 C2 B2 A2',
        'chain: no waits overlap': not overlap(modes['chain'], ('A1', wait), ('B1', wait)),
        **{f'{m}: waits overlap': overlap(modes[m], ('A1', wait), ('B1', wait))
           for m in MODES if m != 'chain'},
    }
    return [what for what, is_so in shown.items() if not is_so]


def drawn(trace, folder):
    return subprocess.run([sys.executable, DRAW, trace, folder], capture_output=True, text=True,
                          timeout=LIMIT_S)


def pictures(out, trace):
    """The trace's pictures are those of the guide; a trace that is none is refused."""
    with tempfile.TemporaryDirectory() as folder:
        done = drawn(trace, folder)
        out.check('timeline: draw.py accepts the trace', [done.stderr] if done.returncode else [])
        names = [f'ordering-{mode}.svg' for mode in MODES]
        out.check('timeline: a picture per mode', sorted(set(names) ^ set(os.listdir(folder))))
        for name in names:
            with open(os.path.join(folder, name), encoding='utf-8') as got:
                same = got.read() == report.text(f'docs/guide/{name}')
            out.check(f'timeline: docs/guide/{name} is up to date',
                      [] if same else ['bench/order/draw.py docs/guide/ordering.tsv docs/guide'])
        bad = os.path.join(folder, 'bad.tsv')
        for what, line in (('too short', 'turn\tA\t1\trun\t0\t1'),
                           ('an unknown mode', 'turns\tA\t1\trun\t0\t1\t2'),
                           ('time that runs backwards', 'turn\tA\t1\trun\t0\t2\t1'),
                           ('nobody who runs', 'turn\tA\t1\trun\t-\t1\t2')):
            with open(bad, 'w', encoding='utf-8') as stream:
                stream.write('\t'.join(draw.HEAD) + '\n' + line + '\n')
            done = drawn(bad, folder)
            out.check(f'timeline: draw.py refuses {what}',
                      [] if done.returncode == 1 and 'bad.tsv: ' in done.stderr else [str(done)])


def main():
    out = report.Report()
    trace = os.path.join(GUIDE, 'ordering.tsv')
    modes = draw.read(report.text('docs/guide/ordering.tsv').splitlines())
    judge(out, 'the guide', modes)
    out.check('timeline: the guide shows what it says', guide_says(modes))
    for name, rule, spans in broken(modes):
        out.check(f'timeline: noticed: {name}', [] if rule(spans) else ['it was not'])
    pictures(out, trace)
    for workers, segments, unit in RUNS:
        name = f'{workers} worker{"s" * (workers > 1)}, {segments} segments'
        modes = draw.read(record(sys.argv[1], workers, segments, unit).splitlines())
        judge(out, name, modes)
        if workers == 1:
            out.check(f'timeline: {name}: arrival by the time of each sleep',
                      arrival_on_one_worker(modes['arrival']))
        draw.draw(modes)
    out.finish()


main()
