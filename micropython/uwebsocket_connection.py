# uwebsocket_connection: one attempt to connect, and the connection that it becomes. MIT licence, see LICENSE.
"""The parts of one connection: its socket, what is waited for, what goes out, how it ends.

A `Connection` is made for each attempt and never used for another. It decides nothing: when something happens
is the business of `uwebsocket_client`.
"""

from errno import ECONNRESET, ENOMEM
from os import urandom

from micropython import const
from utime import ticks_diff, ticks_ms
from uwebsocket_protocol import header, mask, widen

_BODY = const(16)  # where the payload begins in the scratch buffer
_SMALL = const(128)  # payload bytes that the scratch buffer holds: any control frame
_WIDTH = const(484)  # bytes that are masked at once: what a write sends is a multiple, a TCP segment three of them

# First bytes of control frames: FIN and the opcode (RFC 6455 5.5)
_CLOSE = const(0x88)
_PING = const(0x89)
_PONG = const(0x8A)

_BUDGET = const(16384)  # bytes that one poll() reads before it looks at the clock
_READ_COST = const(64)  # what a read counts beside its bytes
_LWIP_WAITED_MS = const(9000)

_POLLIN = const(1)
_POLLOUT = const(4)
_POLLHUP = const(16)


class Output:
    """All that goes out over one connection: nothing else writes to its socket once it is open.

    `tls`: whether the socket is one of TLS, which keeps what it was given even if it says that nothing was
    taken: the same bytes must come again, or none at all.
    """

    def __init__(self, sock, tls):
        self.sock = sock
        self.tls = tls
        self.scratch = self.buffer = bytearray(_BODY + _SMALL)
        self.start = self.end = 0  # what of the buffer is to be written
        self.torn = False  # a part of the frame is out, or in TLS: the rest must follow, or nothing at all
        self.unsure = False  # a write has begun whose end is not known
        self.more = False  # a part of the frame is not in the buffer yet
        # Control frames that wait: payloads, and whether a ping is due
        self.pong = self.close = None
        self.ping = False
        self.ended = False  # the Close frame is the last one (RFC 6455 5.5.1)

    def waiting(self):
        """Return whether something is to be written."""
        if self.start < self.end:
            return True
        return not self.ended and (self.ping or self.pong is not None or self.close is not None)

    def begin(self, first, n, room):
        """Begin a frame: its header. `first`: its first byte; `n`: payload bytes; `room`: of them in one write.

        Returns what `fill` needs. Raises `MemoryError`, and nothing has happened.
        """
        key = urandom(4)
        buffer = self.scratch
        width = n + 3 & ~3
        if width > _WIDTH:
            width = (n + _WIDTH - 1) // _WIDTH * _WIDTH
        while n > _SMALL and room:
            try:
                buffer = bytearray(_BODY + min(width, room))
                break
            except MemoryError:
                room = _WIDTH if room > _WIDTH else 0
        width = min(width, len(buffer) - _BODY, _WIDTH)
        wide = widen(key, width)
        self.start = self.end = header(buffer, first, n, key)
        self.buffer = buffer
        return width, wide

    def fill(self, view, done, how):
        """Put the next payload bytes of a frame, from `done`, into the buffer; return how many."""
        buffer = self.buffer
        n = min(len(view) - done, len(buffer) - _BODY)
        if n:
            buffer[_BODY : _BODY + n] = view[done : done + n]
            mask(buffer, n, how[1], how[0])
        if done:
            self.start = _BODY
        self.more = done + n < len(view)
        self.end = _BODY + n
        return n

    def drop(self):
        """Forget a frame of which nothing is out, and give a large buffer back."""
        self.start = self.end = 0
        self.more = False
        self.buffer = self.scratch

    def stop(self):
        """Forget all that waits: nothing may be written any more."""
        self.drop()
        self.ended = True

    def flush(self):
        """Write what the buffer holds, as far as there is room; True when all of it is out.

        Raises `OSError`, `ValueError`.
        """
        while self.start < self.end:
            began = ticks_ms()
            self.unsure = True  # to an exception in the next line: it hides how much is out
            n = self.sock.write(self.buffer, self.start, self.end - self.start)
            if n == 0:
                raise OSError(ECONNRESET, "")  # how axTLS tells it
            if n or self.tls:
                self.torn = True
            self.start += n or 0
            self.unsure = False
            if n is None:
                return False
            if not self.tls and ticks_diff(ticks_ms(), began) > _LWIP_WAITED_MS:
                # lwIP had no memory: it waits 10 s, drops the data and says that it is out
                raise OSError(ENOMEM, "")
        if not self.more:
            self.torn = False
            self.buffer = self.scratch
        return True

    def push(self):
        """Write what waits, as far as there is room; True when nothing waits any more.

        Pongs go before the Close, nothing after it. Raises `OSError`, `ValueError`, and `MemoryError`,
        after which the frame still waits.
        """
        while self.flush():
            if self.ended:
                break
            if self.pong is not None:
                self._control(_PONG, self.pong)
                self.pong = None
            elif self.close is not None:
                self._control(_CLOSE, self.close)
                self.ended = True
            elif self.ping:
                self._control(_PING, b"")
                self.ping = False
            else:
                break
        else:
            return False
        return True

    def _control(self, first, payload):
        n = len(payload)
        how = self.begin(first, n, 0)
        self.fill(memoryview(payload), 0, how)


def _close(sock):
    if sock is not None:
        try:
            sock.close()
        except OSError:
            pass


class Connection:
    """An attempt to connect, and the connection that it becomes."""

    def __init__(self):
        self.sock = None  # of TLS, where there is one
        self.raw = None  # of TCP
        self.poller = None
        self.pollable = None  # what the poller watches: `sock` or `raw`
        self.task = None  # the generator that goes on when the network moves
        self.phase = 0  # of opening: the next of the modules that take part in it
        self.doing = "DNS"  # in words, for a time-out
        self.output = None  # once it is open
        self.headers = None  # of the user, for the request
        self.target = None  # what one phase hands to the next
        self.writing = True  # opening waits for room
        self.held = False  # axTLS must read before it can write
        self.ready = True  # there may be something to read
        self.heard = False  # a byte has come
        self.budget = 0  # bytes that may be read in this poll()
        self.text = None  # of a message sent in fragments: its utf8() state, -1 for binary
        self.taker = None  # the handler of the message that is handed over in pieces
        self.room = 0  # payload bytes of one write
        self.pings = 0  # without an answer
        self.got_ms = self.sent_ms = 0  # when silence began, in either direction
        self.opened_ms = None
        self.status = None  # what "close" will tell, once it is known
        self._ended = None  # the connection that ended before it and is not told either

    def mask(self):
        """Return the flags to wait for, as things stand."""
        output = self.output
        if self.held or not (self.writing if output is None else output.waiting()):
            return _POLLIN | _POLLHUP
        if output is not None and self.task is None:
            # what comes can wait: it is only to be thrown away, through the buffer that is to be written
            return _POLLOUT | _POLLHUP
        return _POLLIN | _POLLOUT | _POLLHUP

    def wait(self, flags, timeout_ms):
        """Wait for flags of the poller; `ready` is then whether any came."""
        self.poller.modify(self.pollable, flags)
        for _ in self.poller.ipoll(timeout_ms):
            self.ready = True

    def read(self, buffer, start, n):
        """Read what is there of `n` bytes into `buffer` from `start`, within the budget of this poll().

        Returns their number, 0 or `None` for none. Asks for no more than that: after a reset lwIP
        loses what is there when more is asked for. Raises `EOFError` at the end, `OSError`, `ValueError`.
        """
        if self.budget <= 0:
            return 0
        n = min(n, self.budget)
        if start:
            n = self.sock.readinto(memoryview(buffer)[start : start + n])
        else:
            n = self.sock.readinto(buffer, n)
        if n:
            self.budget -= n + _READ_COST
        elif n is None:
            self.ready = False
        else:
            raise EOFError
        return n

    def shut(self):
        """Close the socket and let go of all that the connection holds, but its status. Needs no memory."""
        _close(self.sock)
        _close(self.raw)  # mbedTLS has forgotten it where the handshake failed; to close a socket twice does nothing
        self.sock = self.raw = self.poller = self.pollable = self.task = None
        self.output = self.target = self.taker = None
