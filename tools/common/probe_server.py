"""A server that shows what a WebSocket client does: each probe is one connection, in which it does one thing.

The client is a program that answers every message with its kind, its length in bytes and its CRC-32 (`answer()`), so
that what its user was given can be seen here. `examine()` plays one probe and returns a Finding. What a server may not
send is followed by a message that is in order: a client that lets the wrong one pass shows it by answering this one.

`speed_server()` is another one, for measuring: it does as little as it can.
"""

import base64
import hashlib
import itertools
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

LIMIT_S = 1  # what clients that have such settings are told for pings and time-outs
PATIENCE_S = 8  # how long a client may need for what takes LIMIT_S

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_REACTION_S = 4
_PAUSE_S = 0.3
_STILL_THERE = b"still there?"


@dataclass(frozen=True)
class Finding:
    """Whether a client does what is asked for, and in a few words what it does."""

    passed: bool
    what: str


@dataclass(frozen=True)
class Event:
    """What came from a client: "message", "ping", "pong", "close", "end" of the connection, or "nothing"."""

    kind: str
    payload: bytes = b""
    key: bytes | None = None

    @property
    def code(self):
        """The code of a Close frame, None where it has none."""
        return struct.unpack_from(">H", self.payload)[0] if len(self.payload) >= 2 else None


_KINDS = {TEXT: "message", BINARY: "message", PING: "ping", PONG: "pong", CLOSE: "close"}


def accept_value(key):
    """Return the `Sec-WebSocket-Accept` for a client's key (RFC 6455 section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()


def answer(kind, data):
    """Return what the program answers to a message; `kind` is "text" or "binary"."""
    return f"{kind} {len(data)} {zlib.crc32(data)}".encode()


def frame(opcode, payload=b"", fin=True, rsv=0, form=None, announced=None, key=None):
    """Return a frame, right or wrong (RFC 6455 section 5.2).

    `form` is the number of bytes of extended length (0, 2, 8), else the shortest; `announced` the length that the
    header tells; `key` masks.
    """
    length = len(payload) if announced is None else announced
    form = (0 if length < 126 else 2 if length < 1 << 16 else 8) if form is None else form
    short = {0: length, 2: 126, 8: 127}[form]
    head = bytes((fin << 7 | rsv << 4 | opcode, (key is not None) << 7 | short))
    if form:
        head += length.to_bytes(form, "big")
    return head + payload if key is None else head + key + _masked(payload, key)


def _masked(payload, key):
    return bytes(byte ^ mask for byte, mask in zip(payload, itertools.cycle(key), strict=False))


def close(code, reason=b""):
    """Return a Close frame."""
    return frame(CLOSE, struct.pack(">H", code) + reason)


class Link:
    """The server's end of a connection."""

    def __init__(self, sock):
        self.sock = sock
        self.headers = {}
        self.request_line = ""
        self._buffer = bytearray()

    def read_request(self):
        """Read the client's request into `headers`, names in lower case."""
        self.sock.settimeout(_REACTION_S)
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        self._buffer = bytearray(rest)
        self.request_line, *lines = head.decode("latin-1").split("\r\n")
        self.headers = {name.strip().lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}

    def reply(self, **changes):
        """Return the reply that upgrades; `changes` to its headers, with "_" for "-", None leaves one out."""
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": accept_value(self.headers.get("sec-websocket-key", "")),
        }
        headers |= {name.replace("_", "-"): value for name, value in changes.items()}
        lines = [f"{name}: {value}\r\n" for name, value in headers.items() if value is not None]
        return f"HTTP/1.1 101 Switching Protocols\r\n{''.join(lines)}\r\n".encode()

    def send(self, *frames):
        """Send bytes; a client that has gone is found by next()."""
        with suppress(OSError):
            self.sock.sendall(b"".join(frames))

    def _fill(self):
        data = self.sock.recv(1 << 16)
        if not data:
            raise ConnectionError
        self._buffer += data

    def _bytes(self, size):
        while len(self._buffer) < size:
            self._fill()
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def next(self, seconds=_REACTION_S):
        """Return the client's next Event; a frame's fragments are told one by one."""
        self.sock.settimeout(seconds)
        try:
            first, second = self._bytes(2)
            length = second & 0x7F
            if length >= 126:
                length = int.from_bytes(self._bytes(2 if length == 126 else 8), "big")
            key = self._bytes(4) if second & 0x80 else None
            payload = self._bytes(length)
        except TimeoutError:
            return Event("nothing")
        except OSError:
            return Event("end")
        return Event(_KINDS.get(first & 15, "fragment"), payload if key is None else _masked(payload, key), key)

    def data(self, seconds=_REACTION_S):
        """Return the next Event that is neither ping nor pong."""
        deadline = time.monotonic() + seconds
        while (event := self.next(max(0.01, deadline - time.monotonic()))).kind in ("ping", "pong"):
            pass
        return event

    def ends(self, seconds):
        """Tell whether the client closes the connection within some time, whatever it sends before."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self.next(left).kind == "end":
                return True
        return False


_ENDINGS = {"end": "drops the connection", "nothing": "no reaction", "message": "goes on"}


def _ending(event):
    if event.kind == "close":
        return "closes without a code" if event.code is None else f"closes with {event.code}"
    return _ENDINGS.get(event.kind, f"sends {event.kind}")


def _refused(*wrong, given=b"", back=None):
    """Return a probe of what must end the connection; `given` is what the program answers if the message arrives.

    The payload of a wrong Close must not come back.
    """

    def play(link):
        link.send(*wrong, frame(TEXT, _STILL_THERE))
        event = link.data()
        if event.kind == "message":
            return Finding(False, "takes it" if event.payload == given else "skips it")
        if event.kind == "close" and event.payload == back:
            return Finding(False, "sends it back")
        return Finding(event.kind in ("close", "end"), _ending(event))

    return play


def _delivered(*frames, expected):
    """Return a probe of messages that must arrive; `expected` are the program's answers."""

    def play(link):
        link.send(*frames)
        for text in expected:
            event = link.data()
            if event.kind != "message":
                return Finding(False, _ending(event))
            if event.payload != text:
                return Finding(False, f"gives {event.payload.decode(errors='replace')[:24]}")
        return Finding(True, "yes")

    return play


def _echo_of_ping(link):
    link.send(frame(PING, b"probe"), frame(TEXT, _STILL_THERE))
    event = link.next()
    return Finding((event.kind, event.payload) == ("pong", b"probe"), "yes" if event.kind == "pong" else _ending(event))


def _ping_between(link):
    link.send(frame(TEXT, b"one ", fin=False), frame(PING, b"probe"), frame(CONTINUATION, b"two"))
    first, second = link.next(), link.next()
    if "message" not in (first.kind, second.kind):
        return Finding(False, _ending(second if first.kind == "pong" else first))
    if answer("text", b"one two") not in (first.payload, second.payload):
        return Finding(False, "gives another message")
    return Finding(first.kind == "pong", "yes" if first.kind == "pong" else "sends no pong")


def _masks(link):
    link.send(*[frame(TEXT, b"hello")] * 3)
    keys = [event.key for event in (link.data(), link.data(), link.data()) if event.kind == "message"]
    if None in keys or len(keys) < 3:
        return Finding(False, "unmasked" if None in keys else "no answer")
    return Finding(len(set(keys)) == 3, "yes" if len(set(keys)) == 3 else "one key for all")


def _key_and_host(link):
    try:
        fresh = len(base64.b64decode(link.headers.get("sec-websocket-key", ""), validate=True)) == 16
    except ValueError:
        fresh = False
    if not fresh:
        return Finding(False, "key is not 16 bytes")
    host = link.headers.get("host", "")
    return Finding(host.endswith(f":{link.sock.getsockname()[1]}"), "yes" if ":" in host else "no port in Host")


def _after_wrong_reply(**changes):
    def play(link):
        link.send(link.reply(**changes), frame(TEXT, b"hello"))
        event = link.data()
        return Finding(event.kind in ("end", "close"), _ending(event))

    return play


def _keepalive(link):
    deadline = time.monotonic() + PATIENCE_S
    while (left := deadline - time.monotonic()) > 0:
        event = link.next(left)
        if event.kind in ("ping", "end"):
            return Finding(event.kind == "ping", "yes" if event.kind == "ping" else _ENDINGS["end"])
    return Finding(False, "sends no ping")


def _noticed(link):
    noticed = link.ends(PATIENCE_S)
    return Finding(noticed, "yes" if noticed else f"still waits after {PATIENCE_S} s")


def _silent_handshake(link):
    return _noticed(link)


def _dripping_handshake(link):
    """Send the reply a byte at a time, a header that never ends."""
    deadline = time.monotonic() + PATIENCE_S
    link.send(b"HTTP/1.1 101 Switching Protocols\r\nX: ")
    while time.monotonic() < deadline:
        link.send(b"x")
        if link.next(_PAUSE_S).kind == "end":
            return Finding(True, "yes")
    return Finding(False, f"still waits after {PATIENCE_S} s")


def _stalled_send(link):
    link.send(frame(TEXT, b"begin"))
    time.sleep(PATIENCE_S)  # nothing is read
    # Had it closed, the end would come after at most what the system holds for it.
    link.sock.settimeout(_REACTION_S)
    taken = 0
    with suppress(OSError):
        while taken < 1 << 25 and (data := link.sock.recv(1 << 20)):
            taken += len(data)
        return Finding(taken < 1 << 25, "yes" if taken < 1 << 25 else f"still waits after {PATIENCE_S} s")
    return Finding(True, "yes")


def _close_is_echoed(link):
    link.send(close(4001, b"bye"))
    event = link.data()
    return Finding(event.kind == "close" and event.code == 4001, _ending(event))


def _waits_for_close(link):
    link.send(frame(TEXT, b"hello"))
    event = link.data()
    if event.kind != "close":
        return Finding(False, _ending(event))
    if link.next(_PAUSE_S).kind == "end":
        return Finding(False, "does not wait")
    link.send(frame(CLOSE, event.payload))
    return Finding(True, _ending(event))


def _closes_alone(link):
    link.send(frame(TEXT, b"hello"))
    return _noticed(link)


@dataclass(frozen=True)
class Probe:
    """One thing to look at: a title, what the server does, the program's mode, whether the client is given limits.

    Without `upgrade` the server's part begins with the reply. `told` is what the program must print at the end.
    """

    title: str
    play: Callable
    mode: str = "answer"
    limited: bool = False
    upgrade: bool = True
    told: str = ""


def _text(data, **options):
    return frame(TEXT, data, **options)


_EURO = "€".encode()
_SPLIT = (_text(_EURO[:1], fin=False), frame(CONTINUATION, _EURO[1:]))
_PARTS = (_text(b"one ", fin=False), frame(CONTINUATION, b"two ", fin=False), frame(CONTINUATION, b"three"))
_EMPTY_END = (frame(BINARY, b"ab", fin=False), frame(CONTINUATION, b"c", fin=False), frame(CONTINUATION))


def _bad_utf8(data):
    return _refused(_text(data), given=answer("text", data))


PROBES = {
    "Handshake": [
        Probe("sends a random key of 16 bytes, and the port in `Host`", _key_and_host),
        Probe(
            "refuses a wrong `Sec-WebSocket-Accept`", _after_wrong_reply(Sec_WebSocket_Accept="x" * 28), upgrade=False
        ),
        Probe("refuses a reply without it", _after_wrong_reply(Sec_WebSocket_Accept=None), upgrade=False),
        Probe("refuses a reply without `Upgrade`", _after_wrong_reply(Upgrade=None), upgrade=False),
        Probe(
            "refuses an extension that it did not ask for",
            _after_wrong_reply(Sec_WebSocket_Extensions="permessage-deflate"),
            upgrade=False,
        ),
    ],
    "Messages": [
        Probe("masks every frame with a fresh key", _masks),
        Probe("assembles fragments", _delivered(*_PARTS, expected=[answer("text", b"one two three")])),
        Probe("takes a ping between fragments, and answers it", _ping_between),
        Probe("gives an empty text", _delivered(_text(b""), expected=[answer("text", b"")])),
        Probe("gives an empty binary message", _delivered(frame(BINARY), expected=[answer("binary", b"")])),
        Probe("takes an empty last fragment", _delivered(*_EMPTY_END, expected=[answer("binary", b"abc")])),
        Probe("joins a character that fragments split", _delivered(*_SPLIT, expected=[answer("text", _EURO)])),
        Probe("answers a ping with its payload", _echo_of_ping),
        Probe("refuses 1 GiB as soon as it is announced", _refused(frame(BINARY, b"x", announced=1 << 30))),
    ],
    "What a server may not send": [
        Probe("UTF-8: a byte that is none", _bad_utf8(b"\xff")),
        Probe("UTF-8: a surrogate", _bad_utf8(b"\xed\xa0\x80")),
        Probe("UTF-8: a character longer than needed", _bad_utf8(b"\xc0\xaf")),
        Probe("reserved bits", _refused(_text(b"hello", rsv=4), given=answer("text", b"hello"))),
        Probe("a reserved opcode", _refused(frame(3, b"hello"), given=answer("text", b"hello"))),
        Probe(
            "a length in 2 bytes where 1 is enough", _refused(_text(b"hello", form=2), given=answer("text", b"hello"))
        ),
        Probe(
            "a length in 8 bytes where 1 is enough", _refused(_text(b"hello", form=8), given=answer("text", b"hello"))
        ),
        Probe("a masked frame", _refused(_text(b"hello", key=b"1234"), given=answer("text", b"hello"))),
        Probe("a continuation of nothing", _refused(frame(CONTINUATION, b"x"), given=answer("text", b"x"))),
        Probe(
            "a new message within another", _refused(_text(b"a", fin=False), _text(b"b"), given=answer("text", b"b"))
        ),
        Probe("a ping in fragments", _refused(frame(PING, b"x", fin=False), frame(CONTINUATION, b"y"))),
        Probe("a ping of 126 bytes", _refused(frame(PING, bytes(126)))),
        Probe("a Close of 1 byte", _refused(frame(CLOSE, b"\x03"), back=b"\x03")),
        Probe("a Close with 1005, which is no code", _refused(close(1005), back=struct.pack(">H", 1005))),
    ],
    "Time": [
        Probe("pings where nothing comes", _keepalive, limited=True),
        Probe("notices that the server is dead", _noticed, limited=True),
        Probe("gives up a handshake without a reply", _silent_handshake, limited=True, upgrade=False),
        Probe("gives up a reply that has no end", _dripping_handshake, limited=True, upgrade=False),
        Probe("gives up sending what nobody reads", _stalled_send, mode="flood", limited=True),
    ],
    "Closing": [
        Probe("answers a Close with its code", _close_is_echoed),
        Probe("tells the program the code", _close_is_echoed, told="4001"),
        Probe("waits for the server's Close", _waits_for_close, mode="close"),
        Probe("comes to an end without it", _closes_alone, mode="close", limited=True),
    ],
}


def examine(probe, start):
    """Play a probe with a program and return the Finding.

    `start(port)` starts the program; what it returns is called at the end and gives what the program has printed.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_REACTION_S * 2)
        finish = start(listener.getsockname()[1])
        try:
            sock, _ = listener.accept()
        except TimeoutError:
            return Finding(False, f"does not connect: {finish()}")
        with sock:
            found = _played(probe, Link(sock))
        told = finish()
    if probe.told:
        return Finding(probe.told in told, "yes" if probe.told in told else "no")
    return found


def _played(probe, link):
    try:
        link.read_request()
    except OSError:
        return Finding(False, "sends no request")
    if probe.upgrade:
        link.send(link.reply())
    return probe.play(link)


class _Speed:
    """A connection of speed_server()."""

    def __init__(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._file = sock.makefile("rb", buffering=1 << 18)
        self._counted = self._to_count = 0
        self._batches = {}

    def serve(self):
        """Serve until the client has gone."""
        key = ""
        while (line := self._file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            if name.lower() == "sec-websocket-key":
                key = value.strip()
        reply = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self._sock.sendall(f"{reply}Sec-WebSocket-Accept: {accept_value(key)}\r\n\r\n".encode())
        while len(head := self._file.read(2)) == 2 and head[0] & 15 != CLOSE:
            length = head[1] & 0x7F
            if length >= 126:
                length = int.from_bytes(self._file.read(2 if length == 126 else 8), "big")
            key = self._file.read(4)
            payload = self._file.read(length)
            if head[0] & 15 in (TEXT, BINARY):
                self._message(payload, length, key)
        self._sock.sendall(close(1000))

    def _message(self, payload, length, key):
        if length < 32:
            what, *numbers = _masked(payload, key).decode().split()
            if what == "in":
                self._sock.sendall(self._frames(int(numbers[1]), int(numbers[0])))
            else:
                self._counted, self._to_count = 0, int(numbers[0])
                self._sock.sendall(frame(BINARY, b"ok"))
        elif self._to_count:
            self._counted += 1
            if self._counted == self._to_count:
                self._to_count = 0
                self._sock.sendall(frame(BINARY, str(self._counted).encode()))
        else:
            self._sock.sendall(self._frames(length, 1))

    def _frames(self, size, count):
        """Return frames that were made before, where they were."""
        if (size, count) not in self._batches:
            self._batches[size, count] = frame(BINARY, b"x" * size) * count
        return self._batches[size, count]


@contextmanager
def speed_server():
    """Run the server of the speed programs on loopback; gives its host and port.

    It answers a message with one of the same size. After "out n" it counts n messages instead and answers the last
    with their number; "in n size" makes it send n messages.
    """

    def accept():
        with suppress(OSError):
            while True:
                sock, _ = listener.accept()
                threading.Thread(target=serve, args=(sock,), daemon=True).start()

    def serve(sock):
        with suppress(OSError, ValueError, IndexError), sock:
            _Speed(sock).serve()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
            thread.join()
