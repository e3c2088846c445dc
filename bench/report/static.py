# SPDX-License-Identifier: MIT
"""Static files: the file server beside nginx (bench/peers/nginx says how that is set up), both
driven by wrk. One file is asked for again and again, by connections that live on, so it is in
memory; what is measured is the way from there to the socket.
"""
import json
import os
import random
import resource
import shutil
import subprocess
import tempfile
import urllib.request

import servers

NGINX = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'peers', 'nginx')
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'load', 'wrk.lua')
PEERS = (
    ('nginx', NGINX, ()),
    ('weft', 'servers/file-server', ('--workers', '1')),
)
NO_SENDFILE = ('nginx, no sendfile', NGINX, ('--no-sendfile',))
# name, the file's size, connections, the servers
SCENARIOS = (
    ('static 1 KiB, 64 connections', 1024, 64, PEERS + (NO_SENDFILE,)),
    ('static 1 MiB, 64 connections', 1 << 20, 64, PEERS),
)


def cpu_seconds(pid):
    """CPU time of a process, its threads and its children, in seconds."""
    spent = 0.0
    for thread in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{thread}/schedstat', encoding='ascii') as stat:
            spent += int(stat.read().split()[0]) / 1e9
        with open(f'/proc/{pid}/task/{thread}/children', encoding='ascii') as children:
            spent += sum(cpu_seconds(child) for child in children.read().split())
    return spent


def fetch(port, path):
    with urllib.request.urlopen(f'http://127.0.0.1:{port}/{path}') as reply:
        reply.read()


def wrk(port, path, connections, seconds):
    command = servers.pin(['wrk', '-t1', f'-c{connections}', f'-d{seconds}s', '-s', SCRIPT,
                           f'http://127.0.0.1:{port}/{path}'], servers.LOAD_CPU)
    done = subprocess.run(command, capture_output=True, text=True, timeout=servers.LOAD_S)
    lines = done.stdout.splitlines()
    if not lines or not lines[-1].startswith('{'):
        raise RuntimeError(done.stderr.strip() or f'wrk: status {done.returncode}')
    return json.loads(lines[-1])


def own_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def drive(folder, server, root, path, connections, seconds):
    """One server under load for a while: its figures, or why there are none."""
    _, program, arguments = server
    try:
        with servers.running(folder, program, (*arguments, root)) as (process, port):
            fetch(port, path)  # once, so that the file is in memory
            server_cpu, client_cpu = cpu_seconds(process.pid), own_cpu()
            figures = wrk(port, path, connections, seconds)
            server_cpu = cpu_seconds(process.pid) - server_cpu
            figures['own_cpu'] = (own_cpu() - client_cpu) / figures['seconds']
            figures['server_us_per_request'] = server_cpu * 1e6 / max(figures['requests'], 1)
            return figures
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        return {'failed': str(error)}


def run_all(folder, quick, wanted, say):
    """Every scenario wanted, its servers interleaved; yields name and rows."""
    rounds, seconds = (1, 1) if quick else (3, 2)
    if not shutil.which('wrk') or not shutil.which('nginx'):
        return
    for name, size, connections, peers in SCENARIOS:
        if not wanted(name):
            continue
        runs = {server[0]: [] for server in peers}
        with tempfile.TemporaryDirectory() as root:
            with open(os.path.join(root, 'file.bin'), 'wb') as out:
                out.write(random.Random(1).randbytes(size))
            for number in range(rounds):
                say(f'{name}, round {number + 1} of {rounds}')
                for server in peers:
                    runs[server[0]].append(
                        drive(folder, server, root, 'file.bin', connections, seconds))
        yield name, [servers.summarize(who, r, runs['nginx']) for who, r in runs.items()]
