# SPDX-License-Identifier: MIT
"""The micro benchmarks: which programs, with how many workers, and what they are to reach.

Each program prints lines `name workers median min max unit`.
"""
import json
import os
import shutil
import statistics
import subprocess
import tempfile

BOTH, ONE = (1, 2), (1,)

# program, numbers of workers, arguments of a quick run
PROGRAMS = (
    ('fib_serial', ONE, ('--n', '26')),
    ('fib', BOTH, ('--n', '26')),
    ('skynet', BOTH, ('--n', '100000')),
    ('create_join', BOTH, ('--n', '200000')),
    ('create_many', BOTH, ('--n', '200')),
    ('uts', BOTH, ('--rounds', '1')),
    ('uts_deep', BOTH, ('--rounds', '1')),
    ('queens', BOTH, ('--n', '10')),
    ('await', BOTH, ('--n', '100000')),
    ('gather', BOTH, ()),
    ('yield', ONE, ('--n', '200000')),
    ('pingpong', BOTH, ('--n', '50000')),
    ('fanin', BOTH, ('--n', '200')),
    ('mutex', BOTH, ('--n', '200')),
    ('timeout', ONE, ('--n', '200000')),
    ('timers', ONE, ('--n', '20000')),
    ('wheel', ONE, ('--n', '100000')),
    ('skynet_chan', BOTH, ('--n', '100000')),
    ('sleepers', ONE, ('--n', '50000')),
    ('burst', BOTH, ('--n', '50000')),
    ('chain', BOTH, ('--n', '100000')),
    ('chains', BOTH, ('--n', '2')),
    ('idle', BOTH, ('--n', '300')),
    ('first_run', BOTH, ('--rounds', '2')),
    ('hog', (2, 4), ('--rounds', '1')),
    ('wake', BOTH, ('--rounds', '2')),
    ('simulate', ONE, ('--n', '200000')),
    ('file_hot', ONE, ('--n', '50000')),
    ('file_many', ONE, ('--n', '10000')),
    ('file_direct', ONE, ('--n', '10000', '--rounds', '2')),
)

# Trees that take long enough not to need five rounds; and ratios of short rounds, which need more.
ROUNDS = {'uts': '2', 'uts_deep': '2', 'skynet_chan': '2', 'timers': '2', 'hog': '2',
          'chains': '9'}

# What weft must reach, by the name in the output: one worker, two workers.
GOALS = {
    'fib': (8, 5), 'skynet': (8, 5), 'create_join': (10, 12),
    'create_1000_join_1000': (12, 15), 'uts_t1': (120, 62), 'create_await': (20, 40),
    'create_100k_gather': (25, 35), 'yield': (8, 8), 'pingpong': (40, 60),
    'chan_1000x1000': (15, 35), 'mutex_1000x1000': (12, 24), 'timeout': (40, 40),
    'wheel_arm': (60, None), 'wheel_disarm': (40, None), 'wheel_disarm_shuffled': (120, None),
    'skynet_chan': (250, 250), 'sleeper_rss': (4.4, 4.4), 'sleeper_tables': (0.6, 0.6),
    'sleeper_cpu': (1.6, 1.6), 'idle_cpu': (0, 0), 'idle_wakeups': (0, 0),
    'task_unstarted': (0.156, 0.156),
    'burst_sleepers': (2, 2), 'burst_unstarted': (2, 2), 'burst_channels': (2, 2),
    'burst_sleepers_after': (10, 10), 'burst_unstarted_after': (10, 10),
    'burst_channels_after': (10, 10),
    'chain': (60, None), 'chain_waiting': (160, None), 'chains_times': (None, 0.556),
    'file_hot_times': (1.053, 1.053), 'file_many_times': (1, 1),
    'simulate_fifo': (500, None), 'simulate_random': (500, None), 'simulate_pct': (500, None),
    'first_run_alone': (20, 20), 'first_run_newer': (20, 20), 'first_run_resumed': (20, 20),
    'first_run_renewed': (20, 20),
    'hog_pingpong_p99': (2000, 2000), 'hog_paced_p99': (2000, 2000),
    'wake_behind_hog': (None, 1000),
}

TIMEOUT_S = 60

# The peer of file_direct, where it is installed: the same reads, as many at a time.
FIO_DEPTHS = (1, 32, 128)
FIO_SIZE = '256M'


def run_command(command, name, workers):
    """The figures of one run: a list of dicts, or one with the reason why there is none."""
    def failed(why):
        return [{'name': name, 'workers': workers, 'failed': why}]

    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return failed(f'over {TIMEOUT_S} s')
    except OSError as error:
        return failed(str(error))
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ['no message'])[-1]
        return failed(f'status {done.returncode}: {last}')
    figures = []
    for line in done.stdout.splitlines():
        what, count, median, low, high, unit = line.split()
        figures.append({'name': what, 'workers': int(count), 'median': float(median),
                        'min': float(low), 'max': float(high), 'unit': unit})
    return figures


def run_program(folder, name, workers, arguments):
    return run_command([f'{folder}/micro/micro-{name}', '--workers', str(workers), *arguments],
                       name, workers)


def fio_once(folder, depth, seconds):
    """One run of fio: us per read, us of processor time per read."""
    done = subprocess.run(
        ['fio', '--name=direct', f'--directory={folder}', f'--size={FIO_SIZE}', '--rw=randread',
         '--bs=4k', '--direct=1', '--ioengine=io_uring', f'--iodepth={depth}', '--time_based',
         f'--runtime={seconds}', '--output-format=json'],
        capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    job = json.loads(done.stdout)['jobs'][0]
    wall = 1e6 / job['read']['iops']
    return wall, wall * (job['usr_cpu'] + job['sys_cpu']) / 100


def run_fio(quick, say):
    """The figures of fio, or none where there is no fio or it does not run."""
    seconds, rounds = (1, 1) if quick else (2, 3)
    with tempfile.TemporaryDirectory(dir=os.environ.get('TMPDIR', '/var/tmp')) as folder:
        for depth in FIO_DEPTHS:
            say(f'fio, depth {depth}')
            try:
                runs = [fio_once(folder, depth, seconds) for _ in range(rounds)]
            except (OSError, ValueError, subprocess.SubprocessError):
                return
            for name, values in zip(('fio_direct', 'fio_direct_cpu'), zip(*runs)):
                yield {'name': f'{name}_{depth}', 'workers': 1, 'min': min(values),
                       'median': statistics.median(values), 'max': max(values),
                       'unit': 'us/read'}


def run_all(folder, quick, wanted, cpus, say):
    """Runs what is wanted, one program after the other; yields its figures."""
    for name, workers, quick_arguments in PROGRAMS:
        if not wanted('micro ' + name):
            continue
        arguments = quick_arguments if quick else ('--rounds', ROUNDS.get(name, '5'))
        for count in workers:
            # hog is about more computations than processors, too
            if count <= cpus or name == 'hog':
                say(f'micro {name}, {count} worker{"s" * (count > 1)}')
                yield from run_program(folder, name, count, arguments)
        if name == 'file_direct' and shutil.which('fio'):
            yield from run_fio(quick, say)


def goal(figure):
    """What this figure is to be at most, or None."""
    pair = GOALS.get(figure['name'])
    return pair[figure['workers'] > 1] if pair else None
