# SPDX-License-Identifier: MIT
"""What more workers would do: the tables of ../model, and the curves of its speed-up."""
import subprocess

import page

TIMEOUT_S = 120
WHAT = ('check', 'sweep', 'what-if')
SPEED_UP = 'speed-up'
COLOURS = ('#1f6feb', '#0f9b8e', '#b2552d', '#7d5fb2', '#c98a00')


def parse(text):
    """Tables as (title, head, rows), from lines `# title`, a head, rows."""
    tables = []
    for line in text.splitlines():
        if line.startswith('# '):
            tables.append((line[2:], [], []))
        elif tables:
            _, head, rows = tables[-1]
            (rows.append if head else head.extend)(line.split('\t'))
    return tables


def curves(tables):
    """Of every sweep, how much faster than one worker so many are."""
    series = {}
    for title, head, rows in tables:
        if SPEED_UP in head and 'arrivals' not in title:
            at = head.index(SPEED_UP)
            series[title.removeprefix('model: ')[:20]] = [
                (int(row[0]), max(float(row[at]), 0.1)) for row in rows]
    page.COLOURS.update(zip(series, COLOURS))
    workers = sorted({x for line in series.values() for x, _ in line})
    return page.curves(series, 'workers', 'times one worker', workers)


def run_all(folder, quick, wanted, say):
    """The tables of the model, as (title, head, rows)."""
    tables = []
    if not wanted('model'):
        return tables
    for what in WHAT[:2] if quick else WHAT:
        say(f'model {what}')
        more = ['64'] if quick and what == 'sweep' else []
        done = subprocess.run([f'{folder}/model/model', what, *more], capture_output=True, text=True,
                              timeout=TIMEOUT_S)
        if done.returncode != 0:
            tables.append((f'model {what}', ['failed'], [[f'status {done.returncode}']]))
        tables += parse(done.stdout)
    return tables
