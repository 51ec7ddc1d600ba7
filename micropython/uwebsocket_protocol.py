# uwebsocket_protocol: the WebSocket frame codec, and the connection that carries frames. MIT licence, see LICENSE.
"""Frames of RFC 6455 as bytes: headers, masking, the strict UTF-8 check, and the receiver; and one connection.

The codec is without I/O: the receiver is a generator that is given a `read` function and says what came; `header` and
`mask` work on a scratch buffer. Below it a `Connection` has the socket. It is made for each attempt to connect and
never used for another. It decides nothing: when something happens is the business of `uwebsocket_client`.

Layout of the scratch buffer (`bytearray` of 16 + 4*k bytes): the frame header ends at byte
16, its masking key is in bytes 12 to 15, the masked payload begins at byte 16.
"""

import gc
from errno import ECONNRESET, ENOMEM
from os import urandom

from micropython import const
from utime import ticks_diff, ticks_ms

_BODY = const(16)  # where the payload begins in the scratch buffer
_PIECE = const(512)  # most bytes of one "data" piece

# The first two bytes of a frame (RFC 6455 5.2)
_FIN = const(0x80)
_RSV = const(0x70)
_OPCODE = const(0x0F)
_CONTROL = const(0x08)  # the bit that control opcodes have
_MASKED = const(0x80)
_LENGTH16 = const(126)  # the length is in the next 2 bytes
_LENGTH64 = const(127)  # in the next 8

_TEXT = const(1)
_CLOSE = const(8)
_PING = const(9)
_PONG = const(10)

# What the receiver yields beside an opcode
_PART = const(0x10)  # a piece of a message
_LAST = const(0x30)  # its last piece

# What the receiver reads next
_READ_HEADER = const(0)
_READ_LENGTH = const(1)
_READ_CONTROL = const(2)
_READ_WHOLE = const(3)  # the first frame of a message, straight into the message
_READ_PART = const(4)  # a later fragment, or a message that is handed over in pieces

_WIDTH = const(484)  # bytes that are masked at once: three times that and a header fill a TCP segment
_SMALL = const(128)  # payload bytes that the scratch buffer of a connection holds: any control frame

_READ_COST = const(64)  # what a read counts beside its bytes
_LWIP_WAITED_MS = const(9000)

_POLLIN = const(1)
_POLLOUT = const(4)
_POLLHUP = const(16)

del const  # the table of globals has room for 17, and then for 23

try:
    from uwebsocket_mask import mask
except Exception:  # absent, no room for it, made for another chip, or no machine code here

    def mask(buffer, n):
        """Mask the `n` bytes from byte 16 of `buffer`, in place (RFC 6455 5.3); the key is in bytes 12 to 15.

        Whole integers are many times as fast as a loop over bytes, and need 4 bytes of heap a byte; without
        that memory the loop does it. What follows up to a multiple of 4, in more than 484 bytes up to a multiple of
        them, is changed too.
        """
        i = _BODY
        n += i
        try:
            view = memoryview(buffer)
            width = min(n - i + 3 & ~3, _WIDTH)
            key = int.from_bytes(bytes(view[12:_BODY]) * (width >> 2), "little")
            while i < n:
                buffer[i : i + width] = (int.from_bytes(view[i : i + width], "little") ^ key).to_bytes(width, "little")
                i += width
        except MemoryError:
            pass
        while i < n:
            buffer[i] ^= buffer[12 + (i & 3)]
            i += 1


def header(buffer, opcode, n, key):
    """Write a frame header so that it ends at byte 16 of `buffer` (RFC 6455 5.2).

    `opcode`: with FIN and RSV, the first byte; `n`: payload length in bytes; `key`: 4 bytes.
    Returns where the header begins.
    """
    for i in range(4):  # a slice assignment takes heap up to MicroPython 1.25
        buffer[12 + i] = key[i]
    start = 10
    if n >= _LENGTH16:
        start = 8 if n < 65536 else 2
        i = 12
        while i > start + 2:
            i -= 1
            buffer[i] = n & 0xFF
            n >>= 8
        n = _LENGTH16 if start == 8 else _LENGTH64
    buffer[start] = opcode
    buffer[start + 1] = _MASKED | n
    return start


def utf8(data, start, end, state):
    """Check `data[start:end]` as UTF-8 by the letter (RFC 3629 3 and 4), across pieces.

    `state`: 0 before a character, else what the last call returned. Returns the new state:
    0 between two characters, more inside one, -1 for what is not UTF-8. Within a character
    it holds how many bytes are missing and the bounds of the next one, a byte each.
    """
    while start < end:
        byte = data[start]
        start += 1
        if state:
            if not (state >> 8) & 0xFF <= byte <= state & 0xFF:
                return -1
            state = (state >> 16) - 1 << 16
            if state:
                state |= 0x80BF
        elif byte > 0x7F:
            if byte < 0xC2 or byte > 0xF4:
                return -1
            state = 0x180BF
            if byte > 0xEF:
                state = 0x390BF if byte == 0xF0 else 0x3808F if byte == 0xF4 else 0x380BF
            elif byte > 0xDF:
                state = 0x2A0BF if byte == 0xE0 else 0x2809F if byte == 0xED else 0x280BF
    return state


def _attempt(function, args):
    try:
        return function(*args)
    except MemoryError:
        return None


def _allocate(function, *args):
    # function(*args), once more after a collection where there is no memory. The exception of the first
    # attempt must be gone by then, traceback and all: it would lie in the middle of the free room.
    result = _attempt(function, args)
    if result is None:
        gc.collect()
        result = function(*args)
    return result


def _text(message, state, start):
    # The message as a str, or a status. The interpreter checks how characters are put
    # together, but lets overlong forms, surrogates and values above U+10FFFF pass: only the
    # bytes that can begin one of those send the message through the strict check, from `start`.
    try:
        text = _allocate(str, message, "utf-8")
    except UnicodeError:
        return -207
    except MemoryError:
        return -13
    if len(text) != len(message):
        lead = bytearray(1)
        for byte in b"\xc0\xc1\xe0\xed\xf0\xf4\xf5\xf6\xf7":
            lead[0] = byte
            if lead in message:
                return -207 if utf8(message, start, len(message), state) else text
    return text


def _close_status(data):
    # The status that the payload of a Close frame leads to, 0 for a good one (RFC 6455 7.4).
    n = len(data)
    if n:
        n = n > 1 and data[0] << 8 | data[1]
        if not (1000 <= n < 1004 or 1006 < n < 1015 or 2999 < n < 5000):
            return -202
    return -207 if utf8(data, 2, len(data), 0) else 0


def receiver(read, handlers, maxsize):
    """Read the server's frames; a generator.

    `read(buffer, offset, n)` fills up to `n` bytes in from `offset` and returns how many came,
    0 or `None` for none at the moment; what it raises goes through. `handlers`: the registered
    events; with `"data"` among them when a message begins, it is handed over in pieces.
    `maxsize`: most bytes of an assembled message, or `None`.

    Yields 0 when there is nothing to read; else what has come, and with the next step its
    content: opcode 1 or 2 (`str`, `bytearray`: a whole message), opcode | 0x10 (a `memoryview`,
    valid until the next step but one: a piece; the step after that gives its handler), opcode | 0x30
    (the last piece, likewise), 8, 9, 10 (the payload, a `bytearray`). Ends after a Close frame, or
    after yielding the status (below 0) that a frame against RFC 6455 5.2 to 5.6, 7.4 and 8.1 or a
    lack of memory leads to.
    """
    head = bytearray(8)
    buffer = head
    stage = _READ_HEADER
    got = 0
    want = 2
    opcode = 0  # of the message under way
    message = part = taker = None
    state = checked = rest = 0
    while True:
        while got < want:
            n = read(buffer, got, want - got)
            if n:
                got += n
                if stage == _READ_PART:
                    break
            else:
                if opcode == _TEXT and message is not None:
                    # nothing else to do: look early at the text so far, a little at a time
                    n = min(got if stage == _READ_WHOLE else len(message), checked + 256)
                    state = utf8(message, checked, n, state)
                    checked = n
                    if state < 0:
                        yield -207
                        return
                yield 0

        if stage == _READ_HEADER:
            first = head[0]
            rest = head[1]
            code = first & _OPCODE
            fin = first & _FIN
            # a reserved bit, a mask, a reserved opcode; a control frame in fragments or too long (RFC 6455 5.2, 5.5)
            if first & _RSV or rest & _MASKED or code & 7 > 2 or code & _CONTROL and not (fin and rest < _LENGTH16):
                yield -202
                return
            if code < _CONTROL and (not code) == (not opcode):
                yield -15
                return
            if rest >= _LENGTH16:
                stage = _READ_LENGTH
                want = 2 if rest == _LENGTH16 else 8
                got = 0
                continue
        elif stage == _READ_LENGTH:
            rest = 0
            for i in range(want):
                rest = rest << 8 | head[i]
            if rest < (_LENGTH16 if want == 2 else 65536) or rest >> 63:
                yield -202
                return

        if stage < _READ_CONTROL:  # the header is complete
            got = 0
            if code & _CONTROL:
                stage = _READ_CONTROL
                want = rest
                try:
                    buffer = _allocate(bytearray, rest)
                except MemoryError:
                    if code != _CLOSE:
                        yield -8
                        return
                    buffer = b""  # it ends the connection without its payload too
                    want = 0
                continue
            if code:
                opcode = code
                taker = handlers.get("data")
                state = checked = 0
            failed = -11 if not code else -8 if fin else -10
            if not taker:
                n = len(message) if message is not None else 0
                # no heap holds a gigabyte; a later fragment would grow until it has failed
                if rest >> 30 or maxsize is not None and n + rest > maxsize:
                    yield failed
                    return
            try:
                if code and not taker:
                    message = buffer = _allocate(bytearray, rest)
                    stage = _READ_WHOLE
                    want = rest
                    continue
                if part is None and rest:
                    part = _allocate(bytearray, _PIECE)
            except MemoryError:
                yield failed
                return
            stage = _READ_PART
            buffer = part
            want = min(rest, _PIECE)
            if want:
                continue

        if stage == _READ_CONTROL:
            if code == _CLOSE:
                n = _close_status(buffer)
                if n:
                    yield n
                    return
            yield code
            yield buffer
            if code == _CLOSE:
                return
        elif taker:
            rest -= got
            final = fin and not rest
            if opcode == _TEXT:
                state = utf8(part, 0, got, state)
                if state < 0 or final and state:
                    yield -207
                    return
            if got or final:
                yield opcode | (_LAST if final else _PART)
                yield memoryview(part)[:got] if got else memoryview(b"")
                yield taker
        elif got and stage == _READ_PART:
            rest -= got
            try:
                message.extend(memoryview(part)[:got])
            except MemoryError:
                yield -11
                return
        if stage == _READ_PART and rest:
            got = 0
            want = min(rest, _PIECE)
            continue

        if code < _CONTROL and fin:
            if not taker:
                part = None
                if opcode == _TEXT:
                    message = _text(message, state, checked)
                    if isinstance(message, int):
                        yield message
                        return
                yield opcode
                buffer = message
                message = None
                opcode = 0
                yield buffer
            opcode = 0
            taker = None
        stage = _READ_HEADER
        buffer = head
        got = 0
        want = 2


class Connection:
    """An attempt to connect, and the connection that it becomes.

    Once it is open nothing but `flush` writes to its socket. `start` to `end` of the buffer is to be written.
    """

    def __init__(self):
        self.socket = self.raw = None  # the socket: that of TLS where there is one; that of TCP
        self.poller = self.pollable = None  # what the poller watches: `sock` or `raw`
        self.flags = 0  # and for what
        self.task = None  # the generator that goes on when the network moves
        self.ready = True  # there may be something to read
        self.waiting = True  # something is to be written; opening waits for room
        self.locked = False  # axTLS must read before it can write
        self.count = 0  # bytes that may be read in this poll()
        # Opening
        self.step = "url"  # the next module that takes part in it
        self.doing = None  # in words, for a time-out
        self.args = self.fields = None  # what one phase hands to the next
        self.heard = False  # a byte has come; None while hands are shaken for TLS
        # Sending
        self.buffer = self.out_buf = None
        self.maxsize = 0  # payload bytes of one write
        self.start = self.end = 0
        self.more = False  # a part of the frame is not in the buffer yet
        # A part of it is out, or in TLS: the rest must follow, or nothing at all. None while that is not known.
        self.torn = False
        self.text = None  # of a message sent in fragments: its utf8() state, -1 for binary
        self.pong = None  # payloads of control frames that wait
        self.close = None  # also the code alone; False once it is out, for nothing follows it (RFC 6455 5.5.1)
        self.ping = False  # one is due
        # Silence
        self.got_ms = self.sent_ms = self.opened_ms = None  # when it began, in either direction; when it was open
        self.pings = 0  # without an answer
        # The end
        self.pause_ms = 0  # until the next attempt
        self.status = None  # what "close" will tell, once it is known
        self._ended = None  # the connection that ended before it and is not told either

    def mask(self):
        """Return the flags to wait for, as things stand."""
        if self.locked or not self.waiting:
            return _POLLIN | _POLLHUP
        if self.task is None:
            # what comes can wait: it is only to be thrown away, through the buffer that is to be written
            return _POLLOUT | _POLLHUP
        return _POLLIN | _POLLOUT | _POLLHUP

    def wait(self, flags, timeout_ms):
        """Wait for flags; `ready` is then whether any came. Takes no heap when they are those of the last time."""
        poller = self.poller
        pollable = self.pollable
        if poller is None:  # a callback has just ended the connection
            return
        if flags != self.flags:
            self.flags = flags
            poller.modify(pollable, flags)
        for _ in poller.ipoll(timeout_ms):
            self.ready = True

    def read(self, buffer, start, n):
        """Read what is there of `n` bytes into `buffer` from `start`, within the budget of this poll().

        Returns their number, 0 or `None` for none. Asks for no more than that: after a reset lwIP
        loses what is there when more is asked for. Raises `EOFError` at the end, `OSError`, `ValueError`.
        """
        if self.count <= 0:
            return 0
        n = min(n, self.count)
        if start:
            n = self.socket.readinto(memoryview(buffer)[start : start + n])
        else:
            n = self.socket.readinto(buffer, n)
        if n:
            self.count -= n + _READ_COST
        elif n is None:
            self.ready = False
        else:
            raise EOFError
        return n

    def fill(self, opcode, message, done):
        """Put the next part of a frame into the buffer, and return how many payload bytes it then holds or has held.

        `opcode`: the frame's first byte, FIN and opcode; `message`: its payload, a memoryview; `done`: bytes of it
        that are out, 0 begins the frame. Raises `MemoryError`, and nothing has happened.
        """
        n = len(message)
        start = _BODY
        buffer = self.buffer
        if not done:
            room = self.maxsize if n > _SMALL else 0
            while room:
                try:
                    buffer = bytearray(_BODY + min((n + _WIDTH - 1) // _WIDTH * _WIDTH if n > _WIDTH else n + 3, room))
                    break
                except MemoryError:
                    room = _WIDTH if room > _WIDTH else 0
            start = header(buffer, opcode, n, urandom(4))
            self.buffer = buffer
        left = n - done
        n = min(left, len(buffer) - _BODY)
        buffer[_BODY : _BODY + n] = message[done : done + n]
        mask(buffer, n)
        self.more = n < left
        self.start = start
        self.end = _BODY + n
        return done + n

    def flush(self, idle):
        """Write what the buffer holds, as far as there is room; True when all of it is out.

        `idle`: whether no message is under way; control frames that wait then follow: pongs before the Close, nothing
        after it. Raises `OSError`, `ValueError`, and `MemoryError`, after which they still wait.
        """
        while True:
            while self.start < self.end:
                began = ticks_ms()
                torn = self.torn
                self.torn = None  # to an exception in the next line: it hides how much is out
                n = self.socket.write(self.buffer, self.start, self.end - self.start)
                if n == 0:
                    raise OSError(ECONNRESET, "")  # how axTLS tells it
                self.start += n or 0
                # TLS keeps what it was given even if it says that nothing was taken
                self.torn = torn or n is not None or self.socket is not self.raw
                if n is None:
                    self.waiting = True
                    return False
                if self.socket is self.raw and ticks_diff(ticks_ms(), began) > _LWIP_WAITED_MS:
                    # lwIP had no memory: it waits 10 s, drops the data and says that it is out
                    raise OSError(ENOMEM, "")
            if self.more:
                return True
            self.torn = False
            self.buffer = self.out_buf
            if self.close is False or not idle:
                break
            if self.pong is not None:
                self.fill(_FIN | _PONG, memoryview(self.pong), 0)
                self.pong = None
            elif self.close is not None:
                close = self.close
                if isinstance(close, int):
                    close = bytes((close >> 8, close & 0xFF))
                self.fill(_FIN | _CLOSE, memoryview(close), 0)
                self.close = False
            elif self.ping:
                self.fill(_FIN | _PING, memoryview(b""), 0)
                self.ping = False
            else:
                break
        self.waiting = False
        return True

    def release(self):
        """Close the socket. Needs no memory, and may be called again."""
        try:
            if self.socket:
                self.socket.close()
        except OSError:
            pass
        try:
            # mbedTLS has forgotten it where the handshake failed; to close a socket twice does nothing
            if self.raw:
                self.raw.close()
        except OSError:
            pass
        self.socket = self.raw = self.poller = self.pollable = None
