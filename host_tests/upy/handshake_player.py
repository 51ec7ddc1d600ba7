"""Plays both sides of the opening handshake: a request for a URL, and a reply as a socket would bring it."""

import sys

import _wsoffers
import _wsrequest
from _wsprotocol import Connection
from _wsreply import reply
from _wsurl import parse_url

WAITING = "waiting"

_SLOW = sys.platform == "esp8266"
_IDLE_STEPS = 3  # without anything to read, at the end
_CUT_EVERYWHERE = 400
_CUTS = tuple(range(508, 516)) + tuple(range(16380, 16390))
# Indices of the options
_PROTOCOLS = 1
_COMPRESSION = 12
_HEADER = 5  # the event that a header is


class Wire:
    """The client and its socket, as far as sending the request goes: takes `most` bytes at once."""

    def __init__(self, url, protocols, most):
        self.sent = bytearray()
        self._url = url
        self._options = {_PROTOCOLS: protocols, _COMPRESSION: False}
        self._most = most
        self._full = False

    def write(self, buffer, start, n):
        """Take up to `most` bytes every other time, None in between."""
        if not 0 <= start < start + n <= len(buffer):
            raise ValueError("writes {} bytes from {} of {}".format(n, start, len(buffer)))
        self._full = not self._full
        if self._most and not self._full:
            return None
        n = min(n, self._most or n)
        self.sent.extend(memoryview(buffer)[start : start + n])
        return n


def requested(url, headers, protocols, key, most=None):
    """Return the status of a bad URL, or (the bytes that are sent, the accept that is expected, the subprotocols)."""
    target = parse_url(url)
    if isinstance(target, int):
        return target
    wire = Wire(url, protocols, most)
    connection = Connection()
    connection.socket = connection.raw = connection.pollable = wire
    connection.args = target
    connection.fields = headers, (), None
    if headers or protocols:
        _wsoffers.step(wire, connection, None)
    urandom = _wsrequest.urandom
    _wsrequest.urandom = lambda n: key
    try:
        for said in _wsrequest.step(wire, connection, None):
            if said:
                return "yields", said
    finally:
        _wsrequest.urandom = urandom
    if connection.waiting or connection.fields is not None or connection.step != "_wsreply":
        raise ValueError("the request is out, and the connection does not show it")
    return wire.sent, connection.args[0], connection.args[1]


def parsed(url):
    """Return the status of a bad URL, or (tls, host, port, path with query as it is sent, authorization)."""
    target = parse_url(url)
    if isinstance(target, int):
        return target
    tls, host, port, start, authorization = target
    sent = requested(url, {}, (), b"the sample nonce")[0]
    return tls, host, port, bytes(sent[4 : sent.find(b" HTTP/1.1\r\n")]), authorization


class Lines:
    """A `readline` that brings chunk after chunk, and None once between them."""

    def __init__(self, chunks):
        self._chunks = [chunk for chunk in chunks if chunk]
        self._at = 0  # which of them is next
        self._start = 0  # and from which byte
        self._pause = False

    def left(self):
        """Return what was not read."""
        return b"".join(self._chunks[self._at :])[self._start :]

    def over(self):
        """Return whether all was read."""
        return self._at == len(self._chunks)

    def readline(self, n):
        """Return up to `n` bytes of the line, as far as they have come, None for none."""
        if n < 1:
            raise ValueError("asks for {} bytes".format(n))
        if self._pause or self._at == len(self._chunks):
            self._pause = False
            return None
        chunk = self._chunks[self._at]
        end = chunk.find(b"\n", self._start) + 1 or len(chunk)
        line = chunk[self._start : min(end, self._start + n)]
        self._start += len(line)
        if self._start == len(chunk):
            self._at += 1
            self._start = 0
            self._pause = True
        return line


class Client:
    """What the reply leaves its findings in."""

    http_status = protocol = error = None


def play(chunks, accept, protocols, headers=None):
    """Return (status, http_status, bytes not read, error); the status is (protocol,) for a good reply.

    `headers`: a list that takes the headers that are told, `None` where nobody wants them.
    """
    lines = Lines(chunks)
    client = Client()
    idle = 0
    status = None
    task = reply(lines.readline, accept, protocols, client, headers is not None)
    for said in task:
        if status is not None:
            return "goes on", status, said, None
        if said == _HEADER:
            if headers is None:
                return "a header that nobody wants", next(task), said, None
            headers.append(next(task))
        elif said:
            status = said
        elif lines.over():
            idle += 1
            if idle > _IDLE_STEPS:
                status = WAITING
                break
    return (client.protocol,) if status is None else status, client.http_status, lines.left(), client.error


def ways(stream):
    """Generate the ways in which a reply can come, whole at first: lists of chunks; fewer on the chip."""
    yield [stream]
    size = len(stream)
    if _SLOW:
        places = range(1, size, 1 + size // 4)
        step = 1 + size // 100
    elif size > _CUT_EVERYWHERE:
        step = 1 + size // (100 if sys.implementation.name == "cpython" else 20)  # fewer where it is slow
        places = list(range(1, size, step)) + [at for at in _CUTS if at < size] + list(range(size - 20, size))
        step = 1 + size // 1000
    else:
        step = 1
        places = range(1, size)
    for at in places:
        yield [stream[:at], stream[at:]]
    yield [stream[at : at + step] for at in range(0, size, step)]


def play_all_ways(stream, accept, protocols, headers=None):
    """Return what `play` returns, which all ways must agree on: else the first other way and its outcome.

    `headers`: a list that takes the headers that are told, in all ways the same ones.
    """
    first = told = None
    for chunks in ways(stream):
        found = None if headers is None else []
        outcome = play(chunks, accept, protocols, found)
        if first is None:
            first = outcome
            told = found
            continue
        # what is left unread of a bad reply depends on how it came
        same = outcome[:2] == first[:2] and outcome[3] == first[3]
        if found != told or not same or not isinstance(outcome[0], int) and outcome != first:
            return "cut after {}".format(len(chunks[0])), outcome, first, found
    if headers is not None:
        headers.extend(told)
    return first
