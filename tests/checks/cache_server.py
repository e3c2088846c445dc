#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""cache_server.py SERVER: drives the cache server of bench/servers/cache from outside.

Commands and errors in Redis's words (where redis-server is installed it is asked the same and
must agree), pipelines, large values, expiry, many clients; the append-only file replayed, cut,
damaged and full; the end by SIGTERM, and by SIGKILL under load. redis-cli and redis-benchmark
have a go where they are installed; everything is covered by plain sockets too. The server runs
on the backend that WEFT_BACKEND names.
"""
import contextlib
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import report

PATIENCE = 20
KILLED_ROUNDS = 4
FILE = 'appendonly.aof'


class Error(str):
    """An error reply."""


class Status(str):
    """A status reply."""


def encode(*words):
    data = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b'*%d\r\n' % len(data) + b''.join(b'$%d\r\n%s\r\n' % (len(d), d) for d in data)


class Client:
    """One connection; replies as int, bytes, None, list, Status and Error."""

    def __init__(self, address):
        self.sock = (socket.create_connection(('127.0.0.1', address), timeout=PATIENCE)
                     if isinstance(address, int) else socket.socket(socket.AF_UNIX))
        if not isinstance(address, int):
            self.sock.settimeout(PATIENCE)
            self.sock.connect(address)
        self.stream = self.sock.makefile('rb', buffering=1 << 16)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stream.close()
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def reply(self):
        line = self.stream.readline()
        if not line.endswith(b'\r\n'):
            raise ConnectionError('the connection has ended')
        kind, rest = line[:1], line[1:-2]
        if kind == b'+':
            return Status(rest.decode())
        if kind == b'-':
            return Error(rest.decode())
        if kind == b':':
            return int(rest)
        if kind == b'*':
            return [self.reply() for _ in range(int(rest))]
        if kind != b'$':
            raise ValueError(f'no reply: {line!r}')
        if rest == b'-1':
            return None
        data = self.stream.read(int(rest) + 2)
        if len(data) != int(rest) + 2 or data[-2:] != b'\r\n':
            raise ConnectionError('the connection has ended in a string')
        return data[:-2]

    def __call__(self, *words):
        self.send(encode(*words))
        return self.reply()

    def info(self):
        lines = self('INFO').decode().split('\r\n')
        return dict(line.split(':', 1) for line in lines if ':' in line)


@contextlib.contextmanager
def server(program, *options, **more):
    """The server, ready: its process and port. Killed on the way out, if it is still there."""
    process = subprocess.Popen([program, *options], stdout=subprocess.PIPE,
                               text=True, **more)
    try:
        line = process.stdout.readline()
        if not line.startswith('listening '):
            raise RuntimeError(f'no start: {options}')
        yield process, int(line.rsplit(':', 1)[1])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        if process.stderr:
            process.stderr.close()


@contextlib.contextmanager
def redis(*options):
    """redis-server, the real one, on a port; None where it is not installed."""
    if not shutil.which('redis-server'):
        yield None
        return
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(['redis-server', '--port', str(port), '--save', '', *options],
                               stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(OSError), Client(port) as client:
                if client('PING') == 'PONG':
                    break
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


def expect(out, name, got, wanted):
    text = lambda value: f'{value!r}'[:300]
    out.check('cache: ' + name,
              [] if got == wanted else [f'{text(got)} instead of {text(wanted)}'])


def with_file(folder, fsync='always'):
    return '--dir', folder, '--appendonly', 'yes', '--appendfsync', fsync


def resident_mib(process):
    with open(f'/proc/{process.pid}/statm', encoding='ascii') as statm:
        return int(statm.read().split()[1]) * os.sysconf('SC_PAGESIZE') >> 20


# What is asked, and what is answered: ours and Redis's, in this order, from an empty cache.
SYNTAX, NOT_INTEGER = 'ERR syntax error', 'ERR value is not an integer or out of range'
OVERFLOW = 'ERR increment or decrement would overflow'
TOO_LATE = "ERR invalid expire time in '%s' command"
ARITY = "ERR wrong number of arguments for '%s' command"
MAX, MIN = 2**63 - 1, -2**63
DIALOGUE = (
    ('GET k', None), ('SET k v', 'OK'), ('GET k', b'v'), ('get K', None), ('sEt k w', 'OK'),
    ('GET', ARITY % 'get'), ('GET a b', ARITY % 'get'), ('SET k', ARITY % 'set'),
    ('SET k v EX', SYNTAX), ('SET k v FOO', SYNTAX), ('SET k v NX XX', SYNTAX),
    ('SET k v EX 10 PX 10', SYNTAX), ('SET k v EX 10 KEEPTTL', SYNTAX),
    ('SET k v EX abc FOO', SYNTAX), ('SET k v EX 0 PX', SYNTAX), ('SET k v EX KEEPTTL', NOT_INTEGER),
    ('SET k v EX abc', NOT_INTEGER), ('SET k v EX 0', TOO_LATE % 'set'),
    ('SET k v PX -1', TOO_LATE % 'set'), (f'SET k v EX {MAX}', TOO_LATE % 'set'),
    ('GET k', b'w'), ('SET k x NX', None), ('SET n x XX', None), ('SET k x XX', 'OK'),
    ('SET k y GET', b'x'), ('SET o y GET', None), ('SET o z NX GET', b'y'),
    ('SET k y EX 100', 'OK'), ('TTL k', 100), ('SET k z KEEPTTL', 'OK'), ('TTL k', 100),
    ('SET k z', 'OK'), ('TTL k', -1), ('TTL none', -2), ('PTTL k', -1), ('PTTL none', -2),
    ('SET k z EXAT 99999999999', 'OK'), ('SET k z PXAT 99999999999999', 'OK'),
    ('PERSIST k', 1), ('PERSIST k', 0), ('PERSIST none', 0), ('TTL k', -1),
    ('EXPIRE k 50', 1), ('TTL k', 50), ('EXPIRE none 50', 0), ('EXPIRE k', ARITY % 'expire'),
    ('PEXPIRE k 70000', 1), ('TTL k', 70), ('EXPIRE k x', NOT_INTEGER),
    (f'EXPIRE k {MAX}', TOO_LATE % 'expire'), (f'PEXPIRE k {MAX}', TOO_LATE % 'pexpire'),
    ('EXPIRE k 50 NX', 0), ('EXPIRE k 60 XX', 1), ('EXPIRE k 50 GT', 0), ('EXPIRE k 80 LT', 0),
    ('EXPIRE k 80 GT', 1), ('EXPIRE k 50 LT', 1), ('EXPIRE k 50 FOO', 'ERR Unsupported option FOO'),
    ('EXPIRE k 5 GT LT', 'ERR GT and LT options at the same time are not compatible'),
    ('EXPIRE k 5 NX XX', 'ERR NX and XX, GT or LT options at the same time are not compatible'),
    ('EXISTS k', 1), ('EXPIRE k -1', 1), ('EXISTS k', 0), ('SET k v', 'OK'),
    ('EXPIREAT k 1', 1), ('GET k', None), ('SET k v', 'OK'), ('PEXPIREAT k 1', 1), ('GET k', None),
    ('SET k v', 'OK'), ('EXISTS k k none', 2), ('DEL k k none', 1), ('DEL none', 0), ('DEL', ARITY % 'del'),
    ('MSET a 1 b 2 a 3', 'OK'), ('MGET a none b a', [b'3', None, b'2', b'3']), ('MSET a', ARITY % 'mset'),
    ('MSET a 1 b', ARITY % 'mset'), ('MGET', ARITY % 'mget'), ('UNLINK a', 1),
    ('INCR n', 1), ('INCR n', 2), ('INCRBY n 40', 42), ('DECR n', 41), ('DECRBY n 50', -9), ('GET n', b'-9'),
    ('INCRBY n x', NOT_INTEGER), ('INCRBY n +1', NOT_INTEGER), ('INCRBY n 01', NOT_INTEGER),
    (f'INCRBY n {MAX + 1}', NOT_INTEGER), (f'SET n {MAX}', 'OK'), ('INCR n', OVERFLOW),
    (f'SET n {MIN}', 'OK'), ('DECR n', OVERFLOW), (f'DECRBY n {MIN}', 'ERR decrement would overflow'),
    (f'INCRBY n {MAX}', -1), ('SET n 1.5', 'OK'), ('INCR n', NOT_INTEGER), ('SET n x', 'OK'), ('DECR n', NOT_INTEGER),
    ('SET n 7 EX 100', 'OK'), ('INCR n', 8), ('TTL n', 100),
    ('PING', 'PONG'), ('PING x', b'x'), ('PING x y', ARITY % 'ping'), ('ECHO x', b'x'), ('ECHO', ARITY % 'echo'),
    ('SELECT 0', 'OK'), ('SELECT 99', 'ERR DB index is out of range'), ('SELECT x', NOT_INTEGER),
    ('CONFIG GET save', [b'save', b'']), ('CONFIG GET appendonly', [b'appendonly', b'no']),
    ('CONFIG GET none', []), ('CONFIG GET', ARITY % 'config|get'),
    ('CONFIG FOO', "ERR unknown subcommand 'FOO'. Try CONFIG HELP."),
    ('FOO', "ERR unknown command 'FOO', with args beginning with: "),
    ('FOO a b', "ERR unknown command 'FOO', with args beginning with: 'a' 'b' "),
    ('DBSIZE', 3), ('DBSIZE x', ARITY % 'dbsize'), ('FLUSHALL x', SYNTAX), ('FLUSHALL', 'OK'), ('DBSIZE', 0),
    ('SET k v', 'OK'), ('FLUSHDB ASYNC', 'OK'), ('GET k', None),
)

# What comes as it stands, and what is answered until the connection ends or nothing is left.
STREAMS = (
    (b'PING\r\n', b'+PONG\r\n'), (b'PING\n', b'+PONG\r\n'), (b'\r\n  \r\nPING\r\n', b'+PONG\r\n'),
    (b'*0\r\n*-1\r\nPING\r\n', b'+PONG\r\n'),
    (b'SET a "b c"\r\nGET a\r\n', b'+OK\r\n$3\r\nb c\r\n'),
    (b"SET a 'b\\'c'\r\nGET a\r\n", b"+OK\r\n$3\r\nb'c\r\n"),
    (b'SET a "\\x41\\n\\r\\t\\b\\a\\q"\r\nGET a\r\n', b'+OK\r\n$7\r\nA\n\r\t\b\aq\r\n'),
    (b'SET a "b\r\nPING\r\n', b'-ERR Protocol error: unbalanced quotes in request\r\n'),
    (b'SET a "b"c\r\n', b'-ERR Protocol error: unbalanced quotes in request\r\n'),
    (b'A' * 70000, b'-ERR Protocol error: too big inline request\r\n'),
    (b'*x\r\n', b'-ERR Protocol error: invalid multibulk length\r\n'),
    (b'*9999999999\r\n', b'-ERR Protocol error: invalid multibulk length\r\n'),
    (b'*1' + b'1' * 70000, b'-ERR Protocol error: too big mbulk count string\r\n'),
    (b'*1\r\n+PING\r\n', b"-ERR Protocol error: expected '$', got '+'\r\n"),
    (b'*1\r\n$x\r\n', b'-ERR Protocol error: invalid bulk length\r\n'),
    (b'*1\r\n$-1\r\n', b'-ERR Protocol error: invalid bulk length\r\n'),
    (b'*1\r\n$536870913\r\n', b'-ERR Protocol error: invalid bulk length\r\n'),
    (b'*1\r\n$' + b'1' * 70000, b'-ERR Protocol error: too big bulk count string\r\n'),
    (b'*1\r\n$4\r\nPING\r\n*1\r\n$x\r\nPING\r\n',
     b'+PONG\r\n-ERR Protocol error: invalid bulk length\r\n'),
    (b'QUIT\r\nPING\r\n', b'+OK\r\n'),
    (encode('SET', b'\0\r\n', bytes(range(256))) + encode('GET', b'\0\r\n'),
     b'+OK\r\n$256\r\n' + bytes(range(256)) + b'\r\n'),
    (encode('SET', '', '') + encode('GET', ''), b'+OK\r\n$0\r\n\r\n'),
)


def read_all(sock):
    data = b''
    with contextlib.suppress(ConnectionError):
        while part := sock.recv(65536):
            data += part
    return data


def exchange(port, data):
    """All that comes back when these bytes are sent and nothing more."""
    with socket.create_connection(('127.0.0.1', port), timeout=PATIENCE) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        return read_all(sock)


def check_dialogue(out, who, port):
    with Client(port) as client:
        problems = []
        for line, wanted in DIALOGUE:
            got = client(*line.split(' '))
            if got != wanted:
                problems.append(f'{line}: {got!r} instead of {wanted!r}')
    out.check(f'cache: {len(DIALOGUE)} commands and errors, {who}', problems)


def check_streams(out, who, port):
    problems = []
    for data, wanted in STREAMS:
        got = exchange(port, data)
        if got != wanted:
            problems.append(f'{data[:60]!r}: {got[:100]!r} instead of {wanted[:100]!r}')
    out.check(f'cache: {len(STREAMS)} streams, inline, binary, wrong, {who}', problems)


def check_pieces(out, port):
    data = encode('SET', 'piece', 'of\r\ncake') + b'GET piece\r\n' + encode('DEL', 'piece')
    with Client(port) as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(data)):
            client.send(data[i:i + 1])
            time.sleep(0.0005)
        expect(out, 'byte by byte', [client.reply() for _ in range(3)], ['OK', b'of\r\ncake', 1])


def any_command(rng):
    """A command, right or wrong, as often as not on one of a few keys."""
    words = [rng.choice(('GET', 'SET', 'SET', 'SET', 'DEL', 'EXISTS', 'INCR', 'DECR', 'INCRBY', 'DECRBY',
                         'MGET', 'MSET', 'EXPIRE', 'EXPIREAT', 'PEXPIREAT', 'TTL', 'PERSIST',
                         'PING', 'ECHO', 'FOO'))]
    for i in range(rng.choice((0, 1, 1, 2, 2, 2, 3, 3, 4, 5))):
        words.append(f'k{rng.randrange(12)}' if i == 0 and rng.random() < 0.9 else rng.choice((
            '0', '7777', '-1', '100', str(MAX), str(MIN), 'abc', '', '1.5', ' 1', 'EX', 'NX', 'XX',
            'GT', 'LT', 'KEEPTTL', 'GET', 'EXAT', 'PXAT', 'nx')))
    return words


def check_like_redis(out, port, redis_port):
    """Both are asked the same; times may differ by what passes between the two."""
    rng, problems = random.Random(1), []
    with Client(port) as ours, Client(redis_port) as theirs:
        for client in (ours, theirs):
            client('FLUSHALL')
        for _ in range(5000):
            words = any_command(rng)
            mine, wanted = ours(*words), theirs(*words)
            if mine != wanted and not (words[0] == 'TTL' and abs(mine - wanted) <= 1):
                problems.append(f'{words}: {mine!r} instead of {wanted!r}')
    out.check('cache: 5000 commands, right and wrong, answered as redis-server does', problems)


def check_info(out, port):
    with Client(port) as client:
        client('SET', 'seen', '1')
        client('GET', 'seen')
        info = client.info()
        expect(out, 'INFO tells its port, keys and hits',
               (info['tcp_port'], info['db0'].startswith('keys='), int(info['keyspace_hits']) > 0),
               (str(port), True, True))
        backend = os.environ.get('WEFT_BACKEND', '')
        expect(out, f'it runs on the backend asked for, {backend or "any"}',
               info['weft_backend'].startswith(backend), True)
        expect(out, 'INFO of one section', client('INFO', 'clients').split(b'\r\n')[0], b'# Clients')
        expect(out, 'COMMAND', client('COMMAND'), [])
        names = client('CONFIG', 'GET', 'append*')[::2]
        expect(out, 'CONFIG GET of a pattern', names, [b'appendonly', b'appendfsync'])


def check_pipeline(out, port):
    count = 10000
    with Client(port) as client:
        data = b''.join(encode('SET', f'p{i}', i) + encode('GET', f'p{i}') for i in range(count // 2))
        sender = threading.Thread(target=client.send, args=(data,))
        sender.start()
        got = [client.reply() for _ in range(count)]
        sender.join()
        wanted = [r for i in range(count // 2) for r in ('OK', str(i).encode())]
        expect(out, f'{count} commands in one go', got, wanted)


def check_large(out, process, port):
    value = random.Random(1).randbytes(64 << 20)
    with Client(port) as client:
        expect(out, 'a value of 64 MiB is taken', client('SET', 'large', value), 'OK')
        expect(out, 'and comes back', client('GET', 'large') == value, True)
        client('SET', 'small', 'x')
        got = client('MGET', 'small', 'large', 'none', 'large', 'small')
        expect(out, 'among others too', got == [b'x', value, None, value, b'x'], True)
        client.send(encode('GET', 'large') + encode('SET', 'large', 'y') + encode('GET', 'large'))
        got = [client.reply() for _ in range(3)]
        expect(out, 'it is sent whole though it is replaced', got == [value, 'OK', b'y'], True)
    before = resident_mib(process)
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            client = stack.enter_context(Client(port))
            client.send(b'*1048576\r\n$536870912\r\n12345')
        with Client(port) as client:
            client('SET', 'long', b'x' * (1 << 20))
            # A client that asks and does not read is made to wait.
            deaf = stack.enter_context(Client(port))
            deaf.sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                for _ in range(1000):
                    deaf.send(encode('GET', 'long') * 100)
            for _ in range(200):
                client('PING')
        grown = resident_mib(process) - before
    out.check('cache: what is announced, or asked for and not read, costs no memory',
              [f'{grown} MiB more'] if grown > 40 else [])


def check_expiry(out, port):
    with Client(port) as client:
        client('FLUSHALL')
        start = time.monotonic()
        client('SET', 'soon', 'x', 'PX', 120)
        left = client('PTTL', 'soon')
        expect(out, 'PTTL of 120 ms', 0 < left <= 120, True)
        while client('EXISTS', 'soon'):
            time.sleep(0.001)
        took = time.monotonic() - start
        out.check('cache: it goes at its time, not before',
                  [f'after {took:.3f} s'] if not 0.118 <= took < 3 else [])
        # Nobody asks for these: the timer takes them out, also the early one set last.
        client('SET', 'stays', 'x')
        client('SET', 'later', 'x', 'EX', 1000)
        time.sleep(0.05)
        client.send(b''.join(encode('SET', f'e{i}', i, 'PX', 100 + i % 100) for i in range(5000)))
        for _ in range(5000):
            client.reply()
        end = time.monotonic() + PATIENCE
        while client('DBSIZE') > 2 and time.monotonic() < end:
            time.sleep(0.01)
        expect(out, '5000 keys go by themselves, others stay',
               (client('DBSIZE'), client('MGET', 'stays', 'later')), (2, [b'x', b'x']))
        client('SET', 'kept', 'x', 'PX', 50)
        client('PERSIST', 'kept')
        client('SET', 'again', 'x', 'PX', 50)
        client('SET', 'again', 'y')
        time.sleep(0.1)
        expect(out, 'what was persisted or set again stays',
               client('MGET', 'kept', 'again'), [b'x', b'y'])


def run_all(count, work):
    """work(0) .. work(count - 1), each in a thread; what went wrong, if anything."""
    problems = []

    def one(number):
        try:
            work(number)
        except Exception as error:  # pylint: disable=broad-except
            problems.append(repr(error))

    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems


def check_many(out, who, port):
    def count_up(number):
        with Client(port) as client:
            for _ in range(20):
                client.send(encode('INCR', 'sum') * 50)
                for _ in range(50):
                    client.reply()

    problems = run_all(50, count_up)
    with Client(port) as client:
        sum_ = client('GET', 'sum')
        out.check(f'cache: 50 clients count to 50000, {who}',
                  problems or ([] if sum_ == b'50000' else [f'{sum_!r}']))
    names = [f'at{i}' for i in range(20)]
    torn = []

    def write(number):
        with Client(port) as client:
            for i in range(200):
                client('MSET', *[w for name in names for w in (name, f'{number}-{i}')])

    def read(_):
        with Client(port) as client:
            for _ in range(200):
                seen = set(client('MGET', *names))
                if len(seen) > 1:
                    torn.append(f'{seen}')

    problems = run_all(6, lambda i: write(i) if i % 2 else read(i))
    out.check(f'cache: MSET and MGET of many keys are atomic, {who}', problems + torn)


def check_tools(out, port):
    if shutil.which('redis-cli'):
        cli = lambda *words, **more: subprocess.run(
            ['redis-cli', '-p', str(port), *words], capture_output=True, text=True,
            timeout=PATIENCE, **more).stdout
        expect(out, 'redis-cli', (cli('set', 'from', 'cli', 'ex', '100'), cli('get', 'from'),
                                  cli('ttl', 'from')), ('OK\n', 'cli\n', '100\n'))
        expect(out, 'redis-cli from a pipe', cli(input='set a 1\nincr a\n'), 'OK\n2\n')
    if shutil.which('redis-benchmark'):
        done = subprocess.run(['redis-benchmark', '-p', str(port), '-q', '--csv', '-n', '2000', '-P', '8',
                               '-t', 'ping,set,get,incr,mset'],
                              capture_output=True, text=True, timeout=60)
        lines = [line for line in done.stdout.splitlines() if line.startswith('"')]
        expect(out, 'redis-benchmark: ping, set, get, incr, mset',
               (done.returncode, len(lines), 'ERR' in done.stdout), (0, 7, False))


def fill(client, seed):
    """Random changes to a hundred keys, pipelined."""
    rng = random.Random(seed)
    words = []
    for _ in range(3000):
        key = f'k{rng.randrange(100)}'
        words.append(rng.choice((
            ('SET', key, rng.randbytes(rng.randrange(200))), ('SET', key, rng.randrange(1000)),
            ('SET', key, 5, 'EX', 1000), ('SET', key, 5, 'PX', 1 + rng.randrange(300)),
            ('SET', key, 6, 'KEEPTTL'), ('SET', key, 7, 'NX'), ('SET', key, 8, 'XX', 'EX', 500),
            ('INCR', key), ('DECRBY', key, 3), ('DEL', key, f'k{rng.randrange(100)}'),
            ('MSET', key, 'm', f'k{rng.randrange(100)}', 'm'), ('EXPIRE', key, 2000),
            ('PEXPIRE', key, 50), ('EXPIRE', key, -1), ('PERSIST', key), ('EXPIREAT', key, 99999999999))))
    words.insert(1500, ('FLUSHALL',))
    for part in range(0, len(words), 100):
        client.send(b''.join(encode(*w) for w in words[part:part + 100]))
        for _ in words[part:part + 100]:
            client.reply()
        time.sleep(0.002)


def contents(client):
    """The keys with value and whether they go one day; all short times are over."""
    keys = [f'k{i}' for i in range(100)]
    return {k: (v, client('TTL', k) >= 0) for k, v in zip(keys, client('MGET', *keys)) if v is not None}


def check_replay(out, program):
    for workers in ('1', '2'):
        with tempfile.TemporaryDirectory() as folder:
            options = ('--workers', workers, *with_file(folder, 'everysec'))
            with server(program, *options) as (process, port):
                with Client(port) as client:
                    fill(client, int(workers))
                    time.sleep(0.4)
                    wanted = contents(client)
                    process.send_signal(signal.SIGTERM)
                    expect(out, f'SIGTERM: exit status 0, {workers} workers', process.wait(PATIENCE), 0)
            with server(program, *options) as (_, port), Client(port) as client:
                expect(out, f'{len(wanted)} keys replayed, {workers} workers', contents(client), wanted)
            with redis('--dir', folder, '--appendonly', 'yes') as port:
                if port:
                    with Client(port) as client:
                        expect(out, 'redis-server reads the file too', contents(client), wanted)


def check_folder_is_locked(out, program):
    with tempfile.TemporaryDirectory() as folder:
        with server(program, *with_file(folder)):
            second = subprocess.run([program, *with_file(folder)], capture_output=True, text=True,
                                    timeout=PATIENCE)
            expect(out, 'a second server does not use the same file',
                   (second.returncode, 'another program uses it' in second.stderr), (1, True))


def check_policies(out, program):
    for fsync, least, most in (('always', 20, 40), ('everysec', 1, 3), ('no', 0, 0)):
        with tempfile.TemporaryDirectory() as folder:
            with server(program, *with_file(folder, fsync)) as (_, port), Client(port) as client:
                for i in range(20):
                    client('SET', 'k', i)
                time.sleep(0 if fsync == 'always' else 1.5)
                info = client.info()
                size = os.path.getsize(os.path.join(folder, FILE))
                syncs = int(info['aof_syncs'])
                out.check(f'cache: {fsync}: how often 20 writes are synced',
                          [] if least <= syncs <= most else [f'{syncs} times'])
                expect(out, f'{fsync}: all of them are in the file', int(info['aof_current_size']), size)


def try_file(program, folder, data):
    """A server on this file: its keys, or its exit status and what it says."""
    with open(os.path.join(folder, FILE), 'wb') as file:
        file.write(data)
    process = subprocess.Popen([program, *with_file(folder)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        if line:
            with Client(int(line.rsplit(':', 1)[1])) as client:
                keys = client('DBSIZE')
                client('SET', 'new', 'x')
            process.terminate()
            process.wait(PATIENCE)
            with open(os.path.join(folder, FILE), 'rb') as file:
                return keys, file.read()
        return process.wait(PATIENCE), process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def check_damage(out, program):
    records = [encode('SET', f'k{i}', 'v' * i) for i in range(30)]
    whole, last = b''.join(records), len(records[-1])
    new = encode('SET', 'new', 'x')
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        for cut in (1, 2, 3, last // 2, last - 4, last - 1):
            wanted = (29, whole[:-last] + new)
            got = try_file(program, folder, whole[:-cut])
            if got != wanted:
                problems.append(f'{cut} bytes short: {got}')
        out.check('cache: an unfinished command at the end is cut off', problems)
        expect(out, 'an empty file is one', try_file(program, folder, b''), (0, new))
        at = len(b''.join(records[:10]))
        for name, data in (
                ('garbage in the middle', whole[:at] + b'garbage\r\n' + whole[at:]),
                ('a damaged length', whole[:at] + records[10].replace(b'$10\r\n', b'$99999\r\n')
                 + whole[at + len(records[10]):]),
                ('a length one too short', whole[:at] + records[10].replace(b'$10\r\n', b'$9\r\n')
                 + whole[at + len(records[10]):]),
                ('an unknown command', whole[:at] + encode('NOSUCH', 'a') + whole[at:]),
                ('zeros at the end', whole + b'\0' * 100),
                ('a command that fails', whole[:at] + encode('SET', 'a') + whole[at:])):
            status, said = try_file(program, folder, data)
            place = len(whole) if name.startswith('zeros') else at
            expect(out, f'{name}: refused, with the place',
                   (status, f'damaged at byte {place}:' in str(said)), (1, True))


def check_refused(out, process, client, fsync, refused):
    """While the file is full, and when it has room again."""
    expect(out, f'{fsync}: a full disk refuses writes',
           str(refused), 'MISCONF Errors writing to the AOF file: File too large')
    expect(out, f'{fsync}: and goes on reading', client('GET', 'k0'), b'v' * 100)
    client.send(encode('GET', 'k0') + encode('SET', 'a', '1') + encode('GET', 'k1'))
    expect(out, f'{fsync}: in a pipeline the writes alone are refused',
           [isinstance(client.reply(), Error) for _ in range(3)], [False, True, False])
    hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    end = time.monotonic() + PATIENCE
    while client('SET', 'after', 'x') != 'OK' and time.monotonic() < end:
        time.sleep(0.02)
    if fsync == 'everysec':
        process.terminate()
        process.wait(PATIENCE)


def check_full(out, program):
    """A file that may not grow: as on a full disk, writes fail, in part even."""
    for fsync, killed in (('always', True), ('always', False), ('everysec', False)):
        with tempfile.TemporaryDirectory() as folder:
            options = ('--workers', '1', *with_file(folder, fsync))
            acknowledged, refused, limit = [], None, 100000
            with server(program, *options, stderr=subprocess.DEVNULL) as (process, port):
                hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)[1]
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, hard))
                with Client(port) as client:
                    for i in range(3000):
                        reply = client('SET', f'k{i}', 'v' * 100)
                        if reply != 'OK':
                            refused = reply
                            break
                        acknowledged.append(i)
                    if killed:
                        process.kill()
                        process.wait()
                        client.close()
                    else:
                        check_refused(out, process, client, fsync, refused)
            with server(program, *options) as (_, port), Client(port) as client:
                lost = [i for i in acknowledged if client('GET', f'k{i}') != b'v' * 100]
                expect(out, f'{fsync}: {"killed" if killed else "with room again"}, all '
                       'acknowledged writes are there',
                       (lost, len(acknowledged) > 500, client('GET', 'after')),
                       ([], True, None if killed else b'x'))


class Witness:
    """A client that writes until the server dies, and remembers what was acknowledged."""

    def __init__(self, number, start):
        self.number, self.sent = number, start
        self.acknowledged = start
        self.added = 0
        self.unknown = set()  # sent before a kill and not acknowledged: there or not

    def run(self, port):
        depth = 1 + self.number % 4
        with contextlib.suppress(OSError, ConnectionError), Client(port) as client:
            while True:
                first = self.sent
                self.sent += depth
                client.send(b''.join(
                    encode('SET', f'w{self.number}:{i % 500}', i) + encode('INCR', f'n{self.number}')
                    for i in range(first, self.sent)))
                for i in range(first, self.sent):
                    if client.reply() != 'OK' or not isinstance(client.reply(), int):
                        raise RuntimeError('a write was refused')
                    self.acknowledged = i + 1

    def lost(self, client):
        """What the server no longer knows of what it has acknowledged."""
        problems = []
        counted = int(client('GET', f'n{self.number}') or 0)
        if not self.acknowledged <= counted + self.added <= self.sent:
            problems.append(f'{self.number}: {self.acknowledged} acknowledged, {counted} counted')
        for i in set(range(max(0, self.acknowledged - 500), self.acknowledged)) - self.unknown:
            value = int(client('GET', f'w{self.number}:{i % 500}') or -1)
            if value < i:
                problems.append(f'w{self.number}:{i % 500}: {value} instead of {i}')
        self.unknown.update(range(self.acknowledged, self.sent))
        self.added += self.sent - (counted + self.added)
        self.acknowledged = self.sent
        return problems


def check_killed(out, program):
    for workers in ('1', '2'):
        with tempfile.TemporaryDirectory() as folder:
            options = ('--workers', workers, *with_file(folder))
            witnesses = [Witness(i, 0) for i in range(12)]
            problems, total = [], 0
            for number in range(KILLED_ROUNDS):
                before = sum(w.acknowledged for w in witnesses)
                with server(program, *options, stderr=subprocess.DEVNULL) as (process, port):
                    timer = threading.Timer(0.3 + 0.1 * number, process.kill)
                    timer.start()
                    problems += run_all(len(witnesses), lambda i: witnesses[i].run(port))
                    timer.join()
                total += sum(w.acknowledged for w in witnesses) - before
                with server(program, *options, stderr=subprocess.DEVNULL) as (_, port):
                    with Client(port) as client:
                        for witness in witnesses:
                            problems += witness.lost(client)
            if total < 100 * KILLED_ROUNDS:
                problems.append(f'only {total} writes were acknowledged')
            out.check(f'cache: killed {KILLED_ROUNDS} times under load, no acknowledged write is lost, '
                      f'{workers} workers', problems)


def check_stop(out, program):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'socket')
        options = ('--workers', '2', '--unix', path, *with_file(folder, 'no'))
        with server(program, *options) as (process, port):
            with Client(path) as local, Client(port) as client:
                expect(out, 'a unix socket', (local('SET', 'u', 'x'), client('GET', 'u')), ('OK', b'x'))
                client.send(encode('GET', 'u')[:-4])
                time.sleep(0.05)
                process.send_signal(signal.SIGTERM)
                expect(out, 'SIGTERM ends idle and half-sent connections',
                       (read_all(local.sock), read_all(client.sock)), (b'', b''))
                expect(out, 'SIGTERM: exit status 0', process.wait(PATIENCE), 0)
                expect(out, 'the socket is gone', os.path.exists(path), False)
        with server(program, *options) as (process, port):
            with Client(port) as busy:
                count, stop = 0, threading.Timer(0.2, process.terminate)
                stop.start()
                with contextlib.suppress(OSError, ConnectionError):
                    while True:
                        busy.send(encode('SET', 'last', count) * 10)
                        for _ in range(10):
                            busy.reply()
                        count += 1
                stop.join()
            expect(out, 'SIGTERM under load: exit status 0', process.wait(PATIENCE), 0)
        with server(program, *options) as (_, port), Client(port) as client:
            last = int(client('GET', 'last') or -1)
            expect(out, 'what was answered before the end is in the file', last in (count - 1, count), True)


def main():
    out = report.Report()
    program = sys.argv[1]
    with redis() as port:
        if port:
            check_dialogue(out, 'asked of redis-server', port)
            check_streams(out, 'sent to redis-server', port)
    for workers in ('1', '2'):
        who = f'{workers} worker' + 's' * (workers != '1')
        with server(program, '--workers', workers) as (process, port):
            check_dialogue(out, who, port)
            check_streams(out, who, port)
            check_many(out, who, port)
            if workers == '1':
                with redis() as redis_port:
                    if redis_port:
                        check_like_redis(out, port, redis_port)
                check_pieces(out, port)
                check_info(out, port)
                check_large(out, process, port)
                check_tools(out, port)
            check_pipeline(out, port)
            check_expiry(out, port)
            process.send_signal(signal.SIGINT)
            expect(out, f'SIGINT: exit status 0, {who}', process.wait(PATIENCE), 0)
    check_replay(out, program)
    check_folder_is_locked(out, program)
    check_policies(out, program)
    check_damage(out, program)
    check_full(out, program)
    check_stop(out, program)
    check_killed(out, program)
    out.finish()


main()
