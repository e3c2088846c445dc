#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tidy.py: house rules that need no compiler.

Each source names its licence; nothing says where on somebody's machine it was written;
no work is left marked as unfinished; a file ends in a newline and has no stray blanks;
every test file is in the list that builds it.
"""
import os
import re

import report

CODE = ('.c', '.h', '.cpp', '.go', '.rs', '.S', '.sh', '.py', '.map', 'meson.build', '/run')
PLACE = re.compile(r'(?<![\w.$}])/(?:work|home|root|farm|Users)/\w')
UNFINISHED = re.compile(r'\b(?:TO' r'DO|FIX' r'ME|X' r'XX|HA' r'CK)\b')
KINDS = ('unit', 'api', 'stress', 'sim', 'fault')


def every(pattern, paths):
    return [f'{path}:{number}: {line.strip()}' for path in paths
            for number, line in report.lines(path) if pattern.search(line)]


def unlisted():
    """Test files that tests/meson.build does not name, and names without a file."""
    build = report.text('tests/meson.build')
    problems = []
    for kind in KINDS:
        found = re.search(rf'^{kind}_tests = \[(.*?)^\]', build, re.M | re.S)
        listed = set(re.findall(r"'(\w+)'", found[1])) if found else set()
        present = {os.path.basename(p)[len('test_'):-len('.c')]
                   for p in report.files(f'tests/{kind}', ending=('.c',))
                   if os.path.basename(p).startswith('test_')}
        problems += [f'tests/{kind}/test_{n}.c is in no list' for n in sorted(present - listed)]
        problems += [f'{kind}_tests names {n}, which is not there'
                     for n in sorted(listed - present)]
    return problems


def main():
    out = report.Report()
    paths = report.files()
    code = [p for p in paths if p.endswith(CODE)]
    out.check('tidy: a licence in every source',
              [p for p in code if 'SPDX-License-Identifier: MIT' not in report.text(p)[:400]])
    out.check("tidy: no path of somebody's machine", every(PLACE, paths))
    out.check('tidy: nothing marked unfinished', every(UNFINISHED, paths))
    out.check('tidy: no blanks at the end of a line',
              every(re.compile(r'[ \t]+$'), [p for p in paths if not p.endswith('.md')]))
    out.check('tidy: a newline at the end of a file',
              [p for p in paths if report.text(p) and not report.text(p).endswith('\n')])
    out.check('tidy: every test is listed, every listed test exists', unlisted())
    out.finish()


main()
