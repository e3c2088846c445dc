# SPDX-License-Identifier: MIT
"""What order costs: the figures of micro/order.c as tables, a row per mode."""
import micro

MODES = ('unordered', 'chain', 'start', 'arrival', 'turn', 'commit')
WORKS = ('10us', '100us')
JITTERS = (('steady', 'steady'), ('pm50', '+-50 %'), ('exp', 'exponential'))
WORKERS = (1, 2)
ARGUMENTS, QUICK_ARGUMENTS = ('--rounds', '5'), ('--rounds', '1', '--n', '16')


def cell(figures, workers, name, form):
    figure = figures.get((workers, name))
    return format(figure['median'], form) if figure else ''


def columns(figures, mode, workers, what, form='.0f'):
    """A figure, and how many per cent of that of unordered tasks it is."""
    return [cell(figures, workers, f'order_{mode}_{what}', form),
            cell(figures, workers, f'order_{mode}_{what}_share', '.1f')]


def tables(figures):
    """Title, head and rows."""
    counts = sorted({workers for workers, _ in figures})
    for workers in counts:
        for work in WORKS:
            head = ['members/s'] + [h for _, said in JITTERS for h in (said, '%')]
            yield (f'order, {work[:-2]} us of work, {workers} worker{"s" * (workers > 1)}', head,
                   [[mode] + [c for jitter, _ in JITTERS
                              for c in columns(figures, mode, workers, f'{work}_{jitter}')]
                    for mode in MODES])
    head = ['ns per member'] + [h for n in counts
                                for h in (f'{n} worker{"s" * (n > 1)}', '%')]
    yield ('order, members that return at once', head,
           [[mode] + [c for n in counts for c in columns(figures, mode, n, 'empty', '.1f')]
            for mode in MODES])


def run_all(folder, quick, wanted, cpus, say):
    """Runs the program; returns its figures, and what failed, by title, head and rows."""
    if not wanted('micro order'):
        return [], []
    found = []
    for workers in (n for n in WORKERS if n <= cpus):
        say(f'micro order, {workers} worker{"s" * (workers > 1)}')
        found += micro.run_program(folder, 'order', workers,
                                   QUICK_ARGUMENTS if quick else ARGUMENTS)
    failed = [[f['name'], str(f['workers']), f['failed']] for f in found if 'failed' in f]
    if failed:
        return found, [('order', ['program', 'workers', 'failed'], failed)]
    return found, list(tables({(f['workers'], f['name']): f for f in found}))
