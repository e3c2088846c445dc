#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""main.py BUILD [--quick] [--only X] [--peers]: measure, print tables, write the report.

bench/run calls it, in a session of its own, once everything is built.
"""
import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time

import cache
import curves
import micro
import model
import order
import page
import peers
import servers
import static

MICRO_HEAD = ('micro benchmark', 'workers', 'median', 'min', 'max', 'unit', 'goal')
SERVER_HEAD = ('server', 'req/s', 'min', 'max', 'x raw', 'CPU us/req', 'p50 us', 'p99 us',
               'p99.9 us', 'client CPU')

PEER_HEAD = ('question', 'w', 'weft', 'min..max', 'unit', 'must reach', 'verdict')
VERDICT_HEAD = ('server', 'must reach', 'weft', 'verdict')


def say(text):
    if sys.stderr.isatty():
        print(f'\r\033[K{text} ...', end='', file=sys.stderr, flush=True)


def hush():
    if sys.stderr.isatty():
        print('\r\033[K', end='', file=sys.stderr, flush=True)


def first_line(command):
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0]
    except (OSError, IndexError):
        return 'unknown'


def cpu_model():
    with open('/proc/cpuinfo', encoding='utf-8') as lines:
        for line in lines:
            if line.startswith('model name'):
                return line.split(':', 1)[1].strip()
    return platform.machine()


def cpu_times():
    """(all, idle and waiting, stolen by the hypervisor) ticks since boot."""
    with open('/proc/stat', encoding='utf-8') as lines:
        ticks = [int(t) for t in lines.readline().split()[1:9]]
    return sum(ticks), ticks[3] + ticks[4], ticks[7]


def own_group():
    """More weight for our scheduling group, where the kernel has them and permits it."""
    try:
        with open('/proc/self/autogroup', 'w', encoding='ascii') as group:
            group.write('-19')
        return 'of its own, weight -19'
    except OSError:
        return 'shared: other programs compete'


def facts(group):
    count = len(servers.cpus())
    return [
        ('machine', f'{cpu_model()}, {count} CPU{"s" * (count > 1)}'),
        ('kernel', f'{platform.system()} {platform.release()} {platform.machine()}'),
        ('compiler', first_line(['cc', '--version']) + ', buildtype release'),
        ('workers', 'micro: 1 and 2; servers: 1 on CPU 0, load generator on CPU 1'),
        ('scheduling', group),
        ('date', time.strftime('%Y-%m-%d %H:%M')),
    ]


def micro_cells(f):
    if 'failed' in f:
        return [f['name'], str(f['workers']), 'failed: ' + f['failed'], '', '', '', '']
    goal = micro.goal(f)
    return [f['name'], str(f['workers']), f"{f['median']:.2f}", f"{f['min']:.2f}",
            f"{f['max']:.2f}", f['unit'], '' if goal is None else f'{goal:g}']


def server_head(rows):
    """The ratio is to the first row, by the first word of its name."""
    return [h.replace('raw', rows[0]['server'].split()[0]) for h in SERVER_HEAD]


def server_cells(r):
    if 'failed' in r:
        return [r['server'], 'failed: ' + r['failed']] + [''] * 8
    name = r['server'] + (f", {r['errors']} errors" if r['errors'] else '')
    return [name, f"{r['rps']['median']:.0f}", f"{r['rps']['min']:.0f}",
            f"{r['rps']['max']:.0f}", f"{r['ratio']['median']:.3f}" if r['ratio'] else '',
            f"{r['server_us_per_request']['median']:.2f}" if r['server_us_per_request']['max'] else '',
            f"{r['p50_us']['median']:.0f}",
            f"{r['p99_us']['median']:.0f}", f"{r['p999_us']['median']:.0f}",
            f"{r['own_cpu']['median']:.2f}"]


def peer_names(rows):
    """Those who answered any of these questions, in the order of all."""
    return [p for p in peers.PEERS if any(p in row['peers'] for row in rows)]


def peer_cells(row, names):
    start = [row['name'], str(row['workers'])]
    if 'failed' in row:
        return start + ['failed: ' + row['failed']] + [''] * (len(PEER_HEAD) + len(names) - 3)
    cells = start + [f"{row['weft']['median']:.2f}",
                     f"{row['weft']['min']:.2f} .. {row['weft']['max']:.2f}", row['unit'],
                     '' if row['goal'] is None else f"{row['goal']:.4g}", row['verdict']]
    for who in names:
        peer = row['peers'].get(who, {})
        ratio = peer.get('ratio')
        cells.append('failed' if 'failed' in peer else f"{ratio['median']:.2f}" if ratio else '')
    return cells


def print_table(head, rows):
    widths = [max(len(row[i]) for row in [head] + rows if len(row) > i and
                  not row[min(i, len(row) - 1)].startswith('failed')) for i in range(len(head))]
    for row in [head] + rows:
        print('  ' + row[0].ljust(widths[0]) + ''.join(
            '  ' + cell.rjust(width) for cell, width in zip(row[1:], widths[1:])).rstrip())
    sys.stdout.flush()


def measure_peers(folder, options, wanted, results, sections):
    """weft beside the peers, question by question; then how both scale."""
    results['peers'], results['scaling'] = [], []
    for group, rows in peers.run_all(folder, options.quick, wanted, len(servers.cpus()), say):
        hush()
        names = peer_names(rows)
        head, cells = [*PEER_HEAD, *names], [peer_cells(r, names) for r in rows]
        print(f'\n{group}; a peer: its figure as a multiple of weft\'s, above 1 weft takes less')
        print_table(head, cells)
        print(''.join(f'  failed: {why}\n' for why in peers.failures(rows)), end='')
        results['peers'] += rows
        sections.append(page.peers_section(group, head, cells, rows))
    judged = [r for r in results['peers'] if r.get('verdict')]
    if judged:
        reached = sum(r['verdict'] == 'reached' for r in judged)
        print(f'\n{reached} of {len(judged)} figures reach what they must')
    for title, x_title, series in peers.run_scaling(folder, options.quick, wanted, say):
        hush()
        print_curves(title, x_title, series)
        results['scaling'].append({'title': title, 'x': x_title, 'series': series})
        sections.append(page.scaling_section(title, x_title, series))


def print_curves(title, x_title, series):
    xs = sorted({x for line in series.values() for x, _ in line})
    print(f'\n{title}, ns each')
    print_table([x_title, *(str(x) for x in xs)],
                [[who, *(f'{dict(line)[x]:.1f}' if x in dict(line) else '-' for x in xs)]
                 for who, line in series.items()])


def measure_curves(folder, options, wanted, results, sections):
    """Cost curves: whole if asked for, else the short ones."""
    short, found, count = options.quick or not options.only, [], 0
    results['curves'] = []
    for title, x_title, series, cliffs in curves.run_all(folder, short, wanted, say):
        hush()
        print_curves(title, x_title, series)
        found += cliffs
        count += sum(len(line) > 1 for line in series.values())
        results['curves'].append({'title': title, 'x': x_title, 'series': series})
        sections.append(page.scaling_section(title, x_title, series))
    if count:
        words = found or [f'no cliff in {count} curves: no step of more than {curves.COUNT_STEP:g} times '
                          f'per size, {curves.WORKER_STEP:g} times per number of workers']
        print()
        for text in words:
            print(f'cliff: {text}' if found else text)
        results['cliffs'] = found
        sections.append('<h3>Cliffs</h3>' + page.table(['what'], [[w] for w in words]))


def measure(options, results, sections):
    def wanted(name):
        return not options.only or options.only in name

    folder = os.path.join(options.build, 'bench')
    if options.peers:
        measure_peers(folder, options, wanted, results, sections)
    else:
        measure_micro(folder, options, wanted, results, sections)
        measure_curves(folder, options, wanted, results, sections)
    measure_order(folder, options, wanted, results, sections)
    if not options.peers:
        measure_model(folder, options, wanted, sections)
    measure_servers(folder, options, wanted, results, sections)


def measure_micro(folder, options, wanted, results, sections):
    figures = list(micro.run_all(folder, options.quick, wanted, len(servers.cpus()), say))
    hush()
    if figures:
        results['micro'] = figures
        print_table(list(MICRO_HEAD), [micro_cells(f) for f in figures])
        sections.append(page.micro_section(figures, MICRO_HEAD, micro_cells))


def measure_order(folder, options, wanted, results, sections):
    """What order costs: against tasks without one, so it has no peers."""
    figures, tables = order.run_all(folder, options.quick, wanted, len(servers.cpus()), say)
    hush()
    results.setdefault('micro', []).extend(figures)
    for name, head, rows in tables:
        print(f'\n{name}')
        print_table(head, rows)
        sections.append(f'<h2>{name}</h2>' + page.table(head, rows))


def measure_model(folder, options, wanted, sections):
    """What more workers than this machine has would do."""
    tables = model.run_all(folder, options.quick, wanted, say)
    hush()
    for name, head, rows in tables:
        print(f'\n{name}')
        print_table(head, rows)
        sections.append(f'<h2>{name}</h2>' + page.table(head, rows))
    if tables:
        sections.append('<h2>model: speed-up</h2>' + model.curves(tables))


def measure_servers(folder, options, wanted, results, sections):
    results['servers'], verdicts = {}, []
    for source, more in ((servers, {'peers': options.peers}), (static, {}), (cache, {})):
        for name, rows in source.run_all(folder, options.quick, wanted, say, **more):
            verdicts += peers.server_verdicts(name, rows)
            hush()
            results['servers'][name] = rows
            print(f'\n{name}')
            print_table(server_head(rows), [server_cells(r) for r in rows])
            sections.append(page.server_section(name, server_head(rows), rows, server_cells))
    if verdicts:
        results['server_verdicts'] = verdicts
        print('\nwhat servers must reach, medians over the rounds')
        print_table(list(VERDICT_HEAD), verdicts)
        sections.append('<h2>What servers must reach</h2>' + page.table(VERDICT_HEAD, verdicts))
    wrk = list(servers.run_wrk(folder, options.quick, wanted, say))
    hush()
    if wrk:
        results['wrk'] = wrk
        rows = [[name, f'{rps:.0f}'] for name, rps in wrk]
        print('\nhttp hello, wrk -t1 -c64')
        print_table(['server', 'req/s'], rows)
        sections.append('<h2>http hello, wrk -t1 -c64</h2>' + page.table(['server', 'req/s'], rows))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build')
    parser.add_argument('--quick', action='store_true')
    parser.add_argument('--only', default='')
    parser.add_argument('--peers', action='store_true')
    options = parser.parse_args()
    # The way out is the ordinary one, so that every server that runs is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    start, before = time.monotonic(), cpu_times()
    about = facts(own_group())
    for key, value in about:
        print(f'{key + ":":12}{value}')
    print()
    results, sections = {'facts': dict(about)}, []
    measure(options, results, sections)
    spent = [b - a for a, b in zip(before, cpu_times())]
    about.append(('stolen', f'{100 * spent[2] / max(spent[0], 1):.1f} % of CPU time went to '
                  'the hypervisor'))
    about.append(('took', f'{time.monotonic() - start:.0f} s'))
    for key, value in about[-2:]:
        print(f'{key + ":":12}{value}')
    report = os.path.join(options.build, 'report.html')
    page.write(report, about, sections)
    with open(os.path.join(options.build, 'report.json'), 'w', encoding='utf-8') as out:
        json.dump(results, out, indent=1)
    print(f'report: {report}')


if __name__ == '__main__':
    main()
