#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""file_server.py SERVER: drives the file server of bench/servers from outside.

Every status, ranges against the bytes of the file, conditions, all ways out of the root,
files that change while they are sent, clients that are slow, many, or gone; with raw
sockets, and with curl where it is installed. Prints a line per thing looked at.
"""
import contextlib
import email.utils
import hashlib
import os
import random
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

import report
from http_client import PATIENCE, connect, exchange, read_all, read_until, request, server, statuses

IDLE_MS = 500
LOOK_AGAIN_S = 1.1  # a change is seen after a second
SMALL = 16384       # the server sends larger files another way
SIZES = {'empty': 0, 'one': 1, 'small.txt': 1000, 'edge': SMALL, 'edge1': SMALL + 1,
         'page.html': 5000, 'large.bin': 3 * 1024 * 1024 + 17}
SECRET = b'the treasure is under the oak'
MTIME = 784111777   # Sun, 06 Nov 1994 08:49:37 GMT


class Reply:
    """One parsed reply; `rest` is what came after it."""

    def __init__(self, data, method=b'GET'):
        head, _, rest = data.partition(b'\r\n\r\n')
        lines = head.split(b'\r\n')
        self.status = int(lines[0].split()[1]) if lines[0] else None
        self.fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(b': ')
            self.fields[name.lower().decode()] = value.decode()
        length = int(self.fields.get('content-length', 0))
        if method == b'HEAD' or self.status == 304:
            length = 0
        self.body, self.rest = rest[:length], rest[length:]
        self.whole = len(self.body) == length


def get(port, target, fields=b'', method=b'GET'):
    if isinstance(target, str):
        target = target.encode()
    data = exchange(port, request(method, target, fields + b'Connection: close\r\n'))
    return Reply(data, method)


def expect(out, name, got, wanted):
    out.check('files: ' + name, [] if got == wanted else [f'{got!r} instead of {wanted!r}'])


def write(root, name, data, mtime=None):
    path = os.path.join(root, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as stream:
        stream.write(data)
    if mtime is not None:
        os.utime(path, (mtime, mtime))
    return path


@contextlib.contextmanager
def tree():
    """A root with files in it, and something beside it that nobody is to see."""
    with tempfile.TemporaryDirectory() as place:
        root = os.path.join(place, 'root')
        content = {name: random.Random(name).randbytes(n) for name, n in SIZES.items()}
        for name, data in content.items():
            write(root, name, data, MTIME)
        content['sub/index.html'] = b'<p>index</p>'
        content['sub/deep/er/f.css'] = b'p {}'
        content['sp ace%.txt'] = b'odd name'
        for name in ('sub/index.html', 'sub/deep/er/f.css', 'sp ace%.txt'):
            write(root, name, content[name], MTIME)
        write(place, 'secret', SECRET)
        write(place, 'beside/secret', SECRET)
        os.makedirs(os.path.join(root, 'odd', 'index.html'))
        os.mkdir(os.path.join(root, 'bare'))
        os.mkfifo(os.path.join(root, 'fifo'))
        for name, to in (('out', '../secret'), ('out-absolute', os.path.join(place, 'secret')),
                         ('out-folder', '../beside'), ('in', 'small.txt'),
                         ('in-folder', 'sub/deep'), ('dangling', 'nowhere'), ('loop', 'loop'),
                         ('sub/up', '../small.txt'), ('sub/way-out', '../../secret')):
            os.symlink(to, os.path.join(root, name))
        yield root, content


def check_statuses(out, port, content):
    for name, data in content.items():
        target = '/' + name.replace('%', '%25').replace(' ', '%20')
        reply = get(port, target)
        expect(out, f'{name}, whole', (reply.status, reply.body == data, reply.rest),
               (200, True, b''))
        head = get(port, target, method=b'HEAD')
        same = {k: v for k, v in head.fields.items() if k != 'date'}
        expect(out, f'{name}, HEAD: the same fields, no body',
               (head.status, same, head.rest),
               (200, {k: v for k, v in reply.fields.items() if k != 'date'}, b''))
    reply = get(port, '/small.txt')
    expect(out, 'Last-Modified', reply.fields['last-modified'], 'Sun, 06 Nov 1994 08:49:37 GMT')
    date = email.utils.parsedate_to_datetime(reply.fields['date']).timestamp()
    expect(out, 'Date is now', abs(date - time.time()) < 2, True)
    types = [get(port, t).fields['content-type'] for t in
             ('/small.txt', '/page.html', '/sub/deep/er/f.css', '/large.bin')]
    expect(out, 'Content-Type', types, ['text/plain; charset=utf-8', 'text/html; charset=utf-8',
                                        'text/css; charset=utf-8', 'application/octet-stream'])
    for target, status in (('/nope', 404), ('/nope/', 404), ('/small.txt/', 404), ('/bare/', 404),
                           ('/', 404), ('/small.txt/x', 404), ('/fifo', 403), ('/dangling', 404),
                           ('/loop', 403), ('/' + 'x' * 300, 404), ('/' + 'x' * 1100, 414),
                           ('/' + 'x/' * 600, 414), ('*', 400), ('http:/x', 400),
                           ('small.txt', 400), ('http://a/small.txt', 200),
                           ('/small.txt?a=/../b', 200), ('/small.txt#x', 400)):
        expect(out, f'{target[:20]}: {status}', get(port, target).status, status)
    for method, status in ((b'POST', 405), (b'DELETE', 405), (b'BREW', 501)):
        reply = get(port, '/small.txt', method=method)
        expect(out, method.decode(), (reply.status, reply.fields.get('allow')),
               (status, 'GET, HEAD' if status == 405 else None))
    expect(out, 'a GET with a body, and the end', statuses(exchange(
        port, request(fields=b'Content-Length: 3\r\n', body=b'abc') + request())), [400])
    expect(out, 'a POST with a body, and on', statuses(exchange(port, request(
        b'POST', fields=b'Content-Length: 3\r\n', body=b'abc') + request(
            target=b'/one'))), [405, 200])


def check_folders(out, port):
    for target, location in (('/sub', '/sub/'), ('/sub/deep?x=1', '/sub/deep/?x=1'),
                             ('//sub', '/sub/'), ('////sub//deep', '/sub//deep/'),
                             ('/in-folder', '/in-folder/'), ('/bare', '/bare/')):
        reply = get(port, target)
        expect(out, f'{target} redirects', (reply.status, reply.fields.get('location')),
               (301, location))
    expect(out, '/sub/ is its index', get(port, '/sub/').body, b'<p>index</p>')
    expect(out, 'an index that is a folder is none', [get(port, t).status for t in
           ('/odd', '/odd/', '/odd/index.html')], [301, 404, 301])
    expect(out, '//sub//index.html', get(port, '//sub//index.html').body, b'<p>index</p>')


def check_paths(out, port, content):
    ways_out = ['/../secret', '/../../secret', '/sub/../../secret', '/sub/../small.txt', '/..',
                '/.', '/./small.txt', '/sub/..', '/%2e%2e/secret', '/.%2e/secret',
                '/%2E%2E/secret', '/%2e./secret', '/..%2fsecret', '/..%2Fsecret',
                '/%2e%2e%2fsecret', '/sub/..%2f..%2fsecret', '/sub/%2e%2e/%2e%2e/secret',
                '/..%5csecret', '/..\\secret', '/%252e%252e/secret', '/..%00/secret',
                '/small.txt%00', '/%00', '/%', '/%2', '/%zz', '/%c0%ae%c0%ae/secret',
                '/..;/secret', '/out', '/out-absolute', '/out-folder/secret', '/out-folder/',
                '/out-folder', '/sub/way-out', '/sub/deep/../../../secret', '//../secret',
                '/proc/self/environ', '//etc/passwd', '/sub//../..//secret', 'http://a/../secret',
                'http://../secret']
    problems, seen = [], set()
    for target in ways_out:
        data = exchange(port, request(target=target.encode()))
        status = statuses(data)
        seen.update(status)
        if len(status) != 1 or status[0] not in (400, 403, 404) or SECRET in data:
            problems.append(f'{target}: {data[:80]!r}')
    out.check(f'files: {len(ways_out)} ways out of the root are refused', problems)
    expect(out, 'dots are forbidden, what is not decodable is bad',
           [get(port, t).status for t in ('/../x', '/%2e%2e/x', '/a/./b', '/%2f', '/%00')],
           [403, 403, 403, 400, 400])
    expect(out, 'a link that leaves the root is forbidden',
           [get(port, t).status for t in ('/out', '/out-absolute', '/out-folder/secret')], [403] * 3)
    expect(out, 'a link inside the root is followed',
           [get(port, t).body for t in ('/in', '/sub/up', '/in-folder/er/f.css')],
           [content['small.txt']] * 2 + [b'p {}'])
    expect(out, 'names that begin with dots are names',
           [get(port, t).status for t in ('/...', '/..x', '/.x')], [404] * 3)


def check_no_links(out, program, root, content):
    with server(program, '--links', '0', root) as (_, port):
        expect(out, 'links off: files', [get(port, t).body == content[t[1:]] for t in
               ('/small.txt', '/sub/index.html', '/sub/deep/er/f.css')], [True] * 3)
        expect(out, 'links off: no link, as file or folder',
               [get(port, t).status for t in ('/in', '/sub/up', '/out', '/in-folder/er/f.css',
                                              '/out-folder/secret')],
               [403, 403, 403, 404, 404])
        expect(out, 'links off: folders', [get(port, t).status for t in
               ('/sub', '/sub/', '/bare/', '/nope/x', '/small.txt/x')], [301, 200, 404, 404, 404])


def check_ranges(out, port, content):
    for name in ('small.txt', 'edge1', 'large.bin'):
        data, n = content[name], len(content[name])
        chance = random.Random(1)
        asked = [(0, 0), (0, n - 1), (n - 1, n - 1), (0, n), (1, n * 2), (0, SMALL - 1),
                 (0, SMALL), (n // 2, n // 2 + 10), (n - 1, 10**30)]
        asked += [(a, a + chance.randrange(n)) for a in (chance.randrange(n) for _ in range(20))]
        problems = []
        for first, last in asked:
            reply = get(port, '/' + name, b'Range: bytes=%d-%d\r\n' % (first, last))
            want = data[first:last + 1]
            told = f'bytes {first}-{first + len(want) - 1}/{n}'
            if (reply.status, reply.body, reply.fields.get('content-range')) != (206, want, told):
                problems.append(f'{first}-{last}: {reply.status} {reply.fields}')
        for spec, want in ((b'10-', data[10:]), (b'-10', data[-10:]), (b'-%d' % (n + 5), data),
                           (b'%d-' % (n - 1), data[-1:]), (b'-1', data[-1:])):
            reply = get(port, '/' + name, b'Range: bytes=' + spec + b'\r\n')
            if (reply.status, reply.body) != (206, want):
                problems.append(f'{spec}: {reply.status}')
        out.check(f'files: {name}: ranges are the bytes of the file', problems)
    for spec in (b'1000-', b'5000-6000', b'-0', b'99999999999999999999-'):
        reply = get(port, '/small.txt', b'Range: bytes=' + spec + b'\r\n')
        expect(out, f'range {spec.decode()} of 1000 bytes', (reply.status, reply.fields.get(
            'content-range')), (416, 'bytes */1000'))
    whole = [get(port, '/small.txt', b'Range: ' + spec + b'\r\n').status for spec in
             (b'bytes=0-1,5-6', b'bytes=5-1', b'bytes=', b'bytes=-', b'bytes=a-b', b'bytes=1', b'',
              b'bytes=1-2-3', b'lines=1-2', b'bytes=+1-2', b'bytes=1-2x', b'bytes 1-2')]
    expect(out, 'several ranges and nonsense: the whole file', whole, [200] * 12)
    expect(out, 'a range of nothing', [get(port, '/empty', b'Range: bytes=%s\r\n' % s).status
                                       for s in (b'0-', b'-5', b'-0')], [416, 200, 416])
    expect(out, 'HEAD has no range', get(port, '/small.txt', b'Range: bytes=0-1\r\n',
                                         b'HEAD').status, 200)
    expect(out, 'two Range fields are bad', get(
        port, '/small.txt', b'Range: bytes=0-1\r\nRange: bytes=2-3\r\n').status, 400)
    tag = get(port, '/small.txt').fields['etag'].encode()
    date = b'Sun, 06 Nov 1994 08:49:37 GMT'
    for name, value, status in (
            ('its tag', tag, 206), ('a weak tag', b'W/' + tag, 200), ('another tag', b'"x"', 200),
            ('its date', date, 206), ('a later date', date.replace(b'37', b'38'), 200),
            ('nonsense', b'x', 200)):
        reply = get(port, '/small.txt', b'Range: bytes=5-9\r\nIf-Range: ' + value + b'\r\n')
        expect(out, f'If-Range with {name}', reply.status, status)


def check_conditions(out, port):
    tag = get(port, '/small.txt').fields['etag'].encode()
    since, none = b'If-Modified-Since: %s\r\n', b'If-None-Match: %s\r\n'
    date, later, earlier = (b'Sun, 06 Nov 1994 08:49:%d GMT' % s for s in (37, 38, 36))
    for name, fields, status in (
            ('the date of the file', since % date, 304), ('a later one', since % later, 304),
            ('an earlier one', since % earlier, 200), ('no date', since % b'yesterday', 200),
            ('RFC 850', since % b'Sunday, 06-Nov-94 08:49:37 GMT', 304),
            ('asctime', since % b'Sun Nov  6 08:49:37 1994', 304),
            ('31 February', since % b'Sun, 31 Feb 2030 08:49:37 GMT', 200),
            ('another zone', since % b'Sun, 06 Nov 2030 08:49:37 CET', 200),
            ('the tag', none % tag, 304), ('the tag, weak', none % (b'W/' + tag), 304),
            ('the tag in a list', none % (b'"a", W/"b",' + tag), 304), ('any', none % b'*', 304),
            ('other tags', none % b'"a", "b"', 200), ('half a tag', none % tag[:-1], 200),
            ('tag before date', none % b'"a"' + since % date, 200),
            ('condition before range', none % tag + b'Range: bytes=0-1\r\n', 304),
            ('condition not met, range', none % b'"a"' + b'Range: bytes=0-1\r\n', 206)):
        for method in (b'GET', b'HEAD'):
            reply = get(port, '/small.txt', fields, method)
            wanted = 200 if status == 206 and method == b'HEAD' else status
            expect(out, f'{method.decode()}, {name}', (reply.status, reply.rest), (wanted, b''))
    reply = get(port, '/small.txt', none % tag)
    expect(out, '304 has tag and date, no type and length',
           [f in reply.fields for f in ('etag', 'last-modified', 'date', 'content-type',
                                        'content-length')], [True, True, True, False, False])


def check_pipeline(out, port, content):
    names = ['small.txt', 'large.bin', 'empty', 'edge', 'edge1', 'nope', 'one', 'large.bin',
             'page.html'] * 3
    data = exchange(port, b''.join(request(target=b'/' + n.encode()) for n in names))
    problems = []
    for name in names:
        reply = Reply(data)
        if name in content and reply.body != content[name] or not reply.whole:
            problems.append(f'{name}: {reply.status}, {len(reply.body)} bytes')
        data = reply.rest
    out.check('files: pipelined, each in its turn', problems + ([repr(data[:80])] if data else []))
    expect(out, 'HEADs and GETs pipelined', statuses(exchange(
        port, (request(b'HEAD', b'/one') + request(target=b'/nope')) * 50)), [200, 404] * 50)
    expect(out, 'a thousand pipelined', exchange(
        port, request(target=b'/small.txt') * 1000).count(content['small.txt']), 1000)
    expect(out, 'HTTP/1.0 closes', [statuses(exchange(port, request(
        target=b'/one', version=b'1.0', fields=f) * 2)) for f in
        (b'', b'Connection: keep-alive\r\n')], [[200], [200, 200]])


def check_changes(out, port, root):
    """Files between requests. What is promised is a second."""
    write(root, 'v', b'first')
    first = get(port, '/v')
    write(root, 'w', b'second!')
    os.rename(os.path.join(root, 'w'), os.path.join(root, 'v'))
    write(root, 'x', b'x' * 100)
    get(port, '/x')
    os.truncate(os.path.join(root, 'x'), 10)
    shrunk = get(port, '/x')
    expect(out, 'a small file that has shrunk is sent as it is',
           (shrunk.status, shrunk.body, shrunk.whole), (200, b'x' * 10, True))
    write(root, 'y', b'y' * (SMALL + 9))
    get(port, '/y')
    os.truncate(os.path.join(root, 'y'), 10)
    reply = get(port, '/y')
    expect(out, 'a large file that has shrunk is not padded', reply.body.strip(b'y'), b'')
    write(root, 'z', b'z')
    get(port, '/z')
    os.remove(os.path.join(root, 'z'))
    time.sleep(LOOK_AGAIN_S)
    second = get(port, '/v')
    expect(out, 'a file that was replaced', (first.body, second.body,
           first.fields['etag'] != second.fields['etag']), (b'first', b'second!', True))
    expect(out, 'a file that was removed', get(port, '/z').status, 404)
    with open(os.path.join(root, 'v'), 'ab') as stream:
        stream.write(b' third')
    time.sleep(LOOK_AGAIN_S)
    expect(out, 'a file that has grown', get(port, '/v').body, b'second! third')


def begin_large(port, target=b'/sparse', fields=b''):
    """A client that has read some of a large reply, with the server waiting for it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    sock.settimeout(PATIENCE)
    sock.connect(('127.0.0.1', port))
    sock.sendall(request(target=target, fields=fields))
    return sock, sock.recv(1000)


def count_rest(sock, first):
    head, _, body = first.partition(b'\r\n\r\n')
    length = int(re.search(rb'Content-Length: (\d+)', head)[1])
    n = len(body)
    try:
        while n < length:
            part = sock.recv(1 << 20)
            if not part:
                break
            n += len(part)
    except ConnectionError:
        pass
    except TimeoutError:
        return 'it hangs', length
    return n, length


def check_changes_meanwhile(out, process, port, root):
    size = 64 << 20
    path = write(root, 'sparse', b'')
    os.truncate(path, size)
    get(port, '/one')
    before = open_files(process) + 1
    for name, change, wanted in (
            ('grows', lambda: os.truncate(path, size * 2), 'all'),
            ('is replaced', lambda: os.rename(write(root, 'new', b'new'), path), 'all'),
            ('is removed', lambda: os.remove(path), 'all'),
            ('shrinks', lambda: os.truncate(path, 1 << 20), 'less')):
        write(root, 'sparse', b'')
        os.truncate(path, size)
        time.sleep(LOOK_AGAIN_S)
        sock, first = begin_large(port)
        with sock:
            change()
            n, length = count_rest(sock, first)
        expect(out, f'a file that {name} while it is sent',
               (length, 'all' if n == size else 'less' if isinstance(n, int) else n),
               (size, wanted))
    expect(out, 'and the server serves', get(port, '/one').status, 200)
    expect(out, 'what was replaced is open no more', settles(process, before), True)


def open_files(process):
    return len(os.listdir(f'/proc/{process.pid}/fd'))


def settles(process, most):
    """Whether the server's descriptors get down to that many."""
    end = time.monotonic() + PATIENCE
    while open_files(process) > most:
        if time.monotonic() > end:
            return f'{open_files(process)} are open'
        time.sleep(0.02)
    return True


def check_many_files(out, program, root):
    rng = random.Random(7)
    many = {f'many/{i:03}.txt': rng.randbytes(rng.randrange(3000)) for i in range(1000)}
    for name, data in many.items():
        write(root, name, data)
    with server(program, '--files', '64', root) as (process, port):
        get(port, '/nope')
        before = open_files(process) + 2  # what the runtime opens in its first moments
        names = list(many) * 2
        rng.shuffle(names)
        with connect(port) as sock:
            problems = []
            for at in range(0, len(names), 100):
                batch = names[at:at + 100]
                last = request(target=b'/nope')
                sock.sendall(b''.join(request(target=b'/' + n.encode()) for n in batch) + last)
                data = read_until(sock, 1, b'Not Found\n')
                for name in batch:
                    reply = Reply(data)
                    if reply.body != many[name]:
                        problems.append(f'{name}: {reply.status}')
                    data = reply.rest
        out.check('files: a thousand small files, twice, in any order', problems)
        expect(out, 'no more are kept open than --files says', settles(process, before + 64), True)


def check_clients(out, program, root, content):
    digest = hashlib.sha256(content['large.bin']).digest()
    with server(program, '--idle-ms', str(IDLE_MS), root) as (process, port):
        before = open_files(process) + len(content)
        sock, first = begin_large(port, b'/large.bin')
        with sock:
            body = [first.partition(b'\r\n\r\n')[2]]
            while sum(map(len, body)) < len(content['large.bin']):
                body.append(sock.recv(100000))
                time.sleep(IDLE_MS / 1e3 / 20)
            expect(out, 'a client that is slow gets all',
                   hashlib.sha256(b''.join(body)).digest() == digest, True)
        with connect(port) as sock:
            got = b''
            try:
                for byte in request(target=b'/one') * 10:
                    sock.sendall(bytes([byte]))
                    time.sleep(0.02)
            except ConnectionError:
                pass
            with contextlib.suppress(ConnectionError):
                got = read_all(sock)
            expect(out, 'a client that sends a byte now and then', statuses(got), [408])
        path = write(root, 'sparse', b'')
        os.truncate(path, 64 << 20)
        sock, first = begin_large(port)
        with sock:
            time.sleep(IDLE_MS / 1e3 * 3)  # in the first of these times it still took something
            n, length = count_rest(sock, first)
            expect(out, 'a client that stops reading is dropped', n < length, True)
        expect(out, 'nothing is left of them', settles(process, before), True)
        check_gone(out, process, port, before)


def check_gone(out, process, port, before):
    """Clients that end in the middle."""
    for how, linger in (('reset', struct.pack('ii', 1, 0)), ('close', None)):
        for _ in range(50):
            sock, _ = begin_large(port)
            if linger:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            sock.close()
        expect(out, f'50 that {how} in the middle of a reply', (settles(process, before), get(
            port, '/one').status), (True, 200))
    for _ in range(1000):
        with connect(port) as sock:
            sock.sendall(request(target=b'/small.txt') * 3)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    expect(out, 'a thousand that die with requests sent', (settles(process, before), get(
        port, '/one').status), (True, 200))
    if shutil.which('curl'):
        clients = [subprocess.Popen(['curl', '-s', '--limit-rate', '100k', '-o', os.devnull,
                                     f'http://127.0.0.1:{port}/sparse']) for _ in range(10)]
        time.sleep(0.3)
        for client in clients:
            client.kill()
            client.wait()
        expect(out, 'ten curls killed', (settles(process, before), get(port, '/one').status),
               (True, 200))


def check_scarcity(out, program, root):
    """Few descriptors, more clients than that: they take turns, and files are still opened."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))
    try:
        command = ['bash', '-c', f'ulimit -Hn 64; exec "$@"', 'bash', program]
        process = subprocess.Popen([*command, '--workers', '2', '--idle-ms', '300', root],
                                   stdout=subprocess.PIPE, text=True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    try:
        port = int(process.stdout.readline().rsplit(':', 1)[1])
        socks = [connect(port) for _ in range(150)]
        for sock in socks:
            sock.sendall(request(target=b'/small.txt', fields=b'Connection: close\r\n'))
        got = []
        for sock in socks:
            with sock, contextlib.suppress(ConnectionError):
                got += statuses(read_all(sock))
        expect(out, '150 clients where 64 descriptors are: all are answered',
               (len(got), set(got) <= {200, 503}, got.count(200) > 0), (150, True, True))
        expect(out, 'and afterwards all is well', get(port, '/small.txt').status, 200)
        process.terminate()
        expect(out, 'short of descriptors: exit status 0', process.wait(PATIENCE), 0)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    with server(program, '--max-connections', '2', '--idle-ms', '300', root) as (_, port):
        with connect(port), connect(port), connect(port) as third:
            third.sendall(request(target=b'/one', fields=b'Connection: close\r\n'))
            expect(out, '--max-connections: the next one waits its turn',
                   statuses(read_all(third)), [200])


def check_stop(out, program, root):
    with server(program, '--grace-ms', '3000', root) as (process, port):
        path = write(root, 'sparse', b'')
        os.truncate(path, 64 << 20)
        sock, first = begin_large(port)
        with sock, connect(port) as idle, connect(port) as half:
            for s in (idle, half):
                s.sendall(request(target=b'/one'))
                read_until(s, 1, b'\r\n\r\n')
            half.sendall(b'GET /small.txt HTTP/1.1\r\n')
            time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            read_all(idle)  # it has been told
            half.sendall(b'Host: a\r\n\r\n')
            rest = read_all(half)
            reply = Reply(rest[rest.index(b'HTTP'):])
            expect(out, 'SIGTERM: a request half sent is answered', (reply.status, reply.fields.get(
                'connection'), reply.whole), (200, 'close', True))
            expect(out, 'SIGTERM: a reply half sent goes on', count_rest(sock, first)[0], 64 << 20)
            expect(out, 'SIGTERM: exit status 0', process.wait(PATIENCE), 0)


def curl(port, target, *options):
    return subprocess.run(['curl', '-sS', '--max-time', str(PATIENCE), *options,
                           f'http://127.0.0.1:{port}{target}'], capture_output=True)


def check_curl(out, port, root, content):
    if not shutil.which('curl'):
        print('skipped: curl is not installed')
        return
    with tempfile.TemporaryDirectory() as place:
        got = os.path.join(place, 'got')

        def fetched():
            with open(got, 'rb') as stream:
                return stream.read()

        for name in ('small.txt', 'large.bin', 'edge1'):
            curl(port, '/' + name, '-o', got)
            expect(out, f'curl: {name}', fetched() == content[name], True)
        with open(got, 'wb') as stream:
            stream.write(content['large.bin'][:1000001])
        curl(port, '/large.bin', '-C', '-', '-o', got)
        expect(out, 'curl: a download resumed', fetched() == content['large.bin'], True)
        expect(out, 'curl: -r', curl(port, '/small.txt', '-r', '100-199').stdout,
               content['small.txt'][100:200])
        expect(out, 'curl: -L', curl(port, '/sub', '-L').stdout, b'<p>index</p>')
        code = ['-o', os.devnull, '-w', '%{http_code} %{num_connects}']
        expect(out, 'curl: -z the file', curl(port, '/small.txt', '-z', os.path.join(
            root, 'small.txt'), *code).stdout, b'304 1')
        expect(out, 'curl: -I', b'Content-Length: 1000' in curl(port, '/small.txt', '-I').stdout, True)
        expect(out, 'curl: HTTP/1.0', curl(port, '/small.txt', '-0').stdout, content['small.txt'])
        expect(out, 'curl: -d', curl(port, '/small.txt', '-d', 'x', *code).stdout, b'405 1')
        expect(out, 'curl: one connection for many', subprocess.run(
            ['curl', '-s', '-w', '%{num_connects} ', '-o', os.devnull,
             f'http://127.0.0.1:{port}/large.bin', '-o', os.devnull,
             f'http://127.0.0.1:{port}/nope', '-o', os.devnull,
             f'http://127.0.0.1:{port}/one'], capture_output=True).stdout, b'1 0 0 ')


def check_all(out, program, root, content, environment=None):
    with server(program, root, environment=environment) as (process, port):
        check_statuses(out, port, content)
        check_folders(out, port)
        check_paths(out, port, content)
        check_ranges(out, port, content)
        check_conditions(out, port)
        check_pipeline(out, port, content)
        check_curl(out, port, root, content)
        check_changes(out, port, root)
        process.send_signal(signal.SIGINT)
        expect(out, 'SIGINT: exit status 0', process.wait(PATIENCE), 0)


def main():
    out = report.Report()
    program = sys.argv[1]
    with tree() as (root, content):
        check_all(out, program, root, content)
        print('again, without a ring')
        check_all(out, program, root, content, {'WEFT_BACKEND': 'epoll'})
        check_no_links(out, program, root, content)
        with server(program, root) as (process, port):
            check_changes_meanwhile(out, process, port, root)
        check_many_files(out, program, root)
        check_clients(out, program, root, content)
        check_scarcity(out, program, root)
        check_stop(out, program, root)
    out.finish()


main()
