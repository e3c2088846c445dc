# SPDX-License-Identifier: MIT
"""What the checks written in Python share: the tree, its text, and the closing line."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ('include', 'lib', 'tests', 'bench', 'docs', '.ci')
TOP = ('meson.build', 'README.md', 'LICENSE', '.gitignore', '.clang-format', '.editorconfig')
BINARY = ('.png', '.svg', '.pyc', '.o', '.so', '.a')


class Report:
    """Counts the things looked at; each problem is printed with its place."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, name, problems):
        if problems:
            self.failed += 1
            print(f'[FAIL] {name}')
            for problem in problems[:40]:
                print(f'    {problem}')
        else:
            self.passed += 1
            print(f'ok: {name}')

    def finish(self):
        print(f'{self.passed} passed, {self.failed} failed')
        sys.exit(1 if self.failed else 0)


def files(*under, ending=()):
    """Paths relative to the root, sorted."""
    found = []
    for folder in under or FOLDERS:
        for where, folders, names in os.walk(os.path.join(ROOT, folder)):
            folders[:] = [f for f in folders if f != '__pycache__']
            found += [os.path.relpath(os.path.join(where, n), ROOT) for n in names]
    if not under:
        found += [n for n in TOP if os.path.exists(os.path.join(ROOT, n))]
    found = [f for f in found if not f.endswith(BINARY)]
    return sorted(f for f in found if not ending or f.endswith(tuple(ending)))


def text(path):
    with open(os.path.join(ROOT, path), encoding='utf-8') as stream:
        return stream.read()


def lines(path):
    return enumerate(text(path).splitlines(), 1)


def without_comments(code):
    """C text with comments blanked, line numbers kept."""
    blank = lambda m: re.sub(r'[^\n]', ' ', m[0])
    return re.sub(r'/\*.*?\*/|//[^\n]*', blank, code, flags=re.S)
