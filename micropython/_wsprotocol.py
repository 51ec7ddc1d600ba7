# _wsprotocol: a connection, and the frames that it sends. MIT licence, see LICENSE.
"""Frames of RFC 6455 as bytes, on their way out: headers and masking; and one connection.

`header` and `mask` work on a scratch buffer, without I/O. A `Connection` has the socket. It is made for each attempt to
connect and never used for another. It decides nothing: when something happens is the business of `uwebsocket_client`.
What comes in is that of `_wsreceive`.

Layout of the scratch buffer (`bytearray` of 16 + 4*k bytes): the frame header ends at byte
16, its masking key is in bytes 12 to 15, the masked payload begins at byte 16.
"""

from errno import ECONNRESET, ENOMEM
from os import urandom

from micropython import const
from utime import ticks_diff, ticks_ms

_BODY = const(16)  # where the payload begins in the scratch buffer

# The first two bytes of a frame (RFC 6455 5.2)
_FIN = const(0x80)
_MASKED = const(0x80)
_LENGTH16 = const(126)  # the length is in the next 2 bytes
_LENGTH64 = const(127)  # in the next 8

_CLOSE = const(8)
_PING = const(9)
_PONG = const(10)

_WIDTH = const(484)  # bytes that are masked at once: three times that and a header fill a TCP segment
_SMALL = const(128)  # payload bytes that the scratch buffer of a connection holds: any control frame

_READ_COST = const(64)  # what a read counts beside its bytes
_LWIP_WAITED_MS = const(9000)

_POLLIN = const(1)
_POLLOUT = const(4)
_POLLHUP = const(16)

del const  # the table of globals has room for 10, and then for 12

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
        self.step = "_wsurl"  # the next module that takes part in it
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
        self.utf8 = None  # the function, once the connection is open
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
            poller.modify(pollable, flags)  # raises MemoryError
            self.flags = flags
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
