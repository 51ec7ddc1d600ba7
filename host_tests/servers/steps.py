"""What a scripted server can do, one small step after the other.

A step that sends has `encode(record)`, the bytes for that client's request, so that steps nest:
`Together`, `Times`, `Split` and `Drip` change how the bytes of other steps reach the wire.
Every step has `run(connection)`; it raises `Gone` when the client is no longer there.
"""

import time
from dataclasses import dataclass, field

from . import wire


class Gone(Exception):
    """The client has closed or reset the connection."""


@dataclass(frozen=True)
class _Sending:
    def run(self, connection):
        connection.send(self.encode(connection.record))


@dataclass(frozen=True)
class Raw(_Sending):
    """Send these bytes."""

    data: bytes

    def encode(self, record):
        return self.data


@dataclass(frozen=True)
class Reply(_Sending):
    """Answer the upgrade request: a correct 101, changed by `headers` (None drops one), then `lines` as they are."""

    status: str = "HTTP/1.1 101 Switching Protocols"
    headers: dict = field(default_factory=dict)
    lines: bytes = b""

    def encode(self, record):
        correct = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": wire.accept_value(record.header("Sec-WebSocket-Key") or ""),
        }
        headers = {name: value for name, value in {**correct, **self.headers}.items() if value is not None}
        head = [self.status, *(f"{name}: {value}" for name, value in headers.items())]
        return "".join(f"{line}\r\n" for line in head).encode() + self.lines + b"\r\n"


@dataclass(frozen=True)
class Recase(_Sending):
    """Send a correct reply with its header names changed by `convert` (a method name of str)."""

    convert: str

    def encode(self, record):
        status, *lines = Reply().encode(record).decode().split("\r\n")
        changed = [
            getattr(name, self.convert)() + colon + value
            for name, colon, value in (line.partition(":") for line in lines)
        ]
        return "\r\n".join((status, *changed)).encode()


@dataclass(frozen=True)
class Frame(_Sending):
    """Send one frame; the arguments are those of `wire.frame`."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0
    key: bytes | None = None
    announced: int | None = None
    form: int | None = None

    def encode(self, record):
        record.close_sent = record.close_sent or self.opcode == wire.CLOSE
        return wire.frame(
            self.opcode,
            self.payload,
            fin=self.fin,
            rsv=self.rsv,
            key=self.key,
            announced=self.announced,
            form=self.form,
        )


def Close(code=None, reason=b""):
    """Return the step that sends a Close frame; without a code it is empty."""
    return Frame(wire.CLOSE, b"" if code is None else wire.close_payload(code, reason))


@dataclass(frozen=True)
class Together(_Sending):
    """Send several steps in one write, which on loopback is one segment."""

    parts: tuple

    def encode(self, record):
        return b"".join(part.encode(record) for part in self.parts)


@dataclass(frozen=True)
class Times(_Sending):
    """Send a step `count` times over."""

    count: int
    part: object

    def encode(self, record):
        return self.part.encode(record) * self.count


@dataclass(frozen=True)
class Split:
    """Send a step cut at these offsets, with a pause at each cut."""

    part: object
    offsets: tuple
    pause_ms: float = 5

    def run(self, connection):
        data = self.part.encode(connection.record)
        for start, end in zip((0, *self.offsets), (*self.offsets, len(data)), strict=True):
            connection.send(data[start:end])
            time.sleep(self.pause_ms / 1000)


@dataclass(frozen=True)
class Drip:
    """Send a step byte by byte, with a pause after each."""

    part: object
    pause_ms: float = 0.2

    def run(self, connection):
        for byte in self.part.encode(connection.record):
            connection.send(bytes((byte,)))
            time.sleep(self.pause_ms / 1000)


@dataclass(frozen=True)
class Endless:
    """Send a step again and again, until the client has gone or the connection's time is over."""

    part: object
    pause_ms: float = 0

    def run(self, connection):
        while connection.time_left():
            connection.send(self.part.encode(connection.record))
            time.sleep(self.pause_ms / 1000)


@dataclass(frozen=True)
class Stuff:
    """Send a step without reading; read and drop what came only when the client has taken nothing for a while."""

    part: object
    patience_ms: int = 200

    def run(self, connection):
        connection.send(self.part.encode(connection.record), patience=self.patience_ms / 1000)


@dataclass(frozen=True)
class Pause:
    """Wait, reading nothing."""

    ms: int

    def run(self, connection):
        time.sleep(self.ms / 1000)


@dataclass(frozen=True)
class Await:
    """Read until a frame of this opcode has come."""

    opcode: int

    def run(self, connection):
        connection.wait_for(self.opcode)


@dataclass(frozen=True)
class Echo:
    """Send back what comes, `count` data frames or all of them until the client closes; answer pings."""

    count: int | None = None

    def run(self, connection):
        left = self.count
        while left is None or left:
            came = connection.next_frame()
            if came.opcode == wire.CLOSE:
                connection.answer_close(came)
                raise Gone
            if came.opcode == wire.PING:
                connection.send(wire.frame(wire.PONG, came.payload))
            elif came.opcode != wire.PONG:
                connection.send(wire.frame(came.opcode, came.payload, fin=came.fin))
                left = left and left - 1


@dataclass(frozen=True)
class AnswerPings:
    """Answer this many pings."""

    count: int

    def run(self, connection):
        for _ in range(self.count):
            connection.send(wire.frame(wire.PONG, connection.wait_for(wire.PING).payload))


@dataclass(frozen=True)
class Listen:
    """Read for a while, answering nothing; whether the client closes TCP in this time is on the record."""

    ms: int

    def run(self, connection):
        connection.listen(self.ms / 1000)


@dataclass(frozen=True)
class Fin:
    """End the TCP connection in order."""

    def run(self, connection):
        connection.fin()


@dataclass(frozen=True)
class Reset:
    """End the TCP connection with RST."""

    def run(self, connection):
        connection.reset()
