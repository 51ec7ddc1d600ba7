# uwebsocket_deflate: compressed messages, for uwebsocket_client. MIT licence, see LICENSE.
"""permessage-deflate (RFC 7692), where the user asks for `compression`.

It stands between the connection and the receiver: what was compressed reaches the receiver as fragments of an
uncompressed message, so that all its checks and limits hold, and nothing of this is in the client itself. The
inflater of the firmware cannot stop in the middle of what it reads, so the compressed message is collected first, then
unfolded piece by piece.
"""

import gc

from deflate import RAW, DeflateIO
from micropython import const
from uwebsocket_client import io

_MAX_MESSAGE = const(7)  # index of the option, see KEYS in _wsconfig

_PIECE = const(512)  # bytes that are unfolded at once, as many as the receiver hands over at once
_BODY = const(4)  # where they begin, after the header
_LEAST_BITS = const(9)  # zlib, which most servers use, has no smaller window
_MOST_BITS = const(15)
_SHARE = const(8)  # of the free heap, for the window
_WORTH = const(64)  # bytes of a message from which compressing is tried

# The first two bytes of a frame (RFC 6455 5.2); RSV1 is "compressed" (RFC 7692 6)
_FIN = const(0x80)
_RSV = const(0x70)
_RSV1 = const(0x40)
_OPCODE = const(0x0F)
_CONTROL = const(0x08)
_MASKED = const(0x80)

# What ends a message: four bytes that the sender has left out (RFC 7692 7.2.2), and an empty last block
_TAIL = b"\x00\x00\xff\xff\x01\x00\x00\xff\xff"

_TOO_BIG = b"\x03\xf1"  # Close code 1009


def _parameters(value):
    # The parameters of the extension that the server has chosen, {name: value or None}; None for another reply.
    items = value.split(b";")
    found = {}
    for item in items[1:]:
        i = item.find(b"=")
        name = item[: i if i >= 0 else len(item)].strip()
        number = None
        if i >= 0:
            item = item[i + 1 :].strip()
            if len(item) > 1 and item[:1] == item[-1:] == b'"':
                item = item[1:-1]
            if not 0 < len(item) < 3 or not item.isdigit() or item[:1] == b"0" or not 7 < int(item) < 16:
                return None
            number = int(item)
        if name in found or name not in (
            (b"server_no_context_takeover", b"client_no_context_takeover")
            if number is None
            else (b"server_max_window_bits", b"client_max_window_bits")
        ):
            return None
        found[name] = number
    return found if items[0].strip() == b"permessage-deflate" else None


class Deflate:
    """The extension of one connection: what is offered and agreed on, and what happens to messages then.

    `ws`: the client; `connection`: its current one, of which `read` and `fill` are replaced once the server agrees.
    """

    def __init__(self, ws, connection):
        self.ws = ws
        self.connection = connection
        self.agreed = False
        self.most = ws._options[_MAX_MESSAGE]
        # The window of the server, of what the heap can spare; with context takeover it is there three times
        bits = _MOST_BITS
        if hasattr(gc, "mem_free"):
            gc.collect()
            free = gc.mem_free() // _SHARE
            while bits > _LEAST_BITS and 1 << bits > free:
                bits -= 1
        self.bits = bits
        # Receiving
        self.head = bytearray(10)  # header of the frame that comes
        self.got = 0  # bytes of it
        self.want = 2
        self.rest = 0  # bytes of its payload that are to come
        self.out = self.head  # what the receiver is given
        self.at = self.end = 0
        self.stream = None  # the compressed message under way
        self.part = None  # a piece of it, in or out
        self.size = 0  # bytes in the stream, until the tail
        self.opcode = 0  # of the message, 0 once the receiver has it
        self.last = False  # the frame under way is its last one
        self.failed = 0  # the status where there is no memory for it
        self.inflater = None
        self.total = 0  # bytes that were unfolded
        self.pieces = None  # the handler of "data", if there is one
        self.risk = False  # whether -13 is noted, should the receiver fail to grow the message
        # What the server may refer back to, with context takeover
        self.past = None
        self.place = self.filled = 0
        # Sending
        self.view = None  # a compressed message

    def offers(self, fields):
        """Return `fields`, a dict of the user's, with the offer in it (RFC 7692 7.1).

        That is: without context takeover, or, if the server insists on it, with a smaller window.
        """
        text = "permessage-deflate; server_no_context_takeover" + self._limits(self.bits)
        fields = dict(fields)
        fields["Sec-WebSocket-Extensions"] = text + ", permessage-deflate" + self._limits(self._least())
        return fields

    def _least(self):
        return max(self.bits - 2, _LEAST_BITS)

    def _limits(self, bits):
        text = "; client_no_context_takeover; client_max_window_bits"
        return text if bits == _MOST_BITS else text + "; server_max_window_bits=%d" % bits

    def match(self, value):
        """Take the server's Sec-WebSocket-Extensions; return whether it is an answer to the offer (RFC 7692 7.1).

        `value`: bytes. Raises `MemoryError`.
        """
        found = _parameters(value)
        if found is None or self.agreed:
            return False
        bits = found.get(b"server_max_window_bits", _MOST_BITS)
        if b"server_no_context_takeover" not in found:
            self.bits = self._least()
        if bits > self.bits:
            return False
        self.bits = bits
        if b"server_no_context_takeover" not in found:
            self.past = bytearray(1 << bits)
        self.agreed = True
        connection = self.connection
        self.read_raw = connection.read
        connection.read = self.read
        # What the firmware compresses ends with a final block, after which a server that keeps its context cannot go
        # on (RFC 7692 7.2.3.4).
        if hasattr(DeflateIO, "write") and b"client_no_context_takeover" in found:
            self.client_bits = min(found.get(b"client_max_window_bits", _MOST_BITS), self.bits)
            self.fill_raw = connection.fill
            connection.fill = self.fill
        return True

    # ---- receiving

    def read(self, buffer, start, n):
        """Read what the receiver is to see, as `Connection.read` does: frames that are not compressed.

        Raises `MemoryError` where there is no memory or a message exceeds `max_message`; the status is then noted.
        """
        connection = self.connection
        if buffer is connection.out_buf:  # to be thrown away
            return self.read_raw(buffer, start, n)
        if self.risk:
            self.risk = False
            connection.status = connection.close = None
        while True:
            if self.at < self.end:
                n = min(n, self.end - self.at)
                buffer[start : start + n] = memoryview(self.out)[self.at : self.at + n]
                self.at += n
                if self.at == self.end and self.out is self.part and not self.pieces and connection.status is None:
                    # the receiver makes the message grow now, or tells that it cannot
                    self.risk = True
                    connection.status = -13
                    connection.close = _TOO_BIG
                return n
            if self.inflater is not None:
                if connection.count <= 0:
                    return 0
                self._unfold()
            elif not self.rest:
                k = self.read_raw(self.head, self.got, self.want - self.got)
                if not k:
                    return k
                self.got += k
                if self.got == self.want:
                    self._begin()
            elif self.stream is not None and self.head[0] & _CONTROL == 0:
                k = self.read_raw(self.part, 0, min(self.rest, _PIECE))
                if not k:
                    return k
                self._collect(k)
            else:
                n = self.read_raw(buffer, start, min(n, self.rest))
                self.rest -= n or 0
                return n

    def _show(self, first):
        # Lets the receiver see an empty frame; one against the rules makes it tell the status.
        self.out = self.head
        self.head[0] = first
        self.head[1] = self.at = self.rest = 0
        self.end = 2

    def _wrong(self):
        # What came cannot be inflated: an error of protocol, as a reserved bit is.
        self.ws.error = "not compressed as RFC 7692 has it"
        self.inflater = self.stream = self.part = None
        self._show(_RSV)

    def _fail(self, status):
        self.inflater = self.stream = self.part = None
        connection = self.connection
        if connection.status is None:
            connection.status = status
            connection.close = _TOO_BIG
        raise MemoryError

    def _begin(self):
        # A header, or its first two bytes, are there.
        head = self.head
        size = head[1] & 0x7F
        if self.want == 2 and size > 125:
            self.want = 4 if size == 126 else 10
            return
        first = head[0]
        kind = first & _OPCODE
        good = not head[1] & _MASKED
        n = self.want
        if n > 2:
            size = 0
            for i in range(2, n):
                size = size << 8 | head[i]
            good = good and size >= (126 if n == 4 else 65536) and not size >> 63
        self.got = 0
        self.want = 2
        if not kind & _CONTROL:
            if self.stream is not None:
                # a reserved bit or opcode, or a new message within this one (RFC 7692 6.1, RFC 6455 5.4)
                if not good or first & _RSV or kind > 2:
                    self._show(_RSV)
                    return
                if kind:
                    self._show(_FIN)
                    return
            if self.stream is not None or good and first & _RSV == _RSV1 and 0 < kind < 3:
                self.last = bool(first & _FIN)
                self.failed = -11 if not kind else -8 if self.last else -10
                if kind:
                    self.opcode = kind
                    self._first()
                # Compressing makes what cannot be compressed a little longer.
                n = self.most
                if size >> 30 or n is not None and self.size + size > n + (n >> 3) + self.filled + 64:
                    self._fail(self.failed)
                self.rest = size
                if not size:
                    self._collect(0)
                return
        self.out = head
        self.at = 0
        self.end = n
        self.rest = size

    def _first(self):
        # The first frame of a message: what it may refer back to goes before it, as a block that is not compressed.
        self.size = 0
        try:
            self.part = bytearray(_BODY + _PIECE)
            self.stream = io.BytesIO()
            n = self.filled
            if n:
                self.stream.write(bytes((0, n & 255, n >> 8, ~n & 255, (~n >> 8) & 255)))
                past = memoryview(self.past)
                if n == len(past):
                    self.stream.write(past[self.place :])
                self.stream.write(past[: self.place])
                self.size = n + 5
        except MemoryError:
            self._fail(self.failed)

    def _collect(self, n):
        # `n` bytes of the compressed message are in `part`.
        try:
            if n:
                self.stream.write(memoryview(self.part)[:n])
            self.size += n
            self.rest -= n
            if self.rest or not self.last:
                return
            self.failed = -13
            self.stream.write(_TAIL)
            self.stream.seek(0)
            self.inflater = DeflateIO(self.stream, RAW, self.bits)
            self.total = 0
            self.pieces = self.ws._handlers.get("data")
            past = self.filled
            view = memoryview(self.part)
            while past:
                past -= self.inflater.readinto(view[: min(past, _PIECE)])
        except MemoryError:
            self._fail(self.failed)

    def _unfold(self):
        # Lets the receiver see the next piece of the message, as a fragment, or its end.
        part = self.part
        n = 0
        try:
            n = self.inflater.readinto(memoryview(part)[_BODY:])
        except (OSError, EOFError):
            self._wrong()
            return
        except MemoryError:
            self._fail(-13)
        self.connection.count -= n
        self.total += n
        if not self.pieces and self.most is not None and self.total > self.most:
            self._fail(-8)
        if n:
            if self.past:
                self._keep(n)
            self.out = part
            self.end = _BODY + n
            self.at = 2
            if n > 125:
                part[2] = n >> 8
                part[3] = n & 255
                part[1] = 126
                self.at = 0
            else:
                part[3] = n
            part[self.at] = self.opcode
            self.opcode = 0
        elif self.stream.tell() < self.size - 1:
            self._wrong()  # a final block, and more follows than the byte of RFC 7692 7.2.3.4
        else:
            self.inflater = self.stream = self.part = None
            self._show(_FIN | self.opcode)

    def _keep(self, n):
        # Keeps the piece for the messages to come.
        view = memoryview(self.part)
        past = self.past
        start = _BODY + max(n - len(past), 0)
        while start < _BODY + n:
            k = min(_BODY + n - start, len(past) - self.place)
            past[self.place : self.place + k] = view[start : start + k]
            start += k
            self.filled = max(self.filled, self.place + k)
            self.place = (self.place + k) % len(past)

    # ---- sending

    def fill(self, first, view, done):
        """Put the next part of a frame into the buffer, as `Connection.fill` does; of a whole message compressed.

        One that does not become shorter, or for which there is no memory, goes out as it is (RFC 7692 6).
        """
        if first & ~_OPCODE != _FIN or not 0 < first & _OPCODE < 3:
            return self.fill_raw(first, view, done)
        if not done:
            self.view = None
            if len(view) >= _WORTH:
                try:
                    stream = io.BytesIO()
                    deflater = DeflateIO(stream, RAW, self.client_bits)
                    deflater.write(view)
                    deflater.close()
                    stream.write(b"\0")
                    if stream.tell() < len(view):
                        self.view = memoryview(stream.getvalue())
                except MemoryError:
                    pass
        if self.view is None:
            return self.fill_raw(first, view, done)
        done = self.fill_raw(first | _RSV1, self.view, done)
        if not self.connection.more:
            self.view = None
        return done


def step(ws, connection):
    """Return the extension of a connection that is about to be asked for."""
    return Deflate(ws, connection)
