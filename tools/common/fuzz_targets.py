"""What must hold for any bytes that a server sends and for any URL: the targets of `make fuzz`.

Each target takes bytes and raises Finding where the device code breaks a promise; every other exception that comes
out is a finding as well. They need nothing but the device code, so that tests replay every input that is kept.
"""

import base64
import binascii
import codecs
import re
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

import _wsreceive
from upy import handshake_player, protocol_player
from upy.handshake_cases import ACCEPT, KEY, PROTOCOLS, REPLY_MOST

_HEAP = 10000  # the largest object for which there is memory
_PIECE = 512  # what the receiver may take whatever max_message is
_MOST = (None, 0, 100, 4096)
_SWITCHES = (None, {1: True, 3: False})
_MEMORY_STATUSES = (-8, -10, -11, -13)
_STATUSES = (-15, -202, -207, *_MEMORY_STATUSES)
_CLOSE_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014)
_TEXT, _CLOSE, _PIECES = 1, 8, 0x30


class Finding(Exception):
    """The device code broke a promise; the text says which."""


def _require(condition, what):
    if not condition:
        raise Finding(what)


# ---- the receiver


@contextmanager
def _heap(most):
    """Bound what the receiver may allocate: by `most`, max_message, or without it by a heap that has no more."""

    def take(size):
        if most is None and size > _HEAP:
            raise MemoryError
        _require(most is None or size <= max(most, _PIECE), f"{size} bytes allocated, max_message is {most}")

    class Bounded(bytearray):
        def __init__(self, source=b""):
            take(source if isinstance(source, int) else len(source))
            super().__init__(source)

        def extend(self, data):
            take(len(self) + len(data))
            super().extend(data)

    _wsreceive.bytearray = Bounded
    try:
        yield
    finally:
        del _wsreceive.bytearray


def _crumbs(stream, size):
    return [stream[start : start + size] for start in range(0, len(stream), size)]


def _judge(said):
    """Check what the receiver said by itself, as `protocol_player.play` tells it."""
    _require("ended" not in said and "goes on" not in said, f"the end is not as promised: {said[-2:]}")
    _require(not any(map(protocol_player.is_end, said[:-1])), "something was told after the end")
    for word in said:
        if isinstance(word, int):
            _require(word in _STATUSES, f"the status is {word}")
            continue
        opcode, content = word
        if opcode == _TEXT:
            content.encode()  # raises for surrogates
        elif opcode == _TEXT | _PIECES:
            content.decode()
        elif opcode == _CLOSE:
            content[2:].decode()
        _require(opcode & 8 == 0 or len(content) <= 125, "a control frame is too long")


def _agree(one, other):
    """Tell whether two ways of receiving the same bytes said the same.

    Text that is not UTF-8 may be told as soon as it is seen, or with what the server did next at the latest: then
    one side lacks some control frames.
    """
    if one == other:
        return True
    early, late = sorted((one, other), key=len)
    if early[-1:] != [-207]:
        early, late = late, early
    both = len(early) - 1
    return (
        early[-1:] == [-207]
        and len(late) > both
        and late[:both] == early[:both]
        and protocol_player.is_end(late[-1])
        and all(word[0] > _CLOSE for word in late[both:-1])
    )


def _in_pieces(said):
    """Return what is told when messages are handed over in pieces, from what is told when they come whole."""
    return [
        (word[0] | _PIECES, word[1].encode() if isinstance(word[1], str) else word[1])
        if isinstance(word, tuple) and word[0] < _CLOSE
        else word
        for word in said
    ]


def _expected(stream, most):
    """Return what RFC 6455 makes of the stream when messages come whole: the receiver again, as plain as can be."""
    told = []
    opcode = 0  # of the message under way
    while len(stream) >= 2:
        first, size, start = stream[0], stream[1], 2
        code, fin = first & 15, first >> 7
        if first & 0x70 or size > 127 or code not in (0, 1, 2, 8, 9, 10) or code & 8 and (size > 125 or not fin):
            return [*told, -202]
        if code < _CLOSE and bool(code) == bool(opcode):
            return [*told, -15]
        if size > 125:
            start = 4 if size == 126 else 10
            if len(stream) < start:
                break
            size, least = int.from_bytes(stream[2:start], "big"), 126 if size == 126 else 65536
            if not least <= size < 1 << 63:
                return [*told, -202]
        payload, there = stream[start : start + size], len(stream) >= start + size
        if code < _CLOSE:
            if code:
                opcode, message = code, b""
                decoder = codecs.getincrementaldecoder("utf-8")()
            # A later fragment grows as it comes, but never to a gigabyte.
            if len(message) + size > most if most is not None else size > (_HEAP if code else (1 << 30) - 1):
                return [*told, -11 if not code else -8 if fin else -10]
            message += payload
            if opcode == _TEXT:
                try:
                    decoder.decode(payload, final=bool(fin and there))
                except UnicodeDecodeError:
                    return [*told, -207]
                # Python waits for the third byte of a surrogate, though the second is wrong already.
                if re.match(rb"\xed[\xa0-\xbf]", decoder.getstate()[0]):
                    return [*told, -207]
            if fin and there:
                told.append((opcode, message.decode() if opcode == _TEXT else message))
                opcode = 0
        elif there:
            if code == _CLOSE and payload:
                number = int.from_bytes(payload[:2], "big")
                if len(payload) == 1 or not (number in _CLOSE_CODES or 3000 <= number < 5000):
                    return [*told, -202]
                try:
                    payload[2:].decode()
                except UnicodeDecodeError:
                    return [*told, -207]
            told.append((code, payload))
            if code == _CLOSE:
                break
        if not there:
            break
        stream = stream[start + size :]
    return told


def receiver(data):
    """Feed bytes to the receiver: whole, byte by byte, in crumbs, with and without "data".

    The first byte chooses the options, the rest is the stream.
    """
    options = data[0] if data else 0
    stream = data[1:]
    most = _MOST[options & 3]
    switch = _SWITCHES[options >> 2 & 1]
    crumbs = _crumbs(stream, 2 + (options >> 4))
    with _heap(most):
        told = []
        for pieces in (False, True):
            play = {"data": pieces, "most": most, "switch": switch}
            first = protocol_player.play([stream], **play)
            _judge(first)
            for chunks, nothing in ((_crumbs(stream, 1), None), (crumbs, 0)):
                said = protocol_player.play(chunks, nothing=nothing, **play)
                _judge(said)
                _require(_agree(first, said), f"whole: {first[-3:]}, in {len(chunks)} chunks: {said[-3:]}")
            told.append(first)
    if not switch:
        expected = _expected(stream, most)
        _require(_agree(told[0], expected), f"told: {told[0][-3:]}, expected: {expected[-3:]}")
        whole, pieces = _in_pieces(told[0]), told[1]
        same = _agree(whole, pieces)
        if not same and whole and whole[-1] in _MEMORY_STATUSES:  # pieces take none
            same = whole[:-1] == pieces[: len(whole) - 1]
        _require(same, f"messages: {whole[-3:]}, in pieces: {pieces[-3:]}")


# ---- the handshake

_NEEDED = (b"upgrade", b"websocket", b"connection", b"sec-websocket-accept", ACCEPT.lower())


def reply(data):
    """Feed bytes to the check of the server's reply: whole, byte by byte, in crumbs."""
    size = 2 + len(data) % 61
    ways = ([data], _crumbs(data, 1), _crumbs(data, size))
    outcomes = [handshake_player.play(chunks, ACCEPT, PROTOCOLS) for chunks in ways]
    told = [[] for _ in ways]
    wanted = [
        handshake_player.play(chunks, ACCEPT, PROTOCOLS, headers) for chunks, headers in zip(ways, told, strict=True)
    ]
    status, http_status, left, error = outcomes[0]
    taken = data[: len(data) - len(left)]
    _require(len(taken) <= REPLY_MOST + 1, f"{len(taken)} bytes taken")
    _require((status in (-7, -17)) == isinstance(error, str), f"status {status} with the error {error!r}")
    _require((status == -17) == (http_status is not None), f"status {status} with HTTP status {http_status}")
    _require(http_status is None or 200 <= http_status <= 999, f"HTTP status {http_status}")
    for outcome in outcomes:
        # What is left unread of a bad reply depends on how it came.
        compared = 3 if isinstance(status, tuple) else 2
        _require(outcome[:compared] == outcomes[0][:compared], f"whole: {outcomes[0]}, in crumbs: {outcome}")
    for outcome, headers in zip(wanted, told, strict=True):
        same = outcome[:2] == outcomes[0][:2] or status == -17 and outcome[0] == handshake_player.WAITING
        _require(same, f"{outcomes[0]}, with headers told: {outcome}")
        _require(headers == told[0], f"headers, whole: {told[0]}, in crumbs: {headers}")
        for name, value in headers:
            _require(name and name == name.lower() or name.isascii() is False, f"the name {name!r} is told")
            _require("\n" not in name + value, f"a line of two: {name!r}, {value!r}")
    if isinstance(status, tuple):
        _require(status[0] is None or status[0] in PROTOCOLS, f"subprotocol {status[0]!r}")
        _require(re.search(rb"(\A|\n)HTTP/1\.1 101[ \r\n]", taken), "another status line was accepted")
        _require(all(word in taken.lower() for word in _NEEDED), "a header is missing")
        _require(taken.endswith(b"\n") and taken.rstrip(b"\r").count(b"\n") > 4, "the end of the headers is missing")
    else:
        _require(status in (-7, -17, handshake_player.WAITING), f"the outcome is {status!r}")


# ---- the URL


def _split(url):
    """Return (host, port, path with query) of a URL as the standard library sees it, None where it refuses it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    default = 443 if parts.scheme == "wss" else 80
    path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    return host, default if port is None else port, quote(path, safe="/%:?@!$&'()*+,;=~-._[]#")


def url(data):
    """Take bytes apart as a URL, make a request of it, and compare both with the standard library."""
    text = data.decode("utf-8", "surrogateescape")
    target = handshake_player.parsed(text)
    made = handshake_player.requested(text, {}, (), KEY)
    if isinstance(target, int):
        _require(-4 <= target <= -1 and made == target, f"status {target}, of the request {made}")
        return
    tls, host, port, path, authorization = target
    _require(tls is text.lower().startswith("wss"), "the wrong scheme")
    _require(0 < len(host) <= 256 and re.fullmatch(rb"[A-Za-z0-9._~:%-]+", host), f"the host is {host!r}")
    _require(1 <= port <= 65535, f"the port is {port}")
    _require(re.fullmatch(rb"/[!-~]*", path) is not None, f"the path is {path!r}")
    if authorization is not None:
        try:
            base64.b64decode(authorization.removeprefix(b"Basic "), validate=True)
        except binascii.Error:
            raise Finding(f"the credentials are {authorization!r}") from None

    lines = made[0].split(b"\r\n")
    plain = handshake_player.requested("ws://host/", {}, (), KEY)[0].count(b"\r\n") + 1
    _require(len(lines) == plain + (authorization is not None) and lines[-2:] == [b"", b""], "a line was added")
    for line in lines[:-2]:
        _require(re.fullmatch(rb"[ -~]+", line) is not None, f"the line {line!r}")

    again = b"%s://%s:%d%s" % (b"wss" if tls else b"ws", b"[%s]" % host if set(host) & set(b":%") else host, port, path)
    _require(
        handshake_player.parsed(again.decode()) == (tls, host, port, path, None),
        f"{again!r} is taken apart differently",
    )

    expected = _split(text)
    if expected and expected[0]:
        found = host.decode().lower(), port, path.decode()
        # urllib drops the mark of an empty query.
        same = found[:2] == (expected[0].lower(), expected[1]) and found[2] in (expected[2], expected[2] + "?")
        _require(same, f"{found}, and urllib says {expected}")


TARGETS = {"receiver": receiver, "reply": reply, "url": url}
