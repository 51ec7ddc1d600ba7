# uwebsocket_axtls: keeps axTLS, the TLS of the ESP8266, from harm. MIT licence, see LICENSE.
"""A socket over axTLS that the client can use like any other.

axTLS has one buffer for both directions, does not tell what it has decrypted, waits in a busy
loop when it cannot write, and takes any time-out for the end. So: it is read until nothing is
left before anything is written; it is asked to read only when TCP has data or the last read was
full; and it writes with a time-out on the raw socket, after TCP has shown room.
"""

import errno
import gc
from micropython import const
import uselect
from utime import ticks_diff, ticks_ms

# Indices of the options, see KEYS in uwebsocket_config
_SEND_TIMEOUT = const(4)

_FREE = const(14336)  # bytes that the handshake needs, unchecked by axTLS
_BLOCK = const(5400)  # of them in one piece
_KEPT = const(4096)  # bytes that are read ahead, at most, for a write


class AxTLS:
    """The client's end of a TLS connection, both as its socket and as its poll object.

    `ws`: the client, with the raw socket; `wrap()` makes the `SSLSocket`, with its handshake.
    """

    def __init__(self, ws, wrap):
        gc.collect()
        if hasattr(gc, "mem_free") and gc.mem_free() < _FREE:
            raise MemoryError
        bytearray(_BLOCK)  # raises MemoryError, where axTLS would crash
        gc.collect()
        self._raw = ws._sock
        self._waiter = ws._poller
        self._mask = 0  # what the client waits for
        self._poller = uselect.poll()
        self._poller.register(self._raw, uselect.POLLIN | uselect.POLLOUT | uselect.POLLHUP)
        self._timeout = ws._options[_SEND_TIMEOUT]
        self._kept = bytearray()  # decrypted, not yet asked for
        self._full = False  # the last read gave all that was asked: there may be more
        self._part = False  # axTLS may hold a part of a record
        self._over = False
        left = ticks_diff(ws._deadline, ticks_ms())
        self._raw.settimeout(max(left, 1) / 1000)
        try:
            self._sock = wrap()
        except OSError:
            if ticks_diff(ws._deadline, ticks_ms()) <= 0:
                ws._status = -18  # axTLS tells a time-out as a lost connection
            raise
        # the flag of the SSLSocket itself is left alone: one read then takes one record
        self._raw.setblocking(False)

    def _flags(self):
        for _, flags in self._poller.ipoll(0):
            return flags
        return 0

    def modify(self, sock, flags):
        """Have `ipoll` wait for other flags."""
        self._mask = flags

    def ipoll(self, timeout_ms):
        """Wait like `poll.ipoll`; what axTLS has decrypted counts as POLLIN."""
        if self._kept or self._full:
            return ((self, uselect.POLLIN),)
        # room to write is of no use before the rest of a record has come
        self._waiter.modify(self._raw, self._mask & ~uselect.POLLOUT | uselect.POLLIN if self._part else self._mask)
        return self._waiter.ipoll(timeout_ms)

    def _take(self, buffer, n, step):
        # Reads what TCP or axTLS has, 0 at the end, None for nothing. While TCP has data, `step` bytes at
        # once: a read that wants more than there is may take in a part of the next record unseen.
        if self._over:
            return 0
        waiting = self._flags() & ~uselect.POLLOUT
        if not (waiting or self._full):
            return None
        if waiting:
            n = min(n, step)
        try:
            k = self._sock.readinto(buffer, n)
        except OSError as error:  # also with the number of an alert, which is no errno
            raise ValueError(error)
        self._full = k == n
        if not self._full and waiting:
            self._part = True
        elif k is not None:
            self._part = False
        self._over = k == 0
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
        # one byte first, which makes axTLS take in one record
        return self._take(buffer, n, n if self._full else 1)

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
        if not self._flags() & uselect.POLLOUT:
            return None
        # what is decrypted must be out of the way
        piece = bytearray(64)
        k = 1
        while k:
            if len(self._kept) > _KEPT:
                return None
            k = self._take(piece, len(piece), 1)
            if k:
                self._kept += piece[:k]
        if self._part and not self._over:
            return None
        began = ticks_ms()
        self._raw.settimeout(self._timeout / 1000)
        try:
            k = self._sock.write(buffer, start, n)
        finally:
            self._raw.setblocking(False)
        if k == 0 and ticks_diff(ticks_ms(), began) >= self._timeout:
            raise OSError(errno.ETIMEDOUT, "")
        return k

    def close(self):
        """Close TCP before TLS, which would wait for room to say farewell."""
        self._raw.close()
        try:
            self._sock.close()
        except OSError:
            pass
