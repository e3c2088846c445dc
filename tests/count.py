#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""count.py LOG...: add up the test cases in meson's testlog.json files.

Prints the programs that failed and what they said of it, what was skipped, and last `N passed, N failed`; exits 1
on a failure, and when nothing ran.
Criterion and our own runner say how many cases they ran; a program that says nothing is
one case. A program that failed without naming a failed case (a crash of the runner, a
timeout) is one failure.
"""
import json
import re
import sys

CRITERION = re.compile(r'Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)')
OURS = re.compile(r'^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$', re.M)
SAID = re.compile(r'^(\[FAIL\]|.*Assertion failed|.*\.c:\d+: |SUMMARY: |==\d+==ERROR)')
COLOUR = re.compile(r'\x1b\[[0-9;]*m')


def cases(test):
    """(passed, failed, skipped) of one program in the log."""
    text = COLOUR.sub('', test.get('stdout', '') + '\n' + test.get('stderr', ''))
    good = test['result'] in ('OK', 'EXPECTEDFAIL')
    passed = failed = skipped = 0
    if test['result'] == 'SKIP':
        return 0, 0, 1
    said = False
    for m in CRITERION.finditer(text):
        said = True
        passed += int(m[2])
        failed += int(m[3])
    for m in OURS.finditer(text):
        said = True
        passed += int(m[1])
        failed += int(m[2])
        skipped += int(m[3] or 0)
    if good and not said:
        passed = 1
    if not good and not failed:
        failed = 1
    return passed, failed, skipped


def what_failed(test):
    """The lines of its output that say what was wrong; the last ones if none does."""
    text = COLOUR.sub('', test.get('stdout', '') + '\n' + test.get('stderr', ''))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [line for line in lines if SAID.match(line)][:6] or lines[-6:]


def main(logs):
    total = [0, 0, 0]
    for log in logs:
        build = log.split('/meson-logs/')[0]
        try:
            with open(log, encoding='utf-8', errors='replace') as lines:
                tests = [json.loads(line) for line in lines if line.strip()]
        except OSError as error:
            print(f'FAILED {log}: {error.strerror}')
            total[1] += 1
            continue
        for test in tests:
            counts = cases(test)
            if counts[1]:
                print(f"FAILED {build}: {test['name']}: {test['result']}, {counts[1]} case(s)")
                for line in what_failed(test):
                    print(f'    {line[:300]}')
            total = [a + b for a, b in zip(total, counts)]
    if total[2]:
        print(f'{total[2]} skipped')
    print(f'{total[0]} passed, {total[1]} failed')
    return 1 if total[1] or not total[0] else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
