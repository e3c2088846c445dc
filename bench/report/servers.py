# SPDX-License-Identifier: MIT
"""The servers under load: start one, drive it, end it; all servers in turn, round by round.

Interleaving is what makes the figures comparable: a machine whose speed wanders takes all
servers with it, so ratios are taken inside a round and then their median.
"""
import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess

SERVER_CPU, LOAD_CPU = 0, 1
START_S, LOAD_S = 5, 30
RAW = 'raw io_uring'

ECHO = (
    (RAW, 'peers/peer-uring-echo', ()),
    ('raw epoll', 'peers/peer-epoll-echo', ()),
    ('weft', 'servers/echo-server', ('--workers', '1')),
)
# The backend for where io_uring is forbidden, beside a server written for epoll.
EPOLL = ('weft, epoll', 'servers/echo-server', ('--workers', '1'))
ENVIRONMENT = {EPOLL[0]: {'WEFT_BACKEND': 'epoll'}}
HTTP = (
    (RAW, 'peers/peer-uring-http', ()),
    ('raw epoll', 'peers/peer-epoll-http', ()),
    ('weft', 'servers/http-server', ('--workers', '1')),
)
# Beside a server that looks for work before it sleeps, a limit line that does so too.
SPINNING = (RAW + ', spinning', 'peers/peer-uring-echo', ('--spin', '50'))


# With --peers: servers written for other systems, where they are built and installed.
HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = os.path.join(HERE, '..', 'peers', 'asyncio', 'peer.py')
UVLOOP = '/usr/lib/python3/dist-packages/uvloop'
ECHO_PEERS = (
    ('libuv', 'peers/peer-libuv-echo', ()),
    ('Boost.Asio', 'peers/peer-asio-echo', ()),
    ('Tokio', 'peers/peer-tokio', ('echo',)),
    ('Go', 'peers/peer-go', ('echo',)),
    ('uvloop', PYTHON, ('echo', '--loop', 'uvloop')),
    ('asyncio', PYTHON, ('echo',)),
)
HTTP_PEERS = (
    ('hyper', 'peers/peer-tokio', ('http',)),
    ('Go', 'peers/peer-go', ('http',)),
)


# Beside the hello servers without --peers too, where it is installed: there is a goal for it.
NGINX = (('nginx', os.path.join(HERE, '..', 'peers', 'nginx'), ('--hello',)),) if shutil.which('nginx') else ()


def two_workers(servers):
    """weft again, on both processors: it then shares one with the load generator."""
    _, program, _ = servers[-1]
    return ('weft, 2 workers', program, ('--workers', '2'))


# name, what the load generator is told, the servers, of which the first is compared with
SCENARIOS = (
    ('echo 64 B, 1 connection', ('--echo', '64', '--connections', '1'), ECHO + (SPINNING,)),
    ('echo 64 B, 8 connections', ('--echo', '64', '--connections', '8'), ECHO),
    ('echo 64 B, 50 connections', ('--echo', '64', '--connections', '50'),
     ECHO + (two_workers(ECHO),)),
    ('echo 64 B, 1000 connections', ('--echo', '64', '--connections', '1000'), ECHO),
    ('echo 64 B, 10000 connections', ('--echo', '64', '--connections', '10000'), ECHO),
    ('echo 64 B, 50 connections, without io_uring', ('--echo', '64', '--connections', '50'),
     (ECHO[1], EPOLL)),
    ('echo 64 B, 1000 connections, without io_uring', ('--echo', '64', '--connections', '1000'),
     (ECHO[1], EPOLL)),
    ('echo 64 B, 10000 connections, without io_uring',
     ('--echo', '64', '--connections', '10000'), (ECHO[1], EPOLL)),
    ('http hello, 64 connections', ('--http', '/', '--connections', '64'),
     HTTP + (two_workers(HTTP),) + NGINX),
    ('http hello, 512 connections', ('--http', '/', '--connections', '512'), HTTP + NGINX),
)


def cpus():
    return sorted(os.sched_getaffinity(0))


def pin(command, cpu):
    """The command on one processor of those we may use."""
    usable = cpus()
    return ['taskset', '-c', str(usable[cpu % len(usable)]), *command]


# Of a server and of the load generator, beside those of the connections.
DESCRIPTORS_BESIDE = 64


def raise_descriptors(connections):
    """As many descriptors as connections need, for us and those we start: '' or what hinders."""
    need = connections + DESCRIPTORS_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= need:
        return ''
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE,
                           (need, hard if hard == resource.RLIM_INFINITY else max(need, hard)))
    except (OSError, ValueError):
        return (f'{connections} connections need {need} descriptors a process, '
                f'{hard} are allowed: raise the limit (ulimit -Hn {need})')
    return ''


@contextlib.contextmanager
def running(folder, program, arguments, environment=None):
    """A server, ready: its process and port. Ended, by force if need be, on the way out."""
    command = [os.path.join(folder, program), *arguments]
    if '2' not in arguments:
        command = pin(command, SERVER_CPU)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                               env={**os.environ, **(environment or {})})
    try:
        line = process.stdout.readline()
        if not line.startswith('listening '):
            raise RuntimeError(f'{program} does not start')
        yield process, int(line.rsplit(':', 1)[1])
    finally:
        process.terminate()
        try:
            process.wait(START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def drive(folder, server, load, seconds):
    """One server under load for a while: the load generator's figures, or why not."""
    name, program, arguments = server
    try:
        with running(folder, program, arguments, ENVIRONMENT.get(name)) as (process, port):
            # What nginx's worker process uses is not seen from the one that started it.
            watched = [] if name == 'nginx' else ['--pid', str(process.pid)]
            command = [f'{folder}/load/weft-load', '--json', '--port', str(port), *watched, '--cpu', str(cpus()[LOAD_CPU % len(cpus())]),
                       '--seconds', str(seconds), '--warmup', '0.2', *load]
            done = subprocess.run(command, capture_output=True, text=True, timeout=LOAD_S)
            if not done.stdout:
                return {'failed': done.stderr.strip() or f'status {done.returncode}'}
            return json.loads(done.stdout)
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        return {'failed': str(error)}


def spread(values):
    return {'median': statistics.median(values), 'min': min(values), 'max': max(values)}


def summarize(name, runs, raw_runs):
    """One row: medians over the rounds, and the ratio to the raw server of each round."""
    good = [r for r in runs if 'failed' not in r and r['requests']]
    row = {'server': name, 'runs': runs, 'errors': sum(r.get('errors', 1) for r in runs)}
    if not good:
        return {**row, 'failed': runs[0].get('failed', 'no request succeeded')}
    ratios = [r['rps'] / raw['rps'] for r, raw in zip(runs, raw_runs) if r.get('rps') and raw.get('rps')]
    for key in ('rps', 'server_us_per_request', 'p50_us', 'p99_us', 'p999_us', 'own_cpu'):
        row[key] = spread([r[key] for r in good])
    return {**row, 'ratio': spread(ratios) if ratios else None}


def peers_of(folder, name, quick):
    """The servers of other systems for a scenario, as far as they are here."""
    found = ECHO_PEERS if name.startswith('echo') else HTTP_PEERS
    if 'without io_uring' in name or (quick and '1000' in name):
        return ()
    return tuple(p for p in found if os.path.exists(os.path.join(folder, p[1]))
                 and (p[0] != 'uvloop' or os.path.exists(UVLOOP)))


def run_all(folder, quick, wanted, say, peers=False):
    """Every scenario wanted, its servers interleaved; yields name and rows."""
    rounds, seconds = (1, 0.5) if quick else (5 if peers else 3, 1.0)
    for name, load, servers in SCENARIOS:
        if not wanted(name):
            continue
        servers += peers_of(folder, name, quick) if peers else ()
        hindered = raise_descriptors(int(load[load.index('--connections') + 1]))
        if hindered:
            yield name, [{'server': s[0], 'runs': [], 'errors': 0, 'failed': hindered}
                         for s in servers]
            continue
        runs = {server[0]: [] for server in servers}
        for number in range(rounds):
            say(f'{name}, round {number + 1} of {rounds}')
            for server in servers:
                runs[server[0]].append(drive(folder, server, load, seconds))
        yield name, [summarize(who, r, runs[servers[0][0]]) for who, r in runs.items()]


def run_wrk(folder, quick, wanted, say):
    """wrk against the HTTP servers, where it is installed: a second opinion, and a heavier
    client. Yields (server, requests per second)."""
    if not shutil.which('wrk') or not wanted('http wrk'):
        return
    for name, program, arguments in HTTP:
        say(f'wrk, {name}')
        try:
            with running(folder, program, arguments) as (_, port):
                done = subprocess.run(pin(
                    ['wrk', '-t1', '-c64', '-d1s' if quick else '-d2s',
                     f'http://127.0.0.1:{port}/'], LOAD_CPU),
                    capture_output=True, text=True, timeout=LOAD_S)
        except (RuntimeError, subprocess.TimeoutExpired):
            continue
        for line in done.stdout.splitlines():
            if line.startswith('Requests/sec:'):
                yield name, float(line.split(':')[1])
