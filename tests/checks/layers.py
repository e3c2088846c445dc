#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""layers.py: the arrows between the folders of lib/ go one way.

    base <- sched <- io, compose, sync, order, blocking, observe <- runtime

sim stands beside io: it fulfils the same contracts, for which it sees the engine's and io's headers.

A feature sees the narrow waist (WAIST), never the worker and never another feature. An
exception is one line in ALLOWED, with its reason.
"""
import os
import re

import report

FEATURES = ('io', 'compose', 'sync', 'order', 'blocking', 'observe')
WAIST = ('sched/wait.h', 'sched/task.h', 'io/op.h')
ALLOWED = {
    # (file or folder, header): why
    ('order', 'sched/gate.h'): 'an order lets the stacks of its members pass, or holds them',
    ('io', 'sched/backend.h'): 'the contract with the engine that every backend fulfils',
    ('compose', 'sched/frame.h'): 'scopes and groups belong to the frame of the running task',
    ('io', 'sched/submit.h'): 'how an I/O call reaches a ring',
    ('blocking', 'sched/submit.h'): 'the pool of the current runtime',
    ('io', 'blocking/jobs.h'): 'what no ring carries out needs a thread that may block',
    ('sync', 'io/ready.h'): 'select waits for descriptors beside channels and tasks',
}

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)


def folder_of(path):
    return path.split('/')[0] if '/' in path else ''


def allowed(user, header):
    """May lib/<user> include lib/<header>?"""
    mine, theirs = folder_of(user), folder_of(header)
    if not mine or theirs == 'base' or mine == theirs:
        return True  # runtime.c owns everything; base is everyone's
    if (user, header) in ALLOWED or (mine, header) in ALLOWED:
        return True
    if mine == 'sim':
        return theirs in ('sched', 'io', 'blocking')
    return mine in FEATURES and header in WAIST


def main():
    out = report.Report()
    broken, unknown, public = [], [], []
    known = set(FEATURES) | {'base', 'sched', 'sim', ''}
    for path in report.files('lib', ending=('.c', '.h', '.S')):
        user = path[len('lib/'):]
        if folder_of(user) not in known:
            unknown.append(f'{path}: a folder without a place in the layers')
        for quote, header in INCLUDE.findall(report.text(path)):
            if not os.path.exists(os.path.join(report.ROOT, 'lib', header)):
                local = os.path.join('lib', os.path.dirname(user), header)
                if quote == '"' and os.path.exists(os.path.join(report.ROOT, local)):
                    unknown.append(f'{path}: "{header}" is not spelt from lib/')
                continue
            if not allowed(user, header):
                broken.append(f'{path}: includes {header}')
    for path in report.files('include', ending=('.h',)):
        for quote, header in INCLUDE.findall(report.text(path)):
            if header == 'liburing.h' or os.path.exists(os.path.join(report.ROOT, 'lib', header)):
                public.append(f'{path}: includes {header}')
    for path in report.files('tests/api', 'docs/examples', ending=('.c', '.h')):
        for quote, header in INCLUDE.findall(report.text(path)):
            if os.path.exists(os.path.join(report.ROOT, 'lib', header)):
                public.append(f'{path}: includes {header}, which users do not have')
    out.check('layers: arrows go one way', broken)
    out.check('layers: every folder has a place, every include starts at lib/', unknown)
    out.check('layers: users see public headers only', public)
    out.finish()


main()
