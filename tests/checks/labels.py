#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""labels.py: every ordering edge has a name, two ends and a line in docs/ORDERING.md.

A label is two capitals and a number (PK1). In code it stands at the start of a comment
beside the operation, alone or with others: `/* PK1 */`, `/* PK1, PK2: why */`.
"""
import os
import re
from collections import defaultdict

import report

DOC = 'docs/ORDERING.md'
LABEL = r'[A-Z]{2}[0-9]+'
COMMENT = re.compile(rf'/\*\s*({LABEL}(?:\s*(?:,|and|\+|/)\s*{LABEL})*)\s*(?:\*/|[:.,;(-])')
ORDER = re.compile(r'\bmemory_order_\w+|\batomic_(?:load|store|exchange|fetch|compare)\w*\b'
                   r'|\b__ATOMIC_\w+|\b__sync_\w+')
ATOMICS = 'lib/base/atomic.h'


def main():
    out = report.Report()
    ends = defaultdict(list)
    orders = []
    for path in report.files('lib', ending=('.c', '.h', '.S')):
        for number, line in report.lines(path):
            for group in COMMENT.findall(line):
                for label in re.findall(LABEL, group):
                    ends[label].append(f'{path}:{number}')
        if path != ATOMICS:
            code = report.without_comments(report.text(path))
            for number, line in enumerate(code.splitlines(), 1):
                for word in ORDER.findall(line):
                    orders.append(f'{path}:{number}: {word}')
    listed = set()
    if os.path.exists(os.path.join(report.ROOT, DOC)):
        listed = set(re.findall(rf'\b{LABEL}\b', report.text(DOC)))
    out.check('labels: each in the code is in ORDERING.md',
              [f'{label}: only at {", ".join(where)}'
               for label, where in sorted(ends.items()) if label not in listed])
    out.check('labels: each in ORDERING.md has two ends in the code',
              [f'{label}: {", ".join(ends[label]) or "nowhere"}'
               for label in sorted(listed) if len(ends[label]) < 2])
    out.check(f'orders: only {ATOMICS} spells them', orders)
    out.finish()


main()
