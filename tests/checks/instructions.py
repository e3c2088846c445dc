#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""instructions.py COMPILER PROGRAM [--record]: what the hot paths cost, counted.

Times are too noisy to gate on; the instructions one worker executes are not: two runs differ by
less than 1 %, by 0.3 where more is counted. valgrind counts a run of N and one of 2 N, so what is not the path cancels out.
A path that costs more than instructions.txt says, and 3 %, fails. --record writes that file anew:
for a change that means to cost more, or made something cheaper, and goes into the same commit.

PROGRAM is instruction_paths.c and a library with the options of a release, built by COMPILER
(its name and version). The counts hold for one compiler; with another, and without valgrind,
the check is skipped.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys

import report

RECORD = 'tests/checks/instructions.txt'
HEAD = '''# Instructions per operation, one worker, epoll, release options; see instructions.py.
# Written by: python3 tests/checks/instructions.py COMPILER PROGRAM --record
'''
SLACK = 0.03
OPERATIONS = 10000
# The ends of a run differ by some thousand instructions, which for a short path matters.
OPERATIONS_AGAIN = 4 * OPERATIONS
TIMEOUT_S = 60
SKIPPED = 77


def recorded():
    """(the compiler, the count of each path) in the file."""
    compiler, counts = '', {}
    for _, line in report.lines(RECORD):
        if line and not line.startswith('#'):
            name, value = line.split(None, 1)
            if name == 'compiler':
                compiler = value
            else:
                counts[name] = float(value)
    return compiler, counts


def count(program, path, operations):
    """Instructions of a whole run."""
    done = subprocess.run(
        ['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null', program, path,
         str(operations)], capture_output=True, text=True, timeout=TIMEOUT_S,
        env={**os.environ, 'WEFT_BACKEND': 'epoll'})
    found = re.search(r'Collected : (\d+)', done.stderr)
    if done.returncode != 0 or not found:
        sys.exit(f'{path}: status {done.returncode}\n{done.stderr}')
    return int(found[1])


def cost(program, path, operations):
    """Instructions of one operation."""
    return (count(program, path, 2 * operations) - count(program, path, operations)) / operations


def paths(program):
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.split()


def record(compiler, program):
    lines = [f'{path:16}{cost(program, path, OPERATIONS_AGAIN):.1f}\n' for path in paths(program)]
    with open(os.path.join(report.ROOT, RECORD), 'w', encoding='utf-8') as out:
        out.write(f'{HEAD}{"compiler":16}{compiler}\n' + ''.join(lines))
    print(''.join(lines), end='')


def compare(program, before):
    out, names = report.Report(), paths(program)
    for name in names:
        then, now = before.get(name), cost(program, name, OPERATIONS)
        if then and now > then * (1 + SLACK):
            now = cost(program, name, OPERATIONS_AGAIN)
        problems = []
        if then is None:
            problems = [f'{RECORD} does not have it']
        elif now > then * (1 + SLACK):
            problems = [f'{then:.1f} instructions became {now:.1f}, {100 * (now / then - 1):+.1f} %']
        out.check(f'instructions: {name}: {now:.1f}', problems)
        if then and now < then * (1 - SLACK):
            print(f'    {then:.1f} are recorded: it became cheaper, record that')
    out.check('instructions: every recorded path is there', sorted(set(before) - set(names)))
    out.finish()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('compiler')
    parser.add_argument('program', nargs='?')
    parser.add_argument('--record', action='store_true')
    options = parser.parse_args()
    # Patch releases generate the same code.
    compiler = options.compiler.split('.')[0]
    before = recorded() if os.path.exists(os.path.join(report.ROOT, RECORD)) else ('', {})
    why = None
    if not options.program or (before[0] != compiler and not options.record):
        why = f'the counts hold for {before[0]} on x86_64, this is {options.compiler}'
    elif not shutil.which('valgrind'):
        why = 'no valgrind'
    if why:
        print(f'skipped: instructions: {why}')
        sys.exit(SKIPPED)
    if options.record:
        record(compiler, options.program)
    else:
        compare(options.program, before[1])


main()
