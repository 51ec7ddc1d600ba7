# uwebsocket_connection: one attempt to connect, and the connection that it becomes. MIT licence, see LICENSE.
"""The parts of one connection: its socket, what is waited for, what goes out.

A `Connection` is made for each attempt and never used for another. It decides nothing: when something happens
is the business of `uwebsocket_client`.
"""

from errno import ECONNRESET, ENOMEM
from os import urandom

from micropython import const
from utime import ticks_diff, ticks_ms
from uwebsocket_protocol import header, mask

_BODY = const(16)  # where the payload begins in the scratch buffer
_SMALL = const(128)  # payload bytes that the scratch buffer holds: any control frame
_WIDTH = const(484)  # bytes that are masked at once: what a write sends is a multiple

# First bytes of control frames: FIN and the opcode (RFC 6455 5.5)
_CLOSE = const(0x88)
_PING = const(0x89)
_PONG = const(0x8A)

_READ_COST = const(64)  # what a read counts beside its bytes
_LWIP_WAITED_MS = const(9000)

_POLLIN = const(1)
_POLLOUT = const(4)
_POLLHUP = const(16)


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
        self.args = self.headers = None  # what one phase hands to the next
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
            key = urandom(4)
            room = self.maxsize if n > _SMALL else 0
            while room:
                try:
                    buffer = bytearray(_BODY + min((n + _WIDTH - 1) // _WIDTH * _WIDTH if n > _WIDTH else n + 3, room))
                    break
                except MemoryError:
                    room = _WIDTH if room > _WIDTH else 0
            start = header(buffer, opcode, n, key)
            self.buffer = buffer
        n = min(n - done, len(buffer) - _BODY)
        if n:
            buffer[_BODY : _BODY + n] = message[done : done + n]
            mask(buffer, n)
        done += n
        self.more = done < len(message)
        self.start = start
        self.end = _BODY + n
        return done

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
                self.fill(_PONG, memoryview(self.pong), 0)
                self.pong = None
            elif self.close is not None:
                close = self.close
                if isinstance(close, int):
                    close = bytes((close >> 8, close & 0xFF))
                self.fill(_CLOSE, memoryview(close), 0)
                self.close = False
            elif self.ping:
                self.fill(_PING, memoryview(b""), 0)
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
