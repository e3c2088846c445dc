# SPDX-License-Identifier: MIT
"""The report: one HTML file that needs nothing else, with plots as inline SVG."""
import html
import math

import micro

STYLE = '''
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 62em; color: #1d2733 }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }
h3 { font-size: 1em; margin: 1.2em 0 .3em }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .2em .8em; text-align: right; border-bottom: 1px solid #e3e7ec }
th:first-child, td:first-child { text-align: left }
.bad { color: #b3261e } dt { font-weight: 600; float: left; width: 8em } dd { margin-left: 9em }
svg text { font: 13px system-ui, sans-serif; fill: #1d2733 }
'''
COLOURS = {'raw io_uring': '#8a97a6', 'raw epoll': '#b9c3ce', 'weft': '#1f6feb',
           'serial C': '#8a97a6', 'OpenMP': '#7d5fb2', 'oneTBB': '#b2552d', 'Go': '#0f9b8e',
           'Tokio': '#c98a00', 'Boost.Fiber': '#a23b72', 'uvloop': '#5f8f2f', 'asyncio': '#9ccc65',
           'libuv': '#6d4c41', 'Boost.Asio': '#a23b72', 'nginx': '#0f9b8e',
           'weft, 2 workers': '#6ea8fe', 'fio': '#c98a00', 'hyper': '#c98a00'}
CURVE_W, CURVE_H, MARGIN, LEGEND = 560, 260, 64, 170
BAR, GAP, LABEL, PLOT, VALUE = 20, 8, 190, 480, 190


def bars(rows):
    """Horizontal bars with the spread as a line: rows of (label, low, mid, high, text)."""
    top = max([high for _, _, _, high, _ in rows] + [1e-9])
    height = len(rows) * (BAR + GAP) + GAP
    parts = [f'<svg width="{LABEL + PLOT + VALUE}" height="{height}" role="img">']
    for i, (label, low, mid, high, text) in enumerate(rows):
        y = GAP + i * (BAR + GAP)
        x = [LABEL + PLOT * v / top for v in (low, mid, high)]
        colour = COLOURS.get(label, '#6ea8fe')
        middle = y + BAR / 2
        parts.append(
            f'<text x="{LABEL - 8}" y="{middle + 5}" text-anchor="end">{html.escape(label)}</text>'
            f'<rect x="{LABEL}" y="{y}" width="{x[1] - LABEL:.1f}" height="{BAR}" '
            f'fill="{colour}"/>'
            f'<path d="M{x[0]:.1f} {middle}H{x[2]:.1f}M{x[0]:.1f} {middle - 4}v8'
            f'M{x[2]:.1f} {middle - 4}v8" stroke="#1d2733" fill="none"/>'
            f'<text x="{LABEL + PLOT + 12}" y="{middle + 5}">{html.escape(text)}</text>')
    return ''.join(parts) + '</svg>'


def axis_ticks(low, high):
    """Powers of ten, and of two if those are few, between two values."""
    tens = [10.0 ** e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    found = [t for t in tens if low <= t <= high]
    if len(found) >= 3:
        return found
    return [t * f for t in tens for f in (1, 2, 5) if low <= t * f <= high]


def short(value):
    for limit, suffix in ((1e6, 'M'), (1e3, 'k')):
        if value >= limit:
            return f'{value / limit:g}{suffix}'
    return f'{value:g}'


def curves(series, x_title, y_title, x_ticks=None, y_ticks=None):
    """Lines over logarithmic axes: {name: [(x, y)]}, all above zero. y_ticks: [(y, its text)]."""
    points = [p for line in series.values() for p in line]
    if not points:
        return ''
    (x0, x1), (y0, y1) = ((min(v), max(v)) for v in zip(*points))
    x1, y1 = max(x1, x0 * 1.1), max(y1, y0 * 1.1)
    at = lambda v, low, high: math.log(v / low) / math.log(high / low)
    x = lambda v: MARGIN + CURVE_W * at(v, x0, x1)
    y = lambda v: 12 + CURVE_H * (1 - at(v, y0, y1))
    parts = [f'<svg width="{MARGIN + CURVE_W + LEGEND}" height="{CURVE_H + 60}" role="img">']
    for tick in x_ticks or axis_ticks(x0, x1):
        parts.append(f'<path d="M{x(tick):.1f} 12V{12 + CURVE_H}" stroke="#e3e7ec"/>'
                     f'<text x="{x(tick):.1f}" y="{CURVE_H + 30}" text-anchor="middle">'
                     f'{short(tick)}</text>')
    for tick, text in y_ticks or [(t, short(t)) for t in axis_ticks(y0, y1)]:
        if y0 <= tick <= y1:
            parts.append(f'<path d="M{MARGIN} {y(tick):.1f}h{CURVE_W}" stroke="#e3e7ec"/>'
                         f'<text x="{MARGIN - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">'
                         f'{text}</text>')
    for i, (name, line) in enumerate((n, l) for n, l in series.items() if l):
        colour = COLOURS.get(name, '#1d2733')
        path = 'L'.join(f'{x(a):.1f} {y(b):.1f}' for a, b in line)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
                     f'<text x="{MARGIN + CURVE_W + 12}" y="{24 + 18 * i}" '
                     f'style="fill:{colour}">{html.escape(name)}</text>')
    parts.append(f'<text x="{MARGIN + CURVE_W / 2}" y="{CURVE_H + 52}" text-anchor="middle">'
                 f'{html.escape(x_title)}</text><text x="{MARGIN + CURVE_W + 12}" '
                 f'y="{CURVE_H + 12}">{html.escape(y_title)}</text>')
    return ''.join(parts) + '</svg>'


def distribution(rows):
    """Latencies of servers, each the run in the middle: the axis of shares has equal steps for 90,
    99, 99.9 per cent, since it is the last few that differ."""
    series = {}
    for row in rows:
        runs = sorted((r for r in row.get('runs', ()) if r.get('cdf')), key=lambda r: r['rps'])
        if runs:
            series[row['server']] = [(max(us, 1), 1 / (1 - percent / 100))
                                     for percent, us in runs[len(runs) // 2]['cdf']
                                     if 1 <= percent < 100]
    ticks = [(2, '50 %'), (10, '90 %'), (100, '99 %'), (1000, '99.9 %'), (10000, '99.99 %')]
    return curves(series, 'latency in us', 'of the requests', y_ticks=ticks)


def table(head, rows):
    cells = ''.join(f'<th>{html.escape(c)}</th>' for c in head)
    body = ''.join('<tr>' + ''.join(f'<td>{html.escape(c)}</td>' for c in row) + '</tr>'
                   for row in rows)
    return f'<table><tr>{cells}</tr>{body}</table>'


def server_section(name, head, rows, cells):
    plotted = [(r['server'], r['rps']['min'], r['rps']['median'], r['rps']['max'],
                f"{r['rps']['median'] / 1000:.1f}k/s, {r['server_us_per_request']['median']:.2f} us")
               for r in rows if 'failed' not in r]
    return (f'<h2>{html.escape(name)}</h2>' + (bars(plotted) if plotted else '')
            + distribution(rows) + table(head, [cells(r) for r in rows]))


def peers_section(group, head, cells, rows):
    """The table of a group, then bars for each of its rows that has peers."""
    parts = [f'<h2>{html.escape(group)}</h2>', table(head, cells)]
    for row in rows:
        everyone = {'weft': row.get('weft'), **row['peers']}
        plotted = [(who, f['min'], f['median'], f['max'], f"{f['median']:.4g} {row['unit']}")
                   for who, f in everyone.items() if f and 'median' in f]
        if len(plotted) > 1:
            parts.append(f"<h3>{html.escape(row['name'])}, {row['workers']} "
                         f"worker{'s' * (row['workers'] > 1)}</h3>{bars(plotted)}")
    return ''.join(parts)


def scaling_section(title, x_title, series):
    return f'<h3>{html.escape(title)}</h3>' + curves(series, x_title, 'ns each',
                                                     sorted({x for l in series.values() for x, _ in l}))


def micro_section(figures, head, cells):
    plots = []
    timed = [f for f in figures if 'failed' not in f and f['unit'].startswith('ns/')]
    for f in timed:
        goal = micro.goal(f)
        label = f"{f['name']}, {f['workers']}w"
        plots.append((label, f['min'], f['median'], f['max'],
                      f"{f['median']:.1f} ns" + (f' (goal {goal})' if goal else '')))
    return ('<h2>Micro benchmarks</h2>' + (bars(plots) if plots else '')
            + table(head, [cells(f) for f in figures]))


def write(path, facts, sections):
    about = ''.join(f'<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>' for k, v in facts)
    with open(path, 'w', encoding='utf-8') as out:
        out.write(f'<!doctype html><html lang="en"><meta charset="utf-8"><title>weft</title>'
                  f'<style>{STYLE}</style><h1>weft: figures of one run</h1><dl>{about}</dl>'
                  + ''.join(sections) + '</html>\n')
