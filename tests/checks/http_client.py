# SPDX-License-Identifier: MIT
"""What the checks of the HTTP servers share: starting one, and talking to it byte by byte."""
import contextlib
import os
import re
import socket
import subprocess
import time

PATIENCE = 10


@contextlib.contextmanager
def server(program, *options, environment=None):
    """A server with two workers, ready: its process and its port. Killed on the way out."""
    process = subprocess.Popen([program, '--workers', '2', *options], stdout=subprocess.PIPE,
                               text=True, env={**os.environ, **(environment or {})})
    try:
        line = process.stdout.readline()
        if not line.startswith('listening '):
            raise RuntimeError(f'{program} does not start')
        yield process, int(line.rsplit(':', 1)[1])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def connect(port):
    return socket.create_connection(('127.0.0.1', port), timeout=PATIENCE)


def read_all(sock):
    """Everything until the server ends the connection."""
    data = b''
    while True:
        part = sock.recv(65536)
        if not part:
            return data
        data += part


def read_until(sock, count, what):
    """At least until `what` has come `count` times; fails by timeout."""
    data = b''
    while data.count(what) < count:
        part = sock.recv(65536)
        if not part:
            break
        data += part
    return data


def exchange(port, *pieces, pause=0.02):
    """Sends the pieces, ends the sending side, returns all that comes back."""
    with connect(port) as sock:
        for i, piece in enumerate(pieces):
            if i:
                time.sleep(pause)
            sock.sendall(piece)
        sock.shutdown(socket.SHUT_WR)
        return read_all(sock)


def statuses(data):
    return [int(s) for s in re.findall(rb'HTTP/1\.1 (\d+) ', data)]


def request(method=b'GET', target=b'/', fields=b'', body=b'', version=b'1.1'):
    return (method + b' ' + target + b' HTTP/' + version + b'\r\nHost: a\r\n' + fields
            + b'\r\n' + body)
