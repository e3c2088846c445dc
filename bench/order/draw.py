#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""draw.py TRACE FOLDER: draw what timeline.c recorded, a picture per mode.

Writes FOLDER/ordering-MODE.svg. The same trace gives the same bytes. All pictures of a trace have
one scale, so that they can be compared.
"""
import os
import sys
from collections import namedtuple

HEAD = ['mode', 'member', 'segment', 'kind', 'worker', 'begin_ns', 'end_ns']
KINDS = ('run', 'commit', 'wait', 'ready')
Span = namedtuple('Span', HEAD)

TITLES = {
    'unordered': 'No order: weft_create_task', 'chain': 'WEFT_ORDER_CHAIN', 'start': 'WEFT_ORDER_START',
    'arrival': 'WEFT_ORDER_ARRIVAL', 'turn': 'WEFT_ORDER_TURN', 'commit': 'WEFT_ORDER_COMMIT',
}
COLOURS = ('#1f6feb', '#b35900', '#1a7f37', '#8250df', '#a40e26')
INK, FAINT, LINE = '#1d2733', '#57606a', '#d0d7de'
WIDTH, LEFT, RIGHT, TOP, LANE, BOX = 860, 40, 20, 48, 42, 30
TICKS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
TICKS_MAX = 9  # on the axis


def read(lines):
    """The spans of a trace by mode, in the order of the file. ValueError if it is none."""
    rows = [line.rstrip('\n').split('\t') for line in lines]
    if not rows or rows[0] != HEAD:
        raise ValueError('the first line is not ' + ' '.join(HEAD))
    modes = {}
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(HEAD):
            raise ValueError(f'line {number} has {len(row)} columns, not {len(HEAD)}')
        span = Span(row[0], row[1], int(row[2]), row[3], row[4], int(row[5]), int(row[6]))
        if span.mode not in TITLES or span.kind not in KINDS or span.segment < 1:
            raise ValueError(f'line {number} has an unknown mode, kind or segment')
        if not 0 <= span.begin_ns <= span.end_ns:
            raise ValueError(f'line {number} ends before it begins')
        if (span.kind in ('run', 'commit')) != span.worker.isdigit():
            raise ValueError(f'line {number}: who runs has a worker, and nobody else')
        modes.setdefault(span.mode, []).append(span)
    if not modes:
        raise ValueError('there is nothing in it')
    return modes


def runs(spans):
    """What ran, by beginning."""
    return sorted((s for s in spans if s.kind in ('run', 'commit')), key=lambda s: s.begin_ns)


def sequence(spans):
    return ' '.join(f'{s.member}{s.segment}' for s in runs(spans))


class Picture:
    """Lanes from top to bottom, time from left to right."""

    def __init__(self, spans, last_ns):
        self.spans, self.last_ns, self.parts = spans, last_ns, []
        self.members = sorted({s.member for s in spans})
        self.bottom = TOP + LANE * len(self.members)
        self.height = self.bottom + 62

    def x(self, ns):
        return LEFT + (WIDTH - LEFT - RIGHT) * ns / self.last_ns

    def text(self, x, y, text, size=13, fill=INK, more=''):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}"'
                          f'{more}>{text}</text>')

    def line(self, x1, x2, y, colour, width, more=''):
        self.parts.append(f'<path d="M{x1:.1f} {y:.1f}H{x2:.1f}" stroke="{colour}" '
                          f'stroke-width="{width}"{more}/>')

    def box(self, x, y, width, colour, section):
        ring = f' stroke="{INK}" stroke-width="3"' if section else ''
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" '
                          f'height="{BOX}" rx="2" fill="{colour}"{ring}/>')

    def axis(self):
        step = next((t for t in TICKS_MS if self.last_ns / 1e6 / t <= TICKS_MAX), TICKS_MS[-1])
        for ms in range(0, int(self.last_ns / 1e6) + 1, step):
            x = self.x(ms * 1e6)
            self.parts.append(f'<path d="M{x:.1f} {TOP - 6}V{self.bottom}" stroke="{LINE}"/>')
            self.text(x, self.bottom + 15, f'{ms} ms', 11, FAINT, ' text-anchor="middle"')

    def span(self, span):
        lane = self.members.index(span.member)
        colour = COLOURS[lane % len(COLOURS)]
        y = TOP + LANE * lane + (LANE - BOX) / 2
        x1, x2 = self.x(span.begin_ns), self.x(span.end_ns)
        if span.kind == 'wait':
            self.line(x1, x2, y + BOX / 2, colour, 4, ' stroke-opacity=".55"')
        elif span.kind == 'ready':
            self.line(x1, x2, y + BOX / 2, colour, 2, ' stroke-dasharray="2 3"')
        else:
            self.box(x1, y, x2 - x1, colour, span.kind == 'commit')
            middle = ' text-anchor="middle"'
            self.text((x1 + x2) / 2, y + 15, f'{span.member}{span.segment}', 14, '#fff',
                      middle + ' font-weight="700"')
            self.text((x1 + x2) / 2, y + 26, f'worker {span.worker}', 9.5, '#fff', middle)

    def legend(self):
        y, sections = self.bottom + 42, any(s.kind == 'commit' for s in self.spans)
        x, colour = LEFT, FAINT
        self.parts.append(f'<rect x="{x}" y="{y - 11}" width="28" height="14" rx="2" '
                          f'fill="{colour}"/>')
        self.text(x + 34, y, 'runs', 12)
        self.line(x + 84, x + 120, y - 4, colour, 4, ' stroke-opacity=".55"')
        self.text(x + 126, y, 'waits: a sleep', 12)
        self.line(x + 228, x + 264, y - 4, colour, 2, ' stroke-dasharray="2 3"')
        self.text(x + 270, y, 'ready, but not its turn, or no worker is free', 12)
        if sections:
            self.parts.append(f'<rect x="{x + 540}" y="{y - 11}" width="28" height="14" rx="2" '
                              f'fill="{colour}" stroke="{INK}" stroke-width="3"/>')
            self.text(x + 576, y, 'commit section', 12)

    def draw(self):
        mode = self.spans[0].mode
        self.text(LEFT, 25, TITLES[mode], 15, INK, ' font-weight="700"')
        self.text(WIDTH - RIGHT, 25, sequence(self.spans), 15, INK,
                  ' text-anchor="end" font-weight="700"')
        self.axis()
        for lane, member in enumerate(self.members):
            self.text(16, TOP + LANE * lane + LANE / 2 + 6, member, 16, INK, ' font-weight="700"')
        for span in sorted(self.spans, key=lambda s: KINDS.index(s.kind), reverse=True):
            self.span(span)
        self.legend()
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self.height}" '
                f'viewBox="0 0 {WIDTH} {self.height}" role="img" '
                f'font-family="Helvetica, Arial, sans-serif">\n'
                f'<title>{TITLES[mode]}: {sequence(self.spans)}</title>\n'
                f'<rect width="{WIDTH}" height="{self.height}" fill="#fff"/>\n'
                + '\n'.join(self.parts) + '\n</svg>\n')


def draw(modes):
    """The pictures by mode."""
    last_ns = max(1, max(s.end_ns for spans in modes.values() for s in spans))
    return {mode: Picture(spans, last_ns).draw() for mode, spans in modes.items()}


def main():
    if len(sys.argv) != 3:
        sys.exit('usage: draw.py TRACE FOLDER')
    try:
        with open(sys.argv[1], encoding='utf-8') as trace:
            pictures = draw(read(trace))
    except (OSError, ValueError) as error:
        sys.exit(f'{sys.argv[1]}: {error}')
    for mode, picture in pictures.items():
        with open(os.path.join(sys.argv[2], f'ordering-{mode}.svg'), 'w', encoding='utf-8') as out:
            out.write(picture)


if __name__ == '__main__':
    main()
