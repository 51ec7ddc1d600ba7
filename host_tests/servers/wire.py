"""WebSocket bytes as a server sends and sees them, right or wrong on purpose (RFC 6455 section 5.2)."""

import base64
import hashlib
import struct
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_FORMATS = {0: "", 2: ">H", 8: ">Q"}


@dataclass(frozen=True)
class ClientFrame:
    """A frame that came from the client, unmasked; `key` is None where it was not masked."""

    fin: bool
    rsv: int
    opcode: int
    key: bytes | None
    payload: bytes
    shortest: bool

    @property
    def close_code(self) -> int:
        """The code of a Close frame, 1005 where it has none (RFC 6455 section 7.1.5)."""
        return struct.unpack_from(">H", self.payload)[0] if len(self.payload) >= 2 else 1005


def accept_value(key: str) -> str:
    """Return the `Sec-WebSocket-Accept` for a client's key (RFC 6455 section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()


def close_payload(code: int, reason: str | bytes = b"") -> bytes:
    """Return a Close frame's payload; the code may be one that must not be sent."""
    return struct.pack(">H", code) + (reason.encode() if isinstance(reason, str) else reason)


def mask(payload: bytes, key: bytes) -> bytes:
    """Mask or unmask a payload (RFC 6455 section 5.3)."""
    size = len(payload)
    repeated = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")


def shortest_form(length: int) -> int:
    """Return how many bytes of extended length the shortest form of `length` takes."""
    return 0 if length < 126 else 2 if length < 1 << 16 else 8


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = None,
    announced: int | None = None,
    form: int | None = None,
) -> bytes:
    """Return a frame.

    `rsv` holds the three reserved bits (4 is RSV1); a `key` masks the payload; `announced` is the length that the
    header tells, whatever the payload has; `form` is the number of extended length bytes (0, 2, 8), else the shortest.
    """
    length = len(payload) if announced is None else announced
    form = shortest_form(length) if form is None else form
    short = {0: length, 2: 126, 8: 127}[form]
    head = bytes((fin << 7 | rsv << 4 | opcode, (key is not None) << 7 | short))
    if form:
        head += struct.pack(_FORMATS[form], length)
    return head + (payload if key is None else key + mask(payload, key))


def parse(buffer: bytes | bytearray) -> tuple[ClientFrame, int] | None:
    """Return the first whole frame of `buffer` and its size in bytes, None while it is not complete."""
    if len(buffer) < 2:
        return None
    first, second = buffer[0], buffer[1]
    length = second & 0x7F
    form = {126: 2, 127: 8}.get(length, 0)
    start = 2 + form + (4 if second & 0x80 else 0)
    if len(buffer) < start:
        return None
    if form:
        length = struct.unpack_from(_FORMATS[form], buffer, 2)[0]
    end = start + length
    if len(buffer) < end:
        return None
    key = bytes(buffer[start - 4 : start]) if second & 0x80 else None
    payload = bytes(buffer[start:end])
    found = ClientFrame(
        bool(first & 0x80),
        first >> 4 & 7,
        first & 15,
        key,
        payload if key is None else mask(payload, key),
        form == shortest_form(length),
    )
    return found, end
