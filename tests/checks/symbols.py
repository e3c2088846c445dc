#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""symbols.py LIBWEFT.SO LIBWEFT.A: what the libraries export and how they are linked.

The shared library exports exactly the calls marked WEFT_API in include/. The archive
hides nothing from a linker, so every global name in it starts with weft_.
"""
import re
import subprocess
import sys

import report

DECLARED = re.compile(r'\bWEFT_API\b([^;{]*?)\b(weft_\w+)\s*\)?\s*\(')


def tool(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def declared():
    names = set()
    for path in report.files('include', ending=('.h',)):
        code = report.without_comments(report.text(path))
        code = re.sub(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', '', code, flags=re.M)
        names |= {m[2] for m in DECLARED.finditer(code)}
    return names


def globals_of(path, *options):
    """(name, kind) of the defined global symbols."""
    found = set()
    for line in tool('nm', '--defined-only', '--extern-only', *options, path).splitlines():
        parts = line.split()
        if len(parts) == 3:
            found.add((parts[2].split('@')[0], parts[1]))
    return found


def foreign(name):
    # __asan_, __tsan_ and the like belong to the compiler's own runtime
    return not name.startswith(('weft_', '__'))


def linked(shared):
    """How the shared library will be mapped."""
    headers = tool('readelf', '-lW', shared)
    dynamic = tool('readelf', '-dW', shared)
    problems = []
    stack = re.search(r'GNU_STACK.*', headers)
    if not stack or not re.search(r'\bRW\s', stack[0]):
        problems.append(f'the stack is not RW: {stack[0] if stack else "no GNU_STACK"}')
    if re.search(r'\bLOAD\b.*\bRWE\b', headers):
        problems.append('a segment is writable and executable')
    if 'TEXTREL' in dynamic:
        problems.append('text relocations')
    if 'GNU_RELRO' not in headers or not re.search(r'BIND_NOW|\bNOW\b', dynamic):
        problems.append('not read-only after relocation')
    return problems


def main(shared, archive):
    out = report.Report()
    wanted = declared()
    exported = {name for name, kind in globals_of(shared, '-D') if kind != 'A'}
    out.check('symbols: what is declared is exported',
              sorted(f'{n}: declared, not exported' for n in wanted - exported))
    out.check('symbols: what is exported is declared',
              sorted(f'{n}: exported, not declared' for n in exported - wanted))
    out.check('symbols: there are some', [] if wanted else ['no WEFT_API in include/'])
    out.check('symbols: the archive defines weft_ names only',
              sorted(n for n, kind in globals_of(archive) if foreign(n)))
    out.check('elf: no executable stack, no text relocation, relro', linked(shared))
    out.finish()


main(*sys.argv[1:3])
