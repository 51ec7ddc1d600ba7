# uwebsocket_axtls: keeps axTLS, the TLS of the ESP8266, from harm. MIT licence, see LICENSE.
"""A socket over axTLS that the client can use like any other.

axTLS has one buffer for both directions, so what it writes destroys what it has decrypted or half
read; it does not tell what it has of either, waits in a busy loop when it cannot write, and takes
any time-out for the end. So it gets TCP through a gate, which tells where records end, lets none
begin before a write, and waits in axTLS's place.
"""

import errno
import gc
import io

import uselect
from micropython import const
from utime import ticks_add, ticks_diff, ticks_ms

# Indices of the options, see KEYS in uwebsocket_config
_SEND_TIMEOUT = const(4)

_FREE = const(14336)  # bytes that the handshake needs, unchecked by axTLS
_BLOCK = const(5400)  # of them in one piece
_PIECE = const(128)


class _Gate(io.IOBase):
    # TCP as axTLS sees it. What it raised would leave axTLS torn, so it keeps it in `error`.

    def __init__(self, raw, deadline):
        self.raw = raw
        self.poller = uselect.poll()
        self.poller.register(raw)
        self.deadline = deadline  # of what waits, in ticks
        self.waits = True  # reads wait
        self.shut = False  # no record may begin
        self.inside = False  # a record has begun
        self.body = False  # and its header is complete
        self.error = None

    def wait(self, flags):
        # False when the deadline has passed
        left = ticks_diff(self.deadline, ticks_ms())
        if left <= 0:
            self.error = OSError(errno.ETIMEDOUT, "")
            return False
        self.poller.modify(self.raw, flags | uselect.POLLHUP)
        for _ in self.poller.ipoll(left):
            pass
        return True

    def readinto(self, buffer):
        # axTLS asks for what is missing of a header or of the rest of the record, never for more
        if self.error or self.shut and not self.inside:
            return 0 if self.error else None
        try:
            while True:
                n = self.raw.readinto(buffer)
                if n is not None or not self.waits:
                    break
                if not self.wait(uselect.POLLIN):
                    return 0
        except OSError as error:
            self.error = error
            return 0
        if n:
            if n == len(buffer):
                self.body = not self.body
            self.inside = self.body or n < len(buffer)
        return n

    def write(self, buffer):
        if self.error:
            return -errno.ECONNRESET
        try:
            while True:
                n = self.raw.write(buffer)
                if n is not None:
                    return n
                if not self.wait(uselect.POLLOUT):
                    break
        except OSError as error:
            self.error = error
        return -errno.ECONNRESET

    def ioctl(self, request, argument):
        return 0


class AxTLS:
    """The client's end of a TLS connection, both as its socket and as its poll object.

    `ws`: the client, with the raw socket; `wrap(raw)` makes the `SSLSocket`, with its handshake.
    """

    def __init__(self, ws, wrap):
        gc.collect()
        if hasattr(gc, "mem_free") and gc.mem_free() < _FREE:
            raise MemoryError
        bytearray(_BLOCK)  # raises MemoryError, where axTLS would crash
        gc.collect()
        self._raw = ws._sock
        self._poller = ws._poller
        self._mask = 0  # what the client waits for
        self._timeout = ws._options[_SEND_TIMEOUT]
        self._kept = b""  # decrypted, not yet asked for
        self._full = False  # the last read gave all that was asked: there may be more
        self._gate = gate = _Gate(self._raw, ws._deadline)
        try:
            # the SSLSocket's own flag stays "blocking": a read then goes on until the gate has nothing
            self._sock = wrap(gate)
        except OSError as error:
            if gate.error and gate.error.errno == errno.ETIMEDOUT:
                ws._status = -18
            gate.error = error  # for the finaliser, which would write
            raise
        gate.waits = False

    def modify(self, sock, flags):
        """Have `ipoll` wait for other flags."""
        self._mask = flags

    def ipoll(self, timeout_ms):
        """Wait like `poll.ipoll`; what axTLS has decrypted counts as POLLIN."""
        if self._kept or self._full:
            return ((self, uselect.POLLIN),)
        # room to write is of no use before the rest of a record has come
        self._poller.modify(self._raw, uselect.POLLIN | uselect.POLLHUP if self._gate.inside else self._mask)
        return self._poller.ipoll(timeout_ms)

    def _take(self, buffer, n):
        try:
            k = self._sock.readinto(buffer, n)
        except OSError as error:  # also the number of an alert, which is no errno
            raise ValueError(error)
        self._full = k == n
        if k == 0 and self._gate.error:
            raise self._gate.error
        return k

    def readinto(self, buffer, n=None):
        """Read up to `n` bytes; their number, 0 at the end, or `None` for nothing yet."""
        if n is None:
            n = len(buffer)
        if self._kept:
            k = min(n, len(self._kept))
            buffer[:k] = self._kept[:k]
            self._kept = self._kept[k:]
            return k
        return self._take(buffer, n)

    def readline(self, n):
        """Read at most `n` bytes, up to the end of a line; `None` for nothing yet, b"" at the end."""
        line = b""
        byte = bytearray(1)
        while len(line) < n:
            k = self.readinto(byte, 1)
            if not k:
                return line or (b"" if k == 0 else None)
            line += byte
            if byte[0] == 10:
                break
        return line

    def write(self, buffer, start, n):
        """Write `n` bytes from `start`; their number, 0 for a dead session, `None` for not yet."""
        gate = self._gate
        gate.shut = True
        try:
            # what is decrypted, or half read, must be out of the way
            piece = bytearray(_PIECE)
            k = 1
            while k:
                k = self._take(piece, _PIECE)
                if k:
                    self._kept += piece[:k]
        finally:
            gate.shut = False
        if gate.inside:
            return None
        gate.deadline = ticks_add(ticks_ms(), self._timeout)
        k = self._sock.write(buffer, start, n)
        if k == 0 and gate.error:
            raise gate.error
        return k

    def close(self):
        """Close TCP, and then TLS, which would wait for room to say farewell."""
        self._gate.error = OSError(errno.EBADF, "")
        self._raw.close()
        try:
            self._sock.close()
        except OSError:
            pass
