# SPDX-License-Identifier: MIT
"""The report: one HTML file that needs nothing else, with plots as inline SVG."""
import html

import micro

STYLE = '''
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 62em; color: #1d2733 }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .2em .8em; text-align: right; border-bottom: 1px solid #e3e7ec }
th:first-child, td:first-child { text-align: left }
.bad { color: #b3261e } dt { font-weight: 600; float: left; width: 8em } dd { margin-left: 9em }
svg text { font: 13px system-ui, sans-serif; fill: #1d2733 }
'''
COLOURS = {'raw io_uring': '#8a97a6', 'raw epoll': '#b9c3ce', 'weft': '#1f6feb'}
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
            + table(head, [cells(r) for r in rows]))


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
