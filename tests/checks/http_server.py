#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""http_server.py SERVER: drives the HTTP server of bench/servers from outside.

Requests good and bad, in one piece and in many, pipelined, with bodies; idle and slow
clients; the end by SIGTERM with a request half sent. Prints a line per thing looked at.
"""
import re
import signal
import sys
import time

import report
from http_client import PATIENCE, connect, exchange, read_all, request, server, statuses
import http_client

IDLE_MS = 400
GOOD = b'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
PAGE = b'Hello, world\n'


def read_until(sock, count, what=PAGE):
    return http_client.read_until(sock, count, what)


def expect(out, name, got, wanted):
    out.check('http: ' + name, [] if got == wanted else [f'{got!r} instead of {wanted!r}'])


def check_requests(out, port):
    reply = exchange(port, GOOD)
    expect(out, 'a page', (statuses(reply), reply.endswith(b'\r\n\r\n' + PAGE)), ([200], True))
    expect(out, 'a date', len(re.findall(rb'\r\nDate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\n',
                                         reply)), 1)
    expect(out, 'byte by byte', statuses(exchange(
        port, *[GOOD[i:i + 1] for i in range(len(GOOD))], pause=0.001)), [200])
    expect(out, 'a hundred pipelined', statuses(exchange(port, GOOD * 100)), [200] * 100)
    expect(out, 'pipelined, cut in the middle', statuses(exchange(
        port, GOOD * 2 + GOOD[:9], GOOD[9:] + GOOD)), [200] * 4)
    # More than a connection begins with room for.
    large = request(fields=b'X: ' + b'x' * 3000 + b'\r\n')
    expect(out, 'a large head', statuses(exchange(port, large + GOOD)), [200] * 2)
    expect(out, 'a large head behind others, in pieces', statuses(exchange(
        port, GOOD * 3 + large[:400], large[400:500], large[500:] + large)), [200] * 5)
    expect(out, 'an unfinished request gets no reply', exchange(port, GOOD[:-2]), b'')

    head = exchange(port, request(b'HEAD'))
    expect(out, 'HEAD has a length and no body',
           (b'Content-Length: 13\r\n' in head, head.endswith(b'\r\n\r\n')), (True, True))
    expect(out, 'another target', statuses(exchange(port, request(target=b'/x'))), [404])
    expect(out, 'a query', statuses(exchange(port, request(target=b'/?x=1'))), [200])
    expect(out, 'a whole URI', statuses(exchange(port, request(target=b'http://a/'))), [200])
    refused = exchange(port, request(b'DELETE') + GOOD)
    expect(out, 'another method', (statuses(refused), b'\r\nAllow: GET, HEAD\r\n' in refused),
           ([405, 200], True))
    expect(out, 'an unknown method', statuses(exchange(port, request(b'BREW') + GOOD)), [501, 200])


def check_bodies(out, port):
    post = request(b'POST', fields=b'Content-Length: 5\r\n', body=b'GET /')
    expect(out, 'a body is no request', statuses(exchange(port, post + GOOD)), [405, 200])
    big = request(b'POST', fields=b'Content-Length: 500000\r\n', body=b'x' * 500000)
    expect(out, 'a large body', statuses(exchange(port, big + GOOD)), [405, 200])
    expect(out, 'too large a body', statuses(exchange(port, request(
        b'POST', fields=b'Content-Length: 99999999\r\n'))), [413])
    chunked = request(b'POST', fields=b'Transfer-Encoding: chunked\r\n',
                      body=b'5\r\nhello\r\n0\r\n\r\n')
    expect(out, 'chunked is refused and ends it', statuses(exchange(port, chunked + GOOD)), [501])
    with connect(port) as sock:
        sock.sendall(request(b'POST', fields=b'Content-Length: 5\r\nExpect: 100-continue\r\n'))
        first = read_until(sock, 1, b'\r\n\r\n')
        sock.sendall(b'hello')
        expect(out, 'Expect: 100-continue', (statuses(first), statuses(
            read_until(sock, 1, b'Allowed\n'))), ([100], [405]))


def check_refusals(out, port):
    for name, bytes_, status in (
            ('garbage', b'\x16\x03\x01\x02\x00\x01\r\n\r\n', 400),
            ('no host', b'GET / HTTP/1.1\r\n\r\n', 400),
            ('a bare line feed', b'GET / HTTP/1.1\nHost: a\n\n', 400),
            ('length and coding', request(fields=b'Content-Length: 1\r\n'
                                          b'Transfer-Encoding: chunked\r\n'), 400),
            ('HTTP/2', request(version=b'2.0'), 505),
            ('a large field', request(fields=b'X: ' + b'x' * 9000 + b'\r\n'), 431),
            ('many fields', request(fields=b'X: y\r\n' * 200), 431),
            ('a long target', request(target=b'/' + b'x' * 9000), 414)):
        reply = exchange(port, bytes_ + GOOD)
        expect(out, f'{name}: {status} and the end',
               (statuses(reply), b'\r\nConnection: close\r\n' in reply), ([status], True))


def check_connection(out, port):
    with connect(port) as sock:
        sock.sendall(request(fields=b'Connection: close\r\n'))
        expect(out, 'Connection: close', statuses(read_all(sock)), [200])
    with connect(port) as sock:
        sock.sendall(request(version=b'1.0'))
        expect(out, 'HTTP/1.0 closes', statuses(read_all(sock)), [200])
    with connect(port) as sock:
        sock.sendall(request(version=b'1.0', fields=b'Connection: keep-alive\r\n'))
        first = read_until(sock, 1)
        sock.sendall(GOOD)
        expect(out, 'HTTP/1.0 with keep-alive stays',
               (b'\r\nConnection: keep-alive\r\n' in first, statuses(read_until(sock, 1))),
               (True, [200]))


def check_idle(out, program):
    with server(program, '--idle-ms', str(IDLE_MS)) as (_, port):
        with connect(port) as sock:
            sock.sendall(GOOD)
            read_until(sock, 1)
            start = time.monotonic()
            rest = read_all(sock)
            expect(out, 'an idle connection is closed, not earlier than it may',
                   (rest, time.monotonic() - start >= IDLE_MS / 1e3 * 0.9), (b'', True))
        with connect(port) as sock:
            sock.sendall(GOOD[:10])
            expect(out, 'a slow request gets 408', statuses(read_all(sock)), [408])
        with connect(port) as reader:
            problems = []
            try:
                while True:
                    reader.sendall(GOOD * 1000)
            except TimeoutError:
                problems = [f'it is still there after {PATIENCE} s']
            except ConnectionError:
                pass
            out.check('http: a client that reads nothing is dropped', problems)


def check_stop(out, program):
    with server(program, '--grace-ms', '1000') as (process, port):
        with connect(port) as idle, connect(port) as half, connect(port) as stuck:
            for sock in (idle, half, stuck):
                sock.sendall(GOOD)
                read_until(sock, 1)
            half.sendall(GOOD[:12])
            stuck.sendall(GOOD[:12])
            time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            expect(out, 'SIGTERM: an idle connection ends', read_all(idle), b'')
            half.sendall(GOOD[12:])
            reply = read_all(half)
            expect(out, 'SIGTERM: a request half sent is answered',
                   (statuses(reply), b'\r\nConnection: close\r\n' in reply), ([200], True))
            expect(out, 'SIGTERM: one never finished is given up', read_all(stuck), b'')
            expect(out, 'SIGTERM: exit status 0', process.wait(PATIENCE), 0)


def main():
    out = report.Report()
    program = sys.argv[1]
    with server(program) as (process, port):
        check_requests(out, port)
        check_bodies(out, port)
        check_refusals(out, port)
        check_connection(out, port)
        process.send_signal(signal.SIGINT)
        expect(out, 'SIGINT: exit status 0', process.wait(PATIENCE), 0)
    check_idle(out, program)
    check_stop(out, program)
    out.finish()


main()
